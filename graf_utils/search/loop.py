"""The loop: evaluate, propose, evaluate, and report the incumbent."""

from __future__ import annotations

import dataclasses
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.predictors import make_predictor
from graf_utils.search.bayesian import Bayesian
from graf_utils.search.candidates import Candidates
from graf_utils.search.history import History
from graf_utils.search.methods import METHODS
from graf_utils.search.objectives import Known, Trained, column_of
from graf_utils.search.resume import open_file
from graf_utils.search.space_history import SpaceHistory
from graf_utils.search.unlisted import SpaceCandidates

__all__ = ["STARTS", "SearchError", "search"]

STARTS = ("random", "k-centre")
"""How the first networks are drawn."""

_ONE_BY_ONE = ("evolution", "local")
"""Methods that look at neighbours, and propose as many at once as they are told to."""


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
        `batch_size` and `at_once`, which should not be below it. With processes (the default), an
        evaluation that kills its process (memory) is a failed one.
    max_failures : int
        Failed evaluations in a row after which the search ends with an error.
    checkpoint : path, optional
        File of finished evaluations, one line of JSON each. A search that was killed goes on from
        it when it is called again, with the same rows as if it had not been killed; `budget`,
        `n_jobs`, `max_failures`, `test` and `cost` may change. One search at a time may use it.
        Its first line says what decides the search: the code of the objective, the candidates, all
        other options, versions. A file that does not begin so is never written to.
    random_state : int, RandomState or None
        Fixes all that is drawn.

    Returns
    -------
    DataFrame
        One row per evaluation: ``evaluation`` (from 1), ``candidate`` (row), the objective under
        its column name or ``value``, ``cost`` spent so far, and ``error``: why an evaluation
        failed (an exception, NaN, infinity, something else than numbers), with NaN as its value, or
        ``""``. A failed one is not repeated, nor learnt from. With one objective also ``best``,
        the highest value so far, ``incumbent``, the candidate that has it (the first, if several;
        -1 if none has succeeded), and with `test` its ``test`` value. Of a space that is not
        listed, ``candidate`` is a row of this frame, and ``architecture`` a further column.

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
    _check_options(candidates, method, start, restrict, guided)
    method, surrogate = _choose(method, surrogate, guided)
    at_once = _check_at_once(at_once, method)
    budget, n_initial, batch_size = _sizes(candidates, budget, n_initial, batch_size)
    max_failures = _checks.whole_number("max_failures", max_failures, 1)
    _check_reads(candidates, method, start, restrict, guided)
    test, spent = _per_candidate(candidates, test, cost)
    parts: dict[str, Any] = {"method": METHODS[method] if isinstance(method, str) else method}
    parts |= {"surrogate": surrogate, "n_initial": n_initial, "batch_size": batch_size}
    parts |= {
        "at_once": at_once,
        "start": start,
        "restrict": bool(restrict),
        "guided": bool(guided),
    }
    goals = _goals(candidates, objective, n_jobs, checkpoint, random_state, parts)

    kind = History if isinstance(candidates, Candidates) else SpaceHistory
    history = kind(
        candidates, batch_size, restrict, guided, random_state, surrogate=surrogate, at_once=at_once
    )
    errors: list[str] = []
    try:
        first = history.spread(n_initial) if start == "k-centre" else history.draw(n_initial)
        _evaluate(history, goals, first, errors, max_failures)
        if test is not None and len(goals.names) > 1:
            raise ValueError(
                f"test reports the incumbent of one objective; here are {len(goals.names)}. Leave "
                "it out."
            )
        proposals = parts["method"](history)
        while len(history.order) < budget:
            items = _next(proposals)[: budget - len(history.order)]
            _evaluate(history, goals, items, errors, max_failures)
    except Exception as error:
        if not history.order:
            raise
        rows = _curve(history, goals.names, errors, test, spent)
        raise SearchError(
            f"the search ended after {len(rows)} evaluations, which are the rows of this error "
            f"(error.rows): {error}",
            rows,
        ) from error
    return _curve(history, goals.names, errors, test, spent)


def _next(proposals: Iterator[Sequence[Any]]) -> Sequence[Any]:
    """What the method proposes."""
    try:
        return next(proposals)
    except StopIteration:
        raise ValueError(
            "the method yields no more. It must go on for ever: while True: yield ..."
        ) from None


def _evaluate(
    history: History, goals: Known | Trained, proposed: Any, errors: list[str], max_failures: int
) -> None:
    """Evaluate what was proposed, and stop if too many fail in a row."""
    items = history.checked(proposed)
    values, why = goals.ask(items, history.architectures(items))
    history.add(items, values)
    errors += why
    if all(errors[-max_failures:]) and len(errors) >= max_failures:
        raise ValueError(
            f"the last {max_failures} evaluations all failed (max_failures={max_failures}), the "
            f"last one with: {errors[-1]}. Correct objective; or, if these architectures cannot be "
            "trained, go on with a higher max_failures."
        )


