"""Figures: what is drawn is what the data say, and it can be told apart without colour."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from graf_utils import plots
from graf_utils.features import GRAF
from graf_utils.spaces import NB201, get_space


@pytest.fixture(autouse=True)
def close():
    plots.theme()
    yield
    plt.close("all")


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_draw_cell_writes_every_operation():
    ax = plots.draw_cell((4, 0, 3, 1, 4, 3))
    assert sorted(w for w in words(ax) if w) == sorted(
        ["pool 3×3", "skip", "conv 1×1", "none", "pool 3×3", "conv 1×1", "in", "2", "3", "out"]
    )
    assert len(ax.lines) == 6


def test_draw_cell_highlights():
    ax = plots.draw_cell((4, 0, 3, 1, 4, 3), highlight=["none"])
    colours = [line.get_color() for line in ax.lines]
    assert colours.count("#BBBBBB") == 5


def test_draw_cell_with_operations_on_nodes():
    space = get_space("nb101")
    matrix = [[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    ops = ["input", "conv3x3-bn-relu", "maxpool3x3", "output"]
    ax = plots.draw_cell(space.from_matrix(matrix, ops), space)
    assert [w for w in words(ax) if w] == ["in", "conv\n3×3", "maxpool\n3×3", "out"]
    assert len(ax.lines) == 4


def test_draw_cell_of_darts_needs_the_cell():
    (architecture,) = get_space("darts").from_codes(get_space("darts").sample(1, random_state=0))
    ax = plots.draw_cell(architecture, "darts", cell="reduce")
    assert len(ax.lines) == 12
    assert {"k−2", "k−1", "out"} <= set(words(ax))
    with pytest.raises(ValueError, match=r"\['normal', 'reduce'\]"):
        plots.draw_cell(architecture, "darts")


def test_tau_curves_show_the_means():
    frame = pd.DataFrame(
        {
            "encoding": ["graf"] * 4 + ["one-hot"] * 4,
            "train_size": [32, 32, 128, 128] * 2,
            "kendall_tau": [0.1, 0.3, 0.5, 0.7, 0.0, 0.2, 0.4, 0.6],
        }
    )
    ax = plots.tau_curves(frame)
    lines = [container.lines[0] for container in ax.containers]
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata(), float), [0.2, 0.6])
    np.testing.assert_allclose(np.asarray(lines[1].get_ydata(), float), [0.1, 0.5])
    assert lines[0].get_marker() != lines[1].get_marker()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["GRAF", "one-hot"]
    assert "networks" in ax.get_xlabel()
    assert "τ" in ax.get_ylabel()


def test_relation_counts_the_networks():
    ax = plots.relation(
        pd.Series([1, 1, 2], name="op_count[x]"), [10.0, 20.0, 30.0], "accuracy in %"
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1\n2", "2\n1"]
    assert ax.get_ylabel() == "accuracy in %"


def test_correlation_map_names_the_families():
    graf = GRAF(drop_redundant=True).set_output(transform="pandas")
    X = graf.fit_transform(NB201().sample(200, random_state=0))
    ax = plots.correlation_map(X)
    assert [t.get_text() for t in ax.get_yticklabels()] == list(
        dict.fromkeys(c.split("[")[0] for c in X)
    )
    np.testing.assert_allclose(np.diag(ax.images[0].get_array()), 1)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("jacov", "jacov"),
        ("op_count[nor_conv_3x3]", "count: 3×3"),
        ("min_path_len[skip_connect+nor_conv_3x3+nor_conv_1x1]", "min path: skip, 3×3, 1×1"),
        ("mean_in_degree[none+avg_pool_3x3]", "mean in degree: none, pool"),
        ("normal.op_count[sep_conv_3x3]", "normal.count: sep 3×3"),
    ],
)
def test_feature_labels_are_short(name, label):
    assert plots.feature_label(name) == label


def test_mean_ranks_are_drawn_best_on_top():
    ranks = pd.DataFrame({"feature": list("cab"), "mean_rank": [2.0, 0.0, 1.5], "std_rank": np.nan})
    ax = plots.mean_rank_plot(ranks, top=2)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert ax.containers[0].lines[0].get_xdata().tolist() == [0.0, 1.5]
    assert ax.yaxis_inverted()


def test_target_dots_show_the_means_and_keep_colours():
    results = pd.DataFrame(
        [("b", "graf", 0.5), ("b", "graf", 0.7), ("a", "graf", 0.9), ("a", "one-hot", 0.1)],
        columns=["target", "encoding", "kendall_tau"],
    )
    ax = plots.target_dots(results, order=("one-hot", "zcp", "graf"))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a"]
    assert ax.yaxis_inverted()
    dots = {line.get_label(): line for line in ax.lines if line.get_marker() in plots.MARKERS}
    assert set(dots) == {"one-hot", "GRAF"}
    np.testing.assert_allclose(dots["GRAF"].get_xdata(), [0.6, 0.9])
    np.testing.assert_allclose(dots["one-hot"].get_xdata(), [np.nan, 0.1])
    assert dots["GRAF"].get_color() == plots.PALETTE[2]
    assert dots["GRAF"].get_marker() == plots.MARKERS[2]


def test_agreement_map_writes_the_numbers():
    matrix = pd.DataFrame([[1.0, 0.25], [0.25, -0.5]], index=list("ab"), columns=list("ab"))
    ax = plots.agreement_map(matrix, "ρ")
    assert words(ax) == ["1.0", ".2", ".2", "-.5"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]


def test_the_palette_is_told_apart_in_grey():
    """Neighbouring lines differ in marker and style as well as in colour."""
    assert len(set(plots.PALETTE)) == len(set(plots.MARKERS)) == len(plots.PALETTE)
