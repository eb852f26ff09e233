"""Many calls on joblib's current backend, and what must not depend on how many run at a time.

On Dask the calls go to the cluster by its own client, not through joblib's ``Parallel``. That one
hangs when a task has killed its workers, ends when the only worker with a scattered array dies,
computes in the calling process while the cluster has one worker, and makes a task of every tree
of a forest (joblib 1.6, distributed 2026.8; `tests/test_scale_out.py`).
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from numpy.typing import NDArray

__all__ = ["predict_in_order", "torch_alone", "torch_lock", "unordered"]


@functools.cache
def torch_lock() -> Any:
    """Return the one lock of the process, whose PyTorch has one random state and thread number.

    It is behind a function because a lock cannot be described by `_keys.digest`, and what a cached
    function keeps need not be.
    """
    return threading.RLock()


torch_lock()  # made now, while there is one thread


@contextlib.contextmanager
def torch_alone() -> Iterator[None]:
    """Compute with PyTorch on one thread, with nobody else of this process beside.

    The order of a sum depends on the number of threads, and the global random state is shared by
    all of them; so what is computed inside has the same bits on any number of threads and beside
    any other computation that uses this context.
    """
    import torch

    with torch_lock():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def predict_in_order(model: Any, X: Any) -> NDArray[np.float64]:
    """Predict without parallel jobs, so that the sum over the trees of a forest has one order.

    scikit-learn adds up the trees of a forest as they end, so that with ``n_jobs=2`` the last bits
    of a prediction, and with them ties between networks, differ from one run to the next.

    Parameters
    ----------
    model : fitted regressor
    X : array of shape (n, n_features)

    Returns
    -------
    ndarray of shape (n,), or (n, n_targets)
    """
    with joblib.parallel_config("sequential"):
        return np.asarray(model.predict(X), dtype=float)


def unordered(
    function: Callable[..., Any],
    calls: Iterable[tuple[Any, ...]],
    n_jobs: int | None = None,
    **options: Any,
) -> Iterator[tuple[int, Any]]:
    """Call a function many times and hand over each result as it ends.

    If the backend cannot stream, all come at the end.

    Parameters
    ----------
    function : callable
        It must be possible to pickle it, as for any joblib call.
    calls : iterable of tuple
        The arguments of each call.
    n_jobs : int, optional
        As in joblib. On Dask it has no meaning: the cluster decides.
    **options
        Further options of ``joblib.Parallel``; not used on Dask.

    Yields
    ------
    (int, object)
        The number of a call, from 0, and what it returned.

    Raises
    ------
    Exception
        What a call raises ends the run.
    """
    backend, _ = get_active_backend()
    if hasattr(backend, "client"):
        yield from _on_dask(function, list(calls), backend)
        return
    try:
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", **options)
    except ValueError:  # the backend does not support generators
        parallel = joblib.Parallel(n_jobs=n_jobs, **options)
    numbered = joblib.delayed(_numbered)
    yield from parallel(numbered(function, *item) for item in enumerate(calls))


def _numbered(function: Callable[..., Any], number: int, call: tuple[Any, ...]) -> tuple[int, Any]:
    """Make a call and return its number beside the result."""
    return number, function(*call)


def _on_dask(
    function: Callable[..., Any], calls: list[tuple[Any, ...]], backend: Any
) -> Iterator[tuple[int, Any]]:
    """Make the calls on the cluster of joblib's current backend."""
    from distributed import as_completed

    client = backend.client
    if not calls:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        columns = _placed(calls, client)
        futures = client.map(function, *columns, pure=False, **backend.submit_kwargs)
        waiting = as_completed(futures, loop=client.loop)
        numbers = {future.key: number for number, future in enumerate(futures)}
        del futures  # else what a dead worker had finished, and we have read, is made again
    try:
        for future in waiting:
            yield numbers[future.key], future.result()
    finally:
        client.cancel(list(waiting.futures))  # what an error left


def _placed(calls: list[tuple[Any, ...]], client: Any) -> list[list[Any]]:
    """The arguments of the calls, column by column, with each array as a task of its own.

    So an array travels once per worker, and is made again if a worker is lost.
    """
    tasks: dict[int, Any] = {}
    columns: list[list[Any]] = []
    for arguments in zip(*calls, strict=True):
        column = []
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                if id(argument) not in tasks:
                    tasks[id(argument)] = client.submit(np.asarray, argument, pure=False)
                argument = tasks[id(argument)]
            column.append(argument)
        columns.append(column)
    return columns
