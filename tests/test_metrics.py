"""Metrics of predictions against oracles that are written out, and the ceiling that twins set."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from graf_utils.ceiling import Ceiling, twin_ceiling, twin_means
from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.metrics import (
    METRICS,
    kendall_tau,
    make_metrics,
    measure,
    ndcg,
    precision_at_top,
    regret_at_k,
    spearman,
)

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.normal(size=40).round(1)
PREDICTED = (TRUE + RANDOM.normal(size=40)).round()  # with many ties

PAIRS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=6
).map(lambda pairs: np.array(pairs, dtype=float).T)  # fmt: skip


# --- oracles: every order of tied networks, one by one --------------------------------------------


def orders(predicted):
    """All orders of the rows, best first, that a prediction with ties allows."""
    rows = range(len(predicted))
    for order in itertools.permutations(rows):
        if all(predicted[a] >= predicted[b] for a, b in itertools.pairwise(order)):
            yield list(order)


def mean_over_orders(predicted, score):
    return float(np.mean([score(order) for order in orders(predicted)]))


def discounted(gains, k):
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:k], start=1))


@settings(max_examples=60)
@given(PAIRS, st.integers(1, 8))
def test_metrics_of_the_top_are_means_over_all_orders_of_ties(pair, k):
    predicted, true = pair
    below_best = mean_over_orders(predicted, lambda order: max(true) - max(true[order[:k]]))
    assert regret_at_k(predicted, true, k) == pytest.approx(below_best, abs=1e-12)
    if len(set(true)) == 1:
        assert math.isnan(ndcg(predicted, true, k))
        assert math.isnan(precision_at_top(predicted, true, k))
        return
    ranked = sorted(true, reverse=True)
    worst_of_best = ranked[:k][-1]
    size = min(k, len(true))
    share = mean_over_orders(
        predicted, lambda order: sum(true[i] >= worst_of_best for i in order[:k]) / size
    )
    assert precision_at_top(predicted, true, k) == pytest.approx(share, abs=1e-12)
    gains = 2 ** (true - min(true)) - 1
    found = mean_over_orders(predicted, lambda order: discounted(gains[order], k))
    best = discounted(sorted(gains, reverse=True), k)
    assert ndcg(predicted, true, k) == pytest.approx(found / best, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlations_are_those_of_scipy_to_the_bit(seed):
    predicted, true = np.random.default_rng(seed).normal(size=(2, 30)).round(seed % 2)
    assert kendall_tau(predicted, true) == kendalltau(predicted, true).statistic
    assert spearman(predicted, true) == spearmanr(predicted, true).statistic


@pytest.mark.parametrize("metric", [kendall_tau, spearman])
def test_constant_predictions_say_nothing_and_constant_targets_cannot_be_ordered(metric):
    assert metric([1, 1, 1], [1, 2, 3]) == 0
    assert metric([1, 1, 1], [2, 2, 2]) == 0
    assert math.isnan(metric([1, 2, 3], [2, 2, 2]))
    assert math.isnan(metric([1], [1]))


def test_ndcg_is_the_published_formula_for_accuracies_in_per_cent():
    """Týbl & Neumann's, written out: gain ``2 ** acc - 1``; the shift by the lowest is nothing."""
    true = RANDOM.uniform(50, 95, size=200)
    predicted = true + RANDOM.normal(scale=10, size=200)
    gains = 2**true - 1
    for k in (1, 10, 1000):
        found = discounted(gains[np.argsort(-predicted)], k)
        best = discounted(np.sort(gains)[::-1], k)
        assert ndcg(predicted, true, k) == pytest.approx(found / best, rel=1e-9)


def test_ndcg_has_a_scale_and_does_not_overflow():
    assert ndcg(PREDICTED, TRUE / 100, doubling=0.01) == pytest.approx(ndcg(PREDICTED, TRUE))
    assert ndcg(PREDICTED, TRUE / 100) != pytest.approx(ndcg(PREDICTED, TRUE))
    assert ndcg(PREDICTED, TRUE + 7) == pytest.approx(ndcg(PREDICTED, TRUE))
    with np.errstate(over="raise", invalid="raise"):
        assert ndcg(-TRUE, 1e6 * TRUE) == pytest.approx(1 / math.log2(41))  # the best is last of 40
        assert 0 < ndcg(PREDICTED, 1e-12 * TRUE) < 1


