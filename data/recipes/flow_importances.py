"""What a forest uses when it has GRAF and flow: importances for the chapter on flow.

Writes ``data/results/flow_importances.parquet``: one row per fit and column, as
`graf_utils.explain.importances` returns them (SHAP), from published tables. Of columns that order
the networks alike or in exactly the opposite way one is kept, GRAF's where there is one: flow is
credited only with what GRAF does not have. A few minutes of one core; every fit is kept in
``_build/importances-cache`` as it ends, so the command can be stopped and started.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/flow_importances.py
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT
from graf_utils.explain import importances
from graf_utils.redundancy import redundant_groups
from graf_utils.results import kept, merge_results
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "flow_importances.parquet"
RECIPE = "data/recipes/flow_importances.py"
ENCODING = "graf+flow, one column per group"
SEEDS = range(42, 47)
OPTIONS = {"methods": "shap", "n_explained": 50}
PLAN = (
    ("nb201-cifar10", "accuracy"),
    ("tnb101-micro", "class_scene"),
    ("tnb101-micro", "autoencoder"),
)


def columns_of(table: Table) -> pd.DataFrame:
    """One column for each group of columns of the same order, GRAF's first; no constant."""
    both = encode(table, "graf+flow")
    of_graf = set(encode(table, "graf"))
    varying = both.loc[:, both.nunique() > 1]
    chosen = [
        next((name for name in group if name in of_graf), first)
        for first, group in redundant_groups(varying, 1.0).items()
    ]
    return both[chosen]


def main() -> None:
    """Compute every line of the plan, and put its rows into the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "importances-cache")
    options = parser.parse_args()
    for name, target in PLAN:
        table = load_table(name, source="paper")
        columns = columns_of(table)
        for seed in SEEDS:
            compute = functools.partial(
                importances, table, target, columns, data_seeds=seed, **OPTIONS
            )
            parts = [importances, OPTIONS, target, seed, table.codes, table.target(target), columns]
            rows, computed = kept(options.cache, parts, compute)
            rows = rows.assign(encoding=ENCODING)
            rows = rows.astype({"importance": "float32", "rank": "float32"})
            facts = {"recipe": RECIPE, "files": table.provenance["files"]}
            results = merge_results(OUTPUT, rows, FIT, **facts)
            if computed:
                print(f"{name}, {target}, seed {seed}", flush=True)
    print(f"{OUTPUT}: {len(results):,} rows")


if __name__ == "__main__":
    main()
