"""A blend of a Gaussian process and boosted trees that says how sure it is.

On some targets a Gaussian process orders networks best, on others trees do; and of many columns
only few matter. So the process sees each column stretched by how much it matters, and what the
process and the trees say is averaged, by how well each predicts networks it was fitted without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, RegressorMixin, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from graf_utils._checks import whole_number
from graf_utils.predictors._process import column_weights, fit_process, gains, tuned_kernel
from graf_utils.predictors.boosting import xgb
from graf_utils.redundancy import distinct_columns

__all__ = ["BlendRegressor", "NormalScores", "Squash"]

_USUAL = 0.4  # share of the process before anything is known of the target
_DOUBT = 64  # networks that say as much of the share as what is usual
_HASTE = 4  # how many times as fast trees learn that predict no new networks
_TO_JUDGE = 256  # networks that are left out, at most


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

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of targets, linear between the training networks and beyond them.

        Parameters
        ----------
        y : ndarray
            In the target's units.

        Returns
        -------
        ndarray
        """
        beyond = y - np.clip(y, self._y[0], self._y[-1])
        return np.interp(y, self._y, self._scores) + beyond / (self._slope or np.inf)

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
        spread = (X / _power(X)).std(axis=0) * _power(X)
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


class BlendRegressor(RegressorMixin, BaseEstimator):
    """Weighted average of a Gaussian process and boosted trees; the weight is learned.

    Both see standardised columns without long tails (`Squash`). The process (Matérn 3/2) learns the
    ranks of the target on a normal scale (`NormalScores`), so that a few very bad networks do not
    rule its fit. The trees learn the target itself, and say a score on the same scale: what is far
    apart matters most to them, so that the two err on different networks. For the process each
    column is stretched by its weight: the square root of a mean of its squared correlation with the
    target and its ranks, which can be told from few networks, and of what it gains trees that learn
    either, which needs many. This is what a kernel with a length scale for each column would learn,
    without its hundreds of parameters: many columns that say little no longer dilute a few that say
    much.

    Thirds of the training networks, and no more than 256 networks in all, are left out in turn.
    Errors on them tell the share of the process (least squares, drawn towards two fifths when the
    networks are few), and how wide the intervals are. For these fits the trees learn four times as
    fast, the kernel stays. Of a target over many orders of magnitude the trees learn little but its
    largest values: take its logarithm first.

    Parameters
    ----------
    share : "learned" or float, default "learned"
        Share of the process in the average, from 0 (trees alone) to 1.
    few : float, default 64
        Number of training networks at which correlations and trees have equal say in the weights;
        with 0 the trees alone say it, with infinity the correlations.
    n_rounds : int, default 600
        Boosting rounds.
    random_state : int, numpy RandomState or None, default 42
        Seed of the trees, of the networks that the kernel is tuned on and of those left out.

    Attributes
    ----------
    n_features_in_ : int
        Columns seen by `fit`.
    columns_ : ndarray of int
        Columns that are neither constant nor a copy of an earlier one in the training networks.
    weights_ : ndarray of shape (n_kept_columns,)
        How much each of them matters to the process.
    share_ : float
        Share of the process in the average.
    stretch_ : float
        By how much the spread that the process says is multiplied.

    Notes
    -----
    The settings were chosen by mean tau on data seeds 1000 to 1009 of NAS-Bench-201 CIFAR-10 and
    TransNAS-Bench-101-micro class_scene, with the encodings ``graf+flow`` and ``zcp+graf+flow``.
    Three of them, the target of the trees, the columns at each split and the rule of the share,
    were also chosen on room_layout of the latter (``graf``, ``graf+flow``), where the share of
    two thirds that this predictor used to have lost to a random forest.
    ``benchmarks/predictors.py --choose blend`` varies the options. For Gaussian processes see
    Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006); for weights from
    predictions of what was left out, Breiman, "Stacked Regressions", Machine Learning 24 (1996).

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
        share: float | str = "learned",
        few: float = 64,
        n_rounds: int = 600,
        random_state: Any = 42,
    ) -> None:
        self.share = share
        self.few = few
        self.n_rounds = n_rounds
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> BlendRegressor:
        """Fit the trees, then the process, then both again without some networks.

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
        y = y.astype(np.float64)
        self.target_ = NormalScores(y)
        self.columns_ = distinct_columns(X)
        if not len(self.columns_):  # nothing to tell networks apart by
            self.columns_ = np.array([0])
        self.scaler_ = make_pipeline(Squash(), StandardScaler())
        X, z = self.scaler_.fit_transform(X[:, self.columns_]), self.target_.scores
        self._center, self._unit = _center_and_unit(y)
        r = (y - self._center) / self._unit
        targets = np.column_stack([z, r])
        self.trees_ = _boosting(self.n_rounds, 1, seed).fit(X, r)
        self.weights_ = self._weights(X, targets, self.trees_, seed)
        kernel = tuned_kernel(X * self.weights_, z, random)
        self.process_ = fit_process(X * self.weights_, z, kernel)
        rows, process, std, trees = self._left_out(X, targets, kernel, seed, random)
        learned = isinstance(self.share, str)
        self.share_ = _share(process, trees, z[rows]) if learned else float(self.share)
        errors = self.share_ * process + (1 - self.share_) * trees - z[rows]
        self.stretch_ = float(np.quantile(np.abs(errors) / std, 0.8) / norm.ppf(0.9))
        return self

    def _weights(
        self, X: NDArray[np.float64], targets: NDArray[np.float64], trees: Any, seed: int
    ) -> NDArray[np.float64]:
        """How much columns matter to ranks and target, by trees of the target and others."""
        of_ranks = _boosting(self.n_rounds, _HASTE, seed).fit(X, targets[:, 0])
        both = (gains(trees, X.shape[1]) + gains(of_ranks, X.shape[1])) / 2
        return column_weights(X, targets, both, self.few)

    def _left_out(
        self,
        X: NDArray[np.float64],
        targets: NDArray[np.float64],
        kernel: Any,
        seed: int,
        random: np.random.RandomState,
    ) -> Any:
        """Return rows, and what process (mean, std) and trees that did not see them say of them."""
        said = []
        for rows in _folds(len(X), random):
            rest = np.delete(np.arange(len(X)), rows)
            trees = _boosting(self.n_rounds, _HASTE, seed).fit(X[rest], targets[rest, 1])
            weights = self._weights(X[rest], targets[rest], trees, seed)
            process = fit_process(X[rest] * weights, targets[rest, 0], kernel)
            mean, std = process.predict(X[rows] * weights, return_std=True)
            said.append([rows, mean, std, self._tree_scores(trees, X[rows])])
        return [np.concatenate(part) for part in zip(*said, strict=True)]

    def _check_options(self) -> None:
        learned = isinstance(self.share, str) and self.share == "learned"
        if not learned and not (_is_number(self.share) and 0 <= self.share <= 1):
            raise ValueError(f"share={self.share!r} must be a number from 0 to 1, or 'learned'.")
        if not _is_number(self.few) or not self.few >= 0:
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

        The Gaussian process gives the spread in scores, stretched so that the interval of 80 %
        around the average holds four in five training networks that were left out in turn.

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
        trees = self._tree_scores(self.trees_, X)
        return self.share_ * process + (1 - self.share_) * trees

    def _tree_scores(self, trees: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """What trees say, on the normal scale."""
        return self.target_.forward(self._center + self._unit * trees.predict(X))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _center_and_unit(y: NDArray[np.float64]) -> tuple[np.float64, np.float64]:
    """Mean and standard deviation (1 if that is 0), also of what is too large to square."""
    power = _power(y)
    return (y / power).mean() * power, (y / power).std() * power or np.float64(1)


def _power(values: NDArray[np.float64]) -> Any:
    """A power of 2 near the largest value of each column: to divide by it rounds nothing."""
    return np.float64(2) ** np.clip(np.frexp(np.abs(values).max(axis=0))[1], -1000, 1000)


def _boosting(n_rounds: int, haste: int, seed: int) -> Any:
    """Boosted trees that see 80 % of the rows and, at each split, two fifths of the columns.

    `haste` says how many times as fast they learn, in so many times fewer rounds.
    """
    return xgb(
        n_estimators=-(-n_rounds // haste),
        learning_rate=0.025 * haste,
        max_depth=4,
        subsample=0.8,
        colsample_bynode=0.4,
        random_state=seed,
    )


def _folds(n: int, random: np.random.RandomState) -> Iterator[NDArray[np.intp]]:
    """Up to three thirds of the networks to leave out, as many as `_TO_JUDGE` allows."""
    size = min(-(-n // 3), _TO_JUDGE)
    order = random.permutation(n)
    for start in range(0, n, size):
        if min(start + size, n) <= _TO_JUDGE:
            yield order[start : start + size]


def _share(
    process: NDArray[np.float64], trees: NDArray[np.float64], z: NDArray[np.float64]
) -> float:
    """Share of the process that leaves the least squared error, drawn towards what is usual."""
    apart = process - trees
    if not apart.any():
        return _USUAL
    best = apart @ (z - trees) / (apart @ apart)
    trust = len(z) / (len(z) + _DOUBT)
    return float(trust * np.clip(best, 0, 1) + (1 - trust) * _USUAL)
