"""Scores of networks that are no classifiers of images: yours to build, with a loss of your own."""

import copy
import functools
import importlib
import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from written import Written

from graf_utils.networks import FunctionBuilder
from graf_utils.proxies import BUILT_IN
from graf_utils.scoring import score, score_network
from graf_utils.spaces import CellSpace

RNG = np.random.default_rng(0)
N, LENGTH, WORDS, WIDTH = 6, 10, 11, 16
TOKENS = RNG.integers(0, WORDS, size=(N, LENGTH))
VECTORS = RNG.normal(size=(N, 5)).astype(np.float32)
CLASSES = np.arange(N) % 3
SPACE = CellSpace(["narrow", "wide", "deep"], edges=[(0, 1), (1, 2)], name="mine")
CELLS = [(0, 1), (1, 1), (2, 0)]
QUIET = {"progress": False, "space": SPACE}


def reasons(scores):
    return dict(part.split(": ", 1) for part in scores["error"].split("; ") if part)


class Reader(nn.Module):
    """A small transformer: from tokens to a class, or to the next token."""

    def __init__(self, heads=4, each=False):
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.body = nn.TransformerEncoderLayer(
            WIDTH, heads, 2 * WIDTH, dropout=0.0, batch_first=True
        )
        self.head = nn.Linear(WIDTH, WORDS if each else 3)
        self.each = each

    def forward(self, x):
        x = self.body(self.embed(x))
        return self.head(x if self.each else x.mean(1))


def perceptron(code):
    """Hidden layers as the cell says; a function of an architecture."""
    widths = [5, *(4 * (op + 1) for op in code)]
    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    layers = [layer for pair in pairs for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 3))


def make_reader():
    torch.manual_seed(0)
    return Reader()


# --- inputs of any shape ------------------------------------------------------------------------


def test_tokens_are_scored_by_hand():
    network = make_reader()
    scores = score_network(network, (TOKENS, CLASSES))
    loss = F.cross_entropy(network(torch.as_tensor(TOKENS)), torch.as_tensor(CLASSES))
    weights = [p for p in network.parameters() if p.ndim > 1]
    slopes = torch.autograd.grad(loss, weights)
    expected = {
        "snip": sum((w * g).abs().sum().item() for w, g in zip(weights, slopes, strict=True)),
        "grad_norm": sum(g.norm().item() for g in slopes),
        "l2_norm": sum(w.norm().item() for w in weights),
        "params": sum(p.numel() for p in network.parameters()) / 1e6,
    }
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-4), name
    assert set(reasons(scores)) == {"fisher", "synflow", "jacov", "epe_nas", "zen"}
    for name in ("synflow", "jacov", "epe_nas", "zen"):
        assert "tokens" in reasons(scores)[name]
    assert "embed.weight" in reasons(scores)["fisher"]


