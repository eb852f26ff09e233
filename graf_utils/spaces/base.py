"""What every search space has: codes, checks, samples and a batch of graphs."""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
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
    size three small arrays. Where operations sit on nodes (`node_ops`), an edge is labelled with
    the operation of its target; see `on_nodes`.

    Parameters
    ----------
    operations : tuple of str
        Names of the labels; the position is the id.
    n_nodes : int
        Number of node places of every graph.
    edges : ndarray of shape (n_slots, 2)
        Source and target of each slot.
    edge_ops : ndarray of shape (n_graphs, n_slots), int8
        Operation id in each slot, `ABSENT` (-1) where there is no edge.
    inputs : tuple of int
        The nodes that paths start from.
    output : int
        The node that paths end at.
    node_ops : ndarray of shape (n_graphs, n_nodes), int8, optional
        Where operations sit on nodes: the id of each node, `ABSENT` for an unused place.
    free : tuple of str
        Labels that are in no set of operations and close a path without being counted, such as
        ``output`` in NB101 and ``out`` in DARTS.

    Raises
    ------
    ValueError
        A slot does not go forward, the shapes do not fit, or an id is out of range.
    """

    operations: tuple[str, ...]
    n_nodes: int
    edges: NDArray[np.intp]
    edge_ops: NDArray[np.int8]
    inputs: tuple[int, ...] = (0,)
    output: int = field(default=-1)
    node_ops: NDArray[np.int8] | None = None
    free: tuple[str, ...] = ()

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
        for name, width, what in (
            ("edge_ops", len(edges), "edge slot"),
            ("node_ops", self.n_nodes, "node"),
        ):
            ops = getattr(self, name)
            if ops is None:
                continue
            ops = np.asarray(ops)
            if ops.ndim != 2 or ops.shape[1] != width:
                raise ValueError(
                    f"{name} has shape {ops.shape}; it must be (n_graphs, {width}), a "
                    f"column for each {what}."
                )
            if ops.size and not (ops.min() >= ABSENT and ops.max() < len(self.operations)):
                raise ValueError(
                    f"{name} holds ids {ops.min()}..{ops.max()}; they must lie in "
                    f"0..{len(self.operations) - 1}, or be {ABSENT} where there is no "
                    f"{what.split()[0]}."
                )
            object.__setattr__(self, name, ops.astype(np.int8, copy=False))
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "output", self.output % self.n_nodes)

    @classmethod
    def on_nodes(
        cls,
        operations: tuple[str, ...],
        edges: Any,
        present: NDArray[np.bool_],
        node_ops: NDArray[np.int8],
        free: tuple[str, ...] = (),
    ) -> GraphBatch:
        """Graphs with operations on nodes, from which slots hold an edge (n_graphs, n_slots)."""
        edges = np.asarray(edges, dtype=np.intp)
        edge_ops = np.where(present, node_ops[:, edges[:, 1]], np.int8(ABSENT))
        return cls(operations, node_ops.shape[1], edges, edge_ops, node_ops=node_ops, free=free)

    def __len__(self) -> int:
        return len(self.edge_ops)

    def __getitem__(self, rows: slice | NDArray[Any]) -> GraphBatch:
        """The graphs of a slice, an index array or a mask, as a new batch."""
        node_ops = None if self.node_ops is None else self.node_ops[rows]
        return replace(self, edge_ops=self.edge_ops[rows], node_ops=node_ops)

    @property
    def source_ops(self) -> NDArray[np.int8]:
        """As `edge_ops`, with the operation of the source where operations sit on nodes."""
        if self.node_ops is None:
            return self.edge_ops
        there = self.edge_ops != ABSENT
        return np.where(there, self.node_ops[:, self.edges[:, 0]], np.int8(ABSENT))

    @property
    def sizes(self) -> NDArray[np.int16]:
        """Number of nodes of each graph."""
        if self.node_ops is None:
            return np.full(len(self), self.n_nodes, dtype=np.int16)
        return (self.node_ops != ABSENT).sum(axis=1, dtype=np.int16)

    def to_networkx(self, row: int) -> nx.DiGraph:
        """One graph as networkx; the operation's name is the attribute ``op`` of edge or node."""
        graph = nx.DiGraph()
        if self.node_ops is None:
            graph.add_nodes_from(range(self.n_nodes))
        else:
            used = [(v, op) for v, op in enumerate(self.node_ops[row].tolist()) if op != ABSENT]
            graph.add_nodes_from((v, {"op": self.operations[op]}) for v, op in used)
        for (source, target), op in zip(self.edges.tolist(), self.edge_ops[row], strict=True):
            if op != ABSENT:
                label = {} if self.node_ops is not None else {"op": self.operations[op]}
                graph.add_edge(source, target, **label)
        return graph


