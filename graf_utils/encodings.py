"""Encodings of architectures, by name and side by side: ``encode(table, "zcp+graf")``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from graf_utils.features import GRAF
from graf_utils.spaces import GraphBatch
from graf_utils.spaces.base import ABSENT, nearest

__all__ = ["ENCODINGS", "encode", "path_encoding"]


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
    rank = np.zeros(len(batch.operations), dtype=np.intp)
    rank[labels] = np.arange(len(labels))
    slots = {(s, t): i for i, (s, t) in enumerate(batch.edges.tolist())}
    graph = nx.DiGraph(list(slots))
    blocks = []
    for start, name in zip(batch.inputs, inputs, strict=True):
        routes = [
            [slots[edge] for edge in pairwise(path)]
            for path in nx.all_simple_paths(graph, start, batch.output)
        ]
        # an edge that only closes the path (it carries no operation) is not part of the sequence
        inner = [route[:-1] if batch.free else route for route in routes]
        names: list[str] = []
        offset = {}
        for length in sorted({len(route) for route in inner}):
            offset[length] = len(names)
            grid = product([batch.operations[i] for i in labels], repeat=length)
            names += [f"path{'.' * bool(name)}{name}[{','.join(row)}]" for row in grid]
        encoded = np.zeros((len(batch), len(names)))
        for route, ops in zip(routes, inner, strict=True):
            rows = np.flatnonzero((batch.edge_ops[:, route] != ABSENT).all(axis=1))
            code = rank[batch.edge_ops[np.ix_(rows, ops)]]
            code = code @ (len(labels) ** np.arange(len(ops), dtype=np.intp)[::-1])
            encoded[rows, offset[len(ops)] + code] = 1
        blocks.append(pd.DataFrame(encoded, columns=names))
    return pd.concat(blocks, axis=1)


def _path(table: Any) -> pd.DataFrame:
    batches = table.space.graph_batch(table.architectures)
    if isinstance(batches, GraphBatch):
        batches = {"": batches}
    encoded = [
        path_encoding(batch, table.space.inputs).add_prefix(f"{cell}." if cell else "")
        for cell, batch in batches.items()
    ]
    return pd.concat(encoded, axis=1)


def _one_hot(table: Any) -> pd.DataFrame:
    space = table.space
    return pd.DataFrame(space.one_hot(table.architectures), columns=space.one_hot_names())


def _graf(table: Any, **options: Any) -> pd.DataFrame:
    graf = GRAF(table.space, **options).set_output(transform="pandas")
    features = graf.fit_transform(table.architectures)
    if table.space.name not in ("nb201", "tnb101-micro"):
        return features
    return features[_paper_order(list(features), table.space.operations)]


def _paper_order(names: list[str], operations: tuple[str, ...]) -> list[str]:
    """GRAF's columns as the authors' code orders them.

    A forest with a fixed seed depends on the order of its columns: with the order of `GRAF` the
    mean tau at 32 networks would be .002 lower than the published one. Theirs takes shortest paths
    by the operations that are *left out*, and the four degrees of a set together.
    """
    degrees = ("input_degree", "output_degree", "mean_in_degree", "mean_out_degree")

    def key(name: str) -> tuple[int, int, tuple[int, ...], int]:
        family, inside = name[:-1].split("[")
        chosen = {operations.index(op) for op in inside.split("+")}
        if family == "min_path_len":
            chosen = set(range(len(operations))) - chosen
        group = ("op_count", "min_path_len", "max_path_len", family).index(family)
        member = degrees.index(family) if family in degrees else 0
        return group, len(chosen), tuple(sorted(chosen)), member

    return sorted(names, key=key)


def _zcp(table: Any) -> pd.DataFrame:
    if table.proxies is None or not table.proxies.shape[1]:
        raise ValueError(
            f"encoding 'zcp': table {table.name!r} (source {table.source!r}) has no zero-cost "
            "proxies. Load another table (list_tables says which have some), compute them with "
            "graf_utils.proxies.score, or leave 'zcp' out."
        )
    return table.proxies


def _cost(table: Any, column: int, name: str) -> pd.DataFrame:
    if not hasattr(table.space, "cost"):
        raise ValueError(
            f"encoding {name!r}: search space {table.space.name!r} has no cost formula. Leave it "
            "out, or give the space a method cost."
        )
    return pd.DataFrame({name: table.space.cost(table.architectures)[:, column]})


ENCODINGS: dict[str, Callable[[Any], pd.DataFrame]] = {
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


def encode(table: Any, encoding: str) -> pd.DataFrame:
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
