"""Your own question to `evaluate`: splits, another test target, intervals, predictions back."""

import re

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GroupKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import graf_utils._predictions as predictions_module
import graf_utils.evaluation as evaluation
from graf_utils._splits import draw
from graf_utils._splits import given as read_given
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT, evaluate, summarise
from graf_utils.figures import check_table
from graf_utils.paired import common_seeds, paired_differences
from graf_utils.predictors import BlendRegressor
from graf_utils.published import published
from graf_utils.spaces import NB201
from graf_utils.table import Table

SPACE = NB201()
N = 200
ONE = {"targets": "accuracy", "encodings": "op-count", "train_sizes": 30, "data_seeds": [7, 8]}
"""Two fits."""


@pytest.fixture(scope="module")
def table():
    cells = SPACE.sample(N, random_state=3)
    random = np.random.default_rng(3)
    accuracy = np.isin(cells, [2, 3]).sum(axis=1) + random.normal(size=N)
    targets = {"accuracy": accuracy, "latency": accuracy**2 + random.normal(size=N)}
    return Table("small", "test", SPACE, cells, targets)


def run(table, **changes):
    arguments = {"encodings": "op-count", "predictors": {"ridge": Ridge()}, "progress": False}
    arguments |= {"targets": "accuracy"} | changes
    return evaluate(table, **arguments)


def numbers(results):
    return results.drop(columns="cpu_seconds")


def random_rows(n_rows, train_size, data_seed):
    return train_test_split(np.arange(n_rows), train_size=train_size, random_state=data_seed)


def fitted_on(table, train, test, target="accuracy", model=None):
    """The model and its predictions, written out."""
    X, y = encode(table, "op-count").to_numpy(), table.target(target)
    model = (model or Ridge()).fit(X[train], y[train])
    return model, model.predict(X[test])


def never(*job):
    pytest.fail("a fit ran")


# --- splits -------------------------------------------------------------------------------------


def test_the_random_splits_as_a_function_give_the_same_numbers(table):
    sizes = {"train_sizes": [30, 50], "data_seeds": [7, 8]}
    expected = run(table, **sizes)
    pd.testing.assert_frame_equal(
        numbers(run(table, splits=random_rows, **sizes)), numbers(expected), check_exact=True
    )


def test_a_fixed_pool_leaves_the_other_rows_out(table):
    def pool(n_rows, train_size, data_seed):
        train, _ = train_test_split(np.arange(80), train_size=train_size, random_state=data_seed)
        return train, np.arange(150, n_rows)

    for row in run(table, splits=pool, train_sizes=[20, 40], data_seeds=[1, 2]).itertuples():
        train, test = pool(N, row.train_size, row.data_seed)
        expected = kendalltau(fitted_on(table, train, test)[1], table.target("accuracy")[test])
        assert row.kendall_tau == expected.statistic
        assert row.n_test == 50


def test_folds_of_scikit_learn_say_size_and_seed_themselves(table):
    family = np.random.default_rng(0).integers(0, 9, N)
    folds = list(GroupKFold(4).split(np.empty((N, 1)), groups=family))
    found = run(table, splits=GroupKFold(4).split(np.empty((N, 1)), groups=family))
    assert found["data_seed"].tolist() == [0, 1, 2, 3]
    assert found["train_size"].tolist() == [len(train) for train, _ in folds]
    for (train, test), tau in zip(folds, found["kendall_tau"], strict=True):
        assert (
            tau
            == kendalltau(
                fitted_on(table, train, test)[1], table.target("accuracy")[test]
            ).statistic
        )
    assert summarise(found, by=["encoding", "predictor"])["n"].tolist() == [4]


def test_a_mapping_names_the_data_seeds(table):
    pairs = {5: (range(50), range(50, 90)), 3: (range(60), [70, 80, 199])}
    found = run(table, splits=pairs)
    assert found[["data_seed", "train_size", "n_test"]].to_numpy().tolist() == [
        [5, 50, 40], [3, 60, 3],
    ]  # fmt: skip
    assert np.isnan(run(table, splits=[(range(50), [50])])["kendall_tau"][0]), "one test network"


