"""Flow features against a list of all paths (`oracle.py`), and what they must not depend on.

    python tests/test_flow.py 10000

compares so many random architectures, over all spaces, and all of NAS-Bench-201.
"""

from __future__ import annotations

import sys
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import flow_oracle

from graf_utils.encodings import encode
from graf_utils.features import Flow, flow, path_counts
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.spaces import DARTS, NB101, NB201, CellSpace, TNB101Macro, TNB101Micro
from graf_utils.table import Table

OPS = ["none", "skip_connect", "conv3", "conv5", "pool"]
NODES = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (3, 4)]
SPACES = {
    "nb201": NB201(),
    "nb101": NB101(),
    "darts": DARTS(),
    "tnb101-micro": TNB101Micro(),
    "tnb101-macro": TNB101Macro(),
    "nodes": CellSpace(OPS, NODES, ops_on="nodes"),
    "wide": CellSpace(OPS[1:], list(combinations(range(5), 2))),
    "chain": CellSpace(OPS, list(pairwise(range(12)))),
}  # fmt: skip


def sets_of(space):
    """Each operation that is alive, and the groups of the space."""
    single = {op: [op] for op in space.operations if op not in ("none", *space.free)}
    return single | dict(space.groups)


def draw(space, n, seed):
    """Random codes, invalid ones as well where the space can draw them."""
    if space.name in ("nb101", "darts", "tnb101-macro"):
        return space.sample(n, random_state=seed, **({"replace": True} if n > 3000 else {}))
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(space.operations), (n, space.code_length))


def disagreements(space, codes):
    """Number of features that differ from the oracle's, and of features compared."""
    features = Flow(space).set_output(transform="pandas").fit_transform(codes)
    sets, wrong, compared = sets_of(space), 0, 0
    for cell, batch in space.graph_batch(codes).items():
        prefix = f"{cell}." if cell else ""
        own = features[[name for name in features if name.startswith(prefix)]]
        longest = max(
            int(name.split("flow_n")[1].split("[")[0]) for name in own if "flow_n" in name
        )
        expected = pd.DataFrame(
            [flow_oracle(batch, row, sets, longest=longest) for row in range(len(batch))]
        ).add_prefix(prefix)
        assert list(expected) == list(own)
        wrong += int((~np.isclose(own, expected, rtol=1e-12, atol=1e-12)).sum())
        compared += expected.size
    return wrong, compared


@pytest.mark.parametrize("name", SPACES)
def test_flow_equals_a_list_of_all_paths(name):
    wrong, compared = disagreements(SPACES[name], draw(SPACES[name], 60, seed=1))
    assert wrong == 0
    assert compared > 1000


@st.composite
def cell_spaces(draw):
    """A random wiring in which every node lies on a path, and some codes."""
    n_nodes = draw(st.integers(3, 6))
    pairs = list(combinations(range(n_nodes), 2))
    extra = draw(st.sets(st.sampled_from(pairs)))
    edges = sorted(set(pairwise(range(n_nodes))) | extra)
    order = draw(st.permutations(edges))
    space = CellSpace(OPS, order, ops_on=draw(st.sampled_from(["edges", "nodes"])))
    row = st.lists(st.integers(0, 4), min_size=space.code_length, max_size=space.code_length)
    return space, draw(st.lists(row, min_size=1, max_size=4))


@settings(max_examples=60)
@given(cell_spaces())
def test_flow_of_any_cell_space_equals_a_list_of_all_paths(case):
    space, codes = case
    wrong, _ = disagreements(space, np.array(codes))
    assert wrong == 0


def test_the_sweep_and_the_table_of_patterns_agree():
    (batch,) = NB201().graph_batch(NB201().enumerate()).values()
    inside = np.array([[op in ("nor_conv_3x3", "skip_connect") for op in batch.operations]])
    swept, looked_up = (
        compute(batch, inside, flow.STATISTICS) for compute in (flow._swept, flow._looked_up)
    )
    np.testing.assert_array_equal(swept[0], looked_up[0])
    np.testing.assert_array_equal(swept[1], looked_up[1])


def test_a_chain_of_any_length_is_one_path():
    """Codes of short chains are padded; what is there leads from the input to the end."""
    space = TNB101Macro()
    codes = space.enumerate()
    flows = Flow(space).set_output(transform="pandas").fit_transform(codes)
    assert (flows["live_paths"] == 1).all()
    for group in ("doubling", "striding"):
        layers = [space.operations.index(op) + 1 for op in space.groups[group]]
        expected = np.isin(codes, layers).sum(axis=1)
        for statistic in ("sum", "mean", "min", "max"):
            np.testing.assert_array_equal(flows[f"flow_{statistic}[{group}]"], expected)


