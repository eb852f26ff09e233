"""The bars of verdicts: their lengths are the counts, and what fails is said in words, too."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from bad_input import must_name

mpl.use("Agg")

import matplotlib.pyplot as plt

from graf_utils import plots
from graf_utils.claims import VERDICTS


@pytest.fixture
def drawn():
    counts = {
        "8 claims": dict(zip(VERDICTS, (4, 2, 2, 0), strict=True)),
        "1,000 figures": {"cannot be tested here": 750, "holds": 250, "fails": 0},
    }
    yield plots.verdict_bars(counts)
    plt.close("all")


def test_lengths_are_shares(drawn):
    widths = [bar.get_width() for bar in drawn.patches]
    assert widths == [50, 25, 25, 0, 25, 0, 75]  # in the order of the verdicts
    assert drawn.get_xlim() == (0, 100)


def test_every_count_has_a_sign_and_a_word(drawn):
    assert [text.get_text() for text in drawn.texts] == [
        "8 claims", "✓ 4 hold", "± 2 in part", "✗ 2 fail", "? 0 untested",
        "1,000 figures", "✓ 250 hold", "✗ 0 fail", "? 750 untested",
    ]  # fmt: skip


def luminance(colour):
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in colour]
    return sum(x * weight for x, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def test_words_can_be_read_on_white(drawn):
    for text in drawn.texts:
        light = luminance(mpl.colors.to_rgb(text.get_color()))
        assert 1.05 / (light + 0.05) >= 4.5, text.get_text()


def test_nothing_leaves_the_figure(drawn):
    figure = drawn.figure
    figure.canvas.draw()
    for text in drawn.texts:
        box = text.get_window_extent()
        assert box.x1 <= figure.bbox.x1, text.get_text()


def test_bars_do_not_overlap_their_words(drawn):
    drawn.figure.canvas.draw()
    bars = [bar.get_window_extent() for bar in drawn.patches if bar.get_width()]
    for text in drawn.texts:
        box = text.get_window_extent()
        assert not any(box.overlaps(bar) for bar in bars), text.get_text()


BAD = {
    "nothing": (lambda: plots.verdict_bars({}), ["counts is empty", "pass a title"]),
    "verdict": (lambda: plots.verdict_bars({"a": {"hold": 1}}), ["'hold'", "Did you mean"]),
    "count": (lambda: plots.verdict_bars({"a": {"holds": -1}}), ["is -1", "0 or more"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(what):
    must_name(*BAD[what])
