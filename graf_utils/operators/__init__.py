"""Any network as a graph of operators, and features of such graphs.

Write a network down as layers (`OperatorGraph.from_layers`), or let it be read from a PyTorch
module. `OperatorFeatures` asks of it what GRAF and flow ask of a cell.
"""

from __future__ import annotations

from graf_utils.operators.families import FAMILIES, Asked, OperatorFamily
from graf_utils.operators.features import OperatorFeatures
from graf_utils.operators.graph import OperatorGraph
from graf_utils.operators.kinds import FUNCTIONS, GROUPS, KINDS, NUMBERS, UNSHARED, OperatorKind
from graf_utils.operators.layers import Layer

__all__ = [
    "FAMILIES",
    "FUNCTIONS",
    "GROUPS",
    "KINDS",
    "NUMBERS",
    "UNSHARED",
    "Asked",
    "Layer",
    "OperatorFamily",
    "OperatorFeatures",
    "OperatorGraph",
    "OperatorKind",
]
