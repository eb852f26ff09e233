"""Several objectives: who is beaten by nobody, and how much they beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["hypervolume", "pareto_front"]


def pareto_front(values: Any) -> NDArray[np.bool_]:
    """Which rows no other row beats: none is at least as high everywhere and higher somewhere.

    Examples
    --------
    >>> pareto_front([[1, 3], [2, 2], [1, 2]]).tolist()
    [True, True, False]
    """
    values = _points(values)
    rows, inverse = np.unique(values, axis=0, return_inverse=True)  # sorted; a row before what
    front = np.ones(len(rows), dtype=bool)  # beats it
    for i in range(len(rows) - 1):
        front[i] = not (rows[i + 1 :] >= rows[i]).all(axis=1).any()
    return front[inverse.ravel()]


def hypervolume(values: Any, reference: Any) -> float:
    """Area of what the rows beat, down to a reference point, for two objectives to be raised.

    Parameters
    ----------
    values : array-like of shape (n, 2)
    reference : pair of numbers
        Rows that do not beat it in both objectives add nothing.

    Returns
    -------
    float
        In the product of the two units.

    Examples
    --------
    >>> hypervolume([[1, 3], [2, 2], [1, 2]], reference=(0, 0))
    5.0
    """
    values = _points(values)
    if values.shape[1] != 2 or np.shape(reference) != (2,):
        raise ValueError(
            f"values has shape {values.shape} and reference {np.shape(reference)}; the hypervolume "
            "here is that of two objectives: (n, 2) and a pair."
        )
    above = np.maximum(values - np.asarray(reference, dtype=float), 0)
    above = above[np.argsort(-above[:, 0], kind="stable")]
    heights = np.maximum.accumulate(above[:, 1])
    return float(((above[:, 0] - np.append(above[1:, 0], 0)) * heights).sum())


def _points(values: Any) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"values has shape {values.shape}; it must be a matrix of finite numbers, a row a "
            "network and a column an objective."
        )
    return values
