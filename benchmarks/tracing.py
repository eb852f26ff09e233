"""What reading a PyTorch module costs, and whether it gives what the features of cells give.

Cells that `graf_utils.networks` builds are traced, and their features are compared with GRAF and
flow of the same cells. *Families both have* are those that ask about what a module still shows:
`none` and edges that carry nothing are not there (the cells are pruned), and a skip connection is
no operator, so that only sets without it are asked about; where the skip connection is made visible
(a factor per channel in its place) all sets without `none` are compared. A NAS-Bench-101 cell has a
1x1 convolution for each edge that leaves its input, and a DARTS cell one for each input: these are
added to what the features of the cell say. Of whole networks the counts are compared: the cells'
times their number, and the skeleton's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from graf_utils.features import GRAF, Flow
from graf_utils.networks import DARTSCell, EdgeCell, NodeCell, build_network
from graf_utils.operators import OperatorFeatures, OperatorGraph
from graf_utils.spaces import DARTS, NB101, NB201, TNB101Micro

KINDS = {
    "nor_conv_3x3": "conv",
    "nor_conv_1x1": "pointwise-conv",
    "avg_pool_3x3": "pooling",
    "conv3x3-bn-relu": "conv",
    "conv1x1-bn-relu": "pointwise-conv",
    "maxpool3x3": "pooling",
    "skip_connect": "multiply",  # where it is made visible
}
"""The kind by which an operation of a cell is counted."""

WIDTH = 8


# --- models to time -------------------------------------------------------------------------------


class Bottleneck(nn.Module):
    """Three convolutions and a way past them."""

    def __init__(self, c_in: int, width: int, stride: int) -> None:
        super().__init__()
        sizes = [(c_in, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)]
        self.body, self.relu, self.past = nn.Sequential(), nn.ReLU(inplace=True), nn.Identity()
        for c, c_out, kernel, step in sizes:
            self.body.append(nn.Conv2d(c, c_out, kernel, step, kernel // 2, bias=False))
            self.body.append(nn.BatchNorm2d(c_out))
            self.body.append(nn.ReLU(inplace=True))
        del self.body[-1]
        if stride > 1 or c_in != 4 * width:
            conv = nn.Conv2d(c_in, 4 * width, 1, stride, bias=False)
            self.past = nn.Sequential(conv, nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """Add both ways."""
        return self.relu(self.body(x) + self.past(x))


def resnet50() -> nn.Module:
    """ResNet-50 (He et al., 2016): 25,557,032 parameters, 4.09 billion multiply-adds."""
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, 2, 1))
    c_in = 64
    for stage, n_blocks in enumerate((3, 4, 6, 3)):
        for block in range(n_blocks):
            layers.append(Bottleneck(c_in, 64 << stage, 1 if block or not stage else 2))
            c_in = 256 << stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


class Encoder(nn.Module):
    """Attention and two linear layers, each behind a norm and with a way past."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        linear = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.linear = nn.Sequential(linear[0], nn.GELU(), linear[1])

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens, then channels."""
        y = self.first(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.linear(self.second(x))


class ViT(nn.Module):
    """ViT-B/16 (Dosovitskiy et al., 2021): 86,567,656 parameters."""

    def __init__(self, width: int = 768, depth: int = 12, heads: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, 197, width))
        self.blocks = nn.Sequential(*(Encoder(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Classify by the token."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


def seconds(make: Callable[[], nn.Module], repeats: int) -> list[float]:
    """CPU seconds of each tracing, of a model without weights."""
    with torch.device("meta"):
        model = make()
    image, spent = torch.empty(1, 3, 224, 224, device="meta"), []
    for _ in range(repeats):
        start = time.process_time()
        OperatorGraph.from_module(model, image)
        spent.append(time.process_time() - start)
    return spent


# --- cells ----------------------------------------------------------------------------------------


class Visible(nn.Module):
    """A skip connection that one can see: a factor per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return self.factor * x


def cells(space: str, codes: Iterable, kind: type, **options: object) -> list[OperatorGraph]:
    """The first cell of each architecture's network, traced."""
    graphs = []
    with torch.device("meta"):
        for code in codes:
            network = build_network(code, space, width=WIDTH, cells=2, **options)
            found = [cell for cell in network.modules() if isinstance(cell, kind)]
            plain = [cell for cell in found if getattr(cell, "stride", 1) == 1]
            graphs.append(OperatorGraph.from_module(plain[0], inputs_of(plain[0])))
    return graphs


