"""Reading arguments: names, whole numbers, matrices, and errors that say what to write instead.

Every check raises a `ValueError` that names the argument and its value, says the rule, and says
what to write. The functions know nothing of the rest of the package.
"""

from __future__ import annotations

import difflib
import functools
import operator
from collections.abc import Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Suggest the allowed name that is nearest to a misspelt or shortened one.

    Parameters
    ----------
    name : object
        The name as it was written.
    allowed : iterable of str
        The names that there are.

    Returns
    -------
    str
        ``" Did you mean 'x'?"``, to be put behind a message, or ``""`` if nothing is near.
    """
    names = list(allowed)
    longer = [n for n in names if len(str(name)) > 2 and n.startswith(str(name))]
    match = longer or difflib.get_close_matches(str(name), names, n=1)
    return f" Did you mean {match[0]!r}?" if match else ""


def short(value: Any, limit: int = 80) -> str:
    """Write a value for a message.

    Parameters
    ----------
    value : object
    limit : int
        Number of characters.

    Returns
    -------
    str
        Its repr, cut to `limit` characters.
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def choice(argument: str, value: Any, allowed: Iterable[str]) -> None:
    """Check that a value is one of the allowed names.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : object
        The value to check.
    allowed : iterable of str
        The names that there are.

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
        Not a mapping or a frame: their values would be dropped without a word.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        There is no name, something else than a name, or a name twice.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping | pd.DataFrame) or not isinstance(value, Iterable):
        raise ValueError(
            f"{argument} is {type(value).__name__}; pass a name or a list of names, such as "
            f"{argument}=['name'], without values."
        )
    try:
        listed = list(value)
    except TypeError as error:
        raise ValueError(f"{argument}={short(value)}: pass a name or a list of names.") from error
    if not listed or not all(isinstance(name, str) for name in listed):
        raise ValueError(f"{argument}={short(value)}: pass a name or a non-empty list of names.")
    _each_once(argument, listed)
    return listed


def _each_once(argument: str, listed: list[str]) -> None:
    """Refuse a list that holds a name twice."""
    repeated = sorted({name for name in listed if listed.count(name) > 1})
    if repeated:
        raise ValueError(f"{argument} repeats {repeated}; name each once.")


def named(argument: str, value: Any) -> list[tuple[str, Any]]:
    """Read names, objects, or a mapping of names to objects: the one way to extend the package.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : object
        A name, an object, a list of names and objects, or a mapping of names to objects. What
        counts as a list is a list, tuple, set, iterator or index; an estimator, an array or a frame
        is one object, though it can be iterated.

    Returns
    -------
    list of (name, object)
        A name that was given without an object stands for itself. An object that was given without
        a name has that of its function or class.

    Raises
    ------
    ValueError
        There is nothing, or two objects have the same name.
    """
    if isinstance(value, Mapping):
        names(argument, list(value))
        return list(value.items())
    items = listed(value)
    if not items:
        raise ValueError(f"{argument}={short(value)} is empty; give at least one.")
    plain = [item for item in items if _is_plain(item)]
    if plain:
        raise ValueError(
            f"{argument} lists {short(plain[0])}, which is neither a name nor an object. "
            f"Numbers are one object as an array, {argument}=np.array(...); pairs of a name and an "
            f"object are written as a mapping, {argument}={{name: object}}."
        )
    pairs = [(name_of(item), item) for item in items]
    keys = [name for name, _ in pairs]
    if len(set(keys)) < len(keys) and not all(isinstance(item, str) for item in items):
        raise ValueError(
            f"{argument} has several objects of one name: {short(keys)}. Name them in a mapping, "
            f"such as {argument}={{'first': ..., 'second': ...}}."
        )
    _each_once(argument, keys)
    return pairs


def listed(value: Any) -> list[Any]:
    """Return the names and objects that `named` reads, without names of their own.

    Parameters
    ----------
    value : object
        As for `named`; an iterator is used up.

    Returns
    -------
    list
        The values of a mapping, the items of a list, or one object alone.
    """
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if _is_list(value) else [value]


def _is_list(value: Any) -> bool:
    """Whether a value lists names or objects, and is not one object that can be iterated."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "UOT"
    return isinstance(value, list | tuple | Set | KeysView | ValuesView | Iterator | pd.Index)


def _is_plain(item: Any) -> bool:
    """Whether an item of a list is a number or a list itself, and so nothing that has a name."""
    return isinstance(item, int | float | complex | np.number | list | tuple)


