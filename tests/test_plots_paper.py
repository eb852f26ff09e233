"""Figures and tables for a paper, and figures that would pool."""

import io
import re
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

mpl.use("Agg")

import matplotlib.pyplot as plt
from PIL import Image

from graf_utils import plots
from graf_utils.plots import latex_table

pytestmark = pytest.mark.usefixtures("book_style")


def fits(**levels):
    axes = {
        "table": ["t"], "source": ["own"], "target": ["acc"], "encoding": ["graf", "one-hot"],
        "predictor": ["rf"], "train_size": [32, 128], "data_seed": [0, 1, 2],
    } | levels  # fmt: skip
    frame = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
    taus = np.random.default_rng(0).uniform(0.3, 0.9, len(frame))
    return frame.assign(kendall_tau=taus, cpu_seconds=1.0)


# --- the theme ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "inches"),
    [
        (3.25, 3.25),
        ("84 mm", 84 / 25.4),
        ("8.8cm", 8.8 / 2.54),
        ("6.75 in", 6.75),
        ("240 pt", 240 / 72.27),
        (np.float64(5.5), 5.5),
        (None, 84 / 25.4),
    ],
)
def test_a_saved_figure_has_the_width_of_the_column(width, inches):
    plots.theme("paper", width=width)
    plots.tau_curves(fits(encoding=["graf", "one-hot", "zcp", "an encoding of my own"]))
    file = io.BytesIO()
    plt.savefig(file, format="png")
    pixels = Image.open(file).size
    assert pixels[0] == pytest.approx(300 * inches, abs=1)
    assert pixels[1] / pixels[0] == pytest.approx(62 / 84, abs=0.01)


@pytest.mark.parametrize("width", ["84 mm", "174 mm"])
def test_everything_lies_within_the_figure(width):
    plots.theme("paper", width=width)
    ax = plots.tau_curves(fits(encoding=["graf", "one-hot", "zcp", "an encoding of my own"]))
    ax.figure.canvas.draw()
    frame = ax.figure.bbox
    legend = ax.get_legend().get_window_extent()
    label = ax.xaxis.label.get_window_extent()
    for part in (legend, label, ax.yaxis.label.get_window_extent(), ax.get_window_extent()):
        assert frame.x0 - 1 <= part.x0 < part.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= part.y0 < part.y1 <= frame.y1 + 1
    assert legend.y1 <= label.y0 + 1
    assert ax.get_window_extent().height > 0.35 * frame.height


def test_type_is_of_eight_points_and_the_fonts_of_a_pdf_can_be_searched():
    plots.theme("paper", width="84 mm")
    ax = plots.tau_curves(fits())
    assert ax.xaxis.label.get_size() == 8
    assert {text.get_size() for text in ax.get_legend().get_texts()} == {7}
    file = io.BytesIO()
    plt.savefig(file, format="pdf")
    assert b"/Type3" not in file.getvalue()
    plots.theme()
    ax = plots.tau_curves(fits())
    assert ax.xaxis.label.get_size() == 11


def test_numbers_and_marks_shrink_with_the_type():
    sizes = []
    for name in ("book", "paper"):
        plots.theme(name)
        number = plots.number_map(pd.DataFrame({"a": [0.5]})).texts[0].get_size()
        cell = plots.draw_cell((4, 0, 3, 1, 4, 3)).texts[-1].get_size()
        sizes.append((number, cell))
    assert sizes[0] == (9.5, 10)
    assert np.divide(*sizes) == pytest.approx([11 / 8] * 2)


def test_the_book_looks_the_same_after_a_paper():
    before = dict(mpl.rcParams)
    plots.theme("paper", width=3)
    assert dict(mpl.rcParams) != before
    plots.theme()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "options",
    [
        {"name": "papers"},
        {"name": None},
        {"width": "84"},
        {"width": "84 px"},
        {"width": "wide"},
        {"width": 84},
        {"width": -3},
        {"width": True},
        {"width": float("nan")},
        {"width": "0.1 in"},
        {"height": "1e5 mm"},
    ],
)
def test_what_is_no_size_is_refused(options):
    before = dict(mpl.rcParams)
    with pytest.raises(ValueError, match=r"'84 mm'|must be one of"):
        plots.theme(**{"name": "paper"} | options)
    assert dict(mpl.rcParams) == before


# --- tables -------------------------------------------------------------------------------------


def read(text):
    """The cells of a table, by LaTeX's own rules: ampersands, backslashes, groups of columns."""
    body = text.split(r"\hline")[1:-1]
    rows = []
    for part in body:
        for line in filter(str.strip, part.replace("\n", " ").split(r"\\ ")):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)&", line.strip())]
            row = []
            for cell in cells:
                merged = re.fullmatch(r"\\multicolumn\{(\d+)\}\{.*?\}\{(.*)\}", cell)
                row += [merged[2]] * int(merged[1]) if merged else [cell]
            rows.append(row)
    return rows


def test_it_says_what_pandas_says():
    pytest.importorskip("jinja2")  # which pandas needs, and the package must not
    frame = fits().pivot_table(
        index=["encoding", "predictor"], columns=["target", "train_size"], values="kendall_tau"
    )
    theirs = frame.to_latex(escape=True, float_format="%.3f", sparsify=True, multirow=False)
    theirs = re.sub(r"\\(top|mid|bottom)rule", r"\\hline", theirs)
    theirs = re.sub(r"\\cline\{.*?\}", "", theirs)
    ours, expected = read(latex_table(frame)), read(theirs)
    numbers = [row[2:] for row in ours[2:]]
    assert numbers == [row[2:] for row in expected[-2:]]
    assert numbers == [[f"{value:.3f}" for value in row] for row in frame.to_numpy()]
    assert ours[0] == ["", "", "acc", "acc"]
    assert ours[1] == ["encoding", "predictor", "32", "128"]
    assert [row[:2] for row in ours[2:]] == [["graf", "rf"], ["one-hot", "rf"]]


