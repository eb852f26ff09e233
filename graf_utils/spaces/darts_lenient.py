"""Cells written as those of DARTS that keep fewer of its rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.spaces.darts import DARTS, NODES
from graf_utils.spaces.wiring import NONE

__all__ = ["LenientDARTS"]


class LenientDARTS(DARTS):
    """Genotypes as of DARTS, with the operation `none`, and both inputs of a node from one source.

    The search by which DARTS finds cells never returns such a genotype, but benchmarks of random
    ones hold them, such as the 1,000 of SWAP (Peng et al., TPAMI 2026). `none` carries nothing: no
    live path goes over it. Where both inputs of a node come from one source, the graph has two
    edges between them.

    Examples
    --------
    >>> space = LenientDARTS()
    >>> genotype = space.to_string((((0, 7), (0, 3)) * 4,) * 2)
    >>> genotype[:53]
    "Genotype(normal=[('none', 0), ('sep_conv_3x3', 0), ('"
    """

    name, title = "darts-lenient", "DARTS with none and repeated sources"
    operations = (*DARTS.operations, NONE)
    _may_repeat = True
    _slots = [(source, 2 + k) for k in range(NODES) for _ in range(2) for source in range(k + 2)]

    def _first_slot(self, k: int, j: int) -> int:
        """Each inner node has a slot for each source twice: for its first and its second input."""
        return self._slots.index((0, 2 + k)) + j * (k + 2)

    def _example(self) -> tuple[Any, ...]:
        return (((0, 3), (0, 7)) * 4,) * 2

    def _draw(self, n: int, rng: np.random.Generator) -> NDArray[np.integer]:
        """Pairs of random genotypes: each source and each operation uniformly."""
        codes = np.empty((n, 2, NODES, 2, 2), dtype=self.code_dtype)
        codes[..., 0] = rng.integers(0, np.arange(2, 2 + NODES)[:, None], codes.shape[:-1])
        codes[..., 1] = rng.integers(0, len(self.operations), codes.shape[:-1])
        return codes
