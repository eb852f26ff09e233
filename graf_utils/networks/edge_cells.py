"""Cells with operations on edges: NAS-Bench-201, TransNAS-Bench-101-micro, cells of your own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from torch import Tensor, nn

from graf_utils.networks.layers import ReLUConvBN, he_weights, head, make_operation, skip
from graf_utils.spaces.cell import CellSpace
from graf_utils.spaces.wiring import NONE, SKIP

__all__ = ["OPERATIONS", "EdgeCell", "nb201_network", "tnb101_micro_network"]


def _no_edge(c_in: int, c_out: int, stride: int) -> None:
    return None


def _conv_1x1(c_in: int, c_out: int, stride: int) -> nn.Module:
    return ReLUConvBN(c_in, c_out, 1, stride)


def _conv_3x3(c_in: int, c_out: int, stride: int) -> nn.Module:
    return ReLUConvBN(c_in, c_out, 3, stride)


def _avg_pool(c_in: int, c_out: int, stride: int) -> nn.Module:
    return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)


OPERATIONS: dict[str, Callable[[int, int, int], nn.Module | None]] = {
    NONE: _no_edge,
    SKIP: skip,
    "nor_conv_1x1": _conv_1x1,
    "nor_conv_3x3": _conv_3x3,
    "avg_pool_3x3": _avg_pool,
}
"""What an operation's name stands for, given channels in and out and stride; None is no edge.

Add an entry to build networks of a `CellSpace` with operations of your own, or pass
``operations=`` to `build_network` to do so in one call only.
"""


class EdgeCell(nn.Module):
    """A cell with operations on edges: each node is the sum of what its edges bring.

    Parameters
    ----------
    space : CellSpace
        Wiring and names of operations.
    code : sequence of int
        Operation ids of the edges.
    c_in, c_out, stride : int
        Channels of the input and of the other nodes (the same by default), and the stride of the
        edges that leave the input.
    operations : mapping of str to callable
        What the names of operations stand for, such as `OPERATIONS`.

    Raises
    ------
    ValueError
        An operation is missing, or its function returns no module.
    """

    def __init__(
        self,
        space: CellSpace,
        code: tuple[int, ...],
        c_in: int,
        c_out: int | None = None,
        stride: int = 1,
        *,
        operations: Mapping[str, Callable[[int, int, int], nn.Module | None]],
    ) -> None:
        super().__init__()
        self.c_out, self.stride = c_out or c_in, stride
        self.first, self.last = space.nodes[0], space.nodes[-1]
        self.ops = nn.ModuleDict()
        for (source, target), op in sorted(zip(space.edges, code, strict=True)):
            shape = (self.c_out, self.c_out, 1)
            if source == self.first:
                shape = (c_in, self.c_out, stride)
            module = make_operation(operations, space.operations[op], *shape, optional=True)
            if module is not None:
                self.ops[f"{source}-{target}"] = module

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum at the last node; zeros where nothing arrives.

        Parameters
        ----------
        x : Tensor of shape (n, c_in, height, width)

        Returns
        -------
        Tensor of shape (n, c_out, ceil(height / stride), ceil(width / stride))
        """
        nodes = {self.first: x}
        for edge, op in self.ops.items():  # sorted by source: a node is whole when it is read
            source, target = map(int, edge.split("-"))
            if source in nodes:
                value = op(nodes[source])
                nodes[target] = nodes[target] + value if target in nodes else value
        if self.last in nodes:
            return nodes[self.last]
        return 0 * x[:, :1, :: self.stride, :: self.stride].expand(-1, self.c_out, -1, -1)


class Reduction(nn.Module):
    """The residual block between stages of NAS-Bench-201: stride 2.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(ReLUConvBN(c_in, c_out, 3, 2), ReLUConvBN(c_out, c_out, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual branch and the pooled and projected input.

        Parameters
        ----------
        x : Tensor of shape (n, c_in, height, width)

        Returns
        -------
        Tensor of shape (n, c_out, height / 2, width / 2)
        """
        return self.shortcut(x) + self.convs(x)


def nb201_network(
    space: CellSpace,
    code: tuple[int, ...],
    width: int = 16,
    cells: int = 5,
    classes: int = 10,
    in_channels: int = 3,
    *,
    operations: Mapping[str, Callable[[int, int, int], nn.Module | None]],
) -> nn.Sequential:
    """Return the network of NAS-Bench-201 around a cell (Dong & Yang, 2020, figure 1).

    A 3x3 stem; three stages of `cells` cells at C, 2C and 4C channels, with a residual block of
    stride 2 between them; batch norm, ReLU, global average pooling and a linear layer.

    Parameters
    ----------
    space : CellSpace
    code : tuple of int
        One architecture, as `from_codes` returns it.
    width, cells : int
        Channels C and cells per stage.
    classes, in_channels : int
        Outputs of the classifier and channels of the images.
    operations : mapping of str to callable
        What the names of operations stand for, such as `OPERATIONS`.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier.

    Raises
    ------
    ValueError
        An operation is missing, or its function returns no module.
    """
    widths = [width << stage for stage in range(3)]
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    ]
    layers += [EdgeCell(space, code, width, operations=operations) for _ in range(cells)]
    for c_in, c_out in pairwise(widths):
        layers.append(Reduction(c_in, c_out))
        layers += [EdgeCell(space, code, c_out, operations=operations) for _ in range(cells)]
    last = widths[-1]
    return nn.Sequential(*layers, nn.BatchNorm2d(last), nn.ReLU(), *head(last, classes))


def tnb101_micro_network(
    space: CellSpace,
    code: tuple[int, ...],
    width: int = 64,
    cells: int = 2,
    classes: int = 10,
    in_channels: int = 3,
    *,
    operations: Mapping[str, Callable[[int, int, int], nn.Module | None]],
) -> nn.Sequential:
    """Return the classifier of TransNAS-Bench-101-micro around a cell (Duan et al., 2021).

    A stem of two 3x3 convolutions of stride 2; five stages of `cells` cells, the first, third and
    fifth of which begin by doubling the channels and halving the size; global average pooling and
    a linear layer. Convolutions start from He et al.'s normal weights (fan out), as in the
    benchmark. The benchmark's object and scene tasks have 75 and 63 classes there.

    Parameters
    ----------
    space : CellSpace
    code : tuple of int
        One architecture, as `from_codes` returns it.
    width, cells : int
        Channels C and cells per stage.
    classes, in_channels : int
        Outputs of the classifier and channels of the images.
    operations : mapping of str to callable
        What the names of operations stand for, such as `OPERATIONS`.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier.

    Raises
    ------
    ValueError
        An operation is missing, or its function returns no module.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, width // 2, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(width // 2),
        ReLUConvBN(width // 2, width, 3, 2),
    ]
    for stage in range(5):
        if stage % 2 == 0:
            layers.append(EdgeCell(space, code, width, 2 * width, 2, operations=operations))
            width *= 2
        others = cells - 1 if stage % 2 == 0 else cells
        layers += [EdgeCell(space, code, width, operations=operations) for _ in range(others)]
    network = nn.Sequential(*layers, *head(width, classes))
    he_weights(network)
    return network
