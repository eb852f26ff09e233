"""Faults of scoring that were found: networks misread, workers that differ, files that are lost."""

import copy
import json
import math
import random
import subprocess
import sys
import types
import uuid

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from written import Written

from graf_utils.networks import (
    DARTS_OPERATIONS,
    NETWORKS,
    NODE_OPERATIONS,
    OPERATIONS,
    Builder,
    build_network,
    nb201_network,
)
from graf_utils.proxies import BUILT_IN, PROXIES, Run, proxy
from graf_utils.scoring import score, score_network
from graf_utils.spaces import DARTS, CellSpace

BATCH = np.random.default_rng(0).normal(size=(6, 3, 8, 8)).astype(np.float32), np.arange(6) % 3
OPTIONS = {"batch": BATCH, "width": 4, "cells": 1, "classes": 3, "progress": False}
CELLS = [(2, 3, 0, 4, 2, 1), (3,) * 6, (0, 2, 0, 2, 0, 2)]


def make(*middle, channels=4, classes=3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, 3),
        *middle,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, classes),
    )


def cnn():
    return make(nn.BatchNorm2d(4), nn.ReLU())


def values(result):
    return {name: result[name] for name in result if name in BUILT_IN}


def reasons(result):
    parts = [part.split(": ", 1) for part in result["error"].split("; ") if part]
    return dict(parts)


# --- the network comes back ---


def bits(network):
    """All that a network is: what is in it, and which objects these are."""
    tensors = [*network.parameters(), *network.buffers()]
    return [
        [
            (id(t), t._version, t.detach().clone().numpy().tobytes(), t.requires_grad)
            for t in tensors
        ],
        [None if t.grad is None else t.grad.numpy().tobytes() for t in tensors],
        [(name, module.training) for name, module in network.named_modules()],
        [sorted(vars(module)) for module in network.modules()],
    ]


def test_the_network_and_all_random_numbers_come_back():
    network = make(nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)).eval()
    F.cross_entropy(network(torch.from_numpy(BATCH[0])), torch.from_numpy(BATCH[1])).backward()
    network[1].train()
    network[0].weight.requires_grad_(False)
    before = bits(network)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    score_network(network, BATCH)
    assert bits(network) == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tobytes() == states[2]  # noqa: NPY002


@pytest.mark.parametrize(
    "noise",
    [
        nn.Dropout(0.5),
        nn.Dropout2d(0.5),
        nn.RReLU(),
        Written(lambda s, x: x * random.random()),
        Written(lambda s, x: x * np.random.rand()),  # noqa: NPY002
    ],
)
def test_random_layers_are_seeded(noise):
    network = make(nn.BatchNorm2d(4), noise, nn.LeakyReLU(0.1))
    one, two = (score_network(network, BATCH, random_state=3) for _ in range(2))
    assert values(one) == values(two)
    assert one["error"] == ""
    assert score_network(network, BATCH, random_state=4)["snip"] != one["snip"]
    for name in BUILT_IN:  # alone or in company
        assert score_network(network, BATCH, name, random_state=3)[name] == one[name]


def test_what_a_pass_leaves_in_a_network_changes_nothing():
    """A counter, a kept output; and a proxy of one's own that moves a batch norm's statistics."""

    def forward(self, x):
        self.count += 1
        self.kept = self.body(x)
        return self.kept / self.count

    def own(run):
        run.network(run.images)
        return run.network[1].running_mean.sum()

    network = Written(forward, body=cnn(), count=0)
    network(torch.from_numpy(BATCH[0]))
    for scored, proxies in ((network, BUILT_IN), (cnn(), {"one": own, "two": own})):
        result = score_network(scored, BATCH, proxies)
        assert result["error"] == ""
        functions = proxies if isinstance(proxies, dict) else dict.fromkeys(proxies)
        for name, function in functions.items():
            alone = score_network(scored, BATCH, {name: function or name})
            assert alone[name] == result[name]
    assert network.count == 1


