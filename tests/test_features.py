"""GRAF against the authors' outputs, an independent oracle, and hand-made graphs."""

import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import graf_oracle
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from graf_utils.features import GRAF, graf_families
from graf_utils.graphs import GraphBatch
from graf_utils.redundancy import DistinctColumns, distinct_columns
from graf_utils.spaces import NB201, SearchSpace

SPACE = NB201()
OPS = SPACE.operations


@pytest.fixture(scope="module")
def everything():
    return SPACE.enumerate()


# --- the authors' outputs ---

DEGREES = {
    "in_degree": "input_degree",
    "out_degree": "output_degree",
    "avg_in": "mean_in_degree",
    "avg_out": "mean_out_degree",
}


def our_name(theirs):
    """The name of book/definition.md for a column name of the authors' code."""
    ids = [int(i) for i in re.findall(r"\d+", theirs)]
    if theirs.startswith("op_count_"):
        return f"op_count[{OPS[ids[0]]}]"
    inside = re.findall(r"\d+", re.search(r"\((.*)\)", theirs).group(1))
    group = {int(i) for i in inside}
    if theirs.startswith("min_path_len_banned"):
        family, group = "min_path_len", set(range(5)) - group
    elif theirs.startswith("max_op_on_path_allowed"):
        family = "max_path_len"
    else:
        family = DEGREES[re.search(r"\)_(\w+)$", theirs).group(1)]
    return f"{family}[{'+'.join(OPS[i] for i in sorted(group))}]"


@pytest.mark.parametrize(("variant", "file"), [("paper", "paper"), ("allowed", "main")])
def test_equal_to_the_authors_outputs(golden_dir, variant, file):
    golden = pd.read_parquet(golden_dir / f"{file}_nb201.parquet")
    theirs = golden.drop(columns=["net", "valid"]).rename(columns=our_name)
    if variant == "allowed":  # they code "no path" as -1, we as 0 (golden/README.md)
        theirs = theirs.clip(lower=0)
    graf = GRAF(variant=variant).set_output(transform="pandas")
    ours = graf.transform(golden["net"])
    assert sorted(ours.columns) == sorted(theirs.columns)
    assert len(theirs.columns) == 191
    differing = (ours != theirs[ours.columns].astype(float)).to_numpy().sum()
    assert differing == 0
    np.testing.assert_array_equal(SPACE.is_valid(golden["net"]), golden["valid"])


# --- an independent oracle ---


@pytest.mark.parametrize("variant", ["paper", "allowed"])
def test_equal_to_networkx_on_a_sample(variant):
    cells = SPACE.sample(150, valid_only=False, random_state=3)
    graf = GRAF(variant=variant)
    ours = graf.transform(cells)
    names = graf.get_feature_names_out()
    for cell, row in zip(cells.tolist(), ours, strict=True):
        graph = SPACE.to_networkx(cell)
        expected = graf_oracle(graph, OPS, input=1, output=4, variant=variant)
        assert dict(zip(names, row.tolist(), strict=True)) == expected


@pytest.mark.parametrize("variant", ["paper", "allowed"])
def test_equal_to_brute_force_on_all_cells(everything, variant):
    """All 15,625 cells: the four paths of the cell written out, one subset at a time."""
    routes = [(2,), (0, 4), (1, 5), (0, 3, 5)]
    graf = GRAF(variant=variant)
    ours = dict(zip(graf.get_feature_names_out(), graf.transform(everything).T, strict=True))
    subsets = [c for k in range(1, 6) for c in combinations(range(5), k)]
    for chosen in subsets:
        inside = np.isin(everything, chosen)
        name = "+".join(OPS[o] for o in chosen)
        lengths = [np.where(inside[:, r].all(axis=1), len(r), 99) for r in routes]
        shortest = np.min(lengths, axis=0)
        np.testing.assert_array_equal(
            ours[f"min_path_len[{name}]"], np.where(shortest == 99, 5, shortest)
        )
        if variant == "allowed":
            longest = np.max([np.where(x == 99, 0, x) for x in lengths], axis=0)
        else:
            counts = np.stack([inside[:, r].sum(axis=1) for r in routes])
            weights = np.array([[len(r)] for r in routes]) - 2 * counts
            longest = np.where(weights == weights.min(axis=0), counts, 99).min(axis=0)
        np.testing.assert_array_equal(ours[f"max_path_len[{name}]"], longest)
        for family, slots in (("input_degree", [0, 1, 2]), ("output_degree", [2, 4, 5])):
            np.testing.assert_array_equal(ours[f"{family}[{name}]"], inside[:, slots].sum(axis=1))
        for family in ("mean_in_degree", "mean_out_degree"):
            np.testing.assert_array_equal(ours[f"{family}[{name}]"], inside.sum(axis=1) / 4)
    for op, name in enumerate(OPS):
        np.testing.assert_array_equal(ours[f"op_count[{name}]"], (everything == op).sum(axis=1))


