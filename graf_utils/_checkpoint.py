"""The file of a long computation, one line per finished architecture, from which it goes on.

The first line says what the file is and what its numbers depend on. A file that does not begin
with such a line is somebody else's, and is neither written to nor shortened.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graf_utils._checks import short
from graf_utils._files import check_is_file, sweep, write_text
from graf_utils._keys import digest
from graf_utils._store import checksum

__all__ = ["Checkpoint", "RowFile", "is_number", "reader_of"]

_CHECKSUM = "checksum"
_OTHER = "Name another file, or delete it."


class RowFile:
    """Finished rows, one per architecture, of a computation that may be killed at any moment.

    A subclass says what it is a file of, which rows are sound, and how they are written.

    Parameters
    ----------
    path : path
        The file; it is made if it is not there.
    settings : dict of str to object
        All that the numbers depend on, by a name for messages; of JSON's types.

    Raises
    ------
    ValueError
        The file is no checkpoint, or one of other settings; it stays as it is.
    OSError
        The file cannot be read or written.
    """

    kind: str
    """What the first line of the file says that it is."""
    holds: str
    """What the rows are, for messages."""

    def __init__(self, path: str | os.PathLike[str], settings: dict[str, Any]) -> None:
        self.name, self.path = str(path), Path(path).resolve()
        if self.path.is_dir():
            raise ValueError(f"checkpoint={self.name!r} is a folder. Name a file in it.")
        try:
            check_is_file(self.path)
        except ValueError as error:
            raise ValueError(f"checkpoint={self.name!r}: {error}") from None
        self.header = json.loads(json.dumps({"kind": self.kind, **settings}))
        self.key = digest(self.header)
        if self.path.exists() and self.path.stat().st_size:
            self._check_header()
            sweep(self.path)
        else:
            write_text(self.path, json.dumps(self.header) + "\n")

    def is_sound(self, row: dict[str, Any]) -> bool:
        """Tell whether a row, as JSON has it, has its columns, and in each what may stand there.

        Parameters
        ----------
        row : dict

        Returns
        -------
        bool
        """
        raise NotImplementedError

    def to_json(self, row: dict[str, Any]) -> dict[str, Any]:
        """Turn a row into what JSON can hold.

        Parameters
        ----------
        row : dict

        Returns
        -------
        dict
        """
        return row

    def from_json(self, row: dict[str, Any]) -> dict[str, Any]:
        """Turn a sound row of the file back into what it was.

        Parameters
        ----------
        row : dict

        Returns
        -------
        dict
        """
        return row

    def _check_header(self) -> None:
        """Raise ValueError unless the file is a checkpoint of these settings."""
        with self.path.open("rb") as stream:
            line = stream.readline(10_000_000)
        header = _parsed(line) if line.endswith(b"\n") else None
        if not isinstance(header, dict) or header.get("kind") != self.kind:
            raise ValueError(
                f"checkpoint={self.name!r} is no checkpoint of {self.holds}, and is left as it is. "
                "Name another file."
            )
        if header != self.header:
            names = [key for key in {**header, **self.header} if self._differs(header, key)]
            raise ValueError(
                f"checkpoint={self.name!r} holds {self.holds} of other settings than these: "
                f"{', '.join(names)} changed. {_OTHER}"
            )

    def _differs(self, header: dict[str, Any], key: str) -> bool:
        return key not in header or key not in self.header or header[key] != self.header[key]

    def read(
        self, to_code: Callable[[Any], tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return the finished rows; what a killed run left unfinished at the end is cut off.

        Parameters
        ----------
        to_code : callable
            From an architecture as JSON has it, lists instead of tuples, to the one that is meant;
            raises ValueError if it is none.

        Returns
        -------
        dict of architecture to row
            A row that is damaged, so that it does not fit its checksum, is left out, with a
            warning.

        Raises
        ------
        ValueError
            A line is none of a checkpoint; nothing is cut off then.
        """
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        rows, damaged = {}, {}
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            if number == 1 or not line.strip():
                continue
            code, row = self._parsed_row(number, line, to_code)
            if row.pop(_CHECKSUM, None) == self._checksum(code, row) and self.is_sound(row):
                rows[code] = self.from_json(row)
            else:
                damaged[code] = number
        self._warn([number for code, number in damaged.items() if code not in rows])
        if len(whole) < len(text):
            os.truncate(self.path, len(whole))
        return rows

    def _parsed_row(
        self, number: int, line: bytes, to_code: Callable[[Any], tuple[Any, ...]]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The architecture and the row of a line, whose numbers are not yet checked."""
        record = _parsed(line)
        try:
            code = to_code(record.pop("architecture"))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            text = short(line.decode("utf-8", errors="replace"))
            raise ValueError(
                f"checkpoint={self.name!r}: line {number} is no architecture with its "
                f"{self.holds}: {text}. Delete this line, or name another file."
            ) from None
        return code, record

    def _checksum(self, architecture: tuple[Any, ...], row: dict[str, Any]) -> str:
        """Digest of a row, the architecture that it is of and the settings."""
        return checksum(self.key, {**row, "architecture": architecture})

    def _warn(self, numbers: list[int]) -> None:
        """Say which lines cannot be used."""
        if numbers:
            listed = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
            warnings.warn(
                f"checkpoint={self.name!r}: {self.holds} are missing or damaged in line "
                f"{listed}; these architectures are computed again.",
                stacklevel=4,
            )

    def append(self, architecture: tuple[Any, ...], row: dict[str, Any]) -> None:
        """Add a finished row.

        Parameters
        ----------
        architecture : tuple
            Of whole numbers, or of such tuples.
        row : dict of str to object
            The row, as the class says.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        row = self.to_json(row)
        written = {_CHECKSUM: self._checksum(architecture, row)}
        line = json.dumps({"architecture": architecture, **row, **written})
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


class Checkpoint(RowFile):
    """Finished rows of scores.

    Parameters
    ----------
    path, settings
        As for `RowFile`.
    scores : list of str
        The numbers of a row: each finite, or NaN with its name in the row's ``error``.
    seconds : list of str
        The times of a row, finite numbers of at least 0.

    Raises
    ------
    ValueError, OSError
        As for `RowFile`.
    """

    kind = "graf_utils: scores of architectures"
    holds = "scores"

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: dict[str, Any],
        scores: list[str],
        seconds: list[str],
    ) -> None:
        self.scores, self.seconds = scores, seconds
        super().__init__(path, settings)

    def to_json(self, row: dict[str, Any]) -> dict[str, Any]:
        """Write a score that is NaN as null; see `RowFile.to_json`."""
        return row | {name: None for name in self.scores if math.isnan(row[name])}

    def from_json(self, row: dict[str, Any]) -> dict[str, Any]:
        """Read null as NaN; see `RowFile.from_json`."""
        return row | {name: math.nan for name in self.scores if row[name] is None}

    def is_sound(self, row: dict[str, Any]) -> bool:
        """See `RowFile.is_sound`."""
        if set(row) != {*self.scores, *self.seconds, "error"} or not isinstance(row["error"], str):
            return False
        times = all(is_number(row[name]) and row[name] >= 0 for name in self.seconds)
        return times and all(
            f"{name}: " in row["error"] if row[name] is None else is_number(row[name])
            for name in self.scores
        )


def reader_of(space: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Make a function that reads an architecture of a space from nested lists.

    Parameters
    ----------
    space : SearchSpace

    Returns
    -------
    callable
        For `RowFile.read`.
    """

    def tuples(written: Any) -> Any:
        return tuple(map(tuples, written)) if isinstance(written, list) else written

    def to_code(written: Any) -> tuple[Any, ...]:
        if not isinstance(written, list):
            raise ValueError("an architecture is a list")
        (code,) = space.from_codes([tuples(written)])
        return code

    return to_code


def _parsed(line: bytes) -> Any:
    """What a line of JSON says; None if it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the floats
        return False
