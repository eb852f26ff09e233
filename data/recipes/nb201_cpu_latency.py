"""Measure how long the networks of NAS-Bench-201 take on one CPU thread.

Writes ``data/nb201_cpu_latency.parquet``: the latency of the benchmark's full network (16 channels,
5 cells a stage) around each of the 9,445 valid cells, for one image of 32 by 32 pixels, and what
can be counted without measuring. Half an hour of one core. Every chunk of cells is kept in
``_build`` as it ends, so the command can be killed and started again. No network and no published
table is needed; where the published Raspberry Pi latencies are at hand, they are compared.

    OMP_NUM_THREADS=1 taskset -c 1 python data/recipes/nb201_cpu_latency.py
    OMP_NUM_THREADS=1 taskset -c 1 python data/recipes/nb201_cpu_latency.py --check

The second command measures 300 cells two more times, each in a process of its own, writes
``data/results/cpu_latency_repeats.parquet`` and prints the rank correlations of the data sheet.

How: in each of 2 rounds the cells are taken in another random order. Of each the network is built,
run once without being timed, then 5 times. A reference cell is timed likewise before every 20
cells. The times of a block of 20 are divided by the reference's factor: its median over the two
measurements around the block and the two next to these, over its median in the run.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from graf_utils.datasets import DataError, load_table
from graf_utils.networks import build_network
from graf_utils.registry import write_table
from graf_utils.spaces import get_space

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "nb201_cpu_latency.parquet"
REPEATS = ROOT / "data" / "results" / "cpu_latency_repeats.parquet"
SPACE = get_space("nb201")
REFERENCE = (2, 0, 4, 3, 2, 0)  # two 3x3, one 1x1, a pool and two skips
ROUNDS, TIMED, BLOCK, CHUNK = 2, 5, 20, 200
N_CHECKED = 300
RUNS = {"table": 0, "a": 1, "b": 2}  # name: seed of the orders


def machine() -> dict[str, str | int]:
    """What the latencies depend on, as far as it can be told from here."""
    cpu = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        cpu.setdefault(name.strip(), value.strip())
    names = ("vendor_id", "cpu family", "model", "model name", "stepping", "cache size", "cpu MHz")
    known = {name: cpu.get(name, "unknown") for name in names}
    known["widest vectors"] = torch.backends.cpu.get_cpu_capability()
    return known | {"torch": torch.__version__, "threads": torch.get_num_threads()}


def valid_cells() -> NDArray[np.int8]:
    """The valid cells, in enumeration order."""
    cells = SPACE.enumerate()
    return cells[SPACE.is_valid(cells)]


class Stopwatch:
    """Times networks on one image, in inference mode."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        self.reference = build_network(REFERENCE, SPACE, random_state=0).eval()
        end = time.perf_counter() + 2
        while time.perf_counter() < end:  # caches, clock, kernels
            self.times(self.reference)

    def times(self, network: nn.Module) -> list[float]:
        """Milliseconds of each of `TIMED` passes, after one that is not timed."""
        found = []
        with torch.inference_mode():
            network(self.image)
            for _ in range(TIMED):
                start = time.perf_counter_ns()
                network(self.image)
                found.append((time.perf_counter_ns() - start) / 1e6)
        return found

    def block(self, cells: NDArray[np.int8]) -> pd.DataFrame:
        """The reference, then each cell: a row a network and a column a pass."""
        rows = [self.times(self.reference)]
        for cell in cells.tolist():
            rows.append(self.times(build_network(tuple(cell), SPACE, random_state=0).eval()))
        names = ["reference", *(str(tuple(cell)) for cell in cells.tolist())]
        frame = pd.DataFrame(rows, columns=[f"ms_{k}" for k in range(TIMED)])
        return frame.assign(architecture=names)


