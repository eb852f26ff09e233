"""Inputs that people have at hand, remedies tried literally, and what must not pass silently."""

import hashlib
import re
from collections import namedtuple

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bad_input import must_name
from scipy.sparse import csr_array

from graf_utils.features import GRAF, authors_encoding, authors_order
from graf_utils.redundancy import distinct_columns, redundant_groups
from graf_utils.spaces import DARTS, NB101, NB201, CellSpace, TNB101Macro, TNB101Micro, get_space
from graf_utils.spaces import nb101 as nb101_module
from graf_utils.table import Table

NB = NB201()
CELL = (4, 0, 3, 1, 4, 3)
OPS = ["input", "maxpool3x3", "conv1x1-bn-relu", "output"]
DANGLING = np.triu(np.ones((4, 4), int), 1)
DANGLING[2, 3] = 0  # node 2 leads nowhere
TRIANGLE = np.triu(np.ones((3, 3), int), 1)
THREE = ["input", "maxpool3x3", "output"]


# --- remedies -------------------------------------------------------------------------------------


def test_both_remedies_for_a_node_that_leads_nowhere():
    space = NB101()
    with pytest.raises(ValueError, match="prune") as error:
        space.from_matrix(DANGLING, OPS)
    assert "from_matrix(matrix, ops, prune=True)" in str(error.value)
    expected = (0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 2, 1)
    assert space.from_matrix(DANGLING, OPS, prune=True) == expected
    refused = (*DANGLING.ravel().tolist(), 0, 2, 3, 1)
    assert space.from_codes(space.prune([refused])) == [expected]
    assert space.from_codes(space.prune([str(refused)])) == [expected]
    with pytest.raises(ValueError, match="no path leads"):
        space.from_matrix(np.zeros((4, 4), int), OPS, prune=True)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nb301", "darts"),
        ("NB301", "darts"),
        ("nasbench301", "darts"),
        ("NAS-Bench-301", "darts"),
        ("DARTS", "darts"),
        ("nasbench101", "nb101"),
        ("nasbench201", "nb201"),
        ("NAS-Bench-201", "nb201"),
        ("NB201", "nb201"),
        ("TransNAS-Bench-101", "tnb101-micro"),
        ("TransNAS-Bench-101-Macro", "tnb101-macro"),
        ("tnb101 micro", "tnb101-micro"),
    ],
)
def test_the_space_that_is_suggested(name, meant):
    with pytest.raises(ValueError, match=re.escape(f"Did you mean {meant!r}?")) as error:
        get_space(name)
    suggestion = re.search(r"Did you mean '(.*?)'", str(error.value))[1]
    assert get_space(suggestion).name == meant
    assert ("surrogate of the DARTS space" in str(error.value)) == ("301" in name)


def test_a_class_for_a_space():
    with pytest.raises(ValueError, match=r"Write an instance, such as NB201\(\)"):
        get_space(NB201)


Genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
PAIRS = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)] * 4


@pytest.mark.parametrize("cell", ["normal", "reduce"])
@pytest.mark.parametrize("nodes", [[3, 4, 5], range(3, 6), (2, 3, 4, 5, 6), [2, 2, 3, 4], []])
def test_a_genotype_that_leaves_a_node_out_is_refused_in_both_forms(cell, nodes):
    space = DARTS()
    joined = {"normal_concat": range(2, 6), "reduce_concat": range(2, 6)}
    genotype = Genotype(normal=PAIRS, reduce=PAIRS, **(joined | {f"{cell}_concat": nodes}))
    for form in (genotype, str(genotype)):
        must_name(lambda form=form: space.to_codes([form]), [f"{cell}_concat", "range(2, 6)"])
    right = genotype._replace(**{f"{cell}_concat": range(2, 6)})  # the message's own words
    backward = genotype._replace(**{f"{cell}_concat": [5, 4, 3, 2]})
    codes = space.to_codes([right, str(right), backward, str(backward)])
    assert len(np.unique(codes, axis=0)) == 1


