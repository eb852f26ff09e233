"""Importances, redundancy and single changes, against brute force and closed forms."""

import itertools
import json
from math import comb

import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from bad_input import must_name
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata, spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.explain import (
    METHODS,
    importances,
    mean_ranks,
    shap_values,
    what_if,
)
from graf_utils.features import GRAF
from graf_utils.redundancy import DistinctColumns, independent_columns, redundant_groups
from graf_utils.registry import data_path
from graf_utils.spaces import DARTS, NB201, CellSpace, TNB101Micro
from graf_utils.table import Table

SPACE = NB201()
FOREST = RandomForestRegressor(8, random_state=0)
CHAIN = CellSpace(["conv"], edges=[(0, 1), (1, 2)])


@pytest.fixture(scope="module")
def table():
    cells = SPACE.sample(200, random_state=1)
    rng = np.random.default_rng(1)
    convs = np.isin(cells, [2, 3]).sum(axis=1)
    targets = {"accuracy": convs + 0.1 * rng.normal(size=200), "skips": (cells == 0).sum(axis=1)}
    return Table("small", "test", SPACE, cells, targets)


def run(table, **changes):
    arguments = {"targets": "accuracy", "encoding": "op-count", "predictor": FOREST}
    arguments |= {"train_size": 60, "data_seeds": [42, 43], "n_explained": 20}
    return importances(table, **(arguments | changes))


def graf_frame(cells, space="nb201", **options):
    return GRAF(space, **options).set_output(transform="pandas").fit_transform(cells)


# --- redundancy -----------------------------------------------------------------------------------


def order_of(column):
    """The order of a column, the same for its reverse."""
    ranks = rankdata(column)
    return min(tuple(ranks), tuple(len(ranks) + 1 - ranks))


matrices = st.integers(2, 9).flatmap(
    lambda n: st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=8)
)


@given(matrices)
@settings(max_examples=60)
def test_groups_at_one_are_equal_orders(columns):
    X = pd.DataFrame(columns).T  # every second one bent, the others turned round
    X = X.apply(lambda column: np.exp(column / 3) if column.name % 2 else -7 * column)
    expected = {}
    for name in X:
        expected.setdefault(order_of(X[name]), set()).add(name)
    assert {frozenset(g) for g in redundant_groups(X).values()} == set(
        map(frozenset, expected.values())
    )


@given(st.integers(0, 10**6), st.floats(0.2, 0.99))
@settings(max_examples=20)
def test_all_pairs_of_a_group_reach_the_threshold(seed, threshold):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(30, 2))
    X = pd.DataFrame(base @ rng.normal(size=(2, 9)) + 0.3 * rng.normal(size=(30, 9)))
    groups = redundant_groups(X, threshold)
    assert sorted(itertools.chain(*groups.values())) == list(X)
    for members in groups.values():
        for a, b in itertools.combinations(members, 2):
            assert abs(spearmanr(X[a], X[b]).statistic) >= threshold - 1e-9


def test_groups_of_graf_on_all_valid_cells():
    cells = SPACE.enumerate()
    groups = redundant_groups(graf_frame(cells[SPACE.is_valid(cells)]))
    assert groups["op_count[nor_conv_3x3]"] == [
        "op_count[nor_conv_3x3]",
        "mean_in_degree[nor_conv_3x3]",
        "mean_in_degree[skip_connect+none+nor_conv_1x1+avg_pool_3x3]",  # 6 edges minus the others
        "mean_out_degree[nor_conv_3x3]",
        "mean_out_degree[skip_connect+none+nor_conv_1x1+avg_pool_3x3]",
    ]
    everything = f"min_path_len[{'+'.join(SPACE.operations)}]"  # always 1
    (constant,) = [members for members in groups.values() if everything in members]
    assert len(constant) == 6
    assert len(groups) == 106


@pytest.mark.parametrize(("space", "rank"), [(NB201(), 73), (TNB101Micro(), 38)])
def test_independent_columns_of_graf(space, rank):
    cells = space.enumerate()
    X = graf_frame(cells[space.is_valid(cells)], space).to_numpy()
    keep = independent_columns(X)
    assert len(keep) == rank - 1  # the ranks of book/definition.md count the constant
    basis = np.column_stack([np.ones(len(X)), X[:, keep]])
    assert np.linalg.matrix_rank(basis) == rank
    assert np.abs(basis @ np.linalg.lstsq(basis, X, rcond=None)[0] - X).max() < 1e-8


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 8))
@settings(max_examples=40)
def test_independent_columns_are_the_first_ones(seed, rank, width):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, (12, rank)) @ rng.integers(-2, 3, (rank, width))
    centred = X - X.mean(axis=0)
    ranks = [0, *(np.linalg.matrix_rank(centred[:, : j + 1]) for j in range(width))]
    expected = [j for j in range(width) if ranks[j + 1] > ranks[j]]
    assert independent_columns(X).tolist() == expected


