"""Zero-cost proxies against direct computations, and the scorer against interruptions."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from recipes import load_recipe
from torch import nn

from graf_utils import load_table, proxies, scoring
from graf_utils.networks import build_network
from graf_utils.proxies import PROXIES, Run
from graf_utils.scoring import image_batch, score, score_network
from graf_utils.spaces import DARTS, NB201

SPACE = NB201()
CELL = (2, 3, 0, 4, 2, 1)
TINY = {"width": 4, "cells": 1, "classes": 3}
OPTIONS = {**TINY, "progress": False}
NAMES = [
    "params", "flops", "l2_norm", "grad_norm", "snip", "plain", "fisher", "grasp", "synflow",
    "jacov", "epe_nas", "nwot", "zen",
]  # fmt: skip


def make_batch(n=6, channels=3, size=8, seed=0):
    images = np.random.default_rng(seed).normal(size=(n, channels, size, size))
    return images.astype(np.float32), np.arange(n) % 3


BATCH = make_batch()


def fresh():
    return build_network(CELL, **TINY, random_state=0)


def weighted(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


@pytest.fixture(scope="module")
def scores():
    return score_network(fresh(), BATCH)


@pytest.fixture(scope="module")
def direct():
    """Network, weights, and the gradients of the loss by `backward`."""
    network = fresh().train()
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    for layer in weighted(network):
        layer.register_forward_hook(keep)
    images, labels = map(torch.from_numpy, BATCH)
    images.requires_grad_()
    nn.CrossEntropyLoss()(network(images), labels).backward()
    weights = [layer.weight for layer in weighted(network)]
    for value in weights + kept:
        if value.grad is None:  # CELL has an edge that leads nowhere
            value.grad = torch.zeros_like(value)
    return network, weights, kept


def jacobian():
    images, _ = map(torch.from_numpy, BATCH)
    images.requires_grad_()
    logits = fresh().train()(images)
    logits.backward(torch.ones_like(logits))
    return images.grad.flatten(1).double().numpy()


def test_the_thirteen(scores):
    assert [name for name in NAMES if name in PROXIES] == NAMES
    assert scores["error"] == ""
    assert all(math.isfinite(scores[name]) for name in NAMES)
    assert all(PROXIES[name].__doc__ for name in NAMES)


def test_size(scores):
    ours = [scores["params"], scores["flops"]]
    np.testing.assert_allclose(ours, SPACE.cost([CELL], image_size=8, **TINY)[0], rtol=1e-12)
    full = score_network(build_network(CELL), make_batch(2, size=32), ["params", "flops"])
    np.testing.assert_allclose([full["params"], full["flops"]], SPACE.cost([CELL])[0], rtol=1e-12)


def test_norms(scores, direct):
    _, weights, _ = direct
    norms = sum(w.detach().double().square().sum().sqrt().item() for w in weights)
    slopes = sum(w.grad.double().square().sum().sqrt().item() for w in weights)
    assert scores["l2_norm"] == pytest.approx(norms, rel=1e-5)
    assert scores["grad_norm"] == pytest.approx(slopes, rel=1e-4)


def test_products(scores, direct):
    _, weights, _ = direct
    products = [(w.detach() * w.grad).double() for w in weights]
    assert scores["snip"] == pytest.approx(sum(p.abs().sum().item() for p in products), rel=1e-4)
    assert scores["plain"] == pytest.approx(sum(p.sum().item() for p in products), rel=1e-3)


def test_fisher(scores, direct):
    _, _, kept = direct
    total = 0.0
    for out in kept:
        for channel in range(out.shape[1]):
            a, g = out[:, channel].detach().double(), out.grad[:, channel].double()
            total += sum((a[n] * g[n]).sum().item() ** 2 for n in range(len(a))) / len(a) / 2
    assert scores["fisher"] == pytest.approx(total, rel=1e-4)


def test_grasp_is_a_directional_derivative():
    """-w H g by finite differences: the gradient along g, in double precision."""
    images, labels = torch.from_numpy(BATCH[0]).double(), torch.from_numpy(BATCH[1])
    network = fresh().double().train()
    weights = [layer.weight for layer in weighted(network)]

    def gradient():
        loss = nn.functional.cross_entropy(network(images), labels)
        return torch.autograd.grad(loss, weights, materialize_grads=True)

    start, g, step = [w.detach().clone() for w in weights], gradient(), 1e-7
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for w, w0, slope in zip(weights, start, g, strict=True):
                w.copy_(w0 + sign * step * slope)
        ends.append(gradient())
    expected = -sum(
        (w * (a - b)).sum().item() / (2 * step) for w, a, b in zip(start, *ends, strict=True)
    )
    with torch.no_grad():
        for w, w0 in zip(weights, start, strict=True):
            w.copy_(w0)
    assert proxies.grasp(Run(network, images, labels)) == pytest.approx(expected, rel=1e-3)


def test_synflow_by_brute_force(scores):
    """Sum of |w dR/dw| over layers: R is linear in each layer's |w| but for the classifier's bias.

    So a layer's sum is R minus what is left when its weights are zero, path by path.
    """
    network = fresh().double().eval()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        for p in network.parameters():
            p.abs_()
        ones = torch.ones(1, 3, 8, 8, dtype=torch.double)
        full, total = network(ones).sum().item(), 0.0
        for layer in weighted(network):
            kept = layer.weight.clone()
            layer.weight.zero_()
            total += full - network(ones).sum().item()
            layer.weight.copy_(kept)
    assert scores["synflow"] == pytest.approx(math.log(total), rel=1e-9)


def test_nwot_by_hamming_distance(scores):
    network, codes = fresh().train(), []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, i, out: codes.append(out.flatten(1) > 0))
    network(torch.from_numpy(BATCH[0]))
    code = torch.cat(codes, dim=1).numpy()
    kernel = [[code.shape[1] - (a != b).sum() for b in code] for a in code]
    assert scores["nwot"] == pytest.approx(np.linalg.slogdet(np.array(kernel, float))[1], rel=1e-9)


def test_jacov_and_epe(scores):
    rows = jacobian()
    v = np.linalg.eigvalsh(np.corrcoef(rows)) + 1e-5
    assert scores["jacov"] == pytest.approx(-(np.log(v) + 1 / v).sum(), rel=1e-4)
    within = [np.corrcoef(rows[BATCH[1] == label]) for label in range(3)]
    expected = sum(abs(np.log(np.abs(r) + 1e-5).sum()) for r in within)
    assert scores["epe_nas"] == pytest.approx(expected, rel=1e-4)


def test_zen(scores):
    """Straightforward: the same random numbers, features by cutting the head off."""
    random = Run(fresh(), *map(torch.from_numpy, BATCH)).generator("zen")
    network, total = fresh().train(), 0.0
    for layer in weighted(network):
        layer.weight.data = torch.randn(layer.weight.shape, generator=random)
    x, e = (torch.randn(BATCH[0].shape, generator=random) for _ in range(2))
    body = network[:-3]
    norms = [m for m in body.modules() if isinstance(m, nn.BatchNorm2d)]
    passes = []
    for images in (x, x + 0.01 * e):
        for norm in norms:
            norm.momentum = 1.0  # the running variance is the batch's
        passes.append((body(images), [norm.running_var.clone() for norm in norms]))
    (one, first), (two, second) = passes
    for a, b in zip(first, second, strict=True):  # a tenth of the way, twice, from 1
        total += math.log((0.81 + 0.09 * a + 0.1 * b).mean().sqrt().item())
    total += math.log((one - two).abs().sum((1, 2, 3)).mean().item())
    assert scores["zen"] == pytest.approx(total, rel=1e-4)


def test_scoring_leaves_the_network_alone():
    network = fresh()
    before = [p.detach().clone() for p in network.parameters()]
    one, two = score_network(network, BATCH), score_network(network, BATCH)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert [one[name] for name in NAMES] == [two[name] for name in NAMES]
    for name in NAMES:  # alone or in company
        assert score_network(network, BATCH, name)[name] == one[name]


CELLS = [tuple(cell) for cell in SPACE.from_codes(SPACE.sample(6, random_state=1))]


@pytest.fixture(scope="module")
def frame():
    return score(CELLS, NAMES, BATCH, **OPTIONS)


def test_same_bits_in_any_order_and_with_two_processes(frame):
    columns = ["architecture", *NAMES]
    backward = score(CELLS[::-1], NAMES, BATCH, **OPTIONS)[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame[columns], backward[columns], check_exact=True)
    double = score(CELLS + CELLS[:2], NAMES, BATCH, n_jobs=2, **OPTIONS)
    assert double["architecture"].tolist() == CELLS + CELLS[:2]
    pd.testing.assert_frame_equal(frame[columns], double[columns][:6], check_exact=True)
    other = score(CELLS[:1], NAMES, BATCH, random_state=1, **OPTIONS)
    assert other["l2_norm"][0] != frame["l2_norm"][0]


def test_same_bits_on_threads():
    """Torch's random state belongs to the process: threads must not share it."""
    cells = SPACE.sample(60, random_state=2)
    expected = score(cells, ["l2_norm", "snip"], BATCH, **OPTIONS)
    with joblib.parallel_config("threading", n_jobs=4):
        result = score(cells, ["l2_norm", "snip"], BATCH, **OPTIONS)
    pd.testing.assert_frame_equal(
        result[["l2_norm", "snip"]], expected[["l2_norm", "snip"]], check_exact=True
    )