def test_frozen_weights_double_precision_and_memory_formats():
    expected = values(score_network(cnn(), BATCH))
    frozen = cnn().requires_grad_(False)
    assert values(score_network(frozen, BATCH)) == expected
    double = values(score_network(cnn().double(), BATCH))
    for name in BUILT_IN:
        assert double[name] == pytest.approx(expected[name], rel=1e-2), name
    last = values(score_network(cnn().to(memory_format=torch.channels_last), BATCH))
    for name in BUILT_IN:
        assert last[name] == pytest.approx(expected[name], rel=1e-2), name


def test_without_gradients_around_it():
    expected = values(score_network(cnn(), BATCH))
    with torch.no_grad():
        assert values(score_network(cnn(), BATCH)) == expected


def test_lazy_layers_are_refused_with_a_remedy():
    network = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(ValueError, match="Pass the images through it once"):
        score_network(network, BATCH)
    network(torch.as_tensor(BATCH[0]))
    assert math.isfinite(score_network(network, BATCH)["snip"])


# --- functions are seen as modules are ---


@pytest.mark.parametrize("norm", [True, False])
def test_functional_layers_score_as_modules_do(norm):
    network = make(nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU())

    def forward(self, x):
        x = torch.relu(self.norm(F.conv2d(x, self.w, self.wb)))
        return F.linear(x.mean((2, 3)), self.v, self.vb)

    parts = {"w": network[0].weight, "wb": network[0].bias, "norm": network[1]}
    parts |= {"v": network[-1].weight, "vb": network[-1].bias}
    torch.manual_seed(0)
    one, two = score_network(network, BATCH), score_network(Written(forward, **parts), BATCH)
    assert one["error"] == ""
    assert set(reasons(two)) == {"fisher"}
    assert "outside convolutions and linear layers" in reasons(two)["fisher"]
    for name in set(BUILT_IN) - {"fisher"}:
        assert two[name] == pytest.approx(one[name], rel=1e-6), name


@pytest.mark.parametrize(
    "relu",
    [torch.relu, F.relu, F.relu_, torch.relu_, lambda x: x.clamp(min=0), lambda x: x.clamp_min(0)]
    + [nn.ReLU(inplace=True), lambda x: F.threshold(x, 0, 0), lambda x: F.leaky_relu(x, 0.1)],
)
def test_nwot_sees_each_relu(relu):
    network = make(nn.BatchNorm2d(4), nn.ReLU())
    other = copy.deepcopy(network)
    other[2] = relu if isinstance(relu, nn.Module) else Written(lambda s, x: relu(x))
    assert score_network(other, BATCH, "nwot") == pytest.approx(
        score_network(network, BATCH, "nwot"), abs=10
    )
    assert score_network(other, BATCH, "nwot")["nwot"] == score_network(network, BATCH)["nwot"]


@pytest.mark.parametrize(
    "activation",
    [nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.CELU, nn.Mish, nn.Hardswish, nn.ReLU6, nn.PReLU],
)
def test_nwot_counts_activations_like_relu(activation):
    one, two = make(nn.BatchNorm2d(4), activation()), make(nn.BatchNorm2d(4), nn.ReLU())
    assert score_network(one, BATCH, "nwot")["nwot"] == score_network(two, BATCH, "nwot")["nwot"]


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.Sigmoid(), nn.Identity(), nn.Hardtanh()])
def test_nwot_without_a_relu_says_so(activation):
    result = score_network(make(activation), BATCH, "nwot")
    assert math.isnan(result["nwot"])
    assert "no ReLU" in result["error"]


def attention(**options):
    def forward(self, x):
        tokens = self.embed(x.flatten(2).transpose(1, 2))
        return self.head(self.body(tokens).mean(1))

    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options)
    return Written(forward, embed=nn.Linear(3, 8), body=layer, head=nn.Linear(8, 3))


