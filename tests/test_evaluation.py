"""The protocol: splits, scores, parallel runs, the cache, and the paper's figures."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import xgboost
from scipy.sparse import csr_array
from scipy.stats import kendalltau, spearmanr
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import graf_utils.evaluation as evaluation
from graf_utils._store import Store
from graf_utils.correlations import rank_correlations
from graf_utils.datasets import load_table
from graf_utils.encodings import ENCODINGS, encode
from graf_utils.evaluation import evaluate, summarise
from graf_utils.features import GRAF
from graf_utils.metrics import METRICS, ndcg
from graf_utils.predictors import PREDICTORS, make_predictor
from graf_utils.published import published
from graf_utils.registry import data_path
from graf_utils.spaces import NB201
from graf_utils.table import Table

SPACE = NB201()
NUMBERS = ["kendall_tau", "n_test", "n_features"]


@pytest.fixture(scope="module")
def table():
    cells = SPACE.sample(400, random_state=1)
    rng = np.random.default_rng(1)
    convs = np.isin(cells, [2, 3]).sum(axis=1)
    targets = {"accuracy": convs + rng.normal(size=400), "latency": rng.normal(size=400)}
    return Table("small", "test", SPACE, cells, targets)


def run(table, **changes):
    arguments = {
        "targets": ["accuracy", "latency"],
        "encodings": ["op-count", "one-hot"],
        "predictors": {"ridge": Ridge()},
        "train_sizes": [20, 50],
        "data_seeds": [42, 43, 44],
        "progress": False,
    }
    return evaluate(table, **(arguments | changes))


def test_the_protocol_written_out(table):
    results = run(table)
    assert len(results) == 2 * 2 * 1 * 2 * 3
    for row in results.itertuples():
        X, y = encode(table, row.encoding).to_numpy(), table.target(row.target)
        x_train, x_test, y_train, y_test = train_test_split(
            X, y, train_size=row.train_size, random_state=row.data_seed
        )
        predicted = Ridge().fit(x_train, y_train).predict(x_test)
        assert row.kendall_tau == kendalltau(predicted, y_test).statistic
        assert row.n_test == 400 - row.train_size
        assert row.n_features == X.shape[1]
        assert row.cpu_seconds >= 0
    assert list(results)[:7] == [
        "table", "source", "target", "encoding", "predictor", "train_size", "data_seed",
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_any_backend_gives_the_same_frame(table, backend):
    expected = run(table, predictors="rf", encodings="op-count", train_sizes=20)
    with joblib.parallel_config(backend, n_jobs=2):
        found = run(table, predictors="rf", encodings="op-count", train_sizes=20)
    pd.testing.assert_frame_equal(
        found.drop(columns="cpu_seconds"), expected.drop(columns="cpu_seconds")
    )


def test_encodings_and_predictors_of_ones_own(table):
    results = run(
        table,
        targets="accuracy",
        encodings={
            "named": "op-count",
            "array": encode(table, "op-count").to_numpy(),
            "function": lambda t: encode(t, "op-count"),
        },
        predictors={"forest": RandomForestRegressor(5, random_state=0), "ridge": Ridge()},
    )
    wide = results.pivot(
        index=["predictor", "train_size", "data_seed"], columns="encoding", values="kendall_tau"
    )
    assert (wide["named"] == wide["array"]).all()
    assert (wide["named"] == wide["function"]).all()
    assert set(results["predictor"]) == {"forest", "ridge"}


# --- one object stands for itself (fault 7) ---


def test_one_object_stands_for_itself(table):
    X, options = encode(table, "op-count"), {"targets": "accuracy", "train_sizes": 20}

    def own_features(t):
        return encode(t, "op-count")

    expected = run(table, encodings="op-count", **options)
    for encoding, name in (
        (X, "DataFrame"),
        (X.to_numpy(), "ndarray"),
        (own_features, "own_features"),
        (["op-count"], "op-count"),
    ):
        found = run(table, encodings=encoding, **options)
        assert set(found["encoding"]) == {name}
        assert found["kendall_tau"].tolist() == expected["kendall_tau"].tolist()
    one = run(table, encodings="op-count", predictors=Ridge(), **options)
    assert set(one["predictor"]) == {"Ridge"}
    assert one["kendall_tau"].tolist() == expected["kendall_tau"].tolist()
    forest = RandomForestRegressor(3, random_state=0)  # it can be iterated, once fitted
    pipeline = make_pipeline(StandardScaler(), Ridge())
    mixed = run(table, encodings="op-count", predictors=["rf", forest, pipeline], **options)
    assert list(mixed["predictor"].unique()) == ["rf", "RandomForestRegressor", "Pipeline"]
    fitted = run(table, encodings="op-count", predictors=clone(forest).fit(X, X["op_count[none]"]))
    assert set(fitted["predictor"]) == {"RandomForestRegressor"}


def test_a_column_and_a_sparse_matrix_are_encodings(table):
    column = encode(table, "op-count")["op_count[nor_conv_3x3]"]
    found = run(
        table,
        encodings={
            "series": column,
            "frame": column.to_frame(),
            "sparse": csr_array(column.to_frame()),
        },
    )
    taus = [part["kendall_tau"].tolist() for _, part in found.groupby("encoding")]
    assert taus[0] == taus[1] == taus[2]
    assert (found["n_features"] == 1).all()


# --- labels of encodings (fault 4) ---


def test_an_encoding_in_another_order_is_refused_and_the_remedy_works(table):
    X = encode(table, "op-count")
    shuffled = X.sample(frac=1, random_state=0)
    for encodings in (
        {"mine": shuffled},
        shuffled,
        lambda t: shuffled,
        {"mine": shuffled.iloc[:, 0]},
    ):
        with pytest.raises(ValueError, match=r"reset_index\(drop=True\).*sort_index\(\)"):
            run(table, encodings=encodings)
    expected, found = (
        run(table, encodings={"m": X}),
        run(table, encodings={"m": shuffled.sort_index()}),
    )
    pd.testing.assert_frame_equal(found[NUMBERS], expected[NUMBERS])


def test_a_part_of_the_table_with_its_part_of_a_frame(table):
    """Aligning by row number would pair the wrong rows here."""
    rows = np.random.default_rng(0).permutation(400)
    part, X = table.subset(rows), encode(table, "op-count")
    with pytest.raises(ValueError, match=r"as they stand, write .reset_index\(drop=True\)"):
        run(part, encodings={"mine": X.iloc[rows]})
    found = run(part, encodings={"mine": X.iloc[rows].reset_index(drop=True)})
    expected = run(part, encodings={"mine": "op-count"})
    pd.testing.assert_frame_equal(found[NUMBERS], expected[NUMBERS])


# --- copies (fault 5) ---


def noise(copies):
    cells = SPACE.from_codes(SPACE.sample(150, random_state=0))
    y = np.random.default_rng(1).normal(size=150)
    return Table("noise", "test", SPACE, cells * copies, {"y": np.tile(y, copies)})


def test_copies_are_refused_and_both_remedies_work():
    twice = noise(2)
    options = {"targets": "y", "encodings": "one-hot", "predictors": "rf", "data_seeds": range(3)}
    with pytest.raises(
        ValueError, match=r"holds 150 copies: row 150 is the architecture of row 0 again"
    ) as error:
        run(twice, train_sizes=75, **options)
    for remedy in ("table.drop_duplicates()", "duplicates='grouped'"):
        assert remedy in str(error.value)
    once = run(noise(1), train_sizes=75, **options)
    dropped = run(twice.drop_duplicates(), train_sizes=75, **options)
    pd.testing.assert_frame_equal(dropped[NUMBERS], once[NUMBERS])
    grouped = run(twice, train_sizes=75, duplicates="grouped", **options)
    assert grouped["kendall_tau"].abs().max() < 0.15, "noise cannot be predicted"
    assert (grouped["n_test"] == 150).all()
    with pytest.raises(ValueError, match="from 1 to 148"):
        run(twice, train_sizes=149, duplicates="grouped", **options)


@pytest.mark.parametrize("size", [1, 20, 60])
def test_no_architecture_is_on_both_sides(size):
    table = noise(1).subset(np.random.default_rng(0).integers(0, 80, 200))
    for seed in range(10):
        train, test = evaluation._split(len(table), table.first_rows, size, seed)
        assert sorted([*train, *test]) == list(range(200))
        sides = [{table.architectures[row] for row in side} for side in (train, test)]
        assert not sides[0] & sides[1]
        assert len(sides[0]) == size


def test_without_copies_grouped_changes_nothing(table):
    pd.testing.assert_frame_equal(run(table, duplicates="grouped")[NUMBERS], run(table)[NUMBERS])


def test_the_cache_tells_grouped_rows_apart(tmp_path):
    twice = noise(2)
    other = Table(
        "t", "test", SPACE, [*twice.architectures[:299], (4, 4, 4, 4, 4, 4)], twice.targets
    )
    X = np.random.default_rng(0).normal(size=(300, 3))
    options = {"targets": "y", "encodings": {"X": X}, "train_sizes": 75, "data_seeds": [0]}
    for table in (twice, other):
        found = run(table, duplicates="grouped", cache=tmp_path, **options)
        expected = run(table, duplicates="grouped", **options)
        pd.testing.assert_frame_equal(found[NUMBERS], expected[NUMBERS])


def test_a_table_of_repeats_loads_and_keeps_its_first_rows():
    """As NB101's: isomorphic cells are not copies, equal ones are."""
    cells = [(2, 0, 0, 0, 0, 3), (2, 0, 0, 0, 0, 3), (0, 2, 3, 0, 0, 0)] * 5
    table = Table("t", "test", SPACE, cells, {"y": np.arange(15.0)})
    assert len(table) == 15
    assert table.drop_duplicates().target("y").tolist() == [0, 2]


