"""Fits that `graf_utils.evaluation.evaluate` makes: which there are, what is kept, running them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from graf_utils._parallel import unordered
from graf_utils._predictions import OF_INTERVALS, bounds, held
from graf_utils._splits import Draw, Sides
from graf_utils._store import FitKeys, Store

__all__ = ["Job", "Plan", "run_all"]

Ranges = dict[str, tuple[float, float]]
"""The numbers of a fit, each with the range that it must lie in."""


@dataclass
class Job:
    """A predictor to be fitted, on which train set, by what it is judged and where that is kept.

    Parameters
    ----------
    model : regressor
    size, seed : int
        Train size and data seed.
    sides : pair of ndarray of int, optional
        Rows to train and to test on, if size and seed do not decide them.
    metrics : dict of str to function
    span : float, optional
        Share that an interval should hold, of a predictor that has some.
    returns : bool
        Whether predictions are wanted.
    key : str, optional
    store : Store, optional
    """

    model: Any
    size: int
    seed: int
    sides: Sides | None
    metrics: dict[str, Any]
    span: float | None
    returns: bool
    key: str | None
    store: Store | None

    def keep(self, scores: dict[str, float]) -> None:
        """Put the scores into the store, unless they are there or hold a NaN.

        Parameters
        ----------
        scores : dict of str to number
        """
        if self.store is None or self.key is None or not np.isfinite(list(scores.values())).all():
            return
        if not self.store.holds(self.key):
            self.store.write(self.key, scores)


@dataclass
class Plan:
    """Each target, encoding and predictor on each split.

    Parameters
    ----------
    draws : list of (train size, data seed, rows or None)
        From `graf_utils._splits`.
    ys, judged : dict of str to ndarray of shape (n_rows,)
        By name of the target: what is learned, and what is judged; one object if they are the same.
    matrices : dict of str to ndarray of shape (n_rows, n_features)
    models : dict of str to regressor
    spans : dict of str to float or None
        From `graf_utils._predictions.intervals`.
    metrics : dict of str to function
    groups, classes : ndarray of shape (n_rows,), optional
        What is drawn together; what is a twin of what.
    """

    draws: list[Draw]
    ys: dict[str, NDArray[np.float64]]
    judged: dict[str, NDArray[np.float64]]
    matrices: dict[str, NDArray[np.float64]]
    models: dict[str, Any]
    spans: dict[str, float | None]
    metrics: dict[str, Any]
    groups: NDArray[np.intp] | None
    classes: NDArray[np.intp] | None

    @property
    def n_tested(self) -> int:
        """How many predictions the fits make together, at most."""
        n_rows = len(next(iter(self.ys.values())))
        n_test = [
            n_rows - size if sides is None else len(sides[1]) for size, _, sides in self.draws
        ]
        return sum(n_test) * len(self.ys) * len(self.matrices) * len(self.models)

    def jobs(
        self,
        cache: Any,
        protocol: list[Any],
        ranges: Ranges,
        columns: Sequence[str],
        *,
        returns: bool,
    ) -> tuple[list[dict[str, Any]], dict[int, tuple[Any, ...]]]:
        """Return the rows of the results, with what is kept, and the jobs that fill the others.

        Parameters
        ----------
        cache : path or None
        protocol : list of object
            See `FitKeys`.
        ranges : dict of str to (low, high)
            See `Store`.
        columns : sequence of str
            Names of what tells fits apart: target, encoding, predictor, train size, data seed.
        returns : bool
            Predictions are wanted, which no cache has: all is done again.

        Returns
        -------
        rows : list of dict
        jobs : dict of int to tuple
            By the number of the row: a `Job`, features, what is learned, what is judged, groups
            and classes.
        """
        keys, stores = self._kept(cache, protocol, ranges)
        rows: list[dict[str, Any]] = []
        jobs: dict[int, tuple[Any, ...]] = {}
        fits = product(self.ys, self.matrices, self.models, self.draws)
        for target, encoding, predictor, (size, seed, sides) in fits:
            setting = (target, encoding, predictor, size, seed)
            store = stores[predictor]
            key = keys and keys.of(*setting, sides)
            done = None if key is None or returns else store.read(key)
            if done is None:
                model, span = self.models[predictor], self.spans[predictor]
                job = Job(model, size, seed, sides, self.metrics, span, returns, key, store)
                data = (self.matrices[encoding], self.ys[target], self.judged[target])
                jobs[len(rows)] = (job, *data, self.groups, self.classes)
            rows.append(dict(zip(columns, setting, strict=True)) | (done or {}))
        return rows, jobs

    def _kept(self, cache: Any, protocol: list[Any], ranges: Ranges) -> tuple[Any, Any]:
        """Keys of the fits, or None, and by predictor where they are kept."""
        if cache is None:
            return None, dict.fromkeys(self.models)
        ys: dict[str, Any] = dict(self.ys)
        if self.judged is not self.ys:
            ys = {name: (y, self.judged[name]) for name, y in ys.items()}
        models, stores = dict(self.models), {}
        for name, span in self.spans.items():
            if span is not None:
                models[name] = (models[name], span, bounds, held)
            without = OF_INTERVALS if span is None else ()
            stores[name] = Store(cache, {k: r for k, r in ranges.items() if k not in without})
        return FitKeys(protocol, self.matrices, ys, models, self.metrics), stores


def run_all(
    run: Callable[..., Any],
    jobs: dict[int, tuple[Any, ...]],
    n_jobs: int | None,
    n_rows: int,
    progress: bool,
) -> Iterator[tuple[int, tuple[dict[str, float], Any]]]:
    """Run jobs, and keep their scores if there is a store.

    Parameters
    ----------
    run : callable
        Does one job: returns its scores and something else.
    jobs : dict of int to tuple
        By the number of their row; see `Plan.jobs`.
    n_jobs : int, optional
        As in joblib.
    n_rows : int
        Of the results, those that were kept included.
    progress : bool

    Yields
    ------
    (int, (dict, object))
        The number of a row, and what `run` returned.
    """
    row_numbers = list(jobs)
    is_kept = True
    bar = tqdm(total=n_rows, initial=n_rows - len(jobs), disable=not progress, unit="fit")
    with bar:
        for number, found in unordered(run, jobs.values(), n_jobs):
            row = row_numbers[number]
            try:
                jobs[row][0].keep(found[0])
            except OSError as error:
                if is_kept:
                    warnings.warn(f"the cache cannot be written: {error}", stacklevel=3)
                is_kept = False
            yield row, found
            bar.update()