def test_attention_is_counted():
    """64 tokens of 8 numbers: by hand, once per token and once per pair of tokens."""
    t, d, hidden = 64, 8, 12
    expected = t * 3 * d + 3 * t * d * d + 2 * t * t * d + t * d * d  # in, q k v, q k and a v, out
    expected += 2 * t * d * hidden + t * hidden + 2 * 2 * t * d  # feed forward, ReLU, two norms
    expected += t * d + 3 * d  # mean over tokens, head
    for network in (attention(), attention().eval()):
        assert score_network(network, BATCH, "flops")["flops"] == expected / 1e6
    alone = nn.MultiheadAttention(256, 8, batch_first=True)
    tokens = torch.zeros(1, 40, 256)

    def call(x):
        out, _ = alone(tokens, tokens, tokens, need_weights=False)
        return out[:, 0, :3].expand(len(x), 3)

    network = Written(lambda s, x: call(x))
    mega = 4 * 40 * 256 * 256 + 2 * 40 * 40 * 256
    assert score_network(network, BATCH, "flops")["flops"] == mega / 1e6


def test_the_weights_of_attention_count():
    network = attention(dropout=0.0)
    result = score_network(network, BATCH)
    weights = [p for p in network.parameters() if p.ndim > 1]
    assert len(weights) == 6
    loss = F.cross_entropy(network(torch.from_numpy(BATCH[0])), torch.from_numpy(BATCH[1]))
    loss.backward()
    sums = {
        "l2_norm": sum(w.norm().item() for w in weights),
        "snip": sum((w * w.grad).abs().sum().item() for w in weights),
        "plain": sum((w * w.grad).sum().item() for w in weights),
        "grad_norm": sum(w.grad.norm().item() for w in weights),
    }
    for name, expected in sums.items():
        assert result[name] == pytest.approx(expected, rel=1e-3, abs=1e-6), name
    assert set(reasons(result)) == {"fisher", "zen"}
    assert "in_proj_weight" in reasons(result)["fisher"]


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recurrent_networks_are_counted(kind, gates, dtype):
    def forward(self, x):
        return self.head(self.body(x.flatten(2).transpose(1, 2))[0][:, -1])

    network = Written(forward, body=kind(3, 5, batch_first=True), head=nn.Linear(5, 3)).to(dtype)
    expected = 64 * gates * 5 * (3 + 5) + 5 * 3
    assert score_network(network, BATCH, "flops")["flops"] == expected / 1e6


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda s, x: torch.fft.fft2(x).real.mean((2, 3)), "_fft_"),
        (lambda s, x: nn.Bilinear(3, 3, 3)(x.mean((2, 3)), x.mean((2, 3))), "_trilinear"),
    ],
)
def test_unknown_multiplications_have_no_flops(function, name):
    result = score_network(Written(function), BATCH, "flops")
    assert math.isnan(result["flops"])
    assert name in result["error"]


def test_fisher_of_tokens_goes_by_channel():
    def forward(self, x):
        return self.head(self.embed(x.flatten(2).transpose(1, 2))).mean(1)

    torch.manual_seed(0)
    network = Written(forward, embed=nn.Linear(3, 5), head=nn.Linear(5, 3))
    kept = []
    x, labels = map(torch.from_numpy, BATCH)
    a = network.embed(x.flatten(2).transpose(1, 2))
    b = network.head(a)
    kept = [a, b]
    for value in kept:
        value.retain_grad()
    F.cross_entropy(b.mean(1), labels).backward()
    expected = sum(((v * v.grad).sum(1) ** 2).mean(0).sum().item() / 2 for v in kept)
    assert score_network(network, BATCH, "fisher")["fisher"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [nn.Hardswish, nn.ELU, nn.SiLU, nn.ReLU])
def test_activations_in_place_change_no_score(kind):
    one, two = make(kind()), make(kind(inplace=True))
    assert values(score_network(one, BATCH)) == values(score_network(two, BATCH))


def test_a_shared_weight_counts_once():
    class Twice(nn.Module):
        def __init__(self, shared):
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
            if shared:
                self.two.weight = self.one.weight
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.two(torch.relu(self.one(x.mean((2, 3)).repeat(1, 2)[:, :4]))))

    network = Twice(True)
    norms = network.one.weight.norm() + network.head.weight.norm()
    assert score_network(network, BATCH, "l2_norm")["l2_norm"] == pytest.approx(norms.item())
    assert score_network(network, BATCH, "params")["params"] == (16 + 8 + 15) / 1e6


