"""Search: CPU seconds of a run with 500 evaluations, each method and kind of guidance.

On the embedded NAS-Bench-201 table with GRAF, where an evaluation is a look-up, so that the time is
that of the search alone. Runs take turns, round by round.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import pandas as pd

from graf_utils import load_table
from graf_utils.search import Candidates, search

RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("random", {}),
    ("random", {"restrict": True}),
    ("evolution", {}),
    ("evolution", {"guided": True}),
    ("local", {}),
    ("local", {"guided": True}),
    ("predictor", {}),
    ("predictor", {"start": "k-centre"}),
    ("predictor", {"restrict": True}),
)


def main() -> None:
    """Time the runs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=500)
    args = parser.parse_args()
    table = load_table("nb201-cifar10", source="embedded")
    pool, y = Candidates.of(table, "graf"), table.target("accuracy")
    search(pool, y, "predictor", 30, random_state=0)
    rows = []
    for seed in range(args.rounds):
        for method, options in RUNS:
            start = time.process_time()
            run = search(pool, y, method, args.budget, random_state=seed, **options)
            seconds = time.process_time() - start
            guidance = ", ".join(f"{name}={value}" for name, value in options.items())
            rows.append([method, guidance, seconds, run["best"].iloc[-1]])
    frame = pd.DataFrame(rows, columns=["method", "guidance", "cpu_seconds", "best"])
    median = frame.groupby(["method", "guidance"], sort=False).median()
    median["ms per evaluation"] = 1000 * median["cpu_seconds"] / args.budget
    print(f"{args.budget} evaluations, median of {args.rounds} runs")
    print(median.round(2).to_string())


if __name__ == "__main__":
    main()
