"""How well twins predict each other: the ceilings that the chapter on flow draws.

Writes ``data/results/flow_ceiling.parquet``: one row per table and target, from
`graf_utils.ceiling.twin_ceiling`. Only targets that were measured on each cell by a training of its
own, in spaces that can tell which cells compute the same function. A few seconds.

    GRAF_DATA_DIR=... python data/recipes/flow_ceiling.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from graf_utils.ceiling import twin_ceiling
from graf_utils.datasets import load_table
from graf_utils.results import merge_results
from graf_utils.table import Table

OUTPUT = Path(__file__).resolve().parents[2] / "data" / "results" / "flow_ceiling.parquet"
RECIPE = "data/recipes/flow_ceiling.py"
KEYS = ["table", "source", "target", "valid_only"]
PLAN = (
    # table, source, targets (None: all), valid cells only
    ("nb201-cifar10", "paper", None, True),
    ("nb201-imagenet16-120", "paper", None, True),
    ("nb201-test-accuracy", "paper", None, True),
    ("nb201-accuracy", "paper", None, False),
    ("tnb101-micro-class_scene", "paper", None, True),
    ("tnb101-micro", "paper", None, True),
    ("nb201-fashion", "embedded", ("accuracy",), True),
)


def ceilings(table: Table, targets: Iterable[str]) -> pd.DataFrame:
    """One row per target: tau, number and share of the networks with a twin."""
    classes = table.space.classes(table.codes, zeros="dropped")
    rows = []
    for target in targets:
        ceiling = twin_ceiling(table.target(target), classes)
        row = {"table": table.name, "source": table.source, "target": target}
        row |= {"kendall_tau": ceiling.tau, "n_twins": ceiling.n, "share": ceiling.share}
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Compute every line of the plan, and put its rows into the table."""
    for name, source, targets, valid_only in PLAN:
        table = load_table(name, source=source, valid_only=valid_only)
        rows = ceilings(table, targets or table.targets).assign(valid_only=valid_only)
        facts = {"recipe": RECIPE, "files": table.provenance["files"]}
        results = merge_results(OUTPUT, rows, KEYS, **facts)
    print(results.drop(columns="run").to_string(index=False))


if __name__ == "__main__":
    main()