# --- what people have at hand ---------------------------------------------------------------------


def test_tensors_are_arrays():
    torch = pytest.importorskip("torch")
    expected = [list(CELL)] * 2
    whole = torch.tensor([CELL, CELL])
    for architectures in (
        whole,
        whole.to(torch.uint8),
        whole.float(),
        whole.double().requires_grad_(),
        list(whole),
        [list(whole[0]), CELL],
        pd.Series(list(whole)),
    ):
        assert NB.to_codes(architectures).tolist() == expected
    assert GRAF().transform(whole).shape == (2, 191)
    matrix = torch.tensor(TRIANGLE)
    plain = NB101().from_matrix(TRIANGLE, THREE)
    assert NB101().from_matrix(matrix, THREE) == NB101().from_matrix(matrix.bool(), THREE) == plain
    assert NB101().from_matrix(matrix, torch.tensor([0, 2, 1])) == plain
    space = CellSpace(["a"], torch.tensor([(0, 1), (1, 2)]))
    assert space == CellSpace(["a"], [(0, 1), (1, 2)])
    assert CellSpace(["a"], adjacency=matrix) == CellSpace(["a"], adjacency=TRIANGLE)
    np.testing.assert_array_equal(
        NB.sample(3, random_state=torch.tensor(5)), NB.sample(3, random_state=5)
    )
    with pytest.raises(ValueError, match="1.5"):
        NB.to_codes(torch.full((1, 6), 1.5))


def test_a_tensor_that_no_array_can_be_made_of():
    torch = pytest.importorskip("torch")
    elsewhere = torch.zeros((2, 6), device="meta")
    must_name(lambda: NB.to_codes(elsewhere), ["architectures", "Tensor", ".cpu().numpy()"])


def test_matrices_of_every_kind():
    plain = NB101().from_matrix(TRIANGLE.tolist(), THREE)
    for matrix in (
        TRIANGLE.astype(bool),
        TRIANGLE.astype(float),
        TRIANGLE.astype(np.uint8),
        TRIANGLE.astype(bool).tolist(),
        pd.DataFrame(TRIANGLE),
        csr_array(TRIANGLE),
    ):
        assert NB101().from_matrix(matrix, THREE) == plain
        assert NB101().from_matrix(matrix, np.array(THREE)) == plain
        space = CellSpace(["a"], adjacency=matrix)
        assert space.edges == ((0, 1), (0, 2), (1, 2))
    graph = nx.DiGraph([(0, 1), (0, 2), (1, 2)])
    assert CellSpace(["a"], graph.edges).edges == ((0, 1), (0, 2), (1, 2))
    must_name(lambda: CellSpace(["a"], graph), ["DiGraph", "edges=graph.edges"])


def test_frames_of_one_column():
    expected = [list(CELL)] * 2
    text = NB.to_string(CELL)
    for column in ([text, str(CELL)], [CELL, list(CELL)], [text, CELL]):
        assert NB.to_codes(pd.DataFrame({"arch": column})).tolist() == expected
    assert NB.to_codes(np.array([[text], [text]])).tolist() == expected
    for arrow in (pa.array([text, text]), pa.table({"arch": [text, text]})):
        assert NB.to_codes(arrow).tolist() == expected
    assert NB.to_codes(np.asfortranarray([CELL, CELL])).flags.c_contiguous
    one = CellSpace(["a", "b"], [(0, 1)])
    assert one.to_codes(pd.DataFrame({"op": [0, 1]})).tolist() == [[0], [1]]
    codes = pd.DataFrame([CELL, CELL]).astype("Int64")
    assert NB.to_codes(codes).tolist() == expected


