"""Measure how long the networks of NAS-Bench-201 take on one CPU thread.

Writes ``data/nb201_cpu_latency.parquet``: the latency of the benchmark's full network (16 channels,
5 cells a stage) around each of the 9,445 valid cells, for one image of 32 by 32 pixels, and what
can be counted without measuring. A quarter of an hour of one core. Every chunk of cells is kept in
``_build`` as it ends, so the command can be killed and started again. No network and no published
table is needed; where the published Raspberry Pi latencies are at hand, they are compared.

    OMP_NUM_THREADS=1 chrt -f 5 taskset -c 1 python data/recipes/nb201_cpu_latency.py
    OMP_NUM_THREADS=1 chrt -f 5 taskset -c 1 python data/recipes/nb201_cpu_latency.py --check

The second command measures 300 cells two more times, each in a process of its own, writes
``data/results/cpu_latency_repeats.parquet`` and prints the rank correlations of the data sheet.

How: in each of 5 rounds the cells are visited in another random order. A visit passes the image
through a small reference network, then twice through the network of the cell. On a machine that is
shared the speed changes several times a second, by a third and more; so a visit's time is that of
the faster pass, divided by the slowdown around it: the faster of the references before and after
over their floor, the 5 % quantile in the run. This takes out slow drift as well. The latency is the
median over the visits. Operations are built once for each of their places in the skeleton and put
together anew for each cell, for building a network takes longer than running it.
"""

from __future__ import annotations

import argparse
import functools
import gc
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from graf_utils._files import write_text
from graf_utils._keys import digest
from graf_utils.datasets import load_table
from graf_utils.networks import OPERATIONS, EdgeCell, build_network
from graf_utils.registry import DataError
from graf_utils.results import kept, processor, write_table
from graf_utils.spaces import get_space

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "nb201_cpu_latency.parquet"
REPEATS = ROOT / "data" / "results" / "cpu_latency_repeats.parquet"
SPACE = get_space("nb201")
REFERENCE = (2, 1, 0, 0, 0, 3)  # with two cells a stage: a 3x3 and a 1x1 convolution, and skips
ROUNDS, TIMED, CHUNK = 5, 2, 200
FLOOR = 0.05
N_CHECKED = 300
RUNS = {"table": 0, "a": 1, "b": 2}  # name: seed of the orders


def machine() -> dict[str, str | int]:
    """What the latencies depend on, as far as it can be told from here."""
    cpu = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        cpu.setdefault(name.strip(), value.strip())
    names = ("vendor_id", "cpu family", "model", "model name", "stepping", "cache size", "cpu MHz")
    facts = {name: cpu.get(name, "unknown") for name in names} | {"model name": processor()}
    facts["widest vectors"] = torch.backends.cpu.get_cpu_capability()
    return facts | {"torch": torch.__version__, "threads": torch.get_num_threads()}


def valid_cells() -> NDArray[np.int8]:
    """The valid cells, in enumeration order."""
    cells = SPACE.enumerate()
    return cells[SPACE.is_valid(cells)]


class Builder:
    """One skeleton, and every operation at each of its places; none of them shares weights."""

    def __init__(self) -> None:
        self.network = build_network((0,) * 6, SPACE, random_state=0).eval()
        self.cells = [m for m in self.network.modules() if isinstance(m, EdgeCell)]
        self.stock = []
        for place in self.cells:
            choice = {}
            for (source, target), op in product(sorted(SPACE.edges), SPACE.operations):
                module = OPERATIONS[op](place.c_out, place.c_out, 1)
                if module is not None:
                    choice[f"{source}-{target}", op] = module.eval()
            self.stock.append(choice)

    def build(self, cell: tuple[int, ...]) -> nn.Module:
        """The network of a cell; the one before is changed by it."""
        ops = sorted(zip(SPACE.edges, cell, strict=True))
        edges = [(f"{a}-{b}", SPACE.operations[op]) for (a, b), op in ops]
        for place, choice in zip(self.cells, self.stock, strict=True):
            place.ops = nn.ModuleDict({edge[0]: choice[edge] for edge in edges if edge in choice})
        return self.network


class Stopwatch:
    """Times networks on one image, in inference mode, in turn with the reference."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        self.reference = build_network(REFERENCE, SPACE, cells=2, random_state=0).eval()
        self.builder = Builder()
        random = np.random.default_rng(0)
        for _ in range(100):  # caches, clock, kernels
            self.visit(tuple(random.integers(0, 5, 6).tolist()))

    def once(self, network: nn.Module) -> float:
        """Milliseconds of one pass."""
        start = time.perf_counter_ns()
        network(self.image)
        return (time.perf_counter_ns() - start) / 1e6

    def visit(self, cell: tuple[int, ...]) -> dict[str, float]:
        """The reference once (``reference``), then the network of a cell (``ms_0`` and so on)."""
        network = self.builder.build(cell)
        with torch.inference_mode():
            times = {"reference": self.once(self.reference)}
            for k in range(TIMED):
                times[f"ms_{k}"] = self.once(network)
        return times


PROTOCOL = digest(Stopwatch)  # the code that measures


def plan(cells: NDArray[np.int8], seed: int) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Names of the chunks, and their cells in the order in which they are measured."""
    for number in range(ROUNDS):
        order = np.random.default_rng([seed, number]).permutation(len(cells))
        for start in range(0, len(cells), CHUNK):
            yield f"{number}-{start:05d}", cells[order[start : start + CHUNK]]


