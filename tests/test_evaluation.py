"""The protocol: splits, scores, parallel runs, the cache, and the paper's figures."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

import graf_utils.evaluation as evaluation
from graf_utils.datasets import data_path, load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import evaluate, rank_correlations, summarise
from graf_utils.predictors import PREDICTORS, make_predictor
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


def test_a_constant_prediction_has_tau_zero(table):
    assert (run(table, predictors={"mean": DummyRegressor()})["kendall_tau"] == 0).all()


def test_a_predictor_that_returns_nan_is_an_error(table):
    class Nothing(Ridge):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match=r"Nothing\(\).*NaN.*20 training networks"):
        run(table, predictors={"nan": Nothing()})


def test_predictors_by_name_are_the_papers():
    assert set(PREDICTORS) == {"rf", "xgb", "xgb+", "graf-xgb"}
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


def test_summarise(table):
    results = run(table)
    summary = summarise(results)
    assert len(summary) == 8
    first = results[(results["target"] == "accuracy") & (results["encoding"] == "op-count")]
    taus = first[first["train_size"] == 20]["kendall_tau"]
    assert summary["mean"][0] == pytest.approx(taus.mean())
    assert summary["ci95"][0] == pytest.approx(1.96 * taus.std() / 3**0.5)
    assert (summary["n"] == 3).all()


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


def test_a_damaged_file_is_computed_again(table, tmp_path):
    whole = run(table, cache=tmp_path)
    files = sorted(tmp_path.rglob("*.json"))
    assert len(files) == 24
    files[0].write_text("{", encoding="utf8")
    files[1].write_text('{"kendall_tau": 1}', encoding="utf8")
    files[2].write_bytes(b"\xff\xfe")
    files[3].write_text("[]", encoding="utf8")
    pd.testing.assert_frame_equal(run(table, cache=tmp_path)[NUMBERS], whole[NUMBERS])
    assert all(file.read_text(encoding="utf8").startswith('{"kendall_tau"') for file in files)


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
    "predictor without a name": (lambda t: run(t, predictors=Ridge()), ["predictors=", "mapping"]),
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

PUBLISHED = {  # DATA.md, mean tau over the 50 splits, random forest
    "one-hot": {32: 0.388, 128: 0.544, 1024: 0.737},
    "zcp": {32: 0.686, 128: 0.758, 1024: 0.811},
    "graf": {32: 0.635, 128: 0.739, 1024: 0.828},
    "zcp+graf": {32: 0.697, 128: 0.778, 1024: 0.845},
}


def committed():
    return pd.read_parquet(data_path("results", "paper_nb201.parquet"))


def test_committed_results_meet_the_published_means():
    results = committed()
    forest = summarise(results[results["predictor"] == "rf"])
    assert (forest["n"] == 50).all()
    assert len(forest) == 12
    for row in forest.itertuples():
        assert row.mean == pytest.approx(PUBLISHED[row.encoding][row.train_size], abs=0.002)


def test_five_single_seeds_of_the_paper(paper_dir):
    table = load_table("nb201-cifar10", source="paper")
    found = evaluate(table, "accuracy", "zcp", "rf", 32, range(42, 47), progress=False)
    published = [0.6724, 0.7259, 0.7096, 0.6686, 0.6193]
    np.testing.assert_allclose(found["kendall_tau"], published, rtol=0, atol=0.003)


def test_a_sample_of_the_committed_results_is_computed_again(paper_dir):
    table = load_table("nb201-cifar10", source="paper")
    keys = ["encoding", "predictor", "train_size", "data_seed"]
    stored = committed().set_index(keys)["kendall_tau"]
    for encodings, predictors, sizes, seeds in (
        (list(PUBLISHED), "rf", [32, 128], [42, 66, 91]),
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
    with pytest.raises(ValueError, match="target has 3 rows for 150"):
        rank_correlations(pd.DataFrame({"count": groups}), [1, 2, 3])
    with pytest.raises(ValueError, match="groups has 2 rows for 150"):
        rank_correlations(pd.DataFrame({"count": groups}), groups, [1, 2])
