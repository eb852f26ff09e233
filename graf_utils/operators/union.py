"""Many operator graphs as one: their disjoint union, swept level by level.

The *level* of a node is the length of the longest path to it. What a node holds depends on lower
levels only, so that a sweep settles all nodes of one level, of all graphs, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graf_utils.operators.graph import OperatorGraph
from graf_utils.operators.kinds import FUNCTIONS, INPUT, OUTPUT, kind_ids

__all__ = ["Step", "Union"]


class Step(NamedTuple):
    """The edges into the nodes of one level.

    Parameters
    ----------
    sources : ndarray of shape (n_edges,)
        Where each edge begins, in the order of the targets.
    starts : ndarray of shape (n_targets,)
        Where the edges of each target begin.
    targets : ndarray of shape (n_targets,)
        The nodes of the level that something enters.
    """

    sources: NDArray[np.intp]
    starts: NDArray[np.intp]
    targets: NDArray[np.intp]


class Union:
    """The disjoint union of operator graphs.

    Parameters
    ----------
    graphs : sequence of OperatorGraph
        At least one.

    Attributes
    ----------
    n_graphs, n_nodes : int
    kind : ndarray of shape (n_nodes,)
        Position of each node's kind in `KINDS`.
    graph : ndarray of shape (n_nodes,)
        Which graph each node belongs to.
    source, target : ndarray of shape (n_edges,)
        Ends of the edges.
    level : ndarray of shape (n_nodes,)
        Length of the longest path to each node.
    inputs, outputs : ndarray of shape (n_nodes,), bool
    live : ndarray of shape (n_nodes,), bool
        Nodes on a path from an input to an output.
    """

    def __init__(self, graphs: Sequence[OperatorGraph]) -> None:
        self._graphs = list(graphs)
        sizes = np.array([graph.n_nodes for graph in self._graphs])
        self.n_graphs, self.n_nodes = len(sizes), int(sizes.sum())
        self.offsets = np.cumsum(sizes) - sizes
        self.graph = np.repeat(np.arange(len(sizes)), sizes)
        every = tuple(kind for graph in self._graphs for kind in graph.kinds)
        self.kind = np.array(kind_ids(every))
        self.inputs, self.outputs = (self.kind == kind_ids((k,))[0] for k in (INPUT, OUTPUT))
        edges = [g.edges + offset for g, offset in zip(self._graphs, self.offsets, strict=True)]
        self.source, self.target = np.concatenate(edges).T
        self.level = self._levels()
        self._forward = self._steps(self.source, self.target, self.level)
        self._backward = self._steps(self.target, self.source, -self.level)
        self.live = self._reach(self.inputs) & self._reach(self.outputs, backward=True)

    def _levels(self) -> NDArray[np.intp]:
        """Length of the longest path to each node."""
        order = np.argsort(self.source, kind="stable")
        n_out = np.bincount(self.source, minlength=self.n_nodes)
        first = np.cumsum(n_out) - n_out
        waiting = np.bincount(self.target, minlength=self.n_nodes)
        level = np.zeros(self.n_nodes, dtype=np.intp)
        front, depth = np.flatnonzero(waiting == 0), 0
        while len(front):
            level[front] = depth
            lengths = n_out[front]
            places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            reached = self.target[order[np.repeat(first[front], lengths) + places]]
            np.subtract.at(waiting, reached, 1)
            front, depth = np.unique(reached[waiting[reached] == 0]), depth + 1
        return level

    def _steps(
        self, source: NDArray[np.intp], target: NDArray[np.intp], level: NDArray[np.intp]
    ) -> list[Step]:
        """The edges by the level of their targets."""
        order = np.lexsort((target, level[target]))
        source, target = source[order], target[order]
        levels = level[target]
        cuts = np.flatnonzero(np.diff(levels)) + 1
        steps = []
        for rows in np.split(np.arange(len(order)), cuts):
            targets, starts = np.unique(target[rows], return_index=True)
            steps.append(Step(source[rows], starts, targets))
        return steps if len(order) else []

    def sweep(self, backward: bool = False) -> list[Step]:
        """Return the edges, level by level.

        Parameters
        ----------
        backward : bool
            From the outputs, with the ends of the edges exchanged.

        Returns
        -------
        list of Step
        """
        return self._backward if backward else self._forward

    def _reach(self, start: NDArray[np.bool_], backward: bool = False) -> NDArray[np.bool_]:
        """Which nodes a path from `start` leads to."""
        reached = start.copy()
        for step in self.sweep(backward):
            reached[step.targets] |= np.logical_or.reduceat(reached[step.sources], step.starts)
        return reached

    def per_graph(self, function: np.ufunc, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Reduce values of nodes to one per graph.

        Parameters
        ----------
        function : numpy.ufunc
            Such as `numpy.add`.
        values : ndarray of shape (n_nodes, ...)

        Returns
        -------
        ndarray of shape (n_graphs, ...)
        """
        return function.reduceat(values, self.offsets, axis=0)

    def number(self, name: str) -> NDArray[np.float64]:
        """Return a number of all nodes.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of shape (n_nodes,)
            NaN where a graph or a node has none.
        """
        parts = [
            graph.numbers[name] if name in graph.numbers else np.full(graph.n_nodes, np.nan)
            for graph in self._graphs
        ]
        return np.concatenate(parts)

    def function(self, kind: str) -> NDArray[np.intp]:
        """Return which function of `FUNCTIONS` each node of a kind is.

        Parameters
        ----------
        kind : str

        Returns
        -------
        ndarray of shape (n_nodes,)
            Position in ``FUNCTIONS[kind]``, its length for other functions, -1 for other kinds.
        """
        known = {name: position for position, name in enumerate(FUNCTIONS[kind])}
        labels = [label for graph in self._graphs for label in graph.labels]
        positions = np.array([known.get(label, len(known)) for label in labels])
        return np.where(self.kind == kind_ids((kind,))[0], positions, -1)

    def shared(self) -> NDArray[np.intp]:
        """Return the group of shared weights of each node, other numbers in each graph.

        Returns
        -------
        ndarray of shape (n_nodes,)
            -1 where weights are a node's alone.
        """
        groups, first = [], 0
        for graph in self._graphs:
            groups.append(np.where(graph.shared < 0, -1, graph.shared + first))
            first += int(graph.shared.max()) + 1
        return np.concatenate(groups)

    def distinct_parameters(self) -> NDArray[np.float64]:
        """Return the number of weights of each graph, those that several operators read once.

        Of operators that share weights, the one that reads most counts.

        Returns
        -------
        ndarray of shape (n_graphs,)
        """
        parameters, groups = np.nan_to_num(self.number("parameters")), self.shared()
        shares = groups >= 0
        most = np.zeros(groups.max(initial=-1) + 1)
        np.maximum.at(most, groups[shares], parameters[shares])
        of_graph = np.zeros(len(most), dtype=np.intp)
        of_graph[groups[shares]] = self.graph[shares]
        alone = self.per_graph(np.add, parameters * ~shares)
        return alone + np.bincount(of_graph, most, minlength=self.n_graphs)