# --- SHAP values ----------------------------------------------------------------------------------


def shapley(tree, row):
    """Shapley values of one tree from their definition, over all subsets of the features."""

    def expected(known, node=0):
        if tree.children_left[node] < 0:
            return tree.value[node].item()
        left, right = tree.children_left[node], tree.children_right[node]
        feature = tree.feature[node]
        if feature in known:
            return expected(known, left if row[feature] <= tree.threshold[node] else right)
        share = tree.weighted_n_node_samples[left] / tree.weighted_n_node_samples[node]
        return share * expected(known, left) + (1 - share) * expected(known, right)

    n = len(row)
    values = np.zeros(n)
    for feature in range(n):
        others = [f for f in range(n) if f != feature]
        for size in range(n):
            for known in itertools.combinations(others, size):
                gain = expected({*known, feature}) - expected(set(known))
                values[feature] += gain / (n * comb(n - 1, size))
    return values


def test_shap_values_are_shapley_values():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (80, 4)).astype(float)
    y = X[:, 0] * X[:, 1] - X[:, 2] + 0.1 * rng.normal(size=80)
    model = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, y)
    found = shap_values(model, X[:6])
    for row, values in zip(X[:6], found, strict=True):
        np.testing.assert_allclose(values, shapley(model.tree_, row), atol=1e-9)


def test_shap_values_behind_a_selection(table):
    X, y = encode(table, "graf").to_numpy(), table.target("accuracy")
    model = make_pipeline(DistinctColumns(), FOREST).fit(X, y)
    found = shap_values(model, X[:5])
    keep = model[0].get_support()
    np.testing.assert_array_equal(found[:, keep], shap_values(model[-1], X[:5][:, keep]))
    assert not found[:, ~keep].any()
    left = model.predict(X[:5]) - found.sum(axis=1)  # the mean prediction, the same for all
    np.testing.assert_allclose(left, left[0])


# --- importances ----------------------------------------------------------------------------------


def test_the_protocol_written_out(table):
    found = run(table, targets=["accuracy", "skips"], methods=["shap", "impurity"], threshold=1.0)
    X = encode(table, "op-count")
    for target, seed in itertools.product(["accuracy", "skips"], [42, 43]):
        y = table.target(target)
        train, test = train_test_split(np.arange(200), train_size=60, random_state=seed)
        model = RandomForestRegressor(8, random_state=0).fit(X.to_numpy()[train], y[train])
        rows = np.random.default_rng(seed).permutation(test)[:20]
        expected = {
            "shap": np.abs(shap_values(model, X.to_numpy()[rows])).mean(axis=0),
            "impurity": model.feature_importances_,
        }
        chosen = found[(found["target"] == target) & (found["data_seed"] == seed)]
        for method, values in expected.items():
            for grouped in (False, True):  # no two operation counts have the same order
                part = chosen[(chosen["method"] == method) & (chosen["grouped"] == grouped)]
                assert part["feature"].tolist() == list(X)
                np.testing.assert_allclose(part["importance"], values)
                assert part["rank"].tolist() == (rankdata(-values) - 1).tolist()
    assert list(found)[:6] == ["table", "source", "target", "encoding", "predictor", "train_size"]


def test_a_group_holds_what_its_columns_share(table):
    X = encode(table, "op-count").iloc[:, [2, 3]]
    copies = X.assign(**{f"copy {i} of {c}": X[c] * (1 + i) for i in (1, 2) for c in list(X)})
    found = run(table, encoding=copies, methods=list(METHODS), threshold=1.0)
    assert set(found["encoding"]) == {"own"}
    for method in METHODS:
        part = mean_ranks(found[found["method"] == method]).set_index(["grouped", "feature"])
        single, grouped = part.loc[False]["importance"], part.loc[True]["importance"]
        assert set(grouped.index) == set(X)
        for name in X:
            members = [c for c in copies if c.endswith(name)]
            if method == "permutation":  # shuffling one of three copies leaves the others
                assert grouped[name] > 2 * single[members].max()
            elif method == "impurity":
                assert grouped[name] == pytest.approx(single[members].sum())
            else:  # the copies share; added before |.|, so never more than the sum
                assert 1.5 * single[members].max() < grouped[name] <= single[members].sum() + 1e-9


