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

from graf_utils import _torch  # noqa: F401 - says what to do where there is no PyTorch
from graf_utils.networks.builder import (
    NETWORKS,
    Builder,
    FunctionBuilder,
    Skeleton,
    build_network,
)
from graf_utils.networks.darts_cells import DARTS_OPERATIONS, DARTSCell, darts_network
from graf_utils.networks.edge_cells import (
    OPERATIONS,
    EdgeCell,
    nb201_network,
    tnb101_micro_network,
)
from graf_utils.networks.node_cells import NODE_OPERATIONS, NodeCell, nb101_network

__all__ = [
    "DARTS_OPERATIONS",
    "NETWORKS",
    "NODE_OPERATIONS",
    "OPERATIONS",
    "Builder",
    "DARTSCell",
    "EdgeCell",
    "FunctionBuilder",
    "NodeCell",
    "Skeleton",
    "build_network",
    "darts_network",
    "nb101_network",
    "nb201_network",
    "tnb101_micro_network",
]
