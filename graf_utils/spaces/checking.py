"""What a search space of one's own gives, checked before it is computed with."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import numpy as np

from graf_utils.graphs import GraphBatch
from graf_utils.spaces.base import SearchSpace

__all__ = ["graphs_of"]


def graphs_of(space: SearchSpace, architectures: Any) -> dict[str, GraphBatch]:
    """Return the graphs of architectures; a space of one's own must give one per architecture.

    Parameters
    ----------
    space : SearchSpace
    architectures : sequence of architectures
        In any form that the space takes.

    Returns
    -------
    dict of str to GraphBatch
        One batch per cell.

    Raises
    ------
    ValueError
        As `SearchSpace.graph_batch`, or it gave something else.
    """
    batches = space.graph_batch(architectures)
    if not isinstance(batches, dict) or not all(
        isinstance(batch, GraphBatch) for batch in batches.values()
    ):
        raise ValueError(
            f"graph_batch of {space!r} gave {type(batches).__name__}; it must give a dictionary of "
            f"a GraphBatch for each of the cells {space.cells}."
        )
    n = np.shape(architectures)[0] if hasattr(architectures, "shape") else None
    if n is None and isinstance(architectures, Sized):
        n = len(architectures)
    lengths = {cell: len(batch) for cell, batch in batches.items()}
    if n is not None and set(lengths.values()) - {n}:
        raise ValueError(
            f"graph_batch of {space!r} gave so many graphs of each cell: {lengths}, for {n} "
            "architectures; row i must be of architecture i. Correct it."
        )
    return batches
