"""NAS-Bench-201 as a search space: spellings, counts, checks."""

import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from hypothesis import given
from hypothesis import strategies as st

from graf_utils.encodings import one_hot
from graf_utils.graphs import GraphBatch
from graf_utils.spaces import NB201, get_space, list_spaces

SPACE = NB201()
CELL = (4, 0, 3, 1, 4, 3)
STRING = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|"
cells = st.tuples(*[st.integers(0, 4)] * 6)


@pytest.fixture(scope="module")
def everything():
    return SPACE.enumerate()


def test_the_benchmark_string_lists_edges_by_target():
    assert SPACE.parse(STRING) == CELL
    assert SPACE.to_string(CELL) == STRING
    assert SPACE.parse("(4, 0, 3, 1, 4, 3)") == CELL


@given(cells)
def test_every_spelling_goes_round(cell):
    assert SPACE.parse(SPACE.to_string(cell)) == cell
    assert SPACE.parse(str(cell)) == cell
    assert SPACE.from_networkx(SPACE.to_networkx(cell)) == cell


def test_strings_tuples_arrays_and_pandas_give_the_same_codes():
    expected = np.array([CELL, CELL], dtype=np.int8)
    frame = pd.DataFrame([CELL, CELL])
    for given_as in (
        [CELL, CELL],
        [list(CELL), CELL],
        [STRING, CELL],
        np.array([CELL, CELL], dtype=np.uint8),
        np.array([CELL, CELL], dtype=float),
        pd.Series([STRING, str(CELL)]),
        pd.Series([CELL, CELL]),
        frame,
        (CELL, CELL),
        (c for c in [CELL, CELL]),
    ):
        codes = SPACE.to_codes(given_as)
        assert codes.dtype == np.int8
        np.testing.assert_array_equal(codes, expected)


def test_counts_of_the_benchmark(everything):
    assert everything.shape == (15_625, 6)
    assert len(np.unique(everything, axis=0)) == 15_625
    assert SPACE.is_valid(everything).sum() == 9_445
    assert len(np.unique(SPACE.classes(everything))) == 6_466
    assert len(set(SPACE.canonical(everything, zeros="dropped"))) == 4_930


def none_free_paths(cell):
    """Paths (as sets of tuple positions) from node 1 to node 4 without a `none` edge."""
    routes = [(2,), (0, 4), (1, 5), (0, 3, 5)]
    return [route for route in routes if all(cell[p] != 1 for p in route)]


def test_valid_means_that_every_edge_carries_signal(everything):
    expected = []
    for cell in everything.tolist():
        alive = {p for route in none_free_paths(cell) for p in route}
        expected.append(all(op == 1 or p in alive for p, op in enumerate(cell)))
    np.testing.assert_array_equal(SPACE.is_valid(everything), expected)


def test_prune_keeps_exactly_the_edges_that_carry_signal(everything):
    for before, after in zip(everything.tolist(), SPACE.prune(everything).tolist(), strict=True):
        alive = {p for route in none_free_paths(before) for p in route}
        assert after == [op if p in alive else 1 for p, op in enumerate(before)]


def test_dropped_zeros_compare_functions(everything):
    """Cells with equal expressions compute equal numbers, and only they do."""
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 2**61 - 1, size=(5, 2))
    prime = 2**61 - 1

    def value(cell):
        nodes = [1234567, 0, 0, 0]
        for (u, v), op in zip(((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)), cell, strict=True):
            if op == 1 or nodes[u] == 0:
                continue
            a, b = map(int, tables[op])
            nodes[v] += nodes[u] if op == 0 else (pow(nodes[u], 3, prime) * a + b) % prime
        return nodes[3]

    ordered = np.array(everything)[:, [0, 1, 2, 3, 4, 5]].tolist()
    by_value = {}
    for cell, text in zip(ordered, SPACE.canonical(everything, zeros="dropped"), strict=True):
        by_value.setdefault(value(cell), set()).add(text)
    assert all(len(texts) == 1 for texts in by_value.values())
    assert len(by_value) == 4_930