def inputs_of(cell: nn.Module) -> tuple[Tensor, ...]:
    """Images as the first cell of a network takes them."""
    if isinstance(cell, DARTSCell):
        return tuple(torch.empty(1, 3 * WIDTH, 8, 8, device="meta") for _ in range(2))
    channels = cell.c_out if isinstance(cell, EdgeCell) else WIDTH
    return (torch.empty(1, channels, 8, 8, device="meta"),)


def as_groups(operations: Iterable[str]) -> dict[str, list[str]]:
    """A group per operation, so that sets of groups are sets of operations."""
    return {KINDS[op]: [KINDS[op]] for op in operations}


def different(traced: pd.Series | np.ndarray, expected: pd.Series | np.ndarray) -> int:
    """How many numbers differ."""
    return int((np.abs(np.asarray(traced) - np.asarray(expected)) > 1e-9).sum())


def flow_differences(
    features: pd.DataFrame,
    flow: pd.DataFrame,
    sets: Iterable[tuple[str, str]],
    more: dict[str, float | pd.Series] | None = None,
) -> int:
    """Compare path statistics of kinds with flow over sets; `more` are on every path besides."""
    n = different(features["log_paths"], np.log1p(flow["live_paths"]))
    there = flow["live_paths"] > 0
    for kind, name in sets:
        extra = np.where(there, (more or {}).get(kind, 0), 0)
        for ours, theirs, plus in (
            ("path_mean", "flow_mean", extra),
            ("path_min", "flow_min", extra),
            ("path_max", "flow_max", extra),
            ("path_std", "flow_std", 0),
        ):
            n += different(features[f"{ours}[{kind}]"], flow[f"{theirs}[{name}]"] + plus)
        if kind not in (more or {}):
            share = 1 - flow[f"flow_n0[{name}]"] / np.maximum(flow["live_paths"], 1)
            n += different(features[f"path_share[{kind}]"], np.where(there, share, 0))
    return n


PATHS = ["log_paths", "path_mean", "path_std", "path_min", "path_max", "path_share"]


def edge_cells(space: NB201 | TNB101Micro, n: int, random_state: int) -> dict[str, int]:
    """Differences of cells with operations on edges, as built and with a visible skip."""
    codes = space.prune(space.sample(n, random_state=random_state, valid_only=False))
    architectures = space.from_codes(codes)
    operations = [op for op in space.operations if op in KINDS and op != "skip_connect"]
    flow = Flow(space).set_output(transform="pandas").fit_transform(codes)
    graf = GRAF(space, variant="allowed").set_output(transform="pandas").fit_transform(codes)
    features = OperatorFeatures(["op_count", *PATHS])
    seen = features.fit_transform(cells(space.name, architectures, EdgeCell))
    counts = sum(
        different(seen[f"op_count[{KINDS[op]}]"], graf[f"op_count[{op}]"]) for op in operations
    )
    paths = flow_differences(seen, flow, [(KINDS[op], op) for op in operations])
    operations = [op for op in space.operations if op in KINDS]
    visible = {"skip_connect": lambda c_in, c_out, stride: Visible(c_in) if stride == 1 else None}
    if space.name != "nb201":  # its cells of stride 2 are not looked at
        visible = {"skip_connect": lambda c_in, c_out, stride: Visible(c_out)}
    graphs = cells(space.name, architectures, EdgeCell, operations=visible)
    restricted = OperatorFeatures(
        ["op_count", "min_path_len", "max_path_len", "input_degree", "output_degree", "depth"],
        groups=as_groups(operations),
    ).fit_transform(graphs)
    return {"counts": counts, "paths": paths, "sets": set_differences(restricted, graf, operations)}


