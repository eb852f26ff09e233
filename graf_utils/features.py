"""Neural graph features (GRAF; Kadlecová et al., ICML 2024) over batches of architectures.

Every feature asks one question of a cell: how many edges carry an operation of this set, how short
or how long is a path over it, how many of its edges touch the input or the output. The answer
depends on the architecture only through *which edges are inside the set*. Where all architectures
have the same few edges, GRAF therefore answers each question once for each of the 2^E patterns of
edges, and then looks the patterns up; otherwise the same family functions, which run on arrays of
architectures times sets, are applied to the architectures themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from graf_utils.spaces import GraphBatch, SearchSpace, get_space
from graf_utils.spaces.base import ABSENT, nearest, subsets

__all__ = ["FAMILIES", "GRAF", "DistinctColumns", "Family", "distinct_columns", "feature_family"]

_CHUNK = 16_384  # architectures at a time: the intermediate arrays stay in the processor's cache
_BLOCK = 2**17  # entries (sets times architectures) of an intermediate array, for the same reason
_MAX_TABLE_EDGES = 12  # 2^12 patterns at most

_UNREACHED = 10_000
"""Cost of a node that no allowed path reaches; far above the cost of any path."""


@dataclass(frozen=True)
class Family:
    """A named group of columns and the function that computes them.

    Attributes
    ----------
    name : str
    compute : callable
        (batch, start, inside, variant) -> array of shape (n_columns, n_graphs), for paths from the
        node `start` and the sets of operations `inside`, of shape (n_columns, n_labels).
    columns : "subsets", "operations" or tuple of str
        A column for each set, for each operation, or with these labels; ``("",)`` is one column.
    each_input : bool
        Computed from each input of a cell.
    by_pattern : bool
        Depends on an architecture only through which edges are in the set.
    spaces : tuple of str, optional
        Names of the spaces it is for; default all.
    """

    name: str
    compute: Callable[..., NDArray[Any]]
    columns: str | tuple[str, ...] = "subsets"
    each_input: bool = False
    by_pattern: bool = True
    spaces: tuple[str, ...] | None = None


def _member(ops: NDArray[np.int8], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For each set (row) and graph (column), whether the graph's label is in the set."""
    n_labels = inside.shape[1]
    dtype = np.min_scalar_type((1 << n_labels) - 1)
    bits = (1 << np.arange(n_labels + 1)).astype(dtype)  # the label -1, an absent edge, has no bit
    return ((inside @ bits[:-1])[:, None] & bits[ops]) != 0


def _cheapest_path(
    batch: GraphBatch, start: int, inside: NDArray[np.bool_], yes: int, no: int, free: int
) -> NDArray[np.integer]:
    """Cost of the cheapest path from `start` to the output, shape (n_sets, n_graphs).

    An edge costs `yes` in the set, `no` outside, `free` with a free label. The nodes are in
    topological order, so one sweep over the edge slots by target settles every node.
    """
    dtype = np.int16 if batch.n_nodes <= 64 else np.int64
    shape = len(inside), len(batch)
    costs = [free if label in batch.free else no for label in batch.operations]
    outside = np.array([*costs, _UNREACHED], dtype=dtype)  # the label -1 picks the last
    reached = {start: np.zeros(shape, dtype=dtype)}
    for slot in np.argsort(batch.edges[:, 1], kind="stable"):
        source, target = batch.edges[slot].tolist()
        if source not in reached:
            continue
        ops = batch.edge_ops[:, slot]
        if target == batch.output and batch.free:
            step = reached[source] + outside[ops]
        else:
            step = np.where(_member(ops, inside), dtype(yes), outside[ops])
            step += reached[source]
        if target in reached:
            np.minimum(reached[target], step, out=reached[target])
        else:
            reached[target] = np.minimum(step, dtype(_UNREACHED))
    return reached.get(batch.output, np.full(shape, _UNREACHED, dtype=dtype))


def _count(ops: Iterable[NDArray[np.int8]], inside: NDArray[np.bool_], n: int) -> NDArray[np.int16]:
    """How many of the given labels of each graph are in each set, shape (n_sets, n_graphs)."""
    counts = np.zeros((len(inside), n), dtype=np.int16)
    for labels in ops:
        counts += _member(labels, inside)
    return counts


