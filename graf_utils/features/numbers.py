"""Questions about the numbers that lie on the edges or nodes of graphs, such as kernels or widths.

Each function is called as those of `graf_utils.features.families` are, and gives one row for each
number of the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.graphs import GraphBatch

__all__ = ["path_sum_max", "path_sum_min", "number_max", "number_min", "number_sum"]


def number_sum(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[np.float64]:
    """Sum over all operations of a graph that have the number; 0 if none has.

    Parameters
    ----------
    batch : GraphBatch
    start, inside, variant : ignored

    Returns
    -------
    ndarray of shape (n_numbers, n_graphs)
    """
    return np.nansum(_by_number(batch), axis=2)


def number_min(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[np.float64]:
    """Least number among the operations of a graph; 0 if none has it.

    Parameters
    ----------
    batch : GraphBatch
    start, inside, variant : ignored

    Returns
    -------
    ndarray of shape (n_numbers, n_graphs)
    """
    least = np.fmin.reduce(_by_number(batch), axis=2, initial=np.inf)  # NaN is passed over
    return np.where(np.isinf(least), 0, least)


def number_max(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[np.float64]:
    """Greatest number among the operations of a graph; 0 if none has it.

    Parameters
    ----------
    batch : GraphBatch
    start, inside, variant : ignored

    Returns
    -------
    ndarray of shape (n_numbers, n_graphs)
    """
    greatest = np.fmax.reduce(_by_number(batch), axis=2, initial=-np.inf)
    return np.where(np.isinf(greatest), 0, greatest)


def path_sum_min(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[np.float64]:
    """Least sum of the numbers on a live path from an input to the output; 0 if there is none.

    A live path goes over edges that are there and not dead. An operation without the number adds 0.

    Parameters
    ----------
    batch : GraphBatch
    start : int
        The input.
    inside, variant : ignored

    Returns
    -------
    ndarray of shape (n_numbers, n_graphs)
    """
    return _least_sum(batch, start, 1)


def path_sum_max(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[np.float64]:
    """Greatest sum of the numbers on a live path from an input to the output; 0 if there is none.

    See `path_sum_min`.

    Parameters
    ----------
    batch : GraphBatch
    start : int
        The input.
    inside, variant : ignored

    Returns
    -------
    ndarray of shape (n_numbers, n_graphs)
    """
    return 0 - _least_sum(batch, start, -1)  # not -0


def _by_number(batch: GraphBatch) -> NDArray[np.float64]:
    """The numbers of a batch, an array of shape (n_numbers, n_graphs, n_places)."""
    return np.stack(list(batch.numbers.values()))


def _least_sum(batch: GraphBatch, start: int, sign: int) -> NDArray[np.float64]:
    """Least sum of the numbers times a sign, swept over the edges by target."""
    numbers = sign * np.nan_to_num(_by_number(batch))
    reached, live = {start: np.zeros(numbers.shape[:2])}, batch.live
    for slot in np.argsort(batch.edges[:, 1], kind="stable").tolist():
        source, target = batch.edges[slot].tolist()
        if source not in reached:
            continue
        place = slot if batch.node_ops is None else target
        step = np.where(live[:, slot], reached[source] + numbers[:, :, place], np.inf)
        reached[target] = np.minimum(reached.get(target, np.inf), step)
    least = batch.at_end(reached, np.inf)
    return np.broadcast_to(np.where(np.isinf(least), 0, least), numbers.shape[:2])
