"""Predictors on the paper's NAS-Bench-201 CIFAR-10 table, ZCP + GRAF: tau and CPU seconds.

Without options: `rf`, `xgb`, `xgb+`, `graf-xgb` and `blend` on data seeds 42 to 51, one after the
other in one process. With ``--choose graf-xgb``: the grid behind its settings, on data seeds 0 to
29 (train sizes 32 and 128) and 0 to 5 (1,024). With ``--choose blend``: what its options are
worth, on data seeds 1000 to 1005; "as chosen" learns the share. None of them is among the paper's
42 to 91.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import pandas as pd

from graf_utils import evaluate, load_table, make_predictor, summarise
from graf_utils.published import published

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
BLENDS: list[dict[str, float]] = [
    {},
    {"share": 0},
    {"share": 1},
    {"share": 1 / 2},
    {"share": 2 / 3},
    {"few": 0},
    {"few": 16},
    {"few": 256},
    {"few": math.inf},
]


def variants(predictor: str) -> dict[str, Any]:
    """A predictor with each of its changes, by what is changed."""
    changes, prefix = {"graf-xgb": (CHANGES, "xgbregressor__"), "blend": (BLENDS, "")}[predictor]
    models = {}
    for change in changes:
        name = ", ".join(f"{option}={value:.3g}" for option, value in change.items()) or "as chosen"
        options = {f"{prefix}{option}": value for option, value in change.items()}
        models[name] = make_predictor(predictor).set_params(**options)
    return models


def main() -> None:
    """Run one of the two comparisons and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--choose", choices=["graf-xgb", "blend"])
    parser.add_argument("--encodings", nargs="+", default=["zcp+graf"])
    args = parser.parse_args()
    table = load_table("nb201-cifar10", source="paper")
    if args.choose:
        few, many = range(30), range(6)
        if args.choose == "blend":
            few = many = range(1000, 1006)
        predictors = variants(args.choose)
        runs = [
            evaluate(table, "accuracy", args.encodings, predictors, [32, 128], few),
            evaluate(table, "accuracy", args.encodings, predictors, 1024, many),
        ]
    else:
        predictors = ["rf", "xgb", "xgb+", "graf-xgb", "blend"]
        sizes, seeds = [32, 128, 1024], range(42, 52)
        runs = [evaluate(table, "accuracy", args.encodings, predictors, sizes, seeds)]
    means = summarise(pd.concat(runs)).set_index(["encoding", "predictor"])
    wide = means.pivot(columns="train_size", values=["mean", "std", "cpu_seconds"])
    print(wide.loc[list(dict.fromkeys(means.index))].round(4).to_string())
    if not args.choose:
        stored = published("nb201-cifar10", "accuracy", "stored", encoding="zcp+graf")
        figures = dict(zip(stored["train_size"], stored["value"], strict=True))
        print("the authors' random forest, 50 seeds:", figures)


if __name__ == "__main__":
    main()
