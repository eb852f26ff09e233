"""Cells of DARTS, with two inputs, and the network around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from graf_utils.networks.layers import FactorizedReduce, ReLUConvBN, head, make_operation
from graf_utils.spaces import DARTS
from graf_utils.spaces.wiring import SKIP

__all__ = ["DARTS_OPERATIONS", "DARTSCell", "darts_network"]


class SeparableConv(nn.Sequential):
    """ReLU, a convolution within each channel, a 1x1 one across them, batch norm.

    Parameters
    ----------
    channels : int
        Channels of the input and of the output.
    kernel, stride, dilation : int
        Size, step and dilation of the convolution within the channels.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=False),
        )


def _max_pool(channels: int, stride: int) -> nn.Module:
    return _normed(nn.MaxPool2d(3, stride, padding=1), channels)


def _avg_pool(channels: int, stride: int) -> nn.Module:
    return _normed(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), channels)


def _normed(pool: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=False)


def _sep_conv(channels: int, stride: int, kernel: int) -> nn.Module:
    return nn.Sequential(
        SeparableConv(channels, kernel, stride),
        SeparableConv(channels, kernel),
    )


def _dil_conv(channels: int, stride: int, kernel: int) -> nn.Module:
    return SeparableConv(channels, kernel, stride, dilation=2)


DARTS_OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _avg_pool,
    SKIP: _skip,
    "sep_conv_3x3": partial(_sep_conv, kernel=3),
    "sep_conv_5x5": partial(_sep_conv, kernel=5),
    "dil_conv_3x3": partial(_dil_conv, kernel=3),
    "dil_conv_5x5": partial(_dil_conv, kernel=5),
}
"""Operations of DARTS, given channels and stride."""


class DARTSCell(nn.Module):
    """A cell of DARTS: four nodes, each the sum of two operations, joined at the output.

    Parameters
    ----------
    space : DARTS
    pairs : sequence of (source, operation id)
        The eight edges, as in an architecture.
    c_before, c_previous : int
        Channels of the outputs of the last cell but one and of the last cell.
    channels, stride : int
        Channels of a node, and the stride of the edges that leave the inputs.
    halved : bool
        The last cell but one has images twice as large as the last.
    operations : mapping of str to callable
        What the names of operations stand for, such as `DARTS_OPERATIONS`.

    Raises
    ------
    ValueError
        An operation is missing, or its function returns no module.
    """

    def __init__(
        self,
        space: DARTS,
        pairs: Sequence[tuple[int, int]],
        c_before: int,
        c_previous: int,
        channels: int,
        stride: int = 1,
        halved: bool = False,
        *,
        operations: Mapping[str, Callable[[int, int], nn.Module]],
    ) -> None:
        super().__init__()
        project = FactorizedReduce if halved else partial(ReLUConvBN, kernel=1)
        self.before = project(c_before, channels)
        self.previous = ReLUConvBN(c_previous, channels, 1)
        self.sources = [source for source, _ in pairs]
        self.ops = nn.ModuleList(
            make_operation(operations, space.operations[op], channels, stride if source < 2 else 1)
            for source, op in pairs
        )

    def forward(self, before: Tensor, previous: Tensor) -> Tensor:
        """Return the four nodes, one after the other along the channels.

        Parameters
        ----------
        before, previous : Tensor of shape (n, channels, height, width)
            Outputs of the last cell but one and of the last cell.

        Returns
        -------
        Tensor of shape (n, 4 * channels, height, width)
        """
        nodes = [self.before(before), self.previous(previous)]
        edges = list(zip(self.sources, self.ops, strict=True))
        for (a, first), (b, second) in zip(edges[::2], edges[1::2], strict=True):
            nodes.append(first(nodes[a]) + second(nodes[b]))
        return torch.cat(nodes[2:], dim=1)


class Chain(nn.ModuleList):
    """Modules of two inputs: the outputs of the two before, the chain's input at the start."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the last output.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)

        Returns
        -------
        Tensor of shape (n, channels, height, width)
        """
        before = x
        for module in self:
            before, x = x, module(before, x)
        return x


def darts_network(
    space: DARTS,
    code: tuple[tuple[tuple[int, int], ...], ...],
    width: int = 32,
    cells: int = 2,
    classes: int = 10,
    in_channels: int = 3,
    *,
    operations: Mapping[str, Callable[[int, int], nn.Module]],
) -> nn.Sequential:
    """Return the network of DARTS around a normal and a reduction cell (Liu et al., 2019).

    A 3x3 stem of 3C channels; three stages of `cells` normal cells with nodes of C, 2C and 4C
    channels, a reduction cell after the first and the second; global average pooling and a linear
    layer. The default is NAS-Bench-301's network of 8 cells at C = 32; ``cells=6, width=36`` are
    the 20 cells of the DARTS paper's evaluation. There is no auxiliary head.

    Pools are followed by a batch norm. Batch norms of operations have no parameters, those of the
    stem and of the cells' inputs do. This is NAS-Bench-Suite-Zero's convention, whose parameters
    are equal for all of its 1,218 networks. The final training of DARTS had parameters in these
    batch norms, and no batch norm after pools.

    Parameters
    ----------
    space : DARTS
    code : pair of tuples of (source, operation id)
        One architecture, as `from_codes` returns it.
    width, cells : int
        Channels C of a node, and normal cells per stage.
    classes, in_channels : int
        Outputs of the classifier and channels of the images.
    operations : mapping of str to callable
        What the names of operations stand for, such as `DARTS_OPERATIONS`.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier.

    Raises
    ------
    ValueError
        An operation is missing, or its function returns no module.
    """
    normal, reduction = code
    layers, before, previous, halved = [], 3 * width, 3 * width, False
    for stage in range(3):
        channels = width << stage
        for stride in [2] * (stage > 0) + [1] * cells:
            pairs = reduction if stride == 2 else normal
            layers.append(
                DARTSCell(
                    space,
                    pairs,
                    before,
                    previous,
                    channels,
                    stride,
                    halved,
                    operations=operations,
                )
            )
            before, previous, halved = previous, 4 * channels, stride == 2
    stem = nn.Conv2d(in_channels, 3 * width, 3, padding=1, bias=False), nn.BatchNorm2d(3 * width)
    return nn.Sequential(*stem, Chain(layers), *head(previous, classes))
