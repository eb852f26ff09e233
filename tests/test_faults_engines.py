"""Faults that were found in search, explain and BRP-NAS, each in its whole kind."""

import threading
from itertools import pairwise

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graf_utils import explain
from graf_utils._parallel import predict_in_order, torch_alone
from graf_utils.encodings import encode
from graf_utils.evaluation import evaluate
from graf_utils.explain import importances, mean_ranks, what_if
from graf_utils.features import GRAF
from graf_utils.graphs import GraphBatch
from graf_utils.predictors.brpnas import (
    BRPNASRegressor,
    GraphEncoder,
    operation_graphs,
    select_iteratively,
)
from graf_utils.predictors.brpnas.network import PackedGraphs
from graf_utils.search import METHODS, Candidates, hypervolume, k_centre, search
from graf_utils.search.methods import History
from graf_utils.spaces import NB201, CellSpace, TNB101Macro
from graf_utils.table import Table

SPACE = NB201()
CELLS = SPACE.sample(120, random_state=1)
CONVS = np.isin(CELLS, [2, 3]).sum(axis=1) + np.random.default_rng(0).normal(size=120) / 10
TABLE = Table("small", "test", SPACE, CELLS, {"y": CONVS})
COUNTS = encode(TABLE, "op-count")
POOL = Candidates.of(TABLE, "op-count")
FOREST = RandomForestRegressor(8, random_state=0)
SMALL = {"n_hidden": 16, "n_epochs": 3, "random_state": 0}
SHUFFLED = np.random.default_rng(5).permutation(120)
OTHER = pd.Index(range(1000, 1120))


def run(**changes):
    arguments = {"objective": CONVS, "method": "evolution", "budget": 40, "random_state": 0}
    arguments |= changes
    return search(arguments.pop("candidates", POOL), **arguments)


def importance(**changes):
    arguments = {"encoding": COUNTS, "predictor": FOREST, "methods": "impurity"}
    arguments |= {"train_size": 60, "data_seeds": [1, 2]} | changes
    return importances(TABLE, "y", **arguments)


# --- the index of a pandas object (kind 4) --------------------------------------------------------


def test_rows_in_another_order_are_refused_and_the_remedy_puts_them_in_order():
    y, cost = pd.Series(CONVS), pd.Series(np.arange(1.0, 121))
    test = pd.DataFrame({"t": y + 1})
    values = {"objective": y, "cost": cost, "test": test}
    expected = run(objective=CONVS, cost=np.arange(1.0, 121), test=CONVS + 1)
    pd.testing.assert_frame_equal(run(**values), expected)
    for name, value in values.items():
        moved = value.iloc[SHUFFLED]
        with pytest.raises(ValueError, match=rf"{name} .*\.sort_index\(\)"):
            run(**(values | {name: moved}))
        pd.testing.assert_frame_equal(run(**(values | {name: moved.sort_index()})), expected)
    moved = COUNTS.iloc[SHUFFLED]
    with pytest.raises(ValueError, match=r"features .*\.sort_index\(\)"):
        Candidates(SPACE, CELLS, moved)
    pd.testing.assert_frame_equal(Candidates(SPACE, CELLS, moved.sort_index()).features, COUNTS)
    with pytest.raises(ValueError, match=r"encoding 'own' .*\.sort_index\(\)"):
        importance(encoding=moved)
    pd.testing.assert_frame_equal(importance(encoding=moved.sort_index()), importance())


@pytest.mark.parametrize("argument", ["objective", "test", "cost"])
def test_another_index_is_refused_and_the_remedy_works(argument):
    values = pd.Series(CONVS, index=OTHER)
    with pytest.raises(ValueError, match=rf"{argument}.*reset_index\(drop=True\)"):
        run(**{argument: values})
    remedied = run(**{argument: values.reset_index(drop=True)})
    pd.testing.assert_frame_equal(remedied, run(**{argument: CONVS}))


def test_features_and_columns_of_another_index_are_refused():
    strange = COUNTS.set_axis(OTHER)
    for call in (
        lambda frame: Candidates(SPACE, CELLS, frame),
        lambda frame: importance(encoding=frame),
        lambda frame: select_iteratively(LinearRegression(), frame, CONVS, 20),
    ):
        with pytest.raises(ValueError, match="reset_index"):
            call(strange)
        call(strange.reset_index(drop=True))


