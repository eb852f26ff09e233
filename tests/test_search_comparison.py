"""Evaluations that searches need, in pairs of runs, with made-up curves; the runs of flow."""

import math

import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from hypothesis import given
from hypothesis import strategies as st
from recipes import load_recipe

from graf_utils.datasets import load_table
from graf_utils.registry import data_path
from graf_utils.search import Candidates, compare_evaluations, evaluations_needed, search

INF = math.inf
KEYS = ["table", "source", "target", "method", "encoding", "option"]
BUDGET = 20
needed = st.lists(st.sampled_from([*range(1, BUDGET + 1), INF]), min_size=20, max_size=20)


def curves(**regrets):
    """Runs with a regret after each evaluation: the name is an encoding and a seed."""
    frames = []
    for name, regret in regrets.items():
        encoding, seed = name.split("_")
        frame = pd.DataFrame({"evaluation": range(1, len(regret) + 1), "regret": regret})
        frames.append(frame.assign(encoding=encoding, seed=int(seed)))
    return pd.concat(frames, ignore_index=True)


RUNS = curves(
    a_0=[3.0, 0.5, 0.5, 0.1], a_1=[0.2, 0.2, 0.2, 0.2], b_0=[1.0, 1.0, 0.5, 0.5], b_1=[2.0] * 4
)

# --- evaluations needed ---------------------------------------------------------------------------


def test_the_first_evaluation_near_enough_counts():
    by = ["encoding", "seed"]
    reached = evaluations_needed(RUNS, 0.5, by)
    assert reached.to_dict() == {("a", 0): 2, ("a", 1): 1, ("b", 0): 3, ("b", 1): INF}
    assert evaluations_needed(RUNS, 0.1, by).to_list() == [4, INF, INF, INF]
    assert evaluations_needed(RUNS[RUNS["encoding"] == "b"], 0.5).to_dict() == {0: 3, 1: INF}


def test_rows_may_be_missing_where_nothing_changed_and_in_any_order():
    by = ["encoding", "seed"]
    changed = RUNS["regret"] != RUNS.groupby(by)["regret"].shift()
    kept = RUNS[changed].sample(frac=1, random_state=0)
    for within in (0.1, 0.2, 0.3, 0.5, 1.0, 3.0):
        whole = evaluations_needed(RUNS, within, by)
        pd.testing.assert_series_equal(evaluations_needed(kept, within, by), whole)


def test_a_search_is_read_as_it_is():
    """Against a loop over the evaluated, one by one."""
    table = load_table("nb201-cifar10", source="embedded")
    pool, y = Candidates.of(table, "op-count"), table.target("accuracy")
    run = search(pool, y, "random", 60, random_state=1)
    run = run.assign(regret=y.max() - run["best"], seed=1)
    for within in (1.0, 2.0, 5.0):
        loop = next(
            (i for i, row in enumerate(run["candidate"], 1) if y.max() - y[row] <= within), INF
        )
        assert evaluations_needed(run, within)[1] == loop


# --- in pairs -------------------------------------------------------------------------------------


def test_pairs_by_hand():
    compared = compare_evaluations([10, 20, 5, INF, INF], [15, INF, 5, 18, INF], BUDGET)
    # saved: 5, 21 - 20 = 1 at least, 0, 18 - 21 = -3, a tie
    assert (compared.n, compared.saved) == (5, 0)
    assert compared.sooner == pytest.approx((2 + 2 / 2) / 5)
    assert (compared.first, compared.second) == (20, 18)
    assert (compared.first_censored, compared.second_censored) == (2, 2)
    assert compare_evaluations([INF, 3], [INF, 4], BUDGET).first == INF


def test_equal_savings_leave_no_doubt_of_their_size():
    one = np.arange(1, 11)
    compared = compare_evaluations(one, one + 7, BUDGET)
    assert (compared.low, compared.saved, compared.high, compared.sooner) == (7, 7, 7, 1)
    assert compared.p < 0.01


def test_p_of_few_pairs_is_that_of_all_signs():
    """Of 2^5 assignments of signs, two have all savings on one side."""
    assert compare_evaluations([1, 1, 1, 1, 1], [2, 3, 4, 5, 6], BUDGET).p == pytest.approx(2 / 32)
    for n in (2, 50):
        assert compare_evaluations([4] * n, [4] * n, BUDGET).p == 1


def test_series_are_paired_by_their_seeds():
    one = pd.Series([1.0, 2, 3], index=[7, 8, 9])
    other = pd.Series([13.0, 12, 11], index=[9, 8, 7])
    assert compare_evaluations(one, other, BUDGET).saved == 10
    assert compare_evaluations(one, other, BUDGET).high == 10


@given(needed, needed)
def test_the_other_way_round_is_the_opposite(one, other):
    there, back = compare_evaluations(one, other, BUDGET), compare_evaluations(other, one, BUDGET)
    assert (back.saved, back.low, back.high) == pytest.approx(
        (-there.saved, -there.high, -there.low)
    )
    assert back.sooner == pytest.approx(1 - there.sooner)
    assert back.p == pytest.approx(there.p)
    assert (back.first, back.first_censored) == (there.second, there.second_censored)


@given(needed, needed, st.integers(0, 2**32 - 1))
def test_a_larger_budget_only_makes_differences_larger(one, other, seed):
    """Where one of a pair is censored: who is sooner stays, whatever it would have needed."""
    longer = np.random.default_rng(seed).integers(BUDGET + 1, 100, size=(2, len(one)))
    both = np.array([one, other])
    single = np.isinf(both).sum(axis=0) == 1
    finished = np.where(np.isinf(both), longer, both)[:, single]
    if single.any():
        short = compare_evaluations(*both[:, single], BUDGET)
        whole = compare_evaluations(*finished, 100)
        assert short.sooner == whole.sooner
        if short.sooner == 1:
            assert 0 < short.saved <= whole.saved