def test_a_network_without_weights_says_so():
    network = Written(lambda s, x: torch.relu(x).mean((2, 3)))
    result = score_network(network, BATCH)
    assert result["params"] == 0
    assert math.isfinite(result["nwot"])
    for name in ("l2_norm", "grad_norm", "snip", "plain", "fisher", "grasp", "synflow", "zen"):
        assert math.isnan(result[name])
        assert "no weights" in reasons(result)[name]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda s, x: (s.body(x),), "returns tuple"),
        (lambda s, x: s.body(x)[:, :2], "labels go up to 2"),
        (lambda s, x: s.body(x)[:4], "one row of logits per image"),
    ],
)
def test_outputs_that_are_no_logits_have_a_reason(function, reason):
    result = score_network(Written(function, body=cnn()), BATCH)
    assert math.isnan(result["snip"])
    assert reason in reasons(result)["snip"]
    assert result["params"] > 0


# --- zen ---


def test_zen_does_not_depend_on_the_order_of_modules():
    """Pools are taken as they are passed, not as they are registered."""

    def forward(self, x):
        x = self.conv(x)
        return self.head(self.pool(x * torch.sigmoid(self.squeeze(x))).flatten(1))

    scores = []
    for names in (("squeeze", "pool"), ("pool", "squeeze")):
        torch.manual_seed(0)
        parts = {"conv": nn.Conv2d(3, 4, 3), "head": nn.Linear(4, 3)}
        parts |= {name: nn.AdaptiveAvgPool2d(1) for name in names}
        scores.append(score_network(Written(forward, **parts), BATCH, "zen")["zen"])
    assert scores[0] == scores[1]


def test_zen_where_batch_norms_keep_no_statistics():
    one = make(nn.BatchNorm2d(4), nn.ReLU())
    two = make(nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU())
    assert score_network(one, BATCH, "zen")["zen"] == score_network(two, BATCH, "zen")["zen"]
    assert two[1].running_var is None


@pytest.mark.parametrize(
    "norm",
    [
        nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4),
        Written(lambda s, x: F.batch_norm(x, None, None, training=True)),
        Written(lambda s, x: F.layer_norm(x, x.shape[1:])),
    ],
)
def test_zen_of_another_normalisation_has_a_reason(norm):
    result = score_network(make(norm, nn.ReLU()), BATCH, ["zen", "synflow"])
    assert math.isnan(result["zen"])
    assert "norm" in reasons(result)["zen"]
    functional = isinstance(norm, Written)
    assert math.isnan(result["synflow"]) == functional
    assert not functional or "no module of its own" in reasons(result)["synflow"]


# --- what decides a result travels ---


def pointwise(c_in, c_out, stride):
    return nn.Conv2d(c_in, c_out, 1, stride)


NB101_CELL = (0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 4, 1)
DARTS_CELLS = DARTS().from_codes(DARTS().sample(2, random_state=0))


@pytest.mark.parametrize(
    ("space", "cells", "registry", "name", "operation"),
    [
        ("nb201", CELLS, OPERATIONS, "nor_conv_3x3", lambda a, b, s: nn.Conv2d(a, b, 1, s)),
        ("tnb101-micro", CELLS[1:2], OPERATIONS, "nor_conv_3x3", pointwise),
        ("nb101", [NB101_CELL], NODE_OPERATIONS, "conv3x3-bn-relu", lambda c: nn.Conv2d(c, c, 1)),
        (
            "darts",
            DARTS_CELLS,
            DARTS_OPERATIONS,
            "sep_conv_3x3",
            lambda c, s: nn.Conv2d(c, c, 1, s),
        ),
    ],
)
@pytest.mark.parametrize("how", ["registered", "passed"])
def test_operations_of_ones_own_count_in_workers(
    space, cells, registry, name, operation, how, monkeypatch
):
    options = {**OPTIONS, "space": space, "proxies": ["params", "snip"]}
    shipped = score(cells, **options)
    if how == "registered":
        monkeypatch.setitem(registry, name, operation)
    else:
        options["operations"] = {name: operation}
    expected = score(cells, **options)
    columns = ["architecture", "params", "snip"]
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend, n_jobs=2):
            result = score(cells, **options)
        pd.testing.assert_frame_equal(result[columns], expected[columns], check_exact=True)
    used = space != "darts" or any(
        DARTS().operations[op] == name for cell in cells for part in cell for _, op in part
    )
    assert (expected["params"] != shipped["params"]).any() == used


