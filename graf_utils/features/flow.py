"""Flow: how operations are spread over the live paths from the inputs to the output.

GRAF asks for the shortest and the longest path over a set of operations. Flow asks how many paths
there are, and on how many of them lie none, one, two, ... operations of the set. One sweep over the
edges answers it for all paths together; no path is listed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graf_utils._checks import choice
from graf_utils.features.base import GraphTransformer, chunks
from graf_utils.features.columns import check_groups
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["STATISTICS", "Flow", "default_sets", "path_counts"]

STATISTICS = ("sum", "mean", "std", "min", "max", "histogram")
"""What `Flow` says about the number of operations on a live path."""

_BLOCK = 2**18  # entries of an intermediate array: it stays in the processor's cache
_MAX_COUNT = 8  # of the histogram: longer paths have further moments, and no further columns
_MAX_TABLE = 3**8  # patterns of dead, outside and inside edges that are worth a table


def path_counts(batch: GraphBatch, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count live paths by how many operations of a set lie on them.

    A *live path* leads from an input to the output over edges that are there and not dead
    (`GraphBatch.dead`). Each node holds the number of live paths to it by their count, which is a
    polynomial: an edge inside the set shifts it by one, and a node adds up what arrives.

    Parameters
    ----------
    batch : GraphBatch
        With several inputs, the paths from all of them.
    inside : ndarray of shape (n_sets, n_labels), bool
        Which of ``batch.operations`` are in each set.

    Returns
    -------
    ndarray of shape (K + 1, n_sets, n_graphs), float64
        Entry k is the number of live paths with k operations of the set; K is the most operations
        on a path that the slots allow. Exact up to 2^53 paths.

    Examples
    --------
    >>> from graf_utils.spaces import NB201
    >>> batch = NB201().graph_batch([(2, 0, 2, 1, 2, 3)])[""]  # 2 is nor_conv_3x3, 1 is none
    >>> convolutions = np.array([[op.startswith("nor_conv") for op in batch.operations]])
    >>> path_counts(batch, convolutions).ravel()
    array([0., 2., 1., 0.])
    """
    longest, most = _longest_paths(batch), _number_of_paths(batch)
    dtype = np.min_scalar_type(most) if most < 2**53 else np.dtype(float)
    by_label = np.pad(inside, ((0, 0), (0, 1)))  # the label -1 picks the last: in no set
    live = batch.live
    shape = len(inside), len(batch)
    reached = dict.fromkeys(batch.inputs, np.ones((1, *shape), dtype=dtype))
    for slot, source, target, closes in _sweep(batch):
        arriving = reached[source] * live[:, slot]
        if target not in reached:
            reached[target] = np.zeros((longest[target] + 1, *shape), dtype=dtype)
        if closes:
            reached[target][: len(arriving)] += arriving
        else:
            moved = arriving * by_label[:, batch.edge_ops[:, slot]]
            reached[target][: len(arriving)] += arriving - moved
            reached[target][1 : len(arriving) + 1] += moved
    if batch.ends is None:
        return reached.get(batch.output, np.zeros((1, *shape))).astype(np.float64)
    counts = np.zeros((_longest(batch) + 1, *shape))
    for node in np.unique(batch.ends):
        paths = reached.get(node, np.zeros((1, *shape)))
        counts[: len(paths)] += np.where(batch.ends == node, paths, 0)
    return counts


def _sweep(batch: GraphBatch) -> Iterator[tuple[int, int, int, bool]]:
    """The slots that an input reaches, by target: slot, source, target, whether it only closes.

    The nodes are in topological order, so that what a source holds is complete.
    """
    reached = set(batch.inputs)
    for slot in np.argsort(batch.edges[:, 1], kind="stable").tolist():
        source, target = batch.edges[slot].tolist()
        if source in reached:
            reached.add(target)
            yield slot, source, target, target == batch.output and bool(batch.free)


def _longest_paths(batch: GraphBatch) -> dict[int, int]:
    """For each node that an input reaches, the most operations on a path to it."""
    longest = dict.fromkeys(batch.inputs, 0)
    for _, source, target, closes in _sweep(batch):
        longest[target] = max(longest.get(target, 0), longest[source] + (not closes))
    return longest


def _longest(batch: GraphBatch) -> int:
    """The most operations on an input-output path that the slots allow."""
    longest = _longest_paths(batch)
    ends = [batch.output] if batch.ends is None else longest
    return max((longest.get(node, 0) for node in ends), default=0)


def _number_of_paths(batch: GraphBatch) -> int:
    """Number of input-output paths if every slot held an edge; of the most, where ends differ."""
    paths = dict.fromkeys(batch.inputs, 1)
    for _, source, target, _ in _sweep(batch):
        paths[target] = paths.get(target, 0) + paths[source]
    return paths.get(batch.output, 0) if batch.ends is None else max(paths.values())