def test_permutation_written_out(table):
    X, y = encode(table, "op-count"), table.target("skips")
    tree = DecisionTreeRegressor(random_state=0)
    found = run(table, targets="skips", predictor=tree, methods="permutation")
    per_seed = found.pivot(index="data_seed", columns="feature", values="importance")[list(X)]
    assert not per_seed.iloc[:, 1:].any().any()  # the tree needs only the first column, the skips
    for seed, row in per_seed.iterrows():
        train, test = train_test_split(np.arange(200), train_size=60, random_state=seed)
        model = tree.fit(X.to_numpy()[train], y[train])
        rows = np.random.default_rng(seed).permutation(test)[:20]
        rng, losses = np.random.default_rng(seed), []
        before = kendalltau(model.predict(X.to_numpy()[rows]), y[rows]).statistic
        for order in [rng.permutation(20) for _ in range(5)]:
            shuffled = X.to_numpy()[rows].copy()
            shuffled[:, 0] = shuffled[order, 0]
            losses.append(before - kendalltau(model.predict(shuffled), y[rows]).statistic)
        assert row.iloc[0] == pytest.approx(np.mean(losses))


def test_jobs_change_nothing(table):
    expected = run(table, methods=list(METHODS), threshold=0.9)
    with joblib.parallel_config("threading", n_jobs=2):
        pd.testing.assert_frame_equal(run(table, methods=list(METHODS), threshold=0.9), expected)


def test_mean_ranks():
    found = pd.DataFrame({"target": "t", "data_seed": [1, 1, 2, 2], "feature": list("abab")})
    found = found.assign(importance=[3, 1, 2, 4], rank=[0, 1, 0.5, 0])
    means = mean_ranks(found)
    assert means["feature"].tolist() == ["a", "b"]
    assert means["mean_rank"].tolist() == [0.25, 0.5]
    assert means["importance"].tolist() == [2.5, 2.5]
    assert means["n"].tolist() == [2, 2]


# --- single changes -------------------------------------------------------------------------------


@pytest.mark.parametrize("grouped", [False, True])
def test_what_if_adds_up(table, grouped):
    X, y = encode(table, "graf"), table.target("accuracy")
    model = RandomForestRegressor(20, random_state=0).fit(X.to_numpy(), y)
    groups = redundant_groups(X) if grouped else None
    changes, carriers = what_if(
        model, table.architectures[0], lambda cells: graf_frame(cells)[list(X)], groups=groups
    )
    assert sorted(changes["architecture"]) == sorted(
        SPACE.from_codes(SPACE.neighbours(table.architectures[0]))
    )
    assert changes["gain"].is_monotonic_decreasing
    np.testing.assert_allclose(carriers.sum(axis=1), changes["gain"], atol=1e-9)
    assert list(carriers) == list(groups if grouped else X)
    for row in changes.itertuples():
        before, after = (
            SPACE.to_networkx(cell).edges[tuple(map(int, row.position.split("-")))]["op"]
            for cell in (table.architectures[0], row.architecture)
        )
        assert (row.before, row.after) == (before, after)
        features = graf_frame([row.architecture])[list(X)].to_numpy()
        assert row.predicted == pytest.approx(model.predict(features)[0])


def test_what_if_in_other_spaces():
    for space in (DARTS(), CellSpace(["conv", "pool", "none"], edges=[(0, 1), (0, 2), (1, 2)])):
        cells = space.sample(10, random_state=0)
        model = FOREST.fit(
            graf_frame(cells, space, families=["op_count"]).to_numpy(), np.arange(10.0)
        )
        changes, carriers = what_if(
            model,
            space.from_codes(cells)[0],
            lambda some, space=space: graf_frame(some, space, families=["op_count"]),
            space,
        )
        assert len(changes) == len(space.neighbours(space.from_codes(cells)[0]))
        np.testing.assert_allclose(carriers.sum(axis=1), changes["gain"], atol=1e-9)


# --- bad input ------------------------------------------------------------------------------------

