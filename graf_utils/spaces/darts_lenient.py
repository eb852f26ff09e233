"""Cells written as those of DARTS that keep fewer of its rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import generator
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces.darts import DARTS

__all__ = ["LenientDARTS"]

_NODES = 4
_SLOTS = [(source, 2 + k) for k in range(_NODES) for _ in range(2) for source in range(k + 2)]
_OUT = [(2 + k, 2 + _NODES) for k in range(_NODES)]


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
    operations = (*DARTS.operations, "none")

    def _example(self) -> tuple[Any, ...]:
        return (((0, 3), (0, 7)) * 4,) * 2

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        pairs = codes.reshape(-1, 2, _NODES, 2, 2)
        source, op = pairs[..., 0], pairs[..., 1]
        limit = np.arange(2, 2 + _NODES)[:, None]
        wrong = (source < 0) | (source >= limit) | (op < 0) | (op >= len(self.operations))
        return wrong.any(axis=(1, 2, 3))

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = True,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.integer]:
        """Draw genotypes, each source and each operation uniformly.

        See `SearchSpace.sample`; with ``replace=False`` repeats are ruled out.
        """
        n = self._check_n(n, None, "")
        rng = generator(random_state)
        codes = np.empty((n, 2, _NODES, 2, 2), dtype=self.code_dtype)
        codes[..., 0] = rng.integers(0, np.arange(2, 2 + _NODES)[:, None], codes.shape[:-1])
        codes[..., 1] = rng.integers(0, len(self.operations), codes.shape[:-1])
        codes = codes.reshape(-1, 32)
        if not replace and len(np.unique(codes, axis=0)) < n:
            return self.sample(n, replace=False, random_state=rng)
        return codes

    def canonical(self, architectures: Any) -> list[str]:
        """Write architectures with the two inputs of each node in the order of their sources.

        Of inputs with one source, the one with the smaller operation id comes first.
        See `DARTS.canonical`.
        """
        pairs = self.to_codes(architectures).astype(np.int16).reshape(-1, 2 * _NODES, 2, 2)
        key = pairs[..., 0] * len(self.operations) + pairs[..., 1]
        order = key.argsort(axis=2, kind="stable")[..., None]
        ordered = np.take_along_axis(pairs, order, axis=2).reshape(-1, 32)
        return [str(self._tuple(code)) for code in ordered.tolist()]

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn genotypes into graphs: nodes 0 and 1 are the inputs, 6 is the output.

        Each inner node has two slots for each source, one for its first and one for its second
        input. See `SearchSpace.graph_batch`; the keys are ``"normal"`` and ``"reduce"``.
        """
        codes = self.to_codes(architectures).reshape(-1, 2, _NODES, 2, 2)
        rows = np.arange(len(codes))
        batches = {}
        for c, cell in enumerate(self.cells):
            edge_ops = np.zeros((len(codes), len(_SLOTS) + _NODES), dtype=np.int8)  # 0 is out
            edge_ops[:, : len(_SLOTS)] = ABSENT
            first = 0
            for k in range(_NODES):
                for j in range(2):
                    edge_ops[rows, first + codes[:, c, k, j, 0]] = codes[:, c, k, j, 1] + 1
                    first += k + 2
            edges = np.array(_SLOTS + _OUT)
            batches[cell] = GraphBatch(
                self.labels, 3 + _NODES, edges, edge_ops, inputs=(0, 1), free=self.free,
                dead=("none",),
            )  # fmt: skip
        return batches
