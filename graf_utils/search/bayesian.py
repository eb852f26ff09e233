"""Bayesian optimisation: a surrogate that says how sure it is, asked about random candidates.

The protocol is that of the paper's figure of search, and of BANANAS before it (White et al., 2021):
an ensemble of predictors, independent Thompson sampling, and batches from random candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from graf_utils import _checks
from graf_utils._parallel import predict_in_order
from graf_utils._predictions import tells_std
from graf_utils.predictors import make_predictor
from graf_utils.predictors.forest import random_forest
from graf_utils.search.surrogates import finite, seeded

__all__ = ["Bayesian"]


@dataclass(frozen=True)
class Bayesian:
    """Propose, of some random candidates, those with the highest draws from what is predicted.

    Before each batch a surrogate is fitted to all evaluated. It predicts a mean and a standard
    deviation for each of `n_candidates` candidates drawn at random; of each normal distribution one
    number is drawn, by itself (independent Thompson sampling), and the highest draws are the batch.

    Where mean and standard deviation come from depends on the surrogate:

    * ``predict(X, return_std=True)`` exists (`BlendRegressor`, scikit-learn's Gaussian process and
      Bayesian ridge): one model is fitted, and says both;
    * any other: `n_members` copies, with a seed of their own, each fitted to a bootstrap sample of
      the evaluated; mean and standard deviation of what they predict;
    * a list: the same of its models, each fitted to all evaluated.

    Of several objectives each is predicted and drawn by itself; every place in the batch weighs the
    draws anew, as said in `search`.

    Parameters
    ----------
    surrogate : str, regressor or list of them
        Names of `graf_utils.predictors.PREDICTORS`, or scikit-learn regressors of your own; by
        default the paper's forest. Their ``random_state`` is drawn by the search.
    n_members : int
        Copies in the ensemble, at least 2.
    n_candidates : int
        Candidates drawn for each batch; with no more than a batch this is random search.

    Raises
    ------
    ValueError
        A surrogate is no regressor, a list has fewer than two, or a number is out of range.

    Examples
    --------
    >>> from graf_utils import load_table
    >>> from graf_utils.search import Candidates, search
    >>> from sklearn.linear_model import BayesianRidge
    >>> table = load_table("nb201-cifar10")
    >>> pool, y = Candidates.of(table, "op-count"), table.target("accuracy")
    >>> run = search(pool, y, Bayesian(BayesianRidge()), 60, batch_size=20, random_state=0)
    >>> run["candidate"].nunique()
    60
    """

    surrogate: Any = field(default_factory=random_forest)
    n_members: int = 3
    n_candidates: int = 200

    def __post_init__(self) -> None:
        _checks.whole_number("n_members", self.n_members, 2)
        _checks.whole_number("n_candidates", self.n_candidates, 1)
        if isinstance(self.surrogate, list | tuple) and len(self.surrogate) < 2:
            raise ValueError(
                f"surrogate={self.surrogate!r} is a list of {len(self.surrogate)}; an ensemble "
                "needs two models at least. Pass a single one by itself, without the list."
            )
        self._models()

    def __call__(self, history: Any) -> Iterator[list[int]]:
        """Propose batch after batch.

        Parameters
        ----------
        history : graf_utils.search.history.History
            What the search has seen.

        Yields
        ------
        sequence of candidates
            Rows, or architectures of a space that is not listed; no more than a batch.
        """
        while True:
            if history.knows_too_little:
                yield history.draw(history.batch_size)
                continue
            items = history.options(self.n_candidates)
            drawn = self._drawn(history, history.features(items))
            left, chosen = np.arange(len(items)), []
            for _ in range(min(history.batch_size, len(items))):
                history.turn()
                best = left[history.scores(drawn[left]).argmax()]
                left = left[left != best]
                chosen.append(best)
            yield items[chosen]

    def _drawn(self, history: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """One draw for each candidate and objective, several objectives scaled."""
        known, values = history.known()
        known, features = known.astype(np.float64), features.astype(np.float64)
        drawn = np.empty((len(features), values.shape[1]))  # some surrogates need the digits
        for i, y in enumerate(values.T):
            mean, std = self.predict(known, y, features, history.rng)
            drawn[:, i] = history.rng.normal(mean, std)
        return drawn

    def predict(
        self, X: NDArray[Any], y: NDArray[Any], new: NDArray[Any], random_state: Any = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit the surrogate, and predict mean and standard deviation of other networks.

        Parameters
        ----------
        X : ndarray of shape (n_networks, n_columns)
        y : ndarray of shape (n_networks,)
            The evaluated networks and their target.
        new : ndarray of shape (n_new, n_columns)
        random_state : int, RandomState or None
            Draws the seeds of the models and their bootstrap samples.

        Returns
        -------
        mean, std : ndarray of shape (n_new,)

        Raises
        ------
        ValueError
            A surrogate predicts something else than one finite number for each network.
        """
        rng = check_random_state(random_state)
        models = self._models()
        if len(models) == 1 and tells_std(models[0]):
            model = seeded(models[0], rng).fit(X, y)
            both = model.predict(new, return_std=True)
            mean, std = (finite(model, values, len(new)) for values in both)
            return mean, std
        own = len(models) > 1  # a list: its models differ by themselves
        models = models if own else [self._models()[0] for _ in range(self.n_members)]
        said = []
        for model in models:
            rows = np.arange(len(y)) if own else rng.randint(len(y), size=len(y))
            fitted = seeded(model, rng).fit(X[rows], y[rows])
            said.append(finite(model, predict_in_order(fitted, new), len(new)))
        return np.mean(said, axis=0), np.std(said, axis=0)

    def _models(self) -> list[Any]:
        """Fresh models: those of the list, or a single one."""
        several = isinstance(self.surrogate, list | tuple)
        return [make_predictor(one) for one in (self.surrogate if several else [self.surrogate])]
