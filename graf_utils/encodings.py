"""Encodings of architectures, by name and side by side: ``encode(table, "zcp+graf")``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graf_utils._checks import nearest
from graf_utils.features import GRAF, OP_COUNT, Flow, authors
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.path_encoding import path_encoding
from graf_utils.spaces.wiring import edge_names
from graf_utils.table import Table, check_table

__all__ = ["ENCODINGS", "apply_encoding", "encode", "one_hot", "path_encoding"]


def one_hot(
    batch: GraphBatch, *, fixed_wiring: bool = False, places: Sequence[str] | None = None
) -> pd.DataFrame:
    """Which operation lies where, and which edges there are.

    Parameters
    ----------
    batch : GraphBatch
    fixed_wiring : bool
        All architectures of the space have the same edges. Where operations sit on nodes, the
        edges then carry no information and get no column.
    places : sequence of str, optional
        What to call the edge slots or inner nodes that carry operations, such as ``"layer 0"``.
        By default slots are called by their nodes, ``"1-2"`` (the second of parallel ones ``"1-2
        (2)"``), and nodes by their own names.

    Returns
    -------
    DataFrame of shape (n_graphs, n_columns)
        With operations on edges, an indicator for each slot and operation, ``1-2=nor_conv_3x3``: 30
        in NAS-Bench-201. With operations on nodes, an indicator for each slot, ``0-1``, then one
        for each inner node and operation, ``1=maxpool3x3``: 36 in NAS-Bench-101. Numbers of the
        batch come last, one column for each and each place, ``1-2 kernel``, 0 where there is none.
    """
    labels = [i for i, name in enumerate(batch.operations) if name not in batch.free]
    names = batch.node_names
    slots = edge_names((names[u], names[v]) for u, v in batch.edges.tolist())
    if batch.node_ops is None:
        to_output = batch.edges[:, 1] == batch.output
        carries = ~to_output if batch.free else np.ones(len(slots), dtype=bool)
        default = [slot for slot, carry in zip(slots, carries, strict=True) if carry]
        ops, carrying = batch.edge_ops[:, carries], np.flatnonzero(carries)
    else:
        inner = [v for v in range(batch.n_nodes) if v not in (*batch.inputs, batch.output)]
        default = [names[v] for v in inner]
        ops, carrying = batch.node_ops[:, inner], inner
    places = default if places is None else places
    columns = [f"{place}={batch.operations[op]}" for place in places for op in labels]
    indicators = (ops[:, :, None] == np.array(labels)).reshape(len(batch), -1)
    frame = pd.DataFrame(indicators.astype(float), columns=columns)
    for number, values in batch.numbers.items():
        named = [f"{place} {number}" for place in places]
        frame[named] = np.nan_to_num(values[:, carrying])
    if batch.node_ops is None or fixed_wiring:
        return frame
    edges = pd.DataFrame((batch.edge_ops != ABSENT).astype(float), columns=slots)
    return pd.concat([edges, frame], axis=1)


# --- encodings of a table -------------------------------------------------------------------------


def _by_cell(table: Table, codes: Any = None) -> Iterator[tuple[str, GraphBatch]]:
    """The graphs of each cell, with what goes before the names of its columns."""
    codes = table.codes if codes is None else codes
    for cell, batch in table.space.graph_batch(codes).items():
        yield f"{cell}." if cell else "", batch


def _path(table: Table, codes: Any = None) -> pd.DataFrame:
    """Path encoding of each cell, of the table's codes unless there are others."""
    blocks = [
        path_encoding(batch, table.space.inputs).add_prefix(prefix)
        for prefix, batch in _by_cell(table, codes)
    ]
    return pd.concat(blocks, axis=1)


def _one_hot(table: Table) -> pd.DataFrame:
    """One-hot encoding of each cell, as the authors' code hands it to a predictor."""
    space = table.space
    blocks = []
    for prefix, batch in _by_cell(table):
        is_code = batch.node_ops is None and len(batch.edges) == space.code_length and not prefix
        places = space.position_names() if is_code else None
        block = one_hot(batch, fixed_wiring=space.fixed_wiring, places=places)
        blocks.append(block.add_prefix(prefix))
    return authors.authors_one_hot(space, pd.concat(blocks, axis=1))


def _graf(table: Table, **options: Any) -> pd.DataFrame:
    """Graph features, in the order of the authors' code."""
    graf = GRAF(table.space, **options).set_output(transform="pandas")
    features = graf.fit_transform(table)
    return features[authors.authors_order(table.space, list(features))]


def _authors_graf(table: Table) -> pd.DataFrame:
    """GRAF as the authors' code hands it to a predictor."""
    graf = GRAF(table.space).set_output(transform="pandas")
    return authors.authors_encoding(table.space, graf.fit_transform(table))


def _flow(table: Table) -> pd.DataFrame:
    """Operations on the live paths."""
    return Flow(table.space).set_output(transform="pandas").fit_transform(table)


def _op_count(table: Table) -> pd.DataFrame:
    return _graf(table, families=[OP_COUNT])


def _zcp(table: Table) -> pd.DataFrame:
    """The zero-cost proxies of the table."""
    if table.proxies is None or not table.proxies.shape[1]:
        raise ValueError(
            f"encoding 'zcp': table {table.name!r} (source {table.source!r}) has no zero-cost "
            "proxies. Load another table (list_tables says which have some), compute them with "
            "graf_utils.scoring.score, or leave 'zcp' out."
        )
    return table.proxies


def _features(table: Table) -> pd.DataFrame:
    """The columns of a table that was made from features."""
    if not hasattr(table.space, "features"):
        raise ValueError(
            f"encoding 'own-features': table {table.name!r} was not made by Table.from_features. "
            'Pass a frame of your own as evaluate(..., {"mine": frame}) instead.'
        )
    return table.space.rows(table.codes)


def _cost(table: Table, column: int, name: str) -> pd.DataFrame:
    """One column of the space's cost formula, or what the table says under this name."""
    if hasattr(table.space, "cost"):
        return pd.DataFrame({name: table.space.cost(table.codes)[:, column]})
    if table.proxies is not None and name in table.proxies:
        return table.proxies[[name]]
    raise ValueError(
        f"encoding {name!r}: search space {table.space.name!r} has no cost formula, and table "
        f"{table.name!r} no proxy {name!r}. Leave it out, or give the space a method cost."
    )


ENCODINGS: dict[str, Callable[[Table], pd.DataFrame]] = {
    "graf": _authors_graf,
    "graf-allowed": lambda table: _graf(table, variant="allowed"),
    "zcp": _zcp,
    "one-hot": _one_hot,
    "op-count": _op_count,
    "path": _path,
    "path-authors": lambda table: _path(table, authors.authors_edges(table.space, table.codes)),
    "params": lambda table: _cost(table, 0, "params"),
    "flops": lambda table: _cost(table, 1, "flops"),
    "flow": _flow,
    "own-features": _features,
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
        An unknown or repeated name, an encoding that the table cannot serve, or no table.
    """
    check_table(table, "encode")
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


def apply_encoding(table: Table, encoding: Any) -> Any:
    """Return the columns of an encoding, in whatever form it was given.

    Parameters
    ----------
    table : Table
    encoding : str, callable, or array-like
        A name for `encode`, a function of the table, or the columns themselves.

    Returns
    -------
    DataFrame, or what the function returned or was given
        Not yet checked.

    Raises
    ------
    ValueError
        As `encode`.
    """
    if isinstance(encoding, str):
        return encode(table, encoding)
    return encoding(table) if callable(encoding) else encoding
