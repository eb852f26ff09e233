"""Arrays of whole and of real numbers, from whatever holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks.names import short


def numbers_of(value: Any) -> NDArray[np.float64] | None:
    """Read numbers as an array, without turning anything else into a number.

    Parameters
    ----------
    value : array-like or sparse matrix

    Returns
    -------
    ndarray of float64, or None
        None if it holds something else, such as text (also of digits), dates or complex numbers.
    """
    if hasattr(value, "toarray"):  # sparse
        value = value.toarray()
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and any(isinstance(item, str) for item in array.flat):
            return None
        return array.astype(float) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError, RuntimeError):  # ragged lists, a tensor that needs gradients
        return None


def to_array(name: str, values: Any) -> NDArray[Any]:
    """Return a numpy array of something that can become one, such as a tensor.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : array, tensor, or sparse matrix

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        It cannot be converted, such as a tensor on a GPU, or some of its entries are masked.
    """
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} holds masked entries, which have no value. Fill them (.filled(…)) or drop "
            "those rows."
        )
    if hasattr(values, "toarray"):  # a sparse matrix
        values = values.toarray()
    if hasattr(values, "detach"):  # a tensor that may carry gradients
        values = values.detach()
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} of type {type(values).__name__} is no array ({error}). Write "
            f"{name}.cpu().numpy() for a tensor, or pass a list of equally long lists."
        ) from None


def whole_array(name: str, values: Any) -> NDArray[np.integer]:
    """Read an array of whole numbers; floats that are whole are converted, others refused.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : array-like

    Returns
    -------
    ndarray of integers

    Raises
    ------
    ValueError
        A value is no whole number, or it is no array.
    """
    array = to_array(name, values)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "f":
        exact = (array == np.rint(array)) & (np.abs(array) < 2**53)
        if exact.all():
            return array.astype(np.int64)
    if array.dtype.kind == "b":
        raise ValueError(
            f"{name} holds True and False; it must hold whole numbers. Write "
            f"{name}.astype(int) if 0 and 1 are meant."
        )
    raise ValueError(
        f"{name} of type {array.dtype} must hold whole numbers only (ids or node numbers). Round "
        f"or map the values, then write {name}.astype(int)."
    )


def real_array(what: str, values: Any) -> NDArray[Any]:
    """Read an array of real numbers that a function of one's own gave.

    Parameters
    ----------
    what : str
        What gave it, for the message, such as ``"family 'mine'"``.
    values : array-like, tensor or sparse matrix

    Returns
    -------
    ndarray
        Whole numbers stay whole numbers, so that large ones are exact; all else is float64.

    Raises
    ------
    ValueError
        It holds something else, such as text or complex numbers.
    """
    numbers = numbers_of(values)
    if numbers is None:
        raise ValueError(
            f"{what} gave {short(values)} of type {type(values).__name__}; it must be an "
            "array of real numbers, one row per graph. Return np.asarray(rows, dtype=float), of a "
            "tensor rows.detach().numpy()."
        )
    as_given = np.asarray(values)
    return as_given if as_given.dtype.kind in "iub" else numbers  # so that integers stay exact
