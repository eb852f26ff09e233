"""Zero-cost proxies, one function each.

A proxy is a function of a `Run`: one network with its initial weights, one batch, and the passes
that proxies share. One forward pass serves eight of the thirteen, one backward pass four.

The *weights* of a network are its parameters of two or more dimensions: kernels and matrices,
whether they belong to a module or are used by a function. Parameters of one dimension are scales
and biases. A proxy that is not defined for a network raises an error that says why, and
`graf_utils.scoring` turns it into NaN with this reason.

>>> from graf_utils.proxies import proxy
>>> @proxy
... def conv_count(run):
...     return len(run.layers) - 1  # all weighted layers but the classifier
"""

from __future__ import annotations

from graf_utils import _torch  # noqa: F401 - says what to do where there is no PyTorch

# isort: split
import contextlib
import copy
import functools
import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd

from graf_utils._copies import copied, kept
from graf_utils._devices import usable_device
from graf_utils._watch import (
    BATCH_NORMS,
    NORMS,
    gate_input,
    multiply_adds,
    pooled_input,
    watch,
)

__all__ = ["BUILT_IN", "PROXIES", "Run", "proxy", "seed_of", "seeded"]

PROXIES: dict[str, Callable[[Run], Any]] = {}
"""Proxies by name; `proxy` adds to them."""


