"""The questions that GRAF asks of a graph, each a function over a batch of graphs.

A *family* is one question: how many edges carry an operation of this set, how short or how long is
a path over it, how many of its edges touch the input or the output. Asked of every set of
operations it gives many features. A family of your own is a function of a `GraphBatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.features import numbers
from graf_utils.graphs import ABSENT, GraphBatch, signed_dtype
from graf_utils.spaces import TNB101Macro

__all__ = ["FAMILIES", "NUMBER_FAMILIES", "OP_COUNT", "Family"]

_MAX_BITS = 64  # labels that fit in the bits of one number


@dataclass(frozen=True)
class Family:
    """A named group of columns and the function that computes them.

    Attributes
    ----------
    name : str
        What its columns begin with.
    compute : callable
        (batch, start, inside, variant) -> array of shape (n_columns, n_graphs), for paths from the
        node `start` and the sets of operations `inside`, of shape (n_columns, n_labels).
    columns : "subsets", "operations", "numbers" or tuple of str
        A column for each set, for each operation, for each number of the space, or with these
        labels; ``("",)`` is one column.
    each_input : bool
        Computed from each input of a cell.
    by_pattern : bool
        Depends on an architecture only through which edges are in the set.
    """

    name: str
    compute: Callable[..., NDArray[Any]]
    columns: str | tuple[str, ...] = "subsets"
    each_input: bool = False
    by_pattern: bool = True


# --- paths ----------------------------------------------------------------------------------------


def _member(ops: NDArray[np.integer], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For each set (row) and graph (column), whether the graph's label is in the set."""
    n_labels = inside.shape[1]
    if n_labels > _MAX_BITS:
        return np.pad(inside, ((0, 0), (0, 1)))[:, ops]  # the label -1 picks the last, which is no
    dtype = np.min_scalar_type((1 << n_labels) - 1)
    bits = np.zeros(n_labels + 1, dtype=dtype)  # the label -1, an absent edge, has no bit
    bits[:-1] = dtype.type(1) << np.arange(n_labels, dtype=dtype)
    return ((inside @ bits[:-1])[:, None] & bits[ops]) != 0


def _cheapest_path(
    batch: GraphBatch, start: int, inside: NDArray[np.bool_], yes: int, no: int | None, free: int
) -> tuple[NDArray[np.integer], NDArray[np.bool_]]:
    """Cost of the cheapest path from `start` to the output, and whether there is one.

    Both have shape (n_sets, n_graphs). An edge costs `yes` in the set, `no` outside (None: it is
    closed), `free` with a free label. The nodes are in topological order, so one sweep over the
    edge slots by target settles every node.
    """
    # No path is longer than n_nodes - 1 edges. `closed` is more than any path costs, also after
    # edges that lower the cost; of two such numbers the sum is the largest that can arise.
    largest = (batch.n_nodes - 1) * max(abs(yes), abs(no or 0), abs(free))
    closed = 2 * largest + 1
    dtype = signed_dtype(2 * closed)
    shape = len(inside), len(batch)
    other = closed if no is None else no
    costs = [free if label in batch.free else other for label in batch.operations]
    outside = np.array([*costs, closed], dtype=dtype)  # the label -1 picks the last
    reached = {start: np.zeros(shape, dtype=dtype)}
    for slot in np.argsort(batch.edges[:, 1], kind="stable"):
        source, target = batch.edges[slot].tolist()
        if source not in reached:
            continue
        ops = batch.edge_ops[:, slot]
        if target == batch.output and batch.free:
            step = reached[source] + outside[ops]
        else:
            step = np.where(_member(ops, inside), dtype.type(yes), outside[ops])
            step += reached[source]
        if target in reached:
            np.minimum(reached[target], step, out=reached[target])
        else:
            reached[target] = np.minimum(step, dtype.type(closed))
    cost = np.broadcast_to(batch.at_end(reached, dtype.type(closed)), shape)
    return cost, cost <= largest


