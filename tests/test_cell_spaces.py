"""Cells with several inputs, parallel edges, fewer nodes than the largest, and numbers."""

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from hypothesis import given, settings
from hypothesis import strategies as st
from multigraph import cell_graph, flow, graf, numbers
from sklearn.ensemble import RandomForestRegressor

from graf_utils.encodings import encode
from graf_utils.explain import what_if
from graf_utils.features import GRAF, Flow
from graf_utils.spaces import CellSpace
from graf_utils.table import Table

KERNELS = {"kernel": {"conv": [3, 5, 7], "pool": 3}}


@st.composite
def wirings(draw, most_nodes=6):
    """Nodes and edges of a cell: a chain behind the inputs, and more edges, some parallel."""
    n_inputs, ops_on = draw(st.integers(1, 3)), draw(st.sampled_from(["edges", "nodes"]))
    least = n_inputs + (2 if ops_on == "nodes" else 1)
    n_nodes = draw(st.integers(least, max(most_nodes, least + 1)))
    edges = [(v, n_inputs) for v in range(n_inputs)]
    edges += [(v, v + 1) for v in range(n_inputs, n_nodes - 1)]
    possible = [(u, v) for v in range(n_inputs, n_nodes) for u in range(v)]
    more = draw(st.lists(st.sampled_from(possible), max_size=4))
    edges = sorted([*edges, *more] if ops_on == "edges" else {*edges, *more}, key=lambda e: e[1])
    smaller = draw(st.sets(st.integers(least, n_nodes)))
    return edges, n_inputs, tuple(sorted({*smaller, n_nodes})), ops_on


@st.composite
def cells(draw):
    """A space of any kind, and one of its cells as a tuple and as a multigraph."""
    edges, n_inputs, sizes, ops_on = draw(wirings())
    operations = ["conv", "pool", "none"][: draw(st.integers(1, 3))]
    given_numbers = {}
    for name in draw(st.sets(st.sampled_from(["kernel", "width"]))):
        lists = st.lists(st.integers(-3, 9), min_size=1, max_size=3, unique=True)
        ops = draw(st.sets(st.sampled_from(operations), min_size=1))
        given_numbers[name] = {op: draw(lists) for op in sorted(ops)}
    options = {"inputs": range(n_inputs), "sizes": sizes, "numbers": given_numbers or None}
    shift = draw(st.integers(0, 2))  # nodes may be numbered from another number than 0
    options["inputs"] = [v + shift for v in range(n_inputs)]
    moved = [(u + shift, v + shift) for u, v in edges]
    space = CellSpace(operations, moved, ops_on=ops_on, **options)
    size = draw(st.sampled_from(sizes))
    n_places = sum(v < size for _, v in edges) if ops_on == "edges" else size - n_inputs - 1
    chosen = [name for name, by_op in given_numbers.items() if max(map(len, by_op.values())) > 1]
    code, places = [], []
    for _ in range(n_places):
        op = draw(st.sampled_from(operations))
        code.append(operations.index(op))
        carried = {}
        for name, by_op in given_numbers.items():
            which = draw(st.integers(0, len(by_op[op]) - 1)) if op in by_op else 0
            code += [which] if name in chosen else []
            carried |= {name: by_op[op][which]} if op in by_op else {}
        places.append((op, carried))
    graph = cell_graph(edges, range(n_inputs), size, places, ops_on)
    return space, tuple(code), graph, shift


def row(transformer, cell):
    return transformer.set_output(transform="pandas").transform([cell]).iloc[0].to_dict()


@pytest.mark.parametrize("variant", ["paper", "allowed"])
def test_features_are_those_of_the_multigraph(variant):
    @settings(max_examples=150, database=None)
    @given(cells())
    def check(drawn):
        space, cell, graph, shift = drawn
        expected = graf(graph, space.operations, variant) | numbers(graph, space.numbers)
        ours = row(GRAF(space, variant=variant), cell)
        if len(space.inputs) > 1:
            ours = {name_from_zero(name, space, shift): value for name, value in ours.items()}
        assert ours == expected
        sets = {"conv": ["conv"], "some": list(space.operations[:2])}
        expected = flow(graph, sets)
        ours = row(Flow(space, sets=sets), cell)
        for name, value in ours.items():
            assert value == pytest.approx(expected[name])

    check()