def test_a_constant_prediction_has_tau_zero(table):
    assert (run(table, predictors={"mean": DummyRegressor()})["kendall_tau"] == 0).all()


def test_a_predictor_that_returns_nan_is_an_error(table):
    class Nothing(Ridge):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match=r"Nothing\(\).*NaN.*20 training networks"):
        run(table, predictors={"nan": Nothing()})


def test_predictors_by_name_are_the_papers():
    assert set(PREDICTORS) == {"rf", "xgb", "xgb+", "graf-xgb", "blend"}
    assert make_predictor("rf").get_params() == RandomForestRegressor(random_state=42).get_params()
    tuned = make_predictor("xgb+").get_params()
    assert (tuned["n_estimators"], tuned["learning_rate"]) == (10_000, 0.01)
    assert (tuned["subsample"], tuned["tree_method"], tuned["random_state"]) == (0.9, "hist", 42)
    default = make_predictor("xgb").get_params()
    assert default["n_estimators"] is None
    assert default["random_state"] == 42
    mine = Ridge(alpha=3)
    assert make_predictor(mine) is not mine
    assert make_predictor(mine).alpha == 3


# --- every encoding as a frame into every predictor (fault 1) ---


@pytest.fixture(scope="module")
def small():
    """120 cells with proxies, one of whose names XGBoost does not allow either."""
    cells = SPACE.sample(120, random_state=0)
    proxies = np.random.default_rng(0).normal(size=(120, 2))
    proxies = pd.DataFrame(proxies, columns=["flops", "grad<norm"])
    convs = np.isin(cells, [2, 3]).sum(axis=1) + proxies["flops"]
    return Table("small", "test", SPACE, cells, {"y": convs}, proxies)


