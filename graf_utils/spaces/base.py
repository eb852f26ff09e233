"""What every search space has: codes, checks, samples and a batch of graphs."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

ABSENT = -1
"""Label of an edge slot that holds no edge."""

_TUPLE_TEXT = re.compile(r"\s*[(\[]\s*\d+(?:\s*,\s*\d+)*\s*,?\s*[)\]]\s*")


def nearest(given: object, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the known name nearest to what was given, else `""`."""
    match = difflib.get_close_matches(str(given), list(known), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""


@dataclass(frozen=True)
class GraphBatch:
    """N directed acyclic graphs that share one list of edge slots.

    The nodes of every graph are ``0 .. n_nodes - 1`` in topological order. An *edge slot* is a
    pair (source, target) with source < target; each graph says for each slot which operation
    lies there, or that there is no edge. This is all that GRAF needs, and it makes a batch of any
    size three small arrays.

    Parameters
    ----------
    operations : tuple of str
        Names of the operations; the position is the id.
    n_nodes : int
        Number of nodes of every graph.
    edges : ndarray of shape (n_slots, 2)
        Source and target of each slot.
    edge_ops : ndarray of shape (n_graphs, n_slots), int8
        Operation id in each slot, `ABSENT` (-1) where there is no edge.
    input, output : int
        The node every path starts from and the node it ends at.

    Raises
    ------
    ValueError
        A slot does not go forward, the shapes do not fit, or an id is out of range.
    """

    operations: tuple[str, ...]
    n_nodes: int
    edges: NDArray[np.intp]
    edge_ops: NDArray[np.int8]
    input: int = 0
    output: int = field(default=-1)

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, dtype=np.intp)
        if edges.ndim != 2 or edges.shape[1] != 2 or not (edges[:, 0] < edges[:, 1]).all():
            raise ValueError(
                f"edges={edges.tolist()}: every slot must be a pair (source, target) with "
                "source < target. Number the nodes in topological order."
            )
        if edges.size and (edges.min() < 0 or edges.max() >= self.n_nodes):
            raise ValueError(
                f"edges={edges.tolist()}: node numbers must lie in 0..{self.n_nodes - 1} "
                f"(n_nodes={self.n_nodes}). Raise n_nodes or renumber the nodes."
            )
        edge_ops = np.asarray(self.edge_ops)
        if edge_ops.ndim != 2 or edge_ops.shape[1] != len(edges):
            raise ValueError(
                f"edge_ops has shape {edge_ops.shape}; it must be (n_graphs, {len(edges)}), a "
                "column for each edge slot."
            )
        if edge_ops.size and not (
            edge_ops.min() >= ABSENT and edge_ops.max() < len(self.operations)
        ):
            raise ValueError(
                f"edge_ops holds ids {edge_ops.min()}..{edge_ops.max()}; they must lie in "
                f"0..{len(self.operations) - 1}, or be {ABSENT} where there is no edge."
            )
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "edge_ops", edge_ops.astype(np.int8, copy=False))
        object.__setattr__(self, "output", self.output % self.n_nodes)

    def __len__(self) -> int:
        return len(self.edge_ops)

    def __getitem__(self, rows: slice | NDArray[Any]) -> GraphBatch:
        """The graphs of a slice, an index array or a mask, as a new batch."""
        return GraphBatch(
            self.operations, self.n_nodes, self.edges, self.edge_ops[rows], self.input, self.output
        )

    def to_networkx(self, row: int) -> nx.DiGraph:
        """One graph as networkx; the operation's name is the edge attribute ``op``."""
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n_nodes))
        for (source, target), op in zip(self.edges.tolist(), self.edge_ops[row], strict=True):
            if op != ABSENT:
                graph.add_edge(source, target, op=self.operations[op])
        return graph


