"""Recompute the paper's NAS-Bench-201 results on the paper's tables (`make paper`).

Writes ``data/results/paper_nb201.parquet``: one row per fit, as `graf_utils.evaluation.evaluate`
returns them, with library versions in the file's metadata. About 25 minutes of one core; every
fit is kept in ``_build/results-cache`` as it ends, so the command can be stopped and started. Fits
are added to the table or replaced in it, after each line of the plan.

    GRAF_DATA_DIR=... python data/recipes/paper_results.py [--n-jobs 2]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, FIT, TRAIN_SIZES, evaluate
from graf_utils.results import merge_results

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "paper_nb201.parquet"
PLAN = (
    # encodings, predictors, data seeds
    (("one-hot", "zcp", "graf", "zcp+graf"), ("rf",), DATA_SEEDS),
    (("graf", "zcp+graf"), ("xgb", "graf-xgb"), DATA_SEEDS),
    (("zcp+graf",), ("xgb+",), DATA_SEEDS[:10]),
)


def main() -> None:
    """Run the plan and put its fits into the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    options = parser.parse_args()
    table = load_table("nb201-cifar10", source="paper")
    facts = {"recipe": "data/recipes/paper_results.py", "files": table.provenance["files"]}
    for encodings, predictors, seeds in PLAN:
        fits = evaluate(
            table,
            "accuracy",
            encodings,
            predictors,
            TRAIN_SIZES,
            seeds,
            options.n_jobs,
            cache=options.cache,
        )
        results = merge_results(OUTPUT, fits, FIT, **facts)
    print(f"{OUTPUT}: {len(results):,} fits")


if __name__ == "__main__":
    main()
