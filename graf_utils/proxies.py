"""Zero-cost proxies: one function each, and a scorer over many architectures.

A proxy is a function of a `Run`: one network with its initial weights, one batch, and the passes
that proxies share. One forward pass serves eight of the thirteen, one backward pass four.

>>> from graf_utils.proxies import proxy
>>> @proxy
... def conv_count(run):
...     return len(run.layers) - 1  # all weighted layers but the classifier
"""

from __future__ import annotations

import argparse
import copy
import functools
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from graf_utils._parallel import unordered
from graf_utils.networks import build_network
from graf_utils.registry import data_path, write_table
from graf_utils.spaces import SearchSpace, get_space
from graf_utils.spaces.base import nearest

__all__ = ["PROXIES", "Run", "image_batch", "proxy", "score", "score_network"]

PROXIES: dict[str, Callable[[Run], Any]] = {}
"""Proxies by name; `proxy` adds to them."""


def proxy(function: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """Register a function of a `Run` that returns a number, under its own name."""
    PROXIES[function.__name__] = function
    return function


def _shared(method: Callable[[Run], Any]) -> property:
    """A pass that is made once for all proxies; its seconds are kept."""

    @functools.wraps(method)
    def read(run: Run) -> Any:
        name = method.__name__
        if name not in run.passes:
            start, inner = time.process_time(), sum(run.pass_seconds.values())
            value = method(run)
            inner = sum(run.pass_seconds.values()) - inner
            run.passes[name] = value
            run.pass_seconds[name] = time.process_time() - start - inner
        return run.passes[name]

    return property(read)


class Run:
    """One network, one batch, and the passes over them that proxies share.

    Parameters
    ----------
    network : torch.nn.Module
        A classifier. It is left in training mode, its weights as they are; a proxy that needs
        other weights takes a copy.
    images : Tensor of shape (n, channels, height, width)
    labels : Tensor of shape (n,)
    seed : int
        Decides `generator`.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, seed: int = 0) -> None:
        self.network, self.images, self.labels, self.seed = network.train(), images, labels, seed
        self.layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        self.weights = [layer.weight for layer in self.layers]
        self.passes: dict[str, Any] = {}
        self.pass_seconds: dict[str, float] = {}

    def generator(self, name: str) -> torch.Generator:
        """Random numbers for one proxy, the same whichever others are computed."""
        return torch.Generator().manual_seed(_seed(self.seed, name))

    @_shared
    def forward(self) -> dict[str, Any]:
        """Logits in training mode, with all that proxies look at on the way.

        ``images`` (with gradients), ``logits``, ``loss`` (cross-entropy), ``activations`` (outputs
        of the weighted layers that were reached) and ``patterns`` (which inputs of each ReLU are
        positive, a row an image).
        """
        activations, patterns = [], []

        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            activations.append(output)

        def binarise(module: nn.Module, inputs: Any, output: Tensor) -> None:
            patterns.append((inputs[0].detach() > 0).flatten(1))

        relus = [m for m in self.network.modules() if isinstance(m, nn.ReLU)]
        hooks = [layer.register_forward_hook(keep) for layer in self.layers]
        hooks += [relu.register_forward_hook(binarise) for relu in relus]
        images = self.images.clone().requires_grad_()
        try:
            logits = self.network(images)
        finally:
            for hook in hooks:
                hook.remove()
        return {
            "images": images,
            "logits": logits,
            "loss": nn.functional.cross_entropy(logits, self.labels),
            "activations": activations,
            "patterns": patterns,
        }

    @_shared
    def gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of the loss in `weights` and in the activations of `forward`."""
        at = [*self.weights, *self.forward["activations"]]
        found = _gradients(self.forward["loss"], at)
        return found[: len(self.weights)], found[len(self.weights) :]

    @_shared
    def jacobian(self) -> Tensor:
        """Gradient of the sum of all logits in the images, in double precision, a row an image."""
        (found,) = _gradients(self.forward["logits"].sum(), [self.forward["images"]])
        return found.flatten(1).double()


def _gradients(value: Tensor, at: list[Tensor], **options: Any) -> list[Tensor]:
    found = torch.autograd.grad(value, at, retain_graph=True, allow_unused=True, **options)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(at, found, strict=True)]


def _products(run: Run) -> list[Tensor]:
    return [w.detach() * g for w, g in zip(run.weights, run.gradients[0], strict=True)]


# --- size ---------------------------------------------------------------------------------------


@proxy
def params(run: Run) -> float:
    """Number of parameters, in millions. Higher is better. No pass at all."""
    return sum(p.numel() for p in run.network.parameters()) / 1e6


