"""The paper's protocol: repeated random train sets, the rest held out, Kendall tau.

`evaluate` crosses targets, encodings, predictors, train sizes and data seeds and returns a tidy
frame, one row per fit. It runs on any joblib backend and, given a `cache` folder, resumes.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import scipy
import sklearn
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from graf_utils import _checks
from graf_utils._keys import NotKeyable, digest
from graf_utils._parallel import unordered
from graf_utils._store import Store
from graf_utils.encodings import encode
from graf_utils.predictors import make_predictor
from graf_utils.table import Table

__all__ = ["DATA_SEEDS", "TRAIN_SIZES", "evaluate", "rank_correlations", "summarise"]

TRAIN_SIZES = (32, 128, 1024)
"""Numbers of training networks of the paper."""

DATA_SEEDS = tuple(range(42, 92))
"""The 50 seeds of the paper's random train sets."""


_SETTING = ("target", "encoding", "predictor", "train_size", "data_seed")

_NUMBERS = {
    "kendall_tau": (-1.0, 1.0),
    "n_test": (1, math.inf),
    "n_features": (1, math.inf),
    "cpu_seconds": (0.0, math.inf),
}
"""The numbers of a fit with their ranges, as the cache holds them."""

_VERSIONS = [np, scipy, sklearn]  # what every fit goes through, besides the predictor's own


