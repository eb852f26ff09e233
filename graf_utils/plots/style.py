"""One look for each encoding in every figure: its colour, marker and dash; theme and legends."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from graf_utils._checks import choice

# Okabe & Ito (2008), distinguishable with all common colour vision deficiencies.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
RED = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#767676"  # reads on white and on black
PALETTE = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)

LINE_WIDTH = 20  # characters of a line of a label: a third of a figure
LONGEST_LABEL = 60  # characters; longer names leave no room for what is drawn


@dataclass(frozen=True)
class Look:
    """How an encoding looks in every figure.

    Parameters
    ----------
    label : str
        What a legend calls it.
    color : str
        As ``"#0072B2"``.
    marker : str
        A marker of Matplotlib.
    linestyle : str or tuple
        A dash pattern of Matplotlib.
    """

    label: str
    color: str
    marker: str
    linestyle: Any

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot` for a line without markers."""
        return {"label": self.label, "color": self.color, "linestyle": self.linestyle}

    @property
    def dots(self) -> dict[str, Any]:
        """Arguments of `Axes.plot` for markers without a line."""
        return {
            "label": self.label,
            "color": self.color,
            "marker": self.marker,
            "linestyle": "none",
        }


ENCODING_STYLES = {
    "graf": Look("GRAF", BLUE, "o", "-"),
    "one-hot": Look("one-hot", RED, "s", "--"),
    "zcp": Look("ZCP", GREEN, "^", "-."),
    "zcp+graf": Look("ZCP + GRAF", PURPLE, "D", (0, (9, 2))),
    "flops+params": Look("FLOPs + params", ORANGE, "v", ":"),
    "op-count": Look("operation counts", SKY, "P", (0, (3, 1, 1, 1))),
    "path": Look("path encoding", BLACK, "X", (0, (6, 1, 1, 1, 1, 1))),
    "graf+one-hot": Look("GRAF + one-hot", GREY, "*", (0, (4, 2, 1, 2))),
    "none": Look("graph alone", BLACK, "p", (0, (2, 1))),
    "graf-allowed": Look("GRAF, allowed", SKY, "x", (0, (7, 1, 2, 1))),
    "flops": Look("FLOPs", ORANGE, "1", (0, (1, 2))),
    "params": Look("parameters", GREY, "2", (0, (3, 3))),
    "flow": Look("flow", ORANGE, "h", (0, (5, 2))),
    "graf+flow": Look("GRAF + flow", GREEN, ">", (0, (12, 2))),
    "zcp+flow": Look("ZCP + flow", RED, "<", (0, (8, 2, 2, 2))),
    "own-features": Look("own features", PURPLE, "|", (0, (5, 5))),
    "path-authors": Look("path encoding, as published", GREY, "_", (0, (6, 2, 1, 2))),
    "zcp+graf+flow": Look("ZCP + GRAF + flow", BLACK, "d", (0, (14, 2, 2, 2))),
}
"""The look of each encoding of the book, by its name."""

FAMILY_STYLES = {
    "linear": Look("linear", SKY, "s", "-"),
    "kernels, neighbours": Look("kernels, neighbours", GREEN, "^", "-"),
    "neural networks": Look("neural networks", PURPLE, "v", "-"),
    "forests": Look("forests", ORANGE, "P", "-"),
    "boosting": Look("boosting", BLUE, "o", "-"),
    "ours": Look("ours", RED, "D", "-"),
}
"""The look of each family of predictors, by its name."""

# For other names. Numbers of markers, dashes and colours without a common divisor: 5 * 3 * 8
# combinations before one comes back.
_SPARE_COLOURS = (GREY, SKY, BLACK, PURPLE, ORANGE, GREEN, RED, BLUE)
_SPARE_MARKERS = ("8", "H", "3", "4", "+")
_SPARE_DASHES = ((0, (7, 3)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))
_MOST_SPARES = len(_SPARE_COLOURS) * len(_SPARE_MARKERS)


