"""Architectures as PyTorch modules."""

import numpy as np
import pytest
import torch
from torch import nn

from graf_utils.datasets import load_table
from graf_utils.networks import OPERATIONS, EdgeCell, build_network
from graf_utils.spaces import NB201, CellSpace

SPACE = NB201()
TINY = {"width": 4, "cells": 1}


def count(network):
    return sum(p.numel() for p in network.parameters())


def single(op):
    """A cell whose only way is edge 1-4 with `op`."""
    none = SPACE.operations.index("none")
    return (none, none, SPACE.operations.index(op), none, none, none)


@pytest.mark.parametrize("op", SPACE.operations)
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (12, 3), (32, 3)])
def test_shapes(op, size, channels):
    network = build_network(single(op), classes=7, in_channels=channels, **TINY, random_state=0)
    x = torch.ones(2, channels, size, size)
    assert network(x).shape == (2, 7)
    cell = EdgeCell(SPACE, single(op), channels)
    assert cell(x).shape == x.shape


def test_operations_do_what_their_names_say():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert not EdgeCell(SPACE, single("none"), 1)(x).any()
    assert torch.equal(EdgeCell(SPACE, single("skip_connect"), 1)(x), x)
    pooled = EdgeCell(SPACE, single("avg_pool_3x3"), 1)(x)
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
    assert torch.equal(EdgeCell(SPACE, (0,) * 6, 1)(x), 4 * x)  # four paths of skips


def test_parameters_are_those_of_the_formula():
    cells = SPACE.enumerate()[::211]
    for options in ({}, {"width": 6, "cells": 2, "classes": 3}):
        expected = SPACE.cost(cells, **options)[:, 0]
        with torch.device("meta"):
            built = [count(build_network(cell, **options)) for cell in SPACE.decode(cells)]
        np.testing.assert_array_equal(np.array(built) / 1e6, expected)


@pytest.mark.paper
def test_parameters_are_the_published_ones(paper_dir):
    """All 9,445 valid cells: the count depends on the operation counts only, so one net of each."""
    table = load_table("nb201-cifar10", source="paper")
    cells = SPACE.encode(table.architectures)
    counts = (cells[:, :, None] == np.arange(5)).sum(axis=1)
    kinds, first, kind = np.unique(counts, axis=0, return_index=True, return_inverse=True)
    assert len(cells) == 9445
    with torch.device("meta"):
        built = [count(build_network(cell)) for cell in SPACE.decode(cells[first])]
    params = np.array(built)[kind.ravel()] / 1e6
    np.testing.assert_allclose(params, table.proxies["params"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(params, SPACE.cost(cells)[:, 0])


@pytest.mark.paper
def test_tnb101_micro_has_the_published_parameters(paper_dir):
    """Depends on each operation's count on the edges from the input and on the others."""
    table = load_table("tnb101-micro-class_scene", source="paper")
    codes = table.space.encode(table.architectures)
    first = [source == 1 for source, _ in table.space.edges]
    ids = np.arange(4)
    near, far = (
        (codes[:, np.array(first) == side, None] == ids).sum(axis=1) for side in (True, False)
    )
    _, row, kind = np.unique(np.hstack([near, far]), axis=0, return_index=True, return_inverse=True)
    with torch.device("meta"):
        nets = [build_network(c, table.space, classes=63) for c in table.space.decode(codes[row])]
    params = np.array([count(net) for net in nets])[kind.ravel()] / 1e6
    np.testing.assert_allclose(params, table.proxies["params"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", [(0,) * 6, (1,) * 6, (2,) * 6, (3, 0, 1, 1, 2, 0)])
@pytest.mark.parametrize("size", [32, 20])
def test_tnb101_micro_shapes(cell, size):
    network = build_network(cell, "tnb101-micro", width=4, classes=7, random_state=0)
    assert network(torch.ones(2, 3, size, size)).shape == (2, 7)


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
        ({"space": "darts", "architecture": None}, "NETWORKS"),
        ({"space": CellSpace(["fold"], edges=[(0, 1)]), "architecture": (0,)}, "fold"),
        ({"architecture": (9,) * 6}, "operation id 9"),
    ],
)
def test_errors_teach(options, message):
    from graf_utils.spaces import DARTS

    options = {"architecture": (0,) * 6} | options
    if options["architecture"] is None:
        options["architecture"] = DARTS().sample(1, random_state=0)[0]
    with pytest.raises(ValueError, match=message):
        build_network(**options)