def _statistics(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Moments and extremes of the operations on a path, (n_sets, n_graphs) each; 0 if no path."""
    k = np.arange(len(counts))[:, None, None]
    n_paths = counts.sum(axis=0)
    some = np.maximum(n_paths, 1)
    total = (counts * k).sum(axis=0)
    mean = total / some
    occurs = counts > 0
    return {
        "sum": total,
        "mean": mean,
        "std": np.sqrt((counts * (k - mean) ** 2).sum(axis=0) / some),
        "min": occurs.argmax(axis=0),
        "max": np.where(n_paths > 0, len(counts) - 1 - occurs[::-1].argmax(axis=0), 0),
    }


def _rows(counts: NDArray[np.float64], statistics: Sequence[str]) -> NDArray[np.float64]:
    """The statistics of each set, one after the other: (n_sets, n_statistics, n_graphs)."""
    summary = _statistics(counts)
    parts = [summary[name][:, None] for name in statistics if name != "histogram"]
    if "histogram" in statistics:
        parts.append(counts[: _MAX_COUNT + 1].transpose(1, 0, 2))
    return np.concatenate(parts, axis=1, dtype=np.float64)


def default_sets(space: SearchSpace) -> dict[str, tuple[str, ...]]:
    """Return the sets of operations that `Flow` asks about unless it is given others.

    Parameters
    ----------
    space : SearchSpace

    Returns
    -------
    dict of str to tuple of str
        Each operation that is not dead by itself, and the groups of the space.
    """
    dead = {label for batch in _no_graphs(space).values() for label in batch.dead}
    live = [op for op in space.operations if op not in space.free and op not in dead]
    return {op: (op,) for op in live} | dict(space.groups)


class Flow(GraphTransformer):
    """Flow features: the operations on the live paths, as a scikit-learn transformer.

    A live path leads from an input to the output over edges that exist and are not dead (`none`).
    For each set of operations let k be the number of them on a path; the features are the sum, the
    mean, the standard deviation, the least and the largest k over the live paths of a cell, and the
    histogram: on how many live paths lie 0, 1, 2, ... operations of the set. A NAS-Bench-201 cell
    has 64 features.

    Parameters
    ----------
    space : str or SearchSpace, default "nb201"
        Search space the architectures are from.
    sets : mapping of str to sequence of str, optional
        Sets of operations by name. By default each operation that is not dead, and the groups of
        the space (``space.groups``), such as all convolutions.
    statistics : sequence of str, optional
        Some of `STATISTICS`; default all.
    drop_redundant : bool, default False
        Drop columns that are constant, or equal to an earlier column, in the architectures seen by
        `fit`.
    dtype : numpy dtype, default float64
        Type of the feature matrix. An integer type is exact for all but mean and std.
    chunk_size : int, optional
        At most so many architectures at a time in intermediate arrays and in `transform_chunks`.

    Attributes
    ----------
    columns_ : ndarray of int
        Positions of the columns kept by `fit`, among all columns.

    Notes
    -----
    The idea is this project's own. To first order a network is the ensemble of its paths (Veit et
    al., 2016), so that what lies on them, and on how many, should tell how it learns. With
    operations on nodes (NAS-Bench-101) the nodes of a path are counted. Where no path is live all
    features are 0. Histograms end at 8 operations. Numbers of paths are exact up to 2^53.

    Cells that compute the same function have the same live paths once skip connections are left
    out, so that all features are equal but those of sets that hold the skip connection.

    Examples
    --------
    >>> flow = Flow(sets={"conv": ["nor_conv_3x3", "nor_conv_1x1"]})
    >>> flow.get_feature_names_out().tolist()
    ['live_paths', 'flow_sum[conv]', 'flow_mean[conv]', 'flow_std[conv]', 'flow_min[conv]', \
'flow_max[conv]', 'flow_n0[conv]', 'flow_n1[conv]', 'flow_n2[conv]', 'flow_n3[conv]']
    >>> flow.transform([(2, 0, 2, 1, 2, 3)]).round(2)
    array([[3.  , 4.  , 1.33, 0.47, 1.  , 2.  , 0.  , 2.  , 1.  , 0.  ]])
    >>> Flow().transform([(2, 0, 2, 1, 2, 3)]).shape
    (1, 64)
    """

    def __init__(
        self,
        space: str | SearchSpace = "nb201",
        *,
        sets: Mapping[str, Sequence[str]] | None = None,
        statistics: Sequence[str] | None = None,
        drop_redundant: bool = False,
        dtype: DTypeLike = np.float64,
        chunk_size: int | None = None,
    ) -> None:
        self.space = space
        self.sets = sets
        self.statistics = statistics
        self.drop_redundant = drop_redundant
        self.dtype = dtype
        self.chunk_size = chunk_size

    def _sets(self) -> dict[str, tuple[str, ...]]:
        """The sets of operations by name."""
        space = get_space(self.space)
        sets = default_sets(space) if self.sets is None else self.sets
        check_groups("sets", sets, space)
        return {name: tuple(members) for name, members in sets.items()}

    def _chosen(self) -> tuple[str, ...]:
        """The statistics asked for, in the order of `STATISTICS`."""
        chosen = STATISTICS if self.statistics is None else self.statistics
        if isinstance(chosen, str) or not isinstance(chosen, Sequence) or not chosen:
            raise ValueError(
                f"statistics={chosen!r} is not a list of names. Write statistics=['mean'], with "
                f"some of {list(STATISTICS)}."
            )
        for name in chosen:
            choice("statistics", name, STATISTICS)
        if self._dtype().kind in "iub" and set(chosen) & {"mean", "std"}:
            raise ValueError(
                f"dtype={self.dtype!r} cannot hold mean and std, which are fractions. Use a float "
                "dtype, or statistics without them."
            )
        return tuple(name for name in STATISTICS if name in chosen)

    def _plan(self) -> tuple[list[str], tuple[list[tuple[str, ...]], tuple[str, ...]]]:
        sets, chosen = self._sets(), self._chosen()
        names = []
        for cell, batch in _no_graphs(get_space(self.space)).items():
            prefix = f"{cell}." if cell else ""
            counted = range(min(_longest(batch), _MAX_COUNT) + 1)
            histogram = [f"n{k}" for k in counted if "histogram" in chosen]
            columns = [name for name in chosen if name != "histogram"] + histogram
            names.append(f"{prefix}live_paths")
            names += [f"{prefix}flow_{column}[{name}]" for name in sets for column in columns]
        return names, (list(sets.values()), chosen)

    def _fill(self, plan: Any, batches: dict[str, GraphBatch], features: NDArray[Any]) -> None:
        sets, chosen = plan
        offset = 0
        for batch in batches.values():
            inside = np.array([[op in members for op in batch.operations] for members in sets])
            compute = _looked_up if _has_few_patterns(batch) else _swept
            size = self._chunk_size()
            size = min(size, max(_BLOCK // (len(sets) * (_longest(batch) + 1)), 16))
            for rows in chunks(len(batch), size):
                n_paths, values = compute(batch[rows], inside, chosen)
                n_columns = values.shape[0] * values.shape[1]
                place = slice(offset + 1, offset + 1 + n_columns)
                features[offset, rows] = self._stored(n_paths, "live_paths")
                flat = values.reshape(n_columns, -1)
                features[place, rows] = self._stored(flat, "the flow features")
            offset += 1 + n_columns


def _no_graphs(space: SearchSpace) -> dict[str, GraphBatch]:
    """Graphs of no architecture, one batch per cell: wiring and labels of the space."""
    example = space.graph_batch([space._example()])
    return {cell: batch[:0] for cell, batch in example.items()}


# --- all graphs, or all patterns of their edges -----------------------------------------------


def _swept(
    batch: GraphBatch, inside: NDArray[np.bool_], statistics: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Number of live paths and statistics of each set, from a sweep over the graphs."""
    counts = path_counts(batch, inside)
    n_paths = counts[:, 0].sum(axis=0)
    if not np.isfinite(n_paths).all():
        raise ValueError(
            f"graphs of {batch.n_nodes} nodes have more than 10**308 paths, which no float64 can "
            "count. Leave flow out for this space."
        )
    return n_paths, _rows(counts, statistics)


