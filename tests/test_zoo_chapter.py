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


def claims_of(patch, results, published):
    _, names = run(patch, results, published)
    return {claim.id: claim for claim in names["page"].ledger.claims}


def paper_rows(results, predictor, taus, seconds):
    """The made-up forest of the results as one of the paper's predictors, on ZCP + GRAF."""
    rows = results[(results["predictor"] == "rf") & (results["table"] == "nb201-cifar10")]
    new = {"encoding": "zcp+graf", "predictor": predictor, "cpu_seconds": seconds}
    sizes = dict(zip(SIZES, taus, strict=True))
    return rows.assign(kendall_tau=rows["train_size"].map(sizes), **new)


def test_the_claim_of_the_abstract_is_counted(monkeypatch):
    """Two existing predictors, on one-hot: τ .4 to .6 in .01 s, .1 to .3 in .02 s."""
    results = made_up().replace({"encoding": {"graf": "one-hot"}}).query("predictor != 'rf'")
    forest = made_up(["rf"])
    good = paper_rows(forest, "rf", (0.5, 0.6, 0.7), 0.005)
    mixed = paper_rows(forest, "xgb", (0.2, 0.6, 0.7), 0.015)
    found = claims_of(monkeypatch, pd.concat([results, good]), PUBLISHED)
    assert [found[f"zoo-{id}"].verdict for id in ("outperforms", "cost")] == ["holds", "holds"]
    assert found["zoo-cost"].ours.startswith("rf, N=5: 0.500")
    assert found["zoo-cost"].reason.endswith("Strongest here: ridge.")
    both = claims_of(monkeypatch, pd.concat([results, good, mixed]), PUBLISHED)
    assert both["zoo-outperforms"].missed == "xgb, N=5"  # above one of two is not most
    assert both["zoo-outperforms"].verdict == "holds in part"
    alone = claims_of(monkeypatch, pd.concat([results, mixed]), PUBLISHED)
    assert alone["zoo-cost"].verdict == "fails"
    for id in ("outperforms-there", "cost-there"):  # no figures of ZCP + GRAF in these
        assert found[f"zoo-{id}"].verdict == "cannot be tested here"


def test_the_claim_by_the_figures_of_the_authors(monkeypatch):
    taus = figures(rf=0.4, gcn=0.5, mlp=0.7)
    paper = taus.head(1).assign(predictor="xgb", encoding="zcp+graf", value=0.6)
    cost = pd.concat([taus, paper]).assign(statistic="mean seconds of a fit", train_size=500)
    cost["value"] = [0.2, 700.0, 500.0, 5.0]
    found = claims_of(monkeypatch, made_up(), pd.concat([taus, paper, cost]))
    assert found["zoo-outperforms-there"].ours == "xgb, N=121: 0.667"
    assert found["zoo-cost-there"].ours == "xgb, N=121: 0.010"
    assert found["zoo-cost-there"].verdict == found["zoo-outperforms-there"].verdict == "holds"
    assert found["zoo-cost"].verdict == "cannot be tested here"


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


def test_the_exercises_are_answered_from_the_results(monkeypatch):
    said, _ = run(monkeypatch, made_up(), PUBLISHED)
    assert re.search(r"`ridge` on GRAF: τ = 0\.(399|40\d) in 0\.010 s\.", said)
    assert "There are no fits of LightGBM in this copy of the book." in said
    assert "the best of 3 pairs of a predictor and an encoding, ours of 1." in said


def test_lightgbm_learns_from_the_first_size_whose_mean_is_above_0(monkeypatch):
    results = made_up()
    renamed = results[results["predictor"] == "knn"].assign(predictor="lightgbm")
    renamed.loc[renamed["train_size"] == 5, "kendall_tau"] = 0.0
    said, _ = run(monkeypatch, pd.concat([results, renamed]), PUBLISHED)
    assert "From 121 on its best mean τ is above 0." in said
