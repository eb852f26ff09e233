"""Search on one's own terms: surrogates, spaces that are not listed, kills, failures, jobs."""

import math
import os
import signal
import threading
import time
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graf_utils.search import (
    METHODS,
    Bayesian,
    Candidates,
    History,
    SearchError,
    SpaceCandidates,
    search,
)
from graf_utils.search.space_history import SpaceHistory
from graf_utils.search.surrogates import fit_all, predict_all
from graf_utils.spaces import DARTS, NB101, NB201, CellSpace, TNB101Macro

CHAIN = CellSpace(["a", "b", "c"], edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])  # 243 cells
CELLS = CHAIN.enumerate()
WEIGHTS = np.array([5.0, 4, 3, 2, 1])
SUMS = CELLS @ WEIGHTS
ONES = Candidates(CHAIN, CELLS, (CELLS[:, :, None] == np.arange(3)).reshape(243, -1).astype(float))
MIXED = np.random.default_rng(0).permutation(243) / 10  # all values differ, in no order
NUMBERS = Candidates(CHAIN, CELLS, np.arange(243.0)[:, None])  # a candidate's feature is its row

EDGES = [(i, j) for j in range(1, 7) for i in range(j) if (i, j) != (0, 6)]
HUGE = CellSpace(["none", "skip_connect", *"abcdefgh"], EDGES, name="huge")  # 10**20 cells
WORTH = np.random.default_rng(1).normal(size=(20, 10))
EVERYTHING = Candidates.of(HUGE, "one-hot")


def train(cells):
    return [float(np.dot(cell, WEIGHTS)) for cell in cells]


def worth(cells):
    return [WORTH[range(20), cell].sum() for cell in cells]


# --- a surrogate of one's own ---------------------------------------------------------------------


class Oracle(RegressorMixin, BaseEstimator):
    """Knows the target of each row, and is as unsure of it as it is told to be."""

    def __init__(self, std=0.0):
        self.std = std

    def fit(self, X, y):
        np.testing.assert_array_equal(y, MIXED[X[:, 0].astype(int)])
        return self

    def predict(self, X, return_std=False):
        mean = MIXED[X[:, 0].astype(int)]
        return (mean, np.full(len(mean), self.std)) if return_std else mean


def batches(run, n_initial=20, size=10):
    """What was evaluated before each batch, the rest, and the batch."""
    rows = run["candidate"].to_numpy()
    for start in range(n_initial, len(rows), size):
        before, batch = rows[:start], rows[start : start + size]
        yield before, np.setdiff1d(np.arange(243), before), batch


@pytest.mark.parametrize("batch_size", [1, 10])
def test_a_surrogate_that_is_sure_proposes_the_best(batch_size):
    options = {"batch_size": batch_size, "random_state": 0}
    run = search(NUMBERS, MIXED, "predictor", 40, surrogate=Oracle(), **options)
    for _, left, batch in batches(run, size=batch_size):
        assert sorted(MIXED[batch]) == sorted(MIXED[left])[-batch_size:]


def test_without_uncertainty_the_mean_decides():
    y = np.sin(SUMS)  # not linear, so that what is fitted last counts
    run = search(ONES, y, "predictor", 60, surrogate=LinearRegression(), random_state=1)
    for before, left, batch in batches(run):
        model = LinearRegression().fit(ONES.matrix[before].astype(float), y[before])
        said = model.predict(ONES.matrix.astype(float))
        assert said[batch].min() >= np.sort(said[left])[-10] - 1e-9


@pytest.mark.parametrize("forest", [RandomForestRegressor(3), ExtraTreesRegressor(3)])
def test_of_a_forest_each_proposal_is_the_best_by_one_tree(forest, monkeypatch):
    fitted, fit = [], type(forest).fit
    monkeypatch.setattr(
        type(forest), "fit", lambda self, X, y: fitted.append(self) or fit(self, X, y)
    )
    run = search(ONES, np.sin(SUMS), "predictor", 50, surrogate=forest, random_state=2)
    assert len(fitted) == 3
    by_one = 0
    for model, (_, left, batch) in zip(fitted, batches(run), strict=True):
        trees = np.array([tree.predict(ONES.matrix) for tree in model.estimators_])
        for row in batch:
            best = trees[:, row] == trees[:, left].max(axis=1)
            assert best.any()
            by_one += not best.all()
            left = left[left != row]
    assert by_one  # and not all agree
    assert len({model.random_state for model in fitted}) == 3  # seeds are drawn by the search


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.5])
def test_opinions_are_drawn_from_the_predicted_normal_distributions(gap):
    class Two(Oracle):
        def fit(self, X, y):
            return self

        def predict(self, X, return_std=False):
            return gap * (X[:, 0] == 242), np.where(X[:, 0] == 242, 1.0, 2.0)

    history = History(NUMBERS, 1, False, False, 0, surrogate=Two())
    history.add(list(range(241)), MIXED[:241, None])
    opinions = history.opinions(np.array([241, 242]), 3000)
    share = np.mean([opinion[1] > opinion[0] for opinion, _ in opinions])
    expected = norm.cdf(gap / np.sqrt(1 + 4))
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000)


