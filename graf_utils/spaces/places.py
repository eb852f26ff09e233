"""What may stand at the places of a cell: operations with their numbers, and how many places.

The code of a cell holds for each place, an edge or an inner node, the id of its operation and then,
for each number that operations choose, which of its choices it is, counted from 0; 0 also where an
operation has no choice. A cell with fewer places than the largest is filled up with -1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graf_utils.graphs import ABSENT, signed_dtype

__all__ = ["Places"]

_MAX_STATES = 100_000  # operations with all their numbers that may stand at one place


@dataclass(frozen=True)
class Places:
    """The places of a cell and what may stand there.

    Parameters
    ----------
    choices : tuple of tuple of int
        For each operation and each number among how many it chooses; at least 1.
    depths : tuple of int
        How many places a cell may have, in ascending order.

    Raises
    ------
    ValueError
        So many combinations of an operation and its numbers are not tabled.
    """

    choices: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        n_states = sum(map(math.prod, self.choices))
        if n_states > _MAX_STATES:
            raise ValueError(
                f"numbers give {n_states:,} combinations of an operation and its numbers at each "
                f"place; at most {_MAX_STATES:,} are allowed. List fewer numbers to choose from."
            )

    @property
    def width(self) -> int:
        """Entries of the code for each place."""
        return 1 + len(self.choices[0])

    @cached_property
    def states(self) -> NDArray[np.intp]:
        """All that may stand at one place, an array of shape (n_states, width), in order."""
        return np.array(
            [
                (op, *numbers)
                for op, sizes in enumerate(self.choices)
                for numbers in product(*map(range, sizes))
            ]
        )

    @cached_property
    def _most(self) -> NDArray[np.intp]:
        """The choices as an array of shape (n_operations, n_numbers)."""
        return np.array(self.choices, dtype=np.intp).reshape(len(self.choices), -1)

    def count(self) -> int:
        """How many cells there are."""
        return sum(len(self.states) ** depth for depth in self.depths)

    def depth(self, codes: NDArray[np.integer]) -> NDArray[np.intp]:
        """How many places each cell has.

        Parameters
        ----------
        codes : ndarray of shape (n_cells, code_length)

        Returns
        -------
        ndarray of shape (n_cells,)
        """
        return (codes[:, :: self.width] != ABSENT).sum(axis=1)

    def every(self, dtype: DTypeLike) -> NDArray[np.integer]:
        """The codes of all cells, those with fewer places first, in the order of `product`.

        Parameters
        ----------
        dtype : numpy dtype

        Returns
        -------
        ndarray of shape (n_cells, code_length)
        """
        parts = []
        for depth in self.depths:
            n, rest = len(self.states) ** depth, np.arange(len(self.states) ** depth)
            codes = np.full((n, self.depths[-1], self.width), ABSENT, dtype=dtype)
            for place in reversed(range(depth)):
                rest, state = np.divmod(rest, len(self.states))
                codes[:, place] = self.states[state]
            parts.append(codes.reshape(n, -1))
        return np.concatenate(parts)

    def draw(self, n: int, rng: np.random.Generator, dtype: DTypeLike) -> NDArray[np.integer]:
        """Codes of cells drawn independently, each cell of the space equally likely.

        Parameters
        ----------
        n : int
        rng : numpy Generator
        dtype : numpy dtype

        Returns
        -------
        ndarray of shape (n, code_length)
        """
        n_states, most = len(self.states), self.depths[-1]
        narrow = signed_dtype(n_states - 1)
        state = rng.integers(0, n_states, (n, most), dtype=narrow)
        codes = self.states.astype(dtype)[state]
        if len(self.depths) > 1:
            share = float(n_states) ** (np.array(self.depths) - float(most))
            depth = rng.choice(self.depths, size=n, p=share / share.sum())
            codes[np.arange(most) >= depth[:, None]] = ABSENT
        return codes.reshape(n, -1)

    def wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which rows are no cell of the space.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, code_length)

        Returns
        -------
        ndarray of shape (n_rows,), bool
        """
        return ~np.isin(self.depth(codes), self.depths) | self.faults(codes).any(axis=1)

    def faults(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which entries are wrong, given how many places a cell has.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, code_length)

        Returns
        -------
        ndarray of shape (n_rows, code_length), bool
        """
        entries = codes.reshape(len(codes), -1, self.width)
        ops = entries[:, :, 0]
        inside = np.arange(ops.shape[1]) < self.depth(codes)[:, None]
        known = (ops >= 0) & (ops < len(self.choices))
        most = self._most[np.where(known, ops, 0)]
        right = np.empty(entries.shape, dtype=bool)
        right[:, :, 0] = known
        right[:, :, 1:] = (entries[:, :, 1:] >= 0) & (entries[:, :, 1:] < most)
        right = np.where(inside[:, :, None], right, entries == ABSENT)
        return ~right.reshape(codes.shape)

    def neighbours(self, code: NDArray[np.integer]) -> NDArray[np.integer]:
        """The cells that differ from one in a single respect.

        That is another operation at a place, which keeps the choices that it also has, another
        number, the last node more or less. A node more has the same operation on all its edges.

        Parameters
        ----------
        code : ndarray of shape (code_length,)

        Returns
        -------
        ndarray of shape (n_neighbours, code_length)
        """
        depth = int(self.depth(code[None])[0])
        entries = code.reshape(-1, self.width)
        parts = [entries[None][:0]]
        for place in range(depth):
            others = self._others(entries[place])
            changed = np.repeat(entries[None], len(others), axis=0)
            changed[:, place] = others
            parts.append(changed)
        position = self.depths.index(depth)
        for other in self.depths[max(position - 1, 0) : position + 2]:
            if other < depth:
                changed = entries[None].copy()
                changed[:, other:] = ABSENT
                parts.append(changed)
            elif other > depth:
                changed = np.repeat(entries[None], len(self.states), axis=0)
                changed[:, depth:other] = self.states[:, None]
                parts.append(changed)
        return np.concatenate(parts).reshape(-1, len(code))

    def _others(self, entry: NDArray[np.integer]) -> NDArray[Any]:
        """What else may stand at a place after a single change."""
        most = self._most
        ops = np.arange(len(self.choices))
        by_op = np.column_stack([ops, np.where(entry[1:] < most, entry[1:], 0)])
        others = [by_op[ops != entry[0]]]
        for k, n in enumerate(most[entry[0]], start=1):
            changed = np.repeat(entry[None], n, axis=0)
            changed[:, k] = np.arange(n)
            others.append(changed[changed[:, k] != entry[k]])
        return np.concatenate(others)
