"""Many small directed acyclic graphs as a few arrays.

This is what a search space turns architectures into, and all that the features, the graph
predictor and the drawings see of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import labels, whole_array

__all__ = ["ABSENT", "GraphBatch"]

ABSENT = -1
"""Label of an edge slot that holds no edge, and of a node place that holds no node."""


def signed_dtype(largest: int) -> np.dtype[Any]:
    """Return the smallest signed integer type that holds -1 and numbers up to `largest`.

    Parameters
    ----------
    largest : int
        The largest number to hold.

    Returns
    -------
    dtype
        int8 up to 127, int16 up to 32,767, and so on.

    Examples
    --------
    >>> signed_dtype(127), signed_dtype(128)
    (dtype('int8'), dtype('int16'))
    """
    return np.min_scalar_type(-int(largest) - 1)


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """N directed acyclic graphs that share one list of edge slots.

    The nodes of every graph are ``0 .. n_nodes - 1`` in topological order. An *edge slot* is a
    pair (source, target) with source < target; each graph says for each slot which operation
    lies there, or that there is no edge. This is all that GRAF needs, and it makes a batch of any
    size three small arrays. Where operations sit on nodes (`node_ops`), an edge is labelled with
    the operation of its target; see `on_nodes`.

    Parameters
    ----------
    operations : tuple of str
        Names of the labels; the position is the id.
    n_nodes : int
        Number of node places of every graph.
    edges : ndarray of shape (n_slots, 2)
        Source and target of each slot.
    edge_ops : ndarray of shape (n_graphs, n_slots), integer
        Operation id in each slot, `ABSENT` (-1) where there is no edge. It is stored in the
        smallest type that holds all ids: int8 up to 128 operations.
    inputs : tuple of int
        The nodes that paths start from.
    output : int
        The node that paths end at; -1 is the last.
    node_ops : ndarray of shape (n_graphs, n_nodes), integer, optional
        Where operations sit on nodes: the id of each node, `ABSENT` for an unused place.
    free : tuple of str
        Labels that are in no set of operations and close a path without being counted, such as
        ``output`` in NB101 and ``out`` in DARTS.
    node_names : tuple of str, optional
        Names of the nodes for people; by default their numbers.
    dead : tuple of str
        Labels that carry nothing, such as ``none`` in NAS-Bench-201. To GRAF they are labels like
        any other; no live path (`graf_utils.features.Flow`) goes over them.
    ends : ndarray of shape (n_graphs,), integer, optional
        Where graphs end at different nodes, such as chains of different lengths: the node at which
        the paths of each end, instead of `output`, and which is its last.
    numbers : mapping of str to ndarray of shape (n_graphs, n_slots or n_nodes)
        Numbers that lie where the operations do, such as a kernel or a width; NaN where there is
        none.

    Raises
    ------
    ValueError
        A slot does not go forward, the shapes do not fit, an id or a node is out of range, two
        labels have one name, a dead label is none of the operations, or a number is infinite.
    """

    operations: tuple[str, ...]
    n_nodes: int
    edges: NDArray[np.intp]
    edge_ops: NDArray[np.integer]
    inputs: tuple[int, ...] = (0,)
    output: int = field(default=-1)
    node_ops: NDArray[np.integer] | None = None
    free: tuple[str, ...] = ()
    node_names: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    ends: NDArray[np.integer] | None = None
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", labels("operations", self.operations))
        if not isinstance(self.inputs, Iterable):
            raise ValueError(f"inputs={self.inputs!r} is no list of nodes. Write ({self.inputs},).")
        object.__setattr__(self, "inputs", tuple(self.inputs))
        edges = self._checked_edges()
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "edge_ops", self._checked_ids("edge_ops", len(edges), "edge slot"))
        if self.node_ops is not None:
            node_ops = self._checked_ids("node_ops", self.n_nodes, "node")
            object.__setattr__(self, "node_ops", node_ops)
        for name, nodes in (("inputs", self.inputs), ("output", [self.output])):
            lowest = -self.n_nodes if name == "output" else 0
            if not all(lowest <= node < self.n_nodes for node in nodes):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is no node of graphs with n_nodes="
                    f"{self.n_nodes}; nodes are 0..{self.n_nodes - 1}. Name one of them."
                )
        object.__setattr__(self, "output", self.output % self.n_nodes)
        if not self.node_names:
            object.__setattr__(self, "node_names", tuple(map(str, range(self.n_nodes))))
        if len(self.node_names) != self.n_nodes:
            raise ValueError(
                f"node_names={self.node_names!r} has {len(self.node_names)} names for "
                f"{self.n_nodes} nodes. Give each one."
            )
        if isinstance(self.dead, str) or not set(self.dead) <= set(self.operations):
            raise ValueError(
                f"dead={self.dead!r} must be a tuple of some of the operations {self.operations}, "
                "such as ('none',)."
            )
        if self.ends is not None:
            object.__setattr__(self, "ends", self._checked_ends())
        object.__setattr__(self, "numbers", self._checked_numbers())

    def _checked_ends(self) -> NDArray[np.integer]:
        """The node at which each graph ends, with no edge beyond it."""
        ends = whole_array("ends", self.ends)
        if ends.shape != (len(self),) or not ((ends >= 0) & (ends < self.n_nodes)).all():
            raise ValueError(
                f"ends has shape {ends.shape}; it must hold one node of 0..{self.n_nodes - 1} "
                f"for each of {len(self)} graphs."
            )
        return ends

    def _checked_numbers(self) -> dict[str, NDArray[np.float64]]:
        """Numbers where the operations are."""
        places = self.edge_ops if self.node_ops is None else self.node_ops
        numbers = {name: np.asarray(each, dtype=float) for name, each in self.numbers.items()}
        for name, each in numbers.items():
            if each.shape != places.shape or np.isinf(each).any():
                raise ValueError(
                    f"numbers[{name!r}] has shape {each.shape}; it must hold a finite number, or "
                    f"NaN, for each operation, so {places.shape}."
                )
        return numbers

    def _checked_edges(self) -> NDArray[np.intp]:
        """The edge slots as an array of pairs of node numbers."""
        edges = whole_array("edges", self.edges).astype(np.intp, copy=False)
        if not edges.size:
            edges = edges.reshape(0, 2)
        if edges.ndim != 2 or edges.shape[1] != 2 or not (edges[:, 0] < edges[:, 1]).all():
            raise ValueError(
                f"edges={edges.tolist()}: every slot must be a pair (source, target) with "
                "source < target. Number the nodes in topological order."
            )
        if edges.size and (edges.min() < 0 or edges.max() >= self.n_nodes):
            raise ValueError(
                f"edges={edges.tolist()}: node numbers must lie in 0..{self.n_nodes - 1} "
                f"(n_nodes={self.n_nodes}). Raise n_nodes or renumber the nodes."
            )
        return edges

    def _checked_ids(self, name: str, width: int, place: str) -> NDArray[np.integer]:
        """Operation ids in the smallest type that holds them all."""
        ops = whole_array(name, getattr(self, name))
        if ops.ndim != 2 or ops.shape[1] != width:
            raise ValueError(
                f"{name} has shape {ops.shape}; it must be (n_graphs, {width}), a column for each "
                f"{place}."
            )
        if ops.size and not (ops.min() >= ABSENT and ops.max() < len(self.operations)):
            raise ValueError(
                f"{name} holds ids {ops.min()}..{ops.max()}; they must lie in "
                f"0..{len(self.operations) - 1}, or be {ABSENT} where there is no "
                f"{place.split()[0]}."
            )
        return ops.astype(signed_dtype(len(self.operations) - 1), copy=False)

    @classmethod
    def on_nodes(
        cls,
        operations: tuple[str, ...],
        edges: Any,
        present: NDArray[np.bool_],
        node_ops: NDArray[np.integer],
        free: tuple[str, ...] = (),
    ) -> GraphBatch:
        """Make a batch of graphs with operations on nodes.

        Parameters
        ----------
        operations : tuple of str
            Names of the labels.
        edges : array-like of shape (n_slots, 2)
            Source and target of each slot.
        present : ndarray of shape (n_graphs, n_slots), bool
            Which slots hold an edge.
        node_ops : ndarray of shape (n_graphs, n_nodes), integer
            Operation id of each node, `ABSENT` for an unused place.
        free : tuple of str
            See `GraphBatch`.

        Returns
        -------
        GraphBatch

        Raises
        ------
        ValueError
            As `GraphBatch`.
        """
        edges = whole_array("edges", edges).astype(np.intp, copy=False)
        node_ops = whole_array("node_ops", node_ops)
        if node_ops.ndim != 2 or edges.ndim != 2 or edges.max(initial=0) >= node_ops.shape[1]:
            raise ValueError(
                f"node_ops has shape {node_ops.shape} and edges shape {edges.shape}; they must be "
                "(n_graphs, n_nodes) and (n_slots, 2), with node numbers below n_nodes."
            )
        edge_ops = np.where(present, node_ops[:, edges[:, 1]], ABSENT)
        return cls(operations, node_ops.shape[1], edges, edge_ops, node_ops=node_ops, free=free)

    def __len__(self) -> int:
        return len(self.edge_ops)

    def __eq__(self, other: object) -> bool:
        """Equal are batches of the same graphs, names and nodes."""
        if not isinstance(other, GraphBatch):
            return NotImplemented
        for part in fields(self):
            mine, theirs = getattr(self, part.name), getattr(other, part.name)
            if part.name == "numbers":
                same = mine.keys() == theirs.keys() and all(
                    np.array_equal(mine[name], theirs[name], equal_nan=True) for name in mine
                )
            elif isinstance(mine, np.ndarray) or isinstance(theirs, np.ndarray):
                same = np.array_equal(mine, theirs)
            else:
                same = mine == theirs
            if not same:
                return False
        return True

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def __getitem__(self, rows: slice | NDArray[Any]) -> GraphBatch:
        """Return the graphs of a slice, an index array or a mask, as a new batch."""
        node_ops = None if self.node_ops is None else self.node_ops[rows]
        ends = None if self.ends is None else self.ends[rows]
        numbers = {name: each[rows] for name, each in self.numbers.items()}
        parts = {"node_ops": node_ops, "ends": ends, "numbers": numbers}
        return replace(self, edge_ops=self.edge_ops[rows], **parts)

    @property
    def source_ops(self) -> NDArray[np.integer]:
        """As `edge_ops`, with the operation of the source where operations sit on nodes."""
        if self.node_ops is None:
            return self.edge_ops
        present = self.edge_ops != ABSENT
        return np.where(
            present, self.node_ops[:, self.edges[:, 0]], self.edge_ops.dtype.type(ABSENT)
        )

    @property
    def live(self) -> NDArray[np.bool_]:
        """Which slots hold an edge that is not dead, an array of shape (n_graphs, n_slots)."""
        carries = [label not in self.dead for label in self.operations]
        return np.array([*carries, False])[self.edge_ops]  # the label -1 picks the last

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Number of nodes of each graph, an array of shape (n_graphs,)."""
        if self.node_ops is None:
            return np.full(len(self), self.n_nodes) if self.ends is None else self.ends + 1
        return (self.node_ops != ABSENT).sum(axis=1)

    def at_end(self, reached: Mapping[int, NDArray[Any]], missing: Any) -> Any:
        """Choose, of values at the nodes, those where each graph ends.

        Parameters
        ----------
        reached : mapping of int to ndarray of shape (..., n_graphs)
            Values by node.
        missing : number
            Value of a node that is not there.

        Returns
        -------
        ndarray of shape (..., n_graphs), or `missing` if no end is there
        """
        if self.ends is None:
            return reached.get(self.output, missing)
        value = missing
        for node in np.unique(self.ends).tolist():
            value = np.where(self.ends == node, reached.get(node, missing), value)
        return value

    def to_networkx(self, row: int) -> nx.DiGraph:
        """Return one graph for networkx.

        Parameters
        ----------
        row : int
            Which graph of the batch.

        Returns
        -------
        networkx.DiGraph
            Nodes are numbers; the operation's name is the attribute ``op`` of edges, or of nodes
            where operations sit on nodes, and so are its numbers under their names. A MultiDiGraph
            if some slots have the same nodes.
        """
        pairs = list(map(tuple, self.edges.tolist()))
        graph = nx.DiGraph() if len(set(pairs)) == len(pairs) else nx.MultiDiGraph()
        on_nodes = self.node_ops is not None
        places = (self.node_ops if on_nodes else self.edge_ops)[row].tolist()
        attributes = [{"op": self.operations[op]} for op in places]  # ABSENT is not asked for
        for name, each in self.numbers.items():
            for place in np.flatnonzero(~np.isnan(each[row])).tolist():
                attributes[place][name] = float(each[row, place])
        if on_nodes:
            graph.add_nodes_from((v, attributes[v]) for v, op in enumerate(places) if op != ABSENT)
        else:
            graph.add_nodes_from(range(int(self.sizes[row])))
        for slot in np.flatnonzero(self.edge_ops[row] != ABSENT).tolist():
            graph.add_edge(*pairs[slot], **({} if on_nodes else attributes[slot]))
        return graph
