"""What is raised: a value or several per architecture, from a table or from a function."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.search.candidates import Candidates

__all__ = ["Objectives", "column_of"]

_OWN_COLUMNS = ("evaluation", "candidate", "best", "incumbent", "test", "cost")
"""Columns that `search` adds to its frame."""


class Objectives:
    """The objectives of a search: their names, and the values of candidates, checked.

    Parameters
    ----------
    candidates : Candidates
        The architectures of the search.
    objective : array-like, mapping or callable
        As in `search`.

    Attributes
    ----------
    names : list of str
        One name per objective; empty until a callable has returned for the first time.

    Raises
    ------
    ValueError
        The values are no finite numbers with one row per candidate.
    """

    def __init__(self, candidates: Candidates, objective: Any) -> None:
        self.candidates = candidates
        self.names: list[str] = []
        self.finished = 0
        self._function = objective if callable(objective) else None
        self._values: NDArray[np.float64] | None = None
        if self._function is None:
            n = len(candidates)
            frame = _frame("objective", objective)
            if len(frame) != n:
                raise ValueError(
                    f"objective has {len(frame)} rows for {n} candidates; give each candidate one."
                )
            self.names = _names_of(frame)
            self._values = _numbers(_checks.in_order("objective", frame, n))
            self._check_finite(self._values, range(n))

    def ask(self, rows: list[int]) -> NDArray[np.float64]:
        """Evaluate some candidates.

        Parameters
        ----------
        rows : list of int
            Rows of the candidates.

        Returns
        -------
        ndarray of shape (n_rows, n_objectives)

        Raises
        ------
        ValueError
            A function has not returned finite numbers, one row per architecture.
        """
        if self._values is not None:
            return self._values[rows]
        values = self._call(rows)
        self._check_finite(values, rows)
        self.finished += len(rows)
        return values

    def _call(self, rows: list[int]) -> NDArray[np.float64]:
        """What the function returns for some candidates."""
        architectures = [self.candidates.architectures[row] for row in rows]
        frame = _frame("what objective returned", self._function(architectures))
        if len(frame) != len(rows):
            raise ValueError(
                f"objective returned {len(frame)} rows for {len(rows)} architectures; it must "
                "return one for each, in order."
            )
        if not frame.index.equals(pd.RangeIndex(len(frame))):
            raise ValueError(
                f"objective returned rows with the index {list(frame.index[:3])}, ...; row i must "
                "be the value of architecture i. Put them in that order, and return an array: "
                ".to_numpy()."
            )
        names = _names_of(frame)
        self.names = self.names or names
        if names != self.names:
            raise ValueError(
                f"objective returned the columns {names} after {self.names}; it must return the "
                "same in every call."
            )
        return _numbers(frame)

    def _check_finite(self, values: NDArray[np.float64], rows: Any) -> None:
        """Refuse NaN and infinity: with them no candidate would be the best."""
        finite = np.isfinite(values).all(axis=1)
        if finite.all():
            return
        failed = self.candidates.architectures[rows[int(finite.argmin())]]
        before = f" after {self.finished} finished evaluations" if self._function else ""
        raise ValueError(
            f"objective is not finite for {failed}{before}; give every network a number, a failed "
            "one the lowest that can be."
        )


def column_of(name: str, values: Any, n: int) -> NDArray[np.float64]:
    """Read one finite number per candidate, in the order of the index if there is one.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : array-like of shape (n,) or (n, 1)
    n : int
        Number of candidates.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        The shape is another, or a value is not a finite number.
    """
    column = _checks.numbers_of(_checks.in_order(name, values, n))
    if column is not None and column.shape == (n, 1):
        column = column[:, 0]
    if column is None or column.shape != (n,) or not np.isfinite(column).all():
        shape = "" if column is None else f" of shape {column.shape}"
        raise ValueError(
            f"{name} is {type(values).__name__}{shape}; it must be a finite number for each of the "
            f"{n} candidates, as a list or an array."
        )
    return column


def _frame(what: str, values: Any) -> pd.DataFrame:
    """Values as a frame with one column per objective, under its name or ``value``."""
    if isinstance(values, pd.DataFrame):
        return values
    if isinstance(values, Mapping):
        if not all(isinstance(v, Iterable) and not isinstance(v, str) for v in values.values()):
            raise ValueError(
                f"{what} is {_checks.short(dict(values))}; a mapping must hold the values of each "
                "objective, one per architecture."
            )
        return pd.DataFrame(dict(values))
    if isinstance(values, pd.Series):
        return values.to_frame("value")
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(
            f"{what} is {_checks.short(values)}; it must be numbers with one row per architecture, "
            "such as table.target('accuracy'), or a function that returns them."
        )
    try:
        frame = pd.DataFrame(values)
    except ValueError as error:
        raise ValueError(
            f"{what} is {type(values).__name__} of shape {np.shape(values)}; it must have one row "
            "per architecture and one column per objective."
        ) from error
    n = frame.shape[1]
    return frame.set_axis(["value"] if n == 1 else [f"value_{i}" for i in range(n)], axis=1)


def _names_of(frame: pd.DataFrame) -> list[str]:
    """The names of the objectives, each once and none of the search's own columns."""
    names = [str(name) for name in frame]
    wrong = [name for name in names if name in _OWN_COLUMNS or names.count(name) > 1]
    if wrong or not names:
        raise ValueError(
            f"objective has the columns {names}; there must be one at least, each name once, and "
            f"none of {list(_OWN_COLUMNS)}, which the search adds. Rename them."
        )
    return names


def _numbers(frame: pd.DataFrame) -> NDArray[np.float64]:
    """The values as numbers; what is none becomes NaN, which is refused with its architecture."""
    return np.column_stack([_column(column) for _, column in frame.items()])


def _column(column: pd.Series) -> NDArray[np.float64]:
    """One objective as numbers; text (also of digits), dates and complex numbers are none."""
    values = _checks.numbers_of(column)
    if values is not None:
        return values
    items = [item if isinstance(item, numbers.Real) else math.nan for item in column]
    return np.array(items, dtype=float)
