"""A cell with a fixed wiring and an operation to choose on each edge or on each inner node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import GraphBatch
from graf_utils.spaces.base import SearchSpace

SKIP, NONE = "skip_connect", "none"
_MAX_ENUMERATED = 10_000_000


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
        self.name, self.operations = name, tuple(operations)
        self.edges = _check_edges(edges, adjacency)
        if isinstance(operations, str) or not self.operations:
            raise ValueError(f"operations={operations!r} must be a list of at least one name.")
        if len(set(self.operations)) < len(self.operations) or not all(
            isinstance(op, str) and op and not set(op) & set("[]+=,") for op in self.operations
        ):
            raise ValueError(
                f"operations={list(operations)!r}: names must differ, not be empty, and hold none "
                "of []+=, (they become column names). Rename them."
            )
        if ops_on not in ("edges", "nodes"):
            raise ValueError(f"ops_on={ops_on!r} is unknown; it must be 'edges' or 'nodes'.")
        self.ops_on = ops_on
        if ops_on == "nodes":
            self.free = ("input", "output")
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
        """The edges, as ``"1-2"``, or the inner nodes."""
        if self.ops_on == "nodes":
            return [str(node) for node in self.nodes[1:-1]]
        return [f"{source}-{target}" for source, target in self.edges]

    def to_networkx(self, architecture: Any) -> nx.DiGraph:
        """One cell as networkx; the operation's name is the attribute ``op`` of edge or node."""
        (batch,) = self.graph_batch([architecture]).values()
        graph = batch.to_networkx(0)
        return nx.relabel_nodes(graph, dict(enumerate(self.nodes)))

    def from_networkx(self, graph: nx.DiGraph) -> tuple[int, ...]:
        """Read a cell from a graph like the one `to_networkx` gives."""
        if not isinstance(graph, nx.DiGraph) or sorted(graph.edges) != sorted(self.edges):
            edges = sorted(graph.edges) if isinstance(graph, nx.Graph) else type(graph).__name__
            raise ValueError(
                f"graph has edges {edges}; a {self.title} cell is a networkx.DiGraph with the "
                f"edges {list(self.edges)}."
            )
        places = self.edges if self.ops_on == "edges" else self.nodes[1:-1]
        attributes = graph.edges if self.ops_on == "edges" else graph.nodes
        ops = [(place, attributes[place].get("op")) for place in places]
        return tuple(self._known(op, f"{place} has op={op!r}: ") for place, op in ops)

    def enumerate(self) -> NDArray[np.int8]:
        """Codes of all architectures, in the order of `itertools.product`.

        Raises
        ------
        ValueError
            There are more than ten million; use `sample`.
        """
        count = len(self.operations) ** self.code_length
        if count > _MAX_ENUMERATED:
            raise ValueError(
                f"{self.name} has {count:,} architectures, too many to enumerate (at most "
                f"{_MAX_ENUMERATED:,}). Use sample."
            )
        grid = np.indices((len(self.operations),) * self.code_length, dtype=np.int8)
        return np.ascontiguousarray(grid.reshape(self.code_length, -1).T)

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn cells into graphs with nodes 0 (input) to n - 1 (output).

        See `SearchSpace.graph_batch`; the only key is ``""``.
        """
        codes = self.to_codes(architectures)
        edges = np.array(self.edges) - self.nodes[0]
        names = tuple(map(str, self.nodes))
        if self.ops_on == "edges":
            return {"": GraphBatch(self.labels, len(self.nodes), edges, codes, node_names=names)}
        first, last = map(self.labels.index, self.free)
        ops = np.pad(codes + np.int8(len(self.labels) - len(self.operations)), ((0, 0), (1, 1)))
        ops[:, 0], ops[:, -1] = first, last
        present = np.ones((1, len(edges)), dtype=bool)
        batch = GraphBatch.on_nodes(self.labels, edges, present, ops, self.free)
        return {"": replace(batch, node_names=names)}

    def prune(self, architectures: Any) -> NDArray[np.int8]:
        """Set to `none` what cannot carry signal.

        With operations on edges, an edge survives if and only if it lies on an input-output path
        free of `none`. Spaces with operations on nodes, or without `none`, stay as they are.
        """
        codes = self.to_codes(architectures).copy()
        if NONE not in self.operations or self.ops_on == "nodes":
            return codes
        none = self.operations.index(NONE)
        for edges, here, there, start in (
            (sorted(self.edges), 0, 1, self.nodes[0]),
            (sorted(self.edges, key=lambda edge: -edge[1]), 1, 0, self.nodes[-1]),
        ):
            alive = {node: np.full(len(codes), node == start) for node in self.nodes}
            for edge in edges:
                position = self.edges.index(edge)
                codes[~alive[edge[here]], position] = none
                alive[edge[there]] |= codes[:, position] != none
        return codes

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """A cell is valid if `prune` leaves it as it is."""
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
        zeros : {"kept", "dropped"}
            ``"kept"`` is the rule of NAS-Bench-201 (Dong & Yang, 2020): 6,466 classes in its 15,625
            cells. It compares text, shows a ``#`` for each absent addend, and so tells some cells
            apart that compute the same. ``"dropped"`` leaves absent addends out and merges nested
            sums: equal expressions then mean equal functions, 4,930 classes in NAS-Bench-201.

        Returns
        -------
        list of str
            An expression a cell.
        """
        if zeros not in ("kept", "dropped"):
            raise ValueError(f"zeros={zeros!r} is not a rule; it must be 'kept' or 'dropped'.")
        keep = zeros == "kept"
        expressions = []
        (batch,) = self.graph_batch(architectures).values()
        order = np.lexsort(batch.edges.T[::-1])
        edges, labels = batch.edges[order].tolist(), batch.source_ops[:, order].tolist()
        for row in labels:
            addends: list[list[str]] = [["0"], *([] for _ in self.nodes[1:])]  # of each node
            for (source, target), label in zip(edges, row, strict=True):
                value, op = addends[source], batch.operations[label]
                text = "+".join(sorted(value))
                if op == NONE or value in ([], ["#"]):
                    addends[target] += ["#"] * keep
                elif op == SKIP or op in self.free:
                    addends[target] += [text] if keep else value
                else:
                    addends[target].append(f"({text})@{op}")
            expressions.append("+".join(sorted(addends[-1])) or "#")
        return expressions

    def classes(self, architectures: Any, *, zeros: str = "kept") -> NDArray[np.intp]:
        """The isomorphism class of each cell as an integer, equal for equal `canonical` forms."""
        return np.unique(self.canonical(architectures, zeros=zeros), return_inverse=True)[1]

    def __repr__(self) -> str:
        if type(self) is not CellSpace:
            return super().__repr__()
        edges, ops = list(self.edges), list(self.operations)
        return f"CellSpace({ops}, {edges}, ops_on={self.ops_on!r}, name={self.name!r})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def _check_edges(edges: Any, adjacency: Any) -> tuple[tuple[int, int], ...]:
    """Edges of a wiring in which every node lies on an input-output path."""
    if (edges is None) == (adjacency is None):
        raise ValueError("Give either edges=[(0, 1), ...] or adjacency=[[0, 1], ...], one of them.")
    if adjacency is not None:
        matrix = np.asarray(adjacency)
        if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not np.isin(matrix, (0, 1)).all():
            raise ValueError(f"adjacency={adjacency!r} must be a square matrix of 0 and 1.")
        edges = np.argwhere(matrix).tolist()
    pairs = [tuple(edge) for edge in edges]
    if not pairs:
        raise ValueError(
            "edges is empty; at least one edge from the input to the output is needed."
        )
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(node, int | np.integer) for node in pair):
            raise ValueError(f"edge {pair!r} is not a pair of node numbers such as (0, 1).")
        if pair[0] >= pair[1]:
            raise ValueError(
                f"edge {pair} must go from a lower to a higher node (no cycles). Number the nodes "
                "in topological order."
            )
        if pairs.count(pair) > 1:
            raise ValueError(f"edge {pair} is given {pairs.count(pair)} times; name each once.")
    low, high = min(map(min, pairs)), max(map(max, pairs))
    for node in range(low, high + 1):
        for side, end, missing in ((1, low, "enters"), (0, high, "leaves")):
            if node != end and all(pair[side] != node for pair in pairs):
                raise ValueError(
                    f"edges={pairs}: no edge {missing} node {node}; every node must lie on a path "
                    f"from the input {low} to the output {high}. Add an edge or renumber."
                )
    return tuple((int(source), int(target)) for source, target in pairs)
