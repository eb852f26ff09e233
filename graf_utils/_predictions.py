"""What a predictor said of each test network: the prediction, its interval, all in one frame."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from graf_utils import _checks

__all__ = [
    "OF_INTERVALS", "Heard", "bounds", "held", "intervals", "refuse_large", "tells_std", "tidy",
]  # fmt: skip

OF_INTERVALS = ("coverage", "width")
"""Numbers of a fit with intervals; see `held`."""

LARGEST = 2 * 2**30
"""Bytes that a frame of predictions may take."""

_BYTES = 400
"""Bytes of one row of such a frame, with names of usual length (pandas 2 keeps them as objects)."""


class Heard:
    """A predictor that keeps what it predicted last. A clone is itself, with a fresh predictor.

    Parameters
    ----------
    model : regressor
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.returned: Any = None

    def __sklearn_clone__(self) -> Heard:
        self.model = clone(self.model)
        return self

    def __repr__(self) -> str:
        return repr(self.model)

    def fit(self, X: Any, y: Any) -> Heard:
        """Fit the predictor.

        Parameters
        ----------
        X : array of shape (n, n_features)
        y : array of shape (n,)

        Returns
        -------
        Heard
        """
        self.model.fit(X, y)
        return self

    def predict(self, X: Any) -> Any:
        """Predict, and keep what was returned.

        Parameters
        ----------
        X : array of shape (n, n_features)

        Returns
        -------
        object
            What the predictor returns.
        """
        self.returned = self.model.predict(X)
        return self.returned

    def told(
        self, X: Any, true: NDArray[Any], rows: Any, span: float | None
    ) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
        """Return what the fitted predictor said of the networks that it has just predicted.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Their features.
        true : ndarray of shape (n_rows,)
            The target of all networks, in whose standard deviations widths are measured.
        rows : sequence of int, of shape (n,)
            Which networks they are.
        span : float, optional
            Share that an interval should hold.

        Returns
        -------
        scores : dict of str to float
            See `held`; empty without intervals.
        said : dict of str to ndarray of shape (n,)
            ``row, predicted, true``, and with intervals ``low, high``.
        """
        rows = np.asarray(rows, dtype=int)
        what = f"what predictor {self!r:.80} returned"
        predicted = _checks.predictions(what, self.returned, len(rows))
        said = {"row": rows, "predicted": predicted, "true": true[rows]}
        if span is None:
            return {}, said
        low, high = bounds(self.model, X, span)
        return held(low, high, true[rows], true.std()), said | {"low": low, "high": high}


def intervals(models: Mapping[str, Any], interval: Any) -> dict[str, float | None]:
    """Say which interval each predictor is asked for.

    Parameters
    ----------
    models : mapping of str to regressor
        By name, fitted or not.
    interval : float or None
        Share that it should hold.

    Returns
    -------
    dict of str to float or None
        None if a predictor has no intervals.

    Raises
    ------
    ValueError
        `interval` is no number between 0 and 1, or no predictor has intervals.
    """
    if interval is None:
        return dict.fromkeys(models)
    number = _checks.numbers_of(interval)
    if isinstance(interval, bool | str) or number is None or number.shape != ():
        number = np.nan
    if not 0 < number < 1:
        raise ValueError(
            f"interval={_checks.short(interval)} must be a number between 0 and 1, such as "
            "interval=0.8 for intervals of 80 %, or None."
        )
    spans = {name: float(number) if _has(model) else None for name, model in models.items()}
    if not any(spans.values()):
        raise ValueError(
            f"interval={interval}: none of the predictors {list(models)} has intervals, which come "
            "from predict_quantiles(X, quantiles) or predict(X, return_std=True). Add one that "
            "does, such as 'blend' or scikit-learn's BayesianRidge(), or leave interval out."
        )
    return spans


def _has(model: Any) -> bool:
    """Whether a predictor, or the last step of a pipeline, says how sure it is."""
    if isinstance(model, Pipeline):
        return _has(model.steps[-1][1])
    return hasattr(model, "predict_quantiles") or tells_std(model)


