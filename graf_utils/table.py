"""Architectures with what was measured on them, row by row: what every experiment starts from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils._checks import nearest
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["Table", "locate", "row_numbers"]


class Table:
    """Architectures with their targets and proxies, row by row, and where they come from.

    A table is not changed once it is made; `subset` and `assign` return new ones.

    Parameters
    ----------
    name, source : str
        Name of the table; ``"embedded"``, ``"paper"``, or a word of your own.
    space : SearchSpace or str
        The search space of the architectures, or its name.
    architectures : sequence
        One architecture per row, in any form that ``space.to_codes`` takes.
    targets : DataFrame or mapping of column name to values
        What can be predicted; finite numbers, one row per architecture.
    proxies : DataFrame, mapping or None
        Zero-cost proxies, in the order in which encodings use them.
    provenance : dict, optional
        Citation, licence, files with SHA-256, units and directions of the targets, policy, notes.

    Attributes
    ----------
    codes : ndarray of shape (n_architectures, code_length), int8
        The architectures as codes of their space, read-only.
    targets, proxies : DataFrame of float
        Indexed by row number.

    Raises
    ------
    ValueError
        An architecture is none of the space, rows do not fit, a column holds no numbers, or a
        target is not finite.

    Examples
    --------
    >>> table = Table("mine", "own", "nb201", [(0, 0, 0, 0, 0, 1)], {"latency": [3.5]})
    >>> table.target("latency")
    array([3.5])
    >>> table.assign(loss=lambda t: -t.target("latency")).target("loss")
    array([-3.5])
    """

    def __init__(
        self,
        name: str,
        source: str,
        space: SearchSpace | str,
        architectures: Any,
        targets: Any,
        proxies: Any = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.source, self.space = name, source, get_space(space)
        self.provenance: dict[str, Any] = provenance or {}
        self.codes: NDArray[np.integer] = self.space.to_codes(architectures)
        self.codes.flags.writeable = False
        self.targets: pd.DataFrame = self._frame("targets", targets)
        if self.targets.shape[1] == 0:
            raise ValueError(f"table {name!r}: targets has no column; it needs at least one.")
        finite = np.isfinite(self.targets.to_numpy()).all(axis=0)
        if not finite.all():
            bad = list(self.targets.columns[~finite])
            raise ValueError(
                f"table {name!r}: targets {bad} hold NaN or infinite values; every target "
                "must be finite. Drop those rows, or the target."
            )
        self.proxies: pd.DataFrame | None = None
        if proxies is not None:
            self.proxies = self._frame("proxies", proxies)

    def _frame(self, what: str, values: Any) -> pd.DataFrame:
        """Read targets or proxies as a frame of numbers with one row per architecture."""
        frame, n, wrong = pd.DataFrame(values), len(self), None
        if len(frame) != n:
            wrong = (
                f"{what} has {len(frame)} rows for {n} architectures; row i must describe "
                "architecture i."
            )
        elif not frame.index.equals(pd.RangeIndex(n)):
            wrong = (
                f"the index of {what} must be 0..{n - 1}, so that row i describes architecture i. "
                "Sort it to that order, then call .reset_index(drop=True)."
            )
        elif not frame.columns.is_unique:
            wrong = f"column names of {what} must be unique."
        for column in () if wrong else frame:
            if not pd.api.types.is_numeric_dtype(frame[column]):
                wrong = (
                    f"{what} column {column!r} has type {frame[column].dtype}; it must hold "
                    "numbers. Convert or drop it."
                )
        if wrong:
            raise ValueError(f"table {self.name!r}: {wrong}")
        return frame.astype(float).set_axis(pd.RangeIndex(n))

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        proxies = 0 if self.proxies is None else self.proxies.shape[1]
        return (
            f"<Table {self.name} ({self.source}): {len(self):,} {self.space.name} networks, "
            f"{self.targets.shape[1]} targets, {proxies} proxies>"
        )

    @functools.cached_property
    def architectures(self) -> list[tuple[Any, ...]]:
        """The architectures as tuples of Python integers, decoded when first asked for."""
        return self.space.from_codes(self.codes)

    def target(self, name: str) -> NDArray[np.float64]:
        """Return the values of one target.

        Parameters
        ----------
        name : str
            A column of `targets`.

        Returns
        -------
        ndarray of shape (n_architectures,)
            A copy.

        Raises
        ------
        ValueError
            There is no such target.
        """
        if name not in self.targets.columns:
            raise ValueError(
                f"target {name!r} is not in table {self.name!r} ({self.source}). It must be one of "
                f"{list(self.targets.columns)}.{nearest(name, self.targets.columns)}"
            )
        return self.targets[name].to_numpy(copy=True)

    def rows(self, architectures: Any) -> NDArray[np.intp]:
        """Return the row number of each of some architectures.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that the space reads.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            An architecture is not in the table.
        """
        codes = self.space.to_codes(architectures)
        rows = locate(codes, self._row_of)
        if (absent := rows < 0).any():
            (first,) = self.space.from_codes(codes[absent][:1])
            raise ValueError(
                f"table {self.name!r} lacks {int(absent.sum())} of {len(codes)} architectures, the "
                f"first is {first}. Ask for those that are in table.architectures."
            )
        return rows

    @functools.cached_property
    def _row_of(self) -> dict[bytes, int]:
        return row_numbers(self.codes)

    def subset(self, rows: slice | Sequence[int] | NDArray[Any]) -> Table:
        """Return the table of some rows.

        Parameters
        ----------
        rows : slice, sequence of int, or mask
            Row numbers in the order wanted, or one boolean per row.

        Returns
        -------
        Table

        Raises
        ------
        ValueError
            A row is not there, or the mask has another length.
        """
        chosen = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(chosen, np.ndarray) and chosen.dtype == bool and len(chosen) != len(self):
            raise ValueError(
                f"rows is a mask of {len(chosen)} values for {len(self)} rows; give one value "
                "a row, or row numbers."
            )
        try:
            keep = np.arange(len(self))[chosen]
        except IndexError as error:
            raise ValueError(
                f"rows={rows!r} does not fit table {self.name!r}: {error}. Give row numbers in "
                f"0..{len(self) - 1}, a mask, or a slice."
            ) from error
        frames = [
            None if frame is None else frame.iloc[keep].reset_index(drop=True)
            for frame in (self.targets, self.proxies)
        ]
        return Table(self.name, self.source, self.space, self.codes[keep], *frames, self.provenance)

    def assign(self, **targets: Any | Callable[[Table], Any]) -> Table:
        """Return the table with derived targets, as in ``DataFrame.assign``.

        Parameters
        ----------
        **targets : array-like of shape (n_architectures,), or callable
            Values by the name of the target; a function is given the table, with the targets that
            stand before it, and returns the values. A target of that name is replaced.

        Returns
        -------
        Table

        Raises
        ------
        ValueError
            As for a new `Table`.
        """
        table = self
        for name, values in targets.items():
            column = values(table) if callable(values) else values
            frame = table.targets.assign(**{name: self._frame("targets", {name: column})[name]})
            table = Table(
                self.name, self.source, self.space, self.codes, frame, self.proxies, self.provenance
            )
        return table


def row_numbers(codes: NDArray[Any]) -> dict[bytes, int]:
    """Return the row of each code, by its bytes; of equal codes the last row."""
    return {code.tobytes(): row for row, code in enumerate(codes)}


def locate(codes: NDArray[Any], row_of: dict[bytes, int]) -> NDArray[np.intp]:
    """Return the row of each code in another array of codes.

    Parameters
    ----------
    codes : ndarray of shape (n, code_length)
    row_of : dict
        From `row_numbers` of the other array, of the same dtype.

    Returns
    -------
    ndarray of shape (n,)
        Row numbers, -1 where a code is not there.
    """
    return np.array([row_of.get(code.tobytes(), -1) for code in codes], dtype=np.intp)