# --- what flow must not depend on -----------------------------------------------------------------


def test_dead_edges_do_not_matter():
    codes = NB201().enumerate()
    np.testing.assert_array_equal(
        Flow().transform(codes), Flow().transform(NB201().prune(codes))
    )  # fmt: skip


@pytest.mark.parametrize("space", [NB201(), TNB101Micro()], ids=lambda space: space.name)
def test_cells_that_compute_the_same_function_have_the_same_flow_without_skip(space):
    codes = space.enumerate()
    classes = space.classes(codes, zeros="dropped")
    features = Flow(space).set_output(transform="pandas").fit_transform(codes)
    without = [name for name in features if "skip_connect" not in name]
    spread = features[without].groupby(classes).nunique()
    assert (spread == 1).all(axis=None)
    assert (features.groupby(classes).nunique() > 1).any(axis=None)  # skip tells them apart


@settings(max_examples=30)
@given(st.permutations(range(1, 4)), st.integers(0, 2**32 - 1))
def test_relabelled_nodes_do_not_matter(order, seed):
    """The four inner nodes of a graph without edges between some of them, in any order."""
    wiring = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (0, 4)]
    rename = {0: 0, 4: 4} | dict(zip(range(1, 4), order, strict=True))
    renamed = [(rename[u], rename[v]) for u, v in wiring]
    codes = np.random.default_rng(seed).integers(0, 5, (5, 7))
    one, other = (
        Flow(CellSpace(OPS, edges)).transform(codes) for edges in (wiring, renamed)
    )  # fmt: skip
    np.testing.assert_array_equal(one, other)


def test_isomorphic_cells_of_nb101_have_the_same_flow():
    ops = ["input", "conv3x3-bn-relu", "maxpool3x3", "conv1x1-bn-relu", "output"]
    matrix = np.zeros((5, 5), dtype=int)
    for u, v in [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (1, 3)]:
        matrix[u, v] = 1
    order = [0, 2, 1, 3, 4]
    space = NB101()
    cells = [
        space.from_matrix(matrix.tolist(), ops),
        space.from_matrix(matrix[np.ix_(order, order)].tolist(), [ops[i] for i in order]),
    ]
    one, other = Flow(space).transform(cells)
    np.testing.assert_array_equal(one, other)


def test_the_order_of_the_inputs_does_not_matter():
    space = DARTS()
    codes = space.sample(40, random_state=3)
    swapped = codes.copy()
    sources = swapped[:, ::2]  # a code holds pairs (source, operation)
    sources[...] = np.where(sources < 2, 1 - sources, sources)
    np.testing.assert_array_equal(Flow(space).transform(codes), Flow(space).transform(swapped))


@pytest.mark.parametrize("chunk_size", [1, 7, 64])
def test_chunks_do_not_matter(chunk_size):
    space = NB101()
    codes = space.sample(64, random_state=0)
    expected = Flow(space).transform(codes)
    parted = Flow(space, chunk_size=chunk_size)
    np.testing.assert_array_equal(expected, parted.transform(codes))
    rows = np.concatenate([part for _, part in parted.transform_chunks(codes)])
    np.testing.assert_array_equal(expected, rows)


# --- choices, types and names ---------------------------------------------------------------------


def test_a_choice_of_statistics_and_sets_gives_the_same_columns():
    codes = NB201().enumerate()[::50]
    every = Flow().set_output(transform="pandas").fit_transform(codes)
    some = Flow(sets={"conv": NB201.groups["conv"]}, statistics=["max", "mean"])
    some = some.set_output(transform="pandas").fit_transform(codes)
    assert list(some) == ["live_paths", "flow_mean[conv]", "flow_max[conv]"]
    pd.testing.assert_frame_equal(some, every[list(some)])


@pytest.mark.parametrize("space", [NB201(), NB101()], ids=lambda space: space.name)
@pytest.mark.parametrize("statistic", flow.STATISTICS)
def test_each_statistic_by_itself(space, statistic):
    codes = space.sample(30, random_state=0)
    every = Flow(space).set_output(transform="pandas").fit_transform(codes)
    alone = Flow(space, statistics=[statistic]).set_output(transform="pandas").fit_transform(codes)
    pd.testing.assert_frame_equal(alone, every[list(alone)])