def quick(predictor):
    """Few trees, of the same kind."""
    model = make_predictor(predictor)
    step = "xgbregressor__" if predictor == "graf-xgb" else ""
    name = f"{step}n_estimators"
    return model.set_params(**{name if name in model.get_params() else "n_rounds": 5})


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize(
    "encoding", [*(name for name in ENCODINGS if name != "own-features"), "zcp+graf+one-hot+path"]
)
def test_every_encoding_as_a_frame_into_every_predictor(small, predictor, encoding):
    X, y, model = encode(small, encoding), small.target("y"), quick(predictor)
    from_frame = clone(model).fit(X[:80], y[:80])
    from_array = clone(model).fit(X.to_numpy()[:80], y[:80])
    expected = from_array.predict(X.to_numpy()[80:])
    assert from_frame.predict(X[80:]).tolist() == expected.tolist()
    assert list(from_frame.feature_names_in_) == list(X)
    again = pickle.loads(pickle.dumps(from_frame))
    assert again.predict(X[80:]).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="(?i)feature.names"):
        from_frame.predict(X[80:].rename(columns={X.columns[0]: "other[x]"}))


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_frames_through_pipelines_searches_and_cross_validation(small, predictor):
    X, y, model = encode(small, "graf"), small.target("y"), quick(predictor)
    if predictor == "graf-xgb":
        model.set_output(transform="pandas")
        assert set(clone(model).fit(X, y)[-1].feature_names_in_) < set(X)
    pipeline = make_pipeline(StandardScaler(), model).set_output(transform="pandas").fit(X, y)
    assert list(pipeline[-1].feature_names_in_) == list(X)
    graf = make_pipeline(GRAF(SPACE).set_output(transform="pandas"), model)
    assert graf.fit(small, y).predict(small).shape == (120,)
    tuned = {"graf-xgb": "xgbregressor__max_depth", "blend": "n_rounds"}.get(predictor, "max_depth")
    search = GridSearchCV(model, {tuned: [2, 3]}, cv=2).fit(X, y)
    assert search.best_params_[tuned] in (2, 3)
    scores = cross_validate(model, X, y, cv=2)["test_score"]
    assert scores.tolist() == cross_validate(model, X.to_numpy(), y, cv=2)["test_score"].tolist()


def test_our_xgboost_is_xgboost_but_for_the_names(small):
    X, y = encode(small, "graf"), small.target("y")
    ours = make_predictor("xgb")
    theirs = xgboost.XGBRegressor(random_state=42, n_jobs=1)
    assert ours.get_params() == theirs.get_params()
    expected = theirs.fit(X.to_numpy()[:80], y[:80]).predict(X.to_numpy())
    assert ours.fit(X[:80], y[:80]).predict(X).tolist() == expected.tolist()
    assert ours.apply(X).tolist() == theirs.apply(X.to_numpy()).tolist()
    assert ours.score(X, y) == theirs.score(X.to_numpy(), y)
    assert not hasattr(make_predictor("xgb").fit(X.to_numpy(), y), "feature_names_in_")
    stopped = make_predictor("xgb").set_params(early_stopping_rounds=2)
    stopped.fit(X[:80], y[:80], eval_set=[(X[80:], y[80:])], verbose=False)
    assert stopped.best_iteration < 100
    weights = np.linspace(0, 1, 80)
    weighted = clone(ours).fit(X[:80], y[:80], sample_weight=weights).predict(X)
    theirs.fit(X.to_numpy()[:80], y[:80], sample_weight=weights)
    assert weighted.tolist() == theirs.predict(X.to_numpy()).tolist()
    first, second = list(X)[:2]
    for constraints in (
        {"monotone_constraints": {first: 1, second: -1}},
        {"monotone_constraints": (1, -1) + (0,) * 189},
        {"interaction_constraints": [[first, second], [X.columns[2]]]},
    ):
        assert clone(ours).set_params(**constraints).fit(X, y).predict(X).shape == (120,)
    plain = pd.DataFrame({"a": y, 3: y})
    assert clone(ours).fit(plain.rename(columns=str), y).feature_names_in_.tolist() == ["a", "3"]


def test_graf_xgb_does_not_see_copies(table):
    X, y = encode(table, "graf").to_numpy(), table.target("accuracy")
    model = make_predictor("graf-xgb").fit(X[:50], y[:50])
    seen = model[-1].n_features_in_
    assert seen == len({c.tobytes() for c in X[:50].T if (c != c[0]).any()}) < 191
    again = make_predictor("graf-xgb").fit(np.hstack([X, X[:, :40]])[:50], y[:50])
    assert again[-1].n_features_in_ == seen
    np.testing.assert_array_equal(
        model.predict(X[50:]), again.predict(np.hstack([X, X[:, :40]])[50:])
    )


def test_summarise_groups_by_names(table):
    results = run(table)
    assert list(summarise(results, "encoding")["encoding"]) == ["op-count", "one-hot"]
    assert summarise(results, "encoding")["n"].tolist() == [12, 12]
    pd.testing.assert_frame_equal(summarise(results, ["encoding"]), summarise(results, "encoding"))
    with pytest.raises(ValueError, match="by='encodings' is unknown.*Did you mean 'encoding'"):
        summarise(results, "encodings")
    unnamed = results.assign(source=None)
    assert len(summarise(unnamed)) == 8, "a missing value is a value"


