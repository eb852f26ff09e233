"""Encodings by name, alone and side by side."""

import re

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graf_utils.datasets import load_table
from graf_utils.encodings import ENCODINGS, encode, path_encoding
from graf_utils.graphs import GraphBatch
from graf_utils.path_encoding import _paths_by_length
from graf_utils.spaces import NB201, get_space
from graf_utils.table import Table

SPACE = NB201()


@pytest.fixture(scope="module")
def table():
    cells = SPACE.sample(300, random_state=0)
    rng = np.random.default_rng(0)
    proxies = pd.DataFrame(rng.normal(size=(300, 2)), columns=["flops", "nwot"])
    return Table("small", "test", SPACE, cells, {"accuracy": rng.normal(size=300)}, proxies)


def test_widths_and_names(table):
    of_graphs = [name for name in ENCODINGS if name != "own-features"]  # see test_feature_tables
    widths = {name: encode(table, name).shape[1] for name in of_graphs}
    assert widths == {
        "graf": 191,
        "graf-allowed": 191,
        "zcp": 2,
        "one-hot": 30,
        "op-count": 5,
        "path": 155,
        "path-authors": 155,
        "params": 1,
        "flops": 1,
        "flow": 64,
    }
    for name in of_graphs:
        frame = encode(table, name)
        assert frame.columns.is_unique
        assert len(frame) == 300


def test_graf_columns_in_the_order_of_the_authors(table, golden_dir):
    from test_features import our_name

    golden = pd.read_parquet(golden_dir / "paper_nb201.parquet").drop(columns=["net", "valid"])
    assert list(encode(table, "graf")) == [our_name(name) for name in golden]


def test_columns_come_in_one_order_whatever_was_written(table):
    for text in ("zcp+graf+one-hot", "one-hot + zcp + graf"):
        together = encode(table, text)
        parts = [encode(table, name) for name in ("graf", "zcp", "one-hot")]
        pd.testing.assert_frame_equal(together, pd.concat(parts, axis=1))


def test_a_column_that_two_encodings_share_is_kept_under_two_names(table):
    both = encode(table, "zcp+flops+params")
    assert list(both) == ["flops", "nwot", "params", "flops.flops"]
    assert not np.allclose(both["flops"], both["flops.flops"])


def test_path_encoding_by_hand():
    encoded = path_encoding(SPACE.graph_batch([(4, 0, 3, 1, 4, 3)])[""])
    on = set(encoded.columns[encoded.iloc[0] == 1])
    assert on == {
        "path[nor_conv_1x1]",
        "path[avg_pool_3x3,avg_pool_3x3]",
        "path[skip_connect,nor_conv_1x1]",
        "path[avg_pool_3x3,none,nor_conv_1x1]",
    }