@settings(max_examples=200)
@given(st.data())
def test_what_is_a_split_is_read_and_what_is_none_is_refused(data):
    """The rule, written out with sets, against what `draw` and `given` accept."""
    n = data.draw(st.integers(4, 12))
    rows = st.lists(st.integers(-1, n), max_size=4)
    train, test = data.draw(rows), data.draw(rows)
    groups = data.draw(st.none() | st.lists(st.integers(0, 3), min_size=n, max_size=n))
    groups = None if groups is None else np.array(groups)
    both = [*train, *test]
    is_split = train and test and len(set(both)) == len(both) and set(both) <= set(range(n))
    if is_split and groups is not None:
        is_split = not set(groups[train].tolist()) & set(groups[test].tolist())
    if not is_split:
        with pytest.raises(ValueError, match=r"splits\[0\]"):
            read_given([(train, test)], n, groups)
        return
    ((size, seed, sides),) = read_given([(train, test)], n, groups)
    assert (size, seed) == (len(train), 0)
    assert [side.tolist() for side in sides] == [train, test]
    assert draw(lambda *asked: (train, test), n, 99, 4, groups)[:2] == (99, 4)


BAD_SPLITS = {
    "text": ("halves", ["splits='halves'", "(n_rows, train_size, data_seed)"]),
    "a number": (3, ["splits=3"]),
    "a splitter": (GroupKFold(3), ["splits=GroupKFold", "list(splitter.split("]),
    "none": ([], ["data seeds of splits=[]", "nothing"]),
    "a name as key": ({"vgg": ([0], [1])}, ["'vgg'", "whole numbers"]),
    "one pair alone": ((range(50), range(50, 90)), ["splits[0]", "splits=[(train, test)]"]),
    "three parts": ([([0], [1], [2])], ["splits[0]", "a pair (train rows, test rows)"]),
    "a mask": (
        [(np.arange(N) < 50, np.arange(N) >= 50)],
        ["splits[0]: train", "np.flatnonzero(mask)"],
    ),
    "no test rows": ([(range(50), [])], ["splits[0]: test", "one row number at least"]),
    "beyond the table": ([(range(50), [N])], ["splits[0]: test", f"hold {N}", "to 199"]),
    "from the end": ([([-1], [3])], ["splits[0]: train", "hold -1"]),
    "half a row": ([([0.5], [3])], ["splits[0]: train", "whole numbers"]),
    "a row twice": ([([1, 1], [3])], ["splits[0]: train", "repeat", "np.unique"]),
    "on both sides": ([([1, 2], [2, 3])], ["row 2", "np.setdiff1d(test, train)"]),
    "later ones too": ([([1], [2]), ([1], [1])], ["splits[1]"]),
}


@pytest.mark.parametrize("what", BAD_SPLITS)
def test_a_bad_split_is_named_before_anything_runs(table, what, monkeypatch):
    monkeypatch.setattr(evaluation, "_run", never)
    splits, words = BAD_SPLITS[what]
    with pytest.raises(ValueError) as error:
        run(table, splits=splits)
    for word in words:
        assert word in str(error.value)


def test_a_function_that_returns_no_split_is_named_with_its_call(table, monkeypatch):
    monkeypatch.setattr(evaluation, "_run", never)
    with pytest.raises(ValueError, match=r"splits\(200, 30, 7\) is None.*a pair"):
        run(table, splits=lambda n_rows, train_size, data_seed: None, **ONE)
    with pytest.raises(ValueError, match=r"splits\(200, 30, 8\): test rows hold 200"):
        run(table, splits=lambda n, size, seed: (range(size), [n - 8 + seed]), **ONE)


def test_the_remedies_of_bad_splits_work(table):
    mask, train, test = np.arange(N) < 50, np.array([1, 2, 3]), np.array([2, 3, 4, 5])
    run(table, splits=[(np.flatnonzero(mask), np.flatnonzero(~mask))])
    run(table, splits=[(train, np.setdiff1d(test, train))])
    run(table, splits=[(np.unique([1, 1, 2]), test[1:])])
    for argument in ({"train_sizes": 32}, {"data_seeds": [0]}):
        with pytest.raises(ValueError, match="train_sizes and data_seeds have no use"):
            run(table, splits=[(train, [9, 10])], **argument)


