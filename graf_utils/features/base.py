"""What the transformers of this folder share: reading their input, choosing columns, chunks.

A transformer of graphs names its columns and computes them from one batch of graphs per cell;
checks, chunks and redundant columns are handled here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from graf_utils import _memory
from graf_utils._checks import whole_number
from graf_utils.graphs import GraphBatch
from graf_utils.redundancy import DropsRedundant
from graf_utils.spaces import SearchSpace, get_space
from graf_utils.spaces.checking import graphs_of
from graf_utils.table import Table

__all__ = ["GraphTransformer", "Size", "chunks"]

_CHUNK = 16_384  # architectures at a time: the intermediate arrays stay in the processor's cache
_MAX_BYTES = 2**36  # of one feature matrix, 64 GiB, if as much is free
_SMALL_BYTES = 2**26  # for which no memory is asked after


def chunks(n: int, size: int) -> list[slice]:
    """Cut rows 0 .. n - 1 into slices.

    Parameters
    ----------
    n : int
        Number of rows.
    size : int
        Rows of a slice; the last may have fewer.

    Returns
    -------
    list of slice
    """
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


class Size(NamedTuple):
    """Size of a feature matrix: its number of columns, and its bytes in memory."""

    n_columns: int
    n_bytes: int


class GraphTransformer(DropsRedundant, TransformerMixin, BaseEstimator):
    """A scikit-learn transformer from architectures to columns of numbers.

    A subclass has the parameters `space`, `drop_redundant`, `dtype` and `chunk_size`, and defines
    `_plan`, which reads the parameters, and `_fill`, which computes the columns.
    """

    space: str | SearchSpace
    dtype: DTypeLike
    chunk_size: int | None

    @abstractmethod
    def _plan(self) -> tuple[list[str], Any]:
        """Names of all columns, and what `_fill` computes; raises if a parameter is wrong."""

    @abstractmethod
    def _fill(self, plan: Any, batches: dict[str, GraphBatch], features: NDArray[Any]) -> None:
        """Write all columns into an array of shape (n_columns, n_architectures)."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns to keep; without `drop_redundant` it only checks the input.

        Parameters
        ----------
        X : Table, sequence of architectures, or GraphBatch
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            An architecture is none of the space, an argument is wrong, or all columns are constant
            and `drop_redundant` leaves none.
        """
        self._learn(self._compute(X))
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Compute the features.

        Parameters
        ----------
        X : Table, sequence of architectures, or GraphBatch

        Returns
        -------
        ndarray of shape (n_architectures, n_features)

        Raises
        ------
        ValueError
            As in `fit`.
        """
        columns = self._kept()
        features = self._compute(X)
        return features if columns is None else features[:, columns]

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[Any]:
        """Fit and transform, with the features computed once.

        Parameters
        ----------
        X : Table, sequence of architectures, or GraphBatch
        y : ignored

        Returns
        -------
        ndarray of shape (n_architectures, n_features)

        Raises
        ------
        ValueError
            As in `fit`.
        """
        features = self._compute(X)
        self._learn(features)
        return features[:, self.columns_] if self.drop_redundant else features

    def transform_chunks(self, X: Any) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Compute the features of some architectures at a time.

        For matrices that should go to a file, not to memory: ``for rows, part in
        transformer.transform_chunks(X): stored[rows] = part``.

        Parameters
        ----------
        X : Table, sequence of architectures, or GraphBatch

        Yields
        ------
        rows : slice
            Which architectures, `chunk_size` at a time (default 16,384).
        part : ndarray of shape (n_rows, n_features)

        Raises
        ------
        ValueError
            As in `fit`.
        """
        batches = self._batches(X)
        n = len(next(iter(batches.values())))
        for rows in chunks(n, self._chunk_size()):
            yield rows, self.transform({cell: batch[rows] for cell, batch in batches.items()})

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return names such as ``max_path_len[nor_conv_3x3+nor_conv_1x1]``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (n_features,), str
            In the order of the columns.

        Raises
        ------
        ValueError
            An argument of the transformer is wrong.
        """
        names = np.array(self._plan()[0], dtype=object)
        kept = self._kept()
        return names if kept is None else names[kept]

    def estimate(self, n_architectures: int) -> Size:
        """Say how large a feature matrix would be, without making any of it.

        Parameters
        ----------
        n_architectures : int

        Returns
        -------
        Size
            Number of columns, without `drop_redundant`, and bytes.

        Raises
        ------
        ValueError
            An argument of the transformer is wrong, or `n_architectures` no whole number from 1.
        """
        n = whole_number("n_architectures", n_architectures, 1)
        n_columns = self._n_columns()
        return Size(n_columns, n * n_columns * self._dtype().itemsize)

    def _n_columns(self) -> int:
        return len(self._plan()[0])

    def _chunk_size(self) -> int:
        if self.chunk_size is None:
            return _CHUNK
        if not isinstance(self.chunk_size, int | np.integer) or self.chunk_size < 1:
            raise ValueError(
                f"chunk_size={self.chunk_size!r} must be a whole number from 1, or None."
            )
        return int(self.chunk_size)

    def _dtype(self) -> np.dtype[Any]:
        """Type of the feature matrix."""
        try:
            dtype = np.dtype(self.dtype)
        except TypeError:
            dtype = np.dtype(object)
        if dtype.kind not in "iubf":
            raise ValueError(
                f"dtype={self.dtype!r} is no type of real numbers. Pass one such as "
                "dtype=np.float32."
            )
        return dtype

    def _batches(self, X: Any) -> dict[str, GraphBatch]:
        """One batch of graphs per cell of the space, from any form of X."""
        space = get_space(self.space)
        if isinstance(X, Table):
            if X.space != space:
                raise ValueError(
                    f"X is table {X.name!r} of {X.space!r}, and the features are of {space!r}. "
                    f"Pass {type(self).__name__}(table.space)."
                )
            X = X.codes
        if isinstance(X, GraphBatch):
            X = {"": X}
        batches = X if isinstance(X, dict) else graphs_of(space, X)
        if tuple(batches) != space.cells:
            raise ValueError(
                f"X has the cells {tuple(batches)}; space {space.name!r} has {space.cells}. Pass a "
                "dictionary with a GraphBatch for each, as graph_batch gives."
            )
        for batch in batches.values():
            wrong = batch.operations != space.labels or len(batch.inputs) != len(space.inputs)
            if wrong or tuple(batch.numbers) != tuple(space.numbers):
                raise ValueError(
                    f"X is a GraphBatch over {batch.operations} with inputs {batch.inputs} and "
                    f"numbers {tuple(batch.numbers)}; space {space.name!r} has the operations "
                    f"{space.labels}, {len(space.inputs)} input(s) and numbers "
                    f"{tuple(space.numbers)}. Pass the batch's own space."
                )
        lengths = {cell: len(batch) for cell, batch in batches.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"X has cells of different numbers of graphs, {lengths}; row i of each must be of "
                "architecture i. Pass what graph_batch gives."
            )
        return batches

    def _compute(self, X: Any) -> NDArray[Any]:
        """All columns of all architectures."""
        names, plan = self._plan()
        batches = self._batches(X)
        n = len(next(iter(batches.values())))
        self._check_size(len(names), n)
        features = np.empty((len(names), n), dtype=self._dtype())  # columns are contiguous
        self._fill(plan, batches, features)
        return features.T

    def _check_size(self, n_columns: int, n: int) -> None:
        """Raise if the feature matrix does not fit into memory."""
        dtype = self._dtype()
        n_bytes = n_columns * n * dtype.itemsize
        if n_bytes <= _SMALL_BYTES:
            return
        free = _memory.available()
        most = _MAX_BYTES if free is None else min(free, _MAX_BYTES)
        if n_bytes > most:
            sizes = [_memory.written(n_columns * n * each) for each in (dtype.itemsize, 4)]
            fit = max(int(most // (2 * n_columns * dtype.itemsize)), 1)
            small = f" and chunk_size={fit}" if fit < min(n, self._chunk_size()) else ""
            raise ValueError(
                f"{n_columns:,} features of {n:,} architectures take {sizes[0]} as {dtype}, and at "
                f"most {_memory.written(most)} can be had here. Compute them in parts with "
                f"transform_chunks{small}, take dtype=np.float32 ({sizes[1]}), or ask for fewer."
            )

    def _stored(self, values: NDArray[Any], what: str) -> NDArray[Any]:
        """Values in the type of the feature matrix; an integer type must hold them exactly."""
        dtype = self._dtype()
        stored = values.astype(dtype, copy=False)
        if dtype.kind in "iub" and (stored != values).any():
            wrong = values[stored != values][0]
            raise ValueError(
                f"dtype={dtype} cannot hold {wrong} of {what}. Use a float dtype, or a wider "
                "integer."
            )
        return stored
