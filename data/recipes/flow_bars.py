"""Flow against published bars, each under its own protocol, and how often the intervals hold.

Writes three tables into ``data/results``, each added to or replaced row by row:

``flow_ta_gates.parquet``: the split of TA-GATES, 46 to 935 networks drawn from its training part,
Kendall tau on all 4,770 networks of its test part, 50 draws; the paper's predictors 20.
``flow_whole_space.parquet``: all 15,625 cells of NAS-Bench-201 and 1,024 training networks, as in
the table of VKDNW (whose authors do not say how many they train on), ten draws.
``flow_coverage.parquet``: the share of held-out networks inside the 80 % interval, ten draws.

An hour of one core; every fit is kept as it ends, so the command can be stopped and started.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/flow_bars.py [--n-jobs 2]
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from graf_utils._keys import digest
from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import DATA_SEEDS, FIT, TRAIN_SIZES, evaluate
from graf_utils.metrics import kendall_tau
from graf_utils.predictors import make_predictor
from graf_utils.results import kept, merge_results

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
RECIPE = "data/recipes/flow_bars.py"
PREDICTOR = "blend"
TEN, TWENTY = DATA_SEEDS[:10], DATA_SEEDS[:20]
N_TA_GATES = 4675
"""Networks of the training part, the first rows of the file."""

TA_GATES = (
    # predictor, encodings, data seeds
    (PREDICTOR, ("graf+flow", "zcp+graf+flow"), DATA_SEEDS),
    (PREDICTOR, ("zcp+graf",), TWENTY),
    ("rf", ("zcp+graf",), TWENTY),
    ("xgb", ("zcp+graf",), TWENTY),
    ("xgb+", ("zcp+graf",), TWENTY),
)
TA_GATES_SIZES = (46, 233, 467, 935)
COVERED = (
    # table, target, encodings, train sizes
    ("nb201-cifar10", "accuracy", ("graf+flow", "zcp+graf+flow"), TRAIN_SIZES),
    ("nb201-imagenet16-120", "accuracy", ("graf+flow",), TRAIN_SIZES),
    ("tnb101-micro-class_scene", "accuracy", ("graf+flow",), TRAIN_SIZES),
    ("nb101", "accuracy_108", ("graf+flow",), TRAIN_SIZES),
    ("nb201-hardware-cifar10", "edgegpu_latency", ("graf+flow",), TRAIN_SIZES),
)


def ta_gates_split(size: int, seed: int, n: int) -> tuple[Any, Any]:
    """Rows to train on, from the training part, and all rows of the test part."""
    train, _ = train_test_split(np.arange(N_TA_GATES), train_size=size, random_state=seed)
    return train, np.arange(N_TA_GATES, n)


def random_split(size: int, seed: int, n: int) -> tuple[Any, Any]:
    """The split of the paper."""
    train, test = train_test_split(np.arange(n), train_size=size, random_state=seed)
    return train, test


def in_file_order(name: str) -> Any:
    """A table with the rows as in its files, and the proxies of the valid networks."""
    table = load_table(name, source="paper")
    whole = load_table(name, source="paper", valid_only=False)
    order = table.rows(whole.codes)
    return table.subset(order)


def fit(
    predictor: str, x: Any, y: Any, split: tuple[Any, Any], *, interval: bool
) -> dict[str, float]:
    """Tau of one fit, and the share of test networks inside the 80 % interval."""
    (train, test), start = split, time.process_time()
    model = make_predictor(predictor).fit(x[train], y[train])
    predicted = model.predict(x[test])
    scores = {"kendall_tau": kendall_tau(predicted, y[test]), "n_test": len(test)}
    if interval:
        low, high = model.predict_quantiles(x[test], [0.1, 0.9]).T
        scores["coverage"] = float(((low <= y[test]) & (y[test] <= high)).mean())
        scores["width"] = float(np.median(high - low) / y.std())
    return scores | {"cpu_seconds": round(time.process_time() - start, 3)}


def fits(
    table: Any, line: tuple[Any, ...], seeds: Iterable[int], split: Callable[..., Any], cache: Path,
    *, interval: bool,
) -> Iterator[Callable[[], pd.DataFrame]]:  # fmt: skip
    """One function per fit that computes its row, or reads what an earlier run kept."""
    predictor, target, encodings, sizes = line
    y = table.target(target)
    for encoding in encodings:
        x = encode(table, encoding).to_numpy(dtype=float)
        parts = [digest(x, y, fit, split, make_predictor(predictor), interval)]
        for size in sizes:
            for seed in seeds:
                setting = (table.name, "paper", target, encoding, predictor, size, seed)
                rows = functools.partial(split, size, seed, len(y))
                compute = functools.partial(_row, x, y, rows, setting, interval)
                yield functools.partial(kept, cache, [*parts, size, seed], compute)


def _row(x: Any, y: Any, rows: Any, setting: tuple[Any, ...], interval: bool) -> pd.DataFrame:
    scores = fit(setting[FIT.index("predictor")], x, y, rows(), interval=interval)
    return pd.DataFrame([dict(zip(FIT, setting, strict=True)) | scores])


def put(path: Path, rows: pd.DataFrame, table: Any) -> None:
    """Merge rows into a table of results, and say so."""
    facts = {"recipe": RECIPE, "files": table.provenance["files"]}
    print(f"{path.name}: {len(merge_results(path, rows, FIT, **facts)):,} fits", flush=True)


def main() -> None:
    """Fit, and put the rows into the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    parallel = joblib.Parallel(n_jobs=options.n_jobs)

    def run(table: Any, *arguments: Any, interval: bool) -> pd.DataFrame:
        jobs = fits(table, *arguments, options.cache, interval=interval)
        done = parallel(joblib.delayed(job)() for job in jobs)
        return pd.concat([rows for rows, _ in done], ignore_index=True)

    table = in_file_order("nb201-test-accuracy")
    for predictor, encodings, seeds in TA_GATES:
        line = (predictor, "accuracy", encodings, TA_GATES_SIZES)
        rows = run(table, line, seeds, ta_gates_split, interval=False)
        put(OUTPUT / "flow_ta_gates.parquet", rows, table)
    whole = load_table("nb201-accuracy", source="paper", valid_only=False)
    results = evaluate(
        whole, list(whole.targets), ["graf", "graf+flow"], PREDICTOR, 1024, TEN,
        options.n_jobs, metrics=["kendall_tau", "spearman", "ndcg"], cache=options.cache,
        progress=False,
    )  # fmt: skip
    put(OUTPUT / "flow_whole_space.parquet", results, whole)
    for name, *line in COVERED:
        table = load_table(name, source="paper")
        rows = run(table, (PREDICTOR, *line), TEN, random_split, interval=True)
        put(OUTPUT / "flow_coverage.parquet", rows, table)


if __name__ == "__main__":
    main()
