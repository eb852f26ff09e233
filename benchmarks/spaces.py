"""GRAF of whole search spaces: the vectorised transformer against plain networkx.

The networkx side is the tests' oracle (tests/oracle.py), timed on `--oracle-cells` random
architectures of each space and divided by their number; both sides are checked to agree on them.
DARTS is computed in float32, where fresh memory costs half.
Peak memory is that of the whole process, so each space runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from oracle import space_oracle

from graf_utils.features import GRAF
from graf_utils.spaces import get_space

SPACES = ("nb201", "tnb101-micro", "tnb101-macro", "nb101", "darts")


def measure(
    name: str, variant: str, oracle_cells: int, repeats: int, n_darts: int = 100_000
) -> None:
    """Time both sides on one space and print the ratio per architecture."""
    space = get_space(name)
    start = time.perf_counter()
    codes = space.sample(n_darts, random_state=0) if name == "darts" else space.enumerate()
    listed = time.perf_counter() - start
    graf = GRAF(space, variant=variant, dtype=np.float32 if name == "darts" else np.float64)
    seconds = []
    for _ in range(repeats):
        features = None  # one matrix at a time
        start = time.perf_counter()
        features = graf.transform(codes)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    fast = float(np.median(seconds))
    chosen = np.random.default_rng(0).choice(len(codes), oracle_cells, replace=False)
    cells = space.from_codes(codes[chosen])
    start = time.perf_counter()
    rows = [space_oracle(space, cell, variant=variant) for cell in cells]
    slow = (time.perf_counter() - start) / oracle_cells
    names = graf.get_feature_names_out()
    wrong = sum(
        not np.array_equal(features[i], np.array([row[n] for n in names], dtype=features.dtype))
        for i, row in zip(chosen, rows, strict=True)
    )
    print(
        f"{name:13}{variant:8} {features.shape[0]:>7,} x {features.shape[1]:>5,} {features.dtype}: "
        f"listed in {listed:.2f} s, features median {fast:.4f} s (best {min(seconds):.4f}), "
        f"peak {peak:,.0f} MB; networkx {slow * 1e3:.2f} ms each, "
        f"ratio {slow * len(codes) / fast:,.0f}; of {oracle_cells} compared differ: {wrong}",
        flush=True,
    )


def main() -> None:
    """Run each space in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=SPACES, choices=SPACES)
    parser.add_argument("--variant", default="paper", choices=("paper", "allowed"))
    parser.add_argument("--oracle-cells", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--darts", type=int, default=100_000, help="genotypes to sample")
    args = parser.parse_args()
    if len(args.spaces) == 1:
        measure(args.spaces[0], args.variant, args.oracle_cells, args.repeats, args.darts)
        return
    one_core = {f"{kind}_NUM_THREADS": "1" for kind in ("OMP", "OPENBLAS", "MKL")}
    options = [a for a in sys.argv[1:] if a not in (*SPACES, "--spaces")]
    for name in args.spaces:
        subprocess.run(
            [sys.executable, __file__, "--spaces", name, *options],
            check=True,
            env={**os.environ, **one_core},
        )


if __name__ == "__main__":
    main()
