"""NAS-Bench-101 as a search space: spellings, checks, the whole space and its hashes."""

import json

import networkx as nx
import numpy as np
import pytest
from bad_input import must_name

from graf_utils.encodings import one_hot
from graf_utils.spaces import NB101, nb101

SPACE = NB101()
CELL = (0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 4, 1)
LONE = (0, 1, 0, 0, 0, 1)
PUBLISHED = {-1: 0, -2: 1, 2: 2, 1: 3, 0: 4}


def cell(n, edges, ops=None):
    """A tuple from a list of edges."""
    matrix = np.zeros((n, n), dtype=int)
    for u, v in edges:
        matrix[u, v] = 1
    return (*matrix.ravel().tolist(), *(ops or (0, *[3] * (n - 2), 1)))


CHAIN = [(i, i + 1) for i in range(6)]
TEN = cell(7, [*CHAIN, (0, 2), (0, 3), (0, 4), (0, 5)])
DANGLING = cell(5, [(0, 1), (1, 4), (0, 2), (3, 4)])


@pytest.fixture(scope="module")
def everything():
    return SPACE.enumerate()


@pytest.fixture(scope="module")
def published(paper_dir):
    """Tuple and hash of the cells of nasbench-vis."""
    (file,) = paper_dir.glob("tiga1231/nasbench-vis/*/static/data/data-1k.json")
    table = json.loads(file.read_text(encoding="utf8"))
    cells = []
    for matrix, numbers in zip(table["adjacency"], table["operations"], strict=True):
        ops = [PUBLISHED[number] for number in numbers if number != -3]
        n = len(ops)
        rest = np.array(matrix)
        rest[:n, :n] = 0
        assert not rest.any()
        inner = np.array(matrix, dtype=int)[:n, :n].ravel().tolist()
        cells.append((*inner, *ops))
    return cells, table["key"]


def test_every_spelling_goes_round():
    for code in (CELL, LONE):
        assert SPACE.from_codes(SPACE.to_codes([code])) == [code]
        assert SPACE.parse(str(code)) == SPACE.parse(SPACE.to_string(code)) == code
        graph = SPACE.to_networkx(code)
        matrix = nx.to_numpy_array(graph, nodelist=sorted(graph), dtype=int)
        assert SPACE.from_matrix(matrix, [graph.nodes[v]["op"] for v in sorted(graph)]) == code
    codes = SPACE.to_codes([CELL, str(LONE), list(CELL)])
    assert codes.shape == (3, 56)
    assert (codes[:, 12:] == -1).all()
    np.testing.assert_array_equal(SPACE.to_codes(codes), codes)
    assert SPACE.from_codes(codes) == [CELL, LONE, CELL]


def test_the_whole_space(everything):
    assert everything.shape == (423_624, 56)
    assert len(np.unique(everything, axis=0)) == 423_624
    nodes = np.bincount([SPACE.lengths.index(n) + 2 for n in (everything != -1).sum(axis=1)])
    assert nodes.tolist() == [0, 0, 1, 6, 84, 2_441, 62_010, 359_082]
    assert SPACE.is_valid(everything[::97]).all()
    assert not everything.flags.writeable


def test_no_two_cells_are_isomorphic_and_none_is_missing(everything):
    """By networkx: the cells of up to four nodes, counted one by one."""
    count = 0
    for n in (2, 3, 4):
        found = []
        pairs = [(u, v) for u in range(n) for v in range(u + 1, n)]
        for bits in range(2 ** len(pairs)):
            edges = [pair for k, pair in enumerate(pairs) if bits >> k & 1]
            for inner in np.ndindex(*[3] * (n - 2)):
                code = cell(n, edges, (0, *[i + 2 for i in inner], 1))
                if not SPACE.is_valid([code])[0]:
                    continue
                graph = SPACE.to_networkx(code)
                if not any(
                    nx.is_isomorphic(graph, other, node_match=lambda a, b: a == b)
                    for other in found
                ):
                    found.append(graph)
        count += len(found)
    assert count == 1 + 6 + 84
    assert len(set(SPACE.module_hash(everything[:2_600]))) == 2_532 + 68


def test_hashes_and_matrices_are_the_published_ones(published, everything):
    cells, keys = published
    assert len(cells) == 1_000
    assert SPACE.module_hash(cells) == SPACE.canonical(cells) == keys
    known = {row.tobytes() for row in everything}
    assert all(row.tobytes() in known for row in SPACE.to_codes(cells))


@pytest.mark.slow  # a minute, unless the hashes of all cells are in the user's cache folder
def test_a_hash_becomes_its_cell(published, everything):
    hashes = SPACE.hashes()
    assert len(np.unique(hashes)) == 423_624
    sample = np.random.default_rng(0).choice(len(hashes), 10_000, replace=False)
    assert [key.decode() for key in hashes[sample]] == SPACE.module_hash(everything[sample])
    cells, keys = published
    assert SPACE.from_codes(SPACE.from_hash(keys)) == cells
    with pytest.raises(ValueError, match="none of the 423,624"):
        SPACE.from_hash(["0" * 32])


