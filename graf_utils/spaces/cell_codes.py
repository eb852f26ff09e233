"""The codes of cells: read, named, listed, drawn and changed, whatever their graphs mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import generator
from graf_utils.graphs import ABSENT, signed_dtype
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.drawing import draw_cells
from graf_utils.spaces.numbers import Choices, number_values
from graf_utils.spaces.places import Places
from graf_utils.spaces.wiring import edge_names

__all__ = ["CellCodes"]

_MAX_ENUMERATED = 10_000_000
_MAX_LISTED = 100_000  # cells that are listed to draw a few


class CellCodes(SearchSpace):
    """What a `CellSpace` knows of its codes.

    A code holds for each place, an edge or an inner node, the id of its operation and then, for
    each number that operations choose, which of its choices it is (`Places`).
    """

    edges: tuple[tuple[int, int], ...]
    nodes: tuple[int, ...]
    input_nodes: tuple[int, ...]
    sizes: tuple[int, ...]
    numbers: Choices
    ops_on: str

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the numbers that some operation chooses, in the order of the code."""
        return tuple(
            name for name, by_op in self.numbers.items() if max(map(len, by_op.values())) > 1
        )

    @cached_property
    def _only_operations(self) -> bool:
        """Whether codes are operation ids and no more, all of one length."""
        return len(self.sizes) == 1 and not self.chosen

    @cached_property
    def places(self) -> Places:
        """What may stand at each place of the code, and how many places there may be."""
        choices = tuple(
            tuple(len(self.numbers[name].get(op, (0,))) for name in self.chosen)
            for op in self.operations
        )
        last = [self.nodes[0] + size - 1 for size in self.sizes]
        if self.ops_on == "edges":
            depths = [sum(target <= node for _, target in self.edges) for node in last]
        else:
            depths = [size - len(self.input_nodes) - 1 for size in self.sizes]
        return Places(choices, tuple(depths))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths an architecture's tuple may have, one for each of `sizes`."""
        return tuple(depth * self.places.width for depth in self.places.depths)

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """Type of codes, the smallest that holds all ids and all choices of numbers."""
        choices = max(map(max, self.places.choices)) if self.chosen else 1
        return signed_dtype(max(len(self.operations), choices) - 1)

    def _example(self) -> tuple[int, ...]:
        silent = (0,) * len(self.chosen)
        few = [(i % len(self.operations), *silent) for i in range(self.places.depths[-1])]
        return sum(few, ())

    def _parse(self, text: str) -> tuple[int, ...]:
        raise ValueError(f"{text!r} is not a tuple such as {self._example()!r}.")

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        return super()._wrong(codes) if self._only_operations else self.places.wrong(codes)

    def _explain(self, code: tuple[int, ...]) -> str:
        codes, width = np.array([code]), self.places.width
        (depth,), faults = self.places.depth(codes), self.places.faults(codes)[0]
        position = int(faults.argmax()) if faults.any() else depth * width
        if len(self.sizes) > 1 and (position >= depth * width or code[position] == ABSENT):
            what = "edges" if self.ops_on == "edges" else "inner nodes"
            return (
                f"it holds {depth} {what}; a cell of {self.name} has one of {self.places.depths}, "
                f"for {self.sizes} nodes, and -1 only behind them. Write a tuple such as "
                f"{self._example()}."
            )
        if position % width == 0:
            return self._unknown(code, position)
        name = self.chosen[position % width - 1]
        op = self.operations[code[position // width * width]]
        few = self.numbers[name].get(op, ())
        rule = f"has {name} {list(few)}, numbered from 0" if few else f"has no {name}: write 0"
        place = self.position_names()[position]
        return f"entry {position} ({place}) is {code[position]}; {op} {rule}."

    def position_names(self) -> list[str]:
        """Return one name per position of the code.

        An edge is called ``"1-2"``, an inner node ``"1"``, the number that is chosen there
        ``"1-2 kernel"``.
        """
        if self.ops_on == "nodes":
            names = [str(node) for node in self.nodes[:-1] if node not in self.input_nodes]
        else:
            names = edge_names(self.edges)
        return [
            " ".join([place, *number])
            for place in names
            for number in ([], *([n] for n in self.chosen))
        ]

    def entry(self, code: Sequence[int], position: int) -> Any:
        """What an entry of a code stands for: an operation's name, a number, or its lack.

        See `SearchSpace.entry`. Behind a small cell it is ``"absent"``, for an operation without
        the number ``"no kernel"``.
        """
        place, k = divmod(position, self.places.width)
        if code[position] == ABSENT:
            return "absent"
        op = self.operations[code[place * self.places.width]]
        if not k:
            return op
        name = self.chosen[k - 1]
        few = self.numbers[name].get(op)
        return few[code[position]] if few else f"no {name}"

    def enumerate(self) -> NDArray[np.integer]:
        """Return the codes of all architectures, in the order of `itertools.product`.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), `code_dtype`

        Raises
        ------
        ValueError
            There are more than ten million; use `sample`.
        """
        count = self.places.count()
        if count > _MAX_ENUMERATED:
            raise ValueError(
                f"{self.name} has {_written(count)} architectures, too many to enumerate (at most "
                f"{_MAX_ENUMERATED:,}). Use sample."
            )
        return self.places.every(self.code_dtype)

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = False,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.integer]:
        """Draw architectures uniformly at random.

        See `SearchSpace.sample`. A space is listed only if it is small or most of it is asked for.
        Otherwise cells are drawn one by one, those that are invalid or drawn before again.

        Raises
        ------
        ValueError
            So many cannot be drawn, `random_state` is no seed, or of a space too large to list
            hardly any cell is valid.
        """
        count, options = self.places.count(), {"valid_only": valid_only, "replace": replace}
        if count <= _MAX_LISTED:
            return super().sample(n, random_state=random_state, **options)
        most = None if replace else min(count, 10**18)
        n, rng = self._check_n(n, most, f"architectures of {self.name}"), generator(random_state)
        if count > min(4 * n, _MAX_ENUMERATED):
            valid = self.is_valid if valid_only else None
            rounds = 200 if count > _MAX_ENUMERATED else 10
            codes = draw_cells(self.places, n, valid, replace, rng, self.code_dtype, rounds)
            if len(codes) == n:
                return codes
            if count > _MAX_ENUMERATED:
                smaller = f", or n={len(codes)}" if len(codes) else ""
                raise ValueError(
                    f"hardly any cell of {self.name} is valid: {len(codes):,} were found, n={n:,} "
                    f"were to be drawn. Pass valid_only=False{smaller}."
                )
        return super().sample(n, random_state=rng, **options)

    def neighbours(self, architecture: Any, *, valid_only: bool = True) -> NDArray[np.integer]:
        """Return all cells that differ from one in a single respect.

        That is another operation at a place (with the numbers that it can keep, else the first of
        its choices), another number, or, where `sizes` has several, the last node more or less; a
        node more has one and the same operation on all its edges. See `SearchSpace.neighbours`.
        """
        if self._only_operations:
            return super().neighbours(architecture, valid_only=valid_only)
        (code,) = self.to_codes([architecture])
        codes = self.places.neighbours(code).astype(code.dtype, copy=False)
        return codes[self.is_valid(codes)] if valid_only and len(codes) else codes

    def _labelled(self, codes: NDArray[np.integer]) -> dict[str, NDArray[np.float64]]:
        """The numbers at each place, NaN where there is none, by name."""
        entries = codes.reshape(len(codes), -1, self.places.width)
        values = number_values(self.numbers, self.operations)
        numbers = {}
        for k, name in enumerate(self.numbers):
            which = entries[:, :, 1 + self.chosen.index(name)] if name in self.chosen else 0
            found = values[entries[:, :, 0], k, which]
            numbers[name] = np.where(entries[:, :, 0] == ABSENT, np.nan, found)
        return numbers

    def _ends(self, codes: NDArray[np.integer]) -> NDArray[np.intp]:
        """The node at which each cell ends, counted from 0."""
        if len(self.sizes) == 1:
            return np.full(len(codes), self.sizes[0] - 1)
        which = np.searchsorted(self.places.depths, self.places.depth(codes))
        return np.array(self.sizes)[which] - 1


def _written(count: int) -> str:
    """A number for people, a very large one as a power of ten."""
    digits = len(str(count)) if count < 10**100 else int(math.log10(count)) + 1
    return f"{count:,}" if digits <= 15 else f"about 10**{digits - 1}"
