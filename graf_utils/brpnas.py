"""BRP-NAS (Dudziak et al., NeurIPS 2020): a graph-convolutional predictor with a slot for features.

A cell becomes a graph of its operations, with one more node, the global one, that every other node
sends to. Four graph convolutions later the global node is the embedding of the network. Features
that are given beside the graph (GRAF, zero-cost proxies, one-hot) join the embedding before the
last linear layer, the head. The head either predicts the target (``"unary"``) or tells which of two
networks is better (``"binary"``).

Batches are packed: the nodes of all networks of a batch stand in one matrix, without padding, and a
convolution is a sum over lists of neighbours followed by one matrix product. The last layer is
computed for the global nodes only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional

from graf_utils.spaces import GraphBatch, get_space
from graf_utils.spaces.base import ABSENT, nearest
from graf_utils.spaces.cell import NONE, SKIP

__all__ = ["BRPNASRegressor", "GraphEncoder", "OperationGraphs", "count_wins"]
__all__ += ["operation_graphs", "pairwise_loss", "select_iteratively"]

_CHOICES = {"head": ("unary", "binary"), "conv": ("gcn", "gin", "mlp")}
_CLIP = 5.0  # standard deviations; some proxies have tails of many hundreds


# --- from cells to graphs of operations --------------------------------------------------------


@dataclass(frozen=True)
class OperationGraphs:
    """N graphs with operations on nodes, as a graph convolution reads them.

    Attributes
    ----------
    labels : tuple of str
        What a node can be; the last is ``"global"``.
    node_labels : ndarray of shape (n_graphs, n_nodes), int8
        Label of each node, -1 where there is no node. Node 0 is the global node.
    receives : ndarray of shape (n_graphs, n_nodes, n_nodes), bool
        ``receives[g, i, j]``: node i sums up node j. Every node receives from itself and from its
        successors, the global node from all nodes.
    """

    labels: tuple[str, ...]
    node_labels: NDArray[np.int8]
    receives: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.node_labels)


def operation_graphs(cells: GraphBatch | Mapping[str, GraphBatch]) -> OperationGraphs:
    """Turn cells into graphs with operations on nodes and a global node.

    Operations on edges become nodes, as in BRP-NAS: an edge that is `none` is left out, one that
    is `skip_connect` is contracted (what came in goes on to what followed), and so is a free label
    such as DARTS' ``out``; nodes that lie on no path from an input to the output are left out. The
    cells of an architecture that has several stand side by side under one global node.

    Parameters
    ----------
    cells : GraphBatch or mapping of cell name to GraphBatch
        As ``space.graph_batch`` returns them.

    Examples
    --------
    >>> from graf_utils.spaces import NB201
    >>> graphs = operation_graphs(NB201().graph_batch([(2, 1, 0, 1, 2, 3)]))
    >>> [graphs.labels[i] for i in graphs.node_labels[0] if i >= 0]
    ['global', 'input', 'nor_conv_3x3', 'nor_conv_3x3', 'output']
    """
    batches = list(cells.values()) if isinstance(cells, Mapping) else [cells]
    if not batches or not all(isinstance(batch, GraphBatch) for batch in batches):
        raise ValueError(
            f"cells={cells!r:.80} must be a GraphBatch, or a mapping of cell names to them. Pass "
            "space.graph_batch(architectures)."
        )
    known = [name for batch in batches for name in batch.operations]
    names = [*dict.fromkeys([*known, "input", "output"]), "global"]
    parts = [_cell_graph(batch, names) for batch in batches]
    labels = np.hstack([np.full((len(batches[0]), 1), len(names) - 1), *(p[0] for p in parts)])
    live, start = labels != ABSENT, 1
    receives = np.eye(labels.shape[1], dtype=bool) & live[:, None]
    receives[:, 0] = live
    for _, edges in parts:
        stop = start + edges.shape[1]
        receives[:, start:stop, start:stop] |= edges
        start = stop
    return OperationGraphs(tuple(names), labels.astype(np.int8), receives)


def _cell_graph(batch: GraphBatch, names: list[str]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Labels and edges (source, target) of the nodes of one cell, without self-loops."""
    ids = np.array([names.index(name) for name in batch.operations] + [ABSENT], dtype=np.int8)
    if batch.node_ops is not None:
        labels = ids[batch.node_ops]
        edges = np.zeros((len(batch), batch.n_nodes, batch.n_nodes), dtype=bool)
        edges[:, batch.edges[:, 0], batch.edges[:, 1]] = batch.edge_ops != ABSENT
        inputs, output = np.isin(np.arange(batch.n_nodes), batch.inputs), batch.output
    else:
        k, slots = len(batch.inputs), len(batch.edges)
        labels = np.full((len(batch), k + slots + 1), names.index("input"), dtype=np.int8)
        labels[:, k:-1], labels[:, -1] = ids[batch.edge_ops], names.index("output")
        # the cell's nodes that a node of the graph leads to and starts from
        to = np.array([*batch.inputs, *batch.edges[:, 1], -1])
        of = np.array([*[-2] * k, *batch.edges[:, 0], batch.output])
        inputs, output = np.arange(k + slots + 1) < k, k + slots
        edges = np.tile(to[:, None] == of, (len(batch), 1, 1))
        if NONE in names:
            labels[labels == names.index(NONE)] = ABSENT
        edges &= (labels != ABSENT)[:, :, None] & (labels != ABSENT)[:, None]
        gone = [names.index(name) for name in (SKIP, *batch.free) if name in names]
        for node in range(k, k + slots):
            joined = np.isin(labels[:, node], gone)
            edges |= edges[:, :, node, None] & edges[:, node, None] & joined[:, None, None]
            labels[joined, node] = ABSENT
            edges[joined, node], edges[joined, :, node] = False, False
    reach = edges | np.eye(len(inputs), dtype=bool)
    for _ in range(len(inputs).bit_length()):
        reach = reach @ reach
    useful = reach[:, inputs].any(axis=1) & reach[:, :, output]
    useful |= ~reach[:, inputs, output].any(axis=1)[:, None]  # no path at all: keep what there is
    useful |= inputs | (np.arange(len(inputs)) == output)
    labels = np.where(useful & (labels != ABSENT), labels, np.int8(ABSENT))
    live = labels != ABSENT
    return labels, edges & live[:, :, None] & live[:, None]


