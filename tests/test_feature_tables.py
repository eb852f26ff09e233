"""Tables of networks without graphs: a frame of features is all there is."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from graf_utils import Table, encode, evaluate, load_table
from graf_utils.spaces import FeatureSpace

FOREST = RandomForestRegressor(10, random_state=0)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    labels = [f"net-{i}" for i in range(60)]
    return pd.DataFrame(rng.normal(size=(60, 3)), index=labels, columns=["depth", "width", "heads"])


@pytest.fixture
def table(frame):
    targets = pd.DataFrame({"loss": frame @ [1.0, -2.0, 0.5]})
    return Table.from_features("mine", frame, targets.sample(frac=1, random_state=1))


def test_the_protocol_runs_on_features_alone(table):
    results = evaluate(table, "loss", "own-features", {"ridge": Ridge(1e-6)}, 20, [0, 1])
    assert results["n_features"].tolist() == [3, 3]
    assert results["kendall_tau"].min() > 0.999  # the target is linear in the features


def test_targets_are_matched_by_label_and_not_by_position(table, frame):
    np.testing.assert_allclose(table.target("loss"), frame @ [1.0, -2.0, 0.5])


def test_the_result_is_that_of_the_same_matrix_on_a_table_with_graphs():
    cells = load_table("nb201-cifar10").subset(slice(0, 300))
    graf = encode(cells, "graf")
    mine = Table.from_features("mine", graf, cells.targets[["accuracy"]])
    from_graphs = evaluate(cells, "accuracy", "graf", "rf", 50, 3)
    from_frame = evaluate(mine, "accuracy", "own-features", "rf", 50, 3)
    assert from_graphs["kendall_tau"].tolist() == from_frame["kendall_tau"].tolist()


def test_subsets_and_rows_keep_labels_and_features_together(table, frame):
    part = table.subset([5, 3])
    assert part.architectures == ["net-5", "net-3"]
    assert (
        encode(part, "own-features").to_numpy().tolist() == frame.iloc[[5, 3]].to_numpy().tolist()
    )
    assert table.rows(["net-7", "net-2"]).tolist() == [7, 2]


def test_labels_may_be_numbers_or_tuples(frame):
    for labels in (range(10, 70), pd.MultiIndex.from_product([range(6), list("abcdefghij")])):
        space = FeatureSpace(frame.set_axis(labels))
        assert space.from_codes(space.to_codes(list(labels)[4:6])) == list(labels)[4:6]


def test_a_label_twice_is_refused_and_the_remedy_works(frame):
    doubled = pd.concat([frame, frame.iloc[:5]])
    with pytest.raises(ValueError, match=r"'net-0' twice.*reset_index\(drop=True\).*twins="):
        Table.from_features("mine", doubled, {"loss": np.zeros(65)})
    numbered = Table.from_features("mine", doubled.reset_index(drop=True), {"loss": np.arange(65)})
    results = evaluate(
        numbered,
        "loss",
        "own-features",
        FOREST,
        20,
        0,
        twins=doubled.index,
        duplicates="grouped",
    )
    assert results["n_test"].item() <= 45


def test_equal_features_are_no_duplicates(frame):
    frame.iloc[1] = frame.iloc[0]
    table = Table.from_features("mine", frame, {"loss": frame["depth"]})
    assert len(evaluate(table, "loss", "own-features", Ridge(), 20, 0)) == 1


def test_what_needs_graphs_is_refused_with_the_encoding_that_does_not(table):
    for name in ("graf", "flow", "path", "one-hot"):
        with pytest.raises(ValueError, match=r"have no graphs.*'own-features'"):
            encode(table, name)
    with pytest.raises(ValueError, match="does not say which networks differ by one change"):
        table.space.neighbours("net-0")
    with pytest.raises(ValueError, match="was not made by Table.from_features"):
        encode(load_table("nb201-cifar10"), "own-features")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.to_numpy(), r"is ndarray; it must be a DataFrame"),
        (lambda f: f.iloc[:0], "has no rows"),
        (lambda f: f.iloc[:, :0], "one row per architecture"),
        (lambda f: f.assign(depth="two"), "must be numbers"),
        (lambda f: f.assign(depth=np.nan), "not finite at row 0, column 0"),
        (lambda f: f.set_axis([0, 1, 2], axis=1), r"features.rename\(columns=str\)"),
        (lambda f: f.set_axis(["a", "a", "b"], axis=1), "has the column 'a' twice"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(frame, change, message):
    with pytest.raises(ValueError, match=message):
        FeatureSpace(change(frame))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["net-99"], "'net-99' is not among the 60 labels"),
        ([], "holds no list of labels"),
        ("net-1", r"Pass a list such as \['net-0'\]"),
        (np.array([[60]]), "no row numbers of the features"),
        (np.array([[0.0]]), "no row numbers of the features"),
        (np.array([[0, 1]]), "no row numbers of the features"),
    ],
)
def test_labels_that_are_not_there_are_refused(frame, labels, message):
    with pytest.raises(ValueError, match=message):
        FeatureSpace(frame).to_codes(labels)


def test_spaces_are_equal_if_their_frames_are(frame):
    assert FeatureSpace(frame) == FeatureSpace(frame.copy())
    assert hash(FeatureSpace(frame)) == hash(FeatureSpace(frame.copy()))
    assert FeatureSpace(frame) != FeatureSpace(frame + 1)
    assert FeatureSpace(frame) != FeatureSpace(frame.rename(index={"net-0": "other"}))


def test_a_table_survives_joblib(table, tmp_path):
    joblib.dump(table.space, tmp_path / "space")
    assert joblib.load(tmp_path / "space") == table.space
    parallel = evaluate(table, "loss", "own-features", FOREST, 20, [0, 1], n_jobs=2)
    alone = evaluate(table, "loss", "own-features", FOREST, 20, [0, 1])
    assert parallel["kendall_tau"].tolist() == alone["kendall_tau"].tolist()