def _op_count(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    ops = batch.edge_ops if batch.node_ops is None else batch.node_ops
    return _count(ops.T, inside, len(batch))


def _min_path_len(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    length = _cheapest_path(batch, start, inside, 1, _UNREACHED, 1)
    return np.where(length < _UNREACHED, length, batch.sizes + (batch.node_ops is None))


def _max_path_len(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    if variant == "allowed":
        return np.maximum(-_cheapest_path(batch, start, inside, -1, _UNREACHED, 0), 0)
    # Least (edges outside - edges inside), ties by fewest edges inside: both in one number, the
    # weight in steps of `base`, the count of edges inside (below `base`) in the remainder.
    base = batch.n_nodes
    cost = _cheapest_path(batch, start, inside, 1 - base, base, base)
    return np.where(cost < _UNREACHED // 2, cost % base, 0)


def _input_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.edge_ops[:, batch.edges[:, 0] == start].T, inside, len(batch))


def _output_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.source_ops[:, batch.edges[:, 1] == batch.output].T, inside, len(batch))


def _mean_in_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.source_ops.T, inside, len(batch)) / batch.sizes.astype(float)


def _mean_out_degree(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
    return _count(batch.edge_ops.T, inside, len(batch)) / batch.sizes.astype(float)


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
    )
}
"""GRAF's own families in column order."""

_REGISTERED: dict[str, Family] = {}


