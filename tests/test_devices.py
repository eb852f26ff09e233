"""Devices: where PyTorch may compute, in every place that takes a `device`."""

import ast
import re

import numpy as np
import pytest
import torch
from house import PACKAGE, ROOT

from graf_utils._devices import usable_device
from graf_utils.networks import build_network
from graf_utils.predictors.brpnas import BRPNASRegressor
from graf_utils.proxies import seeded
from graf_utils.scoring import image_batch, score, score_network
from graf_utils.spaces import NB201

SPACE = NB201()
CELLS = SPACE.sample(8, random_state=0)
SMALL = {"n_hidden": 8, "n_epochs": 1, "random_state": 0}
BATCH = image_batch()


def fit(device):
    return BRPNASRegressor("nb201", device=device, **SMALL).fit(CELLS, np.arange(8.0))


def predict(device):
    return fit("cpu").set_params(device=device).predict(CELLS)


def score_one(device):
    network = build_network(CELLS[0], SPACE, width=4, cells=1)
    return score_network(network, BATCH, ["params"], device=device)


def score_many(device):
    options = {"device": device, "progress": False, "width": 4, "cells": 1}
    return score(CELLS[:1], ["params"], BATCH, **options)


def seed_all(device):
    with seeded(0, device):
        return torch.rand(1)


TAKES_DEVICE = {
    "BRPNASRegressor.fit": fit,
    "BRPNASRegressor.predict": predict,
    "score_network": score_one,
    "score": score_many,
    "seeded": seed_all,
}

ABSENT = ["mps", "xpu", "vulkan", "cuda:99", "meta"]
if not torch.cuda.is_available():
    ABSENT += ["cuda", "cuda:0"]
if torch.backends.mps.is_available():
    ABSENT.remove("mps")
NONSENSE = ["gpu", "", None, 3.5, "cuda:-1"]


@pytest.mark.parametrize("where", TAKES_DEVICE)
@pytest.mark.parametrize("device", ABSENT + NONSENSE, ids=repr)
def test_a_device_that_is_not_there_is_named_and_the_remedy_works(where, device):
    with pytest.raises(ValueError) as error:
        TAKES_DEVICE[where](device)
    assert str(error.value).startswith(f"device={device!r} ")
    remedy = re.search(r"Write device='(\w+)'", str(error.value))[1]
    assert TAKES_DEVICE[where](remedy) is not None


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")], ids=str)
def test_devices_that_are_there_are_returned_as_pytorch_has_them(device):
    assert usable_device(device) == torch.device(device)


def test_no_other_function_takes_a_device():
    """Each function of the package with a public argument `device` is tried above."""
    found = set()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            public = not node.name.startswith("_") or node.name == "__init__"
            arguments = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
            if public and "device" in arguments:
                found.add(f"{path.stem}.{node.name}")
    assert found == {
        "_devices.usable_device",
        "network.of",  # of PackedGraphs, which the regressor calls with its checked device
        "proxies.seeded",
        "regressor.__init__",
        "scoring.score",
        "scoring.score_network",
    }
