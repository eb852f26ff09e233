"""From cells to graphs of operations, as a graph convolution reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import ABSENT, GraphBatch, signed_dtype
from graf_utils.spaces.cell import NONE, SKIP

__all__ = ["OperationGraphs", "operation_graphs"]


@dataclass(frozen=True)
class OperationGraphs:
    """N graphs with operations on nodes, as a graph convolution reads them.

    Attributes
    ----------
    labels : tuple of str
        What a node can be; the last is ``"global"``.
    node_labels : ndarray of shape (n_graphs, n_nodes), integer
        Label of each node, -1 where there is no node. Node 0 is the global node.
    receives : ndarray of shape (n_graphs, n_nodes, n_nodes), bool
        ``receives[g, i, j]``: node i sums up node j. Every node receives from itself and from its
        successors, the global node from all nodes.
    """

    labels: tuple[str, ...]
    node_labels: NDArray[np.integer]
    receives: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.node_labels)


def operation_graphs(cells: GraphBatch | Mapping[str, GraphBatch]) -> OperationGraphs:
    """Turn cells into graphs with operations on nodes and a global node.

    Operations on edges become nodes, as in BRP-NAS: an edge that is `none` is left out, one that
    is `skip_connect` is contracted (what came in goes on to what followed), and so is a free label
    such as DARTS' ``out``; nodes that lie on no path from an input to the output are left out. The
    cells of an architecture that has several stand side by side under one global node.

    Parameters
    ----------
    cells : GraphBatch or mapping of cell name to GraphBatch
        As ``space.graph_batch`` returns them.

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
    known = [name for batch in batches for name in batch.operations]
    names = [*dict.fromkeys([*known, "input", "output"]), "global"]
    parts = [_cell_graph(batch, names) for batch in batches]
    labels = np.hstack([np.full((len(batches[0]), 1), len(names) - 1), *(p[0] for p in parts)])
    live, start = labels != ABSENT, 1
    receives = np.eye(labels.shape[1], dtype=bool) & live[:, None]
    receives[:, 0] = live
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
        k, slots = len(batch.inputs), len(batch.edges)
        labels = np.full((len(batch), k + slots + 1), names.index("input"), dtype=dtype)
        labels[:, k:-1], labels[:, -1] = ids[batch.edge_ops], names.index("output")
        # the cell's nodes that a node of the graph leads to and starts from
        to = np.array([*batch.inputs, *batch.edges[:, 1], -1])
        of = np.array([*[-2] * k, *batch.edges[:, 0], batch.output])
        inputs, output = np.arange(k + slots + 1) < k, k + slots
        edges = np.tile(to[:, None] == of, (len(batch), 1, 1))
        if NONE in names:
            labels[labels == names.index(NONE)] = ABSENT
        edges &= (labels != ABSENT)[:, :, None] & (labels != ABSENT)[:, None]
        gone = [names.index(name) for name in (SKIP, *batch.free) if name in names]
        for node in range(k, k + slots):
            joined = np.isin(labels[:, node], gone)
            edges |= edges[:, :, node, None] & edges[:, node, None] & joined[:, None, None]
            labels[joined, node] = ABSENT
            edges[joined, node], edges[joined, :, node] = False, False
    reach = edges | np.eye(len(inputs), dtype=bool)
    for _ in range(len(inputs).bit_length()):
        reach = reach @ reach
    useful = reach[:, inputs].any(axis=1) & reach[:, :, output]
    useful |= ~reach[:, inputs, output].any(axis=1)[:, None]  # no path at all: keep what there is
    useful |= inputs | (np.arange(len(inputs)) == output)
    labels = np.where(useful & (labels != ABSENT), labels, ABSENT)
    live = labels != ABSENT
    return labels, edges & live[:, :, None] & live[:, None]
