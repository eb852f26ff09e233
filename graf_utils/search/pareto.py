"""Several objectives: who is beaten by nobody, and how much they beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks

__all__ = ["hypervolume", "pareto_front"]


def pareto_front(values: Any) -> NDArray[np.bool_]:
    """Tell which rows no other row beats, by being as high everywhere and higher somewhere.

    Parameters
    ----------
    values : array-like of shape (n, n_objectives)
        One row per network and one column per objective, all to be raised.

    Returns
    -------
    ndarray of shape (n,), bool
        In the order of the rows, whatever the index of a frame; equal rows stand together.

    Raises
    ------
    ValueError
        The values are no matrix of finite numbers.

    Examples
    --------
    >>> pareto_front([[1, 3], [2, 2], [1, 2]]).tolist()
    [True, True, False]
    """
    values = _points(values)
    # sorted, so that a row stands before all that beat it
    rows, inverse = np.unique(values, axis=0, return_inverse=True)
    front = np.ones(len(rows), dtype=bool)
    for i in range(len(rows) - 1):
        front[i] = not (rows[i + 1 :] >= rows[i]).all(axis=1).any()
    return front[inverse.ravel()]


def hypervolume(values: Any, reference: Any) -> float:
    """Area of what the rows beat, down to a reference point, for two objectives to be raised.

    Parameters
    ----------
    values : array-like of shape (n, 2)
        One row per network.
    reference : pair of numbers
        A Series beside a frame is matched by the names of the columns. Rows that do not beat it in
        both objectives add nothing.

    Returns
    -------
    float
        In the product of the two units.

    Raises
    ------
    ValueError
        There are not two objectives, or a number is not finite.

    Examples
    --------
    >>> hypervolume([[1, 3], [2, 2], [1, 2]], reference=(0, 0))
    5.0
    """
    if isinstance(values, pd.DataFrame) and isinstance(reference, pd.Series):
        reference = _checks.aligned("reference", reference, values.columns, "the columns")
    values = _points(values)
    corner = _checks.numbers_of(reference)
    fits = corner is not None and corner.shape == (2,) and np.isfinite(corner).all()
    if corner is None or not fits or values.shape[1] != 2:
        raise ValueError(
            f"values has shape {values.shape} and reference is {reference!r:.80}; the "
            "hypervolume here is that of two objectives: (n, 2) and a pair of finite numbers."
        )
    above = np.maximum(values - corner, 0)
    above = above[np.argsort(-above[:, 0], kind="stable")]
    heights = np.maximum.accumulate(above[:, 1])
    return float(((above[:, 0] - np.append(above[1:, 0], 0)) * heights).sum())


def _points(values: Any) -> NDArray[np.float64]:
    """Read a matrix of finite numbers."""
    points = _checks.numbers_of(values)
    if points is None or points.ndim != 2 or not points.size or not np.isfinite(points).all():
        shape = "" if points is None else f" of shape {points.shape}"
        raise ValueError(
            f"values is {type(values).__name__}{shape}; it must be a matrix of finite numbers, one "
            "row per network and one column per objective."
        )
    return points
