"""What a method of search can see: what was evaluated, what may come next, and the guidance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils import check_random_state

from graf_utils._checks import short
from graf_utils.search.candidates import k_centre
from graf_utils.search.surrogates import Predicted, fit_all, predict_all, trees_of

__all__ = ["History"]

_TREES = 50
_IMPORTANT = 5  # features that bound a restricted space
_TOP = 0.25  # share of the evaluated whose range bounds it
_FEWEST = 100  # unseen candidates that a restricted space must leave
_LEAST = 2  # evaluations that must have succeeded before anything is learnt from them


class History:
    """What a method can see: the candidates, what was evaluated, and the guidance learnt from it.

    Here a candidate is a row of `Candidates`. In a space that is not listed it is the code of an
    architecture (`graf_utils.search.space_history.SpaceHistory`); a method that asks only `draw`,
    `near`, `options`, `features`, `scores` and `opinions` works with both.

    Parameters
    ----------
    candidates : graf_utils.search.candidates.Candidates
        What may be evaluated.
    batch_size : int
        Evaluations after which the guidance is learnt again.
    restrict, guided : bool
        As in `search`.
    random_state : int, RandomState or None
        Fixes all that is drawn.
    surrogate : str, regressor or None
        As in `search`.
    at_once : int
        As in `search`.

    Attributes
    ----------
    order : list of int
        Candidates evaluated, in order.
    values : ndarray of shape (n_evaluated, n_objectives)
        Their objectives; NaN for an evaluation that failed.
    errors : list of str
        Why it failed, or ``""``.
    unseen : ndarray of shape (n,), bool
        Candidates that were neither evaluated nor claimed.
    weights : ndarray of shape (n_objectives,)
        The direction in which several objectives are raised.
    """

    def __init__(
        self,
        candidates: Any,
        batch_size: int,
        restrict: bool,
        guided: bool,
        random_state: Any,
        surrogate: Any = None,
        at_once: int = 1,
    ) -> None:
        self.candidates = candidates
        self.batch_size = batch_size
        self.restrict = restrict
        self.guided = guided
        self.rng = check_random_state(random_state)
        self.surrogate = surrogate
        self.at_once = at_once
        self.order: list[Any] = []
        self.errors: list[str] = []
        self.values: NDArray[np.float64] = np.empty((0, 0))
        self.weights = np.ones(1)
        self.learnt_at = 0
        self._begin()

    def _begin(self) -> None:
        """Note that nothing has been seen."""
        self.unseen = np.ones(len(self.candidates), dtype=bool)
        self._evaluated: set[int] = set()

    # --- what was evaluated ---

    def add(
        self,
        items: Sequence[Any],
        values: NDArray[np.float64],
        errors: Sequence[str] | None = None,
    ) -> None:
        """Take in some evaluations, and forget the guidance when a batch is full.

        Parameters
        ----------
        items : sequence of candidates
        values : ndarray of shape (n_items, n_objectives)
            Their objectives; NaN for those that failed. While all have failed, and nobody knows
            how many objectives there are, one column.
        errors : sequence of str, optional
            Why each failed, or ``""``.
        """
        self.order += list(items)
        self.errors += [""] * len(items) if errors is None else list(errors)
        self._note(items)
        n = values.shape[1]
        if self.values.shape[1] != n:  # the first, or the first that succeeded
            self.values = np.full((len(self.values), n), np.nan)
            self.weights = np.ones(n) / n
        self.values = np.concatenate([self.values, values])
        if not self.learnt_at or len(self.order) - self.learnt_at >= self.batch_size:
            self.learnt_at = len(self.order)
            for name in ("forest", "_models", "_predicted", "allowed"):
                self.__dict__.pop(name, None)

    def _note(self, items: Sequence[int]) -> None:
        """Note which candidates are evaluated."""
        self.claim(items)
        self._evaluated.update(items)

    def claim(self, items: Sequence[Any]) -> None:
        """Keep candidates from being proposed again before they are evaluated.

        Parameters
        ----------
        items : sequence of candidates
        """
        self.unseen[np.asarray(items, dtype=np.intp)] = False

    def checked(self, items: Any) -> list[Any]:
        """Read what a method proposes.

        Parameters
        ----------
        items : sequence of candidates

        Returns
        -------
        list of candidates

        Raises
        ------
        ValueError
            There is none, one is unknown, or one was evaluated before.
        """
        array, n = np.asarray(items), len(self.candidates)
        rows = array.tolist() if array.ndim == 1 and array.dtype.kind in "iu" else []
        again = len(set(rows)) < len(rows) or self._evaluated.intersection(rows)
        if not rows or again or not all(0 <= row < n for row in rows):
            raise ValueError(
                f"the method proposed the rows {short(items)}; it must yield one at least, of "
                f"0..{n - 1}, and none that was evaluated. history.draw(n) has some."
            )
        return rows

    def architectures(self, items: Sequence[Any]) -> list[Any]:
        """Return the architectures of candidates.

        Parameters
        ----------
        items : sequence of candidates

        Returns
        -------
        list of tuple
        """
        return [self.candidates.architectures[row] for row in items]

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """Which evaluations did not fail."""
        return np.isfinite(self.values).all(axis=1)

    @property
    def knows_too_little(self) -> bool:
        """Whether so many evaluations failed that nothing can be learnt from the rest."""
        return int(self.succeeded.sum()) < _LEAST

    def known(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return what a surrogate learns from, without the evaluations that failed.

        Returns
        -------
        features : ndarray of shape (n_succeeded, n_columns)
        values : ndarray of shape (n_succeeded, n_objectives)
            Several objectives scaled.
        """
        rows = np.flatnonzero(self.succeeded)
        values = self.values[rows]
        if values.shape[1] > 1:
            values = self.scaled(values)
        return self._features_evaluated()[rows], values

    def _features_evaluated(self) -> NDArray[np.float32]:
        return self.candidates.matrix[self.order]

    # --- one number of several ---

    def turn(self) -> None:
        """Draw another direction where there are several objectives."""
        if len(self.weights) > 1:
            self.weights = self.rng.dirichlet(np.ones(len(self.weights)))

    def scores(self, predicted: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Reduce the objectives to one number, the higher the better.

        Parameters
        ----------
        predicted : ndarray of shape (n, n_objectives), optional
            Predictions, several objectives scaled; by default all that was evaluated.

        Returns
        -------
        ndarray of shape (n,)
            Minus infinity for an evaluation that failed.
        """
        values = self.values if predicted is None else predicted
        if values.shape[1] == 1:
            scores = values[:, 0]
        else:
            scaled = self.scaled(values) if predicted is None else predicted
            # augmented Tchebycheff function, ParEGO (Knowles, 2006), turned round for a maximum
            worst = ((scaled - 1) * self.weights).min(axis=1)
            scores = worst + 0.05 * scaled @ self.weights
        return np.where(np.isnan(scores), -np.inf, scores)

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale several objectives by their range among the evaluated, so that units go away.

        Parameters
        ----------
        values : ndarray of shape (n, n_objectives)
            In their own units.

        Returns
        -------
        ndarray of shape (n, n_objectives)
        """
        evaluated = self.values[self.succeeded]
        if not len(evaluated):
            return values
        span = np.ptp(evaluated, axis=0)
        return (values - evaluated.min(axis=0)) / np.where(span > 0, span, 1)

    # --- guidance ---

    @cached_property
    def forest(self) -> RandomForestRegressor:
        """A forest fitted to all objectives of all evaluated; several ones scaled."""
        seed = self.rng.randint(2**31 - 1)
        forest = RandomForestRegressor(_TREES, max_features=1 / 3, random_state=seed)
        x, y = self.known()
        return forest.fit(x, y[:, 0] if y.shape[1] == 1 else y)

    @cached_property
    def _models(self) -> list[Any]:
        """The surrogate of one's own, fitted: one per objective."""
        return fit_all(self.surrogate, *self.known(), self.rng)

    def _ask(self, features: NDArray[np.float32]) -> Predicted:
        """What surrogate or forest says of candidates with these features."""
        if self.surrogate is not None:
            return predict_all(self._models, features)
        trees = trees_of(self.forest, features)
        return Predicted(trees.mean(axis=0), trees=trees)

    @cached_property
    def _predicted(self) -> Predicted:
        """What is predicted of all candidates; asked for once, for they are listed."""
        return self._ask(self.candidates.matrix)

    @property
    def mean(self) -> NDArray[np.float64]:
        """What is predicted of all candidates, (n, n_objectives)."""
        return self._predicted.mean

    def predict(self, items: Any) -> Predicted:
        """Ask the surrogate about some candidates.

        Parameters
        ----------
        items : array of candidates

        Returns
        -------
        graf_utils.search.surrogates.Predicted
            Several objectives scaled.
        """
        return self._predicted.at(items)

    def opinions(self, items: Any, n: int) -> Any:
        """Score candidates several times, each time by another opinion and in another direction.

        Parameters
        ----------
        items : array of candidates
        n : int
            How many times.

        Yields
        ------
        opinion, mean : ndarray of shape (n_items,)
            Scores by one opinion of the surrogate (a tree drawn at random; a draw from its normal
            distributions; its mean), and by its mean.
        """
        trees: Sequence[Any] = [None] * n
        if self.surrogate is None:
            trees = self.rng.randint(_TREES, size=n)
        said = None
        for tree in trees:
            self.turn()
            said = said or self.predict(items)
            yield self.scores(said.opinion(self.rng, tree)), self.scores(said.mean)

    def features(self, items: Any) -> NDArray[np.float32]:
        """Return what a surrogate sees of candidates.

        Parameters
        ----------
        items : array of candidates

        Returns
        -------
        ndarray of shape (n_items, n_columns)
        """
        return self.candidates.matrix[items]

    # --- what may come next ---

    def bounds(self, n: int) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]:
        """Return the range of the most important features among the best evaluated.

        Parameters
        ----------
        n : int
            How many features.

        Returns
        -------
        columns, low, high : ndarray of shape (n,)
        """
        scores, x = self.scores(), self._features_evaluated()
        best = np.argsort(-scores, kind="stable")[: int(self.succeeded.sum())]
        best = x[best[: max(2, round(_TOP * len(best)))]]
        columns = np.argsort(-self.forest.feature_importances_, kind="stable")[:_IMPORTANT][:n]
        return columns, best[:, columns].min(axis=0), best[:, columns].max(axis=0)

    def inside(
        self, features: NDArray[np.float32], may_come: NDArray[np.bool_], fewest: int = _FEWEST
    ) -> NDArray[np.bool_]:
        """Tell which candidates the restricted space holds.

        Parameters
        ----------
        features : ndarray of shape (n, n_columns)
        may_come : ndarray of shape (n,), bool
        fewest : int
            How many of these it must leave; else the least important feature is given up, and so
            on.

        Returns
        -------
        ndarray of shape (n,), bool
        """
        most = 0 if self.knows_too_little else min(_IMPORTANT, features.shape[1])
        for n in range(most, 0, -1):
            columns, low, high = self.bounds(n)
            important = features[:, columns]
            inside = ((important >= low) & (important <= high)).all(axis=1)
            if (inside & may_come).sum() >= fewest:
                return inside
        return np.ones(len(features), dtype=bool)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Candidates whose most important features lie in the range of the best evaluated."""
        if not self.restrict:
            return np.ones(len(self.unseen), dtype=bool)
        return self.inside(self.candidates.matrix, self.unseen)

    @property
    def open(self) -> NDArray[np.bool_]:
        """Candidates that may come next; all that are left when the restricted space is used up."""
        inside = self.unseen & self.allowed
        return inside if inside.any() else self.unseen

    def draw(self, n: int) -> Any:
        """Draw candidates at random.

        Parameters
        ----------
        n : int
            How many; all the rest if there are fewer.

        Returns
        -------
        sequence of candidates
        """
        left = np.flatnonzero(self.open)
        return self.rng.choice(left, min(n, len(left)), replace=False).tolist()

    def spread(self, n: int) -> Any:
        """Choose candidates far from each other in the features (`k_centre`).

        Parameters
        ----------
        n : int

        Returns
        -------
        sequence of candidates
        """
        return k_centre(self.candidates.matrix, n, self.rng).tolist()

    def options(self, n: int | None = None) -> NDArray[Any]:
        """Return candidates for a surrogate to choose from.

        Parameters
        ----------
        n : int, optional
            How many to draw; by default all that may come next, in a random order. In a space that
            is not listed half of them are changes of the best evaluated, and the default is a
            thousand.

        Returns
        -------
        array of candidates
        """
        if n is not None:
            return np.array(self.draw(n))
        return self.rng.permutation(np.flatnonzero(self.open))

    def near(self, item: Any) -> NDArray[Any]:
        """Find the neighbours that may come next.

        Parameters
        ----------
        item : candidate

        Returns
        -------
        array of candidates
            In the order to try them.
        """
        near = self.candidates.neighbours(item)
        return self._in_order(self.rng.permutation(near[self.open[near]]))

    def _in_order(self, near: NDArray[Any]) -> NDArray[Any]:
        """Neighbours in the order of what is predicted, if there is guidance."""
        if self.guided and len(near) and not self.knows_too_little:
            near = near[np.argsort(-self.scores(self.predict(near).mean), kind="stable")]
        return near
