"""Encodings of architectures, by name and side by side: ``encode(table, "zcp+graf")``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from graf_utils._checks import nearest
from graf_utils.features import GRAF, authors_order
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.table import Table

__all__ = ["ENCODINGS", "encode", "one_hot", "path_encoding"]


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
    """
    labels = [i for i, name in enumerate(batch.operations) if name not in batch.free]
    slots = {(s, t): i for i, (s, t) in enumerate(batch.edges.tolist())}
    graph = nx.DiGraph(list(slots))
    blocks = []
    for start, name in zip(batch.inputs, inputs, strict=True):
        routes = [
            [slots[edge] for edge in pairwise(path)]
            for path in nx.all_simple_paths(graph, start, batch.output)
        ]
        blocks.append(_sequences(batch, routes, labels, f"path{'.' * bool(name)}{name}"))
    return pd.concat(blocks, axis=1)


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


def one_hot(batch: GraphBatch, *, fixed_wiring: bool = False) -> pd.DataFrame:
    """Which operation lies where, and which edges there are.

    Parameters
    ----------
    batch : GraphBatch
    fixed_wiring : bool
        All architectures of the space have the same edges. Where operations sit on nodes, the
        edges then carry no information and get no column.

    Returns
    -------
    DataFrame of shape (n_graphs, n_columns)
        With operations on edges, an indicator for each slot and operation, ``1-2=nor_conv_3x3``: 30
        in NAS-Bench-201. With operations on nodes, an indicator for each slot, ``0-1``, then one
        for each inner node and operation, ``1=maxpool3x3``: 36 in NAS-Bench-101.
    """
    labels = [i for i, name in enumerate(batch.operations) if name not in batch.free]
    names = batch.node_names
    slots = [f"{names[u]}-{names[v]}" for u, v in batch.edges.tolist()]
    if batch.node_ops is None:
        keep = [
            s for s, v in enumerate(batch.edges[:, 1]) if not (batch.free and v == batch.output)
        ]
        places, ops = [slots[s] for s in keep], batch.edge_ops[:, keep]
    else:
        inner = [v for v in range(batch.n_nodes) if v not in (*batch.inputs, batch.output)]
        places, ops = [names[v] for v in inner], batch.node_ops[:, inner]
    columns = [f"{place}={batch.operations[op]}" for place in places for op in labels]
    indicators = (ops[:, :, None] == np.array(labels)).reshape(len(batch), -1)
    frame = pd.DataFrame(indicators.astype(float), columns=columns)
    if batch.node_ops is None or fixed_wiring:
        return frame
    edges = pd.DataFrame((batch.edge_ops != ABSENT).astype(float), columns=slots)
    return pd.concat([edges, frame], axis=1)


# --- encodings of a table -------------------------------------------------------------------------


def _by_cell(table: Table, encoding: Callable[[GraphBatch], pd.DataFrame]) -> pd.DataFrame:
    """Encode each cell of the architectures, with the cell's name before the columns'."""
    blocks = [
        encoding(batch).add_prefix(f"{cell}." if cell else "")
        for cell, batch in table.space.graph_batch(table.codes).items()
    ]
    return pd.concat(blocks, axis=1)


def _path(table: Table) -> pd.DataFrame:
    return _by_cell(table, lambda batch: path_encoding(batch, table.space.inputs))


def _one_hot(table: Table) -> pd.DataFrame:
    return _by_cell(table, lambda batch: one_hot(batch, fixed_wiring=table.space.fixed_wiring))


def _graf(table: Table, **options: Any) -> pd.DataFrame:
    graf = GRAF(table.space, **options).set_output(transform="pandas")
    features = graf.fit_transform(table)
    return features[authors_order(table.space, list(features))]


def _zcp(table: Table) -> pd.DataFrame:
    if table.proxies is None or not table.proxies.shape[1]:
        raise ValueError(
            f"encoding 'zcp': table {table.name!r} (source {table.source!r}) has no zero-cost "
            "proxies. Load another table (list_tables says which have some), compute them with "
            "graf_utils.proxies.score, or leave 'zcp' out."
        )
    return table.proxies


def _cost(table: Table, column: int, name: str) -> pd.DataFrame:
    if not hasattr(table.space, "cost"):
        raise ValueError(
            f"encoding {name!r}: search space {table.space.name!r} has no cost formula. Leave it "
            "out, or give the space a method cost."
        )
    return pd.DataFrame({name: table.space.cost(table.codes)[:, column]})


ENCODINGS: dict[str, Callable[[Table], pd.DataFrame]] = {
    "graf": _graf,
    "graf-allowed": lambda table: _graf(table, variant="allowed"),
    "zcp": _zcp,
    "one-hot": _one_hot,
    "op-count": lambda table: _graf(table, families=["op_count"]),
    "path": _path,
    "params": lambda table: _cost(table, 0, "params"),
    "flops": lambda table: _cost(table, 1, "flops"),
}
"""Encodings by name. Their order is the order of the column groups in a combination: GRAF, ZCP,
one-hot as in the paper's code, then ours."""


def encode(table: Table, encoding: str) -> pd.DataFrame:
    """Encode the architectures of a table.

    Parameters
    ----------
    table : Table
        From `graf_utils.datasets.load_table`, or your own.
    encoding : str
        A name of `ENCODINGS`, or several joined by ``+`` such as ``"zcp+graf"``. The order of the
        names does not matter: columns come in the order of `ENCODINGS`.

    Returns
    -------
    DataFrame of shape (n_architectures, n_columns)
        Named columns; GRAF's in the order of the authors' code. A column that two encodings share
        (``"zcp+flops+params"``) is kept twice, the second prefixed by its encoding's name.

    Raises
    ------
    ValueError
        An unknown or repeated name, or an encoding that the table cannot serve.
    """
    names = [part.strip() for part in encoding.split("+")] if isinstance(encoding, str) else []
    unknown = [name for name in names if name not in ENCODINGS]
    if not names or unknown:
        raise ValueError(
            f"encoding={encoding!r} is unknown; it must be one of {list(ENCODINGS)}, or several "
            "joined by '+'." + (nearest(unknown[0], ENCODINGS) if unknown else "")
        )
    if len(set(names)) < len(names):
        raise ValueError(f"encoding={encoding!r} names an encoding twice; name each once.")
    blocks: dict[str, pd.DataFrame] = {}
    taken: set[str] = set()
    for name in sorted(names, key=list(ENCODINGS).index):
        block = ENCODINGS[name](table)
        blocks[name] = block.rename(columns={c: f"{name}.{c}" for c in taken & set(block)})
        taken |= set(blocks[name])
    return pd.concat(blocks.values(), axis=1)
