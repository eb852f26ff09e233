"""Spaces that cannot be listed, features that would not fit, and integers of every width."""

import functools
import re
import tracemalloc

import numpy as np
import pytest
from bad_input import must_name
from hypothesis import given, settings
from hypothesis import strategies as st

from graf_utils import _memory
from graf_utils.encodings import encode
from graf_utils.features import GRAF, Flow, subsets
from graf_utils.spaces import NB201, CellSpace, get_space, list_spaces
from graf_utils.spaces.places import Places
from graf_utils.table import Table

TEN = [f"o{i}" for i in range(10)]
CONV = {"conv": ["nor_conv_3x3", "nor_conv_1x1"]}


def frame(space, architectures, **options):
    return GRAF(space, **options).set_output(transform="pandas").transform(architectures)


# --- 10^20 cells ----------------------------------------------------------------------------------


def chain(n_edges=20):
    return CellSpace(TEN, [(i, i + 1) for i in range(n_edges)])


def several():
    numbers = {"kernel": {op: [3, 5, 7] for op in TEN}, "width": [16, 32, 64, 128]}
    edges = [(0, 2), (1, 2), (0, 2), *((i, i + 1) for i in range(2, 12))]
    return CellSpace(TEN, edges, inputs=(0, 1), sizes=(9, 11, 13), numbers=numbers)


