"""Reading arguments: what is unambiguous is accepted, and the remedy of a message works."""

import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from graf_utils import _checks


def an_encoding(table):
    """A function with a name."""


RIDGE, FRAME, ARRAY = Ridge(), pd.DataFrame({"a": [1.0, 2.0]}), np.zeros((2, 2))
PIPELINE, COLUMN = make_pipeline(Ridge()), np.zeros(2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rf", [("rf", "rf")]),
        (["rf", "xgb"], [("rf", "rf"), ("xgb", "xgb")]),
        (("rf",), [("rf", "rf")]),
        (iter(["rf", "xgb"]), [("rf", "rf"), ("xgb", "xgb")]),
        ({"rf": 0, "xgb": 1}.keys(), [("rf", "rf"), ("xgb", "xgb")]),
        (pd.Index(["rf", "xgb"]), [("rf", "rf"), ("xgb", "xgb")]),
        (np.array(["rf", "xgb"]), [("rf", "rf"), ("xgb", "xgb")]),
        (RIDGE, [("Ridge", RIDGE)]),
        (PIPELINE, [("Pipeline", PIPELINE)]),
        (["rf", RIDGE], [("rf", "rf"), ("Ridge", RIDGE)]),
        (FRAME, [("DataFrame", FRAME)]),
        (ARRAY, [("ndarray", ARRAY)]),
        (COLUMN, [("ndarray", COLUMN)]),
        (an_encoding, [("an_encoding", an_encoding)]),
        ({"mine": FRAME}, [("mine", FRAME)]),
    ],
)
def test_one_object_stands_for_itself_and_a_list_for_its_items(value, expected):
    found = _checks.named("encodings", value)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert all(
        item is other or item == other
        for (_, item), (_, other) in zip(found, expected, strict=True)
    )


def test_a_partial_has_the_name_of_its_function():
    ((name, _),) = _checks.named("encodings", functools.partial(an_encoding, 1))
    assert name == "an_encoding"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "is empty"),
        ({}, "non-empty list"),
        ({3: RIDGE}, "pass a name"),
        (["rf", "rf"], r"repeats \['rf'\]"),
        ([Ridge(), Ridge(2)], r"several objects of one name.*predictors=\{'first'"),
        ([FRAME, FRAME], "several objects of one name"),
    ],
)
def test_what_has_no_names_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        _checks.named("predictors", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "targets is NoneType; pass a name"),
        (3, "targets is int"),
        ({"y": [1.0]}, "targets is dict; .* without values"),
        (FRAME, "targets is DataFrame; .* without values"),
        (np.array(3), "pass a name"),
        ([], "non-empty"),
        ([1.0], "non-empty list of names"),
        (b"y", "list of names"),
        (["y", "y"], r"repeats \['y'\]"),
    ],
)
def test_names_are_names(value, message):
    with pytest.raises(ValueError, match=message):
        _checks.names("targets", value)
    assert _checks.names("targets", "y") == _checks.names("targets", pd.Index(["y"])) == ["y"]


@pytest.mark.parametrize(
    "value",
    [3, 3.0, np.int64(3), np.array(3), [3], (3,), np.array([3]), range(3, 4), pd.Series([3])],
)
def test_whole_numbers_in_any_form(value):
    (number,) = _checks.whole_numbers("seeds", value, 0, 9, "seeds")
    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize(
    "value",
    [True, np.True_, [False], 2.5, "3", ["3"], None, [None], [], -1, 10, float("nan"), [[1, 2]]]
    + [float("inf"), 1j, np.array([1.5]), {}],
)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r"seeds=.* whole numbers from 0 to 9 \(seeds\)"):
        _checks.whole_numbers("seeds", value, 0, 9, "seeds")


def test_repeated_numbers_are_refused():
    with pytest.raises(ValueError, match="repeats a value"):
        _checks.whole_numbers("seeds", [3, 3.0], 0, 9, "seeds")


# --- matrices -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        [[1, 0], [0, 2]],
        np.array([[1, 0], [0, 2]], dtype=np.int8),
        np.array([[1, 0], [0, 2]], dtype=object),
        pd.DataFrame([[1, 0], [0, 2]]),
        scipy.sparse.csr_array([[1, 0], [0, 2]]),
        [[True, False], [False, 2]],
    ],
)
def test_a_matrix_in_any_form(value):
    matrix = _checks.matrix("encoding", value, 2)
    assert matrix.dtype == float
    assert matrix.tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("value", [[1, 2], np.array([1, 2]), pd.Series([1, 2])])
