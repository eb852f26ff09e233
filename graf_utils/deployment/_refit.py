"""What a refit is compared on: what the predictor says of a few networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils.table import Table

_N_PROBES = 16

TOLERANCE = 1e-4
"""By how much a refit may differ, in standard deviations of the target: the rounding of another
processor, and no more."""


def probes_of(table: Table) -> Table:
    """Networks by which a refit is checked: some that it was trained on, and a neighbour of each.

    A neighbour has the proxies of its network, which will do to compare.
    """
    rows = np.unique(np.linspace(0, len(table) - 1, _N_PROBES).astype(int))
    some = table.subset(rows)
    codes = some.codes.copy()
    for i, code in enumerate(some.architectures):
        near = table.space.neighbours(code)
        if len(near):
            codes[i] = near[i % len(near)]
    both = np.concatenate([some.codes, codes])
    proxies = None
    if some.proxies is not None:
        proxies = pd.concat([some.proxies, some.proxies], ignore_index=True)
    return Table("probes", table.source, table.space, both, {"none": np.zeros(len(both))}, proxies)


def apart_by(one: NDArray[Any], other: NDArray[Any], y: NDArray[Any]) -> float:
    """By how much two sets of numbers differ at most, in standard deviations of the target."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one - other).max() / (y.std() or np.abs(y).max() or 1.0))