@pytest.mark.parametrize("make", [chain, several])
def test_nothing_lists_a_large_space(make, monkeypatch):
    """10,000 cells of 10^20 and more, with neighbours and features, in bounded memory."""

    def refuse(self, dtype):
        raise AssertionError("the space was listed")

    monkeypatch.setattr(Places, "every", refuse)
    space = make()
    assert space.places.count() >= 10**20
    tracemalloc.start()
    codes = space.sample(10_000, random_state=0)
    assert len(np.unique(codes, axis=0)) == 10_000
    for code in codes[:20]:
        near = space.neighbours(code.tolist())
        assert space.is_valid(near).all()
    batch = space.graph_batch(codes)[""]
    assert len(batch) == 10_000
    features = GRAF(space, max_set_size=1).transform(codes)
    flow = Flow(space, statistics=["mean", "max"]).transform(codes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isfinite(features).all()
    assert np.isfinite(flow).all()
    assert peak < features.nbytes + flow.nbytes + 60e6, peak
    table = Table("t", "own", space, codes, {"y": np.arange(10_000)})
    assert encode(table, "op-count").sum(axis=1).tolist() == batch_sizes(batch)


def batch_sizes(batch):
    return (batch.edge_ops >= 0).sum(axis=1).tolist()


def test_middling_spaces_are_not_listed_for_a_few(monkeypatch):
    space = CellSpace(list("abcdef"), [(i, i + 1) for i in range(8)])  # 1,679,616 cells
    expected = space.sample(50, random_state=1)
    monkeypatch.setattr(Places, "every", lambda self, dtype: pytest.fail("the space was listed"))
    np.testing.assert_array_equal(space.sample(50, random_state=1), expected)


def test_most_of_a_middling_space_and_rare_cells():
    space = CellSpace(list("abc"), [(i, i + 1) for i in range(11)])  # 177,147 cells
    codes = space.sample(177_147, random_state=0)
    assert len(np.unique(codes, axis=0)) == 177_147
    rare = CellSpace(["none", "a", "b"], [(i, i + 1) for i in range(11)])  # 2^11 + 1 are valid
    codes = rare.sample(2_049, random_state=0)
    assert len(np.unique(codes, axis=0)) == 2_049
    assert rare.is_valid(codes).all()
    with pytest.raises(ValueError, match="2,049"):
        rare.sample(2_050, random_state=0)


def test_depths_are_drawn_as_often_as_they_occur():
    space = CellSpace(["a", "b"], [(i, i + 1) for i in range(40)], sizes=(39, 40, 41))
    depth = (space.sample(4_000, random_state=0) >= 0).sum(axis=1)
    np.testing.assert_allclose(np.bincount(depth)[38:] / 4_000, [1 / 7, 2 / 7, 4 / 7], atol=0.03)


# --- sets of operations ---------------------------------------------------------------------------


def test_sets_up_to_a_size_are_columns_of_all():
    cells = NB201().sample(200, random_state=0)
    every = frame("nb201", cells)
    for size in (1, 2, 3, 5, 9):
        some = frame("nb201", cells, max_set_size=size)
        assert list(some) == [name for name in every if name.count("+") < size]
        np.testing.assert_array_equal(some, every[list(some)])


@pytest.mark.parametrize("name", list_spaces())
@pytest.mark.parametrize("variant", ["paper", "allowed"])
def test_a_group_is_a_set_with_a_name(name, variant):
    space = get_space(name)
    inner = [op for op in space.operations if op not in space.free]
    members = inner[-2:]
    cells = space.sample(100, random_state=0)
    grouped = frame(space, cells, groups={"mine": members[::-1]}, variant=variant)
    plain = frame(space, cells, operations=inner, variant=variant, max_set_size=2)
    for column in grouped:
        if column.endswith("op_count[mine]"):
            stem = column.removesuffix("[mine]")
            expected = sum(grouped[f"{stem}[{op}]"] for op in members)
            assert grouped[column].equals(expected)
        elif column.endswith("[mine]"):
            np.testing.assert_array_equal(
                grouped[column], plain[column.replace("mine", "+".join(members))]
            )
    singles = [column for column in grouped if "mine" not in column]
    assert not any("+" in column for column in singles if name != "tnb101-macro")
    alone = frame(space, cells, groups={"mine": members}, max_set_size=0)
    assert not [c for c in alone if "_path_len" in c and not c.endswith("[mine]")]


def test_a_group_takes_the_place_of_its_set():
    names = GRAF(groups=CONV, max_set_size=2).get_feature_names_out().tolist()
    assert "max_path_len[conv]" in names
    assert "max_path_len[nor_conv_3x3+nor_conv_1x1]" not in names
    assert len(names) == (5 + 1) + 6 * 15
    assert GRAF(groups=CONV).estimate(1).n_columns == 6 + 6 * 6


@functools.cache
def three_of(space):
    return space.sample(3, random_state=0)


@settings(max_examples=60, database=None)
@given(st.data())
def test_the_estimate_is_the_size(data):
    space = get_space(data.draw(st.sampled_from(list_spaces())))
    inner = [op for op in space.operations if op not in space.free]
    operations = data.draw(st.lists(st.sampled_from(inner), min_size=1, max_size=4, unique=True))
    size = data.draw(st.none() | st.integers(1, 5))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    graf = GRAF(space, operations=operations, max_set_size=size, dtype=dtype)
    features = graf.transform(three_of(space))
    assert graf.estimate(3) == (features.shape[1], features.nbytes)
    flow = Flow(space, dtype=dtype)
    features = flow.transform(three_of(space))
    assert flow.estimate(3) == (features.shape[1], features.nbytes)


def test_subsets_up_to_a_size():
    assert subsets([4, 7, 9], 2) == [(4,), (7,), (9,), (4, 7), (4, 9), (7, 9)]
    assert len(subsets(range(6))) == len(subsets(range(6), 6)) == len(subsets(range(6), 99)) == 63


# --- what does not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [18, 30, 65, 300])
def test_the_remedies_for_many_operations_work(n):
    space = CellSpace([f"o{i}" for i in range(n)], [(0, 1), (1, 2)])
    table = Table("t", "own", space, [(0, 1), (n - 1, 0)], {"y": [0.0, 1.0]})
    with pytest.raises(ValueError, match=rf"2\*\*{n} - 1 sets.*columns.*for each") as error:
        encode(table, "graf")
    message = str(error.value)
    assert f"{n + 6 * (2**n - 1):,} columns" in message
    size, columns = re.search(r"max_set_size=(\d+) \(([\d,]+) columns\)", message).groups()
    features = GRAF(space, max_set_size=int(size)).fit_transform(table)
    assert features.shape == (2, int(columns.replace(",", "")))
    assert columns == {18: "5,940", 30: "2,820", 65: "12,935", 300: "2,100"}[n]
    named = frame(space, table, groups={"first": ["o0", "o1"]})
    assert named["op_count[first]"].tolist() == [2, 1]
    assert named.shape[1] == n + 1 + 6 * (n + 1)


def test_a_million_cells_are_estimated_and_refused_where_they_do_not_fit(monkeypatch):
    """1,000,000 x 191: the message names both and the bytes before any of them is allocated."""
    cells = np.zeros((1_000_000, 6), dtype=np.int8)
    assert GRAF().estimate(1_000_000) == (191, 191 * 8 * 10**6)
    monkeypatch.setattr(_memory, "available", lambda: 2**30)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"191 features of 1,000,000.*1\.4 GiB.*1\.0 GiB") as error:
        GRAF().transform(cells)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6, peak
    assert "transform_chunks, take dtype=np.float32 (728.6 MiB)" in str(error.value)
    rows, part = next(GRAF().transform_chunks(cells))
    assert part.shape == (16_384, 191)


