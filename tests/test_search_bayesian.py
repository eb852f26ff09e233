"""Bayesian optimisation: what is asked, drawn and proposed, with made-up surrogates; its runs."""

import joblib
import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from recipes import load_recipe
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graf_utils.datasets import load_table
from graf_utils.registry import data_path
from graf_utils.search import Bayesian, Candidates, hypervolume, pareto_front, search
from graf_utils.search.methods import History
from graf_utils.spaces import CellSpace

CHAIN = CellSpace(["a", "b", "c"], edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])  # 243 cells
CELLS = CHAIN.enumerate()
NUMBERS = Candidates(CHAIN, CELLS, np.arange(243.0)[:, None])  # a candidate's feature is its row
ONES = Candidates(CHAIN, CELLS, (CELLS[:, :, None] == np.arange(3)).reshape(243, -1).astype(float))
SUMS = CELLS @ np.array([5.0, 4, 3, 2, 1])
MIXED = np.random.default_rng(0).permutation(243) / 10  # all values differ, in no order


class Oracle(RegressorMixin, BaseEstimator):
    """Knows the target of each row, says how unsure it is, and notes what it is asked."""

    asked: list[np.ndarray]
    seen: list[np.ndarray]

    def __init__(self, std=0.0):
        self.std = std

    def fit(self, X, y):
        np.testing.assert_array_equal(y, MIXED[X[:, 0].astype(int)])
        Oracle.seen.append(X[:, 0].astype(int))
        return self

    def predict(self, X, return_std=False):
        rows = X[:, 0].astype(int)
        Oracle.asked.append(rows)
        return (MIXED[rows], np.full(len(rows), self.std)) if return_std else MIXED[rows]


class Mean(RegressorMixin, BaseEstimator):
    """Predicts the mean of what it was fitted to, which it notes with its seed."""

    fits: list[tuple[int, np.ndarray]]

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y):
        Mean.fits.append((self.random_state, y))
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.fixture(autouse=True)
def nothing_noted():
    Oracle.asked, Oracle.seen, Mean.fits = [], [], []


def run(surrogate, budget=100, *, pool=ONES, y=SUMS, batch_size=20, seed=0, **options):
    method = Bayesian(surrogate, **options)
    return search(pool, y, method, budget, batch_size=batch_size, random_state=seed)


# --- what is proposed -----------------------------------------------------------------------------


def test_a_batch_is_the_best_of_the_candidates_drawn():
    found = run(Oracle(), pool=NUMBERS, y=MIXED, n_candidates=50)["candidate"].to_numpy()
    assert len(Oracle.asked) == len(Oracle.seen) == 4
    for number, (asked, seen) in enumerate(zip(Oracle.asked, Oracle.seen, strict=True)):
        start = 20 + 20 * number
        np.testing.assert_array_equal(seen, found[:start])  # it is fitted to all evaluated
        assert len(set(asked)) == 50
        assert not set(asked) & set(seen)
        best = sorted(asked, key=lambda row: -MIXED[row])[:20]
        assert found[start : start + 20].tolist() == best


def test_an_oracle_finds_the_best_at_once():
    found = run(Oracle(), 21, pool=NUMBERS, y=MIXED, n_candidates=243)
    assert found["best"].iloc[-1] == MIXED.max()
    assert found["best"].iloc[19] < MIXED.max()


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.5])
def test_draws_are_from_the_predicted_normal_distributions(gap):
    """Of two candidates, the better is drawn higher as often as two normal variables say."""

    class Two(Oracle):
        def fit(self, X, y):
            return self

        def predict(self, X, return_std=False):
            return gap * (X[:, 0] == X[:, 0].max()), np.array([1.0, 2.0])[: len(X)]

    history = History(NUMBERS, 1, False, False, 0)
    history.add(list(range(241)), MIXED[:241, None])
    proposals = Bayesian(Two())(history)
    share = np.mean([next(proposals) == [242] for _ in range(3000)])
    expected = norm.cdf(gap / np.sqrt(1 + 4))
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000)