@proxy
def flops(run: Run) -> float:
    """Multiply-adds of one image, in millions. Higher is better. Forward pass of one image.

    A batch norm counts two (one without weights of its own), a ReLU one for each output element,
    pooling its window: the convention of `NB201.cost`.
    """
    total = 0

    def add(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d | nn.Linear):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.BatchNorm2d | nn.ReLU):
            total += output.numel() * (2 if getattr(module, "affine", False) else 1)
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            total += inputs[0].numel()
        elif isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
            size = module.kernel_size
            total += output.numel() * (size**2 if isinstance(size, int) else math.prod(size))

    hooks = [module.register_forward_hook(add) for module in run.network.modules()]
    run.network.eval()  # in training mode a pass would change the batch norms' statistics
    try:
        with torch.no_grad():
            run.network(torch.zeros_like(run.images[:1]))
    finally:
        run.network.train()
        for hook in hooks:
            hook.remove()
    return total / 1e6


@proxy
def l2_norm(run: Run) -> float:
    """Sum of the Euclidean norms of the weights of convolutions and linear layers.

    sum_l ||w_l|| (Abdelfattah et al., 2021). Higher is better. No pass: with fresh weights it
    nearly counts the convolutions.
    """
    return sum(w.detach().norm().item() for w in run.weights)


# --- gradients of the loss ----------------------------------------------------------------------


@proxy
def grad_norm(run: Run) -> float:
    """Sum of the norms of the gradients: sum_l ||dL/dw_l|| (Abdelfattah et al., 2021).

    Higher is better; 0 and up, spread over orders of magnitude. Forward and backward pass.
    """
    return sum(g.norm().item() for g in run.gradients[0])


@proxy
def snip(run: Run) -> float:
    """Connection sensitivity: sum |w dL/dw| (Lee et al., 2019).

    Higher is better; 0 and up, spread over orders of magnitude. Forward and backward pass.
    """
    return sum(p.abs().sum().item() for p in _products(run))


@proxy
def plain(run: Run) -> float:
    """Sensitivity with its sign: sum w dL/dw (Mozer & Smolensky, 1988).

    Near 0 and of either sign, for terms cancel; taken as higher is better. Forward and backward.
    """
    return sum(p.sum().item() for p in _products(run))


@proxy
def fisher(run: Run) -> float:
    """Fisher information of the channels: sum_c mean_n (sum_hw a dL/da)^2 / 2.

    Turner et al. (2020); `a` is the output of each convolution and linear layer. Higher is better;
    0 and up, spread over orders of magnitude. Forward and backward pass.
    """
    total = 0.0
    for a, g in zip(run.forward["activations"], run.gradients[1], strict=True):
        channels = (a.detach() * g).flatten(2).sum(2) if a.ndim > 2 else a.detach() * g
        total += channels.square().mean(0).sum().item() / 2
    return total


@proxy
def grasp(run: Run) -> float:
    """Change of the gradient norm by pruning: -sum w (H g) (Wang et al., 2020).

    Of either sign; taken as higher is better. Forward pass and two backward passes, one through
    the other.
    """
    first = _gradients(run.forward["loss"], run.weights, create_graph=True)
    inner = sum((g * g.detach()).sum() for g in first)
    hg = _gradients(inner, run.weights)
    return -sum((w.detach() * h).sum().item() for w, h in zip(run.weights, hg, strict=True))


@proxy
def synflow(run: Run) -> float:
    """Logarithm of sum |w dR/dw|, R the sum of outputs of |w| on an image of ones.

    Tanaka et al. (2020). Absolute weights, no batch norm, double precision. Higher is better;
    0 where the sum is 0. Forward and backward pass of one image, without data.
    """
    network = copy.deepcopy(run.network).double()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for p in network.parameters():
            p.abs_()
    weights = [layer.weight for layer in layers]
    found = _gradients(network(torch.ones_like(run.images[:1]).double()).sum(), weights)
    total = sum((w.detach() * g).abs().sum().item() for w, g in zip(weights, found, strict=True))
    return math.log(total) if total else 0.0


# --- the images told apart ----------------------------------------------------------------------


@proxy
def jacov(run: Run) -> float:
    """Spread of the input gradients: -sum_i log(v_i + k) + 1 / (v_i + k), k = 1e-5.

    v are the eigenvalues of the correlation matrix of the images' gradients (Mellor et al., 2020).
    Higher is better, at most minus the batch size. Forward and backward pass.
    """
    v = torch.linalg.eigvalsh(torch.corrcoef(run.jacobian.cpu())).clamp(min=0) + 1e-5
    return -(v.log() + 1 / v).sum().item()


@proxy
def epe_nas(run: Run) -> float:
    """Correlation of the input gradients within classes: sum_c |sum_ij log(|r_ij| + k)|, k = 1e-5.

    r is the correlation matrix of class c (Lopes et al., 2021; up to 100 classes). A class with
    one image in the batch is left out. Higher is better, 0 and up. Forward and backward pass.
    """
    labels, total = run.labels.cpu(), 0.0
    for label in labels.unique():
        rows = run.jacobian.cpu()[labels == label]
        if len(rows) > 1:
            total += abs((torch.corrcoef(rows).abs() + 1e-5).log().sum().item())
    return total


