"""Which settings of BRP-NAS come nearest to the authors' figures.

Writes ``data/results/brpnas_settings.parquet``: one row per fit, with the column ``setting``, a
name of `SETTINGS`. Data seeds are 1000 and up, so that no reported split has a part in the choice;
each fit is tested on 2,000 of the other networks, the same for all settings. Every fit is kept in
``_build/results-cache``, so the command can be stopped, started and extended.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/brpnas_settings.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT, evaluate
from graf_utils.predictors.brpnas import BRPNASRegressor
from graf_utils.results import merge_results
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "brpnas_settings.parquet"
KEYS = [*FIT, "setting"]
N_TEST = 2000
FIRST_SEED = 1000
CIFAR = ("nb201-cifar10", "accuracy")
GPU = ("nb201-hardware-cifar10", "edgegpu_latency")

MORE = {"n_more": 100}
SETTINGS: dict[str, dict[str, Any]] = {
    "ours": {},
    "absent nodes kept": {"keep_absent": True},
    "binary head": {"head": "binary"},
    "a quarter held out": {"validation_fraction": 0.25},
    "targets from 0 to 1": {"target_scaling": "range"},
    "features as they are": {"feature_scaling": "none"},
    "100 more labels": MORE,
    "100 more labels, absent nodes kept": MORE | {"keep_absent": True},
    "100 more labels, binary head": MORE | {"head": "binary"},
    "100 more labels, batches of 16": MORE | {"batch_size": 16},
    "100 more labels, targets as they are": MORE | {"target_scaling": "none"},
    "100 more labels, skip and none swapped": MORE | {"swapped": True},
}
"""What differs from ours: arguments of `BRPNASRegressor`; `n_more`, labelled networks beyond the N
that are held out, by whose loss training stops and the epoch is chosen; and `swapped`, a graph in
which the numbers of ``skip_connect`` and ``none`` are taken for each other. They are 0 and 1 in the
authors' tables, 1 and 0 in the original code of BRP-NAS; whether they were mapped is not known."""

ENCODINGS = ("none", "zcp+graf", "graf")
NEAR = ("absent nodes kept", "100 more labels, absent nodes kept")
FAR = ("ours", "100 more labels, skip and none swapped")
NO_RANKING = ("100 more labels, targets as they are",)
PLAN = (
    # table and target, train size, settings, features beside the graph, number of data seeds
    (CIFAR, 32, tuple(name for name in SETTINGS if name not in NO_RANKING), ENCODINGS, 2),
    (CIFAR, 32, NO_RANKING, ("none",), 2),
    (GPU, 32, (*NEAR, *FAR), ENCODINGS, 2),
    (GPU, 32, ("100 more labels",), ("none", "zcp+graf"), 2),
    (CIFAR, 128, (*FAR, "100 more labels"), ("none",), 2),
)


def beside_graph(table: Table, features: str, swapped: bool = False) -> np.ndarray:
    """Codes of the architectures, then their features.

    Parameters
    ----------
    table : Table
    features : str
        An encoding, or ``"none"``.
    swapped : bool
        Write 0 for 1 and 1 for 0 in the codes.

    Returns
    -------
    ndarray of shape (n_architectures, n_positions + n_features), float64
    """
    codes = table.codes.astype(float)
    if swapped:
        codes = np.where(codes < 2, 1 - codes, codes)
    return codes if features == "none" else np.hstack([codes, encode(table, features)])


def evaluate_setting(
    table: Table, target: str, setting: str, encodings: Iterable[str], size: int,
    seeds: Iterable[int], n_test: int | None = None, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """Evaluate one of `SETTINGS` by the paper's protocol.

    The train set is that of `evaluate`; labels beyond it are the first of the other networks.

    Parameters
    ----------
    table : Table
    target, setting : str
    encodings : iterable of str
        Features beside the graph.
    size : int
        Networks in the train set, without the further labels.
    seeds : iterable of int
    n_test : int, optional
        Test on so many of the others; by default on all.
    **options
        For `evaluate`, such as ``cache``.

    Returns
    -------
    DataFrame
        From `evaluate`, and the column ``setting``.
    """
    arguments = dict(SETTINGS[setting])
    n_more, swapped = arguments.pop("n_more", 0), arguments.pop("swapped", False)
    if n_more:
        arguments["validation_fraction"] = n_more / (size + n_more)

    def split(n_rows: int, train_size: int, data_seed: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(n_rows)
        train, rest = train_test_split(rows, train_size=train_size, random_state=data_seed)
        labelled, tested = np.concatenate([train, rest[:n_more]]), rest[n_more:]
        return labelled, tested if n_test is None else tested[-n_test:]

    inputs = {features: beside_graph(table, features, swapped) for features in encodings}
    model = {"brp-nas": BRPNASRegressor("nb201", random_state=42, **arguments)}
    fits = evaluate(table, target, inputs, model, size, seeds, splits=split, **options)
    return fits.assign(setting=setting)


def main() -> None:
    """Run the plan, setting by setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    cache = parser.parse_args().cache
    for (name, target), size, settings, encodings, n_seeds in PLAN:
        table = load_table(name, source="paper")
        facts = {"recipe": "data/recipes/brpnas_settings.py", "files": table.provenance["files"]}
        seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
        for setting in settings:
            fits = evaluate_setting(
                table, target, setting, encodings, size, seeds, N_TEST, cache=cache, progress=False
            )
            results = merge_results(OUTPUT, fits, KEYS, **facts)
            print(f"{target}, {size:,}, {setting}: {len(results):,} fits in all", flush=True)


if __name__ == "__main__":
    main()