def name_from_zero(name, space, shift):
    """A column's name with the input counted from 0, as in the multigraph."""
    family, *rest = name.split("[")
    stem, _, node = family.partition(".")
    return "[".join([f"{stem}.{int(node) - shift}" if node else stem, *rest])


@settings(max_examples=100, database=None)
@given(cells())
def test_a_small_cell_has_the_features_of_a_space_of_small_cells(drawn):
    """Padding says nothing: a space of this size alone gives the same numbers."""
    space, cell, graph, _ = drawn
    size = len(graph)
    edges = [edge for edge in space.edges if edge[1] < space.nodes[0] + size]
    alone = CellSpace(
        space.operations,
        edges,
        inputs=space.input_nodes,
        numbers=space.numbers or None,
        ops_on=space.ops_on,
    )
    assert row(GRAF(space), cell) == row(GRAF(alone), cell)
    padded, plain = row(Flow(space), cell), row(Flow(alone), cell)
    assert {name: padded[name] for name in plain} == plain
    assert not any(padded[name] for name in padded.keys() - plain.keys())  # longer histograms
    assert space.canonical([cell]) == alone.canonical([cell])
    assert space.is_valid([cell]) == alone.is_valid([cell])
    table, small = (Table("t", "own", s, [cell], {"y": [0.0]}) for s in (space, alone))
    for encoding in ("path", "one-hot"):
        padded, plain = encode(table, encoding).iloc[0], encode(small, encoding).iloc[0]
        if space.ops_on == "edges" or encoding == "path":
            assert padded[plain.index].equals(plain)
            assert not padded.drop(plain.index).any()


@settings(max_examples=100, database=None)
@given(cells())
def test_a_cell_is_read_as_it_was_written(drawn):
    space, cell, graph, _ = drawn
    (code,) = space.to_codes([cell])
    assert space.from_codes([code]) == [cell]
    assert space.from_codes([str(cell)]) == [cell] == space.from_codes(np.array([code]))
    drawn_graph = space.to_networkx(cell)
    assert space.from_networkx(drawn_graph) == cell
    assert len(drawn_graph) == len(graph)
    assert drawn_graph.number_of_edges() == graph.number_of_edges()
    assert len(space.position_names()) == len(set(space.position_names())) == space.code_length
    shown = [space.entry(code.tolist(), i) for i in range(space.code_length)]
    assert shown.count("absent") == space.code_length - len(cell)
    again = eval(repr(space), {"CellSpace": CellSpace})
    assert again == space
    other = CellSpace(space.operations, space.edges, inputs=space.input_nodes, ops_on=space.ops_on)
    assert (other == space) == (len(space.sizes) == 1 and not space.numbers)


