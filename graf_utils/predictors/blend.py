"""A blend of a Gaussian process and boosted trees that says how sure it is.

With few networks a Gaussian process is best, with many it is trees; and of many columns only few
matter. So the process sees each column stretched by how much it matters, and what the process and
the trees say is averaged.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.stats import norm, rankdata
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, RegressorMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from graf_utils._checks import whole_number
from graf_utils.predictors.boosting import xgb
from graf_utils.redundancy import distinct_columns

__all__ = ["BlendRegressor", "NormalScores", "Squash"]

_TO_TUNE = 256  # networks that the kernel is tuned on: the cost grows with their cube


class NormalScores:
    """A target's ranks on a normal scale, and the way back.

    Networks differ most where they are bad. Ranks ask for the order, which is what is measured.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The target of the training networks.

    Attributes
    ----------
    scores : ndarray of shape (n,)
        Normal quantiles of the ranks; equal targets have equal scores.
    """

    def __init__(self, y: NDArray[np.float64]) -> None:
        self.scores = norm.ppf((rankdata(y) - 0.5) / len(y))
        self._scores, first = np.unique(self.scores, return_index=True)
        self._y = y[first]
        spread = self._scores[-1] - self._scores[0]
        self._slope = (self._y[-1] - self._y[0]) / spread if spread > 0 else 0.0

    def inverse(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the target of scores: linear between the training networks, and beyond them.

        Parameters
        ----------
        scores : ndarray

        Returns
        -------
        ndarray
            In the target's units; the higher the score, the higher (all equal if y was constant).
        """
        beyond = scores - np.clip(scores, self._scores[0], self._scores[-1])
        return np.interp(scores, self._scores, self._y) + self._slope * beyond