def feature_family(
    name: str,
    *,
    columns: str | Sequence[str] = ("",),
    spaces: Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: register a function of a `GraphBatch` as a family of features.

    `GRAF(families=[..., name])` then computes it like the others; families that are not named
    there are not computed, so that a registration changes nobody else's features.

    Parameters
    ----------
    name : str
        Name of the family, not one of `FAMILIES`. Registering a name again replaces it.
    columns : sequence of str, "operations" or "subsets"
        Labels of the columns, ``name[label]``; by default one column, ``name``. With
        ``"operations"`` or ``"subsets"`` there is a column for each, and the function is called
        with a second argument ``inside``, a boolean array of shape (n_columns, n_labels) that
        tells which of ``batch.operations`` belong to a column.
    spaces : sequence of str, optional
        Names of the spaces the family is for; default all.

    Returns
    -------
    callable
        The decorator. It leaves the function as it is; the function takes a `GraphBatch` and
        returns an array of shape (n_graphs, n_columns), or (n_graphs,) for one column.

    Raises
    ------
    ValueError
        The name is taken or not plain text; later, in `transform`, a result of another shape.

    Examples
    --------
    >>> @feature_family("n_edges_in_use", spaces=["nb201"])
    ... def n_edges_in_use(batch):
    ...     return (batch.edge_ops != batch.operations.index("none")).sum(axis=1)
    >>> GRAF(families=["n_edges_in_use"]).transform([(4, 0, 3, 1, 4, 3)])
    array([[5.]])
    """
    if not isinstance(name, str) or not name or set(name) & set("[].") or name in FAMILIES:
        raise ValueError(
            f"name={name!r} cannot name a family: it must be text without '[', ']' and '.', and "
            f"none of {list(FAMILIES)}. Choose another name."
        )
    if isinstance(columns, str):
        labels: str | tuple[str, ...] = columns
        if columns not in ("subsets", "operations"):
            raise ValueError(
                f"columns={columns!r} must be 'subsets', 'operations' or a list of labels. Write "
                f"columns=[{columns!r}]."
            )
    else:
        labels = tuple(columns)
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"columns={columns!r} must be at least one label, each once.")
    if isinstance(spaces, str):
        raise ValueError(f"spaces={spaces!r} is not a list of names. Write spaces=[{spaces!r}].")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def compute(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
            values = np.asarray(function(batch) if inside is None else function(batch, inside))
            width = len(labels) if inside is None else len(inside)
            if values.shape == (len(batch),) and width == 1:
                values = values[:, None]
            if values.shape != (len(batch), width):
                raise ValueError(
                    f"family {name!r} gave an array of shape {values.shape} for {len(batch)} "
                    f"graphs and {width} columns; it must be ({len(batch)}, {width}). Return a row "
                    "for each graph."
                )
            return values.T

        scope = None if spaces is None else tuple(spaces)
        _REGISTERED[name] = Family(name, compute, labels, by_pattern=False, spaces=scope)
        return function

    return register


def _running_count(batch: GraphBatch, *operations: str) -> NDArray[Any]:
    """How many of the first 1, 2, ... edges of a chain hold these operations; 0 past its end."""
    ids = [batch.operations.index(op) for op in operations]
    counts = np.isin(batch.edge_ops, ids).cumsum(axis=1)
    return np.where(batch.edge_ops != ABSENT, counts, 0)


@feature_family("channel_doublings", columns=list("012345"), spaces=["tnb101-macro"])
def _channel_doublings(batch: GraphBatch) -> NDArray[Any]:
    return _running_count(batch, "channel", "channel+stride")


@feature_family("strides", columns=list("012345"), spaces=["tnb101-macro"])
def _strides(batch: GraphBatch) -> NDArray[Any]:
    return _running_count(batch, "stride", "channel+stride")


class _Column(NamedTuple):
    """One feature: where it is computed, by which family, of which labels (None: own columns)."""

    name: str
    cell: str
    family: Family
    input: int
    group: tuple[int, ...] | None


def _patterns(
    edge_ops: NDArray[np.int8], sets: list[tuple[int, ...]]
) -> Iterator[NDArray[np.intp]]:
    """For each set, which edges of each graph are inside it, as the bits of one number.

    The pattern of a set is the sum of the patterns of its operations.
    """
    bits = 1 << np.arange(edge_ops.shape[1])
    single = {op: (edge_ops == op) @ bits for op in {op for group in sets for op in group}}
    for group in sets:
        yield functools.reduce(np.add, [single[op] for op in group])


def _chunks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def distinct_columns(X: NDArray[Any]) -> NDArray[np.intp]:
    """Indices of the columns that are not constant and not a copy of an earlier column."""
    X = np.asarray(X)
    seen: set[bytes] = set()
    keep = []
    for j in range(X.shape[1]):
        column = np.ascontiguousarray(X[:, j])
        key = column.tobytes()
        if (column != column[0]).any() and key not in seen:
            seen.add(key)
            keep.append(j)
    return np.array(keep, dtype=np.intp)


class DistinctColumns(SelectorMixin, BaseEstimator):
    """Select the columns that are neither constant nor a copy of an earlier column in `fit`.

    Where all columns are constant the first is kept, so that a predictor has something to see.
    """

    def fit(self, X: Any, y: Any = None) -> DistinctColumns:
        """Find the distinct columns of X."""
        X = validate_data(self, X)
        self.columns_ = distinct_columns(X)
        if not len(self.columns_):
            self.columns_ = np.array([0], dtype=np.intp)
        return self

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self, "columns_")
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.columns_] = True
        return mask


class GRAF(TransformerMixin, BaseEstimator):
    """Neural graph features as a scikit-learn transformer.

    With all families, a NAS-Bench-201 cell gets 191 features: `op_count` of each operation, and
    `min_path_len`, `max_path_len` and four degrees for each of the 31 subsets of operations.
    TransNAS-Bench-101-micro has 94 features, its macro space 16, NAS-Bench-101 47, DARTS 1,540.

    Parameters
    ----------
    space : str or SearchSpace, default "nb201"
        Search space the architectures are from.
    variant : {"paper", "allowed"}, default "paper"
        The meaning of `max_path_len[O]`. ``"paper"``, which produced the published numbers: of all
        input-output paths, take those with the least number of edges outside O minus edges inside
        O; the feature is the number of edges inside O, the smallest among ties. ``"allowed"``, the
        textbook reading: the edges of the longest path that stays inside O, 0 if there is none.
    families : sequence of str, optional
        Families to compute, of the space's own (``space.families``; default all of these) and of
        those registered with `feature_family`. The columns keep this order.
    operations : sequence of str, optional
        Only these operations and subsets of them; default all of the space.
    drop_redundant : bool, default False
        Drop columns that are constant, or equal to an earlier column, in the architectures seen by
        `fit` (191 -> 155 on the valid cells of NAS-Bench-201).
    dtype : numpy dtype, default float64
        Type of the feature matrix. An integer type is exact for all but the mean degrees.
    chunk_size : int, optional
        At most so many architectures at a time in intermediate arrays and in `transform_chunks`.

    Attributes
    ----------
    columns_ : ndarray of int
        Positions of the columns kept by `fit`, among all columns.

    Notes
    -----
    The definitions are those of Kadlecová et al. (2024), section 3; `none` is a label like any
    other. Without `drop_redundant`, `transform` needs no `fit`. An architecture may be a tuple of
    operation ids, the benchmark's string, or a row of an integer array; a `GraphBatch` is taken as
    it is, and so is a dictionary of one for each cell. Bad input raises a `ValueError` naming it.

    Examples
    --------
    >>> graf = GRAF(families=["op_count"])
    >>> graf.transform([(4, 0, 3, 1, 4, 3)])
    array([[1., 1., 0., 2., 2.]])
    >>> graf.get_feature_names_out()[2]
    'op_count[nor_conv_3x3]'
    >>> GRAF().transform([(4, 0, 3, 1, 4, 3)]).shape
    (1, 191)
    """

    def __init__(
        self,
        space: str | SearchSpace = "nb201",
        *,
        variant: str = "paper",
        families: Sequence[str] | None = None,
        operations: Sequence[str] | None = None,
        drop_redundant: bool = False,
        dtype: DTypeLike = np.float64,
        chunk_size: int | None = None,
    ) -> None:
        self.space = space
        self.variant = variant
        self.families = families
        self.operations = operations
        self.drop_redundant = drop_redundant
        self.dtype = dtype
        self.chunk_size = chunk_size

    def fit(self, X: Any, y: Any = None) -> GRAF:
        """Learn which columns to keep; without `drop_redundant` it only checks the input."""
        self._learn(self._compute(X))
        return self

    def _learn(self, features: NDArray[Any]) -> None:
        self.columns_ = np.arange(features.shape[1])
        if self.drop_redundant:
            self.columns_ = distinct_columns(features)
            if not len(self.columns_):
                raise ValueError(
                    f"drop_redundant=True left no column: all features are constant over the "
                    f"{len(features)} architectures of fit. Fit on architectures that differ."
                )

    def transform(self, X: Any) -> NDArray[Any]:
        """Compute the features.

        Parameters
        ----------
        X : sequence of architectures, or GraphBatch

        Returns
        -------
        ndarray of shape (n_architectures, n_features)
        """
        columns = self._kept()
        features = self._compute(X)
        return features if columns is None else features[:, columns]

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[Any]:
        """Fit and transform with the features computed once."""
        features = self._compute(X)
        self._learn(features)
        return features[:, self.columns_] if self.drop_redundant else features

    def transform_chunks(self, X: Any) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Features of `chunk_size` (default 16,384) architectures at a time, with their rows.

        For matrices that should go to a file, not to memory: ``for rows, part in
        graf.transform_chunks(X): stored[rows] = part``.
        """
        if not isinstance(X, GraphBatch | dict):
            X = get_space(self.space).encode(X)
        size = self._chunk_size()
        n = len(next(iter(X.values()))) if isinstance(X, dict) else len(X)
        for rows in _chunks(n, size):
            part = {c: b[rows] for c, b in X.items()} if isinstance(X, dict) else X[rows]
            yield rows, self.transform(part)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names such as ``max_path_len[nor_conv_3x3+nor_conv_1x1]``, in column order."""
        names = np.array([column.name for column in self._columns()], dtype=object)
        kept = self._kept()
        return names if kept is None else names[kept]

    def _kept(self) -> NDArray[np.intp] | None:
        if not self.drop_redundant:
            return None
        check_is_fitted(self, "columns_")
        return self.columns_

    def _chunk_size(self) -> int:
        if self.chunk_size is None:
            return _CHUNK
        if not isinstance(self.chunk_size, int | np.integer) or self.chunk_size < 1:
            raise ValueError(
                f"chunk_size={self.chunk_size!r} must be a whole number from 1, or None."
            )
        return int(self.chunk_size)

    def _chosen(self, argument: str, known: Sequence[str], default: Sequence[str]) -> list[str]:
        """The names given for `families` or `operations`, in the order of those known."""
        given = getattr(self, argument)
        if given is None:
            return list(default)
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ValueError(
                f"{argument}={given!r} is not a list of names. Write {argument}=[{given!r}]."
            )
        given = list(given)
        unknown = [name for name in given if name not in known]
        if unknown or not given:
            raise ValueError(
                f"{argument}={given!r}: it must name at least one of {list(known)}."
                + (nearest(unknown[0], known) if unknown else "")
            )
        return [name for name in known if name in given]

    def _columns(self) -> list[_Column]:
        """All columns in order: cell by cell, family by family, subsets by size and then by id."""
        space = get_space(self.space)
        if self.variant not in ("paper", "allowed"):
            raise ValueError(
                f"variant={self.variant!r} is unknown; it must be 'paper' (the published numbers) "
                "or 'allowed' (paths restricted to the subset)."
            )
        own = [f.name for f in _REGISTERED.values() if f.spaces is None or space.name in f.spaces]
        families = list(dict.fromkeys([*space.families, *own]))
        chosen = self._chosen("families", families, space.families)
        ops = self._chosen("operations", space.labels, space.labels)
        if np.dtype(self.dtype).kind in "iub" and any(name.startswith("mean_") for name in chosen):
            raise ValueError(
                f"dtype={self.dtype!r} cannot hold the mean degrees, which are fractions. Use a "
                "float dtype, or families without mean_in_degree and mean_out_degree."
            )
        labels = space.labels
        sets = subsets([labels.index(op) for op in ops if op not in space.free])
        columns = []
        for cell in space.cells:
            for family in ({**_REGISTERED, **FAMILIES}[name] for name in chosen):
                for i, source in enumerate(space.inputs if family.each_input else ("",)):
                    stem = ".".join(filter(None, (cell, family.name, source)))
                    if family.columns == "operations":
                        places = [(op, (labels.index(op),)) for op in ops]
                    elif family.columns == "subsets":
                        places = [("+".join(labels[op] for op in group), group) for group in sets]
                    else:
                        places = [(label, None) for label in family.columns]
                    columns += [
                        _Column(f"{stem}[{label}]" if label else stem, cell, family, i, group)
                        for label, group in places
                    ]
        return columns

    def _batch(self, X: Any) -> dict[str, GraphBatch] | GraphBatch:
        return X if isinstance(X, GraphBatch | dict) else get_space(self.space).graph_batch(X)

    def _compute(self, X: Any) -> NDArray[Any]:
        space, columns, batches = get_space(self.space), self._columns(), self._batch(X)
        if not isinstance(batches, dict):
            batches = {"": batches}
        if tuple(batches) != space.cells:
            raise ValueError(
                f"X has the cells {tuple(batches)}; space {space.name!r} has {space.cells}. Pass a "
                "dictionary with a GraphBatch for each, as graph_batch gives."
            )
        for batch in batches.values():
            if batch.operations != space.labels or len(batch.inputs) != len(space.inputs):
                raise ValueError(
                    f"X is a GraphBatch over {batch.operations} with inputs {batch.inputs}; space "
                    f"{space.name!r} has the operations {space.labels} and {len(space.inputs)} "
                    "input(s). Pass the batch's own space."
                )
        n = len(batches[space.cells[0]])
        features = np.empty((len(columns), n), dtype=self.dtype)  # columns are contiguous
        for cell, batch in batches.items():
            wanted = [j for j, column in enumerate(columns) if column.cell == cell]
            few = len(batch.edges) <= _MAX_TABLE_EDGES and batch.node_ops is None
            few = few and len(batch.inputs) == 1 and (batch.edge_ops != ABSENT).all()
            looked_up = [j for j in wanted if few and columns[j].family.by_pattern]
            self._look_up(batch, columns, looked_up, features)
            blocks: dict[tuple[Any, ...], list[int]] = {}
            for j in wanted if not looked_up else set(wanted).difference(looked_up):
                blocks.setdefault((columns[j].family.name, columns[j].input), []).append(j)
            for block in blocks.values():
                self._run(batch, columns, sorted(block), features)
        return features.T

    def _run(
        self, batch: GraphBatch, columns: list[_Column], block: list[int], features: NDArray[Any]
    ) -> None:
        """Compute a block of adjacent columns of one family, chunk by chunk."""
        first = columns[block[0]]
        inside = None
        if first.group is not None:
            inside = np.zeros((len(block), len(batch.operations)), dtype=bool)
            for row, j in enumerate(block):
                inside[row, list(columns[j].group)] = True
        size = min(self._chunk_size(), max(_BLOCK // len(block), 256))
        start, place = batch.inputs[first.input], slice(block[0], block[-1] + 1)
        for rows in _chunks(len(batch), size):
            features[place, rows] = first.family.compute(batch[rows], start, inside, self.variant)

    def _look_up(
        self, batch: GraphBatch, columns: list[_Column], wanted: list[int], features: NDArray[Any]
    ) -> None:
        """Compute columns from a table of each family over all patterns of edges in a set."""
        n_edges = len(batch.edges)
        tables, members = {}, {}
        for j in wanted:
            family = columns[j].family
            members.setdefault(columns[j].group, []).append(j)
            if family.name not in tables:
                bits = (np.arange(2**n_edges)[:, None] >> np.arange(n_edges)) & 1
                ends = batch.inputs, batch.output
                patterns = GraphBatch(
                    ("outside", "inside"), batch.n_nodes, batch.edges, bits, *ends
                )
                inside = np.array([[False, True]])
                values = family.compute(patterns, batch.inputs[0], inside, self.variant)
                tables[family.name] = values.ravel().astype(self.dtype)
        for rows in _chunks(len(batch), self._chunk_size()):
            for group, pattern in zip(
                members, _patterns(batch.edge_ops[rows], list(members)), strict=True
            ):
                for j in members[group]:
                    table = tables[columns[j].family.name]
                    table.take(pattern, out=features[j, rows], mode="clip")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = bool(self.drop_redundant)
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags
