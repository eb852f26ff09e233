"""The loop: evaluate, propose, evaluate, and report the incumbent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils.search.candidates import Candidates
from graf_utils.search.history import History
from graf_utils.search.objectives import Known, Trained
from graf_utils.search.options import STARTS, Options, per_candidate
from graf_utils.search.resume import open_file
from graf_utils.search.space_history import SpaceHistory
from graf_utils.search.unlisted import SpaceCandidates

__all__ = ["STARTS", "SearchError", "search"]


class SearchError(ValueError):
    """A search that cannot go on, with all that it has evaluated.

    Parameters
    ----------
    message : str
    rows : DataFrame
        What `search` would have returned: all evaluations so far.
    """

    def __init__(self, message: str, rows: pd.DataFrame) -> None:
        super().__init__(message)
        self.rows = rows


def search(
    candidates: Candidates | SpaceCandidates,
    objective: Any,
    method: str | Callable[[History], Iterator[Sequence[Any]]] = "predictor",
    budget: int = 150,
    *,
    n_initial: int = 20,
    batch_size: int = 10,
    start: str = "random",
    restrict: bool = False,
    guided: bool = False,
    test: Any = None,
    cost: Any = None,
    surrogate: Any = None,
    at_once: int = 1,
    n_jobs: int | None = None,
    max_failures: int = 10,
    checkpoint: str | os.PathLike[str] | None = None,
    random_state: Any = None,
) -> pd.DataFrame:
    """Search for the candidate with the highest objective; evaluate each at most once.

    A search of a function that trains can be killed and go on (`checkpoint`), survives trainings
    that fail (``error``), and runs several at a time (`n_jobs`). The space need not be listed.

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
        2021). With a `surrogate` of your own, as said there.
    ``"bayesian"``
        Bayesian optimisation as in the paper, with the options of `Bayesian` as they are: before
        each batch three forests are fitted, and of 200 random candidates those are proposed whose
        draws from the predicted normal distributions are highest.

    Parameters
    ----------
    candidates : Candidates or SpaceCandidates
        What may be evaluated, with features: ``Candidates.of(table)``, or all of a space that
        cannot be listed, ``Candidates.of(space)``. Of such a space, networks are drawn at random
        or are changes in one entry of the code (``space.neighbours``) of networks evaluated before;
        surrogates choose among a thousand (of ``"bayesian"``: `n_candidates`), half of which are
        changes of the twenty best.
    objective : array-like of shape (n,) or (n, n_objectives), mapping, or callable
        What is to be raised, for each candidate; turn the sign of a cost. The index of a pandas
        object is 0..n-1, the rows of the candidates. A callable is given a list of architectures
        and returns one row for each, a number or several; it is called for one architecture at a
        time, so each evaluation fails, is kept and runs by itself. With several objectives, an
        augmented Tchebycheff function of them is raised, with new random weights for every
        proposal (local search: from restart to restart), as in ParEGO (Knowles, 2006).
    method : str or callable
        A name of `METHODS`, or a method of your own, such as ``Bayesian("blend")``: a function of
        the `History` that yields lists of rows to evaluate next (of architectures, in a space that
        is not listed).
    budget : int
        Evaluations in all, `n_initial` included.
    n_initial : int
        First evaluations, at least 2.
    batch_size : int
        Evaluations after which forest and guidance are learnt anew.
    start : {"random", "k-centre"}
        Draw the first ones at random, or far from each other in the features (`k_centre`).
    restrict : bool
        Propose only candidates whose five most important features (impurity, forest on all
        evaluated) lie in the range that they take in the best quarter of the evaluated.
    guided : bool
        Try neighbours in the order of the forest's prediction and not at random; for the methods
        that have neighbours, ``"evolution"`` and ``"local"``.
    test : array-like of shape (n,), optional
        What the incumbent is reported on; the search never reads it. One objective only.
    cost : array-like of shape (n,), optional
        What an evaluation costs, for example training time; by default 1.
    surrogate : str or regressor, optional
        What ``"predictor"``, ``"bayesian"`` and ``guided=True`` ask, in the place of the forest: a
        name of `graf_utils.predictors.PREDICTORS` or any scikit-learn regressor, also a pipeline;
        one copy is fitted per objective, with seeds that the search draws. ``"predictor"`` uses
        its uncertainty if it has one: the trees of a `RandomForestRegressor` or
        `ExtraTreesRegressor`, one drawn for each network proposed; or a draw of the normal
        distributions of ``predict(X, return_std=True)`` (Gaussian process, Bayesian ridge,
        `BlendRegressor`). Of any other its mean decides alone, and so does it in ``guided=True``.
        ``"bayesian"`` always has an uncertainty, if need be from bootstrap copies (`Bayesian`).
        ``restrict=True`` asks its own forest.
    at_once : int
        Networks that ``"evolution"`` and ``"local"`` propose before any of them is evaluated. The
        other methods propose `batch_size`.
    n_jobs : int, optional
        Evaluations at a time, as in joblib, on joblib's current backend
        (``joblib.parallel_config``). It changes no row: what is proposed together is decided by
        `batch_size` and `at_once`, which should not be below it. With processes (the default) or
        on Dask, an evaluation that kills its process (memory) is a failed one.
    max_failures : int
        Failed evaluations in a row after which the search ends with an error.
    checkpoint : path, optional
        File of finished evaluations, one line of JSON each. A search that was killed goes on from
        it when it is called again, with the same rows as if it had not been killed; `budget`,
        `n_jobs`, `max_failures`, `test` and `cost` may change. One search at a time may use it.
        Its first line says what decides the search: the code of the objective, the candidates, all
        other options, versions; what a function uses is a part of it. A file that does not begin
        so is never written to. To evaluate failed ones again, delete their lines.
    random_state : int, RandomState or None
        Fixes all that is drawn.

    Returns
    -------
    DataFrame
        One row per evaluation: ``evaluation`` (from 1), ``candidate`` (row), the objective under
        its column name or ``value``, and ``cost`` spent so far. With one objective also ``best``,
        the highest value so far, ``incumbent``, the candidate that has it (the first, if several;
        -1 if all have failed), and with `test` its ``test`` value. Of a function also ``error``:
        why an evaluation failed (an exception, NaN, infinity, something else than numbers), or
        ``""``. The objective of a failed one is NaN; it is neither repeated nor learnt from. Of a
        space that is not listed, ``candidate`` is a row of this frame, and ``architecture`` a
        further column.

    Raises
    ------
    ValueError
        An unknown name, a number out of range, an index that is not the rows of the candidates,
        values in a table that are not finite, or a checkpoint of another search; nothing is
        evaluated then.
    SearchError
        A `ValueError` after some evaluations, which are its ``rows``: too many failed in a row, a
        surrogate or a method did not work, or no new network is left.

    Examples
    --------
    >>> from graf_utils import load_table
    >>> table = load_table("nb201-cifar10")
    >>> pool = Candidates.of(table, "op-count")
    >>> run = search(pool, table.target("accuracy"), "random", 50, random_state=0)
    >>> len(run), bool(run["best"].is_monotonic_increasing)
    (50, True)
    """
    options = Options(
        candidates, method, surrogate, budget, n_initial, batch_size, at_once, start, restrict,
        guided, max_failures,
    )  # fmt: skip
    test, spent = per_candidate(candidates, test, cost)
    history = _history(options, random_state)
    goals = _goals(options, objective, n_jobs, checkpoint, random_state)
    try:
        _run(history, goals, options, one_only=test is not None)
    except Exception as error:
        if not history.order:
            raise
        rows = _curve(history, goals, test, spent)
        raise SearchError(
            f"the search ended after {len(rows)} evaluations, which are the rows of this error "
            f"(error.rows): {error}",
            rows,
        ) from error
    return _curve(history, goals, test, spent)


def _history(options: Options, random_state: Any) -> History:
    """A history in which nothing was seen."""
    kind = History if options.listed else SpaceHistory
    return kind(
        options.candidates,
        options.batch_size,
        options.restrict,
        options.guided,
        random_state,
        surrogate=options.asked,
        at_once=options.at_once,
    )


def _goals(
    options: Options, objective: Any, n_jobs: Any, checkpoint: Any, random_state: Any
) -> Known | Trained:
    """What gives the objectives of candidates."""
    candidates = options.candidates
    if callable(objective):
        if checkpoint is None:
            return Trained(objective, candidates.space, n_jobs)
        file = open_file(checkpoint, random_state, {"objective": objective, **options.parts()})
        return Trained(objective, candidates.space, n_jobs, file)
    if checkpoint is not None:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} keeps what a function returns, and objective is "
            f"{type(objective).__name__}: nothing is evaluated. Leave checkpoint out."
        )
    if not options.listed:
        raise ValueError(
            f"objective is {type(objective).__name__}; the candidates of {candidates.space.name} "
            "are not listed, so it must be a function of a list of architectures."
        )
    return Known(candidates.architectures, objective)


def _run(history: History, goals: Known | Trained, options: Options, one_only: bool) -> None:
    """Evaluate until the budget is spent."""
    draw = history.spread if options.start == "k-centre" else history.draw
    _evaluate(history, goals, draw(options.n_initial), options.max_failures)
    if one_only and len(goals.names) > 1:
        raise ValueError(
            f"test reports the incumbent of one objective; here are {len(goals.names)}. Leave it "
            "out."
        )
    proposals = options.propose(history)
    while len(history.order) < options.budget:
        items = _next(proposals)[: options.budget - len(history.order)]
        _evaluate(history, goals, items, options.max_failures)


def _next(proposals: Iterator[Sequence[Any]]) -> Sequence[Any]:
    """What the method proposes."""
    try:
        return next(proposals)
    except StopIteration:
        raise ValueError(
            "the method yields no more. It must go on for ever: while True: yield ..."
        ) from None


def _evaluate(history: History, goals: Known | Trained, proposed: Any, max_failures: int) -> None:
    """Evaluate what was proposed, and stop if too many fail in a row."""
    items = history.checked(proposed)
    history.add(items, *goals.ask(items, history.architectures(items)))
    last = history.errors[-max_failures:]
    if len(last) == max_failures and all(last):
        raise ValueError(
            f"the last {max_failures} evaluations all failed (max_failures={max_failures}), the "
            f"last one with: {last[-1]}. Correct objective, with another checkpoint if there is "
            "one; or, if the cause lies elsewhere, go on with a higher max_failures."
        )


def _curve(
    history: History,
    goals: Known | Trained,
    test: NDArray[Any] | None,
    spent: NDArray[np.float64] | None,
) -> pd.DataFrame:
    """The frame of a search: one row per evaluation."""
    names, n = goals.names or ["value"], len(history.order)
    frame = pd.DataFrame({"evaluation": np.arange(1, n + 1)})
    if isinstance(history, SpaceHistory):
        frame["candidate"] = np.arange(n)
        frame["architecture"] = history.architectures(history.order)
    else:
        frame["candidate"] = history.order
    frame[names] = history.values
    if len(names) == 1:
        frame["best"] = frame[names[0]].cummax().ffill()
        leads = frame[names[0]] > frame["best"].shift(fill_value=-np.inf).fillna(-np.inf)
        frame["incumbent"] = frame["candidate"].where(leads).ffill().fillna(-1).astype(int)
        if test is not None:
            found = frame["incumbent"].to_numpy()
            frame["test"] = np.where(found < 0, np.nan, test[found])
    each = np.ones(n) if spent is None else spent[history.order]
    frame["cost"] = each.cumsum()
    return frame.assign(error=history.errors) if isinstance(goals, Trained) else frame