class SearchSpace(ABC):
    """A search space: its operations and the ways to write an architecture.

    Architectures travel as *codes*: an int8 array of shape (n_architectures, `code_length`), one
    operation id a column. Every method that takes architectures also takes what people have at
    hand: tuples, benchmark strings, an integer array, a pandas column of any of these.
    """

    name: str
    operations: tuple[str, ...]
    code_length: int

    @abstractmethod
    def parse(self, text: str) -> tuple[int, ...]:
        """Read one architecture from text, the benchmark's own spelling or a written tuple."""

    @abstractmethod
    def graph_batch(self, architectures: Any) -> GraphBatch:
        """Turn architectures into a `GraphBatch`."""

    @abstractmethod
    def enumerate(self) -> NDArray[np.int8]:
        """Codes of all architectures of a finite space, in the order of `itertools.product`."""

    @abstractmethod
    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell for each architecture whether it is a valid network of the benchmark."""

    def encode(self, architectures: Any) -> NDArray[np.int8]:
        """Check architectures and return their codes.

        Parameters
        ----------
        architectures : sequence of tuple or str, ndarray, pandas Series or DataFrame
            One item (or row) an architecture.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), int8

        Raises
        ------
        ValueError
            One architecture instead of a list of them, an empty list, a wrong length, an unknown
            operation, a wrong type, or text of another benchmark. The message names the input,
            the rule and the remedy.
        """
        if isinstance(architectures, str) or (
            isinstance(architectures, tuple)
            and architectures
            and all(isinstance(item, int | np.integer) for item in architectures)
        ):
            raise ValueError(
                f"architectures={architectures!r} is one architecture; a list of architectures is "
                f"needed. Write [{architectures!r}]."
            )
        if not isinstance(architectures, np.ndarray):
            if hasattr(architectures, "to_numpy"):  # pandas
                architectures = architectures.to_numpy()
            elif isinstance(architectures, Iterable) and not isinstance(architectures, dict):
                architectures = list(architectures)
            else:
                raise ValueError(
                    f"architectures={_short(architectures)} of type "
                    f"{type(architectures).__name__} is not a list of architectures. Pass a list "
                    f"of tuples such as [{self._example()}], of strings, or an integer array."
                )
        if len(np.shape(architectures) if isinstance(architectures, np.ndarray) else [0]) == 0:
            raise ValueError(
                f"architectures={architectures!r} is a single number. Pass a list of tuples such "
                f"as [{self._example()}]."
            )
        if len(architectures) == 0:
            raise ValueError(
                "architectures is empty; at least one is needed. Pass a list of tuples such as "
                f"[{self._example()}]."
            )
        codes = self._as_integers(architectures)
        if codes is None:  # text, or something that one row must be blamed for
            rows = [self._encode_one(item, row) for row, item in enumerate(architectures)]
            codes = np.array(rows, dtype=np.int64)
        bad = np.argwhere((codes < 0) | (codes >= len(self.operations)))
        if len(bad):
            row, column = bad[0].tolist()
            raise ValueError(
                f"architecture {row} = {tuple(codes[row].tolist())}: operation id "
                f"{codes[row, column]} at position {column} is unknown in {self.name}. Ids are "
                f"0..{len(self.operations) - 1}: "
                + ", ".join(f"{i} {op}" for i, op in enumerate(self.operations))
                + "."
            )
        return codes.astype(np.int8)

    def _as_integers(self, items: Any) -> NDArray[np.integer] | None:
        """The items as one integer array, or None where a row must be looked at alone."""
        if not isinstance(items, np.ndarray):
            if not set(map(type, items)) <= {tuple, list} or set(map(len, items)) != {
                self.code_length
            }:
                return None
            if not set(map(type, chain.from_iterable(items))) <= {int}:
                return None
            try:  # bytes is the quickest way from Python integers to an array
                values = np.frombuffer(bytes(chain.from_iterable(items)), dtype=np.uint8)
            except ValueError:  # not in 0 .. 255
                return None
            return values.reshape(-1, self.code_length).astype(np.int16)
        if items.dtype.kind not in "iu" or items.ndim != 2 or items.shape[1] != self.code_length:
            return None
        return items

    def _encode_one(self, item: Any, row: int) -> tuple[int, ...]:
        try:
            if isinstance(item, str):
                return self.parse(item)
            return self._check_tuple(item)
        except ValueError as error:
            raise ValueError(f"architecture {row} = {_short(item)}: {error}") from None

    def _check_tuple(self, item: Any) -> tuple[int, ...]:
        if isinstance(item, dict | bytes) or not isinstance(item, Iterable):
            raise ValueError(
                f"type {type(item).__name__} is not an architecture. Write a tuple of "
                f"{self.code_length} operation ids such as {self._example()}, or the benchmark's "
                "string."
            )
        values = list(item)
        if len(values) != self.code_length:
            raise ValueError(
                f"it has {len(values)} entries; {self.name} needs {self.code_length}, one "
                f"operation id an edge, such as {self._example()}."
            )
        for position, value in enumerate(values):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)
            if not whole and not (isinstance(value, float | np.floating) and value.is_integer()):
                raise ValueError(
                    f"entry {position} is {value!r} of type {type(value).__name__}; it must be an "
                    f"operation id, a whole number 0..{len(self.operations) - 1}."
                    + (
                        f" {value!r} has id {self.operations.index(value)}."
                        if isinstance(value, str) and value in self.operations
                        else ""
                    )
                )
        return tuple(int(min(max(value, -128), 127)) for value in values)

    def _parse_tuple_text(self, text: str) -> tuple[int, ...] | None:
        """A written tuple such as ``"(4, 0, 3, 1, 4, 3)"``; None if the text is not one."""
        if not _TUPLE_TEXT.fullmatch(text):
            return None
        codes = self._check_tuple([min(int(digits), 127) for digits in re.findall(r"\d+", text)])
        unknown = [code for code in codes if code >= len(self.operations)]
        if unknown:
            raise ValueError(
                f"operation id {unknown[0]} is unknown in {self.name}; ids are "
                f"0..{len(self.operations) - 1}."
            )
        return codes

    @abstractmethod
    def _example(self) -> tuple[int, ...]:
        """An architecture to show in messages."""

    def decode(self, codes: Any) -> list[tuple[int, ...]]:
        """Architectures as a list of tuples of Python integers."""
        return list(map(tuple, self.encode(codes).tolist()))

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = False,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.int8]:
        """Draw architectures uniformly at random.

        Parameters
        ----------
        n : int
            How many; at least 1 and, without replacement, at most the size of the pool.
        valid_only : bool
            Draw from the valid networks only.
        replace : bool
            Draw with replacement.
        random_state : int, numpy Generator or None
            Seed; the same seed gives the same sample.

        Returns
        -------
        ndarray of shape (n, code_length), int8
        """
        pool = self.enumerate()
        if valid_only:
            pool = pool[self.is_valid(pool)]
        if not isinstance(n, int | np.integer) or n < 1 or (n > len(pool) and not replace):
            raise ValueError(
                f"n={n!r} cannot be drawn: it must be a whole number from 1 to {len(pool):,} (the "
                f"{'valid ' if valid_only else ''}architectures of {self.name}), or pass "
                "replace=True."
            )
        rng = np.random.default_rng(random_state)
        return pool[rng.choice(len(pool), size=int(n), replace=replace)]

    def one_hot(self, architectures: Any) -> NDArray[np.float64]:
        """One indicator for each position and operation, positions first (shape (n, L * O))."""
        codes = self.encode(architectures)
        return np.eye(len(self.operations))[codes].reshape(len(codes), -1)

    def one_hot_names(self) -> list[str]:
        """Names of the columns of `one_hot`."""
        return [f"{p}={op}" for p in self.position_names() for op in self.operations]

    def position_names(self) -> list[str]:
        """What each position of the code stands for."""
        return [f"position {i}" for i in range(self.code_length)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


def _short(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def subsets(ids: Sequence[int]) -> list[tuple[int, ...]]:
    """All non-empty subsets, by size and then by id (GRAF's column order)."""
    return list(chain.from_iterable(combinations(ids, k) for k in range(1, len(ids) + 1)))
