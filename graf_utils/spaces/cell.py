"""A cell with a fixed wiring and an operation to choose on each edge or on each inner node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import ABSENT, GraphBatch, signed_dtype
from graf_utils.spaces.as_networkx import from_networkx
from graf_utils.spaces.cell_codes import CellCodes
from graf_utils.spaces.isomorphism import expressions
from graf_utils.spaces.numbers import check_numbers
from graf_utils.spaces.pruning import carrying
from graf_utils.spaces.wiring import NONE, SKIP, check_operations, check_wiring


class CellSpace(CellCodes):
    """A search space of your own: one wiring, and an operation on every edge or inner node.

    An architecture is the tuple of operation ids of the edges in the order given, or of the inner
    nodes in their order. NAS-Bench-201 and TransNAS-Bench-101-micro are small subclasses.

    Parameters
    ----------
    operations : sequence of str
        Names of the operations; the position is the id. ``none`` and ``skip_connect`` have their
        meaning in `prune`, `is_valid` and `canonical`, and are labels like any other in GRAF.
    edges : sequence of (int, int), optional
        Source and target of each edge, source < target; the largest node is the output. A pair
        listed twice is two parallel edges, each with an operation of its own.
    adjacency : array of shape (n, n), optional
        Instead of `edges`: an upper triangular matrix of 0 and 1; edges are taken row by row.
    inputs : sequence of int, optional
        The input nodes, into which no edge leads; by default the smallest node. Features that start
        from an input are named after it: ``min_path_len.0[conv]``.
    sizes : sequence of int, optional
        How many nodes a cell may have; by default all of the wiring. The cell with k nodes is the
        first k nodes with the edges among them, and the last of these is its output: so chains of
        two to four layers are ``edges=[(0, 1), (1, 2), (2, 3), (3, 4)], sizes=(3, 4, 5)``. Its
        tuple is as much shorter; its code is filled up with -1.
    numbers : mapping, optional
        Numbers of operations, such as ``{"kernel": {"conv": [3, 5], "pool": 3}}``. An operation
        with a list chooses: behind the id of the operation, at each place, the tuple holds which of
        the list it is, counted from 0 (0 as well for operations without a choice). A list instead
        of a mapping, ``{"width": [16, 32]}``, is for all operations but ``none`` and
        ``skip_connect``. What is not named has no such number.
    ops_on : {"edges", "nodes"}
        Where the operations sit.
    name : str
        Name for messages.

    Raises
    ------
    ValueError
        No or repeated operations, an edge that goes backward, a node that lies on no path from an
        input to the output, or inputs, sizes or numbers that do not fit.

    Notes
    -----
    A cell that lacks a node in its *middle* is none of these. Where a layer can be left out
    anywhere, give it an operation that stands for it: ``skip_connect`` is the identity, ``none`` an
    edge that is not there.

    Examples
    --------
    >>> space = CellSpace(["conv", "pool"], edges=[(0, 1), (0, 2), (1, 2)])
    >>> space.enumerate().shape
    (8, 3)
    >>> chain = CellSpace(["conv", "skip_connect"], [(0, 1), (1, 2)], sizes=(2, 3),
    ...                   numbers={"kernel": {"conv": [3, 5, 7]}})
    >>> chain.position_names()
    ['0-1', '0-1 kernel', '1-2', '1-2 kernel']
    >>> chain.from_codes(chain.enumerate())[:6]  # 4 of one layer, 16 of two
    [(0, 0), (0, 1), (0, 2), (1, 0), (0, 0, 0, 0), (0, 0, 0, 1)]
    """

    title = "CellSpace"
    fixed_wiring = True

    def __init__(
        self,
        operations: Sequence[str],
        edges: Sequence[tuple[int, int]] | None = None,
        *,
        adjacency: Any = None,
        inputs: Sequence[int] | None = None,
        sizes: Sequence[int] | None = None,
        numbers: Mapping[str, Any] | None = None,
        ops_on: str = "edges",
        name: str = "cell",
    ) -> None:
        self.name = name
        self.operations = check_operations(operations)
        wiring = check_wiring(edges, adjacency, inputs, sizes, ops_on)
        self.edges, self.input_nodes, self.sizes = wiring
        self.nodes = tuple(range(min(map(min, self.edges)), max(map(max, self.edges)) + 1))
        self.ops_on = ops_on
        if ops_on == "nodes":
            self.free = ("input", "output")
        if len(self.input_nodes) > 1:
            self.inputs = tuple(map(str, self.input_nodes))
        active = tuple(op for op in self.operations if op not in (SKIP, NONE))
        if SKIP in self.operations and active and not self.groups:
            self.groups = {"not_skip": active}
        self.numbers = check_numbers(numbers, self.operations)
        self.code_length = self.places.depths[-1] * self.places.width

    def to_networkx(self, architecture: Any) -> nx.DiGraph:
        """Return one cell as networkx.

        Parameters
        ----------
        architecture : tuple or str

        Returns
        -------
        networkx.DiGraph
            The operation's name is the attribute ``op`` of edge or node.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (batch,) = self.graph_batch([architecture]).values()
        graph = batch.to_networkx(0)
        return nx.relabel_nodes(graph, dict(enumerate(self.nodes)))

    def from_networkx(self, graph: nx.DiGraph) -> tuple[int, ...]:
        """Read a cell from a graph like the one `to_networkx` gives.

        Parameters
        ----------
        graph : networkx.DiGraph
            With the wiring of this space, the operations' names as attribute ``op``, and numbers
            that are chosen under their names. A MultiDiGraph where edges are parallel.

        Returns
        -------
        tuple of int
            The operation ids.

        Raises
        ------
        ValueError
            Another wiring, or an operation or a number that is missing or unknown.
        """
        return from_networkx(self, graph)

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Turn cells into graphs with nodes 0 to n - 1, the output.

        See `SearchSpace.graph_batch`; the only key is ``""``. Where `sizes` has several, graphs end
        at different nodes (`GraphBatch.ends`).
        """
        codes = self.to_codes(architectures)
        ops, ends = codes[:, :: self.places.width], self._ends(codes)
        numbers = self._labelled(codes)
        options: dict[str, Any] = {
            "node_names": tuple(map(str, self.nodes)),
            "inputs": tuple(node - self.nodes[0] for node in self.input_nodes),
            "ends": ends if len(self.sizes) > 1 else None,
            "dead": (NONE,) if NONE in self.operations else (),
        }
        edges = np.array(self.edges) - self.nodes[0]
        if self.ops_on == "edges":
            options["numbers"] = numbers
            return {"": GraphBatch(self.labels, len(self.nodes), edges, ops, **options)}
        first, last = map(self.labels.index, self.free)
        shape = len(codes), len(self.nodes)
        inner = [v for v in range(shape[1] - 1) if v not in options["inputs"]]
        node_ops = np.full(shape, ABSENT, dtype=signed_dtype(len(self.labels)))
        node_ops[:, list(options["inputs"])] = first
        shift = len(self.labels) - len(self.operations)
        node_ops[:, inner] = np.where(ops == ABSENT, ABSENT, ops.astype(node_ops.dtype) + shift)
        node_ops[np.arange(len(codes)), ends] = last
        present = edges[:, 1] <= ends[:, None]
        for name, values in numbers.items():
            numbers[name] = np.full(shape, np.nan)
            numbers[name][:, inner] = values
        batch = GraphBatch.on_nodes(self.labels, edges, present, node_ops, self.free)
        return {"": replace(batch, numbers=numbers, **options)}

    def prune(self, architectures: Any) -> NDArray[np.integer]:
        """Set to `none` what cannot carry signal.

        With operations on edges, an edge survives if and only if it lies on an input-output path
        free of `none`. Spaces with operations on nodes, or without `none`, stay as they are.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), `code_dtype`

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        codes = self.to_codes(architectures)
        if NONE not in self.operations or self.ops_on == "nodes":
            return codes
        none, width = self.operations.index(NONE), self.places.width
        ops = codes[:, ::width]
        edges = [(source - self.nodes[0], target - self.nodes[0]) for source, target in self.edges]
        inputs = [node - self.nodes[0] for node in self.input_nodes]
        live = (ops != none) & (ops != ABSENT)
        dead = (ops != ABSENT) & ~carrying(edges, live, inputs, self._ends(codes))
        entries = codes.reshape(*ops.shape, width)
        entries[dead] = [none] + [0] * (width - 1)
        return codes

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell which cells `prune` leaves as they are.

        See `SearchSpace.is_valid`.
        """
        codes = self.to_codes(architectures)
        return (self.prune(codes) == codes).all(axis=1)

    def canonical(self, architectures: Any, *, zeros: str = "kept") -> list[str]:
        """What each cell computes, as a nested expression of its input.

        `skip_connect` is the identity, `none` is absence, and the addends of a node are unordered;
        two cells are isomorphic when their expressions are equal. The input is written ``0``, an
        absent addend ``#``, an operation ``(expression)@op``.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.
        zeros : {"kept", "dropped"}
            ``"kept"`` is the rule of NAS-Bench-201 (Dong & Yang, 2020): 6,466 classes in its 15,625
            cells. It compares text, shows a ``#`` for each absent addend, and so tells some cells
            apart that compute the same. ``"dropped"`` leaves absent addends out and merges nested
            sums: equal expressions then mean equal functions, 4,930 classes in NAS-Bench-201.

        Returns
        -------
        list of str
            One expression per cell.

        Raises
        ------
        ValueError
            An unknown rule, or as `to_codes`.
        """
        if zeros not in ("kept", "dropped"):
            raise ValueError(f"zeros={zeros!r} is not a rule; it must be 'kept' or 'dropped'.")
        (batch,) = self.graph_batch(architectures).values()
        return expressions(batch, SKIP, NONE, keep=zeros == "kept")

    def classes(self, architectures: Any, *, zeros: str = "kept") -> NDArray[np.intp]:
        """Number the isomorphism classes of cells.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.
        zeros : {"kept", "dropped"}
            See `canonical`.

        Returns
        -------
        ndarray of shape (n_architectures,)
            Equal numbers for equal `canonical` forms.

        Raises
        ------
        ValueError
            As `canonical`.
        """
        return np.unique(self.canonical(architectures, zeros=zeros), return_inverse=True)[1]

    def __repr__(self) -> str:
        if hasattr(type(self), "operations"):  # a class with operations of its own
            return super().__repr__()
        edges, ops = list(self.edges), list(self.operations)
        options = {
            "inputs": (self.input_nodes, self.nodes[:1]),
            "sizes": (self.sizes, (len(self.nodes),)),
            "numbers": (self.numbers, {}),
        }
        given = [f"{key}={value!r}, " for key, (value, usual) in options.items() if value != usual]
        arguments = f"{ops}, {edges}, {''.join(given)}ops_on={self.ops_on!r}, name={self.name!r}"
        return f"{type(self).__name__}({arguments})"
