"""Architectures as PyTorch modules."""

import numpy as np
import pytest
import torch
from torch import nn

from graf_utils.datasets import load_table
from graf_utils.networks import (
    DARTS_OPERATIONS,
    NODE_OPERATIONS,
    OPERATIONS,
    DARTSCell,
    EdgeCell,
    NodeCell,
    build_network,
)
from graf_utils.networks.darts_cells import SeparableConv
from graf_utils.networks.layers import FactorizedReduce
from graf_utils.proxies import BUILT_IN, PROXIES, Run
from graf_utils.scoring import score_network
from graf_utils.spaces import DARTS, NB101, NB201, CellSpace

SPACE = NB201()
TINY = {"width": 4, "cells": 1}
RANDOM_DARTS = DARTS().from_codes(DARTS().sample(2, random_state=0))
NB101_CELLS = [  # matrix by rows, then operations: 2 max pool, 3 conv 1x1, 4 conv 3x3
    (0, 1, 0, 0, 0, 1),
    (0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 2, 1),
    (0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 2, 3, 1),
    (0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
     0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 2, 4, 4, 3, 1),
]  # fmt: skip
DARTS_V2 = (  # the cells of Liu et al. (2019), section 3
    ((0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)),
    ((0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)),
)


@pytest.fixture
def unfilled(monkeypatch):
    """No initial weights, which cost time even where there is no memory for them."""
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda tensor, **options: tensor)
    for layer in (nn.Conv2d, nn.Linear, nn.BatchNorm2d):
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)


def count(network):
    return sum(p.numel() for p in network.parameters())


def single(op):
    """A cell whose only way is edge 1-4 with `op`."""
    none = SPACE.operations.index("none")
    return (none, none, SPACE.operations.index(op), none, none, none)


def edge_cell(code):
    return EdgeCell(SPACE, code, 1, operations=OPERATIONS)


@pytest.mark.parametrize("op", SPACE.operations)
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (12, 3), (32, 3)])
def test_shapes(op, size, channels):
    network = build_network(single(op), classes=7, in_channels=channels, **TINY, random_state=0)
    x = torch.ones(2, channels, size, size)
    assert network(x).shape == (2, 7)
    cell = EdgeCell(SPACE, single(op), channels, operations=OPERATIONS)
    assert cell(x).shape == x.shape


def test_operations_do_what_their_names_say():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert not edge_cell(single("none"))(x).any()
    assert torch.equal(edge_cell(single("skip_connect"))(x), x)
    pooled = edge_cell(single("avg_pool_3x3"))(x)
    assert pooled[0, 0, 0, 0] == np.mean([0, 1, 4, 5])  # padding is not counted
    assert pooled[0, 0, 1, 1] == np.mean([0, 1, 2, 4, 5, 6, 8, 9, 10])
    for op, kernel in (("nor_conv_1x1", 1), ("nor_conv_3x3", 3)):
        relu, conv, norm = OPERATIONS[op](5, 5, 1)
        assert isinstance(relu, nn.ReLU)
        assert isinstance(norm, nn.BatchNorm2d)
        assert conv.weight.shape == (5, 5, kernel, kernel)
        assert conv.bias is None


def test_edges_are_summed_at_nodes():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(edge_cell((0,) * 6)(x), 4 * x)  # four paths of skips


def test_parameters_are_those_of_the_formula(unfilled):
    cells = SPACE.enumerate()[::211]
    for options in ({}, {"width": 6, "cells": 2, "classes": 3}):
        expected = SPACE.cost(cells, **options)[:, 0]
        with torch.device("meta"):
            built = [count(build_network(cell, **options)) for cell in SPACE.from_codes(cells)]
        np.testing.assert_array_equal(np.array(built) / 1e6, expected)