def test_seeds_of_every_kind():
    for space in (NB, DARTS(), NB101(), CellSpace(list("abcdef"), [(i, i + 1) for i in range(10)])):
        expected = space.sample(4, random_state=3)
        for seed in (np.int64(3), np.uint8(3), 3.0, np.random.default_rng(3), np.array(3)):
            np.testing.assert_array_equal(space.sample(4, random_state=seed), expected)
        state = np.random.RandomState(3)
        first, second = (space.sample(4, random_state=state) for _ in range(2))
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(space.sample(4, random_state=np.random.RandomState(3)), first)
        assert len(space.sample(np.int64(4), random_state=0)) == 4
        for seed in (-1, 0.5, "x", {}, object(), float("nan")):
            must_name(
                lambda space=space, seed=seed: space.sample(1, random_state=seed),
                ["random_state=", "random_state=0"],
            )


# --- spaces too large to list ---------------------------------------------------------------------


def large(operations=tuple("abcdef")):
    return CellSpace(operations, [(i, j) for i in range(5) for j in range(i + 1, 5)])


def test_a_space_too_large_to_list_is_drawn_from():
    space = large()
    codes = space.sample(2_000, random_state=0)
    assert len(np.unique(codes, axis=0)) == 2_000
    np.testing.assert_array_equal(codes, space.sample(2_000, random_state=0))
    assert not np.array_equal(codes, space.sample(2_000, random_state=1))
    np.testing.assert_allclose(np.bincount(codes.ravel()) / codes.size, 1 / 6, atol=0.01)
    wide = CellSpace([f"o{i}" for i in range(200)], [(i, i + 1) for i in range(300)])
    assert wide.sample(3, random_state=0).max() > 127
    with pytest.raises(ValueError, match=r"about 10\*\*690 architectures.*Use sample"):
        wide.enumerate()
    must_name(lambda: space.sample(10**9), ["n=1000000000", "60,466,176", "replace=True"])
    must_name(lambda: space.sample(0), ["n=0", "from 1"])


def test_what_is_drawn_from_a_large_space_is_valid():
    space = large(("none", "skip_connect", "a", "b", "c", "d"))
    assert space.is_valid(space.sample(1_500, random_state=0)).all()
    anything = space.sample(1_500, valid_only=False, random_state=0)
    assert 0 < space.is_valid(anything).mean() < 1
    chain = CellSpace(["none", "a"], [(i, i + 1) for i in range(30)])  # two of 2**30 are valid
    must_name(lambda: chain.sample(5, random_state=0), ["valid_only=False", "n=5"])
    assert len(chain.sample(5, valid_only=False, random_state=0)) == 5


def test_one_operation_on_many_edges_is_listed():
    assert CellSpace(["a"], [(i, i + 1) for i in range(100)]).enumerate().tolist() == [[0] * 100]


# --- equal only if equal --------------------------------------------------------------------------


class Chain(CellSpace):
    """A space of one's own with operations to choose."""

    def __init__(self, operations, n_edges=2, weights=None):
        super().__init__(operations, [(i, i + 1) for i in range(n_edges)])
        if weights is not None:
            self.weights = np.array(weights)


def test_spaces_are_equal_if_all_their_attributes_are():
    assert Chain(["a", "b"]) == Chain(["a", "b"])
    assert hash(Chain(["a", "b"])) == hash(Chain(["a", "b"]))
    different = [
        Chain(["a", "b"]),
        Chain(["b", "a"]),
        Chain(["a", "c"]),
        Chain(["a", "b"], 3),
        Chain(["a", "b"], weights=[1, 2]),
        Chain(["a", "b"], weights=[1, 3]),
        Chain(["a", "b"], weights=[[1, 2]]),
        CellSpace(["a", "b"], [(0, 1), (1, 2)]),
        CellSpace(["a", "b"], [(0, 1), (1, 2)], ops_on="nodes"),
        CellSpace(["a", "b"], [(0, 1), (1, 2)], name="other"),
        NB201(),
        TNB101Micro(),
    ]
    for i, one in enumerate(different):
        for j, other in enumerate(different):
            assert (one == other) == (i == j)
    assert Chain(["a", "b"], weights=[1, 2]) == Chain(["a", "b"], weights=[1, 2])
    assert len(set(different)) == len(different)
    assert repr(Chain(["a", "b"])) != repr(Chain(["a", "c"]))
    assert [repr(space) for space in (NB, DARTS(), NB101())] == ["NB201()", "DARTS()", "NB101()"]