class Named(nn.Module):
    """Another network's output, with what went in beside it."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return {"given": x, "logits": self.network(x)}


def test_several_outputs_of_a_network_without_convolutions_and_relu():
    network = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 3))
    vectors = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    alone = score_network(network, (vectors, CLASSES[:6]))

    def loss(output, labels):
        return F.cross_entropy(output["logits"], labels)

    both = score_network(Named(network), (vectors, CLASSES[:6]), loss=loss)
    assert set(reasons(alone)) == {"zen"}
    assert set(reasons(both)) == {"zen", "synflow", "jacov", "epe_nas"}
    for name in ("synflow", "jacov", "epe_nas"):
        assert np.isnan(both[name])
        assert "the network returns dict" in reasons(both)[name]
    for name in ("params", "flops", "snip", "grad_norm", "grasp", "fisher", "plain", "nwot"):
        assert both[name] == pytest.approx(alone[name], rel=1e-5), name


@pytest.mark.parametrize("kind", ["vectors", "signals", "sequences", "one channel", "volumes"])
def test_inputs_of_other_shapes(kind):
    shapes = {
        "vectors": ((5,), [nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)]),
        "signals": (
            (2, 12),
            [nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)],
        ),
        "sequences": ((7, 4), [nn.Linear(4, 8), nn.ReLU(), nn.Flatten(), nn.Linear(56, 3)]),
        "one channel": (
            (1, 8, 8),
            [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)],
        ),
        "volumes": (
            (1, 4, 4, 4),
            [nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)],
        ),
    }
    shape, layers = shapes[kind]
    torch.manual_seed(0)
    network = nn.Sequential(*layers)
    inputs = RNG.normal(size=(N, *shape)).astype(np.float32)
    scores = score_network(network, (inputs, CLASSES))
    missing = set(reasons(scores))
    assert missing <= {"zen"}
    assert missing == ({"zen"} if kind in ("vectors", "sequences", "volumes") else set())
    assert all(math.isfinite(scores[name]) for name in set(BUILT_IN) - missing)
    assert scores["jacov"] < -N + 1e-6


def test_whole_numbers_for_a_network_that_takes_numbers_have_a_reason():
    scores = score_network(perceptron((0, 0)), (VECTORS.round().astype(int), CLASSES), "snip")
    assert math.isnan(scores["snip"])
    again = score_network(
        perceptron((0, 0)), (VECTORS.round().astype(int).astype("float32"), CLASSES), "snip"
    )
    assert math.isfinite(again["snip"])


def test_whole_images_are_numbers():
    pixels = RNG.integers(0, 255, size=(N, 1, 8, 8), dtype=np.uint8)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    one, other = (score_network(network, (x, CLASSES), "snip") for x in (pixels, pixels * 1.0))
    assert one["snip"] == other["snip"] > 0


def test_the_networks_of_a_space_say_what_they_take():
    with pytest.raises(ValueError, match=r"images\[:, None\]"):
        score([(0,) * 6], "snip", (RNG.normal(size=(N, 8, 8)), CLASSES), progress=False)
    images = RNG.normal(size=(N, 8, 8))[:, None]
    rows = score([(2,) * 6], "snip", (images, CLASSES), width=4, cells=1, progress=False)
    assert rows["error"].eq("").all()


# --- losses of your own -------------------------------------------------------------------------


def test_a_regression():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 2))
    target = RNG.normal(size=(N, 2))
    scores = score_network(network, (VECTORS, target), loss=F.mse_loss)
    output = network(torch.as_tensor(VECTORS))
    loss = F.mse_loss(output, torch.as_tensor(target, dtype=torch.float32))
    weights = [p for p in network.parameters() if p.ndim > 1]
    slopes = torch.autograd.grad(loss, weights)
    by_hand = sum((w * g).abs().sum().item() for w, g in zip(weights, slopes, strict=True))
    assert scores["snip"] == pytest.approx(by_hand, rel=1e-5)
    assert "no classes" in reasons(scores)["epe_nas"]
    assert set(reasons(scores)) == {"epe_nas", "zen"}


def next_token(output, labels):
    return F.cross_entropy(output.flatten(0, 1), labels.flatten())


def test_a_label_for_each_token():
    torch.manual_seed(0)
    network = Reader(each=True)
    scores = score_network(network, (TOKENS, TOKENS), ["grad_norm", "grasp"], loss=next_token)
    weights = [p for p in network.parameters() if p.ndim > 1]
    x = torch.as_tensor(TOKENS)
    slopes = torch.autograd.grad(next_token(network(x), x), weights)
    by_hand = sum(g.norm().item() for g in slopes)
    assert scores["grad_norm"] == pytest.approx(by_hand, rel=1e-4)
    assert scores["error"] == ""


def test_a_loss_with_a_state_is_left_alone_and_seeded():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = nn.Parameter(torch.zeros(()), requires_grad=False)

        def forward(self, output, labels):
            self.calls += 1
            return F.cross_entropy(output + torch.randn_like(output) + self.calls, labels)

    loss, network = Noisy(), perceptron((1, 1))
    alone = score_network(network, (VECTORS, CLASSES), "grasp", loss=loss)["grasp"]
    among = score_network(network, (VECTORS, CLASSES), loss=loss)["grasp"]
    assert alone == among
    assert loss.calls == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda output, labels: 3.0,
        lambda output, labels: F.cross_entropy(output, labels, reduction="none"),
        lambda output, labels: F.cross_entropy(output, labels).detach(),
        lambda output, labels: None,
    ],
)
def test_what_is_no_loss_has_a_reason(loss):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 3))
    scores = score_network(network, (VECTORS, CLASSES), ["snip", "nwot"], loss=loss)
    assert math.isnan(scores["snip"])
    assert "must return one number" in reasons(scores)["snip"]
    assert math.isfinite(scores["nwot"])


@pytest.mark.parametrize("loss", [3, "mse", nn.MSELoss])
def test_what_cannot_be_a_loss_is_refused(loss):
    with pytest.raises(ValueError, match=r"torch.nn.MSELoss\(\)"):
        score_network(perceptron((0, 0)), (VECTORS, VECTORS[:, :3]), "snip", loss=loss)


# --- networks of your own -----------------------------------------------------------------------


def bits(network):
    """All that a network is: weights, gradients, buffers, modes, hooks, flags."""
    return (
        {name: value.clone() for name, value in network.state_dict().items()},
        [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        [p.requires_grad for p in network.parameters()],
        [(type(m), m.training, len(m._forward_hooks)) for m in network.modules()],
    )


def same(one, other):
    tensors = all(torch.equal(one[0][name], other[0][name]) for name in one[0])
    slopes = all(a is b or torch.equal(a, b) for a, b in zip(one[1], other[1], strict=True))
    return tensors and slopes and one[0].keys() == other[0].keys() and one[2:] == other[2:]


@pytest.mark.parametrize("kind", ["tokens", "vectors"])
def test_the_network_comes_back_bit_for_bit(kind):
    if kind == "tokens":
        network, batch = make_reader(), (TOKENS, CLASSES)
    else:
        network = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
        batch = (VECTORS, CLASSES)
    first = next(network.parameters())
    first.requires_grad_(False)
    for parameter in list(network.parameters())[1:]:
        parameter.grad = torch.ones_like(parameter)
    network.eval()
    before = bits(network)
    one = score_network(network, batch)
    assert same(bits(network), before)
    two = score_network(network, batch)
    assert all(one[name] == two[name] or math.isnan(one[name]) for name in BUILT_IN)
    rows = score(CELLS[:1], batch=batch, build=lambda code: network, **QUIET)
    assert same(bits(network), before)
    assert rows["snip"].notna().all()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_function_that_builds_is_the_same_in_workers(backend):
    import joblib

    scale = 3  # travels in the closure

    def build(code):
        network = perceptron(code)
        with torch.no_grad():
            network[0].weight.mul_(scale * np.random.rand())  # noqa: NPY002
        return network

    batch = (VECTORS, CLASSES)
    alone = score(CELLS, batch=batch, build=build, **QUIET)
    with joblib.parallel_config(backend):
        beside = score(CELLS[::-1], batch=batch, build=build, n_jobs=2, **QUIET)[::-1]
    columns = ["architecture", *BUILT_IN]
    pd.testing.assert_frame_equal(
        alone[columns], beside[columns].reset_index(drop=True), check_exact=True
    )
    assert alone["snip"].nunique() == 3
    assert [*alone["params"] * 1e6] == [
        sum(p.numel() for p in perceptron(code).parameters()) for code in CELLS
    ]


MODULE = """
from torch import nn

