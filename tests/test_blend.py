"""The blend of a Gaussian process and boosted trees, and what it says of its own errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.gaussian_process.kernels import Matern
from sklearn.utils.estimator_checks import parametrize_with_checks

from graf_utils.predictors import BlendRegressor, make_predictor
from graf_utils.predictors._process import (
    QuickMatern,
    column_weights,
    fit_process,
    tuned_kernel,
)
from graf_utils.predictors.blend import NormalScores, Squash, _folds, _share

FEW = {"n_rounds": 30}


@pytest.fixture(scope="module")
def data():
    """Networks whose target is a smooth function of two of thirty columns, and noise."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 6, (400, 30)).astype(float)
    y = np.sin(X[:, 3]) + 0.5 * X[:, 7] + rng.normal(0, 0.3, 400)
    return X, y


@parametrize_with_checks([BlendRegressor(n_rounds=3), Squash()])
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def test_it_goes_by_name(data):
    X, y = data
    model = make_predictor("blend").set_params(n_rounds=30).fit(X[:60], y[:60])
    assert kendalltau(model.predict(X[60:]), y[60:]).statistic > 0.5


def test_columns_that_matter_weigh_most(data):
    X, y = data
    for n in (32, 300):
        model = BlendRegressor(**FEW).fit(X[:n], y[:n])
        assert 7 in model.columns_[np.argsort(model.weights_)[-2:]]
    assert set(model.columns_[np.argsort(model.weights_)[-2:]]) == {3, 7}


def test_noise_columns_dilute_the_process_less_than_without_weights(data):
    """The point of the weights: against the same process on columns of equal weight."""
    X, y = data
    model = BlendRegressor(**FEW).fit(X[:100], y[:100])
    weighted = model.process_.predict(model._columns(X[100:]) * model.weights_)
    train, z = model._columns(X[:100]), NormalScores(y[:100]).scores
    kernel = tuned_kernel(train, z, np.random.RandomState(0))
    plain = fit_process(train, z, kernel).predict(model._columns(X[100:]))
    taus = [kendalltau(scores, y[100:]).statistic for scores in (weighted, plain)]
    assert taus[0] > taus[1] + 0.05


def test_the_quick_kernel_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 5)), rng.normal(size=(30, 5))
    expected = Matern(1.7, nu=1.5)(X, Y)
    np.testing.assert_allclose(QuickMatern(1.7, nu=1.5)(X, Y), expected, rtol=1e-7)


def scores_of(model, X):
    """What the blend says before it goes back to the units of the target."""
    X = model._columns(X)
    return model._blended(model.process_.predict(X * model.weights_), X)


@pytest.mark.parametrize("transform", [np.exp, lambda y: y**3])
def test_the_process_learns_the_order_of_the_target(data, transform):
    X, y = data
    one = BlendRegressor(**FEW).fit(X[:80], y[:80])
    other = BlendRegressor(**FEW).fit(X[:80], transform(y[:80]))
    np.testing.assert_array_equal(one.process_.y_train_, other.process_.y_train_)


def test_the_unit_of_the_target_does_not_count(data):
    X, y = data
    one = BlendRegressor(**FEW).fit(X[:80], y[:80])
    other = BlendRegressor(**FEW).fit(X[:80], 4 * y[:80])  # by a power of 2: no rounding
    np.testing.assert_allclose(4 * one.predict(X), other.predict(X), rtol=1e-9)


@pytest.mark.parametrize("power", [-1000, -600, 600, 1000])
def test_a_unit_whose_squares_no_float_holds_does_not_count_either(data, power):
    X, y = data
    one = BlendRegressor(**FEW).fit(X[:80], y[:80])
    other = BlendRegressor(**FEW).fit(X[:80], np.ldexp(y[:80], power))
    assert other.share_ == one.share_
    np.testing.assert_allclose(np.ldexp(other.predict(X), -power), one.predict(X), rtol=1e-9)


@pytest.mark.parametrize("kind", [np.float16, np.int16, list, object])
def test_the_type_of_the_target_does_not_count(data, kind):
    X, y = data[0][:60], np.round(5000 * data[1][:60])
    y = np.clip(y, -2048, 2048) * 8  # numbers that half precision has, but not their squares
    one = BlendRegressor(**FEW).fit(X, y)
    other = BlendRegressor(**FEW).fit(X, list(y) if kind is list else y.astype(kind))
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_the_same_seed_gives_the_same_numbers(data):
    X, y = data
    one, other = (BlendRegressor(**FEW).fit(X[:300], y[:300]).predict(X) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (BlendRegressor(random_state=1, **FEW).fit(X[:300], y[:300]).predict(X) != one).any()


def test_tails_are_drawn_in_and_the_order_stays():
    X = np.array(
        [[-1e8, 3.0, 1.0], [1.0, 3.0, 1.0], [2.0, 3.0, 1.0], [3.0, 3.0, 9.0], [1e6, 3.0, 1.0]]
    )
    squashed = Squash().fit_transform(X)
    assert (np.argsort(squashed[:, 0]) == np.argsort(X[:, 0])).all()
    assert np.abs(squashed[:, 0]).max() < 20
    assert (squashed[:, 1] == 0).all()  # a constant column
    assert squashed[3, 2] > squashed[0, 2]  # most of the column is equal: no MAD to measure in


@pytest.mark.parametrize("power", [-1000, -600, 600, 1000])
def test_the_unit_of_a_column_does_not_count(power):
    X = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 4.0], [9.0, 7.0], [1.0, 0.0]])  # no MAD, and one
    squashed = Squash().fit_transform(np.ldexp(X, power))
    np.testing.assert_array_equal(squashed, Squash().fit_transform(X))


