"""Reading arguments: names, whole numbers, matrices, and errors that say what to write instead.

Every check raises a `ValueError` that names the argument and what was given, says the rule, and
says what to write. The functions know nothing of the rest of the package.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Suggest the allowed name that is nearest to a misspelt one.

    Parameters
    ----------
    name : object
        What was given.
    allowed : iterable of str

    Returns
    -------
    str
        ``" Did you mean 'x'?"``, to be put behind a message, or ``""`` if nothing is near.
    """
    match = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""


def short(value: Any, limit: int = 80) -> str:
    """Return the repr of a value, cut to `limit` characters for a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def choice(argument: str, value: Any, allowed: Iterable[str]) -> None:
    """Check that a value is one of the allowed names.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : object
        What was given for it.
    allowed : iterable of str

    Raises
    ------
    ValueError
        It is not.
    """
    allowed = list(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(
            f"{argument}={value!r} is unknown; it must be one of {allowed}."
            f"{nearest(value, allowed)}"
        )


def names(argument: str, value: str | Iterable[str]) -> list[str]:
    """Read a name or several names, each once.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : str or iterable of str

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        There is no name, something else than a name, or a name twice.
    """
    listed = [value] if isinstance(value, str) else list(value)
    if not listed or not all(isinstance(name, str) for name in listed):
        raise ValueError(f"{argument}={value!r}: pass a name or a non-empty list of names.")
    repeated = sorted({name for name in listed if listed.count(name) > 1})
    if repeated:
        raise ValueError(f"{argument}={value!r} repeats {repeated}; name each once.")
    return listed


def named(argument: str, value: Any) -> list[tuple[str, Any]]:
    """Read names, or a mapping of a name to an object: the package's one way to be extended.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : str, iterable of str, or mapping of name to object

    Returns
    -------
    list of (name, object)
        A name that was given without an object stands for itself.

    Raises
    ------
    ValueError
        It is neither names nor a mapping, or a name stands there twice.
    """
    if isinstance(value, Mapping):
        names(argument, list(value))
        return list(value.items())
    if not isinstance(value, str) and not isinstance(value, Iterable):
        raise ValueError(
            f"{argument}={value!r:.80}: pass names, or a mapping of a name to an object, such as "
            f"{{'mine': ...}}."
        )
    return [(name, name) for name in names(argument, value)]


def whole_numbers(argument: str, value: Any, low: int, high: int, unit: str) -> list[int]:
    """Read a whole number or several, each once.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : int or iterable of int
    low, high : int
        Smallest and largest number allowed.
    unit : str
        What is counted, for the message.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        There is none, one is not a whole number from `low` to `high`, or one is repeated.
    """
    try:
        values = list(value) if isinstance(value, Iterable) else [value]
        numbers = [int(item) for item in values]
        wrong = [v for v, n in zip(values, numbers, strict=True) if n != v or not low <= n <= high]
    except (TypeError, ValueError, OverflowError):
        values, wrong = [value], [value]
    if wrong or not values:
        raise ValueError(
            f"{argument}={value!r}: {wrong[0] if wrong else 'nothing'!r} is not allowed; it must "
            f"be whole numbers from {low:,} to {high:,} ({unit})."
        )
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{argument}={value!r} repeats a value; name each once.")
    return numbers


def in_order(what: str, value: Any, n_rows: int) -> Any:
    """Put the rows of a pandas object in the order of its index, which must be row numbers.

    Parameters
    ----------
    what : str
        What the object is, for the message, such as ``"encoding 'mine'"``.
    value : object
        A pandas Series or DataFrame; anything else is returned as it is.
    n_rows : int
        Number of architectures.

    Returns
    -------
    object
        Row i has the label i. Where the index is 0..n-1 already, the object itself.

    Raises
    ------
    ValueError
        The index holds something else than each row number once.
    """
    if not isinstance(value, pd.Series | pd.DataFrame) or len(value) != n_rows:
        return value
    rows = pd.RangeIndex(n_rows)
    if value.index.equals(rows):
        return value
    if value.index.is_unique and value.index.isin(rows).all():
        return value.loc[rows]
    raise ValueError(
        f"the index of {what} must be the row numbers 0..{n_rows - 1}, by which rows are put in "
        f"order; it begins with {list(value.index[:3])}. If row i describes architecture i as it "
        "stands, drop the index: .reset_index(drop=True)."
    )


def matrix(what: str, value: Any, n_rows: int) -> NDArray[np.float64]:
    """Read a matrix of finite numbers with one row per architecture.

    Parameters
    ----------
    what : str
        What the matrix is, for the message, such as ``"encoding 'mine'"``.
    value : array-like of shape (n_rows, n_columns)
    n_rows : int
        Number of architectures.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64

    Raises
    ------
    ValueError
        It has another shape or no columns, holds something that is not a finite number, or has an
        index that is not the row numbers (`in_order`).
    """
    value = in_order(what, value, n_rows)
    try:
        values = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 2 or len(values) != n_rows or not values.shape[1]:
        raise ValueError(
            f"{what} is {type(value).__name__} of shape {np.shape(value)}; it must be numbers of "
            f"shape ({n_rows}, n_features), a row for each architecture of the table."
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(
            f"{what} is not finite at row {row}, column {column}. Fill or drop what is missing."
        )
    return values