@pytest.mark.paper
def test_parameters_are_the_published_ones(paper_dir, unfilled):
    """All 9,445 valid cells: the count depends on the operation counts only, so one net of each."""
    table = load_table("nb201-cifar10", source="paper")
    cells = table.codes
    counts = (cells[:, :, None] == np.arange(5)).sum(axis=1)
    kinds, first, kind = np.unique(counts, axis=0, return_index=True, return_inverse=True)
    assert len(cells) == 9445
    with torch.device("meta"):
        built = [count(build_network(cell)) for cell in SPACE.from_codes(cells[first])]
    params = np.array(built)[kind.ravel()] / 1e6
    np.testing.assert_allclose(params, table.proxies["params"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(params, SPACE.cost(cells)[:, 0])


@pytest.mark.paper
def test_tnb101_micro_has_the_published_parameters(paper_dir, unfilled):
    """Depends on each operation's count on the edges from the input and on the others."""
    table = load_table("tnb101-micro-class_scene", source="paper")
    codes = table.codes
    first = [source == 1 for source, _ in table.space.edges]
    ids = np.arange(4)
    near, far = (
        (codes[:, np.array(first) == side, None] == ids).sum(axis=1) for side in (True, False)
    )
    _, row, kind = np.unique(np.hstack([near, far]), axis=0, return_index=True, return_inverse=True)
    with torch.device("meta"):
        nets = [
            build_network(c, table.space, classes=63) for c in table.space.from_codes(codes[row])
        ]
    params = np.array([count(net) for net in nets])[kind.ravel()] / 1e6
    np.testing.assert_allclose(params, table.proxies["params"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", [(0,) * 6, (1,) * 6, (2,) * 6, (3, 0, 1, 1, 2, 0)])
@pytest.mark.parametrize("size", [32, 20])
def test_tnb101_micro_shapes(cell, size):
    network = build_network(cell, "tnb101-micro", width=4, classes=7, random_state=0)
    assert network(torch.ones(2, 3, size, size)).shape == (2, 7)


# --- NAS-Bench-101 ---


def wiring(cell):
    n = NB101().lengths.index(len(cell)) + 2
    matrix = np.reshape(cell[: n * n], (n, n))
    return matrix, n - 1


@pytest.mark.parametrize("cell", NB101_CELLS)
@pytest.mark.parametrize(("c_in", "c_out"), [(3, 7), (8, 8)])
def test_a_node_cell_is_what_its_definition_says(cell, c_in, c_out):
    """Recursion from the output back, with the cell's own operations."""
    matrix, last = wiring(cell)
    torch.manual_seed(0)
    built, x = (
        NodeCell(NB101(), cell, c_in, c_out, operations=NODE_OPERATIONS).eval(),
        torch.randn(2, c_in, 6, 6),
    )
    feed = [v for v in range(1, last) if matrix[v, last]]

    def channels(v):
        if v in feed:
            return -((feed.index(v) - c_out) // len(feed))  # ceil((c_out - place) / n)
        return max(channels(w) for w in range(v + 1, last) if matrix[v, w])

    def value(v):
        total = sum(value(u)[:, : channels(v)] for u in range(1, v) if matrix[u, v])
        total = total + built.projections[str(v)](x) if matrix[0, v] else total
        out = built.ops[str(v)](total)
        assert out.shape == (2, channels(v), 6, 6)
        return out

    expected = torch.cat([value(v) for v in feed], dim=1) if feed else 0
    if matrix[0, last]:
        expected = expected + built.projections[str(last)](x)
    torch.testing.assert_close(built(x), expected)
    assert set(built.projections) == {str(v) for v in range(1, last + 1) if matrix[0, v]}
    for v, op in enumerate(cell[-last:-1], 1):
        module = built.ops[str(v)]
        first = module if op == 2 else module[0]
        kind = {2: (nn.MaxPool2d, 3), 3: (nn.Conv2d, (1, 1)), 4: (nn.Conv2d, (3, 3))}[op]
        assert (type(first), first.kernel_size) == kind


def test_channels_left_over_go_to_the_first_nodes():
    matrix = np.triu(np.ones((5, 5), dtype=int), 1)
    matrix[:4, 4] = [0, 1, 1, 1]
    cell = (*matrix.ravel().tolist(), 0, 2, 3, 4, 1)
    built = NodeCell(NB101(), cell, 64, 128, operations=NODE_OPERATIONS)
    assert built.channels == {1: 43, 2: 43, 3: 42, 4: 128}
    x = torch.ones(1, 64, 2, 2)
    assert built(x).shape == (1, 128, 2, 2)


@pytest.mark.parametrize(
    ("space", "architecture", "options", "published"),
    [
        ("nb101", NB101_CELLS[3], {}, 8_555_530),  # NAS-Bench-101's trainable_parameters
        ("nb101", NB101_CELLS[0], {}, 882_570),  # NAS-Bench-Suite-Zero
        ("darts", DARTS_V2, {"width": 36, "cells": 6}, 3_349_342),  # 3.3 M in the paper
    ],
)
def test_known_parameters(space, architecture, options, published):
    with torch.device("meta"):
        network = build_network(architecture, space, **options)
    total = count(network)
    if space == "darts":  # the paper's evaluation gave the batch norms of operations parameters
        for module in network.modules():
            norm = getattr(module, "norm", None) if isinstance(module, FactorizedReduce) else None
            norm = module[-1] if isinstance(module, SeparableConv) else norm
            total += 0 if norm is None or norm.affine else 2 * norm.num_features
    assert total == published


@pytest.mark.paper
@pytest.mark.parametrize(("name", "n"), [("nb101-1k", 30), ("nb101-zc", 30), ("nb301", 30)])
def test_parameters_are_those_published_for_nb101_and_nb301(paper_dir, unfilled, name, n):
    """A sample; all 1,000, all 500 (every order of nodes) and all 1,218 were equal when written."""
    table = load_table(name, source="paper")
    rows = np.linspace(0, len(table) - 1, n).astype(int)
    with torch.device("meta"):
        built = [count(build_network(table.architectures[i], table.space)) for i in rows]
    np.testing.assert_array_equal(built, np.rint(table.proxies["params"].iloc[rows] * 1e6))


@pytest.mark.paper
def test_nb101_flops_and_norms_are_the_published_ones(paper_dir):
    """The suite leaves out the final pooling: 512 channels of 8 by 8 pixels."""
    table = load_table("nb101-zc", source="paper").subset([0, 58, 174])
    batch = torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.long)
    for i, cell in enumerate(table.architectures):
        run = Run(build_network(cell, table.space, random_state=i), *batch)
        published = table.proxies.iloc[i]
        assert PROXIES["flops"](run) == pytest.approx(published["flops"] + 0.032768, abs=1e-9)
        assert PROXIES["l2_norm"](run) == pytest.approx(published["l2_norm"], rel=5e-3)


# --- DARTS ---


def plain_cell(pairs, **options):
    """A cell of one channel in evaluation mode, its inputs as they are."""
    torch.manual_seed(0)
    cell = DARTSCell(DARTS(), pairs, 1, 1, 1, operations=DARTS_OPERATIONS, **options).eval()
    cell.before, cell.previous = nn.Identity(), nn.Identity()
    return cell


def test_a_darts_cell_adds_and_joins():
    a, b = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    sources = (0, 1, 2, 1, 3, 0, 4, 2)
    cell = plain_cell([(source, 2) for source in sources])  # skips only
    expected = [a + b, a + 2 * b, 2 * a + 2 * b, 3 * a + 3 * b]
    torch.testing.assert_close(cell(a, b), torch.cat(expected, dim=1))


def test_darts_operations_do_what_their_names_say():
    x = torch.arange(36.0).reshape(1, 1, 6, 6)
    scale = 1 / np.sqrt(1 + 1e-5)  # an untouched batch norm
    for name, pool in (("max", nn.functional.max_pool2d), ("avg", nn.functional.avg_pool2d)):
        options = {} if name == "max" else {"count_include_pad": False}
        for stride in (1, 2):
            op = DARTS_OPERATIONS[f"{name}_pool_3x3"](1, stride).eval()
            torch.testing.assert_close(op(x), pool(x, 3, stride, 1, **options) * scale)
    for name, op in ((n, make(4, 2)) for n, make in DARTS_OPERATIONS.items() if "conv" in n):
        kernel, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
        convs = [m for m in op.modules() if isinstance(m, nn.Conv2d)]
        assert len(convs) == (2 if dilation == 2 else 4)
        assert [c.groups for c in convs] == [4, 1] * (len(convs) // 2)
        assert {c.kernel_size[0] for c in convs} == {kernel, 1}
        assert convs[0].dilation == (dilation, dilation)
        assert [c.stride[0] for c in convs] == [2] + [1] * (len(convs) - 1)
        assert op(torch.rand(2, 4, 6, 6)).shape == (2, 4, 3, 3)
    assert isinstance(DARTS_OPERATIONS["skip_connect"](4, 1), nn.Identity)


@pytest.mark.parametrize(("cells", "halved"), [(1, [1, 3]), (2, [2, 5]), (6, [6, 13])])
def test_darts_reduces_at_a_third_and_two_thirds(cells, halved):
    with torch.device("meta"):
        network = build_network(RANDOM_DARTS[0], "darts", width=4, cells=cells)
    built = [m for m in network.modules() if isinstance(m, DARTSCell)]
    assert len(built) == 3 * cells + 2
    reduction = [source for source, _ in RANDOM_DARTS[0][1]]
    sizes = [c.previous[1].out_channels for c in built]
    assert [i for i in range(1, len(sizes)) if sizes[i] != sizes[i - 1]] == halved
    assert all(built[i].sources == reduction for i in halved)
    assert [i for i, c in enumerate(built) if isinstance(c.before, FactorizedReduce)] == [
        i + 1 for i in halved
    ]


# --- both ---


@pytest.mark.parametrize(
    ("space", "architecture", "channels"),
    [("nb101", cell, 12) for cell in NB101_CELLS] + [("darts", a, 48) for a in RANDOM_DARTS],
)
@pytest.mark.parametrize(("size", "cells"), [(32, 1), (20, 2), (13, 1)])
def test_shapes_of_nb101_and_darts(space, architecture, channels, size, cells):
    network = build_network(
        architecture, space, width=3, cells=cells, classes=7, in_channels=1, random_state=0
    )
    seen = []
    (pool,) = [m for m in network.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]
    pool.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    assert network(torch.ones(2, 1, size, size)).shape == (2, 7)
    assert seen == [(2, channels, -(-size // 4), -(-size // 4))]
    assert isinstance(network[-1], nn.Linear)


@pytest.mark.parametrize(
    ("space", "architecture"), [("nb101", NB101_CELLS[3]), ("darts", RANDOM_DARTS[1])]
)
def test_every_proxy_scores_nb101_and_darts(space, architecture):
    batch = np.random.default_rng(0).normal(size=(6, 3, 8, 8)), np.arange(6) % 3
    scores = []
    for _ in range(2):
        network = build_network(architecture, space, width=4, cells=1, classes=3, random_state=1)
        scores.append(score_network(network, batch))
    assert scores[0]["error"] == ""
    values = np.array([[score[name] for name in BUILT_IN] for score in scores])
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[0], values[1])
    assert scores[0]["params"] == count(network) / 1e6


def test_the_seed_decides_the_weights():
    state = torch.get_rng_state()
    one, two, other = (build_network((2,) * 6, random_state=s, **TINY) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one[0].weight, other[0].weight)


def test_a_space_of_your_own():
    space = CellSpace(["skip_connect", "nor_conv_3x3"], edges=[(0, 1), (0, 2), (1, 2)])
    assert build_network((1, 0, 1), space, **TINY)(torch.ones(2, 3, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"cells": 1.5}, "cells=1.5"),
        ({"classes": True}, "classes=True"),
        ({"in_channels": -1}, "in_channels=-1"),
        ({"random_state": "a"}, "random_state='a'"),
        ({"space": "tnb101-macro", "architecture": (4, 1, 1, 2)}, "NETWORKS"),
        ({"space": "nb101", "architecture": NB101_CELLS[2], "width": 1}, "width=1 is too small"),
        ({"space": "nb101", "architecture": (0, 1)}, "it has 2 entries"),
        ({"space": "darts", "architecture": "Genotype()"}, "genotype"),
        ({"space": CellSpace(["fold"], edges=[(0, 1)]), "architecture": (0,)}, "fold"),
        ({"architecture": (9,) * 6}, "operation id 9"),
    ],
)
def test_errors_teach(options, message):
    options = {"architecture": (0,) * 6} | options
    with pytest.raises(ValueError, match=message):
        build_network(**options)
