"""How a search goes on from what it has seen: one generator of proposals per method."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils import check_random_state

from graf_utils.search.bayesian import Bayesian
from graf_utils.search.candidates import Candidates

__all__ = ["METHODS", "History"]

_TOURNAMENT = 5  # members drawn for a tournament
_TREES = 50
_IMPORTANT = 5  # features that bound a restricted space
_TOP = 0.25  # share of the evaluated whose range bounds it
_FEWEST = 100  # unseen candidates that a restricted space must leave


class History:
    """What a method can see: the candidates, what was evaluated, and the guidance learnt from it.

    Parameters
    ----------
    candidates : Candidates
        What may be evaluated.
    batch_size : int
        Evaluations after which the guidance is learnt again.
    restrict, guided : bool
        As in `search`.
    random_state : int, RandomState or None
        Fixes all that is drawn.

    Attributes
    ----------
    order : list of int
        Rows of the candidates evaluated, in order.
    values : list of ndarray of shape (n_objectives,)
        Their objectives.
    unseen : ndarray of shape (n,), bool
        Candidates that were not evaluated.
    weights : ndarray of shape (n_objectives,)
        The direction in which several objectives are raised.
    """

    def __init__(
        self,
        candidates: Candidates,
        batch_size: int,
        restrict: bool,
        guided: bool,
        random_state: Any,
    ) -> None:
        self.candidates = candidates
        self.batch_size = batch_size
        self.restrict = restrict
        self.guided = guided
        self.rng = check_random_state(random_state)
        self.unseen = np.ones(len(candidates), dtype=bool)
        self.order: list[int] = []
        self.values: list[NDArray[np.float64]] = []
        self.weights = np.ones(1)
        self.learnt_at = 0

    def add(self, rows: list[int], values: NDArray[np.float64]) -> None:
        """Take in some evaluations, and forget the guidance when a batch is full.

        Parameters
        ----------
        rows : list of int
            Rows of the candidates.
        values : ndarray of shape (n_rows, n_objectives)
            Their objectives.
        """
        self.order += rows
        self.values += list(values)
        self.unseen[rows] = False
        if len(self.weights) != values.shape[1]:
            self.weights = np.ones(values.shape[1]) / values.shape[1]
        if not self.learnt_at or len(self.order) - self.learnt_at >= self.batch_size:
            self.learnt_at = len(self.order)
            for name in ("forest", "trees", "mean", "allowed"):
                self.__dict__.pop(name, None)

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
        """
        values = np.array(self.values) if predicted is None else predicted
        if values.shape[1] == 1:
            return values[:, 0]
        scaled = self.scaled(values) if predicted is None else predicted
        # augmented Tchebycheff function, ParEGO (Knowles, 2006), turned round for a maximum
        return ((scaled - 1) * self.weights).min(axis=1) + 0.05 * scaled @ self.weights

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
        evaluated = np.array(self.values)
        span = np.ptp(evaluated, axis=0)
        return (values - evaluated.min(axis=0)) / np.where(span > 0, span, 1)

    @cached_property
    def forest(self) -> RandomForestRegressor:
        """A forest fitted to all objectives of all evaluated; several ones scaled."""
        seed = self.rng.randint(2**31 - 1)
        forest = RandomForestRegressor(_TREES, max_features=1 / 3, random_state=seed)
        y = np.array(self.values)
        y = y[:, 0] if y.shape[1] == 1 else self.scaled(y)
        return forest.fit(self.candidates.matrix[self.order], y)

    @cached_property
    def trees(self) -> NDArray[np.float64]:
        """What each tree predicts, (n_trees, n, n_objectives), scaled as in `forest`."""
        x = self.candidates.matrix
        predicted = [tree.tree_.predict(x) for tree in self.forest.estimators_]
        return np.reshape(predicted, (len(predicted), len(x), -1))

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """What the forest predicts, (n, n_objectives)."""
        return self.trees.mean(axis=0)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Candidates whose most important features lie in the range of the best evaluated."""
        if not self.restrict:
            return np.ones(len(self.unseen), dtype=bool)
        scores, x = self.scores(), self.candidates.matrix
        best = np.array(self.order)[np.argsort(-scores, kind="stable")]
        best = best[: max(2, round(_TOP * len(best)))]
        columns = np.argsort(-self.forest.feature_importances_, kind="stable")[:_IMPORTANT]
        for n in range(len(columns), 0, -1):
            important = x[:, columns[:n]]
            low, high = important[best].min(axis=0), important[best].max(axis=0)
            inside = ((important >= low) & (important <= high)).all(axis=1)
            if (inside & self.unseen).sum() >= _FEWEST:
                return inside
        return np.ones(len(self.unseen), dtype=bool)

    @property
    def open(self) -> NDArray[np.bool_]:
        """Candidates that may come next; all that are left when the restricted space is used up."""
        inside = self.unseen & self.allowed
        return inside if inside.any() else self.unseen

    def draw(self, n: int) -> list[int]:
        """Draw candidates at random.

        Parameters
        ----------
        n : int
            How many; all the rest if there are fewer.

        Returns
        -------
        list of int
            Rows of the candidates.
        """
        left = np.flatnonzero(self.open)
        return self.rng.choice(left, min(n, len(left)), replace=False).tolist()

    def near(self, index: int) -> NDArray[np.intp]:
        """Find the neighbours that may come next.

        Parameters
        ----------
        index : int
            Row of a candidate.

        Returns
        -------
        ndarray of int
            Rows, in the order to try them.
        """
        near = self.candidates.neighbours(index)
        near = self.rng.permutation(near[self.open[near]])
        if self.guided and len(near):
            near = near[np.argsort(-self.scores(self.mean[near]), kind="stable")]
        return near


def _random(history: History) -> Iterator[list[int]]:
    """Propose batches at random."""
    while True:
        yield history.draw(history.batch_size)


def _evolution(history: History) -> Iterator[list[int]]:
    """Propose a change of the best of a few drawn from the population, which ages."""
    population = deque(range(len(history.order)))  # positions in the order of evaluation
    while True:
        history.turn()
        scores = history.scores()
        drawn = history.rng.choice(population, min(_TOURNAMENT, len(population)), replace=False)
        parent = history.order[drawn[scores[drawn].argmax()]]
        yield history.near(parent)[:1].tolist() or history.draw(1)
        population.append(len(history.order) - 1)
        population.popleft()


def _local(history: History) -> Iterator[list[int]]:
    """Propose neighbours until one is better, and go on from that one."""
    at = int(history.scores().argmax())
    while True:
        for index in history.near(history.order[at]):
            yield [int(index)]
            scores = history.scores()
            if scores[-1] > scores[at]:
                at = len(scores) - 1
                break
        else:
            history.turn()
            yield history.draw(1)
            at = len(history.order) - 1


def _predictor(history: History) -> Iterator[list[int]]:
    """Propose the best candidate by the opinion of one tree drawn at random, batch by batch."""
    while True:
        # a random order, so that ties of tree and mean are broken by chance
        left = history.rng.permutation(np.flatnonzero(history.open))
        chosen: list[int] = []
        for tree in history.rng.randint(_TREES, size=min(history.batch_size, len(left))):
            history.turn()
            opinion = history.scores(history.trees[tree, left])
            best = left[opinion == opinion.max()]
            chosen.append(int(best[history.scores(history.mean[best]).argmax()]))
            left = left[left != chosen[-1]]
        yield chosen


METHODS: dict[str, Callable[..., Iterator[list[int]]]] = {
    "random": _random,
    "evolution": _evolution,
    "local": _local,
    "predictor": _predictor,
    "bayesian": Bayesian(),
}
"""Methods by name, described in `search`."""