def test_path_encoding_of_operations_on_nodes():
    space = get_space("nb101")  # input-conv3x3-maxpool-output, and a direct edge
    matrix = [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    cell = space.from_matrix(matrix, ["input", "conv3x3-bn-relu", "maxpool3x3", "output"])
    encoded = path_encoding(space.graph_batch([cell])[""])
    assert encoded.shape == (1, sum(3**length for length in range(6)))
    on = set(encoded.columns[encoded.iloc[0] == 1])
    assert on == {"path[]", "path[conv3x3-bn-relu,maxpool3x3]"}


@pytest.mark.parametrize("name", ["tnb101-micro", "tnb101-macro", "nb101", "darts"])
def test_every_space_has_its_encodings(name):
    space = get_space(name)
    cells = space.sample(30, random_state=0)
    table = Table("some", "test", space, space.from_codes(cells), {"y": np.arange(30.0)})
    paths = encode(table, "path")
    assert paths.columns.is_unique
    together = encode(table, "graf+one-hot")
    assert together.shape[1] == encode(table, "graf").shape[1] + encode(table, "one-hot").shape[1]
    with pytest.raises(ValueError, match="no cost formula, and table 'some' no proxy 'flops'"):
        encode(table, "flops")
    numbers = pd.DataFrame({"nwot": np.ones(30), "flops": np.arange(30.0) ** 2})
    table = Table("some", "test", space, table.codes, {"y": np.arange(30.0)}, numbers)
    assert encode(table, "flops")["flops"].tolist() == numbers["flops"].tolist()
    assert list(encode(table, "zcp+flops")) == ["nwot", "flops", "flops.flops"]


def test_path_encoding_agrees_with_networkx():
    """Every path of every graph, spelled out."""
    for name in ("tnb101-micro", "nb101", "darts"):
        space = get_space(name)
        batches = space.graph_batch(space.sample(40, random_state=1))
        for batch in batches.values() if isinstance(batches, dict) else [batches]:
            inputs = space.inputs
            encoded = path_encoding(batch, inputs)
            for row in range(len(batch)):
                expected = set()
                graph = batch.to_networkx(row)
                for start, label in zip(batch.inputs, inputs, strict=True):
                    for path in nx.all_simple_paths(graph, start, batch.output):
                        if batch.node_ops is None:
                            ops = [graph.edges[e]["op"] for e in nx.utils.pairwise(path)]
                            ops = [op for op in ops if op not in batch.free]
                        else:
                            ops = [graph.nodes[v]["op"] for v in path[1:-1]]
                        expected.add(f"path{'.' * bool(label)}{label}[{','.join(ops)}]")
                assert set(encoded.columns[encoded.iloc[row] == 1]) == expected


def test_path_encoding_leaves_out_paths_with_an_absent_edge():
    batch = GraphBatch(("a", "b"), 3, [(0, 1), (0, 2), (1, 2)], [[0, 1, -1], [0, -1, 1]])
    encoded = path_encoding(batch)
    assert encoded.loc[0][encoded.loc[0] == 1].index.tolist() == ["path[b]"]
    assert encoded.loc[1][encoded.loc[1] == 1].index.tolist() == ["path[a,b]"]


def test_cost_by_hand():
    """One 1x1 convolution more in each of 5 cells at widths 16, 32, 64."""
    (one, two) = SPACE.cost([(0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 3)])
    assert two[0] - one[0] == pytest.approx(5 * sum(c * c + 2 * c for c in (16, 32, 64)) / 1e6)
    stages = ((16, 1024), (32, 256), (64, 64))
    assert two[1] - one[1] == pytest.approx(5 * sum(c * p * (c + 3) for c, p in stages) / 1e6)
    assert one[0] == pytest.approx(0.073306)
    wide = SPACE.cost([(0, 0, 0, 0, 0, 0)], width=32, classes=120)
    assert wide[0, 0] > 3.5 * one[0]


def test_cost_equals_the_published_proxies(paper_dir):
    table = load_table("nb201-cifar10", source="paper")
    cost = SPACE.cost(table.architectures)
    np.testing.assert_allclose(cost[:, 0], table.proxies["params"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(table.proxies["flops"] - cost[:, 1], 0.001088, rtol=0, atol=1e-9)


BAD = {
    "unknown": ("graff", ["'graff'", "Did you mean 'graf'"]),
    "unknown in a sum": ("graf+zpc", ["'graf+zpc'", "Did you mean 'zcp'"]),
    "repeated": ("graf+graf", ["twice"]),
    "empty": ("", ["''", "must be one of"]),
    "not text": (3, ["encoding=3", "must be one of"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_names(table, what):
    encoding, words = BAD[what]
    with pytest.raises(ValueError, match="encoding=") as error:
        encode(table, encoding)
    for word in words:
        assert word in str(error.value)


def test_zcp_needs_proxies(table):
    bare = Table("bare", "test", SPACE, table.architectures, table.targets)
    with pytest.raises(ValueError, match="no zero-cost proxies.*graf_utils.scoring.score,"):
        encode(bare, "zcp+graf")


def test_encode_takes_a_table(table):
    for value in (table.architectures, table.targets, "nb201-cifar10", None):
        with pytest.raises(ValueError, match="encode takes a Table"):
            encode(value, "graf")


# --- one-hot, from the graphs ---------------------------------------------------------------------


def written_out(space, batch, row):
    """Names of the indicators of one graph, from its networkx form."""
    graph, nodes, names = batch.to_networkx(row), batch.node_names, set()
    for source, target in graph.edges:
        if batch.node_ops is None and not (batch.free and target == batch.output):
            op = graph.edges[source, target]["op"]
            names.add(f"{nodes[source]}-{nodes[target]}={op}")
        elif batch.node_ops is not None and not space.fixed_wiring:
            names.add(f"{nodes[source]}-{nodes[target]}")
    if batch.node_ops is not None:
        for node in graph.nodes:
            op = graph.nodes[node].get("op")
            if node not in (*batch.inputs, batch.output) and op in batch.operations:
                names.add(f"{nodes[node]}={op}")
    return names


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from(["nb201", "nb101", "darts", "tnb101-micro"]))
def test_one_hot_says_which_operation_lies_where(seed, name):
    space = get_space(name)
    codes = space.sample(8, random_state=seed)
    frame = encode(Table("t", "test", space, codes, {"y": np.arange(8.0)}), "one-hot")
    assert frame.columns.is_unique
    assert set(np.unique(frame)) <= {0, 1}
    for row in range(8):
        expected = set()
        for cell, batch in space.graph_batch(codes).items():
            prefix = f"{cell}." if cell else ""
            expected |= {prefix + name for name in written_out(space, batch, row)}
        assert set(frame.columns[frame.loc[row] == 1]) == expected


def test_one_hot_of_codes_is_the_codes():
    """Where a code is a list of operations, one-hot says each of them, and nothing else."""
    for name in ("nb201", "tnb101-micro", "tnb101-macro"):
        space = get_space(name)
        codes = space.sample(50, random_state=0)
        frame = encode(Table("t", "test", space, codes, {"y": np.arange(50.0)}), "one-hot")
        places, ops, ids = (
            space.position_names(),
            space.operations,
            np.arange(len(space.operations)),
        )
        if (
            name == "tnb101-macro"
        ):  # chains: 1 to 4, and -1 where they have ended, as by the authors
            ops, ids = ("absent", *ops), np.array([-1, 1, 2, 3, 4])
        assert list(frame) == [f"{place}={op}" for place in places for op in ops]
        expected = (codes[:, :, None] == ids).reshape(50, -1)
        np.testing.assert_array_equal(frame, expected)


def test_one_hot_has_no_column_more():
    widths = {"nb201": 30, "nb101": 36, "darts": 196, "tnb101-micro": 24, "tnb101-macro": 30}
    for name, width in widths.items():
        space = get_space(name)
        table = Table("t", "test", space, space.sample(3, random_state=0), {"y": np.zeros(3)})
        assert encode(table, "one-hot").shape == (3, width)


def test_one_hot_tells_all_cells_apart():
    codes = SPACE.enumerate()
    frame = encode(Table("t", "test", SPACE, codes, {"y": np.zeros(len(codes))}), "one-hot")
    assert (frame.sum(axis=1) == 6).all()
    assert len(np.unique(frame, axis=0)) == len(codes)


def test_the_paths_of_the_authors_have_two_edges_exchanged():
    """Their routes as positions of the tuple, written out; in other spaces nothing changes."""
    codes = SPACE.sample(60, random_state=1)
    frame = encode(Table("t", "test", SPACE, codes, {"y": np.zeros(60)}), "path-authors")
    for row, code in enumerate(codes.tolist()):
        ops = [SPACE.operations[op] for op in code]
        routes = ([3], [0, 4], [1, 5], [0, 2, 5])
        expected = {f"path[{','.join(ops[edge] for edge in route)}]" for route in routes}
        assert set(frame.columns[frame.loc[row] == 1]) == expected
    micro = get_space("tnb101-micro")
    other = Table("t", "test", micro, micro.sample(20, random_state=1), {"y": np.zeros(20)})
    pd.testing.assert_frame_equal(encode(other, "path-authors"), encode(other, "path"))


# --- a path encoding that is too large ------------------------------------------------------------


def chain(length, n_ops=5):
    """Two graphs of one path."""
    edges = [(i, i + 1) for i in range(length)]
    return GraphBatch(tuple("abcde"[:n_ops]), length + 1, edges, np.zeros((2, length), dtype=int))


def full(n_nodes):
    """Two graphs with every edge."""
    edges = [(u, v) for v in range(n_nodes) for u in range(v)]
    return GraphBatch(("a",), n_nodes, edges, np.zeros((2, len(edges)), dtype=int))


def test_a_path_encoding_that_is_too_large_is_refused_first():
    assert path_encoding(chain(7)).shape == (2, 5**7)
    assert path_encoding(full(12)).shape == (2, 11)
    with pytest.raises(ValueError, match=f"{5**12:,} columns of 2 rows, from 1 paths.*'one-hot'"):
        path_encoding(chain(12))
    with pytest.raises(ValueError, match=f"columns of 2 rows, from {2**38:,} paths"):
        path_encoding(full(40))
    many = GraphBatch(tuple("abcde"), 8, chain(7).edges, np.zeros((20_000, 7), dtype=np.int8))
    with pytest.raises(ValueError, match=r"Encode fewer rows at once, as with table\.subset"):
        path_encoding(many)


def test_the_remedy_for_too_many_rows_works(monkeypatch):
    codes = SPACE.enumerate()[:1_000]
    table = Table("t", "test", SPACE, codes, {"y": np.zeros(len(codes))})
    monkeypatch.setattr("graf_utils._memory.available", lambda: 500_000)
    with pytest.raises(ValueError, match=r"1\.2 MiB, and 488\.3 KiB can be had") as error:
        encode(table, "path")
    (rows,) = re.findall(r"table\.subset\(slice\((\d+)\)\)", str(error.value))
    assert encode(table.subset(slice(int(rows))), "path").shape == (403, 155)


@pytest.mark.parametrize("name", ["nb201", "nb101", "darts", "tnb101-micro", "tnb101-macro"])
def test_the_size_that_is_refused_is_the_size_that_would_be_made(name, monkeypatch):
    space = get_space(name)
    for batch in space.graph_batch(space.sample(3, random_state=0)).values():
        width = path_encoding(batch, space.inputs).shape[1]
        with monkeypatch.context() as patch:
            patch.setattr("graf_utils.path_encoding._MOST_BYTES", 0)
            with pytest.raises(ValueError, match=f"would have {width:,} columns of 3 rows"):
                path_encoding(batch, space.inputs)


@settings(max_examples=30)
@given(st.integers(2, 7), st.integers(0, 10_000))
def test_paths_are_counted_as_networkx_lists_them(n_nodes, seed):
    random = np.random.default_rng(seed)
    edges = [(u, v) for v in range(n_nodes) for u in range(v) if random.random() < 0.6]
    batch = GraphBatch(("a",), n_nodes, edges or [(0, 1)], np.zeros((1, len(edges) or 1), int))
    graph = nx.DiGraph(batch.edges.tolist())
    graph.add_nodes_from(range(n_nodes))
    lengths = [len(path) - 1 for path in nx.all_simple_paths(graph, 0, n_nodes - 1)]
    assert _paths_by_length(batch, 0)[n_nodes - 1] == {k: lengths.count(k) for k in set(lengths)}
