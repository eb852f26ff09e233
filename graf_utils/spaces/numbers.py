"""Numbers that operations carry, such as a kernel or a width: one of their own, or a choice."""

from __future__ import annotations

import numbers as kinds
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import nearest, short
from graf_utils.spaces.wiring import NONE, SKIP

__all__ = ["Choices", "check_numbers", "number_values"]

Choices = dict[str, dict[str, tuple[float, ...]]]
"""For each number, by the name of an operation: the numbers that it may have."""


def check_numbers(numbers: Any, operations: tuple[str, ...]) -> Choices:
    """Read the numbers of operations.

    Parameters
    ----------
    numbers : mapping, or None
        For each name a mapping of operation to a number, or to a list of numbers to choose from;
        or one such list for all operations but ``skip_connect`` and ``none``.
    operations : tuple of str
        The operations of the space.

    Returns
    -------
    dict of str to dict of str to tuple of float
        By number and operation; operations without the number are not named.

    Raises
    ------
    ValueError
        A name does not fit into the name of a column, an operation is unknown, or a number is not
        finite or listed twice.
    """
    if numbers is None:
        return {}
    if not isinstance(numbers, Mapping):
        raise ValueError(
            f"numbers={short(numbers)} must map a name to the numbers of operations, such as "
            f"numbers={{'kernel': {{{operations[0]!r}: [3, 5]}}}}."
        )
    choices: Choices = {}
    for name, given in numbers.items():
        if not isinstance(name, str) or not name or set(name) & set("[]+=,<>. "):
            raise ValueError(
                f"numbers has the name {name!r}; names must be text without spaces and []+=,<>. "
                "(they become column names). Rename it."
            )
        by_op = given
        if not isinstance(given, Mapping):
            by_op = dict.fromkeys([op for op in operations if op not in (SKIP, NONE)], given)
        for op in by_op:
            if op not in operations:
                raise ValueError(
                    f"numbers[{name!r}] names {op!r}, which is none of the operations "
                    f"{short(list(operations))}.{nearest(op, operations)}"
                )
        choices[name] = {op: _numbers(name, op, by_op[op]) for op in operations if op in by_op}
        if not choices[name]:
            raise ValueError(
                f"numbers[{name!r}]={given!r} gives no operation a number. Leave it out, or write "
                f"{{{operations[0]!r}: 3}}."
            )
    return choices


def _numbers(name: str, op: str, given: Any) -> tuple[float, ...]:
    """The numbers that one operation may have."""
    if isinstance(given, Iterable) and not isinstance(given, str | Mapping):
        listed = list(given)
    else:
        listed = [given]
    real = [isinstance(x, kinds.Real) and not isinstance(x, bool | np.bool_) for x in listed]
    if not listed or not all(real) or not np.isfinite(np.array(listed, dtype=float)).all():
        raise ValueError(
            f"numbers[{name!r}] of {op!r} is {short(given)}; it must be a finite number, or a list "
            "of numbers to choose from. An operation without this number is not named."
        )
    if len(set(listed)) < len(listed):
        raise ValueError(f"numbers[{name!r}] of {op!r} is {short(given)}; name each number once.")
    return tuple(float(x) for x in listed)


def number_values(choices: Choices, operations: Sequence[str]) -> NDArray[np.float64]:
    """Return the numbers as a table.

    Parameters
    ----------
    choices : dict
        From `check_numbers`.
    operations : sequence of str

    Returns
    -------
    ndarray of shape (n_operations, n_numbers, n_choices)
        The numbers in the order given, filled up with NaN; NaN where an operation has none.
    """
    most = max((len(few) for by_op in choices.values() for few in by_op.values()), default=1)
    values = np.full((len(operations), len(choices), most), np.nan)
    for k, by_op in enumerate(choices.values()):
        for op, few in by_op.items():
            values[operations.index(op), k, : len(few)] = few
    return values