def test_grouped_splits_of_ones_own_are_held_to_it(table):
    twins = np.arange(N) // 2
    split = [(np.arange(0, 51), np.arange(51, N))]  # parts 50 from 51
    run(table, splits=split, twins=twins)
    with pytest.raises(ValueError, match="train row 50 and test row 51 are one architecture"):
        run(table, splits=split, twins=twins, duplicates="grouped")
    found = run(table, splits=[(range(50), range(50, N))], twins=twins, duplicates="grouped")
    assert found["n_unseen"].tolist() == [150]


def test_the_cache_knows_the_rows_whatever_says_them(table, tmp_path, monkeypatch):
    """A function goes by the rows that it returns."""
    calls = []
    original = evaluation._run
    monkeypatch.setattr(evaluation, "_run", lambda *job: calls.append(job) or original(*job))
    run(table, cache=tmp_path, **ONE)
    assert len(calls) == 2
    first = run(table, cache=tmp_path, splits=random_rows, **ONE)
    run(table, cache=tmp_path, splits=lambda n, size, seed: random_rows(n, size, seed), **ONE)
    assert len(calls) == 4
    other = run(table, cache=tmp_path, splits=lambda n, s, d: random_rows(n, s, d + 1), **ONE)
    assert len(calls) == 6
    assert other["kendall_tau"][0] == first["kendall_tau"][1]


# --- another test target ------------------------------------------------------------------------


def test_another_target_is_judged_than_was_learned(table):
    found, said = run(table, test_target="latency", return_predictions=True, **ONE)
    assert list(found)[: len(FIT) + 1] == [*FIT, "test_target"]
    assert set(found["target"]) == {"accuracy"}
    assert set(said["test_target"]) == {"latency"}
    for row in found.itertuples():
        train, test = random_rows(N, row.train_size, row.data_seed)
        _, predicted = fitted_on(table, train, test)
        assert row.kendall_tau == kendalltau(predicted, table.target("latency")[test]).statistic
    same = run(table, test_target="accuracy", **ONE).drop(columns="test_target")
    pd.testing.assert_frame_equal(numbers(same), numbers(run(table, **ONE)), check_exact=True)


def test_the_test_target_is_in_the_key_of_the_cache(table, tmp_path):
    options = ONE | {"cache": tmp_path}
    plain = run(table, **options)
    other = run(table, test_target="latency", **options)
    assert (plain["kendall_tau"] != other["kendall_tau"]).all()
    pd.testing.assert_frame_equal(run(table, test_target="latency", **options), other)
    same = run(table, test_target="accuracy", **options)
    assert same["kendall_tau"].tolist() == plain["kendall_tau"].tolist()
    with pytest.raises(ValueError, match="latencie"):
        run(table, test_target="latencie", **ONE)


def test_what_is_judged_by_several_targets_is_never_pooled(table):
    """Neither with equal nor with other data seeds, nor beside fits of the usual kind."""
    judged = [
        run(table, test_target=name, **(ONE | {"data_seeds": seeds}))
        for name, seeds in (("accuracy", [0, 1]), ("latency", [0, 1, 2]))
    ]
    plain = run(table, **(ONE | {"data_seeds": [5, 6, 7, 8]}))
    both = pd.concat([*judged, plain], ignore_index=True)
    found = summarise(both)
    assert found["test_target"].fillna("").tolist() == ["accuracy", "latency", ""]
    assert found["n"].tolist() == [2, 3, 4]
    for part, mean in zip([*judged, plain], found["mean"], strict=True):
        assert mean == pytest.approx(part["kendall_tau"].mean())
    assert "test_target" not in summarise(plain)
    twice = pd.concat([judged[0], judged[0]])
    with pytest.raises(ValueError, match=r"drop_duplicates\(.*'test_target'"):
        summarise(twice)


def other_table(table, n=80, **columns):
    """Networks with another noise; the first ones are also in the table."""
    cells = np.concatenate([table.codes[:20], SPACE.sample(n - 20, random_state=9)])
    cells = cells[np.sort(np.unique(cells, axis=0, return_index=True)[1])]
    worth = np.isin(cells, [2, 3]).sum(axis=1) + np.random.default_rng(5).normal(size=len(cells))
    return Table("elsewhere", "test", SPACE, cells, {"accuracy": worth, "blur": -worth}, **columns)


