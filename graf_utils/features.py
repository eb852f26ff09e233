"""Neural graph features (GRAF; Kadlecová et al., ICML 2024) over batches of architectures.

Every feature asks one question of a cell: how many edges carry an operation of this set, how short
or how long is a path over it, how many of its edges touch the input or the output. The answer
depends on the architecture only through *which edges are inside the set*. Where all architectures
have the same few edges, GRAF therefore answers each question once for each of the 2^E patterns of
edges, and then looks the patterns up; otherwise the same family functions, which run on arrays of
architectures times sets, are applied to the architectures themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from graf_utils.spaces import GraphBatch, SearchSpace, get_space
from graf_utils.spaces.base import ABSENT, nearest, subsets

__all__ = ["FAMILIES", "GRAF", "DistinctColumns", "distinct_columns"]

_CHUNK = 16_384  # architectures at a time: the intermediate arrays stay in the processor's cache
_MAX_TABLE_EDGES = 12  # 2^12 patterns at most

_UNREACHED = 10_000
"""Cost of a node that no allowed path reaches; far above the cost of any path."""


def _lookup(batch: GraphBatch, inside: NDArray[np.bool_], yes: int, no: int) -> NDArray[np.int16]:
    """Cost of an edge by its label (rows; the last row is the absent edge) and subset (columns)."""
    costs = np.full((len(batch.operations) + 1, len(inside)), _UNREACHED, dtype=np.int16)
    costs[:-1] = np.where(inside.T, yes, no)
    return costs


def _cheapest_path(batch: GraphBatch, costs: NDArray[np.int16]) -> NDArray[np.int16]:
    """Cost of the cheapest input-output path, shape (n_graphs, n_subsets).

    The nodes are in topological order, so one sweep over the edge slots by target settles every
    node; the label -1 of an absent edge picks the last row of `costs`.
    """
    reached: dict[int, NDArray[np.int16]] = {
        batch.input: np.zeros((len(batch), costs.shape[1]), dtype=np.int16)
    }
    for slot in np.argsort(batch.edges[:, 1], kind="stable"):
        source, target = batch.edges[slot]
        if source not in reached:
            continue
        step = costs[batch.edge_ops[:, slot]]
        step += reached[source]
        if target not in reached:
            reached[target] = np.full_like(step, _UNREACHED)
        np.minimum(reached[target], step, out=reached[target])
    if batch.output not in reached:
        return np.full((len(batch), costs.shape[1]), _UNREACHED, dtype=np.int16)
    return reached[batch.output]


def _count_edges(
    batch: GraphBatch, inside: NDArray[np.bool_], slots: NDArray[np.bool_]
) -> NDArray[np.int16]:
    """Number of edges in the given slots whose operation is in each subset."""
    member = np.zeros((len(batch.operations) + 1, len(inside)), dtype=np.int16)
    member[:-1] = inside.T
    counts = np.zeros((len(batch), len(inside)), dtype=np.int16)
    for slot in np.flatnonzero(slots):
        counts += member[batch.edge_ops[:, slot]]
    return counts


def _patterns(
    edge_ops: NDArray[np.int8], sets: list[tuple[int, ...]]
) -> Iterator[NDArray[np.intp]]:
    """For each set, which edges of each graph are inside it, as the bits of one number.

    The pattern of a set is the sum of the patterns of its operations.
    """
    bits = 1 << np.arange(edge_ops.shape[1])
    single = {op: (edge_ops == op) @ bits for op in {op for group in sets for op in group}}
    for group in sets:
        yield sum(single[op] for op in group)


def _chunks(n: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]


def _op_count(batch: GraphBatch, inside: NDArray[np.bool_], variant: str) -> NDArray[np.int16]:
    return _count_edges(batch, inside, np.ones(len(batch.edges), dtype=bool))


def _min_path_len(batch: GraphBatch, inside: NDArray[np.bool_], variant: str) -> NDArray[np.int16]:
    length = _cheapest_path(batch, _lookup(batch, inside, 1, _UNREACHED))
    return np.where(length < _UNREACHED, length, batch.n_nodes + 1)


def _max_path_len(batch: GraphBatch, inside: NDArray[np.bool_], variant: str) -> NDArray[np.int16]:
    if variant == "allowed":
        length = -_cheapest_path(batch, _lookup(batch, inside, -1, _UNREACHED))
        return np.maximum(length, 0)
    # Least (edges outside - edges inside), ties by fewest edges inside: both in one number, the
    # weight in steps of `base`, the count of edges inside (below `base`) in the remainder.
    base = batch.n_nodes
    cost = _cheapest_path(batch, _lookup(batch, inside, 1 - base, base))
    return np.where(cost < _UNREACHED // 2, cost % base, 0)


def _input_degree(batch: GraphBatch, inside: NDArray[np.bool_], variant: str) -> NDArray[np.int16]:
    return _count_edges(batch, inside, batch.edges[:, 0] == batch.input)


def _output_degree(batch: GraphBatch, inside: NDArray[np.bool_], variant: str) -> NDArray[np.int16]:
    return _count_edges(batch, inside, batch.edges[:, 1] == batch.output)


def _mean_degree(batch: GraphBatch, inside: NDArray[np.bool_], variant: str) -> NDArray[np.float64]:
    return _op_count(batch, inside, variant) / batch.n_nodes


FAMILIES: dict[str, Callable[[GraphBatch, NDArray[np.bool_], str], NDArray[Any]]] = {
    "op_count": _op_count,
    "min_path_len": _min_path_len,
    "max_path_len": _max_path_len,
    "input_degree": _input_degree,
    "output_degree": _output_degree,
    "mean_in_degree": _mean_degree,
    "mean_out_degree": _mean_degree,
}
"""Feature families in column order: (batch, member (n_subsets, n_operations), variant) -> array."""


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
        Families to compute, of `FAMILIES`; default all. The columns keep the order of `FAMILIES`.
    operations : sequence of str, optional
        Only subsets of these operations; default all of the space.
    drop_redundant : bool, default False
        Drop columns that are constant, or equal to an earlier column, in the architectures seen by
        `fit` (191 -> 155 on the valid cells of NAS-Bench-201).
    dtype : numpy dtype, default float64
        Type of the feature matrix.

    Attributes
    ----------
    columns_ : ndarray of int
        Positions of the columns kept by `fit`, among all columns.

    Notes
    -----
    The definitions are those of Kadlecová et al. (2024), section 3; `none` is a label like any
    other. Without `drop_redundant`, `transform` needs no `fit`. An architecture may be a tuple of
    operation ids, the benchmark's string, or a row of an integer array; a `GraphBatch` is taken as
    it is. Bad input raises a `ValueError` that names it.

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
    ) -> None:
        self.space = space
        self.variant = variant
        self.families = families
        self.operations = operations
        self.drop_redundant = drop_redundant
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None) -> GRAF:
        """Learn which columns to keep; without `drop_redundant` it only checks the input."""
        features = self._compute(X)
        if self.drop_redundant:
            self.columns_ = distinct_columns(features)
            if not len(self.columns_):
                raise ValueError(
                    f"drop_redundant=True left no column: all features are constant over the "
                    f"{len(features)} architectures of fit. Fit on architectures that differ."
                )
        else:
            self.columns_ = np.arange(features.shape[1])
        return self

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
        batch = self._batch(X)
        return self.fit(batch).transform(batch)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names such as ``max_path_len[nor_conv_3x3+nor_conv_1x1]``, in column order."""
        space, families, chosen = self._resolve()
        names = [
            f"{family}[{'+'.join(space.operations[i] for i in group)}]"
            for family, group in self._columns(families, chosen)
        ]
        columns = self._kept()
        all_names = np.array(names, dtype=object)
        return all_names if columns is None else all_names[columns]

    @staticmethod
    def _columns(families: list[str], chosen: list[int]) -> list[tuple[str, tuple[int, ...]]]:
        """Family and set of operations of each column; `op_count` has single operations only."""
        groups = {"op_count": [(op,) for op in chosen]}
        return [(f, group) for f in families for group in groups.get(f, subsets(chosen))]

    def _kept(self) -> NDArray[np.intp] | None:
        if not self.drop_redundant:
            return None
        check_is_fitted(self, "columns_")
        return self.columns_

    def _resolve(self) -> tuple[SearchSpace, list[str], list[int]]:
        """The space, the families in column order, and the ids of the operations in use."""
        space = get_space(self.space)
        if self.variant not in ("paper", "allowed"):
            raise ValueError(
                f"variant={self.variant!r} is unknown; it must be 'paper' (the published numbers) "
                "or 'allowed' (paths restricted to the subset)."
            )
        chosen: dict[str, Sequence[str]] = {}
        for argument, known in (("families", list(FAMILIES)), ("operations", space.operations)):
            given = getattr(self, argument)
            if given is None:
                given = known
            if isinstance(given, str) or not isinstance(given, Iterable):
                raise ValueError(
                    f"{argument}={given!r} is not a list of names. Write {argument}=[{given!r}]."
                )
            unknown = [name for name in given if name not in known]
            if unknown or not len(list(given)):
                raise ValueError(
                    f"{argument}={list(given)!r}: it must name at least one of {list(known)}."
                    + (nearest(unknown[0], known) if unknown else "")
                )
            chosen[argument] = [name for name in known if name in given]
        ids = [space.operations.index(op) for op in chosen["operations"]]
        return space, list(chosen["families"]), ids

    def _batch(self, X: Any) -> GraphBatch:
        return X if isinstance(X, GraphBatch) else get_space(self.space).graph_batch(X)

    def _compute(self, X: Any) -> NDArray[Any]:
        space, families, chosen = self._resolve()
        batch = self._batch(X)
        if batch.operations != tuple(space.operations):
            raise ValueError(
                f"X is a GraphBatch over {batch.operations}; space {space.name!r} has the "
                f"operations {tuple(space.operations)}. Pass the batch's own space."
            )
        columns = self._columns(families, chosen)
        sets = list(dict.fromkeys(group for _, group in columns))
        members: dict[tuple[int, ...], list[int]] = {group: [] for group in sets}
        for j, (_, group) in enumerate(columns):
            members[group].append(j)
        features = np.empty((len(columns), len(batch)), dtype=self.dtype)  # columns are contiguous
        if len(batch.edges) <= _MAX_TABLE_EDGES and (batch.edge_ops != ABSENT).all():
            tables = self._tables(batch, families)
            for rows in _chunks(len(batch)):
                for group, pattern in zip(sets, _patterns(batch.edge_ops[rows], sets), strict=True):
                    for j in members[group]:
                        np.take(tables[columns[j][0]], pattern, out=features[j, rows], mode="clip")
            return features.T
        for rows in _chunks(len(batch)):
            for family in families:
                wanted = [j for j, (name, _) in enumerate(columns) if name == family]
                inside = np.array(
                    [[op in columns[j][1] for op in range(len(space.operations))] for j in wanted]
                )
                features[wanted, rows] = FAMILIES[family](batch[rows], inside, self.variant).T
        return features.T

    def _tables(self, batch: GraphBatch, families: list[str]) -> dict[str, NDArray[Any]]:
        """Each family for every pattern of edges inside or outside a set."""
        n_edges = len(batch.edges)
        bits = (np.arange(2**n_edges)[:, None] >> np.arange(n_edges)) & 1
        patterns = GraphBatch(
            ("outside", "inside"), batch.n_nodes, batch.edges, bits, batch.input, batch.output
        )
        inside = np.array([[False, True]])
        return {
            family: FAMILIES[family](patterns, inside, self.variant).ravel().astype(self.dtype)
            for family in families
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = bool(self.drop_redundant)
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags
