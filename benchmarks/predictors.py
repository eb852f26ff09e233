"""Predictors on the paper's NAS-Bench-201 CIFAR-10 table, ZCP + GRAF: tau and CPU seconds.

Without options: `rf`, `xgb`, `xgb+` and `graf-xgb` on data seeds 42 to 51, one after the other in
one process. With ``--choose``: the grid behind the settings of `graf-xgb`, on data seeds 0 to 29
(train sizes 32 and 128) and 0 to 5 (1,024), none of which is among the paper's 42 to 91.
"""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd

from graf_utils import evaluate, load_table, make_predictor, summarise

PAPER = {"xgb+": {32: 0.722, 128: 0.790, 1024: 0.859}}
CHANGES: list[dict[str, float]] = [
    {},
    {"n_estimators": 500, "learning_rate": 0.03, "colsample_bynode": 0.3},
    {"n_estimators": 500, "learning_rate": 0.03},
    {"n_estimators": 2000, "learning_rate": 0.01},
    {"colsample_bynode": 0.1},
    {"colsample_bynode": 0.15},
    {"colsample_bynode": 0.3},
    {"colsample_bynode": 1.0},
    {"subsample": 0.6},
    {"subsample": 1.0},
    {"max_depth": 4},
    {"max_depth": 8},
    {"min_child_weight": 3},
    {"reg_lambda": 3},
]


def variants() -> dict[str, Any]:
    """`graf-xgb` with each of the changes, by what is changed."""
    models = {}
    for change in CHANGES:
        name = ", ".join(f"{option}={value}" for option, value in change.items()) or "as chosen"
        options = {f"xgbregressor__{option}": value for option, value in change.items()}
        models[name] = make_predictor("graf-xgb").set_params(**options)
    return models


def main() -> None:
    """Run one of the two comparisons and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--encodings", nargs="+", default=["zcp+graf"])
    args = parser.parse_args()
    table = load_table("nb201-cifar10", source="paper")
    if args.choose:
        predictors = variants()
        runs = [
            evaluate(table, "accuracy", args.encodings, predictors, [32, 128], range(30)),
            evaluate(table, "accuracy", args.encodings, predictors, 1024, range(6)),
        ]
    else:
        predictors = ["rf", "xgb", "xgb+", "graf-xgb"]
        sizes, seeds = [32, 128, 1024], range(42, 52)
        runs = [evaluate(table, "accuracy", args.encodings, predictors, sizes, seeds)]
    means = summarise(pd.concat(runs)).set_index(["encoding", "predictor"])
    wide = means.pivot(columns="train_size", values=["mean", "std", "cpu_seconds"])
    print(wide.loc[list(dict.fromkeys(means.index))].round(4).to_string())
    if not args.choose:
        print("paper's XGB+, 50 seeds:", PAPER["xgb+"])


if __name__ == "__main__":
    main()