def test_samples_are_seeded_distinct_and_valid():
    sample = SPACE.sample(500, random_state=7)
    np.testing.assert_array_equal(sample, SPACE.sample(500, random_state=7))
    assert not np.array_equal(sample, SPACE.sample(500, random_state=8))
    assert len(np.unique(sample, axis=0)) == 500
    assert SPACE.is_valid(sample).all()
    assert not SPACE.is_valid(SPACE.sample(500, valid_only=False, random_state=7)).all()
    assert len(SPACE.sample(20_000, replace=True, random_state=0)) == 20_000


def test_one_hot_has_one_indicator_an_edge():
    encoded = one_hot(SPACE.graph_batch([CELL])[""])
    assert encoded.shape == (1, 30)
    assert encoded.to_numpy().sum() == 6
    on = list(encoded.columns[encoded.iloc[0] == 1])
    assert on[0] == "1-2=avg_pool_3x3"
    assert on[-1] == "3-4=nor_conv_1x1"


def test_graph_batch_agrees_with_networkx():
    graph = SPACE.graph_batch([CELL])[""].to_networkx(0)
    shifted = {(u + 1, v + 1): d["op"] for u, v, d in graph.edges(data=True)}
    reference = SPACE.to_networkx(CELL)
    assert shifted == {(u, v): d["op"] for u, v, d in reference.edges(data=True)}


def test_spaces_by_name():
    assert list_spaces() == [
        "darts",
        "darts-lenient",
        "nb101",
        "nb201",
        "tnb101-macro",
        "tnb101-micro",
    ]
    assert get_space("nb201") == SPACE == get_space(SPACE)
    with pytest.raises(ValueError, match="Did you mean 'nb201'"):
        get_space("nb2O1")


def graph_without_op():
    graph = SPACE.to_networkx(CELL)
    del graph.edges[1, 2]["op"]
    return graph


def graph_with_missing_edge():
    graph = SPACE.to_networkx(CELL)
    graph.remove_edge(1, 2)
    return graph


