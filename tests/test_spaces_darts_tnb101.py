"""DARTS and the two spaces of TransNAS-Bench-101: spellings, counts, checks."""

import json
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from hypothesis import given
from hypothesis import strategies as st

from graf_utils.encodings import one_hot
from graf_utils.spaces import DARTS, TNB101Macro, TNB101Micro

DARTS_SPACE, MICRO, MACRO = DARTS(), TNB101Micro(), TNB101Macro()
CELL = ((0, 3), (1, 3), (0, 3), (1, 2), (1, 3), (0, 3), (0, 2), (2, 5))
NET = (CELL, CELL)
GENOTYPE = DARTS_SPACE.to_string(NET)
Genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")


def changed(position, pair):
    """NET with one pair of the reduction cell replaced."""
    cell = list(CELL)
    cell[position] = pair
    return (CELL, tuple(cell))


# --- DARTS ---


def test_every_spelling_of_a_genotype():
    names = [(DARTS_SPACE.operations[op], source) for source, op in CELL]
    spaced = GENOTYPE.replace("[2, 3, 4, 5]", "range( 2, 6 )").replace("'", '"')
    for spelling in (
        NET,
        GENOTYPE,
        spaced.replace("Genotype(", "Genotype(\n    "),
        str(NET),
        str([list(CELL), list(CELL)]),
        [list(map(list, CELL)), list(CELL)],
        Genotype(names, [2, 3, 4, 5], names, [2, 3, 4, 5]),
        Genotype(names, range(2, 6), names, range(2, 6)),
        np.array(NET),
    ):
        codes = DARTS_SPACE.to_codes([spelling])
        assert codes.dtype == np.int8
        assert DARTS_SPACE.from_codes(codes) == [NET]
    assert DARTS_SPACE.parse(GENOTYPE) == DARTS_SPACE.parse(str(NET)) == NET
    assert DARTS_SPACE.from_codes(pd.Series([GENOTYPE, NET])) == [NET, NET]
    assert GENOTYPE.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ")


@given(st.integers(0, 2**32 - 1))
def test_samples_are_genotypes_and_go_round(seed):
    codes = DARTS_SPACE.sample(2, random_state=seed)
    np.testing.assert_array_equal(codes, DARTS_SPACE.sample(2, random_state=seed))
    for net in DARTS_SPACE.from_codes(codes):
        assert DARTS_SPACE.parse(DARTS_SPACE.to_string(net)) == net == DARTS_SPACE.parse(str(net))


def test_samples_are_uniform():
    codes = DARTS_SPACE.sample(20_000, replace=False, random_state=0).reshape(-1, 2, 4, 2, 2)
    assert DARTS_SPACE.is_valid(codes.reshape(-1, 32)).all()
    counts = np.bincount(codes[..., 1].ravel(), minlength=7) / codes[..., 1].size
    np.testing.assert_allclose(counts, 1 / 7, atol=0.005)
    pairs = codes[:, 0, 3, :, 0] @ [10, 1]
    values, counts = np.unique(pairs, return_counts=True)
    assert len(values) == 10
    np.testing.assert_allclose(counts / len(pairs), 0.1, atol=0.01)


def test_graphs_of_a_genotype():
    graphs = DARTS_SPACE.to_networkx(NET)
    edges = {(u, v): op for u, v, op in graphs["reduce"].edges(data="op")}
    assert len(edges) == 12
    assert edges["c_{k-2}", "0"] == "sep_conv_3x3"
    assert edges["0", "3"] == "dil_conv_3x3"
    assert edges["3", "c_{k}"] == "out"
    encoded = [one_hot(batch) for batch in DARTS_SPACE.graph_batch([NET]).values()]
    assert [frame.to_numpy().sum() for frame in encoded] == [8, 8]
    assert [frame.shape for frame in encoded] == [(1, 98), (1, 98)]
    assert encoded[0].columns[0] == "0-2=max_pool_3x3"


def test_naslib_files(paper_dir):
    keys = set()
    for file in paper_dir.glob("automl/NASLib/*/naslib/data/zc_nasbench301.json"):
        table = json.loads(file.read_text(encoding="utf8"))
        keys.update(table.get("nasbench301", table)["cifar10"])
    assert len(keys) == 1_218
    codes = DARTS_SPACE.to_codes(sorted(keys))
    assert len(np.unique(codes, axis=0)) == 1_218


