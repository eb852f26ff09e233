"""The paper's protocol: repeated random train sets, the rest held out, Kendall tau.

`evaluate` crosses targets, encodings, predictors, train sizes and data seeds and returns a tidy
frame, one row a fit. It runs on any joblib backend and, given a `cache` folder, resumes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from tqdm import tqdm

from graf_utils._parallel import unordered
from graf_utils.encodings import encode
from graf_utils.features import DistinctColumns
from graf_utils.spaces.base import nearest

__all__ = ["DATA_SEEDS", "PREDICTORS", "TRAIN_SIZES", "evaluate", "make_predictor"]
__all__ += ["rank_correlations", "summarise"]

TRAIN_SIZES = (32, 128, 1024)
"""Numbers of training networks of the paper."""

DATA_SEEDS = tuple(range(42, 92))
"""The 50 seeds of the paper's random train sets."""


def _xgb(**options: Any) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(random_state=42, n_jobs=1, **options)


PREDICTORS: dict[str, Callable[[], Any]] = {
    "rf": lambda: RandomForestRegressor(random_state=42),
    "xgb": _xgb,
    "xgb+": lambda: _xgb(
        tree_method="hist", subsample=0.9, n_estimators=10_000, learning_rate=0.01
    ),
    "graf-xgb": lambda: make_pipeline(
        DistinctColumns(),
        _xgb(n_estimators=1000, learning_rate=0.015, subsample=0.8, colsample_bynode=0.2),
    ),
}
"""Predictors by name. `rf`, `xgb` and `xgb+` are the paper's (XGB+ with 10,000 trees).

`graf-xgb` is our recommendation: boosting on the distinct columns, 1,000 slow trees that see 80 %
of the rows and, at each split, a fifth of the columns. GRAF's columns come in families that say
nearly the same thing, and this is how trees share the work among them. The settings were chosen by
mean tau on data seeds 0 to 29, which are none of the paper's; see `benchmarks/predictors.py`.
"""


def make_predictor(predictor: str | Any) -> Any:
    """A fresh, unfitted regressor: by name from `PREDICTORS`, or a clone of your own.

    Raises
    ------
    ValueError
        The name is unknown, or the object has no ``fit`` and ``predict``.
    """
    if isinstance(predictor, str):
        if predictor not in PREDICTORS:
            raise ValueError(
                f"predictor={predictor!r} is unknown; it must be a scikit-learn regressor or one "
                f"of {list(PREDICTORS)}.{nearest(predictor, PREDICTORS)}"
            )
        return PREDICTORS[predictor]()
    if isinstance(predictor, type) or not all(
        hasattr(predictor, name) for name in ("fit", "predict", "get_params")
    ):
        raise ValueError(
            f"predictor={predictor!r} is not a regressor; it must be an instance with fit, "
            f"predict and get_params, such as RandomForestRegressor(), or one of "
            f"{list(PREDICTORS)}."
        )
    return clone(predictor)


