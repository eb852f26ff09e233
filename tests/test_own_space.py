"""A space and features of one's own: NAS-Bench-Macro, as the book shows it."""

import json
from pathlib import Path

import numpy
import pytest
from bad_input import must_name

from graf_utils.features import GRAF, feature_family
from graf_utils.spaces import CellSpace

ROOT = Path(__file__).resolve().parent.parent


def test_nas_bench_macro_by_the_cell_of_the_page():
    """The chapter's own cell, run here: at most 30 lines from nothing to features."""
    page = json.loads((ROOT / "notebooks" / "04_search_spaces.ipynb").read_text(encoding="utf8"))
    (cell,) = [c for c in page["cells"] if "own-space" in c["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    assert len(source.splitlines()) <= 30
    names = {}
    exec(compile(source, "04_search_spaces.ipynb", "exec"), names)
    features, cells = names["own"], names["chain"].enumerate().tolist()
    assert features.shape == (6_561, 3 + 7 + 3)
    assert list(features.columns[-3:]) == ["stage_count[1]", "stage_count[2]", "stage_count[3]"]
    row = features.iloc[cells.index([0, 2, 0, 1, 2, 1, 0, 0])]
    assert row["op_count[identity]"] == 4
    assert row["max_path_len[mb3_k3+mb6_k5]"] == 4
    assert row.iloc[-3:].tolist() == [1, 2, 1]


def test_the_tables_keys_are_architectures_of_the_space(paper_dir):
    (file,) = paper_dir.glob("xiusu/NAS-Bench-Macro/*/data/nas-bench-macro_cifar10.json")
    space = CellSpace(["i", "k3", "k5"], edges=[(i, i + 1) for i in range(8)])
    codes = space.to_codes(
        [tuple(map(int, key)) for key in json.loads(file.read_text(encoding="utf8"))]
    )
    assert len(numpy.unique(codes, axis=0)) == 6_561


def test_a_family_is_computed_only_where_it_is_named():
    def first_op(batch):
        return batch.edge_ops[:, 0]

    assert GRAF().transform([(4, 0, 3, 1, 4, 3)]).shape == (1, 191)
    graf = GRAF(families=[first_op, "op_count"])
    assert list(graf.get_feature_names_out())[-1] == "first_op"
    assert graf.transform([(4, 0, 3, 1, 4, 3)]).tolist() == [[1, 1, 0, 2, 2, 4]]
    darts = GRAF("darts", families={"first_op": first_op})
    assert list(darts.get_feature_names_out()) == ["normal.first_op", "reduce.first_op"]


def test_a_family_over_subsets_gets_them_as_rows():
    @feature_family("subsets")
    def touches(batch, inside):
        return inside.T[batch.edge_ops].any(axis=1)

    graf = GRAF(families=[touches, "op_count"], operations=["none", "skip_connect"])
    assert list(graf.get_feature_names_out())[2:] == [
        "touches[skip_connect]",
        "touches[none]",
        "touches[skip_connect+none]",
    ]
    assert graf.transform([(4, 0, 4, 4, 4, 4)]).tolist() == [[1, 0, 1, 0, 1]]


def test_a_wiring_by_its_matrix_with_operations_on_nodes():
    matrix = [[0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    space = CellSpace(["conv", "pool"], adjacency=matrix, ops_on="nodes")
    assert space.enumerate().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    graf = GRAF(space).set_output(transform="pandas")
    row = graf.transform([(0, 1)]).iloc[0]
    assert row["op_count[conv]"] == row["min_path_len[pool]"] == 1
    assert row["max_path_len[conv+pool]"] == 2
    assert space.from_networkx(space.to_networkx((0, 1))) == (0, 1)


def families(chosen, space="nb201"):
    GRAF(space, families=chosen).transform([(0,) * 6])


EDGES = [(0, 1), (1, 2)]
BAD = {
    "name taken": (lambda: families({"op_count": len}), ["'op_count'", "Give it another"]),
    "name with a bracket": (lambda: families({"a[b]": len}), ["'a[b]'", "without"]),
    "a function without a name": (
        lambda: families([lambda batch: batch.edge_ops[:, 0]]),
        ["'<lambda>'", "families={'my_name': function}"],
    ),
    "neither name nor function": (lambda: families(["op_count", 3]), ["3", "int", "function of"]),
    "a name alone": (lambda: families("op_count"), ["families=['op_count']"]),
    "a family twice": (lambda: families(["op_count", "op_count"]), ["repeats ['op_count']"]),
    "columns as text": (lambda: feature_family("depth"), ["'depth'", "columns=['depth']"]),
    "column twice": (lambda: feature_family(["a", "a"]), ["each once"]),
    "result of another shape": (
        lambda: families({"wrong_shape": lambda batch: numpy.zeros(3)}),
        ["wrong_shape", "(3,)", "(1, 1)", "one row per graph"],
    ),
    "family of another space": (lambda: families(["strides"]), ["'stride'", "Leave it out"]),
    "no wiring": (lambda: CellSpace(["a"]), ["edges=", "adjacency="]),
    "two wirings": (lambda: CellSpace(["a"], EDGES, adjacency=[[0]]), ["one of them"]),
    "no edges": (lambda: CellSpace(["a"], []), ["empty", "at least one edge"]),
    "backward edge": (lambda: CellSpace(["a"], [(0, 1), (2, 1)]), ["(2, 1)", "no cycles"]),
    "loop": (lambda: CellSpace(["a"], [(0, 0)]), ["(0, 0)", "topological"]),
    "not a pair": (lambda: CellSpace(["a"], [(0, 1, 2)]), ["(0, 1, 2)", "pair"]),
    "dangling node": (
        lambda: CellSpace(["a"], [(0, 1), (0, 2)]),
        ["no edge leaves node 1", "Add an edge"],
    ),
    "unreached node": (lambda: CellSpace(["a"], [(0, 2), (1, 2)]), ["no edge enters node 1"]),
    "matrix not square": (lambda: CellSpace(["a"], adjacency=[[0, 1]]), ["square matrix"]),
    "matrix with a two": (lambda: CellSpace(["a"], adjacency=[[0, 2], [0, 0]]), ["0 and 1"]),
    "cyclic matrix": (lambda: CellSpace(["a"], adjacency=[[0, 1], [1, 0]]), ["no cycles"]),
    "no operations": (lambda: CellSpace([], EDGES), ["at least one name"]),
    "operations as text": (lambda: CellSpace("conv", EDGES), ["'conv'", "list"]),
    "operation twice": (lambda: CellSpace(["a", "a"], EDGES), ["must differ"]),
    "operation with a plus": (lambda: CellSpace(["a+b"], EDGES), ["a+b", "Rename"]),
    "ops on what": (lambda: CellSpace(["a"], EDGES, ops_on="node"), ["'node'", "'nodes'"]),
    "nothing to choose": (lambda: CellSpace(["a"], [(0, 1)], ops_on="nodes"), ["no inner node"]),
    "too many": (
        lambda: CellSpace(list("abcdefg"), [(i, i + 1) for i in range(9)]).enumerate(),
        ["40,353,607", "sample"],
    ),
    "text": (lambda: CellSpace(["a"], EDGES).to_codes(["open('x')"]), ["open('x')", "tuple"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])