def test_columns_and_defaults(frame):
    seconds = [c for c in frame if c.startswith("seconds.")]
    passes = ["forward", "gradients", "jacobian"]
    assert seconds == [f"seconds.{name}" for name in passes + NAMES]
    assert (frame[seconds] >= 0).all(axis=None)
    assert (frame[seconds].sum(axis=1) <= frame["seconds"] + 1e-4).all()
    default = score(CELLS[:1], "params", width=4, cells=1, progress=False)  # the batch of images
    assert default["params"][0] == SPACE.cost(CELLS, width=4, cells=1)[0, 0]


def test_a_failed_proxy_is_nan_with_its_reason(tmp_path):
    def broken(run):
        raise RuntimeError("no luck")

    for _ in range(2):  # computed, then read
        frame = score(
            [(1,) * 6, CELL], [broken, *NAMES], BATCH, checkpoint=tmp_path / "ck", **OPTIONS
        )
        assert frame["broken"].isna().all()
        assert "broken: RuntimeError: no luck" in frame["error"][1]
        assert frame.loc[1, NAMES].notna().all()
        empty = frame.loc[0]  # nothing passes this cell
        assert empty[["jacov", "nwot", "zen", "epe_nas"]].isna().all()
        assert (empty[["grad_norm", "snip", "plain", "grasp", "synflow"]] == 0).all()
        for name in ("jacov", "nwot", "zen", "epe_nas"):
            assert f"{name}: " in empty["error"]