def proxy(function: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """Register a function under its own name, so that `score` can be asked for it by that name.

    Parameters
    ----------
    function : callable
        From a `Run` to a number.

    Returns
    -------
    callable
        The function, unchanged. What is computed by default stays as it was (`BUILT_IN`).
    """
    PROXIES[function.__name__] = function
    return function


def _shared(method: Callable[[Run], Any]) -> property:
    """A pass that is made once for all proxies; its seconds are kept."""

    @functools.wraps(method)
    def read(run: Run) -> Any:
        name = method.__name__
        if name not in run.passes:
            start, inner = time.process_time(), sum(run.pass_seconds.values())
            with run.undisturbed(name):
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
        A classifier. It is copied, and never changed or run itself. The copy is in training mode,
        all its parameters have gradients, and no activation works in place.
    images : Tensor of shape (n, channels, height, width), or (n, ...)
        Whatever the network takes. They are given the floating-point type of the network's
        parameters; whole numbers, such as tokens, stay what they are.
    labels : Tensor of shape (n,), or (n, ...)
        Whole numbers from 0; with a loss of your own what that one takes.
    seed : int
        Decides all random numbers, such as those of dropout and of `generator`.
    loss : callable, optional
        From the network's output and the labels to a number, a tensor; by default cross-entropy.
        A module is copied.

    Attributes
    ----------
    network : torch.nn.Module
        The copy that passes go through. A proxy that changes the network takes one of its own from
        `fresh`.
    layers : list of torch.nn.Module
        The convolutions and linear layers.
    weights : list of Tensor
        The parameters of two or more dimensions, by `torch.nn.Module.parameters`; a weight that is
        shared is there once.

    Raises
    ------
    ValueError
        The network cannot be copied.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        seed: int = 0,
        loss: Callable[[Any, Tensor], Tensor] | None = None,
    ) -> None:
        self.seed, self.device = seed, images.device
        self._original = copied(network).to(images.device)
        self._loss = copy.deepcopy(loss).to(images.device) if _is_module(loss) else loss
        floats = (p.dtype for p in self._original.parameters() if p.is_floating_point())
        kind = next(floats, torch.get_default_dtype())
        self.images, self.labels = _in_type(images, kind), _in_type(labels, kind)
        self.network = self.fresh()
        self.layers = [m for m in self.network.modules() if isinstance(m, _ConvNd | nn.Linear)]
        self.weights = _weights(self.network)
        self.passes: dict[str, Any] = {}
        self.pass_seconds: dict[str, float] = {}

    def fresh(self) -> nn.Module:
        """Return another copy of the network, through which nothing has passed.

        Returns
        -------
        torch.nn.Module
            In training mode; yours to change.
        """
        network = copy.deepcopy(self._original).train()
        for module in network.modules():
            scripted = isinstance(module, torch.jit.ScriptModule)
            if isinstance(getattr(module, "inplace", None), bool) and not scripted:
                module.inplace = False  # else the output of the layer before would change
        for parameter in network.parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(True)
        return network

    def generator(self, name: str) -> torch.Generator:
        """Random numbers for one proxy, the same whichever others are computed.

        Parameters
        ----------
        name : str
            Name of the proxy.

        Returns
        -------
        torch.Generator
            On the CPU.
        """
        return torch.Generator().manual_seed(seed_of(self.seed, name))

    @contextlib.contextmanager
    def undisturbed(self, name: str, *, weights: bool = False) -> Iterator[None]:
        """Seed all random numbers for a pass or a proxy, and keep what it does from the next ones.

        Parameters
        ----------
        name : str
            Name of the pass or the proxy.
        weights : bool
            Also keep the weights, the training mode of each module and PyTorch's number of threads;
            for a function that is not known to leave them alone.

        Yields
        ------
        None
            Afterwards the generators of Python, numpy and PyTorch, and the buffers of the network
            such as the statistics of its batch norms, are what they were.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            if weights:
                stack.enter_context(kept(self.network))
            stack.enter_context(self._same_buffers())
            stack.enter_context(seeded(seed_of(self.seed, name), self.device))
            yield

    @contextlib.contextmanager
    def _same_buffers(self) -> Iterator[None]:
        """Work on copies of the network's buffers."""
        modules = [m for m in self.network.modules() if not isinstance(m, torch.jit.ScriptModule)]
        before = [(module, dict(module._buffers)) for module in modules]
        for module, buffers in before:
            for key, buffer in buffers.items():
                module._buffers[key] = None if buffer is None else buffer.clone()
        try:
            yield
        finally:
            for module, buffers in before:
                module._buffers.clear()
                module._buffers.update(buffers)

    @_shared
    def forward(self) -> dict[str, Any]:
        """Logits in training mode, with all that proxies look at on the way.

        ``images`` (with gradients), ``logits``, ``reached`` (each convolution and linear layer that
        something passed through), ``activations`` (their outputs) and ``patterns`` (which inputs of
        each ReLU, or of an activation of its kind, are positive: one row per image).
        """
        activations, reached, patterns = [], [], []

        def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            activations.append(output)
            reached.append(module)
            return output.clone()  # what follows may change it in place, as in `y += x`

        def binarise(name: str, args: tuple[Any, ...]) -> None:
            entering = gate_input(name, args)
            if entering is not None:
                patterns.append((entering.detach() > 0).flatten(1))

        images = self.images.clone().requires_grad_(self.images.is_floating_point())
        with _hooked(self.layers, keep), watch(before=binarise), sdpa_kernel(SDPBackend.MATH):
            logits = self.network(images)
        return {
            "images": images,
            "logits": logits,
            "activations": activations,
            "reached": reached,
            "patterns": patterns,
        }

    @property
    def logits(self) -> Tensor:
        """Logits of shape (n, classes).

        Raises
        ------
        ValueError
            The network returns something else.
        """
        logits = self.forward["logits"]
        if not isinstance(logits, Tensor) or logits.shape[:1] != self.labels.shape[:1]:
            shape = tuple(getattr(logits, "shape", ()))
            raise ValueError(
                f"the network returns {type(logits).__name__} of shape {shape}, but must return "
                f"one row of logits per image, shape ({len(self.labels)}, classes)"
            )
        return logits

    @functools.cached_property
    def loss(self) -> Tensor:
        """Cross-entropy of the logits, or what the loss of your own says.

        Raises
        ------
        ValueError
            A label has no logit, or a loss of your own returned something else than a number that
            depends on the network.
        """
        if self._loss is not None:
            return self._own_loss()
        logits = self.logits
        if logits.ndim != 2 or self.labels.max() >= logits.shape[1]:
            raise ValueError(
                f"labels go up to {self.labels.max()}, and the network returns logits of shape "
                f"{tuple(logits.shape)}, but must have a column for each class"
            )
        return nn.functional.cross_entropy(logits, self.labels)

    def _own_loss(self) -> Tensor:
        """The loss of the reader's own, with the same random numbers whoever asks first."""
        output = self.forward["logits"]
        with self.undisturbed("loss"):
            value = self._loss(output, self.labels)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)[:40]
            raise ValueError(
                f"the loss returned {type(value).__name__} {what}, but must return one number, a "
                "tensor with the gradients of the network's output"
            )
        return value.reshape(())

    @_shared
    def gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of the loss in `weights` and in the activations of `forward`."""
        weights = _some(self.weights)
        slopes = _gradients(self.loss, [*weights, *self.forward["activations"]])
        return slopes[: len(weights)], slopes[len(weights) :]

    @_shared
    def jacobian(self) -> Tensor:
        """Gradient of the sum of all logits in the images, double precision, one row per image.

        Raises
        ------
        ValueError
            The images are whole numbers.
        """
        _check_gradual(self)
        (slopes,) = _gradients(self.logits.sum(), [self.forward["images"]])
        return slopes.flatten(1).double()


def seed_of(*parts: Any) -> int:
    """Return a seed that depends on all parts, for example a seed and the name of its use.

    Parameters
    ----------
    *parts : object
        Anything whose repr tells it from others.

    Returns
    -------
    int
        From 0 to 2^56 - 1.
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


