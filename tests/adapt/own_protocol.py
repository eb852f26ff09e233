"""Your own metric and splits, another test target, and the predictions back."""

import numpy as np
from sklearn.model_selection import GroupKFold

from graf_utils import evaluate, load_table

table = load_table("nb201-fashion")
n_convolutions = np.isin(table.codes, [2, 3]).sum(axis=1)


def within_two_points(predicted, true):
    return np.mean(np.abs(predicted - true) <= 2)


results, predictions = evaluate(
    table, "accuracy", "graf", "rf",
    splits=GroupKFold(3).split(table.codes, groups=n_convolutions),
    test_target="blur",
    metrics=["kendall_tau", "precision_at_10pct", "regret_at_10", within_two_points],
    return_predictions=True,
)  # fmt: skip
print(results[["data_seed", "kendall_tau", "regret_at_10", "within_two_points"]].to_string())
print(predictions.groupby("data_seed").size().to_string())