SMALL = Table("small", "test", SPACE, SPACE.sample(30, random_state=0), {"a": range(30)})
ONE = pd.DataFrame({"a": [1.0, 2.0]})
STUMP = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0]], [0, 1])


def small(**changes):
    return importances(SMALL, "a", "op-count", FOREST, **({"train_size": 10} | changes))


BAD = {
    "groups of an array": (lambda: redundant_groups(np.eye(3)), ["ndarray", "DataFrame"]),
    "groups of one row": (lambda: redundant_groups(ONE[:1]), ["(1, 1)", "two rows"]),
    "a threshold above 1": (lambda: redundant_groups(ONE, 1.5), ["threshold=1.5", "at most 1"]),
    "a vector": (lambda: independent_columns([1, 2]), ["(2,)", "matrix"]),
    "NaN": (lambda: independent_columns([[1, np.nan]]), ["finite", "fill"]),
    "an unknown method": (lambda: small(methods="shapp"), ["'shapp'", "Did you mean 'shap'"]),
    "no method": (lambda: small(methods=[]), ["methods=[]", "non-empty"]),
    "an unknown target": (lambda: importances(SMALL, "b"), ["'b'", "small"]),
    "too many training networks": (lambda: small(train_size=29), ["train_size=29", "28"]),
    "no network explained": (lambda: small(n_explained=0), ["n_explained=0", "from 2"]),
    "half a seed": (lambda: small(data_seeds=0.5), ["data_seeds=0.5", "whole"]),
    "columns of other rows": (
        lambda: importances(SMALL, "a", ONE, FOREST, train_size=10),
        ["'own'", "(30, n_features)"],
    ),
    "SHAP of a linear model": (
        lambda: importances(SMALL, "a", "op-count", LinearRegression(), train_size=10),
        ["LinearRegression", "'permutation'"],
    ),
    "impurity of a linear model": (
        lambda: _linear("impurity"),
        ["LinearRegression", "'permutation'"],
    ),
    "a scaler before the trees": (
        lambda: shap_values(make_pipeline(StandardScaler(), STUMP), [[1.0]]),
        ["StandardScaler", "only selects"],
    ),
    "an invalid architecture": (lambda: SPACE.neighbours((9,) * 6), ["operation id 9", "0..4"]),
    "nothing to change": (
        lambda: what_if(STUMP, (0, 0), lambda cells: ONE, CHAIN),
        ["(0, 0)", "no valid single change"],
    ),
    "features of other rows": (
        lambda: what_if(STUMP, (2,) * 6, lambda cells: ONE),
        ["(2, 1)", "23 architectures"],
    ),
}


def _linear(method):
    return importances(SMALL, "a", "op-count", LinearRegression(), methods=method, train_size=10)


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    must_name(*BAD[case])


# --- the committed results ------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["nb201", "tnb101_micro"])
def test_results_are_complete_and_say_where_they_come_from(space):
    path = data_path("results", f"importances_{space}.parquet")
    provenance = json.loads(pq.read_schema(path).metadata[b"provenance"])
    assert {len(digest) for digest in provenance["files"].values()} == {64}
    for run in provenance.get("runs", [provenance]):
        assert {"shap", "scikit-learn"} <= set(run["versions"])
    found = pd.read_parquet(path)
    runs = ["table", "source", "target", "encoding", "data_seed", "method", "grouped"]
    assert not found.duplicated([*runs, "feature"]).any()
    n = found.groupby(runs)["rank"].agg(["size", "sum"])
    assert np.allclose(n["sum"], n["size"] * (n["size"] - 1) / 2)  # ranks 0 .. n - 1


@pytest.mark.pinned  # another scikit-learn draws other forests
def test_a_result_computed_again():
    known = pd.read_parquet(data_path("results", "importances_nb201.parquet"))
    table = load_table("nb201-cifar10", source="embedded")
    X = encode(table, "graf")
    X = X[[name for name in redundant_groups(X) if X[name].nunique() > 1]]
    found = importances(table, "accuracy", X, methods="impurity", data_seeds=42)
    rows = (known["source"] == "embedded") & (known["target"] == "accuracy")
    rows &= (known["method"] == "impurity") & (known["data_seed"] == 42)
    pd.testing.assert_frame_equal(
        found.drop(columns="encoding"),
        known[rows].reset_index(drop=True).drop(columns="encoding"),
        check_dtype=False,
        rtol=1e-5,
    )
