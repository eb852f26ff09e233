"""The paper's protocol: repeated random train sets, the rest held out, Kendall tau (or others).

`evaluate` crosses targets, encodings, predictors, train sizes and data seeds and returns a tidy
frame, one row per fit. It runs on any joblib backend and, given a `cache` folder, resumes.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import scipy
import sklearn
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from graf_utils import __version__, _checks
from graf_utils._fits import Job, Plan, run_all
from graf_utils._parallel import predict_in_order
from graf_utils._predictions import OF_INTERVALS, Heard, intervals, refuse_large, tidy
from graf_utils._splits import Draw, check_elsewhere, draw, elsewhere, given
from graf_utils._statistics import NORMAL_95
from graf_utils.encodings import apply_encoding
from graf_utils.metrics import Metric, make_metrics, measure
from graf_utils.predictors import make_predictor
from graf_utils.table import Table, check_table

__all__ = ["DATA_SEEDS", "FIT", "SETTING", "TRAIN_SIZES", "evaluate", "setting_of", "summarise"]

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

_ELSEWHERE = ("test_target", "test_table")
"""Columns that stand after `FIT` where another target or table is judged than was learned."""


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
    splits: Any = None,
    test_target: str | None = None,
    test_table: Table | None = None,
    interval: float | None = None,
    return_predictions: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Any:
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
    splits : callable, iterable of (train rows, test rows), or mapping of int to pair, optional
        Your own splits instead of random ones, by row numbers from 0. A function is called as
        ``splits(n_rows, train_size, data_seed)`` for each of `train_sizes` and `data_seeds`, and
        returns a pair. Pairs that are written out, such as scikit-learn's
        ``GroupKFold(5).split(X, groups=family)``, say both themselves: ``train_size`` is the number
        of train rows, ``data_seed`` the key in a mapping, else the position from 0; leave both
        arguments out. (If folds differ in size, give `summarise` a `by` without ``train_size``.)
        Rows on neither side are not used. With ``duplicates="grouped"`` it is checked that no
        architecture, or class of `twins`, stands on both sides.
    test_target : str, optional
        Another column of ``table.targets``: predictors learn each of `targets`, and are judged on
        the test networks by this one. Adds a column ``test_target``.
    test_table : Table, optional
        Another table of the same space: predictors learn on train sets of `table`, and are judged
        on all networks of this one that are not in the train set, by its own target of the same
        name (or `test_target`). Encodings are names or functions then, and make the same columns of
        both. Adds a column ``test_table``, its name; not together with `splits` or `twins`.
    interval : float, optional
        Share of the networks that an interval should hold, such as 0.8. Adds ``coverage``, the
        share of the test networks whose target lies inside, and ``width``, the median width in
        standard deviations of that target over the table. The ends come from the predictor's
        ``predict_quantiles(X, quantiles)``, or from ``predict(X, return_std=True)``, as of a normal
        variable; in a pipeline, from its last step. Predictors with neither get NaN, and it is an
        error if all have neither. ``cpu_seconds`` leaves intervals out.
    return_predictions : bool
        Return the predictions as well. All fits are done again then, since `cache` keeps no
        predictions.
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
    results : DataFrame
        Columns ``table, source, target, encoding, predictor, train_size, data_seed, kendall_tau``
        (or the other metrics), ``n_test, n_features, cpu_seconds`` (of fit and predict, in the
        process that did it), in the order in which the arguments were given. A prediction that is
        constant has tau 0; where the target is constant on the test networks, tau is NaN.
    predictions : DataFrame
        Only with ``return_predictions=True``, as the second of a pair. One row per fit and test
        network: the columns that tell fits apart (`FIT`), ``row`` in the table (those of
        `test_table` are numbered behind its rows), ``predicted``, ``true``, and with `interval` its
        ends ``low`` and ``high``.

    Raises
    ------
    ValueError
        An unknown name, a train size outside 1 .. n - 2, an encoding whose rows do not fit the
        table or are not finite, an architecture in several rows or with several labels, a split
        with a side that is empty or holds something else than rows, or with a row on both sides, an
        interval that no predictor has, a test table of another space, predictions of more than 2
        GiB; the message names it.
        Nothing is fitted then. Also: what a predictor or a metric of yours returned.
    """
    groups, classes = _groups(table, duplicates, twins)
    tables = [table, *_other(table, test_table, duplicates, splits, twins)]
    draws = _draws(splits, tables, groups, train_sizes, data_seeds)
    ys, judged = _learned_and_judged(tables, targets, test_target)
    models = {name: make_predictor(m) for name, m in _checks.named("predictors", predictors)}
    spans = intervals(models, interval)
    functions = make_metrics(metrics)
    ranges = _ranges(functions, classes is not None, interval is not None)
    matrices = {n: _encoded(tables, n, x) for n, x in _checks.named("encodings", encodings)}
    plan = Plan(draws, ys, judged, matrices, models, spans, functions, groups, classes)
    refuse_large(plan.n_tested if return_predictions else 0)
    protocol = [__version__, _split, _scores, np, scipy, sklearn, groups, classes]
    rows, jobs = plan.jobs(cache, protocol, ranges, FIT[2:], returns=return_predictions)
    said: dict[int, Any] = {}
    for row_number, (scores, said[row_number]) in run_all(_run, jobs, n_jobs, len(rows), progress):
        rows[row_number] |= scores
    named = _named(tables, test_target)
    columns = [*FIT, *(name for name in _ELSEWHERE if named[name] is not None)]
    results = pd.DataFrame([named | row for row in rows], columns=[*columns, *ranges])
    return (results, tidy(results[columns], said)) if return_predictions else results


