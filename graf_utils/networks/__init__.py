"""Architectures as PyTorch modules, with the benchmark's own skeleton at any width and depth.

============  ===================  ======================================  =====  =====
space         stem                 stages                                  width  cells
============  ===================  ======================================  =====  =====
nb201         3x3 convolution, C   3 of `cells` cells: C, 2C, 4C           16     5
nb101         3x3 convolution, C   3 of `cells` cells: C, 2C, 4C           128    3
darts         3x3 convolution, 3C  3 of `cells` normal cells: C, 2C, 4C    32     2
tnb101-micro  two of stride 2, C   5 of `cells` cells: 2C, 2C, 4C, 4C, 8C  64     2
============  ===================  ======================================  =====  =====

`width` is C and the last columns are the defaults, which are the benchmarks'. The size halves in
residual blocks (nb201), max pooling (nb101), reduction cells (darts) or cells of stride 2
(tnb101-micro). All end in global average pooling and a linear layer. A `CellSpace` of your own
gets the skeleton of nb201.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from graf_utils.networks.darts_cells import DARTSCell, darts_network
from graf_utils.networks.edge_cells import (
    OPERATIONS,
    EdgeCell,
    nb201_network,
    tnb101_micro_network,
)
from graf_utils.networks.node_cells import NodeCell, nb101_network
from graf_utils.spaces import DARTS, NB101, NB201, CellSpace, SearchSpace, TNB101Micro, get_space

__all__ = [
    "NETWORKS",
    "OPERATIONS",
    "DARTSCell",
    "EdgeCell",
    "NodeCell",
    "build_network",
    "darts_network",
    "nb101_network",
    "nb201_network",
    "tnb101_micro_network",
]

NETWORKS: dict[type[SearchSpace], Callable[..., nn.Sequential]] = {
    NB201: nb201_network,
    NB101: nb101_network,
    DARTS: darts_network,
    TNB101Micro: tnb101_micro_network,
    CellSpace: nb201_network,
}
"""Skeletons by the class of their search space. The last layer of each is the classifier."""


def build_network(
    architecture: Any,
    space: str | SearchSpace = "nb201",
    width: int | None = None,
    cells: int | None = None,
    classes: int = 10,
    in_channels: int = 3,
    random_state: int | None = None,
) -> nn.Sequential:
    """Build the network of one architecture, with the skeleton's initial weights.

    Parameters
    ----------
    architecture : tuple or str
        As the space takes it.
    space : str or SearchSpace
        A space of `NETWORKS`, or a `CellSpace` of your own with operations on edges that are in
        `OPERATIONS`; that one gets the skeleton of NAS-Bench-201.
    width, cells : int, optional
        Channels C and cells in a stage, by default the benchmark's: see the table above. In
        `darts` these are the channels of a node and the normal cells; a network has 3 * cells + 2
        cells in all.
    classes, in_channels : int
        Outputs of the classifier and channels of the images. Images may have any size that can be
        halved twice.
    random_state : int, optional
        Seed of the weights. PyTorch's global generator is left as it was if it is given.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier. Build under ``torch.device("meta")`` to count
        parameters without spending memory.

    Raises
    ------
    ValueError
        The space has no skeleton here, a number is not a positive whole number, or `width` is
        smaller than the number of nodes that share it (`nb101`).
    """
    space = get_space(space)
    options = {"classes": classes, "in_channels": in_channels}
    options |= {k: v for k, v in (("width", width), ("cells", cells)) if v is not None}
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")
    if random_state is not None and not isinstance(random_state, int):
        raise ValueError(f"random_state={random_state!r} must be an integer or None.")
    (code,) = space.from_codes([architecture])
    make = _skeleton(space)
    if random_state is None:
        return make(space, code, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        return make(space, code, **options)


def _skeleton(space: SearchSpace) -> Callable[..., nn.Sequential]:
    """The function that builds the networks of a space."""
    make = next((NETWORKS[kind] for kind in type(space).__mro__ if kind in NETWORKS), None)
    on_edges = isinstance(space, CellSpace) and space.ops_on == "edges"
    if make is None or (isinstance(space, CellSpace) and not on_edges):
        names = [kind.name if hasattr(kind, "name") else kind.__name__ for kind in NETWORKS]
        raise ValueError(
            f"space {space.name!r} cannot be built: there is a skeleton for {names}, the last with "
            "operations on edges. Add a function to graf_utils.networks.NETWORKS."
        )
    unknown = set(space.operations) - set(OPERATIONS) if on_edges else set()
    if unknown:
        raise ValueError(
            f"space {space.name!r} cannot be built: operations {sorted(unknown)} are not in "
            "graf_utils.networks.OPERATIONS. Add them."
        )
    return make
