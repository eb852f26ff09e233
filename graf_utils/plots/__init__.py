"""The figures of the book: one look per encoding, the idioms that chapters share, cells and
networks.

``theme("paper", width="84 mm")`` makes the same figures for a column of a journal, `latex_table` a
table.

Every function draws on `ax` (or on a new figure) and returns it. Figures are small with large
type, on a white ground, so that they can be read on a telephone and in dark mode; alt text and
captions stand with the notebook cells. A figure that would average over settings without a word
is refused. What only one chapter draws stands in that chapter.
"""

from graf_utils.plots.cells import draw_cell, feature_label
from graf_utils.plots.cost import cost_dots, cost_front
from graf_utils.plots.explained import live_paths, one_look
from graf_utils.plots.features import correlation_map, relation
from graf_utils.plots.operators import KIND_COLOURS, draw_operators
from graf_utils.plots.results import (
    draw_ceiling,
    mean_interval,
    median_band,
    number_map,
    row_dots,
    target_dots,
    tau_curves,
)
from graf_utils.plots.style import (
    BLACK,
    BLUE,
    ENCODING_STYLES,
    FAMILY_STYLES,
    GREEN,
    GREY,
    ORANGE,
    PALETTE,
    PURPLE,
    RED,
    SKY,
    YELLOW,
    Look,
    legend_below,
    look,
    theme,
    wrapped,
)
from graf_utils.plots.tables import latex_table
from graf_utils.plots.verdicts import VERDICT_COLOURS, VERDICT_SIGNS, verdict_bars

__all__ = [
    "BLACK",
    "BLUE",
    "ENCODING_STYLES",
    "FAMILY_STYLES",
    "GREEN",
    "GREY",
    "KIND_COLOURS",
    "ORANGE",
    "PALETTE",
    "PURPLE",
    "RED",
    "SKY",
    "VERDICT_COLOURS",
    "VERDICT_SIGNS",
    "YELLOW",
    "Look",
    "correlation_map",
    "cost_dots",
    "cost_front",
    "draw_ceiling",
    "draw_cell",
    "draw_operators",
    "feature_label",
    "latex_table",
    "legend_below",
    "live_paths",
    "look",
    "mean_interval",
    "median_band",
    "number_map",
    "one_look",
    "relation",
    "row_dots",
    "target_dots",
    "tau_curves",
    "theme",
    "verdict_bars",
    "wrapped",
]
