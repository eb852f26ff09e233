"""Architectures as PyTorch modules, with the benchmark's own skeleton at any width and depth.

============  ===================  ======================================  =====  =====
space         stem                 stages                                  width  cells
============  ===================  ======================================  =====  =====
nb201         3x3 convolution, C   3 of `cells` cells: C, 2C, 4C           16     5
nb101         3x3 convolution, C   3 of `cells` cells: C, 2C, 4C           128    3
darts         3x3 convolution, 3C  3 of `cells` normal cells: C, 2C, 4C    32     2
tnb101-micro  two of stride 2, C   5 of `cells` cells: 2C, 2C, 4C, 4C, 8C  64     2
============  ===================  ======================================  =====  =====

`width` is C and the last columns are the defaults, which are the benchmarks'. The size halves in
residual blocks (nb201), max pooling (nb101), reduction cells (darts) or cells of stride 2
(tnb101-micro). All end in global average pooling and a linear layer. A `CellSpace` of your own
gets the skeleton of nb201.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from graf_utils.spaces import DARTS, NB101, SearchSpace, get_space
from graf_utils.spaces.cell import NONE, SKIP, CellSpace

__all__ = ["NETWORKS", "DARTSCell", "EdgeCell", "NodeCell", "build_network"]
__all__ += ["darts_network", "nb101_network", "nb201_network", "tnb101_micro_network"]


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


def _skip(c_in: int, c_out: int, stride: int) -> nn.Module:
    return nn.Identity() if (c_in, stride) == (c_out, 1) else FactorizedReduce(c_in, c_out)


OPERATIONS: dict[str, Callable[[int, int, int], nn.Module | None]] = {
    NONE: lambda c_in, c_out, stride: None,
    SKIP: _skip,
    "nor_conv_1x1": lambda c_in, c_out, stride: ReLUConvBN(c_in, c_out, 1, stride),
    "nor_conv_3x3": lambda c_in, c_out, stride: ReLUConvBN(c_in, c_out, 3, stride),
    "avg_pool_3x3": lambda c_in, c_out, stride: nn.AvgPool2d(
        3, stride, padding=1, count_include_pad=False
    ),
}
"""What an operation's name stands for, given channels in and out and stride; None is no edge.

Add an entry to build networks of a `CellSpace` with operations of your own.
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
    """

    def __init__(
        self,
        space: CellSpace,
        code: tuple[int, ...],
        c_in: int,
        c_out: int | None = None,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.c_out, self.stride = c_out or c_in, stride
        self.first, self.last = space.nodes[0], space.nodes[-1]
        self.ops = nn.ModuleDict()
        for (source, target), op in sorted(zip(space.edges, code, strict=True)):
            shape = (c_in, self.c_out, stride) if source == self.first else (self.c_out,) * 2 + (1,)
            module = OPERATIONS[space.operations[op]](*shape)
            if module is not None:
                self.ops[f"{source}-{target}"] = module

    def forward(self, x: Tensor) -> Tensor:
        """The sum at the last node; zeros where nothing arrives."""
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
    """The residual block between stages: stride 2, twice the channels."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(ReLUConvBN(c_in, c_out, 3, 2), ReLUConvBN(c_out, c_out, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Residual branch plus pooled and projected input."""
        return self.shortcut(x) + self.convs(x)


def _head(channels: int, classes: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)


def _he_weights(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def nb201_network(
    space: CellSpace,
    code: tuple[int, ...],
    width: int = 16,
    cells: int = 5,
    classes: int = 10,
    in_channels: int = 3,
) -> nn.Sequential:
    """The network of NAS-Bench-201 around a cell (Dong & Yang, 2020, figure 1).

    A 3x3 stem; three stages of `cells` cells at C, 2C and 4C channels, with a residual block of
    stride 2 between them; batch norm, ReLU, global average pooling and a linear layer.
    """
    widths = [width << stage for stage in range(3)]
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    ]
    layers += [EdgeCell(space, code, width) for _ in range(cells)]
    for c_in, c_out in pairwise(widths):
        layers.append(Reduction(c_in, c_out))
        layers += [EdgeCell(space, code, c_out) for _ in range(cells)]
    last = widths[-1]
    return nn.Sequential(*layers, nn.BatchNorm2d(last), nn.ReLU(), *_head(last, classes))


