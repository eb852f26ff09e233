"""Zero-cost proxies of one network of your own, or of many architectures, stopped and resumed."""

from __future__ import annotations

from graf_utils import _torch  # noqa: F401 - says what to do where there is no PyTorch

# isort: split
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
from graf_utils._checkpoint import UNBUILT, Checkpoint, reader_of
from graf_utils._checks import in_order, listed, named, nearest, short, whole_number
from graf_utils._devices import usable_device
from graf_utils._keys import NotKeyable, digest
from graf_utils._parallel import torch_alone, torch_lock, unordered
from graf_utils.networks import Builder, FunctionBuilder
from graf_utils.proxies import BUILT_IN, PROXIES, Run, seed_of, seeded
from graf_utils.registry import data_path
from graf_utils.spaces import SearchSpace

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
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None = None,
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
        A classifier: from images to logits of shape (n, classes); with a loss of your own, any
        network, also with several outputs, of which some proxies are not defined.
    batch : (images, labels)
        As in `score`.
    proxies : str, callable, sequence of these, or mapping of name to these, optional
        As in `score`.
    loss : callable, optional
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
    images, labels = _batch(batch, _loss(loss))
    functions, device = _proxies(proxies), usable_device(device)
    with torch_lock(), torch.inference_mode(False), torch.enable_grad():
        return _measure(network, images, labels, functions, loss, device, seed)


def _measure(
    network: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None,
    device: torch.device,
    seed: int,
) -> dict[str, Any]:
    """Scores of a network, their seconds, and the reasons for those that are NaN."""
    begin = time.process_time()
    tensors = torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)
    run = Run(network, *tensors, seed, loss)
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


def _unbuilt(functions: dict[str, Callable[[Run], Any]], error: Exception) -> dict[str, Any]:
    """The row of an architecture whose network could not be built."""
    timed = {f"seconds.{name}": 0.0 for name in (*_PASSES, *functions)}
    reason = f"{UNBUILT}{type(error).__name__}: {error}"
    return {**dict.fromkeys(functions, math.nan), "seconds": 0.0, **timed, "error": reason}


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
    build: Callable[[Any], nn.Module] | None = None,
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None = None,
    **network: int,
) -> pd.DataFrame:
    """Compute proxies of many architectures.

    The weights of an architecture depend on `random_state` and the architecture only, and each
    process computes on one thread: the scores on a CPU are the same bits in any order and with
    any number of processes. The calling process looks up proxies, operations and the skeleton of
    the networks, and sends them along: its own `PROXIES` and `OPERATIONS` count, not a worker's.
    What is of your own is compared there; if it is another, that is an error.

    Parameters
    ----------
    architectures : sequence of architectures
        As the space takes them.
    proxies : str, callable, sequence of these, or mapping of name to these, optional
        Names of `graf_utils.proxies.PROXIES`, or functions of a `graf_utils.proxies.Run`. By
        default the thirteen of the book.
    batch : (images, labels), optional
        Arrays or tensors of shape (n, channels, height, width) and (n,), with n at least 2. By
        default `image_batch`. With `build`, inputs of any shape (n, ...): whole numbers in four
        axes are taken for images, in any other shape for tokens, and stay whole. With `loss`,
        labels of any shape (n, ...).
    space : str or SearchSpace
        See `graf_utils.networks.build_network`; with `build` any space, which says how an
        architecture is written.
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
    build : callable, optional
        Your own networks: a function from an architecture, a tuple as the space's `from_codes`
        returns it, to a `torch.nn.Module`. PyTorch's, numpy's and Python's global random numbers
        are seeded for it. If it raises an error, the architecture's scores are NaN.
    loss : callable, optional
        From the network's output and the labels to a tensor with one number, such as
        ``torch.nn.functional.mse_loss``; by default cross-entropy.
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
        Also: something of your own is not the same in a worker process.
    """
    seed = whole_number("random_state", random_state, -(2**63), 2**63 - 1)
    functions, device = _proxies(proxies), usable_device(device)
    images, labels = _batch(image_batch() if batch is None else batch, _loss(loss))
    options = {"operations": operations, **network}
    builder = _builder(space, build, options, images, labels)
    codes = builder.space.from_codes(architectures)
    _try(builder, codes[0], seed)
    given = (builder, images, labels, functions, loss, device, seed)
    file = None if checkpoint is None else _checkpoint(checkpoint, *given)
    rows = {} if file is None else file.read(reader_of(builder.space))
    todo = [code for code in dict.fromkeys(codes) if code not in rows]
    mark = _mark(builder, functions, loss)
    calls = ((code, *given, mark) for code in todo)
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
    build: Builder | FunctionBuilder,
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None,
    device: torch.device,
    random_state: int,
    mark: tuple[int, str] | None,
) -> dict[str, Any]:
    """The row of one architecture, in whatever process this is."""
    _check_mark(mark, build, functions, loss)
    with torch_alone(), _default_torch():
        seed = seed_of(random_state, build.space.name, code)
        try:
            with seeded(seed):
                network = build(code, seed)
        except Exception as error:  # code of the reader's own may fail in any way
            if isinstance(build, Builder):
                raise
            return _unbuilt(functions, error)
        return _measure(network, images, labels, functions, loss, device, seed)


def _mark(
    build: Builder | FunctionBuilder, functions: dict[str, Callable[[Run], Any]], loss: Any
) -> tuple[int, str] | None:
    """This process, and a digest of what is the reader's own; None if it cannot be described.

    A function travels by the name of its module, which another process imports afresh: what was
    changed in the module since, such as a number at its top, would be lost without a word.
    """
    own = [function for function in functions.values() if function not in _KNOWN]
    with contextlib.suppress(NotKeyable):
        return os.getpid(), digest(build.make, build.operations, own, loss)
    return None