class Squash(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Draw in the tails of each column: arcsinh of its distance from the median, in MADs.

    Proxies span many orders of magnitude, and a few of their values would rule all distances.
    Columns whose median absolute deviation is 0 are measured in standard deviations.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_columns,)
        Median, and median absolute deviation from it.
    """

    def fit(self, X: Any, y: Any = None) -> Squash:
        """Learn center and scale.

        Parameters
        ----------
        X : array-like of shape (n_networks, n_columns)
        y : ignored

        Returns
        -------
        Squash

        Raises
        ------
        ValueError
            X is no matrix of finite numbers.
        """
        X = validate_data(self, X, dtype=np.float64)
        self.center_ = np.median(X, axis=0)
        deviation = np.median(np.abs(X - self.center_), axis=0)
        spread = X.std(axis=0)
        deviation = np.where(deviation > 0, deviation, spread)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Squash columns.

        Parameters
        ----------
        X : array-like of shape (n_networks, n_columns)

        Returns
        -------
        ndarray of shape (n_networks, n_columns)

        Raises
        ------
        ValueError
            X does not have the columns of `fit`, or is not finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.arcsinh((X - self.center_) / self.scale_)


class _Matern(Matern):
    """Matérn 3/2 whose distances to new networks are a matrix product: several times as fast."""

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        if Y is None:
            return super().__call__(X, eval_gradient=eval_gradient)
        steps = np.sqrt(3) * euclidean_distances(X / self.length_scale, Y / self.length_scale)
        return (1 + steps) * np.exp(-steps)


class BlendRegressor(RegressorMixin, BaseEstimator):
    """Weighted average of a Gaussian process and boosted trees.

    Both see standardised columns without long tails (`Squash`) and the ranks of the target on a
    normal scale (`NormalScores`), so that a few very bad networks do not rule the fit. The trees
    are those of `graf_xgb`, fewer and shallower. For the process (Matérn 3/2) each column is
    stretched by its weight: the square root of a mean of its squared correlation with the target,
    which can be told from few networks, and of what it gains the trees, which needs many. This is
    what a kernel with a length scale for each column would learn, without its hundreds of
    parameters: many columns that say little no longer dilute a few that say much.

    Parameters
    ----------
    share : float, default 2/3
        Share of the process in the average, from 0 (trees alone) to 1.
    few : float, default 64
        Number of training networks at which correlations and trees have equal say in the weights;
        with 0 the trees alone say it, with infinity the correlations.
    n_rounds : int, default 600
        Boosting rounds.
    random_state : int, numpy RandomState or None, default 42
        Seed of the trees and of the networks that the kernel is tuned on.

    Attributes
    ----------
    n_features_in_ : int
        Columns seen by `fit`.
    columns_ : ndarray of int
        Columns that are neither constant nor a copy of an earlier one in the training networks.
    weights_ : ndarray of shape (n_kept_columns,)
        How much each of them matters to the process.

    Notes
    -----
    The settings were chosen by mean tau on NAS-Bench-201 CIFAR-10, data seeds 1000 to 1009, with
    the encodings ``graf+flow`` and ``zcp+graf+flow`` (`Squash` on TransNAS-Bench-101-micro
    class_scene as well). ``benchmarks/predictors.py --choose blend``
    varies them. For Gaussian processes, and what one would have said of a training network without
    it (equations 5.10 to 5.12), see Rasmussen & Williams, "Gaussian Processes for Machine Learning"
    (2006).

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> blend = BlendRegressor(n_rounds=20).fit(X, X.ravel() ** 2)
    >>> low, middle, high = blend.predict_quantiles(X, [0.1, 0.5, 0.9]).T
    >>> bool((low < middle).all() and (middle < high).all())
    True
    """

    def __init__(
        self,
        *,
        share: float = 2 / 3,
        few: float = 64,
        n_rounds: int = 600,
        random_state: Any = 42,
    ) -> None:
        self.share = share
        self.few = few
        self.n_rounds = n_rounds
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> BlendRegressor:
        """Fit the trees, then the process.

        Parameters
        ----------
        X : array-like of shape (n_networks, n_columns)
        y : array-like of shape (n_networks,)

        Returns
        -------
        BlendRegressor

        Raises
        ------
        ValueError
            X or y are no finite numbers, there are fewer than two networks, or `share`, `few` or
            `n_rounds` is out of its range.
        ModuleNotFoundError
            XGBoost is not installed.
        """
        self._check_options()
        X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=2, dtype=np.float64)
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        self.target_ = NormalScores(y.astype(np.float64))
        self.columns_ = distinct_columns(X)
        if not len(self.columns_):  # nothing to tell networks apart by
            self.columns_ = np.array([0])
        self.scaler_ = make_pipeline(Squash(), StandardScaler())
        X, z = self.scaler_.fit_transform(X[:, self.columns_]), self.target_.scores
        self.trees_ = _boosting(self.n_rounds, seed).fit(X, z)
        self.weights_ = _weights(X, z, _gains(self.trees_, X.shape[1]), self.few)
        self.process_ = _tuned_process(X * self.weights_, z, random)
        self.stretch_ = _stretch(self.process_)
        return self

    def _check_options(self) -> None:
        if not isinstance(self.share, Real) or not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share!r} must be a number from 0 to 1, such as 2/3.")
        if not isinstance(self.few, Real) or not self.few >= 0:
            raise ValueError(f"few={self.few!r} must be a number from 0, such as 64.")
        whole_number("n_rounds", self.n_rounds, 1)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target.

        Parameters
        ----------
        X : array-like of shape (n_networks, n_columns)
        return_std : bool
            Return standard deviations as well.

        Returns
        -------
        ndarray of shape (n_networks,), or a pair of them
            The median in the target's units, and with `return_std` half the width of the interval
            that a normal variable spends 68 % in.

        Raises
        ------
        ValueError
            X does not have the columns of `fit`, or is not finite.
        """
        if not return_std:
            X = self._columns(X)
            process = self.process_.predict(X * self.weights_)
            return self.target_.inverse(self._blended(process, X))
        median, low, high = self.predict_quantiles(X, [0.5, norm.cdf(-1), norm.cdf(1)]).T
        return median, (high - low) / 2

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.1, 0.5, 0.9)) -> Any:
        """Predict quantiles of the target: 0.1 and 0.9 hold an interval of 80 %.

        The Gaussian process gives the spread in scores, stretched so that it would have held the
        training networks as often as it says, each judged without itself.

        Parameters
        ----------
        X : array-like of shape (n_networks, n_columns)
        quantiles : sequence of float
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_networks, n_quantiles)
            In the target's units.

        Raises
        ------
        ValueError
            A quantile is not between 0 and 1, or as `predict`.
        """
        levels = np.asarray(quantiles, dtype=float)
        if levels.ndim != 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"quantiles={quantiles!r} must be a list of numbers between 0 and 1, such as "
                "[0.1, 0.9]."
            )
        X = self._columns(X)
        process, std = self.process_.predict(X * self.weights_, return_std=True)
        spread = np.outer(self.stretch_ * std, norm.ppf(levels))
        return self.target_.inverse(self._blended(process, X)[:, None] + spread)

    def _columns(self, X: Any) -> NDArray[np.float64]:
        """Checked, standardised columns."""
        check_is_fitted(self, "process_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.scaler_.transform(X[:, self.columns_])

    def _blended(self, process: NDArray[np.float64], X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average, on the normal scale, of what the process says and what the trees say."""
        return self.share * process + (1 - self.share) * self.trees_.predict(X)


def _boosting(n_rounds: int, seed: int) -> Any:
    """Boosted trees that see 80 % of the rows and, at each split, a fifth of the columns."""
    options = {"learning_rate": 0.025, "max_depth": 4, "subsample": 0.8, "colsample_bynode": 0.2}
    return xgb(n_estimators=n_rounds, random_state=seed, **options)


def _gains(trees: Any, n_columns: int) -> NDArray[np.float64]:
    """By how much the splits on each column lower the loss, as a share of all."""
    gains = trees.get_booster().get_score(importance_type="total_gain")
    shares = np.array([gains.get(f"f{column}", 0.0) for column in range(n_columns)])
    return shares / max(shares.sum(), np.finfo(float).tiny)


def _weights(
    X: NDArray[np.float64], z: NDArray[np.float64], gains: NDArray[np.float64], few: float
) -> NDArray[np.float64]:
    """How much each column matters; the mean square over the columns is 1."""
    size = np.sqrt((X**2).sum(axis=0) * ((z - z.mean()) ** 2).sum())
    squared = ((z - z.mean()) @ X / np.maximum(size, np.finfo(float).tiny)) ** 2
    if not squared.sum() > 0:  # nothing is known of the target
        return np.ones(X.shape[1])
    share = few / (few + len(z)) if np.isfinite(few) else 1.0
    weights = share * squared / squared.sum() + (1 - share) * gains
    return np.sqrt(weights * len(weights) / weights.sum())


def _tuned_process(
    X: NDArray[np.float64], z: NDArray[np.float64], random: np.random.RandomState
) -> GaussianProcessRegressor:
    """A Gaussian process on all networks, its kernel tuned on some of them."""
    scale = np.sqrt(X.shape[1])
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * _Matern(scale, (scale / 30, scale * 100), nu=1.5)
    kernel += WhiteKernel(0.1, (1e-4, 2.0))
    some = random.permutation(len(z))[:_TO_TUNE]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is meant
        tuned = GaussianProcessRegressor(kernel, normalize_y=True).fit(X[some], z[some])
        if len(some) == len(z):
            return tuned
        process = GaussianProcessRegressor(tuned.kernel_, optimizer=None, normalize_y=True)
        return process.fit(X, z)


def _stretch(process: GaussianProcessRegressor) -> float:
    """Factor by which the spread of a process has to grow for what it says of left-out networks.

    Rasmussen & Williams (2006), equation 5.12: without network i the process predicts it with the
    error alpha_i / [K^-1]_ii and the variance 1 / [K^-1]_ii.
    """
    inverse = cho_solve((process.L_, True), np.eye(len(process.L_)))
    errors = np.abs(process.alpha_.ravel()) / np.sqrt(np.diag(inverse))
    return float(np.quantile(errors, 0.8) / norm.ppf(0.9))