def _min_path_len(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    length, there = _cheapest_path(batch, start, inside, 1, None, 1)
    no_path = (batch.sizes + (batch.node_ops is None)).astype(length.dtype)
    return np.where(there, length, no_path)


def _max_path_len(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    if variant == "allowed":
        cost, there = _cheapest_path(batch, start, inside, -1, None, 0)
        return np.where(there, -cost, 0)
    # Least (edges outside - edges inside), ties by fewest edges inside: both in one number, the
    # weight in steps of `base`, the count of edges inside (below `base`) in the remainder.
    base = batch.n_nodes
    cost, there = _cheapest_path(batch, start, inside, 1 - base, base, base)
    return np.where(there, cost % base, 0)


# --- counts and degrees ---------------------------------------------------------------------------


def _count(ops: NDArray[np.integer], inside: NDArray[np.bool_]) -> NDArray[np.integer]:
    """How many labels of each graph are in each set, shape (n_sets, n_graphs).

    `ops` has shape (n_graphs, n_places).
    """
    n_graphs, n_places = ops.shape
    counts = np.zeros((len(inside), n_graphs), dtype=signed_dtype(n_places))
    for labels in ops.T:
        counts += _member(labels, inside)
    return counts


def _op_count(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.edge_ops if batch.node_ops is None else batch.node_ops, inside)


def _input_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.edge_ops[:, batch.edges[:, 0] == start], inside)


def _output_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    if batch.ends is None:
        return _count(batch.source_ops[:, batch.edges[:, 1] == batch.output], inside)
    last = batch.edges[:, 1] == batch.ends[:, None]
    return _count(np.where(last, batch.source_ops, ABSENT), inside)


def _mean_in_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.source_ops, inside) / batch.sizes.astype(float)


def _mean_out_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.edge_ops, inside) / batch.sizes.astype(float)


def _running_count(batch: GraphBatch, operations: Sequence[str]) -> NDArray[Any]:
    """How many of the first 1, 2, ... edges of a chain hold these operations; 0 past its end."""
    absent = [op for op in operations if op not in batch.operations]
    if absent:
        raise ValueError(
            f"the family counts the layers {list(operations)} of TransNAS-Bench-101-macro, and "
            f"these graphs have {list(batch.operations)}. Leave it out of families."
        )
    counts = np.isin(batch.edge_ops, list(map(batch.operations.index, operations))).cumsum(axis=1)
    return np.where(batch.edge_ops != ABSENT, counts, 0).T


def _channel_doublings(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _running_count(batch, TNB101Macro.doubling)


def _strides(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _running_count(batch, TNB101Macro.striding)


_LAYERS = tuple(map(str, range(TNB101Macro.code_length)))

NUMBER_FAMILIES = (
    Family("number_sum", numbers.number_sum, "numbers", by_pattern=False),
    Family("number_min", numbers.number_min, "numbers", by_pattern=False),
    Family("number_max", numbers.number_max, "numbers", by_pattern=False),
    Family("path_sum_min", numbers.path_sum_min, "numbers", each_input=True, by_pattern=False),
    Family("path_sum_max", numbers.path_sum_max, "numbers", each_input=True, by_pattern=False),
)
"""Families for spaces whose operations carry numbers, such as kernels and widths."""

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("op_count", _op_count, "operations"),
        Family("min_path_len", _min_path_len, each_input=True),
        Family("max_path_len", _max_path_len, each_input=True),
        Family("input_degree", _input_degree, each_input=True),
        Family("output_degree", _output_degree),
        Family("mean_in_degree", _mean_in_degree),
        Family("mean_out_degree", _mean_out_degree),
        Family("channel_doublings", _channel_doublings, _LAYERS, by_pattern=False),
        Family("strides", _strides, _LAYERS, by_pattern=False),
        *NUMBER_FAMILIES,
    )
}
"""Families by name, in column order: GRAF's own, of which two are for chains of layers that have
strides, and ours for numbers."""


OP_COUNT = FAMILIES["op_count"]
"""The family that counts operations, by itself an encoding (`graf_utils.encodings`)."""