def look(encoding: str, among: Iterable[str] = ()) -> Look:
    """Return the colour, marker and dash of an encoding: the same in every figure.

    Parameters
    ----------
    encoding : str
        A name of `ENCODING_STYLES`, or any other name, such as that of an encoding of your own.
    among : iterable of str
        The names in the same figure. Those that are not in `ENCODING_STYLES` share out the spare
        looks in the order of the alphabet, so that the order of rows does not matter.

    Returns
    -------
    Look

    Raises
    ------
    ValueError
        There are more than forty other names, which nobody could tell apart, or one has more than
        sixty characters.
    """
    if encoding in ENCODING_STYLES:
        return ENCODING_STYLES[encoding]
    others = sorted({str(name) for name in (*among, encoding)} - set(ENCODING_STYLES))
    if len(others) > _MOST_SPARES:
        raise ValueError(
            f"{len(others)} names besides those of ENCODING_STYLES cannot be told apart in one "
            f"figure, at most {_MOST_SPARES} can: draw a selection, or a panel for each group."
        )
    i = others.index(str(encoding))
    return Look(
        wrapped(encoding),
        _SPARE_COLOURS[i % len(_SPARE_COLOURS)],
        _SPARE_MARKERS[i % len(_SPARE_MARKERS)],
        _SPARE_DASHES[i % len(_SPARE_DASHES)],
    )


def wrapped(name: object, width: int = LINE_WIDTH) -> str:
    """Break a name into short lines, so that it leaves room for what is drawn.

    Parameters
    ----------
    name : object
        Anything; its text is taken.
    width : int
        Characters of a line.

    Returns
    -------
    str
        Broken at spaces, else after ``_``, ``-``, ``+``, ``/`` or ``@``, else anywhere.

    Raises
    ------
    ValueError
        It has more than sixty characters.
    """
    text = str(name)
    if len(text) <= width or "\n" in text:
        return text
    if len(text) > LONGEST_LABEL:
        raise ValueError(
            f"the name {text[:40]!r}… has {len(text)} characters, and a figure has room for "
            f"{LONGEST_LABEL}. Give it a short one, such as frame.replace({{{text[:9]!r}…: "
            "'short'})."
        )
    words = text.split(" ")
    if len(words) == 1:
        for mark in "_-+/@":
            text = text.replace(mark, mark + " ")
        lines, line = [], ""
        for word in text.split(" "):
            if line and len(line + word) > width:
                lines.append(line)
                line = ""
            line += word
        return "\n".join("\n".join(textwrap.wrap(part, width)) for part in [*lines, line])
    return "\n".join(textwrap.wrap(text, width))


_COMMON = {
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "grid.linewidth": 0.5,
    "axes.edgecolor": "#444444",
    "svg.hashsalt": "graf-book",
}

_BOOK = _COMMON | {
    "savefig.bbox": "tight",
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "legend.fontsize": 10,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
}

_PAPER = _COMMON | {
    "savefig.bbox": "standard",  # "tight" would change the width
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # outlines that can be searched and edited; many journals ask for them
    "ps.fonttype": 42,
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
}

_THEMES: dict[str, tuple[float, float, dict[str, Any]]] = {
    "book": (4.6, 3.2, _BOOK),
    "paper": (84 / 25.4, 62 / 25.4, _PAPER),
}
"""Width and height in inches, and Matplotlib's settings, by the name of a theme."""

_INCHES = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72.27}
"""Units of length; a point is TeX's."""