def test_another_table_is_judged_than_was_learned(table):
    """By hand: the protocol's train rows of one table, all networks of the other but these."""
    other = other_table(table)
    found, said = run(table, test_table=other, return_predictions=True, **ONE)
    assert list(found)[: len(FIT) + 1] == [*FIT, "test_table"]
    assert set(found["test_table"]) == {"elsewhere"}
    assert set(found["table"]) == {"small"}
    blur = run(table, test_table=other, test_target="blur", **ONE)
    features, left = encode(other, "op-count").to_numpy(), []
    for i, row in enumerate(found.itertuples()):
        train, test = random_rows(N, row.train_size, row.data_seed)
        model, _ = fitted_on(table, train, test)
        seen = set(map(tuple, table.codes[train].tolist()))
        rest = [j for j, cell in enumerate(other.codes.tolist()) if tuple(cell) not in seen]
        left.append(len(other) - len(rest))
        predicted = model.predict(features[rest])
        assert row.n_test == len(rest)
        tau = kendalltau(predicted, other.target("accuracy")[rest]).statistic
        assert row.kendall_tau == pytest.approx(tau)
        assert blur["kendall_tau"][i] == pytest.approx(-tau)
        of_fit = said[said["data_seed"] == row.data_seed]
        assert (of_fit["row"] - N).tolist() == rest
        np.testing.assert_allclose(of_fit["predicted"], predicted)
        np.testing.assert_array_equal(of_fit["true"], other.target("accuracy")[rest])
    assert max(left) > 0  # otherwise nothing was left out


def test_the_test_table_is_in_the_key_of_the_cache_and_is_never_pooled(table, tmp_path):
    options = ONE | {"cache": tmp_path}
    plain = run(table, **options)
    other = run(table, test_table=other_table(table), **options)
    assert (plain["kendall_tau"] != other["kendall_tau"]).all()
    pd.testing.assert_frame_equal(run(table, test_table=other_table(table), **options), other)
    both = pd.concat([plain, other])
    assert summarise(both)["test_table"].fillna("").tolist() == ["", "elsewhere"]
    with pytest.raises(ValueError, match="judged in another table") as error:
        check_table(published("nb201-cifar10"), both)
    remedy = re.search(r"Leave them out: (.*)\.$", str(error.value))[1]
    check_table(published("nb201-cifar10"), eval(remedy, {"results": both}))


def test_groups_are_drawn_together_and_tested_elsewhere(table):
    """A network in two rows of the table is trained on with both, and left out of the tests."""
    twice = Table(
        "twice", "test", SPACE, np.concatenate([table.codes, table.codes]),
        {"accuracy": np.r_[table.target("accuracy"), table.target("accuracy")]},
    )  # fmt: skip
    found = run(twice, test_table=table, duplicates="grouped", **ONE)
    assert found["n_test"].tolist() == [N - 30, N - 30]


PROXIES = {"p": np.arange(N), "q": np.arange(N)}


def paired(table, **changes):
    return run(table, **(ONE | changes))


BAD_PAIRS = {
    "no table": (lambda t: paired(t, test_table="elsewhere"), "is not a Table"),
    "splits": (lambda t: paired(t, test_table=t, splits=random_rows), "Leave out splits"),
    "twins": (lambda t: paired(t, test_table=t, twins=range(N)), "Leave out splits and twins"),
    "another space": (
        lambda t: paired(
            t, test_table=Table("m", "t", "tnb101-micro", [(1,) * 6], {"accuracy": [1]})
        ),
        "'tnb101-micro', and table of 'nb201'",
    ),
    "numbers": (lambda t: paired(t, test_table=t, encodings=np.eye(N)), "a name or a function"),
    "no target": (lambda t: paired(t, test_table=other_table(t), targets="latency"), "'latency'"),
    "nothing left": (lambda t: paired(t, test_table=t.subset(range(1))), "two are needed"),
    "other proxies": (
        lambda t: paired(
            Table("p", "t", SPACE, t.codes, t.targets, PROXIES),
            test_table=other_table(t),
            encodings="zcp",
        ),
        "no zero-cost proxies",
    ),
}


@pytest.mark.parametrize("what", BAD_PAIRS)
def test_a_test_table_that_does_not_fit_is_refused(table, what):
    call, message = BAD_PAIRS[what]
    with pytest.raises(ValueError, match=message):
        call(table)