def set_differences(features: pd.DataFrame, graf: pd.DataFrame, operations: list[str]) -> int:
    """Compare what GRAF asks of sets of operations."""
    n, names = 0, {KINDS[op]: op for op in operations}
    columns = [name for name in features if name.startswith("min_path_len")]
    for label in (name.partition("[")[2][:-1] for name in columns):
        members = sorted((names[kind] for kind in label.split("+")), key=operations.index)
        of_set = f"[{'+'.join(members)}]"
        n += different(features[f"max_path_len[{label}]"], graf[f"max_path_len{of_set}"])
        shortest = graf[f"min_path_len{of_set}"]
        missing = (
            shortest == 5
        )  # GRAF's code for "no path" on four nodes; ours is one more than any
        expected = np.where(missing, features["depth[longest]"] + 1, shortest)
        n += different(features[f"min_path_len[{label}]"], expected)
        for family in ("input_degree", "output_degree"):
            ours = sum(features[f"{family}[{kind}]"] for kind in label.split("+"))
            n += different(ours, graf[f"{family}{of_set}"])
    return n


def node_cells(n: int, random_state: int) -> dict[str, int]:
    """Differences of NAS-Bench-101 cells."""
    space = NB101()
    architectures = space.from_codes(space.sample(n, random_state=random_state))
    flow = Flow(space).set_output(transform="pandas").fit_transform(architectures)
    graf = (
        GRAF(space, variant="allowed").set_output(transform="pandas").fit_transform(architectures)
    )
    graphs = cells("nb101", architectures, NodeCell)
    operations = [op for op in space.operations if op in KINDS]
    features = OperatorFeatures(
        ["op_count", "min_path_len", "max_path_len", *PATHS], groups=as_groups(operations)
    ).fit_transform(graphs)
    batch = space.graph_batch(architectures)[""]
    leaving = (batch.edge_ops[:, batch.edges[:, 0] == 0] >= 0).sum(axis=1)
    counts = 0
    for op in operations:
        projections = leaving if KINDS[op] == "pointwise-conv" else 0
        counts += different(
            features[f"op_count[{KINDS[op]}]"], graf[f"op_count[{op}]"] + projections
        )
    sets = [(KINDS[op], op) for op in operations]
    paths = flow_differences(features, flow, sets, {"pointwise-conv": 1})
    restricted, names = 0, {KINDS[op]: op for op in operations}
    for column in (name for name in features if name.startswith("min_path_len")):
        kinds = column.partition("[")[2][:-1].split("+")
        if "pointwise-conv" not in kinds:  # a projection is on every path
            continue
        of_set = f"[{'+'.join(sorted((names[k] for k in kinds), key=operations.index))}]"
        there = graf[f"min_path_len{of_set}"] < batch.sizes  # that many nodes mean "no path"
        for family, plus in (("min_path_len", 0), ("max_path_len", 1)):
            ours = features.loc[there, f"{family}[{'+'.join(kinds)}]"]
            restricted += different(ours, graf.loc[there, f"{family}{of_set}"] + plus)
    return {"counts": counts, "paths": paths, "sets": restricted}


def darts_cells(n: int, random_state: int) -> dict[str, int]:
    """Differences of DARTS's normal cells; a separable convolution is two of each convolution."""
    space = DARTS()
    architectures = space.from_codes(space.sample(n, random_state=random_state))
    pools = [op for op in space.operations if "pool" in op]
    separable = [op for op in space.operations if op.startswith("sep_conv")]
    dilated = [op for op in space.operations if op.startswith("dil_conv")]
    sets = {"pool": pools, "separable": separable, "dilated": dilated, "conv": separable + dilated}
    flow = Flow(space, sets=sets).set_output(transform="pandas").fit_transform(architectures)
    flow = flow.filter(like="normal.").rename(columns=lambda name: name.removeprefix("normal."))
    graf = GRAF(space, families=["op_count"]).set_output(transform="pandas")
    graf = graf.fit_transform(architectures)
    features = OperatorFeatures(["op_count", *PATHS]).fit_transform(
        cells("darts", architectures, DARTSCell)
    )

    def count(operations: list[str]) -> pd.Series:
        return sum(graf[f"normal.op_count[{op}]"] for op in operations)

    convolutions = 2 * count(separable) + count(dilated)
    inputs = np.array([len({source for source, _ in code[0]} & {0, 1}) for code in architectures])
    counts = different(features["op_count[pooling]"], count(pools))
    counts += different(features["op_count[depthwise-conv]"], convolutions)
    counts += different(features["op_count[pointwise-conv]"], convolutions + inputs)
    paths = flow_differences(features, flow, [("pooling", "pool")])
    mean = 2 * flow["flow_mean[separable]"] + flow["flow_mean[dilated]"]
    paths += different(features["path_mean[depthwise-conv]"], mean)
    paths += different(features["path_mean[pointwise-conv]"], mean + 1)
    share = 1 - flow["flow_n0[conv]"] / flow["live_paths"]
    paths += different(features["path_share[depthwise-conv]"], share)
    return {"counts": counts, "paths": paths}