def _has_few_patterns(batch: GraphBatch) -> bool:
    """Whether all patterns of dead, outside and inside edges fit a table."""
    plain = batch.node_ops is None and batch.ends is None and not batch.free
    return plain and 3 ** len(batch.edges) <= _MAX_TABLE


def _looked_up(
    batch: GraphBatch, inside: NDArray[np.bool_], statistics: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `_swept`, read from a table: only which edges are dead, outside or inside matters."""
    wiring = batch.n_nodes, tuple(map(tuple, batch.edges.tolist())), batch.inputs, batch.output
    n_paths, table = _pattern_table(*wiring, statistics)
    powers = np.float32(3) ** np.arange(len(batch.edges), dtype=np.float32)  # floats are quicker
    alive = batch.live @ powers
    values = np.empty((len(inside), len(table), len(batch)))
    single = {
        op: (batch.edge_ops == op) @ powers for op in np.flatnonzero(inside.any(axis=0)).tolist()
    }
    for row, members in enumerate(inside):
        shifts = sum(single[op] for op in np.flatnonzero(members).tolist())
        pattern = (alive + shifts).astype(np.intp)
        table.take(pattern, axis=1, out=values[row], mode="clip")
    return n_paths[alive.astype(np.intp)], values


@functools.lru_cache(maxsize=32)
def _pattern_table(
    n_nodes: int,
    edges: tuple[tuple[int, int], ...],
    inputs: tuple[int, ...],
    output: int,
    statistics: tuple[str, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flow of every pattern of edges by its number: digit 0 dead, 1 outside, 2 inside the set."""
    digits = np.arange(3 ** len(edges))[:, None] // 3 ** np.arange(len(edges)) % 3
    names = ("outside", "inside")
    patterns = GraphBatch(names, n_nodes, np.array(edges), digits + ABSENT, inputs, output)
    n_paths, values = _swept(patterns, np.array([[False, True]]), statistics)
    for array in (n_paths, values):
        array.setflags(write=False)
    return n_paths, values[0]
