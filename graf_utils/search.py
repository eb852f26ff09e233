"""Search for good architectures on a table or any callable, with and without GRAF to guide it.

One function, `search`, runs every method of `METHODS` and returns an anytime curve: one row an
evaluation, with the incumbent chosen on what the search has seen. Three ways to use features are
options of every method: a pruned space, guided mutations, and a diverse start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils import check_random_state

from graf_utils.encodings import encode
from graf_utils.features import distinct_columns
from graf_utils.spaces import SearchSpace
from graf_utils.spaces.base import nearest

__all__ = ["METHODS", "STARTS", "Candidates", "hypervolume", "k_centre", "pareto_front", "search"]

_TOURNAMENT = 5  # members drawn for a tournament
_TREES = 50
_IMPORTANT = 5  # features that bound a pruned space
_TOP = 0.25  # share of the evaluated whose range bounds it
_FEWEST = 100  # unseen candidates that a pruned space must leave


# --- candidates -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidates:
    """The architectures that a search may evaluate, with their features.

    Parameters
    ----------
    space : SearchSpace
    architectures : sequence of length n
        All of a space that can be listed, or a sample of one that cannot; no repeats.
    features : DataFrame or array of shape (n, n_features)
        What predictors and guidance see, for example ``encode(table, "graf")``.

    Raises
    ------
    ValueError
        Rows do not fit, a feature is not finite, or an architecture stands there twice.
    """

    space: SearchSpace
    architectures: list[Any]
    features: pd.DataFrame
    codes: NDArray[np.int8] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes, frame = self.space.encode(self.architectures), pd.DataFrame(self.features)
        if len(frame) != len(codes) or not np.isfinite(frame.to_numpy(dtype=float)).all():
            raise ValueError(
                f"features has shape {frame.shape} for {len(codes)} architectures; it must hold a "
                "row of finite numbers for each. Encode the same list, and fill what is missing."
            )
        if (repeats := len(codes) - len(np.unique(codes, axis=0))) > 0:
            raise ValueError(
                f"architectures holds {repeats} repeats; each candidate must stand there once. "
                "Drop the repeats, and the same rows of features."
            )
        object.__setattr__(self, "architectures", self.space.decode(codes))
        object.__setattr__(self, "features", frame.reset_index(drop=True))
        object.__setattr__(self, "codes", codes)

    @classmethod
    def of(cls, table: Any, encoding: str = "graf") -> Candidates:
        """The architectures of a table, encoded as in `graf_utils.encodings.encode`."""
        return cls(table.space, table.architectures, encode(table, encoding))

    def __len__(self) -> int:
        return len(self.architectures)

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """The distinct features, (n, n_distinct), as a forest reads them."""
        values = self.features.to_numpy(dtype=np.float32)
        keep = distinct_columns(values)
        return np.ascontiguousarray(values[:, keep if len(keep) else [0]])

    def neighbours(self, index: int) -> NDArray[np.intp]:
        """Candidates nearest to one in the entries of the code that differ, itself left out.

        Where the whole space is listed these are the architectures that differ in one entry.
        """
        distance = (self.codes != self.codes[index]).sum(axis=1)
        distance[index] = self.space.code_length + 1
        return np.flatnonzero(distance == distance.min())


def k_centre(X: Any, k: int, random_state: Any = None) -> NDArray[np.intp]:
    """Rows that cover a set: each next one is the farthest from those chosen (Gonzalez, 1985).

    Columns are scaled to unit variance. The largest distance of a row to its nearest chosen one is
    at most twice that of the best choice of `k` rows.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
    k : int
        Rows to choose, 1 to n.
    random_state : int, RandomState or None
        Draws the first row, and among equals.

    Returns
    -------
    ndarray of shape (k,)
        Indices in the order of choice, without repeats.
    """
    x = np.asarray(X, dtype=float)
    if x.ndim != 2 or not 1 <= k <= len(x):
        raise ValueError(f"k={k!r} rows of X with shape {x.shape}; k must lie in 1..{len(x)}.")
    rng = check_random_state(random_state)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    noise = rng.permutation(len(x))  # the order among equals
    chosen = [int(noise.argmin())]
    nearest_chosen = np.full(len(x), np.inf)
    for _ in range(k - 1):
        nearest_chosen = np.minimum(nearest_chosen, ((x - x[chosen[-1]]) ** 2).sum(axis=1))
        nearest_chosen[chosen] = -1
        chosen.append(int(np.lexsort((noise, -nearest_chosen))[0]))
    return np.array(chosen, dtype=np.intp)


# --- several objectives ---------------------------------------------------------------------------


def pareto_front(values: Any) -> NDArray[np.bool_]:
    """Which rows no other row beats: none is at least as high everywhere and higher somewhere.

    Examples
    --------
    >>> pareto_front([[1, 3], [2, 2], [1, 2]]).tolist()
    [True, True, False]
    """
    values = _points(values)
    rows, inverse = np.unique(values, axis=0, return_inverse=True)  # sorted; a row before what
    front = np.ones(len(rows), dtype=bool)  # beats it
    for i in range(len(rows) - 1):
        front[i] = not (rows[i + 1 :] >= rows[i]).all(axis=1).any()
    return front[inverse.ravel()]


def hypervolume(values: Any, reference: Any) -> float:
    """Area of what the rows beat, down to a reference point, for two objectives to be raised.

    Parameters
    ----------
    values : array-like of shape (n, 2)
    reference : pair of numbers
        Rows that do not beat it in both objectives add nothing.

    Returns
    -------
    float
        In the product of the two units.

    Examples
    --------
    >>> hypervolume([[1, 3], [2, 2], [1, 2]], reference=(0, 0))
    5.0
    """
    values = _points(values)
    if values.shape[1] != 2 or np.shape(reference) != (2,):
        raise ValueError(
            f"values has shape {values.shape} and reference {np.shape(reference)}; the hypervolume "
            "here is that of two objectives: (n, 2) and a pair."
        )
    above = np.maximum(values - np.asarray(reference, dtype=float), 0)
    above = above[np.argsort(-above[:, 0], kind="stable")]
    heights = np.maximum.accumulate(above[:, 1])
    return float(((above[:, 0] - np.append(above[1:, 0], 0)) * heights).sum())


def _points(values: Any) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"values has shape {values.shape}; it must be a matrix of finite numbers, a row a "
            "network and a column an objective."
        )
    return values


# --- one run --------------------------------------------------------------------------------------


class _Run:
    """What a method can see: the candidates, what was evaluated, and the guidance learnt from it.

    Guidance is learnt again after every `batch` evaluations.
    """

    def __init__(self, candidates: Candidates, batch: int, prune: bool, guided: bool, seed: Any):
        self.candidates, self.batch, self.prune, self.guided = candidates, batch, prune, guided
        self.rng = check_random_state(seed)
        self.unseen = np.ones(len(candidates), dtype=bool)
        self.order: list[int] = []
        self.values: list[NDArray[np.float64]] = []
        self.weights = np.ones(1)
        self.learnt_at = 0

    def add(self, indices: list[int], values: NDArray[np.float64]) -> None:
        self.order += indices
        self.values += list(values)
        self.unseen[indices] = False
        if len(self.weights) != values.shape[1]:
            self.weights = np.ones(values.shape[1]) / values.shape[1]
        if not self.learnt_at or len(self.order) - self.learnt_at >= self.batch:
            self.learnt_at = len(self.order)
            for name in ("forest", "trees", "mean", "allowed"):
                self.__dict__.pop(name, None)

    def turn(self) -> None:
        """Draw another direction where there are several objectives."""
        if len(self.weights) > 1:
            self.weights = self.rng.dirichlet(np.ones(len(self.weights)))

    def scores(self, predicted: Any = None) -> NDArray[np.float64]:
        """One number, the higher the better: of each candidate evaluated, or of predictions."""
        values = np.array(self.values) if predicted is None else predicted
        if values.shape[1] == 1:
            return values[:, 0]
        scaled = self.scaled(values) if predicted is None else predicted
        # augmented Tchebycheff function, ParEGO (Knowles, 2006), turned round for a maximum
        return ((scaled - 1) * self.weights).min(axis=1) + 0.05 * scaled @ self.weights

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Several objectives by their range among the evaluated, so that their units go away."""
        known = np.array(self.values)
        span = np.ptp(known, axis=0)
        return (values - known.min(axis=0)) / np.where(span > 0, span, 1)

    @cached_property
    def forest(self) -> RandomForestRegressor:
        """Fitted to all objectives of all evaluated; several ones scaled."""
        seed = self.rng.randint(2**31 - 1)
        forest = RandomForestRegressor(_TREES, max_features=1 / 3, random_state=seed)
        y = np.array(self.values)
        y = y[:, 0] if y.shape[1] == 1 else self.scaled(y)
        return forest.fit(self.candidates.matrix[self.order], y)

    @cached_property
    def trees(self) -> NDArray[np.float64]:
        """What each tree predicts, (n_trees, n, n_objectives), scaled as in `forest`."""
        x = self.candidates.matrix
        found = [tree.tree_.predict(x) for tree in self.forest.estimators_]
        return np.reshape(found, (len(found), len(x), -1))

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """What the forest predicts, (n, n_objectives)."""
        return self.trees.mean(axis=0)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Candidates whose most important features lie in the range of the best evaluated."""
        if not self.prune:
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
        """Candidates that may come next; all that are left when the pruned space is used up."""
        inside = self.unseen & self.allowed
        return inside if inside.any() else self.unseen

    def draw(self, n: int) -> list[int]:
        """Candidates at random, all the rest if there are fewer than n."""
        left = np.flatnonzero(self.open)
        return self.rng.choice(left, min(n, len(left)), replace=False).tolist()

    def near(self, index: int) -> NDArray[np.intp]:
        """Neighbours that may come next, in the order to try them."""
        near = self.candidates.neighbours(index)
        near = self.rng.permutation(near[self.open[near]])
        if self.guided and len(near):
            near = near[np.argsort(-self.scores(self.mean[near]), kind="stable")]
        return near


def _random(run: _Run) -> Iterator[list[int]]:
    while True:
        yield run.draw(run.batch)


def _evolution(run: _Run) -> Iterator[list[int]]:
    population = deque(range(len(run.order)))  # positions in the order of evaluation
    while True:
        run.turn()
        scores = run.scores()
        drawn = run.rng.choice(population, min(_TOURNAMENT, len(population)), replace=False)
        parent = run.order[drawn[scores[drawn].argmax()]]
        yield (run.near(parent)[:1].tolist() or run.draw(1))
        population.append(len(run.order) - 1)
        population.popleft()


def _local(run: _Run) -> Iterator[list[int]]:
    at = int(run.scores().argmax())
    while True:
        for index in run.near(run.order[at]):
            yield [int(index)]
            scores = run.scores()
            if scores[-1] > scores[at]:
                at = len(scores) - 1
                break
        else:
            run.turn()
            yield run.draw(1)
            at = len(run.order) - 1


def _predictor(run: _Run) -> Iterator[list[int]]:
    while True:
        left = run.rng.permutation(np.flatnonzero(run.open))  # ties of both are broken by chance
        chosen: list[int] = []
        for tree in run.rng.randint(_TREES, size=min(run.batch, len(left))):
            run.turn()
            opinion = run.scores(run.trees[tree, left])
            best = left[opinion == opinion.max()]
            chosen.append(int(best[run.scores(run.mean[best]).argmax()]))
            left = left[left != chosen[-1]]
        yield chosen


METHODS: dict[str, Callable[..., Iterator[list[int]]]] = {
    "random": _random,
    "evolution": _evolution,
    "local": _local,
    "predictor": _predictor,
}
"""Methods by name, described in `search`."""

STARTS = ("random", "k-centre")
"""How the first networks are drawn."""


def search(
    candidates: Candidates,
    objective: Any,
    method: str = "predictor",
    budget: int = 150,
    *,
    n_initial: int = 20,
    batch_size: int = 10,
    start: str = "random",
    prune: bool = False,
    guided: bool = False,
    test: Any = None,
    cost: Any = None,
    random_state: Any = None,
) -> pd.DataFrame:
    """Search for the candidate with the highest objective; evaluate each at most once.

    The first `n_initial` candidates are drawn by `start`, the others proposed by `method`:

    ``"random"``
        Random search.
    ``"evolution"``
        Regularised evolution (Real et al., 2019): the last `n_initial` evaluated are the
        population; the best of five drawn from it has one entry of its code changed.
    ``"local"``
        Local search (White et al., 2021): neighbours one by one, moving at the first that is
        better; from a random candidate again where none is.
    ``"predictor"``
        A forest is fitted to all evaluated; in each batch every candidate is the best by the
        opinion of one tree drawn at random, ties by the mean of all: Thompson sampling with the
        bootstrap as posterior, in the place of the ensemble of networks of BANANAS (White et al.,
        2021).

    Parameters
    ----------
    candidates : Candidates
    objective : array-like of shape (n,) or (n, n_objectives), or callable
        What is to be raised, for each candidate; turn the sign of a cost. A callable is given a
        list of architectures and returns a row for each. With several objectives, an augmented
        Tchebycheff function of them is raised, with new random weights for every proposal (local
        search: from restart to restart), as in ParEGO (Knowles, 2006).
    method : str
        Of `METHODS`.
    budget : int
        Evaluations in all, `n_initial` included.
    n_initial, batch_size : int
        First evaluations, at least 2; evaluations after which forest and guidance are learnt anew.
    start : {"random", "k-centre"}
        Draw the first ones at random, or far from each other in the features (`k_centre`).
    prune : bool
        Propose only candidates whose five most important features (impurity, forest on all
        evaluated) lie in the range that they take in the best quarter of the evaluated.
    guided : bool
        Try neighbours in the order of the forest's prediction and not at random; for the methods
        that have neighbours, ``"evolution"`` and ``"local"``.
    test : array-like of shape (n,), optional
        What the incumbent is reported on; the search never reads it. One objective only.
    cost : array-like of shape (n,), optional
        What an evaluation costs, for example training time; by default 1.
    random_state : int, RandomState or None

    Returns
    -------
    DataFrame
        A row an evaluation: ``evaluation`` (from 1), ``candidate`` (row), the objective under its
        column name or ``value``, and ``cost`` spent so far. With one objective also ``best``, the
        highest value so far, ``incumbent``, the candidate that has it (the first, if several), and
        with `test` its ``test`` value.

    Raises
    ------
    ValueError
        An unknown name, a number out of range, or an objective that is not finite.

    Examples
    --------
    >>> from graf_utils import load_table
    >>> table = load_table("nb201-cifar10")
    >>> pool = Candidates.of(table, "op-count")
    >>> run = search(pool, table.target("accuracy"), "random", 50, random_state=0)
    >>> len(run), bool(run["best"].is_monotonic_increasing)
    (50, True)
    """
    for name, given, known in (("method", method, METHODS), ("start", start, STARTS)):
        if given not in known:
            raise ValueError(
                f"{name}={given!r} is unknown; it must be one of {list(known)}."
                f"{nearest(given, known)}"
            )
    if guided and method not in ("evolution", "local"):
        raise ValueError(
            f"guided=True orders neighbours, which method={method!r} does not visit. Use "
            "'evolution' or 'local', or prune=True."
        )
    if not (2 <= n_initial <= budget <= len(candidates)) or batch_size < 1:
        raise ValueError(
            f"budget={budget}, n_initial={n_initial}, batch_size={batch_size} with "
            f"{len(candidates)} candidates: 2 <= n_initial <= budget <= candidates and "
            "batch_size >= 1 must hold."
        )
    names, ask = _objective(candidates, objective)
    test = None if test is None else _column("test", test, len(candidates))
    spent = np.ones(len(candidates)) if cost is None else _column("cost", cost, len(candidates))

    run = _Run(candidates, batch_size, prune, guided, random_state)
    if start == "k-centre":
        first = k_centre(candidates.matrix, n_initial, run.rng).tolist()
    else:
        first = run.rng.choice(len(candidates), n_initial, replace=False).tolist()
    run.add(first, ask(first))
    if test is not None and len(names) > 1:
        raise ValueError(
            f"test reports the incumbent of one objective; here are {len(names)}. Leave it out."
        )
    proposals = METHODS[method](run)
    while len(run.order) < budget:
        indices = next(proposals)[: budget - len(run.order)]
        run.add(indices, ask(indices))

    frame = pd.DataFrame({"evaluation": np.arange(1, budget + 1), "candidate": run.order})
    frame[names] = np.array(run.values)
    if len(names) == 1:
        frame["best"] = frame[names[0]].cummax()
        leads = frame[names[0]] > frame["best"].shift(fill_value=-np.inf)
        frame["incumbent"] = frame["candidate"].where(leads).ffill().astype(int)
        if test is not None:
            frame["test"] = test[frame["incumbent"]]
    return frame.assign(cost=spent[frame["candidate"]].cumsum())


def _column(name: str, values: Any, n: int) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=float)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise ValueError(
            f"{name} has shape {values.shape}; it must be a finite number for each of the {n} "
            "candidates."
        )
    return values


def _objective(
    candidates: Candidates, objective: Any
) -> tuple[list[str], Callable[[list[int]], NDArray[np.float64]]]:
    """Names of the objectives, and a function from indices to checked values."""
    if callable(objective):
        names: list[str] = []
    else:
        given = pd.DataFrame(objective)
        if len(given) != len(candidates):
            raise ValueError(
                f"objective has {len(given)} rows for {len(candidates)} candidates; give each one."
            )
        names, known = _named_columns(objective, given.shape[1]), given.to_numpy(dtype=float)

    def ask(indices: list[int]) -> NDArray[np.float64]:
        if not callable(objective):
            values = known[indices]
        else:
            asked = [candidates.architectures[i] for i in indices]
            found = objective(asked)
            values = pd.DataFrame(found).to_numpy(dtype=float)
            if len(values) != len(asked):
                raise ValueError(
                    f"objective returned {len(values)} rows for {len(asked)} architectures; it "
                    "must return one for each, in order."
                )
            names[:] = names or _named_columns(found, values.shape[1])
        if not np.isfinite(values).all():
            bad = candidates.architectures[indices[int((~np.isfinite(values)).any(1).argmax())]]
            raise ValueError(
                f"objective is not finite for {bad}; give every network a number, a failed one the "
                "lowest that can be."
            )
        return values

    return names, ask


def _named_columns(given: Any, n: int) -> list[str]:
    if isinstance(given, pd.DataFrame):
        return [str(name) for name in given]
    return ["value"] if n == 1 else [f"value_{i}" for i in range(n)]