def test_uncertainty_is_found_at_the_end_of_a_pipeline():
    X, y = ONES.matrix, np.column_stack([SUMS, np.sin(SUMS)])
    rng = np.random.RandomState(0)
    for last in (GaussianProcessRegressor(alpha=0.1), BayesianRidge()):
        models = fit_all(make_pipeline(StandardScaler(), last), X[:40], y[:40], rng)
        said = predict_all(models, X[40:])
        for i, model in enumerate(models):
            expected = model.predict(X[40:].astype(float), return_std=True)
            np.testing.assert_allclose((said.mean[:, i], said.std[:, i]), expected)
    models = fit_all(make_pipeline(StandardScaler(), RandomForestRegressor(4)), X[:40], y[:40], rng)
    said = predict_all(models, X[40:])
    assert said.trees.shape == (4, 203, 2)
    np.testing.assert_allclose(said.mean[:, 1], models[1].predict(X[40:]))
    names = fit_all("rf", X[:40], y[:40, :1], rng)
    assert predict_all(names, X).trees.shape[0] == 100


def test_guided_neighbours_come_in_the_order_of_the_surrogate():
    history = History(ONES, 10, False, True, 0, surrogate=LinearRegression())
    history.add(list(range(0, 243, 2)), SUMS[::2, None])
    for row in range(60):
        near = history.near(row)
        assert (np.diff(SUMS[near]) <= 1e-9).all()


def test_the_surrogate_of_bayesian_is_that_of_its_option():
    options = {"batch_size": 20, "random_state": 3}
    one = search(ONES, SUMS, "bayesian", 60, surrogate=BayesianRidge(), **options)
    assert one.equals(search(ONES, SUMS, Bayesian(BayesianRidge()), 60, **options))
    several = [LinearRegression(), BayesianRidge()]
    one = search(ONES, SUMS, "bayesian", 60, surrogate=several, **options)
    assert one.equals(search(ONES, SUMS, Bayesian(several), 60, **options))


def test_a_surrogate_is_worth_its_evaluations_and_stays_as_it_is():
    own = RandomForestRegressor(5, random_state=7)
    search(ONES, SUMS, "predictor", 30, surrogate=own, random_state=0)
    assert not hasattr(own, "estimators_")
    assert own.random_state == 7
    ends = {"predictor": [], "random": []}
    for seed in range(5):
        for method, model in (("predictor", BayesianRidge()), ("random", None)):
            run = search(ONES, SUMS, method, 40, surrogate=model, random_state=seed)
            ends[method].append(run["best"].iloc[-1])
    assert min(ends["predictor"]) == SUMS.max()
    assert np.mean(ends["random"]) < SUMS.max()


@pytest.mark.parametrize("surrogate", [BayesianRidge(), LinearRegression(), ExtraTreesRegressor(3)])
def test_several_objectives_have_a_surrogate_each(surrogate):
    goals = pd.DataFrame({"up": SUMS, "few": -(CELLS == 2).sum(axis=1).astype(float)})
    runs = [search(ONES, goals, "predictor", 50, surrogate=surrogate, random_state=0) for _ in "ab"]
    assert runs[0].equals(runs[1])
    assert (runs[0]["few"].to_numpy() == goals["few"].to_numpy()[runs[0]["candidate"]]).all()


# --- a space that is not listed -------------------------------------------------------------------

VARIANTS = [
    ("random", {}),
    ("random", {"restrict": True}),
    ("evolution", {}),
    ("evolution", {"at_once": 4}),
    ("evolution", {"guided": True, "surrogate": BayesianRidge()}),
    ("local", {}),
    ("local", {"at_once": 4, "restrict": True}),
    ("predictor", {"surrogate": BayesianRidge()}),
    ("predictor", {"start": "k-centre"}),
    ("predictor", {"restrict": True, "surrogate": LinearRegression()}),
    ("bayesian", {"surrogate": BayesianRidge()}),
]
NAMES = ["-".join([method, *options]) for method, options in VARIANTS]


