"""Architectures as PyTorch modules, with the benchmark's own skeleton at any width and depth."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from graf_utils.spaces import SearchSpace, get_space
from graf_utils.spaces.cell import NONE, SKIP, CellSpace

__all__ = ["NETWORKS", "EdgeCell", "build_network", "nb201_network", "tnb101_micro_network"]


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

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.relu, self.norm = nn.ReLU(), nn.BatchNorm2d(c_out)
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
    layers += [nn.BatchNorm2d(last), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(last, classes))


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
    for module in (m for layer in layers for m in layer.modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


NETWORKS: dict[str, Callable[..., nn.Sequential]] = {
    "nb201": nb201_network,
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
        Channels of the first stage and cells in a stage; by default the benchmark's: 16 and 5 in
        NAS-Bench-201, 64 (after the stem) and 2 in TransNAS-Bench-101-micro.
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
        The space has no skeleton here, or a number is not a positive whole number.
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