WIDTH = 4

def build(code, width=None):
    return nn.Sequential(nn.Linear(5, width or WIDTH), nn.ReLU(), nn.Linear(width or WIDTH, 3))

def count(run):
    return WIDTH
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(MODULE, encoding="utf8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("my_networks")
    sys.modules.pop("my_networks", None)


def test_a_module_that_was_changed_after_import_is_noticed(module):
    """A worker imports it afresh: the numbers would be those of the file, without a word."""
    import joblib
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)  # workers that know the module's folder
    options = {"batch": (VECTORS, CLASSES), "proxies": "params", "n_jobs": 2, **QUIET}
    with joblib.parallel_config("loky"):
        rows = score(CELLS, build=module.build, **options)
        assert rows["params"].eq((5 * 4 + 4 + 4 * 3 + 3) / 1e6).all()
        module.WIDTH = 8
        expected = score(CELLS, build=module.build, **options | {"n_jobs": 1})["params"]
        with pytest.raises(ValueError, match=r"functools\.partial\(build, width=8\)"):
            score(CELLS, build=module.build, **options)
        module.WIDTH = 4
        rows = score(CELLS, build=functools.partial(module.build, width=8), **options)
        assert rows["params"].equals(expected)
        module.WIDTH = 8
        with pytest.raises(ValueError, match="is another in a worker"):
            score(CELLS, build=perceptron, **options | {"proxies": {"mine": module.count}})


def test_a_network_that_cannot_be_built_is_a_row(tmp_path):
    def build(code):
        if code == CELLS[1]:
            raise RuntimeError("no room for two wide layers")
        return perceptron(code)

    file = tmp_path / "scores.jsonl"
    options = {"batch": (VECTORS, CLASSES), "build": build, "proxies": ["snip", "nwot"], **QUIET}
    for order in (CELLS, CELLS[1:]):  # also as the first
        rows = score(order, checkpoint=file, **options).set_index("architecture")
        lost = rows.loc[[CELLS[1]]].iloc[0]
        assert lost["error"] == "build: RuntimeError: no room for two wide layers"
        assert lost[["snip", "nwot"]].isna().all()
        assert rows.drop(index=[CELLS[1]])[["snip", "nwot"]].notna().all(axis=None)
    assert len(file.read_text(encoding="utf8").splitlines()) == 4  # nothing was computed again


