"""PyTorch modules as operator graphs: the same function in another dress, numbers, errors."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from graf_utils.operators import KINDS, Layer, OperatorFeatures, OperatorGraph
from graf_utils.operators.tracing import OPERATORS, Mapped

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parent.parent
IMAGE = torch.empty(1, 3, 16, 16, device="meta")
TOKENS = torch.empty(2, 5, 16, device="meta")


def trace(model, inputs=IMAGE):
    """The graph; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return OperatorGraph.from_module(model, inputs)


def count(graph):
    return {k: n for k, n in Counter(graph.kinds).items() if k not in ("input", "output")}


class Function(nn.Module):
    """A module whose forward pass is a function of the module and its inputs."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs, **named):
        return self.function(self, *inputs, **named)


def weight(*shape):
    return nn.Parameter(torch.zeros(shape))


# --- the same function in another dress -----------------------------------------------------------


def conv_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))


def conv_norm_functional():
    def forward(self, x):
        x = F.conv2d(x, self.w, self.b, stride=2)
        x = F.batch_norm(x, self.mean, self.var, self.gamma, self.beta)
        return F.conv2d(torch.relu(x), self.w2, self.b2)

    sizes = {
        "w": (8, 3, 3, 3),
        "b": (8,),
        "gamma": (8,),
        "beta": (8,),
        "w2": (8, 8, 1, 1),
        "b2": (8,),
    }
    model = Function(forward, **{name: weight(*size) for name, size in sizes.items()})
    model.register_buffer("mean", torch.zeros(8))
    model.register_buffer("var", torch.ones(8))
    return model


def residual(in_place):
    """Norm, ReLU and convolution behind each other, with a way past all three, or past the last."""

    def forward(self, x):
        x = self.first(x)
        y = F.relu(self.norm(x), inplace=in_place)
        y = self.second(y)
        if in_place:
            y += x
        else:
            y = torch.add(y, x)
        return F.relu_(y) if in_place else F.relu(y)

    parts = {"first": nn.Conv2d(3, 8, 3, padding=1), "norm": nn.BatchNorm2d(8)}
    return Function(forward, **parts, second=nn.Conv2d(8, 8, 3, padding=1))


def aliased(in_place):
    """A ReLU in place changes what is added later; a view of it is changed, too."""

    def forward(self, x):
        x = self.first(x)
        flat = x.flatten(1)
        if in_place:
            F.relu_(x)
        else:
            x = F.relu(x)
            flat = x.flatten(1)
        return self.head(flat) + self.pool(x).flatten(1)

    parts = {"first": nn.Conv2d(3, 8, 3, padding=1), "head": nn.Linear(8 * 16 * 16, 8)}
    return Function(forward, **parts, pool=nn.AdaptiveAvgPool2d(1))


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attention(how, heads=4, width=16):
    """Self-attention with projections, five ways to write it."""

    def forward(self, x):
        q, k, v = (split_heads(layer(x), heads) for layer in (self.q, self.k, self.v))
        if how == "fused":
            y = F.scaled_dot_product_attention(q, k, v)
        elif how == "eager":
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(width // heads)
            y = F.dropout(scores.softmax(-1), 0.1, self.training) @ v
        elif how == "einsum":
            scores = torch.einsum("bhqd,bhkd->bhqk", q * 0.5, k)
            y = torch.einsum("bhqk,bhkd->bhqd", scores.softmax(-1), v)
        else:  # a masked product of matrices in three dimensions
            q, k, v = (each.reshape(-1, 5, width // heads) for each in (q, k, v))
            scores = torch.bmm(q, k.transpose(1, 2)).masked_fill(self.mask, -torch.inf)
            y = torch.bmm(scores.softmax(-1), v).reshape(2, heads, 5, -1)
        return self.out(y.transpose(1, 2).flatten(2))

    model = Function(forward, **{name: nn.Linear(width, width) for name in ("q", "k", "v", "out")})
    model.register_buffer("mask", torch.ones(5, 5).triu(1).bool())
    return model


def packed_attention(how, heads=4, width=16):
    def forward(self, x):
        packed = self.qkv(x)
        if how == "chunk":
            q, k, v = (split_heads(each, heads) for each in packed.chunk(3, dim=-1))
        elif how == "slices":
            parts = [packed[..., i * width : (i + 1) * width] for i in range(3)]
            q, k, v = (split_heads(each, heads) for each in parts)
        else:
            q, k, v = packed.reshape(2, 5, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(2, 5, -1))

    return Function(forward, qkv=nn.Linear(width, 3 * width), out=nn.Linear(width, width))


class OwnAttention(nn.Module):
    """nn.MultiheadAttention called in one of its ways."""

    def __init__(self, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.options = options

    def forward(self, x):
        return self.attention(x, x, x, **self.options)[0]


def encoder_layer(written_out):
    if not written_out:
        return nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")

    def forward(self, x):
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.second(F.gelu(self.first(x))))

    norms = {"norm1": nn.LayerNorm(16), "norm2": nn.LayerNorm(16)}
    linear = {"first": nn.Linear(16, 32), "second": nn.Linear(32, 16)}
    return Function(forward, attention=attention("eager"), **norms, **linear)


def layer_norm(how):
    def forward(self, x):
        if how == "module":
            return F.layer_norm(x, (16,), self.gamma, self.beta)
        mean = x.mean(-1, keepdim=True)
        if how == "var":
            variance = x.var(-1, keepdim=True, unbiased=False)
        else:
            variance = (x - mean).pow(2).mean(-1, keepdim=True)
        return self.gamma * ((x - mean) / torch.sqrt(variance + 1e-5)) + self.beta

    return nn.Sequential(
        nn.Linear(16, 16), Function(forward, gamma=weight(16), beta=weight(16)), nn.Linear(16, 16)
    )


def rms_norm(how):
    def forward(self, x):
        if how == "module":
            return F.rms_norm(x, (16,), self.gamma)
        square = x.pow(2) if how == "pow" else x * x
        return self.gamma * (x * torch.rsqrt(square.mean(-1, keepdim=True) + 1e-6))

    return nn.Sequential(nn.Linear(16, 16), Function(forward, gamma=weight(16)), nn.Linear(16, 16))


def gated(how):
    """A gated linear unit."""

    def forward(self, x):
        value, gate = self.both(x).chunk(2, -1) if how == "packed" else (self.up(x), self.gate(x))
        silu = gate * torch.sigmoid(gate) if how == "by hand" else F.silu(gate)
        return self.down(value * silu)

    parts = {"both": nn.Linear(16, 64)} if how == "packed" else {}
    if how != "packed":
        parts = {"up": nn.Linear(16, 32), "gate": nn.Linear(16, 32)}
    return Function(forward, **parts, down=nn.Linear(32, 16))


def activation(how):
    def forward(self, x):
        x = self.first(x)
        if how == "erf":
            return self.second(x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))))
        cube = torch.pow(x, 3.0) if how == "tanh" else x * x * x
        if how == "module":
            return self.second(F.gelu(x))
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * cube)
        return self.second(0.5 * x * (1.0 + torch.tanh(inner)))

    return Function(forward, first=nn.Linear(16, 32), second=nn.Linear(32, 16))


def shuffled(how):
    """Channels in another order: parts side by side, or a permutation."""

    def forward(self, x):
        x = self.first(x)
        if how == "parts":
            one, two = x.chunk(2, dim=1)
            x = torch.cat([two[:, :1], two[:, 1:], one], dim=1)
        else:
            x = x.unflatten(1, (2, -1)).flip(1).flatten(1, 2)
        return self.second(x)

    return Function(forward, first=nn.Conv2d(3, 8, 3), second=nn.Conv2d(8, 8, 3))


def cosine_attention(how):
    """Attention by the cosine of queries and keys, times a weight per head, plus one per place."""

    def forward(self, x):
        q, k, v = (split_heads(layer(x), 4) for layer in (self.q, self.k, self.v))
        if how == "normalize":
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        else:
            q, k = (each / each.norm(dim=-1, keepdim=True) for each in (q, k))
        scores = (
            q @ k.mT * self.scale.exp() if how == "normalize" else self.scale.exp() * (q @ k.mT)
        )
        y = (scores + self.places).softmax(-1) @ v
        return self.out(y.transpose(1, 2).flatten(2))

    layers = {name: nn.Linear(16, 16) for name in ("q", "k", "v", "out")}
    return Function(forward, scale=weight(4, 1, 1), places=weight(5, 5), **layers)


def overwritten(how):
    """A value that is written over by another, in the whole or in a slice that is all of it."""

    def forward(self, x):
        x = self.first(x)
        y = F.relu(self.second(x))
        if how == "slice":
            x[:, 0:] = y
        elif how == "copy":
            x.view(-1, 16).copy_(y.view(-1, 16))
        else:
            x = y
        return self.third(x)

    return Function(forward, **{name: nn.Linear(16, 16) for name in ("first", "second", "third")})


def in_full_precision(is_region):
    def forward(self, x):
        if not is_region:
            return self.second(F.relu(self.first(x)))
        with torch.autocast("cpu", enabled=False):
            y = F.relu(self.first(x))
        with torch.set_grad_enabled(True):
            return self.second(y)

    return Function(forward, first=nn.Linear(16, 32), second=nn.Linear(32, 16))


DRESSES = {
    "conv and norm": (IMAGE, conv_norm(), conv_norm_functional()),
    "in place": (IMAGE, residual(False), residual(True)),
    "in place, with a view": (IMAGE, aliased(False), aliased(True)),
    "attention": (
        TOKENS,
        *(attention(how) for how in ("fused", "eager", "einsum", "bmm")),
        *(packed_attention(how) for how in ("chunk", "slices", "unbind")),
        OwnAttention(),
        OwnAttention(need_weights=False),
    ),
    "encoder layer": (TOKENS, encoder_layer(False), encoder_layer(True)),
    "layer norm": (TOKENS, *(layer_norm(how) for how in ("module", "mean", "var"))),
    "rms norm": (TOKENS, *(rms_norm(how) for how in ("module", "pow", "product"))),
    "gate": (TOKENS, *(gated(how) for how in ("two layers", "packed", "by hand"))),
    "gelu": (TOKENS, *(activation(how) for how in ("module", "erf", "tanh", "product"))),
    "shuffle": (IMAGE, shuffled("parts"), shuffled("permutation")),
    "cosine attention": (TOKENS, *(cosine_attention(how) for how in ("normalize", "by hand"))),
    "overwritten": (TOKENS, *(overwritten(how) for how in ("new", "slice", "copy"))),
    "regions": (TOKENS, in_full_precision(False), in_full_precision(True)),
    "dropout": (TOKENS, nn.Linear(16, 4), nn.Sequential(nn.Dropout(), nn.Linear(16, 4))),
    "weight norm": (
        TOKENS,
        nn.Linear(16, 4),
        Function(lambda self, x: x @ self.w.t() + self.b, w=weight(4, 16), b=weight(4)),
    ),
}


@pytest.mark.parametrize("name", DRESSES)
def test_models_that_compute_the_same_have_the_same_features(name):
    inputs, *models = DRESSES[name]
    graphs = [trace(model, inputs) for model in models]
    features = OperatorFeatures().fit_transform(graphs)
    for row in range(1, len(graphs)):
        differ = ~np.isclose(features.loc[0], features.loc[row], atol=1e-6)
        assert not differ.any(), (row, features.T[differ].to_string())


def written_layer():
    """The encoder layer as a list of layers: ten tokens of 16 channels, two sequences of five."""

    def linear(c_in, c_out, **options):
        numbers = {
            "parameters": (c_in + 1) * c_out,
            "multiply_adds": 10 * c_in * c_out,
            "outputs": 10 * c_out,
            "channels": c_out,
        }
        return Layer("linear", numbers, label="linear", **options)

    plain = {"outputs": 160, "channels": 16}
    norm = Layer("normalisation", plain | {"parameters": 32}, "normed", label="layer_norm")
    products = {"heads": 4, "multiply_adds": 2 * 4 * 5 * 5 * (4 + 4)}
    return [
        *(linear(16, 16, name=name, inputs=("input",)) for name in "qkv"),
        Layer("attention", plain | products, inputs=("q", "k", "v")),
        linear(16, 16),
        Layer("add", plain, inputs=("input", "")),
        norm,
        linear(16, 32),
        Layer("activation", {"outputs": 320, "channels": 32}, label="gelu"),
        linear(32, 16),
        Layer("add", plain, inputs=("normed", "")),
        norm,
    ]


def test_a_network_written_as_layers_has_the_features_of_the_traced_one():
    graphs = [OperatorGraph.from_layers(written_layer()), trace(encoder_layer(False), TOKENS)]
    one, two = OperatorFeatures().fit_transform(graphs).to_numpy()
    np.testing.assert_allclose(one, two, atol=1e-9)


def test_cosine_attention_is_attention_with_normed_queries_and_keys():
    graph = trace(cosine_attention("normalize"), TOKENS)
    assert count(graph) == {"linear": 4, "normalisation": 2, "attention": 1}
    assert graph.numbers["parameters"].sum() == 4 * 17 * 16 + 4 + 25


def test_heads_channels_and_kernels_are_those_of_the_layers():
    graph = trace(attention("eager"), TOKENS)
    (at,) = [i for i, kind in enumerate(graph.kinds) if kind == "attention"]
    assert graph.numbers["heads"][at] == 4
    assert graph.numbers["channels"][at] == 16
    graph = trace(nn.Sequential(nn.Conv2d(3, 8, (3, 5), (1, 2)), nn.MaxPool2d(2)))
    assert graph.kinds == ("input", "conv", "pooling", "output")
    assert graph.numbers["kernel"][1:3].tolist() == [5, 2]
    assert graph.numbers["stride"][1:3].tolist() == [2, 2]
    assert graph.numbers["channels"].tolist() == [3, 8, 8, 8]
    assert graph.numbers["outputs"].tolist() == [768, 8 * 14 * 6, 8 * 7 * 3, 8 * 7 * 3]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(6, 6, 3, groups=6), "depthwise-conv"),
        (nn.Conv2d(6, 12, 3, groups=6), "depthwise-conv"),
        (nn.Conv2d(6, 12, 1, groups=6), "depthwise-conv"),
        (nn.ConvTranspose2d(6, 12, 3, groups=6), "depthwise-conv"),
        (nn.Conv2d(6, 12, 3, groups=2), "conv"),
        (nn.Conv2d(6, 3, 3, groups=3), "conv"),
        (nn.ConvTranspose2d(6, 3, 3, groups=3), "conv"),
        (nn.Conv2d(6, 6, 1), "pointwise-conv"),
        (nn.Conv2d(6, 6, 1, groups=2), "pointwise-conv"),
        (nn.ConvTranspose2d(6, 1, 3), "conv"),
        (nn.Conv2d(6, 1, (1, 3)), "conv"),
    ],
)
@pytest.mark.parametrize("shape", [(2, 6, 9, 9), (6, 9, 9)])
def test_kinds_of_convolutions(layer, kind, shape):
    graph = trace(layer, torch.empty(shape, device="meta"))
    assert graph.kinds == ("input", kind, "output")
    assert graph.numbers["channels"][1] == layer.out_channels


def test_weights_that_are_read_twice_are_shared():
    table, head = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
    head.weight = table.weight
    model = nn.Sequential(table, nn.Linear(16, 16), head)
    graph = trace(model, torch.zeros(1, 7, dtype=torch.long, device="meta"))
    assert graph.kinds == ("input", "embedding", "linear", "linear", "output")
    assert graph.shared.tolist() == [-1, 0, -1, 0, -1]
    features = OperatorFeatures(["sharing"]).fit_transform([graph])
    n_parameters = sum(p.numel() for p in model.parameters())  # each once
    assert math.expm1(features.loc[0, "sharing[log_distinct]"]) == pytest.approx(n_parameters)
    repeated = nn.Sequential(*[nn.Linear(16, 16)] * 3)  # one layer, three times
    assert trace(repeated, TOKENS).shared.tolist() == [-1, 0, 0, 0, -1]


@pytest.mark.parametrize("how", ["select", "unbind", "slice"])
def test_parts_of_what_is_made_of_weights_have_their_share_of_them(how):
    """Rotations of all layers and places, made once of weights; each layer takes its own."""

    def forward(self, x):
        made = self.w[:, None, :] * self.places[:, None]  # (layers, places, channels)
        parts = {
            "select": [made[0], made[1], made[2]],
            "unbind": made.unbind(0),
            "slice": [made[i : i + 1] for i in range(3)],
        }[how]
        for layer, part in zip(self.layers, parts, strict=True):
            x = layer(x) * part.sin() + x * part.cos()
        return x

    layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
    model = Function(forward, w=weight(3, 16), layers=layers)
    model.register_buffer("places", torch.arange(5.0))
    graph = trace(model, TOKENS)
    products = graph.numbers["parameters"][np.array(graph.kinds) == "multiply"]
    assert products.tolist() == [16] * 6  # a row of the weight each
    log_distinct = OperatorFeatures(["sharing"]).fit_transform([graph])["sharing[log_distinct]"]
    assert math.expm1(log_distinct[0]) == pytest.approx(sum(p.numel() for p in model.parameters()))


# --- networks of all sorts ------------------------------------------------------------------------


def transformer():
    return nn.Transformer(16, 4, 2, 2, 32, batch_first=True)


def mixer(depth=2, places=5, width=16):
    def mix(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))

    def mlp(size):
        return nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def block():
        norms = {"norm1": nn.LayerNorm(width), "norm2": nn.LayerNorm(width)}
        return Function(mix, tokens=mlp(places), channels=mlp(width), **norms)

    pooled = Function(lambda self, x: x.mean(1))
    return nn.Sequential(*(block() for _ in range(depth)), pooled, nn.Linear(width, 10))


def unet():
    def forward(self, x):
        above = F.relu(self.down(x))
        below = F.relu(self.below(F.max_pool2d(above, 2)))
        up = F.interpolate(self.up(below), scale_factor=2.0, mode="bilinear")
        return self.out(torch.cat([above, up, self.transposed(below)], dim=1))

    return Function(
        forward,
        down=nn.Conv2d(3, 8, 3, padding=1),
        below=nn.Conv2d(8, 16, 3, padding=1),
        up=nn.Conv2d(16, 8, 1),
        transposed=nn.ConvTranspose2d(16, 8, 2, 2),
        out=nn.Conv2d(24, 2, 1),
    )


def convnext_block(width=8):
    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.second(F.gelu(self.first(y)))
        return x + y.permute(0, 3, 1, 2)

    return nn.Sequential(
        nn.Conv2d(3, width, 4, 4),
        Function(
            forward,
            depthwise=nn.Conv2d(width, width, 7, padding=3, groups=width),
            norm=nn.LayerNorm(width),
            first=nn.Linear(width, 4 * width),
            second=nn.Linear(4 * width, width),
            scale=weight(width),
        ),
    )


def experts(how):
    """Three experts, of which each token takes two: all computed, or those that are chosen."""

    def forward(self, x):
        x = x.flatten(0, 1)
        scores, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        if how == "all":
            gates = torch.zeros(len(x), 3).scatter(1, chosen, scores)
            several = torch.stack([expert(x) for expert in self.experts], dim=1)
            return (gates.unsqueeze(-1) * several).sum(1)
        total = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows, place = torch.where(chosen == i)
            total = total.index_add(0, rows, expert(x[rows]) * scores[rows, place].unsqueeze(1))
        return total

    parts = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
    return Function(forward, gate=nn.Linear(16, 3), experts=parts)


def recurrent(kind):
    layer = getattr(nn, kind)(16, 8, 2, batch_first=True, bidirectional=True)
    return Function(
        lambda self, x: self.head(self.layer(x)[0][:, -1]), layer=layer, head=nn.Linear(16, 3)
    )


def test_a_transformer():
    graph = trace(transformer(), (TOKENS, TOKENS))
    assert count(graph) == {
        "linear": 2 * (4 + 2) + 2 * (2 * 4 + 2),
        "attention": 2 + 2 * 2,
        "normalisation": 2 * 2 + 2 * 3 + 2,
        "activation": 2 + 2,
        "add": 2 * 2 + 2 * 3,
    }
    assert graph.kinds.count("input") == 2


def test_a_mixer():
    graph = trace(mixer(), TOKENS)
    assert count(graph) == {
        "linear": 2 * 4 + 1, "normalisation": 4, "activation": 4, "add": 4, "pooling": 1,
    }  # fmt: skip
    row = OperatorFeatures(["log_paths", "depth"]).fit_transform([graph]).loc[0]
    assert row["log_paths"] == pytest.approx(math.log1p(2**4))
    assert (row["depth[shortest]"], row["depth[longest]"]) == (2, 10)


def test_a_unet():
    graph = trace(unet())
    assert count(graph) == {
        "conv": 3, "pointwise-conv": 2, "activation": 2, "pooling": 2, "concat": 1,
    }  # fmt: skip
    joined = graph.kinds.index("concat")
    assert graph.numbers["channels"][joined] == 24
    assert (graph.edges[:, 1] == joined).sum() == 3


def test_a_convnext_block():
    assert count(trace(convnext_block())) == {
        "conv": 1, "depthwise-conv": 1, "normalisation": 1, "linear": 2, "activation": 1,
        "multiply": 1, "add": 1,
    }  # fmt: skip


def test_experts_that_are_all_computed():
    kinds = count(trace(experts("all"), TOKENS))
    assert (kinds["linear"], kinds["multiply"], kinds["softmax"]) == (4, 1, 1)


def test_experts_that_are_chosen_have_sizes_that_nobody_knows():
    graph = trace(experts("chosen"), TOKENS)
    assert count(graph)["linear"] == 4
    unknown = np.isnan(graph.numbers["multiply_adds"])
    assert {graph.kinds[i] for i in np.flatnonzero(unknown)} == {"linear"}
    assert unknown.sum() == 3
    assert np.isfinite(OperatorFeatures().fit_transform([graph])).all(axis=None)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_recurrent_network(kind):
    model = recurrent(kind)
    graph = trace(model, TOKENS)
    assert count(graph) == {"recurrent": 1, "split": 1, "linear": 1}
    assert graph.numbers["parameters"].sum() == sum(p.numel() for p in model.parameters())
    matrices = sum(p.numel() for p in model.layer.parameters() if p.ndim == 2)
    at = graph.kinds.index("recurrent")
    assert graph.numbers["multiply_adds"][at] == 2 * 5 * matrices  # each step of each sequence


def test_inputs_by_name_and_several_outputs():
    def forward(self, one, two):
        return {"sum": self.layer(one) + two, "one": (one,)}

    model = Function(forward, layer=nn.Linear(16, 16))
    graph = trace(model, {"two": TOKENS, "one": TOKENS})
    assert sorted(graph.kinds) == ["add", "input", "input", "linear", "output", "output"]


def test_what_does_not_lead_to_the_output_is_gone():
    def forward(self, x):
        self.unused(x)
        ones = self.filled(x).fill_(1.0)
        return 0 * self.layer(x) + self.other(x) + torch.arange(16) + ones

    layers = {name: nn.Linear(16, 16) for name in ("unused", "layer", "filled", "other")}
    assert count(trace(Function(forward, **layers), TOKENS)) == {"linear": 1}


# --- multiply-adds --------------------------------------------------------------------------------

COUNTED = {
    "transformer": (transformer, (TOKENS, TOKENS)),
    "mixer": (mixer, (TOKENS,)),
    "unet": (unet, (IMAGE,)),
    "convnext": (convnext_block, (IMAGE,)),
    "einsum": (lambda: attention("einsum"), (TOKENS,)),
    "packed": (lambda: packed_attention("unbind"), (TOKENS,)),
    "grouped": (
        lambda: nn.Conv2d(6, 12, 3, 2, groups=3),
        (torch.empty(2, 6, 9, 9, device="meta"),),
    ),
    "signal": (
        lambda: nn.ConvTranspose1d(4, 6, 3, 2, groups=2),
        (torch.empty(2, 4, 9, device="meta"),),
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_multiply_adds_are_half_the_flops_that_pytorch_counts(name):
    make, inputs = COUNTED[name]
    with torch.device("meta"):
        model = make().eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    torch.backends.mha.set_fastpath_enabled(fast)
    graph = trace(model, inputs)
    assert graph.numbers["multiply_adds"].sum() == counter.get_total_flops() / 2
    assert graph.numbers["parameters"].sum() == sum(p.numel() for p in model.parameters())


# --- the caller's model ---------------------------------------------------------------------------


def test_the_model_stays_as_it_is():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.ReLU(inplace=True)
    )
    model.train()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = dict(model.named_parameters())
    images = torch.randn(2, 3, 8, 8)
    generator, fast = torch.random.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    trace(model, images)
    assert [module.training for module in model] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value is kept[name] for name, value in model.named_parameters())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_a_model_of_four_hundred_billion_weights_is_read():
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(100_000, 100_000) for _ in range(40)))
    graph = trace(model, torch.empty(1, 100_000, device="meta"))
    assert graph.numbers["parameters"].sum() == 40 * (1e10 + 1e5)


# --- errors and warnings --------------------------------------------------------------------------


def depends_on_data(self, x):
    if x.sum() > 0:
        return self.layer(x)
    return x


def wrong_shape(self, x):
    x = self.layer(x)
    return x + torch.zeros(3, 7)


def mistaken(self, x):
    return self.layer(x).softmaxx(-1)


@pytest.mark.parametrize(
    ("forward", "line", "remedy"),
    [
        (depends_on_data, "if x.sum() > 0", "Write torch.where"),
        (wrong_shape, "return x + torch.zeros(3, 7)", "takes the example inputs"),
        (mistaken, "return self.layer(x).softmaxx(-1)", "with operations of PyTorch"),
    ],
)
def test_a_model_that_cannot_be_traced_is_told_its_line(forward, line, remedy, capfd):
    model = Function(forward, layer=nn.Linear(16, 16))
    with pytest.raises(ValueError, match="^Function cannot be traced. ") as error:
        trace(model, TOKENS)
    message = str(error.value)
    number = forward.__code__.co_firstlineno
    numbers = [number + i for i in range(1, 4)]
    assert any(f"test_tracing.py, line {i}, in {forward.__name__}" in message for i in numbers)
    assert line in message
    assert remedy in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (len, IMAGE, "must be a torch.nn.Module"),
        (nn.Linear(16, 2), [], "holds no tensor"),
        (nn.Linear(16, 2), 3, "holds no tensor"),
        (Function(lambda self, x: torch.from_numpy(x.numpy())), TOKENS, "array of NumPy"),
        (Function(lambda self, x: 3), TOKENS, "returns no tensor"),
        (nn.LazyLinear(2), TOKENS, "Call the model once"),
        (nn.Linear(16, 2), IMAGE[..., :9], "cannot be traced. In its call: .*shapes"),
        (Function(lambda self, x: x, file=sys.stdout), IMAGE, "cannot be copied"),
    ],
)  # fmt: skip
def test_other_inputs_are_refused(model, inputs, message):
    with pytest.raises(ValueError, match=message):
        trace(model, inputs)


def test_a_class_of_outputs_that_pytorch_does_not_know_is_opened():
    class Output:
        def __init__(self, logits):
            self.logits = logits

    model = Function(lambda self, x: Output(F.relu_(self.layer(x))), layer=nn.Linear(16, 16))
    assert trace(model, TOKENS).kinds == ("input", "linear", "activation", "output")


@pytest.mark.parametrize("name", ["in place", "attention", "regions", "weight norm"])
def test_where_export_fails_the_recorded_operations_give_the_same_graph(name, monkeypatch):
    inputs, *models = DRESSES[name]
    exported = trace(models[-1], inputs)

    def fails(*arguments, **options):
        raise RuntimeError("not today")

    monkeypatch.setattr(torch.export, "export", fails)
    recorded = trace(models[-1], inputs)
    one, two = OperatorFeatures().fit_transform([exported, recorded]).to_numpy()
    np.testing.assert_allclose(one, two, atol=1e-9)
    with pytest.raises(ValueError, match="RuntimeError: 'not today'"):
        trace(aliased(True))  # a view that changes needs export


def test_a_model_may_keep_what_it_computed():
    def forward(self, x):
        self.memory = self.layer(x)
        return F.relu(self.memory)

    model = Function(forward, layer=nn.Linear(16, 16))
    assert trace(model, TOKENS).kinds == ("input", "linear", "activation", "output")
    assert not hasattr(model, "memory")


def test_an_operation_that_is_not_in_the_table_is_named_and_can_be_added(monkeypatch):
    model = nn.Sequential(nn.Linear(16, 16), Function(lambda self, x: torch.special.i0(x)))
    with pytest.warns(UserWarning, match=r"no kind is known for \['special_i0'\]"):
        graph = OperatorGraph.from_module(model, TOKENS)
    assert graph.kinds == ("input", "linear", "other", "output")
    monkeypatch.setitem(OPERATORS, "special_i0", Mapped("activation", "i0"))
    assert trace(model, TOKENS).labels == ("", "linear", "i0", "")


def test_every_kind_of_the_table_is_one():
    assert {mapped.kind for mapped in OPERATORS.values()} <= {*KINDS, "shape", "constant"}


def test_the_code_of_the_page_runs():
    page = (ROOT / "book" / "api_operators.md").read_text(encoding="utf8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(block, names := {})
    assert names["graph"].kinds[1:4] == ("conv", "normalisation", "activation")
    assert len(names["meanings"]) == names["features"].shape[1]


def test_graphs_and_features_need_no_pytorch():
    code = (
        "import sys; from graf_utils.operators import *; "
        "OperatorFeatures().fit_transform([OperatorGraph.from_layers([Layer('linear')])]); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8"
    )
    assert done.stdout.strip() == "False"


# --- as the features of cells ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark():
    path = ROOT / "benchmarks" / "tracing.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_tracing", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_traced_features_equal_those_of_cells(benchmark):
    for name, (n, differences) in benchmark.comparisons(0.02, random_state=7).items():
        assert n >= 2
        for what, (n_different, n_compared) in differences.items():
            assert n_different == 0, (name, what)
            assert n_compared > 0, (name, what)


def test_a_difference_would_be_seen(benchmark, monkeypatch):
    monkeypatch.setitem(benchmark.KINDS, "avg_pool_3x3", "conv")
    monkeypatch.setitem(benchmark.KINDS, "nor_conv_3x3", "pooling")
    differences = benchmark.edge_cells(benchmark.NB201(), 3, random_state=7)
    assert all(n_different > 0 for n_different, _ in differences.values()), differences


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [("resnet50", 25_557_032, 4_089_184_256), ("ViT", 86_567_656, 17_563_828_224)],
)
def test_two_large_networks(benchmark, name, parameters, multiply_adds):
    with torch.device("meta"):
        model = getattr(benchmark, name)()
    graph = trace(model, torch.empty(1, 3, 224, 224, device="meta"))
    assert graph.numbers["parameters"].sum() == parameters
    assert graph.numbers["multiply_adds"].sum() == multiply_adds
