"""Checks of a wiring of one's own: names of operations, edges, inputs, sizes, paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import networkx as nx
import numpy as np

from graf_utils._checks import short, to_array

__all__ = ["NONE", "SKIP", "check_operations", "check_wiring", "edge_names"]

SKIP, NONE = "skip_connect", "none"
"""The identity, and an edge that is not there."""

_Edges = tuple[tuple[int, int], ...]


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
    is_list = isinstance(operations, Iterable) and not isinstance(operations, str)
    names = tuple(operations) if is_list else ()
    if not names:
        one = operations if operations and isinstance(operations, str) else "conv"
        raise ValueError(
            f"operations={operations!r} must be a list of at least one name. Write [{one!r}], or "
            "several."
        )
    if not all(isinstance(op, str) and op and not set(op) & set("[]+=,") for op in names) or len(
        set(names)
    ) < len(names):
        raise ValueError(
            f"operations={short(list(names))}: names must differ, not be empty, and hold none of "
            "[]+=, (they become column names). Rename them."
        )
    return tuple(map(str, names))


def check_wiring(
    edges: Any, adjacency: Any, inputs: Any, sizes: Any, ops_on: Any
) -> tuple[_Edges, tuple[int, ...], tuple[int, ...]]:
    """Read a wiring: its edges, its inputs, and how many nodes its cells may have.

    Parameters
    ----------
    edges : sequence of (int, int), or None
        Source and target of each edge; a pair that is listed twice is two parallel edges.
    adjacency : array-like of shape (n, n), or None
        0 and 1; one of the two must be given.
    inputs : sequence of int, or None
        None is the lowest node.
    sizes : sequence of int, or None
        None is the number of nodes of the wiring.
    ops_on : {"edges", "nodes"}
        Where operations sit.

    Returns
    -------
    edges : tuple of (int, int)
        In the order given.
    inputs : tuple of int
        In ascending order.
    sizes : tuple of int
        In ascending order.

    Raises
    ------
    ValueError
        An edge goes backward, or is parallel to another where operations sit on nodes; an input is
        no node or has an edge into it; a node lies on no path from an input to the output, also in
        a smaller cell; a size is out of range, or the edges of a smaller cell do not stand first.
    """
    if ops_on not in ("edges", "nodes"):
        raise ValueError(f"ops_on={ops_on!r} is unknown; it must be 'edges' or 'nodes'.")
    pairs = _check_edges(edges, adjacency)
    if ops_on == "nodes" and len(set(pairs)) < len(pairs):
        raise ValueError(
            f"edges={short(list(pairs))} repeat; with ops_on='nodes' parallel edges carry nothing. "
            "Name each once, or put the operations on edges."
        )
    nodes = _check_inputs(pairs, inputs)
    if ops_on == "nodes" and max(map(max, pairs)) - min(map(min, pairs)) == len(nodes):
        raise ValueError(
            f"edges={list(pairs)} have no inner node, so ops_on='nodes' leaves nothing to choose. "
            "Add a node or put the operations on edges."
        )
    return pairs, nodes, _check_sizes(pairs, nodes, sizes, ops_on)


def _check_edges(edges: Any, adjacency: Any) -> _Edges:
    """The edges, from pairs of nodes or from a matrix."""
    if (edges is None) == (adjacency is None):
        raise ValueError("Give either edges=[(0, 1), ...] or adjacency=[[0, 1], ...], one of them.")
    pairs = _pairs(edges) if adjacency is None else _pairs_of_matrix(adjacency)
    if not pairs:
        raise ValueError(
            "edges is empty; at least one edge from the input to the output is needed."
        )
    for pair in pairs:
        if pair[0] >= pair[1]:
            raise ValueError(
                f"edge {pair} must go from a lower to a higher node (no cycles). Number the nodes "
                "in topological order."
            )
    return tuple(pairs)


def _check_inputs(edges: _Edges, inputs: Any) -> tuple[int, ...]:
    """The input nodes; every node must lie on a path from one of them to the highest node."""
    low, high = min(map(min, edges)), max(map(max, edges))
    listed = (low,) if inputs is None else inputs
    if isinstance(listed, str) or not isinstance(listed, Iterable):
        raise ValueError(f"inputs={inputs!r} is not a list of nodes such as (0, 1).")
    nodes = tuple(listed)
    if not nodes or not all(_is_node(node, low, high - 1) for node in nodes):
        raise ValueError(
            f"inputs={inputs!r}: an input must be a node from {low} to {high - 1}, such as "
            f"inputs=({low},); {high} is the output."
        )
    if len(set(nodes)) < len(nodes):
        raise ValueError(f"inputs={inputs!r} names a node twice. Name each once.")
    entered = next((edge for edge in edges if edge[1] in nodes), None)
    if entered is not None:
        raise ValueError(
            f"inputs={inputs!r}: edge {entered} leads into the input {entered[1]}. Leave the edge "
            "out, or the input."
        )
    found = tuple(sorted(map(int, nodes)))
    _check_paths(edges, range(low, high + 1), found)
    return found


def _check_sizes(
    edges: _Edges, inputs: tuple[int, ...], sizes: Any, ops_on: str
) -> tuple[int, ...]:
    """How many nodes cells may have; the nodes of smaller ones must lie on paths as well."""
    low, high = min(map(min, edges)), max(map(max, edges))
    n_nodes = high - low + 1
    if sizes is None:
        return (n_nodes,)
    listed = [] if isinstance(sizes, str) or not isinstance(sizes, Iterable) else list(sizes)
    least = inputs[-1] - low + (2 if ops_on == "edges" else 3)
    if not listed or not all(_is_node(size, least, n_nodes) for size in listed):
        raise ValueError(
            f"sizes={sizes!r} must list numbers of nodes from {least} (with the inputs and the "
            f"output) to {n_nodes} (all nodes of the wiring), such as sizes=({n_nodes},)."
        )
    if max(listed) < n_nodes:
        raise ValueError(
            f"sizes={sizes!r}: the wiring has {n_nodes} nodes, and no cell uses them all. Leave "
            f"out the edges to nodes above {low + max(listed) - 1}, or add the size {n_nodes}."
        )
    in_order = sorted(edges, key=lambda edge: edge[1])
    if ops_on == "edges" and len(set(listed)) > 1 and in_order != list(edges):
        raise ValueError(
            "with several sizes the edges of a smaller cell must stand before those of a larger "
            f"one, ordered by target. Write edges={in_order}."
        )
    for size in sorted(set(listed))[:-1]:
        inner = tuple(edge for edge in edges if edge[1] < low + size)
        _check_paths(inner, range(low, low + size), inputs)
    return tuple(sorted({int(size) for size in listed}))


def edge_names(pairs: Iterable[tuple[Any, Any]]) -> list[str]:
    """Name edges by their nodes, ``"1-2"``; the second of two parallel edges is ``"1-2 (2)"``.

    Parameters
    ----------
    pairs : iterable of (source, target)

    Returns
    -------
    list of str
        All different.
    """
    seen: Counter[str] = Counter()
    names = []
    for source, target in pairs:
        name = f"{source}-{target}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _is_node(node: Any, low: int, high: int) -> bool:
    """Whether something is a whole number in a range."""
    whole = isinstance(node, int | np.integer) and not isinstance(node, bool)
    return whole and low <= node <= high


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
            raise ValueError(
                f"edge {pair!r} is not a pair of node numbers such as (0, 1). Of a networkx "
                "MultiDiGraph, pass edges=graph.edges(keys=False)."
            )
    return [(int(source), int(target)) for source, target in pairs]


def _pairs_of_matrix(adjacency: Any) -> list[tuple[int, int]]:
    """Edges of an adjacency matrix, row by row."""
    matrix = to_array("adjacency", adjacency)
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not np.isin(matrix, (0, 1)).all():
        raise ValueError(
            f"adjacency={adjacency!r} must be a square matrix of 0 and 1. List parallel edges in "
            "edges=[...], each as often as it is there."
        )
    return [(source, target) for source, target in np.argwhere(matrix).tolist()]


def _check_paths(edges: _Edges, nodes: range, inputs: tuple[int, ...]) -> None:
    """Raise if a node lies on no path from an input to the last node."""
    sources, targets = {source for source, _ in edges}, {target for _, target in edges}
    for node in nodes:
        if node not in (*inputs, *targets):
            missing, remedy = "enters", f"Write inputs={(*inputs, node)}, add an edge or renumber."
        elif node != nodes[-1] and node not in sources:
            missing, remedy = "leaves", "Add an edge or renumber."
        else:
            continue
        raise ValueError(
            f"edges={short(list(edges))}: no edge {missing} node {node}; every node must lie on a "
            f"path from the input {', '.join(map(str, inputs))} to the output {nodes[-1]}. {remedy}"
        )