def test_the_remedies_for_too_little_memory_work(monkeypatch):
    cells = NB201().enumerate()
    expected = GRAF().transform(cells)
    monkeypatch.setattr(_memory, "available", lambda: 12 * 2**20)
    monkeypatch.setattr("graf_utils.features.base._SMALL_BYTES", 0)
    with pytest.raises(ValueError, match="transform_chunks and chunk_size=(?P<n>.*?), ") as error:
        GRAF().transform(cells)
    size = int(re.search(r"chunk_size=(\d+)", str(error.value))[1])
    parts = [part for _, part in GRAF(chunk_size=size).transform_chunks(cells)]
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    np.testing.assert_array_equal(GRAF(dtype=np.float32).transform(cells), expected.astype("f4"))


def test_the_path_encoding_of_a_long_chain_is_refused_first():
    """7 operations on 12 layers: 7^12 columns; what is recommended works."""
    space = CellSpace(TEN[:7], [(i, i + 1) for i in range(12)])
    table = Table("t", "own", space, space.sample(50, random_state=0), {"y": np.arange(50)})
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"{7**12:,} columns of 50 rows.*TiB|GiB") as error:
        encode(table, "path")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6, peak
    for encoding in re.findall(r"'([a-z-]+)'", str(error.value).split("Use ")[1]):
        assert len(encode(table, encoding)) == 50


