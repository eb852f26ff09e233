"""The chapter on any PyTorch model says what its networks are, and its words follow its fits.

The cells are run one after the other with few networks. What is said about a network is counted
another way; the fits are exchanged, and the words and the claim must follow.
"""

from __future__ import annotations

import itertools
import json
import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from chapters import is_drawing, listen, run_cells
from torch import nn

import graf_utils
from graf_utils import chapter, plots
from graf_utils.operators import OperatorGraph
from graf_utils.registry import data_path

NOTEBOOK = data_path().parent / "notebooks" / "16_any_pytorch_model.ipynb"
FEW = {"N_NETWORKS": 4, "TRAIN_SIZE": 2, "N_ADAPTED": 3, "LARGE_LAYERS": 1}
TAU = {
    "parameters": 0.11,
    "multiply-adds": 0.12,
    "depth": 0.23,
    "three numbers": 0.24,
    "counts": 0.45,
    "operators": 0.66,
    "cnns": 0.77,
}
BLEND_BETTER = 0.1


def fits_with(tau):
    """An evaluation that fits nothing: τ by the name of the table, on each seed alike."""

    def evaluate(table, target, encoding, predictors, train_sizes, data_seeds, progress):
        rows = itertools.product(predictors, data_seeds)
        return pd.DataFrame(
            {
                "table": table.name,
                "target": target,
                "encoding": encoding,
                "predictor": predictor,
                "train_size": train_sizes,
                "data_seed": seed,
                "kendall_tau": tau[table.name] + BLEND_BETTER * (predictor == "blend"),
            }
            for predictor, seed in rows
        )

    return evaluate


def run(tau):
    """The chapter on fits that come out as asked: what it says, joined, and the names it leaves."""
    with pytest.MonkeyPatch.context() as patch:
        said = listen(patch)
        patch.setattr(graf_utils, "evaluate", fits_with(tau))
        names = run_cells(NOTEBOOK, is_drawing, parameters=FEW)
    return " ".join(said), names


@pytest.fixture(scope="module")
def ran():
    return run(TAU)


def claims(names):
    return {claim.id: claim for claim in names["page"].ledger.claims}


def test_the_network_is_counted_as_by_hand(ran):
    said, names = ran
    model = names["network"]()
    parameters = sum(weights.numel() for weights in model.parameters())
    places = 16 * 16  # after a stride of 2
    multiply_adds = places * 16 * 3 * 9 + 2 * places * 16 * 16 * 9 + 16 * 10
    assert f"{parameters:,} parameters and {multiply_adds:,} multiply-adds" in said


def test_paths_are_those_that_networkx_lists(ran):
    said, names = ran
    model = OperatorGraph.from_module(names["network"](), names["image"])
    graph = model.to_networkx()
    paths = list(nx.all_simple_paths(graph, 0, model.n_nodes - 1))
    convs = [sum(model.kinds[node] == "conv" for node in path) for path in paths]
    assert f"has {len(paths)} paths from input to output" in said
    assert (
        f"between {min(convs)} and {max(convs)} convolutions, on average {np.mean(convs):.0f}"
        in said
    )
    assert "2 for 1, 8 for 3, 32 for 5" in said


def test_a_change_moves_what_it_must(ran):
    said, names = ran
    rows, moved = names["rows"], names["moved"]
    less, gelu = rows.index[1:]
    assert set(moved.index[moved[gelu]]) == {"function_count[relu]", "function_count[gelu]"}
    ways = np.expm1(rows["log_paths"])
    assert ways[less] == pytest.approx(ways.iloc[0] / 2)
    assert f"Without the connection {(rows.loc[less] != rows.iloc[0]).sum()} columns" in said
    assert names["blind"] == ["parameters", "multiply-adds", "depth"]


def test_other_dress_is_another_way_to_write_the_same(ran):
    _, names = ran
    assert claims(names)["traced-in-other-dress"].verdict == "holds"
    assert not any("Sequential" in line for line in names["Written"].forward.__code__.co_names)
    assert len(names["apart"]) == len(names["described"])


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def test_the_target_is_the_spread_that_is_left(ran):
    _, names = ran
    x = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    expected = math.log((math.sqrt(2) + math.sqrt(8)) / 2)  # two values differ by √2 deviations
    assert names["log_spread"](Scaled(1.0), x) == pytest.approx(expected, rel=1e-6)
    assert names["log_spread"](Scaled(3.0), x) == pytest.approx(expected + math.log(3), rel=1e-6)
    model = names["networks"][0]
    assert names["log_spread"](model, names["inputs"]) == names["target"]["log_spread"][0]


def test_single_numbers_are_those_of_the_networks(ran):
    _, names = ran
    for model, number in zip(names["networks"], names["numbers"]["parameters"], strict=True):
        assert round(np.expm1(number)) == sum(weights.numel() for weights in model.parameters())