_SAME: set[str] = set()
"""Digests of `_mark` that this process has made itself, from what it was sent."""


def _check_mark(
    mark: tuple[int, str] | None,
    build: Builder | FunctionBuilder,
    functions: dict[str, Callable[[Run], Any]],
    loss: Any,
) -> None:
    """Raise ValueError if something of the reader's own is another here than where it was sent."""
    if mark is None or mark[0] == os.getpid() or mark[1] in _SAME:
        return
    here = _mark(build, functions, loss)
    if here is not None and here[1] != mark[1]:
        raise ValueError(
            "a function of your own (build, loss, a proxy or an operation) is another in a worker "
            "process: it uses something that was changed after its module had been imported, or "
            "the module's file has changed since. Leave the module as its file is and hand the "
            "change over as an argument, such as functools.partial(build, width=8); import the "
            "module again if its file has changed; or use n_jobs=1."
        )
    _SAME.add(mark[1])


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
    build: Callable[[Any], nn.Module] | None,
    options: dict[str, Any],
    images: np.ndarray,
    labels: np.ndarray,
) -> Builder | FunctionBuilder:
    """What builds the networks; those of the package must fit the batch."""
    if build is not None:
        return _own_builder(space, build, options)
    unknown = sorted(set(options) - {"operations", *_OPTIONS})
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is not an option; a network has width, cells and classes."
            + nearest(unknown[0], _OPTIONS)
        )
    if images.ndim != 4:
        raise ValueError(
            f"batch: images have shape {images.shape}, and the networks of {space!r} take "
            "(n, channels, height, width). Add the axis of one channel with images[:, None], or "
            "pass networks of your own for such inputs: build=function."
        )
    made = Builder(space, in_channels=images.shape[1], **options)
    classes = made.sizes["classes"]
    if labels.ndim == 1 and labels.dtype.kind == "i" and labels.max() >= classes:
        raise ValueError(
            f"batch: labels go up to {labels.max()}, but the network has {classes} classes. Pass "
            f"classes={labels.max() + 1}."
        )
    return made


def _own_builder(
    space: str | SearchSpace, build: Callable[[Any], nn.Module], others: dict[str, Any]
) -> FunctionBuilder:
    """What builds the reader's own networks; options of the package's networks have no use."""
    useless = [name for name, value in others.items() if value is not None]
    if useless:
        raise ValueError(
            f"{useless[0]}={short(others[useless[0]])} has no use beside build, which makes the "
            "network itself. Leave it out, or hand it to your function: "
            f"build=functools.partial(build, {useless[0]}=...)."
        )
    return FunctionBuilder(build, space)


def _try(build: Builder | FunctionBuilder, code: tuple[Any, ...], seed: int) -> None:
    """Build the first network, so that what fits none is said before anything is computed."""
    if isinstance(build, Builder):
        with torch.device("meta"):
            build(code)
        return
    with _default_torch(), seeded(seed):
        try:
            network = build.make(code)
        except Exception:  # it gets a row with the reason
            return
    build.checked(code, network)


def _checkpoint(
    path: str | os.PathLike[str],
    build: Builder | FunctionBuilder,
    images: np.ndarray,
    labels: np.ndarray,
    functions: dict[str, Callable[[Run], Any]],
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None,
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
        "the loss": loss,
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


def _loss(loss: Any) -> bool:
    """Whether there is a loss of the reader's own, which must be a function."""
    if loss is not None and (not callable(loss) or isinstance(loss, type)):
        raise ValueError(
            f"loss={short(loss)} must be a function of (output, labels) that returns a tensor with "
            "one number, such as torch.nn.functional.mse_loss or torch.nn.MSELoss()."
        )
    return loss is not None


def _batch(batch: Any, own_loss: bool) -> tuple[np.ndarray, np.ndarray]:
    """Read inputs of shape (n, ...) as float32, or int64 if they are tokens; labels for the loss.

    Labels of cross-entropy are int64 of shape (n,); those of another loss have any shape (n, ...).
    """
    try:
        images, labels = batch
        if np.ndim(labels) == 1 or not own_loss:
            labels = in_order("batch: labels", labels, len(images), of="the images")
        images, labels = _array(images), _array(labels)
        if {images.dtype.kind, labels.dtype.kind} - set("fiub"):
            raise TypeError
    except TypeError:
        raise ValueError(_NO_BATCH) from None
    except ValueError as error:
        raise ValueError(str(error) if "labels" in str(error) else _NO_BATCH) from None
    fits = labels.shape[:1] == images.shape[:1] and (own_loss or labels.ndim == 1)
    if images.ndim < 2 or 0 in images.shape or not fits or len(images) < 2:
        raise ValueError(
            f"batch: images have shape {images.shape}, labels {labels.shape}; they must have "
            "(n, channels, height, width), or whatever your network takes, and (n,), or whatever "
            "your loss takes, n at least 2."
        )
    is_tokens = images.dtype.kind in "iu" and images.ndim != 4
    with np.errstate(over="ignore", invalid="ignore"):
        images = np.ascontiguousarray(images, np.int64 if is_tokens else np.float32)
        kept = own_loss and labels.dtype.kind == "f"
        as_read = labels.astype(np.float32 if kept else np.int64)
    sound = np.isfinite(as_read).all() if own_loss else (as_read == labels).all()
    if not np.isfinite(images).all() or not sound or (not own_loss and as_read.min() < 0):
        raise ValueError(
            "batch: images must be finite and labels whole numbers from 0"
            + (", or finite ones for a loss of your own." if own_loss else ".")
        )
    return images, as_read


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
