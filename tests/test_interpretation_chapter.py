"""The chapter on importances: what it says of committed ranks, computed another way."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from statistics import mean

import pandas as pd
import pytest
from chapters import hear

from graf_utils import plots
from graf_utils.registry import data_path

LIVE = ("expl-live", "expl-live-said", "expl-climbed", "expl-climbed-said")


@pytest.fixture(scope="module")
def chapter():
    """What the chapter says up to the changes of one edge; the live importances are left out."""
    return hear("11_interpretation", LIVE, stop="expl-changes")


def records(name, **levels):
    """Rows of a committed table of importances as dictionaries."""
    table = pd.read_parquet(data_path("results", f"importances_{name}.parquet"))
    for key, value in levels.items():
        table = table[table[key] == value]
    return table.to_dict("records")


PAPER = {"encoding": "zcp+graf", "method": "shap"}


def test_the_first_features_are_those_of_the_file(chapter):
    _, names = chapter
    ranks = defaultdict(list)
    for row in records("nb201", **PAPER, table="nb201-cifar10", grouped=False):
        ranks[row["feature"]].append(row["rank"])
    order = sorted(ranks, key=lambda feature: mean(ranks[feature]))
    assert names["top_three"] == ", ".join(map(plots.feature_label, order[:3]))


@pytest.mark.parametrize(("grouped", "word"), [(False, "columns"), (True, "groups")])
def test_train_sets_share_features(chapter, grouped, word):
    said, _ = chapter
    ranks = defaultdict(dict)
    for row in records("nb201", **PAPER, table="nb201-cifar10", grouped=grouped):
        ranks[row["data_seed"]][row["feature"]] = row["rank"]
    tens = [set(sorted(of, key=of.get)[:10]) for of in ranks.values()]
    shared = mean(len(a & b) for a, b in combinations(tens, 2))
    assert f"{shared:.1f} of their first ten {word}" in said
    assert f"{len(set.intersection(*tens))} {word}" in said


def test_shares_of_kinds_are_sums_of_importances(chapter):
    said, _ = chapter
    sums = defaultdict(float)
    for row in records("tnb101_micro", method="shap", target="autoencoder"):
        if row["encoding"].endswith("a group"):
            kind = row["feature"].startswith("min_path_len")
            sums[kind] += row["importance"]
    share = sums[True] / (sums[True] + sums[False])
    assert f"shortest paths hold {share:.0%} of the importance" in said


def test_every_claim_stands_once(chapter):
    said, names = chapter
    ids = [claim.id for claim in names["page"].ledger.claims]
    assert ids == ["cifar10-top-five", "cifar10-order", "autoencoder-top-three", "tasks-differ"]
    assert re.search(r"GRAF has \d+ such groups among its 191 columns", said)
