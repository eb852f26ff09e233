"""What a search may evaluate, and sets of it that cover it well."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from graf_utils.encodings import encode
from graf_utils.redundancy import distinct_columns
from graf_utils.spaces import SearchSpace
from graf_utils.table import Table, locate, row_numbers

__all__ = ["Candidates", "k_centre"]


@dataclass(frozen=True)
class Candidates:
    """The architectures that a search may evaluate, with their features.

    Parameters
    ----------
    space : SearchSpace
    architectures : sequence of length n
        All of a space that can be listed, or a sample of one that cannot; no repeats.
    features : DataFrame or array of shape (n, n_features)
        What predictors and guidance see, for example ``encode(table, "graf")``.

    Raises
    ------
    ValueError
        Rows do not fit, a feature is not finite, or an architecture stands there twice.
    """

    space: SearchSpace
    architectures: list[Any]
    features: pd.DataFrame
    codes: NDArray[np.int8] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes, frame = self.space.to_codes(self.architectures), pd.DataFrame(self.features)
        if len(frame) != len(codes) or not np.isfinite(frame.to_numpy(dtype=float)).all():
            raise ValueError(
                f"features has shape {frame.shape} for {len(codes)} architectures; it must hold a "
                "row of finite numbers for each. Encode the same list, and fill what is missing."
            )
        if (repeats := len(codes) - len(np.unique(codes, axis=0))) > 0:
            raise ValueError(
                f"architectures holds {repeats} repeats; each candidate must stand there once. "
                "Drop the repeats, and the same rows of features."
            )
        object.__setattr__(self, "architectures", self.space.from_codes(codes))
        object.__setattr__(self, "features", frame.reset_index(drop=True))
        object.__setattr__(self, "codes", codes)

    @classmethod
    def of(cls, table: Table, encoding: str = "graf") -> Candidates:
        """The architectures of a table, encoded as in `graf_utils.encodings.encode`."""
        return cls(table.space, table.codes, encode(table, encoding))

    def __len__(self) -> int:
        return len(self.architectures)

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """The distinct features, (n, n_distinct), as a forest reads them."""
        values = self.features.to_numpy(dtype=np.float32)
        keep = distinct_columns(values)
        return np.ascontiguousarray(values[:, keep if len(keep) else [0]])

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        return row_numbers(self.codes)

    def neighbours(self, index: int) -> NDArray[np.intp]:
        """Candidates nearest to one in the entries of the code that differ, itself left out.

        Where the whole space is listed these are the architectures that differ in one entry.
        """
        changed = self.space.neighbours(self.architectures[index], valid_only=False)
        rows = locate(changed, self._row_of)
        if (rows >= 0).any():
            return np.sort(rows[rows >= 0])
        distance = (self.codes != self.codes[index]).sum(axis=1)
        distance[index] = self.space.code_length + 1
        return np.flatnonzero(distance == distance.min())


def k_centre(X: Any, k: int, random_state: Any = None) -> NDArray[np.intp]:
    """Rows that cover a set: each next one is the farthest from those chosen (Gonzalez, 1985).

    Columns are scaled to unit variance. The largest distance of a row to its nearest chosen one is
    at most twice that of the best choice of `k` rows.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
    k : int
        Rows to choose, 1 to n.
    random_state : int, RandomState or None
        Draws the first row, and among equals.

    Returns
    -------
    ndarray of shape (k,)
        Indices in the order of choice, without repeats.
    """
    x = np.asarray(X, dtype=float)
    if x.ndim != 2 or not 1 <= k <= len(x):
        raise ValueError(f"k={k!r} rows of X with shape {x.shape}; k must lie in 1..{len(x)}.")
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
