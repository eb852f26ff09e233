"""Metrics of predictions: how well they order networks, and how well they find the best ones.

A metric is a function (predicted, true) -> float, over the networks that a predictor has not seen.
The higher a target, the better; a target that is better when it is low, such as a latency, is
negated first (``table.assign``). Networks with equal predictions are in no order, so no metric
depends on that of the rows: the rank correlations correct for ties, and the metrics of the top are
means over all orders of the tied networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import ndcg_score

from graf_utils import _checks

__all__ = [
    "METRICS",
    "kendall_tau",
    "make_metrics",
    "measure",
    "ndcg",
    "precision_at_top",
    "regret_at_k",
    "spearman",
]

Metric = Callable[..., float]


def kendall_tau(predicted: Any, true: Any) -> float:
    """Kendall's tau-b: pairs ordered alike minus pairs ordered oppositely, corrected for ties.

    Kendall (1945), "The treatment of ties in ranking problems", as `scipy.stats.kendalltau`.

    Parameters
    ----------
    predicted, true : array-like of shape (n,)
        Predictions and targets of the same networks; two Series are matched by their labels.

    Returns
    -------
    float
        From -1 to 1; 0 if the prediction is constant, else NaN if the target is.

    Raises
    ------
    ValueError
        The lengths or labels do not fit, or something is not a finite number.
    """
    return _correlation(kendalltau, predicted, true)


def spearman(predicted: Any, true: Any) -> float:
    """Spearman's rho: the linear correlation of ranks, where tied networks share their mean rank.

    Spearman (1904), "The proof and measurement of association between two things", as
    `scipy.stats.spearmanr`. See `kendall_tau` for the arguments, the errors, and constant values.

    Parameters
    ----------
    predicted, true : array-like of shape (n,)

    Returns
    -------
    float
        From -1 to 1.
    """
    return _correlation(spearmanr, predicted, true)


def ndcg(predicted: Any, true: Any, k: int = 1000, doubling: float = 1.0) -> float:
    """Normalised discounted cumulative gain of the `k` predicted best.

    The sum of ``gain / log2(rank + 1)`` over the predicted ranks 1 to `k`, divided by the largest
    sum that an order of the same networks has (Järvelin & Kekäläinen, 2002); the gain grows
    exponentially (Burges et al., 2005), ``2 ** ((true - lowest) / doubling) - 1``, where ``lowest``
    is the lowest target of these networks. `sklearn.metrics.ndcg_score` computes it, and takes the
    mean over all orders of tied networks.

    With accuracies in per cent this is nDCG_P of Týbl & Neumann (CVPR 2025, "VKDNW", arXiv
    2502.04975), ``1/Z * sum((2 ** acc - 1) / log2(1 + j))`` for j = 1 to P, but for the shift by
    the lowest accuracy, which keeps the gain positive for any target and moves the result by about
    ``2 ** (lowest - highest)``. Their formula, and P = 1000, we know from notes by others on the
    paper, not from the paper itself or its code, in whose repository we found no licence. That
    accuracies are in per cent is our inference: for FLOPs and CIFAR-10 these notes give .745; we
    get .720 (test accuracy, 9,445 valid cells), and .990 with accuracies as shares.

    Parameters
    ----------
    predicted, true : array-like of shape (n,)
        See `kendall_tau`, also for errors.
    k : int
        Number of ranks that count; all if there are fewer networks.
    doubling : float
        The difference of the target that doubles the gain: 1 suits accuracies in per cent, 0.01
        accuracies as shares. The metric depends on it, so say it beside the number.

    Returns
    -------
    float
        From 0 to 1; NaN if the target is constant.

    Raises
    ------
    ValueError
        `k` or `doubling` is not positive.
    """
    predicted, true = _read(predicted, true)
    k = _checks.whole_number("k", k, 1)
    if not (isinstance(doubling, int | float) and 0 < doubling < math.inf):
        raise ValueError(
            f"doubling={doubling!r} must be a positive number, the difference of the target that "
            "doubles the gain, such as doubling=1.0 for accuracies in per cent."
        )
    if _is_constant(true):
        return math.nan
    exponent = math.log(2) * ((true - true.min()) / doubling)
    # exp(exponent) - 1, divided by its largest value so that nothing overflows
    gain = -np.expm1(-exponent) * np.exp(exponent - exponent.max())
    return float(ndcg_score([gain], [predicted], k=k))


def precision_at_top(predicted: Any, true: Any, top: float = 0.1) -> float:
    """Share of the predicted best that are among the true best, both of the same number.

    Precision at k of information retrieval, with the k best networks as what is relevant. A network
    that is as good as the k-th best is one of them; of networks with equal predictions at the edge,
    each is as likely in as any other.

    Parameters
    ----------
    predicted, true : array-like of shape (n,)
        See `kendall_tau`, also for errors.
    top : float or int
        A share of the networks below 1, rounded to at least one of them; or, as a whole number from
        1, how many; all if there are fewer.

    Returns
    -------
    float
        From 0 to 1; a prediction at random has about k / n. NaN if the target is constant.

    Raises
    ------
    ValueError
        `top` is neither a share nor a number of networks.
    """
    predicted, true = _read(predicted, true)
    is_share = isinstance(top, float | np.floating) and 0 < top < 1
    count = max(1, round(top * len(true))) if is_share else _count_of(top)
    if _is_constant(true):
        return math.nan
    count = min(count, len(true))
    best = true >= np.partition(true, -count)[-count]
    surely, tied, n_drawn = _chosen(predicted, count)
    hits = (surely & best).sum() + n_drawn * (tied & best).sum() / tied.sum()
    return float(hits / count)


def regret_at_k(predicted: Any, true: Any, k: int = 10) -> float:
    """How far the best of the `k` predicted best lies below the best of all.

    The simple regret of someone who trains the `k` networks that a predictor puts first and keeps
    the best of them (k = 1: who trusts it); in the units of the target.

    Parameters
    ----------
    predicted, true : array-like of shape (n,)
        See `kendall_tau`, also for errors.
    k : int
        Number of networks that are trained; all if there are fewer.

    Returns
    -------
    float
        From 0; NaN without networks.

    Raises
    ------
    ValueError
        `k` is no whole number from 1.
    """
    predicted, true = _read(predicted, true)
    k = _checks.whole_number("k", k, 1)
    if not len(true):
        return math.nan
    surely, tied, n_drawn = _chosen(predicted, min(k, len(true)))
    # n_drawn of the tied networks are drawn; below[i]: the chance that none is better than the i-th
    ordered = np.sort(true[tied])
    below, ranks = np.ones(len(ordered)), np.arange(1, len(ordered) + 1)
    for i in range(n_drawn):
        below *= np.maximum(ranks - i, 0) / (len(ordered) - i)
    reached = np.maximum(ordered, true[surely].max(initial=-math.inf))
    return float(np.diff(below, prepend=0.0) @ (true.max() - reached))


METRICS: dict[str, Metric] = {
    "kendall_tau": kendall_tau,
    "spearman": spearman,
    "ndcg": ndcg,
    "precision_at_5pct": partial(precision_at_top, top=0.05),
    "precision_at_10pct": partial(precision_at_top, top=0.1),
    "regret_at_1": partial(regret_at_k, k=1),
    "regret_at_10": regret_at_k,
}
"""Metrics by name. One with other settings is a function of your own:
``metrics={"ndcg": functools.partial(ndcg, doubling=0.01)}``."""


def make_metrics(metrics: Any) -> dict[str, Metric]:
    """Read metrics: names of `METRICS`, functions, lists of these, or a mapping.

    Parameters
    ----------
    metrics : str, function, sequence of these, or mapping of name to one of them
        A function takes (predicted, true) and returns a number.

    Returns
    -------
    dict of str to function

    Raises
    ------
    ValueError
        An unknown name, a name twice, or something that is neither a name nor a function.
    """
    made: dict[str, Metric] = {}
    for name, metric in _checks.named("metrics", metrics):
        if isinstance(metric, str):
            _checks.choice("metrics", metric, METRICS)
            metric = METRICS[metric]
        if not callable(metric):
            raise ValueError(
                f"metric {name!r} is {_checks.short(metric)}; it must be a name, one of "
                f"{list(METRICS)}, or a function of (predicted, true) that returns a number."
            )
        made[name] = metric
    return made


def measure(
    metrics: Mapping[str, Metric], predicted: NDArray[np.float64], true: NDArray[np.float64]
) -> dict[str, float]:
    """Take several metrics of the same predictions.

    Parameters
    ----------
    metrics : mapping of str to function
        From `make_metrics`.
    predicted, true : ndarray of shape (n,)
        Each function gets a copy.

    Returns
    -------
    dict of str to float
        All NaN if there are fewer than two networks.

    Raises
    ------
    ValueError
        A function returned something else than a number.
    """
    if len(true) < 2:
        return dict.fromkeys(metrics, math.nan)
    numbers = {}
    for name, metric in metrics.items():
        value = metric(predicted.copy(), true.copy())
        number = _checks.numbers_of(value)
        if value is None or number is None or number.shape != ():
            raise ValueError(
                f"metric {name!r} returned {_checks.short(value)}; it must return one number. "
                "Write float(...) around what it returns."
            )
        numbers[name] = float(number)
    return numbers


def _read(predicted: Any, true: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read predictions and targets: as many, in the same order, finite."""
    index = true.index if isinstance(true, pd.Series) else pd.RangeIndex(np.size(true))
    arrays = []
    for what, value in (("predicted", predicted), ("true", true)):
        values = _checks.numbers_of(_checks.aligned(what, value, index, "true"))
        if values is None or values.shape != (len(index),) or not np.isfinite(values).all():
            raise ValueError(
                f"{what} is {_checks.short(value)}; it must be finite numbers of shape "
                f"({len(index)},), one per network. Drop networks without a number from both."
            )
        arrays.append(values)
    return arrays[0], arrays[1]


def _is_constant(values: NDArray[np.float64]) -> bool:
    return bool((values == values[:1]).all())


def _correlation(function: Callable[..., Any], predicted: Any, true: Any) -> float:
    """A rank correlation; 0 if the prediction is constant, else NaN if the target is."""
    predicted, true = _read(predicted, true)
    if len(true) < 2:
        return math.nan
    if _is_constant(predicted):
        return 0.0
    return math.nan if _is_constant(true) else float(function(predicted, true).statistic)


def _count_of(top: Any) -> int:
    """A number of networks, where a share was allowed as well."""
    try:
        return _checks.whole_number("top", top, 1)
    except ValueError:
        raise ValueError(
            f"top={top!r} must be a share between 0 and 1, such as top=0.1, or a whole number of "
            "networks from 1, such as top=10."
        ) from None


def _chosen(
    predicted: NDArray[np.float64], count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """The predicted best: those surely chosen, those tied at the edge, how many of these are."""
    edge = np.partition(predicted, -count)[-count]
    surely, tied = predicted > edge, predicted == edge
    return surely, tied, count - int(surely.sum())
