"""The path encoding of BANANAS: which sequences of operations lie on an input-output path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import networkx as nx
import numpy as np
import pandas as pd

from graf_utils.graphs import ABSENT, GraphBatch

__all__ = ["path_encoding"]

_MOST_COLUMNS = 200_000
_MOST_BYTES = 8 * 2**30
"""Sizes up to which a path encoding is made."""


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
        NAS-Bench-101 (the empty sequence is a direct edge).

    Raises
    ------
    ValueError
        There are too many sequences or paths; they grow exponentially with the graph.
    """
    labels = [i for i, name in enumerate(batch.operations) if name not in batch.free]
    slots = {(s, t): i for i, (s, t) in enumerate(batch.edges.tolist())}
    _check_paths(batch, len(labels))
    graph = nx.DiGraph(list(slots))
    blocks = []
    for start, name in zip(batch.inputs, inputs, strict=True):
        routes = [
            [slots[edge] for edge in pairwise(path)]
            for path in nx.all_simple_paths(graph, start, batch.output)
        ]
        blocks.append(_sequences(batch, routes, labels, f"path{'.' * bool(name)}{name}"))
    return pd.concat(blocks, axis=1)


def _check_paths(batch: GraphBatch, n_labels: int) -> None:
    """Refuse a path encoding that is too large, before any of it is made."""
    n_columns = n_paths = 0
    for start in batch.inputs:
        for length, paths in _paths_by_length(batch, start).items():
            n_columns += n_labels ** (length - bool(batch.free))
            n_paths += paths
    too_large = 8 * n_columns * len(batch) > _MOST_BYTES
    if max(n_columns, n_paths) > _MOST_COLUMNS or too_large:
        raise ValueError(
            f"encoding 'path' would have {n_columns:,} columns of {len(batch):,} rows, from "
            f"{n_paths:,} paths; at most {_MOST_COLUMNS:,} and {_MOST_BYTES / 2**30:.0f} GiB are "
            "made. Use 'graf', 'op-count' or 'one-hot', or encode fewer rows at once with "
            "table.subset."
        )


def _paths_by_length(batch: GraphBatch, start: int) -> dict[int, int]:
    """Number of paths from an input to the output, by their number of edges."""
    counts: list[dict[int, int]] = [{} for _ in range(batch.n_nodes)]
    counts[start][0] = 1
    for source, target in sorted(batch.edges.tolist()):  # sources come in topological order
        for length, paths in counts[source].items():
            counts[target][length + 1] = counts[target].get(length + 1, 0) + paths
    return counts[batch.output]


def _sequences(
    batch: GraphBatch, routes: list[list[int]], labels: list[int], stem: str
) -> pd.DataFrame:
    """Which sequences of labels lie on some of the routes, each a list of edge slots."""
    rank = np.zeros(len(batch.operations), dtype=np.intp)
    rank[labels] = np.arange(len(labels))
    # an edge that only closes the path (it carries no operation) is not part of the sequence
    inner = [route[:-1] if batch.free else route for route in routes]
    names: list[str] = []
    offset = {}
    for length in sorted({len(route) for route in inner}):
        offset[length] = len(names)
        grid = product([batch.operations[i] for i in labels], repeat=length)
        names += [f"{stem}[{','.join(row)}]" for row in grid]
    encoded = np.zeros((len(batch), len(names)))
    for route, ops in zip(routes, inner, strict=True):
        rows = np.flatnonzero((batch.edge_ops[:, route] != ABSENT).all(axis=1))
        digits = rank[batch.edge_ops[np.ix_(rows, ops)]]
        code = digits @ (len(labels) ** np.arange(len(ops), dtype=np.intp)[::-1])
        encoded[rows, offset[len(ops)] + code] = 1
    return pd.DataFrame(encoded, columns=names)