def tells_std(model: Any) -> bool:
    """Say whether a regressor predicts standard deviations, the way scikit-learn's do.

    Parameters
    ----------
    model : regressor
        Fitted or not.

    Returns
    -------
    bool
    """
    return "return_std" in inspect.signature(model.predict).parameters


def bounds(model: Any, X: NDArray[Any], interval: float) -> tuple[Any, Any]:
    """Return both ends of the intervals of a fitted predictor.

    Parameters
    ----------
    model : regressor
        One that `intervals` found to have some.
    X : ndarray of shape (n, n_features)
    interval : float
        Share that they should hold; as much is left out below as above.

    Returns
    -------
    low, high : ndarray of shape (n,)
        From its quantiles, else its mean and standard deviation, as of a normal variable.

    Raises
    ------
    ValueError
        What it returned is not finite, has another shape, or has high below low.
    """
    if isinstance(model, Pipeline):
        for _, step in model.steps[:-1]:
            X = X if step in (None, "passthrough") else step.transform(X)
        return bounds(model.steps[-1][1], X, interval)
    levels = [round((1 - interval) / 2, 12), round((1 + interval) / 2, 12)]  # 0.1, not 0.0999…
    with joblib.parallel_config("sequential"):  # as `_parallel.predict_in_order`
        if hasattr(model, "predict_quantiles"):
            ends = _checks.numbers_of(model.predict_quantiles(X, levels))
        else:
            mean, std = model.predict(X, return_std=True)
            ends = np.ravel(mean)[:, None] + np.outer(std, norm.ppf(levels))
    n = X.shape[0]
    is_sound = ends is not None and ends.shape == (n, 2) and np.isfinite(ends).all()
    if not is_sound or (ends[:, 0] > ends[:, 1]).any():
        raise ValueError(
            f"what predictor {model!r:.80} returned as intervals is no pair of finite numbers, low "
            f"and high, for each of {n} networks. Correct its predict_quantiles or "
            "predict(X, return_std=True), or leave interval out."
        )
    return ends[:, 0], ends[:, 1]


def held(low: Any, high: Any, true: Any, unit: float) -> dict[str, float]:
    """Say how many networks lie in their interval, and how wide the middle one is.

    Parameters
    ----------
    low, high, true : ndarray of shape (n,)
    unit : float
        What widths are divided by.

    Returns
    -------
    dict
        ``coverage``, a share, and ``width``.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # a constant target
        width = float(np.median(high - low) / unit)
    return {"coverage": float(((low <= true) & (true <= high)).mean()), "width": width}


def refuse_large(n_predictions: int) -> None:
    """Refuse to keep more predictions than a machine can hold.

    Parameters
    ----------
    n_predictions : int
        Over all fits.

    Raises
    ------
    ValueError
        They would take more than `LARGEST`.
    """
    if n_predictions * _BYTES > LARGEST:
        raise ValueError(
            f"return_predictions=True would keep {n_predictions:,} predictions, about "
            f"{n_predictions * _BYTES / 2**30:,.1f} GiB, more than {LARGEST / 2**30:g} GiB. Ask "
            "for fewer data_seeds, train_sizes or encodings at a time, or for smaller test sets "
            "by splits=."
        )


def tidy(fits: pd.DataFrame, said: Mapping[int, dict[str, NDArray[Any]]]) -> pd.DataFrame:
    """Put the predictions of many fits into one frame.

    Parameters
    ----------
    fits : DataFrame
        One row per fit, numbered.
    said : mapping of int to dict of str to ndarray
        For each fit, columns with one value per test network; see `Heard.told`.

    Returns
    -------
    DataFrame
        The columns of `fits`, then those of `said`; NaN where a fit has none.
    """
    ordered = [said[number] for number in fits.index]
    counts = [len(part["row"]) for part in ordered]
    frame = fits.loc[fits.index.repeat(counts)].reset_index(drop=True)
    for name in dict.fromkeys(name for part in ordered for name in part):
        none = [np.full(n, np.nan) for n in counts]
        parts = [part.get(name, nan) for part, nan in zip(ordered, none, strict=True)]
        frame[name] = np.concatenate(parts)
    return frame