def tnb101_micro_network(
    space: CellSpace,
    code: tuple[int, ...],
    width: int = 64,
    cells: int = 2,
    classes: int = 10,
    in_channels: int = 3,
) -> nn.Sequential:
    """The classifier of TransNAS-Bench-101-micro around a cell (Duan et al., 2021).

    A stem of two 3x3 convolutions of stride 2; five stages of `cells` cells, the first, third and
    fifth of which begin by doubling the channels and halving the size; global average pooling and
    a linear layer. Convolutions start from He et al.'s normal weights (fan out), as in the
    benchmark. The benchmark's object and scene tasks have 75 and 63 classes there.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, width // 2, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(width // 2),
        ReLUConvBN(width // 2, width, 3, 2),
    ]
    for stage in range(5):
        if stage % 2 == 0:
            layers.append(EdgeCell(space, code, width, 2 * width, 2))
            width *= 2
        layers += [EdgeCell(space, code, width) for _ in range(cells - (stage % 2 == 0))]
    network = nn.Sequential(*layers, *_head(width, classes))
    _he_weights(network)
    return network


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch norm, ReLU: the convolution of NAS-Bench-101."""

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        )


NODE_OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "maxpool3x3": lambda channels: nn.MaxPool2d(3, 1, padding=1),
    "conv1x1-bn-relu": lambda channels: ConvBNReLU(channels, channels, 1),
    "conv3x3-bn-relu": lambda channels: ConvBNReLU(channels, channels, 3),
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

    Raises
    ------
    ValueError
        More nodes feed the output than it has channels.
    """

    def __init__(self, space: NB101, code: Sequence[int], c_in: int, c_out: int) -> None:
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
            {str(v): NODE_OPERATIONS[names[v]](self.channels[v]) for v in range(1, last)}
        )

    def forward(self, x: Tensor) -> Tensor:
        """What the output node holds."""
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
) -> nn.Sequential:
    """The network of NAS-Bench-101 around a cell (Ying et al., 2019, figure 1).

    A 3x3 stem; three stacks of `cells` cells at C, 2C and 4C channels, with 2x2 max pooling
    between them; global average pooling and a linear layer. Parameters are those published, with
    the nodes off all input-output paths removed and all else counted: compared were 1,000 cells of
    the benchmark and the 500 of NAS-Bench-Suite-Zero, and all are equal. The latter's FLOPs leave
    out the final pooling, 0.032768 million.

    The weights start as in NAS-Bench-Suite-Zero: convolutions from He et al.'s normal weights (fan
    out), the classifier from a normal of deviation 0.01. (The benchmark itself was trained from
    truncated normal weights of variance 1 / fan in.)
    """
    layers: list[nn.Module] = [ConvBNReLU(in_channels, width, 3)]
    for stage in range(3):
        c_out = width << stage
        if stage:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        for cell in range(cells):
            layers.append(NodeCell(space, code, c_out if cell or not stage else c_out // 2, c_out))
    network = nn.Sequential(*layers, *_head(c_out, classes))
    _he_weights(network)
    nn.init.normal_(network[-1].weight, std=0.01)
    nn.init.zeros_(network[-1].bias)
    return network


class SeparableConv(nn.Sequential):
    """ReLU, a convolution within each channel, a 1x1 one across them, batch norm."""

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


def _sep_conv(kernel: int) -> Callable[[int, int], nn.Module]:
    return lambda c, stride: nn.Sequential(
        SeparableConv(c, kernel, stride), SeparableConv(c, kernel)
    )


def _normed(pool: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))


DARTS_OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "max_pool_3x3": lambda c, stride: _normed(nn.MaxPool2d(3, stride, padding=1), c),
    "avg_pool_3x3": lambda c, stride: _normed(
        nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), c
    ),
    SKIP: lambda c, stride: nn.Identity() if stride == 1 else FactorizedReduce(c, c, affine=False),
    "sep_conv_3x3": _sep_conv(3),
    "sep_conv_5x5": _sep_conv(5),
    "dil_conv_3x3": lambda c, stride: SeparableConv(c, 3, stride, dilation=2),
    "dil_conv_5x5": lambda c, stride: SeparableConv(c, 5, stride, dilation=2),
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
    ) -> None:
        super().__init__()
        project = FactorizedReduce if halved else partial(ReLUConvBN, kernel=1)
        self.before = project(c_before, channels)
        self.previous = ReLUConvBN(c_previous, channels, 1)
        self.sources = [source for source, _ in pairs]
        self.ops = nn.ModuleList(
            DARTS_OPERATIONS[space.operations[op]](channels, stride if source < 2 else 1)
            for source, op in pairs
        )

    def forward(self, before: Tensor, previous: Tensor) -> Tensor:
        """The four nodes, one after the other along the channels."""
        nodes = [self.before(before), self.previous(previous)]
        edges = list(zip(self.sources, self.ops, strict=True))
        for (a, first), (b, second) in zip(edges[::2], edges[1::2], strict=True):
            nodes.append(first(nodes[a]) + second(nodes[b]))
        return torch.cat(nodes[2:], dim=1)


class Chain(nn.ModuleList):
    """Modules of two inputs: the outputs of the two before, the network's input at the start."""

    def forward(self, x: Tensor) -> Tensor:
        """The last output."""
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
) -> nn.Sequential:
    """The network of DARTS around a normal and a reduction cell (Liu et al., 2019).

    A 3x3 stem of 3C channels; three stages of `cells` normal cells with nodes of C, 2C and 4C
    channels, a reduction cell after the first and the second; global average pooling and a linear
    layer. The default is NAS-Bench-301's network of 8 cells at C = 32; ``cells=6, width=36`` are
    the 20 cells of the DARTS paper's evaluation. There is no auxiliary head.

    Pools are followed by a batch norm. Batch norms of operations have no parameters, those of the
    stem and of the cells' inputs do. This is NAS-Bench-Suite-Zero's convention, whose parameters
    are equal for all of its 1,218 networks. The final training of DARTS had parameters in these
    batch norms, and no batch norm after pools.
    """
    normal, reduction = code
    layers, before, previous, halved = [], 3 * width, 3 * width, False
    for stage in range(3):
        channels = width << stage
        for stride in [2] * (stage > 0) + [1] * cells:
            pairs = reduction if stride == 2 else normal
            layers.append(DARTSCell(space, pairs, before, previous, channels, stride, halved))
            before, previous, halved = previous, 4 * channels, stride == 2
    stem = nn.Conv2d(in_channels, 3 * width, 3, padding=1, bias=False), nn.BatchNorm2d(3 * width)
    return nn.Sequential(*stem, Chain(layers), *_head(previous, classes))


