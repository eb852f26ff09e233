"""`space.neighbours`: all architectures that differ in a single entry of the code."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graf_utils.spaces import (
    DARTS,
    NB101,
    NB201,
    CellSpace,
    TNB101Macro,
    TNB101Micro,
    get_space,
    list_spaces,
)


@pytest.mark.parametrize("space", [NB201(), TNB101Micro(), TNB101Macro()], ids=lambda s: s.name)
def test_neighbours_are_the_valid_single_changes(space):
    pool = space.enumerate()
    pool = pool[space.is_valid(pool)]
    for code in space.sample(8, random_state=3):
        apart = (pool != code).sum(axis=1)
        lengths = (pool == -1).sum(axis=1) == (code == -1).sum()
        expected = pool[(apart == 1) & lengths]
        near = space.neighbours(space.from_codes([code])[0])
        assert sorted(map(tuple, near.tolist())) == sorted(map(tuple, expected.tolist()))
        assert near.dtype == np.int8


def test_neighbours_in_nb101():
    space = NB101()
    for code in space.sample(5, random_state=2):
        (cell,) = space.from_codes([code])
        n = next(n for n in range(2, 8) if n * (n + 1) == len(cell))
        expected = set()
        for u, v in itertools.combinations(range(n), 2):
            flipped = list(cell)
            flipped[u * n + v] ^= 1
            expected |= {tuple(flipped)} if space.is_valid([tuple(flipped)])[0] else set()
        for node, op in itertools.product(range(1, n - 1), (2, 3, 4)):
            changed = list(cell)
            changed[n * n + node] = op
            expected |= {tuple(changed)} - {cell}
        assert set(space.from_codes(space.neighbours(cell))) == expected


def test_neighbours_in_darts():
    space = DARTS()
    (code,) = space.sample(1, random_state=0)
    near = space.neighbours(space.from_codes([code])[0])
    assert ((near != code).sum(axis=1) == 1).all()
    sources = 2 * 2 * (0 + 1 + 2 + 3)  # node k of each cell chooses among k other sources, twice
    assert len(np.unique(near, axis=0)) == len(near) == 16 * 6 + sources


@st.composite
def drawn_architectures(draw):
    """A space and one architecture of it, in codes; also spaces of one's own."""
    name = draw(st.sampled_from([*list_spaces(), "own", "own nodes"]))
    if not name.startswith("own"):
        space = get_space(name)
    else:
        operations = [f"op{i}" for i in range(draw(st.integers(1, 5)))]
        operations += draw(st.sampled_from([[], ["none"], ["none", "skip_connect"]]))
        edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
        ops_on = "nodes" if name == "own nodes" else "edges"
        space = CellSpace(operations, draw(st.permutations(edges)), ops_on=ops_on)
    seed = draw(st.integers(0, 2**32 - 1))
    return space, space.sample(1, replace=True, random_state=seed)[0]


def brute_force(space, code, valid_only):
    """Every other id at every position, one at a time, asked of `to_codes` and `is_valid`."""
    ids = range(space.first_id, space.first_id + len(space.operations))
    for position, new in itertools.product(range(space.code_length), ids):
        changed = code.copy()
        changed[position] = new
        if code[position] in (-1, new):
            continue
        try:
            space.to_codes([changed])
        except ValueError:
            continue
        if not valid_only or space.is_valid([changed])[0]:
            yield changed.tolist()


@settings(max_examples=60)
@given(drawn_architectures(), st.booleans())
def test_neighbours_by_brute_force_in_order(drawn, valid_only):
    space, code = drawn
    near = space.neighbours(code, valid_only=valid_only)
    assert near.tolist() == list(brute_force(space, code, valid_only))
    assert near.shape[1:] == (space.code_length,)
    assert near.dtype == space.code_dtype


@settings(max_examples=60)
@given(drawn_architectures(), st.randoms(use_true_random=False))
def test_to_be_a_neighbour_is_mutual(drawn, random):
    space, code = drawn
    near = space.neighbours(code)
    assert len({row.tobytes() for row in near}) == len(near)
    assert ((near != code).sum(axis=1) == 1).all()
    assert space.is_valid(near).all() if len(near) else True
    for row in random.sample(near.tolist(), min(3, len(near))):
        assert code.tolist() in space.neighbours(row).tolist()


@settings(max_examples=20)
@given(st.integers(2, 300), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_neighbours_beyond_the_benchmarks(n_operations, n_edges, seed):
    space = CellSpace([f"o{i}" for i in range(n_operations)], [(i, i + 1) for i in range(n_edges)])
    (code,) = space.sample(1, replace=True, random_state=seed)
    near = space.neighbours(code)
    assert len(near) == n_edges * (n_operations - 1)
    position = np.repeat(np.arange(n_edges), n_operations - 1)
    new = near[np.arange(len(near)), position].reshape(n_edges, -1)
    for row, old in zip(new.tolist(), code.tolist(), strict=True):
        assert row == [op for op in range(n_operations) if op != old]


def test_spellings_give_the_same_neighbours():
    space = NB201()
    cell = (4, 0, 3, 1, 4, 3)
    expected = space.neighbours(cell).tolist()
    for spelling in (list(cell), np.array(cell), space.to_string(cell), str(cell)):
        assert space.neighbours(spelling).tolist() == expected
    with pytest.raises(ValueError, match="operation id 9"):
        space.neighbours((9,) * 6)
