"""What every search space has: codes, checks, samples and a batch of graphs."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import generator, short
from graf_utils._keys import NotKeyable, describe
from graf_utils.graphs import GraphBatch, signed_dtype
from graf_utils.spaces.reading import ReadsArchitectures

__all__ = ["SearchSpace"]


class SearchSpace(ReadsArchitectures):
    """A search space: its operations and the ways to write an architecture.

    Architectures travel as *codes*: an integer array of shape (n_architectures, `code_length`),
    the tuple of each architecture in a row, filled up with -1 where tuples differ in length. It is
    as narrow as the number of operations allows (`code_dtype`), int8 for up to 128. Every method
    that takes architectures also takes what people have at hand: tuples, benchmark strings, an
    integer array or tensor, a pandas column of any of these.

    Most spaces of your own are a `CellSpace`. Any other is a subclass of this class. It must have

    ===================== ======================================================================
    ``name``, ``title``   texts for messages
    ``operations``        a tuple of names; an id is a position in it, plus ``first_id``
    ``code_length``       how many numbers a code has
    ``graph_batch``       from architectures to a `GraphBatch` for each of ``cells``, row by row
    ``is_valid``          which architectures may be drawn
    ``enumerate``         all codes; raise a ``ValueError`` if there are too many
    ``_parse``            from text to the tuple of a code, or a ``ValueError``
    ``_example``          one tuple, shown in messages
    ===================== ======================================================================

    and, where the defaults do not fit:

    ===================== ======================================================================
    ``sample``            if it cannot be listed: by default drawn from ``enumerate``
    ``neighbours``        if a change is more than another operation id in one entry
    ``_wrong, _explain``  if codes hold other numbers than operation ids, with ``code_dtype``
    ``lengths``           if tuples differ in length; shorter codes are filled up with -1
    ``position_names``    what the entries of a code are called, and ``entry`` what one stands for
    ``cells``, ``inputs`` names of the cells of an architecture, and of the inputs of a cell
    ``free``              labels of graphs that are no operations, such as an output
    ``numbers``           names of the numbers in the graphs
    ``groups``            sets of operations that belong together
    ===================== ======================================================================

    Two spaces are equal if they are of one class and all their attributes are equal.
    `graf_utils.contract.check_space` tries all of this and says what is broken.

    Examples
    --------
    >>> class Pair(SearchSpace):
    ...     name, title, operations, code_length = "pair", "Pair", ("conv", "pool"), 2
    ...     def _example(self):
    ...         return (0, 1)
    ...     def _parse(self, text):
    ...         raise ValueError(f"{text!r} is no tuple of 0 and 1 such as (0, 1).")
    ...     def enumerate(self):
    ...         return self.to_codes([(0, 0), (0, 1), (1, 0), (1, 1)])
    ...     def is_valid(self, architectures):
    ...         return np.ones(len(self.to_codes(architectures)), dtype=bool)
    ...     def graph_batch(self, architectures):
    ...         codes = self.to_codes(architectures)
    ...         return {"": GraphBatch(self.operations, 3, [(0, 1), (1, 2)], codes)}
    >>> Pair().neighbours((0, 1)).tolist()
    [[1, 1], [0, 0]]
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
    groups: Mapping[str, tuple[str, ...]] = {}
    """Named sets of operations that belong together, such as all convolutions."""
    numbers: Mapping[str, Any] = {}
    """Numbers on the edges or nodes of the graphs, by name (`GraphBatch`)."""
    fixed_wiring: bool = False
    """Whether all architectures have the same edges, so that only operations are chosen."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the graphs, first the free ones that are no operation of a code."""
        return (*(label for label in self.free if label not in self.operations), *self.operations)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths an architecture's tuple may have."""
        return (self.code_length,)

    def parse(self, text: str) -> tuple[Any, ...]:
        """Read one architecture from text, the benchmark's own spelling or a written tuple.

        Parameters
        ----------
        text : str

        Returns
        -------
        tuple
            The architecture's own tuple, of Python integers.

        Raises
        ------
        ValueError
            The text is of another benchmark, names an unknown operation, or has another shape.
        """
        code = self._read(text)
        if self._wrong(np.array([code])).any():
            raise ValueError(f"{text!r}: {self._explain(code)}")
        return self._tuple(code)

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
    def enumerate(self) -> NDArray[np.integer]:
        """Return the codes of all architectures of a finite space.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), `code_dtype`
            In the order of `itertools.product`.

        Raises
        ------
        ValueError
            There are too many.
        """

    @abstractmethod
    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell for each architecture whether it is a valid network of the benchmark.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        ndarray of shape (n_architectures,), bool

        Raises
        ------
        ValueError
            As `to_codes`.
        """

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """Type of codes, the smallest that holds all ids (int8 for up to 128 operations)."""
        return signed_dtype(self.first_id + len(self.operations) - 1)

    def to_codes(self, architectures: Any) -> NDArray[np.integer]:
        """Check architectures and return their codes.

        Parameters
        ----------
        architectures : sequence of tuple or str, ndarray, tensor, pandas Series or DataFrame
            One architecture per item, or per row. A frame of one column that holds text or tuples
            is read as that column.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), `code_dtype`
            int8 for up to 128 operations.

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
        dtype = self.code_dtype
        if codes.max() > np.iinfo(dtype).max:
            raise ValueError(
                f"codes hold {codes.max()}, more than code_dtype={dtype} of {self!r} can. A space "
                "whose codes hold other numbers than operation ids must set code_dtype itself, "
                'such as code_dtype = np.dtype("int32").'
            )
        return codes.astype(dtype, order="C")

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which rows break a rule of the space."""
        if codes.min() >= 0 and codes.max() < len(self.operations):  # the quick answer
            return np.zeros(len(codes), dtype=bool)
        return ((codes < 0) | (codes >= len(self.operations))).any(axis=1)

    def _explain(self, code: tuple[int, ...]) -> str:
        """The rule that a row of `_wrong` breaks, and the remedy."""
        wrong = (i for i, op in enumerate(code) if not 0 <= op < len(self.operations))
        return self._unknown(code, next(wrong))

    def _unknown(self, code: tuple[int, ...], position: int) -> str:
        """What is wrong with an entry that is no operation id, and the ids there are."""
        meanings = [f"{i} {op}" for i, op in enumerate(self.operations)]
        if len(meanings) > 20:
            meanings[20:] = ["…"]
        return (
            f"operation id {code[position]} at position {position} is unknown in {self.name}. Ids "
            f"are 0..{len(self.operations) - 1}: {', '.join(meanings)}."
        )

    def from_codes(self, codes: Any) -> list[tuple[int, ...]]:
        """Return architectures as tuples of Python integers.

        Parameters
        ----------
        codes : ndarray of shape (n_architectures, code_length)
            Or architectures in any other form that `to_codes` takes.

        Returns
        -------
        list of tuple
            One tuple per architecture, without padding.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
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
    ) -> NDArray[np.integer]:
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
        ndarray of shape (n, code_length), `code_dtype`

        Raises
        ------
        ValueError
            So many cannot be drawn, or `random_state` is no seed.
        """
        pool = self.enumerate()
        if valid_only:
            pool = pool[self.is_valid(pool)]
        what = "valid architectures" if valid_only else "architectures"
        if not len(pool):
            raise ValueError(f"{self.name} has no {what}, so none can be drawn.")
        n = self._check_n(n, None if replace else len(pool), f"{what} of {self.name}")
        rng = generator(random_state)
        return pool[rng.choice(len(pool), size=n, replace=replace)]

    def _check_n(self, n: Any, most: int | None, what: str) -> int:
        """Read how many to draw; `most` is None where any number can be drawn."""
        whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
        if whole and n >= 1 and (most is None or n <= most):
            return int(n)
        limit = "" if most is None else f" to {most:,} (the {what}), or pass replace=True"
        raise ValueError(f"n={n!r} cannot be drawn: it must be a whole number from 1{limit}.")

    def neighbours(self, architecture: Any, *, valid_only: bool = True) -> NDArray[np.integer]:
        """Return all architectures that differ from one in a single entry of the code.

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
        ndarray of shape (n_neighbours, code_length), `code_dtype`
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
        ids = np.arange(self.first_id, self.first_id + len(self.operations), dtype=code.dtype)
        position, new = np.nonzero((code[:, None] != ids) & (code[:, None] != -1))
        codes = np.repeat(code[None], len(position), axis=0)
        codes[np.arange(len(codes)), position] = ids[new]
        if len(codes):
            codes = codes[~self._wrong(codes)]
        if valid_only and len(codes):
            codes = codes[self.is_valid(codes)]
        return codes

    def position_names(self) -> list[str]:
        """Return what each position of the code stands for, one name per position."""
        return [f"position {i}" for i in range(self.code_length)]

    def entry(self, code: Sequence[int], position: int) -> Any:
        """Return what one entry of a code stands for, for people.

        Parameters
        ----------
        code : sequence of int of length `code_length`
        position : int

        Returns
        -------
        object
            The entry itself, if a space has no word for it.
        """
        return code[position]

    def __repr__(self) -> str:
        name = type(self).__name__
        if tuple(self.operations) == tuple(getattr(type(self), "operations", ())):
            return f"{name}()"
        return f"{name}(operations={list(self.operations)})"

    def _state(self) -> dict[str, Any]:
        """What was set on this instance, without what is computed from it when first asked."""
        cached = functools.cached_property
        return {
            key: value
            for key, value in vars(self).items()
            if not isinstance(getattr(type(self), key, None), cached)
        }

    def __eq__(self, other: object) -> bool:
        """Equal are spaces of one class with equal attributes, whatever these are."""
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        mine, theirs = self._state(), other._state()
        return mine.keys() == theirs.keys() and all(_same(mine[k], theirs[k]) for k in mine)

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.operations), self.code_length))


def _same(one: Any, other: Any) -> bool:
    """Whether two attributes are equal, also where they hold arrays."""
    try:
        if one == other:
            return True
    except (TypeError, ValueError):  # arrays of several values are neither true nor false
        pass
    try:
        return describe(one) == describe(other)
    except NotKeyable:
        return False
