"""The network: packed graph convolutions with a global node, and a head on top.

Batches are packed: the nodes of all networks of a batch stand in one matrix, without padding, and a
convolution is a sum over lists of neighbours followed by one matrix product. The last layer is
computed for the global nodes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from graf_utils.predictors.brpnas.graphs import OperationGraphs

__all__ = ["GraphEncoder", "PackedGraphs", "pairwise_loss", "win_rate"]


@dataclass
class PackedGraphs:
    """Graphs ready for batches: the input of the first product, neighbours, features.

    Attributes
    ----------
    first : Tensor of shape (n, n_nodes, n_channels)
        What each node receives in the first layer.
    receives : Tensor of shape (n, n_nodes, n_nodes), bool
        As in `OperationGraphs`.
    live : Tensor of shape (n, n_nodes), bool
        Where there is a node.
    extra : Tensor of shape (n, n_extra)
        Features beside the graph.
    """

    first: Tensor
    receives: Tensor
    live: Tensor
    extra: Tensor

    @classmethod
    def of(cls, graphs: OperationGraphs | None, extra: NDArray[Any], device: Any) -> PackedGraphs:
        """Pack graphs and the features beside them.

        Parameters
        ----------
        graphs : OperationGraphs or None
            Without graphs the features are the only node.
        extra : ndarray of shape (n, n_extra)
            Features, scaled.
        device : str or torch.device
            Where the tensors lie.

        Returns
        -------
        PackedGraphs
        """
        if graphs is None:  # one node that is the features: a plain multilayer perceptron
            first, live = extra[:, None], np.ones((len(extra), 1), dtype=bool)
            receives = live[:, None]
        else:
            receives = graphs.receives
            live = np.diagonal(receives, axis1=1, axis2=2).copy()  # each node receives from itself
            one_hot = graphs.node_labels[:, :, None] == np.arange(len(graphs.labels))
            first = receives.astype(np.float32) @ one_hot.astype(np.float32)
        arrays = (first.astype(np.float32), receives, live, extra.astype(np.float32))
        return cls(*(torch.as_tensor(array, device=device) for array in arrays))

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Put the nodes of some graphs into one matrix, without padding.

        Parameters
        ----------
        rows : Tensor of int
            Numbers of the graphs.

        Returns
        -------
        first : Tensor of shape (n_nodes_in_all, n_channels)
            Input of the first layer.
        senders : Tensor of int
            Nodes that others receive from, receiver by receiver.
        begins : Tensor of shape (n_nodes_in_all,)
            Where the senders of each node begin.
        graphs : Tensor of shape (n_rows,)
            The first node of each graph, which is the global one.
        extra : Tensor of shape (n_rows, n_extra)
            Features beside the graphs.
        """
        live, receives = self.live[rows], self.receives[rows]
        number = (live.flatten().cumsum(0) - 1).view(live.shape)  # row in the packed matrix
        graph, _, sender = receives.nonzero().T
        in_node, in_graph = receives.sum(2)[live], live.sum(1)
        begins = in_node.cumsum(0) - in_node
        graphs = in_graph.cumsum(0) - in_graph
        return self.first[rows][live], number[graph, sender], begins, graphs, self.extra[rows]


class _Block(nn.Module):
    """Linear map (two for GIN), LayerNorm, ReLU, dropout."""

    def __init__(self, n_in: int, n_out: int, conv: str, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(n_in, n_out)]
        if conv == "gin":
            layers += [nn.ReLU(), nn.Linear(n_out, n_out)]
        for linear in layers[::2]:
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -(n_out**-0.5), n_out**-0.5)
        self.linear, self.norm = nn.Sequential(*layers), nn.LayerNorm(n_out)
        self.kept = round((1 - dropout) * 2**15)

    def forward(self, x: Tensor) -> Tensor:
        """Compute one layer, of shape (n_nodes, n_out)."""
        x = torch.relu(self.norm(self.linear(x)))
        if not self.training or self.kept == 2**15:
            return x
        # as nn.Dropout, from 15 random bits an entry: on a CPU three times as fast
        bits = torch.empty(x.shape, dtype=torch.int16, device=x.device).random_()
        return x * ((bits < self.kept).to(x.dtype) * (2**15 / self.kept))


