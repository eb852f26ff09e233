"""Many calls on joblib's current backend, each result as it ends.

On Dask the calls go to the cluster by its own client, not through joblib's ``Parallel``. That one
hangs when a task has killed its workers, ends when the only worker with a scattered array dies,
computes in the calling process while the cluster has one worker, and makes a task of every tree
of a forest (joblib 1.6, distributed 2026.8; `tests/test_scale_out.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import joblib
import numpy as np
from joblib.parallel import get_active_backend

__all__ = ["unordered"]


def unordered(
    function: Callable[..., Any],
    calls: Iterable[tuple[Any, ...]],
    n_jobs: int | None = None,
    **options: Any,
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each call and ``function(*call)`` as it ends.

    If the backend cannot stream, all come at the end. `options` are joblib's. On Dask they and
    `n_jobs` have no meaning: the cluster decides.
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
    return number, function(*call)


def _on_dask(
    function: Callable[..., Any], calls: list[tuple[Any, ...]], backend: Any
) -> Iterator[tuple[int, Any]]:
    from distributed import as_completed

    client, arrays = backend.client, {}

    def place(part: Any) -> Any:
        """An array as a task: it travels once a worker, and is made again if a worker is lost."""
        if not isinstance(part, np.ndarray):
            return part
        if id(part) not in arrays:
            arrays[id(part)] = client.submit(np.asarray, part, pure=False)
        return arrays[id(part)]

    if not calls:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        columns = [[place(part) for part in column] for column in zip(*calls, strict=True)]
        futures = client.map(function, *columns, pure=False, **backend.submit_kwargs)
        waiting = as_completed(futures, loop=client.loop)
        numbers = {future.key: number for number, future in enumerate(futures)}
        del futures  # else what a dead worker had finished, and we have read, is made again
    try:
        for future in waiting:
            yield numbers[future.key], future.result()
    finally:
        client.cancel(list(waiting.futures))  # what an error left