def test_one_column_is_a_matrix(value):
    assert _checks.matrix("encoding", value, 2).tolist() == [[1], [2]]


@pytest.mark.parametrize(
    "value",
    [
        *([["1", "2"], ["3", "4"]], np.array([["1"], ["2"]]), pd.DataFrame({"a": ["1", "2"]})),
        *(pd.DataFrame({"a": [1, 2], "b": ["3", "4"]}), [[1j], [2]], [[1], [2, 3]]),
        *(np.array(["2020", "2021"], dtype="datetime64[Y]"), None, 3, {"a": 1}, np.zeros((2, 0))),
        *(np.zeros((2, 1, 1)), np.zeros((3, 1)), lambda table: 0, b"ab", pd.NA),
    ],
)
def test_what_is_no_matrix_is_refused(value):
    with pytest.raises(ValueError, match=r"encoding is .* numbers of shape \(2, n_features\)"):
        _checks.matrix("encoding", value, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
def test_what_is_not_finite_is_named(bad):
    with pytest.raises(ValueError, match="not finite at row 1, column 0"):
        _checks.matrix("encoding", [[1, 2], [bad, 3]], 2)


# --- labels ---------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.permutations(range(5)), st.booleans())
def test_rows_are_in_order_or_refused_and_the_remedies_work(order, is_series):
    """The rows' labels are true: sorting by them gives the table's order."""
    X = pd.DataFrame({"a": np.arange(5.0)}).iloc[list(order)]
    X = X["a"] if is_series else X
    if list(order) == list(range(5)):
        assert _checks.in_order("X", X, 5) is X
        return
    with pytest.raises(ValueError, match=r"index of X .*reset_index\(drop=True\).*sort_index\(\)"):
        _checks.matrix("X", X, 5)
    assert _checks.matrix("X", X.sort_index(), 5).ravel().tolist() == [0, 1, 2, 3, 4]
    as_it_stands = _checks.matrix("X", X.reset_index(drop=True), 5)
    assert as_it_stands.ravel().tolist() == list(order)


@pytest.mark.parametrize("labels", [list("abc"), [1, 2, 3], [0, 0, 1], [0.5, 1, 2]])
def test_other_labels_are_refused_and_the_remedies_work(labels):
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=labels)
    with pytest.raises(ValueError, match="index of X begins with") as error:
        _checks.in_order("X", X, 3)
    assert ".loc[names].reset_index(drop=True)" in str(error.value)
    assert _checks.in_order("X", X.reset_index(drop=True), 3) is not X
    if labels == list("abc"):
        ordered = X.loc[["c", "a", "b"]].reset_index(drop=True)
        assert _checks.in_order("X", ordered, 3)["a"].tolist() == [3, 1, 2]


def test_what_has_no_labels_or_another_length_is_left_to_the_caller():
    for value in ([1, 2], np.zeros(3), pd.Series([1.0], index=[7])):
        assert _checks.in_order("X", value, 3) is value


def test_labels_in_common_align():
    index = pd.Index(["b", "a", "c"])
    values = pd.Series([1, 2, 3], index=["a", "b", "c"])
    assert _checks.aligned("y", values, index, "scores").tolist() == [2, 1, 3]
    for other in (["a", "b", "d"], ["a", "a", "b"]):
        with pytest.raises(ValueError, match="behind both"):
            _checks.aligned("y", values.set_axis(other), index, "scores")
        with pytest.raises(ValueError, match="behind both"):
            _checks.aligned("y", values, pd.Index(other), "scores")


def test_messages_are_short_and_near_names_are_suggested():
    assert len(_checks.short(np.arange(10_000).tolist())) == 80
    assert _checks.short("a") == "'a'"
    assert _checks.nearest("grav", ["graf", "zcp"]) == " Did you mean 'graf'?"
    assert _checks.nearest("grav", ["zcp"]) == ""
    with pytest.raises(ValueError, match=r"by='grav' is unknown.*'graf'\?"):
        _checks.choice("by", "grav", iter(["graf"]))
    for value in (None, 3, ["graf"]):
        with pytest.raises(ValueError, match="is unknown"):
            _checks.choice("by", value, ["graf"])


def test_both_ends_of_a_range_are_in_it():
    assert _checks.whole_numbers("k", [3, 7], 3, 7, "things") == [3, 7]
    for outside in (2, 8):
        with pytest.raises(ValueError, match=f"k={outside}: {outside} is not allowed"):
            _checks.whole_numbers("k", outside, 3, 7, "things")
