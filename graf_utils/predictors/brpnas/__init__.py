"""BRP-NAS (Dudziak et al., NeurIPS 2020): a graph-convolutional predictor with a slot for features.

A cell becomes a graph of its operations, with one more node, the global one, that every other node
sends to. Four graph convolutions later the global node is the embedding of the network. Features
that are given beside the graph (GRAF, zero-cost proxies, one-hot) join the embedding before the
last linear layer, the head. The head either predicts the target (``"unary"``) or tells which of two
networks is better (``"binary"``).
"""

from __future__ import annotations

from graf_utils import _torch  # noqa: F401 - says what to do where there is no PyTorch
from graf_utils.predictors.brpnas.graphs import OperationGraphs, operation_graphs
from graf_utils.predictors.brpnas.network import GraphEncoder, pairwise_loss, win_rate
from graf_utils.predictors.brpnas.regressor import BRPNASRegressor
from graf_utils.predictors.brpnas.selection import select_iteratively

__all__ = [
    "BRPNASRegressor",
    "GraphEncoder",
    "OperationGraphs",
    "operation_graphs",
    "pairwise_loss",
    "select_iteratively",
    "win_rate",
]
