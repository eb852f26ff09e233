"""Drawing cells of a space without listing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.spaces.places import Places

__all__ = ["draw_cells"]

_MIN_DRAWN = 1024  # cells drawn at a time


def draw_cells(
    places: Places,
    n: int,
    valid: Callable[[Any], NDArray[np.bool_]] | None,
    replace: bool,
    rng: np.random.Generator,
    dtype: np.dtype[Any],
    rounds: int,
) -> NDArray[np.integer]:
    """Draw cells one by one; those that are invalid or drawn before are drawn again.

    Parameters
    ----------
    places : Places
        What a cell is made of.
    n : int
        How many to draw.
    valid : callable, optional
        From codes to a mask of those that may be drawn.
    replace : bool
        Cells may repeat.
    rng : numpy Generator
    dtype : numpy dtype
        Of the codes.
    rounds : int
        How many times n cells, or 1024 if that is more, are drawn at most.

    Returns
    -------
    ndarray of shape (n, code_length)
        In the order drawn. Fewer rows if hardly any cell is valid and so many were not found.
    """
    codes = np.empty((0, places.depths[-1] * places.width), dtype=dtype)
    for _ in range(rounds):
        drawn = places.draw(max(n, _MIN_DRAWN), rng, dtype)
        if valid is not None:
            drawn = drawn[valid(drawn)]
        codes = np.concatenate([codes, drawn])
        if not replace:
            first = np.unique(codes, axis=0, return_index=True)[1]
            codes = codes[np.sort(first)]
        if len(codes) >= n:
            return codes[:n]
    return codes
