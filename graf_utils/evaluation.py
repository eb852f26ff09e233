"""The paper's protocol: repeated random train sets, the rest held out, Kendall tau (or others).

`evaluate` crosses targets, encodings, predictors, train sizes and data seeds and returns a tidy
frame, one row per fit. It runs on any joblib backend and, given a `cache` folder, resumes.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import scipy
import sklearn
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from graf_utils import __version__, _checks
from graf_utils._parallel import predict_in_order, unordered
from graf_utils._statistics import NORMAL_95
from graf_utils._store import FitKeys, Store
from graf_utils.encodings import encode
from graf_utils.metrics import Metric, make_metrics, measure
from graf_utils.predictors import make_predictor
from graf_utils.table import Table, check_table

__all__ = ["DATA_SEEDS", "FIT", "SETTING", "TRAIN_SIZES", "evaluate", "summarise"]

TRAIN_SIZES = (32, 128, 1024)
"""Numbers of training networks of the paper."""

DATA_SEEDS = tuple(range(42, 92))
"""The 50 seeds of the paper's random train sets."""

SETTING = ("table", "source", "target", "encoding", "predictor", "train_size")
"""Columns of the results that say what was fitted; only data seeds may be averaged."""

FIT = (*SETTING, "data_seed")
"""Columns that tell one fit from another."""

_UNSEEN = "_unseen"
"""Ends the names of numbers on test networks without a twin in the train set."""


