"""GRAF as a scikit-learn transformer: all families, all sets of operations, any number of cells.

The answer to a family's question depends on an architecture only through *which edges are inside
the set*. Where all architectures have the same few edges, each question is therefore answered once
for each of the 2^E patterns of edges, and the patterns are then looked up; otherwise the same
functions, which run on arrays of architectures times sets, are applied to the architectures
themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graf_utils.features.authors import graf_families
from graf_utils.features.base import GraphTransformer, chunks
from graf_utils.features.columns import Column, Sets, count_columns, layout, read_sets
from graf_utils.features.families import NUMBER_FAMILIES, Family
from graf_utils.features.own import as_families
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["GRAF"]

_BLOCK = 2**17  # entries (sets times architectures) of an intermediate array: it stays in the cache
_MAX_TABLE_EDGES = 12  # 2^12 patterns at most


def _patterns(
    edge_ops: NDArray[np.integer], sets: list[tuple[int, ...]]
) -> Iterator[NDArray[np.intp]]:
    """For each set, which edges of each graph are inside it, as the bits of one number.

    The pattern of a set is the sum of the patterns of its operations.
    """
    bits = np.float32(2) ** np.arange(edge_ops.shape[1], dtype=np.float32)  # floats are quicker
    used = {op for group in sets for op in group}
    single = {op: ((edge_ops == op).astype(np.float32) @ bits).astype(np.intp) for op in used}
    for group in sets:
        yield functools.reduce(np.add, [single[op] for op in group])


def _has_few_patterns(batch: GraphBatch) -> bool:
    """Whether all graphs have the same few edges, so that a family is a table of patterns."""
    few = len(batch.edges) <= _MAX_TABLE_EDGES and len(batch.inputs) == 1
    plain = batch.node_ops is None and batch.ends is None and not batch.free
    return bool(few and plain and (batch.edge_ops != ABSENT).all())


class GRAF(GraphTransformer):
    """Neural graph features as a scikit-learn transformer.

    With all families, a NAS-Bench-201 cell gets 191 features: `op_count` of each operation, and
    `min_path_len`, `max_path_len` and four degrees for each of the 31 subsets of operations.
    TransNAS-Bench-101-micro has 94 features, its macro space 16, NAS-Bench-101 47, DARTS 1,540.

    Parameters
    ----------
    space : str or SearchSpace, default "nb201"
        Search space the architectures are from.
    variant : {"paper", "allowed"}, default "paper"
        The meaning of `max_path_len[O]`. ``"allowed"`` is how the paper defines it: the edges of
        the longest path that uses only operations of O, 0 if there is none. ``"paper"`` is what the
        authors' released code (icml24) computes, and with it the published numbers: of all
        input-output paths, take those with the least number of edges outside O minus edges inside
        O; the feature is the number of edges inside O, the smallest among ties. In August 2024
        (commit 4d2df37) the authors changed their code to the definition.
    families : sequence of str or callable, or mapping of name to these, optional
        Families to compute: names of `FAMILIES`, and functions of a `GraphBatch` of your own (see
        `feature_family`), which come after those with a name. By default those that the authors
        have for the space (`graf_families`), and where its operations carry numbers
        `NUMBER_FAMILIES`.
    operations : sequence of str, optional
        Only these operations and subsets of them; default all of the space.
    max_set_size : int, optional
        Only sets of at most so many operations. By default all subsets, 2^n - 1 for n operations;
        with `groups` 1. With 0 the groups alone.
    groups : mapping of str to sequence of str, optional
        Sets of operations by name, such as ``{"conv": ["nor_conv_3x3", "nor_conv_1x1"]}``, beside
        those of `max_set_size`. Their columns are named after them: ``op_count[conv]``.
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
    The definitions are those of Kadlecová et al. (2024), but for `max_path_len` with
    ``variant="paper"``; `none` is a label like any other. Without `drop_redundant`, `transform`
    needs no `fit`. Architectures may be a `Table`, tuples of operation ids, the benchmark's
    strings, or rows of an integer array; a `GraphBatch` is taken as it is, and so is a dictionary
    of one for each cell. Bad input raises a `ValueError` naming it.

    Examples
    --------
    >>> graf = GRAF(families=["op_count"])
    >>> graf.transform([(4, 0, 3, 1, 4, 3)])
    array([[1., 1., 0., 2., 2.]])
    >>> graf.get_feature_names_out()[2]
    'op_count[nor_conv_3x3]'
    >>> GRAF().transform([(4, 0, 3, 1, 4, 3)]).shape
    (1, 191)
    >>> GRAF().estimate(1_000_000)
    Size(n_columns=191, n_bytes=1528000000)
    >>> conv = {"conv": ["nor_conv_3x3", "nor_conv_1x1"]}
    >>> GRAF(families=["op_count"], groups=conv).get_feature_names_out()[-1]
    'op_count[conv]'
    >>> def n_none(batch):
    ...     return (batch.edge_ops == batch.operations.index("none")).sum(axis=1)
    >>> GRAF(families=["op_count", n_none]).transform([(4, 0, 3, 1, 4, 3)])
    array([[1., 1., 0., 2., 2., 1.]])
    """

    def __init__(
        self,
        space: str | SearchSpace = "nb201",
        *,
        variant: str = "paper",
        families: Sequence[Any] | Mapping[str, Any] | None = None,
        operations: Sequence[str] | None = None,
        max_set_size: int | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        drop_redundant: bool = False,
        dtype: DTypeLike = np.float64,
        chunk_size: int | None = None,
    ) -> None:
        self.space = space
        self.variant = variant
        self.families = families
        self.operations = operations
        self.max_set_size = max_set_size
        self.groups = groups
        self.drop_redundant = drop_redundant
        self.dtype = dtype
        self.chunk_size = chunk_size

    def _asked(self) -> tuple[SearchSpace, list[Family], Sets]:
        """The space, the families and the sets of operations, read and checked."""
        space = get_space(self.space)
        if self.variant not in ("paper", "allowed"):
            raise ValueError(
                f"variant={self.variant!r} is unknown; it must be 'paper' (the published numbers) "
                "or 'allowed' (the paper's definition: paths that stay inside the subset)."
            )
        usual = [*graf_families(space), *(NUMBER_FAMILIES if space.numbers else ())]
        families = as_families(usual if self.families is None else self.families)
        if self._dtype().kind in "iub" and any(f.name.startswith("mean_") for f in families):
            raise ValueError(
                f"dtype={self.dtype!r} cannot hold the mean degrees, which are fractions. Use a "
                "float dtype, or families without mean_in_degree and mean_out_degree."
            )
        sets = read_sets(space, self.operations, self.max_set_size, self.groups)
        return space, families, sets

    def _plan(self) -> tuple[list[str], list[Column]]:
        columns = layout(*self._asked())
        return [column.name for column in columns], columns

    def _n_columns(self) -> int:
        return count_columns(*self._asked())

    def _fill(
        self, columns: list[Column], batches: dict[str, GraphBatch], features: NDArray[Any]
    ) -> None:
        for cell, batch in batches.items():
            of_cell = [j for j, column in enumerate(columns) if column.cell == cell]
            looked_up = []
            if _has_few_patterns(batch):
                looked_up = [
                    j for j in of_cell if columns[j].family.by_pattern and columns[j].group
                ]
                self._look_up(batch, columns, looked_up, features)
            blocks: dict[tuple[Any, ...], list[int]] = {}
            for j in sorted(set(of_cell).difference(looked_up)):
                blocks.setdefault((columns[j].family.name, columns[j].input), []).append(j)
            for block in blocks.values():
                self._run(batch, columns, block, features)

    def _run(
        self, batch: GraphBatch, columns: list[Column], block: list[int], features: NDArray[Any]
    ) -> None:
        """Compute a block of adjacent columns of one family, chunk by chunk."""
        first = columns[block[0]]
        inside = None
        if first.group is not None:
            inside = np.zeros((len(block), len(batch.operations)), dtype=bool)
            for row, j in enumerate(block):
                inside[row, list(columns[j].group)] = True
        size = min(self._chunk_size(), max(_BLOCK // len(block), 16))
        start, place = batch.inputs[first.input], slice(block[0], block[-1] + 1)
        for rows in chunks(len(batch), size):
            values = first.family.compute(batch[rows], start, inside, self.variant)
            expected = len(block), len(range(*rows.indices(len(batch))))
            if np.shape(values) != expected:
                raise ValueError(
                    f"family {first.family.name!r} gave an array of shape {np.shape(values)}; a "
                    f"Family must compute one of {expected}, (n_columns, n_graphs). Transpose it."
                )
            features[place, rows] = self._stored(values, f"family {first.family.name!r}")

    def _look_up(
        self, batch: GraphBatch, columns: list[Column], chosen: list[int], features: NDArray[Any]
    ) -> None:
        """Compute columns from a table of each family over all patterns of edges in a set."""
        if not chosen:
            return
        tables, members = {}, {}
        for j in chosen:
            family = columns[j].family
            members.setdefault(columns[j].group, []).append(j)
            if family.name not in tables:
                tables[family.name] = self._pattern_table(batch, family)
        for rows in chunks(len(batch), self._chunk_size()):
            patterns = _patterns(batch.edge_ops[rows], list(members))
            for positions, pattern in zip(members.values(), patterns, strict=True):
                for j in positions:
                    table = tables[columns[j].family.name]
                    table.take(pattern, out=features[j, rows], mode="clip")

    def _pattern_table(self, batch: GraphBatch, family: Family) -> NDArray[Any]:
        """A family's value for each pattern of edges in a set, by the number of the pattern."""
        n_edges, ends = len(batch.edges), (batch.inputs, batch.output)
        bits = (np.arange(2**n_edges)[:, None] >> np.arange(n_edges)) & 1
        patterns = GraphBatch(("outside", "inside"), batch.n_nodes, batch.edges, bits, *ends)
        inside = np.array([[False, True]])
        values = family.compute(patterns, batch.inputs[0], inside, self.variant)
        return self._stored(values.ravel(), f"family {family.name!r}")
