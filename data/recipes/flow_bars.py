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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, FIT, TRAIN_SIZES, evaluate
from graf_utils.results import merge_results

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


def ta_gates_split(n_rows: int, train_size: int, data_seed: int) -> tuple[Any, Any]:
    """Rows to train on, from the training part, and all rows of the test part."""
    pool = np.arange(N_TA_GATES)
    train, _ = train_test_split(pool, train_size=train_size, random_state=data_seed)
    return train, np.arange(N_TA_GATES, n_rows)


def in_file_order(name: str) -> Any:
    """A table with the rows as in its files, and the proxies of the valid networks."""
    table = load_table(name, source="paper")
    whole = load_table(name, source="paper", valid_only=False)
    order = table.rows(whole.codes)
    return table.subset(order)


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
    run = functools.partial(evaluate, n_jobs=options.n_jobs, cache=options.cache, progress=False)

    table = in_file_order("nb201-test-accuracy")
    for predictor, encodings, seeds in TA_GATES:
        line = ("accuracy", encodings, predictor, TA_GATES_SIZES, seeds)
        rows = run(table, *line, splits=ta_gates_split).drop(columns="n_features")
        put(OUTPUT / "flow_ta_gates.parquet", rows, table)
    whole = load_table("nb201-accuracy", source="paper", valid_only=False)
    metrics = ["kendall_tau", "spearman", "ndcg"]
    targets, encodings = list(whole.targets), ["graf", "graf+flow"]
    results = run(whole, targets, encodings, PREDICTOR, 1024, TEN, metrics=metrics)
    put(OUTPUT / "flow_whole_space.parquet", results, whole)
    for name, target, encodings, sizes in COVERED:
        table = load_table(name, source="paper")
        line = (target, encodings, PREDICTOR, sizes, TEN)
        rows = run(table, *line, interval=0.8).drop(columns="n_features")
        put(OUTPUT / "flow_coverage.parquet", rows, table)


if __name__ == "__main__":
    main()
