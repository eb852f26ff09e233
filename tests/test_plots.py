"""Figures: what is drawn is what the data say, and it can be told apart without colour."""

import itertools
import re
import statistics

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from graf_utils import plots
from graf_utils.features import GRAF
from graf_utils.spaces import NB201, get_space

pytestmark = pytest.mark.usefixtures("book_style")


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


def bars(container):
    """Mean and half length of each error bar of a container, as they are drawn."""
    (segments,) = [collection.get_segments() for collection in container.lines[2]]
    ends = np.array(segments)
    across = 0 if np.ptp(ends[0, :, 0]) > 0 or np.ptp(ends[0, :, 1]) == 0 else 1
    return ends[:, :, across].mean(axis=1), np.diff(ends[:, :, across], axis=1)[:, 0] / 2


def half_by_hand(values):
    """Half the 95 % interval of a mean, from scratch: normal quantile times standard error."""
    values = [v for v in values if v == v]
    n, mean = len(values), sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    return statistics.NormalDist().inv_cdf(0.975) * (variance / n) ** 0.5


def fits(**columns):
    """Results as `evaluate` returns them: every combination of the given columns."""
    defaults = {"table": ["t"], "target": ["accuracy"], "encoding": ["graf", "one-hot"]}
    defaults |= {"predictor": ["rf"], "train_size": [32, 128], "data_seed": [42, 43, 44]}
    levels = defaults | columns
    frame = pd.DataFrame(list(itertools.product(*levels.values())), columns=list(levels))
    tau = np.random.default_rng(0).uniform(0.2, 0.9, len(frame))
    return frame.assign(kendall_tau=tau)


class TestLook:
    def test_graf_is_the_same_blue_circle_in_every_order(self):
        for names in (["graf", "one-hot"], ["one-hot", "zcp", "graf"], ["mine", "graf"]):
            style = plots.look("graf", names)
            assert (style.color, style.marker, style.linestyle) == ("#0072B2", "o", "-")

    def test_looks_are_told_apart_by_marker_alone_and_by_dash_alone(self):
        styles = list(plots.ENCODING_STYLES.values())
        assert len({style.marker for style in styles}) == len(styles)
        assert len({str(style.linestyle) for style in styles}) == len(styles)
        assert len({style.label for style in styles}) == len(styles)

    def test_every_named_encoding_has_a_look(self):
        from graf_utils.encodings import ENCODINGS

        assert set(ENCODINGS) <= set(plots.ENCODING_STYLES)

    def test_the_encodings_of_the_main_figures_differ_for_all_common_colour_visions(self):
        """Distances in CIELAB after the dichromacy simulation of Viénot et al. (1999)."""
        names = ["graf", "one-hot", "zcp", "zcp+graf", "flops+params", "op-count"]
        for matrix in (np.eye(3), PROTAN, DEUTAN):
            seen = [lab(matrix @ linear(plots.look(name).color)) for name in names]
            gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
            assert min(gaps) > 8

    def test_every_look_reads_on_white(self):
        """A contrast of 2 at least; markers and dashes are the second channel."""
        for style in plots.ENCODING_STYLES.values():
            luminance = linear(style.color) @ [0.2126, 0.7152, 0.0722]
            assert 1.05 / (luminance + 0.05) > 2

    def test_unknown_names_do_not_depend_on_the_order(self):
        names = ["wl", "mine", "graf", "arch2vec"]
        for order in itertools.permutations(names):
            assert [plots.look(n, order) for n in names] == [plots.look(n, names) for n in names]
        chosen = [plots.look(n, names) for n in names]
        assert len({(s.color, s.marker) for s in chosen}) == 4

    def test_spare_looks_are_given_by_the_alphabet(self):
        letters = "zyxwvutsrqponmlkjihgfedcba"
        markers = [plots.look(letter, letters).marker for letter in sorted(letters)]
        assert markers[:5] == markers[5:10] == markers[20:25]
        assert len(set(markers)) == 5
        assert plots.look("a", letters) == plots.look("a")

    def test_forty_unknown_names_are_told_apart_and_more_are_refused(self):
        names = [f"e{i:02}" for i in range(40)]
        styles = [plots.look(name, names) for name in names]
        assert len({(s.color, s.marker) for s in styles}) == 40
        known = {style.marker for style in plots.ENCODING_STYLES.values()}
        assert not known & {style.marker for style in styles}
        with pytest.raises(ValueError, match="41 names"):
            plots.look("e40", names)