# --- the network --------------------------------------------------------------------------------


@dataclass
class _Packed:
    """Graphs ready for batches: the input of the first product, neighbours, features."""

    first: Tensor  # (n, nodes, channels): what each node receives in the first layer
    receives: Tensor  # (n, nodes, nodes), bool
    live: Tensor  # (n, nodes), bool
    extra: Tensor  # (n, n_extra)

    @classmethod
    def of(cls, graphs: OperationGraphs | None, extra: NDArray[Any], device: Any) -> _Packed:
        if graphs is None:  # one node that is the features: a plain multilayer perceptron
            first, live = extra[:, None], np.ones((len(extra), 1), dtype=bool)
            receives = live[:, None]
        else:
            live, receives = graphs.node_labels != ABSENT, graphs.receives
            one_hot = graphs.node_labels[:, :, None] == np.arange(len(graphs.labels))
            first = receives.astype(np.float32) @ one_hot.astype(np.float32)
        arrays = (first.astype(np.float32), receives, live, extra.astype(np.float32))
        return cls(*(torch.as_tensor(array, device=device) for array in arrays))

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """First input of all nodes, senders and where each node's begin, first nodes, features."""
        live, receives = self.live[rows], self.receives[rows]
        number = (live.flatten().cumsum(0) - 1).view(live.shape)  # row in the packed matrix
        graph, _, sender = receives.nonzero().T
        in_node, in_graph = receives.sum(2)[live], live.sum(1)
        begins, graphs = in_node.cumsum(0) - in_node, in_graph.cumsum(0) - in_graph
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
    n_channels, n_extra : int
        Labels of a node; features that join the embedding.
    n_hidden, n_layers : int
    dropout : float
    conv : {"gcn", "gin", "mlp"}
        Graph convolution; the same with two linear maps a layer (GIN, Xu et al., 2019); or no
        graph at all, where the features are the only node.
    head : {"unary", "binary"}
        One output for a network, or two logits for a pair of networks.
    """

    def __init__(
        self, n_channels: int, n_extra: int, n_hidden: int, n_layers: int, dropout: float,
        conv: str, head: str,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [n_channels, *[n_hidden] * (n_layers - 1)]
        self.blocks = nn.ModuleList(_Block(width, n_hidden, conv, dropout) for width in widths)
        width = n_hidden + n_extra
        self.head = nn.Linear(width, 1) if head == "unary" else nn.Linear(2 * width, 2)

    def embed(
        self, first: Tensor, senders: Tensor, begins: Tensor, graphs: Tensor, extra: Tensor
    ) -> Tensor:
        """The global nodes after the last layer, beside the features: (n, n_hidden + n_extra)."""
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
        """Logits of all ordered pairs (n, n, 2); entry 0 says that the first one is better.

        The head on concatenated embeddings is a sum of one term for each of the two networks, so
        n embeddings and no pair are multiplied.
        """
        left, right = self.head.weight.chunk(2, dim=1)
        return (embedding @ left.T)[:, None] + (embedding @ right.T)[None] + self.head.bias


def pairwise_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the predicted relation of all ordered pairs, a mean.

    The target of the pair (i, j) is ``softmax(y_i, y_j)`` (Dudziak et al., 2020, section 4.2).

    Parameters
    ----------
    logits : Tensor of shape (n, n, 2)
    y : Tensor of shape (n,)
    """
    wanted = torch.stack(torch.broadcast_tensors(y[:, None], y[None]), dim=2).log_softmax(2)
    predicted = logits.log_softmax(2)
    divergence = functional.kl_div(predicted, wanted, reduction="none", log_target=True).sum(2)
    return divergence[~torch.eye(len(y), dtype=torch.bool, device=y.device)].mean()