def test_networks_and_proxies_of_ones_own_in_workers(monkeypatch):
    class Mine(CellSpace):
        pass

    def widened(space, code, width=4, **options):
        return nb201_network(space, code, width=2 * width, **options)

    def count(run):
        return len(run.layers)

    space = Mine(["skip_connect", "mine"], edges=[(0, 1), (0, 2), (1, 2)])
    monkeypatch.setitem(NETWORKS, Mine, widened)
    monkeypatch.setitem(OPERATIONS, "mine", pointwise)
    monkeypatch.setattr("graf_utils.proxies.PROXIES", PROXIES)
    monkeypatch.setitem(PROXIES, "count", count)
    options = {**OPTIONS, "space": space, "proxies": ["count", "params"]}
    cells = [(0, 1, 1), (1, 1, 1)]
    expected = score(cells, **options)
    result = score(cells, n_jobs=2, **options)
    columns = ["architecture", "count", "params"]
    pd.testing.assert_frame_equal(result[columns], expected[columns], check_exact=True)
    narrow = score(cells, **{**options, "width": 2})
    assert (narrow["params"] < expected["params"]).all()
    assert proxy(count) is count


LOADED = """
import sys, joblib
network = joblib.load(sys.argv[1])((2, 3, 0, 4, 2, 1), random_state=0)
print(sum(p.double().sum().item() for p in network.parameters()))
"""


def test_a_builder_is_dumped_and_loaded(tmp_path):
    """Its operations go with it into a process whose registry is as shipped."""
    build = Builder("nb201", width=4, cells=1, operations={"nor_conv_3x3": pointwise})
    expected = sum(p.double().sum().item() for p in build(CELLS[0], 0).parameters())
    joblib.dump(build, tmp_path / "builder")
    for space in ("nb101", "darts", "tnb101-micro"):
        joblib.dump(Builder(space), tmp_path / "another")
    answer = subprocess.run(
        [sys.executable, "-c", "import test_faults_scoring" + LOADED, str(tmp_path / "builder")],
        capture_output=True,
        check=True,
        text=True,
        env={**__import__("os").environ, "PYTHONPATH": __import__("os").pathsep.join(sys.path)},
        encoding="utf8",
    )
    assert float(answer.stdout) == pytest.approx(expected, rel=1e-12)


def test_what_the_caller_has_set_in_torch_changes_nothing():
    expected = score(CELLS[:1], ["snip", "nwot"], **OPTIONS)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), torch.autocast("cpu"):
            result = score(CELLS[:1], ["snip", "nwot"], **OPTIONS)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    columns = ["snip", "nwot", "error"]
    pd.testing.assert_frame_equal(result[columns], expected[columns], check_exact=True)


def test_operations_are_checked():
    with pytest.raises(ValueError, match="Did you mean 'nor_conv_3x3'"):
        build_network(CELLS[0], operations={"nor_conv_3x": pointwise})
    with pytest.raises(ValueError, match="must be a mapping"):
        build_network(CELLS[0], operations=[pointwise])
    with pytest.raises(ValueError, match="must be a function"):
        build_network(CELLS[0], operations={"nor_conv_3x3": 3})
    with pytest.raises(ValueError, match="returned int"):
        build_network(CELLS[0], operations={"nor_conv_3x3": lambda a, b, s: 3})
    space = CellSpace(["skip_connect", "fold"], edges=[(0, 1), (0, 2), (1, 2)])
    with pytest.raises(ValueError, match=r"pass operations=\{'fold': function\}"):
        build_network((1, 0, 1), space)
    build_network((1, 0, 1), space, operations={"fold": pointwise})


