"""The page on nested grammars: what its `read` writes down is what tracing the network finds."""

import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from graf_utils.operators import OperatorFeatures, OperatorGraph

SCRIPT = Path(__file__).resolve().parent / "adapt" / "nested_grammar.py"
W = 32


@pytest.fixture(scope="module")
def page():
    """The functions of the page's script, without what it runs below them."""
    text = SCRIPT.read_text(encoding="utf8").split("\nrng = ")[0]
    module = types.ModuleType("nested_grammar")
    exec(compile(text, str(SCRIPT), "exec"), module.__dict__)
    return module


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(W, W), nn.Linear(W, W)

    def forward(self, x):
        return self.second(functional.gelu(self.first(x)))


class PreNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(W), nn.Linear(W, W)

    def forward(self, x):
        return self.linear(self.norm(x)) + x


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(W, W), nn.Linear(W, W), nn.Linear(W, W)
        self.norm = nn.LayerNorm(W)

    def forward(self, x):
        y = functional.gelu(self.a(x)) + self.norm(x)
        y = self.b(y) + y
        return self.c(y) + x


LINEAR, NORM, GELU = ("linear",), ("layer_norm",), ("gelu",)
NETWORKS = [
    (Perceptron, ("sequence", LINEAR, ("sequence", GELU, LINEAR)), 1),
    (PreNorm, ("residual", ("sequence", NORM, LINEAR)), 2),
    (
        Nested,
        (
            "residual",
            (
                "sequence",
                ("branch", ("sequence", LINEAR, GELU), NORM),
                ("sequence", ("residual", LINEAR), LINEAR),
            ),
        ),
        5,
    ),
]


@pytest.mark.parametrize(("module", "expression", "n_paths"), NETWORKS)
def test_an_expression_gives_the_graph_of_its_network(page, module, expression, n_paths):
    written = page.graph(expression)
    traced = OperatorGraph.from_module(module(), (torch.zeros(4, W),))
    assert sorted(written.kinds) == sorted(traced.kinds)
    assert sum(written.numbers["parameters"]) == sum(p.numel() for p in module().parameters())
    ways = np.zeros(written.n_nodes)
    ways[0] = 1
    for source, target in written.edges:
        ways[target] += ways[source]
    assert ways[-1] == n_paths


@pytest.mark.parametrize(("module", "expression", "n_paths"), NETWORKS)
def test_features_are_equal_but_for_numbers_that_are_not_stated(page, module, expression, n_paths):
    traced = OperatorGraph.from_module(module(), (torch.zeros(4, W),))
    features = OperatorFeatures().set_output(transform="pandas")
    first, second = features.fit_transform([page.graph(expression), traced]).to_numpy()
    names = features.get_feature_names_out()
    differ = names[~((first == second) | (np.isnan(first) & np.isnan(second)))]
    unstated = ("multiply_add", "outputs", "channels")
    assert [name for name in differ if not any(word in name for word in unstated)] == []
    assert len(differ) < 40


def test_the_page_computes_what_it_says(page):
    """`run`, which gives the target, is the network that `read` writes down."""
    torch.manual_seed(0)
    model = Nested()
    leaves = iter([model.a, nn.GELU(), model.norm, model.b, model.c])
    replaced = {name: lambda: next(leaves) for name in page.LEAVES}
    page.LEAVES, kept = replaced, page.LEAVES
    x = torch.randn(4, W)
    try:
        torch.testing.assert_close(page.run(NETWORKS[2][1], x), model(x))
    finally:
        page.LEAVES = kept