class AnySpace(NB201):
    """A space with three operations, for graphs of any shape."""

    name = "any"
    operations = ("a", "b", "c")


@st.composite
def batches(draw):
    n_nodes = draw(st.integers(2, 7))
    pairs = list(combinations(range(n_nodes), 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    labels = st.lists(st.integers(-1, 2), min_size=len(edges), max_size=len(edges))
    return GraphBatch(
        AnySpace.operations,
        n_nodes,
        np.array(edges),
        draw(st.lists(labels, min_size=1, max_size=3)),
    )


@settings(max_examples=150)
@given(batches(), st.sampled_from(["paper", "allowed"]))
def test_equal_to_networkx_on_any_graph(batch, variant):
    """Absent edges, unreachable outputs, slots in any order, 2 to 7 nodes."""
    graf = GRAF(AnySpace(), variant=variant)
    ours, names = graf.transform(batch), graf.get_feature_names_out()
    for row in range(len(batch)):
        expected = graf_oracle(
            batch.to_networkx(row),
            batch.operations,
            input=0,
            output=batch.n_nodes - 1,
            variant=variant,
        )
        assert dict(zip(names, ours[row].tolist(), strict=True)) == expected


# --- worked examples, as in book/definition.md ---


def value(cell, name, variant="paper"):
    graf = GRAF(variant=variant)
    (row,) = graf.transform([cell])
    return dict(zip(graf.get_feature_names_out(), row, strict=True))[name]


@pytest.mark.parametrize(
    ("cell", "name", "paper", "allowed"),
    [
        ((4, 0, 3, 1, 4, 3), "min_path_len[skip_connect+none]", 5, 5),
        ((4, 0, 3, 1, 4, 3), "min_path_len[nor_conv_3x3+nor_conv_1x1+avg_pool_3x3]", 1, 1),
        ((4, 0, 3, 1, 4, 3), "min_path_len[avg_pool_3x3]", 2, 2),
        ((4, 0, 3, 1, 4, 3), "max_path_len[nor_conv_3x3]", 0, 0),
        ((4, 0, 3, 1, 4, 3), "max_path_len[nor_conv_1x1+avg_pool_3x3]", 2, 2),
        ((4, 0, 3, 1, 4, 3), "max_path_len[skip_connect+nor_conv_3x3]", 1, 0),
        ((4, 0, 3, 1, 4, 3), "output_degree[nor_conv_1x1]", 2, 2),
        ((4, 0, 3, 1, 4, 3), "mean_in_degree[nor_conv_1x1]", 0.5, 0.5),
        ((2, 1, 0, 1, 0, 2), "max_path_len[nor_conv_3x3]", 2, 0),
        ((2, 1, 0, 1, 0, 2), "max_path_len[skip_connect+nor_conv_3x3]", 2, 2),
        ((2, 0, 2, 2, 1, 3), "max_path_len[nor_conv_3x3]", 1, 1),
    ],
)
def test_worked_examples(cell, name, paper, allowed):
    assert value(cell, name) == paper
    assert value(cell, name, "allowed") == allowed


# --- the feature matrix of the whole space ---


def test_columns_of_the_whole_space(everything):
    features = GRAF().transform(everything)
    assert features.shape == (15_625, 191)
    assert features.dtype == np.float64
    assert len(np.unique(features, axis=1).T) == 158
    assert (features == features[0]).all(axis=0).sum() == 6
    assert np.linalg.matrix_rank(np.column_stack([np.ones(len(features)), features])) == 73


@pytest.mark.parametrize(("variant", "pairs"), [("paper", 194), ("allowed", 290)])
def test_some_valid_cells_share_their_row(everything, variant, pairs):
    valid = everything[SPACE.is_valid(everything)]
    _, repeats = np.unique(GRAF(variant=variant).transform(valid), axis=0, return_counts=True)
    assert repeats.max() == 2
    assert (repeats == 2).sum() == pairs


def test_drop_redundant_keeps_what_differs(everything):
    valid = everything[SPACE.is_valid(everything)]
    graf = GRAF(drop_redundant=True).fit(valid)
    kept = graf.transform(valid)
    assert kept.shape == (9_445, 155) == (9_445, len(graf.get_feature_names_out()))
    assert len(np.unique(kept, axis=1).T) == 155
    assert not (kept == kept[0]).all(axis=0).any()
    assert graf.transform(everything[:3]).shape == (3, 155)
    full = GRAF().transform(valid)
    assert {c.tobytes() for c in full.T if (c != c[0]).any()} == {c.tobytes() for c in kept.T}
    np.testing.assert_array_equal(full[:, distinct_columns(full)], kept)


def test_variants_agree_where_a_path_inside_exists(everything):
    family = {"families": ["max_path_len"]}
    paper = GRAF(**family).transform(everything)
    allowed = GRAF(variant="allowed", **family).transform(everything)
    assert (paper == allowed)[allowed > 0].all()
    assert (paper != allowed).any()


# --- a scikit-learn transformer ---


def test_names_are_in_the_order_of_the_specification():
    names = list(GRAF().get_feature_names_out())
    assert names[:6] == [f"op_count[{op}]" for op in OPS] + ["min_path_len[skip_connect]"]
    assert names[10] == "min_path_len[skip_connect+none]"
    assert names[-1] == "mean_out_degree[" + "+".join(OPS) + "]"
    assert list(dict.fromkeys(n.split("[")[0] for n in names)) == list(graf_families(SPACE))


def test_families_and_operations_choose_columns(everything):
    whole = GRAF().set_output(transform="pandas").transform(everything[:500])
    convs = ["nor_conv_1x1", "nor_conv_3x3"]
    part = GRAF(families=["max_path_len", "op_count"], operations=convs)
    part.set_output(transform="pandas")
    chosen = part.transform(everything[:500])
    assert list(chosen.columns) == [
        "op_count[nor_conv_3x3]",
        "op_count[nor_conv_1x1]",
        "max_path_len[nor_conv_3x3]",
        "max_path_len[nor_conv_1x1]",
        "max_path_len[nor_conv_3x3+nor_conv_1x1]",
    ]
    pd.testing.assert_frame_equal(chosen, whole[chosen.columns])


def test_clone_pipeline_and_dtype(everything):
    graf = GRAF(variant="allowed", families=["op_count"], dtype=np.float32)
    assert clone(graf).get_params() == graf.get_params()
    assert graf.transform(everything[:2]).dtype == np.float32
    model = make_pipeline(GRAF(drop_redundant=True), RandomForestRegressor(5, random_state=0))
    target = (everything[:200] == 2).sum(axis=1)
    assert model.fit(everything[:200], target).score(everything[:200], target) > 0.9


def test_a_single_architecture_and_strings_and_batches_agree(everything):
    batch = SPACE.graph_batch(everything[:10])[""]
    expected = GRAF().transform(everything[:10])
    np.testing.assert_array_equal(GRAF().transform(batch), expected)
    strings = [SPACE.to_string(c) for c in everything[:10].tolist()]
    np.testing.assert_array_equal(GRAF().transform(strings), expected)
    np.testing.assert_array_equal(GRAF().transform(batch[3:4]), expected[3:4])


BAD = {
    "variant": (
        lambda: GRAF(variant="textbook").transform([(0,) * 6]),
        ["'textbook'", "'allowed'"],
    ),
    "family": (
        lambda: GRAF(families=["min_path"]).transform([(0,) * 6]),
        ["min_path", "Did you mean 'min_path_len'"],
    ),
    "no family": (lambda: GRAF(families=[]).transform([(0,) * 6]), ["families=[]", "at least one"]),
    "family as text": (
        lambda: GRAF(families="op_count").transform([(0,) * 6]),
        ["Write families=['op_count']"],
    ),
    "operation": (
        lambda: GRAF(operations=["conv_3x3"]).transform([(0,) * 6]),
        ["conv_3x3", "Did you mean 'nor_conv_3x3'"],
    ),
    "operations as number": (
        lambda: GRAF(operations=3).transform([(0,) * 6]),
        ["operations=3", "list of names"],
    ),
    "space": (lambda: GRAF("nb301x").transform([(0,) * 6]), ["'nb301x'", "nb201"]),
    "one architecture": (lambda: GRAF().transform((0,) * 6), ["one architecture"]),
    "constant fit": (
        lambda: GRAF(drop_redundant=True).fit([(0,) * 6, (0,) * 6]),
        ["no column", "architectures that differ"],
    ),
    "foreign batch": (
        lambda: GRAF().transform(GraphBatch(("a",), 2, [(0, 1)], [[0]])),
        ["('a',)", "Pass the batch's own space"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_arguments_are_named(what):
    must_name(*BAD[what])


def test_drop_redundant_needs_fit():
    with pytest.raises(NotFittedError):
        GRAF(drop_redundant=True).transform([(0,) * 6])


def test_a_space_is_a_space():
    assert isinstance(AnySpace(), SearchSpace)


@parametrize_with_checks([DistinctColumns()])
def test_distinct_columns_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)
