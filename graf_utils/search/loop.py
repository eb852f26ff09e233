"""The loop: evaluate, propose, evaluate, and report the incumbent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils._checks import nearest
from graf_utils.search.candidates import Candidates, k_centre
from graf_utils.search.methods import METHODS, History

__all__ = ["STARTS", "search"]

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
            "'evolution' or 'local', or restrict=True."
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

    history = History(candidates, batch_size, restrict, guided, random_state)
    if start == "k-centre":
        first = k_centre(candidates.matrix, n_initial, history.rng).tolist()
    else:
        first = history.rng.choice(len(candidates), n_initial, replace=False).tolist()
    history.add(first, ask(first))
    if test is not None and len(names) > 1:
        raise ValueError(
            f"test reports the incumbent of one objective; here are {len(names)}. Leave it out."
        )
    proposals = METHODS[method](history)
    while len(history.order) < budget:
        indices = next(proposals)[: budget - len(history.order)]
        history.add(indices, ask(indices))

    frame = pd.DataFrame({"evaluation": np.arange(1, budget + 1), "candidate": history.order})
    frame[names] = np.array(history.values)
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