# --- whole networks -------------------------------------------------------------------------------

SKELETONS = {  # of networks with one cell per stage: cells, and what lies around them
    "nb201": (3, {"conv": 1 + 2 * 2, "pointwise-conv": 2, "pooling": 2 + 1, "linear": 1}),
    "nb101": (3, {"conv": 1, "pointwise-conv": 0, "pooling": 2 + 1, "linear": 1}),
}


def networks(space: NB201 | NB101, n: int, random_state: int) -> dict[str, int]:
    """Differences of whole networks: counts, and statistics of paths, which add up cell by cell."""
    n_cells, skeleton = SKELETONS[space.name]
    codes = space.sample(n, random_state=random_state)
    if space.name == "nb201":
        codes = space.prune(codes)
    architectures, kind = space.from_codes(codes), EdgeCell if space.name == "nb201" else NodeCell
    features = OperatorFeatures(["op_count", *PATHS])
    one = features.fit_transform(cells(space.name, architectures, kind))
    image, whole = torch.empty(1, 3, 32, 32, device="meta"), []
    with torch.device("meta"):
        for code in architectures:
            network = build_network(code, space, width=WIDTH, cells=1)
            whole.append(OperatorGraph.from_module(network, image))
    whole = features.fit_transform(whole)
    carries = np.asarray(one["log_paths"] > 0)  # else the classifier sees zeros
    one, whole = one[carries], whole[carries]
    blocks = 2 if space.name == "nb201" else 0  # each with two ways
    expected = n_cells * np.log(np.expm1(one["log_paths"])) + blocks * np.log(2)
    paths = different(np.log(np.expm1(whole["log_paths"])), expected)
    counts = 0
    for name, around in skeleton.items():
        ours, cell = whole[f"op_count[{name}]"], one[f"op_count[{name}]"]
        counts += different(ours, n_cells * cell + around)
        on_path = around if space.name == "nb101" or name == "linear" else None
        if on_path is None:  # a block has two 3x3 convolutions, or a pool and a 1x1 convolution
            on_path = {"conv": 1 + 2 * 1, "pointwise-conv": 1, "pooling": 1 + 1}[name]
        paths += different(
            whole[f"path_mean[{name}]"], n_cells * one[f"path_mean[{name}]"] + on_path
        )
    return {"counts": counts, "paths": paths}


# --- all of it ------------------------------------------------------------------------------------


def comparisons(share: float, random_state: int) -> dict[str, tuple[int, dict[str, int]]]:
    """Number of networks and of differences, by what is compared."""
    sizes = {
        "nb201 cells": (200, lambda n: edge_cells(NB201(), n, random_state)),
        "tnb101-micro cells": (100, lambda n: edge_cells(TNB101Micro(), n, random_state)),
        "nb101 cells": (50, lambda n: node_cells(n, random_state)),
        "darts cells": (50, lambda n: darts_cells(n, random_state)),
        "nb201 networks": (50, lambda n: networks(NB201(), n, random_state)),
        "nb101 networks": (50, lambda n: networks(NB101(), n, random_state)),
    }
    found = {}
    for name, (most, compare) in sizes.items():
        n = max(int(share * most), 2)
        found[name] = n, compare(n)
    return found


def main() -> None:
    """Print seconds and differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the networks to compare")
    parser.add_argument("--random-state", type=int, default=42)
    options = parser.parse_args()
    for make in (resnet50, ViT):
        spent = seconds(make, options.repeats + 1)
        print(
            f"{make.__name__}: median {np.median(spent[1:]):.2f} s of CPU, least "
            f"{min(spent[1:]):.2f} s, the first {spent[0]:.2f} s",
            flush=True,
        )
    for name, (n, found) in comparisons(options.share, options.random_state).items():
        print(f"{n} {name}: differences {found}", flush=True)


if __name__ == "__main__":
    main()