def test_with_no_more_candidates_than_a_batch_it_is_random_search():
    batches = [
        search(ONES, SUMS, method, 40, batch_size=20, random_state=3)["candidate"]
        for method in ("random", Bayesian(LinearRegression(), n_candidates=20))
    ]
    assert batches[0][:20].equals(batches[1][:20])
    assert set(batches[0]) == set(batches[1])


# --- mean and standard deviation ------------------------------------------------------------------


def test_an_ensemble_is_fitted_to_bootstrap_samples_with_seeds_of_their_own():
    y = np.arange(30.0)
    mean, std = Bayesian(Mean(), n_members=4).predict(y[:, None], y, np.zeros((5, 1)), 0)
    seeds, samples = zip(*Mean.fits, strict=True)
    assert len(set(seeds)) == len(samples) == 4
    assert all(len(sample) == 30 and set(sample) < set(y) for sample in samples)
    said = [sample.sum() / 30 for sample in samples]
    middle = sum(said) / 4
    np.testing.assert_allclose(mean, middle)
    np.testing.assert_allclose(std, (sum((one - middle) ** 2 for one in said) / 4) ** 0.5)
    assert std[0] > 0
    assert mean.shape == std.shape == (5,)


def test_a_list_is_the_ensemble_and_sees_all():
    y = np.array([0.0, 1, 5])
    method = Bayesian([Mean(), LinearRegression()])
    mean, std = method.predict(y[:, None], y, np.array([[5.0], [9]]), 0)
    np.testing.assert_array_equal(Mean.fits[0][1], y)
    np.testing.assert_allclose(mean, [(2 + 5) / 2, (2 + 9) / 2])
    np.testing.assert_allclose(std, [1.5, 3.5])


def test_a_surrogate_that_knows_how_sure_it_is_is_asked():
    # with noise: of a target without any, the precision grows beyond what a float can hold
    X, y = ONES.matrix[:60], SUMS[:60] + np.random.default_rng(0).normal(size=60)
    mean, std = Bayesian(BayesianRidge()).predict(X, y, ONES.matrix[60:], 0)
    expected = BayesianRidge().fit(X, y).predict(ONES.matrix[60:], return_std=True)
    np.testing.assert_allclose([mean, std], expected)
    assert (std > 0).all()


def test_seeds_reach_into_a_pipeline_and_the_surrogate_given_stays_as_it_is():
    own = make_pipeline(StandardScaler(), Mean(random_state=7))
    Bayesian(own).predict(np.eye(3), np.arange(3.0), np.eye(3), 0)
    assert len({seed for seed, _ in Mean.fits}) == 3
    assert own[-1].random_state == 7


# --- runs -----------------------------------------------------------------------------------------

SURROGATES = {
    "ensemble": LinearRegression(),
    "std": BayesianRidge(),
    "list": [LinearRegression(), RandomForestRegressor(4)],
}


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("budget", [20, 21, 47, 100, 243])
def test_the_budget_is_kept_and_no_network_evaluated_twice(name, budget):
    asked = []

    def train(cells):
        asked.extend(cells)
        return [float(np.dot(cell, [5, 4, 3, 2, 1])) for cell in cells]

    found = run(SURROGATES[name], budget, y=train, n_candidates=60)
    assert len(found) == len(asked) == len(set(asked)) == budget
    assert found["best"].iloc[-1] == max(np.dot(cell, [5, 4, 3, 2, 1]) for cell in asked)


@pytest.mark.parametrize("name", SURROGATES)
def test_a_seed_fixes_the_run(name):
    first = run(SURROGATES[name], 60, seed=1)
    assert run(SURROGATES[name], 60, seed=1).equals(first)
    other = run(SURROGATES[name], 60, seed=2)
    assert (other["candidate"] != first["candidate"]).any()