def count_wins(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Share of its comparisons that each of n networks wins, when all meet all in both orders.

    In the pair (i, j) network i wins if ``first[i] + second[j] > 0`` and j wins if it is below 0;
    a draw is half a win. The binary head is of this form, which is why sorting replaces the n²
    comparisons: O(n log n).

    Parameters
    ----------
    first, second : array of shape (n,)
        What a network brings to a pair as the first, and as the second.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = len(first)
    wins = np.zeros(n)
    for mine, theirs in ((first, second), (-second, -first)):
        theirs_sorted = np.sort(-theirs)  # mine + theirs > 0  <=>  -theirs < mine
        wins += sum(np.searchsorted(theirs_sorted, mine, side) for side in ("left", "right")) / 2
        wins -= (np.sign(mine + theirs) + 1) / 2  # not against itself
    return wins / (2 * n - 2) if n > 1 else np.full(n, 0.5)


# --- the estimator --------------------------------------------------------------------------------


class BRPNASRegressor(RegressorMixin, BaseEstimator):
    """BRP-NAS with features beside the graph, as a scikit-learn regressor.

    Each row of X is the code of an architecture (``space.encode``), followed by any number of
    features: ``np.hstack([space.encode(cells), graf])``. So the estimator fits wherever others do,
    `graf_utils.evaluation.evaluate` included. X may also be a list of architectures, or, without a
    space, a `GraphBatch` with the features in `extra`.

    Features and targets are scaled by the mean and the standard deviation of the training set,
    features then cut off at 5 standard deviations.

    Parameters
    ----------
    space : str or SearchSpace, optional
        How rows of X are read.
    head : {"unary", "binary"}
        Predict the target (absolute error as loss), or which of two networks is better (all pairs
        of a batch). With ``"binary"``, `predict` returns the share of comparisons a network wins
        against the other rows of X: a ranking, not a target.
    conv : {"gcn", "gin", "mlp"}
        See `GraphEncoder`; ``"mlp"`` uses the features only.
    n_layers, n_hidden, dropout : int, int, float
    n_epochs, batch_size, learning_rate, weight_decay : int, int, float, float
        AdamW with a cosine schedule over all epochs.
    patience, min_epochs : int, int
        Training stops when the monitored loss has not improved for `patience` epochs after the
        first `min_epochs`.
    validation_fraction : float
        Share of the *training* networks held out to monitor the loss; the weights of the best
        epoch are kept. With 0 nothing is held out and the training loss is monitored, as the
        original code does for its binary head.
    device : str
        As in PyTorch.
    random_state : int, RandomState or None
        Fixes weights, batches and dropout; the global generators are left alone.

    Attributes
    ----------
    model_ : GraphEncoder
    history_ : list of float
        The monitored loss of each epoch.

    References
    ----------
    Dudziak et al., BRP-NAS: Prediction-based NAS using GCNs, NeurIPS 2020.

    Examples
    --------
    >>> from graf_utils.spaces import NB201
    >>> cells = NB201().sample(16, random_state=0)
    >>> model = BRPNASRegressor("nb201", n_hidden=8, n_epochs=2, random_state=0)
    >>> model.fit(cells, np.arange(16.0)).predict(cells).shape
    (16,)
    """

    def __init__(
        self, space: Any = None, *, head: str = "unary", conv: str = "gcn", n_layers: int = 4,
        n_hidden: int = 600, dropout: float = 0.2, n_epochs: int = 250, batch_size: int = 64,
        learning_rate: float = 3.5e-4, weight_decay: float = 5e-4, patience: int = 35,
        min_epochs: int = 20, validation_fraction: float = 0.0,
        device: str = "cpu", random_state: Any = None,
    ) -> None:  # fmt: skip
        self.space = space
        self.head = head
        self.conv = conv
        self.n_layers = n_layers
        self.n_hidden = n_hidden
        self.dropout = dropout
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.min_epochs = min_epochs
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, extra: ArrayLike | None = None) -> BRPNASRegressor:
        """Train on architectures X with targets y.

        Parameters
        ----------
        X : array of shape (n, code_length + n_features), list of architectures, or GraphBatch
        y : array of shape (n,)
            Higher is better, as far as the binary head is concerned.
        extra : array of shape (n, n_features), optional
            Features of a `GraphBatch` or a list of architectures.
        """
        self._check_settings()
        graphs, extra = self._read(X, extra)
        y = np.asarray(y, dtype=float)
        if y.shape != (len(extra),) or not np.isfinite(y).all() or len(y) < 4:
            raise ValueError(
                f"y of shape {y.shape} must hold a finite number for each of the {len(extra)} rows "
                "of X, at least 4. Drop rows without a target."
            )
        self.n_features_in_ = extra.shape[1]
        self.centre_, self.scale_ = extra.mean(axis=0), extra.std(axis=0)
        self.scale_[self.scale_ == 0] = 1.0
        self.y_mean_, self.y_scale_ = y.mean(), y.std() or 1.0
        self.labels_ = graphs and graphs.labels
        data = self._pack(graphs, extra)
        target = torch.as_tensor((y - self.y_mean_) / self.y_scale_, dtype=torch.float32)
        rng = check_random_state(self.random_state)
        with torch.random.fork_rng():
            torch.manual_seed(rng.randint(2**31))
            self._train(data, target.to(self.device), rng)
        return self

    def predict(self, X: Any, extra: ArrayLike | None = None) -> NDArray[np.float64]:
        """Predicted targets; with the binary head, the share of comparisons won within X."""
        embedding = self.embed(X, extra)
        weight, bias = (p.detach().double().cpu() for p in self.model_.head.parameters())
        if self.head == "unary":
            return ((embedding @ weight[0] + bias) * self.y_scale_ + self.y_mean_).numpy()
        first, second = (weight[0] - weight[1]).chunk(2)
        return count_wins(embedding @ first + (bias[0] - bias[1]), embedding @ second)

    def embed(self, X: Any, extra: ArrayLike | None = None) -> Tensor:
        """What the head sees: embedding of the graph and scaled features, in double precision."""
        check_is_fitted(self, "model_")
        graphs, extra = self._read(X, extra)
        if extra.shape[1] != self.n_features_in_ or (graphs and graphs.labels != self.labels_):
            raise ValueError(
                f"X has {extra.shape[1]} features and the node labels {graphs and graphs.labels}; "
                f"fit has seen {self.n_features_in_} and {self.labels_}. Pass what fit was given."
            )
        data = self._pack(graphs, extra)
        self.model_.eval()
        with torch.no_grad():
            rows = torch.arange(len(data.live), device=self.device).split(1024)
            return torch.cat([self.model_.embed(*data.batch(r)).double().cpu() for r in rows])

    def _train(self, data: _Packed, y: Tensor, rng: np.random.RandomState) -> None:
        share, n = self.validation_fraction, len(y)
        n_held = min(max(2, round(share * n)), n - 2) if share else 0
        order = torch.as_tensor(rng.permutation(n), device=self.device)
        held, train = order[:n_held], order[n_held:]
        self.model_ = model = GraphEncoder(
            data.first.shape[2], data.extra.shape[1], self.n_hidden, self.n_layers, self.dropout,
            self.conv, self.head,
        ).to(self.device)  # fmt: skip
        optimizer = torch.optim.AdamW(
            model.parameters(), self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.n_epochs)
        n_batches = min(math.ceil(len(train) / self.batch_size), len(train) // 2)
        self.history_, best = [], None
        for epoch in range(self.n_epochs):
            model.train()
            losses = []
            shuffled = train[torch.randperm(len(train)).to(self.device)]
            for rows in shuffled.tensor_split(n_batches):
                optimizer.zero_grad()
                loss = self._loss(data, y, rows)
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
            schedule.step()
            if n_held:
                model.eval()
                with torch.no_grad():
                    losses = [float(self._loss(data, y, held))]
            self.history_.append(sum(losses) / len(losses))
            since = epoch - int(np.argmin(self.history_))
            if n_held and not since:
                best = {name: value.clone() for name, value in model.state_dict().items()}
            if epoch >= self.min_epochs and since >= self.patience:
                break
        if best:
            model.load_state_dict(best)

    def _loss(self, data: _Packed, y: Tensor, rows: Tensor) -> Tensor:
        embedding = self.model_.embed(*data.batch(rows))
        if self.head == "binary":
            return pairwise_loss(self.model_.pair_logits(embedding), y[rows])
        return functional.l1_loss(self.model_.head(embedding)[:, 0], y[rows])

    def _pack(self, graphs: OperationGraphs | None, extra: NDArray[np.float64]) -> _Packed:
        scaled = np.clip((extra - self.centre_) / self.scale_, -_CLIP, _CLIP)
        return _Packed.of(graphs, scaled, self.device)

    def _read(self, X: Any, extra: Any) -> tuple[OperationGraphs | None, NDArray[np.float64]]:
        """Graphs and features of X in any of its forms."""
        if isinstance(X, GraphBatch | Mapping):
            cells = X
        elif self.space is None:
            raise ValueError(
                f"X is {type(X).__name__} and space=None: only a GraphBatch can be read without a "
                "space. Pass space='nb201', or space.graph_batch(architectures)."
            )
        else:
            space, X = get_space(self.space), X.to_numpy() if hasattr(X, "to_numpy") else X
            if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] > space.code_length:
                X, beside = np.hsplit(X, [space.code_length])
                extra = beside if extra is None else np.hstack([beside, extra])
            if isinstance(X, np.ndarray) and X.dtype.kind == "f":
                X = X.astype(np.int64)
            cells = space.graph_batch(X)
        graphs = operation_graphs(cells)
        extra = np.empty((len(graphs), 0)) if extra is None else np.asarray(extra, dtype=float)
        if extra.ndim != 2 or len(extra) != len(graphs) or not np.isfinite(extra).all():
            raise ValueError(
                f"features of shape {extra.shape} must be finite numbers, a row for each of the "
                f"{len(graphs)} networks. Fill or drop what is missing."
            )
        if self.conv == "mlp" and not extra.shape[1]:
            raise ValueError("conv='mlp' sees the features only, and X has none. Append some.")
        return None if self.conv == "mlp" else graphs, extra

    def _check_settings(self) -> None:
        for name, known in _CHOICES.items():
            given = getattr(self, name)
            if given not in known:
                raise ValueError(
                    f"{name}={given!r} is unknown; it must be one of {list(known)}."
                    f"{nearest(given, known)}"
                )
        counts = dict.fromkeys(("n_layers", "n_hidden", "n_epochs", "batch_size"), (1, math.inf))
        shares = dict.fromkeys(("dropout", "validation_fraction"), (0, 1))
        for name, (low, high) in (counts | shares).items():
            given = getattr(self, name)
            if not low <= given < high:
                raise ValueError(f"{name}={given!r} must be at least {low} and below {high}.")