def test_architectures_in_another_order_are_refused_and_the_remedy_pairs_them():
    listed = pd.Series(SPACE.from_codes(CELLS))
    architectures, features = listed.iloc[SHUFFLED], COUNTS
    with pytest.raises(ValueError, match=r"architectures\.to_numpy\(\).*features\.loc"):
        Candidates(SPACE, architectures, features)
    pool = Candidates(SPACE, architectures.to_numpy(), features.loc[architectures.index].to_numpy())
    counted = encode(Table("t", "t", SPACE, pool.architectures, {"y": CONVS}), "op-count")
    assert (pool.features.to_numpy() == counted.to_numpy()).all()


def test_a_function_is_asked_for_one_architecture_so_its_index_cannot_mislead():
    y = pd.Series(CONVS)
    plain = run(objective=lambda cells: CONVS[TABLE.rows(cells)])
    labelled = run(objective=lambda cells: y.iloc[TABLE.rows(cells)])
    pd.testing.assert_frame_equal(labelled, plain)
    assert plain["value"].tolist() == CONVS[plain["candidate"]].tolist()


def test_rows_of_x_and_y_are_paired_by_position_only_with_one_index():
    X, y = pd.DataFrame(CELLS), pd.Series(CONVS)
    model = BRPNASRegressor("nb201", **SMALL)
    expected = model.fit(CELLS[SHUFFLED], CONVS[SHUFFLED]).predict(CELLS)
    same = model.fit(X.iloc[SHUFFLED], y.iloc[SHUFFLED]).predict(CELLS)
    assert (same == expected).all()
    with pytest.raises(ValueError, match=r"y has another index than X.*y\.loc\[X\.index\]"):
        model.fit(X.iloc[SHUFFLED], y)
    X = X.iloc[SHUFFLED]
    assert (model.fit(X, y.loc[X.index]).predict(CELLS) == expected).all()
    assert (model.fit(X, y.loc[X.index].to_numpy()).predict(CELLS) == expected).all()
    with pytest.raises(ValueError, match="extra has another index than X"):
        model.fit(X, y.loc[X.index], COUNTS)


def test_selection_numbers_rows_as_they_stand_and_refuses_another_order():
    X, y = pd.DataFrame(CELLS.astype(float)), pd.Series(CONVS)
    model = LinearRegression()
    expected = select_iteratively(model, CELLS.astype(float), CONVS, 30, random_state=0)
    for frame, target, name in ((X.iloc[SHUFFLED], y, "X"), (X, y.iloc[SHUFFLED], "y")):
        with pytest.raises(ValueError, match=rf"index of {name} .*\.sort_index\(\)"):
            select_iteratively(model, frame, target, 30, random_state=0)
        remedied = select_iteratively(
            model, frame.sort_index(), target.sort_index(), 30, random_state=0
        )
        assert all((a == b).all() for a, b in zip(remedied, expected, strict=True))


# --- repeats (kind 5), one for several (kind 7) ---------------------------------------------------


def test_repeats_are_refused_and_the_remedy_works():
    rng = np.random.default_rng(0)
    codes = np.vstack([CELLS, CELLS[:30]])
    table = Table("twice", "test", SPACE, codes, {"y": rng.normal(size=150)})
    options = {"methods": "impurity", "train_size": 60, "data_seeds": 1}
    with pytest.raises(ValueError, match="holds 30 architectures again"):
        importances(table, "y", "op-count", FOREST, **options)
    once = table.drop_duplicates()
    assert len(importances(once, "y", "op-count", FOREST, **options)) == 5


def counts_of(table):
    return encode(table, "op-count")


def test_one_encoding_in_any_form():
    expected = importance()
    for encoding, name in (
        ("op-count", "op-count"),
        (counts_of, "counts_of"),
        ({"mine": COUNTS}, "mine"),
        ({"mine": counts_of}, "mine"),
        ({"mine": "op-count"}, "mine"),
    ):
        found = importance(encoding=encoding)
        assert set(found["encoding"]) == {name}
        pd.testing.assert_frame_equal(found.assign(encoding="own"), expected)
    named = importance(predictor={"trees": FOREST})
    pd.testing.assert_frame_equal(named.assign(predictor="RandomForestRegressor"), expected)
    assert Candidates.of(TABLE, counts_of).features.equals(COUNTS)
    assert Candidates.of(TABLE, COUNTS).features.equals(COUNTS)