def setting_of(results: pd.DataFrame) -> list[str]:
    """Return the columns that say what was fitted and judged; only data seeds may be averaged.

    Parameters
    ----------
    results : DataFrame
        From `evaluate`, or several such frames in one.

    Returns
    -------
    list of str
        `SETTING`, and ``test_target`` and ``test_table`` where some fits are judged by another
        target, or in another table, than they learn.
    """
    return [*SETTING, *(name for name in _ELSEWHERE if name in results)]


def summarise(
    results: pd.DataFrame, by: str | Iterable[str] = (), metric: str = "kendall_tau"
) -> pd.DataFrame:
    """Mean of a metric over the data seeds with its uncertainty.

    Parameters
    ----------
    results : DataFrame
        From `evaluate`.
    by : str or sequence of str
        Columns to group by; by default all that name a setting (`setting_of`).
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
    _checks.choice("metric", metric, list(results.select_dtypes("number")))
    if isinstance(by, Iterable) and not isinstance(by, str):
        by = list(by)
    columns = setting_of(results) if by == [] else _checks.names("by", by)
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


def _draws(
    splits: Any, tables: list[Table], groups: Any, train_sizes: Any, data_seeds: Any
) -> list[Draw]:
    """Train size, data seed and, if the reader says them, rows of each split."""
    n_rows = len(tables[0])
    if splits is not None and not callable(splits):
        if train_sizes is not TRAIN_SIZES or data_seeds is not DATA_SEEDS:
            raise ValueError(
                "splits holds the rows of each split, so train_sizes and data_seeds have no use. "
                "Leave both out, or make splits a function (n_rows, train_size, data_seed) -> "
                "(train_rows, test_rows)."
            )
        return given(splits, n_rows, groups)
    n_train = (n_rows if groups is None else len(np.unique(groups))) - 2  # at most
    sizes = _checks.whole_numbers("train_sizes", train_sizes, 1, n_train, "networks in the table")
    seeds = _checks.whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    if splits is None:
        draws: list[Draw] = [(size, seed, None) for size, seed in product(sizes, seeds)]
        codes = [table.codes for table in tables]
        return draws if len(tables) == 1 else elsewhere(draws, _split, *codes, groups)
    return [draw(splits, n_rows, size, seed, groups) for size, seed in product(sizes, seeds)]


def _ranges(
    metrics: dict[str, Metric], with_twins: bool, with_interval: bool
) -> dict[str, tuple[float, float]]:
    """The numbers of a fit, in the order of their columns, with the ranges that they lie in."""
    ends = ("", _UNSEEN) if with_twins else ("",)
    scores = [name + end for name in metrics for end in ends]
    counts = ["n_test", *(["n_unseen"] if with_twins else []), "n_features", "cpu_seconds"]
    counts += OF_INTERVALS if with_interval else []
    columns = [*FIT, *_ELSEWHERE, *scores, *counts]
    _checks.names("the metrics beside the other columns of the results", columns)
    return dict.fromkeys(scores, (-math.inf, math.inf)) | dict.fromkeys(counts, (0, math.inf))


def _other(
    table: Table, test_table: Table | None, duplicates: str, splits: Any, twins: Any
) -> list[Table]:
    """The test table, which must fit, and which no other argument may contradict; or none."""
    if test_table is None:
        return []
    _groups(test_table, duplicates, None)
    check_elsewhere(table.space, test_table.space, splits, twins)
    return [test_table]


def _named(tables: list[Table], test_target: str | None) -> dict[str, str | None]:
    """Columns of the results that have one value."""
    one = {"table": tables[0].name, "source": tables[0].source, "test_target": test_target}
    return one | {"test_table": tables[1].name if len(tables) > 1 else None}


def _learned_and_judged(
    tables: list[Table], targets: Any, test_target: str | None
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """By target, the values to learn and those to judge by; the same object if they are equal."""
    names = _checks.names("targets", targets)
    ys = {name: tables[0].target(name) for name in names}
    if len(tables) > 1:
        behind = [tables[1].target(test_target or name) for name in names]
        ys = {n: np.concatenate([ys[n], b]) for n, b in zip(names, behind, strict=True)}
    elif test_target is not None:
        return ys, dict.fromkeys(ys, tables[0].target(test_target))
    return ys, ys


def _encoded(tables: list[Table], name: str, encoding: Any) -> NDArray[np.float64]:
    """The matrix of an encoding: by name, a function of a table, or the numbers themselves."""
    if hasattr(encoding, "fit_transform") and not callable(encoding):
        raise ValueError(
            f"encoding {name!r} is a transformer, {type(encoding).__name__}; pass a function of "
            "the table that uses it, such as lambda table: transformer.fit_transform(table)."
        )
    if len(tables) > 1 and not isinstance(encoding, str) and not callable(encoding):
        raise ValueError(
            f"encoding {name!r} is {type(encoding).__name__}; with test_table it must be a name or "
            "a function of a table, which is asked for the columns of each."
        )
    what, parts = f"encoding {name!r}", [apply_encoding(table, encoding) for table in tables]
    blocks = [_checks.matrix(what, *both) for both in zip(parts, map(len, tables), strict=True)]
    _checks.same_columns(what, parts)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


# --- one fit ----------------------------------------------------------------------------------


def _run(
    job: Job, x: NDArray[Any], y: NDArray[Any], judged: NDArray[Any], groups: Any, classes: Any
) -> tuple[dict[str, float], dict[str, NDArray[Any]] | None]:
    """Do one job, in whatever process: its scores and, if asked for, what was predicted."""
    train, test = job.sides or _split(len(y), groups, job.size, job.seed)
    unseen = None if classes is None else ~np.isin(classes[test], classes[train])
    learned = judged.copy()
    learned[train] = y[train]
    model = Heard(job.model)
    scores = _scores(model, x, learned, train, test, unseen, job.metrics)
    if scores is None:
        raise ValueError(
            f"predictor {job.model!r} returned NaN or infinite predictions with {job.size} "
            f"training networks, data seed {job.seed}. Check its settings."
        )
    more, said = model.told(x[test], judged, test, job.span)
    scores |= more
    with contextlib.suppress(OSError):  # here is no such folder: `evaluate` keeps it
        job.keep(scores)
    return scores, said if job.returns else None


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