def linear(colour):
    rgb = np.array(mpl.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


# Viénot, Brettel & Mollon (1999), linear RGB of a colour as a dichromat sees it
PROTAN = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTAN = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.clip(np.array(to_xyz) @ rgb / [0.9505, 1, 1.089], 0, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("tau", [0.5, 0.95])
def test_a_ceiling_is_a_line_with_room_above_it(tau):
    _, ax = plt.subplots()
    ax.set_ylim(0.3, 0.9)
    plots.draw_ceiling(ax, tau)
    (line,) = ax.lines
    assert set(line.get_ydata()) == {tau}
    assert line.get_label() == "twins (ceiling)"
    assert ax.get_ylim()[1] == max(0.9, tau + 0.01)


class TestTauCurves:
    def test_the_means_and_intervals_are_drawn(self):
        frame = fits()
        frame.loc[3, "kendall_tau"] = np.nan  # graf, 128 networks
        ax = plots.tau_curves(frame)
        for container, encoding in zip(ax.containers, ["graf", "one-hot"], strict=True):
            taus = frame[frame["encoding"] == encoding].groupby("train_size")["kendall_tau"]
            means = [np.nanmean(values) for _, values in taus]
            halves = [half_by_hand(values.tolist()) for _, values in taus]
            drawn, length = bars(container)
            np.testing.assert_allclose(drawn, means, rtol=1e-12)
            np.testing.assert_allclose(length, halves, rtol=1e-4)
            assert container.lines[0].get_ydata() == pytest.approx(means)

    def test_another_metric_is_drawn_and_named(self):
        frame = fits().assign(ndcg=lambda f: 1 - f["kendall_tau"])
        taus = [line.lines[0].get_ydata() for line in plots.tau_curves(frame).containers]
        ax = plots.tau_curves(frame.drop(columns="kendall_tau"), metric="ndcg")
        for line, tau in zip(ax.containers, taus, strict=True):
            drawn = [float(value) for value in line.lines[0].get_ydata()]
            assert drawn == pytest.approx([1 - float(value) for value in tau])
        assert ax.get_ylabel() == "ndcg on the rest"
        one = frame[frame["train_size"] == frame["train_size"].min()]
        assert plots.target_dots(one, metric="ndcg").get_xlabel() == "ndcg on the rest"
        assert plots.target_dots(one).get_xlabel() == "Kendall τ on the rest"
        with pytest.raises(ValueError, match=r"needs the columns \['ndgc'\]"):
            plots.tau_curves(frame, metric="ndgc")

    def test_lines_look_as_their_encodings_do(self):
        for frame in (fits(), fits(encoding=["one-hot", "zcp", "graf"])):
            ax = plots.tau_curves(frame)
            for container in ax.containers:
                line = container.lines[0]
                (style,) = [
                    s for s in plots.ENCODING_STYLES.values() if s.label == container.get_label()
                ]
                assert line.get_color() == style.color
                assert line.get_marker() == style.marker
                assert [c.get_edgecolor()[0].tolist() for c in container.lines[2]] == [
                    list(mpl.colors.to_rgba(style.color))
                ]

    def test_axes_and_legend(self):
        ax = plots.tau_curves(fits())
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["GRAF", "one-hot"]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["32", "128"]
        assert "networks" in ax.get_xlabel()
        assert "τ" in ax.get_ylabel()

    def test_a_single_seed_has_no_bar(self):
        ax = plots.tau_curves(fits(data_seed=[42]))
        assert bars(ax.containers[0])[1].tolist() == [0, 0]

    @pytest.mark.parametrize("column", ["table", "target", "predictor"])
    def test_a_line_that_would_pool_is_refused_and_the_remedy_works(self, column):
        frame = fits(**{column: ["a", "b"]})
        with pytest.raises(ValueError, match=f"average over {column}") as error:
            plots.tau_curves(frame)
        remedy = re.search(r"Draw one of them, (.*), or a panel", str(error.value))[1]
        plots.tau_curves(eval(remedy, {"results": frame}))
        for _, part in frame.groupby(column):
            plots.tau_curves(part)

    def test_all_pooled_columns_are_named(self):
        with pytest.raises(ValueError, match="target and predictor"):
            plots.tau_curves(fits(target=["a", "b"], predictor=["rf", "xgb"]))

    def test_one_predictor_for_each_line_is_no_pooling(self):
        frame = fits()
        frame["predictor"] = frame["encoding"].map({"graf": "rf", "one-hot": "ridge"})
        assert len(plots.tau_curves(frame).containers) == 2

    def test_a_missing_value_is_a_setting_of_its_own(self):
        frame = fits(source=["paper", None])
        with pytest.raises(ValueError, match="average over source"):
            plots.tau_curves(frame)

    def test_a_repeated_data_seed_is_refused_and_the_remedy_works(self):
        frame = fits(n_epochs=[100, 250])
        with pytest.raises(ValueError, match="occurs more than once") as error:
            plots.tau_curves(frame)
        remedy = re.search(r"such as (.*)\.$", str(error.value))[1]
        plots.tau_curves(eval(remedy, {"results": frame}))

    def test_what_cannot_be_drawn_is_named(self):
        with pytest.raises(ValueError, match="no rows"):
            plots.tau_curves(fits().iloc[:0])
        with pytest.raises(ValueError, match=r"\['train_size'\]"):
            plots.tau_curves(fits().drop(columns="train_size"))

    def test_hue_may_be_another_column(self):
        ax = plots.tau_curves(fits(encoding=["graf"], predictor=["xgb", "rf"]), hue="predictor")
        assert [c.get_label() for c in ax.containers] == ["xgb", "rf"]


class TestTargetDots:
    results = pd.DataFrame(
        [("b", "graf", 0.5), ("b", "graf", 0.7), ("a", "graf", 0.9), ("a", "one-hot", 0.1)],
        columns=["target", "encoding", "kendall_tau"],
    )

    def dots(self, ax):
        return {line.get_label(): line for line in ax.lines if not line.get_label()[0] == "_"}

    def test_the_means_and_intervals_are_drawn(self):
        frame = fits(target=["b", "a", "c"], train_size=[128])
        ax = plots.target_dots(frame)
        for container, encoding in zip(ax.containers, ["graf", "one-hot"], strict=True):
            drawn, length = bars(container)
            for i, target in enumerate("bac"):
                chosen = frame[(frame["target"] == target) & (frame["encoding"] == encoding)]
                taus = chosen["kendall_tau"].tolist()
                assert drawn[i] == pytest.approx(sum(taus) / 3)
                assert length[i] == pytest.approx(half_by_hand(taus), rel=1e-4)

    def test_rows_colours_and_selection(self):
        ax = plots.target_dots(self.results, order=("one-hot", "zcp", "graf"))
        assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a"]
        assert ax.yaxis_inverted()
        dots = self.dots(ax)
        assert list(dots) == ["one-hot", "GRAF"]
        np.testing.assert_allclose(dots["GRAF"].get_xdata(), [0.6, 0.9])
        np.testing.assert_allclose(dots["one-hot"].get_xdata(), [np.nan, 0.1])
        assert dots["GRAF"].get_color() == plots.look("graf").color
        assert dots["GRAF"].get_marker() == plots.look("graf").marker
        assert set(self.dots(plots.target_dots(self.results, order=["graf"]))) == {"GRAF"}

    def test_dots_of_many_encodings_stay_in_their_row(self):
        frame = fits(target=["a", "b"], encoding=[f"e{i}" for i in range(12)], train_size=[32])
        ax = plots.target_dots(frame)
        places = np.array([line.get_ydata() for line in self.dots(ax).values()])
        assert np.abs(places - [0, 1]).max() < 0.5
        assert (np.diff(places, axis=0) > 0).all()

    def test_marks_are_found_by_name(self):
        marks = pd.Series({"a": 0.3, "b": 0.8}, name="second training")
        ax = plots.target_dots(self.results, marks=marks)
        line = self.dots(ax)["second training"]
        assert line.get_marker() == "|"
        assert dict(zip(line.get_ydata(), line.get_xdata(), strict=True)) == {0: 0.8, 1: 0.3}
        ax = plots.target_dots(self.results, marks=marks[["a"]])
        np.testing.assert_allclose(self.dots(ax)["second training"].get_xdata(), [np.nan, 0.3])
        with pytest.raises(ValueError, match="not among"):
            plots.target_dots(self.results, marks=pd.Series({"z": 0.3}))

    @pytest.mark.parametrize("column", ["table", "train_size", "predictor"])
    def test_a_dot_that_would_pool_is_refused(self, column):
        frame = fits(**({"train_size": [128]} | {column: [1, 2]}))
        with pytest.raises(ValueError, match=f"average over {column}"):
            plots.target_dots(frame)

    def test_one_predictor_for_each_row_is_no_pooling(self):
        frame = fits(target=["a", "b"], train_size=[128])
        frame["predictor"] = frame["target"].map({"a": "rf", "b": "ridge"})
        assert len(plots.target_dots(frame).containers) == 2

    def test_no_encoding_of_the_order(self):
        with pytest.raises(ValueError, match="no rows"):
            plots.target_dots(self.results, order=["zcp"])


LONG = "accuracy_on_simulated_analog_hardware_after_thirty_days_ok"


@pytest.mark.parametrize(
    "name", [LONG, "accuracy on simulated analog hardware after days", "x" * 60]
)
def test_long_names_leave_room_for_the_axes(name):
    names = [f"{name[:58]}{i}" for i in range(4)]
    for ax in (
        plots.target_dots(fits(target=names, train_size=[32])),
        plots.tau_curves(fits(encoding=names)),
        plots.row_dots(pd.Series(1.0, index=names)),
    ):
        ax.figure.set_size_inches(4.6, 4.0)
        ax.figure.canvas.draw()
        box = ax.get_position()
        assert box.width > 0.4
        assert box.height > 0.4


def test_longer_names_are_refused():
    with pytest.raises(ValueError, match="has 61 characters"):
        plots.target_dots(fits(target=["x" * 61], train_size=[32]))
    with pytest.raises(ValueError, match="has 80 characters"):
        plots.tau_curves(fits(encoding=["y" * 80]))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("short", ["short"]),
        ("accuracy under attack by PGD", ["accuracy under", "attack by PGD"]),
        ("aa_apgd-ce@Linf_eps-1.0", ["aa_apgd-ce@Linf_eps-", "1.0"]),
        ("z" * 45, ["z" * 20, "z" * 20, "z" * 5]),
        (
            "two\nlines that are chosen by the author",
            ["two", "lines that are chosen by the author"],
        ),
        (12345, ["12345"]),
    ],
)
def test_labels_are_wrapped_without_losing_a_letter(name, lines):
    assert plots.wrapped(name).split("\n") == lines


