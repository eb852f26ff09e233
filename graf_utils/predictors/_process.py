"""The Gaussian process of the blend: how much each column matters to it, and its kernel."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel
from sklearn.metrics.pairwise import euclidean_distances

__all__ = ["QuickMatern", "column_weights", "fit_process", "gains", "tuned_kernel"]

_TO_TUNE = 256  # networks that the kernel is tuned on: the cost grows with their cube


class QuickMatern(Matern):
    """Matérn 3/2 whose distances to new networks are a matrix product: several times as fast."""

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        if Y is None:
            return super().__call__(X, eval_gradient=eval_gradient)
        steps = np.sqrt(3) * euclidean_distances(X / self.length_scale, Y / self.length_scale)
        return (1 + steps) * np.exp(-steps)


def gains(trees: Any, n_columns: int) -> NDArray[np.float64]:
    """By how much the splits on each column lower the loss, as a share of all."""
    found = trees.get_booster().get_score(importance_type="total_gain")
    shares = np.array([found.get(f"f{column}", 0.0) for column in range(n_columns)])
    return shares / max(shares.sum(), np.finfo(float).tiny)


def column_weights(
    X: NDArray[np.float64], targets: NDArray[np.float64], gains: NDArray[np.float64], few: float
) -> NDArray[np.float64]:
    """How much each column matters to targets (n_networks, n_targets); their mean square is 1."""
    targets, X = targets - targets.mean(axis=0), X - X.mean(axis=0)
    size = np.outer((targets**2).sum(axis=0), (X**2).sum(axis=0))
    squared = ((targets.T @ X) ** 2 / np.maximum(size, np.finfo(float).tiny)).sum(axis=0)
    if not squared.sum() > 0:  # nothing is known of the target
        return np.ones(X.shape[1])
    share = few / (few + len(X)) if np.isfinite(few) else 1.0
    weights = share * squared / squared.sum() + (1 - share) * gains
    return np.sqrt(weights * len(weights) / weights.sum())


def tuned_kernel(
    X: NDArray[np.float64], z: NDArray[np.float64], random: np.random.RandomState
) -> Kernel:
    """The kernel that some of the networks make likeliest."""
    scale = np.sqrt(X.shape[1])
    kernel = ConstantKernel(1.0, (1e-3, 1e3))
    kernel *= QuickMatern(scale, (scale / 30, scale * 100), nu=1.5)
    kernel += WhiteKernel(0.1, (1e-4, 2.0))
    some = random.permutation(len(z))[:_TO_TUNE]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is meant
        return GaussianProcessRegressor(kernel, normalize_y=True).fit(X[some], z[some]).kernel_


def fit_process(
    X: NDArray[np.float64], z: NDArray[np.float64], kernel: Kernel
) -> GaussianProcessRegressor:
    """A Gaussian process with this kernel."""
    return GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(X, z)