BAD = {
    # what: (call, words the message must hold: the input, the rule or remedy)
    "one tuple": (lambda: SPACE.to_codes(CELL), ["(4, 0, 3, 1, 4, 3)", "Write [("]),
    "one string": (lambda: SPACE.to_codes(STRING), ["avg_pool", "Write ["]),
    "empty list": (lambda: SPACE.to_codes([]), ["empty", "at least one"]),
    "empty array": (lambda: SPACE.to_codes(np.empty((0, 6), int)), ["empty", "at least one"]),
    "a number": (lambda: SPACE.to_codes(7), ["7", "int", "list"]),
    "none at all": (lambda: SPACE.to_codes(None), ["None", "NoneType", "list"]),
    "a zero-dimensional array": (lambda: SPACE.to_codes(np.array(3)), ["single number"]),
    "a dict": (lambda: SPACE.to_codes({"a": CELL}), ["dict", "list of tuples"]),
    "too short": (lambda: SPACE.to_codes([(4, 0, 3)]), ["(4, 0, 3)", "3 entries", "needs 6"]),
    "too long": (lambda: SPACE.to_codes([CELL, CELL + (1,)]), ["architecture 1", "7 entries", "6"]),
    "ragged": (lambda: SPACE.to_codes([CELL, (1, 2)]), ["architecture 1", "2 entries"]),
    "wrong width": (lambda: SPACE.to_codes(np.zeros((3, 5), int)), ["5 entries", "needs 6"]),
    "id too big": (lambda: SPACE.to_codes([(4, 0, 3, 1, 4, 5)]), ["id 5", "position 5", "0..4"]),
    "negative id": (lambda: SPACE.to_codes([(4, 0, -1, 1, 4, 3)]), ["id -1", "position 2", "0..4"]),
    "huge id": (lambda: SPACE.to_codes([(4, 0, 10**30, 1, 4, 3)]), ["position 2", "0..4"]),
    "a fraction": (
        lambda: SPACE.to_codes([(4, 0, 1.5, 1, 4, 3)]),
        ["1.5", "float", "whole number"],
    ),
    "nan": (lambda: SPACE.to_codes([(4, 0, float("nan"), 1, 4, 3)]), ["nan", "whole number"]),
    "nan array": (lambda: SPACE.to_codes(np.full((1, 6), np.nan)), ["nan", "whole number"]),
    "booleans": (lambda: SPACE.to_codes([(True,) * 6]), ["bool"]),
    "names for ids": (
        lambda: SPACE.to_codes([("none", 0, 3, 1, 4, 3)]),
        ["'none'", "operation id", "has id 1"],
    ),
    "nested": (lambda: SPACE.to_codes([[CELL, CELL]]), ["2 entries", "needs 6"]),
    "missing value": (lambda: SPACE.to_codes([CELL, None]), ["architecture 1", "NoneType"]),
    "bytes": (lambda: SPACE.to_codes([STRING.encode()]), ["bytes", "string"]),
    "TransNAS-Bench-101 string": (
        lambda: SPACE.to_codes(["64-41414-1_23_211"]),
        ["64-41414-1_23_211", "TransNAS-Bench-101"],
    ),
    "unknown operation": (
        lambda: SPACE.to_codes([STRING.replace("avg_pool_3x3", "max_pool_3x3")]),
        ["'max_pool_3x3'", "must be one of", "Did you mean 'avg_pool_3x3'"],
    ),
    "missing edge": (
        lambda: SPACE.to_codes([STRING.replace("none~1|", "")]),
        ["two into node 3", "as in"],
    ),
    "edge from the wrong node": (
        lambda: SPACE.to_codes([STRING.replace("none~1", "none~2")]),
        ["[0, 2]", "two into node 3"],
    ),
    "text between edges": (
        lambda: SPACE.to_codes([STRING.replace("|+|", "|+x|", 1)]),
        ["do not belong there"],
    ),
    "missing bar": (lambda: SPACE.to_codes([STRING[:-1]]), ["do not belong there"]),
    "code in the text": (
        lambda: SPACE.to_codes(["__import__('os').system('true')"]),
        ["is not a NAS-Bench-201 string"],
    ),
    "tuple text too short": (lambda: SPACE.to_codes(["(1, 2)"]), ["2 entries", "needs 6"]),
    "tuple text, bad id": (lambda: SPACE.to_codes(["(1, 2, 3, 4, 5, 6)"]), ["id 5", "0..4"]),
    "empty string": (lambda: SPACE.to_codes([""]), ["''", "is not a NAS-Bench-201 string"]),
    "parse of a tuple": (lambda: SPACE.parse(CELL), ["tuple", "use to_codes"]),
    "graph without op": (lambda: SPACE.from_networkx(graph_without_op()), ["(1, 2)", "op=None"]),
    "graph without edge": (
        lambda: SPACE.from_networkx(graph_with_missing_edge()),
        ["edges [(1, 3)", "with the edges"],
    ),
    "not a graph": (lambda: SPACE.from_networkx([CELL]), ["list", "networkx.DiGraph"]),
    "sample of none": (lambda: SPACE.sample(0), ["n=0", "from 1 to 9,445"]),
    "sample too large": (lambda: SPACE.sample(10_000), ["n=10000", "9,445", "replace=True"]),
    "unknown zeros": (lambda: SPACE.canonical([CELL], zeros="no"), ["'no'", "'kept'"]),
    "backward edge": (
        lambda: GraphBatch(("a",), 2, [(1, 0)], [[0]]),
        ["[[1, 0]]", "source < target"],
    ),
    "node out of range": (lambda: GraphBatch(("a",), 2, [(0, 2)], [[0]]), ["0..1", "n_nodes"]),
    "slots and labels differ": (
        lambda: GraphBatch(("a",), 2, [(0, 1)], [[0, 0]]),
        ["(1, 2)", "(n_graphs, 1)"],
    ),
    "label out of range": (lambda: GraphBatch(("a",), 2, [(0, 1)], [[1]]), ["ids 1..1", "0..0"]),
    "unknown space": (lambda: get_space("nb999"), ["'nb999'", "'nb201'"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])