def plan(cells: NDArray[np.int8], seed: int) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Names of the chunks, and their cells in the order in which they are measured."""
    for number in range(ROUNDS):
        order = np.random.default_rng([seed, number]).permutation(len(cells))
        for start in range(0, len(cells), CHUNK):
            yield f"{number}-{start:05d}", cells[order[start : start + CHUNK]]


def measure(cells: NDArray[np.int8], run: str, folder: Path) -> pd.DataFrame:
    """All timed passes of a run; chunks that are in the folder are not measured again.

    Returns
    -------
    DataFrame
        A row a visit, in order: ``round``, ``block``, ``architecture``, ``ms_0`` and so on.
    """
    folder = folder / run
    folder.mkdir(parents=True, exist_ok=True)
    watch, settings, parts = None, folder / "machine.json", []
    now = {k: v for k, v in machine().items() if k != "cpu MHz"} | {"cells": len(cells)}
    if settings.exists() and json.loads(settings.read_text()) != now:
        raise SystemExit(
            f"{settings} says {settings.read_text()}, but this is {now}: times of two machines "
            f"do not mix. Delete {folder} to measure anew, or name another --folder."
        )
    settings.write_text(json.dumps(now))
    for name, chunk in plan(cells, RUNS[run]):
        part = folder / f"{name}.parquet"
        if not part.exists():
            watch = watch or Stopwatch()
            gc.collect()
            gc.disable()
            start, blocks = time.perf_counter(), []
            for first in range(0, len(chunk), BLOCK):
                block = watch.block(chunk[first : first + BLOCK])
                blocks.append(block.assign(block=first // BLOCK, round=int(name[0])))
            gc.enable()
            write_table(pd.concat(blocks), part)
            print(f"{run} {name}: {time.perf_counter() - start:.1f} s", flush=True)
        parts.append(pd.read_parquet(part).assign(chunk=name))
    visits = pd.concat(parts, ignore_index=True)
    visits["block"] = (visits["architecture"] == "reference").cumsum() - 1  # through the run
    return visits.drop(columns="chunk")


def summarise(visits: pd.DataFrame) -> pd.DataFrame:
    """Latency of each architecture: median and quartiles of its passes, drift taken out."""
    passes = [name for name in visits if name.startswith("ms_")]
    is_reference = visits["architecture"] == "reference"
    reference = visits[is_reference].set_index("block")[passes]
    at = reference.median(axis=1).to_numpy()
    around = np.stack([at[np.clip(np.arange(len(at)) + k, 0, len(at) - 1)] for k in (-1, 0, 1, 2)])
    factor = np.median(around, axis=0) / np.median(at)
    own = visits[~is_reference]
    long = own.melt(["architecture", "block"], passes, value_name="raw")
    long["factor"] = factor[long["block"]]
    long["ms"] = long["raw"] / long["factor"]
    groups = long.groupby("architecture")
    return pd.DataFrame(
        {
            "latency_ms": groups["ms"].median(),
            "latency_q25_ms": groups["ms"].quantile(0.25),
            "latency_q75_ms": groups["ms"].quantile(0.75),
            "latency_raw_ms": groups["raw"].median(),
            "reference_factor": groups["factor"].median(),
        }
    )


def sizes(cell: tuple[int, ...]) -> tuple[int, int]:
    """Numbers counted on the network of one cell, without computing it.

    Returns
    -------
    activations : int
        Elements of the outputs of all convolutions (Radosavovic et al., 2020).
    written : int
        Elements of the outputs of all modules: convolutions, batch norms, ReLUs, pools and the
        linear layer. The sums at the nodes and skip connections are not counted.
    """
    total = {"activations": 0, "written": 0}

    def add(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        total["activations"] += output.numel() * isinstance(module, nn.Conv2d)
        total["written"] += output.numel()

    kinds = nn.Conv2d | nn.BatchNorm2d | nn.ReLU | nn.AvgPool2d | nn.AdaptiveAvgPool2d | nn.Linear
    with torch.device("meta"):
        network = build_network(cell, SPACE).eval()
        for module in network.modules():
            if isinstance(module, kinds):
                module.register_forward_hook(add)
        network(torch.zeros(1, 3, 32, 32))
    return total["activations"], total["written"]


def analytic(cells: NDArray[np.int8]) -> pd.DataFrame:
    """FLOPs, parameters and activations (millions), and FLOPs per byte moved.

    FLOPs are those of `graf_utils.spaces.NB201.cost`. Bytes: the parameters are read once, each
    module's output is written once and read once, in float32; nothing is fused or kept in a cache.
    An operation adds the same wherever it stands, so five networks give the numbers of all cells.
    """
    params, flops = SPACE.cost(cells).T
    none = SPACE.operations.index("none")
    base = np.array(sizes((none,) * 6))
    counted = np.repeat(base[None], len(cells), axis=0)
    for op in range(len(SPACE.operations)):
        own = np.array(sizes((none, none, op, none, none, none))) - base
        counted += np.outer((cells == op).sum(axis=1), own)
    moved = 4 * (params * 1e6 + 2 * counted[:, 1])
    return pd.DataFrame(
        {
            "flops": flops,
            "params": params,
            "activations": counted[:, 0] / 1e6,
            "arithmetic_intensity": flops * 1e6 / moved,
        },
        index=[str(tuple(cell)) for cell in cells.tolist()],
    )


def spearman(a: pd.Series, b: pd.Series) -> float:
    """Spearman's correlation of two columns, rows matched by architecture."""
    both = pd.concat([a, b], axis=1, join="inner")
    return float(both.corr("spearman").iloc[0, 1])


