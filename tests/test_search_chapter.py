"""The chapter on search: what it says of committed runs, computed another way."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from statistics import mean, median

import numpy as np
import pandas as pd
import pytest
from chapters import hear
from scipy.stats import false_discovery_control, wilcoxon

from graf_utils import load_table
from graf_utils.registry import data_path

EMBEDDED = ("nb201-cifar10", "embedded", "accuracy")
LIVE = ("search-live", "bo-live", "bo-live-said", "search-adapt-code", "search-adapted")


@pytest.fixture(scope="module")
def chapter():
    """What the chapter says, and its names; most of its own searches are left out."""
    return hear("12_search", LIVE)


def runs():
    """Regret after each evaluation, by task and by method, encoding, option and seed."""
    found = defaultdict(dict)
    for row in pd.read_parquet(data_path("results", "search.parquet")).to_dict("records"):
        task = row["table"], row["source"], row["target"]
        key = row["method"], row["encoding"], row["option"], row["seed"]
        found[task].setdefault(key, {})[row["evaluation"]] = row["regret"]
    return found


def needed(changes, margin=0.1):
    """First evaluation with a regret of at most the margin."""
    return min((at for at, regret in changes.items() if regret <= margin), default=math.inf)


def of(method, encoding="graf", option="", task=EMBEDDED):
    """The runs of a method by seed."""
    return {
        key[3]: run for key, run in runs()[task].items() if key[:3] == (method, encoding, option)
    }


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (
            ("predictor", "graf"),
            r"on GRAF comes within 0.1 points .* after (\d+) evaluations",
        ),
        (("predictor", "one-hot"), r"on the one-hot code after (\d+),"),
        (("local", "graf"), r"local search after (\d+),"),
        (("evolution", "graf"), r"regularised evolution after (\d+) \(medians of 50 seeds"),
    ],
)
def test_the_answer_names_features_and_methods_without_them(chapter, way, words):
    said, _ = chapter
    evaluations = median(needed(run) for run in of(*way).values())
    assert re.search(words, said)[1] == f"{evaluations:.0f}"


def test_both_tables_stand_in_the_takeaways(chapter):
    """On the published accuracies the order is another one, and the reader is told."""
    said, _ = chapter
    ways = (
        ("predictor", "graf"),
        ("predictor", "one-hot"),
        ("local", "graf"),
        ("evolution", "graf"),
    )
    for source, words in (("paper", "published accuracies"), ("embedded", "those of AnalogNAS")):
        task = ("nb201-cifar10", source, "accuracy")
        medians = [median(needed(r) for r in of(*way, task=task).values()) for way in ways]
        assert f"{', '.join(f'{n:.0f}' for n in medians)} on {words}" in said


def mean_regret(changes):
    """Mean regret from evaluation 21 to 100."""
    values, last = [], None
    for at in range(1, 101):
        last = changes.get(at, last)
        values.append(last)
    return mean(values[20:])


def test_which_ideas_help_is_decided_by_a_corrected_paired_test(chapter):
    said, _ = chapter
    ideas = {
        "prune random search": (("random", "graf", "prune"), ("random", "graf", "")),
        "guide evolution": (("evolution", "graf", "guided"), ("evolution", "graf", "")),
        "guide local search": (("local", "graf", "guided"), ("local", "graf", "")),
        "GRAF for one-hot": (("predictor", "graf", ""), ("predictor", "one-hot", "")),
        "diverse start": (("predictor", "graf", "k-centre"), ("predictor", "graf", "")),
        "prune the predictor": (("predictor", "graf", "prune"), ("predictor", "graf", "")),
        "add proxies": (("predictor", "zcp+graf", ""), ("predictor", "graf", "")),
    }
    rows = []
    for task, found in runs().items():
        regret = {key: mean_regret(changes) for key, changes in found.items()}
        for idea, (variant, twin) in ideas.items():
            gain = np.array([regret[*twin, seed] - regret[*variant, seed] for seed in range(50)])
            better = np.mean(gain > 0) + np.mean(gain == 0) / 2
            rows.append((idea, task, better, wilcoxon(gain, zero_method="zsplit").pvalue))
    q = false_discovery_control([row[3] for row in rows])
    helps = defaultdict(int)
    for (idea, _, better, _), value in zip(rows, q, strict=True):
        helps[idea] += int(value < 0.05 and better > 0.5)
    mostly = ", ".join(idea for idea in ideas if helps[idea] > 2.5)
    never = ", ".join(idea for idea in ideas if helps[idea] == 0)
    assert f"help on most of the 5 tasks: {mostly}. These help on none: {never}." in said
    assert f"it helps on {helps['guide evolution']} of 5 tasks" in said


def test_networks_of_a_learnt_search_cost_more(chapter):
    said, names = chapter
    file = pd.read_parquet(data_path("results", "search.parquet"))
    file = file[(file["source"] == "embedded") & (file["evaluation"] == 200)]
    graf = file[(file["method"] == "predictor") & (file["encoding"] == "graf")]
    price = (graf[graf["option"] == ""]["cost"] / 200).median()
    assert f"by the predictor on GRAF costs {price:.2f} average networks" in said


def test_even_odds_of_random_search_are_counted(chapter):
    said, _ = chapter
    y = load_table("nb201-cifar10", source="embedded").target("accuracy")
    near = int((y >= y.max() - 0.1).sum())
    assert f"{near} of {len(y):,}. After" in said
    draws = int(re.search(r"one half at \$n = (\d+)\$", said)[1])
    assert (1 - near / len(y)) ** draws <= 0.5 < (1 - near / len(y)) ** (draws - 1)


def test_every_claim_stands_once(chapter):
    _, names = chapter
    ids = [claim.id for claim in names["page"].ledger.claims]
    assert ids == [
        "search-local", "search-predictor", "bo-beats-random", "bo-like-seminas",
        "bo-errors-nb201-cifar10", "bo-errors-nb201-imagenet16-120",
    ]  # fmt: skip
