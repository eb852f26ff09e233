"""How numbers are scaled before the network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCALINGS", "Scale", "learn_scale"]

SCALINGS = ("standard", "range", "none")
"""By mean and standard deviation; from 0 to 1 on the training set; as they are."""

_CLIP = 5.0  # standard deviations; some proxies have tails of many hundreds


@dataclass(frozen=True)
class Scale:
    """A map of numbers, learned from a training set.

    Attributes
    ----------
    centre, scale : float or ndarray of shape (n_columns,)
        What is subtracted, and then divided by.
    low, high : float
        Scaled numbers beyond these are cut off.
    """

    centre: NDArray[np.float64] | float
    scale: NDArray[np.float64] | float
    low: float = -np.inf
    high: float = np.inf

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale numbers, and cut off what lies beyond the limits.

        Parameters
        ----------
        values : ndarray of shape (n,) or (n, n_columns)

        Returns
        -------
        ndarray of the same shape
        """
        return np.clip((values - self.centre) / self.scale, self.low, self.high)


def learn_scale(name: str, values: NDArray[np.float64], kind: str, cut: bool) -> Scale:
    """Learn from a training set how to scale numbers, each column by itself.

    Parameters
    ----------
    name : str
        What the numbers are, for the message.
    values : ndarray of shape (n,) or (n, n_columns)
        The training set. A constant column is only centred.
    kind : {"standard", "range", "none"}
        One of `SCALINGS`.
    cut : bool
        Cut off what lies far from the training set: 5 standard deviations from its mean, or
        outside its range. Numbers that are left as they are are not cut.

    Returns
    -------
    Scale

    Raises
    ------
    ValueError
        The numbers are so large that their spread is no number.
    """
    if kind == "none":
        return Scale(0.0, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "standard":
            centre, scale, ends = values.mean(axis=0), values.std(axis=0), (-_CLIP, _CLIP)
        else:
            centre, scale, ends = values.min(axis=0), np.ptp(values, axis=0), (0.0, 1.0)
    if not np.isfinite(scale).all():
        raise ValueError(
            f"{name} are so large that their spread is infinite. Clip them, or take the logarithm."
        )
    low, high = ends if cut else (-np.inf, np.inf)
    return Scale(centre, np.where(scale == 0, 1.0, scale), low, high)