def test_repeated_labels_are_left_out_and_groups_share_a_name():
    frame = fits(predictor=["rf", "xgb+"], target=["a_1", "b&c"]).pivot_table(
        index=["encoding", "predictor"], columns=["target", "train_size"], values="kendall_tau"
    )
    rows = read(latex_table(frame))
    assert [row[0] for row in rows[2:]] == ["graf", "", "one-hot", ""]
    assert [row[1] for row in rows[2:]] == ["rf", "xgb+", "rf", "xgb+"]
    assert rows[0][2:] == [r"a\_1", r"a\_1", r"b\&c", r"b\&c"]
    assert r"\multicolumn{2}{c}{a\_1}" in latex_table(frame)


SPECIAL = {
    r"\textbackslash{}": "\\", r"\{": "{", r"\}": "}", r"\_": "_", r"\%": "%", r"\&": "&",
    r"\#": "#", r"\$": "$", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"$<$": "<",
    r"$>$": ">", r"$|$": "|", r"$\tau$": "τ",
}  # fmt: skip


@settings(max_examples=200)
@given(st.text(alphabet=r"ab \{}_%&#$~^<>|τ", min_size=1, max_size=12))
def test_any_text_is_written_so_that_it_can_be_read_back(text):
    line = latex_table(pd.DataFrame({"x": [text]})).splitlines()[4].removesuffix(r" \\")
    pattern = "|".join(map(re.escape, sorted(SPECIAL, key=len, reverse=True)))
    assert re.sub(pattern, lambda found: SPECIAL[found[0]], line) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.12345, "0.123"), (-0.5, "$-0.500$"), (3, "3"), (-3, "$-3$"), (np.nan, "--"),
        (None, "--"), (pd.NA, "--"), (np.inf, r"$\infty$"), (-np.inf, r"$-\infty$"),
        (True, "True"), ("a_b", r"a\_b"), (np.float32(0.5), "0.500"), (1e6, "1000000.000"),
    ],
)  # fmt: skip
def test_values(value, written):
    frame = pd.DataFrame({"x": pd.Series([value, "text"], dtype=object)})
    assert latex_table(frame).splitlines()[4] == rf"{written} \\"


def test_caption_and_label():
    text = latex_table(pd.DataFrame({"x": [1]}, index=["a"]), caption=r"Of $\tau$.", label="tab:x")
    assert text.startswith("\\begin{table}\n\\centering\n\\caption{Of $\\tau$.}\n\\label{tab:x}\n")
    assert text.endswith("\\end{tabular}\n\\end{table}\n")


@pytest.mark.parametrize(
    "options",
    [
        {"frame": pd.Series([1])}, {"frame": pd.DataFrame()}, {"frame": None},
        {"digits": -1}, {"digits": 1.5}, {"digits": "3"},
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(options):
    with pytest.raises(ValueError, match=r"latex_table takes a DataFrame|digits="):
        latex_table(**{"frame": pd.DataFrame({"x": [0.5]})} | options)


def test_the_remedy_for_a_series_works():
    assert "0.500" in latex_table(pd.Series([0.5], name="x").to_frame())


def test_no_jinja2_is_needed():
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "import pandas as pd\n"
        "from graf_utils.plots import latex_table\n"
        "print(latex_table(pd.DataFrame({'x': [0.5]})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8"
    )
    assert "0.500" in run.stdout


# --- figures that would pool --------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["tau_curves", "target_dots", "cost_dots", "cost_front"])
@pytest.mark.parametrize(
    "column",
    ["table", "source", "target", "predictor", "train_size", "encoding", "test_target", "split"],
)
def test_what_would_be_averaged_is_refused_and_the_remedy_works(draw, column):
    """Also a column of text that is no part of the setting, with seeds of its own per value."""
    function = getattr(plots, draw)
    separate = {
        "tau_curves": ("encoding", "train_size"),
        "target_dots": ("encoding", "target"),
        "cost_dots": ("encoding", "predictor"),
        "cost_front": ("encoding", "predictor"),
    }[draw]
    base = {"train_size": [32]} | {column: [32, 128] if column == "train_size" else ["a", "b"]}
    frame = fits(**base)
    frame["data_seed"] += 10 * frame[column].isin(["b", 128])
    if column in separate:
        function(frame)
        return
    with pytest.raises(ValueError, match=rf"would average over {column}") as error:
        function(frame)
    remedy = re.search(r"Draw one of them, (.*), or a panel", str(error.value))[1]
    function(eval(remedy, {"results": frame}))
    for _, part in frame.groupby(column):
        function(part)


def test_a_band_of_several_settings_is_refused_and_the_remedies_work():
    values = pd.DataFrame(np.random.default_rng(0).random((4, 3)))
    both = pd.concat({"a": values, "b": values}, axis=1)
    with pytest.raises(ValueError, match="several settings"):
        plots.median_band(both)
    plots.median_band(both["a"])
    stacked = pd.concat({"a": values, "b": values})
    with pytest.raises(ValueError, match="several settings"):
        plots.median_band(stacked)
    plots.median_band(stacked.xs("a"))
    for twice in (pd.concat([values, values]), pd.concat([values, values], axis=1)):
        with pytest.raises(ValueError, match="occurs more than once"):
            plots.median_band(twice)