def test_columns_of_two_tables_are_the_same_in_the_same_order(table):
    """Two proxies in another order would be read as each other."""
    one = Table("one", "test", SPACE, table.codes, table.targets, PROXIES)
    flipped = {name: PROXIES[name] for name in ("q", "p")}
    other = Table("other", "test", SPACE, table.codes, table.targets, flipped)
    with pytest.raises(ValueError, match="the order is another"):
        run(one, test_table=other, **(ONE | {"encodings": "zcp"}))
    run(one, test_table=one, **(ONE | {"encodings": "zcp"}))


def test_pairs_are_of_one_test_target(table):
    """A baseline that is judged by another target is no partner."""
    options = ONE | {"encodings": ["op-count", "one-hot"], "data_seeds": [0, 1]}
    judged = {name: run(table, test_target=name, **options) for name in ("accuracy", "latency")}
    both = pd.concat(judged.values(), ignore_index=True)
    found = paired_differences(both, "one-hot").set_index("test_target")
    assert set(common_seeds(both)["test_target"]) == set(judged)
    for name, part in judged.items():
        tau = part.pivot(index="data_seed", columns="encoding", values="kendall_tau")
        expected = (tau["op-count"] - tau["one-hot"]).mean()
        assert found.loc[name, "difference"] == pytest.approx(expected)
    mixed = both[(both["encoding"] == "one-hot") == (both["test_target"] == "latency")]
    assert common_seeds(mixed).empty
    with pytest.raises(ValueError, match="no row of the baseline"):
        paired_differences(mixed, "one-hot")


# --- predictions --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_predictions_come_back_row_by_row(table, n_jobs):
    options = ONE | {"encodings": ["one-hot", "op-count"]}
    results, said = run(table, return_predictions=True, n_jobs=n_jobs, **options)
    pd.testing.assert_frame_equal(numbers(results), numbers(run(table, **options)))
    assert list(said) == [*FIT, "row", "predicted", "true"]
    assert len(said) == results["n_test"].sum()
    assert said["true"].tolist() == table.target("accuracy")[said["row"]].tolist()
    for row in results.itertuples():
        part = said[(said[list(FIT)] == [getattr(row, name) for name in FIT]).all(axis=1)]
        train, test = random_rows(N, row.train_size, row.data_seed)
        assert part["row"].tolist() == test.tolist()
        assert kendalltau(part["predicted"], part["true"]).statistic == row.kendall_tau
        if row.encoding == "op-count":
            assert part["predicted"].tolist() == fitted_on(table, train, test)[1].tolist()


def test_predictions_of_fits_that_are_kept_are_made_again(table, tmp_path):
    options = ONE | {"cache": tmp_path}
    kept = run(table, **options)
    results, said = run(table, return_predictions=True, **options)
    pd.testing.assert_frame_equal(numbers(results), numbers(kept))
    assert len(said) == results["n_test"].sum()
    pd.testing.assert_frame_equal(run(table, **options), kept)


def test_too_many_predictions_are_refused_before_anything_runs(table, monkeypatch):
    monkeypatch.setattr(evaluation, "_run", never)
    seeds = range(100_000)
    with pytest.raises(ValueError, match=r"keep 17,000,000 predictions, about 6\.3 GiB.*2 GiB"):
        run(table, return_predictions=True, **(ONE | {"data_seeds": seeds}))


def test_the_estimate_holds_what_a_frame_takes(table):
    _, said = run(table, return_predictions=True, interval=0.8, predictors="blend", **ONE)
    assert said.memory_usage(deep=True).sum() / len(said) < predictions_module._BYTES


# --- intervals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scaled", [False, True])
def test_intervals_of_mean_and_standard_deviation(table, scaled):
    model = make_pipeline(StandardScaler(), PCA(3), BayesianRidge()) if scaled else BayesianRidge()
    results, said = run(
        table, predictors={"m": model}, interval=0.5, return_predictions=True, **ONE
    )
    y = table.target("accuracy")
    for row in results.itertuples():
        train, test = random_rows(N, row.train_size, row.data_seed)
        fitted, mean = fitted_on(table, train, test, model=model)
        X = encode(table, "op-count").to_numpy()[test]
        _, std = fitted.predict(X, return_std=True)
        half = norm.ppf(0.75) * std
        assert row.coverage == np.mean(np.abs(y[test] - mean) <= half)
        assert row.width == pytest.approx(np.median(2 * half) / y.std(), rel=1e-9)
        part = said[said["data_seed"] == row.data_seed]
        np.testing.assert_allclose(part["low"], mean - half)
        np.testing.assert_allclose(part["high"], mean + half)