def measure(cells: NDArray[np.int8], run: str, folder: Path) -> pd.DataFrame:
    """Time all passes of a run; chunks that are kept in the folder are not measured again.

    Parameters
    ----------
    cells : ndarray of shape (n, 6), int8
    run : str
        One of `RUNS`.
    folder : Path
        Where the chunks are kept.

    Returns
    -------
    DataFrame
        One row per visit, in order: ``architecture``, ``round``, and what `Stopwatch.visit` gives.

    Raises
    ------
    SystemExit
        The folder holds chunks of another machine, or of other cells or another protocol.
    """
    folder = folder / run
    settings = settings_of(cells, run)
    claim(folder, settings)
    watch: list[Stopwatch] = []  # made when it is first needed: it takes a while to warm up
    parts = []
    for name, chunk in plan(cells, RUNS[run]):
        start = time.perf_counter()
        compute = functools.partial(visit_all, watch, chunk, int(name[0]))
        visits, computed = kept(folder, [settings, name, chunk], compute)
        if computed:
            print(f"{run} {name}: {time.perf_counter() - start:.1f} s", flush=True)
        parts.append(visits)
    return pd.concat(parts, ignore_index=True)


def settings_of(cells: NDArray[np.int8], run: str) -> dict[str, object]:
    """All that the times of a run depend on."""
    settings: dict[str, object] = {k: v for k, v in machine().items() if k != "cpu MHz"}
    settings["cells"] = digest(cells)
    settings["protocol"] = [PROTOCOL, REFERENCE, ROUNDS, TIMED, CHUNK, RUNS[run]]
    return json.loads(json.dumps(settings))


def claim(folder: Path, settings: dict[str, object]) -> None:
    """Take a folder for a run, unless another one has it."""
    file = folder / "machine.json"
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else settings
    except ValueError:
        before = "no JSON"
    if before != settings:
        raise SystemExit(
            f"{file} says {before}, but this is {settings}: times of two machines "
            f"do not mix. Delete {folder} to measure anew, or name another --folder."
        )
    write_text(file, json.dumps(settings))


def visit_all(watch: list[Stopwatch], cells: NDArray[np.int8], number: int) -> pd.DataFrame:
    """Visit each cell of a chunk once, with nothing collected in between."""
    if not watch:
        watch.append(Stopwatch())
    gc.collect()
    gc.disable()
    try:
        codes = map(tuple, cells.tolist())
        rows = [{"architecture": str(code), **watch[0].visit(code)} for code in codes]
    finally:
        gc.enable()
    return pd.DataFrame(rows).assign(round=number)


def summarise(visits: pd.DataFrame) -> pd.DataFrame:
    """Latency of each architecture: median and quartiles of its visits, the slowdown taken out."""
    before, passes = visits["reference"], visits.filter(regex="^ms_")
    around = np.minimum(before, before.shift(-1, fill_value=np.inf))
    slowdown = around / around.quantile(FLOOR)
    names = visits["architecture"]
    times = (passes.min(axis=1) / slowdown).groupby(names)
    return pd.DataFrame(
        {
            "latency_ms": times.median(),
            "latency_q25_ms": times.quantile(0.25),
            "latency_q75_ms": times.quantile(0.75),
            "latency_raw_ms": passes.median(axis=1).groupby(names).median(),
            "slowdown": slowdown.groupby(names).median(),
        }
    )


def sizes(cell: tuple[int, ...]) -> tuple[int, int]:
    """Numbers counted on the network of one cell, without computing it.

    Parameters
    ----------
    cell : tuple of six int

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

    Parameters
    ----------
    cells : ndarray of shape (n, 6), int8

    Returns
    -------
    DataFrame
        ``flops``, ``params``, ``activations``, ``arithmetic_intensity``, by architecture as text.
    """
    params, flops = SPACE.cost(cells).T
    none = SPACE.operations.index("none")
    base = np.array(sizes((none,) * 6))
    counted = np.repeat(base[None], len(cells), axis=0)
    for op in range(len(SPACE.operations)):
        added = np.array(sizes((none, none, op, none, none, none))) - base
        counted += np.outer((cells == op).sum(axis=1), added)
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


def sample() -> NDArray[np.int8]:
    """The cells that are measured again, in enumeration order."""
    cells = valid_cells()
    rows = np.random.default_rng(0).choice(len(cells), N_CHECKED, replace=False)
    return cells[np.sort(rows)]


