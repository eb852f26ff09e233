"""A space that is not listed: architectures are drawn from it, and changed, as they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.encodings import apply_encoding
from graf_utils.spaces import SearchSpace, get_space
from graf_utils.table import Table

__all__ = ["SpaceCandidates", "readable"]


@dataclass(frozen=True)
class SpaceCandidates:
    """All architectures of a space, however many, none of which is listed.

    A search draws some with ``space.sample`` and changes some with ``space.neighbours``; it keeps
    in memory only those that it evaluates.

    Parameters
    ----------
    space : SearchSpace or str
        The space, or its name.
    encoding : str, callable or None
        What predictors and guidance see: a name for `graf_utils.encodings.encode`, or a function
        of a `Table` (its ``space``, ``codes`` and ``architectures``) that returns numbers with one
        row per architecture. None, if the method reads no features.
    valid_only : bool
        Draw and change within the valid networks of the space only.

    Raises
    ------
    ValueError
        The encoding does not fit the space, as tried on two architectures.

    Examples
    --------
    >>> from graf_utils.search import Candidates, search
    >>> from graf_utils.spaces import CellSpace
    >>> space = CellSpace(list("abcdefghij"), edges=[(i, i + 1) for i in range(20)])  # 10**20
    >>> everything = Candidates.of(space, "op-count")
    >>> run = search(everything, lambda cells: [sum(cells[0])], "evolution", 100, random_state=0)
    >>> len(set(run["architecture"]))
    100
    """

    space: SearchSpace
    encoding: str | Callable[[Table], Any] | None
    valid_only: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", get_space(self.space))
        named = isinstance(self.encoding, str) or self.encoding is None
        if not named and not callable(self.encoding):
            raise ValueError(
                f"encoding is {type(self.encoding).__name__}; a space that is not listed has no "
                "rows of features. Write the name of an encoding, a function of a table, or None."
            )
        if not isinstance(self.valid_only, bool | np.bool_):
            raise ValueError(f"valid_only={self.valid_only!r} must be True or False.")
        if self.encoding is not None:
            self.features(self.sample(2, 0))

    def sample(self, n: int, random_state: int) -> NDArray[np.integer]:
        """Draw architectures; one may come twice.

        Parameters
        ----------
        n : int
        random_state : int

        Returns
        -------
        ndarray of shape (n, code_length)

        Raises
        ------
        ValueError
            The space cannot be drawn from.
        """
        valid_only = bool(self.valid_only)
        options: dict[str, Any] = {"replace": True, "random_state": random_state}
        try:
            codes = self.space.sample(n, valid_only=valid_only, **options)
        except ValueError as error:
            where = "SpaceCandidates(space, encoding, valid_only=False)"
            raise ValueError(
                f"{error} For a search, write {where}." if valid_only else error
            ) from error
        return np.ascontiguousarray(codes, dtype=self.space.code_dtype)

    def features(self, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Encode architectures.

        Parameters
        ----------
        codes : ndarray of shape (n, code_length)

        Returns
        -------
        ndarray of shape (n, n_columns)
            As a forest reads them.

        Raises
        ------
        ValueError
            There is no encoding, or it does not give finite numbers with one row each.
        """
        if self.encoding is None:
            raise ValueError(
                "encoding=None: this search reads features, and there are none. Name an encoding, "
                "such as Candidates.of(space, 'op-count')."
            )
        table = Table("candidates", "space", self.space, codes, {"none": np.zeros(len(codes))})
        return readable(
            _checks.matrix("features", apply_encoding(table, self.encoding), len(codes))
        )


def readable(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn features into the single precision in which forests read them.

    Parameters
    ----------
    values : ndarray of shape (n, n_features)

    Returns
    -------
    ndarray of shape (n, n_features), float32

    Raises
    ------
    ValueError
        A number is too large for it.
    """
    largest = np.abs(values).max()
    if largest > np.finfo(np.float32).max:
        raise ValueError(
            f"features holds {largest:.3g}, which is beyond the single precision in which "
            "forests read features. Scale that column, or take its logarithm."
        )
    return values.astype(np.float32)
