"""Zero-cost proxies of one network of your own, or of many architectures, stopped and resumed."""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from graf_utils import __version__
from graf_utils._checkpoint import Checkpoint
from graf_utils._checks import in_order, listed, named, nearest, short, whole_number
from graf_utils._devices import usable_device
from graf_utils._keys import NotKeyable, digest
from graf_utils._parallel import torch_alone, torch_lock, unordered
from graf_utils.networks import Builder
from graf_utils.proxies import BUILT_IN, PROXIES, Run, seed_of
from graf_utils.registry import data_path
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["image_batch", "score", "score_network"]

_PASSES = ("forward", "gradients", "jacobian")
"""The passes that proxies share, whose seconds are kept."""

_KNOWN = [PROXIES[name] for name in BUILT_IN]
"""Proxies that are known to leave the network as it is."""

_OPTIONS = ("width", "cells", "classes")
"""Options of a network that `score` takes."""


def image_batch(size: int = 32, n: int = 64, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of real images that comes with the package: Fashion-MNIST.

    It was published by Xiao et al. (2017).

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
        Another size, no channel, or more images than there are.
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

    The network is copied and stays as it is: its weights, gradients, buffers, training mode and
    device. The copy is scored in training mode, with all its weights, frozen or not. PyTorch's
    global random numbers are left alone; those of a dropout depend on `random_state`.

    Parameters
    ----------
    network : torch.nn.Module
        A classifier: from images to logits of shape (n, classes).
    batch : (images, labels)
        Arrays or tensors of shape (n, channels, height, width) and (n,).
    proxies : str, callable, sequence of these, or mapping of name to these, optional
        As in `score`.
    device : str or torch.device
        Where the copy is scored; one that is there.
    random_state : int
        Seed of all random numbers.

    Returns
    -------
    dict
        A number for each proxy, NaN where it failed or is not defined for such a network;
        ``seconds`` of CPU in all; ``seconds.<proxy>`` without the shared passes, which are
        ``seconds.forward``, ``seconds.gradients`` and ``seconds.jacobian``; ``error``, the reasons
        for the NaN among the scores.

    Raises
    ------
    ValueError
        `network` is no module or cannot be copied, a proxy is unknown, the device is not there, or
        the batch is none.
    """
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"network={network!r:.80} must be a torch.nn.Module. For an architecture of a search "
            "space, write score_network(graf_utils.networks.build_network(architecture, space), "
            "batch)."
        )
    seed = whole_number("random_state", random_state, -(2**63), 2**63 - 1)
    images, labels = _batch(batch)
    functions, device = _proxies(proxies), usable_device(device)
    with torch_lock(), torch.inference_mode(False), torch.enable_grad():
        return _measure(network, images, labels, functions, device, seed)


def _measure(
    network: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    device: torch.device,
    seed: int,
) -> dict[str, Any]:
    """Scores of a network, their seconds, and the reasons for those that are NaN."""
    begin = time.process_time()
    tensors = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    run = Run(network, *tensors, seed)
    values: dict[str, float] = {}
    seconds = dict.fromkeys(_PASSES, 0.0)
    errors = []
    for name, function in functions.items():
        start, shared = time.process_time(), sum(run.pass_seconds.values())
        try:
            own = not any(function is known for known in _KNOWN)
            with run.undisturbed(name, weights=own):
                value = function(run)
                values[name] = float(value.detach() if isinstance(value, torch.Tensor) else value)
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
    operations: Mapping[str, Callable[..., nn.Module | None]] | None = None,
    **network: int,
) -> pd.DataFrame:
    """Compute proxies of many architectures.

    The weights of an architecture depend on `random_state` and the architecture only, and each
    process computes on one thread: the scores on a CPU are the same bits in any order and with
    any number of processes. The calling process looks up proxies, operations and the skeleton of
    the networks, and sends them along: its own `PROXIES` and `OPERATIONS` count, not a worker's.

    Parameters
    ----------
    architectures : sequence of architectures
        As the space takes them.
    proxies : str, callable, sequence of these, or mapping of name to these, optional
        Names of `graf_utils.proxies.PROXIES`, or functions of a `graf_utils.proxies.Run`. By
        default the thirteen of the book.
    batch : (images, labels), optional
        Arrays or tensors of shape (n, channels, height, width) and (n,), with n at least 2. By
        default `image_batch`.
    space : str or SearchSpace
        See `graf_utils.networks.build_network`.
    n_jobs : int, optional
        Processes, as in joblib; the backend is joblib's current one (``joblib.parallel_config``).
        On a Dask cluster all its workers are used, and an architecture whose worker died is scored
        by another.
    checkpoint : path, optional
        File of finished architectures, one line of JSON each. A run that was killed goes on where
        it stopped; one run at a time may use it. Its first line says what the scores depend on:
        batch, networks, the code of the proxies, versions. A file that does not begin so is never
        written to. If a proxy or an operation cannot be described, there is a warning and no
        checkpoint.
    device : str or torch.device
        ``"cuda"`` for a GPU that is there.
    random_state : int
        Seed.
    progress : bool
        Show a progress bar.
    operations : mapping of str to callable, optional
        Operations that take the place of those of the space, as in `build_network`.
    **network
        ``width, cells, classes`` of `build_network`.

    Returns
    -------
    DataFrame
        One row per architecture, in the order of `architectures`: ``architecture``, then the
        columns of `score_network`. A failed proxy is NaN, with the reason in ``error``.

    Raises
    ------
    ValueError
        An unknown proxy or network option, a device that is not there, a batch that does not fit,
        or a checkpoint of other settings or with a line that is none; nothing is computed then.
    """
    seed = whole_number("random_state", random_state, -(2**63), 2**63 - 1)
    functions, device = _proxies(proxies), usable_device(device)
    images, labels = _batch(image_batch() if batch is None else batch)
    build = _builder(space, operations, network, images, labels)
    codes = build.space.from_codes(architectures)
    with torch.device("meta"):
        build(codes[0])  # raises on what does not fit
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    file = None
    if checkpoint is not None:
        file = _checkpoint(checkpoint, build, functions, images, labels, device, seed)
    if file is not None:
        rows = file.read(_reader(build.space))
    todo = [code for code in dict.fromkeys(codes) if code not in rows]
    calls = ((code, build, images, labels, functions, device, seed) for code in todo)
    total = len(todo) + len(rows)
    with tqdm(total=total, initial=len(rows), disable=not progress, unit="net") as bar:
        for number, row in unordered(_score_one, calls, n_jobs, batch_size=1):
            code = todo[number]
            rows[code] = row
            if file is not None:
                file.append(code, row)
            bar.update()
    return pd.DataFrame([{"architecture": code, **rows[code]} for code in codes])


def _score_one(
    code: tuple[Any, ...],
    build: Builder,
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    device: torch.device,
    random_state: int,
) -> dict[str, Any]:
    """The row of one architecture, in whatever process this is."""
    with torch_alone(), _default_torch():
        seed = seed_of(random_state, build.space.name, code)
        return _measure(build(code, seed), images, labels, functions, device, seed)


@contextlib.contextmanager
def _default_torch() -> Iterator[None]:
    """Set what the caller may have set in its own process and a worker does not know of."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.device("cpu"),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)


def _builder(
    space: str | SearchSpace,
    operations: Mapping[str, Callable[..., nn.Module | None]] | None,
    network: dict[str, int],
    images: np.ndarray,
    labels: np.ndarray,
) -> Builder:
    """What builds the networks; their options must fit the batch."""
    unknown = sorted(set(network) - set(_OPTIONS))
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is not an option; a network has width, cells and classes."
            + nearest(unknown[0], _OPTIONS)
        )
    build = Builder(get_space(space), operations=operations, in_channels=images.shape[1], **network)
    classes = build.sizes["classes"]
    if labels.max() >= classes:
        raise ValueError(
            f"batch: labels go up to {labels.max()}, but the network has {classes} classes. Pass "
            f"classes={labels.max() + 1}."
        )
    return build