# --- properties -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(PAIRS, st.permutations(range(6)))
def test_every_metric_sees_the_order_of_predictions_only(pair, order):
    predicted, true = pair
    order = [row for row in order if row < len(true)]
    for name, metric in METRICS.items():
        value = metric(predicted, true)
        for other in (np.exp(predicted) - 5, predicted**3 + predicted, 1e-3 * predicted):
            assert metric(other, true) == pytest.approx(value, nan_ok=True), name
        moved = metric(predicted[order], true[order])
        assert moved == pytest.approx(value, abs=1e-12, nan_ok=True), name


@settings(max_examples=60)
@given(PAIRS)
def test_bounds_are_kept_and_reached_by_the_truth(pair):
    predicted, true = pair
    spread = np.ptp(true)
    for name, metric in METRICS.items():
        value, perfect = metric(predicted, true), metric(true, true)
        if name.startswith("regret"):
            assert 0 <= value <= spread
            assert perfect == 0
        elif spread:
            lowest = -1 if name in ("kendall_tau", "spearman") else 0
            assert lowest - 1e-12 <= value <= 1 + 1e-12
            assert perfect == pytest.approx(1)


def test_shares_and_numbers_of_networks():
    true = np.arange(100.0)
    predicted = true.copy()
    predicted[[90, 91, 95]] = -1  # of the best ten seven are found, of the best five four
    assert precision_at_top(predicted, true) == precision_at_top(predicted, true, 10) == 0.7
    assert METRICS["precision_at_10pct"](predicted, true) == 0.7
    assert METRICS["precision_at_5pct"](predicted, true) == 0.8
    assert precision_at_top(predicted, true, np.int64(5)) == 0.8
    assert precision_at_top(predicted, true, 0.001) == 1, "one network at least"
    assert precision_at_top(-true, true, 1000) == 1, "all networks are among all"
    assert METRICS["regret_at_1"](-true, true) == 99
    assert METRICS["regret_at_10"](-true, true) == 90
    assert regret_at_k(-true, true, 1000) == 0
    assert math.isnan(regret_at_k([], []))


def test_series_are_matched_by_label():
    true = pd.Series(TRUE, index=[f"net {i}" for i in range(40)])
    predicted = pd.Series(PREDICTED, index=true.index)
    for metric in METRICS.values():
        assert metric(predicted.sample(frac=1, random_state=0), true) == metric(PREDICTED, TRUE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kendall_tau([1, 2], [1, 2, 3]), r"predicted is \[1, 2\].*shape \(3,\)"),
        (lambda: spearman([1, math.nan], [1, 2]), r"predicted is .*finite"),
        (lambda: ndcg([1, 2], ["a", "b"]), "true is .*finite numbers"),
        (lambda: ndcg([[1, 2]], [[1, 2]]), r"shape \(2,\), one per network"),
        (lambda: ndcg(PREDICTED, TRUE, 0), "k=0 must be a whole number of at least 1"),
        (lambda: ndcg(PREDICTED, TRUE, doubling=0), "doubling=0 must be a positive"),
        (lambda: ndcg(PREDICTED, TRUE, doubling="1"), "doubling='1' must be a positive"),
        (lambda: precision_at_top(PREDICTED, TRUE, 1.5), "top=1.5 must be a share"),
        (lambda: precision_at_top(PREDICTED, TRUE, 0), "top=0 must be a share"),
        (lambda: regret_at_k(PREDICTED, TRUE, 2.0), "k=2.0 must be a whole number"),
        (
            lambda: kendall_tau(pd.Series(PREDICTED, index=range(40)[::-1]), TRUE),
            r"index of predicted .*\.reset_index\(drop=True\)",
        ),
        (lambda: make_metrics("kendal_tau"), "'kendal_tau' is unknown.*mean 'kendall_tau'"),
        (lambda: make_metrics({"mine": 3}), "metric 'mine' is 3; .* a function"),
        (lambda: make_metrics({"mine": "tau"}), "metrics='tau' is unknown"),
        (lambda: make_metrics([]), "metrics=.. is empty"),
    ],
)
def test_what_is_no_metric_and_no_number_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- several at once ------------------------------------------------------------------------------


def bias(predicted, true):
    return (predicted - true).mean()


def test_names_functions_and_mappings_are_metrics():
    assert list(make_metrics(["ndcg", bias])) == ["ndcg", "bias"]
    made = make_metrics({"tau": "kendall_tau", "mine": bias})
    numbers = measure(made, PREDICTED, TRUE)
    assert numbers == {"tau": kendall_tau(PREDICTED, TRUE), "mine": bias(PREDICTED, TRUE)}
    assert all(math.isnan(number) for number in measure(made, TRUE[:1], TRUE[:1]).values())