def test_the_interval_holds_the_true_median_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(200):
        one = rng.integers(1, 500, 50)
        saved = rng.integers(-100, 141, 50)  # median 20
        compared = compare_evaluations(one, one + saved + 100, 1000, n_draws=300)
        hits.append(compared.low <= 120 <= compared.high)
    assert 0.89 <= np.mean(hits) <= 0.99


BAD = {
    "by: unknown": (lambda: evaluations_needed(RUNS, 0.1, "sede"), ["'sede'", "'seed'"]),
    "by: two runs": (
        lambda: evaluations_needed(RUNS, 0.1),
        ["two rows", "{'seed': 0, 'evaluation': 1}", "Add", "'encoding'"],
    ),
    "column": (lambda: evaluations_needed(RUNS, 0.1, column="test_regret"), ["'test_regret'"]),
    "within": (lambda: evaluations_needed(RUNS, math.nan), ["within=nan", "finite"]),
    "NaN": (
        lambda: evaluations_needed(RUNS.assign(regret=np.nan), 0.1),
        ["'regret'", "finite", "Drop"],
    ),
    "no rows": (lambda: evaluations_needed(RUNS.head(0), 0.1), ["0 rows", "selected"]),
    "lengths": (lambda: compare_evaluations([1, 2], [1], BUDGET), ["second", "[1]", "per seed"]),
    "none": (lambda: compare_evaluations([], [], BUDGET), ["first", "at least one"]),
    "seeds": (
        lambda: compare_evaluations(pd.Series([1, 2], [5, 6]), pd.Series([1, 2], [6, 7]), BUDGET),
        ["second", "first", "[6, 7]"],
    ),
    "budget": (lambda: compare_evaluations([1], [2], 0), ["budget=0"]),
    "beyond": (lambda: compare_evaluations([21], [2], BUDGET), ["first", "21", "budget=20"]),
    "NaN evaluations": (
        lambda: compare_evaluations([1], [math.nan], BUDGET),
        ["second", "nan", "infinity"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_teaches(what):
    must_name(*BAD[what])


# --- the committed results ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flow_runs():
    return pd.read_parquet(data_path("results", "flow_search.parquet"))


@pytest.fixture(scope="module")
def graf_runs():
    """The runs that those on flow are paired with."""
    runs = pd.read_parquet(data_path("results", "search.parquet"))
    return runs[(runs["method"] == "predictor") & (runs["option"] == "")]


def test_each_run_on_flow_has_a_partner_of_the_same_beginning(flow_runs, graf_runs):
    """Same task, same budget, same first network for the same seed: so they are pairs."""
    assert set(flow_runs) == {*graf_runs, "top_regret", "run"}
    assert set(flow_runs["encoding"]) == {"flow", "graf+flow", "zcp+graf+flow"}
    assert (flow_runs.groupby(KEYS)["seed"].nunique() == 50).all()
    run = ["table", "source", "target", "seed"]
    ends = {}
    for runs in (flow_runs, graf_runs):
        runs = runs.sort_values("evaluation")
        for (encoding, *key), part in runs.groupby(["encoding", *run]):
            assert part["best"].is_monotonic_increasing
            assert part["evaluation"].iloc[0] == 1
            begins = part.iloc[0][["incumbent", "best", "spread"]].to_list()
            ends.setdefault(tuple(key), {})[encoding] = [*begins, part["evaluation"].max()]
    on_flow = set(flow_runs[run].itertuples(index=False, name=None))
    assert len(on_flow) == 150
    for key in on_flow:
        assert len(ends[key]) == 6
        assert len(set(map(tuple, ends[key].values()))) == 1


@pytest.mark.paper
def test_a_committed_run_on_flow_is_computed_again(flow_runs, paper_dir):
    table = load_table("tnb101-micro", source="paper")
    y = table.target("class_scene")
    known = flow_runs.query("target == 'class_scene' and encoding == 'graf+flow' and seed == 7")
    known = known.set_index("evaluation")
    budget = int(known.index.max())
    pool = Candidates.of(table, "graf+flow")
    run = search(pool, y, "predictor", budget, random_state=7).set_index("evaluation")
    assert len(known) > 2
    assert (run.loc[known.index, "incumbent"] == known["incumbent"]).all()
    assert np.allclose(known["regret"], y.max() - run.loc[known.index, "best"])
    (top_regret,) = known["top_regret"].unique()
    below = y.max() - y
    assert (below < top_regret).sum() < round(len(y) / 1000) <= (below <= top_regret).sum()


def test_the_best_networks_of_a_task(tmp_path):
    """One in a thousand lies within the regret that the recipe calls the top."""
    recipe = load_recipe("flow_search_results")
    table = load_table("nb201-cifar10", source="embedded")
    task = recipe.Task(table, "accuracy", 25, (), table.target("accuracy"))
    task.finished = lambda cache: pd.DataFrame({"seed": [0]})
    (regret,) = recipe.finished(task, tmp_path)["top_regret"]
    ranks = table.targets["accuracy"].rank(ascending=False, method="min")
    is_top = table.targets["accuracy"] >= table.targets["accuracy"].max() - regret
    assert (is_top == (ranks <= round(len(table) / 1000))).all()