# --- TransNAS-Bench-101 ---


def test_micro_lists_edges_by_target():
    cell = (2, 3, 1, 0, 3, 2)
    assert MICRO.to_string(cell) == "64-41414-2_31_032"
    assert MICRO.parse("64-41414-2_31_032") == MICRO.parse(str(cell)) == cell
    assert MICRO.position_names() == ["1-2", "1-3", "2-3", "1-4", "2-4", "3-4"]
    assert MICRO.to_networkx(cell).edges[2, 3]["op"] == "skip_connect"
    assert MICRO.from_networkx(MICRO.to_networkx(cell)) == cell


def test_counts_of_both():
    cells = MICRO.enumerate()
    assert cells.shape == (4_096, 6)
    assert MICRO.is_valid(cells).sum() == 2_128
    assert [MICRO.parse(MICRO.to_string(c)) for c in cells.tolist()] == MICRO.from_codes(cells)
    chains = MACRO.enumerate()
    assert chains.shape == (3_256, 6)
    assert len(np.unique(chains, axis=0)) == len(set(MACRO.canonical(chains))) == 3_256
    assert MACRO.is_valid(chains).all()
    assert not MACRO.is_valid([(1, 1, 1, 1)])[0]
    assert [MACRO.parse(text) for text in MACRO.canonical(chains)] == MACRO.from_codes(chains)


def test_zeros_at_the_end_of_a_chain_are_no_layers():
    for spelling in (
        (4, 1, 1, 2),
        (4, 1, 1, 2, 0),
        (4, 1, 1, 2, 0, 0),
        "(4, 1, 1, 2, 0, 0)",
        "64-4112-basic",
        (4, 1, 1, 2, -1, -1),
    ):
        assert MACRO.to_codes([spelling]).tolist() == [[4, 1, 1, 2, -1, -1]]
    assert MACRO.from_codes(np.array([[4, 1, 1, 2, 0, 0]])) == [(4, 1, 1, 2)]
    encoded = one_hot(MACRO.graph_batch([(4, 1, 1, 2)])[""])
    assert list(encoded.columns[encoded.iloc[0] == 1]) == [
        "0-1=channel+stride",
        "1-2=plain",
        "2-3=plain",
        "3-4=channel",
    ]


def test_the_benchmarks_architectures(paper_dir):
    files = paper_dir.glob("automl/NASLib/*/naslib/data/zc_transbench101_m*.json")
    for file in files:
        space = MICRO if "micro" in file.name else MACRO
        for task in json.loads(file.read_text(encoding="utf8")).values():
            assert space.is_valid(list(task)).mean() > 0.5


