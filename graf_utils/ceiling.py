"""How near to its ceiling a prediction is: what networks that compute the same tell of each other.

Twins are networks that are written differently but compute the same function, such as two cells of
one isomorphism class, ``table.space.classes(table.codes, zeros="dropped")``. A benchmark trained
each on its own, so that their targets differ by chance only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.metrics import kendall_tau

__all__ = ["Ceiling", "twin_ceiling", "twin_means"]


@dataclass(frozen=True)
class Ceiling:
    """How well twins predict each other.

    Parameters
    ----------
    tau : float
        Kendall tau-b of the mean of a network's twins with its own target.
    n : int
        Number of networks that have a twin.
    share : float
        Their share of all networks.
    """

    tau: float
    n: int
    share: float


def twin_means(y: Any, labels: Any) -> NDArray[np.float64]:
    """Predict each network by the mean target of its twins, without its own.

    Parameters
    ----------
    y : array-like of shape (n,)
        Target of each network.
    labels : array-like of shape (n,)
        Twins have the same label. A Series is matched with a Series `y` by its index.

    Returns
    -------
    ndarray of shape (n,)
        NaN where a network has no twin. Any metric can be taken over the rest.

    Raises
    ------
    ValueError
        The lengths or labels do not fit, a label is missing, or a target is no finite number.
    """
    index = y.index if isinstance(y, pd.Series) else pd.RangeIndex(np.size(y))
    values = _checks.numbers_of(y)
    if values is None or values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"y is {_checks.short(y)}; it must be finite numbers of shape (n,), one per network. "
            "Take one column, and drop networks without a number from y and labels."
        )
    classes = _checks.row_labels("labels", labels, index, "y")
    counts = np.bincount(classes)[classes]
    others = np.bincount(classes, weights=values)[classes] - values
    return np.where(counts > 1, others / np.maximum(counts - 1, 1), math.nan)


def twin_ceiling(y: Any, labels: Any) -> Ceiling:
    """Kendall tau that networks reach as predictions of their twins.

    Over all networks that have a twin, between `twin_means` and their own targets.

    This is a lower bound of what a perfect predictor could reach on these networks, one that knows
    for each the mean target over endless trainings: the mean of a few twins is such a mean with the
    chance of a few trainings in it. It is no upper bound of what can be measured: a predictor that
    learns from many networks may have less noise than the mean of one or two twins, and pass it;
    and on other networks, whose targets may lie further apart, tau may be higher.

    Parameters
    ----------
    y : array-like of shape (n,)
        Target of each network.
    labels : array-like of shape (n,)
        See `twin_means`, also for errors.

    Returns
    -------
    Ceiling
        ``tau`` is NaN if no two networks have a twin.
    """
    predicted = twin_means(y, labels)
    has_twin = ~np.isnan(predicted)
    n = int(has_twin.sum())
    tau = kendall_tau(predicted[has_twin], np.asarray(y, dtype=float)[has_twin])
    return Ceiling(tau=tau, n=n, share=n / len(predicted) if len(predicted) else math.nan)