class TestLegendBelow:
    def test_it_is_below_the_axis_label(self):
        ax = plots.tau_curves(fits(encoding=["graf", "one-hot", "zcp", "mine"]))
        ax.figure.canvas.draw()
        label = ax.xaxis.label.get_window_extent()
        legend = ax.get_legend().get_window_extent()
        assert legend.y1 < label.y0
        assert legend.x0 >= 0
        assert legend.x1 <= ax.figure.bbox.x1

    def test_panels_share_one(self):
        figure, axes = plt.subplots(1, 2)
        plots.tau_curves(fits(), ax=axes[0])
        plots.tau_curves(fits(encoding=["zcp", "graf"]), ax=axes[1])
        legend = plots.legend_below(axes, ncols=3)
        assert [t.get_text() for t in legend.get_texts()] == ["GRAF", "one-hot", "ZCP"]
        assert axes[0].get_legend() is axes[1].get_legend() is None
        assert figure.legends == [legend]
        figure.canvas.draw()
        assert legend.get_window_extent().y1 < min(
            ax.xaxis.label.get_window_extent().y0 for ax in axes
        )

    def test_nothing_to_name(self):
        with pytest.raises(ValueError, match="label=") as error:
            plots.legend_below(plt.subplots()[1])
        assert "then add a legend" in str(error.value)