def test_numbers_of_numpy_are_numbers():
    one = build_network(CELLS[0], width=np.int64(4), cells=np.int8(1), random_state=np.int64(3))
    two = build_network(CELLS[0], width=4, cells=1, random_state=3)
    assert torch.equal(one[0].weight, two[0].weight)
    scores = [score(CELLS[:1], "snip", random_state=s, **OPTIONS)["snip"] for s in (3, np.int64(3))]
    assert scores[0].equals(scores[1])
    results = [score_network(cnn(), BATCH, "zen", random_state=s) for s in (3, np.int32(3))]
    assert results[0]["zen"] == results[1]["zen"]


# --- checkpoints ---


def edited(text, **names):
    """A function named `mine`, as an edited notebook cell defines it."""
    module = types.ModuleType("__main__")
    vars(module).update(names)
    exec(text, vars(module))
    return module.mine


def test_an_edited_proxy_is_not_taken_from_the_file(tmp_path):
    file = tmp_path / "scores.jsonl"
    one = edited("def mine(run):\n    'One.'\n    return 1.0")
    assert score(CELLS[:1], one, checkpoint=file, **OPTIONS)["mine"][0] == 1
    before = file.read_bytes()
    for text, names in [
        ("def mine(run):\n    return 2.0", {}),
        ("def mine(run):\n    return LEVEL", {"LEVEL": 3.0}),
    ]:
        with pytest.raises(ValueError, match="proxy mine changed"):
            score(CELLS[:1], edited(text, **names), checkpoint=file, **OPTIONS)
    assert file.read_bytes() == before
    used = edited("def mine(run):\n    return LEVEL", LEVEL=3.0)
    other = tmp_path / "other.jsonl"
    score(CELLS[:1], used, checkpoint=other, **OPTIONS)
    with pytest.raises(ValueError, match="proxy mine changed"):
        score(
            CELLS[:1],
            edited("def mine(run):\n    return LEVEL", LEVEL=4.0),
            checkpoint=other,
            **OPTIONS,
        )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"batch": (BATCH[0] * 2, BATCH[1])}, "batch"),
        ({"batch": (BATCH[0], BATCH[1][::-1])}, "batch"),
        ({"width": 5}, "sizes"),
        ({"random_state": 1}, "random_state"),
        ({"operations": {"nor_conv_3x3": pointwise}}, "the networks' code or operations"),
        ({"proxies": ["params"]}, "proxy snip"),
    ],
)
def test_what_has_changed_is_named(tmp_path, change, name):
    file = tmp_path / "scores.jsonl"
    options = {**OPTIONS, "proxies": ["params", "snip"], "checkpoint": file}
    score(CELLS[:1], **options)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=f"{name} changed"):
        score(CELLS[:1], **{**options, **change})
    assert file.read_bytes() == before


def test_an_edited_operation_or_version_is_another_setting(tmp_path, monkeypatch):
    file = tmp_path / "scores.jsonl"
    score(CELLS[:1], "params", checkpoint=file, **OPTIONS)
    with monkeypatch.context() as patch:
        patch.setitem(OPERATIONS, "nor_conv_3x3", pointwise)
        with pytest.raises(ValueError, match="operations changed"):
            score(CELLS[:1], "params", checkpoint=file, **OPTIONS)
    monkeypatch.setattr("graf_utils.scoring.__version__", "9")
    with pytest.raises(ValueError, match="versions changed"):
        score(CELLS[:1], "params", checkpoint=file, **OPTIONS)


def test_what_cannot_be_described_is_not_resumed(tmp_path):
    generator = (number for number in range(9))

    def mine(run):
        return next(generator)

    file = tmp_path / "scores.jsonl"
    with pytest.warns(UserWarning, match="is not used, .* proxy mine cannot be told"):
        frame = score(CELLS[:1], mine, checkpoint=file, **OPTIONS)
    assert frame["mine"][0] == 0
    assert not file.exists()