def select_iteratively(
    model: Any, X: ArrayLike, y: ArrayLike, n_labels: int, n_rounds: int = 5,
    random_state: Any = None,
) -> list[NDArray[np.intp]]:  # fmt: skip
    """Choose which networks to label by the iterative data selection of BRP-NAS.

    The first round is random. Each later one fits `model` on what is labelled, ranks the others,
    and labels the best for half of its share; the other half is drawn at random from the top part
    of the ranking, which is halved every round.

    Parameters
    ----------
    model : regressor
        Any scikit-learn regressor; it is cloned.
    X : array of shape (n, n_columns)
        The whole pool.
    y : array of shape (n,)
        Its targets, higher is better; read only for the networks that are chosen.
    n_labels, n_rounds : int, int
        Networks to label in all, and the number of equal rounds.
    random_state : int, RandomState or None

    Returns
    -------
    list of ndarray
        Row numbers that each round labels.
    """
    X, y, rng = np.asarray(X), np.asarray(y), check_random_state(random_state)
    if not 1 <= n_rounds <= n_labels <= len(X) or len(X) != len(y):
        raise ValueError(
            f"n_rounds={n_rounds}, n_labels={n_labels} with {len(X)} networks and {len(y)} targets:"
            " it must be 1 <= n_rounds <= n_labels <= networks, with a target for each."
        )
    sizes = [len(part) for part in np.array_split(np.arange(n_labels), n_rounds)]
    rounds = [rng.choice(len(X), sizes[0], replace=False)]
    for number, size in enumerate(sizes[1:], 1):
        known = np.concatenate(rounds)
        rest = np.setdiff1d(np.arange(len(X)), known)
        scores = clone(model).fit(X[known], y[known]).predict(X[rest])
        ranked = rest[np.argsort(-scores, kind="stable")]
        best, others = ranked[: size - size // 2], ranked[size - size // 2 :]
        pool = others[: max(len(ranked) // 2**number, size // 2)]
        rounds.append(np.concatenate([best, rng.choice(pool, size // 2, replace=False)]))
    return rounds
