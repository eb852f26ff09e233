"""NAS-Bench-101 (Ying et al., ICML 2019): cells of up to seven nodes, operations on the nodes."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pooch
from numpy.typing import NDArray

from graf_utils._checks import to_array
from graf_utils._files import replacing
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces.base import SearchSpace

_MAX_NODES, _MAX_EDGES = 7, 9
_PAIRS = tuple(itertools.combinations(range(_MAX_NODES), 2))
_PUBLISHED = {0: -1, 1: -2, 2: 2, 3: 1, 4: 0}
"""The benchmark's own number of each operation, which its hash is made of."""
_CACHE = "nb101-hashes-1.npz"
_HASHES_SHA256 = "d3332c0348a4fb1e6fb492887cab04e25624b9787a62346545992ec61746c1a6"
"""Of the hashes of all cells in the order of `enumerate`, 32 bytes each."""


class NB101(SearchSpace):
    """The NAS-Bench-101 search space.

    A cell has two to seven nodes in topological order, the input first and the output last, at
    most nine edges, and an operation on each inner node; every node lies on an input-output path.
    An architecture is the tuple of the adjacency matrix, row by row, followed by the operation ids
    of the nodes. A code is that tuple filled up with -1 to 56 entries.

    Examples
    --------
    >>> space = NB101()
    >>> cell = space.from_matrix([[0, 1, 1], [0, 0, 1], [0, 0, 0]],
    ...                          ["input", "conv3x3-bn-relu", "output"])
    >>> cell
    (0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 4, 1)
    >>> space.from_codes([cell]) == [cell]
    True
    """

    name, title = "nb101", "NAS-Bench-101"
    operations = ("input", "output", "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
    free = ("input", "output")
    groups = {
        "conv": ("conv1x1-bn-relu", "conv3x3-bn-relu"),
        "spatial": ("maxpool3x3", "conv3x3-bn-relu"),
        "any": ("maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu"),
    }
    """Convolutions; operations that look further than a pixel; all operations."""
    code_length = _MAX_NODES * (_MAX_NODES + 1)

    @property
    def lengths(self) -> tuple[int, ...]:
        """n * n + n for two to seven nodes."""
        return tuple(n * (n + 1) for n in range(2, _MAX_NODES + 1))

    def _example(self) -> tuple[int, ...]:
        return (0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 4, 1)

    # --- checks ---

    def _groups(self, codes: NDArray[np.integer]) -> Iterable[tuple[Any, Any, Any]]:
        """Rows, matrices and operations of the cells of each number of nodes."""
        ends = codes == -1
        length = np.where(ends.any(axis=1), ends.argmax(axis=1), self.code_length)
        for n in range(2, _MAX_NODES + 1):
            rows = np.flatnonzero(length == n * (n + 1))
            if len(rows):
                part = codes[rows]
                yield rows, part[:, : n * n].reshape(-1, n, n), part[:, n * n : n * (n + 1)]

    def _broken(self, codes: NDArray[np.integer], *, form_only: bool = False) -> NDArray[np.bool_]:
        """Tell which rows are no cell; with `form_only`, no labelled acyclic graph."""
        broken = np.ones(len(codes), dtype=bool)
        for rows, matrix, ops in self._groups(codes):
            n = matrix.shape[1]
            # Architectures along the last axis: each rule is then a few operations on long rows.
            entries = np.ascontiguousarray(matrix.reshape(-1, n * n).T)
            nodes = np.ascontiguousarray(ops.T)
            padding = np.ascontiguousarray(codes[rows, n * (n + 1) :].T)
            lower = np.tril(np.ones((n, n), dtype=bool)).ravel()
            good = ((entries == 0) | (entries == 1)).all(axis=0) & ~entries[lower].any(axis=0)
            good &= (nodes[0] == 0) & (nodes[-1] == 1)
            good &= ((nodes[1:-1] >= 2) & (nodes[1:-1] <= 4)).all(axis=0)
            good &= (padding == -1).all(axis=0)
            if not form_only:
                edges = entries.reshape(n, n, -1) != 0
                good &= edges.sum(axis=(0, 1)) <= _MAX_EDGES
                good &= edges.any(axis=0)[1:].all(axis=0)
                good &= edges.any(axis=1)[:-1].all(axis=0)
            broken[rows] = ~good
        return broken

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        return self._broken(codes)

    def _explain(self, code: tuple[int, ...]) -> str:
        values = self._tuple(list(code))
        if len(values) not in self.lengths or any(v != -1 for v in code[len(values) :]):
            return (
                f"it has {len(values)} entries before the padding -1; a cell of n nodes needs "
                f"n * n + n, n from 2 to {_MAX_NODES}. Write a tuple such as {self._example()}."
            )
        n = self.lengths.index(len(values)) + 2
        matrix, ops = np.reshape(values[: n * n], (n, n)), values[n * n :]
        for (u, v), edge in np.ndenumerate(matrix):
            if edge not in (0, 1) or (edge and u >= v):
                return (
                    f"matrix entry ({u}, {v}) is {edge}; the matrix must be upper triangular with "
                    "0 and 1 (no cycles). Number the nodes in topological order."
                )
        for node, op in enumerate(ops):
            rule = {0: (0, "0 input"), n - 1: (1, "1 output")}.get(node)
            if (op != rule[0]) if rule else op not in (2, 3, 4):
                return (
                    f"operation id {op} at node {node} of {n}; it must be "
                    + (rule[1] if rule else "2 maxpool3x3, 3 conv1x1-bn-relu or 4 conv3x3-bn-relu")
                    + ". The first node is the input, the last the output."
                )
        if matrix.sum() > _MAX_EDGES:
            return f"it has {matrix.sum()} edges; at most {_MAX_EDGES} are allowed. Remove some."
        node = next(
            v
            for v in range(n)
            if (v and not matrix[:, v].any()) or (v < n - 1 and not matrix[v].any())
        )
        return (
            f"node {node} lies on no input-output path; every node must. Use prune([architecture]) "
            "of a tuple, or from_matrix(matrix, ops, prune=True), which remove such nodes."
        )

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell which are cells of the benchmark: at most nine edges, no dangling node.

        Unlike the other methods it takes graphs with these faults; other faults are errors.
        See `SearchSpace.is_valid`.
        """
        return ~self._broken(self._graphs(architectures))

    def _graphs(self, architectures: Any) -> NDArray[np.integer]:
        """Codes that are labelled acyclic graphs, if not cells."""
        codes = self._collect(architectures)
        wrong = self._broken(codes, form_only=True)
        if wrong.any():
            self.to_codes(codes[wrong][:1])  # raises
        return codes

    def prune(self, architectures: Any) -> NDArray[np.integer]:
        """Remove nodes that lie on no input-output path; what is left must be a cell.

        Parameters
        ----------
        architectures : sequence of architectures
            Tuples, text or codes; unlike elsewhere, nodes may lie on no path.

        Returns
        -------
        ndarray of shape (n_architectures, 56), int8

        Raises
        ------
        ValueError
            Nothing leads from the input to the output, more than nine edges remain, or something
            is no labelled acyclic graph.
        """
        kept_cells = []
        for code in self._graphs(architectures).tolist():
            values = self._tuple(code)
            n = self.lengths.index(len(values)) + 2
            matrix = np.reshape(values[: n * n], (n, n))
            graph = nx.DiGraph(np.argwhere(matrix).tolist())
            graph.add_nodes_from((0, n - 1))
            keep = (nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, n - 1) | {n - 1})
            if not {0, n - 1} <= keep:
                raise ValueError(
                    f"{values}: no path leads from the input to the output; a cell needs one. Add "
                    "the missing edges."
                )
            nodes = sorted(keep)
            ops = [values[n * n + node] for node in nodes]
            kept_cells.append((*matrix[np.ix_(nodes, nodes)].ravel().tolist(), *ops))
        return self.to_codes(kept_cells)

    # --- spellings ---

    def _parse(self, text: str) -> tuple[int, ...]:
        raise ValueError(
            f"{text!r} is not a NAS-Bench-101 tuple: the matrix row by row, then the operation "
            f"ids, such as {self._example()!r}. A hash is read by from_hash."
        )

    def from_matrix(
        self, matrix: Any, ops: Iterable[str | int], *, prune: bool = False
    ) -> tuple[int, ...]:
        """Read a cell from its adjacency matrix and the operations of its nodes.

        Parameters
        ----------
        matrix : array-like of shape (n_nodes, n_nodes)
            Upper triangular, of 0 and 1 or of booleans; also a tensor, a frame or a sparse matrix.
        ops : sequence of str or int
            Names or ids of the operations, ``input`` first and ``output`` last.
        prune : bool
            Remove nodes that lie on no input-output path (see `prune`).

        Returns
        -------
        tuple of int
            The matrix, row by row, followed by the operation ids.

        Raises
        ------
        ValueError
            The shapes do not fit, an operation is unknown, or it is no cell.

        Examples
        --------
        >>> dangling = [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
        >>> NB101().from_matrix(dangling, ["input", "maxpool3x3", "output"], prune=True)
        (0, 1, 0, 0, 0, 1)
        """
        values = to_array("matrix", matrix)
        if values.dtype == bool:
            values = values.astype(int)
        if hasattr(ops, "__array__"):
            ops = to_array("ops", ops).tolist()
        ids = [op if isinstance(op, int | np.integer) else self._operation_id(op) for op in ops]
        if values.shape != (len(ids), len(ids)) or not 2 <= len(ids) <= _MAX_NODES:
            raise ValueError(
                f"matrix of shape {values.shape} with {len(ids)} operations; a cell has 2 to "
                f"{_MAX_NODES} nodes, a square matrix and one operation per node."
            )
        cells = [(*values.ravel().tolist(), *ids)]
        return self.from_codes(self.prune(cells) if prune else cells)[0]

    def to_string(self, architecture: Any) -> str:
        """Write one architecture as a tuple.

        Parameters
        ----------
        architecture : tuple or str

        Returns
        -------
        str

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return str(self.from_codes([architecture])[0])

    def to_networkx(self, architecture: Any) -> nx.DiGraph:
        """Return one cell as networkx.

        Parameters
        ----------
        architecture : tuple or str

        Returns
        -------
        networkx.DiGraph
            Nodes 0 to n - 1; the operation's name is the node attribute ``op``.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (batch,) = self.graph_batch([architecture]).values()
        graph = batch.to_networkx(0)
        return nx.convert_node_labels_to_integers(graph, ordering="sorted")

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn cells into graphs over seven places: the output in the last, unused ones before.

        See `SearchSpace.graph_batch`; the only key is ``""``.
        """
        codes = self.to_codes(architectures)
        present = np.zeros((len(codes), len(_PAIRS)), dtype=bool)
        node_ops = np.full((len(codes), _MAX_NODES), ABSENT, dtype=np.int8)
        for rows, matrix, ops in self._groups(codes):
            n = matrix.shape[1]
            place = [*range(n - 1), _MAX_NODES - 1]
            node_ops[np.ix_(rows, place)] = ops
            for u, v in itertools.combinations(range(n), 2):
                present[rows, _PAIRS.index((place[u], place[v]))] = matrix[:, u, v]
        return {"": GraphBatch.on_nodes(self.operations, _PAIRS, present, node_ops, self.free)}

    # --- the whole space ---

    def enumerate(self) -> NDArray[np.integer]:
        """Return the codes of all 423,624 distinct cells, in the benchmark's order and numbering.

        Of each set of isomorphic cells it gives the one the benchmark lists: fewest nodes, then
        the smallest number whose binary digits are the matrix by columns, then the first
        operations in the order conv3x3, conv1x1, maxpool.

        Returns
        -------
        ndarray of shape (423624, 56), int8
            Shared and read-only.
        """
        return _all_cells()

    def module_hash(self, architectures: Any) -> list[str]:
        """Return the published hash of each cell, equal for isomorphic cells.

        Each node starts from the digest of its degrees and operation, and is then renewed as often
        as there are nodes by the digest of its neighbours' sorted digests and its own (Ying et al.,
        2019, S1).

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        list of str
            32 hexadecimal digits per architecture.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        codes = self.to_codes(architectures)
        hashes = [""] * len(codes)
        for rows, matrices, ops in self._groups(codes):
            wirings, which = np.unique(matrices, axis=0, return_inverse=True)
            sources = [[np.flatnonzero(column).tolist() for column in m.T] for m in wirings]
            targets = [[np.flatnonzero(row).tolist() for row in m] for m in wirings]
            for row, w, labels in zip(rows.tolist(), which.tolist(), ops.tolist(), strict=True):
                hashes[row] = _hash(sources[w], targets[w], labels)
        return hashes

    canonical = module_hash

    def hashes(self) -> NDArray[np.bytes_]:
        """Return `module_hash` of all cells of `enumerate`.

        The first call computes them (about a minute) and stores them in the user's cache folder.
        What is read back from there is checked, and computed anew if it is damaged.

        Returns
        -------
        ndarray of shape (423624,), bytes of length 32
        """
        return _all_hashes()

    def from_hash(self, hashes: Iterable[str]) -> NDArray[np.integer]:
        """Return the codes of the cells with these hashes.

        Parameters
        ----------
        hashes : sequence of str
            As `module_hash` gives them.

        Returns
        -------
        ndarray of shape (n_hashes, 56), int8

        Raises
        ------
        ValueError
            One hash instead of a list of them, or a hash of no cell of the benchmark.
        """
        if isinstance(hashes, str):
            raise ValueError(f"hashes={hashes!r} is one hash; write [{hashes!r}].")
        items = list(hashes)
        for item in items:
            if not isinstance(item, str) or not re.fullmatch(r"[0-9a-f]{32}", item):
                raise ValueError(
                    f"{item!r} is not a hash; it must be text of 32 hexadecimal digits, as "
                    "module_hash gives."
                )
        stored, order = self.hashes(), _hash_order()
        keys = np.array(items, dtype="S32")
        places = np.searchsorted(stored, keys, sorter=order)
        rows = order[np.minimum(places, len(stored) - 1)]
        missing = stored[rows] != keys
        if missing.any():
            raise ValueError(
                f"hash {items[int(missing.argmax())]!r} is of none of the {len(stored):,} cells of "
                "NAS-Bench-101. Hashes of cells must be taken after prune."
            )
        return self.enumerate()[rows]


def _md5(text: bytes) -> bytes:
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode()


def _hash(ins: list[list[int]], outs: list[list[int]], labels: list[int]) -> str:
    nodes = range(len(labels))
    state = [
        _first_digest((len(out), len(into), _PUBLISHED[op]))
        for out, into, op in zip(outs, ins, labels, strict=True)
    ]
    for _ in nodes:
        state = [
            _md5(
                b"%b|%b|%b"
                % (
                    b"".join(sorted([state[u] for u in ins[v]])),
                    b"".join(sorted([state[u] for u in outs[v]])),
                    state[v],
                )
            )
            for v in nodes
        ]
    return _md5(str(sorted(digest.decode() for digest in state)).encode()).decode()


@functools.cache
def _first_digest(degrees_and_op: tuple[int, int, int]) -> bytes:
    return _md5(str(degrees_and_op).encode())


@functools.lru_cache(maxsize=1)
def _all_cells() -> NDArray[np.integer]:
    """All cells up to isomorphism: wirings first, then the operations on each."""
    codes = np.concatenate([part for n in range(2, _MAX_NODES + 1) for part in _cells_of(n)])
    codes.flags.writeable = False
    return codes


def _cells_of(n: int) -> Iterator[NDArray[np.integer]]:
    """The cells of n nodes up to isomorphism, one array per wiring."""
    pairs = [(u, v) for v in range(n) for u in range(v)]  # bits count by columns
    bits = _wirings(n, pairs)
    # Renaming the inner nodes moves the bits; the least result names the isomorphism class.
    renamings = [(0, *p, n - 1) for p in itertools.permutations(range(1, n - 1))]
    moved = np.array([[2.0 ** (n * p[u] + p[v]) for u, v in pairs] for p in renamings]).T
    least = np.full(len(bits), np.inf)
    for block in np.array_split(np.arange(len(renamings)), max(1, len(renamings) // 12)):
        np.minimum(least, (bits @ moved[:, block]).min(axis=1), out=least)
    first = np.sort(np.unique(least, return_index=True)[1])
    ops = np.array(list(itertools.product(range(3), repeat=n - 2)), dtype=np.int64)
    powers = 3 ** np.arange(n - 2)[::-1]
    rank = ops @ powers
    for wiring in bits[first]:
        images = wiring @ moved
        symmetries = [p for p, code in zip(renamings, images, strict=True) if code == images[0]]
        same = [ops[:, [q - 1 for q in p[1:-1]]] @ powers for p in symmetries]
        chosen = 4 - ops[rank <= np.min(same, axis=0)]
        cells = np.full((len(chosen), _MAX_NODES * (_MAX_NODES + 1)), -1, dtype=np.int8)
        cells[:, : n * n] = 0
        for k, (u, v) in enumerate(pairs):
            cells[:, u * n + v] = wiring[k]
        cells[:, n * n], cells[:, n * n + n - 1] = 0, 1
        cells[:, n * n + 1 : n * n + n - 1] = chosen
        yield cells


def _wirings(n: int, pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    """All graphs of n nodes with few edges and no dangling node, shape (n_graphs, n_pairs)."""
    wirings = np.arange(2 ** len(pairs), dtype=np.int64)
    wirings = wirings[np.bitwise_count(wirings) <= _MAX_EDGES]
    for node in range(n):
        for side, end in ((0, n - 1), (1, 0)):
            touching = sum(1 << k for k, pair in enumerate(pairs) if pair[side] == node)
            if node != end:
                wirings = wirings[(wirings & touching) != 0]
    return ((wirings[:, None] >> np.arange(len(pairs))) & 1).astype(float)


@functools.lru_cache(maxsize=1)
def _all_hashes() -> NDArray[np.bytes_]:
    file = Path(pooch.os_cache("graf-book")) / _CACHE
    hashes = _stored_hashes(file)
    if hashes is None:
        hashes = np.array(NB101().module_hash(_all_cells()), dtype="S32")
        try:
            with replacing(file) as part, part.open("wb") as stream:
                np.savez_compressed(stream, hashes=hashes)
        except OSError:
            pass  # a folder that cannot be written costs time, not the result
    return hashes


def _stored_hashes(file: Path) -> NDArray[np.bytes_] | None:
    """The hashes in a cache file, None where it is missing, damaged, or holds anything else."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            hashes = stored["hashes"]
    except Exception:  # of a damaged archive almost any error may come
        return None
    if not isinstance(hashes, np.ndarray) or hashes.dtype != np.dtype("S32"):
        return None
    right = hashlib.sha256(hashes.tobytes()).hexdigest() == _HASHES_SHA256
    return hashes if right else None


@functools.lru_cache(maxsize=1)
def _hash_order() -> NDArray[np.intp]:
    return np.argsort(_all_hashes())