def check(folder: Path) -> None:
    """Measure a sample twice more, and print what the data sheet says."""
    table = pd.read_parquet(OUTPUT).set_index("architecture")
    runs = {}
    for run in ("a", "b"):
        command = [sys.executable, __file__, "--folder", str(folder), "--run", run]
        subprocess.run(command, check=True)  # a process of its own
        runs[run] = summarise(measure(sample(), run, folder))
    facts = repetition(runs["a"], runs["b"], table) | regression(table) | published(table)
    both = pd.concat([rows.assign(run=run).reset_index() for run, rows in runs.items()])
    columns = ["run", "architecture", "latency_ms", "latency_raw_ms", "slowdown"]
    write_table(
        both[columns].astype({"latency_ms": "float32"}),
        REPEATS,
        recipe="data/recipes/nb201_cpu_latency.py --check",
        machine_measured=machine(),
        facts={name: round(float(value), 4) for name, value in facts.items()},
    )
    for name, value in facts.items():
        print(f"{name}: {value:.4f}")


def repetition(a: pd.DataFrame, b: pd.DataFrame, table: pd.DataFrame) -> dict[str, float]:
    """How far two runs agree with each other, with the table, and the table with counts."""
    difference = (a["latency_ms"] / b["latency_ms"] - 1).abs().median()
    facts = {
        "spearman of two runs": spearman(a["latency_ms"], b["latency_ms"]),
        "median difference of two runs, %": float(difference * 100),
        "spearman of run a and the table": spearman(a["latency_ms"], table["latency_ms"]),
        "spearman of run b and the table": spearman(b["latency_ms"], table["latency_ms"]),
        "spearman of two runs, raw": spearman(a["latency_raw_ms"], b["latency_raw_ms"]),
    }
    for name in ("flops", "params", "activations", "arithmetic_intensity"):
        facts[f"spearman of the table and {name}"] = spearman(table["latency_ms"], table[name])
    return facts


def regression(table: pd.DataFrame) -> dict[str, float]:
    """How well the counts of the operations explain the latency, and what an edge costs."""
    codes = np.array(SPACE.to_codes(table.index))
    ops = [op for op in range(len(SPACE.operations)) if SPACE.operations[op] != "none"]
    counts = np.stack([(codes == op).sum(axis=1) for op in ops] + [np.ones(len(codes))], axis=1)
    cost, rest, *_ = np.linalg.lstsq(counts, table["latency_ms"], rcond=None)
    variance = table["latency_ms"].var(ddof=0) * len(table)
    facts = {"R2 of the operation counts": 1 - rest[0] / variance}
    for op, milliseconds in zip(ops, cost, strict=False):  # the last is the constant
        facts[f"ms of an edge with {SPACE.operations[op]}"] = milliseconds
    return facts


def published(table: pd.DataFrame) -> dict[str, float]:
    """How far the latencies and FLOPs agree with published latencies, where these are at hand."""
    try:
        paper = load_table("nb201-hardware-cifar10", source="paper")
    except DataError as error:
        print(f"not compared with the Raspberry Pi: {error}")
        return {}
    names = [str(cell) for cell in paper.architectures]
    facts = {}
    for name in ("raspi4_latency", "pixel3_latency", "edgegpu_latency"):
        latency = pd.Series(paper.target(name), index=names)
        facts[f"spearman of the table and {name}"] = spearman(table["latency_ms"], latency)
        facts[f"spearman of flops and {name}"] = spearman(table["flops"], latency)
    return facts


def write_latencies(folder: Path) -> None:
    """Measure all valid cells, and write the table."""
    cells = valid_cells()
    visits = measure(cells, "table", folder)
    frame = analytic(cells)
    frame = frame.join(summarise(visits)).rename_axis("architecture").reset_index()
    measured = ["latency_ms", "latency_q25_ms", "latency_q75_ms", "latency_raw_ms", "slowdown"]
    counted = ["flops", "params", "activations", "arithmetic_intensity"]
    reference = visits["reference"]
    write_table(
        frame[["architecture", *measured, *counted]],
        OUTPUT,
        recipe="data/recipes/nb201_cpu_latency.py",
        machine_measured=machine(),
        network="width 16, 5 cells a stage, batch 1, 3x32x32, eval, inference_mode, float32",
        rounds=ROUNDS,
        passes_a_visit=TIMED,
        seed=RUNS["table"],
        reference={
            "architecture": REFERENCE,
            "network": "as above, but 2 cells a stage",
            "median_ms": float(reference.median()),
            "quantiles_ms": reference.quantile([0.05, 0.25, 0.75, 0.95]).tolist(),
        },
    )
    content = OUTPUT.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    print(f"{OUTPUT}: {len(frame)} rows, bytes = {len(content)}, sha256 = {sha256}")


def main() -> None:
    """Measure and write the table, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "nb201-cpu-latency")
    parser.add_argument("--check", action="store_true", help="two more runs on 300 cells")
    parser.add_argument("--run", choices=["a", "b"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run:
        measure(sample(), options.run, options.folder)
    elif options.check:
        check(options.folder)
    else:
        write_latencies(options.folder)


if __name__ == "__main__":
    main()
