"""Zero-cost proxies of one network of your own, or of many architectures, stopped and resumed."""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from graf_utils._checks import nearest
from graf_utils._parallel import unordered
from graf_utils.networks import build_network
from graf_utils.proxies import BUILT_IN, PROXIES, Run, seed_of
from graf_utils.registry import data_path
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["image_batch", "score", "score_network"]


def image_batch(size: int = 32, n: int = 64, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A batch of real images that comes with the package: Fashion-MNIST (Xiao et al., 2017).

    Parameters
    ----------
    size : {32, 16}
        Height and width: the 28 by 28 pixels with a border of 2, or means of 2 by 2 of these.
    n : int
        Images, at most 128; a random sample of the training set, always the same.
    channels : int
        How often the gray image is repeated.

    Returns
    -------
    images : ndarray of shape (n, channels, size, size), float32
        With mean 0 and standard deviation 1 over the batch.
    labels : ndarray of shape (n,), int64
        From 0 to 9.

    Raises
    ------
    ValueError
        Another size, or more images than there are.
    """
    frame = pd.read_parquet(data_path("fashion_mnist_batch.parquet"))
    if size not in (32, 16) or not 2 <= n <= len(frame) or channels < 1:
        raise ValueError(
            f"size={size!r}, n={n!r}, channels={channels!r}: size must be 32 or 16, n from 2 to "
            f"{len(frame)}, channels at least 1."
        )
    gray = np.stack(frame["pixels"].to_numpy()[:n]).reshape(n, 28, 28).astype(np.float32)
    gray = np.pad(gray, ((0, 0), (2, 2), (2, 2)))
    gray = gray.reshape(n, size, 32 // size, size, 32 // size).mean(axis=(2, 4))
    gray = (gray - gray.mean()) / gray.std()
    images = np.repeat(gray[:, None], channels, axis=1)
    return images, frame["label"].to_numpy(dtype=np.int64)[:n]


def score_network(
    network: nn.Module,
    batch: tuple[Any, Any],
    proxies: Any = None,
    *,
    device: str | torch.device = "cpu",
    random_state: int = 0,
) -> dict[str, Any]:
    """Score one network of your own, with the weights it has.

    Returns
    -------
    dict
        A number for each proxy; ``seconds`` of CPU in all; ``seconds.<proxy>`` without the
        shared passes, which are ``seconds.forward``, ``seconds.gradients`` and
        ``seconds.jacobian``; ``error``, the reasons for the NaN among the scores.
    """
    images, labels = _batch(batch)
    return _measure(network, images, labels, _proxies(proxies), device, random_state)


def _measure(
    network: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    device: str | torch.device,
    seed: int,
) -> dict[str, Any]:
    begin = time.process_time()
    tensors = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    run = Run(network.to(device), *tensors, seed)
    values: dict[str, float] = {}
    seconds = dict.fromkeys(("forward", "gradients", "jacobian"), 0.0)
    errors = []
    for name, function in functions.items():
        start, shared = time.process_time(), sum(run.pass_seconds.values())
        try:
            values[name] = float(function(run))
            if not math.isfinite(values[name]):
                raise ValueError(f"the score is {values[name]}")
        except Exception as error:  # a proxy may fail in any way; the others go on
            values[name] = math.nan
            errors.append(f"{name}: {type(error).__name__}: {error}")
        shared = sum(run.pass_seconds.values()) - shared
        seconds[name] = time.process_time() - start - shared
    seconds |= run.pass_seconds
    timed = {f"seconds.{name}": round(s, 6) for name, s in seconds.items()}
    total = {"seconds": round(time.process_time() - begin, 6)}
    return {**values, **total, **timed, "error": "; ".join(errors)}


def score(
    architectures: Any,
    proxies: Any = None,
    batch: tuple[Any, Any] | None = None,
    *,
    space: str | SearchSpace = "nb201",
    n_jobs: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    random_state: int = 0,
    progress: bool = True,
    **network: int,
) -> pd.DataFrame:
    """Compute proxies of many architectures.

    The weights of an architecture depend on `random_state` and the architecture only, and each
    process computes on one thread: the scores on a CPU are the same bits in any order and with
    any number of processes.

    Parameters
    ----------
    architectures : sequence of architectures
        As the space takes them.
    proxies : str, callable, sequence of these, or mapping of name to these, optional
        Names of `graf_utils.proxies.PROXIES`, or functions of a `graf_utils.proxies.Run`. By
        default the thirteen of the book.
    batch : (images, labels), optional
        Arrays of shape (n, channels, height, width) and (n,). By default `image_batch`.
    space : str or SearchSpace
        See `graf_utils.networks.build_network`.
    n_jobs : int, optional
        Processes, as in joblib; the backend is joblib's current one (``joblib.parallel_config``).
        On a Dask cluster all its workers are used, and an architecture whose worker died is scored
        by another.
    checkpoint : path, optional
        File of finished architectures, a JSON line each. A run that was killed goes on where it
        stopped; one run at a time may use it.
    device : str or torch.device
        ``"cuda"`` for a GPU.
    random_state : int
        Seed.
    progress : bool
        Show a progress bar.
    **network
        ``width, cells, classes`` of `build_network`.

    Returns
    -------
    DataFrame
        A row an architecture, in the order given: ``architecture``, then the columns of
        `score_network`. A failed proxy is NaN, with the reason in ``error``.

    Raises
    ------
    ValueError
        An unknown proxy or network option, a batch that does not fit, or a checkpoint of other
        settings; nothing is computed then.
    """
    if isinstance(random_state, bool) or not isinstance(random_state, int):
        raise ValueError(f"random_state={random_state!r} must be an integer.")
    space, functions = get_space(space), _proxies(proxies)
    codes = space.from_codes(architectures)
    unknown = sorted(set(network) - {"width", "cells", "classes"})
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is not an option; a network has width, cells and classes."
            + nearest(unknown[0], ["width", "cells", "classes"])
        )
    classes = network.setdefault("classes", 10)
    if batch is None:
        batch = image_batch()
    images, labels = _batch(batch)
    if labels.max() >= classes:
        raise ValueError(
            f"batch: labels go up to {labels.max()}, but the network has {classes} classes. Pass "
            f"classes={labels.max() + 1}."
        )
    network["in_channels"] = images.shape[1]
    with torch.device("meta"):
        build_network(codes[0], space, **network)  # raises on bad options
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    settings = {
        "space": repr(space),
        "proxies": list(functions),
        "network": network,
        "batch": [list(images.shape), digest],
        "random_state": random_state,
        "device": str(device),
        "torch": torch.__version__,
    }
    done = {} if checkpoint is None else _resume(Path(checkpoint), settings)
    todo = [code for code in dict.fromkeys(codes) if code not in done]
    options = (space, network, images, labels, functions, device, random_state)
    calls = ((code, *options) for code in todo)
    total = len(todo) + len(done)
    with tqdm(total=total, initial=len(done), disable=not progress, unit="net") as bar:
        for number, row in unordered(_score_one, calls, n_jobs, batch_size=1):
            done[code := todo[number]] = row
            if checkpoint is not None:
                _append(Path(checkpoint), {"architecture": code, **row})
            bar.update()
    return pd.DataFrame([{"architecture": code, **done[code]} for code in codes])


# Torch's random state and number of threads belong to the process, as do the seconds.
_ONE_AT_A_TIME = threading.Lock()


def _score_one(
    code: tuple[int, ...],
    space: SearchSpace,
    network: dict[str, int],
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    device: str | torch.device,
    random_state: int,
) -> dict[str, Any]:
    with _ONE_AT_A_TIME:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the order of a sum depends on the number of threads
        try:
            seed = seed_of(random_state, space.name, code)
            built = build_network(code, space, **network, random_state=seed)
            return _measure(built, images, labels, functions, device, seed)
        finally:
            torch.set_num_threads(threads)


def _append(file: Path, record: dict[str, Any]) -> None:
    record = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in record.items()}
    with file.open("a", encoding="utf8") as stream:
        stream.write(json.dumps(record) + "\n")


def _tuples(written: Any) -> Any:
    return tuple(map(_tuples, written)) if isinstance(written, list) else written


def _resume(file: Path, settings: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of a checkpoint; what a killed run left unfinished at its end is cut off."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    text = file.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
    except ValueError:
        lines = [None]
    if lines[:1] not in ([], [settings]) or (not lines and text[:1] not in (b"", b"{")):
        raise ValueError(
            f"checkpoint={str(file)!r} holds other settings than these, or is no checkpoint. Name "
            "another file, or delete it."
        )
    if len(whole) < len(text):
        os.truncate(file, len(whole))
    if not lines:
        _append(file, settings)
    rows = {}
    for line in lines[1:]:
        code = _tuples(line.pop("architecture"))
        rows[code] = {k: math.nan if v is None else v for k, v in line.items()}
    return rows


def _proxies(proxies: Any) -> dict[str, Callable[[Run], Any]]:
    """Read names of proxies, functions of a `Run`, or a mapping of a name to either."""
    if proxies is None:
        proxies = BUILT_IN
    if isinstance(proxies, str) or callable(proxies):
        proxies = [proxies]
    if isinstance(proxies, Mapping):
        chosen = list(proxies.items())
    else:
        chosen = [(getattr(item, "__name__", item), item) for item in proxies]
    for name, item in chosen:
        if not callable(item) and item not in PROXIES:
            raise ValueError(
                f"proxy {item!r} is unknown; it must be one of {list(PROXIES)}, or a function of "
                f"your own under @proxy.{nearest(item, PROXIES)}"
            )
        if not isinstance(name, str):
            raise ValueError(f"proxy {item!r} has no name. Write proxies={{'my_name': ...}}.")
    names = [name for name, _ in chosen]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"proxies={proxies!r}: name at least one, and each once.")
    return {name: item if callable(item) else PROXIES[item] for name, item in chosen}


def _batch(batch: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        images, labels = (np.asarray(part) for part in batch)
        images, whole = np.ascontiguousarray(images, np.float32), labels.astype(np.int64)
    except (TypeError, ValueError):
        raise ValueError("batch must be a pair (images, labels) of arrays.") from None
    if images.ndim != 4 or labels.shape != images.shape[:1] or len(images) < 2:
        raise ValueError(
            f"batch: images have shape {images.shape}, labels {labels.shape}; they must have "
            "(n, channels, height, width) and (n,), n at least 2."
        )
    if not np.isfinite(images).all() or (whole != labels).any() or whole.min() < 0:
        raise ValueError("batch: images must be finite and labels whole numbers from 0.")
    return images, whole
