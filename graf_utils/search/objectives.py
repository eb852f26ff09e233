"""What is raised: a value or several per architecture, from a table or from a function."""

from __future__ import annotations

import math
import numbers
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils._checkpoint import reader_of
from graf_utils._parallel import unordered
from graf_utils.search.resume import SearchFile
from graf_utils.spaces import SearchSpace

__all__ = ["Known", "Trained", "column_of"]

_OWN_COLUMNS = (
    "evaluation", "candidate", "architecture", "best", "incumbent", "test", "cost", "error",
)  # fmt: skip
"""Columns that `search` adds to its frame."""

_LONGEST = 1000  # characters of a reason that are kept


class Known:
    """Objectives that stand in a table: values with one row per candidate, all finite.

    Parameters
    ----------
    architectures : sequence of length n
        The candidates, for messages.
    objective : array-like or mapping
        As in `search`.

    Attributes
    ----------
    names : list of str
        One name per objective.

    Raises
    ------
    ValueError
        The values are no finite numbers with one row per candidate.
    """

    def __init__(self, architectures: Sequence[Any], objective: Any) -> None:
        n = len(architectures)
        frame = _frame("objective", objective)
        if len(frame) != n:
            raise ValueError(
                f"objective has {len(frame)} rows for {n} candidates; give each candidate one."
            )
        self.names = _names_of(frame)
        self.values = _numbers(_checks.in_order("objective", frame, n))
        finite = np.isfinite(self.values).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"objective is not finite for {architectures[int(finite.argmin())]}; give every "
                "network a number, a failed one the lowest that can be. Or leave such networks "
                "out of the candidates."
            )

    def ask(
        self, items: Sequence[int], architectures: Sequence[Any]
    ) -> tuple[NDArray[np.float64], list[str]]:
        """Look up some candidates.

        Parameters
        ----------
        items : sequence of int
            Rows of the candidates.
        architectures : sequence of tuple
            What they are.

        Returns
        -------
        values : ndarray of shape (n_items, n_objectives)
        errors : list of str
            Empty ones.
        """
        return self.values[list(items)], [""] * len(items)


class Trained:
    """Objectives that a function returns, which is called for one architecture at a time.

    Parameters
    ----------
    function : callable
        From a list of one architecture to its objectives.
    space : SearchSpace
        Of the architectures.
    n_jobs : int, optional
        Calls at a time, as in joblib.
    file : SearchFile, optional
        Where finished evaluations are kept.

    Attributes
    ----------
    names : list of str
        One name per objective; empty until an evaluation has succeeded.
    """

    def __init__(
        self,
        function: Callable[[list[Any]], Any],
        space: SearchSpace,
        n_jobs: int | None = None,
        file: SearchFile | None = None,
    ) -> None:
        self.function, self.n_jobs, self.file = function, n_jobs, file
        self.names: list[str] = []
        self._rows = {} if file is None else file.read(reader_of(space))

    def ask(
        self, items: Sequence[Any], architectures: Sequence[tuple[Any, ...]]
    ) -> tuple[NDArray[np.float64], list[str]]:
        """Evaluate some candidates, and keep each evaluation as it ends.

        Parameters
        ----------
        items : sequence of candidates
        architectures : sequence of tuple
            What they are.

        Returns
        -------
        values : ndarray of shape (n_items, n_objectives)
            NaN where an evaluation failed; one column while none has succeeded.
        errors : list of str
            Why it failed, or ``""``.
        """
        todo = [one for one in architectures if one not in self._rows]
        calls = [(self.function, one) for one in todo]
        rows = {one: self._rows.pop(one) for one in architectures if one in self._rows}
        for number, row in self._finished(calls):
            rows[todo[number]] = row
            if self.file is not None:
                self.file.append(todo[number], row)
        return self._checked([rows[one] for one in architectures])

    def _finished(self, calls: list[tuple[Any, ...]]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows as they end, also of calls that end their process."""
        suspects = []
        for number, row in unordered(_evaluate, calls, self.n_jobs, killed=None, batch_size=1):
            if row is None:
                suspects.append(number)
            else:
                yield number, row
        for number in sorted(suspects):  # nobody knows which of them it was
            yield number, _evaluate_apart(calls[number])

    def _checked(self, rows: list[dict[str, Any]]) -> tuple[NDArray[np.float64], list[str]]:
        """Values and reasons, in the order of the architectures and not in that of their end."""
        errors = []
        for row in rows:
            names = list(row["values"] or ())
            self.names = self.names or names
            fails = row["values"] is not None and names != self.names
            errors.append(
                f"ValueError: objective returned the columns {names} after {self.names}; it must "
                "return the same in every call."
                if fails
                else row["error"]
            )
        nothing = dict.fromkeys(self.names or ["value"], math.nan)
        values = [nothing if e else row["values"] for row, e in zip(rows, errors, strict=True)]
        return np.array([list(row.values()) for row in values], dtype=float), errors


def _evaluate(function: Callable[[list[Any]], Any], architecture: Any) -> dict[str, Any]:
    """What a function returns for one architecture, or why it has no value; in any process."""
    try:
        frame = _frame("what objective returned", _as_list(function([architecture])))
        if len(frame) != 1:
            raise ValueError(
                f"objective returned {len(frame)} rows for 1 architecture; it must return one for "
                "each."
            )
        values = dict(zip(_names_of(frame), _numbers(frame)[0].tolist(), strict=True))
        for name, value in values.items():
            if not math.isfinite(value):
                raise ValueError(f"objective {name!r} is not finite: {frame.iloc[0].to_list()}")
    except Exception as error:  # a training may fail in any way; the search goes on
        return {"values": None, "error": _reason(error)}
    return {"values": values, "error": ""}


def _evaluate_apart(call: tuple[Any, ...]) -> dict[str, Any]:
    """The row of one architecture, computed alone in a process, which it may end."""
    killed = {"values": None, "error": "Killed: its process ended (out of memory, a signal)"}
    ((_, row),) = unordered(_evaluate, [call], 2, killed=killed)
    return row


def _as_list(returned: Any) -> Any:
    """A bare number, or a mapping to bare numbers, as those of one architecture."""
    if isinstance(returned, Mapping):
        return {name: _as_list(value) for name, value in returned.items()}
    bare = not isinstance(returned, bool | str | None) and np.ndim(returned) == 0
    number = _checks.numbers_of(returned) if bare else None
    return returned if number is None else [float(number)]


def _reason(error: Exception) -> str:
    """What went wrong, and in which line of whose code."""
    text = f"{type(error).__name__}: {error}"
    places = [
        f"{Path(frame.filename).name}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != Path(__file__).parent
    ]
    return text[:_LONGEST] + (f" ({places[-1]})" if places else "")


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
