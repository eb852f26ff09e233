"""How many claims and figures hold: one bar for each, with signs and counts written below."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from graf_utils._checks import choice
from graf_utils.claims import VERDICTS
from graf_utils.plots.style import new_axes, points

__all__ = ["VERDICT_COLOURS", "VERDICT_SIGNS", "verdict_bars"]

VERDICT_COLOURS = dict(zip(VERDICTS, ("#00785A", "#B87A1E", "#C23B22", "#8C99A3"), strict=True))
"""The colour of each verdict, as in the claim boxes."""

VERDICT_SIGNS = dict(zip(VERDICTS, "✓±✗?", strict=True))
"""A sign for each verdict, for those who do not see the colour."""

_WORDS = dict(zip(VERDICTS, ("hold", "in part", "fail", "untested"), strict=True))
_STEP = 1.5  # from one bar to the next


def verdict_bars(counts: Mapping[str, Mapping[str, int]], ax: Axes | None = None) -> Axes:
    """Draw one bar for each title, cut into its verdicts, with the counts below.

    Parameters
    ----------
    counts : mapping of str to mapping of str to int
        For each title how often each verdict was given. A verdict that cannot occur is left out of
        the mapping; one that did not occur is 0, and is said.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        There is no bar to draw, an unknown verdict, or a count below 0.

    Examples
    --------
    >>> ax = verdict_bars({"3 claims": {"holds": 2, "fails": 1}})
    >>> [text.get_text() for text in ax.texts]
    ['3 claims', '✓ 2 hold', '✗ 1 fail']
    """
    if not counts:
        raise ValueError("counts is empty: pass a title with its verdicts, such as {'claims': …}.")
    for title, part in counts.items():
        for verdict, n in part.items():
            choice("verdict", verdict, VERDICTS)
            if n < 0:
                raise ValueError(f"counts[{title!r}][{verdict!r}] is {n}; it must be 0 or more.")
    ax = new_axes(ax)
    for row, (title, part) in enumerate(counts.items()):
        _draw_bar(ax, _STEP * row, title, {v: part[v] for v in VERDICTS if v in part})
    ax.set(xlim=(0, 100), ylim=(_STEP * len(counts) - 0.7, -0.65))
    ax.set_axis_off()
    return ax


def _draw_bar(ax: Axes, y: float, title: str, part: Mapping[str, int]) -> None:
    """One bar from 0 to 100, its title above and its counts below."""
    ax.text(0, y - 0.32, title, va="bottom", fontsize=points(11), fontweight="bold")
    left, total = 0.0, max(sum(part.values()), 1)
    for k, (verdict, n) in enumerate(part.items()):
        width, colour = 100 * n / total, VERDICT_COLOURS[verdict]
        ax.barh(y, width, 0.5, left=left, color=colour, edgecolor="white", linewidth=1)
        left += width
        words = f"{VERDICT_SIGNS[verdict]} {n:,} {_WORDS[verdict]}"
        place = 100 * k / len(part)
        ax.text(place, y + 0.32, words, va="top", fontsize=points(11), color=_dark(colour))


def _dark(colour: str) -> str:
    """The colour darkened until small type in it can be read on white."""
    return "#" + "".join(f"{int(int(colour[i : i + 2], 16) * 0.68):02X}" for i in (1, 3, 5))
