"""The paper's random forest on every table and every encoding (`make paper`).

Writes ``data/results/paper_tables.parquet``: one row per fit, as `graf_utils.evaluation.evaluate`
returns them, library versions in the file's metadata. Fits that stand there, or in
``paper_nb201.parquet`` or ``paper_tasks.parquet``, are not done again. About four hours of one
core; fits are added to the table line by line, and each is kept in ``_build/results-cache`` as it
ends, so the command can be stopped and started. Tables whose files are missing are left out, and
the command fails at its end.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/table_results.py [--n-jobs 2]
    python data/recipes/table_results.py --status            # what is done, what is left, how long
    python data/recipes/table_results.py --merge other.parquet     # rows of another machine
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, FIT, TRAIN_SIZES, evaluate
from graf_utils.registry import DataError
from graf_utils.results import merge_file, merge_results

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "data" / "results"
OUTPUT = RESULTS / "paper_tables.parquet"
ELSEWHERE = ("paper_nb201.parquet", "paper_tasks.parquet")
ROUNDS = (5, 20, 50)
"""Data seeds after which a first look, and a second, at the whole plan is complete."""

GRAPH = ("one-hot", "graf")
SCORED = ("zcp", "zcp+graf")
SIMPLE = ("path", "flops+params")
WITH_PATH = ("one-hot+path", "graf+path", "graf+one-hot+path")
WITH_SIZE = ("one-hot+flops+params", "graf+flops+params", "graf+one-hot+flops+params")
WITH_ALL = (
    "one-hot+flops+params+path", "graf+flops+params+path", "graf+one-hot+flops+params+path"
)  # fmt: skip
WITH_SCORES = (
    "zcp+one-hot", "zcp+graf+one-hot", "zcp+path", "zcp+one-hot+path", "zcp+graf+path",
    "zcp+graf+one-hot+path",
)  # fmt: skip
AS_THEY_HAD = ("one-hot+path-authors", "one-hot+flops+params+path-authors")
"""Where the published figures have two edges exchanged (`authors_edges`); beside GRAF, which has
paths of its own, or proxies this hardly changes anything and is not done."""
COMBINED = (*SIMPLE, "graf+one-hot", *WITH_PATH, *WITH_SIZE, *WITH_ALL)
MICRO = ("class_object", "jigsaw", "autoencoder", "normal", "segmentsemantic", "room_layout")
MACRO = ("class_scene", *MICRO)
DEVICES = (
    "edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "pixel3_latency",
    "eyeriss_latency", "eyeriss_energy", "eyeriss_arithmetic_intensity", "fpga_latency",
    "fpga_energy",
)  # fmt: skip
ATTACKS = tuple(
    f"{attack}@Linf_eps-{epsilon}"
    for attack in ("fgsm", "pgd", "aa_apgd-ce", "aa_square")
    for epsilon in ("0.1", "0.5", "1.0")
)
HARDWARE = "nb201-hardware-"


@dataclass(frozen=True)
class Line:
    """Targets and encodings of a table, and on how many data seeds."""

    table: str
    targets: tuple[str, ...]
    encodings: tuple[str, ...]
    n_seeds: int
    sizes: tuple[int, ...] = TRAIN_SIZES


ACCURACY = ("accuracy",)
PLAN = (
    Line("nb201-cifar10", ACCURACY, (*GRAPH, *SCORED), 50),
    Line("nb201-cifar10", ACCURACY, (*COMBINED, *WITH_SCORES), 20),
    Line("nb201-cifar10", ACCURACY, AS_THEY_HAD, 20),
    Line("nb201-arch2vec", ACCURACY, ("arch2vec", "arch2vec+flops+params"), 20),
    Line("nb201-imagenet16-120", ACCURACY, (*GRAPH, *SCORED), 50),
    Line("nb201-imagenet16-120", ACCURACY, (*COMBINED, *WITH_SCORES), 20),
    Line("nb201-cifar100", ACCURACY, GRAPH, 50),
    Line("nb201-cifar100", ACCURACY, COMBINED, 20),
    Line("nb201-cifar100", ACCURACY, AS_THEY_HAD, 20),
    Line("tnb101-micro-class_scene", ACCURACY, (*GRAPH, *SCORED), 50),
    Line("tnb101-micro-class_scene", ACCURACY, (*COMBINED, *WITH_SCORES), 20),
    Line("tnb101-micro", MICRO, GRAPH, 50),
    Line("tnb101-micro", MICRO, COMBINED, 20),
    Line("tnb101-macro", MACRO, (*GRAPH, "graf+one-hot"), 50),
    Line(f"{HARDWARE}cifar10", DEVICES, (*GRAPH, *SCORED, "graf+one-hot", "flops+params"), 20),
    Line(f"{HARDWARE}cifar100", DEVICES, (*GRAPH, "graf+one-hot", "flops+params"), 20),
    Line(f"{HARDWARE}imagenet16-120", DEVICES, (*GRAPH, "graf+one-hot", "flops+params"), 20),
    Line("nb201-robustness", ATTACKS, (*GRAPH, *SCORED), 20),
    Line("nb101", ("accuracy_108",), (*GRAPH, "path", "graf+one-hot", "graf+path"), 50),
    Line("nb301", ACCURACY, (*GRAPH, *SCORED, "graf+one-hot", *WITH_SCORES[:2]), 20),
    Line("nas-bench-macro", ACCURACY, (*GRAPH, "graf+one-hot", "flops+params"), 20),
    Line("tnb101-macro", ("class_scene",), (*GRAPH, "graf+one-hot"), 5, (1000,)),
)
"""Proxies of the right data set only: CIFAR-100 has them for 1,386 cells, micro for class_scene,
hardware on other data sets and macro not at all; flops and params of micro are those of
class_scene, which order the networks as those of the other tasks do."""


OWN = {"arch2vec": "zcp", "arch2vec+flops+params": "zcp+flops+params"}
"""What `encode` calls an encoding, where it goes by another name: the 16 numbers of arch2vec stand
in the place of proxies."""


def fits_of(line: Line, n_seeds: int) -> pd.MultiIndex:
    """All fits of a line on its first data seeds, told apart by `FIT`."""
    names = [line.table], ["paper"], line.targets, line.encodings, ["rf"], line.sizes
    return pd.MultiIndex.from_product([*names, DATA_SEEDS[:n_seeds]], names=FIT)


def read_done(path: Path = OUTPUT) -> pd.DataFrame:
    """Fits that stand in a table of results already."""
    files = [path, *(RESULTS / name for name in ELSEWHERE)]
    frames = [pd.read_parquet(file) for file in files if file.exists()]
    if not frames:
        return pd.DataFrame(columns=[*FIT, "cpu_seconds"])
    return pd.concat(frames, ignore_index=True)


def parts_of(line: Line, n_seeds: int, done: pd.MultiIndex) -> dict[tuple[str, ...], list[str]]:
    """Encodings that are not complete, by the targets that miss them."""
    missing = fits_of(line, n_seeds).difference(done).to_frame(index=False)
    parts: dict[tuple[str, ...], list[str]] = {}
    for encoding in line.encodings:
        of = missing[missing["encoding"] == encoding]
        targets = tuple(target for target in line.targets if (of["target"] == target).any())
        if targets:
            parts.setdefault(targets, []).append(encoding)
    return parts


def rounds() -> Iterator[tuple[Line, int]]:
    """Each line with a few seeds, then with more."""
    for before, n_seeds in itertools.pairwise((0, *ROUNDS)):
        for line in PLAN:
            if line.n_seeds > before:
                yield line, min(n_seeds, line.n_seeds)


def run(path: Path, cache: Path, n_jobs: int, only: set[str], until: float) -> dict[str, str]:
    """Do the fits that are missing, and put them into a table, line by line.

    Parameters
    ----------
    path : Path
        The table of results.
    cache : Path
        Folder of finished fits.
    n_jobs : int
        Parallel fits.
    only : set of str
        Tables to do.
    until : float
        No line is begun after this time, in seconds of `time.monotonic`.

    Returns
    -------
    dict of str to str
        For each published table that is missing, its name and the reason.
    """
    missing: dict[str, str] = {}
    for line, n_seeds in rounds():
        if line.table not in only or line.table in missing or time.monotonic() > until:
            continue
        done = pd.MultiIndex.from_frame(read_done(path)[list(FIT)])
        parts = parts_of(line, n_seeds, done)
        if not parts:
            continue
        try:
            table = load_table(line.table, source="paper")
        except DataError as error:
            missing[line.table] = str(error)
            continue
        for targets, encodings in parts.items():
            fits = evaluate(
                table, list(targets), {name: OWN.get(name, name) for name in encodings}, "rf",
                line.sizes, DATA_SEEDS[:n_seeds], n_jobs, cache=cache, progress=False,
            )  # fmt: skip
            new = ~pd.MultiIndex.from_frame(fits[list(FIT)]).isin(done)
            put(path, fits[new], table.provenance["files"])
            print(f"{n_seeds} seeds, {line.table}: {new.sum():,} fits", flush=True)
    return missing


def put(path: Path, fits: pd.DataFrame, files: dict[str, str]) -> None:
    """Merge fits into a table of results."""
    merge_results(path, fits, FIT, recipe="data/recipes/table_results.py", files=files)


def status(path: Path) -> pd.DataFrame:
    """What is done of each line, and how long the rest takes one core.

    Returns
    -------
    DataFrame
        One row per line of the plan: fits planned and done, CPU minutes left, as the fits that are
        done of the same encoding and size, else of any encoding, took.
    """
    done = read_done(path)
    index = pd.MultiIndex.from_frame(done[list(FIT)])
    took = done[done["predictor"] == "rf"].groupby(["encoding", "train_size"])["cpu_seconds"].mean()
    rows = []
    for line in PLAN:
        fits = fits_of(line, line.n_seeds)
        left = fits.difference(index).to_frame(index=False)
        pairs = pd.MultiIndex.from_frame(left[["encoding", "train_size"]])
        seconds = took.reindex(pairs).fillna(took.mean()).sum()
        rows.append(
            {
                "table": line.table,
                "targets": len(line.targets),
                "encodings": len(line.encodings),
                "planned": len(fits),
                "done": len(fits) - len(left),
                "minutes left": round(seconds / 60),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Do the plan and put its fits into the table; fail if a published table is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(dict.fromkeys(line.table for line in PLAN))
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="TABLE")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no line later")
    parser.add_argument("--status", action="store_true", help="say what is left, and stop")
    parser.add_argument("--merge", type=Path, help="rows that another machine wrote")
    options = parser.parse_args()
    missing: dict[str, str] = {}
    if options.merge:
        merge_file(options.output, options.merge, FIT)
    elif not options.status:
        until = time.monotonic() + 60 * options.minutes
        missing = run(options.output, options.cache, options.n_jobs, set(options.only), until)
    left = status(options.output)
    print(left.to_string(index=False))
    print(
        f"{left['done'].sum():,} of {left['planned'].sum():,} fits, "
        f"{left['minutes left'].sum() / 60:.1f} CPU hours left"
    )
    if missing:
        reasons = "\n".join(missing.values())
        raise SystemExit(f"{reasons}\n{len(missing)} tables are missing: {', '.join(missing)}")


if __name__ == "__main__":
    main()
