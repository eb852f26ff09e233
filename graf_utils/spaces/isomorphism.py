"""What a graph computes, written as text: equal texts mean isomorphic cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import ABSENT, GraphBatch

__all__ = ["expressions"]


def expressions(batch: GraphBatch, skip: str, none: str, *, keep: bool) -> list[str]:
    """Write what each graph computes as a nested expression of its input.

    Parameters
    ----------
    batch : GraphBatch
        The inputs are written ``0``, ``1``, ... in their order.
    skip, none : str
        The labels of the identity and of absence.
    keep : bool
        Show absent addends and keep nested sums apart; see `graf_utils.spaces.CellSpace.canonical`.

    Returns
    -------
    list of str
        One expression per graph.
    """
    order = np.lexsort(batch.edges.T[::-1])
    edges, labels = batch.edges[order].tolist(), batch.source_ops[:, order].tolist()
    ends = np.full(len(batch), batch.output) if batch.ends is None else batch.ends
    written = []
    for graph, end in enumerate(ends.tolist()):
        numbers = _numbers(batch, graph, order)
        addends: list[list[str]] = [[] for _ in range(batch.n_nodes)]  # by node
        for i, node in enumerate(batch.inputs):
            addends[node] = [str(i)]
        for (source, target), label, number in zip(edges, labels[graph], numbers, strict=True):
            if label == ABSENT:
                continue
            value, op = addends[source], batch.operations[label]
            text = "+".join(sorted(value))
            if op == none or value in ([], ["#"]):
                addends[target] += ["#"] * keep
            elif op == skip or op in batch.free:
                addends[target] += [text] if keep else value
            else:
                addends[target].append(f"({text})@{op}{number}")
        written.append("+".join(sorted(addends[end])) or "#")
    return written


def _numbers(batch: GraphBatch, graph: int, slots: NDArray[np.intp]) -> list[str]:
    """The numbers of the operation on each slot, as text such as ``[kernel=3]``."""
    places = slots if batch.node_ops is None else batch.edges[slots, 0]
    written = [""] * len(slots)
    for name, each in batch.numbers.items():
        for i, number in enumerate(each[graph, places].tolist()):
            if number == number:  # NaN where there is none
                written[i] += f"[{name}={number:g}]"
    return written