def check(folder: Path) -> None:
    """Measure a sample twice more, and print what the data sheet says."""
    table = pd.read_parquet(OUTPUT).set_index("architecture")
    cells = valid_cells()
    rows = np.random.default_rng(0).choice(len(cells), N_CHECKED, replace=False)
    runs = []
    for run in ("a", "b"):
        command = [sys.executable, __file__, "--folder", str(folder), "--run", run]
        subprocess.run(command, check=True)  # a process of its own
        found = summarise(measure(cells[np.sort(rows)], run, folder))
        runs.append(found.assign(run=run).reset_index())
    both = pd.concat(runs, ignore_index=True).astype({"latency_ms": "float32"})
    a, b = (found.set_index("architecture")["latency_ms"] for found in runs)
    facts = {
        "spearman of two runs": spearman(a, b),
        "median difference of two runs, %": float((a / b - 1).abs().median() * 100),
        "spearman of run a and the table": spearman(a, table["latency_ms"]),
        "spearman of run b and the table": spearman(b, table["latency_ms"]),
    }
    raw = [found.set_index("architecture")["latency_raw_ms"] for found in runs]
    facts["spearman of two runs, raw"] = spearman(*raw)
    for name in ("flops", "params", "activations", "arithmetic_intensity"):
        facts[f"spearman of the table and {name}"] = spearman(table["latency_ms"], table[name])
    try:
        paper = load_table("nb201-hardware-cifar10", source="paper")
    except DataError as error:
        print(f"not compared with the Raspberry Pi: {error}")
    else:
        names = [str(cell) for cell in paper.architectures]
        for name in ("raspi4_latency", "pixel3_latency", "edgegpu_latency"):
            published = pd.Series(paper.target(name), index=names)
            facts[f"spearman of the table and {name}"] = spearman(table["latency_ms"], published)
            facts[f"spearman of flops and {name}"] = spearman(table["flops"], published)
    columns = ["run", "architecture", "latency_ms", "latency_raw_ms", "reference_factor"]
    write_table(
        both[columns],
        REPEATS,
        recipe="data/recipes/nb201_cpu_latency.py --check",
        machine_measured=machine(),
        facts={name: round(value, 4) for name, value in facts.items()},
    )
    for name, value in facts.items():
        print(f"{name}: {value:.4f}")


def main() -> None:
    """Measure and write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "nb201-cpu-latency")
    parser.add_argument("--check", action="store_true", help="two more runs on 300 cells")
    parser.add_argument("--run", choices=["a", "b"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cells = valid_cells()
    if args.run:
        rows = np.random.default_rng(0).choice(len(cells), N_CHECKED, replace=False)
        measure(cells[np.sort(rows)], args.run, args.folder)
        return
    if args.check:
        check(args.folder)
        return
    visits = measure(cells, "table", args.folder)
    frame = analytic(cells)
    frame = frame.join(summarise(visits)).rename_axis("architecture").reset_index()
    frame = frame[["architecture", *(c for c in frame if c.startswith("latency_")),
                   "reference_factor", "flops", "params", "activations",
                   "arithmetic_intensity"]]  # fmt: skip
    reference = visits.loc[visits["architecture"] == "reference", "ms_0" : f"ms_{TIMED - 1}"]
    write_table(
        frame,
        OUTPUT,
        recipe="data/recipes/nb201_cpu_latency.py",
        machine_measured=machine(),
        network="width 16, 5 cells a stage, batch 1, 3x32x32, eval, inference_mode, float32",
        rounds=ROUNDS,
        passes_a_round=TIMED,
        seed=RUNS["table"],
        reference={
            "architecture": REFERENCE,
            "every_cells": BLOCK,
            "median_ms": float(reference.median(axis=1).median()),
            "quantiles_ms": np.quantile(
                reference.median(axis=1), [0.05, 0.25, 0.75, 0.95]
            ).tolist(),
        },
    )
    print(f"{OUTPUT}: {len(frame):,} rows, {OUTPUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
