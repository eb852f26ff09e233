"""Architectures without graphs: a label each, and a row of features of your own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.graphs import GraphBatch
from graf_utils.spaces.base import SearchSpace

__all__ = ["FeatureSpace"]


class FeatureSpace(SearchSpace):
    """The architectures of a frame of features, each known by its label.

    For networks that no graph of this package describes: whatever tells them apart stands in the
    columns. `graf_utils.Table.from_features` makes a table of them, and the encoding
    ``"own-features"`` hands the columns to a predictor. Encodings that look at graphs are refused.

    Parameters
    ----------
    features : DataFrame of shape (n_architectures, n_columns)
        Finite numbers; the index holds the labels, each once. A code is the number of a row.

    Attributes
    ----------
    features : DataFrame of float
        As given.

    Raises
    ------
    ValueError
        It is no frame of finite numbers, has no row or column, or a label or column name twice.

    Examples
    --------
    >>> frame = pd.DataFrame({"depth": [12, 24], "width": [64, 32]}, index=["small", "deep"])
    >>> space = FeatureSpace(frame)
    >>> space.to_codes(["deep"]).tolist(), space.from_codes([[1], [0]])
    ([[1]], ['deep', 'small'])
    """

    name = "features"
    title = "a frame of features"
    operations = ()
    code_length = 1
    code_dtype = np.dtype(np.int64)

    def __init__(self, features: pd.DataFrame) -> None:
        if not isinstance(features, pd.DataFrame):
            raise ValueError(
                f"features is {type(features).__name__}; it must be a DataFrame whose index holds "
                "one label per architecture. Write pd.DataFrame(features)."
            )
        repeated = features.index[features.index.duplicated()]
        if len(repeated):
            raise ValueError(
                f"features has the label {repeated[0]!r} twice; a label stands for one "
                "architecture. Number the rows with features.reset_index(drop=True), and targets "
                "likewise; if rows with one label are one network, pass the old labels to evaluate "
                "as twins="
            )
        if not all(isinstance(column, str) for column in features.columns):
            raise ValueError(
                f"features has the column names {_checks.short(list(features.columns))}; names "
                "must be text. Write features.rename(columns=str)."
            )
        if not features.columns.is_unique:
            name = features.columns[features.columns.duplicated()][0]
            raise ValueError(f"features has the column {name!r} twice; rename or drop one.")
        if not len(features):
            raise ValueError("features has no rows; at least one architecture is needed.")
        values = _checks.matrix("features", features.to_numpy(), len(features))
        self.features = pd.DataFrame(values, index=features.index, columns=features.columns)

    def to_codes(self, architectures: Any) -> NDArray[np.integer]:
        """Return the row number of each label.

        Parameters
        ----------
        architectures : sequence of labels, DataFrame, or ndarray of shape (n_architectures, 1)
            Of a frame, the labels of its index; an array with one column holds codes.

        Returns
        -------
        ndarray of shape (n_architectures, 1), int64

        Raises
        ------
        ValueError
            There is none, or one that the frame does not have.
        """
        if isinstance(architectures, np.ndarray) and architectures.ndim == 2:
            return self._checked(architectures)
        labels = self._labels(architectures)
        rows = self.features.index.get_indexer(labels)
        if (rows < 0).any():
            label = labels[int((rows < 0).argmax())]
            raise ValueError(
                f"the architecture {label!r} is not among the {len(self.features):,} labels of the "
                f"features, such as {self._example()!r}."
                + _checks.nearest(str(label), [str(name) for name in self.features.index[:10_000]])
            )
        return rows.astype(np.int64)[:, None]

    def _labels(self, architectures: Any) -> pd.Index:
        """The labels, from whatever holds several."""
        if isinstance(architectures, pd.DataFrame):
            architectures = architectures.index
        several = isinstance(architectures, Iterable) and not isinstance(architectures, str | bytes)
        labels = list(architectures) if several else []
        if not labels:
            raise ValueError(
                f"architectures={_checks.short(architectures)} holds no list of labels. Pass a "
                f"list such as [{self._example()!r}]."
            )
        return pd.Index(labels)

    def _checked(self, codes: NDArray[Any]) -> NDArray[np.integer]:
        """Codes that are row numbers of the frame."""
        last = len(self.features) - 1
        whole = codes.dtype.kind in "iu" and codes.shape[1] == 1 and len(codes)
        if not whole or codes.min() < 0 or codes.max() > last:
            raise ValueError(
                f"codes={_checks.short(codes.tolist())} are no row numbers of the features: an "
                f"integer array of shape (n, 1) with 0..{last}. Pass labels in a list instead."
            )
        return codes.astype(np.int64)

    def from_codes(self, codes: Any) -> list[Any]:
        """Return the label of each architecture.

        Parameters
        ----------
        codes : array-like of int, shape (n_architectures, 1)

        Returns
        -------
        list

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        rows = self._checked(np.asarray(codes)) if len(codes) else np.empty((0, 1), dtype=int)
        return self.features.index[rows[:, 0]].tolist()

    def rows(self, codes: Any) -> pd.DataFrame:
        """Return the features of some architectures.

        Parameters
        ----------
        codes : array-like of int, shape (n_architectures, 1)

        Returns
        -------
        DataFrame of shape (n_architectures, n_columns)
            Indexed by row number.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return self.features.iloc[self._checked(np.asarray(codes))[:, 0]].reset_index(drop=True)

    def enumerate(self) -> NDArray[np.integer]:
        """Return the codes of all architectures of the frame, in its order.

        Returns
        -------
        ndarray of shape (n_architectures, 1), int64
        """
        return np.arange(len(self.features), dtype=np.int64)[:, None]

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell for each architecture that it is valid: all of a frame are.

        Parameters
        ----------
        architectures : sequence of labels

        Returns
        -------
        ndarray of shape (n_architectures,), bool

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return np.ones(len(self.to_codes(architectures)), dtype=bool)

    def neighbours(self, architecture: Any, *, valid_only: bool = True) -> NoReturn:
        """Refuse: features do not say what a small change of a network is.

        Parameters
        ----------
        architecture, valid_only
            Not looked at.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            "a frame of features does not say which networks differ by one change. Describe your "
            "networks as a graf_utils.spaces.CellSpace for that, or use random search."
        )

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Refuse: there are no graphs.

        Parameters
        ----------
        architectures
            Not looked at.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            "networks of a frame of features have no graphs, which this encoding needs. Use the "
            "encoding 'own-features', or describe your networks as a graf_utils.spaces.CellSpace."
        )

    def _parse(self, text: str) -> tuple[int, ...]:
        return (int(self.to_codes([text])[0, 0]),)

    def _example(self) -> Any:
        return self.features.index[0]

    def __repr__(self) -> str:
        return (
            f"FeatureSpace({len(self.features):,} architectures, {self.features.shape[1]} columns)"
        )

    def __hash__(self) -> int:
        return hash((type(self), len(self.features), tuple(self.features.columns)))