def test_a_metric_cannot_change_what_the_next_one_sees():
    def sorts(predicted, true):
        predicted.sort()
        return 0.0

    numbers = measure({"sorts": sorts, "tau": kendall_tau}, PREDICTED, TRUE)
    assert numbers["tau"] == kendalltau(PREDICTED, TRUE).statistic


@pytest.mark.parametrize("value", [None, "0.5", [0.1, 0.2], 1j])
def test_what_a_metric_returns_is_one_number(value):
    with pytest.raises(ValueError, match="metric 'mine' returned .*one number"):
        measure({"mine": lambda predicted, true: value}, PREDICTED, TRUE)


# --- twins ----------------------------------------------------------------------------------------


def means_by_loops(y, labels):
    means = []
    for i, label in enumerate(labels):
        others = [y[j] for j, other in enumerate(labels) if other == label and j != i]
        means.append(sum(others) / len(others) if others else math.nan)
    return means


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-9, 9), st.sampled_from("abcd")), max_size=12))
def test_twins_against_loops(rows):
    y, labels = [row[0] for row in rows], [row[1] for row in rows]
    expected = np.array(means_by_loops(y, labels))
    np.testing.assert_allclose(twin_means(y, labels), expected, rtol=0, atol=1e-12)
    found = twin_ceiling(y, labels)
    has_twin = ~np.isnan(expected)
    assert found.n == has_twin.sum()
    if rows:
        assert found.share == has_twin.mean()
    tau = kendall_tau(expected[has_twin], np.array(y)[has_twin])
    assert found.tau == pytest.approx(tau, nan_ok=True)


def test_twins_by_name_and_by_label():
    y = pd.Series([1.0, 5, 2, 7, 3], index=list("abcde"))
    labels = pd.Series(["x", "y", "x", "z", "y"], index=y.index)
    assert twin_means(y, labels).tolist()[:3] == [2, 3, 1]
    found = twin_ceiling(y, labels.sample(frac=1, random_state=1))
    assert found == twin_ceiling(y.to_numpy(), list(labels)) == Ceiling(found.tau, 4, 0.8)
    mixed = twin_means([1, 2, 3], [1, "1", 1])
    assert mixed.tolist()[::2] == [3, 1], "a number is no text"
    assert math.isnan(mixed[1])
    assert math.isnan(twin_ceiling([1, 2], ["x", "y"]).tau)


@pytest.mark.parametrize(
    ("y", "labels", "message"),
    [
        ([1, 2], ["x"], r"labels is list of shape \(1,\).*one label for each of the 2 rows of y"),
        ([1, 2], ["x", None], "labels has no label in row 1"),
        ([1, 2], [0, math.nan], "labels has no label in row 1"),
        ([1, math.nan], [0, 0], "y is .*finite numbers"),
        (["1", "2"], [0, 0], "y is .*finite numbers"),
        ([1, 2], pd.Series([0, 0], index=[1, 0]), r"index of labels.*\.sort_index\(\)"),
    ],
)
def test_twins_that_are_not_clear_are_refused(y, labels, message):
    with pytest.raises(ValueError, match=message):
        twin_ceiling(y, labels)


@pytest.mark.parametrize(
    ("name", "tau"), [("nb201-cifar10", 0.889), ("nb201-imagenet16-120", 0.903)]
)
def test_the_ceiling_of_nas_bench_201(paper_dir, name, tau):
    """By hand, outside the project: ../shared/FLOW.md, "The ceiling"."""
    table = load_table(name, source="paper")
    assert len(table) == 9_445
    y, labels = table.target("accuracy"), table.space.classes(table.codes, zeros="dropped")
    found = twin_ceiling(y, labels)
    assert found.n == 5_720
    assert found.share == 5_720 / 9_445
    assert found.tau == pytest.approx(tau, abs=0.0005)
    some = np.isin(labels, np.unique(labels)[:300])
    expected = means_by_loops(y[some], labels[some])
    np.testing.assert_allclose(twin_means(y, labels)[some], expected, rtol=1e-12)


def test_ndcg_of_flops_has_the_size_that_was_published(paper_dir):
    """What the docstring of `ndcg` says of its scale."""
    table = load_table("nb201-test-accuracy", source="paper")
    flops, accuracy = encode(table, "flops").to_numpy().ravel(), table.target("accuracy")
    assert ndcg(flops, accuracy) == pytest.approx(0.720, abs=0.0005)
    assert ndcg(flops, accuracy / 100) == pytest.approx(0.990, abs=0.0005)
