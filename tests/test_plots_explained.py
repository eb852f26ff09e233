"""The picture that explains GRAF and flow: its numbers are those that one counts by hand."""

import itertools
import re

import matplotlib as mpl
import pytest

mpl.use("Agg")

from hypothesis import given
from hypothesis import strategies as st

from graf_utils import plots
from graf_utils.spaces import get_space

CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"


pytestmark = pytest.mark.usefixtures("book_style")


def words(ax):
    return [text.get_text() for text in ax.texts]


def paths_by_hand(text):
    """All ways over increasing nodes whose edges are not none, read off the benchmark's string."""
    edges = {}
    for target, inside in enumerate(text.split("+"), start=1):
        for op, source in re.findall(r"\|?([a-z0-9_]+)~(\d)", inside):
            edges[int(source), target] = op
    found = []
    for length in range(3):
        for inner in itertools.combinations((1, 2), length):
            ops = [edges[edge] for edge in itertools.pairwise((0, *inner, 3))]
            if "none" not in ops:
                found.append(ops)
    return found


@given(st.tuples(*[st.integers(0, 4)] * 6))
def test_live_paths_are_those_found_by_hand(codes):
    text = get_space("nb201").to_string(codes)
    assert sorted(plots.live_paths(codes)) == sorted(paths_by_hand(text))


def test_live_paths_of_operations_on_nodes_are_refused():
    (architecture,) = get_space("nb101").from_codes(get_space("nb101").sample(1, random_state=0))
    with pytest.raises(ValueError, match="'nb101'.*operations on its edges.*Flow counts them"):
        plots.live_paths(architecture, "nb101")


def test_the_picture_has_the_answers():
    top, middle, bottom = plots.one_look(CELL).axes
    assert {"in", "out", "none", "skip", "pool 3×3"} <= set(words(top))
    # two 3×3; in -skip- 3 -pool- out; in - 2 - out over convs; one conv enters the output
    assert words(middle)[1::2] == ["2", "2", "2", "1"]
    rows = words(bottom)
    assert [word for word in rows if word.isdigit()] == ["2", "2", "0"]
    assert rows[-1] == "3 live paths · mean 1.33 · deviation 0.94"
    assert rows.count("→") == 4


def test_a_cell_without_a_live_path_is_drawn():
    *_, bottom = plots.one_look((1, 1, 1, 1, 1, 1)).axes
    assert words(bottom) == ["0 live paths · mean 0.00 · deviation 0.00"]