@pytest.fixture
def finished(tmp_path):
    file = tmp_path / "scores.jsonl"
    names = ["snip", "nwot"]
    frame = score(CELLS, names, checkpoint=file, **OPTIONS)
    return file, frame[["architecture", "snip", "nwot", "error"]]


def again(file):
    frame = score(CELLS, ["snip", "nwot"], checkpoint=file, **OPTIONS)
    return frame[["architecture", "snip", "nwot", "error"]]


@pytest.mark.parametrize(
    "damage",
    [{"snip": value} for value in ("0.5", None, True, [1.0], {}, math.nan, math.inf, 10**400)]
    + [{"seconds": "x"}, {"seconds": -1}, {"seconds.snip": None}, {"error": 3}, {"more": 1.0}]
    + ["snip", "error", "seconds"],
)
def test_damaged_scores_are_computed_again(finished, damage):
    file, expected = finished
    lines = file.read_text(encoding="utf8").splitlines()
    record = json.loads(lines[2])
    if isinstance(damage, str):
        del record[damage]
    else:
        record |= damage
    lines[2] = json.dumps(record)
    file.write_text("\n".join(lines) + "\n", encoding="utf8")
    with pytest.warns(UserWarning, match="damaged in line 3; .* computed again"):
        pd.testing.assert_frame_equal(again(file), expected, check_exact=True)
    pd.testing.assert_frame_equal(again(file), expected, check_exact=True)  # nothing to say now


@pytest.mark.parametrize(
    "line",
    [
        "my notes",
        "{}",
        "[1, 2]",
        "7",
        '"text"',
        '{"architecture": "abc"}',
        '{"architecture": [9, 9, 9, 9, 9, 9], "snip": 1.0}',
        '{"architecture": [1, 2]}',
        '{"architecture": [[1], [2], 3, 4, 5, 6]}',
        '{"architecture": null}',
        "[" * 100_000,
        '{"architecture": ' + "[" * 400 + "]" * 400 + "}",
        "\x00\x01",
        "1" * 5000,
    ],
)
def test_a_foreign_line_is_named(finished, line):
    file, expected = finished
    lines = file.read_text(encoding="utf8").splitlines()
    lines.insert(2, line)
    text = "\n".join(lines) + "\n" + '{"unfini'
    file.write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match="line 3 is no architecture .* Delete this line"):
        again(file)
    assert file.read_text(encoding="utf8") == text
    del lines[2]  # the remedy
    file.write_text("\n".join(lines) + "\n" + '{"unfini', encoding="utf8")
    pd.testing.assert_frame_equal(again(file), expected, check_exact=True)
    assert file.read_text(encoding="utf8").splitlines() == lines


@pytest.mark.parametrize(
    "content",
    [
        b'{"mine": 1}',
        b'{"mine": 1}\n',
        b'{"kind": "mine"}\n{"a": 1}\n',
        b"{",
        b"[]",
        b"[]\n",
        b"my notes",
        b"\n",
        b" ",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"space": "NB201()", "proxies": ["snip"]}\n',
        b'{"kind": "graf_utils: scores of architectures"',
    ],
)
def test_a_file_of_ones_own_is_never_written_to(tmp_path, content):
    file = tmp_path / "mine.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is left as it is. Name another file"):
        score(CELLS[:1], "params", checkpoint=file, **OPTIONS)
    assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]
    with pytest.raises(ValueError, match="is a folder"):
        score(CELLS[:1], "params", checkpoint=tmp_path, **OPTIONS)


