"""One network as a directed acyclic graph of operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import nearest, numbers_of, short, whole_array
from graf_utils.operators.kinds import INPUT, KINDS, OUTPUT, UNSHARED
from graf_utils.operators.layers import Layer, arranged

__all__ = ["OperatorGraph"]


@dataclass(frozen=True, eq=False)
class OperatorGraph:
    """A network: its operators, what feeds what, and numbers of each.

    Nodes are ``0 .. n_nodes - 1`` in topological order. An operator that takes a value twice, such
    as x + x, has two edges from it.

    Parameters
    ----------
    kinds : sequence of str, of length n_nodes
        Names of `graf_utils.operators.KINDS`; at least one ``input`` and one ``output``.
    edges : array-like of int, of shape (n_edges, 2)
        Source and target of each edge, source < target. Nothing enters an input, nothing leaves an
        output.
    numbers : mapping of str to array-like of shape (n_nodes,), optional
        Numbers of the nodes, such as those of `graf_utils.operators.NUMBERS`, which says what each
        is and where it is 0 and where NaN; none is negative.
    labels : sequence of str, of length n_nodes, optional
        A finer name of each node, such as ``relu``; ``""`` where there is none.
    shared : array-like of int, of shape (n_nodes,), optional
        Which nodes read the same weights: equal numbers from 0 for those that do, `UNSHARED` (-1)
        for all others. The weights of a group are taken to be those of its node that has most.

    Raises
    ------
    ValueError
        A kind is unknown, an edge does not go forward, or an array has another length.

    Examples
    --------
    >>> graph = OperatorGraph(["input", "conv", "add", "output"], [(0, 1), (0, 2), (1, 2), (2, 3)])
    >>> graph.n_nodes, graph.to_networkx().out_degree(0)
    (4, 2)
    """

    kinds: tuple[str, ...]
    edges: NDArray[np.intp]
    numbers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    shared: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", _checked_kinds(self.kinds))
        object.__setattr__(self, "edges", self._checked_edges())
        object.__setattr__(self, "numbers", self._checked_numbers())
        labels = tuple(self.labels) or ("",) * self.n_nodes
        if isinstance(self.labels, str) or len(labels) != self.n_nodes:
            raise ValueError(
                f"labels={short(self.labels)} must be a list of {self.n_nodes} texts, one per "
                "node. Write '' for a node that has none."
            )
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "shared", self._checked_groups())

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.kinds)

    def _checked_edges(self) -> NDArray[np.intp]:
        """The edges as pairs of node numbers, sorted by target."""
        edges = whole_array("edges", self.edges).astype(np.intp)
        edges = edges if edges.size else edges.reshape(0, 2)
        if edges.ndim != 2 or edges.shape[1] != 2:
            raise ValueError(
                f"edges has shape {edges.shape}; it must be (n_edges, 2): a source and a target "
                "per edge."
            )
        outside = (edges < 0) | (edges >= self.n_nodes)
        backward = edges[:, 0] >= edges[:, 1]
        for wrong, rule in (
            (outside.any(axis=1), f"nodes are 0..{self.n_nodes - 1}"),
            (backward, "the source must come before the target (number nodes topologically)"),
            (self._is(INPUT)[edges[:, 1] % self.n_nodes], "nothing may enter an input"),
            (self._is(OUTPUT)[edges[:, 0] % self.n_nodes], "nothing may leave an output"),
        ):
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise ValueError(f"edges[{row}]={edges[row].tolist()}: {rule}.")
        edges = edges[np.lexsort((edges[:, 0], edges[:, 1]))]
        return _frozen(edges)

    def _is(self, kind: str) -> NDArray[np.bool_]:
        """Which nodes are of a kind."""
        return np.array([each == kind for each in self.kinds])

    def _checked_numbers(self) -> dict[str, NDArray[np.float64]]:
        """Numbers of the nodes by name."""
        if not isinstance(self.numbers, Mapping):
            raise ValueError(
                f"numbers={short(self.numbers)} must map a name to an array of {self.n_nodes} "
                "numbers, such as numbers={'parameters': [0, 9, 0]}."
            )
        checked = {}
        for name, given in self.numbers.items():
            values = numbers_of(given)
            good = values is not None and values.shape == (self.n_nodes,)
            if not good or np.isinf(values).any() or (values < 0).any():
                raise ValueError(
                    f"numbers[{name!r}]={short(given)} must hold {self.n_nodes} finite numbers "
                    "from 0, one per node. Write NaN where a node has none."
                )
            checked[name] = _frozen(values.copy())
        return checked

    def _checked_groups(self) -> NDArray[np.intp]:
        """The group of shared weights of each node."""
        if self.shared is None:
            return _frozen(np.full(self.n_nodes, UNSHARED))
        groups = whole_array("shared", self.shared).astype(np.intp)
        if groups.shape != (self.n_nodes,) or (groups < UNSHARED).any():
            raise ValueError(
                f"shared={short(self.shared)} must hold {self.n_nodes} whole numbers from 0, one "
                f"per node, and {UNSHARED} where weights are a node's alone."
            )
        return _frozen(groups)

    def __len__(self) -> int:
        return self.n_nodes

    def __eq__(self, other: object) -> bool:
        """Equal are graphs of the same nodes, edges, numbers, labels and shared weights."""
        if not isinstance(other, OperatorGraph):
            return NotImplemented
        return (
            (self.kinds, self.labels) == (other.kinds, other.labels)
            and np.array_equal(self.edges, other.edges)
            and np.array_equal(self.shared, other.shared)
            and self.numbers.keys() == other.numbers.keys()
            and all(
                np.array_equal(values, other.numbers[name], equal_nan=True)
                for name, values in self.numbers.items()
            )
        )

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def to_networkx(self) -> nx.DiGraph:
        """Return the graph for networkx.

        Returns
        -------
        networkx.DiGraph
            Nodes are numbers; attributes are ``kind``, ``label``, ``shared`` (where weights are
            shared) and the numbers that a node has. A MultiDiGraph if an operator takes a value
            twice.
        """
        pairs = [tuple(pair) for pair in self.edges.tolist()]
        graph = nx.DiGraph() if len(set(pairs)) == len(pairs) else nx.MultiDiGraph()
        for node, (kind, label) in enumerate(zip(self.kinds, self.labels, strict=True)):
            graph.add_node(node, kind=kind, label=label)
            if self.shared[node] != UNSHARED:
                graph.nodes[node]["shared"] = int(self.shared[node])
        for name, values in self.numbers.items():
            for node in np.flatnonzero(~np.isnan(values)).tolist():
                graph.nodes[node][name] = float(values[node])
        graph.add_edges_from(pairs)
        return graph

    @classmethod
    def from_layers(cls, layers: Sequence[Layer]) -> OperatorGraph:
        """Write a network down as a list of layers, without PyTorch.

        The input comes before the first layer and the output behind the last; each layer takes the
        one before it unless its `inputs` say otherwise.

        Parameters
        ----------
        layers : sequence of Layer
            In order; see `graf_utils.operators.Layer`. ``"input"`` in `inputs` is the network's.

        Returns
        -------
        OperatorGraph
            `parameters` and `multiply_adds` are 0 where a layer does not give them, other numbers
            NaN.

        Raises
        ------
        ValueError
            There is no layer, a kind is unknown, or `inputs` name no earlier layer.

        Examples
        --------
        >>> block = [
        ...     Layer("linear", {"parameters": 20}, name="first"),
        ...     Layer("activation", label="relu"),
        ...     Layer("linear", {"parameters": 20}),
        ...     Layer("add", inputs=("first", "")),
        ... ]
        >>> graph = OperatorGraph.from_layers(block)
        >>> graph.edges.tolist()
        [[0, 1], [1, 2], [2, 3], [1, 4], [3, 4], [4, 5]]
        """
        return cls(**arranged(layers))

    @classmethod
    def from_module(cls, model: Any, example_inputs: Any) -> OperatorGraph:
        """Return the graph of operators of a module.

        The module is read in evaluation mode, on a copy without weights: it is left as it is, and
        no weights are allocated. A module that was made under ``torch.device("meta")`` has none
        itself.

        Parameters
        ----------
        model : torch.nn.Module
        example_inputs : Tensor, tuple of Tensor, or mapping of str to Tensor
            One input, several, or several by name. Only shapes and types are read, so that tensors
            may be of the device ``"meta"``.

        Returns
        -------
        OperatorGraph
            The numbers are those of `graf_utils.operators.NUMBERS`, `multiply_adds` and `outputs`
            for the inputs as given; NaN also where a size depends on the numbers in a tensor.
            Labels are the names of PyTorch's operations.

        Raises
        ------
        ValueError
            The model is none, or cannot be traced; the message names its line and the remedy.

        Warns
        -----
        UserWarning
            An operation is not in `OPERATORS`; it becomes the kind ``other``.

        Notes
        -----
        Operations that only move numbers (views, permutations, dropout, a scalar factor) are gone,
        and so is what does not lead from an input to an output. A value that is made of weights
        alone, such as an embedding of positions, belongs to the operator that takes it. Products of
        matrices around a softmax are an attention; a linear layer whose output is cut along its
        channels, such as into queries, keys and values, is one layer per part.

        Examples
        --------
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(inplace=True))
        >>> graph = OperatorGraph.from_module(model, torch.empty(1, 3, 32, 32, device="meta"))
        >>> graph.kinds
        ('input', 'conv', 'activation', 'output')
        >>> graph.numbers["multiply_adds"].tolist()
        [0.0, 194400.0, 0.0, 0.0]
        """
        from graf_utils.operators.tracing import traced  # needs PyTorch

        return cls(**traced(model, example_inputs))


def _checked_kinds(kinds: Any) -> tuple[str, ...]:
    """The kind of each node, with an input and an output among them."""
    listed = () if isinstance(kinds, str) else tuple(map(str, kinds))
    unknown = [kind for kind in listed if kind not in KINDS]
    if unknown:
        raise ValueError(
            f"kinds names {unknown[0]!r}, which is none of {list(KINDS)}."
            f"{nearest(unknown[0], KINDS)} An operator that is none of them is 'other'."
        )
    if INPUT not in listed or OUTPUT not in listed:
        raise ValueError(
            f"kinds={short(kinds)} must be a list of kinds with {INPUT!r} and {OUTPUT!r} among "
            "them, where paths begin and end. Add them."
        )
    return listed


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array
