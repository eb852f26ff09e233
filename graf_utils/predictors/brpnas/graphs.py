"""From cells to graphs of operations, as a graph convolution reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import ABSENT, GraphBatch, signed_dtype
from graf_utils.spaces.wiring import NONE, SKIP

__all__ = ["OperationGraphs", "operation_graphs"]


@dataclass(frozen=True)
class OperationGraphs:
    """N graphs with operations on nodes, as a graph convolution reads them.

    Attributes
    ----------
    labels : tuple of str
        What a node can be; the last is ``"global"``.
    node_labels : ndarray of shape (n_graphs, n_nodes), integer
        Label of each node, -1 where there is no operation. Node 0 is the global node.
    receives : ndarray of shape (n_graphs, n_nodes, n_nodes), bool
        ``receives[g, i, j]``: node i sums up node j. Every node receives from itself and from its
        successors, the global node from all nodes. A place that is no node receives nothing.
    """

    labels: tuple[str, ...]
    node_labels: NDArray[np.integer]
    receives: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.node_labels)


def operation_graphs(
    cells: GraphBatch | Mapping[str, GraphBatch], keep_absent: bool = False
) -> OperationGraphs:
    """Turn cells into graphs with operations on nodes and a global node.

    Operations on edges become nodes, as in BRP-NAS: an edge that is `none` is left out, one that
    is `skip_connect` is contracted (what came in goes on to what followed), and so is a free label
    such as DARTS' ``out``; nodes that lie on no path from an input to the output are left out. The
    cells of an architecture that has several stand side by side under one global node.

    Parameters
    ----------
    cells : GraphBatch or mapping of cell name to GraphBatch
        As ``space.graph_batch`` returns them.
    keep_absent : bool
        Keep what is left out as nodes without a label, which receive from themselves alone and send
        to the global node. So all graphs of a space have as many nodes, as in the original code.

    Returns
    -------
    OperationGraphs
        One graph per architecture.

    Raises
    ------
    ValueError
        `cells` is neither.

    Examples
    --------
    >>> from graf_utils.spaces import NB201
    >>> graphs = operation_graphs(NB201().graph_batch([(2, 1, 0, 1, 2, 3)]))
    >>> [graphs.labels[i] for i in graphs.node_labels[0] if i >= 0]
    ['global', 'input', 'nor_conv_3x3', 'nor_conv_3x3', 'output']
    """
    batches = list(cells.values()) if isinstance(cells, Mapping) else [cells]
    if not batches or not all(isinstance(batch, GraphBatch) for batch in batches):
        raise ValueError(
            f"cells={cells!r:.80} must be a GraphBatch, or a mapping of cell names to them. Pass "
            "space.graph_batch(architectures)."
        )
    operations = [name for batch in batches for name in batch.operations]
    names = [*dict.fromkeys([*operations, "input", "output"]), "global"]
    parts = [_cell_graph(batch, names) for batch in batches]
    everyone = np.full((len(batches[0]), 1), names.index("global"))
    labels = np.hstack([everyone, *(part_labels for part_labels, _ in parts)])
    live = np.full(labels.shape, True) if keep_absent else labels != ABSENT
    receives = np.eye(labels.shape[1], dtype=bool) & live[:, None]
    receives[:, 0] = live
    start = 1
    for _, edges in parts:
        stop = start + edges.shape[1]
        receives[:, start:stop, start:stop] |= edges
        start = stop
    return OperationGraphs(tuple(names), labels.astype(signed_dtype(len(names))), receives)


def _cell_graph(
    batch: GraphBatch, names: list[str]
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Labels and edges (source, target) of the nodes of one cell, without self-loops."""
    dtype = signed_dtype(len(names))
    ids = np.array([names.index(name) for name in batch.operations] + [ABSENT], dtype=dtype)
    if batch.node_ops is not None:
        labels = ids[batch.node_ops]
        edges = np.zeros((len(batch), batch.n_nodes, batch.n_nodes), dtype=bool)
        edges[:, batch.edges[:, 0], batch.edges[:, 1]] = batch.edge_ops != ABSENT
        inputs, output = np.isin(np.arange(batch.n_nodes), batch.inputs), batch.output
    else:
        labels, edges = _nodes_of_edges(batch, names, ids)
        n_nodes = labels.shape[1]
        inputs, output = np.arange(n_nodes) < len(batch.inputs), n_nodes - 1
    labels = np.where(_useful(edges, inputs, output), labels, dtype.type(ABSENT))
    live = labels != ABSENT
    return labels, edges & live[:, :, None] & live[:, None]


def _nodes_of_edges(
    batch: GraphBatch, names: list[str], ids: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Labels and edges where operations lie on edges: inputs, a node per edge, the output."""
    n_inputs, n_slots = len(batch.inputs), len(batch.edges)
    labels = np.full((len(batch), n_inputs + n_slots + 1), names.index("input"), dtype=ids.dtype)
    labels[:, n_inputs:-1] = ids[batch.edge_ops]
    labels[:, -1] = names.index("output")
    if NONE in names:
        labels[labels == names.index(NONE)] = ABSENT
    # the cell's nodes at which a node of the graph ends and begins; -1 and -2 are no nodes
    ends = np.array([*batch.inputs, *batch.edges[:, 1], -1])
    begins = np.array([*[-2] * n_inputs, *batch.edges[:, 0], batch.output])
    live = labels != ABSENT
    edges = (ends[:, None] == begins) & live[:, :, None] & live[:, None]
    contracted = [names.index(name) for name in (SKIP, *batch.free) if name in names]
    for node in range(n_inputs, n_inputs + n_slots):
        joined = np.isin(labels[:, node], contracted)
        edges |= edges[:, :, node, None] & edges[:, node, None] & joined[:, None, None]
        labels[joined, node] = ABSENT
        edges[joined, node] = False
        edges[joined, :, node] = False
    return labels, edges


def _useful(edges: NDArray[np.bool_], inputs: NDArray[np.bool_], output: int) -> NDArray[np.bool_]:
    """Nodes on a path from an input to the output; all nodes of a graph without such a path."""
    n_nodes = len(inputs)
    reach = edges | np.eye(n_nodes, dtype=bool)
    for _ in range(n_nodes.bit_length()):
        reach = reach @ reach
    useful = reach[:, inputs].any(axis=1) & reach[:, :, output]
    without_path = ~reach[:, inputs, output].any(axis=1)
    return useful | without_path[:, None] | inputs | (np.arange(n_nodes) == output)