def evaluate(
    table: Table,
    targets: str | Iterable[str],
    encodings: Any,
    predictors: Any = "rf",
    train_sizes: int | Iterable[int] = TRAIN_SIZES,
    data_seeds: int | Iterable[int] = DATA_SEEDS,
    n_jobs: int | None = None,
    *,
    metrics: Any = "kendall_tau",
    duplicates: str = "refuse",
    twins: Any = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Evaluate encodings and predictors on a table by the protocol of Kadlecová et al. (2024).

    For each data seed, ``train_test_split(train_size=N, random_state=seed)`` draws N networks of
    the table; the predictor is fitted on them, and Kendall tau-b, or any other metric, is taken on
    all the rest.

    Parameters
    ----------
    table : Table
        The pool of architectures, in the order the splits are drawn from.
    targets : str or sequence of str
        Columns of ``table.targets``.
    encodings : str, encoding, sequence of these, or mapping of name to encoding
        An encoding is a name for `graf_utils.encodings.encode`; an array or frame with one row per
        architecture, in the order of the table; or a function of the table that returns one.
        Without a name in a mapping it goes by that of its function or class.
    predictors : str, regressor, sequence of these, or mapping of name to regressor
        Names of `PREDICTORS`, or scikit-learn regressors.
    train_sizes : int or sequence of int
        Numbers of training networks N.
    data_seeds : int or sequence of int
        Seeds of the train sets.
    n_jobs : int, optional
        Parallel fits, as in joblib; the backend is joblib's current one
        (``joblib.parallel_config``). The numbers do not depend on it. On a Dask cluster all its
        workers are used, and a fit whose worker died is done by another.
    metrics : str, function, sequence of these, or mapping of name to one of them
        Names of `graf_utils.metrics.METRICS`, or functions (predicted, true) that return a number.
        One column each.
    duplicates : {"refuse", "grouped"}
        What to do if an architecture stands in several rows: refuse, since a copy in the test set
        is known from the train set; or draw N architectures with all their rows, so that none
        stands on both sides. Isomorphic cells that are written differently are no copies; with
        `twins`, "grouped" draws N classes with all their networks, so that no twin stands on both
        sides (the train set is then larger than N).
    twins : array-like of shape (n,), optional
        A label per architecture, such as ``table.space.classes(table.codes, zeros="dropped")``;
        networks with the same label are twins, and tell of each other. Adds, for each metric, a
        column ``<metric>_unseen``: the metric on the test networks without a twin in the train set,
        ``n_unseen`` of them (NaN if these are fewer than two). A Series is matched by its index.
    cache : path, optional
        Folder of finished fits, a small JSON file each, keyed by everything that determines the
        number (data, the code and settings of predictor and metrics, split, versions of the
        packages). A run that was killed goes on where it stopped. A damaged file is computed again,
        with a warning. A predictor or metric that cannot be described so is not cached, with a
        warning; nor is a fit with a number that is not defined. Workers on other machines need not
        see the folder.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        Columns ``table, source, target, encoding, predictor, train_size, data_seed, kendall_tau``
        (or the other metrics), ``n_test, n_features, cpu_seconds`` (of fit and predict, in the
        process that did it), in the order in which the arguments were given. A prediction that is
        constant has tau 0; where the target is constant on the test networks, tau is NaN.

    Raises
    ------
    ValueError
        An unknown name, a train size outside 1 .. n - 2, an encoding whose rows do not fit the
        table or are not finite, an architecture in several rows or with several labels; the message
        names it. Nothing is fitted then. Also: what a predictor or a metric of yours returned.
    """
    groups, classes = _groups(table, duplicates, twins)
    n_train = (len(table) if groups is None else len(np.unique(groups))) - 2  # at most
    sizes = _checks.whole_numbers("train_sizes", train_sizes, 1, n_train, "networks in the table")
    seeds = _checks.whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    ys = {name: table.target(name) for name in _checks.names("targets", targets)}
    models = {name: make_predictor(m) for name, m in _checks.named("predictors", predictors)}
    functions = make_metrics(metrics)
    ranges = _ranges(functions, classes is not None)
    matrices = {name: _encoded(table, name, x) for name, x in _checks.named("encodings", encodings)}
    store = None if cache is None else Store(cache, ranges)
    protocol = [__version__, _split, _scores, np, scipy, sklearn, groups, classes]
    keys = None if store is None else FitKeys(protocol, matrices, ys, models, functions)

    rows: list[dict[str, Any]] = []
    jobs: dict[int, tuple[Any, ...]] = {}  # by the row that they fill
    for setting in product([table.name], [table.source], ys, matrices, models, sizes, seeds):
        target, encoding, predictor, size, seed = setting[2:]
        key = None if keys is None else keys.of(*setting[2:])
        done = None if key is None else store.read(key)
        if done is None:
            job = _Job(models[predictor], size, seed, functions, key, store)
            jobs[len(rows)] = (job, matrices[encoding], ys[target], groups, classes)
        rows.append(dict(zip(FIT, setting, strict=True)) | (done or {}))
    for row_number, scores in _all_scores(jobs, n_jobs, len(rows), progress):
        rows[row_number] |= scores
    return pd.DataFrame(rows, columns=[*FIT, *ranges])


def summarise(
    results: pd.DataFrame, by: str | Iterable[str] = (), metric: str = "kendall_tau"
) -> pd.DataFrame:
    """Mean of a metric over the data seeds with its uncertainty.

    Parameters
    ----------
    results : DataFrame
        From `evaluate`.
    by : str or sequence of str
        Columns to group by; by default all that name a setting.
    metric : str
        A column of numbers, such as ``"ndcg"`` or ``"kendall_tau_unseen"``.

    Returns
    -------
    DataFrame
        One row per setting: ``mean``, ``std``, ``n`` (seeds whose number is no NaN), ``ci95`` (half
        width of the 95 % interval of the mean, normal), ``cpu_seconds`` (mean). With one seed,
        ``std`` and ``ci95`` are NaN.

    Raises
    ------
    ValueError
        There is no such column, or `results` is no frame of `evaluate`. By default also: a setting
        has two rows for one data seed, so that different things go by one name.
    """
    _checks.numeric_columns("results", results, ["cpu_seconds"])
    _checks.choice("metric", metric, results.columns)
    _checks.numeric_columns("results", results, [metric])
    if isinstance(by, Iterable) and not isinstance(by, str):
        by = list(by)
    columns = list(SETTING) if by == [] else _checks.names("by", by)
    for column in columns:
        _checks.choice("by", column, list(results.columns))
    if by == []:
        _checks.not_pooled(results, columns)
    groups = results.groupby(columns, sort=False, dropna=False)
    summary = groups[metric].agg(mean="mean", std="std", n="count")
    summary["ci95"] = NORMAL_95 * summary["std"] / np.sqrt(summary["n"])
    summary["cpu_seconds"] = groups["cpu_seconds"].mean()
    return summary.reset_index()


def _groups(
    table: Table, duplicates: str, twins: Any
) -> tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]:
    """For each row the group that it is drawn with, None if each is drawn alone; its class."""
    check_table(table, "evaluate")
    _checks.choice("duplicates", duplicates, ["refuse", "grouped"])
    classes = None
    if twins is not None:
        classes = _checks.row_labels("twins", twins, pd.RangeIndex(len(table)))
        if (classes != classes[table.first_rows]).any():
            raise ValueError(
                "twins has several labels for the rows of one architecture. Make the labels from "
                'the architectures, such as table.space.classes(table.codes, zeros="dropped").'
            )
        if duplicates == "grouped":
            return classes, classes
    copies = np.flatnonzero(table.first_rows != np.arange(len(table)))
    if not len(copies):
        return None, classes
    if duplicates == "refuse":
        row = int(copies[0])
        raise ValueError(
            f"table {table.name!r} holds {len(copies)} copies: row {row} is the architecture of "
            f"row {table.first_rows[row]} again. A predictor knows a test network whose copy it "
            "was trained on. Keep the first row of each with table.drop_duplicates(), or all rows, "
            "with those of an architecture on one side of each split, with duplicates='grouped'."
        )
    return table.first_rows, classes


def _ranges(metrics: dict[str, Metric], with_twins: bool) -> dict[str, tuple[float, float]]:
    """The numbers of a fit, in the order of their columns, with the ranges that they lie in."""
    ends = ("", _UNSEEN) if with_twins else ("",)
    scores = [name + end for name in metrics for end in ends]
    counts = ["n_test", *(["n_unseen"] if with_twins else []), "n_features", "cpu_seconds"]
    columns = [*FIT, *scores, *counts]
    _checks.names("the metrics beside the other columns of the results", columns)
    return dict.fromkeys(scores, (-math.inf, math.inf)) | dict.fromkeys(counts, (0, math.inf))


def _encoded(table: Table, name: str, encoding: Any) -> NDArray[np.float64]:
    """The matrix of an encoding: by name, a function of the table, or the numbers themselves."""
    if isinstance(encoding, str):
        encoding = encode(table, encoding)
    elif callable(encoding):
        encoding = encoding(table)
    elif hasattr(encoding, "fit_transform"):
        raise ValueError(
            f"encoding {name!r} is a transformer, {type(encoding).__name__}; pass a function of "
            "the table that uses it, such as lambda table: transformer.fit_transform(table)."
        )
    return _checks.matrix(f"encoding {name!r}", encoding, len(table))


# --- one fit ----------------------------------------------------------------------------------


@dataclass
class _Job:
    """A predictor to be fitted, on which train set, by what it is judged and where that is kept."""

    model: Any
    size: int
    seed: int
    metrics: dict[str, Metric]
    key: str | None
    store: Store | None

    def keep(self, scores: dict[str, float]) -> None:
        """Put the scores into the store, unless they are there or hold a NaN."""
        if self.store is None or self.key is None or not np.isfinite(list(scores.values())).all():
            return
        if not self.store.holds(self.key):
            self.store.write(self.key, scores)


def _all_scores(
    jobs: dict[int, tuple[Any, ...]], n_jobs: int | None, n_rows: int, progress: bool
) -> Iterator[tuple[int, dict[str, float]]]:
    """Run the jobs and yield the row of each with its scores, kept if there is a store."""
    row_numbers = list(jobs)
    is_kept = True
    bar = tqdm(total=n_rows, initial=n_rows - len(jobs), disable=not progress, unit="fit")
    with bar:
        for number, scores in unordered(_run, jobs.values(), n_jobs):
            row = row_numbers[number]
            try:
                jobs[row][0].keep(scores)
            except OSError as error:
                if is_kept:
                    warnings.warn(f"the cache cannot be written: {error}", stacklevel=3)
                is_kept = False
            yield row, scores
            bar.update()


def _run(
    job: _Job, x: NDArray[Any], y: NDArray[Any], groups: Any, classes: Any
) -> dict[str, float]:
    """Do one job, in whatever process."""
    train, test = _split(len(y), groups, job.size, job.seed)
    unseen = None if classes is None else ~np.isin(classes[test], classes[train])
    scores = _scores(job.model, x, y, train, test, unseen, job.metrics)
    if scores is None:
        raise ValueError(
            f"predictor {job.model!r} returned NaN or infinite predictions with {job.size} "
            f"training networks, data seed {job.seed}. Check its settings."
        )
    with contextlib.suppress(OSError):  # here is no such folder: `evaluate` keeps it
        job.keep(scores)
    return scores


def _split(
    n_rows: int, groups: NDArray[np.intp] | None, size: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to train and to test on; the rows of a group are never on both sides."""
    rows = np.arange(n_rows)
    if groups is None:
        train, test = train_test_split(rows, train_size=size, random_state=seed)
        return train, test
    chosen, _ = train_test_split(np.unique(groups), train_size=size, random_state=seed)
    is_train = np.isin(groups, chosen)
    return rows[is_train], rows[~is_train]


def _scores(
    model: Any,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    unseen: NDArray[np.bool_] | None,
    metrics: dict[str, Metric],
) -> dict[str, float] | None:
    """The numbers of one fit; None if the predictions are not finite.

    `unseen` tells which of the test networks have no twin in the train set.
    """
    model = clone(model)
    start = time.process_time()
    model.fit(x[train], y[train])
    returned = predict_in_order(model, x[test])
    predicted = _checks.predictions(f"what predictor {model!r:.80} returned", returned, len(test))
    seconds = time.process_time() - start
    if not np.isfinite(predicted).all():
        return None
    scores = measure(metrics, predicted, y[test])
    if unseen is not None:
        scores["n_unseen"] = int(unseen.sum())
        of_unseen = measure(metrics, predicted[unseen], y[test][unseen])
        scores |= {name + _UNSEEN: score for name, score in of_unseen.items()}
    return scores | {
        "n_test": len(test),
        "n_features": x.shape[1],
        "cpu_seconds": round(seconds, 4),
    }
