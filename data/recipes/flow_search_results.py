"""Search with a forest on flow features, on three tasks of chapter 12, 50 seeds each.

Writes ``data/results/flow_search.parquet``: runs of the method ``"predictor"`` as in
`search_results`, with its settings and its seeds, so that each is paired with the run of another
encoding of the same seed; those on GRAF and on ZCP + GRAF stand in ``search.parquet``. Twenty
minutes of one core; each seed is kept in ``_build/search-cache`` as it ends, so the command can be
stopped and started.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/flow_search_results.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from search_results import KEYS, OUTPUT, ROOT, Task

from graf_utils.results import merge_results

ENCODINGS = ("flow", "graf+flow", "zcp+graf+flow")
TASKS = (  # table, source, target, budget: as in search_results, and in this order
    ("nb201-cifar10", "paper", "accuracy", 300),
    ("tnb101-micro", "paper", "class_scene", 150),
    ("nb201-accuracy", "paper", "imagenet16-120", 150),
)
TOP = 0.001  # share of the candidates that counts as the best


def finished(task: Task, cache: Path) -> pd.DataFrame:
    """All runs of a task, with the regret of the last of its best networks."""
    best_first = np.sort(task.values)[::-1]
    last = best_first[round(TOP * len(best_first)) - 1]
    return task.finished(cache).assign(top_regret=best_first[0] - last)


def main() -> None:
    """Run the tasks and put their runs into the table, task by task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "search-cache")
    options = parser.parse_args()
    path = OUTPUT / "flow_search.parquet"
    runs = tuple(("predictor", encoding, "") for encoding in ENCODINGS)
    for name in TASKS:
        task = Task.of(*name, runs)
        rows, files = finished(task, options.cache), task.table.provenance["files"]
        recipe = "data/recipes/flow_search_results.py"
        results = merge_results(path, rows, KEYS, recipe=recipe, files=files)
    print(f"{path}: {len(results):,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