def test_quantiles_come_first_and_are_those_of_the_interval(table):
    model = BlendRegressor(n_rounds=20)
    row = run(table, predictors={"blend": model}, interval=0.8, **ONE).iloc[0]
    train, test = random_rows(N, 30, 7)
    X, y = encode(table, "op-count").to_numpy(), table.target("accuracy")
    low, high = model.fit(X[train], y[train]).predict_quantiles(X[test], [0.1, 0.9]).T
    assert row["coverage"] == np.mean((low <= y[test]) & (y[test] <= high))
    assert row["width"] == np.median(high - low) / y.std()


def test_intervals_change_no_other_number(table):
    options = ONE | {"predictors": {"bayes": BayesianRidge(), "ridge": Ridge()}}
    plain, found = run(table, **options), run(table, interval=0.8, **options)
    assert list(found) == [*plain, "coverage", "width"]
    pd.testing.assert_frame_equal(numbers(found)[list(numbers(plain))], numbers(plain))
    with joblib.parallel_config("loky", n_jobs=2):
        pd.testing.assert_frame_equal(numbers(run(table, interval=0.8, **options)), numbers(found))


def test_a_predictor_without_intervals_has_none_beside_one_with(table, tmp_path, monkeypatch):
    options = ONE | {"predictors": {"bayes": BayesianRidge(), "ridge": Ridge()}}
    options |= {"cache": tmp_path, "interval": 0.8}
    found = run(table, **options)
    of = found.groupby("predictor")[["coverage", "width"]]
    assert of.count().loc["bayes"].tolist() == [2, 2]
    assert of.count().loc["ridge"].tolist() == [0, 0]
    monkeypatch.setattr(evaluation, "_run", never)  # both are kept, with and without an interval
    pd.testing.assert_frame_equal(run(table, **options), found)
    run(table, **(ONE | {"cache": tmp_path}))
    with pytest.raises(pytest.fail.Exception, match="a fit ran"):
        run(table, **(options | {"interval": 0.9}))


def test_no_predictor_with_intervals_is_an_error_whose_remedies_work(table, monkeypatch):
    with pytest.raises(ValueError, match=r"none of the predictors \['ridge'\] has intervals") as e:
        run(table, interval=0.8, **ONE)
    assert "BayesianRidge()" in str(e.value)
    run(table, interval=0.8, predictors={"bayes": BayesianRidge()}, **ONE)
    monkeypatch.setattr(evaluation, "_run", never)
    for bad in (0, 1, 80, -0.1, True, "0.8", [0.8], np.nan):
        with pytest.raises(ValueError, match=r"interval=.*between 0 and 1, such as interval=0\.8"):
            run(table, interval=bad, predictors={"bayes": BayesianRidge()}, **ONE)


class Broken(RegressorMixin, BaseEstimator):
    """Says what it is told to as its intervals."""

    def __init__(self, ends=(0.0, 1.0)):
        self.ends = ends

    def fit(self, X, y):
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)

    def predict_quantiles(self, X, quantiles):
        return np.tile(self.ends, (len(X), 1))


@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.0, np.nan), (0.0, np.inf), (0.0, 1.0, 2.0)])
def test_intervals_that_are_none_are_refused(table, ends):
    run(table, predictors={"sound": Broken()}, interval=0.8, **ONE)
    with pytest.raises(ValueError, match=r"Broken\(.*as intervals is no pair of finite numbers"):
        run(table, predictors={"broken": Broken(ends)}, interval=0.8, **ONE)


def test_names_of_the_new_columns_are_taken(table):
    for name, more in (("test_target", {}), ("coverage", {"interval": 0.8})):
        with pytest.raises(ValueError, match=f"repeats \\['{name}'\\]"):
            run(table, metrics={name: lambda p, y: 0}, predictors="blend", **more, **ONE)
    run(table, metrics={"coverage": lambda p, y: 0}, **ONE)
