"""Operator graphs and their features, against networkx and all paths, one by one."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graf_utils.operators import (
    FAMILIES,
    FUNCTIONS,
    GROUPS,
    KINDS,
    NUMBERS,
    Layer,
    OperatorFamily,
    OperatorFeatures,
    OperatorGraph,
)

INNER = [kind for kind in KINDS if kind not in ("input", "output")]
SETS = {**{kind: {kind} for kind in INNER}, **{name: set(kinds) for name, kinds in GROUPS.items()}}
SETS["any"] = set().union(*GROUPS.values())


# --- random graphs --------------------------------------------------------------------------------


@st.composite
def operator_graphs(draw):
    """A graph of two to nine nodes: kinds, edges (some of them twice), numbers, shared weights."""
    n_inner = draw(st.integers(0, 7))
    some = ("conv", "pointwise-conv", "attention", "pooling", "add", "activation", "normalisation")
    kinds = ["input", *draw(st.lists(st.sampled_from(some), min_size=n_inner, max_size=n_inner))]
    if draw(st.booleans()):
        kinds.insert(1, "input")
    kinds.append("output")
    if draw(st.booleans()):
        kinds.append("output")
    pairs = [
        (u, v)
        for v in range(len(kinds))
        for u in range(v)
        if kinds[v] != "input" and kinds[u] != "output"
    ]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=14))
    size = len(kinds)
    whole = st.integers(0, 40).map(float) | st.just(math.nan)
    numbers = {name: draw(st.lists(whole, min_size=size, max_size=size)) for name in NUMBERS}
    labels = [draw(st.sampled_from(["relu", "gelu", "rms_norm", ""])) for _ in kinds]
    shared = draw(st.lists(st.integers(-1, 2), min_size=size, max_size=size))
    return OperatorGraph(kinds, edges, numbers, labels, shared)


def paths_of(graph):
    """All input-output paths as lists of nodes; one for each of parallel edges."""
    drawn = graph.to_networkx()
    ends = [[v for v, kind in enumerate(graph.kinds) if kind == end] for end in ("input", "output")]
    found = []
    for source, target in itertools.product(*ends):
        for edges in nx.all_simple_edge_paths(drawn, source, target):
            found.append([source, *(edge[1] for edge in edges)])
    return found


def ask(graphs, *families, **options):
    """Features by name, one dictionary per graph."""
    return OperatorFeatures(list(families), **options).fit_transform(graphs).to_dict("records")


def counts(graph, paths, kinds):
    return [sum(graph.kinds[v] in kinds for v in path) for path in paths]


BATCHES = st.lists(operator_graphs(), min_size=1, max_size=4)


@given(BATCHES)
@settings(max_examples=20)
def test_statistics_of_paths_are_those_of_all_paths(graphs):
    families = "log_paths", "path_mean", "path_std", "path_min", "path_max", "path_share"
    for graph, row in zip(graphs, ask(graphs, *families), strict=True):
        paths = paths_of(graph)
        assert row["log_paths"] == pytest.approx(math.log1p(len(paths)))
        for name, kinds in SETS.items():
            on = np.array(counts(graph, paths, kinds) or [0])
            expected = on.mean(), on.std(), on.min(), on.max(), (on > 0).mean()
            for family, value in zip(families[1:], expected, strict=True):
                assert row[f"{family}[{name}]"] == pytest.approx(value, abs=1e-6), family


@given(BATCHES)
@settings(max_examples=20)
def test_shortest_and_longest_paths_over_sets_of_groups(graphs):
    rows = ask(graphs, "min_path_len", "max_path_len", "depth")
    for graph, row in zip(graphs, rows, strict=True):
        paths = paths_of(graph)
        longest = max(counts(graph, paths, SETS["any"]), default=0)
        shortest = min(counts(graph, paths, SETS["any"]), default=0)
        assert (row["depth[shortest]"], row["depth[longest]"]) == (shortest, longest)
        assert row["depth[ratio]"] == pytest.approx(shortest / max(longest, 1))
        for size in range(1, len(GROUPS) + 1):
            for names in itertools.combinations(GROUPS, size):
                inside = set().union(*(GROUPS[name] for name in names))
                outside = SETS["any"] - inside
                allowed = [p for p in paths if not counts(graph, [p], outside)[0]]
                lengths = counts(graph, allowed, inside)
                label = "+".join(names)
                assert row[f"min_path_len[{label}]"] == min(lengths, default=longest + 1)
                assert row[f"max_path_len[{label}]"] == max(lengths, default=0)


@given(BATCHES)
@settings(max_examples=20)
def test_counts_and_degrees(graphs):
    families = (
        "op_count", "function_count", "degree", "in_degree", "out_degree",
        "input_degree", "output_degree", "depth",
    )  # fmt: skip
    for graph, row in zip(graphs, ask(graphs, *families), strict=True):
        drawn = graph.to_networkx()
        kinds, into, out_of = (
            nx.get_node_attributes(drawn, "kind"),
            drawn.in_degree,
            drawn.out_degree,
        )
        for name, members in SETS.items():
            assert row[f"op_count[{name}]"] == sum(kind in members for kind in graph.kinds)
        for kind, known in FUNCTIONS.items():
            labels = [graph.labels[v] for v in drawn if kinds[v] == kind]
            for label in known:
                assert row[f"function_count[{label}]"] == labels.count(label)
            others = sum(label not in known for label in labels)
            assert row[f"function_count[other_{kind}]"] == others
        nodes = {end: [v for v in drawn if kinds[v] == end] for end in ("input", "output")}
        assert row["degree[from_input]"] == sum(out_of(v) for v in nodes["input"])
        assert row["degree[to_output]"] == sum(into(v) for v in nodes["output"])
        assert row["degree[mean]"] == pytest.approx(drawn.number_of_edges() / len(drawn))
        assert row["degree[max_in]"] == max(degree for _, degree in into)
        assert row["degree[max_out]"] == max(degree for _, degree in out_of)
        for kind in INNER:
            of_kind = [v for v in drawn if kinds[v] == kind]
            for family, degree in (("in_degree", into), ("out_degree", out_of)):
                mean = np.mean([degree(v) for v in of_kind]) if of_kind else 0
                assert row[f"{family}[{kind}]"] == pytest.approx(mean)
        for family, starts, reverse in (
            ("input_degree", nodes["input"], False), ("output_degree", nodes["output"], True),
        ):  # fmt: skip
            fed = fed_by(drawn.reverse() if reverse else drawn, starts, kinds)
            for name, members in GROUPS.items():
                assert row[f"{family}[{name}]"] == sum(kinds[v] in members for v in fed)


def fed_by(drawn, starts, kinds):
    """Nodes that a walk reaches from the starts, ending where an operator of a group stands."""
    fed, waiting = set(), list(starts)
    while waiting:
        for target in drawn.successors(waiting.pop()):
            if target not in fed:
                fed.add(target)
                if kinds[target] not in SETS["any"]:
                    waiting.append(target)
    return fed


@given(BATCHES)
@settings(max_examples=20)
def test_numbers_over_operators_and_along_paths(graphs):
    families = [name for name, family in FAMILIES.items() if family.columns == "numbers"]
    for graph, row in zip(graphs, ask(graphs, *families), strict=True):
        paths, drawn = paths_of(graph), graph.to_networkx()
        depth = dict.fromkeys(drawn, 0)
        for v in nx.topological_sort(drawn):
            for target in drawn.successors(v):
                depth[target] = max(depth[target], depth[v] + 1)
        for name in NUMBERS:
            value = {v: drawn.nodes[v].get(name, 0) for v in drawn}
            value.update((v, 0) for v in drawn if graph.kinds[v] in ("input", "output"))
            some = {v: x for v, x in value.items() if x > 0}
            sums = [sum(value[v] for v in path) for path in paths] or [0]
            first = min((depth[v] for v in some), default=None)
            last = max((depth[v] for v in some), default=None)
            expected = {
                "log_sum": sum(some.values()),
                "log_mean": np.mean(list(some.values())) if some else 0,
                "log_min": min(some.values(), default=0),
                "log_max": max(some.values(), default=0),
                "log_first": max((x for v, x in some.items() if depth[v] == first), default=0),
                "log_last": max((x for v, x in some.items() if depth[v] == last), default=0),
                "log_path_min": min(sums),
                "log_path_max": max(sums),
                "log_path_mean": np.mean(sums),
            }
            for family, x in expected.items():
                assert row[f"{family}[{name}]"] == pytest.approx(math.log1p(x)), (family, name)


@given(BATCHES)
@settings(max_examples=20)
def test_shares_and_shared_weights(graphs):
    rows = ask(graphs, "parameter_share", "multiply_add_share", "sharing")
    for graph, row in zip(graphs, rows, strict=True):
        for number in ("parameters", "multiply_adds"):
            of_kind = dict.fromkeys(KINDS, 0.0)
            for kind, x in zip(graph.kinds, graph.numbers[number], strict=True):
                of_kind[kind] += 0 if math.isnan(x) else x
            total = sum(of_kind[kind] for kind in INNER) or 1
            for kind in INNER:
                name = f"{number.removesuffix('s')}_share[{kind}]"
                assert row[name] == pytest.approx(of_kind[kind] / total)
        weights = np.nan_to_num(graph.numbers["parameters"])
        distinct = {}
        for v, (group, weight) in enumerate(zip(graph.shared.tolist(), weights, strict=True)):
            key = v + 100 if group < 0 else group
            distinct[key] = max(weight, distinct.get(key, 0))
        assert row["sharing[log_distinct]"] == pytest.approx(math.log1p(sum(distinct.values())))
        readers = weights > 0
        share = (readers & (graph.shared >= 0)).sum() / max(readers.sum(), 1)
        assert row["sharing[operators]"] == pytest.approx(share)
        again = (weights.sum() - sum(distinct.values())) / max(weights.sum(), 1)
        assert row["sharing[parameters]"] == pytest.approx(again)


@given(operator_graphs(), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_features_do_not_depend_on_the_numbering_of_the_nodes(graph, random):
    drawn = nx.DiGraph(graph.edges.tolist())
    drawn.add_nodes_from(range(graph.n_nodes))
    place = {v: random.random() for v in drawn}
    order = list(nx.lexicographical_topological_sort(drawn, key=place.get))
    at = np.argsort(order)
    other = OperatorGraph(
        [graph.kinds[v] for v in order],
        at[graph.edges],
        {name: values[order] for name, values in graph.numbers.items()},
        [graph.labels[v] for v in order],
        graph.shared[order],
    )
    one, two = OperatorFeatures().fit_transform([graph, other]).to_numpy()
    np.testing.assert_allclose(one, two, atol=1e-6)


def residual_network(n_blocks, width=8):
    layers = [Layer("linear", {"parameters": width}, name="x")]
    for _ in range(n_blocks):
        layers += [
            Layer("linear", {"parameters": width}),
            Layer("activation", label="relu"),
            Layer("add", inputs=("", "x"), name="x"),
        ]
    return OperatorGraph.from_layers(layers)


def test_a_network_of_eleven_hundred_blocks_has_paths_that_no_float_counts():
    (row,) = ask([residual_network(1_100)], "log_paths", "path_mean", "path_std", "depth")
    assert row["log_paths"] == pytest.approx(1_100 * math.log(2))  # two ways around each block
    assert row["path_mean[linear]"] == pytest.approx(1 + 1_100 / 2)
    assert row["path_std[linear]"] == pytest.approx(math.sqrt(1_100 / 4))
    assert (row["depth[shortest]"], row["depth[longest]"]) == (1, 1_101)
    assert (row["depth[jumps]"], row["depth[max_jump]"]) == (1_100, 2)


def test_a_batch_gives_what_its_graphs_give_alone():
    graphs = [residual_network(n) for n in (0, 3, 1, 2)]
    features = OperatorFeatures()
    together = features.fit_transform(graphs)
    assert together.equals(pd.concat([features.transform([g]) for g in graphs], ignore_index=True))


def test_chunks_do_not_change_the_features(monkeypatch):
    graphs = [residual_network(n) for n in range(12)]
    whole = OperatorFeatures().fit_transform(graphs)
    monkeypatch.setattr("graf_utils.operators.features._CHUNK", 20)
    pd.testing.assert_frame_equal(whole, OperatorFeatures().fit_transform(graphs))


def test_layers_make_the_graph_that_they_say():
    graph = OperatorGraph.from_layers(
        [
            Layer("embedding", {"parameters": 50}, name="tokens", shared="table"),
            Layer("normalisation", label="layer_norm", name="normed"),
            Layer("attention", {"heads": 2}, inputs=("normed", "normed", "input")),
            Layer("add", inputs=("", "tokens")),
            Layer("linear", {"parameters": 50}, shared="table"),
        ]
    )
    assert graph.edges.tolist() == [
        [0, 1], [1, 2], [0, 3], [2, 3], [2, 3], [1, 4], [3, 4], [4, 5], [5, 6],
    ]  # fmt: skip
    assert graph.shared.tolist() == [-1, 0, -1, -1, -1, 0, -1]
    assert graph.numbers["parameters"].tolist() == [0, 50, 0, 0, 0, 50, 0]
    assert np.isnan(graph.numbers["heads"]).tolist() == [True] * 3 + [False] + [True] * 3
    drawn = graph.to_networkx()
    assert drawn.is_multigraph()
    assert drawn.nodes[2] == {"kind": "normalisation", "label": "layer_norm", "parameters": 0.0,
                              "multiply_adds": 0.0}  # fmt: skip
    (row,) = ask([graph], "sharing")
    assert row["sharing[parameters]"] == 0.5


# --- arguments ------------------------------------------------------------------------------------

CHAIN = ["input", "conv", "output"], [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["input", "convv", "output"], []), "'convv'.*Did you mean"),
        ((["conv", "output"], []), "'input' and 'output' among them"),
        (("input", []), "list of kinds"),
        ((CHAIN[0], [(0, 1), (2, 1)]), r"edges\[1\]=\[2, 1\]: the source must come before"),
        ((CHAIN[0], [(0, 3)]), r"nodes are 0..2"),
        ((["input", "input", "output"], [(0, 1)]), "nothing may enter an input"),
        ((["input", "output", "output"], [(1, 2)]), "nothing may leave an output"),
        ((CHAIN[0], [0, 1]), r"must be \(n_edges, 2\)"),
        ((*CHAIN, {"kernel": [1, 2]}), r"numbers\['kernel'\].*3 finite numbers"),
        ((*CHAIN, {"kernel": [0, -1, 0]}), "from 0"),
        ((*CHAIN, [3]), "must map a name"),
        ((*CHAIN, {}, ["relu"]), "3 texts"),
        ((*CHAIN, {}, (), [0]), "3 whole numbers"),
        ((*CHAIN, {}, (), [0, -2, 0]), "3 whole numbers"),
    ],
)
def test_a_graph_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        OperatorGraph(*arguments)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one Layer"),
        (["conv"], "at least one Layer"),
        ([Layer("conv", inputs=("first",))], "'first', which names no earlier layer"),
        ([Layer("conv", inputs="input")], r"Write inputs=\('input',\)"),
        ([Layer("convv")], "Did you mean 'conv'"),
    ],
)
def test_layers_that_are_none_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        OperatorGraph.from_layers(layers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["paths"]}, "'paths' is unknown"),
        ({"families": []}, "families"),
        ({"families": ["depth", "depth"]}, r"repeats \['depth'\]"),
        ({"groups": {}}, "must map 1 to 8 names"),
        ({"groups": {str(i): ["conv"] for i in range(9)}}, "must map 1 to 8 names"),
        ({"groups": {"a+b": ["conv"]}}, "Rename it"),
        ({"groups": {"linear": ["conv"]}}, "that of a kind"),
        ({"groups": {"a": ["conv"], "b": ["conv"]}}, "is in the group 'a' too"),
        ({"groups": {"a": ["convv"]}}, "Did you mean 'conv'"),
        ({"max_set_size": 0}, "max_set_size"),
        ({"numbers": []}, "numbers"),
    ],
)
def test_wrong_arguments_of_the_features_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        OperatorFeatures(**options).fit([OperatorGraph(*CHAIN)])


@pytest.mark.parametrize("X", [[], ["conv"]])
def test_what_is_no_graph_is_refused(X):
    with pytest.raises(ValueError, match="at least one OperatorGraph"):
        OperatorFeatures().fit(X)


def test_every_column_has_a_meaning_and_redundant_ones_go():
    graphs = [residual_network(n) for n in range(4)]
    features = OperatorFeatures(drop_redundant=True)
    frame = features.fit_transform(graphs)
    said = features.describe()
    assert said["feature"].tolist() == list(frame) == features.get_feature_names_out().tolist()
    assert said["meaning"].str.len().min() > 5
    assert set(said["family"]) <= set(FAMILIES)
    assert frame.shape[1] < len(OperatorFeatures().get_feature_names_out())
    assert not frame.T.duplicated().any()
    with pytest.raises(ValueError, match="left no column"):
        features.fit(graphs[:1])


def test_to_fit_and_transform_computes_the_features_once():
    times = []
    counted = OperatorFamily("n", "a number", ("",), lambda union, asked: _counted(times, union))
    graphs = [residual_network(n) for n in range(3)]
    frame = OperatorFeatures([counted]).fit_transform(graphs)
    assert len(times) == 1
    pd.testing.assert_frame_equal(frame, OperatorFeatures([counted]).fit(graphs).transform(graphs))


def _counted(times, union):
    times.append(union)
    return np.arange(union.n_graphs, dtype=float)[:, None]


def test_a_family_and_groups_of_your_own():
    squares = OperatorFamily(
        "squares", "squared {}", ("nodes",),
        lambda union, asked: union.per_graph(np.add, np.ones((union.n_nodes, 1))) ** 2,
    )  # fmt: skip
    rows = ask(
        [residual_network(1), residual_network(2)],
        squares,
        "max_path_len",
        groups={"w": ["linear"]},
    )
    assert rows == [
        {"squares[nodes]": 36.0, "max_path_len[w]": 2.0},
        {"squares[nodes]": 81.0, "max_path_len[w]": 3.0},
    ]
    wrong = squares._replace(columns=("one", "two"))
    with pytest.raises(ValueError, match="one column per label"):
        ask([residual_network(1)], wrong)