class TestMedianBand:
    def test_median_and_quartiles_are_drawn(self):
        values = pd.DataFrame(
            [[1.0, 2, 3, 4, 10], [0, 0, 1, 8, 9], [5, np.nan, 7, np.nan, 9]], index=[20, 21, 22]
        )
        ax = plots.median_band(values, color=plots.RED, linestyle=":", label="mine")
        (line,), (band,) = ax.lines, ax.collections
        assert line.get_xdata().tolist() == [20, 21, 22]
        assert line.get_ydata().tolist() == [3, 1, 7]
        assert (line.get_color(), line.get_linestyle()) == (plots.RED, ":")
        corners = band.get_paths()[0].vertices
        for x, low, high in ((20, 2, 4), (21, 0, 8), (22, 6, 8)):
            heights = corners[corners[:, 0] == x, 1]
            assert (heights.min(), heights.max()) == (low, high)
        assert mpl.colors.to_hex(band.get_facecolor()[0]).upper() == plots.RED


class TestRelation:
    def test_it_counts_the_networks(self):
        ax = plots.relation(
            pd.Series([1, 1, 2], name="op_count[x]"), [10.0, 20.0, 30.0], "accuracy in %"
        )
        assert [t.get_text() for t in ax.get_xticklabels()] == ["1\n2", "2\n1"]
        assert ax.get_ylabel() == "accuracy in %"

    def test_boxes_are_quartiles_and_whiskers_percentiles(self):
        values = np.arange(101.0) ** 2
        ax = plots.relation(pd.Series(np.zeros(101), name="f"), values, "y")
        box = ax.patches[0].get_path().vertices[:, 1]
        assert (box.min(), box.max()) == (25**2, 75**2)
        heights = {y for line in ax.lines for y in line.get_ydata()}
        assert {5.0**2, 95.0**2, 50.0**2} <= heights

    def test_two_series_are_aligned_by_their_index(self):
        feature = pd.Series([0, 0, 1, 1], index=list("abcd"), name="f")
        target = pd.Series([1.0, 2, 11, 12], index=list("abcd"))
        straight = plots.relation(feature, target, "y")
        mixed = plots.relation(feature, target.iloc[::-1], "y")
        for one, other in zip(straight.lines, mixed.lines, strict=True):
            np.testing.assert_array_equal(one.get_ydata(), other.get_ydata())
        with pytest.raises(ValueError, match="to_numpy"):
            plots.relation(feature, target.reset_index(drop=True), "y")
        plots.relation(feature, target.reset_index(drop=True).to_numpy(), "y")

    def test_lengths_and_number_of_values(self):
        feature = pd.Series(np.arange(100.0), name="f")
        with pytest.raises(ValueError, match="100 values and target 99"):
            plots.relation(feature, np.arange(99), "y")
        with pytest.raises(ValueError, match="100 different values") as error:
            plots.relation(feature, np.arange(100), "y")
        remedy = re.search(r"classes: (.*)\.$", str(error.value))[1]
        plots.relation(eval(remedy, {"pd": pd, "feature": feature}), np.arange(100), "y")


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