BAD = {
    # DARTS
    "one genotype": (lambda: DARTS_SPACE.to_codes(GENOTYPE), ["one architecture", "Write ["]),
    "empty": (lambda: DARTS_SPACE.to_codes([]), ["empty"]),
    "seven pairs": (lambda: DARTS_SPACE.to_codes([(CELL, CELL[:7])]), ["8 pairs", "such as"]),
    "one cell": (lambda: DARTS_SPACE.to_codes([(CELL,)]), ["(normal, reduce)"]),
    "a number": (lambda: DARTS_SPACE.to_codes([3]), ["architecture 0 = 3", "pair"]),
    "triples": (
        lambda: DARTS_SPACE.to_codes([changed(1, (1, 2, 3))]),
        ["pairs (source, operation"],
    ),
    "repeated input": (
        lambda: DARTS_SPACE.to_codes([changed(1, (0, 2))]),
        ["pair 1 of the reduce cell", "repeated", "Choose another"],
    ),
    "source not before": (
        lambda: DARTS_SPACE.to_codes([changed(3, (3, 2))]),
        ["pair 3", "source 3", "0..2", "no cycles"],
    ),
    "operation 7": (lambda: DARTS_SPACE.to_codes([changed(0, (0, 7))]), ["id 7", "ids are 0..6"]),
    "negative source": (lambda: DARTS_SPACE.to_codes([changed(0, (-1, 3))]), ["source -1"]),
    "nan": (lambda: DARTS_SPACE.to_codes([changed(0, (float("nan"), 3))]), ["nan", "whole number"]),
    "unknown name": (
        lambda: DARTS_SPACE.parse(GENOTYPE.replace("sep_conv_3x3", "sep_conv_3", 1)),
        ["'sep_conv_3'", "Did you mean 'sep_conv_3x3'"],
    ),
    "none in a genotype": (
        lambda: DARTS_SPACE.parse(GENOTYPE.replace("skip_connect", "none", 1)),
        ["'none'", "must be one of"],
    ),
    "other nodes joined": (
        lambda: DARTS_SPACE.parse(GENOTYPE.replace("[2, 3, 4, 5]", "[3, 4, 5]", 1)),
        ["normal_concat=[3, 4, 5]", "range(2, 6)", "none of this space"],
    ),
    "code for a source": (
        lambda: DARTS_SPACE.parse(GENOTYPE.replace(", 0)", ", abs(0))", 1)),
        ["neither a genotype"],
    ),
    "code": (lambda: DARTS_SPACE.parse("Genotype(normal=exit())"), ["neither a genotype"]),
    "code around": (lambda: DARTS_SPACE.parse(f"print({GENOTYPE})"), ["neither a genotype"]),
    "text, repeated input": (
        lambda: DARTS_SPACE.parse(str(changed(1, (0, 2)))),
        ["repeated", "Choose another"],
    ),
    "flat tuple text": (lambda: DARTS_SPACE.parse("(1, 2, 3)"), ["pair of lists of 8"]),
    "text of a tuple type": (lambda: DARTS_SPACE.parse(NET), ["tuple", "use to_codes"]),
    "enumerate": (lambda: DARTS_SPACE.enumerate(), ["1.1e18", "Use sample"]),
    "sample of none": (lambda: DARTS_SPACE.sample(0), ["n=0", "from 1"]),
    # TransNAS-Bench-101
    "micro, id 4": (lambda: MICRO.to_codes([(0, 1, 2, 3, 4, 0)]), ["id 4", "position 4", "0..3"]),
    "micro, too short": (lambda: MICRO.to_codes([(0, 1, 2)]), ["3 entries", "needs 6"]),
    "micro, NAS-Bench-201 string": (
        lambda: MICRO.to_codes(["|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"]),
        ["none~0", "64-41414-2_31_032"],
    ),
    "micro, macro string": (lambda: MICRO.parse("64-4112-basic"), ["'64-4112-basic'", "ids 0..3"]),
    "micro, id in the string": (lambda: MICRO.parse("64-41414-4_31_032"), ["ids 0..3"]),
    "macro, three layers": (lambda: MACRO.to_codes([(1, 2, 3)]), ["3 entries", "4 or 5 or 6"]),
    "macro, three and zeros": (
        lambda: MACRO.to_codes([(1, 2, 3, 0, 0, 0)]),
        ["4 to 6 layers", "only at the end"],
    ),
    "macro, zero between": (lambda: MACRO.to_codes([(1, 0, 3, 2, 1, 1)]), ["only at the end"]),
    "macro, code 5": (lambda: MACRO.to_codes([(1, 2, 3, 5)]), ["codes 1 plain", "such as"]),
    "macro, seven layers": (lambda: MACRO.to_codes([(1,) * 7]), ["7 entries", "4 or 5 or 6"]),
    "macro, all zeros": (lambda: MACRO.to_codes([(0,) * 6]), ["4 to 6 layers"]),
    "macro, nan": (lambda: MACRO.to_codes([(1, 2, 3, float("nan"))]), ["nan", "whole number"]),
    "macro, name": (lambda: MACRO.to_codes([("plain", 1, 1, 2)]), ["'plain'", "has id 1"]),
    "macro, micro string": (
        lambda: MACRO.parse("64-41414-2_31_032"),
        ["64-4112-basic", "codes 1..4"],
    ),
    "macro, code": (lambda: MACRO.to_codes(["[1] * 4"]), ["[1] * 4", "64-4112-basic"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_rule(what):
    must_name(*BAD[what])
