"""What the estimator is given: architectures in any of their forms, features, targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.graphs import GraphBatch
from graf_utils.predictors.brpnas.graphs import OperationGraphs, operation_graphs
from graf_utils.spaces import SearchSpace, get_space

__all__ = [
    "check_same_columns",
    "check_same_rows",
    "column_names",
    "read_architectures",
    "read_targets",
]


def check_same_rows(**inputs: Any) -> None:
    """Check that pandas inputs have one index, since rows are paired by position.

    Parameters
    ----------
    **inputs : object
        Inputs by name; only frames and series are looked at.

    Raises
    ------
    ValueError
        Two of them have another index.
    """
    indexed = {k: v for k, v in inputs.items() if isinstance(v, pd.DataFrame | pd.Series)}
    names = list(indexed)
    for name in names[1:]:
        first = names[0]
        if not indexed[name].index.equals(indexed[first].index):
            raise ValueError(
                f"{name} has another index than {first}, and rows are paired by position. Put them "
                f"in one order, {name}.loc[{first}.index], or, if row i belongs to row i, pass "
                f"{name}.to_numpy()."
            )


def column_names(**inputs: Any) -> dict[str, list[Any]]:
    """Return the names of the columns of inputs that are frames.

    Parameters
    ----------
    **inputs : object
        Inputs by name.

    Returns
    -------
    dict of str to list
    """
    return {k: list(v.columns) for k, v in inputs.items() if isinstance(v, pd.DataFrame)}


def check_same_columns(fitted: dict[str, list[Any]], columns: dict[str, list[Any]]) -> None:
    """Check that frames have the columns that `fit` has seen, since they are read by position.

    Parameters
    ----------
    fitted, columns : dict of str to list
        From `column_names`, in ``fit`` and now. An input that was no frame in one is not compared.

    Raises
    ------
    ValueError
        An input has other columns, or in another order.
    """
    for name in set(fitted) & set(columns):
        if fitted[name] != columns[name]:
            raise ValueError(
                f"{name} has the columns {_checks.short(columns[name])}; fit has seen "
                f"{_checks.short(fitted[name])}. Put them in that order: "
                f"{name}[model.columns_[{name!r}]]."
            )


def read_architectures(
    X: Any, extra: Any, space: str | SearchSpace | None, keep_absent: bool = False
) -> tuple[OperationGraphs, NDArray[np.float64]]:
    """Read graphs and features in any of the forms that `BRPNASRegressor.fit` takes.

    Parameters
    ----------
    X : array of shape (n, code_length + n_features), list of architectures, or GraphBatch
        The architectures, the features of an array beside their codes.
    extra : array of shape (n, n_features) or None
        Further features.
    space : str, SearchSpace or None
        How X is read; not needed for a `GraphBatch`.
    keep_absent : bool
        As in `operation_graphs`.

    Returns
    -------
    graphs : OperationGraphs
        One per architecture.
    features : ndarray of shape (n, n_features)

    Raises
    ------
    ValueError
        X cannot be read, codes are no whole numbers, or features are not finite.
    """
    if isinstance(X, GraphBatch | Mapping):
        graphs = operation_graphs(X, keep_absent)
    elif space is None:
        raise ValueError(
            f"X is {type(X).__name__} and space=None: only a GraphBatch can be read without a "
            "space. Pass space='nb201', or space.graph_batch(architectures)."
        )
    else:
        space = get_space(space)
        X, extra = _split(X, extra, space.code_length)
        graphs = operation_graphs(space.graph_batch(X), keep_absent)
    return graphs, _features(extra, len(graphs))


def _split(X: Any, extra: Any, code_length: int) -> tuple[Any, Any]:
    """Architectures, and the features from beside their codes with the further ones."""
    if hasattr(X, "__array__"):  # pandas, torch
        X = np.asarray(X)
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        return X, extra
    if X.shape[1] > code_length:
        X, beside = np.hsplit(X, [code_length])
        if extra is not None:
            beside = np.hstack([_features(beside, len(X)), _features(extra, len(X))])
        extra = beside
    if X.dtype.kind == "f":
        X = _whole(X)
    return X, extra


def _whole(codes: NDArray[np.floating]) -> NDArray[np.int64]:
    """Codes that stand in an array of floats, as integers; anything between is refused."""
    whole = np.isfinite(codes) & (codes == np.round(codes))
    if not whole.all():
        row, column = np.argwhere(~whole)[0].tolist()
        n = codes.shape[1]
        raise ValueError(
            f"X holds {codes[row, column]} at row {row}, column {column}; its first {n} columns "
            "are codes of architectures, which are whole numbers. Leave them as they are, and "
            "scale or fill the features only: np.hstack([codes, scaled_features]). In a pipeline, "
            f"scale with ColumnTransformer([('codes', 'passthrough', slice(0, {n}))], "
            "remainder=StandardScaler()). (This estimator scales features by itself.)"
        )
    return codes.astype(np.int64)


def _features(extra: Any, n_rows: int) -> NDArray[np.float64]:
    """Features beside the graph, none if nothing is given."""
    if extra is None:
        return np.empty((n_rows, 0))
    features = _checks.numbers_of(extra)
    fits = features is not None and features.ndim == 2 and len(features) == n_rows
    if features is None or not fits or not np.isfinite(features).all():
        raise ValueError(
            f"features of shape {np.shape(extra)} must be finite numbers, one row for each of the "
            f"{n_rows} networks. Fill or drop what is missing; one column x is x.reshape(-1, 1)."
        )
    return features


def read_targets(y: Any, n_rows: int) -> NDArray[np.float64]:
    """Read one target per architecture.

    Parameters
    ----------
    y : array of shape (n_rows,) or (n_rows, 1)
        Finite numbers.
    n_rows : int
        Number of architectures.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        The shape is another, a target is not finite, or there are fewer than four.
    """
    target = _checks.numbers_of(y)
    if target is not None and target.shape == (n_rows, 1):
        target = target[:, 0]
    fits = target is not None and target.shape == (n_rows,) and n_rows >= 4
    if target is None or not fits or not np.isfinite(target).all():
        raise ValueError(
            f"y of shape {np.shape(y)} must hold a finite number for each of the {n_rows} rows of "
            "X, at least 4. Drop rows without a target."
        )
    return target
