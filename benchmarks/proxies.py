"""Seconds of the 13 zero-cost proxies: passes shared by all, against a loop over the proxies.

The loop scores one proxy at a time on the same network, each with passes of its own. Both sides
run in turn on each cell, on one thread; seconds are of the CPU, means over random valid cells of
NAS-Bench-201. ``full`` is the benchmark's skeleton (width 16, 5 cells per stage, 32x32),
``reduced`` has one cell per stage and 16x16 pixels; the batch is 64 real images.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import torch

from graf_utils.networks import build_network
from graf_utils.proxies import PROXIES
from graf_utils.scoring import image_batch, score_network
from graf_utils.spaces import NB201

SKELETONS = {"full": (5, 32, 5), "reduced": (1, 16, 20)}
"""Cells per stage, image size, and how many cells are timed."""


def measure(name: str, n: int | None) -> None:
    """Time both sides on one skeleton and print seconds and ratios.

    Parameters
    ----------
    name : str
        A skeleton of `SKELETONS`.
    n : int, optional
        How many networks are timed.
    """
    cells, size, default = SKELETONS[name]
    space, batch, rows, gap = NB201(), image_batch(size), [], 0.0
    for code in space.from_codes(space.sample(n or default, random_state=0)):
        network = build_network(code, space, cells=cells, random_state=0)
        shared = score_network(network, batch)
        alone = {proxy: score_network(network, batch, proxy) for proxy in PROXIES}
        row = {f"shared.{k.removeprefix('seconds.')}": v for k, v in shared.items() if "sec" in k}
        rows.append(row | {f"alone.{proxy}": alone[proxy]["seconds"] for proxy in PROXIES})
        for proxy in PROXIES:
            values = np.array([shared[proxy], alone[proxy][proxy]])
            gap = max(gap, np.ptp(values) / max(abs(values).max(), 1e-12))
    mean = pd.DataFrame(rows).mean()
    print(f"\n{name}: {cells} cells per stage, {size}x{size}, 64 images, {len(rows)} networks")
    print(f"{'':12}{'alone':>9}{'shared':>9}{'ratio':>7}   (seconds; shared: without the passes)")
    for proxy in PROXIES:
        line(proxy, mean[f"alone.{proxy}"], mean[f"shared.{proxy}"])
    for made_once in ("forward", "gradients", "jacobian"):
        print(f"{made_once:12}{'':9}{mean[f'shared.{made_once}']:9.4f}   (a pass made once)")
    four = ["grad_norm", "snip", "plain", "fisher"]  # one forward and one backward pass
    passes = mean[["shared.forward", "shared.gradients"]].sum()
    alone, together = (
        sum(mean[f"{side}.{proxy}"] for proxy in four) for side in ("alone", "shared")
    )
    line("loss's four", alone, together + passes)
    total = sum(mean[f"alone.{proxy}"] for proxy in PROXIES)
    line("all", total, mean["shared.seconds"])
    print(f"largest relative difference of two scores: {gap:.1e}", flush=True)


def line(name: str, alone: float, shared: float) -> None:
    """Print one row of the table.

    Parameters
    ----------
    name : str
        What was timed.
    alone, shared : float
        Seconds of CPU per network, alone and with shared passes.
    """
    ratio = f"{alone / shared:7.1f}" if shared > 1e-4 else f"{'':7}"
    print(f"{name:12}{alone:9.4f}{shared:9.4f}{ratio}")


def main() -> None:
    """Time one skeleton, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skeletons", nargs="+", default=[*SKELETONS], choices=SKELETONS)
    parser.add_argument("--cells", type=int, help="how many networks; by default 5 and 20")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warm = build_network((0,) * 6, width=2, cells=1)
    score_network(warm, image_batch(16, n=2))  # first calls load libraries
    for name in args.skeletons:
        measure(name, args.cells)


if __name__ == "__main__":
    main()