def test_your_own_proxy(monkeypatch):
    """As a function, under another name, and registered, which changes nobody's default."""

    def layers(run):
        return len(run.layers)

    expected = len(weighted(fresh()))
    assert score([CELL], layers, BATCH, **OPTIONS)["layers"][0] == expected
    assert score([CELL], {"depth": layers}, BATCH, **OPTIONS)["depth"][0] == expected
    monkeypatch.setattr(proxies, "PROXIES", dict(PROXIES))
    monkeypatch.setattr(scoring, "PROXIES", proxies.PROXIES)
    proxies.proxy(layers)
    assert score([CELL], "layers", BATCH, **OPTIONS)["layers"][0] == expected
    assert "layers" not in score([CELL], None, BATCH, **OPTIONS)


RUN = """
import sys
from graf_utils.scoring import score
from test_proxies import BATCH, OPTIONS, SPACE
score(SPACE.sample(60, random_state=3), ["snip", "nwot"], BATCH, checkpoint=sys.argv[1], **OPTIONS)
"""


@pytest.mark.slow
def test_kill_and_resume(tmp_path):
    """Killed three times with -9, once in the middle of a line: the table is the same."""
    cells = SPACE.from_codes(SPACE.sample(60, random_state=3))
    columns = ["architecture", "snip", "nwot", "error"]
    whole = score(cells, ["snip", "nwot"], BATCH, **OPTIONS)[columns]
    file = tmp_path / "scores.jsonl"
    folder = os.path.dirname(__file__)
    path = os.pathsep.join([folder, os.path.dirname(folder), os.environ.get("PYTHONPATH", "")])
    for kill in range(1, 4):
        child = subprocess.Popen(
            [sys.executable, "-c", RUN, str(file)], env={**os.environ, "PYTHONPATH": path}
        )
        deadline = time.monotonic() + 300  # a busy machine takes a minute to import PyTorch
        while time.monotonic() < deadline and child.poll() is None:
            if file.exists() and file.read_bytes().count(b"\n") > 8 * kill:
                break
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        if kill == 2:
            file.write_bytes(file.read_bytes()[:-9])
    assert 20 < file.read_bytes().count(b"\n") < 61
    resumed = score(cells, ["snip", "nwot"], BATCH, checkpoint=file, **OPTIONS)[columns]
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    lines = [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()][1:]
    assert sorted(tuple(line["architecture"]) for line in lines) == sorted(cells)


