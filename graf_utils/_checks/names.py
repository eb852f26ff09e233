"""Names and lists of names: which are allowed, which is meant, and what an object is called."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from typing import Any

import numpy as np
import pandas as pd


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