class TestRowDots:
    def test_values_and_bars_are_drawn_the_first_on_top(self):
        values = pd.Series({"a": 0.0, "b": 1.5, "c": 4.0})
        spread = pd.Series({"c": 0.5, "b": 0.25, "a": np.nan})
        ax = plots.row_dots(values, spread)
        assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
        drawn, length = bars(ax.containers[0])
        assert drawn.tolist() == [0, 1.5, 4]
        assert length.tolist() == [0, 0.25, 0.5]
        assert ax.yaxis_inverted()

    def test_rows_of_several_settings_are_refused(self):
        with pytest.raises(ValueError, match="'a' occurs more than once"):
            plots.row_dots(pd.Series([1.0, 2.0], index=["a", "a"]))
        with pytest.raises(ValueError, match="rows of values"):
            plots.row_dots(pd.Series({"a": 1.0}), pd.Series({"b": 1.0}))


class TestNumberMap:
    def test_the_numbers_are_written(self):
        table = pd.DataFrame([[1.0, 0.25], [np.nan, -0.5], [-0.04, 10.5]], list("abc"), list("xy"))
        ax = plots.number_map(table)
        assert words(ax) == ["1.0", ".2", "-.5", ".0", "10.5"]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y"]
        assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
        assert [tuple(text.get_position()) for text in ax.texts][1:3] == [(1, 0), (1, 1)]
        assert words(plots.number_map(table, digits=2))[1] == ".25"

    @pytest.mark.parametrize(("cmap", "vmin"), [("cividis", 0), ("RdBu", -1), ("viridis", 0)])
    def test_every_number_can_be_read(self, cmap, vmin):
        """Contrast of text and ground at least 4.5, as WCAG 2.2 asks."""
        table = pd.DataFrame(np.linspace(vmin, 1, 60).reshape(6, 10))
        ax = plots.number_map(table, cmap=cmap, vmin=vmin)
        image = ax.images[0]
        for text in ax.texts:
            x, y = text.get_position()
            ground = image.cmap(image.norm(table.iloc[y, x]))[:3]
            light = [linear(c) @ [0.2126, 0.7152, 0.0722] for c in (ground, text.get_color())]
            assert (max(light) + 0.05) / (min(light) + 0.05) >= 4.5