@contextlib.contextmanager
def seeded(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Seed the global generators of Python, numpy and PyTorch, and put them back afterwards.

    Parameters
    ----------
    seed : int
        From 0 to 2^63 - 1.
    device : str or torch.device
        If it is a GPU, its generator is seeded as well.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        It is no device that can compute here.
    """
    device = usable_device(device)
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator that networks use
            for gpu in devices:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module)


def _in_type(values: Tensor, kind: torch.dtype) -> Tensor:
    """Numbers in another type; whole numbers stay what they are."""
    return values.to(kind) if values.is_floating_point() else values


def _check_gradual(run: Run) -> None:
    """Raise ValueError if the images are whole numbers, as tokens are."""
    if not run.images.is_floating_point():
        raise ValueError(
            "the inputs are whole numbers, such as tokens, which cannot change a little and have "
            "no gradients"
        )


def _weights(network: nn.Module) -> list[Tensor]:
    return [parameter for parameter in network.parameters() if parameter.ndim > 1]


def _some(weights: list[Tensor]) -> list[Tensor]:
    """The weights, of which there must be one."""
    if not weights:
        raise ValueError("the network has no weights, that is parameters of two dimensions or more")
    return weights


@contextlib.contextmanager
def _hooked(modules: list[nn.Module], hook: Callable[..., None]) -> Iterator[None]:
    """Call a function with what leaves each of some modules."""
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _gradients(value: Tensor, at: list[Tensor], **options: Any) -> list[Tensor]:
    """Gradients of a number, zero where it does not depend on a tensor."""
    slopes = torch.autograd.grad(value, at, retain_graph=True, allow_unused=True, **options)
    return [
        torch.zeros_like(x) if slope is None else slope for x, slope in zip(at, slopes, strict=True)
    ]


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

    Convolutions and products of matrices, in modules or functions; a batch norm counts two per
    element (one without weights of its own), a ReLU one, pooling its window: the convention of
    `NB201.cost`. A network with an operation that multiplies in a way not known here has no score.
    """
    total = 0

    def add(name: str, args: tuple[Any, ...], output: Any) -> None:
        nonlocal total
        total += multiply_adds(name, args, output)

    network = run.fresh().eval()
    # with gradients: without, PyTorch would join the operations of a transformer into one
    with watch(after=add), sdpa_kernel(SDPBackend.MATH):
        network(torch.zeros_like(run.images[:1]))
    return total / 1e6


@proxy
def l2_norm(run: Run) -> float:
    """Sum of the Euclidean norms of the weights: sum_l ||w_l|| (Abdelfattah et al., 2021).

    Higher is better. No pass: with fresh weights it nearly counts the convolutions.
    """
    return sum(w.detach().norm().item() for w in _some(run.weights))


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
    0 and up, spread over orders of magnitude. Forward and backward pass. A network that uses
    weights outside such layers (attention, an LSTM, a function) has no score.

    Raises
    ------
    ValueError
        The network has no score; `score_network` makes it NaN with the reason.
    """
    _check_all_in_layers(run)
    total = 0.0
    layers, activations = run.forward["reached"], run.forward["activations"]
    for layer, a, g in zip(layers, activations, run.gradients[1], strict=True):
        if a.ndim < 2 or len(a) != len(run.images):
            raise ValueError(
                f"the output of a {type(layer).__name__} has shape {tuple(a.shape)}, but fisher "
                f"needs the {len(run.images)} images first"
            )
        product = a.detach() * g
        if isinstance(layer, nn.Linear):
            product = product.movedim(-1, 1)  # the channels of a linear layer are its last axis
        channels = product.flatten(2).sum(2) if product.ndim > 2 else product
        total += channels.square().mean(0).sum().item() / 2
    return total


def _check_all_in_layers(run: Run) -> None:
    """Raise ValueError if weights have an effect outside the convolutions and linear layers."""
    reached = {id(p) for layer in run.forward["reached"] for p in layer.parameters()}
    names = {id(p): name for name, p in run.network.named_parameters()}
    outside = [
        names[id(w)]
        for w, g in zip(run.weights, run.gradients[0], strict=True)
        if id(w) not in reached and g.any()
    ]
    if outside:
        raise ValueError(
            f"weights are used outside convolutions and linear layers, so that the outputs are "
            f"unknown: {', '.join(outside[:3])}{', …' if len(outside) > 3 else ''}"
        )


@proxy
def grasp(run: Run) -> float:
    """Change of the gradient norm by pruning: -sum w (H g) (Wang et al., 2020).

    Of either sign; taken as higher is better. Forward pass and two backward passes, one through
    the other.
    """
    weights = _some(run.weights)
    slopes = _gradients(run.loss, weights, create_graph=True)
    inner = sum((g * g.detach()).sum() for g in slopes)
    products = _gradients(inner, weights)
    return -sum((w.detach() * h).sum().item() for w, h in zip(weights, products, strict=True))


@proxy
def synflow(run: Run) -> float:
    """Logarithm of sum |w dR/dw|, R the sum of outputs of |w| on an image of ones.

    Tanaka et al. (2020). Absolute weights, no batch norm or other normalisation, double precision.
    Higher is better; 0 where the sum is 0. Forward and backward pass of one image, without data.

    Raises
    ------
    ValueError
        The network normalises in a way that cannot be left out, or takes tokens.
    """
    _check_gradual(run)
    network = run.fresh().double()
    for module in list(network.modules()):
        for name, child in module._modules.items():
            if isinstance(child, _NormBase | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm):
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()

    def refuse(name: str, args: tuple[Any, ...]) -> None:
        if name in NORMS:
            raise ValueError("a normalisation is no module of its own, so it cannot be taken out")

    with watch(before=refuse):
        output = network(torch.ones_like(run.images[:1]).double())
    if not isinstance(output, Tensor):
        raise ValueError(f"the network returns {type(output).__name__}, but must return logits")
    weights = _some(_weights(network))
    slopes = _gradients(output.sum(), weights)
    total = sum((w.detach() * g).abs().sum().item() for w, g in zip(weights, slopes, strict=True))
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

    Raises
    ------
    ValueError
        The labels are no classes.
    """
    labels, total = run.labels.cpu(), 0.0
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError("the labels are no classes, one whole number per image")
    for label in labels.unique():
        rows = run.jacobian.cpu()[labels == label]
        if len(rows) > 1:
            total += abs((torch.corrcoef(rows).abs() + 1e-5).log().sum().item())
    return total


@proxy
def nwot(run: Run) -> float:
    """How differently images switch the ReLUs: log |det K| (Mellor et al., 2021).

    K_ij counts the ReLU inputs with the same sign in images i and j; leaky ReLU, GELU, SiLU and
    other activations that hold negative inputs back are taken for ReLUs. Higher is better. Forward
    pass only. Identical patterns make K singular: no score. Nor is there one without such an
    activation.

    Raises
    ------
    ValueError
        There is no such activation, or it does not have the images first.
    """
    patterns = run.forward["patterns"]
    if not patterns:
        raise ValueError("the network has no ReLU or activation of its kind")
    kernel = 0
    for pattern in patterns:
        if len(pattern) != len(run.images):
            raise ValueError(
                f"an activation has {len(pattern)} rows for {len(run.images)} images, but nwot "
                "needs the images first"
            )
        signs = pattern.float() * 2 - 1
        kernel = kernel + (signs @ signs.T).double() / 2 + pattern.shape[1] / 2
    return torch.linalg.slogdet(kernel.cpu()).logabsdet.item()


@proxy
def zen(run: Run) -> float:
    """Gaussian complexity: log E|f(x) - f(x + e/100)| + sum_l log sqrt(mean_c var_lc).

    Lin et al. (2021): weights and inputs are normal; f is what enters the last average pooling
    over whole images, the classifier's; the second sum, over the batch norms, gives back the scale
    that they take away. As in the authors' code, var is the batch norm's running variance after
    the two passes: it starts at 1 and has come 19 % of the way. Higher is better. Two forward
    passes, without data. Networks without such a pooling, that normalise in another way, or that
    take tokens have no score.
    """
    _check_gradual(run)
    generator = run.generator("zen")
    network = run.fresh()
    for weight in _some(_weights(network)):
        weight.data.copy_(torch.randn(weight.shape, generator=generator))
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        _restart(norm, run.images)
    x, e = (torch.randn(run.images.shape, generator=generator).to(run.images) for _ in range(2))
    with torch.no_grad():
        first = _before_pooling(network, norms, x)
        second = _before_pooling(network, norms, x + 0.01 * e)
    change = (first - second).abs().flatten(1).sum(1).mean()
    scales = (norm.running_var.mean().log().item() / 2 for norm in norms)
    return change.log().item() + sum(scales)


def _restart(norm: _BatchNorm, like: Tensor) -> None:
    """Set the running statistics of a batch norm to 0 and 1, also if it kept none."""
    if not norm.track_running_stats or norm.running_var is None:
        norm.track_running_stats = True
        norm.running_mean = torch.zeros(norm.num_features, dtype=like.dtype, device=like.device)
        norm.running_var = torch.ones_like(norm.running_mean)
        norm.num_batches_tracked = torch.tensor(0, device=like.device)
    norm.reset_running_stats()


def _before_pooling(network: nn.Module, norms: list[nn.Module], images: Tensor) -> Tensor:
    """What enters the last pooling over whole images; its batch norms must be modules."""
    entering: list[Tensor] = []
    done = {"modules": 0, "batch norms": 0}

    def look(name: str, args: tuple[Any, ...]) -> None:
        if name in BATCH_NORMS:
            done["batch norms"] += 1
        elif name in NORMS:
            raise ValueError(
                f"zen knows no other normalisation than batch norm, but {name} is there"
            )
        features = pooled_input(name, args)
        if features is not None:
            entering[:] = [features]

    def count(module: nn.Module, inputs: Any, output: Any) -> None:
        done["modules"] += 1

    with _hooked(norms, count), watch(before=look):
        network(images)
    if done["modules"] != done["batch norms"]:
        raise ValueError(
            "a batch norm or instance norm is no batch norm module, so its scale is unknown"
        )
    if not entering:
        raise ValueError(
            "no average pooling over whole images is there, so the features are unknown"
        )
    return entering[0]


BUILT_IN = tuple(PROXIES)
"""Names of the thirteen proxies of the book: what is computed if nothing else is asked for."""