def _check_options(candidates: Any, method: Any, start: Any, restrict: Any, guided: Any) -> None:
    """Check what is no number, before anything is evaluated."""
    if not isinstance(candidates, Candidates | SpaceCandidates):
        raise ValueError(
            f"candidates is {type(candidates).__name__}; it must be Candidates. Write "
            "Candidates.of(table, 'graf'), or Candidates.of(space, 'graf') for a space that is "
            "not listed."
        )
    if not callable(method):
        _checks.choice("method", method, METHODS)
    _checks.choice("start", start, STARTS)
    for name, value in (("restrict", restrict), ("guided", guided)):
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r} must be True or False.")
    if guided and method not in _ONE_BY_ONE:
        raise ValueError(
            f"guided=True orders neighbours, which method={method!r} does not visit. Use "
            "'evolution' or 'local', or restrict=True."
        )


def _choose(method: Any, surrogate: Any, guided: bool) -> tuple[Any, Any]:
    """The method, and the surrogate that its history asks, both checked."""
    if surrogate is None:
        return method, None
    if isinstance(method, Bayesian):
        raise ValueError(
            f"surrogate={surrogate!r:.80} beside method={method!r:.80}, which has one of its own. "
            "Write method=Bayesian(surrogate), or method='bayesian'."
        )
    if method == "bayesian":
        return dataclasses.replace(METHODS[method], surrogate=surrogate), None
    if isinstance(method, str) and method != "predictor" and not guided:
        raise ValueError(
            f"surrogate={surrogate!r:.80} is not asked by method={method!r}. Use 'predictor' or "
            "'bayesian', or guided=True with 'evolution' or 'local'."
        )
    make_predictor(surrogate)
    return method, surrogate


def _check_at_once(at_once: Any, method: Any) -> int:
    """The number of proposals of a method that looks at neighbours."""
    number = _checks.whole_number("at_once", at_once, 1)
    if number > 1 and isinstance(method, str | Bayesian) and method not in _ONE_BY_ONE:
        raise ValueError(
            f"at_once={at_once} is for {' and '.join(map(repr, _ONE_BY_ONE))}; method={method!r} "
            f"proposes batch_size networks at once. Pass batch_size={at_once}."
        )
    return number


def _check_reads(candidates: Any, method: Any, start: str, restrict: bool, guided: bool) -> None:
    """Raise if features are read and there are none, before anything is evaluated."""
    reads = restrict or guided or start == "k-centre"
    reads = reads or method == "predictor" or isinstance(method, Bayesian) or method == "bayesian"
    if reads and isinstance(candidates, SpaceCandidates) and candidates.encoding is None:
        candidates.features(candidates.sample(1, 0))  # says so


def _sizes(candidates: Any, budget: Any, n_initial: Any, batch_size: Any) -> tuple[int, int, int]:
    """The numbers of evaluations, checked."""
    most = len(candidates) if isinstance(candidates, Candidates) else None
    try:
        sizes = operator.index(budget), operator.index(n_initial), operator.index(batch_size)
        fits = 2 <= sizes[1] <= sizes[0] <= (most or sizes[0]) and sizes[2] >= 1
    except TypeError:
        fits = False
    if not fits:
        with_n = "" if most is None else f" with {most} candidates"
        raise ValueError(
            f"budget={budget!r}, n_initial={n_initial!r}, batch_size={batch_size!r}{with_n}: they "
            "must be whole numbers, and 2 <= n_initial <= budget"
            f"{'' if most is None else ' <= candidates'} and batch_size >= 1 must hold."
        )
    return sizes


def _per_candidate(
    candidates: Any, test: Any, cost: Any
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Test value and cost of each candidate, as far as there are some."""
    if isinstance(candidates, Candidates):
        n = len(candidates)
        return (
            None if test is None else column_of("test", test, n),
            None if cost is None else column_of("cost", cost, n),
        )
    for name, value in (("test", test), ("cost", cost)):
        if value is not None:
            raise ValueError(
                f"{name} has one value per candidate, and those of {candidates.space.name} are not "
                f"listed. Leave {name} out, and compute it of run['architecture']."
            )
    return None, None


def _goals(
    candidates: Any, objective: Any, n_jobs: Any, checkpoint: Any, random_state: Any, parts: Any
) -> Known | Trained:
    """What gives the objectives of candidates."""
    listed = isinstance(candidates, Candidates)
    if callable(objective):
        if checkpoint is None:
            return Trained(objective, candidates.space, n_jobs)
        among = candidates
        if listed:
            among = (candidates.space, candidates.codes, candidates.features)
        parts = {"objective": objective, "candidates": among, **parts}
        file = open_file(checkpoint, random_state, parts)
        return Trained(objective, candidates.space, n_jobs, file)
    if checkpoint is not None:
        raise ValueError(
            f"checkpoint={str(checkpoint)!r} keeps what a function returns, and objective is "
            f"{type(objective).__name__}: nothing is evaluated. Leave checkpoint out."
        )
    if not listed:
        raise ValueError(
            f"objective is {type(objective).__name__}; the candidates of {candidates.space.name} "
            "are not listed, so it must be a function of a list of architectures."
        )
    return Known(candidates.architectures, objective)


def _curve(
    history: History,
    names: list[str],
    errors: list[str],
    test: NDArray[Any] | None,
    spent: NDArray[np.float64] | None,
) -> pd.DataFrame:
    """The frame of a search: one row per evaluation."""
    names, n = names or ["value"], len(history.order)
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
    return frame.assign(cost=each.cumsum(), error=errors)
