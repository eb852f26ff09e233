"""The path encoding of BANANAS: which sequences of operations lie on an input-output path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import networkx as nx
import numpy as np
import pandas as pd

from graf_utils import _memory
from graf_utils.graphs import ABSENT, GraphBatch

__all__ = ["path_encoding"]

_MOST_COLUMNS = 200_000
_MOST_BYTES = 8 * 2**30
"""Sizes up to which a path encoding is made; where less memory is free, up to that."""


def path_encoding(batch: GraphBatch, inputs: Sequence[str] = ("",)) -> pd.DataFrame:
    """Which sequences of operations lie on an input-output path (BANANAS; White et al., 2021).

    Parameters
    ----------
    batch : GraphBatch
    inputs : sequence of str
        A name for each input of the batch, where there are several.

    Returns
    -------
    DataFrame of shape (n_graphs, n_sequences)
        An indicator for each input and each sequence of operations as long as some path: 155 in
        NAS-Bench-201, where `none` counts as an operation like any other, and 364 in
        NAS-Bench-101 (the empty sequence is a direct edge). Where graphs end at different nodes,
        there are sequences of every length.

    Raises
    ------
    ValueError
        There are too many sequences or paths; they grow exponentially with the graph.
    """
    labels = [i for i, name in enumerate(batch.operations) if name not in batch.free]
    _check_paths(batch, len(labels))
    graph = nx.MultiDiGraph()
    for slot, (source, target) in enumerate(batch.edges.tolist()):
        graph.add_edge(source, target, key=slot)
    blocks = []
    for start, name in zip(batch.inputs, inputs, strict=True):
        routes = [
            (end, [slot for _, _, slot in path])
            for end in _ends(batch)
            for path in nx.all_simple_edge_paths(graph, start, end)
        ]
        blocks.append(_sequences(batch, routes, labels, f"path{'.' * bool(name)}{name}"))
    return pd.concat(blocks, axis=1)


def _ends(batch: GraphBatch) -> list[int]:
    """The nodes at which graphs may end: where ends differ all, whatever rows there are."""
    if batch.ends is None:
        return [batch.output]
    return [node for node in range(batch.n_nodes) if node not in batch.inputs]


def _check_paths(batch: GraphBatch, n_labels: int) -> None:
    """Refuse a path encoding that is too large, before any of it is made."""
    n_columns = n_paths = 0
    for start in batch.inputs:
        paths_to = _paths_by_length(batch, start)
        lengths: dict[int, int] = {}
        for end in _ends(batch):
            for length, paths in paths_to[end].items():
                lengths[length] = lengths.get(length, 0) + paths
        n_paths += sum(lengths.values())
        n_columns += sum(n_labels ** (length - bool(batch.free)) for length in lengths)
    free = _memory.available()
    most = _MOST_BYTES if free is None else min(free, _MOST_BYTES)
    n_bytes = 8 * n_columns * len(batch)
    size = (
        f"encoding 'path' would have {n_columns:,} columns of {len(batch):,} rows, from "
        f"{n_paths:,} paths: {_memory.written(n_bytes)}"
    )
    if max(n_columns, n_paths) > _MOST_COLUMNS:
        raise ValueError(
            f"{size}. At most {_MOST_COLUMNS:,} columns and as many paths are made. Use 'graf', "
            "'op-count' or 'one-hot' for this space."
        )
    if n_bytes > most:
        raise ValueError(
            f"{size}, and {_memory.written(most)} can be had. Encode fewer rows at once, as with "
            f"table.subset(slice({most // (8 * n_columns)})), or use 'graf', 'op-count' or "
            "'one-hot'."
        )


def _paths_by_length(batch: GraphBatch, start: int) -> list[dict[int, int]]:
    """For each node, the number of paths from an input to it, by their number of edges."""
    counts: list[dict[int, int]] = [{} for _ in range(batch.n_nodes)]
    counts[start][0] = 1
    for source, target in sorted(batch.edges.tolist()):  # sources come in topological order
        for length, paths in counts[source].items():
            counts[target][length + 1] = counts[target].get(length + 1, 0) + paths
    return counts


def _sequences(
    batch: GraphBatch, routes: list[tuple[int, list[int]]], labels: list[int], stem: str
) -> pd.DataFrame:
    """Which sequences of labels lie on some of the routes, each an end and a list of slots."""
    rank = np.zeros(len(batch.operations), dtype=np.intp)
    rank[labels] = np.arange(len(labels))
    # an edge that only closes the path (it carries no operation) is not part of the sequence
    inner = [route[:-1] if batch.free else route for _, route in routes]
    names: list[str] = []
    offset = {}
    for length in sorted({len(route) for route in inner}):
        offset[length] = len(names)
        grid = product([batch.operations[i] for i in labels], repeat=length)
        names += [f"{stem}[{','.join(row)}]" for row in grid]
    encoded = np.zeros((len(batch), len(names)))
    for (end, route), ops in zip(routes, inner, strict=True):
        there = (batch.edge_ops[:, route] != ABSENT).all(axis=1)
        rows = np.flatnonzero(there if batch.ends is None else there & (batch.ends == end))
        digits = rank[batch.edge_ops[np.ix_(rows, ops)]]
        code = digits @ (len(labels) ** np.arange(len(ops), dtype=np.intp)[::-1])
        encoded[rows, offset[len(ops)] + code] = 1
    return pd.DataFrame(encoded, columns=names)