def evaluate(
    table: Table,
    targets: str | Iterable[str],
    encodings: str | Iterable[str] | Mapping[str, Any],
    predictors: str | Iterable[str] | Mapping[str, Any] = "rf",
    train_sizes: int | Iterable[int] = TRAIN_SIZES,
    data_seeds: int | Iterable[int] = DATA_SEEDS,
    n_jobs: int | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Evaluate encodings and predictors on a table by the protocol of Kadlecová et al. (2024).

    For each data seed, ``train_test_split(train_size=N, random_state=seed)`` draws N networks of
    the table; the predictor is fitted on them, and Kendall tau-b is taken on all the rest.

    Parameters
    ----------
    table : Table
        The pool of architectures, in the order the splits are drawn from.
    targets : str or sequence of str
        Columns of ``table.targets``.
    encodings : str, sequence of str, or mapping of name to encoding
        Names for `graf_utils.encodings.encode`; or name -> name, array or frame with one row
        per architecture, or a function of the table that returns one.
    predictors : str, sequence of str, or mapping of name to regressor
        Names of `PREDICTORS`, or name -> scikit-learn regressor.
    train_sizes : int or sequence of int
        Numbers of training networks N.
    data_seeds : int or sequence of int
        Seeds of the train sets.
    n_jobs : int, optional
        Parallel fits, as in joblib; the backend is joblib's current one
        (``joblib.parallel_config``). The numbers do not depend on it. On a Dask cluster all its
        workers are used, and a fit whose worker died is done by another.
    cache : path, optional
        Folder of finished fits, a small JSON file each, keyed by everything that determines the
        number (data, the code and settings of the predictor, split, versions of the packages). A
        run that was killed goes on where it stopped; a damaged file is computed again. A predictor
        that cannot be described so is not cached, with a warning. Workers on other machines need
        not see the folder.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        Columns ``table, source, target, encoding, predictor, train_size, data_seed, kendall_tau,
        n_test, n_features, cpu_seconds`` (of fit and predict, in the process that did it), in the
        order in which the arguments were given. A prediction that is constant has tau 0.

    Raises
    ------
    ValueError
        An unknown name, a train size outside 1 .. n - 2, an encoding whose rows do not fit the
        table or are not finite; the message names it. Nothing is fitted then.
    """
    if not isinstance(table, Table):
        raise ValueError(
            f"table={table!r:.80} is not a Table. Pass what load_table returns, or build a "
            "graf_utils.Table from your own frame."
        )
    sizes = _checks.whole_numbers(
        "train_sizes", train_sizes, 1, len(table) - 2, "networks in the table"
    )
    seeds = _checks.whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    ys = {name: table.target(name) for name in _checks.names("targets", targets)}
    models = {
        name: make_predictor(model) for name, model in _checks.named("predictors", predictors)
    }
    matrices = {name: _encoded(table, name, x) for name, x in _checks.named("encodings", encodings)}
    store = None if cache is None else Store(cache, _NUMBERS)
    keys = _Keys(store is not None, matrices, ys, models)

    rows: list[dict[str, Any]] = []
    jobs: list[tuple[_Job, NDArray[Any], NDArray[Any]]] = []
    positions: list[int] = []  # rows of the jobs
    for setting in product(ys, matrices, models, sizes, seeds):
        target, encoding, predictor, size, seed = setting
        row = {"table": table.name, "source": table.source}
        row |= dict(zip(_SETTING, setting, strict=True))
        key = keys.of(target, encoding, predictor, size, seed)
        done = store.read(key) if store is not None and key is not None else None
        if done is None:
            job = _Job(models[predictor], size, seed, key, store)
            jobs.append((job, matrices[encoding], ys[target]))
            positions.append(len(rows))
        rows.append(row | (done or {}))

    bar = tqdm(total=len(rows), initial=len(rows) - len(jobs), disable=not progress, unit="fit")
    with bar:
        for number, scores in unordered(_run, jobs, n_jobs):
            rows[positions[number]] |= scores
            jobs[number][0].keep(scores)
            bar.update()
    return pd.DataFrame(rows)


def summarise(results: pd.DataFrame, by: Iterable[str] = ()) -> pd.DataFrame:
    """Mean tau over the data seeds with its uncertainty.

    Parameters
    ----------
    results : DataFrame
        From `evaluate`.
    by : sequence of str
        Columns to group by; by default all that name a setting.

    Returns
    -------
    DataFrame
        One row per setting: ``mean``, ``std``, ``n`` (seeds), ``ci95`` (half width of the 95 %
        interval of the mean, normal), ``cpu_seconds`` (mean).
    """
    by = list(by) or ["table", "source", "target", "encoding", "predictor", "train_size"]
    groups = results.groupby(by, sort=False)
    tau = groups["kendall_tau"].agg(mean="mean", std="std", n="size")
    tau["ci95"] = 1.96 * tau["std"] / np.sqrt(tau["n"])
    tau["cpu_seconds"] = groups["cpu_seconds"].mean()
    return tau.reset_index()


def rank_correlations(scores: pd.DataFrame, target: Any, groups: Any = None) -> pd.DataFrame:
    """Spearman's correlation of each score with a target, overall and within groups.

    A score that only tells the groups apart has a high correlation overall and none within them.

    Parameters
    ----------
    scores : DataFrame of shape (n, n_scores)
        For example the proxies of a table.
    target : array-like of shape (n,)
    groups : array-like of shape (n,), optional
        For example the number of convolutions.

    Returns
    -------
    DataFrame
        Columns ``score, group, n, spearman``; the group of the overall correlation is ``"all"``.
        NaN where the score or the target is constant, or fewer than three rows are in the group.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    target = np.asarray(target, dtype=float)
    for name, values in (("target", target), ("groups", groups)):
        if values is not None and len(values) != len(scores):
            raise ValueError(
                f"{name} has {len(values)} rows for {len(scores)} rows of scores; give one a row."
            )
    parts: dict[Any, NDArray[np.bool_]] = {"all": np.ones(len(scores), dtype=bool)}
    if groups is not None:
        parts |= {group: np.asarray(groups) == group for group in np.unique(groups).tolist()}
    rows = []
    for group, mask in parts.items():
        ranks, target_rank = scores[mask].rank(), pd.Series(target[mask]).rank().to_numpy()
        for score, column in ranks.items():
            defined = mask.sum() > 2 and column.nunique() > 1 and np.ptp(target_rank) > 0
            rho = np.corrcoef(column, target_rank)[0, 1] if defined else np.nan
            rows.append({"score": score, "group": group, "n": int(mask.sum()), "spearman": rho})
    return pd.DataFrame(rows)


# --- one fit ----------------------------------------------------------------------------------


class _Keys:
    """The keys of fits in the cache: data, predictor with all that it is made of, and split."""

    def __init__(
        self,
        needed: bool,
        matrices: dict[str, NDArray[Any]],
        ys: dict[str, NDArray[Any]],
        models: dict[str, Any],
    ) -> None:
        self.needed = needed
        self.parts: dict[tuple[str, str], str | None] = {}
        if not needed:
            return
        for kind, values in (("x", matrices), ("y", ys)):
            self.parts |= {(kind, name): digest(value) for name, value in values.items()}
        for name, model in models.items():
            try:
                self.parts["model", name] = digest(model, _VERSIONS)
            except NotKeyable as error:
                self.parts["model", name] = None
                warnings.warn(
                    f"predictor {name!r} is not cached, since a part of it cannot be told from "
                    f"another: {error}",
                    stacklevel=3,
                )

    def of(self, target: str, encoding: str, predictor: str, size: int, seed: int) -> str | None:
        """The key of a fit; None if it must not be cached."""
        if not self.needed or self.parts["model", predictor] is None:
            return None
        parts = [self.parts["x", encoding], self.parts["y", target], self.parts["model", predictor]]
        return digest(parts, size, seed)


@dataclass
class _Job:
    model: Any
    size: int
    seed: int
    key: str | None
    store: Store | None

    def keep(self, scores: dict[str, float]) -> None:
        """Put the scores into the store, unless they are there."""
        if self.store is not None and self.key is not None and self.store.read(self.key) is None:
            self.store.write(self.key, scores)


def _run(job: _Job, x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    train, test = train_test_split(np.arange(len(y)), train_size=job.size, random_state=job.seed)
    model = clone(job.model)
    start = time.process_time()
    model.fit(x[train], y[train])
    predicted = np.asarray(model.predict(x[test]), dtype=float).ravel()
    seconds = time.process_time() - start
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"predictor {job.model!r} returned NaN or infinite predictions with {job.size} "
            f"training networks, data seed {job.seed}. Check its settings."
        )
    constant = (predicted == predicted[0]).all()
    scores = {
        "kendall_tau": 0.0 if constant else float(kendalltau(predicted, y[test]).statistic),
        "n_test": len(test),
        "n_features": x.shape[1],
        "cpu_seconds": round(seconds, 4),
    }
    with contextlib.suppress(OSError):  # here is no such folder: `evaluate` keeps it
        job.keep(scores)
    return scores


def _encoded(table: Table, name: str, encoding: Any) -> NDArray[np.float64]:
    """The matrix of an encoding: by name, a function of the table, or the numbers themselves."""
    if isinstance(encoding, str):
        encoding = encode(table, encoding)
    elif callable(encoding):
        encoding = encoding(table)
    return _checks.matrix(f"encoding {name!r}", encoding, len(table))