NETWORKS: dict[str, Callable[..., nn.Sequential]] = {
    "nb201": nb201_network,
    "nb101": nb101_network,
    "darts": darts_network,
    "tnb101-micro": tnb101_micro_network,
}
"""Skeletons by the name of their search space. The last layer of each is the classifier."""


def build_network(
    architecture: Any,
    space: str | SearchSpace = "nb201",
    width: int | None = None,
    cells: int | None = None,
    classes: int = 10,
    in_channels: int = 3,
    random_state: int | None = None,
) -> nn.Sequential:
    """Build the network of one architecture, with the skeleton's initial weights.

    Parameters
    ----------
    architecture : tuple or str
        As the space takes it.
    space : str or SearchSpace
        A space of `NETWORKS`, or a `CellSpace` of your own with operations on edges that are in
        `OPERATIONS`; that one gets the skeleton of NAS-Bench-201.
    width, cells : int, optional
        Channels C and cells in a stage, by default the benchmark's: see the table above. In
        `darts` these are the channels of a node and the normal cells; a network has 3 * cells + 2
        cells in all.
    classes, in_channels : int
        Outputs of the classifier and channels of the images. Images may have any size that can be
        halved twice.
    random_state : int, optional
        Seed of the weights. PyTorch's global generator is left as it was if it is given.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier. Build under ``torch.device("meta")`` to count
        parameters without spending memory.

    Raises
    ------
    ValueError
        The space has no skeleton here, a number is not a positive whole number, or `width` is
        smaller than the number of nodes that share it (`nb101`).
    """
    space = get_space(space)
    options = {"classes": classes, "in_channels": in_channels}
    options |= {k: v for k, v in (("width", width), ("cells", cells)) if v is not None}
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")
    if random_state is not None and not isinstance(random_state, int):
        raise ValueError(f"random_state={random_state!r} must be an integer or None.")
    (code,) = space.decode([architecture])
    own = type(space) is CellSpace and space.ops_on == "edges"
    make = NETWORKS.get("nb201" if own else space.name)
    unknown = set(space.operations) - set(OPERATIONS) if own else set()
    if make is None or unknown:
        raise ValueError(
            f"space {space.name!r} cannot be built: "
            + (
                f"operations {sorted(unknown)} are not in graf_utils.networks.OPERATIONS. Add them."
                if unknown
                else f"there is a skeleton for {list(NETWORKS)}, and for a CellSpace with "
                "operations on edges. Add a function to graf_utils.networks.NETWORKS."
            )
        )
    if random_state is None:
        return make(space, code, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        return make(space, code, **options)
