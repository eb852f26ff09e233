"""The questions that GRAF asks of a graph, each a function over a batch of graphs.

A *family* is one question: how many edges carry an operation of this set, how short or how long is
a path over it, how many of its edges touch the input or the output. Asked of every set of
operations it gives many features. A family of your own is a function of a `GraphBatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import named, nearest, real_array, short
from graf_utils.graphs import ABSENT, GraphBatch, signed_dtype
from graf_utils.spaces import TNB101Macro

__all__ = ["FAMILIES", "OP_COUNT", "Family", "as_families", "feature_family"]

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
    columns : "subsets", "operations" or tuple of str
        A column for each set, for each operation, or with these labels; ``("",)`` is one column.
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
    cost = reached.get(batch.output)
    if cost is None:
        cost = np.full(shape, closed, dtype=dtype)
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
    return _count(batch.source_ops[:, batch.edges[:, 1] == batch.output], inside)


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
    )
}
"""GRAF's own families in column order; the last two are for chains of layers that have strides."""


OP_COUNT = FAMILIES["op_count"]
"""The family that counts operations, by itself an encoding (`graf_utils.encodings`)."""


# --- families of your own -------------------------------------------------------------------------


def feature_family(
    columns: str | Sequence[str] = ("",), *, name: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: say which columns a function of a `GraphBatch` gives.

    A function that gives one column needs no decorator: ``GRAF(families=["op_count", function])``.

    Parameters
    ----------
    columns : sequence of str, "operations" or "subsets"
        Labels of the columns, ``name[label]``. With ``"operations"`` or ``"subsets"`` there is a
        column for each, and the function is called with a second argument ``inside``, a boolean
        array of shape (n_columns, n_labels) that tells which of ``batch.operations`` belong to a
        column.
    name : str, optional
        Name of the family; by default the function's.

    Returns
    -------
    callable
        The decorator. It leaves the function as it is; the function takes a `GraphBatch` and
        returns an array of shape (n_graphs, n_columns), or (n_graphs,) for one column.

    Raises
    ------
    ValueError
        The columns are not labels, or the function is one that cannot be told its columns, such as
        a method.

    Examples
    --------
    >>> from graf_utils.features import GRAF
    >>> @feature_family(["sources", "targets"])
    ... def n_ends(batch):
    ...     none = batch.operations.index("none")
    ...     used = batch.edge_ops != none
    ...     return [[len(set(batch.edges[row, end])) for end in (0, 1)] for row in used]
    >>> GRAF(families=[n_ends]).transform([(4, 0, 3, 1, 4, 3)])
    array([[3., 3.]])
    """
    if isinstance(columns, str):
        labels: str | tuple[str, ...] = columns
        if columns not in ("subsets", "operations"):
            raise ValueError(
                f"columns={columns!r} must be 'subsets', 'operations' or a list of labels. Write "
                f"columns=[{columns!r}]."
            )
    else:
        ordered = isinstance(columns, Iterable) and not isinstance(columns, Set | Mapping)
        labels = tuple(columns) if ordered else ()
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"columns={columns!r} must list at least one label, each once.")

    def describe(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            function.feature_columns = labels  # type: ignore[attr-defined]
            function.feature_name = name or _name_of(function)  # type: ignore[attr-defined]
        except AttributeError:
            raise ValueError(
                f"{short(function)} of type {type(function).__name__} cannot keep the names of its "
                "columns. Decorate a function that calls it: lambda batch: it(batch)."
            ) from None
        return function

    return describe


def as_families(families: Any) -> list[Family]:
    """Read the families that somebody asks for.

    Parameters
    ----------
    families : sequence of str, callable or Family, or mapping of name to these
        Names of `FAMILIES`, and functions of a `GraphBatch` (see `feature_family`).

    Returns
    -------
    list of Family
        Those of `FAMILIES` first, in their order; then the others as given.

    Raises
    ------
    ValueError
        There is none, a name is unknown, taken or used twice, or something is no family.
    """
    if isinstance(families, str) or callable(families) or not isinstance(families, Iterable):
        name = repr(families) if isinstance(families, str) else _name_of(families)
        raise ValueError(
            f"families={short(families)} is not a list of families. Write families=[{name}]."
        )
    if isinstance(families, Mapping):
        pairs = named("families", families)
    else:
        pairs = [(_name_of(item), item) for item in families]
        if isinstance(families, Set):  # whose order is another one in each process
            pairs.sort(key=lambda pair: str(pair[0]))
    unknown = [key for key, item in pairs if isinstance(item, str) and item not in FAMILIES]
    if unknown or not pairs:
        raise ValueError(
            f"families={short(families)}: it must name at least one of {list(FAMILIES)}, or hold "
            f"functions of a GraphBatch.{nearest(unknown[0], FAMILIES) if unknown else ''}"
        )
    chosen = [_family(key, item) for key, item in pairs]
    names = [family.name for family in chosen]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"families={short(families)} repeats {repeated}; give each once.")
    order = list(FAMILIES)
    return sorted(chosen, key=lambda f: order.index(f.name) if f.name in order else len(order))


def _name_of(item: Any) -> Any:
    """The name under which a family goes if none is given."""
    if isinstance(item, Family):
        return item.name
    return getattr(item, "feature_name", getattr(item, "__name__", item))


def _family(name: str, item: Any) -> Family:
    """A family made of somebody's function."""
    if isinstance(item, str):
        item = FAMILIES[item]
    if isinstance(item, Family) and name == item.name:
        return item
    if not callable(item) and not isinstance(item, Family):
        raise ValueError(
            f"family {short(item)} of type {type(item).__name__} is neither a name nor a function "
            f"of a GraphBatch. Names are {list(FAMILIES)}."
        )
    if not isinstance(name, str) or not name or set(name) & set("[].<>") or name in FAMILIES:
        raise ValueError(
            f"name={name!r} cannot name a family: it must be text without '[', ']', '.', '<' and "
            f"'>', and none of {list(FAMILIES)}. Give it another: families={{'my_name': function}}."
        )
    if isinstance(item, Family):  # under another name in a mapping
        return replace(item, name=name)
    labels = getattr(item, "feature_columns", ("",))

    def compute(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
        values = real_array(
            f"family {name!r}", item(batch) if inside is None else item(batch, inside)
        )
        width = len(labels) if inside is None else len(inside)
        if values.shape == (len(batch),) and width == 1:
            values = values[:, None]
        if values.shape != (len(batch), width):
            raise ValueError(
                f"family {name!r} gave an array of shape {values.shape} for {len(batch)} graphs "
                f"and {width} columns; it must be ({len(batch)}, {width}). Return one row per "
                "graph."
            )
        return values.T

    return Family(name, compute, labels, by_pattern=False)