@pytest.mark.parametrize(("method", "options"), VARIANTS, ids=NAMES)
def test_every_method_searches_what_cannot_be_listed(method, options, monkeypatch):
    monkeypatch.setattr(CellSpace, "enumerate", lambda self: pytest.fail("it was listed"))
    runs = [search(EVERYTHING, worth, method, 45, random_state=s, **options) for s in (0, 0, 1)]
    run = runs[0]
    assert run.equals(runs[1])
    assert not run.equals(runs[2])
    assert run["architecture"].nunique() == len(run) == 45
    assert HUGE.is_valid(list(run["architecture"])).all()
    np.testing.assert_array_equal(run["value"], worth(run["architecture"]))
    assert (run["best"] == run["value"].cummax()).all()
    np.testing.assert_array_equal(run["value"][run["incumbent"]], run["best"])


@pytest.mark.parametrize("at_once", [1, 3])
def test_evolution_changes_one_entry_of_the_best_of_the_living(at_once):
    """With a population of five all are drawn, so the parent is the best of the last five."""
    options = {"n_initial": 5, "at_once": at_once, "random_state": 0}
    run = search(Candidates.of(HUGE, None), worth, "evolution", 50, **options)
    code, value = np.array(run["architecture"].tolist()), run["value"].to_numpy()
    for i in range(5, 50):
        first = i - (i - 5) % at_once  # of its batch
        living = range(first - 5, first)
        parent = max(living, key=value.__getitem__)
        assert (code[i] != code[parent]).sum() == 1


def test_local_search_looks_at_neighbours_until_one_is_better():
    run = search(Candidates.of(HUGE, None), worth, "local", 150, n_initial=2, random_state=0)
    code, value = np.array(run["architecture"].tolist()), run["value"].to_numpy()
    at = int(value[:2].argmax())
    for i in range(2, 150):
        assert (code[i] != code[at]).sum() == 1
        at = i if value[i] > value[at] else at
    random = search(Candidates.of(HUGE, None), worth, "random", 150, random_state=0)
    assert value.max() > random["value"].max() + 3


def test_half_of_the_options_are_changes_of_the_best():
    history = SpaceHistory(EVERYTHING, 10, False, False, 0)
    codes = history.draw(60)
    history.add(list(codes), np.array(worth(codes))[:, None])
    best = codes[np.argsort(worth(codes))[-20:]]
    options = history.options(400)
    assert len(np.unique(options, axis=0)) == 400
    distance = (options[:, None] != best).sum(axis=2)
    assert (distance.min(axis=1) == 1).sum() == 200
    parents = [(distance[:, i] == 1).sum() for i in range(20)]
    assert min(parents) == 10


def test_a_restricted_space_is_the_range_of_the_best_also_where_nothing_is_listed():
    number = Candidates.of(HUGE, lambda table: (table.codes @ np.arange(1.0, 21))[:, None])

    def objective(cells):
        return [float(np.dot(cells[0], np.arange(1, 21)))]

    for seed in (1, 2):
        run = search(number, objective, "random", 80, restrict=True, random_state=seed)
        value = run["value"].to_numpy()
        for start in range(20, 80, 10):
            best = np.sort(value[:start])[-round(0.25 * start) :]
            new = value[start : start + 10]
            assert ((new >= best.min()) & (new <= best.max())).all()


def test_a_small_space_is_used_up_to_the_last_and_then_said_so():
    everything = Candidates.of(CHAIN, None)
    run = search(everything, train, "evolution", 243, random_state=0)
    assert run["architecture"].nunique() == 243
    with pytest.raises(SearchError, match="as good as used up") as error:
        search(everything, train, "random", 300, random_state=0)
    assert error.value.rows["architecture"].nunique() == 243
    remedy = Candidates(CHAIN, CHAIN.enumerate(), ONES.features)
    assert len(search(remedy, SUMS, "random", 243, random_state=0)) == 243


@pytest.mark.parametrize("space", [DARTS(), NB101(), NB201(), TNB101Macro()], ids=repr)
@pytest.mark.parametrize("method", ["evolution", "predictor"])
def test_the_benchmarks_spaces_need_not_be_listed(space, method):
    def objective(cells):
        return [float(np.sum(space.to_codes(cells)))]

    options = {"n_initial": 5, "surrogate": BayesianRidge() if method == "predictor" else None}
    cells = Candidates.of(space, "op-count" if method == "predictor" else None)
    run = search(cells, objective, method, 12, random_state=0, **options)
    assert run["architecture"].nunique() == 12
    assert space.is_valid(list(run["architecture"])).all()


