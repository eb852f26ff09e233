"""Tables: aligned rows, labels as keys, copies, subsets, and what cannot be a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graf_utils.datasets import load_table
from graf_utils.spaces import NB201, get_space
from graf_utils.table import Table, row_numbers

SPACE = NB201()


@pytest.fixture(scope="module")
def embedded():
    return load_table("nb201-cifar10", "embedded", valid_only=False)


def _table(**changes):
    arguments = {
        "name": "mine",
        "source": "own",
        "space": "nb201",
        "architectures": ["(0, 0, 0, 0, 0, 0)", "(1, 2, 3, 4, 0, 1)", "(2, 2, 2, 2, 2, 2)"],
        "targets": {"latency": [1.0, 2.0, 3.0], "energy": [4, 5, 6]},
        "proxies": pd.DataFrame({"flops": [7, 8, 9]}),
    }
    return Table(**(arguments | changes))


def test_own_table_is_short_to_write_and_read():
    table = _table()
    assert table.architectures[1] == (1, 2, 3, 4, 0, 1)
    assert repr(table) == "<Table mine (own): 3 nb201 networks, 2 targets, 1 proxies>"
    assert len(table) == 3
    assert table.target("energy").tolist() == [4, 5, 6]
    table.target("energy")[0] = -1
    assert table.target("energy")[0] == 4


@pytest.mark.parametrize("rows", [[2, 0], np.array([2, 0]), slice(None, None, -2)])
def test_subset_keeps_rows_aligned(rows):
    part = _table().subset(rows)
    assert part.architectures == [(2,) * 6, (0,) * 6]
    assert part.target("latency").tolist() == [3, 1]
    assert part.proxies["flops"].tolist() == [9, 7]
    assert part.targets.index.equals(pd.RangeIndex(2))


def test_rows_of_architectures(embedded):
    random = np.random.default_rng(0).permutation(len(embedded))[:200]
    asked = [embedded.architectures[i] for i in random]
    assert embedded.rows(asked).tolist() == random.tolist()
    assert embedded.rows([embedded.space.to_string(asked[0])]).tolist() == [random[0]]
    assert _table().rows(_table().architectures[::-1]).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match=r"lacks 1 of 2 architectures, the first is \(4, 4"):
        _table().rows([_table().architectures[0], (4, 4, 4, 4, 4, 4)])


def test_subset_by_mask():
    assert _table().subset(np.array([False, True, False])).target("latency").tolist() == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": {"latency": [1.0, 2.0]}}, "targets has 2 rows for 3 architectures"),
        ({"proxies": pd.DataFrame({"a": [1]})}, "proxies has 1 rows for 3 architectures"),
        (
            {"targets": {"a": pd.Series([1, 2]), "b": pd.Series([1, 2, 3])}},
            "targets has 2 rows for 3 architectures in column 'a'",
        ),
        (
            {"targets": pd.DataFrame({"a": [1, 2, 3]}, index=[2, 1, 0])},
            r"index of targets begins with \[2, 1, 0\].*reset_index.*sort_index",
        ),
        ({"targets": {"a": [1, np.nan, 3]}}, r"targets \['a'\] hold NaN .* Drop"),
        ({"targets": {"a": ["x", "y", "z"]}}, "column 'a' has type .* must hold numbers"),
        ({"targets": {"a": [1, 2j, 3]}}, "column 'a' has type complex128; it must hold numbers"),
        (
            {"targets": {"a": 3}},
            r"column 'a' has shape \(\); it must be one value per architecture",
        ),
        ({"targets": {"a": np.ones((3, 2))}}, r"column 'a' has shape \(3, 2\)"),
        ({"targets": pd.DataFrame(index=range(3))}, "targets has no column"),
        ({"targets": pd.DataFrame(np.ones((3, 2)), columns=["a", "a"])}, "must be unique"),
        ({"architectures": [(0,) * 5] * 3}, "6"),
        ({"space": "nb202"}, "nb202.*Did you mean 'nb201'"),
    ],
)
def test_bad_tables_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _table(**changes)


def test_unknown_target_and_rows_name_input_rule_and_remedy():
    with pytest.raises(
        ValueError, match=r"'latenci' is not .* one of \['latency', 'energy'\].*'lat"
    ):
        _table().target("latenci")
    with pytest.raises(ValueError, match=r"target \['latency'\] is not in table"):
        _table().target(["latency"])
    with pytest.raises(ValueError, match=r"rows=\[7\] does not fit .* 0..2"):
        _table().subset([7])
    with pytest.raises(ValueError, match="mask of 2 values for 3 rows"):
        _table().subset(np.array([True, False]))


def test_a_table_is_read_from_tuples_codes_and_text():
    table = _table()
    for architectures in (table.codes, table.architectures, map(SPACE.to_string, table.codes)):
        again = _table(architectures=architectures)
        assert again.architectures == table.architectures
    with pytest.raises(ValueError):
        _table(architectures=table.codes / 4)
    with pytest.raises(ValueError, match="read-only"):
        table.codes[0, 0] = 1


# --- labels are keys, and 0..n-1 is none ----------------------------------------------------------


def _frame(n=6):
    """Cells with a target that says which cell it belongs to."""
    cells = SPACE.from_codes(SPACE.sample(n, random_state=0))
    return pd.DataFrame({"cell": cells, "y": [sum(cell) for cell in cells]})


def _pairs_are_right(table):
    return table.target("y").tolist() == [sum(cell) for cell in table.architectures]


@pytest.mark.parametrize("labels", [[5, 2, 0, 1, 4, 3], list("fcabed"), range(10, 16)])
def test_targets_are_aligned_by_the_labels_of_architectures(labels):
    frame = _frame().set_axis(labels)
    other = frame.sample(frac=1, random_state=1)
    for targets in (frame[["y"]], other[["y"]], {"y": other["y"]}, {"y": frame["y"].tolist()}):
        table = Table("m", "own", SPACE, frame["cell"], targets, other[["y"]])
        assert _pairs_are_right(table)
        assert table.architectures == frame["cell"].tolist()
        assert table.proxies["y"].tolist() == table.target("y").tolist()
        assert table.targets.index.equals(pd.RangeIndex(6))
    codes = pd.DataFrame(SPACE.to_codes(frame["cell"].tolist()), index=labels)
    assert _pairs_are_right(Table("m", "own", SPACE, codes, other[["y"]]))


def test_the_advice_on_a_shuffled_index_pairs_each_cell_with_its_target():
    """Fault 20: sorting and dropping the index, as once advised, paired the wrong rows."""
    shuffled = _frame().sample(frac=1, random_state=1)
    cells, y = shuffled["cell"], shuffled[["y"]]
    assert _pairs_are_right(Table("m", "own", SPACE, cells, y))
    assert _pairs_are_right(Table("m", "own", SPACE, cells, {"y": y["y"]}))
    with pytest.raises(
        ValueError, match=r"as they stand, write .reset_index\(drop=True\) behind t"
    ):
        Table("m", "own", SPACE, cells.tolist(), y)
    assert _pairs_are_right(Table("m", "own", SPACE, cells.tolist(), y.reset_index(drop=True)))
    with pytest.raises(ValueError, match=r"row numbers of architectures, write .sort_index\(\)"):
        Table("m", "own", SPACE, _frame()["cell"].tolist(), y)
    assert _pairs_are_right(Table("m", "own", SPACE, _frame()["cell"].tolist(), y.sort_index()))
    with pytest.raises(ValueError, match=r"write targets.loc\[architectures.index\]"):
        Table("m", "own", SPACE, cells, _frame()[["y"]])
    assert _pairs_are_right(Table("m", "own", SPACE, cells, _frame()[["y"]].loc[cells.index]))


def test_labels_that_are_no_key_are_refused():
    frame = _frame()
    named = frame.set_axis(list("abcdef"))
    for cells, y in (
        (frame["cell"].tolist(), named[["y"]]),
        (named["cell"], named[["y"]].set_axis(list("abcdeg"))),
        (named["cell"], named[["y"]].iloc[::-1].set_axis(list("aabcde"))),
        (named["cell"].set_axis(list("aabcde")), named[["y"]]),
        (named["cell"], frame[["y"]]),
    ):
        with pytest.raises(ValueError, match="not certain which rows belong together"):
            Table("m", "own", SPACE, cells, y)
    twice = frame.set_axis([0, 1, 2, 0, 1, 2])  # of two frames, one behind the other
    assert _pairs_are_right(Table("m", "own", SPACE, twice["cell"], twice[["y"]]))


@settings(max_examples=40)
@given(st.permutations(range(6)), st.permutations(range(6)))
def test_no_order_of_labels_pairs_wrong_rows(first, second):
    frame = _frame().set_axis([f"net {i}" for i in range(6)])
    cells, y = frame["cell"].iloc[list(first)], frame[["y"]].iloc[list(second)]
    assert _pairs_are_right(Table("m", "own", SPACE, cells, y))


# --- assign, subset, rows, copies -----------------------------------------------------------------


def test_assign_adds_replaces_and_checks():
    table = _table()
    more = table.assign(a=[1, 2, 3], b=lambda t: t.target("a") * 2, latency=pd.Series([0, 0, 1]))
    assert list(more.targets) == ["latency", "energy", "a", "b"]
    assert more.target("b").tolist() == [2, 4, 6]
    assert more.target("latency").tolist() == [0, 0, 1]
    assert list(table.targets) == ["latency", "energy"]
    assert more.proxies.equals(table.proxies)
    with pytest.raises(ValueError, match="targets has 2 rows for 3"):
        table.assign(a=[1, 2])
    with pytest.raises(ValueError, match=r"targets\['a'\] begins with \[2, 0, 1\]"):
        table.assign(a=pd.Series([1, 2, 3], index=[2, 0, 1]))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_subset_takes_rows_as_a_list_would(rows):
    frame = _frame()
    table = Table("m", "own", SPACE, frame["cell"].tolist(), frame[["y"]])
    part = table.subset(rows)
    assert part.architectures == [frame["cell"][row] for row in rows]
    assert _pairs_are_right(part)
    first = [rows.index(row) for row in rows]
    assert part.first_rows.tolist() == first
    assert part.rows(part.architectures).tolist() == first
    once = part.drop_duplicates()
    assert once.architectures == list(dict.fromkeys(part.architectures))
    assert once.first_rows.tolist() == list(range(len(set(rows))))


@pytest.mark.parametrize("name", ["nb201", "nb101", "darts", "tnb101-micro", "tnb101-macro"])
def test_rows_finds_every_architecture_of_every_space(name):
    space = get_space(name)
    codes = space.sample(40, random_state=0)
    table = Table("m", "own", space, codes, {"y": np.arange(len(codes))})
    order = np.random.default_rng(0).permutation(len(codes))
    assert (table.codes[table.rows(space.from_codes(codes[order]))] == codes[order]).all()
    assert (space.to_codes(table.architectures) == table.codes).all()


def test_of_copies_the_first_row_counts():
    """Fault 5: `rows` gave the last copy."""
    table = _table().subset([0, 1, 2, 0, 1])
    assert table.rows(_table().architectures).tolist() == [0, 1, 2]
    assert table.first_rows.tolist() == [0, 1, 2, 0, 1]
    assert len(table.drop_duplicates()) == 3
    codes = np.array([[1], [2], [1]])
    assert row_numbers(codes) == {codes[0].tobytes(): 0, codes[1].tobytes(): 1}
    assert "3 nb201 networks" in repr(table.drop_duplicates())


def test_isomorphic_cells_are_no_copies(embedded):
    assert len(embedded.drop_duplicates()) == len(embedded) == 15625
    assert len(np.unique(SPACE.canonical(embedded.codes), axis=0)) < len(embedded)