def test_jobs_change_nothing():
    runs = [run(RandomForestRegressor(20, n_jobs=jobs), 80, seed=5) for jobs in (1, 2, 4)]
    with joblib.parallel_config("threading", n_jobs=2):
        runs.append(run(RandomForestRegressor(20), 80, seed=5))
    assert all(found.equals(runs[0]) for found in runs)


def test_it_is_worth_its_evaluations():
    """Where the target is linear, a linear surrogate is soon at the best, chance is not."""
    regrets = {"bayesian": [], "random": []}
    for seed in range(10):
        options = {"batch_size": 10, "random_state": seed}
        methods = {"bayesian": Bayesian(BayesianRidge(), n_candidates=243), "random": "random"}
        for name, method in methods.items():
            regrets[name].append(SUMS.max() - search(ONES, SUMS, method, 60, **options)["best"][59])
    assert np.mean(regrets["bayesian"]) == 0
    assert np.mean(regrets["random"]) > 0.5


def test_several_objectives_are_raised_together():
    goals = pd.DataFrame({"up": SUMS, "few": -(CELLS == 2).sum(axis=1).astype(float)})
    low = goals[pareto_front(goals)].min().to_numpy()

    def area(method, seed):
        found = search(ONES, goals, method, 60, batch_size=10, random_state=seed)
        return hypervolume(found[list(goals)], low)

    means = [
        np.mean([area(method, seed) for seed in range(6)])
        for method in ("random", Bayesian(BayesianRidge(), n_candidates=100))
    ]
    assert means[0] < means[1]


def test_a_method_of_ones_own_is_a_function_of_the_history():
    def in_order(history):
        while True:
            yield np.flatnonzero(history.unseen)[: history.batch_size].tolist()

    found = search(ONES, SUMS, in_order, 50, n_initial=5, batch_size=20, random_state=0)
    first = set(found["candidate"][:5])
    assert found["candidate"][5:].tolist() == [i for i in range(243) if i not in first][:45]


# --- bad input ------------------------------------------------------------------------------------


class Wrong(Mean):
    """Predicts what it is told to."""

    def __init__(self, said=np.nan):
        self.said = said

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), self.said) if np.isscalar(self.said) else np.array(self.said)