def _checkpoint(
    path: str | os.PathLike[str],
    build: Builder,
    functions: dict[str, Callable[[Run], Any]],
    images: np.ndarray,
    labels: np.ndarray,
    device: torch.device,
    seed: int,
) -> Checkpoint | None:
    """The file of finished architectures; None, with a warning, if a setting cannot be described.

    The settings are all that decides a score, each under a name for the message.
    """
    settings: dict[str, Any] = {
        "space": repr(build.space),
        "sizes": build.sizes,
        "random_state": seed,
        "device": str(device),
        "versions": {
            "graf_utils": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    parts = {
        "batch": (images, labels),
        "the networks' code or operations": (build.space, build.make, build.operations),
        "the scoring": (Run, _measure),
        **{f"proxy {name}": function for name, function in functions.items()},
    }
    for name, part in parts.items():
        try:
            settings[name] = digest(part)
        except NotKeyable as error:
            warnings.warn(
                f"checkpoint={str(path)!r} is not used, neither read nor written, since {name} "
                f"cannot be told from another: {error}",
                stacklevel=3,
            )
            return None
    passes_and_proxies = [f"seconds.{name}" for name in (*_PASSES, *functions)]
    return Checkpoint(path, settings, list(functions), ["seconds", *passes_and_proxies])


def _reader(space: SearchSpace) -> Callable[[Any], tuple[Any, ...]]:
    """A function that reads an architecture of a space from nested lists."""

    def tuples(written: Any) -> Any:
        return tuple(map(tuples, written)) if isinstance(written, list) else written

    def to_code(written: Any) -> tuple[Any, ...]:
        if not isinstance(written, list):
            raise ValueError("an architecture is a list")
        (code,) = space.from_codes([tuples(written)])
        return code

    return to_code


def _proxies(proxies: Any) -> dict[str, Callable[[Run], Any]]:
    """Read names of proxies, functions of a `Run`, or a mapping of a name to either."""
    proxies = BUILT_IN if proxies is None else proxies
    items = listed(proxies)
    for item in items:
        if not callable(item) and not (isinstance(item, str) and item in PROXIES):
            raise ValueError(
                f"proxies={short(proxies)}: {item!r} is unknown; it must be one of "
                f"{list(PROXIES)}, or a function of your own.{nearest(item, PROXIES)}"
            )
    pairs = named("proxies", proxies if isinstance(proxies, Mapping) else items)
    for name, _ in pairs:
        if name in ("architecture", "error", "seconds", *_PASSES) or name.startswith("seconds."):
            raise ValueError(
                f"proxy {name!r} has the name of another column. Write "
                f"proxies={{'my_{name}': ...}}."
            )
    return {name: item if callable(item) else PROXIES[item] for name, item in pairs}


def _batch(batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read images as float32 of shape (n, channels, height, width) and labels as int64 of (n,)."""
    try:
        images, labels = batch
        labels = in_order("batch: labels", labels, len(images), of="the images")
        images, labels = _array(images), _array(labels)
        if {images.dtype.kind, labels.dtype.kind} - set("fiub"):
            raise TypeError
    except TypeError:
        raise ValueError(_NO_BATCH) from None
    except ValueError as error:
        raise ValueError(str(error) if "labels" in str(error) else _NO_BATCH) from None
    if images.ndim != 4 or 0 in images.shape or labels.shape != images.shape[:1] or len(images) < 2:
        raise ValueError(
            f"batch: images have shape {images.shape}, labels {labels.shape}; they must have "
            "(n, channels, height, width) and (n,), n at least 2."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        images = np.ascontiguousarray(images, np.float32)
        whole = labels.astype(np.int64)
    if not np.isfinite(images).all() or (whole != labels).any() or whole.min() < 0:
        raise ValueError("batch: images must be finite and labels whole numbers from 0.")
    return images, whole


_NO_BATCH = (
    "batch must be a pair (images, labels) of arrays of numbers, such as "
    "graf_utils.scoring.image_batch(), or next(iter(loader)) of a data loader."
)


def _array(values: Any) -> np.ndarray:
    """An array of numpy, also from a tensor with gradients or on a GPU."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        return values.numpy()
    return np.asarray(values)