def theme(
    name: str = "book",
    *,
    width: float | str | None = None,
    height: float | str | None = None,
) -> None:
    """Set the style of all figures: white ground, thin grid, one palette.

    Parameters
    ----------
    name : {"book", "paper"}
        The book's: type of 11 points, 4.6 by 3.2 inches. A paper's: type of 8 points, 84 by 62
        millimetres, saved with exactly this size, at 300 dots per inch or, as PDF, with fonts that
        can be searched.
    width, height : float or str, optional
        Of a figure: inches as a number, or text with a unit such as ``"84 mm"`` or ``"240 pt"``.
        Without `height` the proportions stay. Usual widths: one column 84 mm (Springer), 88 mm
        or 3.5 in (IEEE), 3.25 in (ICML); all columns 174 mm, 181 mm, 6.75 in; NeurIPS 5.5 in. A
        figure that is made with a ``figsize`` of its own keeps that.

    Raises
    ------
    ValueError
        An unknown name or unit, or a length outside 1 to 20 inches.

    Examples
    --------
    >>> theme("paper", width="174 mm")
    >>> [round(float(inches), 2) for inches in plt.rcParams["figure.figsize"]]
    [6.85, 5.06]
    >>> theme()
    """
    choice("name", name, _THEMES)
    usual_width, usual_height, settings = _THEMES[name]
    wide = usual_width if width is None else _inches("width", width)
    high = wide * usual_height / usual_width if height is None else _inches("height", height)
    sns.set_theme(
        style="whitegrid",
        palette=list(PALETTE),
        rc={
            **{key: plt.rcParamsDefault[key] for key in (*_BOOK, *_PAPER)},
            **settings,
            "figure.figsize": (wide, high),
        },
    )


def _inches(argument: str, value: Any) -> float:
    """Read a length, in inches."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-z]*)\s*", str(value))
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    try:
        number, unit = float(found[1]), found[2] or ("in" if is_number else "")
        inches = number * _INCHES[unit]
    except (TypeError, ValueError, KeyError):
        inches = np.nan
    if not 1 <= inches <= 20:
        raise ValueError(
            f"{argument}={value!r} must be from 1 to 20 inches: a number, such as 3.25, or text "
            f"with one of the units {list(_INCHES)}, such as '84 mm'."
        )
    return inches


def points(size: float) -> float:
    """Return a size of type that stands to the others as in the book.

    Parameters
    ----------
    size : float
        In points, where the book's axes have 11.

    Returns
    -------
    float
        In points of the theme that is set.
    """
    return size * float(plt.rcParams["font.size"]) / _BOOK["font.size"]


def new_axes(ax: Axes | None) -> Axes:
    """Return some axes, or those of a new figure.

    Parameters
    ----------
    ax : Axes or None

    Returns
    -------
    Axes
    """
    return plt.subplots()[1] if ax is None else ax


def legend_below(axes: Axes | Iterable[Axes], ncols: int = 2) -> Legend:
    """Put the legend below the axis label; for several panels, one legend below them all.

    Parameters
    ----------
    axes : Axes or array of Axes
        One panel, or all panels of a figure: each label is named once, and their own legends go.
    ncols : int
        Columns of the legend; two fit on a telephone.

    Returns
    -------
    Legend

    Raises
    ------
    ValueError
        Nothing that is drawn has a label.
    """
    single = isinstance(axes, Axes)
    panels = [axes] if single else list(np.ravel(np.asarray(axes, dtype=object)))
    entries: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        raise ValueError("nothing in the axes has a label: draw with label=..., then add a legend.")
    for panel in panels:
        if panel.get_legend() is not None:
            panel.get_legend().remove()
    names, handles = [wrapped(label) for label in entries], list(entries.values())
    options = {"ncols": ncols, "frameon": False, "columnspacing": 1.2, "handlelength": 2.8}
    figure = panels[0].figure
    if not single:
        return figure.legend(handles, names, loc="outside lower center", **options)
    below = panels[0].transAxes + ScaledTranslation(0, -points(0.5), figure.dpi_scale_trans)
    place = panels[0].get_subplotspec()
    alone = place is None or place.get_gridspec().ncols == 1
    middle = figure.transFigure if alone else panels[0].transAxes
    return panels[0].legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=blended_transform_factory(middle, below),
        **options,
    )