def test_words_follow_the_fits(ran):
    said, names = ran
    assert "a τ of 0.66 with the forest and 0.76 with blend" in said
    assert "The strongest single number is the depth, with 0.33 at best" in said
    assert "the three numbers together have 0.34" in said
    assert "ahead of that on 5 of 5 data seeds" in said
    assert "the forest reaches a τ of 0.77 and blend 0.87" in said
    assert "together, the best is 0.34." in said
    assert claims(names)["operators-beat-numbers"].verdict == "holds"


def test_words_follow_fits_that_are_turned_around():
    said, names = run(TAU | {"operators": 0.2, "parameters": 0.5})
    assert "The strongest single number is the parameters, with 0.60 at best" in said
    assert "ahead of that on 0 of 5 data seeds" in said
    assert claims(names)["operators-beat-numbers"].verdict == "fails"
    assert "with τ = 0.30 after 2." in said
    assert "together, the best is 0.60." in said


def best_of_predictors(table, encoding, size):
    """The mean τ of the committed fits, by hand."""
    fits = pd.read_parquet(data_path("results", "timm.parquet"))
    fits = fits[(fits["table"] == table) & (fits["encoding"] == encoding)]
    fits = fits[fits["train_size"] == size]
    return max(np.mean(some["kendall_tau"].tolist()) for _, some in fits.groupby("predictor"))


def test_real_networks_are_said_as_their_fits_are(ran):
    said, names = ran
    three, short = ("numbers", "numbers+summary")
    top1 = {
        (e, n): best_of_predictors("timm-top1", e, n) for e in (three, short) for n in (32, 128)
    }
    assert f"reach {top1[three, 32]:.3f} from 32 networks and {top1[three, 128]:.3f} from" in said
    assert f"with operators it is {top1[short, 32]:.3f} and {top1[short, 128]:.3f}" in said
    unseen = best_of_predictors("timm-top1 held-out families", short, 128)
    assert f"τ = {top1[short, 128]:.2f} after 128 and {unseen:.2f} in families" in said
    gains = [top1[short, size] - top1[three, size] for size in (32, 128)]
    assert list(names["lead"].values())[:2] == pytest.approx(gains)
    verdict = claims(names)["operators-of-real-networks"].verdict
    assert (verdict == "holds") == all(gain > 0 for gain in names["lead"].values())


def test_where_fewer_numbers_do_as_well_it_is_said(ran):
    said, names = ran
    alone = pd.read_parquet(data_path("results", "timm_numbers.parquet"))
    alone = alone[alone["number"] != "image_size"]
    for table, called in names["CALLED"].items():
        whole = table.removesuffix(" held-out families")
        single = alone.loc[alone["table"] == whole, "kendall_tau"].max()
        for size in (32, 128):
            other = max(single, best_of_predictors(table, "numbers", size))
            ours = best_of_predictors(table, "numbers+summary", size)
            line = f"{called} after {size} ({ours:.3f} against {other:.3f})"
            assert (line in said) == (other >= ours)


def test_traced_networks_are_counted(ran):
    said, _ = ran
    log = pd.read_parquet(data_path("results", "timm_tracing.parquet"))
    assert f"Of {len(log):,} architectures, {(log['reason'] == '').sum():,} have a graph" in said


def test_the_error_that_is_shown_names_the_remedy(ran):
    said, names = ran
    assert names["message"].startswith("EarlyExit cannot be traced.")
    assert "torch.where" in names["message"]
    assert names["message"] in said


def test_the_error_names_the_line_where_there_is_a_file(ran, tmp_path):
    """As in Jupyter, which keeps the source of a cell, and without the folder of that file."""
    _, names = ran
    cells = json.loads(NOTEBOOK.read_text(encoding="utf8"))["cells"]
    (source,) = ["".join(cell["source"]) for cell in cells if cell["id"] == "any-limits"]
    file = tmp_path / "cell.py"
    file.write_text(source, encoding="utf8")
    left = dict(names)
    exec(compile(source, str(file), "exec"), left)
    lines = source.splitlines()
    (number,) = [n for n, line in enumerate(lines, start=1) if "x.mean() > 0" in line]
    assert (
        f" This cell, line {number}, in forward: '{lines[number - 1].strip()}'" in left["message"]
    )


def test_nothing_is_allocated_for_the_large_model(ran):
    said, names = ran
    assert names["allocated"] == 0
    width, inner = 4096, 16_384
    weights = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    assert names["weights"] == weights
    assert f"{weights / 1e9:.1f} billion parameters" in said


def test_shared_weights_show_in_sharing_alone(ran):
    _, names = ran
    assert names["told"].tolist()
    assert all(name.startswith("sharing[") for name in names["told"])


def test_the_caption_names_the_colours_that_are_drawn():
    colours = plots.KIND_COLOURS
    said = {
        "conv": plots.BLUE,
        "normalisation": plots.GREY,
        "activation": plots.GREEN,
        "add": plots.RED,
        "pooling": plots.ORANGE,
        "linear": plots.SKY,
    }
    assert {kind: colours[kind] for kind in said} == said


def test_nothing_is_said_outside_of_the_chapter(ran):
    assert chapter.WAITING.strip("*") in ran[0]
