"""NAS-Bench-201 (Dong & Yang, ICLR 2020): a cell of four nodes and six labelled edges."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.spaces.cell import CellSpace
from graf_utils.spaces.costs import nb201_cost
from graf_utils.spaces.reading import read_number

_EDGES = ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
_BY_TARGET = (0, 1, 3, 2, 4, 5)
"""Positions of the tuple in the order of the benchmark's string, which groups by target node."""
_EDGE = re.compile(r"([^~|+]*)~(\d+)")


class NB201(CellSpace):
    """The NAS-Bench-201 search space.

    A cell has nodes 1 (input) to 4 (output) and an operation on each of the edges 1-2, 1-3, 1-4,
    2-3, 2-4, 3-4. An architecture is the tuple of the six operation ids in this order, or the
    benchmark's string, which lists the same edges by target node. `none` is an operation like any
    other: it labels an edge, it does not remove it.

    Examples
    --------
    >>> space = NB201()
    >>> space.parse("|avg_pool_3x3~0|+|skip_connect~0|none~1|"
    ...             "+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|")
    (4, 0, 3, 1, 4, 3)
    >>> int(space.is_valid(space.enumerate()).sum())
    9445
    """

    name = "nb201"
    operations = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
    groups = {
        "conv": ("nor_conv_3x3", "nor_conv_1x1"),
        "spatial": ("nor_conv_3x3", "avg_pool_3x3"),
        "not_skip": ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"),
    }
    """Convolutions; operations that look further than a pixel; all that change what they get."""
    title = "NAS-Bench-201"

    def __init__(self) -> None:
        super().__init__(self.operations, _EDGES, name=self.name)

    def _example(self) -> tuple[int, ...]:
        return (4, 0, 3, 1, 4, 3)

    def _parse(self, text: str) -> tuple[int, ...]:
        shape = self.to_string(self._example())
        if not text.strip().startswith("|"):
            raise ValueError(
                f"{text!r} is not a NAS-Bench-201 string. One looks like {shape!r}"
                + (
                    "; yours looks like TransNAS-Bench-101's, another search space."
                    if re.fullmatch(r"\d+-\d+-[\d_]*", text.strip())
                    else f", a tuple like {self._example()!r}."
                )
            )
        listed = [_EDGE.findall(node) for node in text.split("+")]
        sources = [[read_number(source) for _, source in node] for node in listed]
        if sources != [[0], [0, 1], [0, 1, 2]]:
            raise ValueError(
                f"{text!r} has edges from {sources}; a NAS-Bench-201 cell has one edge into node "
                f"2, two into node 3 and three into node 4, as in {shape!r}."
            )
        ids = [self._operation_id(op) for node in listed for op, _ in node]
        nodes = ["|".join(f"{op}~{source}" for op, source in node) for node in listed]
        if "+".join(f"|{node}|" for node in nodes) != text.strip():
            raise ValueError(
                f"{text!r} has characters between its edges that do not belong there; write it "
                f"as {shape!r}."
            )
        code = [0] * 6
        for position, op in zip(_BY_TARGET, ids, strict=True):
            code[position] = op
        return tuple(code)

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
        (code,) = self.to_codes([architecture]).tolist()
        edges = [f"{self.operations[code[p]]}~{_EDGES[p][0] - 1}" for p in _BY_TARGET]
        return f"|{edges[0]}|+|{'|'.join(edges[1:3])}|+|{'|'.join(edges[3:])}|"

    def cost(
        self,
        architectures: Any,
        *,
        width: int = 16,
        cells: int = 5,
        image_size: int = 32,
        classes: int = 10,
    ) -> NDArray[np.float64]:
        """Parameters and FLOPs of the benchmark's network around each cell, by formula.

        The skeleton is a 3x3 stem, three stages of `cells` cells at widths C, 2C, 4C with a
        residual block of stride 2 between them, and a linear head (Dong & Yang, 2020, figure 1).
        Both numbers are therefore linear in the operation counts.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.
        width : int
            Channels of the first stage, C.
        cells : int
            Cells per stage.
        image_size : int
            Height and width of an image in pixels.
        classes : int
            Outputs of the head.

        Returns
        -------
        ndarray of shape (n_architectures, 2)
            Parameters and FLOPs, both in millions. A multiply-add counts as one FLOP, a batch
            norm as two and a ReLU as one for each output element, pooling as its window. The
            parameters equal those of NAS-Bench-Suite-Zero exactly; its FLOPs are larger by
            0.001088 for every cell, a constant that lies in the skeleton.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        codes = self.to_codes(architectures)
        return nb201_cost(codes, self.operations, width, cells, image_size, classes)