class SearchSpace(ABC):
    """A search space: its operations and the ways to write an architecture.

    Architectures travel as *codes*: an int8 array of shape (n_architectures, `code_length`), the
    tuple of each architecture in a row, filled up with -1 where tuples differ in length. Every
    method that takes architectures also takes what people have at hand: tuples, benchmark strings,
    an integer array, a pandas column of any of these.
    """

    name: str
    title: str
    """The benchmark's name, for messages."""
    operations: tuple[str, ...]
    code_length: int
    first_id: int = 0
    """Id of the first operation in a code."""
    free: tuple[str, ...] = ()
    """Labels of the graphs that are in no set of operations (`GraphBatch`)."""
    cells: tuple[str, ...] = ("",)
    """Names of the cells of an architecture; the key of each in `graph_batch` where several."""
    inputs: tuple[str, ...] = ("",)
    """Names of the input nodes of a cell."""
    families: tuple[str, ...] = (
        "op_count",
        "min_path_len",
        "max_path_len",
        "input_degree",
        "output_degree",
        "mean_in_degree",
        "mean_out_degree",
    )
    """GRAF families defined for the space."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the graphs: the free ones that are no operation of a code, then operations."""
        return (*(label for label in self.free if label not in self.operations), *self.operations)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths an architecture's tuple may have."""
        return (self.code_length,)

    def parse(self, text: str) -> tuple[Any, ...]:
        """Read one architecture from text, the benchmark's own spelling or a written tuple.

        Raises
        ------
        ValueError
            The text is of another benchmark, names an unknown operation, or has another shape.
        """
        code = self._read(text)
        if self._wrong(np.array([code])).any():
            raise ValueError(f"{text!r}: {self._explain(code)}")
        return self._tuple(code)

    def _read(self, text: str) -> tuple[int, ...]:
        """The code of one architecture given as text; its values are checked by the caller."""
        if not isinstance(text, str):
            raise ValueError(
                f"{text!r} of type {type(text).__name__} is not text. Pass a string, or use "
                "encode for tuples."
            )
        written = self._parse_tuple_text(text)
        return self._parse(text) if written is None else written

    @abstractmethod
    def _parse(self, text: str) -> tuple[int, ...]:
        """As `_read`, of text that is not a written tuple: the benchmark's own spelling."""

    @abstractmethod
    def graph_batch(self, architectures: Any) -> GraphBatch | dict[str, GraphBatch]:
        """Turn architectures into a `GraphBatch`, or one for each of `cells` where several."""

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
        codes = self._collect(architectures)
        wrong = self._wrong(codes)
        if wrong.any():
            row = int(wrong.argmax())
            item = tuple(codes[row].tolist())
            raise ValueError(f"architecture {row} = {_short(item)}: {self._explain(item)}")
        return codes.astype(np.int8)

    def _collect(self, architectures: Any) -> NDArray[np.integer]:
        """Architectures as rows of integers, not yet checked against the rules of the space."""
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
        if isinstance(architectures, np.ndarray) and architectures.ndim == 0:
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
        return codes

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which rows break a rule of the space."""
        if codes.min() >= 0 and codes.max() < len(self.operations):  # the quick answer
            return np.zeros(len(codes), dtype=bool)
        return ((codes < 0) | (codes >= len(self.operations))).any(axis=1)

    def _explain(self, code: tuple[int, ...]) -> str:
        """The rule that a row of `_wrong` breaks, and the remedy."""
        position = next(i for i, op in enumerate(code) if not 0 <= op < len(self.operations))
        return (
            f"operation id {code[position]} at position {position} is unknown in {self.name}. Ids "
            f"are 0..{len(self.operations) - 1}: "
            + ", ".join(f"{i} {op}" for i, op in enumerate(self.operations))
            + "."
        )

    def _as_integers(self, items: Any) -> NDArray[np.integer] | None:
        """The items as one integer array, or None where a row must be looked at alone."""
        if isinstance(items, np.ndarray):
            plain = items.dtype.kind in "iu" and items.ndim == 2
            return items if plain and items.shape[1] == self.code_length else None
        if not set(map(type, items)) <= {tuple, list}:
            return None
        lengths = list(map(len, items))
        if not set(lengths) <= set(self.lengths):
            return None
        if not set(map(type, chain.from_iterable(items))) <= {int}:
            return None
        try:  # bytes is the quickest way from Python integers to an array
            values = np.frombuffer(bytes(chain.from_iterable(items)), dtype=np.uint8)
        except ValueError:  # not in 0 .. 255
            return None
        if len(set(lengths)) == 1 and lengths[0] == self.code_length:
            return values.reshape(-1, self.code_length).astype(np.int16)
        codes = np.full((len(items), self.code_length), -1, dtype=np.int16)
        codes[np.arange(self.code_length) < np.array(lengths)[:, None]] = values
        return codes

    def _encode_one(self, item: Any, row: int) -> tuple[int, ...]:
        try:
            if isinstance(item, str):
                return self._read(item)
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
        if len(values) not in (*self.lengths, self.code_length):
            raise ValueError(
                f"it has {len(values)} entries; {self.name} needs "
                f"{' or '.join(map(str, self.lengths))}, such as {self._example()}."
            )
        for position, value in enumerate(values):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)
            if not whole and not (isinstance(value, float | np.floating) and value.is_integer()):
                raise ValueError(
                    f"entry {position} is {value!r} of type {type(value).__name__}; it must be a "
                    f"whole number, an operation id {self.first_id}.."
                    f"{self.first_id + len(self.operations) - 1}."
                    + (
                        f" {value!r} has id {self.first_id + self.operations.index(value)}."
                        if isinstance(value, str) and value in self.operations
                        else ""
                    )
                )
        code = [int(min(max(value, -128), 127)) for value in values]
        return tuple(code + [-1] * (self.code_length - len(code)))

    def _parse_tuple_text(self, text: str) -> tuple[int, ...] | None:
        """A written tuple such as ``"(4, 0, 3, 1, 4, 3)"``; None if the text is not one."""
        if not _TUPLE_TEXT.fullmatch(text):
            return None
        numbers = re.findall(r"\d+", text)
        return self._check_tuple([int(digits) if len(digits) < 4 else 127 for digits in numbers])

    def _known(self, op: Any, where: str = "") -> int:
        """The id of an operation's name."""
        if op not in self.operations:
            raise ValueError(
                f"{where}operation {op!r} is unknown in {self.name}; it must be one of "
                f"{list(self.operations)}.{nearest(op, self.operations)}"
            )
        return self.operations.index(op)

    @abstractmethod
    def _example(self) -> tuple[int, ...]:
        """An architecture to show in messages."""

    def decode(self, codes: Any) -> list[tuple[int, ...]]:
        """Architectures as a list of tuples of Python integers."""
        return list(map(self._tuple, self.encode(codes).tolist()))

    def _tuple(self, code: Sequence[int]) -> tuple[Any, ...]:
        """The architecture's own tuple for one code."""
        return tuple(code[: code.index(-1)] if -1 in code else code)

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
        ids = np.arange(self.first_id, self.first_id + len(self.operations), dtype=np.int8)
        one_hot = codes[:, :, None] == ids
        return one_hot.reshape(len(codes), -1).astype(float)

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