def name_of(item: Any) -> str:
    """Name an object that was given without a name.

    Parameters
    ----------
    item : object

    Returns
    -------
    str
        A name stands for itself; else that of the function or class.
    """
    if isinstance(item, str):
        return item
    if isinstance(item, functools.partial):
        return name_of(item.func)
    name = getattr(item, "__name__", None)
    return name if isinstance(name, str) else type(item).__name__


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
    one = not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and value.ndim == 0)
    values = [value] if one else list(value)
    wrong = [item for item in values if not _is_whole(item, low, high)]
    if wrong or not values:
        raise ValueError(
            f"{argument}={short(value)}: {short(wrong[0]) if wrong else 'nothing'} is not allowed; "
            f"it must be whole numbers from {low:,} to {high:,} ({unit})."
        )
    numbers = [int(item) for item in values]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{argument}={short(value)} repeats a value; name each once.")
    return numbers


def _is_whole(item: Any, low: int, high: int) -> bool:
    """Whether something is a whole number of a range; True and False are none."""
    if isinstance(item, bool | np.bool_):
        return False
    try:
        return int(item) == item and low <= item <= high
    except (TypeError, ValueError, OverflowError):
        return False


def whole_number(argument: str, value: Any, low: int, high: int | None = None) -> int:
    """Read one whole number, of Python or of numpy; a float or a boolean is none.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : int
    low, high : int
        Smallest and, unless it is None, largest number allowed.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        It is not a whole number, or out of range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    too_large = number is not None and high is not None and number > high
    if isinstance(value, bool) or number is None or number < low or too_large:
        raise ValueError(f"{argument}={value!r} must be a whole number {allowed}.")
    return number


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


def generator(random_state: Any) -> np.random.Generator:
    """Make a generator of random numbers from a seed.

    Parameters
    ----------
    random_state : int, numpy integer, numpy Generator or RandomState, or None
        None gives another sequence each time.

    Returns
    -------
    Generator

    Raises
    ------
    ValueError
        It is none of these, or negative.
    """
    if isinstance(random_state, np.random.RandomState):
        return np.random.Generator(random_state._bit_generator)
    if isinstance(random_state, float | np.floating) and random_state.is_integer():
        random_state = int(random_state)
    try:
        if hasattr(random_state, "__index__") and not np.ndim(random_state):
            random_state = operator.index(random_state)
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            f"random_state={random_state!r} is no seed. Pass a whole number from 0 such as "
            "random_state=0, a numpy Generator, or None."
        ) from None


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


def not_pooled(results: pd.DataFrame, columns: list[str]) -> None:
    """Check that no setting has two rows for one data seed: they would be no two seeds.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`.
    columns : list of str
        Columns that tell what was evaluated, but for the seed.

    Raises
    ------
    ValueError
        A setting has two rows for one data seed.
    """
    if "data_seed" not in results:
        return
    repeated = results.duplicated([*columns, "data_seed"])
    if repeated.any():
        first = results[repeated].iloc[0]
        raise ValueError(
            f"results has two rows of the setting {first[columns].to_dict()} for data seed "
            f"{first['data_seed']}. Name different things apart, in a mapping; keep one row of "
            f"each with results.drop_duplicates({[*columns, 'data_seed']}); or name the "
            "columns to group in `by`."
        )


def has_columns(what: str, frame: Any, columns: Iterable[str]) -> None:
    """Check that a frame has some columns.

    Parameters
    ----------
    what : str
        What the frame is, for the message.
    frame : object
    columns : iterable of str

    Raises
    ------
    ValueError
        It is no frame, or lacks one of the columns.
    """
    columns = list(columns)
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"{what} is {type(frame).__name__}; it must be a DataFrame with the columns {columns}. "
            "Put several together with pd.concat."
        )
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(
            f"{what} has no columns {missing}; it has {list(frame)}. Add them, such as "
            f"{what}.assign({missing[0]}='own')."
        )


def numeric_columns(what: str, frame: Any, columns: list[str]) -> None:
    """Check that a frame has some columns of numbers.

    Parameters
    ----------
    what : str
        What the frame is, for the message.
    frame : object
    columns : list of str

    Raises
    ------
    ValueError
        It is no frame, or one of the columns is not there or holds no numbers.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"{what} is {type(frame).__name__}; it must be a DataFrame with the columns {columns}. "
            "Put several together with pd.concat."
        )
    for column in columns:
        if column not in frame or not pd.api.types.is_numeric_dtype(frame[column]):
            raise ValueError(
                f"{what} has no numbers in a column {column!r}. Add it, as NaN where it is not "
                "known."
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


def labels(argument: str, value: Any) -> tuple[str, ...]:
    """Read names of labels, at least one, each once.

    Parameters
    ----------
    argument : str
        Name of the argument, for the message.
    value : sequence of str

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        There is none, one stands there twice, or one is no text.
    """
    listed = () if isinstance(value, str) else tuple(value)
    is_text = all(isinstance(name, str) for name in listed)
    if not listed or not is_text or len(set(listed)) < len(listed):
        raise ValueError(
            f"{argument}={short(value)} must be a list of at least one name, each once, such as "
            "('conv', 'pool'). Rename them."
        )
    return listed
