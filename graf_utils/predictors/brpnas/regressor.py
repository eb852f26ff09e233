"""BRP-NAS as a scikit-learn regressor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from graf_utils._checks import nearest
from graf_utils.graphs import GraphBatch
from graf_utils.predictors.brpnas.graphs import OperationGraphs, operation_graphs
from graf_utils.predictors.brpnas.network import (
    GraphEncoder,
    PackedGraphs,
    pairwise_loss,
    win_rate,
)
from graf_utils.spaces import get_space

__all__ = ["BRPNASRegressor"]

_CHOICES = {"head": ("unary", "binary"), "conv": ("gcn", "gin", "mlp")}
_CLIP = 5.0  # standard deviations; some proxies have tails of many hundreds


class BRPNASRegressor(RegressorMixin, BaseEstimator):
    """BRP-NAS with features beside the graph, as a scikit-learn regressor.

    Each row of X is the code of an architecture (``table.codes``, ``space.to_codes``), followed by
    any number of features: ``np.hstack([table.codes, graf])``. So the estimator fits wherever
    others do, `graf_utils.evaluation.evaluate` included. X may also be a list of architectures, or,
    without a space, a `GraphBatch` with the features in `extra`.

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
        return win_rate(embedding @ first + (bias[0] - bias[1]), embedding @ second)

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

    def _train(self, data: PackedGraphs, y: Tensor, rng: np.random.RandomState) -> None:
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

    def _loss(self, data: PackedGraphs, y: Tensor, rows: Tensor) -> Tensor:
        embedding = self.model_.embed(*data.batch(rows))
        if self.head == "binary":
            return pairwise_loss(self.model_.pair_logits(embedding), y[rows])
        return functional.l1_loss(self.model_.head(embedding)[:, 0], y[rows])

    def _pack(self, graphs: OperationGraphs | None, extra: NDArray[np.float64]) -> PackedGraphs:
        scaled = np.clip((extra - self.centre_) / self.scale_, -_CLIP, _CLIP)
        return PackedGraphs.of(graphs, scaled, self.device)

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