def test_summarise(table):
    results = run(table)
    summary = summarise(results)
    assert len(summary) == 8
    first = results[(results["target"] == "accuracy") & (results["encoding"] == "op-count")]
    taus = first[first["train_size"] == 20]["kendall_tau"]
    assert summary["mean"][0] == pytest.approx(taus.mean())
    assert summary["ci95"][0] == pytest.approx(1.96 * taus.std() / 3**0.5)
    assert (summary["n"] == 3).all()


# --- other metrics, and twins ---


def bias(predicted, true):
    return (predicted - true).mean()


def count(predicted, true):
    return len(true)


ASKED = {"targets": "accuracy", "encodings": "op-count", "train_sizes": 20}


def test_one_column_per_metric_and_tau_as_ever(table):
    plain, several = run(table), run(table, metrics=[*METRICS, bias])
    assert list(plain)[7:] == ["kendall_tau", "n_test", "n_features", "cpu_seconds"]
    assert list(several)[7:] == [*METRICS, "bias", "n_test", "n_features", "cpu_seconds"]
    kept = [name for name in plain if name != "cpu_seconds"]
    pd.testing.assert_frame_equal(several[kept], plain[kept])
    for row in several[several["target"] == "accuracy"].itertuples():
        X, y = encode(table, row.encoding).to_numpy(), table.target("accuracy")
        x_train, x_test, y_train, y_test = train_test_split(
            X, y, train_size=row.train_size, random_state=row.data_seed
        )
        predicted = Ridge().fit(x_train, y_train).predict(x_test)
        assert row.spearman == spearmanr(predicted, y_test).statistic
        assert row.bias == (predicted - y_test).mean()
        assert row.regret_at_1 == METRICS["regret_at_1"](predicted, y_test)


def test_a_metric_by_name_by_function_and_in_a_mapping(table):
    by_name = run(table, metrics="ndcg", **ASKED)["ndcg"]
    assert run(table, metrics={"mine": "ndcg"}, **ASKED)["mine"].tolist() == by_name.tolist()
    coarse = {"ndcg": partial(ndcg, doubling=10)}
    assert (run(table, metrics=coarse, **ASKED)["ndcg"] > by_name).all()
    assert run(table, metrics=bias, **ASKED)["bias"].notna().all()
    assert "kendall_tau" not in run(table, metrics=bias, **ASKED)


def test_summarise_another_metric(table):
    results = run(table, metrics=["spearman", "regret_at_10"])
    summary = summarise(results, "encoding", "regret_at_10").set_index("encoding")
    expected = results.groupby("encoding")["regret_at_10"].mean()
    assert summary["mean"].to_dict() == pytest.approx(expected.to_dict())
    with pytest.raises(ValueError, match="metric='spearmann' is unknown.*mean 'spearman'"):
        summarise(results, metric="spearmann")
    with pytest.raises(ValueError, match="metric='kendall_tau' is unknown"):
        summarise(results)
    with pytest.raises(ValueError, match="metric='table' is unknown"):
        summarise(results, metric="table")


