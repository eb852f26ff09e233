"""GRAF as a scikit-learn transformer: all families, all sets of operations, any number of cells.

The answer to a family's question depends on an architecture only through *which edges are inside
the set*. Where all architectures have the same few edges, each question is therefore answered once
for each of the 2^E patterns of edges, and the patterns are then looked up; otherwise the same
functions, which run on arrays of architectures times sets, are applied to the architectures
themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graf_utils._checks import nearest
from graf_utils.features.authors import graf_families
from graf_utils.features.base import GraphTransformer, chunks
from graf_utils.features.families import Family
from graf_utils.features.own import as_families
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["GRAF", "subsets"]

_BLOCK = 2**17  # entries (sets times architectures) of an intermediate array: it stays in the cache
_MAX_COLUMNS = 2**20  # sets double with each operation: 17 operations in the seven families
_MAX_TABLE_EDGES = 12  # 2^12 patterns at most


class _Column(NamedTuple):
    """One feature: where it is computed, by which family, of which labels (None: own columns)."""

    name: str
    cell: str
    family: Family
    input: int
    group: tuple[int, ...] | None


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


def subsets(ids: Sequence[int]) -> list[tuple[int, ...]]:
    """Return all non-empty subsets, by size and then by id (GRAF's column order).

    Parameters
    ----------
    ids : sequence of int

    Returns
    -------
    list of tuple of int
        2^n - 1 of them.

    Examples
    --------
    >>> subsets([0, 1])
    [(0,), (1,), (0, 1)]
    """
    return list(chain.from_iterable(combinations(ids, k) for k in range(1, len(ids) + 1)))


def _operations(space: SearchSpace, operations: Sequence[str] | None) -> list[str]:
    """The operations asked for, in the order of the space."""
    if operations is None:
        return list(space.labels)
    if isinstance(operations, str) or not isinstance(operations, Iterable):
        raise ValueError(
            f"operations={operations!r} is not a list of names. Write operations=[{operations!r}]."
        )
    listed = list(operations)
    unknown = [name for name in listed if name not in space.labels]
    if unknown or not listed:
        raise ValueError(
            f"operations={listed!r}: it must name at least one of {list(space.labels)}."
            + (nearest(unknown[0], space.labels) if unknown else "")
        )
    return [name for name in space.labels if name in listed]


def _layout(space: SearchSpace, families: list[Family], operations: list[str]) -> list[_Column]:
    """The columns of some families over some operations."""
    labels = space.labels
    inner = [labels.index(op) for op in operations if op not in space.free]
    _check_width(space, families, operations, len(inner))
    places: dict[Any, list[tuple[str, tuple[int, ...] | None]]] = {
        "operations": [(op, (labels.index(op),)) for op in operations],
    }
    if any(family.columns == "subsets" for family in families):
        sets = subsets(inner)
        places["subsets"] = [("+".join(labels[op] for op in group), group) for group in sets]
    columns = []
    for cell in space.cells:
        for family in families:
            groups = places.get(family.columns) or [(label, None) for label in family.columns]
            for i, source in enumerate(space.inputs if family.each_input else ("",)):
                stem = ".".join(filter(None, (cell, family.name, source)))
                columns += [
                    _Column(f"{stem}[{label}]" if label else stem, cell, family, i, group)
                    for label, group in groups
                ]
    return columns


def _check_width(
    space: SearchSpace, families: list[Family], operations: list[str], n_inner: int
) -> None:
    """Raise if there are too many columns, before the first is made."""
    n_columns = 0
    for family in families:
        n_groups = {"subsets": 2**n_inner - 1, "operations": len(operations)}.get(
            family.columns, len(family.columns)
        )
        n_columns += n_groups * (len(space.inputs) if family.each_input else 1) * len(space.cells)
    if n_columns > _MAX_COLUMNS:
        several = [family.name for family in families if family.columns == "subsets"]
        raise ValueError(
            f"GRAF over {n_inner} operations of {space.name!r} asks {several} of 2**{n_inner} - 1 "
            f"sets of operations; at most {_MAX_COLUMNS:,} columns are computed. Name fewer "
            "operations=[...], or only families that ask of each operation, such as "
            "families=['op_count']."
        )


def _has_few_patterns(batch: GraphBatch) -> bool:
    """Whether all graphs have the same few edges, so that a family is a table of patterns."""
    few = len(batch.edges) <= _MAX_TABLE_EDGES and len(batch.inputs) == 1
    plain = batch.node_ops is None and not batch.free
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
        have for the space (`graf_families`).
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

    def _columns(self) -> list[_Column]:
        """All columns in order: cell by cell, family by family, subsets by size and then by id."""
        space = get_space(self.space)
        if self.variant not in ("paper", "allowed"):
            raise ValueError(
                f"variant={self.variant!r} is unknown; it must be 'paper' (the published numbers) "
                "or 'allowed' (the paper's definition: paths that stay inside the subset)."
            )
        families = as_families(graf_families(space) if self.families is None else self.families)
        if self._dtype().kind in "iub" and any(f.name.startswith("mean_") for f in families):
            raise ValueError(
                f"dtype={self.dtype!r} cannot hold the mean degrees, which are fractions. Use a "
                "float dtype, or families without mean_in_degree and mean_out_degree."
            )
        return _layout(space, families, _operations(space, self.operations))

    def _plan(self) -> tuple[list[str], list[_Column]]:
        columns = self._columns()
        return [column.name for column in columns], columns

    def _fill(
        self, columns: list[_Column], batches: dict[str, GraphBatch], features: NDArray[Any]
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
        self, batch: GraphBatch, columns: list[_Column], block: list[int], features: NDArray[Any]
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
        self, batch: GraphBatch, columns: list[_Column], chosen: list[int], features: NDArray[Any]
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
