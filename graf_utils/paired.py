"""Does one thing beat another? Differences on the same data seeds, tested, and a verdict.

Two encodings that are evaluated on the same data seeds see the same networks, so the luck of a
split cancels in their difference: it is known much better than either mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from graf_utils import _checks
from graf_utils.evaluation import FIT, SETTING, setting_of

__all__ = ["FAILED", "KEPT", "common_seeds", "holm", "paired_differences", "verdicts"]

KEPT, FAILED = "kept", "failed"
"""The verdicts."""


def common_seeds(
    results: pd.DataFrame,
    values: Iterable[str] | None = None,
    *,
    along: str = "encoding",
    at_least: int = 2,
) -> pd.DataFrame:
    """Keep what can be compared: data seeds that all have, where all were evaluated.

    Parameters
    ----------
    results : DataFrame
        Fits, as from `graf_utils.evaluation.evaluate`.
    values : iterable of str, optional
        Values of `along` to compare; by default all that occur.
    along : str
        The column of the setting that tells what is compared: ``"encoding"``, ``"predictor"``, ...
    at_least : int
        Settings with fewer common data seeds are left out.

    Returns
    -------
    DataFrame
        Rows of `results`, in their order. No row is left where nothing can be compared.

    Raises
    ------
    ValueError
        The results lack a column, or `at_least` is no whole number from 1 on.

    Examples
    --------
    >>> from graf_utils.published import paper_results
    >>> fits = paper_results().query("table == 'nb301' and predictor == 'rf'")
    >>> sorted(common_seeds(fits, ["graf", "one-hot"])["encoding"].unique())
    ['graf', 'one-hot']
    """
    _checks.choice("along", along, SETTING)
    _checks.has_columns("results", results, FIT)
    (at_least,) = _checks.whole_numbers("at_least", at_least, 1, 10**6, "data seeds")
    names = list(dict.fromkeys(results[along] if values is None else _checks.names(along, values)))
    rows = results[results[along].isin(names)]
    keys = [c for c in setting_of(results) if c != along]
    of_seed = rows.groupby([*keys, "data_seed"], dropna=False)[along]
    rows = rows[of_seed.transform("nunique") == len(names)]
    of_setting = rows.groupby(keys, dropna=False)["data_seed"]
    return rows[of_setting.transform("nunique") >= at_least]


def paired_differences(
    results: pd.DataFrame,
    baseline: str,
    *,
    along: str = "encoding",
    metric: str = "kendall_tau",
) -> pd.DataFrame:
    """Compare all that was evaluated with a baseline, data seed by data seed.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`. Rows of equal table, source, target, predictor, train
        size, data seed and, where they have some, test target and test table are compared, where
        `along` is the encoding.
    baseline : str
        The value of `along` that the others are compared with.
    along : str
        The column of the setting that tells what is compared: ``"encoding"``, ``"predictor"``, ...
    metric : str
        The column of numbers.

    Returns
    -------
    DataFrame
        One row per setting that is no baseline: ``n`` pairs, the mean ``difference`` (setting minus
        baseline), its 95 % interval from ``low`` to ``high``, ``p`` of a two-sided paired t test,
        and ``p_holm``, corrected by `holm` for all rows of this frame. A pair with a NaN is left
        out.

    Raises
    ------
    ValueError
        The results lack a column, the baseline, or the baseline's row for some data seed; a setting
        has two rows for one seed, or fewer than two pairs; or there is nothing but the baseline.

    Notes
    -----
    Interval and test speak of the mean over random train sets of this table, not over other tables.
    The interval is that of the test, with the quantile of Student's distribution: with 50 seeds 3 %
    wider than the normal one that the figures have.

    Examples
    --------
    >>> from graf_utils import evaluate, load_table
    >>> results = evaluate(load_table("nb201-cifar10"), "accuracy", ["op-count", "one-hot"],
    ...                    "rf", 32, range(4), progress=False)
    >>> paired_differences(results, "one-hot")[["encoding", "train_size", "n"]]
       encoding  train_size  n
    0  op-count          32  4
    """
    _checks.numeric_columns("results", results, [metric, "train_size", "data_seed"])
    _checks.choice("along", along, SETTING)
    _checks.has_columns("results", results, SETTING)
    _checks.choice("baseline", baseline, results[along].unique())
    columns = setting_of(results)
    _checks.not_pooled(results, columns)
    pairs = _pairs(results, baseline, along, metric)
    settings = pairs.groupby(columns, sort=False, dropna=False)["difference"]
    rows = [
        dict(zip(columns, setting, strict=True)) | _tested(setting, values.dropna().to_numpy())
        for setting, values in settings
    ]
    differences = pd.DataFrame(rows)
    return differences.assign(p_holm=holm(differences["p"]))


def _pairs(results: pd.DataFrame, baseline: str, along: str, metric: str) -> pd.DataFrame:
    """The rows that are no baseline, each with its difference to the baseline's."""
    keys = [column for column in (*setting_of(results), "data_seed") if column != along]
    is_baseline = results[along] == baseline
    others = results[~is_baseline]
    if others.empty:
        raise ValueError(
            f"results has nothing but the baseline {baseline!r}. Evaluate it beside another "
            f"{along}, and put both together with pd.concat."
        )
    reference = results.loc[is_baseline, [*keys, metric]].rename(columns={metric: "reference"})
    pairs = others.merge(reference, on=keys, how="left", indicator="partner")
    alone = pairs[pairs["partner"] == "left_only"]
    if len(alone):
        first = alone.iloc[0]
        raise ValueError(
            f"results has no row of the baseline {baseline!r} for {first[keys].to_dict()}, which "
            f"{first[along]!r} has, and {len(alone)} such gaps in all. Evaluate both on the same "
            "data seeds."
        )
    return pairs.assign(difference=pairs[metric] - pairs["reference"])


def _tested(setting: Any, differences: NDArray[np.float64]) -> dict[str, float]:
    """Mean, interval and p value of some differences."""
    n = len(differences)
    if n < 2:
        raise ValueError(
            f"results has {n} pairs of the setting {setting}, and a test needs two. Evaluate more "
            "data seeds."
        )
    mean = differences.mean()
    error = differences.std(ddof=1) / np.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * error
    if error:
        p = 2 * stats.t.sf(abs(mean) / error, n - 1)
    else:  # all are equal: either nothing ever changed, or it did every time
        p = float(mean == 0)
    return {"n": n, "difference": mean, "low": mean - half, "high": mean + half, "p": p}


def holm(p: Any) -> NDArray[np.float64]:
    """Correct p values for their number (Holm, 1979).

    The smallest of m values is multiplied by m, the next by m - 1, and so on; none falls below a
    smaller one's. Of those at most 0.05 then, one or more are false with a chance of at most 5 %,
    whatever the dependence.

    Parameters
    ----------
    p : array-like of shape (m,)

    Returns
    -------
    ndarray of shape (m,)

    Raises
    ------
    ValueError
        They are no numbers from 0 to 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p={_checks.short(p)} must be a list of numbers from 0 to 1. Drop NaN.")
    order = np.argsort(values, kind="stable")
    raised = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return corrected


def verdicts(
    differences: pd.DataFrame, *, along: str = "encoding", level: float = 0.05
) -> pd.DataFrame:
    """Say what is kept: that which helps somewhere and hurts nowhere, beyond chance.

    Parameters
    ----------
    differences : DataFrame
        From `paired_differences`, of a metric of which more is better.
    along : str
        The column that tells what was compared.
    level : float
        A difference counts if its ``p_holm`` is at most this.

    Returns
    -------
    DataFrame
        One row per value of `along`: the number of ``settings``, in how many it ``helps`` and
        ``hurts``, the ``least`` and the ``most`` difference, and the ``verdict``, "kept" or
        "failed".

    Raises
    ------
    ValueError
        The frame lacks a column, or the level is no share.
    """
    _checks.numeric_columns("differences", differences, ["difference", "p_holm"])
    _checks.choice("along", along, list(differences))
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ValueError(f"level={level!r} must be a number between 0 and 1, such as 0.05.")
    counts = differences["p_holm"] <= level
    signs = differences.assign(
        helps=counts & (differences["difference"] > 0),
        hurts=counts & (differences["difference"] < 0),
    )
    groups = signs.groupby(along, sort=False)
    rows = groups.agg(
        settings=("difference", "size"),
        helps=("helps", "sum"),
        hurts=("hurts", "sum"),
        least=("difference", "min"),
        most=("difference", "max"),
    )
    is_kept = (rows["helps"] > 0) & (rows["hurts"] == 0)
    return rows.assign(verdict=np.where(is_kept, KEPT, FAILED)).reset_index()