class GraphEncoder(nn.Module):
    """Graph convolutions with a global node, features beside the embedding, and a head.

    Parameters
    ----------
    n_channels : int
        Labels of a node.
    n_extra : int
        Features that join the embedding.
    n_hidden : int
        Width of every layer.
    n_layers : int
        Graph convolutions.
    dropout : float
        Share of the entries set to 0 while training.
    conv : {"gcn", "gin", "mlp"}
        Graph convolution; the same with two linear maps a layer (GIN, Xu et al., 2019); or no
        graph at all, where the features are the only node.
    head : {"unary", "binary"}
        One output for a network, or two logits for a pair of networks.
    """

    def __init__(
        self,
        n_channels: int,
        n_extra: int,
        n_hidden: int,
        n_layers: int,
        dropout: float,
        conv: str,
        head: str,
    ) -> None:
        super().__init__()
        widths = [n_channels, *[n_hidden] * (n_layers - 1)]
        self.blocks = nn.ModuleList(_Block(width, n_hidden, conv, dropout) for width in widths)
        width = n_hidden + n_extra
        self.head = nn.Linear(width, 1) if head == "unary" else nn.Linear(2 * width, 2)

    def embed(
        self, first: Tensor, senders: Tensor, begins: Tensor, graphs: Tensor, extra: Tensor
    ) -> Tensor:
        """Compute what the head sees, from a batch of `PackedGraphs.batch`.

        Parameters
        ----------
        first, senders, begins, graphs, extra : Tensor
            As `PackedGraphs.batch` returns them.

        Returns
        -------
        Tensor of shape (n, n_hidden + n_extra)
            The global nodes after the last layer, beside the features.
        """
        *blocks, last = self.blocks
        if not blocks:
            return torch.cat([last(first[graphs]), extra], dim=1)
        x = blocks[0](first)
        for block in blocks[1:]:
            x = block(functional.embedding_bag(senders, x, begins, mode="sum"))
        everyone = torch.arange(len(x), device=x.device)  # the global node receives from all
        x = last(functional.embedding_bag(everyone, x, graphs, mode="sum"))
        return torch.cat([x, extra], dim=1)

    def pair_logits(self, embedding: Tensor) -> Tensor:
        """Compute the logits of all ordered pairs of networks.

        The head on concatenated embeddings is a sum of one term for each of the two networks, so
        n embeddings and no pair are multiplied.

        Parameters
        ----------
        embedding : Tensor of shape (n, n_hidden + n_extra)
            As `embed` returns it.

        Returns
        -------
        Tensor of shape (n, n, 2)
            Entry 0 says that the first one is better.
        """
        left, right = self.head.weight.chunk(2, dim=1)
        return (embedding @ left.T)[:, None] + (embedding @ right.T)[None] + self.head.bias


def pairwise_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence of the predicted relation of all ordered pairs.

    The target of the pair (i, j) is ``softmax(y_i, y_j)`` (Dudziak et al., 2020, section 4.2).

    Parameters
    ----------
    logits : Tensor of shape (n, n, 2)
        As `GraphEncoder.pair_logits` returns them.
    y : Tensor of shape (n,)
        Targets, at least two.

    Returns
    -------
    Tensor
        A number.
    """
    target = torch.stack(torch.broadcast_tensors(y[:, None], y[None]), dim=2).log_softmax(2)
    predicted = logits.log_softmax(2)
    divergence = functional.kl_div(predicted, target, reduction="none", log_target=True).sum(2)
    return divergence[~torch.eye(len(y), dtype=torch.bool, device=y.device)].mean()


def win_rate(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the share of comparisons that each network wins when all meet all in both orders.

    In the pair (i, j) network i wins if ``first[i] + second[j] > 0`` and j wins if it is below 0;
    a draw is half a win. The binary head is of this form, which is why sorting replaces the n²
    comparisons: O(n log n).

    Parameters
    ----------
    first, second : array of shape (n,)
        What a network brings to a pair as the first, and as the second.

    Returns
    -------
    ndarray of shape (n,)
        From 0 to 1; one network alone has 0.5.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = len(first)
    wins = np.zeros(n)
    for mine, theirs in ((first, second), (-second, -first)):
        theirs_sorted = np.sort(-theirs)  # mine + theirs > 0  <=>  -theirs < mine
        wins += sum(np.searchsorted(theirs_sorted, mine, side) for side in ("left", "right")) / 2
        wins -= (np.sign(mine + theirs) + 1) / 2  # not against itself
    return wins / (2 * n - 2) if n > 1 else np.full(n, 0.5)
