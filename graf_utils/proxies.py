"""Zero-cost proxies, one function each.

A proxy is a function of a `Run`: one network with its initial weights, one batch, and the passes
that proxies share. One forward pass serves eight of the thirteen, one backward pass four.

>>> from graf_utils.proxies import proxy
>>> @proxy
... def conv_count(run):
...     return len(run.layers) - 1  # all weighted layers but the classifier
"""

from __future__ import annotations

import copy
import functools
import hashlib
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["BUILT_IN", "PROXIES", "Run", "proxy", "seed_of"]

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
        return torch.Generator().manual_seed(seed_of(self.seed, name))

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


BUILT_IN = tuple(PROXIES)
"""Names of the thirteen proxies of the book: what is computed if nothing else is asked for."""
