"""The loop: evaluate, propose, evaluate, and report the incumbent."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.search.candidates import Candidates, k_centre
from graf_utils.search.methods import METHODS, History
from graf_utils.search.objectives import Objectives, column_of

__all__ = ["STARTS", "search"]

STARTS = ("random", "k-centre")
"""How the first networks are drawn."""


def search(
    candidates: Candidates,
    objective: Any,
    method: str | Callable[[History], Iterator[list[int]]] = "predictor",
    budget: int = 150,
    *,
    n_initial: int = 20,
    batch_size: int = 10,
    start: str = "random",
    restrict: bool = False,
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
    ``"bayesian"``
        Bayesian optimisation as in the paper, with the options of `Bayesian` as they are: before
        each batch three forests are fitted, and of 200 random candidates those are proposed whose
        draws from the predicted normal distributions are highest.

    Parameters
    ----------
    candidates : Candidates
        What may be evaluated, with features.
    objective : array-like of shape (n,) or (n, n_objectives), mapping, or callable
        What is to be raised, for each candidate; turn the sign of a cost. The index of a pandas
        object is 0..n-1, the rows of the candidates. A callable is given a list of architectures
        and returns one row for each. With several objectives, an augmented Tchebycheff function of
        them is raised, with new random weights for every proposal (local search: from restart to
        restart), as in ParEGO (Knowles, 2006).
    method : str or callable
        A name of `METHODS`, or a method of your own, such as ``Bayesian("blend")``: a function of
        the `History` that yields lists of rows to evaluate next.
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
    random_state : int, RandomState or None
        Fixes all that is drawn.

    Returns
    -------
    DataFrame
        One row per evaluation: ``evaluation`` (from 1), ``candidate`` (row), the objective under
        its column name or ``value``, and ``cost`` spent so far. With one objective also ``best``,
        the highest value so far, ``incumbent``, the candidate that has it (the first, if several),
        and with `test` its ``test`` value.

    Raises
    ------
    ValueError
        An unknown name, a number out of range, an index that is not the rows of the candidates, or
        an objective that is not finite: a failed evaluation is never passed over.

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
    budget, n_initial, batch_size = _sizes(candidates, budget, n_initial, batch_size)
    n = len(candidates)
    objectives = Objectives(candidates, objective)
    test = None if test is None else column_of("test", test, n)
    spent = np.ones(n) if cost is None else column_of("cost", cost, n)

    history = History(candidates, batch_size, restrict, guided, random_state)
    first = _first(history, start, n_initial)
    history.add(first, objectives.ask(first))
    if test is not None and len(objectives.names) > 1:
        raise ValueError(
            f"test reports the incumbent of one objective; here are {len(objectives.names)}. Leave "
            "it out."
        )
    proposals = (method if callable(method) else METHODS[method])(history)
    while len(history.order) < budget:
        rows = next(proposals)[: budget - len(history.order)]
        history.add(rows, objectives.ask(rows))
    return _curve(history, objectives.names, test, spent)


def _check_options(candidates: Any, method: Any, start: Any, restrict: Any, guided: Any) -> None:
    """Check what is no number, before anything is evaluated."""
    if not isinstance(candidates, Candidates):
        raise ValueError(
            f"candidates is {type(candidates).__name__}; it must be Candidates. Write "
            "Candidates.of(table, 'graf')."
        )
    if not callable(method):
        _checks.choice("method", method, METHODS)
    _checks.choice("start", start, STARTS)
    for name, value in (("restrict", restrict), ("guided", guided)):
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r} must be True or False.")
    if guided and method not in ("evolution", "local"):
        raise ValueError(
            f"guided=True orders neighbours, which method={method!r} does not visit. Use "
            "'evolution' or 'local', or restrict=True."
        )


def _sizes(
    candidates: Candidates, budget: Any, n_initial: Any, batch_size: Any
) -> tuple[int, int, int]:
    """The numbers of evaluations, checked."""
    try:
        sizes = operator.index(budget), operator.index(n_initial), operator.index(batch_size)
        fits = 2 <= sizes[1] <= sizes[0] <= len(candidates) and sizes[2] >= 1
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(
            f"budget={budget!r}, n_initial={n_initial!r}, batch_size={batch_size!r} with "
            f"{len(candidates)} candidates: they must be whole numbers, and 2 <= n_initial <= "
            "budget <= candidates and batch_size >= 1 must hold."
        )
    return sizes


def _first(history: History, start: str, n_initial: int) -> list[int]:
    """The rows of the candidates to begin with."""
    if start == "k-centre":
        return k_centre(history.candidates.matrix, n_initial, history.rng).tolist()
    return history.rng.choice(len(history.candidates), n_initial, replace=False).tolist()


def _curve(
    history: History, names: list[str], test: NDArray[Any] | None, spent: NDArray[np.float64]
) -> pd.DataFrame:
    """The frame of a finished search: one row per evaluation."""
    numbers = np.arange(1, len(history.order) + 1)
    frame = pd.DataFrame({"evaluation": numbers, "candidate": history.order})
    frame[names] = np.array(history.values)
    if len(names) == 1:
        frame["best"] = frame[names[0]].cummax()
        leads = frame[names[0]] > frame["best"].shift(fill_value=-np.inf)
        frame["incumbent"] = frame["candidate"].where(leads).ffill().astype(int)
        if test is not None:
            frame["test"] = test[frame["incumbent"]]
    return frame.assign(cost=spent[frame["candidate"]].cumsum())