def test_integer_types_are_exact_or_refused():
    codes = NB201().enumerate()[::50]
    whole = Flow(statistics=["sum", "histogram"], dtype=np.int16)
    assert whole.transform(codes).dtype == np.int16
    with pytest.raises(ValueError, match="cannot hold mean and std"):
        Flow(dtype=np.int16).transform(codes)


def test_paths_that_no_integer_can_count_are_counted_as_floats():
    """A cell in which all of n nodes are joined has 2^(n - 2) paths."""
    space = CellSpace(["a", "b"], list(combinations(range(70), 2)))
    features = Flow(space, statistics=["min", "max", "mean"]).set_output(transform="pandas")
    row = features.fit_transform(np.zeros((1, space.code_length), dtype=int)).iloc[0]
    assert row["live_paths"] == 2.0**68
    assert row["flow_mean[a]"] == pytest.approx(1 + 68 / 2, rel=1e-12)
    assert (row["flow_min[a]"], row["flow_max[a]"], row["flow_max[b]"]) == (1, 69, 0)


def test_a_histogram_ends_at_eight():
    space = SPACES["chain"]
    names = Flow(space).get_feature_names_out().tolist()
    assert "flow_n8[pool]" in names
    assert "flow_n9[pool]" not in names


def test_flow_is_an_encoding_and_graf_stays_as_it_is():
    codes = NB201().enumerate()[::20]
    table = Table("t", "own", NB201(), codes, {"y": np.arange(len(codes), dtype=float)})
    both = encode(table, "flow+graf")
    np.testing.assert_array_equal(both.iloc[:, :191], encode(table, "graf"))
    np.testing.assert_array_equal(both.iloc[:, 191:], Flow().transform(codes))
    assert "live_paths" in both


def test_a_graph_batch_is_taken_as_it_is():
    batch = GraphBatch(("a",), 3, [(0, 1), (1, 2), (0, 2)], [[0, 0, ABSENT], [0, 0, 0]])
    counts = path_counts(batch, np.array([[True]]))
    assert counts[:, 0].T.tolist() == [[0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": {}}, "at least one name"),
        ({"sets": ["nor_conv_3x3"]}, "at least one name"),
        ({"sets": {"x": "nor_conv_3x3"}}, "not a list of operations"),
        ({"sets": {"x": []}}, "not a list of operations"),
        ({"sets": {"x": ["nor_conv_3"]}}, "Did you mean 'nor_conv_3x3'"),
        ({"sets": {"x[": ["nor_conv_3x3"]}}, "another name"),
        ({"statistics": "mean"}, "statistics=\\['mean'\\]"),
        ({"statistics": []}, "not a list"),
        ({"statistics": ["median"]}, "'median' is unknown"),
        ({"dtype": "text"}, "no type of real numbers"),
        ({"chunk_size": 0}, "whole number from 1"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Flow(**options).transform([(2, 0, 2, 1, 2, 3)])


def test_a_group_of_a_space_must_name_its_operations():
    space = CellSpace(OPS, NODES)
    space.groups = {"wide": ("conv3", "conv7")}
    with pytest.raises(ValueError, match="sets\\['wide'\\].*'conv7' is no operation"):
        Flow(space).get_feature_names_out()


def test_a_dead_label_must_be_an_operation():
    with pytest.raises(ValueError, match="dead=\\('none',\\) must be a tuple of some"):
        GraphBatch(("a",), 2, [(0, 1)], [[0]], dead=("none",))
    with pytest.raises(ValueError, match="dead='none'"):
        GraphBatch(("none",), 2, [(0, 1)], [[0]], dead="none")


def test_ends_must_be_a_node_per_graph():
    for ends in ([2], [0, 1], [[1]]):
        with pytest.raises(ValueError, match="one node of 0..1 for each of 1 graphs"):
            GraphBatch(("a",), 2, [(0, 1)], [[0]], ends=ends)
    batch = GraphBatch(("a",), 3, [(0, 1), (1, 2)], [[0, 0], [0, ABSENT]], ends=[2, 1])
    assert batch[1:].ends.tolist() == [1]
    assert path_counts(batch, np.array([[True]]))[:, 0].T.tolist() == [[0, 0, 1], [0, 1, 0]]


def main(n_draws):
    """Compare so many architectures of all spaces, and NAS-Bench-201 as a whole."""
    per_space = -(-n_draws // len(SPACES))
    for name, space in SPACES.items():
        print(name, per_space, "architectures:", *disagreements(space, draw(space, per_space, 7)))
    print("all of nb201:", *disagreements(NB201(), NB201().enumerate()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
