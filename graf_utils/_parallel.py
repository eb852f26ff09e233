"""Many calls on joblib's current backend, and what must not depend on how many run at a time.

On Dask the calls go to the cluster by its own client, not through joblib's ``Parallel``. That one
hangs when a task has killed its workers, ends when the only worker with a scattered array dies,
computes in the calling process while the cluster has one worker, and makes a task of every tree
of a forest (joblib 1.6, distributed 2026.8; `tests/test_scale_out.py`). A cluster that has given
its workers up is asked for them again while the calls wait (`_kept`).
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib
import numpy as np
from joblib.parallel import get_active_backend

__all__ = ["predict_in_order", "torch_alone", "torch_lock", "unordered"]

_RAISE = object()
_LOOK = 1.0  # seconds from one look at the workers of a cluster to the next
_PATIENCE = 60.0  # seconds without any worker after which we say so
_GIVE_UP = "1 h"  # after which a cluster gives up a worker that died; Dask's own are 15 s


@functools.cache
def torch_lock() -> Any:
    """Return the one lock of the process for PyTorch.

    PyTorch's random state and number of threads belong to the process, and so do its seconds. The
    lock is behind a function because `_keys.digest` cannot describe a lock, and need not describe
    what a cached function keeps.

    Returns
    -------
    RLock
        One thread may take it several times.
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


def predict_in_order(model: Any, X: Any) -> Any:
    """Predict without parallel jobs, so that the sum over the trees of a forest has one order.

    scikit-learn adds up the trees of a forest as they end, so that with ``n_jobs=2`` the last bits
    of a prediction, and with them ties between networks, differ from one run to the next.

    Parameters
    ----------
    model : fitted regressor
    X : array of shape (n, n_features)

    Returns
    -------
    object
        What the model returns; of most, an array of shape (n,) or (n, n_targets).
    """
    with joblib.parallel_config("sequential"):
        return model.predict(X)


def unordered(
    function: Callable[..., Any],
    calls: Iterable[tuple[Any, ...]],
    n_jobs: int | None = None,
    killed: Any = _RAISE,
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
    killed : object, optional
        What is handed over for a call whose process died, by this call or by another one that was
        under way in it; by default that is an error. Of joblib's processes, one that dies ends all
        unfinished calls; on Dask, those that its worker had.
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
    calls = list(calls)
    if hasattr(backend, "client"):
        yield from _on_dask(function, calls, backend, killed)
        return
    left = set(range(len(calls)))
    try:
        for number, result in _by_joblib(function, calls, n_jobs, options):
            left.remove(number)
            yield number, result
    except BrokenProcessPool:
        if killed is _RAISE:
            raise
        yield from ((number, killed) for number in sorted(left))


def _by_joblib(
    function: Callable[..., Any],
    calls: list[tuple[Any, ...]],
    n_jobs: int | None,
    options: dict[str, Any],
) -> Iterator[tuple[int, Any]]:
    """Make the calls by ``joblib.Parallel``."""
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
    function: Callable[..., Any], calls: list[tuple[Any, ...]], backend: Any, killed: Any
) -> Iterator[tuple[int, Any]]:
    """Make the calls on the cluster of joblib's current backend."""
    from distributed import KilledWorker, as_completed

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
        with _kept(client):
            for future in waiting:
                try:
                    result = future.result()
                except KilledWorker:
                    if killed is _RAISE:
                        raise
                    result = killed
                yield numbers[future.key], result
    finally:
        client.cancel(list(waiting.futures))  # what an error left
        waiting.clear()


@contextlib.contextmanager
def _kept(client: Any) -> Iterator[None]:
    """Meanwhile, keep the cluster from giving up workers that died, and say if there are none.

    A worker that dies is started again by its nanny. But a cluster that was made from Python looks
    some time after each death whether the worker is there. If it is not, since the machine is slow
    or the worker has died a second time, the cluster closes the nanny, with a worker that may be
    at work again, and never asks for another one. After the last worker, every call would wait for
    ever (distributed 2026.8, ``SpecCluster._update_worker_status``).
    """
    import dask

    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(client, over), daemon=True)
    watch.start()
    try:
        with dask.config.set({"distributed.deploy.lost-worker-timeout": _GIVE_UP}):
            yield
    finally:
        over.set()
        watch.join()


def _watch(client: Any, over: threading.Event) -> None:
    """Until it is over, ask again for workers that a cluster gave up, and say if there are none."""
    alone = 0.0
    while not over.wait(_LOOK):
        wanted = getattr(client.cluster, "worker_spec", {})
        if len(wanted) > len(getattr(client.cluster, "workers", wanted)):
            client.cluster.scale(len(wanted))
        alone = 0.0 if client.scheduler_info()["workers"] else alone + _LOOK
        if _PATIENCE <= alone < _PATIENCE + _LOOK:
            address = client.scheduler.address
            warnings.warn(
                f"The Dask cluster at {address} has had no worker for {_PATIENCE:.0f} s, and the "
                f"calls wait for one. Start one (dask worker {address}) or ask the cluster for "
                "some (cluster.scale(2)), and they go on; or interrupt.",
                stacklevel=2,
            )


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
