"""GRAF beyond the benchmarks: hundreds of operations, long chains, many edges, narrow types."""

from collections import Counter

import numpy as np
import pytest
from bad_input import must_name
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import graf_oracle, node_oracle

from graf_utils.encodings import encode
from graf_utils.features import GRAF, families
from graf_utils.graphs import GraphBatch, signed_dtype
from graf_utils.predictors.brpnas.graphs import operation_graphs
from graf_utils.spaces import CellSpace, SearchSpace
from graf_utils.table import Table

VARIANTS = ("paper", "allowed")


def chain_space(n_operations, n_edges, shortcuts=(), ops_on="edges"):
    """A chain with some edges that leave nodes out."""
    edges = {(i, i + 1) for i in range(n_edges)} | {(u, v) for u, v in shortcuts if v <= n_edges}
    return CellSpace([f"o{i}" for i in range(n_operations)], sorted(edges), ops_on=ops_on)


@st.composite
def large_cells(draw):
    """A large space, an architecture and a few operations to ask for."""
    n_operations, n_edges = draw(st.integers(1, 300)), draw(st.integers(3, 400))
    starts = draw(st.lists(st.integers(0, n_edges - 2), max_size=4, unique=True))
    shortcuts = [(u, min(u + draw(st.integers(2, 90)), n_edges)) for u in starts]
    space = chain_space(n_operations, n_edges, shortcuts, draw(st.sampled_from(["edges", "nodes"])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    few = rng.integers(0, n_operations, 3)  # so that paths inside a set are long at times
    anything = rng.integers(0, n_operations, space.code_length)
    picked = few[rng.integers(0, 3, space.code_length)]
    share = draw(st.sampled_from([0.0, 0.02, 1.0]))
    cell = np.where(rng.random(space.code_length) < share, anything, picked)
    asked = sorted({*few.tolist(), int(cell[0])})
    return space, tuple(cell.tolist()), [space.operations[i] for i in asked]


@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_to_networkx_at_any_size(variant):
    @settings(max_examples=30, database=None)
    @given(large_cells())
    def check(drawn):
        space, cell, asked = drawn
        graf = GRAF(space, variant=variant, operations=asked)
        ours = dict(zip(graf.get_feature_names_out(), graf.transform([cell])[0], strict=True))
        graph = space.to_networkx(cell)
        if space.ops_on == "nodes":
            expected = node_oracle(graph, asked, variant=variant)
        else:
            ends = {"input": min(graph), "output": max(graph)}
            expected = graf_oracle(graph, asked, **ends, variant=variant)
        assert ours == expected
        counts = GRAF(space, families=["op_count"]).set_output(transform="pandas")
        row = counts.transform([cell]).iloc[0]
        names = Counter(space.operations[i] for i in cell)
        assert {op: row[f"op_count[{op}]"] for op in space.operations} == {
            op: names[op] for op in space.operations
        }

    check()


@pytest.mark.parametrize("n", [63, 64, 65, 66, 127, 128, 129, 200, 255, 256, 257, 1000])
@pytest.mark.parametrize("ops_on", ["edges", "nodes"])
def test_every_operation_is_counted(n, ops_on):
    """14 times each of the last operations: of 65 and more, op_count[o64] was 0."""
    space = chain_space(n, 14 if ops_on == "edges" else 15, ops_on=ops_on)
    cells = [(op,) * 14 for op in (n - 1, n - 2, 0)]
    counts = GRAF(space, families=["op_count"]).set_output(transform="pandas").transform(cells)
    for row, op in enumerate((n - 1, n - 2, 0)):
        assert counts.loc[row, f"op_count[o{op}]"] == 14
        assert counts.loc[row, [f"op_count[o{i}]" for i in range(n)]].sum() == 14
    assert space.from_codes(space.to_codes(cells)) == cells


@pytest.mark.parametrize("n_edges", [13, 70, 71, 72, 73, 100, 127, 128, 300, 5_000])
def test_long_chains(n_edges):
    """Of 100 edges with 10 inside, the old constant for "no path" made 0 inside."""
    space = chain_space(2, n_edges)
    half = (0,) * (n_edges // 2) + (1,) * (n_edges - n_edges // 2)
    few = (0,) * (n_edges // 10) + (1,) * (n_edges - n_edges // 10)
    paths = {"families": ["min_path_len", "max_path_len"]}
    graf = GRAF(space, **paths).set_output(transform="pandas")
    assert graf.transform([few]).loc[0, "max_path_len[o0]"] == n_edges // 10
    for variant in VARIANTS:
        graf = GRAF(space, variant=variant, **paths).set_output(transform="pandas")
        rows = graf.transform([(0,) * n_edges, half])
        assert rows["max_path_len[o0]"].tolist() == [
            n_edges,
            n_edges // 2 if variant == "paper" else 0,
        ]
        assert rows["max_path_len[o0+o1]"].tolist() == [n_edges, n_edges]
        assert rows["min_path_len[o0]"].tolist() == [n_edges, n_edges + 2]
        assert rows["min_path_len[o0+o1]"].tolist() == [n_edges, n_edges]


def test_more_edges_than_16_bits():
    """40,000 edges that begin in the input: their count was -25,536."""
    n = 40_001
    edges = np.array([(0, v) for v in range(1, n)])
    batch = GraphBatch(("a", "b"), n, edges, np.zeros((2, n - 1), dtype=int))
    space = CellSpace(["a", "b"], [(0, 1), (1, 2)])
    names = ["op_count", "input_degree", "mean_out_degree"]
    graf = GRAF(space, families=names).set_output(transform="pandas")
    row = graf.transform(batch).iloc[0]
    assert row["op_count[a]"] == row["input_degree[a]"] == row["input_degree[a+b]"] == n - 1
    assert row["mean_out_degree[a]"] == (n - 1) / n
    assert batch.sizes.tolist() == [n, n]
    assert GraphBatch(("a",), n, [(0, 1)], [[0]], node_ops=[[0] * n]).sizes.tolist() == [n]


@pytest.mark.parametrize("n", [8, 9, 64, 65, 70, 130])
def test_membership_by_bits_and_by_columns_agree(n):
    rng = np.random.default_rng(n)
    inside, ops = rng.random((20, n)) < 0.3, rng.integers(-1, n, 500)
    expected = [[op >= 0 and row[op] for op in ops] for row in inside]
    np.testing.assert_array_equal(families._member(ops.astype(signed_dtype(n)), inside), expected)


def test_a_free_label_among_few_edges():
    """The table of edge patterns knows no free labels: such graphs are computed one by one."""

    class Closing(CellSpace):
        operations = ("conv", "pool")
        free = ("out",)

        def __init__(self):
            super().__init__(self.operations, [(0, 1), (1, 2)])

        def graph_batch(self, architectures):
            codes = self.to_codes(architectures)
            ops = np.column_stack([codes[:, :1] + 1, np.zeros(len(codes), dtype=int)])
            return {"": GraphBatch(self.labels, 3, [(0, 1), (1, 2)], ops, free=self.free)}

    space = Closing()
    graf = GRAF(space, families=["min_path_len", "max_path_len"])
    row = graf.set_output(transform="pandas").transform([(0, 0), (1, 0)])
    assert row["min_path_len[conv]"].tolist() == [2, 4]
    assert row["max_path_len[conv]"].tolist() == [1, 0]


# --- only what is asked, and nothing that does not fit --------------------------------------------


@pytest.mark.parametrize("n", [17, 30, 100, 200])
def test_counting_operations_walks_no_subsets(n):
    space = CellSpace([f"o{i}" for i in range(n)], [(0, 1), (1, 2)])
    codes = np.random.default_rng(0).integers(0, n, (50, 2))
    frame = encode(Table("a", "b", space, codes, {"y": np.arange(50)}), "op-count")
    assert frame.shape == (50, n)
    assert frame.to_numpy().sum() == 100


def wide(n, **options):
    space = CellSpace([f"o{i}" for i in range(n)], [(0, 1), (1, 2)])
    return GRAF(space, **options).transform([(0, 1)])


def test_the_remedy_for_too_many_sets_works():
    with pytest.raises(ValueError, match=r"2\*\*30 - 1 sets"):
        wide(30)
    assert wide(30, families=["op_count"]).shape == (1, 30)
    assert wide(30, operations=["o0", "o7"]).shape == (1, 2 + 6 * 3)
    assert wide(10).shape == (1, 10 + 6 * 1023)


def test_too_large_a_matrix_is_refused_and_comes_in_parts():
    space = CellSpace([f"o{i}" for i in range(14)], [(0, 1), (1, 2)])
    codes = np.zeros((200_000, 2), dtype=np.int8)
    graf = GRAF(space, chunk_size=16, dtype=np.float32)
    with pytest.raises(ValueError, match="GiB.*transform_chunks"):
        graf.transform(codes)
    rows, part = next(graf.transform_chunks(codes))
    assert (rows, part.shape) == (slice(0, 16), (16, 14 + 6 * (2**14 - 1)))


def test_an_integer_type_holds_the_values_or_is_refused():
    space = chain_space(2, 200)
    options = {"families": ["op_count", "max_path_len"]}
    with pytest.raises(ValueError, match="int8 cannot hold 200"):
        GRAF(space, dtype=np.int8, **options).transform([(0,) * 200])
    wider = GRAF(space, dtype=np.int16, **options).transform([(0,) * 200])
    assert wider.tolist() == [[200, 0, 200, 0, 200]]
    assert GRAF(space, dtype=np.uint8, **options).transform([(0,) * 200]).tolist() == wider.tolist()

    def half(batch):
        return np.full(len(batch), 0.5)

    with pytest.raises(ValueError, match="cannot hold 0.5 of family 'half'"):
        GRAF(families=[half], dtype=int).transform([(0,) * 6])


def test_labels_of_many_operations_in_the_graph_predictor():
    """126 operations and three other labels: the global node's was -128."""
    space = chain_space(126, 3)
    graphs = operation_graphs(space.graph_batch([(125, 124, 0)]))
    assert graphs.node_labels.min() >= 0
    names = [graphs.labels[i] for i in graphs.node_labels[0]]
    assert sorted(names) == sorted(["global", "input", "o125", "o124", "o0", "output"])


# --- batches --------------------------------------------------------------------------------------


def test_labels_are_as_narrow_as_the_operations_allow():
    for n, dtype in ((2, "int8"), (128, "int8"), (129, "int16"), (40_000, "int32")):
        ids = np.array([[n - 1, -1]])
        batch = GraphBatch(tuple(map(str, range(n))), 3, [(0, 1), (1, 2)], ids)
        assert batch.edge_ops.dtype == dtype
        assert batch.edge_ops.tolist() == [[n - 1, -1]]
        nodes = GraphBatch.on_nodes(batch.operations, [(0, 1)], [[True]], [[0, n - 1]])
        assert nodes.edge_ops.tolist() == [[n - 1]]
        assert nodes.source_ops.tolist() == [[0]]
        space = CellSpace([f"o{i}" for i in range(n)], [(0, 1), (1, 2)], ops_on="nodes")
        graph = space.to_networkx((n - 1,))
        assert graph.nodes[1]["op"] == f"o{n - 1}"


def batch(**changes):
    arguments = {"operations": ("a", "b"), "n_nodes": 3, "edges": [(0, 1), (1, 2)]}
    return GraphBatch(**(arguments | {"edge_ops": [[0, 1]]} | changes))


class Pair(SearchSpace):
    """A space of two cells whose batches can differ in length."""

    name, title, operations, code_length, cells = "pair", "Pair", ("a", "b"), 2, ("one", "two")

    def _parse(self, text):
        raise ValueError(text)

    def _example(self):
        return (0, 1)

    def enumerate(self):
        return self.to_codes(np.indices((2, 2)).reshape(2, -1).T)

    def is_valid(self, architectures):
        return np.ones(len(self.to_codes(architectures)), dtype=bool)

    def graph_batch(self, architectures):
        codes = self.to_codes(architectures)
        return {"one": batch(edge_ops=codes), "two": batch(edge_ops=codes[:-1])}


BAD = {
    "fractions as ids": (lambda: batch(edge_ops=[[0.5, 1]]), ["edge_ops", "whole numbers"]),
    "nan as id": (lambda: batch(edge_ops=[[np.nan, 1]]), ["edge_ops", "whole numbers"]),
    "infinite id": (lambda: batch(edge_ops=[[np.inf, 1]]), ["edge_ops", "whole numbers"]),
    "names as ids": (lambda: batch(edge_ops=[["a", "b"]]), ["edge_ops", "whole numbers"]),
    "booleans as ids": (lambda: batch(edge_ops=[[True, False]]), ["True", "astype(int)"]),
    "fractions as nodes": (lambda: batch(edges=[(0, 1.5), (1, 2)]), ["edges", "whole numbers"]),
    "output beyond": (lambda: batch(output=7), ["output=7", "0..2"]),
    "input beyond": (lambda: batch(inputs=(3,)), ["inputs=(3,)", "0..2"]),
    "negative input": (lambda: batch(inputs=(-1,)), ["inputs=(-1,)", "0..2"]),
    "a vector of nodes": (
        lambda: GraphBatch.on_nodes(("a",), [(0, 1)], [[True]], [0, 0]),
        ["(2,)", "(n_graphs, n_nodes)"],
    ),
    "too few nodes": (
        lambda: GraphBatch.on_nodes(("a",), [(0, 2)], [[True]], [[0, 0]]),
        ["(1, 2)", "below n_nodes"],
    ),
    "cells of different length": (
        lambda: GRAF(Pair(), families=["op_count"]).transform([(0, 1), (1, 1)]),
        ["{'one': 2, 'two': 1}", "graph_batch"],
    ),
    "no type": (lambda: wide(2, dtype="floatt"), ["'floatt'", "np.float32"]),
    "a complex type": (lambda: wide(2, dtype=complex), ["complex", "real"]),
    "a type of text": (lambda: wide(2, dtype=str), ["real numbers"]),
    "18 operations": (lambda: wide(18), ["18 operations", "families=['op_count']"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])


def test_whole_floats_are_ids():
    np.testing.assert_array_equal(batch(edge_ops=np.array([[0.0, 1.0]])).edge_ops, [[0, 1]])
    empty = GraphBatch(("a",), 2, [], [[], []])
    assert (len(empty), empty.edges.shape) == (2, (0, 2))
