"""A user's network is never touched: it is copied, and a copy that was lent out comes back."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["copied", "kept"]


def copied(network: nn.Module) -> nn.Module:
    """Copy a network; what an earlier pass has left in its attributes is cut off from its graph.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        It has no weights yet, or cannot be copied.
    """
    if any(tensor.is_meta for tensor in network.parameters()):
        raise ValueError(
            "the network was built on PyTorch's device 'meta', where weights have no values. Build "
            "it without torch.device('meta')."
        )
    if any(isinstance(p, nn.UninitializedParameter) for p in network.parameters()):
        raise ValueError(
            "the network has lazy layers whose weights have no shape yet. Pass the images through "
            "it once, such as network(torch.as_tensor(images)), and score it then."
        )
    results = {
        id(value): value.detach().clone()
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        return copy.deepcopy(network, results)
    except Exception as error:
        raise ValueError(
            f"the network cannot be copied ({type(error).__name__}: {error!s:.120}), and scoring "
            "changes a copy only. Make copy.deepcopy(network) work, for instance by scoring it "
            "before anything has passed through it."
        ) from error


@contextlib.contextmanager
def kept(network: nn.Module) -> Iterator[None]:
    """Give a network its weights and modes back, and PyTorch its number of threads.

    Parameters
    ----------
    network : torch.nn.Module

    Yields
    ------
    None
    """
    modes = [(module, module.training) for module in network.modules()]
    weights = [(p, p.data, p.data.clone(), p.requires_grad, p.grad) for p in network.parameters()]
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for module, training in modes:
            if module.training != training:
                module.training = training
        for parameter, place, values, needs_gradient, gradient in weights:
            parameter.data = place.copy_(values)
            parameter.requires_grad_(needs_gradient)
            parameter.grad = gradient
