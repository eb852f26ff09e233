"""Pieces that several networks are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["FactorizedReduce", "ReLUConvBN", "he_weights", "head", "make_operation", "skip"]


def make_operation(
    operations: Mapping[str, Callable[..., nn.Module | None]],
    name: str,
    *shape: int,
    optional: bool = False,
) -> nn.Module | None:
    """Make the module of an operation.

    Parameters
    ----------
    operations : mapping of str to callable
        What the names of operations stand for.
    name : str
        Name of the operation.
    *shape : int
        What its function is called with: channels, and perhaps a stride.
    optional : bool
        Whether it may return None, which means that there is no edge.

    Returns
    -------
    torch.nn.Module or None

    Raises
    ------
    ValueError
        There is no such operation, or its function returns something else than a module.
    """
    if name not in operations:
        raise ValueError(
            f"operation {name!r} is not among {list(operations)}. Pass "
            f"operations={{{name!r}: function}}."
        )
    module = operations[name](*shape)
    if isinstance(module, nn.Module) or (optional and module is None):
        return module
    raise ValueError(
        f"operation {name!r} returned {type(module).__name__} for {shape}; its function must "
        f"return a torch.nn.Module{', or None for no edge' if optional else ''}."
    )


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch norm: the convolution of NAS-Bench-201.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    kernel : int
        Height and width of the kernel; an odd number keeps the size of the image.
    stride : int
        Step of the convolution.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(c_out),
        )


class FactorizedReduce(nn.Module):
    """The skip connection where the size halves: two shifted 1x1 convolutions side by side.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    affine : bool
        Whether the batch norm has weights.
    """

    def __init__(self, c_in: int, c_out: int, affine: bool = True) -> None:
        super().__init__()
        self.relu, self.norm = nn.ReLU(), nn.BatchNorm2d(c_out, affine=affine)
        halves = (c_out // 2, c_out - c_out // 2)
        self.convs = nn.ModuleList(nn.Conv2d(c_in, c, 1, 2, bias=False) for c in halves)

    def forward(self, x: Tensor) -> Tensor:
        """Put even pixels through one convolution and odd ones through the other.

        Parameters
        ----------
        x : Tensor of shape (n, c_in, height, width)

        Returns
        -------
        Tensor of shape (n, c_out, ceil(height / 2), ceil(width / 2))
        """
        x = nn.functional.pad(self.relu(x), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        even, odd = self.convs
        return self.norm(torch.cat([even(x), odd(x[:, :, 1:, 1:])], dim=1))


def skip(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Return the skip connection: the identity, or a reduction where size or channels change.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    stride : int
        1, or 2 where the size halves.

    Returns
    -------
    torch.nn.Module
    """
    return nn.Identity() if (c_in, stride) == (c_out, 1) else FactorizedReduce(c_in, c_out)


def head(channels: int, classes: int) -> tuple[nn.Module, ...]:
    """Return the classifier: global average pooling and a linear layer.

    Parameters
    ----------
    channels, classes : int
        Inputs and outputs of the linear layer.

    Returns
    -------
    tuple of torch.nn.Module
    """
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)


def he_weights(network: nn.Module) -> None:
    """Draw the weights of all convolutions anew, from He et al.'s normal weights (fan out).

    Parameters
    ----------
    network : torch.nn.Module
        Its convolutions are changed in place.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
