"""BRP-NAS with and without features on the paper's NAS-Bench-201 tables.

Writes ``data/results/brpnas_nb201.parquet`` (CIFAR-10 accuracy), ``brpnas_tasks.parquet`` (two
other targets, beside a random forest) and ``brpnas_nearest.parquet`` (the setting that comes
nearest to the authors' figures, from ``brpnas_settings.py``): one row per fit, as
`graf_utils.evaluation.evaluate` returns them, and the epochs allowed; library versions stand in the
files' metadata. Every fit is kept in
``_build/results-cache`` as it ends, so the command can be stopped, started and extended: a longer
plan computes only what is new. Fits are added to the table or replaced in it, after each line of
the plan.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/brpnas_results.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from brpnas_settings import CIFAR, GPU, beside_graph, evaluate_setting

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import DATA_SEEDS, FIT, evaluate
from graf_utils.predictors.brpnas import BRPNASRegressor
from graf_utils.results import merge_results
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
FEATURES = ("none", "graf", "zcp", "zcp+graf")
KEYS = [*FIT, "n_epochs"]
EPOCHS = 250
PREDICTORS: dict[str, dict[str, Any]] = {
    "brp-nas": {},
    "brp-nas-binary": {"head": "binary"},
    "gin": {"conv": "gin"},
    "mlp": {"conv": "mlp"},
}
NEAREST = "100 more labels, absent nodes kept"
PUBLISHED = (
    "none", "graf", "zcp+graf", "zcp",
    "one-hot", "graf+one-hot", "zcp+one-hot", "zcp+one-hot+graf",
)  # fmt: skip
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
            GPU,
            ("nb201-accuracy", "imagenet16-120"),
        )
        for predictor, features, n_seeds in (
            ("rf", ("one-hot", "graf", "zcp+graf"), 10),
            ("brp-nas", ("none", "graf", "zcp+graf"), 2),
        )
    ),
    "brpnas_nearest": tuple(
        (task, NEAREST, (features,), size, 10)
        for size in (32, 128)
        for features in PUBLISHED
        for task in (CIFAR, GPU)
    ),
}


def fits_of(
    table: Table, target: str, predictor: str, encodings: Any, size: int, seeds: Any, cache: Path
) -> pd.DataFrame:
    """The fits of one line of a plan.

    Parameters
    ----------
    table : Table
    target : str
    predictor : str
        ``"rf"``, one of `PREDICTORS`, or `NEAREST`, whose fits are those of ``"brp-nas"``.
    encodings : sequence of str
    size : int
    seeds : sequence of int
    cache : Path

    Returns
    -------
    DataFrame
        From `evaluate`, with the epochs allowed; of `NEAREST` with its name.
    """
    if predictor == NEAREST:
        fits = evaluate_setting(table, target, NEAREST, encodings, size, seeds, cache=cache)
        return fits.assign(n_epochs=EPOCHS)
    if predictor == "rf":
        model: dict[str, Any] = {"rf": "rf"}
        inputs = {encoding: encode(table, encoding) for encoding in encodings}
    else:
        options = {"n_epochs": EPOCHS, "random_state": 42} | PREDICTORS[predictor]
        model = {predictor: BRPNASRegressor("nb201", **options)}
        inputs = {features: beside_graph(table, features) for features in encodings}
    fits = evaluate(table, target, inputs, model, size, seeds, cache=cache)
    return fits.assign(n_epochs=0 if predictor == "rf" else EPOCHS)


def run(plan: Any, path: Path, cache: Path) -> int:
    """Run one plan, and put its fits into a table, line by line.

    Parameters
    ----------
    plan : sequence of tuple
        One of the values of `PLANS`.
    path : Path
        The table of results.
    cache : Path
        Folder of finished fits.

    Returns
    -------
    int
        Number of fits in the table.

    Raises
    ------
    DataError
        One of the published tables is missing; what was computed before stays in the table.
    """
    for (name, target), predictor, encodings, size, n_seeds in plan:
        table = load_table(name, source="paper")
        seeds = DATA_SEEDS[:n_seeds]
        fits = fits_of(table, target, predictor, encodings, size, seeds, cache)
        facts = {"recipe": "data/recipes/brpnas_results.py", "files": table.provenance["files"]}
        results = merge_results(path, fits, KEYS, **facts)
    return len(results)


def main() -> None:
    """Run the plans and put their fits into the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PLANS)
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    options = parser.parse_args()
    for name in [options.only] if options.only else PLANS:
        path = OUTPUT / f"{name}.parquet"
        print(f"{path}: {run(PLANS[name], path, options.cache):,} fits")


if __name__ == "__main__":
    main()
