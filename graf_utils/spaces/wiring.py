"""Checks of a wiring of one's own: names of operations, edges, and that every node is on a path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import networkx as nx
import numpy as np

from graf_utils._checks import short, to_array

__all__ = ["check_edges", "check_operations"]


def check_operations(operations: Any) -> tuple[str, ...]:
    """Read names of operations.

    Parameters
    ----------
    operations : sequence of str

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        There is none, two are equal, or one does not fit into the name of a column.
    """
    if isinstance(operations, str) or not isinstance(operations, Iterable):
        raise ValueError(f"operations={operations!r} must be a list of at least one name.")
    names = tuple(operations)
    if not names:
        raise ValueError(f"operations={operations!r} must be a list of at least one name.")
    if not all(isinstance(op, str) and op and not set(op) & set("[]+=,") for op in names) or len(
        set(names)
    ) < len(names):
        raise ValueError(
            f"operations={short(list(names))}: names must differ, not be empty, and hold none of "
            "[]+=, (they become column names). Rename them."
        )
    return tuple(map(str, names))


def check_edges(edges: Any, adjacency: Any) -> tuple[tuple[int, int], ...]:
    """Read the edges of a wiring, from pairs of nodes or from a matrix.

    Parameters
    ----------
    edges : sequence of (int, int), or None
        Source and target of each edge.
    adjacency : array-like of shape (n, n), or None
        0 and 1; one of the two must be given.

    Returns
    -------
    tuple of (int, int)

    Raises
    ------
    ValueError
        An edge repeats or goes backward, or a node lies on no path from input to output.
    """
    if (edges is None) == (adjacency is None):
        raise ValueError("Give either edges=[(0, 1), ...] or adjacency=[[0, 1], ...], one of them.")
    pairs = _pairs(edges) if adjacency is None else _pairs_of_matrix(adjacency)
    if not pairs:
        raise ValueError(
            "edges is empty; at least one edge from the input to the output is needed."
        )
    for pair, times in Counter(pairs).items():
        if pair[0] >= pair[1]:
            raise ValueError(
                f"edge {pair} must go from a lower to a higher node (no cycles). Number the nodes "
                "in topological order."
            )
        if times > 1:
            raise ValueError(f"edge {pair} is given {times} times; name each once.")
    _check_paths(pairs)
    return tuple(pairs)


def _pairs(edges: Any) -> list[tuple[int, int]]:
    """Edges as pairs of Python integers."""
    if hasattr(edges, "__array__"):
        edges = to_array("edges", edges).tolist()
    if isinstance(edges, str | nx.Graph) or not isinstance(edges, Iterable):
        raise ValueError(
            f"edges={short(edges)} of type {type(edges).__name__} is not a list of pairs such as "
            "[(0, 1), (1, 2)]. Of a networkx graph, pass its edges: edges=graph.edges."
        )
    pairs = [tuple(edge) if isinstance(edge, Iterable) else (edge,) for edge in edges]
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(node, int | np.integer) for node in pair):
            raise ValueError(f"edge {pair!r} is not a pair of node numbers such as (0, 1).")
    return [(int(source), int(target)) for source, target in pairs]


def _pairs_of_matrix(adjacency: Any) -> list[tuple[int, int]]:
    """Edges of an adjacency matrix, row by row."""
    matrix = to_array("adjacency", adjacency)
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not np.isin(matrix, (0, 1)).all():
        raise ValueError(f"adjacency={adjacency!r} must be a square matrix of 0 and 1.")
    return [(source, target) for source, target in np.argwhere(matrix).tolist()]


def _check_paths(pairs: list[tuple[int, int]]) -> None:
    """Raise if a node lies on no path from the lowest node to the highest."""
    low, high = min(map(min, pairs)), max(map(max, pairs))
    sources, targets = {source for source, _ in pairs}, {target for _, target in pairs}
    for node in range(low, high + 1):
        for ends, end, missing in ((targets, low, "enters"), (sources, high, "leaves")):
            if node != end and node not in ends:
                raise ValueError(
                    f"edges={short(pairs)}: no edge {missing} node {node}; every node must lie on "
                    f"a path from the input {low} to the output {high}. Add an edge or renumber."
                )
