"""A predictor that is saved and loaded: the same numbers, or an error whose remedy works."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import BayesianRidge
from sklearn.neural_network import MLPRegressor

from graf_utils import NB201, Table, encode, evaluate, load_table
from graf_utils.deployment import fit_predictor, load_predictor
from graf_utils.deployment._refit import probes_of
from graf_utils.predictors import PREDICTORS, make_predictor
from graf_utils.spaces import CellSpace, get_space

ROOT = Path(__file__).resolve().parent.parent
CELL = (2, 3, 0, 4, 2, 1)


@pytest.fixture(scope="module")
def table():
    return load_table("nb201-cifar10").subset(range(300))


@pytest.fixture(scope="module")
def train(table):
    return table.subset(range(80))


@pytest.fixture(scope="module")
def saved(train, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "ridge.npz"
    fit_predictor(train, "accuracy", "op-count", BayesianRidge()).save(path)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictor.npz"


def rewritten(source, path, **changes):
    """A copy of a file with other values in its description; a function changes the old one."""
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    said = json.loads(arrays["description"].item())
    for name, value in changes.items():
        said[name] = value(said[name]) if callable(value) else value
    arrays["description"] = np.array(json.dumps(said))
    np.savez(path, **arrays)
    return path


# --- the same numbers ---------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", [name for name in PREDICTORS if name != "xgb+"])
def test_what_is_loaded_says_what_was_saved(train, table, path, predictor):
    fitted = fit_predictor(train, "accuracy", "graf+flow", predictor)
    fitted.save(path)
    loaded = load_predictor(path)
    asked = table.codes[80:]
    assert loaded.predict(asked).equals(fitted.predict(asked))
    by_hand = make_predictor(predictor).fit(
        encode(train, "graf+flow").to_numpy(), train.target("accuracy")
    )
    numbers = by_hand.predict(encode(table, "graf+flow").to_numpy()[80:])
    assert np.array_equal(loaded.predict(asked)["predicted"], numbers)


def test_it_says_what_evaluate_judged(table, train):
    """So that the tau that a person has seen is that of the predictor that is deployed."""
    splits = [(range(80), range(80, 300))]
    _, judged = evaluate(
        table, "accuracy", "graf", "blend",
        splits=splits, interval=0.8, return_predictions=True, progress=False,
    )  # fmt: skip
    said = fit_predictor(train, "accuracy", "graf", "blend").predict(table.codes[80:], interval=0.8)
    assert np.allclose(said, judged[["predicted", "low", "high"]], rtol=1e-12, atol=0)
    inside = (said["low"] <= judged["true"]) & (judged["true"] <= said["high"])
    assert 0.65 < inside.mean() < 0.95


def test_one_cell_is_asked_in_three_lines_by_another_process(train, path):
    fit_predictor(train, "accuracy", "graf", "blend").save(path)
    code = (
        "from graf_utils.deployment import load_predictor\n"
        f"print(load_predictor({str(path)!r}).predict([{CELL}], interval=0.8).to_json())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8"
    )
    said = pd.read_json(io.StringIO(run.stdout), precise_float=True).iloc[0]
    here = load_predictor(path).predict([CELL], interval=0.8).iloc[0]
    assert list(said.index) == ["predicted", "low", "high"]
    assert np.allclose(said, here, rtol=1e-9)
    assert said["low"] < said["predicted"] < said["high"]


def test_equal_predictors_make_equal_files(train, tmp_path):
    for name in ("one", "two"):
        fit_predictor(train, "accuracy", "graf", "rf").save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_labels_of_the_asked_architectures_are_kept(saved):
    asked = pd.Series([CELL, (0, 1, 2, 3, 4, 0)], index=["mine", "yours"])
    said = load_predictor(saved, predictor=BayesianRidge()).predict(asked)
    assert list(said.index) == ["mine", "yours"]


@pytest.mark.parametrize("name", ["nb101", "darts", "tnb101-micro", "tnb101-macro"])
def test_every_space(name, path):
    space = get_space(name)
    codes = space.sample(40, random_state=0)
    table = Table("t", "own", space, codes[:30], {"y": np.arange(30.0)})
    fitted = fit_predictor(table, "y", "one-hot", "rf")
    fitted.save(path)
    assert load_predictor(path).predict(codes).equals(fitted.predict(codes))


def test_a_space_an_encoding_and_a_predictor_of_your_own(path):
    space = CellSpace(["conv", "pool", "skip_connect"], edges=[(0, 1), (0, 2), (1, 2)], name="mine")
    codes = space.enumerate()
    table = Table("t", "own", space, codes, {"y": codes.sum(axis=1)})

    def sums(table):
        return table.codes.sum(axis=1, keepdims=True)

    fit_predictor(table, "y", sums, BayesianRidge()).save(path)
    own = {"space": space, "encoding": sums, "predictor": BayesianRidge()}
    loaded = load_predictor(path, **own)
    assert loaded.predict([(2, 2, 2)])["predicted"][0] == pytest.approx(6, abs=0.05)
    for missing in own:
        rest = {name: value for name, value in own.items() if name != missing}
        with pytest.raises(ValueError, match=rf"of your own.*load_predictor\(path, {missing}="):
            load_predictor(path, **rest)
    other = CellSpace(["conv", "pool", "avg"], edges=[(0, 1), (0, 2), (1, 2)], name="mine")
    with pytest.raises(ValueError, match="another search space: its operations"):
        load_predictor(path, **own | {"space": other})
    with pytest.raises(ValueError, match="was saved with the predictor BayesianRidge, not Rand"):
        load_predictor(path, **own | {"predictor": RandomForestRegressor()})
    with pytest.raises(ValueError, match="says other numbers"):
        load_predictor(path, **own | {"predictor": BayesianRidge(alpha_1=100)})
    with pytest.raises(ValueError, match="makes 3 columns here"):
        load_predictor(path, **own | {"encoding": _renamed(sums, lambda table: table.codes)})
    with pytest.raises(ValueError, match="says other numbers"):
        load_predictor(path, **own | {"encoding": _renamed(sums, lambda t: -2 * sums(t) ** 2)})


def _renamed(function, other):
    other.__name__ = function.__name__
    return other


def test_wiring_of_a_space_of_your_own_counts(path):
    """Two spaces of the same name and operations: the features tell them apart."""
    edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    space = CellSpace(["conv", "pool"], edges=edges, name="mine")
    other = CellSpace(["conv", "pool"], edges=[*edges[:3], (0, 3), edges[4]], name="mine")
    codes = space.enumerate()
    fitted = fit_predictor(
        Table("t", "own", space, codes, {"y": codes @ [1, 2, 4, 8, 16]}), "y", "graf", "rf"
    )
    fitted.save(path)
    with pytest.raises(ValueError, match=r"says other numbers|columns here"):
        load_predictor(path, space=other)


# --- proxies ------------------------------------------------------------------------------------


def test_proxies_are_asked_for_by_name(table, train, path):
    fitted = fit_predictor(train, "accuracy", "zcp+graf", "rf")
    fitted.save(path)
    loaded = load_predictor(path)
    assert loaded.proxies == list(table.proxies)
    rest = table.subset(range(80, 90))
    expected = fitted.predict(rest.codes, proxies=rest.proxies)
    shuffled = rest.proxies[sorted(rest.proxies)[::-1]].assign(seconds=1.0)
    assert loaded.predict(rest.codes, proxies=shuffled).equals(expected)
    with pytest.raises(ValueError, match=r"proxies lacks the columns \['snip'\]"):
        loaded.predict(rest.codes, proxies=rest.proxies.drop(columns="snip"))
    with pytest.raises(ValueError, match="proxies lacks the columns"):
        loaded.predict(rest.codes)


def test_an_encoding_without_proxies_asks_for_none(train):
    fitted = fit_predictor(train, "accuracy", "graf+flops", "rf")
    assert fitted.proxies == []
    assert len(fitted.predict([CELL])) == 1


# --- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"columns": lambda old: old[::-1]}, "the order is another"),
        ({"columns": lambda old: [*old[:-1], "gone"]}, r"missing \['gone'\]"),
        ({"encoding": "one-hot"}, "makes 30 columns here"),
        ({"encoding": "graff"}, "unknown"),
        ({"versions": lambda old: old | {"scikit-learn": "0.24.2"}}, "Install scikit-learn 0.24.2"),
        ({"versions": lambda old: old | {"graf_utils": "0.0.9"}}, "saved with graf_utils 0.0.9"),
        ({"space": lambda old: old | {"name": "nb101"}}, "another search space: its operations"),
        ({"space": lambda old: old | {"operations": list("abcde")}}, "another search space"),
        ({"target": None}, "damaged|column names"),
        ({"table": None}, "damaged"),
        ({"versions": 3}, "damaged"),
        ({"kind": "somebody else's"}, "is no file of graf_utils"),
    ],
)
def test_a_mismatch_is_an_error(saved, path, changes, message):
    rewritten(saved, path, **changes)
    with pytest.raises(ValueError, match=message):
        load_predictor(path, predictor=BayesianRidge())


def test_a_minor_version_that_changes_nothing_is_none(saved, path):
    major = sys.modules["sklearn"].__version__.split(".")[0]
    rewritten(saved, path, versions=lambda old: old | {"scikit-learn": f"{major}.0.1"})
    load_predictor(path, predictor=BayesianRidge())


def test_other_numbers_are_said_with_versions_and_the_remedy_works(saved, path, table):
    major = sys.modules["sklearn"].__version__.split(".")[0]
    rewritten(saved, path, versions=lambda old: old | {"scikit-learn": f"{major}.0.1"})
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["said"] = arrays["said"] + 0.01
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=rf"other numbers.*scikit-learn {major}\.0\.1 \(here"):
        load_predictor(path, predictor=BayesianRidge())
    accepted = load_predictor(path, predictor=BayesianRidge(), retrain=True)
    accepted.save(path)
    again = load_predictor(path, predictor=BayesianRidge())
    assert again.predict(table.codes).equals(accepted.predict(table.codes))


def test_another_major_version_can_be_accepted(saved, path):
    rewritten(saved, path, versions=lambda old: old | {"numpy": "1.26.4"})
    with pytest.raises(ValueError, match=r"Install numpy 1\.26\.4.*retrain=True"):
        load_predictor(path, predictor=BayesianRidge())
    load_predictor(path, predictor=BayesianRidge(), retrain=True)


def test_versions_are_of_what_the_predictor_is_made_of(train):
    versions = fit_predictor(train, "accuracy", "graf", "blend").versions
    assert set(versions) == {"python", "graf_utils", "numpy", "scipy", "scikit-learn", "xgboost"}
    assert "xgboost" not in fit_predictor(train, "accuracy", "graf", "rf").versions


def test_architectures_of_another_space_are_refused(saved):
    loaded = load_predictor(saved, predictor=BayesianRidge())
    for other in [(0, 1, 2)], [CELL[:5] + (9,)], CELL, []:
        with pytest.raises(ValueError):
            loaded.predict(other)


def test_an_interval_of_a_predictor_that_has_none(train):
    with pytest.raises(ValueError, match="has intervals"):
        fit_predictor(train, "accuracy", "graf", "rf").predict([CELL], interval=0.8)


class Guess(RegressorMixin, BaseEstimator):
    """A regressor without a seed."""

    def fit(self, X, y):
        self.mean_ = y.mean() + y.std() * np.random.default_rng().normal()
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize("model", [Guess(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=20)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_cannot_be_fitted_again_is_not_saved(train, path, model):
    with pytest.raises(ValueError, match="Set its random_state"):
        fit_predictor(train, "accuracy", "op-count", model).save(path)
    assert not path.exists()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_remedy_for_that_works(train, path):
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=0)
    fit_predictor(train, "accuracy", "op-count", model).save(path)
    load_predictor(path, predictor=model)


def test_a_change_far_from_the_training_networks_is_seen(train, path):
    """A process without noise says of its own networks what they are, whatever its kernel."""
    model = GaussianProcessRegressor(RBF(1.0), alpha=1e-6, normalize_y=True, optimizer=None)
    fit_predictor(train.drop_duplicates(), "accuracy", "one-hot", model).save(path)
    changed = GaussianProcessRegressor(RBF(0.9), alpha=1e-6, normalize_y=True, optimizer=None)
    with pytest.raises(ValueError, match="other numbers"):
        load_predictor(path, predictor=changed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "acuracy"}, "Did you mean|must be one of"),
        ({"encoding": "graff"}, "unknown"),
        ({"encoding": np.zeros((80, 2))}, "a function of a table"),
        ({"predictor": "blendd"}, "unknown"),
        ({"table": 3}, "not a Table"),
    ],
)
def test_bad_input(train, arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_predictor(**{"table": train, "target": "accuracy"} | arguments)


# --- files --------------------------------------------------------------------------------------


class Ran:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return eval, ("__import__('os').environ.__setitem__('GRAF_TEST_UNPICKLED', 'yes')",)


def test_no_pickle_is_loaded(saved, path, monkeypatch):
    monkeypatch.delenv("GRAF_TEST_UNPICKLED", raising=False)
    path.write_bytes(pickle.dumps(Ran()))
    with pytest.raises(ValueError, match="is no file of"):
        load_predictor(path)
    array = io.BytesIO()
    np.lib.format.write_array(array, np.array([Ran()], dtype=object), allow_pickle=True)
    for inside in ("codes", "description", "more"):
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                if name != f"{inside}.npy":
                    new.writestr(name, old.read(name))
            new.writestr(f"{inside}.npy", array.getvalue())
        with pytest.raises(ValueError, match="is no file of"):
            load_predictor(path, predictor=BayesianRidge())
    assert "GRAF_TEST_UNPICKLED" not in os.environ
    assert pickle.loads(pickle.dumps(Ran())) is None  # the trap works
    assert os.environ.pop("GRAF_TEST_UNPICKLED") == "yes"


@functools.cache
def said_of_the_cell(path):
    return load_predictor(path, predictor=BayesianRidge()).predict([CELL])["predicted"][0]


@settings(max_examples=100)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_refused_or_says_the_same(saved, tmp_path_factory, place, bit, cut):
    content = bytearray(saved.read_bytes())
    at = int(place * len(content))
    if cut:
        del content[at:]
    else:
        content[at] ^= 1 << bit
    path = tmp_path_factory.mktemp("damaged") / "file.npz"
    path.write_bytes(bytes(content))
    message, said = "", said_of_the_cell(saved)
    try:
        said = load_predictor(path, predictor=BayesianRidge()).predict([CELL])["predicted"][0]
    except ValueError as error:
        message = str(error)
    assert said == said_of_the_cell(saved)
    assert not message or "damaged" in message


@pytest.mark.parametrize("missing", ["codes", "y", "said", "probes", "description"])
def test_a_part_that_is_gone_is_named(saved, path, missing):
    with np.load(saved) as file:
        np.savez(path, **{name: file[name] for name in file.files if name != missing})
    with pytest.raises(ValueError, match=f"damaged.*{missing}"):
        load_predictor(path, predictor=BayesianRidge())


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_predictor(tmp_path / "gone.npz")


def test_a_file_of_somebody_else_is_left_alone(train, tmp_path):
    fitted = fit_predictor(train, "accuracy", "op-count", "rf")
    path = tmp_path / "thesis.txt"
    path.write_text("years of work", encoding="utf8")
    with pytest.raises(ValueError, match="left as it is"):
        fitted.save(path)
    assert path.read_text(encoding="utf8") == "years of work"
    with pytest.raises(ValueError, match="is a folder"):
        fitted.save(tmp_path)
    fitted.save(tmp_path / "new" / "folder.npz")
    fitted.save(tmp_path / "new" / "folder.npz")


def test_a_failed_write_leaves_the_old_file(saved, path, train, monkeypatch):
    path.write_bytes(saved.read_bytes())

    def fail(*arguments, **options):
        arguments[0].write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk"):
        fit_predictor(train, "accuracy", "op-count", "rf").save(path)
    assert path.read_bytes() == saved.read_bytes()
    assert list(path.parent.iterdir()) == [path]


def test_the_sample_that_is_compared_holds_new_networks(train):
    probes = probes_of(train)
    known = set(map(tuple, train.codes.tolist()))
    assert sum(tuple(code) not in known for code in probes.codes.tolist()) >= 8
    assert NB201().is_valid(probes.codes).all()


def test_the_example_of_the_reference_runs(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "book" / "api_predictors.md").read_text(encoding="utf8")
    (block,) = re.findall(r"```python\n(.*?fit_predictor.*?)```", page, re.DOTALL)
    block = block.split("```python\n")[-1]
    names = {"table": train}
    exec(block, names)
    assert list(names["said"]) == ["predicted", "low", "high"]