def test_free_memory_is_read(tmp_path):
    proc = tmp_path / "meminfo"
    proc.write_text("MemTotal: 9 kB\nMemAvailable:   1000 kB\n", encoding="utf8")
    assert _memory.available(proc, tmp_path) == 1_024_000
    for name, text in (
        ("memory.max", "900000\n"),
        ("memory.current", "500000\n"),
        ("memory.stat", "anon 7\ninactive_file 100000\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf8")
    assert _memory.available(proc, tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n", encoding="utf8")
    assert _memory.available(proc, tmp_path) == 1_024_000
    assert _memory.available(tmp_path / "none", tmp_path) > 10**8  # all of the machine's
    assert [_memory.written(n) for n in (5, 2048, 3 * 2**20, 1.5 * 2**30)] == [
        "5 bytes", "2.0 KiB", "3.0 MiB", "1.5 GiB",
    ]  # fmt: skip


# --- widths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [127, 128, 129, 200, 32_769])
def test_more_choices_than_a_byte_holds(n):
    space = CellSpace(["conv"], [(0, 1), (1, 2)], numbers={"width": {"conv": list(range(n))}})
    codes = space.to_codes([(0, n - 1, 0, 1), (0, 0, 0, n - 1)])
    assert space.from_codes(codes) == [(0, n - 1, 0, 1), (0, 0, 0, n - 1)]
    row = frame(space, codes)
    assert row["number_sum[width]"].tolist() == [n, n - 1]
    assert row["number_max[width]"].tolist() == [n - 1, n - 1]
    assert space.sample(2_000, random_state=0).max() > 0.9 * n


@pytest.mark.parametrize("n", [126, 127, 128, 300])
def test_more_parallel_edges_than_a_byte_counts(n):
    space = CellSpace(["a", "b"], [(0, 1)] * n + [(1, 2)] * 2)
    row = frame(space, [(0,) * n + (0, 1)]).iloc[0]
    assert row["op_count[a]"] == n + 1
    assert row["input_degree[a]"] == n
    assert row["mean_in_degree[a+b]"] == (n + 2) / 3
    flow = Flow(space, sets={"a": ["a"]}).set_output(transform="pandas")
    counts = flow.transform([(0,) * n + (0, 1)]).iloc[0]
    assert counts["live_paths"] == 2 * n
    assert counts["flow_n1[a]"] == counts["flow_n2[a]"] == n
    assert len(set(space.position_names())) == n + 2


@pytest.mark.parametrize("n_operations", [64, 65, 130, 300])
@pytest.mark.parametrize("n_edges", [71, 72, 130, 300])
def test_flow_of_long_chains(n_operations, n_edges):
    space = CellSpace([f"o{i}" for i in range(n_operations)], [(i, i + 1) for i in range(n_edges)])
    last = n_operations - 1
    cell = (last,) * (n_edges - 5) + (0,) * 5
    sets = {"last": [f"o{last}"], "first": ["o0"]}
    flow = Flow(space, sets=sets, statistics=["min", "max", "mean"])
    assert flow.transform([cell]).tolist() == [[1, *[n_edges - 5] * 3, *[5] * 3]]


def test_encodings_of_many_operations():
    n = 300
    space = CellSpace([f"o{i}" for i in range(n)], [(0, 1), (1, 2)])
    table = Table("t", "own", space, [(299, 0), (128, 299)], {"y": [0.0, 1.0]})
    paths = encode(table, "path")
    assert paths.shape == (2, n * n)
    assert paths.idxmax(axis=1).tolist() == ["path[o299,o0]", "path[o128,o299]"]
    hot = encode(table, "one-hot")
    assert hot.loc[1, ["0-1=o128", "1-2=o299"]].tolist() == [1, 1]
    assert hot.to_numpy().sum() == 4


BAD = {
    "a set size of 0": (lambda: GRAF(max_set_size=0).estimate(1), ["max_set_size=0", "at least 1"]),
    "half a set size": (lambda: GRAF(max_set_size=1.5).estimate(1), ["1.5", "whole number"]),
    "groups as a list": (lambda: GRAF(groups=["conv"]).estimate(1), ["must map", "groups={"]),
    "no groups": (lambda: GRAF(groups={}).estimate(1), ["at least one name"]),
    "a group of no list": (
        lambda: GRAF(groups={"conv": "nor_conv_3x3"}).estimate(1),
        ["'nor_conv_3x3'", "not a list"],
    ),
    "a group of unknown operations": (
        lambda: GRAF(groups={"conv": ["nor_conv"]}).estimate(1),
        ["'nor_conv'", "Did you mean"],
    ),
    "a group called as an operation": (
        lambda: GRAF(groups={"none": ["skip_connect"]}).estimate(1),
        ["'none'", "another name"],
    ),
    "a group called as a set": (
        lambda: GRAF(groups={"a+b": ["skip_connect"]}).estimate(1),
        ["'a+b'", "another name"],
    ),
    "a group with a bracket": (
        lambda: GRAF(groups={"a[b": ["skip_connect"]}).estimate(1),
        ["'a[b'", "without"],
    ),
    "no architectures": (lambda: GRAF().estimate(0), ["n_architectures=0"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])
