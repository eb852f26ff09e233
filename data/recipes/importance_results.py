"""Which features matter, task by task: importances of chapter 11 on the published tables.

Writes ``data/results/importances_nb201.parquet`` and ``importances_tnb101_micro.parquet``: one row
a fit, method, grouping and feature, as `graf_utils.explain.importances` returns them, with the
provenance in the metadata. Less than ten minutes of one core; every fit is kept in
``_build/importances-cache`` as it ends, so the command can be stopped and started.

    GRAF_DATA_DIR=... python data/recipes/importance_results.py
"""

from __future__ import annotations

import argparse
import functools
import itertools
from pathlib import Path
from typing import Any

import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT
from graf_utils.explain import importances
from graf_utils.redundancy import redundant_groups
from graf_utils.results import kept, merge_results
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
KEYS = [*FIT, "method", "grouped"]
N_EXPLAINED = 50
THRESHOLD = 1.0  # columns of exactly the same or reverse order
FEW, MORE = range(42, 47), range(42, 62)
TREES = ("shap", "impurity")
HARDWARE = "nb201-hardware-cifar10"
ATTACKS = ("fgsm@Linf_eps-1.0", "pgd@Linf_eps-1.0", "aa_apgd-ce@Linf_eps-1.0")
ATTACKS += ("aa_square@Linf_eps-1.0",)
DRIFT = ("accuracy", "analog_accuracy", "analog_drift_loss", "noisy_drift_loss")
GROUPS = "graf, one column a group"  # as the committed rows have it
PLAN = {
    "nb201": (
        # table, source, targets (None: all), encoding, data seeds, methods
        ("nb201-cifar10", "paper", None, "zcp+graf", MORE, (*TREES, "permutation")),
        ("nb201-cifar10", "paper", None, GROUPS, FEW, TREES),
        ("nb201-cifar10", "embedded", DRIFT, GROUPS, FEW, TREES),
        (HARDWARE, "paper", None, GROUPS, FEW, TREES),
        ("nb201-robustness", "paper", ATTACKS, GROUPS, FEW, TREES),
        ("nb201-accuracy", "paper", ("imagenet16-120",), GROUPS, FEW, TREES),
    ),
    "tnb101_micro": (
        ("tnb101-micro", "paper", ("autoencoder",), "zcp+graf", MORE, TREES),
        ("tnb101-micro", "paper", ("class_scene",), "zcp+graf", MORE, TREES),
        ("tnb101-micro", "paper", None, GROUPS, FEW, TREES),
    ),
}


def with_losses(table: Table) -> Table:
    """Add to the embedded table what 30 days of drift cost, in points, as two more targets."""
    losses = {
        f"{kind}_drift_loss": table.target(f"{kind}_accuracy") - table.target(f"{kind}_drift_30d")
        for kind in ("analog", "noisy")
    }
    return table.assign(**losses)


def columns_of(table: Table, encoding: str) -> pd.DataFrame:
    """Encode a table; of GRAF also with one column for each group of columns of the same order."""
    if encoding != GROUPS:
        return encode(table, encoding)
    graf = encode(table, "graf")
    first = redundant_groups(graf, THRESHOLD)
    return graf[[name for name in first if graf[name].nunique() > 1]]


def importances_of_line(line: Any, cache: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute one line of the plan, or take what an earlier run kept of it.

    Parameters
    ----------
    line : tuple
        One of the lines of `PLAN`.
    cache : Path
        Folder of finished fits.

    Returns
    -------
    rows : DataFrame
    files : dict of str to str
        The files that the table was read from, and their SHA-256.
    """
    name, source, targets, encoding, seeds, methods = line
    table = load_table(name, source=source)
    table = with_losses(table) if source == "embedded" else table
    columns = columns_of(table, encoding)
    options = {"methods": methods, "n_explained": N_EXPLAINED}
    options["threshold"] = None if encoding == GROUPS else THRESHOLD
    frames = []
    for target, seed in itertools.product(targets or table.targets, seeds):
        what = [importances, name, source, target, encoding, seed, options]
        data = [table.codes, table.target(target), columns]
        compute = functools.partial(importances, table, target, columns, data_seeds=seed, **options)
        rows, computed = kept(cache, [*what, *data], compute)
        if computed:
            print(f"{name}, {target}, {encoding}, seed {seed}", flush=True)
        frames.append(rows.assign(encoding=encoding))
    return pd.concat(frames, ignore_index=True), table.provenance["files"]


def main() -> None:
    """Run the plan and put its rows into the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "importances-cache")
    options = parser.parse_args()
    facts = {"n_explained": N_EXPLAINED, "threshold": THRESHOLD}
    facts["recipe"] = "data/recipes/importance_results.py"
    for space, lines in PLAN.items():
        path = OUTPUT / f"importances_{space}.parquet"
        for line in lines:
            rows, files = importances_of_line(line, options.cache)
            rows = rows.astype({"importance": "float32", "rank": "float32"})
            results = merge_results(path, rows, KEYS, **facts, files=files)
        print(f"{path}: {len(results):,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
