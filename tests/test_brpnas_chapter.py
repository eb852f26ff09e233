"""The chapter on BRP-NAS: what it says of committed fits, computed another way."""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import median

import pandas as pd
import pytest
from chapters import hear

from graf_utils import plots
from graf_utils.registry import data_path

LIVE = ("brp-live", "brp-live-said")  # cells that train


@pytest.fixture(scope="module")
def chapter():
    """What the chapter says of committed fits, and its names; the live parts are left out."""
    return hear("10_brp_nas", LIVE, stop="brp-adapt-code")


def rows(name, **levels):
    """Rows of a committed results table as dictionaries."""
    table = pd.read_parquet(data_path("results", f"{name}.parquet"))
    records = table.to_dict("records")
    return [row for row in records if all(row[key] == value for key, value in levels.items())]


def medians(name, *keys, seeds=None, **levels):
    """Median τ by hand: a dictionary from the values of `keys`."""
    groups = defaultdict(list)
    for row in rows(name, **levels):
        if seeds is None or row["data_seed"] in seeds:
            groups[tuple(row[key] for key in keys)].append(row["kendall_tau"])
    return {key: median(values) for key, values in groups.items()}


def test_the_table_is_of_the_committed_fits(chapter):
    _, names = chapter
    taus = medians("brpnas_nb201", "train_size", "encoding", predictor="brp-nas")
    assert names["median"].to_dict() == pytest.approx(taus)
    near = medians("brpnas_nearest", "train_size", "encoding", target="accuracy")
    assert names["by"]["nearest"].dropna().to_dict() == pytest.approx(near)


def test_gains_stand_beside_those_of_the_authors(chapter):
    said, _ = chapter
    taus = medians("brpnas_nb201", "train_size", "encoding", predictor="brp-nas")
    for size in (32, 128):
        gain = taus[size, "graf"] - taus[size, "none"]
        assert f"{gain:+.3f} with {size} networks (theirs +" in said


def test_the_graph_is_compared_on_common_seeds(chapter):
    said, _ = chapter
    for size in (32, 128):
        by_seed = defaultdict(dict)
        for row in rows("brpnas_nb201", encoding="graf", train_size=size):
            by_seed[row["data_seed"]][row["predictor"]] = row["kendall_tau"]
        gaps = [tau["brp-nas"] - tau["mlp"] for tau in by_seed.values() if "mlp" in tau]
        assert f"{median(gaps):+.3f}" in said
        nothing = "the graph adds nothing that we can see"
        if size == 128:
            assert (nothing in said) == (median(gaps) <= 0)


def test_the_best_forest_and_the_linear_model_are_the_best_of_all_tables(chapter):
    said, names = chapter
    of = {"target": "edgegpu_latency", "train_size": 1024}
    graph_fits = rows("brpnas_tasks", **of, predictor="brp-nas")
    seeds = {row["data_seed"] for row in graph_fits}
    forests = medians("paper_tasks", "encoding", seeds=seeds, **of, predictor="rf")
    (best,) = max(forests, key=forests.get)
    assert names["forest"]["edgegpu_latency"] == pytest.approx(forests[best,])
    assert names["on"]["edgegpu_latency"] == plots.look(best).label == "GRAF + one-hot"
    linear = medians("paper_tasks", "encoding", seeds=seeds, **of, predictor="ridge")
    (on,) = max(linear, key=linear.get)
    words = f"a linear model on {plots.look(on).label} {linear[on,]:.3f}"
    assert words in said
    assert re.search(rf"best forest that we ran, on GRAF \+ one-hot, {forests[best,]:.3f}", said)


def test_every_claim_stands_once(chapter):
    _, names = chapter
    ids = [claim.id for claim in names["page"].ledger.claims]
    assert ids == [
        "brpnas-none", "brpnas-graf", "brpnas-zcp", "brpnas-zcp+graf", "brpnas-features-help",
        "brpnas-largest",
    ]  # fmt: skip