def test_a_space_with_hardly_a_valid_cell_says_how_to_search_it():
    names = ["none", *(f"op{i}" for i in range(3))]
    edges = [(i, j) for i in range(9) for j in range(i + 1, 9)]  # 36, on each of which none may lie

    class Strict(CellSpace):
        def is_valid(self, architectures):
            return (self.to_codes(architectures) == 1).all(axis=1)

    space = Strict(names, edges)
    with pytest.raises(ValueError, match=r"SpaceCandidates\(space, encoding, valid_only=False\)"):
        search(Candidates.of(space, None), train, "random", 5, n_initial=2, random_state=0)
    remedy = SpaceCandidates(space, None, valid_only=False)
    run = search(remedy, lambda cells: sum(cells[0]), "evolution", 9, n_initial=5, random_state=0)
    assert run["architecture"].nunique() == 9


def test_a_method_of_ones_own_yields_architectures():
    def change(history):
        while True:
            at = history.order[history.scores().argmax()]
            near = history.near(at)
            yield [tuple(code) for code in near[:2].tolist()] if len(near) else history.draw(2)

    run = search(Candidates.of(HUGE, None), worth, change, 60, random_state=0)
    assert run["architecture"].nunique() == 60
    assert run["best"].iloc[-1] > run["best"].iloc[19]


# --- killed and resumed ---------------------------------------------------------------------------


CALLS: list[tuple[int, ...]] = []


def train_some(cells):
    """Two objectives; a ninth of the cells fail."""
    CALLS.append(cells[0])
    if cells[0][0] == 2 and cells[0][1] == 1:
        raise FloatingPointError("diverged")
    return {"up": float(np.dot(cells[0], WEIGHTS)), "low": -float(sum(cells[0]))}


def small(file=None, budget=30, **options):
    """A search of few evaluations; CALLS then has those that were made for it."""
    CALLS.clear()  # what a function uses is a part of it
    options = {"objective": train_some, "method": "evolution", "at_once": 3} | options
    options = {"n_initial": 4, "batch_size": 4, "random_state": 0} | options
    return search(options.pop("candidates", ONES), budget=budget, checkpoint=file, **options)