def test_correlation_map_shows_sizes_and_families_in_the_middle_of_their_block():
    up = np.arange(6.0)
    frame = pd.DataFrame({"a[x]": up, "a[y]": -up, "a[z]": up**2, "b[x]": -(up**3)})
    ax = plots.correlation_map(frame)
    shown = np.asarray(ax.images[0].get_array())
    assert shown[0, 1] == pytest.approx(1)
    assert shown[0, 3] == pytest.approx(abs(np.corrcoef(up, up**3)[0, 1]))
    assert ax.get_yticks().tolist() == [1, 3]  # rows 0 to 2, and row 3


# --- tau against cost -----------------------------------------------------------------------------


def fits_of(*rows):
    """Predictor, tau and CPU seconds of two data seeds each."""
    return pd.DataFrame(
        [
            {"table": "t", "source": "s", "target": "y", "encoding": "graf", "predictor": name}
            | {"train_size": 32, "data_seed": seed, "kendall_tau": tau, "cpu_seconds": cost}
            for name, taus, costs in rows
            for seed, tau, cost in zip((1, 2), taus, costs, strict=True)
        ]
    )


COSTS = fits_of(
    ("slow and best", (0.8, 0.9), (40, 60)),
    ("cheap", (0.2, 0.4), (0.2, 0.4)),
    ("beaten", (0.3, 0.3), (1.0, 3.0)),
    ("between", (0.5, 0.7), (4, 6)),
    ("no time at all", (0.1, 0.1), (0, 0)),
)


def test_the_front_is_what_nothing_cheaper_beats():
    frame = plots.cost_front(COSTS).set_index("predictor")
    assert frame["cpu_seconds"].to_dict() == pytest.approx(
        {"no time at all": 0.001, "cheap": 0.3, "beaten": 2, "between": 5, "slow and best": 50}
    )
    assert frame["cpu_seconds"].is_monotonic_increasing
    assert frame.loc["between", "mean"] == pytest.approx(0.6)
    assert frame.loc["between", "half"] == pytest.approx(1.96 * 0.1, abs=1e-3)
    assert frame.index[~frame["front"]].tolist() == ["beaten"]


def test_a_front_needs_a_mean_and_seconds_of_each():
    for column in ("kendall_tau", "cpu_seconds"):
        gap = COSTS.assign(**{column: COSTS[column].where(COSTS["predictor"] != "between")})
        with pytest.raises(ValueError, match=f"no '{column}'.* of between on graf"):
            plots.cost_front(gap)
        with pytest.raises(ValueError, match=column):
            plots.cost_front(COSTS.drop(columns=column))


def test_cost_dots_draws_every_mean_and_numbers_the_front():
    families = {name: "ours" if "best" in name else "linear" for name in COSTS["predictor"]}
    ax = plots.cost_dots(COSTS, families)
    *dots, front = ax.lines
    drawn = {line.get_label(): sorted(line.get_xdata()) for line in dots}
    assert drawn == {
        "linear": pytest.approx([0.001, 0.3, 2, 5]),
        "ours": pytest.approx([50]),
    }
    assert len({line.get_marker() for line in dots}) == 2
    np.testing.assert_allclose(front.get_ydata(), [0.1, 0.3, 0.6, 0.85])
    assert words(ax) == ["1", "2", "3", "4"]
    assert ax.get_xscale() == "log"


def test_cost_dots_refuses_what_would_be_averaged_and_unknown_families():
    with pytest.raises(ValueError, match="would average over train_size"):
        plots.cost_dots(pd.concat([COSTS, COSTS.assign(train_size=128)]))
    with pytest.raises(ValueError, match="families has no 'no time at all'; name the family"):
        plots.cost_dots(
            COSTS, dict.fromkeys(["cheap", "beaten", "between", "slow and best"], "ours")
        )


def test_families_are_told_apart_without_colour():
    styles = plots.FAMILY_STYLES.values()
    assert len({style.marker for style in styles}) == len(styles)
    assert len({style.color for style in styles}) == len(styles)