# --- the scale of the target ----------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=30), st.floats(-6, 6), st.floats(0.01, 3)
)
def test_scores_go_back_to_the_target_and_keep_the_order(values, score, step):
    y = np.array(values, dtype=float)
    scale = NormalScores(y)
    np.testing.assert_allclose(scale.inverse(scale.scores), y, atol=1e-9)
    low, high = scale.inverse(np.array([score, score + step]))
    assert high > low if np.ptp(y) else high == low


def test_predictions_may_lie_beyond_the_training_networks():
    scale = NormalScores(np.arange(10.0))
    assert scale.inverse(np.array([9.0]))[0] > 9
    assert scale.inverse(np.array([-9.0]))[0] < 0


@settings(max_examples=60)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=30, unique=True))
def test_targets_go_to_scores_and_back(values):
    scale = NormalScores(np.array(values, dtype=float))
    y = np.linspace(-80, 80, 33)
    np.testing.assert_allclose(scale.inverse(scale.forward(y)), y, atol=1e-8)
    np.testing.assert_allclose(scale.forward(np.array(values, dtype=float)), scale.scores)


# --- how much of each -----------------------------------------------------------------------------


def learned_share(X, y):
    return BlendRegressor(n_rounds=200).fit(X, y).share_


def test_steps_among_noise_are_left_to_the_trees():
    """Each of two columns has twelve levels, whose values are in no order."""
    rng = np.random.default_rng(0)
    levels, noise = rng.integers(0, 12, (200, 2)), rng.normal(size=(200, 20))
    values = rng.normal(size=(2, 12))
    y = values[0][levels[:, 0]] + values[1][levels[:, 1]] + rng.normal(0, 0.1, 200)
    assert learned_share(np.column_stack([levels, noise]), y) < 0.2


def test_a_smooth_sum_is_left_to_the_process():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    assert learned_share(X, X @ [1, -2, 3, -1, 2, 1] + rng.normal(0, 0.1, 200)) > 0.7


