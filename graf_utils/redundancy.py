"""Columns that say the same: equal, equal in order, or linear combinations of others."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from graf_utils._checks import numbers_of

__all__ = [
    "DistinctColumns",
    "DropsRedundant",
    "distinct_columns",
    "independent_columns",
    "redundant_groups",
]


def distinct_columns(X: NDArray[Any]) -> NDArray[np.intp]:
    """Find the columns that are neither constant nor a copy of an earlier column.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of int
        Positions of the columns, in order.

    Raises
    ------
    ValueError
        X is no matrix of numbers with at least one row.

    Examples
    --------
    >>> distinct_columns([[1, 0, 1, 3], [2, 0, 2, 4]])
    array([0, 3])
    """
    X = np.asarray(X)
    if X.dtype.kind == "O":  # compared by what the objects are, not by where they lie
        X = _numbers(X)
    if X.ndim != 2 or not len(X) or X.dtype.kind not in "biuf":
        raise ValueError(
            f"X of type {X.dtype} has shape {X.shape}; it must be a matrix of numbers, one row per "
            "architecture. Pass a frame such as encode(table, 'graf') gives."
        )
    seen: set[bytes] = set()
    keep = []
    for j in range(X.shape[1]):
        column = np.ascontiguousarray(X[:, j])
        if column.dtype.kind == "f":  # one zero and one NaN, which have several forms
            column = np.where(np.isnan(column), np.nan, column + column.dtype.type(0))
        key = column.tobytes()
        varies = column.tobytes() != np.full_like(column, column[0]).tobytes()
        if varies and key not in seen:
            seen.add(key)
            keep.append(j)
    return np.array(keep, dtype=np.intp)


def _numbers(X: NDArray[Any]) -> NDArray[Any]:
    """An array of objects as floats, if they are numbers."""
    try:
        return X.astype(float)
    except (TypeError, ValueError):
        return X


class DistinctColumns(SelectorMixin, BaseEstimator):
    """Select the columns that are neither constant nor a copy of an earlier column in `fit`.

    Where all columns are constant the first is kept, so that a predictor has something to see.
    """

    def fit(self, X: Any, y: Any = None) -> DistinctColumns:
        """Find the distinct columns of X.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)
        y : ignored

        Returns
        -------
        DistinctColumns

        Raises
        ------
        ValueError
            X is no matrix of finite numbers.
        """
        X = validate_data(self, X)
        self.columns_ = distinct_columns(X)
        if not len(self.columns_):
            self.columns_ = np.array([0], dtype=np.intp)
        return self

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self, "columns_")
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.columns_] = True
        return mask


class DropsRedundant:
    """What transformers share that can leave out redundant columns, by `drop_redundant`.

    Mixed into a scikit-learn transformer whose columns follow from its parameters, and which reads
    graphs instead of a matrix.
    """

    drop_redundant: bool

    def _learn(self, features: NDArray[Any]) -> None:
        """Find the columns to keep in `columns_`, of features of shape (n_rows, n_columns)."""
        self.columns_ = np.arange(features.shape[1])
        if self.drop_redundant:
            self.columns_ = distinct_columns(features)
            if not len(self.columns_):
                raise ValueError(
                    f"drop_redundant=True left no column: all features are constant over the "
                    f"{len(features)} architectures of fit. Fit on architectures that differ."
                )

    def _kept(self) -> NDArray[np.intp] | None:
        """Positions of the columns that are kept; None if all are."""
        if not self.drop_redundant:
            return None
        check_is_fitted(self, "columns_")
        return self.columns_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = bool(self.drop_redundant)
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


def redundant_groups(X: pd.DataFrame, threshold: float = 1.0) -> dict[str, list[str]]:
    """Group the columns that order the architectures alike.

    Two columns are as similar as the size of Spearman's rho; complete linkage makes groups where
    every pair reaches `threshold`. At 1, the default, a group holds the columns with exactly the
    same order or its reverse: a decision tree splits by order alone and cannot tell them apart.

    Parameters
    ----------
    X : DataFrame
        One row per architecture, at least two rows.
    threshold : float
        Least size of rho within a group, above 0 and at most 1.

    Returns
    -------
    dict of str to list of str
        Members by their representative, which is the member with the shortest name (the first of
        these). Constant columns, which can carry nothing, are one group.

    Raises
    ------
    ValueError
        X is no such frame, or the threshold is not in (0, 1].

    Examples
    --------
    >>> redundant_groups(pd.DataFrame({"a": [1, 2, 3], "minus a": [-1, -2, -3], "b": [1, 3, 2]}))
    {'a': ['a', 'minus a'], 'b': ['b']}
    """
    if not isinstance(X, pd.DataFrame) or len(X) < 2 or not X.shape[1] or not X.columns.is_unique:
        raise ValueError(
            f"X is {type(X).__name__} of shape {np.shape(X)}; it must be a DataFrame of at least "
            "two rows whose column names differ, such as encode(table, 'graf') gives."
        )
    if not isinstance(threshold, numbers.Real) or not 0 < threshold <= 1:
        raise ValueError(
            f"threshold={threshold!r} is a correlation; it must be above 0 and at most 1 (columns "
            "of exactly the same order)."
        )
    values = numbers_of(X)
    if values is None or not np.isfinite(values).all():
        raise ValueError(
            "X must hold finite numbers, such as encode(table, 'graf') gives. Encode text, and "
            "drop or fill what is missing."
        )
    varies = (values != values[0]).any(axis=0)
    labels = np.zeros(X.shape[1], dtype=int)  # 0: the constant ones
    labels[varies] = np.arange(1, varies.sum() + 1)
    if varies.sum() > 1:
        # Twice the centred ranks are whole numbers, so that equality is exact. It is decided by the
        # ranks themselves: their products are whole numbers too, but not exact in a large table.
        ranks = 2 * rankdata(values[:, varies], axis=0) - len(X) - 1
        orders = _numbered(ranks)
        same = orders == orders[:, None]
        products = np.abs(ranks.T @ ranks)
        squares = np.diag(products)
        near = np.minimum(products / np.sqrt(np.outer(squares, squares)), 1 - 1e-12)
        tree = linkage(squareform(np.where(same, 0.0, 1 - near), checks=False), "complete")
        labels[varies] = fcluster(tree, 1 - threshold + 1e-13, "distance")
    groups = [list(names) for _, names in pd.Series(X.columns).groupby(labels, sort=False)]
    return {min(names, key=lambda name: len(str(name))): names for names in groups}


def _numbered(ranks: NDArray[np.float64]) -> NDArray[np.intp]:
    """Number the columns of centred ranks so that equal and reversed orders share a number."""
    numbers: dict[bytes, int] = {}
    result = []
    for column in ranks.T:
        first = column[np.flatnonzero(column)[0]]
        key = (column * np.sign(first) + 0.0).tobytes()  # + 0.0: there is one zero only
        result.append(numbers.setdefault(key, len(numbers)))
    return np.array(result)


def independent_columns(X: Any, tolerance: float = 1e-9) -> NDArray[np.intp]:
    """Find a largest set of columns that are linearly independent, earlier ones first.

    A column is left out if it is a linear combination of those before it and a constant, that is,
    if nothing longer than `tolerance` of its length is left of it (Gram-Schmidt, done twice).

    Parameters
    ----------
    X : array-like of shape (n_rows, n_columns)
    tolerance : float
        Share of a column's length below which the rest counts as nothing.

    Returns
    -------
    ndarray of int
        Positions of the columns, in order.

    Raises
    ------
    ValueError
        X is no matrix of finite numbers.

    Examples
    --------
    >>> independent_columns([[1, 2, 0], [2, 4, 0], [3, 6, 1]])
    array([0, 2])
    """
    values = numbers_of(X)
    if values is None:
        raise ValueError("X must hold numbers, one row per architecture. Encode text first.")
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"X has shape {values.shape}; it must be a matrix of finite numbers, one row "
            "per architecture. Drop or fill what is missing."
        )
    values = np.unique(values, axis=0)  # a repeated row changes no rank
    varies = np.flatnonzero((values != values[0]).any(axis=0))
    values = values - values.mean(axis=0)
    basis = np.empty((len(values), min(len(values), len(varies))), order="F")
    keep: list[int] = []
    for j in varies.tolist():
        column = values[:, j] / np.linalg.norm(values[:, j])
        earlier = basis[:, : len(keep)]
        for _ in range(2):
            column = column - earlier @ (earlier.T @ column)
        left = np.linalg.norm(column)
        if left > tolerance:
            basis[:, len(keep)] = column / left
            keep.append(j)
    return np.array(keep, dtype=np.intp)