def test_the_features_of_another_space_are_refused():
    table = Table("t", "own", Chain(["a", "b"]), [(0, 1), (1, 1)], {"y": [1.0, 2.0]})
    assert GRAF(Chain(["a", "b"])).transform(table).shape == (2, 2 + 6 * 3)
    with pytest.raises(ValueError, match=r"Pass GRAF\(table.space\)"):
        GRAF(Chain(["c", "d"])).transform(table)
    assert GRAF(table.space).transform(table).shape == (2, 20)


# --- numbers that do not fit ----------------------------------------------------------------------


BAD = {
    "an id beyond 8 bits": (
        lambda: Chain([f"o{i}" for i in range(128)]).to_codes([(300, 0)]),
        ["id 300", "0..127"],
    ),
    "an id of many digits as text": (
        lambda: Chain([f"o{i}" for i in range(128)]).to_codes(["(1000, 0)"]),
        ["id 1000", "0..127"],
    ),
    "an id of 5,000 digits": (
        lambda: Chain(["a", "b"]).to_codes([f"({'9' * 5_000}, 0)"]),
        ["position 0", "0..1"],
    ),
    "a node of 5,000 digits": (
        lambda: NB.parse(NB.to_string(CELL).replace("~2", "~" + "9" * 5_000)),
        ["three into node 4"],
    ),
    "a macro layer beyond 16 bits": (
        lambda: TNB101Macro().to_codes(np.array([[65_537, 1, 1, 2, 1, 1]])),
        ["65537", "codes 1 plain"],
    ),
    "unsigned 64 bits": (
        lambda: NB.to_codes(np.full((1, 6), 2**64 - 1, dtype=np.uint64)),
        ["id 18446744073709551615"],
    ),
    "booleans": (lambda: NB.to_codes(np.ones((1, 6), bool)), ["True", "astype(int)"]),
    "a source of DARTS as a long text": (
        lambda: DARTS().parse(
            str(Genotype(PAIRS, range(2, 6), PAIRS, range(2, 6))).replace(", 0)", ", 300)", 1)
        ),
        ["source 300", "earlier node"],
    ),
    "masked entries": (
        lambda: NB.to_codes(np.ma.array([CELL], mask=[[True, *[False] * 5]])),
        ["masked", "Fill"],
    ),
    "a masked matrix": (
        lambda: NB101().from_matrix(np.ma.array(TRIANGLE, mask=TRIANGLE > 0), THREE),
        ["masked", "Fill"],
    ),
    "one hash": (lambda: NB101().from_hash("0" * 32), ["one hash", "write ["]),
    "text as edges": (lambda: CellSpace(["a"], "0-1"), ["'0-1'", "[(0, 1), (1, 2)]"]),
    "numbers as edges": (lambda: CellSpace(["a"], [0, 1]), ["(0,)", "pair"]),
    "a ragged matrix": (lambda: NB101().from_matrix([[0, 1], [0]], THREE[:2]), ["matrix", "lists"]),
    "a vector of columns": (lambda: distinct_columns([1, 2]), ["(2,)", "matrix"]),
    "columns without rows": (lambda: distinct_columns(np.empty((0, 3))), ["(0, 3)", "one row"]),
    "columns of text": (lambda: distinct_columns([["a", "b"]]), ["matrix of numbers"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])


class Sources(Chain):
    """A space whose codes hold more than operation ids."""

    def _wrong(self, codes):
        return np.zeros(len(codes), dtype=bool)


class WideSources(Sources):
    code_dtype = np.dtype("int32")


def test_codes_that_hold_other_numbers_say_their_width():
    must_name(lambda: Sources(["a"]).to_codes([(0, 300)]), ["300", "int8", "code_dtype ="])
    assert WideSources(["a"]).to_codes([(0, 300)]).tolist() == [[0, 300]]  # the remedy


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int64"])
def test_integers_of_every_width(dtype):
    chain = np.array([[4, 1, 1, 2, 0, 0]], dtype=dtype)
    assert TNB101Macro().to_codes(chain).tolist() == [[4, 1, 1, 2, -1, -1]]
    assert NB.to_codes(np.array([CELL], dtype=dtype)).tolist() == [list(CELL)]


# --- redundancy -----------------------------------------------------------------------------------


def test_objects_are_compared_by_value():
    ones = [float(f"{i}.5") for i in range(300)]
    again = [float(f"{i}.5") for i in range(300)]
    frame = pd.DataFrame({"a": ones, "b": again, "c": [0.0] * 300}, dtype=object)
    assert distinct_columns(frame).tolist() == [0]


def test_equal_orders_in_a_large_table():
    """Beyond 300,000 rows products of ranks are not exact; the ranks are."""
    n = 500_001
    x = np.random.default_rng(0).permutation(n).astype(float)
    near = np.where(x == 7, 8, np.where(x == 8, 7, x))  # two neighbours in the order change places
    frame = pd.DataFrame({"x": x, "twice": 2 * x, "minus": -x, "near": near})
    assert redundant_groups(frame) == {"x": ["x", "twice", "minus"], "near": ["near"]}


# --- the authors' encoding ------------------------------------------------------------------------


def test_the_authors_encoding_of_micro_counts_a_fifth_operation(golden_dir):
    space = TNB101Micro()
    golden = pd.read_parquet(golden_dir / "paper_tnb101_micro.parquet")
    theirs = golden.drop(columns=["net", "valid"])
    features = GRAF(space).set_output(transform="pandas").transform(golden["net"])
    ours = authors_encoding(space, features)
    np.testing.assert_array_equal(ours.to_numpy(), theirs.to_numpy())  # order included
    assert list(theirs).index("op_count_4") == list(ours).index("op_count[4]") == 4
    assert list(ours.drop(columns="op_count[4]")) == authors_order(space, list(features))


def test_the_authors_encoding_elsewhere_is_their_order():
    for space in (NB, TNB101Macro()):
        features = GRAF(space).set_output(transform="pandas").transform(space.enumerate()[:50])
        ordered = features[authors_order(space, list(features))]
        pd.testing.assert_frame_equal(authors_encoding(space, features), ordered)
    micro = TNB101Micro()
    paths = GRAF(micro, families=["min_path_len"]).set_output(transform="pandas")
    assert authors_encoding(micro, paths.transform(micro.enumerate()[:5])).shape == (5, 15)


# --- a damaged cache ------------------------------------------------------------------------------


def test_stored_hashes_are_read_whole_or_not_at_all(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    hashes = np.array([rng.bytes(16).hex() for _ in range(50)], dtype="S32")
    digest = hashlib.sha256(hashes.tobytes()).hexdigest()
    monkeypatch.setattr(nb101_module, "_HASHES_SHA256", digest)
    file = tmp_path / "hashes.npz"
    assert nb101_module._stored_hashes(file) is None  # not there
    np.savez_compressed(file, hashes=hashes)
    np.testing.assert_array_equal(nb101_module._stored_hashes(file), hashes)
    whole = file.read_bytes()
    refused = 0
    for position in range(0, len(whole), 2):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        file.write_bytes(damaged)
        stored = nb101_module._stored_hashes(file)
        assert stored is None or np.array_equal(stored, hashes)
        refused += stored is None
    assert refused > len(whole) // 4
    for damaged in (b"", whole[: len(whole) // 2], b"damaged", whole[:-1]):
        file.write_bytes(damaged)
        assert nb101_module._stored_hashes(file) is None
    for other in (hashes[::-1], hashes[:10], hashes.astype("U32"), np.arange(3)):
        np.savez_compressed(file, hashes=other)
        assert nb101_module._stored_hashes(file) is None
    np.savez_compressed(file, others=hashes)
    assert nb101_module._stored_hashes(file) is None
