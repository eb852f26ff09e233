"""Whole numbers and seeds."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from graf_utils._checks.names import short


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