BAD = {
    "surrogate: name": (lambda: Bayesian("blnd"), ["'blnd'", "Did you mean 'blend'"]),
    "surrogate: number": (lambda: Bayesian(3), ["3", "not a regressor"]),
    "surrogate: a list of one": (lambda: Bayesian(["rf"]), ["surrogate=['rf']", "two models"]),
    "surrogate: in a list": (lambda: Bayesian(["rf", "fr"]), ["'fr'", "unknown"]),
    "n_members": (lambda: Bayesian("rf", 1), ["n_members=1", "2"]),
    "n_candidates": (lambda: Bayesian("rf", n_candidates=0), ["n_candidates=0", "1"]),
    "predicts NaN": (lambda: run(Wrong(), 30), ["Wrong", "nan", "another surrogate"]),
    "predicts too few": (lambda: run(Wrong([1.0]), 30), ["Wrong", "(1,)", "200 networks"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_teaches(what):
    must_name(*BAD[what])


# --- the recipe and its results -------------------------------------------------------------------

RUN = ["table", "encoding", "predictor", "seed"]


def test_runs_are_kept_one_by_one(tmp_path, monkeypatch, capsys):
    recipe = load_recipe("bo_results")
    methods = {("none", "random"): "random", ("op-count", "ridge"): Bayesian(BayesianRidge())}
    monkeypatch.setattr(recipe, "METHODS", methods)
    monkeypatch.setattr(recipe, "SETTINGS", {"budget": 60, "n_initial": 20, "batch_size": 20})
    table = load_table("nb201-cifar10", source="embedded")
    pools, names = recipe.pools_of(table), ["random", "ridge"]
    first = recipe.runs_of(table, pools, names, range(1), tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == len(methods)
    both = recipe.runs_of(table, pools, names, range(2), tmp_path)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert len(capsys.readouterr().out.splitlines()) == 4  # each run is computed once
    again = both[both["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, first)
    ridge = recipe.runs_of(table, pools, ["ridge"], range(2), tmp_path)
    pd.testing.assert_frame_equal(ridge, both[both["predictor"] == "ridge"].reset_index(drop=True))
    assert (both.groupby(RUN)["evaluation"].max() == 60).all()
    (best,) = (first["best"] + first["regret"]).round(9).unique()
    assert best == round(table.target("accuracy").max(), 9)


@pytest.fixture(scope="module")
def runs():
    return pd.read_parquet(data_path("results", "bo_search.parquet"))


def test_the_committed_runs_are_whole_and_begin_alike(runs):
    recipe = load_recipe("bo_results")
    seeds = runs.groupby(RUN[:3])["seed"].unique().map(sorted)
    assert len(seeds) == len(recipe.METHODS) * len(recipe.TABLES)
    assert {len(found) for found in seeds} <= set(recipe.ROUNDS)
    assert all(found == list(range(len(found))) for found in seeds)
    assert (seeds.map(len).drop("rf", level="predictor") >= 10).all()  # forests take their time
    by_run = runs.groupby(RUN)
    assert by_run["best"].is_monotonic_increasing.all()
    assert (by_run["evaluation"].max() == recipe.SETTINGS["budget"]).all()
    start = runs[runs["evaluation"] <= recipe.SETTINGS["n_initial"]]
    for _, part in start.groupby(["table", "seed"]):
        begun = part.groupby("predictor")[["evaluation", "incumbent"]].agg(lambda x: sorted(set(x)))
        assert begun.map(tuple).drop_duplicates().shape[0] == 1


def expected_best(values, n):
    """The mean of the highest of n values drawn without replacement: exact, by a recursion."""
    highest_first, left, mean = np.sort(values)[::-1], 1.0, 0.0
    for i, value in enumerate(highest_first[: len(values) - n + 1]):
        drawn = n / (len(values) - i)
        mean += left * drawn * value
        left *= 1 - drawn
    return mean


@pytest.mark.paper
@pytest.mark.parametrize("name", ["nb201-cifar10", "nb201-imagenet16-120"])
def test_random_search_is_what_chance_says(runs, paper_dir, name):
    y = load_table(name, source="paper").target("accuracy")
    ends = runs[(runs["table"] == name) & (runs["predictor"] == "random")]
    ends = ends[ends["evaluation"] == 500]["best"]
    error = ends.std() / np.sqrt(len(ends))
    assert abs(ends.mean() - expected_best(y, 500)) < 4 * error


@pytest.mark.paper
@pytest.mark.parametrize(("predictor", "until"), [("random", 500), ("rf", 100)])
def test_a_committed_run_is_computed_again(runs, paper_dir, predictor, until):
    """The forest's beginning: it does not depend on the budget."""
    recipe = load_recipe("bo_results")
    (key,) = [key for key in recipe.METHODS if key[1] == predictor]
    table = load_table("nb201-imagenet16-120", source="paper")
    y = table.target("accuracy")
    pool = Candidates.of(table, "graf" if key[0] == "none" else key[0])
    settings = recipe.SETTINGS | {"budget": until}
    found = search(pool, y, recipe.METHODS[key], random_state=3, **settings)
    known = runs[(runs["table"] == table.name) & (runs["predictor"] == predictor)]
    known = known[(known["seed"] == 3) & (known["evaluation"] <= until)].set_index("evaluation")
    found = found.set_index("evaluation").loc[known.index]
    assert len(known) > 2
    assert (found["incumbent"] == known["incumbent"]).all()
    np.testing.assert_allclose(y.max() - found["best"], known["regret"])
