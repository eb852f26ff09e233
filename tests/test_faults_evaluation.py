"""Inputs that once gave another number without a word, or an error that did not say what to do."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from graf_utils import _checks
from graf_utils.claims import Ledger, check, read_ledger
from graf_utils.correlations import rank_correlations
from graf_utils.encodings import encode
from graf_utils.evaluation import evaluate, summarise
from graf_utils.explain import importances, mean_ranks, shap_values, what_if
from graf_utils.predictors import make_predictor
from graf_utils.predictors.brpnas import BRPNASRegressor
from graf_utils.search import Candidates, hypervolume, k_centre, pareto_front, search
from graf_utils.spaces import NB201
from graf_utils.table import Table

N = 60
CELLS = NB201().sample(N, random_state=0)
Y = np.random.default_rng(0).normal(size=N)
TABLE = Table("mine", "own", "nb201", CELLS, {"a": Y, "b": -Y})
X = encode(TABLE, "op-count")


def run(predictor=None, **changes):
    arguments = {"encodings": "op-count", "train_sizes": 10, "data_seeds": [0, 1, 2]}
    predictor = Ridge() if predictor is None else predictor
    return evaluate(TABLE, "a", predictors=predictor, progress=False, **(arguments | changes))


# --- a table --------------------------------------------------------------------------------------


def test_a_mask_in_another_order_is_refused_and_the_remedy_works():
    mask = TABLE.targets["a"].sort_values() > 0
    with pytest.raises(ValueError, match=r"index of rows.*\.sort_index\(\)"):
        TABLE.subset(mask)
    assert (TABLE.subset(mask.sort_index()).target("a") > 0).all()


@pytest.mark.parametrize(
    "rows",
    [[2.0, 5.0], iter([2, 5]), pd.Series([2, 5], index=[9, 4]), [i in (2, 5) for i in range(N)]],
    ids=["floats", "an iterator", "a series of row numbers", "booleans"],
)
def test_rows_in_any_form_that_is_clear(rows):
    assert TABLE.subset(rows).target("a").tolist() == Y[[2, 5]].tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [(3, r"rows=\[0\]"), ({1, 2}, "list of row numbers"), ([], "chooses no row"), ([1.5], "whole")],
)
def test_rows_that_are_not_clear_are_refused(rows, message):
    with pytest.raises(ValueError, match=message) as error:
        TABLE.subset(rows)
    assert len(str(error.value)) < 300


def test_a_column_without_a_text_for_its_name_is_refused_and_the_remedy_works():
    with pytest.raises(ValueError, match="mapping of name to values"):
        Table("mine", "own", "nb201", CELLS, np.column_stack([Y, -Y]))
    assert Table("mine", "own", "nb201", CELLS, {"y": Y}).target("y").tolist() == Y.tolist()


def test_an_index_of_several_levels_is_refused_and_the_remedy_works():
    frame = X.set_axis(pd.MultiIndex.from_product([["mine"], range(N)]))
    with pytest.raises(ValueError, match=r"write \.reset_index\(drop=True\)"):
        run(encodings=frame)
    pd.testing.assert_series_equal(
        run(encodings=frame.reset_index(drop=True))["kendall_tau"], run()["kendall_tau"]
    )


# --- the protocol ---------------------------------------------------------------------------------


class Returns(Ridge):
    """A regressor that returns something made of its predictions."""

    def __init__(self, change=None):
        super().__init__()
        self.change = change

    def predict(self, X):
        return self.change(super().predict(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y[0],
        lambda y: y[:-1],
        lambda y: y[:0],
        lambda y: np.column_stack([y, y]),
        lambda y: y + 1j,
        lambda y: [str(value) for value in y],
        lambda y: pd.Series(y).sort_values(),
    ],
    ids=["one", "fewer", "none", "two columns", "complex", "text", "another order"],
)
def test_what_a_predictor_returns_is_one_number_per_network(change):
    with pytest.raises(ValueError, match="what predictor Returns"):
        run(Returns(change))


def test_one_column_of_predictions_is_a_vector():
    tau = run(Returns(lambda y: y[:, None]))["kendall_tau"]
    assert tau.tolist() == run()["kendall_tau"].tolist()


def test_two_settings_of_one_name_are_not_pooled_and_the_remedies_work():
    first, second = run(encodings={"mine": X}), run(encodings={"mine": -(X**2)})
    both = pd.concat([first, second])
    with pytest.raises(ValueError, match="two rows of the setting .*'mine'") as error:
        summarise(both)
    columns = re.search(r"drop_duplicates\((\[.*?\])\)", str(error.value))[1]
    names = [name.strip(" '") for name in columns.strip("[]").split(",")]
    pd.testing.assert_frame_equal(summarise(both.drop_duplicates(names)), summarise(first))
    apart = pd.concat([first, second.assign(encoding="other")])
    assert summarise(apart)["n"].tolist() == [3, 3]
    assert summarise(both, "encoding")["n"].tolist() == [6]


def test_the_interval_counts_the_seeds_that_have_a_tau():
    results = run()
    results.loc[0, "kendall_tau"] = np.nan
    taus = results["kendall_tau"][1:]
    (row,) = summarise(results).to_dict("records")
    assert row["n"] == 2
    assert row["ci95"] == pytest.approx(1.96 * taus.std() / 2**0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: summarise([1]), "results is list"),
        (lambda: summarise(run(), 3), "by is int"),
        (lambda: summarise(run().drop(columns="cpu_seconds")), "'cpu_seconds'"),
        (lambda: run(encodings=X.to_numpy().tolist()), r"encodings=np\.array"),
        (lambda: run([("mine", Ridge()), ("other", Ridge())]), r"predictors=\{name: object\}"),
        (lambda: run(cache=5), "cache=5 must be the path"),
        (lambda: run(cache=""), "cache='' must be the path"),
        (lambda: run(cache="a\0b"), "cannot be used as a folder"),
    ],
)
def test_errors_name_the_argument_and_stay_short(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert len(str(error.value)) < 400


def test_the_remedy_for_lists_of_numbers_works():
    tau = run(encodings=np.array(X.to_numpy().tolist()))["kendall_tau"]
    assert tau.tolist() == run()["kendall_tau"].tolist()


def test_a_method_put_into_an_installed_class_is_another_predictor(tmp_path, monkeypatch):
    before = run(cache=tmp_path)["kendall_tau"]
    predict = Ridge.predict
    monkeypatch.setattr(Ridge, "predict", lambda self, X: -predict(self, X))
    turned = run(cache=tmp_path)["kendall_tau"]
    assert turned.tolist() == pytest.approx((-before).tolist())
    monkeypatch.undo()
    assert run(cache=tmp_path)["kendall_tau"].tolist() == before.tolist()


# --- correlations ---------------------------------------------------------------------------------


def test_text_is_no_score():
    scores = pd.DataFrame({"p": [str(i) for i in range(N)]})
    with pytest.raises(ValueError, match="score 'p' holds.*pd.to_numeric"):
        rank_correlations(scores, range(N))
    numbers = scores.apply(pd.to_numeric)
    assert rank_correlations(numbers, range(N))["spearman"][0] == pytest.approx(1)


@pytest.mark.parametrize("missing", [np.nan, None])
def test_rows_without_a_group_are_refused_and_the_remedy_works(missing):
    groups = [missing] + ["b"] * (N - 1)
    with pytest.raises(ValueError, match="no label in row 0"):
        rank_correlations(X, Y, groups)
    filled = rank_correlations(X, Y, pd.Series(groups).fillna("none"))
    assert filled["n"].unique().tolist() == [N, N - 1, 1]


def test_no_group_takes_the_place_of_all():
    groups = ["all"] * 30 + ["b"] * (N - 30)
    with pytest.raises(ValueError, match="groups holds 'all'"):
        rank_correlations(X, Y, groups)


def test_groups_of_several_types_are_refused_and_the_remedy_works():
    groups = [1] * 30 + ["b"] * (N - 30)
    with pytest.raises(ValueError, match="several types"):
        rank_correlations(X, Y, pd.Series(groups))
    found = rank_correlations(X, Y, [str(group) for group in groups])
    assert set(found["group"]) == {"all", "1", "b"}


def test_three_rows_are_enough_for_a_correlation_and_nullable_numbers_are_numbers():
    scores = pd.DataFrame({"p": pd.array([1, 3, 2], dtype="Int64")})
    rho = rank_correlations(scores, [1.0, 2.0, 3.0])["spearman"][0]
    assert rho == pytest.approx(spearmanr([1, 3, 2], [1, 2, 3]).statistic)


# --- columns in another order ---------------------------------------------------------------------

FOREST = RandomForestRegressor(10, random_state=0).fit(X, Y)


def counts(cells):
    return encode(Table("some", "own", "nb201", cells, {"a": np.zeros(len(cells))}), "op-count")


def test_columns_in_another_order_are_refused_and_the_remedy_works():
    turned = X[X.columns[::-1]]
    with pytest.raises(ValueError, match=r"in another order\. Write X\[model.feature_names_in_\]"):
        shap_values(FOREST, turned)
    values = shap_values(FOREST, turned[FOREST.feature_names_in_])
    assert np.array_equal(values, shap_values(FOREST, X))
    with pytest.raises(ValueError, match="features.* has other columns"):
        what_if(FOREST, CELLS[0], lambda cells: counts(cells)[X.columns[::-1]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (X.iloc[:, 1:], "other columns"),
        (X.to_numpy()[:, 1:], "the 5 columns"),
        (X.to_numpy()[0], "the 5 columns"),
        (X.to_numpy().astype(str), "must be numbers"),
    ],
)
def test_other_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        shap_values(FOREST, columns)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shap_values(RandomForestRegressor(), X), "not fitted"),
        (lambda: what_if(FOREST, CELLS[0], "op-count"), "is no function"),
        (lambda: what_if(FOREST, CELLS[0], counts, groups=[list(X)]), "must be a mapping"),
        (lambda: importances([1], "a"), "not a Table"),
        (lambda: importances(TABLE, "a", "op-count", train_size=9, threshold="x"), "threshold='x'"),
        (lambda: mean_ranks([1]), "results is list"),
        (lambda: mean_ranks(X.assign(method=1), by="methd"), "Did you mean 'method'"),
    ],
)
def test_explanations_say_what_to_pass(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def small_network(**options):
    return BRPNASRegressor("nb201", n_hidden=4, n_epochs=1, random_state=0, **options)


def test_codes_in_another_order_are_refused_by_the_graph_predictor():
    frame = pd.DataFrame(CELLS, columns=list("abcdef"))
    model = small_network().fit(frame, Y)
    turned = frame[list("fedcba")]
    with pytest.raises(ValueError, match=r"X\[model\.columns_\['X'\]\]"):
        model.predict(turned)
    predicted = model.predict(turned[model.columns_["X"]])
    assert predicted.tolist() == model.predict(frame).tolist() == model.predict(CELLS).tolist()


@pytest.mark.parametrize(
    ("options", "y", "extra", "message"),
    [
        ({}, [str(value) for value in Y], None, "y of shape"),
        ({}, Y, [["x"]] * N, "features of shape"),
        ({}, Y, Y, r"reshape\(-1, 1\)"),
        ({"learning_rate": "x"}, Y, None, "learning_rate='x'"),
        ({"learning_rate": np.nan}, Y, None, "learning_rate=nan"),
        ({"weight_decay": -1}, Y, None, "weight_decay=-1"),
        ({"patience": -5}, Y, None, "patience=-5"),
        ({"min_epochs": 2.5}, Y, None, "min_epochs=2.5"),
        ({"n_layers": True}, Y, None, "n_layers=True"),
    ],
)
def test_the_graph_predictor_names_what_does_not_fit(options, y, extra, message):
    with pytest.raises(ValueError, match=message):
        small_network(**options).fit(CELLS, y, extra)


@pytest.mark.parametrize("names", [["a[", "a［"], ["a", "a"]])
def test_columns_that_xgboost_would_call_the_same(names):
    frame = X.iloc[:, :2].set_axis(names, axis=1)
    with pytest.raises(ValueError, match="X has two columns"):
        make_predictor("xgb").fit(frame, Y)
    renamed = frame.set_axis([f"x{i}" for i in range(frame.shape[1])], axis=1)
    make_predictor("xgb").set_params(n_estimators=2).fit(renamed, Y)


# --- search ---------------------------------------------------------------------------------------

POOL = Candidates.of(TABLE, "op-count")
DATES = pd.Series(pd.date_range("2020-01-01", periods=N))


@pytest.mark.parametrize("values", [Y + 1j, DATES, [str(value) for value in Y]])
def test_what_is_no_number_is_no_objective(values):
    for options in ({"objective": values}, {"objective": Y, "test": values, "cost": None}):
        with pytest.raises(ValueError, match="finite"):
            search(POOL, method="random", budget=25, random_state=0, **options)
    with pytest.raises(ValueError, match="cost is .* finite number for each"):
        search(POOL, Y, "random", 25, cost=values)


def test_a_space_by_its_name():
    assert Candidates("nb201", CELLS, X).space == NB201()


def test_what_a_forest_cannot_read_is_refused_at_once():
    with pytest.raises(ValueError, match="single precision"):
        Candidates(NB201(), CELLS, pd.DataFrame({"a": Y * 1e300}))


def test_the_corner_is_matched_by_the_names_of_the_columns():
    values = pd.DataFrame({"a": [4.0], "b": [3.0]})
    assert hypervolume(values, pd.Series({"b": 2.0, "a": 0.0})) == 4.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: pareto_front([["1", "2"]]),
        lambda: pareto_front({"a": [1]}),
        lambda: pareto_front([[1j, 2]]),
        lambda: hypervolume([[1, 2]], "ab"),
        lambda: k_centre([["a"], ["b"]], 1),
        lambda: search(POOL, np.zeros((N, 2, 2)), "random", 25),
        lambda: search(POOL, {"u": 3.0}, "random", 25),
        lambda: POOL.neighbours(N),
    ],
)
def test_search_says_what_it_reads(call):
    with pytest.raises(ValueError, match=r"must (be|have|hold)|is that of|whole numbers"):
        call()


# --- claims ---------------------------------------------------------------------------------------


def test_two_figures_of_one_name_are_refused():
    paper = pd.Series([0.8, 0.9], index=["a", "a"])
    with pytest.raises(ValueError, match="paper has two figures 'a'"):
        check(
            "x", "It is.", where="here", kind="ours", paper=paper, ours={"a": 0.9}, tolerance=0.01
        )


def test_a_standard_error_may_be_a_series():
    figures = {"a": 0.8, "b": 0.8}
    errors = pd.Series({"a": 0.01, "b": 0.02})
    options = {"where": "here", "kind": "ours", "paper": figures, "ours": figures}
    expected = check("x", "It is.", standard_error=errors.to_dict(), **options)
    assert check("x", "It is.", standard_error=errors, **options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paper": [0.1, 0.2], "holds": True}, "cannot be shown"),
        ({"paper": 10**400, "ours": 1, "tolerance": 1}, "is not a number"),
        ({"paper": 0.8, "ours": 0.8, "tolerance": 1, "digits": -1}, "digits=-1"),
        ({"reason": " "}, "nothing to compare"),
    ],
)
def test_claims_say_what_to_pass(options, message):
    with pytest.raises(ValueError, match=message):
        check("x", "It is.", where="here", kind="ours", **options)


def test_a_ledger_is_a_folder_with_each_claim_once(tmp_path):
    ledger = Ledger("03_x", tmp_path)
    ledger.check("x", "It is.", where="here", kind="ours", holds=True)
    assert len(read_ledger(tmp_path, "03_x")) == 1, "one chapter is a chapter"
    file = tmp_path / "03_x.json"
    content = file.read_text(encoding="utf-8")
    file.write_text(content[:-2] + "," + content[1:], encoding="utf-8")
    with pytest.raises(ValueError, match="is not the ledger"):
        read_ledger(tmp_path)
    with pytest.raises(ValueError, match="no folder"):
        read_ledger(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="cannot hold the ledger"):
        Ledger("03_x", file)


def test_labels_of_several_levels_align():
    index = pd.MultiIndex.from_product([["a"], [1, 2, 3]])
    values = pd.Series([1.0, 2.0, 3.0], index=index)
    assert _checks.aligned("y", values[::-1], index, "x").tolist() == [1.0, 2.0, 3.0]


def test_graf_xgb_is_what_its_description_says():
    model = make_predictor("graf-xgb").fit(X, Y)[-1]
    assert model.get_booster().num_boosted_rounds() == 1000
    assert (model.subsample, model.colsample_bynode, model.learning_rate) == (0.8, 0.2, 0.015)
