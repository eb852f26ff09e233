"""Candidate features against lists of paths and networkx, and the recipe that judges them."""

from __future__ import annotations

import itertools
import re
import sys
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from oracle import live_paths
from recipes import load_recipe
from sklearn.linear_model import Ridge

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.features import GRAF, Flow
from graf_utils.results import provenance_of
from graf_utils.spaces import NB101, NB201, CellSpace, TNB101Micro

recipe = load_recipe("candidate_results")

OPS = ["pool_5x5", "none", "nor_conv_3x3", "skip_connect"]
SPACES = {
    "nb201": NB201(),
    "tnb101-micro": TNB101Micro(),
    "nb101": NB101(),
    "five nodes": CellSpace(OPS, list(combinations(range(5), 2))),
}


# --- oracles: one path after the other ------------------------------------------------------------


def read(batch, graph, path):
    """Operations along a path, without skip connections and labels that only close it."""
    if batch.node_ops is None:
        labels = [graph.edges[edge]["op"] for edge in pairwise(path)]
    else:
        labels = [graph.nodes[node]["op"] for node in path[1:]]
    return tuple(label for label in labels if label not in ("skip_connect", *batch.free))


def width(label):
    return next((int(k) - 1 for k in ("3", "5") if f"{k}x{k}" in label), 0)


def mean(values):
    return sum(values) / len(values) if values else 0


def stands_ahead(path, label):
    return any(a == label and b != label for a, b in combinations(path, 2))


def oracle(batch, row):
    """All candidates of one graph, as a dict name -> value."""
    graph = batch.to_networkx(row)
    nodes = list(live_paths(graph, batch, row))
    paths = [read(batch, graph, path) for path in nodes]
    weights = [0.5 ** len(path) for path in paths]
    depth = sum(w * len(path) for w, path in zip(weights, paths, strict=True))
    widths = [sum(map(width, path)) for path in paths]
    over = [edge for path in nodes for edge in pairwise(path)]
    features = {
        "distinct_paths": len(set(paths)),
        "gradient_flow[weight]": sum(weights),
        "gradient_flow[depth]": depth / sum(weights) if weights else 0,
        "receptive_field[largest]": max(widths, default=0),
        "receptive_field[mean]": mean(widths),
        "bottleneck[min_cut]": min_cut(batch, graph),
        "bottleneck[busiest_edge]": max(map(over.count, over), default=0) / max(len(paths), 1),
    }
    spectrum = nx.laplacian_spectrum(nx.Graph(over)) if over else [0, 0]
    features["spectrum[connectivity]"], features["spectrum[largest]"] = spectrum[1], spectrum[-1]
    for label in batch.operations:
        features[f"order[{label}]"] = mean([stands_ahead(path, label) for path in paths])
    for i, j in itertools.product(range(4), repeat=2):
        pairs = [(p.count("nor_conv_3x3"), p.count("nor_conv_1x1")) for p in paths]
        features[f"kernel_pairs[{i}+{j}]"] = pairs.count((i, j))
    return features


def min_cut(batch, graph):
    """Size of the smallest set of live edges without which nothing reaches the output."""
    live = nx.DiGraph((u, v) for u, v, op in graph.edges(data="op") if op not in batch.dead)
    (start,), end = batch.inputs, batch.output
    if start not in live or end not in live or not nx.has_path(live, start, end):
        return 0
    return len(nx.minimum_edge_cut(live, start, end))


@pytest.mark.parametrize("name", SPACES)
def test_candidates_equal_a_list_of_all_paths(name):
    space = SPACES[name]
    if name == "nb101":
        codes = space.sample(40, random_state=2)
    else:
        random = np.random.default_rng(2)
        codes = random.integers(0, len(space.operations), (60, space.code_length))
    candidates = list(recipe.CANDIDATES.values())
    features = GRAF(space, families=candidates).set_output(transform="pandas").fit_transform(codes)
    (batch,) = space.graph_batch(codes).values()
    expected = pd.DataFrame([oracle(batch, row) for row in range(len(batch))])
    np.testing.assert_allclose(features, expected[list(features)], rtol=1e-9, atol=1e-9)
    assert len({column.split("[")[0] for column in features}) == len(recipe.CANDIDATES)
    if name != "nb101":  # each of whose cells has a path
        assert (features["distinct_paths"] == 0).any()
    assert features["spectrum[connectivity]"].nunique() > 3


