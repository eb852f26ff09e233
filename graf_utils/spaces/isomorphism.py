"""What a graph computes, written as text: equal texts mean isomorphic cells."""

from __future__ import annotations

import numpy as np

from graf_utils.graphs import GraphBatch

__all__ = ["expressions"]


def expressions(batch: GraphBatch, skip: str, none: str, *, keep: bool) -> list[str]:
    """Write what each graph computes as a nested expression of its input.

    Parameters
    ----------
    batch : GraphBatch
        With one input, node 0, and the output in the last node.
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
    written = []
    for row in labels:
        addends: list[list[str]] = [["0"], *([] for _ in range(batch.n_nodes - 1))]  # by node
        for (source, target), label in zip(edges, row, strict=True):
            value, op = addends[source], batch.operations[label]
            text = "+".join(sorted(value))
            if op == none or value in ([], ["#"]):
                addends[target] += ["#"] * keep
            elif op == skip or op in batch.free:
                addends[target] += [text] if keep else value
            else:
                addends[target].append(f"({text})@{op}")
        written.append("+".join(sorted(addends[-1])) or "#")
    return written
