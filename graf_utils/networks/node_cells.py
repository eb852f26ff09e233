"""Cells with operations on nodes, and the network of NAS-Bench-101."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from graf_utils.networks.layers import he_weights, head, make_operation
from graf_utils.spaces import NB101

__all__ = ["NODE_OPERATIONS", "NodeCell", "nb101_network"]


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch norm, ReLU: the convolution of NAS-Bench-101.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    kernel : int
        Height and width of the kernel, an odd number.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        )


def _max_pool(channels: int) -> nn.Module:
    return nn.MaxPool2d(3, 1, padding=1)


def _conv_1x1(channels: int) -> nn.Module:
    return ConvBNReLU(channels, channels, 1)


def _conv_3x3(channels: int) -> nn.Module:
    return ConvBNReLU(channels, channels, 3)


NODE_OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "maxpool3x3": _max_pool,
    "conv1x1-bn-relu": _conv_1x1,
    "conv3x3-bn-relu": _conv_3x3,
}
"""Operations of NAS-Bench-101, given the channels of the node."""


class NodeCell(nn.Module):
    """A cell with operations on nodes, as NAS-Bench-101 builds it (Ying et al., 2019).

    The nodes that feed the output share its channels, the first ones getting those left over; any
    other node has as many as the widest node it feeds. A node applies its operation to the sum of
    what arrives, cut to its own channels, the cell's input by a 1x1 projection. The output joins
    the nodes that feed it and adds the projected input, if that feeds it too.

    Parameters
    ----------
    space : NB101
    code : sequence of int
        The cell: matrix row by row, then operation ids. The order of the nodes decides which gets
        the channels left over, so isomorphic cells may differ by some parameters.
    c_in, c_out : int
        Channels of the input and of the output.
    operations : mapping of str to callable
        What the names of operations stand for, such as `NODE_OPERATIONS`.

    Raises
    ------
    ValueError
        More nodes feed the output than it has channels, an operation is missing, or its function
        returns no module.
    """

    def __init__(
        self,
        space: NB101,
        code: Sequence[int],
        c_in: int,
        c_out: int,
        *,
        operations: Mapping[str, Callable[[int], nn.Module]],
    ) -> None:
        super().__init__()
        self.last = last = space.lengths.index(len(code)) + 1
        pairs = [(u, v) for v in range(last + 1) for u in range(v)]
        edges = [(u, v) for u, v in pairs if code[u * (last + 1) + v]]
        self.sources = {v: [u for u, w in edges if w == v and u] for v in range(1, last + 1)}
        joined = self.sources[last]
        if len(joined) > c_out:
            raise ValueError(
                f"width={c_out} is too small: {len(joined)} nodes feed the output and share its "
                f"channels. Pass width={len(joined)} or more."
            )
        self.channels = {last: c_out}
        for i, v in enumerate(joined):
            self.channels[v] = c_out // len(joined) + (i < c_out % len(joined))
        for v in reversed(range(1, last)):
            if v not in joined:
                self.channels[v] = max(self.channels[w] for u, w in edges if u == v)
        self.projections = nn.ModuleDict(
            {str(v): ConvBNReLU(c_in, self.channels[v], 1) for u, v in edges if u == 0}
        )
        names = [space.operations[op] for op in code[-last - 1 :]]
        self.ops = nn.ModuleDict(
            {str(v): make_operation(operations, names[v], self.channels[v]) for v in range(1, last)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return what the output node holds.

        Parameters
        ----------
        x : Tensor of shape (n, c_in, height, width)

        Returns
        -------
        Tensor of shape (n, c_out, height, width)
        """
        values: dict[int, Tensor] = {}
        for v in range(1, self.last + 1):
            arriving = [values[u] for u in self.sources[v]]
            if v < self.last:
                arriving = [value[:, : self.channels[v]] for value in arriving]
            elif arriving:
                arriving = [torch.cat(arriving, dim=1)]
            if str(v) in self.projections:
                arriving.append(self.projections[str(v)](x))
            total = reduce(torch.add, arriving)
            values[v] = self.ops[str(v)](total) if v < self.last else total
        return values[self.last]


def nb101_network(
    space: NB101,
    code: tuple[int, ...],
    width: int = 128,
    cells: int = 3,
    classes: int = 10,
    in_channels: int = 3,
    *,
    operations: Mapping[str, Callable[[int], nn.Module]],
) -> nn.Sequential:
    """Return the network of NAS-Bench-101 around a cell (Ying et al., 2019, figure 1).

    A 3x3 stem; three stacks of `cells` cells at C, 2C and 4C channels, with 2x2 max pooling
    between them; global average pooling and a linear layer. Parameters are those published, with
    the nodes off all input-output paths removed and all else counted: compared were 1,000 cells of
    the benchmark and the 500 of NAS-Bench-Suite-Zero, and all are equal. The latter's FLOPs leave
    out the final pooling, 0.032768 million.

    The weights start as in NAS-Bench-Suite-Zero: convolutions from He et al.'s normal weights (fan
    out), the classifier from a normal of deviation 0.01. (The benchmark itself was trained from
    truncated normal weights of variance 1 / fan in.)

    Parameters
    ----------
    space : NB101
    code : tuple of int
        One architecture, as `from_codes` returns it.
    width, cells : int
        Channels C and cells per stage.
    classes, in_channels : int
        Outputs of the classifier and channels of the images.
    operations : mapping of str to callable
        What the names of operations stand for, such as `NODE_OPERATIONS`.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier.

    Raises
    ------
    ValueError
        `width` is smaller than the number of nodes that share it, or an operation is missing.
    """
    layers: list[nn.Module] = [ConvBNReLU(in_channels, width, 3)]
    for stage in range(3):
        c_out = width << stage
        if stage:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        for cell in range(cells):
            c_in = c_out // 2 if stage and not cell else c_out
            layers.append(NodeCell(space, code, c_in, c_out, operations=operations))
    network = nn.Sequential(*layers, *head(c_out, classes))
    he_weights(network)
    nn.init.normal_(network[-1].weight, std=0.01)
    nn.init.zeros_(network[-1].bias)
    return network
