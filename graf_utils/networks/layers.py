"""Pieces that several networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FactorizedReduce", "ReLUConvBN", "he_weights", "head", "skip"]


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch norm: the convolution of NAS-Bench-201."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(c_out),
        )


class FactorizedReduce(nn.Module):
    """The skip connection where the size halves: two shifted 1x1 convolutions side by side."""

    def __init__(self, c_in: int, c_out: int, affine: bool = True) -> None:
        super().__init__()
        self.relu, self.norm = nn.ReLU(), nn.BatchNorm2d(c_out, affine=affine)
        halves = (c_out // 2, c_out - c_out // 2)
        self.convs = nn.ModuleList(nn.Conv2d(c_in, c, 1, 2, bias=False) for c in halves)

    def forward(self, x: Tensor) -> Tensor:
        """Even pixels through one convolution, odd ones through the other."""
        x = nn.functional.pad(self.relu(x), (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        even, odd = self.convs
        return self.norm(torch.cat([even(x), odd(x[:, :, 1:, 1:])], dim=1))


def skip(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Return the skip connection: the identity, or a reduction where size or channels change."""
    return nn.Identity() if (c_in, stride) == (c_out, 1) else FactorizedReduce(c_in, c_out)


def head(channels: int, classes: int) -> tuple[nn.Module, ...]:
    """Return the classifier: global average pooling and a linear layer."""
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)


def he_weights(network: nn.Module) -> None:
    """Draw the weights of all convolutions anew, from He et al.'s normal weights (fan out)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
