"""The zoo: its predictors, the protocol of its comparison, and a recipe that can be stopped."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipes import load_recipe
from sklearn.dummy import DummyRegressor

from graf_utils import load_table, registry
from graf_utils.evaluation import FIT
from graf_utils.metrics import kendall_tau
from graf_utils.predictors.zoo import FAMILIES, ZOO
from graf_utils.registry import DataError, data_path
from graf_utils.results import merge_file, merge_results, provenance_of

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
LIBRARIES = {"lightgbm": "lightgbm", "catboost": "catboost", "ngboost": "ngboost"}
KEYS = list(FIT)
COMMITTED = data_path("results") / "zoo.parquet"
recipe = load_recipe("zoo_results")


def made(name, **options):
    """A predictor of the zoo; the test is skipped where its library is not in the environment."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], reason=f"{LIBRARIES[name]}: extra graf-utils[zoo]")
    return ZOO[name](**options)


# --- the predictors -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ZOO if name != "brp-nas"])
def test_every_predictor_orders_a_monotone_target(name):
    """Six columns, a sum of three of them bent by a monotone function, in units far from 1."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(260, 6))
    y = 90 - 0.01 * np.exp(-3 * (x[:, 0] + x[:, 1] + x[:, 2]))
    predicted = made(name).fit(x[:160], y[:160]).predict(x[160:])
    assert predicted.shape == (100,)
    assert kendall_tau(predicted, y[160:]) > 0.5


def test_the_graph_network_orders_a_monotone_target():
    """The number of convolutions, of which the graph alone tells."""
    pytest.importorskip("torch")
    table = load_table("nb201-cifar10")
    codes = table.codes[:200].astype(float)
    y = np.isin(codes, [2, 3]).sum(axis=1) / 1000
    model = ZOO["brp-nas"](n_epochs=60, n_hidden=32, batch_size=16).fit(codes[:120], y[:120])
    assert kendall_tau(model.predict(codes[120:]), y[120:]) > 0.5


@pytest.mark.parametrize("name", [name for name in ZOO if name not in ("brp-nas", "xgb+")])
def test_five_networks_are_enough_and_fits_repeat(name):
    """The smallest train set of the protocol; frames with any names are taken."""
    rng = np.random.default_rng(1)
    x = pd.DataFrame(rng.uniform(size=(40, 3)), columns=["op_count[a]", "b<c", 'max{"d"}'])
    y = rng.uniform(size=40)
    predictions = [made(name).fit(x[:5], y[:5]).predict(x[5:]) for _ in range(2)]
    assert np.isfinite(predictions).all()
    np.testing.assert_array_equal(*predictions)


def test_every_predictor_has_a_family():
    assert list(FAMILIES) == sorted(FAMILIES, key=list(ZOO).index)
    assert set(FAMILIES) == set(ZOO)


@pytest.mark.parametrize(("name", "module"), [*LIBRARIES.items(), ("brp-nas", "torch")])
def test_without_its_library_the_error_names_the_extra(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError) as error:
        ZOO[name]()
    assert error.value.name == module
    assert repr(name) in str(error.value)
    (extra,) = re.findall(r"graf-utils\[([\w-]+)\]", str(error.value))
    assert module in {re.split("[>=]", line)[0] for line in PROJECT["optional-dependencies"][extra]}


def test_a_library_that_lacks_something_says_what(monkeypatch, tmp_path):
    (tmp_path / "lightgbm.py").write_text("import what_it_needs\n", encoding="utf8")
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'what_it_needs'"):
        ZOO["lightgbm"]()


# --- the protocol ---------------------------------------------------------------------------------


@given(n=st.integers(1_200, 20_000), seed=st.integers(0, 99))
def test_a_trial_draws_200_and_1000_other_networks(n, seed):
    train, test = recipe.split(n, seed)
    assert (len(train), len(test)) == (1_000, 200)
    assert len({*train.tolist(), *test.tolist()}) == 1_200
    assert set(train) | set(test) <= set(range(n))
    again = recipe.split(n, seed)
    assert all((a == b).all() for a, b in zip(again, (train, test), strict=True))


def test_trials_draw_each_network_alike():
    """Of 1,200 networks each is in the test set of a sixth of the trials."""
    tested = np.bincount(np.concatenate([recipe.split(1_200, seed)[1] for seed in range(100)]))
    assert tested.sum() == 100 * 200
    assert tested.std() == pytest.approx(np.sqrt(100 * 1 / 6 * 5 / 6), rel=0.15)


def test_train_sizes_are_the_first_of_the_same_thousand():
    pool = recipe.Pool("t", "s", "y", "nb201", np.arange(3_000.0), {"id": np.c_[0:3_000.0]})
    drawn = {}
    for size in recipe.TRAIN_SIZES:
        x, y, x_test, y_test = recipe.data_of(recipe.Job(pool, "id", "ridge", 7, (size,)))
        assert (x.ravel() == y).all()
        assert (x_test.ravel() == y_test).all()
        assert len(x) == size
        assert not set(y) & set(y_test)
        drawn[size] = y
    assert list(drawn) == [5, 8, 14, 24, 42, 71, 121, 205, 347, 589, 1000]
    assert all((y == drawn[1000][:size]).all() for size, y in drawn.items())


def test_each_predictor_gets_five_trials_before_any_gets_more():
    x = {name: np.zeros((1_200, 1)) for name in (*recipe.ALL, recipe.GRAPH)}
    pools = [recipe.Pool(name, "s", "y", "nb201", np.zeros(1_200), x) for name in ("a", "b")]
    jobs = list(recipe.plan_jobs(pools, recipe.PLAN, 100, set()))
    settings = pd.DataFrame([(j.pool.name, j.predictor, j.encoding, j.seed) for j in jobs])
    rounds = np.searchsorted([5, 20, 100], settings[3], side="right")
    assert (np.diff(rounds) >= 0).all()
    planned = {(line[0], encoding): line[2] for line in recipe.PLAN for encoding in line[1]}
    for (_, predictor, encoding), seeds in settings.groupby([0, 1, 2])[3]:
        assert sorted(set(seeds)) == list(range(planned[predictor, encoding]))
    fits = [(j.pool.name, j.predictor, j.encoding, j.seed, size) for j in jobs for size in j.sizes]
    assert len(fits) == len(set(fits)) == 2 * 11 * sum(planned.values())


# --- the recipe -----------------------------------------------------------------------------------


PLAN = (("ridge", ("one-hot", "graf"), 3), ("knn", ("one-hot", "path"), 2))


@pytest.fixture(scope="module")
def pools():
    table = load_table("nb201-cifar10")
    return [recipe.make_pool(table, "accuracy", ("one-hot", "graf"))]


def rows_of(path):
    frame = pd.read_parquet(path).sort_values(KEYS, ignore_index=True)
    return frame.drop(columns=["run", "cpu_seconds"])


def test_rows_that_stand_in_the_output_are_not_computed_again(tmp_path, pools, monkeypatch):
    path, calls, fit = tmp_path / "zoo.parquet", [], recipe.fit

    def counted(setting, space, sizes, data):
        calls.append((setting, tuple(sizes)))
        return fit(setting, space, sizes, data)

    monkeypatch.setattr(recipe, "fit", counted)
    assert recipe.run(path, pools, PLAN[:1], 2, recipe="r") == 2 * 2 * 11
    before = path.read_bytes()
    calls.clear()
    assert recipe.run(path, pools, PLAN[:1], 2, recipe="r") == 0
    assert (calls, path.read_bytes()) == ([], before)
    assert recipe.run(path, pools, PLAN, 3, recipe="r") == 2 * 11 + 2 * 11
    assert {(setting[3], setting[4], setting[5]) for setting, _ in calls} == {
        ("one-hot", "ridge", 2), ("graf", "ridge", 2), ("one-hot", "knn", 0), ("one-hot", "knn", 1),
    }  # fmt: skip
    results = pd.read_parquet(path)
    assert not results.duplicated(KEYS).any()
    assert (results["n_test"] == 200).all()
    assert set(results["n_features"]) == {30, pools[0].inputs["graf"].shape[1]}


def test_a_stopped_run_keeps_each_job_that_ended(tmp_path, pools, monkeypatch):
    path, fit, ended = tmp_path / "zoo.parquet", recipe.fit, []

    def stopped(*arguments):
        if len(ended) == 3:
            raise KeyboardInterrupt
        ended.append(arguments[0])
        return fit(*arguments)

    monkeypatch.setattr(recipe, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        recipe.run(path, pools, PLAN, 3)
    assert len(pd.read_parquet(path)) == 3 * 11
    monkeypatch.setattr(recipe, "fit", fit)
    recipe.run(path, pools, PLAN, 3)
    whole = tmp_path / "whole.parquet"
    recipe.run(whole, pools, PLAN, 3)
    pd.testing.assert_frame_equal(rows_of(path), rows_of(whole))


class Failing(DummyRegressor):
    """One that cannot be fitted on eight networks, and predicts no number from fourteen."""

    def fit(self, X, y):
        if len(X) == 8:
            raise np.linalg.LinAlgError("not positive definite")
        return super().fit(X, y if len(X) != 14 else np.full(14, np.nan))


def test_a_fit_that_fails_is_said_and_the_others_are_done(tmp_path, pools, monkeypatch, capsys):
    path = tmp_path / "zoo.parquet"
    monkeypatch.setitem(ZOO, "failing", Failing)
    monkeypatch.setattr(recipe, "SLOW", ())
    plan = [("failing", ("graf",), 1), ("ridge", ("graf",), 1)]
    assert recipe.run(path, pools, plan, 1) == 9 + 11
    done = pd.read_parquet(path).groupby("predictor")["train_size"].agg(set)
    assert done["ridge"] - done["failing"] == {8, 14}
    said = capsys.readouterr().err
    assert said.count("failed: ") == 2
    assert "'failing', 0, 8)" in said
    assert "not positive definite" in said
    monkeypatch.setattr(recipe, "SLOW", ("failing",))  # a job of its own, without a row
    assert recipe.run(path, pools, plan, 1) == 0
    monkeypatch.setitem(ZOO, "failing", DummyRegressor)
    assert recipe.run(path, pools, plan, 1) == 2


def test_when_its_time_is_up_no_job_begins(tmp_path, pools, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(recipe.time, "monotonic", lambda: next(clock))
    n = recipe.run(tmp_path / "zoo.parquet", pools, PLAN, 3, minutes=0.1)
    assert 0 < n < 11 * (2 * 3 + 2)
    assert n % 11 == 0
    assert len(pd.read_parquet(tmp_path / "zoo.parquet")) == n
    assert recipe.run(tmp_path / "none.parquet", pools, PLAN, 3, minutes=0) == 0


def test_two_processes_give_the_numbers_of_one(tmp_path, pools):
    for n_jobs in (1, 2):
        recipe.run(tmp_path / f"{n_jobs}.parquet", pools, PLAN, 2, n_jobs=n_jobs)
    pd.testing.assert_frame_equal(rows_of(tmp_path / "1.parquet"), rows_of(tmp_path / "2.parquet"))


def test_a_predictor_without_its_library_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "catboost", None)
    missing = recipe.missing_libraries([("ridge", (), 1), ("catboost", (), 1)])
    assert list(missing) == ["catboost"]
    assert "graf-utils[zoo]" in missing["catboost"]


def test_the_recipe_runs_where_nothing_can_be_downloaded():
    """Without pooch, requests and tqdm, as on a borrowed machine; the table is a published one."""
    code = (
        f"import sys; sys.path.insert(0, {str(data_path('recipes'))!r})\n"
        "import importlib.util as util\n"
        "import importlib.metadata, builtins\n"
        "find, names = util.find_spec, ('pooch', 'requests', 'tqdm')\n"
        "util.find_spec = lambda name, *more: None if name in names else find(name, *more)\n"
        "import zoo_results\n"
        "from graf_utils import registry\n"
        "print(sorted(n for n in names if getattr(sys.modules[n], '__file__', None) is None))\n"
        "print(registry.pooch.file_hash(registry.__file__))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8"
    )
    names, found = done.stdout.splitlines()
    assert names == "['pooch', 'requests', 'tqdm']"
    assert found == hashlib.sha256(Path(registry.__file__).read_bytes()).hexdigest()


# --- another machine's results --------------------------------------------------------------------


def frame(*seeds, tau=0.5):
    return pd.DataFrame({"seed": seeds, "tau": [tau + seed for seed in seeds]})


def test_merged_rows_keep_the_run_that_made_them(tmp_path, monkeypatch):
    ours, theirs = tmp_path / "ours.parquet", tmp_path / "theirs.parquet"
    merge_results(ours, frame(1, 2), ["seed"], recipe="here", files={"f": "0"})
    here = provenance_of(ours)["runs"]
    other = {"processor": "P", "versions": {"numpy": "9"}}
    monkeypatch.setattr("graf_utils.results.conditions", lambda: other)
    merge_results(theirs, frame(3), ["seed"], recipe="there", files={"g": "1"})
    merge_results(theirs, frame(4, 2, tau=0.7), ["seed"], recipe="there again", files={"g": "1"})
    there = provenance_of(theirs)["runs"]
    monkeypatch.undo()
    merged = merge_file(ours, theirs, ["seed"])
    assert merged["seed"].tolist() == [1, 2, 3, 4]
    assert merged["tau"].tolist() == [1.5, 2.7, 3.5, 4.7]
    runs = provenance_of(ours)["runs"]
    assert [runs[number] for number in merged["run"]] == [here[0], there[1], there[0], there[1]]
    assert runs[merged["run"][2]]["processor"] == "P"
    before = ours.read_bytes()
    merge_file(ours, theirs, ["seed"])
    assert ours.read_bytes() == before
    merge_file(tmp_path / "new.parquet", theirs, ["seed"])
    assert provenance_of(tmp_path / "new.parquet")["runs"] == there


def test_a_file_that_is_not_there_or_other_is_refused(tmp_path):
    ours = tmp_path / "ours.parquet"
    with pytest.raises(DataError, match="none.parquet is not there"):
        merge_file(ours, tmp_path / "none.parquet", ["seed"])
    merge_results(ours, frame(1), ["seed"])
    merge_results(tmp_path / "other.parquet", frame(1).assign(x=1), ["seed"])
    with pytest.raises(DataError, match=r"has the columns .* nothing was written"):
        merge_file(ours, tmp_path / "other.parquet", ["seed"])


# --- committed results ----------------------------------------------------------------------------

needs_results = pytest.mark.skipif(
    not COMMITTED.exists(), reason="data/results/zoo.parquet is not there: run zoo_results.py"
)


@needs_results
def test_each_fit_of_the_plan_stands_once():
    results = pd.read_parquet(COMMITTED)
    assert not results.duplicated(KEYS).any()
    assert results["kendall_tau"].between(-1, 1).all()
    assert (results["n_test"] == 200).all()
    planned = {(line[0], encoding): line[2] for line in recipe.PLAN for encoding in line[1]}
    settings = results.groupby(["predictor", "encoding"])["data_seed"]
    assert set(settings.groups) <= set(planned)
    assert all(seeds.max() < planned[setting] for setting, seeds in settings)
    facts = provenance_of(COMMITTED)
    assert facts["recipe"] == "data/recipes/zoo_results.py"
    assert all(len(digest) == 64 for digest in facts["files"].values())


@needs_results
@pytest.mark.slow
@pytest.mark.paper
@pytest.mark.parametrize("name", recipe.TABLES)
def test_a_sample_is_computed_again(paper_dir, name):
    """Last digits depend on the processor, and with few networks order is soon another."""
    stored = pd.read_parquet(COMMITTED).set_index(KEYS)["kendall_tau"]
    target, _ = recipe.TABLES[name]
    pool = recipe.make_pool(load_table(name, source="paper"), target, ("one-hot", "graf"))
    for predictor, encoding, sizes, tolerance in (
        ("ridge", "graf", (5, 121), 0.002),
        ("knn", "one-hot", (42, 1000), 0.02),
        ("rf", "graf", (24,), 0.02),
        ("svr", "one-hot", (347,), 0.01),
    ):
        job = recipe.Job(pool, encoding, predictor, 0, sizes)
        setting = (*pool[:3], encoding, predictor, 0)
        again = recipe.fit(setting, pool.space, sizes, recipe.data_of(job)).set_index(KEYS)
        expected = stored[again.index]
        np.testing.assert_allclose(again["kendall_tau"], expected, rtol=0, atol=tolerance)


def test_a_name_that_is_none_is_told_which_there_are():
    assert "svm" not in ZOO
    with pytest.raises(ValueError, match=r"name='svm' is unknown.*Did you mean 'svr'"):
        ZOO["svm"]