def test_an_edited_loss_or_function_is_another_setting(tmp_path):
    file = tmp_path / "scores.jsonl"
    options = {"batch": (VECTORS, VECTORS[:, :3]), "proxies": "snip", "checkpoint": file, **QUIET}
    score(CELLS, build=perceptron, loss=F.mse_loss, **options)
    with pytest.raises(ValueError, match="the loss changed"):
        score(CELLS, build=perceptron, loss=F.l1_loss, **options)
    with pytest.raises(ValueError, match="networks' code or operations changed"):
        score(CELLS, build=lambda code: perceptron(code), loss=F.mse_loss, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"build": perceptron, "width": 8}, r"functools\.partial\(build, width=...\)"),
        ({"build": perceptron, "operations": {"wide": len}}, "operations=.*has no use beside"),
        ({"build": lambda: 3}, "a function of one argument"),
        ({"build": lambda a, b: 3}, "a function of one argument"),
        ({"build": 3}, "a function of one argument"),
        ({"build": lambda code: 3}, "returned int"),
        ({"build": lambda code: nn.Linear}, "returned type"),
    ],
)
def test_what_does_not_build_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        score(CELLS, "snip", (VECTORS, CLASSES), **QUIET | options)


def test_the_remedies_work():
    def build(code, width):
        return nn.Sequential(nn.Linear(5, width), nn.Linear(width, 3))

    with pytest.raises(ValueError, match="functools.partial"):
        score(CELLS, "params", (VECTORS, CLASSES), build=build, **QUIET)
    fixed = functools.partial(build, width=8)
    rows = score(CELLS, "params", (VECTORS, CLASSES), build=fixed, **QUIET)
    assert rows["params"].eq((5 * 8 + 8 + 8 * 3 + 3) / 1e6).all()


def test_a_builder_seeds_and_leaves_the_random_numbers():
    build = FunctionBuilder(perceptron, SPACE)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, other = build(CELLS[0], 1), build(CELLS[0], 1), build(CELLS[0], 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one[0].weight, two[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


# --- multiply-adds ------------------------------------------------------------------------------


def flops_of(network, inputs):
    return score_network(network, (inputs, CLASSES), "flops")["flops"] * 1e6


def of_pytorch(network, inputs):
    """PyTorch's own count, of one input: two for each multiply-add of products and convolutions."""
    network = copy.deepcopy(network).eval()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        network(torch.as_tensor(inputs[:1]).requires_grad_())
    return counter.get_total_flops() / 2


@settings(max_examples=20)
@given(
    heads=st.sampled_from([1, 2, 4]),
    size=st.sampled_from([4, 8]),
    length=st.integers(1, 12),
    weights=st.booleans(),
    bias=st.booleans(),
)
def test_attention_by_formula(heads, size, length, weights, bias):
    """Three projections and one of the output, once per token; two products per pair of tokens."""
    d = heads * size
    attention = nn.MultiheadAttention(d, heads, bias=bias, batch_first=True)
    network = Written(
        lambda s, x: s.body(x, x, x, need_weights=weights)[0][:, 0, :3], body=attention
    )
    inputs = np.ones((N, length, d), dtype=np.float32)
    assert flops_of(network, inputs) == pytest.approx(4 * length * d * d + 2 * length**2 * d)


@settings(max_examples=20)
@given(
    heads=st.integers(1, 3),
    queries=st.integers(1, 6),
    keys=st.integers(1, 6),
    d=st.integers(1, 5),
    causal=st.booleans(),
)
def test_the_function_of_attention_by_formula(heads, queries, keys, d, causal):
    def forward(self, x):
        q = x[:, : queries * heads * d].reshape(-1, heads, queries, d)
        k = x[:, -keys * heads * d :].reshape(-1, heads, keys, d)
        out = F.scaled_dot_product_attention(q, k, k, is_causal=causal)
        return out.flatten(1)[:, :1].expand(-1, 3)

    inputs = np.ones((N, max(queries, keys) * heads * d), dtype=np.float32)
    assert flops_of(Written(forward), inputs) == pytest.approx(2 * heads * queries * keys * d)


SEQUENCES = RNG.normal(size=(N, LENGTH, WIDTH)).astype(np.float32)
SIGNALS = RNG.normal(size=(N, 4, 20)).astype(np.float32)


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (Written(lambda s, x: F.linear(x, s.w), w=nn.Parameter(torch.ones(3, 5))), VECTORS),
        (Written(lambda s, x: x @ s.w, w=nn.Parameter(torch.ones(5, 3))), VECTORS),
        (
            Written(
                lambda s, x: torch.einsum("nld,hkd->nlhk", x, s.w).flatten(1),
                w=nn.Parameter(torch.ones(4, 4, WIDTH)),
            ),
            SEQUENCES,
        ),
        (
            Written(lambda s, x: F.conv1d(x, s.w, groups=2), w=nn.Parameter(torch.ones(6, 2, 3))),
            SIGNALS,
        ),
        (
            Written(lambda s, x: F.conv_transpose1d(x, s.w), w=nn.Parameter(torch.ones(4, 6, 3))),
            SIGNALS,
        ),
        (
            Written(
                lambda s, x: torch.bmm(torch.tanh(x), torch.tanh(x).transpose(1, 2)).flatten(1)
            ),
            SEQUENCES,
        ),
        (
            Written(
                lambda s, x: F.multi_head_attention_forward(
                    x, x, x, WIDTH, 4, s.w, None, None, None, False, 0.0, s.o, None,
                    need_weights=True,
                )[0],
                w=nn.Parameter(torch.ones(3 * WIDTH, WIDTH)),
                o=nn.Parameter(torch.ones(WIDTH, WIDTH)),
            ),
            SEQUENCES,
        ),
        (
            nn.MultiheadAttention(WIDTH, 4, kdim=8, vdim=4, batch_first=True),
            SEQUENCES,
        ),
    ],
    ids=[
        "linear", "product", "einsum", "conv1d", "transposed", "bmm", "attention's function",
        "other keys",
    ],
)  # fmt: skip
def test_functions_are_counted_as_pytorch_counts(network, inputs):
    if isinstance(network, nn.MultiheadAttention):
        body = network
        network = Written(lambda s, x: s.body(x, x[..., :8], x[..., :4])[0], body=body)
    expected = of_pytorch(network, inputs)
    assert flops_of(network, inputs) == expected > 0