def test_one_objective_in_any_form():
    expected = run()
    for objective in (CONVS.tolist(), CONVS[:, None], {"value": CONVS}, tuple(CONVS)):
        pd.testing.assert_frame_equal(run(objective=objective), expected)
    assert "acc" in run(objective={"acc": CONVS})
    sizes = {"budget": np.int64(40), "n_initial": np.int8(20), "batch_size": np.int32(10)}
    pd.testing.assert_frame_equal(run(**sizes), expected)


TWICE = pd.DataFrame([[1.0, 2.0]] * 120, columns=["a", "a"])

BAD = {
    "a table to search": (lambda: run(candidates=TABLE), r"Candidates\.of\(table, 'graf'\)"),
    "a name as objective": (lambda: run(objective="accuracy"), r"table\.target\('accuracy'\)"),
    "one number": (lambda: run(objective=3.0), "one row per architecture"),
    "None": (lambda: run(objective=None), "one row per architecture"),
    "no objective": (lambda: run(objective=np.empty((120, 0))), "one at least"),
    "a name of ours": (lambda: run(objective={"cost": CONVS, "b": CONVS}), "Rename"),
    "the same name": (lambda: run(objective=TWICE), "each name once"),
    "text": (lambda: run(objective=["high"] * 120), "not finite"),
    "half a budget": (lambda: run(budget=40.0), "budget=40.0.*whole"),
    "a method list": (lambda: run(method=["local"]), "Did you mean 'local'"),
    "restrict": (lambda: run(restrict="no"), "restrict='no' must be True or False"),
    "guided": (lambda: run(guided=1), "guided=1 must be True or False"),
    "a failed one": (lambda: run(objective=np.where(CONVS > 3, np.nan, CONVS)), "not finite"),
    "k": (lambda: k_centre(CELLS, 2.5), "k=2.5"),
    "NaN to cover": (lambda: k_centre([[np.nan], [1]], 1), "not finite"),
    "a reference": (lambda: hypervolume([[1, 2]], (np.nan, 0)), "finite"),
    "two names": (lambda: importance(encoding={"a": COUNTS, "b": COUNTS}), "must hold one"),
    "two sizes": (lambda: importance(train_size=[20, 30]), "must be one number"),
    "two columns": (lambda: importance(encoding=TWICE), "two columns 'a'"),
    "a share": (lambda: importance(train_size=0.5), "train_size=0.5"),
    "labels": (
        lambda: select_iteratively(LinearRegression(), CELLS, CONVS, 20.0),
        "n_labels=20.0.*whole",
    ),
    "half a layer": (
        lambda: BRPNASRegressor("nb201", n_layers=2.5).fit(CELLS, CONVS),
        "n_layers=2.5.*whole",
    ),
    "a word": (
        lambda: BRPNASRegressor("nb201", dropout="0.5").fit(CELLS, CONVS),
        "dropout='0.5' must be a number",
    ),
    "too large": (
        lambda: BRPNASRegressor("nb201", **SMALL).fit(CELLS, CONVS, np.full((120, 1), 1e200) * 9),
        "Clip them",
    ),
    "diverging": (
        lambda: BRPNASRegressor("nb201", **SMALL, learning_rate=1e38).fit(CELLS, CONVS),
        "Lower it",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named(what):
    call, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        call()


def test_whole_floats_count_as_numbers():
    pd.testing.assert_frame_equal(importance(train_size=60.0), importance())


# --- codes in a float array (kind 8), many labels (kind 14) ---------------------------------------


def test_scaled_codes_are_refused_and_the_remedies_work():
    X = np.hstack([CELLS, COUNTS])
    model = BRPNASRegressor("nb201", **SMALL)
    expected = model.fit(X, CONVS).predict(X)
    for scaled in (X / 4, StandardScaler().fit_transform(X), np.where(X == 4, np.nan, X)):
        with pytest.raises(ValueError, match="codes of architectures, which are whole numbers"):
            model.fit(scaled, CONVS)
        with pytest.raises(ValueError, match="whole numbers"):
            model.predict(scaled)
    columns = ColumnTransformer([("codes", "passthrough", slice(0, 6))], remainder=StandardScaler())
    piped = make_pipeline(columns, model).fit(X, CONVS)
    np.testing.assert_allclose(piped.predict(X), expected, atol=1e-5)
    beside = np.hstack([X[:, :6], StandardScaler().fit_transform(X[:, 6:])])
    np.testing.assert_allclose(model.fit(beside, CONVS).predict(beside), expected, atol=1e-5)
    for call in (GRAF().fit_transform, lambda codes: Candidates(SPACE, codes, COUNTS)):
        with pytest.raises(ValueError, match="whole number"):
            call(CELLS / 4)
    tensor = torch.as_tensor(X)
    assert (model.fit(tensor, CONVS).predict(tensor) == model.fit(X, CONVS).predict(X)).all()


def test_more_labels_than_a_byte_can_number():
    names = tuple(f"op{i}" for i in range(126))  # with input, output and global 129
    edges = np.array([[0, 1], [1, 2]])
    batch = GraphBatch(names, 3, edges, np.array([[125, 3]]), (0,), 2)
    graphs = operation_graphs(batch)
    labels = [graphs.labels[label] for label in graphs.node_labels[0]]
    assert labels == ["global", "input", "op125", "op3", "output"]
    assert graphs.node_labels.min() >= 0


# --- failed evaluations and other silence (kind 15) -----------------------------------------------


@pytest.mark.parametrize("failed", [np.nan, np.inf, None, "out of memory"])
def test_a_failed_evaluation_is_a_row_with_the_reason_and_the_search_goes_on(failed):
    value = dict(zip(POOL.architectures, CONVS, strict=True))
    calls = []

    def train(cells):
        calls.extend(cells)
        return [failed] if len(calls) == 31 else [value[cell] for cell in cells]

    found = run(objective=train)
    assert len(found) == len(calls) == 40
    assert np.flatnonzero(found["error"]).tolist() == [30]
    assert np.isnan(found["value"][30])
    assert np.isfinite(found["value"].drop(30)).all()
    pd.testing.assert_series_equal(found["candidate"][:31], run()["candidate"][:31])


def test_a_function_returns_the_same_columns_in_every_call():
    calls = []

    def train(cells):
        calls.extend(cells)
        return np.zeros((1, 2 if len(calls) <= 20 else 1))

    with pytest.raises(ValueError, match=r"columns \['value'\] after \['value_0', 'value_1'\]"):
        run(objective=train)


# --- what depends on threads (kind 31) ------------------------------------------------------------


def test_brpnas_gives_the_same_bits_on_one_and_two_threads():
    model = BRPNASRegressor("nb201", n_hidden=600, n_epochs=2, random_state=0)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(model.fit(CELLS, CONVS).predict(CELLS))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert (results[0] == results[1]).all()


def test_fits_beside_each_other_in_threads_do_not_share_random_numbers():
    models = {"brp-nas": BRPNASRegressor("nb201", n_hidden=32, n_epochs=15, random_state=0)}
    inputs = {"codes": lambda table: table.codes.astype(float)}
    options = {"train_sizes": 40, "data_seeds": range(4), "progress": False}
    expected = evaluate(TABLE, "y", inputs, models, **options)
    with joblib.parallel_config("threading", n_jobs=4):
        found = evaluate(TABLE, "y", inputs, models, **options)
    assert (found["kendall_tau"] == expected["kendall_tau"]).all()


def test_only_one_computes_with_torch():
    inside, most = [], []

    def work():
        with torch_alone():
            inside.append(1)
            most.append(len(inside))
            assert torch.get_num_threads() == 1
            threading.Event().wait(0.02)
            inside.pop()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == [1, 1, 1, 1]


def test_a_forest_with_jobs_of_its_own_predicts_in_one_order():
    x = np.random.default_rng(0).normal(size=(400, 6))
    alone = RandomForestRegressor(200, random_state=0).fit(x, x[:, 0] ** 3)
    several = RandomForestRegressor(200, random_state=0, n_jobs=2).fit(x, x[:, 0] ** 3)
    for _ in range(5):
        assert (predict_in_order(several, x) == alone.predict(x)).all()


def test_a_method_of_ones_own_reaches_worker_processes(monkeypatch):
    def twice(model, x, y, members, seed):
        return [2 * model.feature_importances_ @ member for member in members]

    monkeypatch.setitem(explain.METHODS, "twice", twice)
    found = importance(methods=["impurity", "twice"], n_jobs=2)
    single, double = (found[found["method"] == m]["importance"] for m in ("impurity", "twice"))
    assert (double.to_numpy() == 2 * single.to_numpy()).all()


# --- guards that did not see (kind 29) ------------------------------------------------------------


def test_features_are_cut_off_at_five_deviations():
    features = np.random.default_rng(0).normal(size=(120, 2))
    model = BRPNASRegressor("nb201", **SMALL).fit(CELLS, CONVS, features)
    far = features.copy()
    far[:3] = [[1e6, -1e6], [6, -6], [4, -4]]
    scaled = (far - features.mean(axis=0)) / features.std(axis=0)
    seen = model.embed(CELLS, far)[:, 16:].numpy()
    np.testing.assert_allclose(seen, np.clip(scaled, -5, 5), rtol=1e-6)
    assert (seen[0] == [5, -5]).all()


def test_rows_that_cover_are_never_repeated():
    assert sorted(k_centre(np.zeros((6, 2)), 6, 0)) == list(range(6))  # all equal
    twice = np.repeat(np.arange(4.0), 2)[:, None]
    for seed in range(10):
        assert sorted(k_centre(twice, 8, seed)) == list(range(8))
        assert sorted(twice[k_centre(twice, 4, seed), 0]) == [0, 1, 2, 3]


def test_mean_ranks_are_sorted_by_rank_within_each_setting():
    found = pd.DataFrame(
        {
            "target": ["b"] * 3 + ["a"] * 3,
            "data_seed": 1,
            "feature": list("xyzxyz"),
            "importance": [9.0, 1, 5, 2, 8, 4],
            "rank": [2, 1, 0, 1, 2, 0],
        }
    )
    means = mean_ranks(found)
    assert means["target"].tolist() == ["a"] * 3 + ["b"] * 3
    assert means["feature"].tolist() == ["z", "x", "y", "z", "y", "x"]
    assert means["mean_rank"].tolist() == [0, 1, 2, 0, 1, 2]


def test_mean_ranks_do_not_pool_what_has_one_name():
    first, second = importance(), importance(encoding=COUNTS.iloc[:, ::-1])
    with pytest.raises(ValueError, match="Name them apart"):
        mean_ranks(pd.concat([first, second]))
    named = importance(encoding={"mine": COUNTS})
    assert (mean_ranks(pd.concat([first, named]))["n"] == 2).all()
    assert (mean_ranks(pd.concat([first, second]), ["target"])["n"] == 4).all()
    part = pd.concat([first.assign(task="a"), named])  # a column that one of them lacks
    assert len(mean_ranks(part)) == 10


def test_shares_of_groups_add_up_or_the_groups_are_refused():
    X, y = encode(TABLE, "op-count"), CONVS
    model = FOREST.fit(X.to_numpy(), y)

    def counts(cells):
        return encode(Table("t", "t", SPACE, cells, {"y": range(len(cells))}), "op-count")

    names = list(X)
    whole = {"first": names[:2], "rest": names[2:]}
    changes, carriers = what_if(model, TABLE.architectures[0], counts, groups=whole)
    np.testing.assert_allclose(carriers.sum(axis=1), changes["gain"], atol=1e-9)
    for groups in ({"a": names[:2]}, {"a": names, "b": names[:1]}, {"a": [*names, "x"]}):
        with pytest.raises(ValueError, match="groups must hold each of the 5 columns"):
            what_if(model, TABLE.architectures[0], counts, groups=groups)
    with pytest.raises(ValueError, match="in that order"):
        what_if(model, TABLE.architectures[0], lambda cells: counts(cells).iloc[::-1])


@pytest.mark.parametrize(
    "space",
    [
        TNB101Macro(),
        CellSpace(["a", "b", "c"], edges=[(0, 1), (1, 2), (2, 3), (3, 4)]),
    ],
    ids=["macro", "chain"],
)
def test_neighbours_are_the_nearest_by_entries_of_the_code(space):
    """Also where an architecture may have a layer more: a search must be able to grow one."""
    codes = space.enumerate()
    pool = Candidates(space, codes, np.arange(float(len(codes)))[:, None])
    for index in np.random.default_rng(0).integers(len(codes), size=20):
        distance = (codes != codes[index]).sum(axis=1)
        assert pool.neighbours(index).tolist() == np.flatnonzero(distance == 1).tolist()
    lengths = (codes >= 0).sum(axis=1)
    if any(b - a == 1 for a, b in pairwise(space.lengths)):
        assert len(set(lengths[pool.neighbours(len(codes) // 2)])) > 1


@pytest.mark.parametrize("method", METHODS)
def test_a_search_does_not_depend_on_jobs(method):
    expected = run(method=method)
    with joblib.parallel_config("threading", n_jobs=2):
        pd.testing.assert_frame_equal(run(method=method), expected)


def test_a_covering_set_is_drawn_among_equals():
    chosen = {tuple(k_centre(np.zeros((8, 1)), 3, seed)) for seed in range(10)}
    assert len(chosen) > 5
    assert len({rows[0] for rows in chosen}) > 2


def test_the_optimizer_is_adamw_on_a_cosine(monkeypatch):
    rates, decays = [], set()

    class Recorder(torch.optim.AdamW):
        def step(self, *arguments, **options):
            (group,) = self.param_groups
            rates.append(group["lr"])
            decays.add(group["weight_decay"])
            return super().step(*arguments, **options)

    monkeypatch.setattr(torch.optim, "AdamW", Recorder)
    options = {"n_epochs": 8, "batch_size": 200, "learning_rate": 0.01, "weight_decay": 0.123}
    BRPNASRegressor("nb201", **(SMALL | options)).fit(CELLS, CONVS)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(8) / 8)) / 2
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert decays == {0.123}


def test_the_parent_is_the_best_of_five_living():
    """With a population of five all are drawn, so that the parent is the best of the last five."""
    space = CellSpace(["a", "b", "c"], edges=[(i, i + 1) for i in range(6)])
    codes = space.enumerate()
    y = codes @ [32.0, 16, 8, 4, 2, 1]
    pool = Candidates(space, codes, y[:, None])
    options = {"candidates": pool, "objective": y, "n_initial": 5, "budget": 60}
    found = run(**options)["candidate"].to_numpy()
    followed = 0
    for i in range(5, 60):
        living = found[i - 5 : i]
        parent = living[y[living].argmax()]
        left = np.setdiff1d(pool.neighbours(parent), found[:i])
        if len(left):
            assert found[i] in left
            followed += 1
    assert followed > 40


def test_guided_neighbours_come_in_the_order_of_the_prediction():
    history = History(POOL, 10, False, True, 0)
    history.add(list(range(60)), CONVS[:60, None])
    several = [history.near(row) for row in range(60)]
    assert max(map(len, several)) > 2
    for rows in several:
        assert (np.diff(history.mean[rows, 0]) <= 0).all()


def test_a_restricted_space_is_given_up_below_a_hundred():
    y = np.arange(120.0)
    pool = Candidates(SPACE, CELLS, y[:, None])
    options = {"candidates": pool, "objective": y, "method": "random", "restrict": True}
    found = run(**options, n_initial=20, budget=30, batch_size=10)["candidate"].to_numpy()
    best = np.sort(found[:20])[-5:]
    inside = (found[20:] >= best.min()) & (found[20:] <= best.max())
    assert not inside.all()


def test_several_objectives_are_raised_by_the_augmented_tchebycheff_function():
    history = History(POOL, 10, False, False, 0)
    values = np.array([[0.0, 10], [2, 5], [4, 0], [1, 9]])
    history.add([0, 1, 2, 3], values)
    history.turn()
    (a, b), expected = history.weights, []
    for first, second in values / [4, 10]:
        worst = min(a * (first - 1), b * (second - 1))
        expected.append(worst + 0.05 * (a * first + b * second))
    np.testing.assert_allclose(history.scores(), expected)


def test_the_forest_of_a_search_is_that_of_scikit_learn():
    history = History(POOL, 10, False, False, 0)
    rows = list(range(30))
    history.add(rows, CONVS[rows, None])
    seed = np.random.RandomState(0).randint(2**31 - 1)
    forest = RandomForestRegressor(50, max_features=1 / 3, random_state=seed)
    forest.fit(POOL.matrix[:30], CONVS[:30])
    np.testing.assert_allclose(history.mean[:, 0], forest.predict(POOL.matrix))


@pytest.mark.parametrize("dropout", [0.0, 0.2, 0.7])
def test_dropout_sets_its_share_to_zero_and_keeps_the_mean(dropout):
    graphs = operation_graphs(SPACE.graph_batch(CELLS))
    model = GraphEncoder(len(graphs.labels), 0, 64, 1, dropout, "gcn", "unary")
    batch = PackedGraphs.of(graphs, np.empty((120, 0)), "cpu").batch(torch.arange(120))
    torch.manual_seed(0)
    with torch.no_grad():
        trained = model.train().embed(*batch).numpy()
        whole = model.eval().embed(*batch).numpy()
    alive = whole != 0
    ratio = trained[alive] / whole[alive]
    assert (ratio == 0).mean() == pytest.approx(dropout, abs=0.03)
    np.testing.assert_allclose(ratio[ratio != 0], 1 / (1 - dropout), rtol=1e-3)
