"""NAS-Bench-101 (Ying et al., ICML 2019): cells of up to seven nodes, operations on the nodes."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pooch
from numpy.typing import NDArray

from graf_utils._files import replacing
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces.base import SearchSpace

_MAX_NODES, _MAX_EDGES = 7, 9
_PAIRS = tuple(itertools.combinations(range(_MAX_NODES), 2))
_PUBLISHED = {0: -1, 1: -2, 2: 2, 3: 1, 4: 0}
"""The benchmark's own number of each operation, which its hash is made of."""
_CACHE = "nb101-hashes-1.npz"


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
            upper = np.triu(np.ones((n, n), dtype=bool), 1)
            good = ((matrix == 0) | ((matrix == 1) & upper)).all(axis=(1, 2))
            good &= (ops[:, 0] == 0) & (ops[:, -1] == 1)
            good &= ((ops[:, 1:-1] >= 2) & (ops[:, 1:-1] <= 4)).all(axis=1)
            good &= (codes[rows, n * (n + 1) :] == -1).all(axis=1)
            if not form_only:
                good &= matrix.sum(axis=(1, 2)) <= _MAX_EDGES
                good &= matrix.any(axis=1)[:, 1:].all(axis=1)
                good &= matrix.any(axis=2)[:, :-1].all(axis=1)
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
            f"node {node} lies on no input-output path; every node must. Use prune, which removes "
            "such nodes."
        )

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell which are cells of the benchmark: at most nine edges, no dangling node.

        Unlike the other methods it takes graphs with these faults; other faults are errors.
        """
        return ~self._broken(self._graphs(architectures))

    def _graphs(self, architectures: Any) -> NDArray[np.integer]:
        """Codes that are labelled acyclic graphs, if not cells."""
        codes = self._collect(architectures)
        wrong = self._broken(codes, form_only=True)
        if wrong.any():
            self.to_codes(codes[wrong][:1])  # raises
        return codes

    def prune(self, architectures: Any) -> NDArray[np.int8]:
        """Remove nodes that lie on no input-output path; what is left must be a cell.

        Raises
        ------
        ValueError
            Nothing leads from the input to the output, or more than nine edges remain.
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

    def from_matrix(self, matrix: Any, ops: Iterable[str | int]) -> tuple[int, ...]:
        """A cell from its adjacency matrix and the names (or ids) of its nodes' operations."""
        ops = [op if isinstance(op, int | np.integer) else self._known(op) for op in ops]
        if np.shape(matrix) != (len(ops), len(ops)) or not 2 <= len(ops) <= _MAX_NODES:
            raise ValueError(
                f"matrix of shape {np.shape(matrix)} with {len(ops)} operations; a cell has 2 to "
                f"{_MAX_NODES} nodes, a square matrix and one operation a node."
            )
        return self.from_codes([(*np.asarray(matrix).ravel().tolist(), *ops)])[0]

    def to_string(self, architecture: Any) -> str:
        """One architecture as a written tuple."""
        return str(self.from_codes([architecture])[0])

    def to_networkx(self, architecture: Any) -> nx.DiGraph:
        """One cell as networkx, nodes 0 to n - 1, the operation's name as node attribute ``op``."""
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

    def enumerate(self) -> NDArray[np.int8]:
        """Codes of all 423,624 distinct cells, in the benchmark's order and numbering.

        Of each set of isomorphic cells it gives the one the benchmark lists: fewest nodes, then
        the smallest number whose binary digits are the matrix by columns, then the first
        operations in the order conv3x3, conv1x1, maxpool. The array is shared and read-only.
        """
        return _all_cells()

    def module_hash(self, architectures: Any) -> list[str]:
        """The published hash of each cell, equal for isomorphic cells.

        Each node starts from the digest of its degrees and operation, and is then renewed once a
        node by the digest of its neighbours' sorted digests and its own (Ying et al., 2019, S1).
        """
        hashes = [""] * len(codes := self.to_codes(architectures))
        for rows, matrices, ops in self._groups(codes):
            wirings, which = np.unique(matrices, axis=0, return_inverse=True)
            ins = [[np.flatnonzero(column).tolist() for column in m.T] for m in wirings]
            outs = [[np.flatnonzero(row).tolist() for row in m] for m in wirings]
            for row, w, labels in zip(rows.tolist(), which.tolist(), ops.tolist(), strict=True):
                hashes[row] = _hash(ins[w], outs[w], labels)
        return hashes

    canonical = module_hash

    def hashes(self) -> NDArray[np.bytes_]:
        """`module_hash` of all cells of `enumerate`, as bytes of length 32.

        The first call computes them (about a minute) and stores them in the user's cache folder.
        """
        return _all_hashes()

    def from_hash(self, hashes: Iterable[str]) -> NDArray[np.int8]:
        """Codes of the cells with these hashes.

        Raises
        ------
        ValueError
            A hash is of no cell of the benchmark.
        """
        wanted = list(hashes)
        for item in wanted:
            if not isinstance(item, str) or not re.fullmatch(r"[0-9a-f]{32}", item):
                raise ValueError(
                    f"{item!r} is not a hash; it must be text of 32 hexadecimal digits, as "
                    "module_hash gives."
                )
        known = self.hashes()
        order = _hash_order()
        found = np.searchsorted(known, np.array(wanted, dtype="S32"), sorter=order)
        rows = order[np.minimum(found, len(known) - 1)]
        missing = known[rows] != np.array(wanted, dtype="S32")
        if missing.any():
            raise ValueError(
                f"hash {wanted[int(missing.argmax())]!r} is of none of the {len(known):,} cells of "
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
def _all_cells() -> NDArray[np.int8]:
    """All cells up to isomorphism: wirings first, then the operations on each."""
    parts = []
    for n in range(2, _MAX_NODES + 1):
        pairs = [(u, v) for v in range(n) for u in range(v)]  # bits count by columns
        wirings = np.arange(2 ** len(pairs), dtype=np.int64)
        wirings = wirings[np.bitwise_count(wirings) <= _MAX_EDGES]
        for node in range(n):
            for side, end in ((0, n - 1), (1, 0)):
                touching = sum(1 << k for k, pair in enumerate(pairs) if pair[side] == node)
                if node != end:
                    wirings = wirings[(wirings & touching) != 0]
        # Renaming the inner nodes moves the bits; the least result names the isomorphism class.
        renamings = [(0, *p, n - 1) for p in itertools.permutations(range(1, n - 1))]
        moved = np.array([[2.0 ** (n * p[u] + p[v]) for u, v in pairs] for p in renamings]).T
        bits = ((wirings[:, None] >> np.arange(len(pairs))) & 1).astype(float)
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
            parts.append(cells)
    codes = np.concatenate(parts)
    codes.flags.writeable = False
    return codes


@functools.lru_cache(maxsize=1)
def _all_hashes() -> NDArray[np.bytes_]:
    cells = _all_cells()
    file = Path(pooch.os_cache("graf-book")) / _CACHE
    try:
        with np.load(file, allow_pickle=False) as stored:
            hashes = stored["hashes"]
        if hashes.shape == (len(cells),) and hashes.dtype == np.dtype("S32"):
            return hashes
    except (OSError, ValueError, KeyError, EOFError):
        pass  # not there, or damaged: made anew
    hashes = np.array(NB101().module_hash(cells), dtype="S32")
    try:
        with replacing(file) as part, part.open("wb") as stream:
            np.savez_compressed(stream, hashes=hashes)
    except OSError:
        pass  # a folder that cannot be written costs time, not the result
    return hashes


@functools.lru_cache(maxsize=1)
def _hash_order() -> NDArray[np.intp]:
    return np.argsort(_all_hashes())
