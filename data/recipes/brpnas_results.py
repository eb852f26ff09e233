"""BRP-NAS with and without features on the paper's NAS-Bench-201 CIFAR-10 table.

Writes ``data/results/brpnas_nb201.parquet``: one row a fit, as `graf_utils.evaluation.evaluate`
returns them, and the epochs allowed; library versions stand in the file's metadata. Every fit is
kept in ``_build/results-cache`` as it ends, so the command can be stopped, started and extended: a
longer plan computes only what is new. The table is written after each line of the plan.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/brpnas_results.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graf_utils.brpnas import BRPNASRegressor
from graf_utils.datasets import Table, load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import DATA_SEEDS, evaluate
from graf_utils.registry import write_table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "brpnas_nb201.parquet"
FEATURES = ("none", "graf", "zcp", "zcp+graf")
EPOCHS = 250
PREDICTORS: dict[str, dict[str, Any]] = {
    "brp-nas": {},
    "brp-nas-binary": {"head": "binary"},
    "gin": {"conv": "gin"},
    "mlp": {"conv": "mlp"},
}
PLAN = (
    # predictor, features beside the graph, train size, number of data seeds
    ("brp-nas", FEATURES, 32, 10),
    ("mlp", ("graf", "zcp+graf"), 32, 5),
    ("brp-nas", FEATURES, 128, 10),
    ("brp-nas", FEATURES, 1024, 5),
    ("gin", ("none",), 32, 5),
    ("brp-nas-binary", FEATURES, 32, 3),
    ("mlp", ("graf", "zcp+graf"), 128, 5),
    ("brp-nas", ("one-hot",), 32, 5),
)


def beside_graph(table: Table, features: str) -> np.ndarray:
    """Codes of the architectures, then the features."""
    codes = table.space.encode(table.architectures).astype(float)
    return codes if features == "none" else np.hstack([codes, encode(table, features)])


def main() -> None:
    """Run the plan, seed by seed, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", default=ROOT / "_build" / "results-cache")
    args = parser.parse_args()
    table = load_table("nb201-cifar10", source="paper")
    frames = []
    for predictor, encodings, size, n_seeds in PLAN:
        options = {"n_epochs": EPOCHS, "random_state": 42} | PREDICTORS[predictor]
        model = {predictor: BRPNASRegressor("nb201", **options)}
        inputs = {features: beside_graph(table, features) for features in encodings}
        seeds = DATA_SEEDS[:n_seeds]
        rows = evaluate(table, "accuracy", inputs, model, size, seeds, cache=args.cache)
        frames.append(rows.assign(n_epochs=EPOCHS))
        recipe = {"recipe": "data/recipes/brpnas_results.py", "files": table.provenance["files"]}
        write_table(pd.concat(frames, ignore_index=True), OUTPUT, **recipe)
    print(f"{OUTPUT}: {sum(map(len, frames)):,} fits")


if __name__ == "__main__":
    main()
