"""Flow, GRAF and proxies with the best predictor, on every table: the fits of the chapter on flow.

Writes ``data/results/flow.parquet``: one row per fit, as `graf_utils.evaluation.evaluate` returns
them, with Kendall tau, Spearman, nDCG, precision and regret at the top, and on NAS-Bench-201 the
same on test networks without a twin in the train set (``..._unseen``). Two hours of one core; every
fit is kept in ``_build/results-cache`` as it ends, so the command can be stopped and started. Fits
are added to the table or replaced in it after each line of the plan.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/flow_results.py [--n-jobs 2]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, FIT, TRAIN_SIZES, evaluate
from graf_utils.registry import DataError
from graf_utils.results import merge_results
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "flow.parquet"
METRICS = ("kendall_tau", "spearman", "ndcg", "precision_at_10pct", "regret_at_10")
TEN = DATA_SEEDS[:10]
TWO = ("graf", "graf+flow")
FOUR = (*TWO, "zcp+graf", "zcp+graf+flow")
SIX = (*FOUR, "flow", "zcp+flow")
MICRO = ("class_object", "jigsaw", "autoencoder", "normal", "segmentsemantic", "room_layout")
PLAN = (
    # predictor, table, source, targets, encodings, train sizes, data seeds
    ("blend", "nb201-cifar10", "paper", ("accuracy",), SIX, TRAIN_SIZES, TEN),
    ("blend", "nb201-imagenet16-120", "paper", ("accuracy",), FOUR, TRAIN_SIZES, TEN),
    ("blend", "nb101", "paper", ("accuracy_108",), TWO, TRAIN_SIZES, TEN),
    ("blend", "tnb101-micro-class_scene", "paper", ("accuracy",), FOUR, TRAIN_SIZES, TEN),
    ("blend", "tnb101-micro", "paper", MICRO, TWO, TRAIN_SIZES, TEN),
    ("blend", "nb301-zc", "paper", ("accuracy",), FOUR, (32, 128), TEN),
    ("blend", "nb201-robustness", "paper", ("pgd@Linf_eps-1.0", "aa_apgd-ce@Linf_eps-1.0"), FOUR,
     TRAIN_SIZES, TEN),
    ("blend", "nb201-hardware-cifar10", "paper", ("edgegpu_latency", "raspi4_latency"), FOUR,
     TRAIN_SIZES, TEN),
    ("blend", "nb201-fashion", "embedded", ("accuracy",), FOUR, (32, 128), TEN),
    ("blend", "tnb101-macro", "paper", ("class_scene",), TWO, TRAIN_SIZES, TEN),
    ("rf", "nb201-cifar10", "paper", ("accuracy",), SIX, TRAIN_SIZES, TEN),
    ("graf-xgb", "nb201-cifar10", "paper", ("accuracy",), SIX, TRAIN_SIZES, TEN),
    ("blend", "nb201-cifar10", "paper", ("accuracy",), FOUR, TRAIN_SIZES, DATA_SEEDS),
    ("blend", "tnb101-micro-class_scene", "paper", ("accuracy",), FOUR, TRAIN_SIZES, DATA_SEEDS),
)  # fmt: skip


def twins_of(table: Table) -> Any:
    """Classes of cells that compute the same function, where the space can tell."""
    if not hasattr(table.space, "classes"):
        return None
    return table.space.classes(table.codes, zeros="dropped")


def run(path: Path, cache: Path, n_jobs: int) -> dict[str, str]:
    """Run the plan, and put its fits into a table, line by line.

    Returns
    -------
    dict of str to str
        For each published table that is missing, its name and the reason.
    """
    missing: dict[str, str] = {}
    for predictor, name, source, targets, encodings, sizes, seeds in PLAN:
        try:
            table = load_table(name, source=source)
        except DataError as error:
            missing[name] = str(error)
            continue
        options: dict[str, Any] = {"metrics": METRICS, "twins": twins_of(table), "cache": cache}
        fits = evaluate(
            table, targets, encodings, predictor, sizes, seeds, n_jobs, progress=False, **options
        )
        facts = {"recipe": "data/recipes/flow_results.py", "files": table.provenance["files"]}
        results = merge_results(path, fits.reindex(columns=COLUMNS), FIT, **facts)
        print(f"{predictor}, {name}: {len(results):,} fits", flush=True)
    return missing


COLUMNS = [
    *FIT, *METRICS, "n_test", *(f"{metric}_unseen" for metric in METRICS), "n_unseen",
    "n_features", "cpu_seconds",
]  # fmt: skip
"""Columns of the table, whether a search space knows its twins or not."""


def main() -> None:
    """Run the plan and put its fits into the table; fail if a published table is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    missing = run(OUTPUT, options.cache, options.n_jobs)
    if missing:
        reasons = "\n".join(missing.values())
        raise SystemExit(f"{reasons}\n{len(missing)} tables are missing: {', '.join(missing)}")
    print(f"{OUTPUT}: complete, {len(pd.read_parquet(OUTPUT)):,} fits")


if __name__ == "__main__":
    main()
