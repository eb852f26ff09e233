"""What has one row per architecture: matched by its index, chosen, and of finite numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils._checks.arrays import numbers_of, whole_array
from graf_utils._checks.names import short


def aligned(what: str, value: Any, index: pd.Index, to: str) -> Any:
    """Put the rows of a pandas object in the order of an index, by their labels.

    The index 0..n-1 that pandas gives to what has none is no key: it agrees with any order, so it
    is matched with nothing but itself.

    Parameters
    ----------
    what : str
        What the object is, for the message, such as ``"targets"``.
    value : object
        A pandas Series or DataFrame; anything else is returned as it is, and so is an object of
        another length, which is for the caller to refuse.
    index : Index
        Labels in the right order.
    to : str
        What has these labels, for the message, such as ``"architectures"``.

    Returns
    -------
    object
        With the labels of `index`, in its order.

    Raises
    ------
    ValueError
        The labels are others, repeated, or in another order than 0..n-1 where these are expected.
    """
    if not isinstance(value, pd.Series | pd.DataFrame) or len(value) != len(index):
        return value
    if value.index.equals(index):
        return value
    numbers = pd.RangeIndex(len(index))
    both_keys = not value.index.equals(numbers) and not index.equals(numbers)
    if both_keys and value.index.is_unique and index.is_unique and _among(index, value.index):
        return value.loc[index]
    raise ValueError(
        f"the index of {what} begins with {short(value.index[:3].tolist())}, that of {to} with "
        f"{short(index[:3].tolist())}, so it is not certain which rows belong together. If row i "
        f"of {what} describes row i of {to} as they stand, {_remedy(what, value.index, index, to)}"
    )


def _among(labels: pd.Index, others: pd.Index) -> bool:
    """Whether all labels are among others; those of several levels only among such."""
    return labels.nlevels == others.nlevels and bool(labels.isin(others).all())


def _remedy(what: str, labels: pd.Index, index: pd.Index, to: str) -> str:
    """What to write where two indices do not fit: if rows agree as they stand, and if not."""
    numbers = pd.RangeIndex(len(index))
    if index.equals(numbers):
        remedy = f"write .reset_index(drop=True) behind {what}. "
        if labels.is_unique and _among(labels, numbers):
            return remedy + f"If the labels are row numbers of {to}, write .sort_index() there."
        return remedy + (
            "If the labels are names, write .loc[names].reset_index(drop=True) there, with the "
            f"names in the order of {to}."
        )
    if labels.equals(numbers):
        remedy = f"write .reset_index(drop=True) behind {to}. "
        if index.is_unique and _among(index, numbers):
            return remedy + (
                f"If the labels of {to} are row numbers of {what}, write {what}.loc[{to}.index]."
            )
        return remedy + f"If they do not, give {what} the labels of {to}."
    return (
        "write .reset_index(drop=True) behind both. If they do not, give both the same labels, "
        "each once."
    )


def in_order(what: str, value: Any, n_rows: int, of: str = "the table") -> Any:
    """Check that the rows of a pandas object are in the order of the architectures.

    A table numbers its rows 0..n-1, and so do the frames that are made from it. Another index tells
    that rows were moved or left out, but not whether the table's were as well.

    Parameters
    ----------
    what : str
        What the object is, for the message, such as ``"encoding 'mine'"``.
    value : object
        A pandas Series or DataFrame; anything else is returned as it is.
    n_rows : int
        Number of architectures.
    of : str
        What has the rows, for the message.

    Returns
    -------
    object
        The object itself.

    Raises
    ------
    ValueError
        The index is not 0..n-1.
    """
    return aligned(what, value, pd.RangeIndex(n_rows), of)


def row_labels(what: str, value: Any, index: pd.Index, to: str = "the table") -> NDArray[np.intp]:
    """Read one label per row, such as the class of each architecture, and number the labels.

    Parameters
    ----------
    what : str
        Name of the argument, for the message.
    value : array-like of shape (n_rows,)
        Numbers or text. A Series is matched by its index.
    index : Index
        That of the rows.
    to : str
        What has these rows, for the message.

    Returns
    -------
    ndarray of shape (n_rows,)
        Equal numbers for equal labels, from 0 by first appearance.

    Raises
    ------
    ValueError
        There is not one label per row, one is missing, or the index does not fit.
    """
    value = aligned(what, value, index, to)
    # in a list of numbers and text the numbers stay numbers
    values = np.array(value, dtype=object) if isinstance(value, list | tuple) else np.asarray(value)
    if values.shape != (len(index),):
        raise ValueError(
            f"{what} is {type(value).__name__} of shape {values.shape}; it must be one label for "
            f"each of the {len(index)} rows of {to}, such as table.space.classes(table.codes)."
        )
    numbers = pd.factorize(values)[0]
    if (numbers < 0).any():
        row = int(np.flatnonzero(numbers < 0)[0])
        raise ValueError(
            f"{what} has no label in row {row}. Give every row one; a row that is like no other "
            "has a label of its own."
        )
    return numbers


def matrix(what: str, value: Any, n_rows: int) -> NDArray[np.float64]:
    """Read a matrix of finite numbers with one row per architecture.

    Parameters
    ----------
    what : str
        What the matrix is, for the message, such as ``"encoding 'mine'"``.
    value : array-like of shape (n_rows, n_columns), or (n_rows,) for one column
        Sparse matrices are made dense.
    n_rows : int
        Number of architectures.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64

    Raises
    ------
    ValueError
        It has another shape or no columns, holds text or something else that is not a finite
        number, or has an index that is not the row numbers (`in_order`).
    """
    in_order(what, value, n_rows)
    values = numbers_of(value)
    if values is not None and values.ndim == 1:
        values = values[:, None]
    if values is None or values.ndim != 2 or len(values) != n_rows or not values.shape[1]:
        shape = "" if values is None else f" of shape {np.shape(value)}"
        raise ValueError(
            f"{what} is {type(value).__name__}{shape}; it must be numbers of shape ({n_rows}, "
            "n_features), one row per architecture of the table. Text must be encoded first."
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(
            f"{what} is not finite at row {row}, column {column}. Fill or drop what is missing."
        )
    return values


def row_choice(rows: Any, n_rows: int) -> NDArray[Any]:
    """Read row numbers, or a mask in the order of the rows.

    Parameters
    ----------
    rows : sequence or iterator of int, or mask
        The index of a Series of booleans is the row numbers.
    n_rows : int
        Number of rows there are.

    Returns
    -------
    ndarray of int or bool

    Raises
    ------
    ValueError
        It is none of these, or the mask has another length or order.
    """
    chosen = np.asarray(list(rows) if isinstance(rows, Iterator) else rows)
    if chosen.dtype == object and all(isinstance(row, bool | np.bool_) for row in chosen.flat):
        chosen = chosen.astype(bool)
    if chosen.ndim != 1:
        raise ValueError(
            f"rows={short(rows)} is {type(rows).__name__} of shape {chosen.shape}; it "
            "must be a list of row numbers, such as rows=[0], or one boolean per row."
        )
    if not chosen.size or (chosen.dtype == bool and not chosen.any()):
        raise ValueError(f"rows={short(rows)} chooses no row; choose one at least.")
    if chosen.dtype != bool:
        return whole_array("rows", chosen)
    in_order("rows", rows, n_rows)
    if len(chosen) != n_rows:
        raise ValueError(
            f"rows is a mask of {len(chosen)} values for {n_rows} rows; give one value "
            "per row, or row numbers."
        )
    return chosen


def predictions(what: str, returned: Any, n_rows: int) -> NDArray[np.float64]:
    """Read one number per row, as a predictor returned them.

    Parameters
    ----------
    what : str
        What was returned, for the message.
    returned : array-like of shape (n_rows,) or (n_rows, 1)
        NaN and infinity are left to the caller.
    n_rows : int
        Number of rows that were predicted.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        It has another shape or index, or holds something else than numbers.
    """
    values = numbers_of(in_order(what, returned, n_rows, "its input"))
    if values is None or values.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"{what} is {type(returned).__name__} of shape {np.shape(returned)}; it must be one "
            f"number for each of {n_rows} networks. Correct its method predict."
        )
    return values.ravel()
