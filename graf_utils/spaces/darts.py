"""The DARTS search space (Liu et al., ICLR 2019), which NAS-Bench-301 covers by a surrogate."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import generator, short
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.reading import read_number
from graf_utils.spaces.wiring import NONE

NODES = 4
_SLOTS = [(source, 2 + k) for k in range(NODES) for source in range(k + 2)]
_OUT = [(2 + k, 2 + NODES) for k in range(NODES)]
_PAIR = r"\(\s*['\"]([^'\"]*)['\"]\s*,\s*(\d+)\s*\)"
_LIST = rf"\[\s*((?:{_PAIR}\s*,?\s*)*)\]"
_CONCAT = r"(range\(\s*\d+\s*,\s*\d+\s*\)|[\[(][\s\d,]*[\])])"
_JOINED = list(range(2, 2 + NODES))
_GENOTYPE = re.compile(
    rf"\s*Genotype\(\s*normal\s*=\s*{_LIST}\s*,\s*normal_concat\s*=\s*{_CONCAT}\s*,"
    rf"\s*reduce\s*=\s*{_LIST}\s*,\s*reduce_concat\s*=\s*{_CONCAT}\s*,?\s*\)\s*"
)


class DARTS(SearchSpace):
    """The DARTS search space of NAS-Bench-301: a normal and a reduction cell.

    A cell has the inputs c_{k-2} and c_{k-1} (sources 0 and 1), four inner nodes (2 to 5), and the
    output c_{k}, which joins the inner nodes. Each inner node takes two edges from different
    earlier nodes. An architecture is a pair of cells (normal, reduce), each eight pairs (source,
    operation id), two for each inner node in turn; or the text of a genotype. A code has 32
    entries: these numbers in the same order.

    Examples
    --------
    >>> space = DARTS()
    >>> normal, reduce = space.from_codes(space.sample(1, random_state=0))[0]
    >>> space.parse(space.to_string((normal, reduce))) == (normal, reduce)
    True
    """

    name, title = "darts", "DARTS"
    operations = (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    groups = {
        "conv": ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
        "not_skip": (
            "max_pool_3x3",
            "avg_pool_3x3",
            "sep_conv_3x3",
            "sep_conv_5x5",
            "dil_conv_3x3",
            "dil_conv_5x5",
        ),
    }
    """Convolutions; all operations that change what they get."""
    free = ("out",)
    cells = ("normal", "reduce")
    inputs = ("c_{k-2}", "c_{k-1}")
    code_length = 32

    _may_repeat = False  # whether both inputs of a node may come from one source
    _slots = _SLOTS

    def _first_slot(self, k: int, j: int) -> int:
        """Where the slots of input j of inner node k begin."""
        return self._slots.index((0, 2 + k))

    def _example(self) -> tuple[Any, ...]:
        return (((0, 3), (1, 3)) * 4,) * 2

    def _as_integers(self, items: Any) -> NDArray[np.integer] | None:
        if isinstance(items, np.ndarray) and items.dtype == object:
            items = list(items)
        try:
            codes = np.array(items)
        except ValueError:  # ragged
            return None
        if codes.dtype.kind not in "iu" or codes.shape[1:] not in ((32,), (2, 8, 2)):
            return None
        return codes.reshape(-1, 32)

    def _check_tuple(self, item: Any) -> tuple[int, ...]:
        if hasattr(item, "normal") and hasattr(item, "reduce"):  # a genotype namedtuple
            for cell in self.cells:
                _check_joined(cell, getattr(item, f"{cell}_concat", _JOINED))
            item = [
                [(source, self._operation_id(op)) for op, source in cell]
                for cell in (item.normal, item.reduce)
            ]
        try:
            cells = [[tuple(pair) for pair in cell] for cell in item]
        except TypeError:
            cells = []
        shape = [len(cell) for cell in cells], {len(pair) for cell in cells for pair in cell}
        if shape != ([8, 8], {2}):
            raise ValueError(
                "it is not a pair (normal, reduce) of cells with 8 pairs (source, operation id) "
                f"each, such as {self._example()}."
            )
        flat = [value for cell in cells for pair in cell for value in pair]
        return super()._check_tuple(flat)

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        pairs = codes.reshape(-1, 2, NODES, 2, 2)
        source, op = pairs[..., 0], pairs[..., 1]
        limit = np.arange(2, 2 + NODES)[:, None]
        wrong = (source < 0) | (source >= limit) | (op < 0) | (op >= len(self.operations))
        wrong = wrong.any(axis=(1, 2, 3))
        if self._may_repeat:
            return wrong
        return wrong | (source[..., 0] == source[..., 1]).any(axis=(1, 2))

    def _explain(self, code: tuple[int, ...]) -> str:
        for cell, pairs in zip(self.cells, self._tuple(code), strict=True):
            for i, (source, op) in enumerate(pairs):
                where = f"pair {i} of the {cell} cell, ({source}, {op}), feeds node {i // 2 + 2}"
                if not 0 <= source <= i // 2 + 1:
                    return (
                        f"{where}: source {source} must be an earlier node, 0..{i // 2 + 1} (no "
                        "cycles; 0 is c_{k-2}, 1 is c_{k-1})."
                    )
                if not 0 <= op < len(self.operations):
                    last = len(self.operations) - 1
                    return (
                        f"{where}: operation id {op} is unknown; ids are 0..{last}: "
                        + ", ".join(f"{k} {name}" for k, name in enumerate(self.operations))
                        + "."
                    )
                if i % 2 and source == pairs[i - 1][0]:
                    return (
                        f"{where}: source {source} is repeated; the two inputs of a node must "
                        "differ. Choose another source."
                    )
        raise AssertionError(code)

    def _parse_tuple_text(self, text: str) -> tuple[int, ...] | None:
        if not re.fullmatch(r"[\s\d,()\[\]]+", text):
            return None
        plain = re.sub(r"\s", "", text).replace("[", "(").replace("]", ")")
        if not re.fullmatch(r"\(\(N{8}\),\(N{8}\)\)", re.sub(r"\(\d+,\d+\),?", "N", plain)):
            return None
        numbers = [read_number(digits) for digits in re.findall(r"\d+", plain)]
        return self._check_tuple(np.reshape(numbers, (2, 8, 2)).tolist())

    def _parse(self, text: str) -> tuple[int, ...]:
        match = _GENOTYPE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text[:200]!r} is neither a genotype such as \"Genotype(normal=[('sep_conv_3x3', "
                '0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))", '
                "with nodes 2 to 5 joined, nor a pair of lists of 8 pairs (source, operation id)."
            )
        normal, _, _, normal_concat, reduce, _, _, reduce_concat = match.groups()
        for cell, text_of_nodes in zip(self.cells, (normal_concat, reduce_concat), strict=True):
            nodes = [read_number(digits) for digits in re.findall(r"\d+", text_of_nodes)]
            is_range = text_of_nodes.startswith("range")
            _check_joined(cell, range(*nodes) if is_range else nodes)
        cells = [re.findall(_PAIR, part) for part in (normal, reduce)]
        return self._check_tuple(
            [
                [(read_number(source), self._operation_id(op)) for op, source in cell]
                for cell in cells
            ]
        )

    def _tuple(self, code: Any) -> tuple[Any, ...]:
        pairs = list(zip(code[::2], code[1::2], strict=True))
        return tuple(pairs[:8]), tuple(pairs[8:])

    def to_string(self, architecture: Any) -> str:
        """Write one architecture as the text of a genotype.

        Parameters
        ----------
        architecture : pair of cells, genotype or str

        Returns
        -------
        str

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        ((normal, reduce),) = self.from_codes([architecture])
        lists = [
            [(self.operations[op], source) for source, op in cell] for cell in (normal, reduce)
        ]
        return (
            f"Genotype(normal={lists[0]}, normal_concat=[2, 3, 4, 5], "
            f"reduce={lists[1]}, reduce_concat=[2, 3, 4, 5])"
        )

    def to_networkx(self, architecture: Any) -> dict[str, nx.DiGraph]:
        """Return the two cells as networkx.

        Parameters
        ----------
        architecture : pair of cells, genotype or str

        Returns
        -------
        dict of str to networkx.DiGraph
            By the names of the cells; nodes are named, operations are the edge attribute ``op``.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        names = dict(enumerate((*self.inputs, "0", "1", "2", "3", "c_{k}")))
        batches = self.graph_batch([architecture])
        return {
            cell: nx.relabel_nodes(batch.to_networkx(0), names) for cell, batch in batches.items()
        }

    def enumerate(self) -> NDArray[np.integer]:
        """Refuse: the space has about 10**18 architectures.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("darts has 1.1e18 architectures, too many to enumerate. Use sample.")

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Return True for each genotype that passes the checks of `to_codes`.

        See `SearchSpace.is_valid`.
        """
        return np.ones(len(self.to_codes(architectures)), dtype=bool)

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = True,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.integer]:
        """Draw genotypes uniformly, the smaller source of each node first.

        See `SearchSpace.sample`. In a space of 10**18 repeats do not occur; with
        ``replace=False`` they are ruled out.
        """
        n = self._check_n(n, None, "")
        rng = generator(random_state)
        codes = self._draw(n, rng).reshape(-1, 32)
        if not replace and len(np.unique(codes, axis=0)) < n:
            return self.sample(n, replace=False, random_state=rng)
        return codes

    def _draw(self, n: int, rng: np.random.Generator) -> NDArray[np.integer]:
        """Pairs (source, operation id) of random genotypes."""
        codes = np.empty((n, 2, NODES, 2, 2), dtype=np.int8)
        codes[..., 1] = rng.integers(0, len(self.operations), codes.shape[:-1])
        for k in range(NODES):
            choices = np.array(list(itertools.combinations(range(k + 2), 2)))
            codes[:, :, k, :, 0] = choices[rng.integers(0, len(choices), (n, 2))]
        return codes

    def canonical(self, architectures: Any) -> list[str]:
        """Write architectures with the two inputs of each node in the order of their sources.

        Where a space lets both come from one source, in that of their operation ids.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        list of str
            One text per architecture, equal for architectures that differ in this order only.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        codes = self.to_codes(architectures).reshape(-1, 2 * NODES, 2, 2)
        order = np.lexsort((codes[..., 1], codes[..., 0]), axis=2)[..., None]
        ordered = np.take_along_axis(codes, order, axis=2).reshape(-1, 32)
        return [str(self._tuple(code)) for code in ordered.tolist()]

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn genotypes into graphs: nodes 0 and 1 are the inputs, 6 is the output.

        See `SearchSpace.graph_batch`; the keys are ``"normal"`` and ``"reduce"``.
        """
        codes = self.to_codes(architectures).reshape(-1, 2, NODES, 2, 2)
        batches = {}
        for c, cell in enumerate(self.cells):
            edge_ops = np.zeros((len(codes), len(self._slots) + NODES), dtype=np.int8)  # 0 is out
            edge_ops[:, : len(self._slots)] = ABSENT
            for k, j in itertools.product(range(NODES), range(2)):
                slot = self._first_slot(k, j) + codes[:, c, k, j, 0]
                edge_ops[np.arange(len(codes)), slot] = codes[:, c, k, j, 1] + 1
            edges = np.array(self._slots + _OUT)
            batches[cell] = GraphBatch(
                self.labels, 3 + NODES, edges, edge_ops, inputs=(0, 1), free=self.free,
                dead=(NONE,) if NONE in self.operations else (),
            )  # fmt: skip
        return batches


def _check_joined(cell: str, nodes: Any) -> None:
    """Raise if a cell's output does not join the four inner nodes."""
    listed = list(itertools.islice(nodes, 20)) if isinstance(nodes, Iterable) else [nodes]
    if sorted(set(map(str, listed))) != list(map(str, _JOINED)):
        raise ValueError(
            f"{cell}_concat={short(nodes)} joins the nodes {listed}; in the DARTS space of "
            f"NAS-Bench-301 the output joins all inner nodes, {cell}_concat=range(2, 6). An "
            "architecture that leaves one out is none of this space."
        )
