"""What lies on the paths from inputs to outputs, by sweeps over a union of graphs.

No path is listed. Numbers of paths are kept as logarithms, for a network of some hundred residual
blocks has more than a float can hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graf_utils.operators.union import Union

_ROUNDING = 1e-7  # of a standard deviation: what rounding leaves where all paths are equal

__all__ = ["Moments", "cheapest_path", "fed_through", "log_paths", "path_moments"]


def cheapest_path(
    union: Union, cost: NDArray[np.float64], blocked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Cost of the cheapest path from an input to an output.

    Parameters
    ----------
    union : Union
    cost : ndarray of shape (n_nodes, n_columns)
        What a node on the path costs, of any sign.
    blocked : ndarray of shape (n_nodes, n_columns), bool
        Nodes that no path may pass.

    Returns
    -------
    ndarray of shape (n_graphs, n_columns)
        Infinite where there is no path.
    """
    cost = np.where(blocked, np.inf, cost)
    reached = np.where(union.inputs[:, None], cost, np.inf)
    for sources, starts, targets in union.sweep():
        least = np.minimum.reduceat(reached[sources], starts, axis=0)
        reached[targets] = least + cost[targets]
    reached[~union.outputs] = np.inf
    return union.per_graph(np.minimum, reached)


def fed_through(
    union: Union, start: NDArray[np.bool_], clear: NDArray[np.bool_], backward: bool = False
) -> NDArray[np.bool_]:
    """Nodes that some nodes feed, directly or through clear nodes only.

    Parameters
    ----------
    union : Union
    start : ndarray of shape (n_nodes,), bool
        The nodes that feed.
    clear : ndarray of shape (n_nodes,), bool
        Nodes through which they do.
    backward : bool
        Find the nodes that feed `start` instead.

    Returns
    -------
    ndarray of shape (n_nodes,), bool
    """
    fed, passing = np.zeros(union.n_nodes, dtype=bool), start.copy()
    for sources, starts, targets in union.sweep(backward):
        fed[targets] = np.logical_or.reduceat(passing[sources], starts)
        passing[targets] |= fed[targets] & clear[targets]
    return fed


def log_paths(union: Union, blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Natural logarithm of the number of paths that avoid some nodes.

    Parameters
    ----------
    union : Union
    blocked : ndarray of shape (n_nodes, n_columns), bool

    Returns
    -------
    ndarray of shape (n_graphs, n_columns)
        Minus infinity where there is none.
    """
    return union.per_graph(np.logaddexp, _log_paths_to(union, blocked, ends_only=True))


def _log_paths_to(
    union: Union, blocked: NDArray[np.bool_], ends_only: bool = False
) -> NDArray[np.float64]:
    """Logarithm of the number of paths from inputs to each node, or to each output."""
    log = np.where(union.inputs[:, None] & ~blocked, 0.0, -np.inf)
    for sources, starts, targets in union.sweep():
        total = np.logaddexp.reduceat(log[sources], starts, axis=0)
        log[targets] = np.where(blocked[targets], -np.inf, total)
    if ends_only:
        log[~union.outputs] = -np.inf
    return log


class Moments(NamedTuple):
    """Mean and standard deviation over all paths of a sum along the path.

    Parameters
    ----------
    mean, std : ndarray of shape (n_graphs, n_columns)
        0 where there is no path.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def path_moments(union: Union, values: NDArray[np.float64]) -> Moments:
    """Mean and standard deviation, over all paths, of the sum of values along a path.

    The paths to a node are those to its sources, each in the proportion of its number: means and
    variances of such a mixture follow from those of the parts.

    Parameters
    ----------
    union : Union
    values : ndarray of shape (n_nodes, n_columns)
        What a node adds.

    Returns
    -------
    Moments
    """
    log = _log_paths_to(union, np.zeros((union.n_nodes, 1), dtype=bool))[:, 0]
    mean = np.where(union.inputs[:, None], values, 0.0)
    variance = np.zeros_like(mean)
    for sources, starts, targets in union.sweep():
        n_edges = np.diff(starts, append=len(sources))
        weight = _share(log[sources], np.repeat(log[targets], n_edges))
        mixed = _mixture(mean[sources], variance[sources], weight, starts)
        mean[targets], variance[targets] = mixed[0] + values[targets], mixed[1]
    ends = np.where(union.outputs, log, -np.inf)
    total = union.per_graph(np.logaddexp, ends)
    weight = _share(ends, total[union.graph])
    mean, variance = _mixture(mean, variance, weight, union.offsets)
    std = np.sqrt(variance)
    return Moments(mean, np.where(std > _ROUNDING * (1 + np.abs(mean)), std, 0))


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """What share of the whole a part is, both as logarithms; 0 where the part is nothing."""
    there = np.isfinite(part)
    return np.where(there, np.exp(np.where(there, part - np.where(there, whole, 0), 0)), 0)


def _mixture(
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    weight: NDArray[np.float64],
    starts: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of mixtures, each of the rows from one start to the next."""
    weight = weight[:, None]
    mixed = np.add.reduceat(weight * mean, starts, axis=0)
    apart = mean - np.repeat(mixed, np.diff(starts, append=len(mean)), axis=0)
    return mixed, np.add.reduceat(weight * (variance + apart**2), starts, axis=0)