def test_a_cell_by_hand():
    """Input to node 2 by 3x3, on to the output by 1x1; a skip beside them; and a dead end."""
    (batch,) = NB201().graph_batch([(2, 4, 0, 1, 3, 1)]).values()
    listed, counts = recipe.sequences(batch)
    found = {listed[i]: counts[i, 0] for i in np.flatnonzero(counts[:, 0])}
    assert found == {(): 1, ("nor_conv_3x3", "nor_conv_1x1"): 1}
    assert len(listed) == 40
    np.testing.assert_allclose(recipe.gradient_flow(batch), [[1.25, 0.4]])
    np.testing.assert_allclose(recipe.receptive_field(batch), [[2, 1]])
    np.testing.assert_allclose(recipe.bottleneck(batch), [[2, 0.5]])
    np.testing.assert_allclose(recipe.spectrum(batch), [[3, 3]])  # a triangle


def test_a_candidate_adds_its_columns_to_the_baseline():
    table = load_table("nb201-cifar10", "embedded").subset(slice(0, 300))
    baseline = encode(table, recipe.BASELINE)
    both = recipe.with_candidate(table, "order")
    pd.testing.assert_frame_equal(both[list(baseline)], baseline)
    added = list(both)[baseline.shape[1] :]
    assert added == [f"order[{op}]" for op in ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")]


@pytest.mark.parametrize("name", ["nb201", "tnb101-micro"])
def test_the_receptive_field_is_flow_again(name):
    """As its docstring says of both spaces: a reader of the verdict has to know."""
    space = SPACES[name]
    codes = space.enumerate()[::7]
    (batch,) = space.graph_batch(codes).values()
    wide = [op for op in space.operations if op.endswith("3x3")]
    flow = Flow(space, sets={"wide": wide}, statistics=["mean", "max"])
    flow = flow.set_output(transform="pandas").fit_transform(codes)
    field = recipe.receptive_field(batch)
    np.testing.assert_allclose(field, 2 * flow[["flow_max[wide]", "flow_mean[wide]"]])


# --- the recipe -----------------------------------------------------------------------------------


def test_the_recipe_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    """A name for the predictor on the command line; seeds are added, and none is fitted twice."""
    small = load_table("nb201-cifar10", "embedded").subset(slice(0, 200))
    monkeypatch.setattr(recipe, "load_table", lambda name, source: small)
    monkeypatch.setattr(recipe, "TABLES", ("nb201-cifar10",))
    monkeypatch.setattr(recipe, "TRAIN_SIZES", (16, 32))
    monkeypatch.setattr(recipe, "CANDIDATES", {"order": recipe.order})
    monkeypatch.setitem(recipe.PREDICTORS, "straight", Ridge)
    file, cache = tmp_path / "r.parquet", tmp_path / "cache"
    command = ["recipe", "--predictor", "straight", "--cache", str(cache), "--output", str(file)]
    sizes = []
    for n in (2, 4, 4):
        monkeypatch.setattr(sys, "argv", [*command, "--seeds", str(n)])
        recipe.main()
        sizes.append(len(list(cache.rglob("*.json"))))
    rows = pd.read_parquet(file)
    targets = len(small.targets.columns)
    assert sizes == [2 * 2 * 2 * targets, *[2 * 2 * 4 * targets] * 2]
    assert len(rows) == sizes[-1]
    assert not rows.duplicated(recipe.FIT).any()
    assert set(rows["encoding"]) == {"graf+flow", "graf+flow+order"}
    assert set(rows["data_seed"]) == {1000, 1001, 1002, 1003}
    (run, *_) = provenance_of(file)["runs"]
    assert run["recipe"] == "data/recipes/candidate_results.py"
    assert run["processor"]
    assert re.search(r"graf\+flow\+order .*(kept|failed)", capsys.readouterr().out)


def test_each_candidate_has_its_place_in_the_plan():
    assert recipe.PREDICTOR in recipe.PREDICTORS
    assert recipe.SEEDS == tuple(range(1000, 1050))
    assert recipe.ROUNDS[-1] == len(recipe.SEEDS)
    assert recipe.TRAIN_SIZES == (32, 128, 1024)
