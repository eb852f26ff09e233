"""What a search may evaluate, and sets of it that cover it well."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from graf_utils import _checks
from graf_utils.encodings import apply_encoding
from graf_utils.redundancy import distinct_columns
from graf_utils.search.unlisted import SpaceCandidates, readable
from graf_utils.spaces import SearchSpace, get_space
from graf_utils.table import Table, locate, row_numbers

__all__ = ["Candidates", "k_centre"]


@dataclass(frozen=True)
class Candidates:
    """The architectures that a search may evaluate, with their features.

    Parameters
    ----------
    space : SearchSpace or str
        The space of the architectures, or its name.
    architectures : sequence of length n
        All of a space that can be listed, or a sample of one that cannot; no repeats.
    features : DataFrame or array of shape (n, n_features)
        What predictors and guidance see, for example ``encode(table, "graf")``. The index of a
        frame is its row numbers 0..n-1; a frame in another order is refused.

    Attributes
    ----------
    codes : ndarray of shape (n, code_length)
        The architectures as codes of the space.

    Raises
    ------
    ValueError
        The rows do not fit, a feature is not finite, or an architecture is repeated.
    """

    space: SearchSpace
    architectures: list[Any]
    features: pd.DataFrame
    codes: NDArray[np.integer] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_index(self.architectures)
        object.__setattr__(self, "space", get_space(self.space))
        codes = self.space.to_codes(self.architectures)
        readable(_checks.matrix("features", self.features, len(codes)))
        features = pd.DataFrame(_checks.in_order("features", self.features, len(codes)))
        repeats = len(codes) - len(np.unique(codes, axis=0))
        if repeats:
            raise ValueError(
                f"architectures holds {repeats} repeats; each candidate must stand there once. "
                "Drop the repeats, and the same rows of features; of a table, write "
                "table.drop_duplicates()."
            )
        object.__setattr__(self, "architectures", self.space.from_codes(codes))
        object.__setattr__(self, "features", features.reset_index(drop=True))
        object.__setattr__(self, "codes", codes)

    @classmethod
    def of(
        cls,
        table: Table | SearchSpace,
        encoding: str | pd.DataFrame | Callable[[Table], Any] | None = "graf",
    ) -> Candidates | SpaceCandidates:
        """Return the architectures of a table, or of a whole space, with an encoding of them.

        Parameters
        ----------
        table : Table or SearchSpace
            The candidates, in its order; or a space that is not listed, however large it is.
        encoding : str, DataFrame, array, callable or None
            A name for `graf_utils.encodings.encode`, numbers with one row per architecture, or a
            function of the table that returns them. For a space as in `SpaceCandidates`.

        Returns
        -------
        Candidates or SpaceCandidates

        Raises
        ------
        ValueError
            As for new `Candidates`, or the encoding is unknown.
        """
        if isinstance(table, SearchSpace):
            return SpaceCandidates(table, encoding)
        return cls(table.space, table.codes, apply_encoding(table, encoding))

    def __len__(self) -> int:
        return len(self.architectures)

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """The distinct features, of shape (n, n_distinct), as a forest reads them."""
        values = self.features.to_numpy(dtype=np.float32)
        keep = distinct_columns(values)
        return np.ascontiguousarray(values[:, keep if len(keep) else [0]])

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        """The row of each code, by its bytes."""
        return row_numbers(self.codes)

    def neighbours(self, index: int) -> NDArray[np.intp]:
        """Find the candidates nearest to one, by the number of entries of the code that differ.

        Where the whole space is listed these are the architectures that differ in one entry. In a
        space whose architectures may have one entry more (TransNAS-Bench-101-macro), an entry more
        or less counts as one that differs.

        Parameters
        ----------
        index : int
            Row of the candidate, which is left out.

        Returns
        -------
        ndarray of int
            Rows of the neighbours, sorted.

        Raises
        ------
        ValueError
            There is no such row.
        """
        (index,) = _checks.whole_numbers("index", index, 0, len(self) - 1, "rows of candidates")
        lengths = sorted(self.space.lengths)
        if all(longer - shorter > 1 for shorter, longer in pairwise(lengths)):
            changed = self.space.neighbours(self.architectures[index], valid_only=False)
            rows = locate(changed.astype(self.codes.dtype, copy=False), self._row_of)
            rows = rows[rows >= 0]
            if len(rows):
                return np.sort(rows)
        distance = (self.codes != self.codes[index]).sum(axis=1)
        distance[index] = self.space.code_length + 1
        return np.flatnonzero(distance == distance.min())


def _check_index(architectures: Any) -> None:
    """Refuse a pandas object of architectures whose index says another order than its rows."""
    if not isinstance(architectures, pd.Series | pd.DataFrame):
        return
    if not architectures.index.equals(pd.RangeIndex(len(architectures))):
        raise ValueError(
            f"the index of architectures begins with {list(architectures.index[:3])}; candidates "
            "are numbered 0, 1, ... as they stand. Pass architectures.to_numpy() as architectures, "
            "and as features, if they are a frame with that index, "
            "features.loc[architectures.index].to_numpy()."
        )


def k_centre(X: Any, k: int, random_state: Any = None) -> NDArray[np.intp]:
    """Choose rows that cover a set: each next one is the farthest from those chosen.

    Columns are scaled to unit variance. The largest distance of a row to its nearest chosen one is
    at most twice that of the best choice of `k` rows (Gonzalez, 1985).

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Finite numbers.
    k : int
        Rows to choose, 1 to n.
    random_state : int, RandomState or None
        Draws the first row, and among equals.

    Returns
    -------
    ndarray of shape (k,)
        Positions of the rows in the order of choice, without repeats.

    Raises
    ------
    ValueError
        X is no matrix of finite numbers, or `k` is no whole number from 1 to n.
    """
    x = _checks.numbers_of(X)
    if x is None:
        raise ValueError(f"X is {type(X).__name__}; it must be a matrix of finite numbers.")
    try:
        fits = x.ndim == 2 and not isinstance(k, bool) and 1 <= operator.index(k) <= len(x)
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(
            f"k={k!r} rows of X with shape {x.shape}; X must be a matrix, and k a whole number in "
            f"1..{len(x) if x.ndim else 0}."
        )
    x = _checks.matrix("X", x, len(x))
    rng = check_random_state(random_state)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    noise = rng.permutation(len(x))  # the order among equals
    chosen = [int(noise.argmin())]
    nearest_chosen = np.full(len(x), np.inf)
    for _ in range(k - 1):
        nearest_chosen = np.minimum(nearest_chosen, ((x - x[chosen[-1]]) ** 2).sum(axis=1))
        nearest_chosen[chosen] = -1
        chosen.append(int(np.lexsort((noise, -nearest_chosen))[0]))
    return np.array(chosen, dtype=np.intp)
