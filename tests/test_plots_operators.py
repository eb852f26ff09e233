"""Operators as a drawing: what is drawn is the graph, downwards, and boxes do not overlap."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from graf_utils import plots
from graf_utils.operators import KINDS, Layer, OperatorGraph

RESIDUAL = [
    Layer("conv", name="stem"),
    Layer("normalisation", label="batch_norm"),
    Layer("activation", label="relu"),
    Layer("add", inputs=("stem", "")),
    Layer("linear"),
]


pytestmark = pytest.mark.usefixtures("book_style")


def parts(ax, kind):
    return [patch for patch in ax.patches if isinstance(patch, kind)]


def test_boxes_are_operators_and_arrows_are_edges():
    ax = plots.draw_operators(OperatorGraph.from_layers(RESIDUAL))
    names = [text.get_text() for text in ax.texts]
    assert names == ["input", "conv", "batch norm", "relu", "add", "linear", "output"]
    assert len(parts(ax, FancyBboxPatch)) == 7
    assert len(parts(ax, FancyArrowPatch)) == 7


def test_a_connection_runs_beside_the_boxes_that_it_passes():
    ax = plots.draw_operators(OperatorGraph.from_layers(RESIDUAL))
    (curve,) = [
        arrow._path_original for arrow in parts(ax, FancyArrowPatch)
        if len(arrow._path_original.vertices) == 4
    ]  # fmt: skip
    t = np.linspace(0, 1, 101)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    points = weights @ curve.vertices
    right = max(box.get_x() + box.get_width() for box in parts(ax, FancyBboxPatch))
    beside = points[(points[:, 1] < -1.8) & (points[:, 1] > -3.2)]
    assert len(beside)
    assert (beside[:, 0] > right).all()
    assert points[:, 0].max() < ax.get_xlim()[1]


def test_a_value_that_is_taken_twice_has_two_arrows():
    ax = plots.draw_operators(OperatorGraph(["input", "add", "output"], [(0, 1), (0, 1), (1, 2)]))
    starts = [arrow._path_original.vertices[0] for arrow in parts(ax, FancyArrowPatch)]
    assert len({tuple(start) for start in starts}) == 3


def test_it_fits_on_a_telephone_and_into_given_axes():
    figure, ax = plt.subplots()
    assert plots.draw_operators(OperatorGraph.from_layers(RESIDUAL), ax) is ax
    drawn = plots.draw_operators(OperatorGraph.from_layers(RESIDUAL)).figure
    assert drawn.get_figwidth() * drawn.dpi <= 360
    assert min(text.get_fontsize() for text in drawn.axes[0].texts) >= 9


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def test_each_kind_has_a_colour_on_which_its_name_can_be_read():
    assert set(plots.KIND_COLOURS) == set(KINDS)
    assert set(plots.KIND_COLOURS.values()) <= {*plots.PALETTE, plots.GREY, plots.YELLOW}
    inner = [kind for kind in KINDS if kind not in ("input", "output")]
    ax = plots.draw_operators(OperatorGraph.from_layers([Layer(kind) for kind in inner]))
    assert [text.get_text() for text in ax.texts] == ["input", *inner, "output"]
    for box in parts(ax, FancyBboxPatch):
        assert (luminance(box.get_facecolor()) + 0.05) / 0.05 >= 7  # black on it: WCAG's AAA


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=1, max_size=9))
def test_arrows_lead_down_and_boxes_do_not_overlap(sources):
    edges = [(s % node, node) for node, from_ in enumerate(sources, start=1) for s in from_]
    n = len(sources) + 1
    edges.append((n - 1, n))
    ax = plots.draw_operators(OperatorGraph(["input", *["conv"] * (n - 1), "output"], edges))
    boxes = parts(ax, FancyBboxPatch)
    middles = np.array([[b.get_x() + b.get_width() / 2, b.get_y()] for b in boxes])
    assert (middles[[s for s, _ in edges], 1] > middles[[t for _, t in edges], 1]).all()
    for one, other in itertools.combinations(boxes, 2):
        beside = abs(one.get_x() - other.get_x()) > one.get_width()
        below = abs(one.get_y() - other.get_y()) > one.get_height()
        assert beside or below
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert (middles[:, 0] > left).all()
    assert (middles[:, 0] < right).all()
    assert (middles[:, 1] > bottom).all()
    assert (middles[:, 1] < top).all()
    plt.close("all")


def test_what_cannot_be_drawn_says_what_to_do():
    with pytest.raises(ValueError, match=r"OperatorGraph\.from_module"):
        plots.draw_operators("resnet50")
    with pytest.raises(ValueError, match="has 92 operators.*room for 80.*one block"):
        plots.draw_operators(OperatorGraph.from_layers([Layer("conv")] * 90))