def test_a_target_whose_tail_rules_it_is_left_to_the_process():
    """The trees learn the target, and hardly more than its few largest values."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6))
    smooth = X @ [1, -2, 3, -1, 2, 1]
    y = np.exp(3 * smooth)
    model = BlendRegressor(n_rounds=200).fit(X[:150], y[:150])
    assert model.share_ > 0.7
    trees = BlendRegressor(n_rounds=200, share=0).fit(X[:150], y[:150])
    taus = [kendalltau(one.predict(X[150:]), y[150:]).statistic for one in (model, trees)]
    assert taus[0] > taus[1] + 0.1


def test_the_learned_share_is_the_usual_one_of_nothing_and_least_squares_of_much():
    rng = np.random.default_rng(0)
    process, trees = rng.normal(size=(2, 100_000))
    z = 0.7 * process + 0.3 * trees + rng.normal(size=100_000)
    assert _share(process, trees, z) == pytest.approx(0.7, abs=0.02)
    assert 0.4 < _share(process[:4], trees[:4], process[:4]) < 0.5  # it is all, of four networks
    assert _share(process[:9], process[:9], z[:9]) == 0.4  # they agree


# --- how sure it is -------------------------------------------------------------------------------


def test_eighty_per_cent_hold_four_fifths_of_what_was_left_out(data):
    """A fit without them, and the share that was learned, say the same of the left-out networks."""
    X, y = data
    model = BlendRegressor(**FEW).fit(X[:50], y[:50])
    X, z = model._columns(X[:50]), model.target_.scores
    targets = np.column_stack([z, (y[:50] - y[:50].mean()) / y[:50].std()])
    kernel = model.process_.kernel_
    rows, mean, std, trees = model._left_out(X, targets, kernel, 0, np.random.RandomState(0))
    assert sorted(rows) == list(range(50))
    half = model.stretch_ * std * 1.2815515655446004
    middle = model.share_ * mean + (1 - model.share_) * trees
    held = (np.abs(middle - z[rows]) <= half).mean()
    assert held == pytest.approx(0.8, abs=0.1)  # other folds, another seed


def test_what_is_said_of_left_out_networks_does_not_know_them(data):
    """Other targets for those left out first change nothing that is said of them."""
    X, y = data
    model = BlendRegressor(**FEW).fit(X[:300], y[:300])
    X = model._columns(X[:300])
    targets = np.column_stack([model.target_.scores, (y[:300] - y[:300].mean()) / y[:300].std()])
    first = next(_folds(300, np.random.RandomState(0)))
    others = targets.copy()
    others[first] = others[first[::-1]] + 1
    said = [
        model._left_out(X, told, model.process_.kernel_, 0, np.random.RandomState(0))
        for told in (targets, others)
    ]
    for one, other in zip(*said, strict=True):
        np.testing.assert_array_equal(one[: len(first)], other[: len(first)])


@pytest.mark.parametrize("n", [2, 3, 7, 32, 128, 256, 257, 1024, 5000])
def test_folds_leave_out_at_most_a_third_and_no_network_twice(n):
    folds = list(_folds(n, np.random.RandomState(0)))
    rows = np.concatenate(folds)
    assert len(set(rows)) == len(rows) <= 256
    assert 1 <= len(folds) <= 3
    assert all(0 < len(fold) <= n / 3 + 1 for fold in folds)
    assert len(rows) > min(n, 256) / 2
    if n <= 256:
        assert len(rows) == n  # all thirds


@pytest.mark.parametrize("n", [40, 200])
def test_an_interval_of_eighty_per_cent_holds_about_so_many(n):
    rng = np.random.default_rng(n)
    held = []
    for _ in range(4):
        X = rng.normal(size=(n + 300, 6))
        y = np.exp(X[:, 0] + np.sin(2 * X[:, 1]) + rng.normal(0, 0.4, len(X)))
        model = BlendRegressor(**FEW).fit(X[:n], y[:n])
        low, high = model.predict_quantiles(X[n:], [0.1, 0.9]).T
        held.append(((low <= y[n:]) & (y[n:] <= high)).mean())
    assert 0.7 < np.mean(held) < 0.9


def test_quantiles_are_ordered_and_their_middle_is_the_prediction(data):
    X, y = data
    model = BlendRegressor(**FEW).fit(X[:50], y[:50])
    low, middle, high = model.predict_quantiles(X, [0.1, 0.5, 0.9]).T
    assert (low < middle).all()
    assert (middle < high).all()
    np.testing.assert_allclose(middle, model.predict(X), rtol=1e-12)
    predicted, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(predicted, middle, rtol=1e-12)
    assert (std > 0).all()


# --- inputs at the edge ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.arange(8.0).reshape(-1, 1), np.ones(8)),  # nothing to order
        (np.ones((8, 2)), np.arange(8.0)),  # nothing to tell them by
        (np.array([[0.0], [1.0]]), np.array([1.0, 2.0])),  # two networks
        (np.repeat([[0.0], [1.0]], 40, axis=0), np.repeat([1.0, 2.0], 40)),  # two kinds
    ],
)
def test_it_fits_whatever_there_is(X, y):
    model = BlendRegressor(**FEW).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.predict_quantiles(X)).all()


def test_weights_of_a_target_that_nothing_explains_are_equal():
    assert column_weights(np.eye(3), np.zeros((3, 2)), np.zeros(3), 64).tolist() == [1, 1, 1]


@pytest.mark.parametrize("quantiles", [0.5, [], [0, 0.5], [1.0], [np.nan], [[0.1]]])
def test_quantiles_that_are_none_are_named(data, quantiles):
    model = BlendRegressor(n_rounds=3).fit(data[0][:20], data[1][:20])
    with pytest.raises(ValueError, match="numbers between 0 and 1"):
        model.predict_quantiles(data[0], quantiles)


@pytest.mark.parametrize(
    "option",
    [
        {"share": 1.5},
        {"share": -0.1},
        {"share": "a"},
        {"share": True},
        {"share": np.ones(2)},
        {"few": -1},
        {"few": np.nan},
        {"few": None},
        {"few": True},
    ],
)
def test_options_out_of_range_are_named(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))}=.* must be a number from 0"):
        BlendRegressor(**option).fit([[0.0], [1.0]], [0.0, 1.0])


@pytest.mark.parametrize("n_rounds", [0, 2.5, None])
def test_rounds_are_whole_numbers(n_rounds):
    with pytest.raises(ValueError, match="n_rounds"):
        BlendRegressor(n_rounds=n_rounds).fit([[0.0], [1.0]], [0.0, 1.0])


def test_the_share_blends_what_the_process_and_the_trees_say(data):
    X, y = data
    alone = [
        BlendRegressor(share=share, **FEW).fit(X[:80], y[:80]).predict(X) for share in (0, 0.5, 1)
    ]
    model = BlendRegressor(share=0, **FEW).fit(X[:80], y[:80])
    told = y[:80].mean() + y[:80].std() * model.trees_.predict(model._columns(X))
    np.testing.assert_allclose(alone[0], told, rtol=1e-5)  # trees say the target itself
    low, high = np.minimum(alone[0], alone[2]), np.maximum(alone[0], alone[2])
    assert ((low <= alone[1]) & (alone[1] <= high)).all()