def test_metrics_are_in_the_key_of_the_cache(table, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(evaluation, "_run", counted(evaluation._run, calls))
    for metrics, n_calls in (
        ("kendall_tau", 3),
        ("kendall_tau", 3),
        (["kendall_tau", "ndcg"], 6),
        (["ndcg", "kendall_tau"], 6),
        ({"mine": lambda predicted, true: predicted.mean()}, 9),
        ({"mine": lambda predicted, true: true.mean()}, 12),
        ({"mine": partial(ndcg, k=3)}, 15),
        ({"mine": partial(ndcg, k=4)}, 18),
    ):
        found = run(table, metrics=metrics, cache=tmp_path, **ASKED)
        assert len(calls) == n_calls
        expected = run(table, metrics=metrics, **ASKED).drop(columns="cpu_seconds")
        pd.testing.assert_frame_equal(found.drop(columns="cpu_seconds"), expected)
        del calls[n_calls:]


def test_a_metric_that_cannot_be_keyed_is_not_cached_and_says_so(table, tmp_path):
    def shift(predicted, true, file=open(os.devnull, encoding="utf-8")):  # noqa: B008
        return 1.0

    with pytest.warns(UserWarning, match="metric 'shift' is not cached.*TextIOWrapper"):
        found = run(table, metrics=shift, cache=tmp_path, **ASKED)
    assert found["shift"].tolist() == [1, 1, 1]
    assert not list(tmp_path.rglob("*.json"))


def test_networks_without_a_twin_in_the_train_set(table):
    labels = SPACE.classes(table.codes, zeros="dropped")
    metrics = {"tau": "kendall_tau", "count": count}
    found, plain = run(table, metrics=metrics, twins=labels), run(table, metrics=metrics)
    assert list(found)[7:] == [
        "tau", "tau_unseen", "count", "count_unseen", "n_test", "n_unseen", "n_features",
        "cpu_seconds",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(found[["tau", "n_test"]], plain[["tau", "n_test"]])
    assert (found["count"] == found["n_test"]).all()
    assert (found["count_unseen"] == found["n_unseen"]).all()
    assert (found["n_unseen"] < found["n_test"]).all()
    for row in found[found["target"] == "accuracy"].itertuples():
        X, y = encode(table, row.encoding).to_numpy(), table.target("accuracy")
        train, test = train_test_split(
            np.arange(400), train_size=row.train_size, random_state=row.data_seed
        )
        seen = {labels[i] for i in train}
        unseen = [i for i in test if labels[i] not in seen]
        predicted = Ridge().fit(X[train], y[train]).predict(X[unseen])
        assert row.n_unseen == len(unseen)
        assert row.tau_unseen == pytest.approx(kendalltau(predicted, y[unseen]).statistic)


def test_twins_are_labels_of_any_kind_and_the_cache_tells_them_apart(table, tmp_path):
    labels = pd.Series(SPACE.canonical(table.codes, zeros="dropped"))
    expected = run(table, twins=SPACE.classes(table.codes, zeros="dropped"), **ASKED)
    other = run(table, twins=np.arange(400), **ASKED)
    assert (other["n_unseen"] == other["n_test"]).all()
    assert other["kendall_tau_unseen"].tolist() == other["kendall_tau"].tolist()
    for _ in range(2):
        for twins, frame in ((labels, expected), (np.arange(400), other)):
            found = run(table, twins=twins, cache=tmp_path, **ASKED)
            pd.testing.assert_frame_equal(
                found.drop(columns="cpu_seconds"), frame.drop(columns="cpu_seconds")
            )
    assert len(list(tmp_path.rglob("*.json"))) == 6
    alone = run(table, twins=np.zeros(400), **ASKED)
    assert alone["n_unseen"].tolist() == [0, 0, 0]
    assert alone["kendall_tau_unseen"].isna().all()


def test_twins_are_drawn_together_in_a_grouped_split(table):
    labels = SPACE.classes(table.codes, zeros="dropped")
    found = run(table, twins=labels, duplicates="grouped", **ASKED)
    assert (found["n_unseen"] == found["n_test"]).all()
    assert found["kendall_tau_unseen"].tolist() == found["kendall_tau"].tolist()
    for n_test, seed in zip(found["n_test"], found["data_seed"], strict=True):
        drawn, _ = train_test_split(np.unique(labels), train_size=20, random_state=seed)
        relabelled = pd.factorize(labels)[0]  # labels go by first appearance
        assert n_test == 400 - np.isin(relabelled, drawn).sum()
    with pytest.raises(ValueError, match=f"from 1 to {len(np.unique(labels)) - 2}"):
        run(table, twins=labels, duplicates="grouped", **(ASKED | {"train_sizes": 399}))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_metrics_and_twins_on_any_backend(table, backend):
    options = ASKED | {"metrics": ["ndcg", bias], "twins": table.codes[:, 0]}
    expected = run(table, **options)
    with joblib.parallel_config(backend, n_jobs=2):
        found = run(table, **options)
    pd.testing.assert_frame_equal(
        found.drop(columns="cpu_seconds"), expected.drop(columns="cpu_seconds")
    )


# --- the cache ---


def test_nothing_is_computed_twice(table, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(evaluation, "_run", counted(evaluation._run, calls))
    part = run(table, cache=tmp_path, data_seeds=[42, 43])
    assert len(calls) == len(part) == 16
    whole = run(table, cache=tmp_path)
    assert len(calls) == len(whole) == 24
    again = run(table, cache=tmp_path)
    assert len(calls) == 24
    pd.testing.assert_frame_equal(again, whole)
    pd.testing.assert_frame_equal(whole[NUMBERS], run(table)[NUMBERS])


def counted(function, calls):
    def wrapper(*job):
        calls.append(job)
        return function(*job)

    return wrapper


def test_what_determines_the_number_is_in_the_key(table, tmp_path, monkeypatch):
    asked = {"targets": "accuracy", "encodings": "op-count", "train_sizes": 20, "data_seeds": 42}
    run(table, cache=tmp_path, **asked)
    other_y = Table("small", "test", SPACE, table.architectures, table.targets * 2 + 1e-9)
    changed = Table("small", "test", SPACE, table.architectures[::-1], table.targets)
    calls = []
    monkeypatch.setattr(evaluation, "_run", counted(evaluation._run, calls))
    run(other_y, cache=tmp_path, **asked)
    run(changed, cache=tmp_path, **asked)
    run(table, cache=tmp_path, **(asked | {"predictors": {"ridge": Ridge(alpha=2)}}))
    run(table, cache=tmp_path, **(asked | {"train_sizes": 21}))
    run(table, cache=tmp_path, **(asked | {"data_seeds": 41}))
    run(table, cache=tmp_path, **(asked | {"encodings": "one-hot"}))
    assert len(calls) == 6
    run(table, cache=tmp_path, **(asked | {"predictors": {"another name": Ridge()}}))
    assert len(calls) == 6, "the name of a predictor does not determine the number"


@pytest.mark.parametrize("bad", ['"oops"', "NaN", "Infinity", "7", "[0.5]", "true", "0.123"])
def test_a_damaged_number_is_computed_again(table, tmp_path, bad):
    """Fault 26: what was read back was believed."""
    whole = run(table, cache=tmp_path)
    files = sorted(tmp_path.rglob("*.json"))
    sound = {file: file.read_text(encoding="utf8") for file in files}
    assert len(files) == 24
    for file, name in zip(files, NUMBERS, strict=False):
        content = json.loads(sound[file]) | {name: json.loads(bad)}
        file.write_text(json.dumps(content), encoding="utf8")
    with pytest.warns(UserWarning, match="is damaged .*computed again"):
        again = run(table, cache=tmp_path)
    pd.testing.assert_frame_equal(again[NUMBERS], whole[NUMBERS])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(table, cache=tmp_path)
    for file in files[:3]:
        assert (
            json.loads(file.read_text(encoding="utf8"))["kendall_tau"]
            == json.loads(sound[file])["kendall_tau"]
        )


def test_a_damaged_file_is_computed_again(table, tmp_path):
    whole = run(table, cache=tmp_path)
    files = sorted(tmp_path.rglob("*.json"))
    files[0].write_text("{", encoding="utf8")
    files[1].write_text('{"kendall_tau": 1}', encoding="utf8")
    files[2].write_bytes(b"\xff\xfe")
    files[3].write_text("[]", encoding="utf8")
    with pytest.warns(UserWarning, match="is damaged"):
        again = run(table, cache=tmp_path)
    pd.testing.assert_frame_equal(again[NUMBERS], whole[NUMBERS])
    assert all(file.read_text(encoding="utf8").startswith('{"kendall_tau"') for file in files)


def test_a_cache_that_cannot_be_written_loses_no_result(table, tmp_path, monkeypatch):
    def full(self, key, result):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    with pytest.warns(UserWarning, match="cache cannot be written.*No space") as caught:
        found = run(table, cache=tmp_path)
    assert len(caught) == 1
    pd.testing.assert_frame_equal(found[NUMBERS], run(table)[NUMBERS])


def test_an_undefined_tau_is_not_kept(tmp_path):
    cells = SPACE.sample(30, random_state=0)
    table = Table("flat", "test", SPACE, cells, {"y": np.ones(30)})
    options = {"targets": "y", "encodings": "op-count", "train_sizes": 9, "data_seeds": 0}
    noisy = {"neighbour": KNeighborsRegressor(1)}
    x = {"x": np.random.default_rng(0).normal(size=(30, 2))}
    assert run(table, cache=tmp_path, **options, predictors=noisy)["kendall_tau"].tolist() == [0]

    class Row(Ridge):
        def predict(self, X):
            return X[:, 0]

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for _ in range(2):
            options["encodings"] = x
            found = run(table, cache=tmp_path / "nan", **options, predictors={"row": Row()})
            assert np.isnan(found["kendall_tau"]).all()
    assert not list((tmp_path / "nan").rglob("*.json"))


def edited(body):
    scope = {"Ridge": Ridge, "__name__": "__main__"}
    exec(f"class Mine(Ridge):\n    def predict(self, X):\n        {body}", scope)
    return scope["Mine"]


def test_an_edited_class_is_fitted_again(table, tmp_path):
    """Fault 2: a class of the same name gave the old number."""
    options = {"targets": "accuracy", "encodings": "op-count", "train_sizes": 20}
    up, down = (
        run(table, cache=tmp_path, predictors={"m": edited(body)()}, **options)["kendall_tau"]
        for body in ("return Ridge.predict(self, X)", "return -Ridge.predict(self, X)")
    )
    assert up.abs().min() > 0.1
    assert (up == -down).all()


@pytest.mark.parametrize("change", ["version of scikit-learn", "version of ours", "the protocol"])
def test_another_version_is_fitted_again(table, tmp_path, monkeypatch, change):
    options = {"targets": "accuracy", "encodings": "op-count", "train_sizes": 20}
    run(table, cache=tmp_path, **options)
    if change == "version of scikit-learn":
        monkeypatch.setattr(sklearn, "__version__", "0.0")
    elif change == "version of ours":
        monkeypatch.setattr(evaluation, "__version__", "0.0")
    else:
        monkeypatch.setattr(evaluation, "_split", lambda n, g, s, seed: (range(s), range(s, n)))
    run(table, cache=tmp_path, **options)
    assert len(list(tmp_path.rglob("*.json"))) == 6


def test_what_cannot_be_keyed_is_not_cached_and_says_so(table, tmp_path):
    def shift(X, file=open(os.devnull, encoding="utf-8")):  # noqa: B008
        return X + 1

    open_file = make_pipeline(FunctionTransformer(shift), Ridge())
    options = {"targets": "accuracy", "encodings": "op-count", "train_sizes": 20}
    predictors = {"ridge": Ridge(), "open": open_file}
    with pytest.warns(UserWarning, match="predictor 'open' is not cached.*TextIOWrapper"):
        found = run(table, cache=tmp_path, predictors=predictors, **options)
    assert len(found) == 6
    assert len(list(tmp_path.rglob("*.json"))) == 3


@pytest.mark.slow
def test_a_killed_run_goes_on(table, tmp_path):
    """kill -9 half-way; the finished fits are kept, the frame equals an uninterrupted one."""
    script = textwrap.dedent("""
        import sys, time, numpy as np
        from graf_utils import NB201, Table, evaluate
        from sklearn.linear_model import Ridge

        class Slow(Ridge):
            def fit(self, X, y):
                time.sleep(0.05)
                return super().fit(X, y)

        cells = NB201().sample(100, random_state=0)
        target = {"y": np.isin(cells, [2, 3]).sum(axis=1) + np.arange(100) / 1000}
        table = Table("small", "test", "nb201", cells, target)
        frame = evaluate(table, "y", "op-count", {"slow": Slow()}, 20, range(60),
                         cache=sys.argv[1], progress=False)
        frame.drop(columns="cpu_seconds").to_json(sys.argv[2])
    """)

    def start(cache, out):
        root = Path(evaluation.__file__).resolve().parents[1]
        environment = os.environ | {"PYTHONPATH": str(root)}
        return subprocess.Popen(
            [sys.executable, "-c", script, str(cache), str(out)], env=environment
        )

    cache = tmp_path / "cache"
    for target in (5, 25):
        process = start(cache, tmp_path / "killed.json")
        deadline = time.monotonic() + 60
        while len(list(cache.rglob("*.json"))) < target and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in cache.rglob("*.json")}
    assert 25 <= len(kept) < 60
    assert start(cache, tmp_path / "resumed.json").wait() == 0
    assert start(tmp_path / "other", tmp_path / "whole.json").wait() == 0
    assert (tmp_path / "resumed.json").read_text(encoding="utf8") == (
        tmp_path / "whole.json"
    ).read_text(encoding="utf8")
    assert {file: file.stat().st_mtime_ns for file in kept} == kept, "a finished fit was redone"


# --- bad input ---

BAD = {
    "table": (lambda t: run([1, 2]), ["is not a Table", "load_table"]),
    "target": (lambda t: run(t, targets="acuracy"), ["acuracy", "accuracy"]),
    "encoding": (lambda t: run(t, encodings="grav"), ["'grav'", "Did you mean 'graf'"]),
    "predictor": (lambda t: run(t, predictors="rff"), ["'rff'", "Did you mean 'rf'"]),
    "predictor class": (
        lambda t: run(t, predictors={"ridge": Ridge}),
        ["is not a regressor", "an instance"],
    ),
    "predictor object": (lambda t: run(t, predictors={"x": 3}), ["predictor=3", "regressor"]),
    "two predictors of one name": (
        lambda t: run(t, predictors=[Ridge(), Ridge(alpha=2)]),
        ["several objects of one name", "predictors={'first'"],
    ),
    "no predictor": (lambda t: run(t, predictors=[]), ["predictors=[]", "empty"]),
    "targets with values": (
        lambda t: run(t, targets={"accuracy": t.target("accuracy")}),
        ["targets is dict", "without values"],
    ),
    "targets as a frame": (lambda t: run(t, targets=t.targets), ["targets is DataFrame"]),
    "targets as an array": (lambda t: run(t, targets=t.target("accuracy")), ["list of names"]),
    "true as a train size": (lambda t: run(t, train_sizes=True), ["True", "whole numbers"]),
    "a transformer": (
        lambda t: run(t, encodings={"mine": GRAF(SPACE)}),
        ["'mine' is a transformer", "lambda table: transformer.fit_transform(table)"],
    ),
    "duplicates": (lambda t: run(t, duplicates="group"), ["duplicates=", "'grouped'"]),
    "encoding of text that could be numbers": (
        lambda t: run(t, encodings={"mine": np.full((400, 2), "1")}),
        ["'mine'", "Text must be encoded"],
    ),
    "train size zero": (lambda t: run(t, train_sizes=0), ["train_sizes=0", "from 1 to 398"]),
    "train size too large": (lambda t: run(t, train_sizes=[32, 399]), ["399", "from 1 to 398"]),
    "train size a share": (lambda t: run(t, train_sizes=0.5), ["0.5", "whole numbers"]),
    "train size text": (lambda t: run(t, train_sizes="32"), ["'32'", "whole numbers"]),
    "no train size": (lambda t: run(t, train_sizes=[]), ["train_sizes=[]", "nothing"]),
    "repeated size": (lambda t: run(t, train_sizes=[32, 32]), ["repeats"]),
    "negative seed": (lambda t: run(t, data_seeds=[-1]), ["data_seeds", "-1"]),
    "no target": (lambda t: run(t, targets=[]), ["targets=[]", "non-empty"]),
    "repeated encoding": (lambda t: run(t, encodings=["graf", "graf"]), ["repeats ['graf']"]),
    "encoding with too few rows": (
        lambda t: run(t, encodings={"mine": np.zeros((3, 2))}),
        ["'mine'", "(3, 2)", "(400, n_features)"],
    ),
    "encoding of text": (
        lambda t: run(t, encodings={"mine": np.full((400, 2), "a")}),
        ["'mine'", "numbers of shape"],
    ),
    "encoding with nan": (
        lambda t: run(t, encodings={"mine": np.full((400, 2), np.nan)}),
        ["'mine'", "not finite at row 0, column 0"],
    ),
    "metric": (lambda t: run(t, metrics="spearmann"), ["'spearmann'", "Did you mean 'spearman'"]),
    "metric of a number": (lambda t: run(t, metrics={"mine": 3}), ["'mine' is 3", "a function"]),
    "two metrics of one name": (
        lambda t: run(t, metrics=[lambda p, y: 0, lambda p, y: 1]),
        ["several objects of one name", "metrics={'first'"],
    ),
    "metric with the name of a column": (
        lambda t: run(t, metrics={"n_test": count}),
        ["metrics beside the other columns", "repeats ['n_test']"],
    ),
    "metric with the name of a column of twins": (
        lambda t: run(t, metrics={"a": count, "a_unseen": count}, twins=np.zeros(400)),
        ["repeats ['a_unseen']"],
    ),
    "too few twins": (
        lambda t: run(t, twins=[0]),
        ["twins is list of shape (1,)", "each of the 400"],
    ),
    "twins without a label": (
        lambda t: run(t, twins=[None] + [1] * 399),
        ["twins has no label in row 0"],
    ),
    "twins in another order": (
        lambda t: run(t, twins=pd.Series(range(400))[::-1]),
        ["index of twins", ".sort_index()"],
    ),
    "copies with several labels": (
        lambda t: run(noise(2), targets="y", twins=range(300), duplicates="grouped"),
        ["twins has several labels", "table.space.classes(table.codes"],
    ),
    "cache is a file": (lambda t: run(t, cache=__file__), ["cache=", "Choose one"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_are_named_before_anything_runs(table, what, monkeypatch):
    monkeypatch.setattr(evaluation, "_run", lambda *job: pytest.fail("a fit ran"))
    call, words = BAD[what]
    with pytest.raises(ValueError) as error:
        call(table)
    for word in words:
        assert word in str(error.value)


# --- the paper's figures ---

FOUR = ["one-hot", "zcp", "graf", "zcp+graf"]


def committed():
    return pd.read_parquet(data_path("results", "paper_nb201.parquet"))


def test_committed_results_meet_the_published_means():
    results = committed()
    forest = summarise(results[results["predictor"] == "rf"])
    assert (forest["n"] == 50).all()
    assert len(forest) == 12
    stored = published("nb201-cifar10", "accuracy", "stored", encoding=FOUR)
    figures = stored.set_index(["encoding", "train_size"])["value"]
    for row in forest.itertuples():
        assert row.mean == pytest.approx(figures[row.encoding, row.train_size], abs=0.002)


def test_five_single_seeds_of_the_paper(paper_dir):
    table = load_table("nb201-cifar10", source="paper")
    found = evaluate(table, "accuracy", "zcp", "rf", 32, range(42, 47), progress=False)
    single = [0.6724, 0.7259, 0.7096, 0.6686, 0.6193]
    np.testing.assert_allclose(found["kendall_tau"], single, rtol=0, atol=0.003)


def test_a_sample_of_the_committed_results_is_computed_again(paper_dir):
    table = load_table("nb201-cifar10", source="paper")
    keys = ["encoding", "predictor", "train_size", "data_seed"]
    stored = committed().set_index(keys)["kendall_tau"]
    for encodings, predictors, sizes, seeds in (
        (FOUR, "rf", [32, 128], [42, 66, 91]),
        ("zcp+graf", ["xgb", "graf-xgb"], [32, 128, 1024], [42, 51]),
        ("zcp", "rf", 1024, [50]),
    ):
        found = evaluate(
            table, "accuracy", encodings, predictors, sizes, seeds, n_jobs=2, progress=False
        ).set_index(keys)["kendall_tau"]
        np.testing.assert_allclose(found, stored[found.index], rtol=0, atol=0.002)


def test_graf_xgb_beats_xgb_plus_at_a_tenth_of_its_cost():
    results = committed()
    ten = results[(results["encoding"] == "zcp+graf") & results["data_seed"].between(42, 51)]
    means = summarise(ten).set_index(["predictor", "train_size"])
    for size in (32, 128, 1024):
        ours, theirs = means.loc[("graf-xgb", size)], means.loc[("xgb+", size)]
        assert ours["n"] == theirs["n"] == 10
        assert ours["mean"] > theirs["mean"]
        assert ours["cpu_seconds"] < theirs["cpu_seconds"]
    assert ours["cpu_seconds"] < theirs["cpu_seconds"] / 10  # with 1,024 networks
    assert ours["mean"] > 0.859


# --- rank correlations --------------------------------------------------------------------------


def test_rank_correlations_against_scipy():
    random = np.random.default_rng(0)
    groups = random.integers(0, 4, 200)
    scores = pd.DataFrame({"a": random.integers(0, 9, 200), "b": random.normal(size=200)})
    target = scores["b"] + random.normal(size=200)
    found = rank_correlations(scores, target, groups).set_index(["score", "group"])
    assert list(found.index.unique("group")) == ["all", 0, 1, 2, 3]
    for (score, group), row in found.iterrows():
        chosen = np.ones(200, dtype=bool) if group == "all" else groups == group
        expected = spearmanr(scores[score][chosen], target[chosen]).statistic
        assert row["spearman"] == pytest.approx(expected, abs=1e-12)
        assert row["n"] == chosen.sum()


def test_a_score_that_only_tells_groups_apart():
    groups = np.repeat([0, 1, 2], 50)
    found = rank_correlations(pd.DataFrame({"count": groups}), np.arange(150), groups)
    assert found["spearman"][0] > 0.9
    assert found["spearman"][1:].isna().all()
    with pytest.raises(ValueError, match=r"target has shape \(3,\) for 150 rows"):
        rank_correlations(pd.DataFrame({"count": groups}), [1, 2, 3])
    with pytest.raises(ValueError, match=r"groups has shape \(2,\) for 150 rows"):
        rank_correlations(pd.DataFrame({"count": groups}), groups, [1, 2])


def test_rank_correlations_match_labels():
    """Fault 4: a Series in another order was taken by position."""
    random = np.random.default_rng(0)
    scores = pd.DataFrame({"a": random.normal(size=60)}, index=[f"net {i}" for i in range(60)])
    target, groups = scores["a"] ** 3, (scores["a"] > 0).astype(int)
    expected = rank_correlations(scores, target, groups)
    assert expected["spearman"][0] == pytest.approx(1)
    mixed = rank_correlations(scores, target.sample(frac=1), groups.sample(frac=1))
    pd.testing.assert_frame_equal(mixed, expected)
    bare, numbered = scores.reset_index(drop=True), target.reset_index(drop=True)
    with pytest.raises(ValueError, match=r"index of target.*\.sort_index\(\)") as error:
        rank_correlations(bare, numbered.sample(frac=1, random_state=0))
    assert "reset_index(drop=True)" in str(error.value)
    again = rank_correlations(bare, numbered.sample(frac=1, random_state=0).sort_index())
    assert again["spearman"][0] == pytest.approx(1)
    shuffled = bare.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match=r"write target\.loc\[scores\.index\]"):
        rank_correlations(shuffled, numbered)
    again = rank_correlations(shuffled, numbered.loc[shuffled.index])
    assert again["spearman"][0] == pytest.approx(1)


def test_rank_correlations_of_what_is_no_frame():
    with pytest.raises(ValueError, match=r"scores is ndarray.*pd\.DataFrame\("):
        rank_correlations(np.arange(9), np.arange(9))
    one = rank_correlations(pd.DataFrame({"a": [1, 2, 3]}), [[1], [2], [3]])
    assert one["spearman"][0] == pytest.approx(1)
    with pytest.raises(ValueError, match=r"target has shape \(3, 2\)"):
        rank_correlations(pd.DataFrame({"a": [1, 2, 3]}), np.ones((3, 2)))
    with pytest.raises(ValueError, match="target holds text .*one number per row"):
        rank_correlations(pd.DataFrame({"a": [1, 2, 3]}), ["a", "b", "c"])
    missing = pd.DataFrame({"a": [1, 2, np.nan, 4]})
    assert np.isnan(rank_correlations(missing, [1, 2, 3, 4])["spearman"][0])
