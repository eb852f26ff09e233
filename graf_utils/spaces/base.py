"""What every search space has: codes, checks, samples and a batch of graphs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import nearest, short
from graf_utils.graphs import GraphBatch

__all__ = ["SearchSpace"]

_TUPLE_TEXT = re.compile(r"\s*[(\[]\s*\d+(?:\s*,\s*\d+)*\s*,?\s*[)\]]\s*")


class SearchSpace(ABC):
    """A search space: its operations and the ways to write an architecture.

    Architectures travel as *codes*: an int8 array of shape (n_architectures, `code_length`), the
    tuple of each architecture in a row, filled up with -1 where tuples differ in length. Every
    method that takes architectures also takes what people have at hand: tuples, benchmark strings,
    an integer array, a pandas column of any of these.
    """

    name: str
    title: str
    """The benchmark's name, for messages."""
    operations: tuple[str, ...]
    code_length: int
    first_id: int = 0
    """Id of the first operation in a code."""
    free: tuple[str, ...] = ()
    """Labels of the graphs that are in no set of operations (`GraphBatch`)."""
    cells: tuple[str, ...] = ("",)
    """Names of the cells of an architecture, the keys of `graph_batch`; ``""`` for the only one."""
    inputs: tuple[str, ...] = ("",)
    """Names of the input nodes of a cell."""
    fixed_wiring: bool = False
    """Whether all architectures have the same edges, so that only operations are chosen."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the graphs: the free ones that are no operation of a code, then operations."""
        return (*(label for label in self.free if label not in self.operations), *self.operations)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths an architecture's tuple may have."""
        return (self.code_length,)

    def parse(self, text: str) -> tuple[Any, ...]:
        """Read one architecture from text, the benchmark's own spelling or a written tuple.

        Raises
        ------
        ValueError
            The text is of another benchmark, names an unknown operation, or has another shape.
        """
        code = self._read(text)
        if self._wrong(np.array([code])).any():
            raise ValueError(f"{text!r}: {self._explain(code)}")
        return self._tuple(code)

    def _read(self, text: str) -> tuple[int, ...]:
        """The code of one architecture given as text; its values are checked by the caller."""
        if not isinstance(text, str):
            raise ValueError(
                f"{text!r} of type {type(text).__name__} is not text. Pass a string, or use "
                "to_codes for tuples."
            )
        written = self._parse_tuple_text(text)
        return self._parse(text) if written is None else written

    @abstractmethod
    def _parse(self, text: str) -> tuple[int, ...]:
        """As `_read`, of text that is not a written tuple: the benchmark's own spelling."""

    @abstractmethod
    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn architectures into graphs.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        dict of str to GraphBatch
            One batch per cell, by the names of `cells`, with one graph per architecture.

        Raises
        ------
        ValueError
            As `to_codes`.
        """

    @abstractmethod
    def enumerate(self) -> NDArray[np.int8]:
        """Codes of all architectures of a finite space, in the order of `itertools.product`."""

    @abstractmethod
    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell for each architecture whether it is a valid network of the benchmark."""

    def to_codes(self, architectures: Any) -> NDArray[np.int8]:
        """Check architectures and return their codes.

        Parameters
        ----------
        architectures : sequence of tuple or str, ndarray, pandas Series or DataFrame
            One item (or row) an architecture.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), int8

        Raises
        ------
        ValueError
            One architecture instead of a list of them, an empty list, a wrong length, an unknown
            operation, a wrong type, or text of another benchmark. The message names the input,
            the rule and the remedy.
        """
        codes = self._collect(architectures)
        wrong = self._wrong(codes)
        if wrong.any():
            row = int(wrong.argmax())
            item = tuple(codes[row].tolist())
            raise ValueError(f"architecture {row} = {short(item)}: {self._explain(item)}")
        return codes.astype(np.int8)

    def _collect(self, architectures: Any) -> NDArray[np.integer]:
        """Architectures as rows of integers, not yet checked against the rules of the space."""
        if isinstance(architectures, str) or (
            isinstance(architectures, tuple)
            and architectures
            and all(isinstance(item, int | np.integer) for item in architectures)
        ):
            raise ValueError(
                f"architectures={architectures!r} is one architecture; a list of architectures is "
                f"needed. Write [{architectures!r}]."
            )
        if not isinstance(architectures, np.ndarray):
            if hasattr(architectures, "to_numpy"):  # pandas
                architectures = architectures.to_numpy()
            elif isinstance(architectures, Iterable) and not isinstance(architectures, dict):
                architectures = list(architectures)
            else:
                raise ValueError(
                    f"architectures={short(architectures)} of type "
                    f"{type(architectures).__name__} is not a list of architectures. Pass a list "
                    f"of tuples such as [{self._example()}], of strings, or an integer array."
                )
        if isinstance(architectures, np.ndarray) and architectures.ndim == 0:
            raise ValueError(
                f"architectures={architectures!r} is a single number. Pass a list of tuples such "
                f"as [{self._example()}]."
            )
        if len(architectures) == 0:
            raise ValueError(
                "architectures is empty; at least one is needed. Pass a list of tuples such as "
                f"[{self._example()}]."
            )
        codes = self._as_integers(architectures)
        if codes is None:  # text, or something that one row must be blamed for
            rows = [self._encode_one(item, row) for row, item in enumerate(architectures)]
            codes = np.array(rows, dtype=np.int64)
        return codes

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which rows break a rule of the space."""
        if codes.min() >= 0 and codes.max() < len(self.operations):  # the quick answer
            return np.zeros(len(codes), dtype=bool)
        return ((codes < 0) | (codes >= len(self.operations))).any(axis=1)

    def _explain(self, code: tuple[int, ...]) -> str:
        """The rule that a row of `_wrong` breaks, and the remedy."""
        position = next(i for i, op in enumerate(code) if not 0 <= op < len(self.operations))
        return (
            f"operation id {code[position]} at position {position} is unknown in {self.name}. Ids "
            f"are 0..{len(self.operations) - 1}: "
            + ", ".join(f"{i} {op}" for i, op in enumerate(self.operations))
            + "."
        )

    def _as_integers(self, items: Any) -> NDArray[np.integer] | None:
        """The items as one integer array, or None where a row must be looked at alone."""
        if isinstance(items, np.ndarray):
            plain = items.dtype.kind in "iu" and items.ndim == 2
            return items if plain and items.shape[1] == self.code_length else None
        if not set(map(type, items)) <= {tuple, list}:
            return None
        lengths = list(map(len, items))
        if not set(lengths) <= set(self.lengths):
            return None
        if not set(map(type, chain.from_iterable(items))) <= {int}:
            return None
        try:  # bytes is the quickest way from Python integers to an array
            values = np.frombuffer(bytes(chain.from_iterable(items)), dtype=np.uint8)
        except ValueError:  # not in 0 .. 255
            return None
        if len(set(lengths)) == 1 and lengths[0] == self.code_length:
            return values.reshape(-1, self.code_length).astype(np.int16)
        codes = np.full((len(items), self.code_length), -1, dtype=np.int16)
        codes[np.arange(self.code_length) < np.array(lengths)[:, None]] = values
        return codes

    def _encode_one(self, item: Any, row: int) -> tuple[int, ...]:
        try:
            if isinstance(item, str):
                return self._read(item)
            return self._check_tuple(item)
        except ValueError as error:
            raise ValueError(f"architecture {row} = {short(item)}: {error}") from None

    def _check_tuple(self, item: Any) -> tuple[int, ...]:
        if isinstance(item, dict | bytes) or not isinstance(item, Iterable):
            raise ValueError(
                f"type {type(item).__name__} is not an architecture. Write a tuple of "
                f"{self.code_length} operation ids such as {self._example()}, or the benchmark's "
                "string."
            )
        values = list(item)
        if len(values) not in (*self.lengths, self.code_length):
            raise ValueError(
                f"it has {len(values)} entries; {self.name} needs "
                f"{' or '.join(map(str, self.lengths))}, such as {self._example()}."
            )
        for position, value in enumerate(values):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)
            if not whole and not (isinstance(value, float | np.floating) and value.is_integer()):
                raise ValueError(
                    f"entry {position} is {value!r} of type {type(value).__name__}; it must be a "
                    f"whole number, an operation id {self.first_id}.."
                    f"{self.first_id + len(self.operations) - 1}."
                    + (
                        f" {value!r} has id {self.first_id + self.operations.index(value)}."
                        if isinstance(value, str) and value in self.operations
                        else ""
                    )
                )
        code = [int(min(max(value, -128), 127)) for value in values]
        return tuple(code + [-1] * (self.code_length - len(code)))

    def _parse_tuple_text(self, text: str) -> tuple[int, ...] | None:
        """A written tuple such as ``"(4, 0, 3, 1, 4, 3)"``; None if the text is not one."""
        if not _TUPLE_TEXT.fullmatch(text):
            return None
        numbers = re.findall(r"\d+", text)
        return self._check_tuple([int(digits) if len(digits) < 4 else 127 for digits in numbers])

    def _known(self, op: Any, where: str = "") -> int:
        """The id of an operation's name."""
        if op not in self.operations:
            raise ValueError(
                f"{where}operation {op!r} is unknown in {self.name}; it must be one of "
                f"{list(self.operations)}.{nearest(op, self.operations)}"
            )
        return self.operations.index(op)

    @abstractmethod
    def _example(self) -> tuple[int, ...]:
        """An architecture to show in messages."""

    def from_codes(self, codes: Any) -> list[tuple[int, ...]]:
        """Architectures as a list of tuples of Python integers."""
        return list(map(self._tuple, self.to_codes(codes).tolist()))

    def _tuple(self, code: Sequence[int]) -> tuple[Any, ...]:
        """The architecture's own tuple for one code."""
        return tuple(code[: code.index(-1)] if -1 in code else code)

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = False,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.int8]:
        """Draw architectures uniformly at random.

        Parameters
        ----------
        n : int
            How many; at least 1 and, without replacement, at most the size of the pool.
        valid_only : bool
            Draw from the valid networks only.
        replace : bool
            Draw with replacement.
        random_state : int, numpy Generator or None
            Seed; the same seed gives the same sample.

        Returns
        -------
        ndarray of shape (n, code_length), int8
        """
        pool = self.enumerate()
        if valid_only:
            pool = pool[self.is_valid(pool)]
        if not isinstance(n, int | np.integer) or n < 1 or (n > len(pool) and not replace):
            raise ValueError(
                f"n={n!r} cannot be drawn: it must be a whole number from 1 to {len(pool):,} (the "
                f"{'valid ' if valid_only else ''}architectures of {self.name}), or pass "
                "replace=True."
            )
        rng = np.random.default_rng(random_state)
        return pool[rng.choice(len(pool), size=int(n), replace=replace)]

    def neighbours(self, architecture: Any, *, valid_only: bool = True) -> NDArray[np.int8]:
        """All architectures that differ from one in a single entry of the code.

        In a space of cells with fixed wiring this is another operation on one edge (node). In
        NAS-Bench-101 it is an edge more or less or another operation, in DARTS another source or
        operation, in TransNAS-Bench-101-macro another layer; the number of nodes or layers stays.

        Parameters
        ----------
        architecture : tuple or str
            One architecture, in any spelling the space can read.
        valid_only : bool
            Leave out those that are no valid networks of the benchmark (`is_valid`).

        Returns
        -------
        ndarray of shape (n_neighbours, code_length), int8
            Codes, by position and then by id; none is possible. Of the 24 in NAS-Bench-201 at most
            22 are valid: `none` on an edge may leave another edge dead.

        Raises
        ------
        ValueError
            As `to_codes`.

        Examples
        --------
        >>> from graf_utils.spaces import NB201
        >>> len(NB201().neighbours((2, 2, 2, 2, 2, 2)))  # none is not valid on 1-2 and 3-4
        22
        >>> NB201().neighbours((2, 1, 1, 2, 1, 2))[:3].tolist()
        [[0, 1, 1, 2, 1, 2], [3, 1, 1, 2, 1, 2], [4, 1, 1, 2, 1, 2]]
        """
        (code,) = self.to_codes([architecture])
        ids = np.arange(self.first_id, self.first_id + len(self.operations), dtype=np.int8)
        position, new = np.nonzero((code[:, None] != ids) & (code[:, None] != -1))
        codes = np.repeat(code[None], len(position), axis=0)
        codes[np.arange(len(codes)), position] = ids[new]
        if len(codes):
            codes = codes[~self._wrong(codes)]
        if valid_only and len(codes):
            codes = codes[self.is_valid(codes)]
        return codes

    def position_names(self) -> list[str]:
        """What each position of the code stands for."""
        return [f"position {i}" for i in range(self.code_length)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))