def test_the_file_begins_whole_and_leftovers_go(tmp_path, monkeypatch):
    """A run killed while it wrote the first line leaves no half of it, and nothing for long."""
    from graf_utils import _files

    file = tmp_path / "deep" / "scores.jsonl"
    file.parent.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    part = file.parent / f".scores.jsonl.{_files._machine()}-{dead.pid}.{uuid.uuid4().hex}.part"
    part.write_text('{"ki', encoding="utf8")
    score(CELLS[:1], "params", checkpoint=file, **OPTIONS)
    assert [path.name for path in file.parent.iterdir()] == ["scores.jsonl"]
    empty = tmp_path / "empty"
    empty.touch()
    score(CELLS[:1], "params", checkpoint=empty, **OPTIONS)
    assert empty.read_bytes().count(b"\n") == 2


# --- inputs ---


def test_labels_in_another_order_are_refused():
    images, labels = BATCH
    order = [3, 1, 0, 5, 4, 2]
    expected = score_network(cnn(), BATCH, "snip")["snip"]
    column = pd.Series(labels)[order]
    with pytest.raises(ValueError, match="batch: labels"):
        score_network(cnn(), (images, column), "snip")
    assert score_network(cnn(), (images, column.sort_index()), "snip")["snip"] == expected
    with pytest.raises(ValueError, match="reset_index"):
        score_network(cnn(), (images, pd.Series(labels, index=list("abcdef"))), "snip")
    dropped = pd.Series(labels, index=list("abcdef")).reset_index(drop=True)
    assert score_network(cnn(), (images, dropped), "snip")["snip"] == expected


def test_tensors_are_a_batch():
    images, labels = map(torch.from_numpy, BATCH)
    expected = score_network(cnn(), BATCH, "snip")["snip"]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), 6)
    for batch in [
        (images.clone().requires_grad_(), labels),
        [images.double(), labels.int()],
        next(iter(loader)),
        (images.to(memory_format=torch.channels_last), labels.float()),
    ]:
        assert score_network(cnn(), batch, "snip")["snip"] == expected
    with pytest.raises(ValueError, match=r"next\(iter\(loader\)\)"):
        score_network(cnn(), loader, "snip")


@pytest.mark.parametrize(
    "batch",
    [
        (BATCH[0].astype(complex), BATCH[1]),
        (BATCH[0].astype(str), BATCH[1]),
        (BATCH[0], list("abcabc")),
        (BATCH[0], [None] * 6),
        (BATCH[0], np.full(6, np.nan)),
        (BATCH[0] * np.float64(1e300), BATCH[1]),
        (BATCH[0], np.eye(6)),
        (BATCH[0][:, :0], BATCH[1]),
        {"images": BATCH[0], "labels": BATCH[1]},
        (BATCH[0],),
        (*BATCH, 3),
        "ab",
        None,
    ],
)
def test_what_is_no_batch_is_refused(batch):
    with pytest.raises(ValueError, match="batch"):
        score_network(cnn(), batch, "snip")


@pytest.mark.parametrize(
    "name", ["seconds", "error", "architecture", "forward", "jacobian", "seconds.snip"]
)
def test_a_proxy_does_not_take_the_name_of_a_column(name):
    with pytest.raises(ValueError, match=f"proxies={{'my_{name}': ...}}"):
        score_network(cnn(), BATCH, {name: len})
    assert f"my_{name}" in score_network(cnn(), BATCH, {f"my_{name}": lambda run: 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "resnet"}, "build_network"),
        ({"network": nn.ReLU}, "torch.nn.Module"),
        ({"random_state": "a"}, "random_state='a'"),
        ({"random_state": True}, "random_state=True"),
        ({"random_state": 2**70}, "whole number from"),
        ({"device": "cuad"}, "device='cuad'"),
        ({"proxies": 3}, "proxies=3"),
        ({"proxies": [["snip"]]}, "is unknown"),
    ],
)
def test_arguments_of_a_single_score_are_checked(options, message):
    options = {"network": cnn(), "batch": BATCH, "proxies": "params", **options}
    with pytest.raises(ValueError, match=message):
        score_network(**options)


def test_a_run_leaves_the_network_alone():
    network = cnn().eval()
    before = bits(network)
    run = Run(network, *map(torch.from_numpy, BATCH))
    for name in BUILT_IN:
        PROXIES[name](run)
    assert bits(network) == before
    assert run.network.training
