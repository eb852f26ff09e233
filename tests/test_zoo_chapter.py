"""The chapter on the zoo says what its table says, and says so where rows are missing.

The cells are run here with made-up results, of which the winners are known.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from chapters import listen, run_cells

from graf_utils.predictors.zoo import ZOO
from graf_utils.registry import data_path

NOTEBOOK = data_path().parent / "notebooks" / "06_zoo.ipynb"
SKIPPED = ("zoo-adapt-code",)  # it fits
SIZES = (5, 121, 1000)
TABLES = {"nb201-cifar10": "accuracy", "nb101": "accuracy_108"}
# predictor: encoding, tau at each train size, CPU seconds, trials
MADE_UP = {
    "ridge": ("graf", (0.40, 0.50, 0.60), 0.01, 10),
    "knn": ("one-hot", (0.10, 0.20, 0.30), 0.02, 10),
    "rf": ("graf", (0.30, 0.60, 0.70), 1.0, 10),
    "blend": ("graf+flow", (0.20, 0.70, 0.80), 0.5, 10),
    "brp-nas": ("none", (0.90, 0.95, 0.99), 100.0, 2),
}


def made_up(predictors=MADE_UP, n_trials=None):
    rng = np.random.default_rng(0)
    rows = [
        {"table": table, "source": "paper", "target": target, "encoding": encoding}
        | {"predictor": name, "train_size": size, "data_seed": seed, "n_test": 200}
        | {"kendall_tau": tau + rng.normal(scale=1e-3), "cpu_seconds": cost, "n_features": 1}
        for table, target in TABLES.items()
        for name in predictors
        for encoding, means, cost, trials in [MADE_UP[name]]
        for size, tau in zip(SIZES, means, strict=True)
        for seed in range(n_trials or trials)
    ]
    return pd.DataFrame(rows)


def figures(**taus):
    """Published figures of the experiment at 121 training networks."""
    rows = [("nb101", f"{name} (NASLib)", 121, tau) for name, tau in taus.items()]
    frame = pd.DataFrame(rows, columns=["table", "predictor", "train_size", "value"])
    return frame.assign(statistic="mean kendall_tau on 200 test networks", encoding="own")


def run(patch, results, published):
    """What the chapter says, joined, and its names."""
    said = listen(patch)
    patch.setattr(pd, "read_parquet", lambda path: results.copy())
    patch.setattr("graf_utils.published.published", lambda *args, **options: published.copy())
    patch.setattr("graf_utils.registry.data_path", lambda *parts: parts)
    names = run_cells(NOTEBOOK, lambda cell: cell["id"] in SKIPPED)
    return "\n".join(said), names


PUBLISHED = figures(rf=0.4, bayes_lin_reg=0.3, seminas=0.5, gcn=0.2)


def test_who_is_first_is_counted_without_those_of_few_trials(monkeypatch):
    said, names = run(monkeypatch, made_up(), PUBLISHED)
    assert "With fewer than 5 trials, so roughly known and left out" in said
    assert "*Who is first*: brp-nas." in said
    assert len(names["duels"]) == 6
    assert (
        said.count("ours is first with 2 of 3 train sizes, by more than the interval with 2,") == 2
    )
    assert said.count("and behind by more with 1.") == 2
    assert "come first in 4 of 6 pairs" in said
    assert said.count("it takes 0.5 times the CPU seconds of the next") == 2
    duels = names["duels"]
    assert set(duels["rival"]) == {"ridge, graf", "rf, graf"}
    at_least = duels.loc[("nb101", 5)]
    assert at_least["difference"] == pytest.approx(-0.2, abs=0.002)
    absent = re.search(r"Without results in this copy of the book: (.*)\.", said)[1].split(", ")
    assert set(absent) == set(ZOO) - set(MADE_UP)


def test_the_front_is_told_by_its_numbers(monkeypatch):
    _, names = run(monkeypatch, made_up(), PUBLISHED)
    front = names["fronts"]["NAS-Bench-101"]
    assert front["predictor"].tolist() == ["ridge", "blend", "brp-nas"]
    assert front.index.tolist() == [1, 2, 3]


def test_published_figures_stand_beside_their_partners(monkeypatch):
    results = made_up()
    one_hot = results[results["predictor"].isin(["ridge", "rf"])]
    one_hot = one_hot.replace({"graf": "one-hot", "ridge": "bayesian-ridge"})
    said, names = run(monkeypatch, pd.concat([results, one_hot]), PUBLISHED)
    beside = names["beside"].set_index("published")
    assert beside.loc["rf (NASLib)", "nearest of ours"] == "rf, one-hot"
    assert beside.loc["rf (NASLib)", "our τ"] == pytest.approx(0.6, abs=0.01)
    assert beside.loc["seminas (NASLib)", "nearest of ours"] == ""
    # theirs: rf, bayes, gcn; ours: gcn, rf, bayes
    assert "the 3 predictors that have a partner agrees with a Spearman ρ of -0.50" in said
    assert "the best published figure is 0.500 (seminas (NASLib)), on theirs" in said


@pytest.mark.parametrize(
    ("results", "published", "sentences"),
    [
        (
            made_up(["ridge", "knn"]),
            PUBLISHED,
            ["not enough trials in this", "Too few trials"],
        ),
        (
            made_up(n_trials=1),
            PUBLISHED,
            ["No predictor has enough trials yet", "not enough trials"],
        ),
        (made_up(), PUBLISHED.head(0), ["No published figures for this train size are in this"]),
        (
            made_up().query("table != 'nb101'"),
            PUBLISHED,
            ["Too few of our results", "2 of 3 pairs"],
        ),
        (
            made_up().query("train_size != 121"),
            PUBLISHED,
            ["No fits with 121 training networks: 5 is shown instead.", "2 of 4 pairs"],
        ),
    ],
    ids=["none of ours", "one trial", "nothing published", "one table", "no such size"],
)
def test_where_rows_are_missing_the_chapter_says_so(monkeypatch, results, published, sentences):
    said, _ = run(monkeypatch, results, published)
    for sentence in sentences:
        assert sentence in said
