"""Architectures with what was measured on them, row by row: what every experiment starts from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils._checks import nearest
from graf_utils.spaces import FeatureSpace, SearchSpace, get_space

__all__ = ["Table", "check_table", "locate", "row_numbers"]


class Table:
    """Architectures with their targets and proxies, row by row, and where they come from.

    A table is not changed once it is made; `subset`, `drop_duplicates` and `assign` return new
    ones. Rows are numbered from 0 in the order of the architectures, whatever labels they came
    with.

    Parameters
    ----------
    name, source : str
        Name of the table; ``"embedded"``, ``"paper"``, or a word of your own.
    space : SearchSpace or str
        The search space of the architectures, or its name.
    architectures : sequence
        One architecture per row, in any form that ``space.to_codes`` takes. The labels of a pandas
        Series or DataFrame are the key by which targets and proxies are put in order.
    targets : DataFrame or mapping of column name to values
        What can be predicted; finite numbers, one row per architecture. What has labels of its own
        needs architectures with the same ones; what has none, or 0..n-1, is taken row by row.
    proxies : DataFrame, mapping or None
        Zero-cost proxies, in the order in which encodings use them.
    provenance : dict, optional
        Citation, licence, files with SHA-256, units and directions of the targets, policy, notes.

    Attributes
    ----------
    codes : ndarray of shape (n_architectures, code_length), `code_dtype` of the space
        The architectures as codes of their space, read-only.
    targets, proxies : DataFrame of float
        Indexed by row number.

    Raises
    ------
    ValueError
        An architecture is none of the space, rows or labels do not fit, a column holds no
        numbers, or a target is not finite.

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
        index = _labels(architectures, len(self))
        self.targets: pd.DataFrame = self._frame("targets", targets, index)
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
            self.proxies = self._frame("proxies", proxies, index)

    @classmethod
    def from_features(
        cls, name: str, features: pd.DataFrame, targets: Any, provenance: Any = None
    ) -> Table:
        """Make a table of networks that are known by features of your own only.

        Parameters
        ----------
        name : str
        features : DataFrame of shape (n_architectures, n_columns)
            Finite numbers, one row per architecture; the index holds one label each. They are the
            encoding ``"own-features"``.
        targets : DataFrame or mapping of column name to values
            As for a new table. What has labels is put in the order of those of `features`.
        provenance : dict, optional

        Returns
        -------
        Table
            Its space is a `graf_utils.spaces.FeatureSpace`, its source ``"own"``.

        Raises
        ------
        ValueError
            As for a new table and for a `FeatureSpace`.

        Examples
        --------
        >>> frame = pd.DataFrame({"depth": [2, 4, 8]}, index=["a", "b", "c"])
        >>> measured = pd.DataFrame({"accuracy": [3, 1, 2]}, index=["c", "a", "b"])
        >>> table = Table.from_features("mine", frame, measured)
        >>> table.target("accuracy"), table.architectures
        (array([1., 2., 3.]), ['a', 'b', 'c'])
        """
        return cls(name, "own", FeatureSpace(features), features, targets, None, provenance)

    def _frame(self, what: str, values: Any, index: pd.Index) -> pd.DataFrame:
        """Read targets or proxies as a frame of numbers with one row per architecture."""
        frame = self._in_rows(what, values, index)
        wrong = None
        if not frame.shape[1]:
            wrong = f"{what} has no column. Pass a mapping of name to values, one per architecture."
        elif len(frame) != len(self):
            wrong = (
                f"{what} has {len(frame)} rows for {len(self)} architectures; row i must describe "
                "architecture i."
            )
        elif not frame.columns.is_unique:
            wrong = f"column names of {what} must be unique."
        elif not all(isinstance(column, str) for column in frame.columns):
            wrong = (
                f"{what} has the column names {_checks.short(list(frame.columns))}; a column is "
                "asked for by a text. Pass a mapping of name to values."
            )
        for column in () if wrong else frame:
            numeric = pd.api.types.is_numeric_dtype(frame[column])
            if not numeric or pd.api.types.is_complex_dtype(frame[column]):
                wrong = (
                    f"{what} column {column!r} has type {frame[column].dtype}; it must hold "
                    "numbers. Convert or drop it."
                )
        if wrong:
            raise ValueError(f"table {self.name!r}: {wrong}")
        return frame.astype(float).set_axis(pd.RangeIndex(len(self)))

    def _in_rows(self, what: str, values: Any, index: pd.Index) -> pd.DataFrame:
        """Put what has labels in the order of the architectures' labels, column by column."""
        if isinstance(values, Mapping):
            columns = {name: self._column(what, name, values[name], index) for name in values}
            return pd.DataFrame(columns)
        try:
            return pd.DataFrame(_checks.aligned(what, values, index, "architectures"))
        except ValueError as error:
            raise ValueError(f"table {self.name!r}: {error}") from error

    def _column(self, what: str, name: Any, values: Any, index: pd.Index) -> Any:
        """One column of a mapping, in the order of the architectures."""
        if np.ndim(values) != 1:
            raise ValueError(
                f"table {self.name!r}: {what} column {name!r} has shape {np.shape(values)}; it "
                f"must be one value per architecture, {len(self)} of them."
            )
        if len(values) != len(self):
            raise ValueError(
                f"table {self.name!r}: {what} has {len(values)} rows for {len(self)} architectures "
                f"in column {name!r}; row i must describe architecture i."
            )
        try:
            return _checks.aligned(f"{what}[{name!r}]", values, index, "architectures")
        except ValueError as error:
            raise ValueError(f"table {self.name!r}: {error}") from error

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
        if name not in list(self.targets.columns):
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
            The first row, where an architecture stands in several.

        Raises
        ------
        ValueError
            An architecture is not in the table.
        """
        codes = self.space.to_codes(architectures)
        rows = locate(codes, self._row_of)
        absent = rows < 0
        if absent.any():
            (first,) = self.space.from_codes(codes[absent][:1])
            raise ValueError(
                f"table {self.name!r} lacks {int(absent.sum())} of {len(codes)} architectures, the "
                f"first is {first}. Ask for those that are in table.architectures."
            )
        return rows

    @functools.cached_property
    def _row_of(self) -> dict[bytes, int]:
        return row_numbers(self.codes)

    @functools.cached_property
    def first_rows(self) -> NDArray[np.intp]:
        """For each row the first row with the same architecture; its own, unless it is a copy.

        Architectures are the same if their codes are equal. Isomorphic cells that are written
        differently are different architectures here, as in the paper.
        """
        return locate(self.codes, self._row_of)

    def drop_duplicates(self) -> Table:
        """Return the table with each architecture once, in its first row.

        Returns
        -------
        Table
        """
        return self.subset(self.first_rows == np.arange(len(self)))

    def subset(self, rows: slice | Sequence[int] | NDArray[Any]) -> Table:
        """Return the table of some rows.

        Parameters
        ----------
        rows : slice, sequence of int, or mask
            Row numbers in their new order, or one boolean per row; the index of a Series of
            booleans is its row numbers.

        Returns
        -------
        Table

        Raises
        ------
        ValueError
            A row is not there, none is chosen, or the mask has another length or order.
        """
        chosen = rows if isinstance(rows, slice) else _checks.row_choice(rows, len(self))
        try:
            keep = np.arange(len(self))[chosen]
        except IndexError as error:
            raise ValueError(
                f"rows={_checks.short(rows)} does not fit table {self.name!r}: {error}. Give row "
                f"numbers in 0..{len(self) - 1}, a mask, or a slice."
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
            new = self._frame("targets", {name: column}, self.targets.index)
            frame = table.targets.assign(**{name: new[name]})
            table = Table(
                self.name, self.source, self.space, self.codes, frame, self.proxies, self.provenance
            )
        return table


def _labels(architectures: Any, n_rows: int) -> pd.Index:
    """The labels of architectures: of pandas objects their index, else 0..n-1."""
    if isinstance(architectures, pd.Series | pd.DataFrame):
        return architectures.index
    return pd.RangeIndex(n_rows)


def check_table(table: Any, function: str) -> None:
    """Check that a function was given a table.

    Parameters
    ----------
    table : object
    function : str
        Name of the function, for the message.

    Raises
    ------
    ValueError
        It is no `Table`.
    """
    if not isinstance(table, Table):
        raise ValueError(
            f"table is {type(table).__name__}, which is not a Table; {function} takes a Table. "
            "Pass what load_table returns, or build a graf_utils.Table from your own frame."
        )


def row_numbers(codes: NDArray[Any]) -> dict[bytes, int]:
    """Number codes by their bytes.

    Parameters
    ----------
    codes : ndarray of shape (n, code_length)

    Returns
    -------
    dict of bytes to int
        The row of each code; of equal codes the first row.
    """
    rows = {}
    for row in range(len(codes) - 1, -1, -1):
        rows[codes[row].tobytes()] = row
    return rows


def locate(codes: NDArray[Any], row_of: dict[bytes, int]) -> NDArray[np.intp]:
    """Find the row of each code in another array of codes.

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
