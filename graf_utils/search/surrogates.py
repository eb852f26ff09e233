"""What a fitted surrogate says of candidates: a mean, and opinions that differ where it is unsure.

Where the uncertainty comes from depends on the model: the trees of a forest, each an opinion; the
standard deviation of ``predict(X, return_std=True)``, from which opinions are drawn; or nothing,
and then the mean is the only opinion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.pipeline import Pipeline

from graf_utils import _checks
from graf_utils._parallel import predict_in_order
from graf_utils._predictions import tells_std
from graf_utils.predictors import make_predictor

__all__ = ["Predicted", "finite", "fit_all", "predict_all", "seeded", "trees_of"]


@dataclass(frozen=True)
class Predicted:
    """What is predicted of n candidates.

    Parameters
    ----------
    mean : ndarray of shape (n, n_objectives)
    std : ndarray of shape (n, n_objectives), optional
        Of a model that says how sure it is.
    trees : ndarray of shape (n_trees, n, n_objectives), optional
        Of a forest.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64] | None = None
    trees: NDArray[np.float64] | None = None

    def at(self, rows: Any) -> Predicted:
        """Return the part of some candidates.

        Parameters
        ----------
        rows : array of int

        Returns
        -------
        Predicted
        """
        std = None if self.std is None else self.std[rows]
        trees = None if self.trees is None else self.trees[:, rows]
        return Predicted(self.mean[rows], std, trees)

    def opinion(self, rng: np.random.RandomState, tree: int | None = None) -> NDArray[np.float64]:
        """Draw one opinion.

        Parameters
        ----------
        rng : RandomState
        tree : int, optional
            The tree of a forest to ask; by default it is drawn.

        Returns
        -------
        ndarray of shape (n, n_objectives)
            What one tree says; or normal draws, one for each candidate by itself; or the mean.
        """
        if self.trees is not None:
            return self.trees[rng.randint(len(self.trees)) if tree is None else tree]
        return self.mean if self.std is None else rng.normal(self.mean, self.std)


def trees_of(forest: Any, X: NDArray[Any]) -> NDArray[np.float64]:
    """Ask each tree of a forest.

    Parameters
    ----------
    forest : fitted RandomForestRegressor or ExtraTreesRegressor
    X : ndarray of shape (n, n_columns), float32

    Returns
    -------
    ndarray of shape (n_trees, n, n_objectives)
    """
    said = [tree.tree_.predict(X) for tree in forest.estimators_]
    return np.reshape(said, (len(said), len(X), -1))


def fit_all(
    model: Any, X: NDArray[np.float32], y: NDArray[np.float64], rng: np.random.RandomState
) -> list[Any]:
    """Fit one copy of a surrogate per objective.

    Parameters
    ----------
    model : str or regressor
    X : ndarray of shape (n, n_columns)
    y : ndarray of shape (n, n_objectives)
    rng : RandomState
        Draws the seeds of the copies.

    Returns
    -------
    list of fitted regressors
    """
    wide = X.astype(np.float64)  # some surrogates need the digits
    return [seeded(make_predictor(model), rng).fit(wide, column) for column in y.T]


def predict_all(models: Sequence[Any], X: NDArray[np.float32]) -> Predicted:
    """Ask one fitted model per objective, with its uncertainty if it has one.

    Parameters
    ----------
    models : sequence of fitted regressors
        Of one kind, as `fit_all` returns them.
    X : ndarray of shape (n, n_columns)

    Returns
    -------
    Predicted

    Raises
    ------
    ValueError
        A model predicts something else than one finite number per candidate.
    """
    said = [_predict(model, X) for model in models]
    mean, std, trees = zip(*((one.mean, one.std, one.trees) for one in said), strict=True)
    return Predicted(
        np.concatenate(mean, axis=1),
        None if std[0] is None else np.concatenate(std, axis=1),
        None if trees[0] is None else np.concatenate(trees, axis=2),
    )


def _predict(model: Any, X: NDArray[Any]) -> Predicted:
    """What one model says of one objective."""
    wide = X.astype(np.float64)
    whole = model
    if isinstance(model, Pipeline):
        wide, model = model[:-1].transform(wide) if len(model) > 1 else wide, model[-1]
    if isinstance(model, RandomForestRegressor | ExtraTreesRegressor):
        trees = trees_of(model, np.asarray(wide, dtype=np.float32))
        return Predicted(trees.mean(axis=0), trees=trees)
    if tells_std(model):
        mean, std = (finite(whole, v, len(X)) for v in model.predict(wide, return_std=True))
        return Predicted(mean[:, None], std[:, None])
    return Predicted(finite(whole, predict_in_order(model, wide), len(X))[:, None])


def seeded(model: Any, rng: np.random.RandomState) -> Any:
    """Set seeds that are drawn, wherever a model takes one.

    Parameters
    ----------
    model : regressor
    rng : RandomState

    Returns
    -------
    regressor
        The same one.
    """
    names = sorted(model.get_params())
    names = [name for name in names if name.split("__")[-1] == "random_state"]
    return model.set_params(**{name: int(rng.randint(2**31 - 1)) for name in names})


def finite(model: Any, returned: Any, n: int) -> NDArray[np.float64]:
    """Check what a model predicts.

    Parameters
    ----------
    model : regressor
        For the message.
    returned : object
        What it returned.
    n : int
        For how many networks.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        It is not one finite number per network.
    """
    values = _checks.predictions(f"what {model!r} predicts", returned, n)
    if not np.isfinite(values).all():
        raise ValueError(
            f"surrogate {model!r} predicts {values[~np.isfinite(values)][0]} for a network. Take "
            "another surrogate, or features without extreme values."
        )
    return values