RESUMED = {
    "random": {"method": "random", "at_once": 1},
    "evolution": {},
    "evolution, not listed": {"candidates": Candidates.of(CHAIN, None)},
    "local, guided": {"method": "local", "guided": True},
    "predictor": {"method": "predictor", "at_once": 1},
    "predictor, not listed": {
        "candidates": Candidates.of(CHAIN, "one-hot"),
        "method": "predictor",
        "surrogate": BayesianRidge(),
        "at_once": 1,
    },
    "bayesian": {"method": Bayesian(BayesianRidge(), n_candidates=30), "at_once": 1},
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_search_cut_anywhere_goes_on_with_the_same_rows(tmp_path, name):
    """A kill leaves the beginning of the file, wherever it falls: the rest is made again."""
    expected = small(**RESUMED[name])
    assert 0 < (expected["error"] != "").sum() < 15
    file = tmp_path / "search.jsonl"
    pd.testing.assert_frame_equal(small(file, **RESUMED[name]), expected)
    whole = file.read_bytes()
    header = whole.index(b"\n") + 1
    for cut in np.random.default_rng(0).integers(header, len(whole), 6):
        file.write_bytes(whole[:cut])
        pd.testing.assert_frame_equal(small(file, **RESUMED[name]), expected, check_exact=True)
        assert len(CALLS) == 30 - (whole[:cut].count(b"\n") - 1)
        assert file.read_bytes() == whole
    small(file, **RESUMED[name])
    assert not CALLS


def test_nested_genotypes_are_found_again(tmp_path):
    """JSON has lists for tuples."""
    space = DARTS()
    calls = []

    def objective(cells):
        calls.append(cells[0])
        return [float(np.sum(space.to_codes(cells)))]

    def run(**options):
        calls.clear()
        everything = Candidates.of(space, None)
        return search(everything, objective, "evolution", 8, n_initial=4, random_state=0, **options)

    file = tmp_path / "search.jsonl"
    first = run(checkpoint=file)
    assert len(calls) == 8
    pd.testing.assert_frame_equal(run(checkpoint=file), first)
    assert not calls


def test_a_finished_search_goes_on_with_a_higher_budget(tmp_path):
    file = tmp_path / "search.jsonl"
    first = small(file, budget=21)
    longer = small(file, budget=40, n_jobs=1, max_failures=50)
    assert len(CALLS) == 19
    pd.testing.assert_frame_equal(longer[:21], first)
    pd.testing.assert_frame_equal(longer, small(budget=40))


FOREIGN = {
    "json": b'{"mine": 1}',
    "json lines": b'{"mine": 1}\n{"mine": 2}\n',
    "text": b"my notes\n",
    "a header cut off": b'{"kind": "graf_utils: evaluations of a search", "n_initial": 4',
    "scores": b'{"kind": "graf_utils: scores of architectures"}\n',
    "bytes": bytes(range(256)),
    "a line feed": b"\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_not_ours_is_never_written_to(tmp_path, name):
    file = tmp_path / "mine.jsonl"
    file.write_bytes(FOREIGN[name])
    with pytest.raises(ValueError, match="no checkpoint of evaluations.*left as it is.*Name ano"):
        small(file)
    assert file.read_bytes() == FOREIGN[name]
    assert not CALLS
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]
    small(tmp_path / "another.jsonl")  # the remedy


def other_objective(cells):
    return {"up": float(np.dot(cells[0], WEIGHTS + 1)), "low": -float(sum(cells[0]))}


OTHERS = {
    "objective": {"objective": other_objective},
    "random_state": {"random_state": 1},
    "n_initial": {"n_initial": 5},
    "batch_size": {"batch_size": 5},
    "at_once": {"at_once": 2},
    "method": {"method": "local"},
    "restrict": {"restrict": True},
    "guided": {"guided": True},
    "start": {"start": "k-centre"},
    "surrogate": {"guided": True, "surrogate": LinearRegression()},
    "candidates": {"candidates": Candidates(CHAIN, CELLS, -ONES.features)},
    "candidates, another space": {"candidates": Candidates.of(HUGE, None)},
    "candidates, another encoding": {"candidates": Candidates.of(CHAIN, "op-count")},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_search_than_that_of_the_file_is_refused(tmp_path, name):
    file = tmp_path / "search.jsonl"
    small(file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="of other settings.*Name another file") as error:
        small(file, **OTHERS[name])
    assert name.split(",")[0] in str(error.value).split("these:")[1]
    assert not CALLS
    assert file.read_bytes() == before
    small(tmp_path / "another.jsonl", budget=8, **OTHERS[name])
    assert file.read_bytes() == before


def test_a_changed_digit_of_the_file_is_seen_and_evaluated_again(tmp_path):
    file = tmp_path / "search.jsonl"
    expected = small(file)
    lines = file.read_bytes().split(b"\n")
    number, line = next((i, x) for i, x in enumerate(lines[1:], 1) if b'"up": 1' in x)
    lines[number] = line.replace(b'"up": 1', b'"up": 2')
    file.write_bytes(b"\n".join(lines))
    with pytest.warns(
        UserWarning, match=f"evaluations are missing or damaged in line {number + 1}"
    ):
        again = small(file)
    pd.testing.assert_frame_equal(again, expected)
    assert len(CALLS) == 1


def test_a_line_of_somebody_elses_is_named_and_nothing_is_cut_off(tmp_path):
    file = tmp_path / "search.jsonl"
    expected = small(file)
    whole = file.read_bytes()
    for line in (b"[1, 2]", b'{"architecture": [9, 9]}', b"note to myself", b'{"architecture": 3}'):
        file.write_bytes(whole + line + b"\nrest")
        with pytest.raises(ValueError, match="line 32 is no architecture with its evaluations"):
            small(file)
        assert file.read_bytes() == whole + line + b"\nrest"
    file.write_bytes(whole)  # the remedy: delete this line
    pd.testing.assert_frame_equal(small(file), expected)


# --- evaluations that fail ------------------------------------------------------------------------


def returns(value):
    if isinstance(value, Exception):
        raise value
    return value


FAILURES = {
    "exception": (RuntimeError("out of memory"), "RuntimeError: out of memory (test_search_yours"),
    "an exception without words": (KeyError(), "KeyError: "),
    "NaN": ([math.nan], "'value' is not finite: [nan]"),
    "infinity": ([math.inf], "'value' is not finite: [inf]"),
    "minus infinity": (-math.inf, "'value' is not finite: [-inf]"),
    "nothing": (None, "what objective returned is None; it must be numbers"),
    "text": ("91.2", "what objective returned is '91.2'; it must be numbers"),
    "a list of text": (["91.2"], "is not finite: ['91.2']"),
    "True": (True, "what objective returned is True; it must be numbers"),
    "two rows": ([1.0, 2.0], "returned 2 rows for 1 architecture"),
    "no rows": ([], "returned 0 rows for 1 architecture"),
    "another column": ({"accuracy": 1.0}, "the columns ['accuracy'] after ['value']"),
    "a column of ours": ({"cost": 1.0}, "objective has the columns ['cost']"),
    "a complex number": ([1j], "is not finite"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_evaluation_is_a_row_with_its_reason(name):
    value, reason = FAILURES[name]

    def objective(cells):
        return returns(value) if cells[0][1] == 2 else [float(np.dot(cells[0], WEIGHTS))]

    run = search(ONES, objective, "evolution", 40, max_failures=40, random_state=0)
    failed = CELLS[run["candidate"]][:, 1] == 2
    assert 3 < failed.sum() < 37
    assert ((run["error"] != "") == failed).all()
    assert run["error"][failed].str.contains(reason, regex=False).all()
    assert run["value"].isna().eq(failed).all()
    np.testing.assert_array_equal(run["value"][~failed], SUMS[run["candidate"]][~failed])


class Learns(LinearRegression):
    """Notes what it learnt from."""

    seen: list[int] = []

    def fit(self, X, y):
        assert np.isfinite(y).all()
        Learns.seen.append(len(y))
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("random", {"restrict": True}),
        ("evolution", {"guided": True, "surrogate": Learns()}),
        ("local", {}),
        ("predictor", {}),
        ("predictor", {"surrogate": Learns()}),
        ("bayesian", {"surrogate": [Learns(), Learns()]}),
    ],
)
@pytest.mark.parametrize("both", [False, True])
def test_what_failed_is_never_learnt_from_nor_the_best(method, options, both):
    def objective(cells):
        if sum(cells[0]) % 3 == 0:
            raise MemoryError
        value = -float(np.dot(cells[0], WEIGHTS))
        return {"a": value, "b": float(cells[0][0])} if both else {"a": value}

    Learns.seen.clear()
    run = search(ONES, objective, method, 45, random_state=1, **options)
    failed = CELLS[run["candidate"]].sum(axis=1) % 3 == 0
    assert len(run) == run["candidate"].nunique() == 45
    assert (run["error"] != "").to_numpy().tolist() == failed.tolist()
    if "surrogate" in options:
        counts = np.cumsum(~failed)
        assert set(Learns.seen) <= {counts[i] for i in range(19, 45)}
    if not both:
        for i in range(45):
            rows = run["candidate"][: i + 1][~failed[: i + 1]]
            best = max((-SUMS[row] for row in rows), default=math.nan)
            assert run["best"][i] == best or math.isnan(best)
            assert run["incumbent"][i] == (rows.iloc[(-SUMS[rows]).argmax()] if len(rows) else -1)


@pytest.mark.parametrize("method", METHODS)
def test_a_search_begins_though_all_first_evaluations_failed(method):
    left = [9]

    def objective(cells):
        left[0] -= 1
        if left[0] >= 0:
            raise ConnectionError("the GPU is away")
        return train(cells)

    test = np.arange(243.0)
    run = search(ONES, objective, method, 30, n_initial=4, batch_size=4, random_state=0, test=test)
    assert (run["error"] != "").tolist() == [True] * 9 + [False] * 21
    assert run["best"][:9].isna().all()
    assert (run["incumbent"][:9] == -1).all()
    assert run["test"][:9].isna().all()
    assert run["best"].iloc[-1] == run["value"].max()


def test_too_many_failures_in_a_row_end_the_search_and_nothing_is_lost(tmp_path):
    away = tmp_path / "the disk is full"
    place = str(away)

    def objective(cells):
        CALLS.append(cells[0])
        if os.path.exists(place):
            raise OSError("the disk is full")
        return train(cells)

    file = tmp_path / "search.jsonl"
    options = {"objective": objective, "at_once": 1, "method": "evolution"}
    expected = small(**options, budget=15)
    small(file, **options, budget=9)
    away.touch()
    with pytest.raises(SearchError, match="last 5 evaluations all failed.*the disk is full") as e:
        small(file, **options, max_failures=5)
    assert len(e.value.rows) == 14
    pd.testing.assert_frame_equal(e.value.rows[:9], expected[:9])
    assert len(CALLS) == 5
    away.unlink()
    run = small(file, **options, max_failures=6)  # a remedy: what failed stays failed
    pd.testing.assert_frame_equal(run[:14], e.value.rows)
    assert len(CALLS) == 16
    assert (run["error"] != "").sum() == 5
    lines = [x for x in file.read_text(encoding="utf8").splitlines(True) if "disk is full" not in x]
    file.write_text("".join(lines), encoding="utf8")  # another: evaluate them again
    pd.testing.assert_frame_equal(small(file, **options, budget=15), expected)


def test_an_interrupt_is_no_failed_evaluation():
    def objective(cells):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(ONES, objective, "random", 30, random_state=0)


# --- several at a time ----------------------------------------------------------------------------


def slow(cells):
    """The first of a batch end last; some fail."""
    time.sleep(0.01 * (cells[0][0] + 1) * (cells[0][1] + 1) / 3)
    if cells[0][2] == 1 and cells[0][3] == 0:
        raise FloatingPointError("diverged")
    return train(cells)


@pytest.mark.parametrize(
    ("method", "options"),
    [("evolution", {"at_once": 4}), ("local", {"at_once": 4}), ("predictor", {"batch_size": 5})],
)
def test_jobs_change_no_row(tmp_path, method, options):
    runs = []
    for jobs, backend in ((1, "loky"), (2, "threading"), (3, "threading"), (2, "loky")):
        file = tmp_path / f"{jobs}-{backend}.jsonl"
        with joblib.parallel_config(backend):
            runs.append(
                search(
                    ONES, slow, method, 32, n_initial=8, n_jobs=jobs, random_state=0,
                    checkpoint=file, **options,
                )
            )  # fmt: skip
        assert len(file.read_text(encoding="utf8").splitlines()) == 33
    assert (runs[0]["error"] != "").any()
    for run in runs[1:]:
        pd.testing.assert_frame_equal(run, runs[0], check_exact=True)


def test_evaluations_really_run_at_the_same_time():
    meeting = threading.Barrier(4)

    def objective(cells):
        meeting.wait(timeout=20)  # only four at a time get through
        return train(cells)

    options = {"at_once": 4, "n_initial": 4, "n_jobs": 4, "random_state": 0}
    with joblib.parallel_config("threading"):
        run = search(ONES, objective, "evolution", 16, **options)
    assert (run["error"] == "").all()


def deadly(cells):
    if cells[0][0] == 1 and cells[0][1] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(cells)


def test_an_evaluation_that_kills_its_process_is_a_failed_one(tmp_path):
    options = {"n_initial": 12, "at_once": 4, "random_state": 0, "n_jobs": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib's, about the worker
        run = search(ONES, deadly, "evolution", 20, checkpoint=tmp_path / "s.jsonl", **options)
    cells = CELLS[run["candidate"]]
    dead = (cells[:, 0] == 1) & (cells[:, 1] == 2)
    assert 0 < dead.sum() < 10
    assert ((run["error"] != "") == dead).all()
    assert run["error"][dead].str.startswith("Killed").all()
    np.testing.assert_array_equal(run["value"][~dead], SUMS[run["candidate"]][~dead])


@pytest.mark.cluster
def test_on_a_cluster_the_rows_are_the_same():
    distributed = pytest.importorskip("distributed")
    options = {"n_initial": 12, "at_once": 4, "random_state": 0}
    address = {"host": "127.0.0.1", "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **address) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        same = search(ONES, slow, "evolution", 20, **options)
    pd.testing.assert_frame_equal(same, search(ONES, slow, "evolution", 20, **options))


@pytest.mark.cluster
def test_an_evaluation_that_kills_its_worker_is_a_failed_one():
    """On a cluster that would give up its only worker at once, and then wait for ever."""
    distributed = pytest.importorskip("distributed")
    import dask

    settings = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.deploy.lost-worker-timeout": "10ms",
    }
    address = {"host": "127.0.0.1", "dashboard_address": None}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, **address) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        run = search(ONES, deadly, "random", 8, n_initial=8, random_state=2)
    cells = CELLS[run["candidate"]]
    dead = (cells[:, 0] == 1) & (cells[:, 1] == 2)
    assert dead.sum() == 1
    assert ((run["error"] != "") == dead).all()
    assert run["error"][dead].str.startswith("Killed").all()
    np.testing.assert_array_equal(run["value"][~dead], SUMS[run["candidate"]][~dead])


# --- bad input ------------------------------------------------------------------------------------


def wrong(*candidates, **changes):
    arguments = {"objective": worth, "method": "random", "budget": 30, "random_state": 0} | changes
    return lambda: search(*(candidates or (EVERYTHING,)), **arguments)


class Wrong(LinearRegression):
    def predict(self, X):
        return np.full(len(X), np.nan)


HELD = threading.Lock()


def with_a_lock(cells):
    with HELD:
        return worth(cells)


def ends(history):
    yield history.draw(2)


def repeats(history):
    while True:
        yield history.order[:2]


def nothing(history):
    while True:
        yield []


BAD = {
    "surrogate: name": (wrong(method="predictor", surrogate="fr"), ["'fr'", "unknown", "'rf'"]),
    "surrogate: class": (
        wrong(method="predictor", surrogate=BayesianRidge),
        ["BayesianRidge", "instance"],
    ),
    "surrogate: not asked": (
        wrong(surrogate="rf"),
        ["surrogate='rf'", "'random'", "'predictor' or 'bayesian'"],
    ),
    "surrogate: twice": (
        wrong(method=Bayesian("rf"), surrogate="blend"),
        ["'blend'", "Bayesian(surrogate)"],
    ),
    "surrogate: predicts NaN": (
        wrong(method="predictor", surrogate=Wrong()),
        ["after 20 evaluations", "error.rows", "Wrong()", "another surrogate"],
    ),
    "at_once: a batch": (
        wrong(at_once=4, method="predictor"),
        ["at_once=4", "'evolution' and 'local'", "batch_size=4"],
    ),
    "at_once: none": (wrong(at_once=0), ["at_once=0", "1"]),
    "max_failures": (wrong(max_failures=0), ["max_failures=0", "1"]),
    "budget": (wrong(budget=10), ["budget=10", "n_initial <= budget and"]),
    "test: not listed": (wrong(test=[1.0]), ["test", "not listed", "run['architecture']"]),
    "cost: not listed": (wrong(cost=[1.0]), ["cost", "not listed", "run['architecture']"]),
    "objective: not listed": (wrong(objective=[1.0]), ["list", "must be a function"]),
    "no features": (
        wrong(Candidates.of(HUGE, None), method="predictor"),
        ["encoding=None", "Candidates.of(space, 'op-count')"],
    ),
    "no features: start": (
        wrong(Candidates.of(HUGE, None), start="k-centre"),
        ["encoding=None", "Candidates.of(space, 'op-count')"],
    ),
    "encoding: rows": (
        lambda: Candidates.of(HUGE, np.zeros((4, 2))),
        ["encoding", "ndarray", "a function of a table"],
    ),
    "encoding: name": (lambda: Candidates.of(HUGE, "one-hott"), ["one-hott", "one-hot"]),
    "encoding: function": (
        lambda: Candidates.of(HUGE, lambda table: np.full((len(table), 1), np.nan)),
        ["features", "not finite"],
    ),
    "encoding: too large": (
        lambda: Candidates.of(HUGE, lambda table: np.full((len(table), 1), 1e300)),
        ["features", "single precision"],
    ),
    "a space": (wrong(HUGE), ["CellSpace", "Candidates.of(space, 'graf')"]),
    "checkpoint: no seed": (
        wrong(random_state=None, checkpoint="x.jsonl"),
        ["x.jsonl", "random_state=0"],
    ),
    "checkpoint: a table": (
        wrong(ONES, objective=SUMS, checkpoint="x.jsonl"),
        ["x.jsonl", "ndarray", "Leave checkpoint out"],
    ),
    "checkpoint: a folder": (wrong(checkpoint=os.curdir), ["is a folder", "Name a file"]),
    "checkpoint: a device": (wrong(checkpoint=os.devnull), ["device", "another file"]),
    "checkpoint: what cannot be told": (
        wrong(objective=with_a_lock, checkpoint="x.jsonl"),
        ["objective cannot be told", "lock", "leave checkpoint out"],
    ),
    "method: ends": (wrong(method=ends), ["after 22 evaluations", "while True"]),
    "method: repeats": (wrong(method=repeats), ["after 20 evaluations", "history.draw(n)"]),
    "method: repeats rows": (
        wrong(ONES, objective=SUMS, method=repeats),
        ["after 20 evaluations", "0..242", "history.draw(n)"],
    ),
    "method: nothing": (wrong(method=nothing), ["0 architectures", "history.draw(n)"]),
    "objective: fails": (
        wrong(objective=lambda cells: worth()),
        ["the last 10 evaluations all failed", "TypeError", "line ", "max_failures"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_teaches(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    must_name(*BAD[what])
    assert not list(tmp_path.iterdir())