def test_a_checkpoint_of_nested_genotypes_is_read(tmp_path, monkeypatch):
    """DARTS writes an architecture as tuples of tuples, which come back as such."""
    genotypes = DARTS().from_codes(DARTS().sample(2, random_state=0))
    options = {"space": "darts", "width": 4, "cells": 3, "progress": False}
    file = tmp_path / "scores.jsonl"
    first = score(genotypes, ["params", "l2_norm"], BATCH, checkpoint=file, **options)
    monkeypatch.setattr(scoring, "_score_one", None)  # nothing is left to compute
    again = score(genotypes, ["params", "l2_norm"], BATCH, checkpoint=file, **options)
    pd.testing.assert_frame_equal(again, first)
    assert list(again["architecture"]) == genotypes


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    file = tmp_path / "scores.jsonl"
    score([CELL], "params", BATCH, checkpoint=file, **OPTIONS)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="other settings"):
        score([CELL], "params", BATCH, checkpoint=file, random_state=1, **OPTIONS)
    assert file.read_bytes() == before
    file.write_text("my notes", encoding="utf8")
    with pytest.raises(ValueError, match="no checkpoint"):
        score([CELL], "params", BATCH, checkpoint=file, **OPTIONS)
    assert file.read_text(encoding="utf8") == "my notes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": "nwott"}, "Did you mean 'nwot'"),
        ({"proxies": []}, "at least one"),
        ({"proxies": ["snip", "snip"]}, "each once"),
        ({"batch": 3}, "pair"),
        ({"batch": (BATCH[0], BATCH[1][:2])}, r"labels \(2,\)"),
        ({"batch": (BATCH[0][0], BATCH[1])}, r"images have shape \(3, 8, 8\)"),
        ({"batch": make_batch(1)}, "at least 2"),
        ({"batch": (BATCH[0] * np.nan, BATCH[1])}, "finite"),
        ({"batch": (BATCH[0], BATCH[1] + 0.5)}, "whole numbers"),
        ({"batch": (BATCH[0], BATCH[1] - 1)}, "from 0"),
        ({"batch": (BATCH[0], BATCH[1] + 1)}, "classes=4"),
        ({"random_state": None}, "random_state=None"),
        ({"widht": 4}, "Did you mean 'width'"),
        ({"width": 0}, "width=0"),
        ({"architectures": []}, "empty"),
        ({"space": "nb999"}, "nb999"),
    ],
)
def test_errors_teach(options, message):
    options = {"architectures": [CELL], "proxies": "params", "batch": BATCH, **OPTIONS, **options}
    with pytest.raises(ValueError, match=message):
        score(**options)


# --- the images and tables that come with the package -------------------------------------------


def test_image_batch():
    images, labels = image_batch()
    assert images.shape == (64, 3, 32, 32)
    assert images.dtype == np.float32
    assert set(labels) <= set(range(10))
    assert len(set(labels)) > 5
    assert images.mean() == pytest.approx(0, abs=1e-5)
    assert images.std() == pytest.approx(1, abs=1e-5)
    assert (images[:, :1] == images).all()
    background = images.min()
    for side in (images[:, :, :2], images[:, :, -2:], images[..., :2], images[..., -2:]):
        assert (side == background).all()
    small, same = image_batch(16, 128, channels=1)
    large, _ = image_batch(32, 128, channels=1)
    assert (same[:64] == labels).all()
    means = (large[:, :, ::2, ::2] + large[:, :, 1::2, ::2]) / 4
    means += (large[:, :, ::2, 1::2] + large[:, :, 1::2, 1::2]) / 4
    np.testing.assert_allclose(small, (means - means.mean()) / means.std(), atol=1e-4)


@pytest.mark.parametrize("wrong", [{"size": 28}, {"n": 129}, {"n": 1}, {"channels": 0}])
def test_image_batch_errors_teach(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        image_batch(**wrong)


def test_command_line(tmp_path, capsys):
    """Writes the scores; a second run takes them from the checkpoint."""
    main = load_recipe("zero_cost").main
    file = tmp_path / "scores.parquet"
    options = ["--sample", "3", "--proxies", "snip", "zen", "--width", "4", "--cells", "1"]
    options += ["--image-size", "16", "--batch-size", "8", "--random-state", "7"]
    main([str(file), *options])
    frame = pd.read_parquet(file)
    cells = [tuple(code) for code in SPACE.sample(3, random_state=7).tolist()]
    batch = image_batch(16, 8)
    expected = score(
        cells, ["snip", "zen"], batch, width=4, cells=1, random_state=7, progress=False
    )
    assert frame["architecture"].tolist() == list(map(str, cells))
    pd.testing.assert_frame_equal(frame[["snip", "zen"]], expected[["snip", "zen"]])
    file.unlink()
    main([str(file), *options])
    pd.testing.assert_frame_equal(pd.read_parquet(file), frame)
    assert "3 architectures, 0 with a proxy that failed" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.jsonl", "scores.parquet"]


def test_the_embedded_table_is_what_the_recipe_says():
    """Some cells computed again, with the settings of the recipe."""
    table = load_table("nb201-cifar10", "embedded")
    rows = np.random.default_rng(5).choice(len(table), 4, replace=False)
    cells = [table.architectures[row] for row in rows]
    again = score(cells, None, image_batch(16), width=8, cells=3, progress=False)
    kept = table.proxies.iloc[rows].reset_index(drop=True)
    assert list(kept) == sorted(NAMES)
    for name in NAMES:  # other processors sum in another order; plain is what cancels
        scale = 1e-3 * table.proxies[name].std()
        np.testing.assert_allclose(again[name], kept[name], rtol=1e-3, atol=scale, err_msg=name)
