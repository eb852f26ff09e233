"""A cell with a fixed wiring and an operation to choose on each edge or on each inner node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import generator
from graf_utils.graphs import GraphBatch, signed_dtype
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.isomorphism import expressions
from graf_utils.spaces.wiring import check_edges, check_operations

SKIP, NONE = "skip_connect", "none"
_MAX_ENUMERATED = 10_000_000
_MIN_DRAWN, _MAX_ROUNDS = 1024, 200  # cells drawn at a time, and how many times at most


class CellSpace(SearchSpace):
    """A search space of your own: one wiring, and an operation on every edge or inner node.

    An architecture is the tuple of operation ids of the edges in the order given, or of the inner
    nodes in their order. NAS-Bench-201 and TransNAS-Bench-101-micro are small subclasses.

    Parameters
    ----------
    operations : sequence of str
        Names of the operations; the position is the id. ``none`` and ``skip_connect`` have their
        meaning in `prune`, `is_valid` and `canonical`, and are labels like any other in GRAF.
    edges : sequence of (int, int), optional
        Source and target of each edge, source < target; the smallest node is the input, the
        largest the output.
    adjacency : array of shape (n, n), optional
        Instead of `edges`: an upper triangular matrix of 0 and 1; edges are taken row by row.
    ops_on : {"edges", "nodes"}
        Where the operations sit.
    name : str
        Name for messages.

    Raises
    ------
    ValueError
        No or repeated operations, an edge that repeats or goes backward, or a node that lies on no
        path from the input to the output.

    Examples
    --------
    >>> space = CellSpace(["conv", "pool"], edges=[(0, 1), (0, 2), (1, 2)])
    >>> space.enumerate().shape
    (8, 3)
    """

    title = "CellSpace"
    fixed_wiring = True

    def __init__(
        self,
        operations: Sequence[str],
        edges: Sequence[tuple[int, int]] | None = None,
        *,
        adjacency: Any = None,
        ops_on: str = "edges",
        name: str = "cell",
    ) -> None:
        self.name = name
        self.edges = check_edges(edges, adjacency)
        self.operations = check_operations(operations)
        if ops_on not in ("edges", "nodes"):
            raise ValueError(f"ops_on={ops_on!r} is unknown; it must be 'edges' or 'nodes'.")
        self.ops_on = ops_on
        if ops_on == "nodes":
            self.free = ("input", "output")
        active = tuple(op for op in self.operations if op not in (SKIP, NONE))
        if SKIP in self.operations and active and not self.groups:
            self.groups = {"not_skip": active}
        self.nodes = tuple(range(min(map(min, self.edges)), max(map(max, self.edges)) + 1))
        self.code_length = len(self.edges) if ops_on == "edges" else len(self.nodes) - 2
        if not self.code_length:
            raise ValueError(
                f"edges={list(self.edges)} have no inner node, so ops_on='nodes' leaves nothing to "
                "choose. Add a node or put the operations on edges."
            )

    def _example(self) -> tuple[int, ...]:
        return tuple(i % len(self.operations) for i in range(self.code_length))

    def _parse(self, text: str) -> tuple[int, ...]:
        raise ValueError(f"{text!r} is not a tuple such as {self._example()!r}.")

    def position_names(self) -> list[str]:
        """Return the edges, as ``"1-2"``, or the inner nodes, one name per position of the code."""
        if self.ops_on == "nodes":
            return [str(node) for node in self.nodes[1:-1]]
        return [f"{source}-{target}" for source, target in self.edges]

    def to_networkx(self, architecture: Any) -> nx.DiGraph:
        """Return one cell as networkx.

        Parameters
        ----------
        architecture : tuple or str

        Returns
        -------
        networkx.DiGraph
            The operation's name is the attribute ``op`` of edge or node.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (batch,) = self.graph_batch([architecture]).values()
        graph = batch.to_networkx(0)
        return nx.relabel_nodes(graph, dict(enumerate(self.nodes)))

    def from_networkx(self, graph: nx.DiGraph) -> tuple[int, ...]:
        """Read a cell from a graph like the one `to_networkx` gives.

        Parameters
        ----------
        graph : networkx.DiGraph
            With the wiring of this space, and the operations' names as attribute ``op``.

        Returns
        -------
        tuple of int
            The operation ids.

        Raises
        ------
        ValueError
            Another wiring, or an operation that is missing or unknown.
        """
        if not isinstance(graph, nx.DiGraph) or sorted(graph.edges) != sorted(self.edges):
            edges = sorted(graph.edges) if isinstance(graph, nx.Graph) else type(graph).__name__
            raise ValueError(
                f"graph has edges {edges}; a {self.title} cell is a networkx.DiGraph with the "
                f"edges {list(self.edges)}."
            )
        places = self.edges if self.ops_on == "edges" else self.nodes[1:-1]
        attributes = graph.edges if self.ops_on == "edges" else graph.nodes
        ops = [(place, attributes[place].get("op")) for place in places]
        return tuple(self._operation_id(op, f"{place} has op={op!r}: ") for place, op in ops)

    def _count(self) -> int:
        """How many architectures there are."""
        return len(self.operations) ** self.code_length

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
        count = self._count()
        if count > _MAX_ENUMERATED:
            raise ValueError(
                f"{self.name} has {_written(count)} architectures, too many to enumerate (at most "
                f"{_MAX_ENUMERATED:,}). Use sample."
            )
        codes = np.empty((count, self.code_length), dtype=self.code_dtype)
        rest = np.arange(count)
        for position in reversed(range(self.code_length)):
            rest, codes[:, position] = np.divmod(rest, len(self.operations))
        return codes

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = False,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.integer]:
        """Draw architectures uniformly at random.

        See `SearchSpace.sample`. A space too large to list is drawn from without listing it: cells
        are drawn one by one, those that are invalid or drawn before are drawn again.

        Raises
        ------
        ValueError
            So many cannot be drawn, `random_state` is no seed, or of a space too large to list
            hardly any cell is valid.
        """
        count = self._count()
        if count <= _MAX_ENUMERATED:
            return super().sample(
                n, valid_only=valid_only, replace=replace, random_state=random_state
            )
        n = self._check_n(
            n, None if replace else min(count, 10**18), f"architectures of {self.name}"
        )
        rng = generator(random_state)
        shape = max(n, _MIN_DRAWN), self.code_length
        codes = np.empty((0, self.code_length), dtype=self.code_dtype)
        for _ in range(_MAX_ROUNDS):
            drawn = rng.integers(0, len(self.operations), shape, dtype=self.code_dtype)
            if valid_only:
                drawn = drawn[self.is_valid(drawn)]
            codes = np.concatenate([codes, drawn])
            if not replace:
                first = np.unique(codes, axis=0, return_index=True)[1]
                codes = codes[np.sort(first)]
            if len(codes) >= n:
                return codes[:n]
        smaller = f", or n={len(codes)}" if len(codes) else ""
        raise ValueError(
            f"only {len(codes):,} of {_MAX_ROUNDS * shape[0]:,} cells drawn from {self.name} are "
            f"valid and differ; n={n:,} were to be drawn. Pass valid_only=False{smaller}."
        )

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn cells into graphs with nodes 0 (input) to n - 1 (output).

        See `SearchSpace.graph_batch`; the only key is ``""``.
        """
        codes = self.to_codes(architectures)
        edges = np.array(self.edges) - self.nodes[0]
        options: dict[str, Any] = {"node_names": tuple(map(str, self.nodes))}
        if NONE in self.operations:
            options["dead"] = (NONE,)
        if self.ops_on == "edges":
            return {"": GraphBatch(self.labels, len(self.nodes), edges, codes, **options)}
        first, last = map(self.labels.index, self.free)
        ops = np.empty((len(codes), len(self.nodes)), dtype=signed_dtype(len(self.labels)))
        ops[:, 0], ops[:, -1] = first, last
        ops[:, 1:-1] = codes
        ops[:, 1:-1] += len(self.labels) - len(self.operations)
        present = np.ones((1, len(edges)), dtype=bool)
        batch = GraphBatch.on_nodes(self.labels, edges, present, ops, self.free)
        return {"": replace(batch, **options)}

    def prune(self, architectures: Any) -> NDArray[np.integer]:
        """Set to `none` what cannot carry signal.

        With operations on edges, an edge survives if and only if it lies on an input-output path
        free of `none`. Spaces with operations on nodes, or without `none`, stay as they are.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), `code_dtype`

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        codes = self.to_codes(architectures)
        if NONE not in self.operations or self.ops_on == "nodes":
            return codes
        none = self.operations.index(NONE)
        position_of = {edge: position for position, edge in enumerate(self.edges)}
        for edges, here, there, start in (
            (sorted(self.edges), 0, 1, self.nodes[0]),
            (sorted(self.edges, key=lambda edge: -edge[1]), 1, 0, self.nodes[-1]),
        ):
            alive = {node: np.full(len(codes), node == start) for node in self.nodes}
            for edge in edges:
                position = position_of[edge]
                codes[~alive[edge[here]], position] = none
                alive[edge[there]] |= codes[:, position] != none
        return codes

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell which cells `prune` leaves as they are.

        See `SearchSpace.is_valid`.
        """
        codes = self.to_codes(architectures)
        return (self.prune(codes) == codes).all(axis=1)

    def canonical(self, architectures: Any, *, zeros: str = "kept") -> list[str]:
        """What each cell computes, as a nested expression of its input.

        `skip_connect` is the identity, `none` is absence, and the addends of a node are unordered;
        two cells are isomorphic when their expressions are equal. The input is written ``0``, an
        absent addend ``#``, an operation ``(expression)@op``.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.
        zeros : {"kept", "dropped"}
            ``"kept"`` is the rule of NAS-Bench-201 (Dong & Yang, 2020): 6,466 classes in its 15,625
            cells. It compares text, shows a ``#`` for each absent addend, and so tells some cells
            apart that compute the same. ``"dropped"`` leaves absent addends out and merges nested
            sums: equal expressions then mean equal functions, 4,930 classes in NAS-Bench-201.

        Returns
        -------
        list of str
            One expression per cell.

        Raises
        ------
        ValueError
            An unknown rule, or as `to_codes`.
        """
        if zeros not in ("kept", "dropped"):
            raise ValueError(f"zeros={zeros!r} is not a rule; it must be 'kept' or 'dropped'.")
        (batch,) = self.graph_batch(architectures).values()
        return expressions(batch, SKIP, NONE, keep=zeros == "kept")

    def classes(self, architectures: Any, *, zeros: str = "kept") -> NDArray[np.intp]:
        """Number the isomorphism classes of cells.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.
        zeros : {"kept", "dropped"}
            See `canonical`.

        Returns
        -------
        ndarray of shape (n_architectures,)
            Equal numbers for equal `canonical` forms.

        Raises
        ------
        ValueError
            As `canonical`.
        """
        return np.unique(self.canonical(architectures, zeros=zeros), return_inverse=True)[1]

    def __repr__(self) -> str:
        if hasattr(type(self), "operations"):  # a class with operations of its own
            return super().__repr__()
        edges, ops = list(self.edges), list(self.operations)
        arguments = f"{ops}, {edges}, ops_on={self.ops_on!r}, name={self.name!r}"
        return f"{type(self).__name__}({arguments})"


def _written(count: int) -> str:
    """A number for people, a very large one as a power of ten."""
    digits = len(str(count)) if count < 10**100 else int(math.log10(count)) + 1
    return f"{count:,}" if digits <= 15 else f"about 10**{digits - 1}"
