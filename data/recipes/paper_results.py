"""Recompute the paper's NAS-Bench-201 results on the paper's tables (`make paper`).

Writes ``data/results/paper_nb201.parquet``: one row a fit, as `graf_utils.evaluation.evaluate`
returns them, with library versions in the file's metadata. About 25 minutes of one core; every
fit is kept in ``_build/results-cache`` as it ends, so the command can be stopped and started.

    GRAF_DATA_DIR=... python data/recipes/paper_results.py [--n-jobs 2]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, TRAIN_SIZES, evaluate
from graf_utils.registry import write_table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "paper_nb201.parquet"
PLAN = (
    # encodings, predictors, data seeds
    (("one-hot", "zcp", "graf", "zcp+graf"), ("rf",), DATA_SEEDS),
    (("graf", "zcp+graf"), ("xgb", "graf-xgb"), DATA_SEEDS),
    (("zcp+graf",), ("xgb+",), DATA_SEEDS[:10]),
)


def main() -> None:
    """Run the plan and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--cache", default=ROOT / "_build" / "results-cache")
    args = parser.parse_args()
    table = load_table("nb201-cifar10", source="paper")
    frames = [
        evaluate(
            table, "accuracy", encodings, predictors, TRAIN_SIZES, seeds, args.n_jobs,
            cache=args.cache,
        )
        for encodings, predictors, seeds in PLAN
    ]  # fmt: skip
    results = pd.concat(frames, ignore_index=True)
    recipe = {"recipe": "data/recipes/paper_results.py", "files": table.provenance["files"]}
    write_table(results, OUTPUT, **recipe)
    print(f"{OUTPUT}: {len(results):,} fits")


if __name__ == "__main__":
    main()
