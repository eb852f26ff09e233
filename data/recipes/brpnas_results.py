"""BRP-NAS with and without features on the paper's NAS-Bench-201 tables.

Writes ``data/results/brpnas_nb201.parquet`` (CIFAR-10 accuracy) and ``brpnas_tasks.parquet`` (two
other targets, beside a random forest): one row a fit, as `graf_utils.evaluation.evaluate` returns
them, and the epochs allowed; library versions stand in the files' metadata. Every fit is kept in
``_build/results-cache`` as it ends, so the command can be stopped, started and extended: a longer
plan computes only what is new. A table is written after each line of its plan.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/brpnas_results.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import DATA_SEEDS, evaluate
from graf_utils.predictors.brpnas import BRPNASRegressor
from graf_utils.registry import write_table
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
FEATURES = ("none", "graf", "zcp", "zcp+graf")
EPOCHS = 250
PREDICTORS: dict[str, dict[str, Any]] = {
    "brp-nas": {},
    "brp-nas-binary": {"head": "binary"},
    "gin": {"conv": "gin"},
    "mlp": {"conv": "mlp"},
}
CIFAR = ("nb201-cifar10", "accuracy")
PLANS = {
    "brpnas_nb201": (
        # table and target, predictor, features beside the graph, train size, data seeds
        (CIFAR, "brp-nas", FEATURES, 32, 10),
        (CIFAR, "mlp", ("graf", "zcp+graf"), 32, 5),
        (CIFAR, "brp-nas", FEATURES, 128, 10),
        (CIFAR, "brp-nas", FEATURES, 1024, 5),
        (CIFAR, "gin", ("none",), 32, 5),
        (CIFAR, "brp-nas-binary", FEATURES, 32, 3),
        (CIFAR, "mlp", ("graf", "zcp+graf"), 128, 5),
        (CIFAR, "brp-nas", ("one-hot",), 32, 5),
    ),
    "brpnas_tasks": tuple(
        (task, predictor, features, 1024, n_seeds)
        for task in (
            ("nb201-hardware-cifar10", "edgegpu_latency"),
            ("nb201-accuracy", "imagenet16-120"),
        )
        for predictor, features, n_seeds in (
            ("rf", ("one-hot", "graf", "zcp+graf"), 10),
            ("brp-nas", ("none", "graf", "zcp+graf"), 2),
        )
    ),
}


def beside_graph(table: Table, features: str) -> np.ndarray:
    """Codes of the architectures, then the features."""
    codes = table.codes.astype(float)
    return codes if features == "none" else np.hstack([codes, encode(table, features)])


def run(plan: Any, path: Path, cache: Path) -> int:
    """Run one plan, line by line, and write its table; the number of fits."""
    frames: list[pd.DataFrame] = []
    files: dict[str, str] = {}
    for (name, target), predictor, encodings, size, n_seeds in plan:
        table = load_table(name, source="paper")
        files |= table.provenance["files"]
        if predictor == "rf":
            model, inputs = {"rf": "rf"}, {e: encode(table, e) for e in encodings}
        else:
            options = {"n_epochs": EPOCHS, "random_state": 42} | PREDICTORS[predictor]
            model = {predictor: BRPNASRegressor("nb201", **options)}
            inputs = {features: beside_graph(table, features) for features in encodings}
        seeds = DATA_SEEDS[:n_seeds]
        rows = evaluate(table, target, inputs, model, size, seeds, cache=cache)
        frames.append(rows.assign(n_epochs=EPOCHS if predictor != "rf" else 0))
        found = pd.concat(frames, ignore_index=True)
        write_table(found, path, recipe="data/recipes/brpnas_results.py", files=files)
    return len(found)


def main() -> None:
    """Run the plans, seed by seed, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PLANS)
    parser.add_argument("--cache", default=ROOT / "_build" / "results-cache")
    args = parser.parse_args()
    for name in [args.only] if args.only else PLANS:
        path = OUTPUT / f"{name}.parquet"
        print(f"{path}: {run(PLANS[name], path, args.cache):,} fits")


if __name__ == "__main__":
    main()
