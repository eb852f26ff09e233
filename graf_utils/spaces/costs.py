"""Parameters and FLOPs of a benchmark's networks, by formula."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["nb201_cost"]


def nb201_cost(
    codes: NDArray[Any],
    operations: Sequence[str],
    width: int,
    cells: int,
    image_size: int,
    classes: int,
) -> NDArray[np.float64]:
    """Return parameters and FLOPs of NAS-Bench-201's networks, both in millions.

    Parameters
    ----------
    codes : ndarray of shape (n, 6)
        Operation ids of the edges.
    operations : sequence of str
        Names by id.
    width, cells, image_size, classes : int
        See `graf_utils.spaces.NB201.cost`, which also says what counts how much.

    Returns
    -------
    ndarray of shape (n, 2)
    """
    stages = [(width << k, (image_size >> k) ** 2) for k in range(3)]
    params = {"nor_conv_3x3": 0, "nor_conv_1x1": 0, "avg_pool_3x3": 0}
    flops = dict(params)
    for channels, pixels in stages:
        for op, window in (("nor_conv_3x3", 9), ("nor_conv_1x1", 1)):
            params[op] += cells * (window * channels**2 + 2 * channels)
            flops[op] += cells * channels * pixels * (window * channels + 3)
        flops["avg_pool_3x3"] += cells * 9 * channels * pixels
    last = stages[-1][0]
    base_params = 29 * width + 2 * last + classes * (last + 1)
    base_flops = 29 * width * stages[0][1] + last * (4 * stages[-1][1] + classes)
    for (c_in, p_in), (c_out, p_out) in itertools.pairwise(stages):
        base_params += 9 * c_in * c_out + 9 * c_out**2 + 4 * c_out + c_in * c_out
        base_flops += c_in * p_in + c_out * p_out * (10 * c_in + 9 * c_out + 5) + 4 * c_in * p_out
    totals = np.array([[base_params, base_flops]], dtype=float).repeat(len(codes), axis=0)
    for op, name in enumerate(operations):
        count = (codes == op).sum(axis=1)
        totals += np.outer(count, [params.get(name, 0), flops.get(name, 0)])
    return totals / 1e6
