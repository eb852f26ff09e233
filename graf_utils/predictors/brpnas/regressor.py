"""BRP-NAS as a scikit-learn regressor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from graf_utils import _checks
from graf_utils._devices import usable_device
from graf_utils._parallel import torch_alone
from graf_utils.predictors.brpnas.graphs import OperationGraphs
from graf_utils.predictors.brpnas.network import (
    GraphEncoder,
    PackedGraphs,
    pairwise_loss,
    win_rate,
)
from graf_utils.predictors.brpnas.reading import (
    check_same_columns,
    check_same_rows,
    column_names,
    read_architectures,
    read_targets,
)
from graf_utils.predictors.brpnas.scaling import SCALINGS, learn_scale

__all__ = ["BRPNASRegressor"]


class BRPNASRegressor(RegressorMixin, BaseEstimator):
    """BRP-NAS with features beside the graph, as a scikit-learn regressor.

    Each row of X is the code of an architecture (``table.codes``, ``space.to_codes``), followed by
    any number of features: ``np.hstack([table.codes, graf])``. So the estimator fits wherever
    others do, `graf_utils.evaluation.evaluate` included. X may also be a list of architectures, or,
    without a space, a `GraphBatch` with the features in `extra`.

    Parameters
    ----------
    space : str or SearchSpace, optional
        How rows of X are read; not needed for a `GraphBatch`.
    head : {"unary", "binary"}
        Predict the target (absolute error as loss), or which of two networks is better (all pairs
        of a batch). With ``"binary"``, `predict` returns the share of comparisons a network wins
        against the other rows of X: a ranking, not a target.
    conv : {"gcn", "gin", "mlp"}
        See `GraphEncoder`; ``"mlp"`` uses the features only.
    n_layers : int
        Graph convolutions.
    n_hidden : int
        Width of every layer.
    dropout : float
        Share of the entries of a layer set to 0 while training.
    n_epochs : int
        Passes over the training set at most, with AdamW and a cosine schedule over all of them.
    batch_size : int
        Networks in a step.
    learning_rate, weight_decay : float
        Of AdamW, at the start.
    patience, min_epochs : int
        Training stops when the monitored loss has not improved for `patience` epochs after the
        first `min_epochs`.
    validation_fraction : float
        Share of the *training* networks held out to monitor the loss; the weights of the best
        epoch are kept. With 0 nothing is held out and the training loss is monitored, as the
        original code does for its binary head.
    feature_scaling, target_scaling : {"standard", "range", "none"}
        Of the features and of the targets, learned from the training set: mean 0 and standard
        deviation 1, features cut off at 5 of them; from 0 to 1, features cut off there; or none.
    keep_absent : bool
        Keep a node for every place of a cell, without a label where there is no operation, as the
        original code does: see `operation_graphs`.
    device : str or torch.device
        As in PyTorch, such as ``"cpu"`` or ``"cuda"``; one that is there.
    random_state : int, RandomState or None
        Fixes weights, batches and dropout; the global generators are left alone. A fit computes on
        one thread, so that its numbers do not depend on how many there are; on another kind of
        processor or version of PyTorch they differ as with another seed.

    Attributes
    ----------
    model_ : GraphEncoder
    history_ : list of float
        The monitored loss of each epoch.
    columns_ : dict of str to list
        Names of the columns of X and `extra`, where they were frames.

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
        self,
        space: Any = None,
        *,
        head: str = "unary",
        conv: str = "gcn",
        n_layers: int = 4,
        n_hidden: int = 600,
        dropout: float = 0.2,
        n_epochs: int = 250,
        batch_size: int = 64,
        learning_rate: float = 3.5e-4,
        weight_decay: float = 5e-4,
        patience: int = 35,
        min_epochs: int = 20,
        validation_fraction: float = 0.0,
        feature_scaling: str = "standard",
        target_scaling: str = "standard",
        keep_absent: bool = False,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
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
        self.feature_scaling = feature_scaling
        self.target_scaling = target_scaling
        self.keep_absent = keep_absent
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, extra: ArrayLike | None = None) -> BRPNASRegressor:
        """Train on architectures X with targets y.

        Parameters
        ----------
        X : array of shape (n, code_length + n_features), list of architectures, or GraphBatch
            Codes, not scaled, with features beside them. Rows of X, y and `extra` are paired by
            position; pandas objects must have the same index.
        y : array of shape (n,)
            Higher is better, as far as the binary head is concerned.
        extra : array of shape (n, n_features), optional
            Features of a `GraphBatch` or a list of architectures.

        Returns
        -------
        BRPNASRegressor
            Itself.

        Raises
        ------
        ValueError
            A setting is out of range, the device is not there, X or y cannot be read, a code is no
            whole number, a number is not finite or too large, or the training diverges.
        """
        self._check_settings()
        check_same_rows(X=X, y=y, extra=extra)
        self.columns_ = column_names(X=X, extra=extra)
        graphs, features = self._read(X, extra)
        target = read_targets(y, len(features))
        self.n_features_in_ = features.shape[1]
        self.scale_ = learn_scale("features", features, self.feature_scaling, cut=True)
        self.y_scale_ = learn_scale("y", target, self.target_scaling, cut=False)
        self.labels_ = graphs and graphs.labels
        rng = check_random_state(self.random_state)
        with torch_alone(), torch.random.fork_rng():
            torch.manual_seed(rng.randint(2**31))
            data = self._pack(graphs, features)
            scaled = torch.as_tensor(self.y_scale_.apply(target), dtype=torch.float32)
            self._train(data, scaled.to(self.device), rng)
        return self

    def predict(self, X: Any, extra: ArrayLike | None = None) -> NDArray[np.float64]:
        """Predict the targets of architectures.

        Parameters
        ----------
        X, extra : as for `fit`
            With as many features.

        Returns
        -------
        ndarray of shape (n,)
            Targets; with the binary head, the share of comparisons won within X.

        Raises
        ------
        ValueError
            As `embed`.
        """
        embedding = self.embed(X, extra)
        with torch_alone():
            weight, bias = (p.detach().cpu().double() for p in self.model_.head.parameters())
            if self.head == "unary":
                scaled = (embedding @ weight[0] + bias).numpy()
                return scaled * self.y_scale_.scale + self.y_scale_.centre
            first, second = (weight[0] - weight[1]).chunk(2)
            return win_rate(embedding @ first + (bias[0] - bias[1]), embedding @ second)

    def embed(self, X: Any, extra: ArrayLike | None = None) -> Tensor:
        """Compute what the head sees: the embedding of the graph, and scaled features.

        Parameters
        ----------
        X, extra : as for `fit`
            With as many features.

        Returns
        -------
        Tensor of shape (n, n_hidden + n_features)
            In double precision.

        Raises
        ------
        ValueError
            X cannot be read, or has other features or operations than `fit` has seen, or columns
            in another order; or the device is not there.
        """
        check_is_fitted(self, "model_")
        usable_device(self.device)
        check_same_rows(X=X, extra=extra)
        check_same_columns(self.columns_, column_names(X=X, extra=extra))
        graphs, features = self._read(X, extra)
        labels = graphs and graphs.labels
        if features.shape[1] != self.n_features_in_ or labels != self.labels_:
            raise ValueError(
                f"X has {features.shape[1]} features and the node labels {labels}; fit has seen "
                f"{self.n_features_in_} and {self.labels_}. Pass what fit was given."
            )
        self.model_.eval()
        with torch_alone(), torch.no_grad():
            data = self._pack(graphs, features)
            rows = torch.arange(len(data.live), device=self.device).split(1024)
            return torch.cat([self.model_.embed(*data.batch(r)).cpu().double() for r in rows])

    def _train(self, data: PackedGraphs, y: Tensor, rng: np.random.RandomState) -> None:
        """Fit a new network; keep the weights of the best epoch where networks are held out."""
        held_out, train = self._hold_out(len(y), rng)
        self.model_ = self._new_network(data)
        optimizer = torch.optim.AdamW(
            self.model_.parameters(),
            self.learning_rate,
            weight_decay=self.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.n_epochs)
        self.history_, best = [], None
        for epoch in range(self.n_epochs):
            loss = self._epoch(data, y, train, optimizer)
            schedule.step()
            if len(held_out):
                loss = self._held_out_loss(data, y, held_out)
            if not math.isfinite(loss):
                raise ValueError(
                    f"the loss is {loss} in epoch {epoch + 1}: the training diverges with "
                    f"learning_rate={self.learning_rate!r}. Lower it."
                )
            self.history_.append(loss)
            since = epoch - int(np.argmin(self.history_))
            if len(held_out) and since == 0:
                state = self.model_.state_dict()
                best = {name: value.clone() for name, value in state.items()}
            if epoch >= self.min_epochs and since >= self.patience:
                break
        if best:
            self.model_.load_state_dict(best)

    def _hold_out(self, n: int, rng: np.random.RandomState) -> tuple[Tensor, Tensor]:
        """Rows that are held out, none with a share of 0, and rows to train on."""
        n_held = 0
        if self.validation_fraction:
            n_held = min(max(2, round(self.validation_fraction * n)), n - 2)
        order = torch.as_tensor(rng.permutation(n), device=self.device)
        return order[:n_held], order[n_held:]

    def _new_network(self, data: PackedGraphs) -> GraphEncoder:
        """A network with fresh weights for graphs and features like these."""
        return GraphEncoder(
            data.first.shape[2],
            data.extra.shape[1],
            self.n_hidden,
            self.n_layers,
            self.dropout,
            self.conv,
            self.head,
        ).to(self.device)

    def _epoch(
        self, data: PackedGraphs, y: Tensor, train: Tensor, optimizer: torch.optim.Optimizer
    ) -> float:
        """Train on all batches once, in a new order; the mean loss."""
        self.model_.train()
        losses = []
        n_batches = min(math.ceil(len(train) / self.batch_size), len(train) // 2)
        shuffled = train[torch.randperm(len(train)).to(self.device)]
        for rows in shuffled.tensor_split(n_batches):
            optimizer.zero_grad()
            loss = self._loss(data, y, rows)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return sum(losses) / len(losses)

    def _held_out_loss(self, data: PackedGraphs, y: Tensor, rows: Tensor) -> float:
        """The loss on the networks that are held out."""
        self.model_.eval()
        with torch.no_grad():
            return float(self._loss(data, y, rows))

    def _loss(self, data: PackedGraphs, y: Tensor, rows: Tensor) -> Tensor:
        """The loss of the head on some networks."""
        embedding = self.model_.embed(*data.batch(rows))
        if self.head == "binary":
            return pairwise_loss(self.model_.pair_logits(embedding), y[rows])
        return functional.l1_loss(self.model_.head(embedding)[:, 0], y[rows])

    def _pack(self, graphs: OperationGraphs | None, features: NDArray[np.float64]) -> PackedGraphs:
        """Graphs and scaled features as tensors; features beyond the limit are cut off."""
        return PackedGraphs.of(graphs, self.scale_.apply(features), self.device)

    def _read(self, X: Any, extra: Any) -> tuple[OperationGraphs | None, NDArray[np.float64]]:
        """Graphs and features of X in any of its forms; no graphs if only features count."""
        graphs, features = read_architectures(X, extra, self.space, self.keep_absent)
        if self.conv != "mlp":
            return graphs, features
        if not features.shape[1]:
            raise ValueError("conv='mlp' sees the features only, and X has none. Append some.")
        return None, features

    def _check_settings(self) -> None:
        """Check what decides the training, before anything is read."""
        usable_device(self.device)
        _checks.choice("head", self.head, ("unary", "binary"))
        _checks.choice("conv", self.conv, ("gcn", "gin", "mlp"))
        _checks.choice("feature_scaling", self.feature_scaling, SCALINGS)
        _checks.choice("target_scaling", self.target_scaling, SCALINGS)
        least = {"n_layers": 1, "n_hidden": 1, "n_epochs": 1, "batch_size": 1}
        for name, low in (least | {"patience": 0, "min_epochs": 0}).items():
            _checks.whole_number(name, getattr(self, name), low)
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise ValueError(f"{name}={value!r} must be a finite number, 0 or larger.")
        if not isinstance(self.keep_absent, bool | np.bool_):
            raise ValueError(f"keep_absent={self.keep_absent!r} must be True or False.")
        for name in ("dropout", "validation_fraction"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not 0 <= value < 1:
                raise ValueError(f"{name}={value!r} must be a number, at least 0 and below 1.")