def evaluate(
    table: Any,
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
        Names for `graf_utils.encodings.encode`; or name -> name, array or frame with a row an
        architecture, or a function of the table that returns one.
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
        number (data, predictor and its settings, split, library versions). A run that was killed
        goes on where it stopped; a damaged file is computed again. Workers on other machines need
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
    if not (hasattr(table, "target") and hasattr(table, "architectures")):
        raise ValueError(
            f"table={table!r:.80} is not a Table. Pass what load_table returns, or build a "
            "graf_utils.datasets.Table from your own frame."
        )
    sizes = _whole_numbers("train_sizes", train_sizes, 1, len(table) - 2, "networks in the table")
    seeds = _whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    ys = {name: np.asarray(table.target(name)) for name in _names("targets", targets)}
    models = {name: make_predictor(model) for name, model in _named("predictors", predictors)}
    matrices = {name: _matrix(table, name, given) for name, given in _named("encodings", encodings)}
    store, x_digests, y_digests = None, {}, {}
    if cache is not None:
        store = _Store(Path(cache).resolve())
        x_digests = {name: _digest(x) for name, x in matrices.items()}
        y_digests = {name: _digest(y) for name, y in ys.items()}

    rows: list[dict[str, Any]] = []
    jobs: list[tuple[_Job, NDArray[Any], NDArray[Any]]] = []
    positions: list[int] = []  # rows of the jobs
    for target, y in ys.items():
        for encoding, x in matrices.items():
            for predictor, model in models.items():
                for size in sizes:
                    for seed in seeds:
                        row = {
                            "table": table.name,
                            "source": table.source,
                            "target": target,
                            "encoding": encoding,
                            "predictor": predictor,
                            "train_size": size,
                            "data_seed": seed,
                        }
                        key = None
                        if store is not None:
                            key = _fit_key(
                                model, x_digests[encoding], y_digests[target], size, seed
                            )
                            row |= store.read(key) or {}
                        if "kendall_tau" not in row:
                            jobs.append((_Job(model, size, seed, key, store), x, y))
                            positions.append(len(rows))
                        rows.append(row)

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
        A row a setting: ``mean``, ``std``, ``n`` (seeds), ``ci95`` (half width of the 95 %
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
    for name, given in (("target", target), ("groups", groups)):
        if given is not None and len(given) != len(scores):
            raise ValueError(
                f"{name} has {len(given)} rows for {len(scores)} rows of scores; give one a row."
            )
    parts: dict[Any, NDArray[np.bool_]] = {"all": np.ones(len(scores), dtype=bool)}
    if groups is not None:
        parts |= {group: np.asarray(groups) == group for group in np.unique(groups).tolist()}
    rows = []
    for group, mask in parts.items():
        ranks, wanted = scores[mask].rank(), pd.Series(target[mask]).rank().to_numpy()
        for score, column in ranks.items():
            known = mask.sum() > 2 and column.nunique() > 1 and np.ptp(wanted) > 0
            rho = np.corrcoef(column, wanted)[0, 1] if known else np.nan
            rows.append({"score": score, "group": group, "n": int(mask.sum()), "spearman": rho})
    return pd.DataFrame(rows)


# --- one fit ----------------------------------------------------------------------------------


@dataclass
class _Job:
    model: Any
    size: int
    seed: int
    key: str | None
    store: _Store | None

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


# --- the cache on disk --------------------------------------------------------------------------


class _Store:
    """Finished fits, a JSON file each, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"cache={str(folder)!r} cannot be used as a folder ({error.strerror}). Choose one "
                "that can be written."
            ) from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def read(self, key: str) -> dict[str, float] | None:
        try:
            scores = json.loads(self._path(key).read_text())
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return None
        wanted = {"kendall_tau", "n_test", "n_features", "cpu_seconds"}
        return scores if isinstance(scores, dict) and set(scores) == wanted else None

    def write(self, key: str, scores: dict[str, float]) -> None:
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(scores, file)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _digest(array: NDArray[Any]) -> str:
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()


def _fit_key(model: Any, x: str, y: str, size: int, seed: int) -> str:
    """What determines the number: inputs, predictor with all settings, split, versions."""
    settings = {name: repr(value) for name, value in sorted(model.get_params().items())}
    asked = [_versions(model), type(model).__qualname__, settings, x, y, size, seed]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _versions(model: Any) -> list[str]:
    import numpy
    import scipy
    import sklearn

    versions = [f"{m.__name__}={m.__version__}" for m in (numpy, scipy, sklearn)]
    for word, module in (("XGB", "xgboost"), ("BRPNAS", "torch")):
        if word in repr(model):
            versions.append(f"{module}={importlib.import_module(module).__version__}")
    return versions


# --- arguments ----------------------------------------------------------------------------------


def _names(argument: str, given: str | Iterable[str]) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{argument}={given!r}: pass a name or a non-empty list of names.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{argument}={given!r} repeats {repeated}; name each once.")
    return names


def _named(argument: str, given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        _names(argument, list(given))
        return list(given.items())
    if not isinstance(given, str) and not isinstance(given, Iterable):
        raise ValueError(
            f"{argument}={given!r:.80}: pass names, or a mapping of a name to an object, such as "
            f"{{'mine': ...}}."
        )
    return [(name, name) for name in _names(argument, given)]


def _whole_numbers(argument: str, given: Any, low: int, high: int, of: str) -> list[int]:
    try:
        values = list(given) if isinstance(given, Iterable) else [given]
        numbers = [int(value) for value in values]
        wrong = [v for v, n in zip(values, numbers, strict=True) if n != v or not low <= n <= high]
    except (TypeError, ValueError, OverflowError):
        values, wrong = [given], [given]
    if wrong or not values:
        raise ValueError(
            f"{argument}={given!r}: {wrong[0] if wrong else 'nothing'!r} is not allowed; it must "
            f"be whole numbers from {low:,} to {high:,} ({of})."
        )
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{argument}={given!r} repeats a value; name each once.")
    return numbers


def _matrix(table: Any, name: str, given: Any) -> NDArray[np.float64]:
    if isinstance(given, str):
        given = encode(table, given)
    elif callable(given):
        given = given(table)
    try:
        matrix = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or len(matrix) != len(table) or not matrix.shape[1]:
        raise ValueError(
            f"encoding {name!r} is {type(given).__name__} of shape {np.shape(given)}; it must be "
            f"numbers of shape ({len(table)}, n_features), a row for each architecture of the "
            "table."
        )
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise ValueError(
            f"encoding {name!r} is not finite at row {row}, column {column}. Fill or drop what is "
            "missing."
        )
    return matrix