@pytest.mark.slow
def test_hashes_are_made_once_and_anew_if_the_file_is_damaged(tmp_path, monkeypatch):
    hashes = SPACE.hashes()
    texts = hashes.astype(str).tolist()
    monkeypatch.setattr(nb101.pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(NB101, "module_hash", lambda self, cells: texts)
    nb101._all_hashes.cache_clear()
    np.testing.assert_array_equal(SPACE.hashes(), hashes)
    (stored,) = (tmp_path / "graf-book").iterdir()
    nb101._all_hashes.cache_clear()
    monkeypatch.setattr(NB101, "module_hash", lambda self, cells: pytest.fail("made anew"))
    np.testing.assert_array_equal(SPACE.hashes(), hashes)
    stored.write_bytes(b"damaged")
    monkeypatch.setattr(NB101, "module_hash", lambda self, cells: ["0" * 32] * len(cells))
    nb101._all_hashes.cache_clear()
    assert SPACE.hashes()[0] == b"0" * 32  # made anew
    nb101._all_hashes.cache_clear()
    nb101._hash_order.cache_clear()


def test_prune_removes_what_dangles():
    assert SPACE.is_valid([DANGLING, TEN, CELL]).tolist() == [False, False, True]
    assert SPACE.from_codes(SPACE.prune([DANGLING])) == [cell(3, [(0, 1), (1, 2)])]
    assert SPACE.from_codes(SPACE.prune([CELL])) == [CELL]


def test_naslib_tuples_become_cells_after_prune(paper_dir):
    cells = []
    for file in paper_dir.glob("automl/NASLib/*/naslib/data/zc_nasbench101.json"):
        cells = list(json.loads(file.read_text(encoding="utf8"))["nasbench101"]["cifar10"])
    assert len(cells) == 500
    assert len(SPACE.prune(cells)) == 500


def test_one_hot():
    encoded = one_hot(SPACE.graph_batch([CELL])[""])
    assert encoded.shape == (1, 36)
    assert set(encoded.columns[encoded.iloc[0] == 1]) == {
        "0-1",
        "0-6",
        "1-6",
        "1=conv3x3-bn-relu",
    }


def test_samples_are_seeded():
    sample = SPACE.sample(50, random_state=3)
    np.testing.assert_array_equal(sample, SPACE.sample(50, random_state=3))
    assert len(np.unique(sample, axis=0)) == 50


BAD = {
    "one tuple": (lambda: SPACE.to_codes(CELL), ["one architecture", "Write [("]),
    "empty": (lambda: SPACE.to_codes([]), ["empty", "at least one"]),
    "empty tuple": (lambda: SPACE.to_codes([()]), ["0 entries", "6 or 12"]),
    "wrong length": (lambda: SPACE.to_codes([CELL[:-1]]), ["11 entries", "6 or 12 or 20"]),
    "eight nodes": (
        lambda: SPACE.to_codes([cell(8, [(i, i + 1) for i in range(7)])]),
        ["72 entries", "or 56"],
    ),
    "ten edges": (lambda: SPACE.to_codes([TEN]), ["10 edges", "at most 9", "Remove"]),
    "cycle": (
        lambda: SPACE.to_codes([cell(4, [(0, 1), (1, 2), (2, 1), (2, 3)])]),
        ["entry (2, 1)", "upper triangular", "no cycles"],
    ),
    "loop": (lambda: SPACE.to_codes([cell(3, [(0, 1), (1, 1), (1, 2)])]), ["(1, 1)", "no cycles"]),
    "two in the matrix": (
        lambda: SPACE.to_codes([(0, 2, 0, 0, 0, 1)]),
        ["entry (0, 1) is 2", "0 and 1"],
    ),
    "dangling node": (lambda: SPACE.to_codes([DANGLING]), ["node 2", "path", "prune"]),
    "unreached node": (
        lambda: SPACE.to_codes([cell(4, [(0, 1), (1, 3), (2, 3)])]),
        ["node 2", "path", "prune"],
    ),
    "no edges": (lambda: SPACE.to_codes([(0, 0, 0, 0, 0, 1)]), ["node 0", "path"]),
    "prune of no path": (
        lambda: SPACE.prune([cell(4, [(0, 1), (2, 3)])]),
        ["no path", "Add the missing"],
    ),
    "missing output": (
        lambda: SPACE.to_codes([(*CELL[:-1], 4)]),
        ["id 4 at node 2", "1 output", "last"],
    ),
    "missing input": (
        lambda: SPACE.to_codes([(*CELL[:9], 3, 4, 1)]),
        ["id 3 at node 0", "0 input", "first"],
    ),
    "second input": (lambda: SPACE.to_codes([(*CELL[:10], 0, 1)]), ["id 0 at node 1", "maxpool"]),
    "operation out of range": (lambda: SPACE.to_codes([(*CELL[:10], 5, 1)]), ["id 5 at node 1"]),
    "negative operation": (lambda: SPACE.to_codes([(*CELL[:10], -2, 1)]), ["-2", "node 1"]),
    "padding inside": (
        lambda: SPACE.to_codes([(*CELL[:10], -1, 1)]),
        ["10 entries before the padding"],
    ),
    "not a number": (lambda: SPACE.to_codes([(float("nan"), *CELL[1:])]), ["nan", "whole number"]),
    "a fraction": (lambda: SPACE.to_codes([(0.5, *CELL[1:])]), ["0.5", "whole number"]),
    "code in the text": (
        lambda: SPACE.to_codes(["__import__('os').getcwd()"]),
        ["__import__", "not a NAS-Bench-101 tuple"],
    ),
    "text, ten edges": (lambda: SPACE.parse(str(TEN)), ["10 edges", "at most 9"]),
    "text, too long a number": (lambda: SPACE.to_codes(["(0, 9999999, 0, 0, 0, 1)"]), ["(0, 1)"]),
    "matrix and operations differ": (
        lambda: SPACE.from_matrix([[0, 1], [0, 0]], ["input"]),
        ["(2, 2)", "1 operations"],
    ),
    "unknown name": (
        lambda: SPACE.from_matrix([[0, 1], [0, 0]], ["input", "outputs"]),
        ["'outputs'", "Did you mean 'output'"],
    ),
    "not a hash": (lambda: SPACE.from_hash(["xyz"]), ["'xyz'", "32 hexadecimal"]),
    "row of a list": (lambda: SPACE.to_codes([CELL, TEN]), ["architecture 1", "10 edges"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])