@settings(max_examples=60, database=None)
@given(cells())
def test_neighbours_differ_in_one_respect(drawn):
    space, cell, *_ = drawn
    codes = space.neighbours(cell, valid_only=False)
    near = space.from_codes(codes) if len(codes) else []
    assert len(set(near)) == len(near)
    assert cell not in near
    width = 1 + len(space.chosen)
    for other in near:
        pairs = list(zip(cell, other, strict=False))  # the shorter one ends first
        places = {i // width for i, (mine, theirs) in enumerate(pairs) if mine != theirs}
        assert len(places) == (len(cell) == len(other))
    for place, op in itertools.product(range(len(cell) // width), range(len(space.operations))):
        ops_there = {other[place * width] for other in near if len(other) == len(cell)}
        assert op == cell[place * width] or op in ops_there
    lengths = sorted(space.lengths)
    mine = lengths.index(len(cell))
    reached = {len(other) for other in near} - {len(cell)}
    assert reached == set(lengths[max(mine - 1, 0) : mine + 2]) - {len(cell)}


def test_every_cell_is_reached_by_neighbours():
    space = CellSpace(
        ["conv", "pool", "skip_connect"], [(0, 1), (1, 2)], sizes=(2, 3), numbers=KERNELS
    )
    every = space.from_codes(space.enumerate())
    assert len(every) == len(set(every)) == 5 + 25
    graph = nx.DiGraph((a, b) for a in every for b in space.from_codes(space.neighbours(a)))
    assert len(graph) == 30
    assert nx.is_strongly_connected(graph)
    nearest = space.from_codes(space.neighbours((0, 2)))
    assert nearest[:4] == [(1, 0), (2, 0), (0, 0), (0, 1)]  # pool has one kernel, skip none


@settings(max_examples=40, database=None)
@given(wirings(most_nodes=4), st.integers(1, 2))
def test_every_cell_is_listed_once_and_drawn_equally_often(wiring, n_operations):
    edges, n_inputs, sizes, ops_on = wiring
    numbers_of = {"kernel": {"conv": [1, 2]}}
    operations = ["conv", "pool"][:n_operations]
    options = {"inputs": range(n_inputs), "sizes": sizes, "ops_on": ops_on, "numbers": numbers_of}
    space = CellSpace(operations, edges, **options)
    if space.places.count() > 20_000:
        return
    every = space.enumerate()
    assert len(np.unique(every, axis=0)) == len(every) == space.places.count()
    assert space.from_codes(space.from_codes(every)) == space.from_codes(every)
    drawn = space.places.draw(20 * len(every), np.random.default_rng(0), space.code_dtype)
    found, times = np.unique(space.to_codes(drawn), axis=0, return_counts=True)
    assert len(every) >= len(found) > 0.9 * len(every)
    assert times.max() < 60


def test_the_tables_of_padded_cells():
    """A table, GRAF and path encoding of chains of two to four layers: what was refused."""
    space = CellSpace(["conv", "pool"], [(i, i + 1) for i in range(4)], sizes=(3, 4, 5))
    cells_ = [(0, 1), (0, 1, 1), (0, 1, 1, 0), [0, 0, -1, -1]]
    table = Table("t", "own", space, cells_, {"y": [1.0, 2.0, 3.0, 4.0]})
    assert table.architectures == [(0, 1), (0, 1, 1), (0, 1, 1, 0), (0, 0)]
    frame = encode(table, "graf")
    assert frame["op_count[pool]"].tolist() == [1, 2, 2, 0]
    assert frame["min_path_len[conv+pool]"].tolist() == [2, 3, 4, 2]
    assert frame["min_path_len[conv]"].tolist() == [4, 5, 6, 2]
    assert frame["output_degree[conv]"].tolist() == [0, 0, 1, 1]
    assert encode(table, "path").sum(axis=1).tolist() == [1, 1, 1, 1]
    assert space.sample(28, random_state=0).shape == (28, 4)
    pd.testing.assert_frame_equal(
        encode(table.subset([3, 0]), "graf"), frame.iloc[[3, 0]].reset_index(drop=True)
    )


def test_numbers_of_operations_and_of_places():
    """A kernel that belongs to the operation needs no entry of the code; a choice does."""
    fixed = CellSpace(["c3", "c5"], [(0, 1), (1, 2)], numbers={"kernel": {"c3": 3, "c5": 5}})
    assert fixed.code_length == 2
    assert row(GRAF(fixed), (0, 1))["number_sum[kernel]"] == 8
    chosen = CellSpace(["conv", "skip_connect"], [(0, 1), (1, 2)], numbers={"width": [16, 32]})
    assert chosen.position_names() == ["0-1", "0-1 width", "1-2", "1-2 width"]
    features = row(GRAF(chosen), (0, 1, 1, 0))
    assert features["number_sum[width]"] == features["path_sum_max[width]"] == 32
    assert "number_sum[kernel]" not in features
    table = Table("t", "own", chosen, [(0, 1, 1, 0)], {"y": [0.0]})
    assert encode(table, "one-hot").iloc[0].to_dict() == {
        "0-1=conv": 1,
        "0-1=skip_connect": 0,
        "1-2=conv": 0,
        "1-2=skip_connect": 1,
        "0-1 width": 32,
        "1-2 width": 0,
    }


def test_cells_with_other_numbers_are_other_functions():
    space = CellSpace(["conv", "pool"], [(0, 1), (1, 2)], numbers=KERNELS)
    a, b, c = space.canonical([(0, 0, 1, 0), (0, 2, 1, 0), (0, 0, 1, 0)])
    assert a == c != b
    assert "[kernel=7]" in b


@pytest.mark.parametrize(
    "options",
    [
        {"edges": [(0, 1), (0, 1), (1, 2)]},
        {"edges": [(0, 2), (1, 2)], "inputs": (0, 1)},
        {"edges": [(0, 1), (1, 2)], "sizes": (2, 3)},
        {"edges": [(0, 1), (1, 2)], "numbers": {"kernel": [3, 5]}},
    ],
)
def test_what_has_no_skeleton_is_not_built(options):
    """Parallel edges would overwrite each other in a network by pairs of nodes."""
    pytest.importorskip("torch")
    from graf_utils.networks import build_network

    space = CellSpace(["skip_connect", "nor_conv_3x3"], **options)
    with pytest.raises(ValueError, match=r"cannot be built.*one size.*NETWORKS\[CellSpace\] ="):
        build_network(space.sample(1, random_state=0)[0].tolist(), space)


def test_the_drawing_of_a_cell_shows_every_edge_and_input():
    plots = pytest.importorskip("graf_utils.plots")
    space = CellSpace(["a", "b"], [(0, 2), (0, 2), (1, 2), (2, 3)], inputs=(0, 1), sizes=(3, 4))
    ax = plots.draw_cell((0, 1, 1, 0), space)
    texts = sorted(text.get_text() for text in ax.texts if text.get_text())
    assert texts == ["3", "a", "a", "b", "b", "in 0", "in 1", "out"]
    heights = [text.get_position()[1] for text in ax.texts if text.get_text() in "ab"]
    assert len(set(heights[:2])) == 2
    small = [text.get_text() for text in plots.draw_cell((0, 1, 1), space).texts]
    assert small.count("out") == 1
    assert sum(name in ("a", "b") for name in small) == 3


def test_what_if_sees_numbers_and_depth():
    """A forest that was fitted on the sum of kernels: what it says of one layer, seen as words."""
    pytest.importorskip("shap")
    space = CellSpace(
        ["conv", "skip_connect"],
        [(i, i + 1) for i in range(3)],
        sizes=(3, 4),
        numbers={"kernel": {"conv": [3, 5, 7]}},
    )
    graf = GRAF(space, max_set_size=1).set_output(transform="pandas")
    every = space.from_codes(space.enumerate())
    X = graf.fit_transform(every)
    model = RandomForestRegressor(20, random_state=0).fit(X, X["number_sum[kernel]"])
    changes, carriers = what_if(model, (0, 0, 0, 1), graf.transform, space)
    np.testing.assert_allclose(carriers.sum(axis=1), changes["gain"], atol=1e-8)
    rows = {(r.position, r.before, r.after): r.gain for r in changes.itertuples()}
    assert rows["0-1 kernel", 3.0, 7.0] > rows["0-1 kernel", 3.0, 5.0] > 0
    assert rows["1-2", "conv", "skip_connect"] < 0
    assert rows["2-3", "absent", "conv"] > 0
    assert len(changes) == (1 + 2) + (1 + 2) + 4
    changes, _ = what_if(model, (0, 0, 0, 1, 1, 0), graf.transform, space)
    assert {"conv", "absent"} <= set(changes["after"])


CHAIN = [(0, 1), (1, 2), (2, 3)]
BAD = {
    "an input that is the output": (
        lambda: CellSpace(["a"], CHAIN, inputs=(0, 3)),
        ["(0, 3)", "3 is the output"],
    ),
    "an input with an edge into it": (
        lambda: CellSpace(["a"], CHAIN, inputs=(0, 1)),
        ["(0, 1)", "leads into the input 1"],
    ),
    "an input twice": (lambda: CellSpace(["a"], CHAIN, inputs=(0, 0)), ["twice"]),
    "one input as a number": (lambda: CellSpace(["a"], CHAIN, inputs=0), ["0", "list of nodes"]),
    "an input that is left out": (
        lambda: CellSpace(["a"], [(0, 2), (1, 2)]),
        ["enters node 1", "inputs=(0, 1)"],
    ),
    "parallel edges of nodes": (
        lambda: CellSpace(["a"], [*CHAIN, (0, 1)], ops_on="nodes"),
        ["carry nothing", "Name each once"],
    ),
    "edges of a MultiDiGraph": (
        lambda: CellSpace(["a"], nx.MultiDiGraph([(0, 1), (0, 1)]).edges),
        ["(0, 1, 0)", "keys=False"],
    ),
    "a size too small": (lambda: CellSpace(["a"], CHAIN, sizes=(1, 4)), ["(1, 4)", "from 2"]),
    "a size too large": (lambda: CellSpace(["a"], CHAIN, sizes=(4, 5)), ["to 4"]),
    "no size of all nodes": (
        lambda: CellSpace(["a"], CHAIN, sizes=(2, 3)),
        ["no cell uses them all", "nodes above 2", "add the size 4"],
    ),
    "sizes as a number": (lambda: CellSpace(["a"], CHAIN, sizes=4), ["sizes=4", "sizes=(4,)"]),
    "a smaller cell with a dead end": (
        lambda: CellSpace(["a"], [(0, 1), (0, 2), (1, 3), (2, 3)], sizes=(3, 4)),
        ["no edge leaves node 1"],
    ),
    "edges of smaller cells behind others": (
        lambda: CellSpace(["a"], [(1, 2), (0, 1), (2, 3)], sizes=(3, 4)),
        ["ordered by target", "edges=[(0, 1), (1, 2), (2, 3)]"],
    ),
    "a node left out in the middle": (
        lambda: CellSpace(["a"], CHAIN, sizes=(3, 4)).to_codes([(0, -1, 0)]),
        ["-1 only behind", "(0, 0, 0)"],
    ),
    "a length between": (
        lambda: CellSpace(["a"], CHAIN, sizes=(2, 4)).to_codes([(0, 0)]),
        ["2 entries", "1 or 3"],
    ),
    "numbers of an unknown operation": (
        lambda: CellSpace(["conv"], CHAIN, numbers={"kernel": {"cnv": 3}}),
        ["'cnv'", "Did you mean 'conv'?"],
    ),
    "numbers as a number": (lambda: CellSpace(["a"], CHAIN, numbers=3), ["numbers=3", "'kernel'"]),
    "a number as text": (
        lambda: CellSpace(["a"], CHAIN, numbers={"kernel": {"a": "3"}}),
        ["'kernel'", "'3'", "finite number"],
    ),
    "a number that is not finite": (
        lambda: CellSpace(["a"], CHAIN, numbers={"kernel": {"a": [1, float("nan")]}}),
        ["nan", "finite"],
    ),
    "a number twice": (
        lambda: CellSpace(["a"], CHAIN, numbers={"kernel": [3, 3]}),
        ["each number once"],
    ),
    "a number's name with a space": (
        lambda: CellSpace(["a"], CHAIN, numbers={"my kernel": 3}),
        ["'my kernel'", "Rename"],
    ),
    "numbers of nothing": (
        lambda: CellSpace(["none"], CHAIN, numbers={"kernel": [3, 5]}),
        ["no operation"],
    ),
    "a choice that is not there": (
        lambda: CellSpace(["conv", "pool"], [(0, 1)], numbers=KERNELS).to_codes([(0, 3)]),
        ["0-1 kernel", "is 3", "[3.0, 5.0, 7.0], numbered from 0"],
    ),
    "a choice of an operation without one": (
        lambda: CellSpace(
            ["conv", "skip"], [(0, 1)], numbers={"kernel": {"conv": [3, 5]}}
        ).to_codes([(1, 1)]),
        ["skip has no kernel: write 0"],
    ),
    "an operation that is not there": (
        lambda: CellSpace(["conv", "pool"], [(0, 1)], numbers=KERNELS).to_codes([(2, 0)]),
        ["operation id 2 at position 0"],
    ),
    "a kernel that is not there in a graph": (
        lambda: CellSpace(["conv", "pool"], [(0, 1)], numbers=KERNELS).from_networkx(
            nx.DiGraph([(0, 1, {"op": "conv", "kernel": 4})])
        ),
        ["kernel=4", "[3.0, 5.0, 7.0]"],
    ),
    "families of numbers without numbers": (
        lambda: GRAF("nb201", families=["number_sum"]).transform([(0,) * 6]),
        ["['number_sum']", "have none", "numbers={'kernel'"],
    ),
    "too many numbers": (
        lambda: CellSpace(
            ["a"], CHAIN, numbers={name: list(range(100)) for name in ("x", "y", "z")}
        ),
        ["1,000,000 combinations", "fewer numbers"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])