@proxy
def nwot(run: Run) -> float:
    """How differently images switch the ReLUs: log |det K| (Mellor et al., 2021).

    K_ij counts the ReLU inputs with the same sign in images i and j. Higher is better. Forward
    pass only. Identical patterns make K singular: no score.
    """
    kernel = 0
    for pattern in run.forward["patterns"]:
        signs = pattern.float() * 2 - 1
        kernel = kernel + (signs @ signs.T).double() / 2 + pattern.shape[1] / 2
    return torch.linalg.slogdet(kernel.cpu()).logabsdet.item()


@proxy
def zen(run: Run) -> float:
    """Gaussian complexity: log E|f(x) - f(x + e/100)| + sum_l log sqrt(mean_c var_lc).

    Lin et al. (2021): weights and inputs are normal; f is what enters the classifier's pooling;
    the second sum, over the batch norms, gives back the scale that they take away. As in the
    authors' code, var is the batch norm's running variance after the two passes: it starts at 1
    and has come 19 % of the way. Higher is better. Two forward passes, without data.
    """
    random = run.generator("zen")
    network = copy.deepcopy(run.network)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            noise = torch.randn(module.weight.shape, generator=random)
            module.weight.data.copy_(noise)
    for norm in norms:  # other proxies have passed through the network
        norm.reset_running_stats()
    pools = [m for m in network.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
    if not pools:
        raise ValueError("the network has no AdaptiveAvgPool2d, so its features are unknown")
    features: list[Tensor] = []
    pools[-1].register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
    x, e = (torch.randn(run.images.shape, generator=random).to(run.images) for _ in range(2))
    with torch.no_grad():
        network(x)
        network(x + 0.01 * e)
    change = (features[0] - features[1]).abs().flatten(1).sum(1).mean()
    scales = (norm.running_var.mean().log().item() / 2 for norm in norms)
    return change.log().item() + sum(scales)


# --- scores -------------------------------------------------------------------------------------


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
    proxies: str | Iterable[str] | None = None,
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
    proxies: str | Iterable[str] | None = None,
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
    proxies : str or sequence of str, optional
        Names of `PROXIES`; all by default.
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
    codes = space.decode(architectures)
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
            seed = _seed(random_state, space.name, code)
            built = build_network(code, space, **network, random_state=seed)
            return _measure(built, images, labels, functions, device, seed)
        finally:
            torch.set_num_threads(threads)


def _seed(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


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


def _proxies(proxies: str | Iterable[str] | None) -> dict[str, Callable[[Run], Any]]:
    names = [proxies] if isinstance(proxies, str) else list(PROXIES if proxies is None else proxies)
    for name in names:
        if name not in PROXIES:
            raise ValueError(
                f"proxy {name!r} is unknown; it must be one of {list(PROXIES)}, or a function of "
                f"your own under @proxy.{nearest(name, PROXIES)}"
            )
    if not names or len(set(names)) < len(names):
        raise ValueError(f"proxies={proxies!r}: name at least one, and each once.")
    return {name: PROXIES[name] for name in names}


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: score the valid architectures of a space and write a table."""
    parser = argparse.ArgumentParser(
        prog="python -m graf_utils.proxies",
        description="Zero-cost proxies of all valid architectures of a search space, as parquet. "
        "A run that was stopped goes on where it was.",
    )
    parser.add_argument("output", type=Path, help="the parquet file to write")
    parser.add_argument("--checkpoint", type=Path, help="by default the output with .jsonl")
    parser.add_argument("--space", default="nb201")
    parser.add_argument("--sample", type=int, metavar="N", help="only N architectures, at random")
    parser.add_argument("--proxies", nargs="+", metavar="NAME", help="by default all")
    parser.add_argument("--width", type=int, help="by default the benchmark's")
    parser.add_argument("--cells", type=int, help="by default the benchmark's")
    parser.add_argument("--image-size", type=int, default=32, help="32 or 16")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--random-state", type=int, default=0)
    given = parser.parse_args(arguments)
    space = get_space(given.space)
    if given.sample is None:
        pool = space.enumerate()
        pool = pool[space.is_valid(pool)]
    else:
        pool = space.sample(given.sample, random_state=given.random_state)
    network = {k: v for k in ("width", "cells") if (v := getattr(given, k)) is not None}
    frame = score(
        pool,
        given.proxies,
        image_batch(given.image_size, given.batch_size),
        space=space,
        n_jobs=given.n_jobs,
        checkpoint=given.checkpoint or given.output.with_suffix(".jsonl"),
        device=given.device,
        random_state=given.random_state,
        **network,
    )
    frame["architecture"] = frame["architecture"].map(str)
    times = [name for name in frame if name.startswith("seconds")]
    frame = frame.astype(dict.fromkeys(times, np.float32))
    settings = {k: str(v) for k, v in vars(given).items() if k not in ("output", "checkpoint")}
    write_table(frame, given.output, recipe="python -m graf_utils.proxies", settings=settings)
    failed = int((frame["error"] != "").sum())
    print(f"{given.output}: {len(frame):,} architectures, {failed} with a proxy that failed")


if __name__ == "__main__":
    from graf_utils import proxies as module  # so that workers find the functions by their name

    module.main()
