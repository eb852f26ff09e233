"""TransNAS-Bench-101 (Duan et al., CVPR 2021): the cell space (micro) and the chain (macro)."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import GraphBatch
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.cell import CellSpace


class TNB101Micro(CellSpace):
    """The cell space of TransNAS-Bench-101: NAS-Bench-201's wiring, four operations.

    An architecture is the tuple of the operation ids of the edges 1-2, 1-3, 2-3, 1-4, 2-4, 3-4, or
    the benchmark's string, which lists the same edges: ``64-41414-a_bc_def``.

    Examples
    --------
    >>> TNB101Micro().parse("64-41414-2_31_032")
    (2, 3, 1, 0, 3, 2)
    """

    name, title = "tnb101-micro", "TransNAS-Bench-101-micro"
    operations = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
    groups = {"conv": ("nor_conv_1x1", "nor_conv_3x3")}
    """Convolutions, which here are all operations but skip connections."""

    def __init__(self) -> None:
        edges = [(1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)]
        super().__init__(self.operations, edges, name=self.name)

    def _example(self) -> tuple[int, ...]:
        return (2, 3, 1, 0, 3, 2)

    def _parse(self, text: str) -> tuple[int, ...]:
        match = re.fullmatch(r"\s*64-41414-([0-3])_([0-3]{2})_([0-3]{3})\s*", text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a TransNAS-Bench-101-micro string. One looks like "
                f"'64-41414-2_31_032' with ids 0..3, a tuple like {self._example()!r}."
            )
        return tuple(map(int, "".join(match.groups())))

    def to_string(self, architecture: Any) -> str:
        """Write one architecture as the benchmark's string.

        Parameters
        ----------
        architecture : tuple or str

        Returns
        -------
        str

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (code,) = self.from_codes([architecture])
        a, b, c, d, e, f = code
        return f"64-41414-{a}_{b}{c}_{d}{e}{f}"


class TNB101Macro(SearchSpace):
    """The skeleton space of TransNAS-Bench-101: a chain of four to six layers.

    A layer's code is 1 plain, 2 doubles the channels, 3 halves the resolution (stride), 4 both. An
    architecture is the tuple of codes, or the benchmark's string ``64-1234-basic``. Zeros at the
    end of a tuple are padding, not layers: they are stripped.

    Examples
    --------
    >>> space = TNB101Macro()
    >>> space.from_codes([(4, 1, 1, 2, 0, 0), "64-12341-basic"])
    [(4, 1, 1, 2), (1, 2, 3, 4, 1)]
    >>> len(space.enumerate())
    3256
    """

    name, title = "tnb101-macro", "TransNAS-Bench-101-macro"
    operations = ("plain", "channel", "stride", "channel+stride")
    doubling = ("channel", "channel+stride")
    """Operations that double the channels."""
    striding = ("stride", "channel+stride")
    """Operations that halve the resolution."""
    groups = {"doubling": doubling, "striding": striding}
    """The same two sets, by name."""
    code_length = 6
    first_id = 1

    @property
    def lengths(self) -> tuple[int, ...]:
        """A chain has four to six layers."""
        return (4, 5, 6)

    def _example(self) -> tuple[int, ...]:
        return (4, 1, 1, 2)

    def _as_integers(self, items: Any) -> NDArray[np.integer] | None:
        codes = super()._as_integers(items)
        if codes is None:
            return None
        padding = np.logical_and.accumulate((codes <= 0)[:, ::-1] & (codes >= -1)[:, ::-1], axis=1)
        return np.where(padding[:, ::-1], -1, codes.astype(np.int64))

    def _check_tuple(self, item: Any) -> tuple[int, ...]:
        (code,) = self._as_integers(np.array([super()._check_tuple(item)]))
        return tuple(code.tolist())

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        layer = (codes >= 1) & (codes <= 4)
        padding = (codes == -1) & (np.arange(6) >= 4)
        gap = layer[:, 1:] & ~layer[:, :-1]
        return ~(layer | padding).all(axis=1) | gap.any(axis=1)

    def _explain(self, code: tuple[int, ...]) -> str:
        return (
            f"{tuple(code)} (-1 stands for padding) is not a chain of 4 to 6 layers with codes 1 "
            "plain, 2 channel, 3 stride, 4 channel+stride; zeros may stand only at the end. Write "
            f"a tuple such as {self._example()}."
        )

    def _parse(self, text: str) -> tuple[int, ...]:
        match = re.fullmatch(r"\s*64-([1-4]{4,6})-basic\s*", text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a TransNAS-Bench-101-macro string. One looks like "
                f"'64-4112-basic' with 4 to 6 codes 1..4, a tuple like {self._example()!r}."
            )
        return self._check_tuple(map(int, match.group(1)))

    def to_string(self, architecture: Any) -> str:
        """Write one architecture as the benchmark's string.

        Parameters
        ----------
        architecture : tuple or str

        Returns
        -------
        str

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (layers,) = self.from_codes([architecture])
        return f"64-{''.join(map(str, layers))}-basic"

    def position_names(self) -> list[str]:
        """Return the layers, counted from 0, one name per position of the code."""
        return [f"layer {i}" for i in range(self.code_length)]

    def enumerate(self) -> NDArray[np.integer]:
        """Return the codes of the 3,256 architectures of the benchmark, short chains first.

        Returns
        -------
        ndarray of shape (3256, 6), int8
        """
        chains = [
            layers + (-1,) * (6 - length)
            for length in self.lengths
            for layers in itertools.product(range(1, 5), repeat=length)
        ]
        codes = np.array(chains, dtype=np.int8)
        return codes[self.is_valid(codes)]

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell which have one to three layers that double channels, one to four with stride.

        These are the architectures of the benchmark. See `SearchSpace.is_valid`.
        """
        codes = self.to_codes(architectures)
        doubling = np.isin(codes, (2, 4)).sum(axis=1)
        stride = np.isin(codes, (3, 4)).sum(axis=1)
        return (doubling >= 1) & (doubling <= 3) & (stride >= 1) & (stride <= 4)

    def canonical(self, architectures: Any) -> list[str]:
        """Write chains as the benchmark's strings; two are the same only if they are equal.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        list of str
            One string per architecture.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return [self.to_string(layers) for layers in self.from_codes(architectures)]

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn chains into graphs, one edge per layer; short chains lack their last edges.

        See `SearchSpace.graph_batch`; the only key is ``""``.
        """
        codes = self.to_codes(architectures)
        steps = [(i, i + 1) for i in range(6)]
        ops, lengths = np.where(codes > 0, codes - 1, codes), (codes > 0).sum(axis=1)
        return {"": GraphBatch(self.operations, 7, steps, ops, ends=lengths)}
