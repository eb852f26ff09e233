"""Two searches compared in pairs of runs with the same seed: how many evaluations each needs.

A run that ends before it reaches the goal is *censored*: it needs more evaluations than its budget,
but nobody knows how many. It is never left out, and never taken for one that reached the goal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from graf_utils import _checks

__all__ = ["Comparison", "compare_evaluations", "evaluations_needed"]


def evaluations_needed(
    runs: pd.DataFrame, within: float, by: str | Iterable[str] = "seed", column: str = "regret"
) -> pd.Series:
    """Find the evaluation at which each run first comes near enough to the best.

    Parameters
    ----------
    runs : DataFrame
        Rows of several runs of `search`, all or only those where the incumbent changed, with the
        columns ``evaluation``, `column` and those of `by`.
    within : float
        The regret that is near enough.
    by : str or iterable of str
        Columns that tell one run from another.
    column : str
        What must be as low as `within`: how far the incumbent lies below the best.

    Returns
    -------
    Series of float
        One number per run, labelled by `by`; infinite for a run that never comes as near.

    Raises
    ------
    ValueError
        A column is missing, a regret or `within` is not finite, or `by` takes two runs for one.

    Examples
    --------
    >>> runs = pd.DataFrame({"seed": [0, 0, 1, 1], "evaluation": [1, 7, 1, 9]})
    >>> runs["regret"] = [0.5, 0.1, 0.6, 0.3]
    >>> evaluations_needed(runs, 0.2).to_dict()
    {0: 7.0, 1: inf}
    """
    by = _checks.names("by", by)
    _checks.numeric_columns("runs", runs, ["evaluation", column])
    missing = [name for name in by if name not in runs]
    if missing or runs.empty:
        raise ValueError(
            f"runs has {len(runs)} rows and no column {missing} of by={by}; it has {list(runs)}. "
            "Name columns that it has, and check how its rows were selected."
        )
    if not np.isfinite([within, runs[column].min(skipna=False), runs[column].max()]).all():
        raise ValueError(
            f"within={within!r}, and column {column!r} of runs: both must be finite. Drop the runs "
            "of tasks in which it is not known."
        )
    repeated = runs.duplicated([*by, "evaluation"])
    if repeated.any():
        first = runs.loc[repeated, [*by, "evaluation"]].iloc[0].to_dict()
        raise ValueError(
            f"runs has two rows for {first}, so by={by} takes two runs for one. Add the column "
            "that tells them apart, such as 'encoding', to by."
        )
    near = runs["evaluation"].where(runs[column] <= within, math.inf)
    return near.astype(float).groupby([runs[name] for name in by]).min().rename("evaluations")


@dataclass(frozen=True)
class Comparison:
    """Two searches, paired by seed.

    Parameters
    ----------
    n : int
        Number of pairs.
    first, second : float
        Median number of evaluations; infinite if half of the runs or more are censored.
    first_censored, second_censored : int
        Number of runs that did not reach the goal within the budget.
    saved : float
        Median over the pairs of how many evaluations fewer the first needs.
    low, high : float
        Bootstrap interval (95 %) of `saved`.
    sooner : float
        Share of the pairs in which the first is sooner; ties count half.
    p : float
        Two-sided p value of Wilcoxon's signed-rank test that neither is sooner.
    """

    n: int
    first: float
    second: float
    first_censored: int
    second_censored: int
    saved: float
    low: float
    high: float
    sooner: float
    p: float


def compare_evaluations(
    first: Any, second: Any, budget: int, *, n_draws: int = 2000, random_state: Any = 0
) -> Comparison:
    """Compare the evaluations that two searches need, in pairs of runs with the same seed.

    A censored run counts as if it reached the goal with the evaluation after its budget, the
    earliest that is possible. So which one of a pair is sooner is certain, and the difference is at
    least as large as it is counted; two censored runs are a tie.

    Parameters
    ----------
    first, second : array-like of shape (n,)
        Evaluations needed, infinite if censored: `evaluations_needed`. Two Series are paired by
        their labels, the seeds.
    budget : int
        Evaluations of every run.
    n_draws : int
        Bootstrap samples of the pairs.
    random_state : int, Generator, RandomState or None
        Draws them.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        The pairs do not fit, there is none, or a number is neither infinite nor from 1 to `budget`.

    Examples
    --------
    >>> compared = compare_evaluations([30, 40, 50], [45, 40, math.inf], budget=100)
    >>> compared.saved, compared.second_censored
    (15.0, 1)
    """
    budget = _checks.whole_number("budget", budget, 1)
    n_draws = _checks.whole_number("n_draws", n_draws, 1)
    index = first.index if isinstance(first, pd.Series) else pd.RangeIndex(np.size(first))
    one = _needed("first", first, len(index), budget)
    other = _needed("second", _checks.aligned("second", second, index, "first"), len(index), budget)
    saved = np.minimum(other, budget + 1) - np.minimum(one, budget + 1)
    draws = _checks.generator(random_state).choice(saved, (n_draws, len(saved)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return Comparison(
        n=len(saved),
        first=float(np.median(one)),
        second=float(np.median(other)),
        first_censored=int(np.isinf(one).sum()),
        second_censored=int(np.isinf(other).sum()),
        saved=float(np.median(saved)),
        low=float(low),
        high=float(high),
        sooner=float(np.mean(saved > 0) + np.mean(saved == 0) / 2),
        p=float(wilcoxon(saved, zero_method="zsplit").pvalue),
    )


def _needed(what: str, value: Any, n: int, budget: int) -> NDArray[np.float64]:
    """Read numbers of evaluations, infinite where a run is censored."""
    numbers = _checks.numbers_of(value)
    if numbers is None or numbers.shape != (n,) or not n:
        raise ValueError(
            f"{what} is {_checks.short(value)}; first and second must hold one number of "
            "evaluations per seed, for the same seeds, at least one."
        )
    allowed = np.isposinf(numbers) | ((numbers >= 1) & (numbers <= budget))
    if not allowed.all():
        raise ValueError(
            f"{what} holds {numbers[~allowed][0]:g}; with budget={budget} it must hold numbers "
            "from 1 to the budget, or infinity where the goal was not reached. Take them from "
            "evaluations_needed, and the budget from the recipe of the runs."
        )
    return numbers