def test_a_transformer_differs_from_pytorchs_count_by_what_that_leaves_out():
    """Norms count two per element, ReLU one, and the mean over tokens one."""
    network = make_reader()
    left_out = 2 * 2 * LENGTH * WIDTH + LENGTH * 2 * WIDTH + LENGTH * WIDTH
    network_of_numbers = Written(lambda s, x: s.head(s.body(x).mean(1)), **{
        "body": network.body, "head": network.head,
    })  # fmt: skip
    expected = of_pytorch(network_of_numbers, SEQUENCES) + left_out
    # PyTorch's counter does not see the two products per head inside of attention if these are one
    pairs = 2 * LENGTH**2 * WIDTH
    assert flops_of(network, TOKENS) in (expected, expected + pairs)
    by_formula = 4 * LENGTH * WIDTH**2 + pairs + 2 * LENGTH * WIDTH * 2 * WIDTH + 3 * WIDTH
    assert flops_of(network, TOKENS) == by_formula + left_out


@pytest.mark.parametrize(
    "function",
    [
        lambda s, x: torch.fft.rfft(x).real[:, :3],
        lambda s, x: F.bilinear(x, x, s.w),
        lambda s, x: torch.cdist(x, x)[:, :3],
        lambda s, x: torch.linalg.solve(torch.eye(5), x.T).T[:, :3],
    ],
)
def test_what_is_not_known_has_no_count(function):
    network = Written(function, w=nn.Parameter(torch.ones(3, 5, 5)))
    scores = score_network(network, (VECTORS, CLASSES), "flops")
    assert math.isnan(scores["flops"])
    assert "are not known" in scores["error"]


def test_the_example_of_the_reference_runs():
    book = Path(__file__).resolve().parent.parent / "book"
    page = (book / "api_networks.md").read_text(encoding="utf8")
    (block,) = re.findall(r"```python\n(.*?build=perceptron.*?)```", page, re.DOTALL)
    block = block.split("```python\n")[-1]
    cells = [(2, 3, 0, 4, 2, 1), (0, 0, 1, 1, 2, 0)]
    names = {"cells": cells, "vectors": VECTORS, "prices": VECTORS[:, :1]}
    exec(block, names)
    assert names["rows"][["snip", "nwot", "flops"]].notna().all(axis=None)
    widths = [8 * (1 + sum(code)) for code in cells]
    assert [*names["rows"]["flops"] * 1e6] == [5 * w + w + w for w in widths]
