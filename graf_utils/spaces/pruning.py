"""Which edges of cells lie on a path that carries signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["carrying"]


def carrying(
    edges: Sequence[tuple[int, int]],
    live: NDArray[np.bool_],
    inputs: Sequence[int],
    ends: NDArray[np.integer],
) -> NDArray[np.bool_]:
    """Tell which edges lie on a path of live edges from an input to the end.

    Parameters
    ----------
    edges : sequence of (int, int)
        Source and target; nodes are in topological order.
    live : ndarray of shape (n_cells, n_edges), bool
        Which edges are there and carry something.
    inputs : sequence of int
        Where signal comes from.
    ends : ndarray of shape (n_cells,)
        The node at which the paths of each cell end.

    Returns
    -------
    ndarray of shape (n_cells, n_edges), bool
    """
    carries = live.copy()
    nodes = range(max(target for _, target in edges) + 1)
    forward = sorted(range(len(edges)), key=lambda i: edges[i])
    backward = sorted(range(len(edges)), key=lambda i: -edges[i][1])
    starts = [np.full(len(live), node in inputs) for node in nodes]
    stops = [ends == node for node in nodes]
    for order, alive, here in ((forward, starts, 0), (backward, stops, 1)):
        for position in order:
            carries[:, position] &= alive[edges[position][here]]
            alive[edges[position][1 - here]] |= carries[:, position]
    return carries
