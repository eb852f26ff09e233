"""The book's figures: one palette, one size, markers and line styles as a second channel.

Every function draws on `ax` (or a new figure) and returns it. Figures are small with large type,
so that they can be read on a telephone; alt text and captions stand with the notebook cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from graf_utils.spaces import NB201, SearchSpace, get_space

__all__ = [
    "OPERATION_COLOURS",
    "draw_cell",
    "correlation_map",
    "relation",
    "tau_curves",
    "theme",
]

# Okabe & Ito (2008), distinguishable with all common colour vision deficiencies.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
PALETTE = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
OPERATION_COLOURS = {
    "skip_connect": GREEN,
    "none": "#767676",
    "nor_conv_3x3": BLUE,
    "nor_conv_1x1": "#2E86C1",
    "avg_pool_3x3": RED,
}
_OPERATION_STYLES = {
    "none": ":",
    "skip_connect": "--",
    "nor_conv_1x1": (0, (5, 1)),
    "avg_pool_3x3": "-.",
}
ENCODING_LABELS = {
    "one-hot": "one-hot",
    "op-count": "operation counts",
    "path": "path encoding",
    "flops+params": "FLOPs + params",
    "zcp": "ZCP",
    "graf": "GRAF",
    "zcp+graf": "ZCP + GRAF",
}


def theme() -> None:
    """Set the book's style: white ground, thin grid, type of 11 points, 4.6 by 3.2 inches."""
    sns.set_theme(
        style="whitegrid",
        palette=list(PALETTE),
        rc={
            "figure.figsize": (4.6, 3.2),
            "figure.dpi": 100,
            "savefig.bbox": "tight",
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.labelsize": 11,
            "axes.titlesize": 11,
            "legend.fontsize": 10,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "grid.linewidth": 0.5,
            "axes.edgecolor": "#444444",
            "lines.linewidth": 1.6,
            "svg.hashsalt": "graf-book",
        },
    )


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def draw_cell(
    architecture: Any,
    space: str | SearchSpace = "nb201",
    ax: Axes | None = None,
    highlight: Sequence[str] | None = None,
) -> Axes:
    """Draw one cell: nodes from left (input) to right (output), operations written on the edges.

    Parameters
    ----------
    architecture : tuple or str
        In any spelling the space can read.
    space : str or SearchSpace
        NAS-Bench-201 for now.
    ax : Axes, optional
    highlight : sequence of str, optional
        Operations to show; edges with others are drawn pale.

    Raises
    ------
    ValueError
        The space has no drawing yet.
    """
    space = get_space(space)
    if not isinstance(space, NB201):
        raise ValueError(f"space={space!r} cannot be drawn; it must be 'nb201'.")
    graph = space.to_networkx(architecture)
    ax = plt.subplots(figsize=(3.9, 2.6))[1] if ax is None else ax
    bend = {(1, 2): 0.0, (2, 3): 0.0, (3, 4): 0.0, (1, 3): 0.62, (2, 4): -0.62, (1, 4): -1.15}
    for (u, v), curve in bend.items():
        op = graph.edges[u, v]["op"]
        x = np.linspace(u, v, 60)
        y = curve * np.sin(np.pi * (x - u) / (v - u))
        shown = highlight is None or op in highlight
        colour = OPERATION_COLOURS[op] if shown else "#BBBBBB"
        ax.plot(x, y, color=colour, linestyle=_OPERATION_STYLES.get(op, "-"), zorder=1)
        ax.annotate(
            "",
            xy=(x[-8], y[-8]),
            xytext=(x[-9], y[-9]),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6},
            zorder=2,
        )
        middle = (u + v) / 2
        ax.text(
            middle,
            curve,
            op.replace("nor_conv", "conv").replace("_connect", "").replace("_3x3", " 3×3")
            .replace("_1x1", " 1×1").replace("avg_pool", "pool"),
            ha="center",
            va="center",
            fontsize=10,
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            zorder=3,
        )  # fmt: skip
    for node, name in zip(range(1, 5), ("in", "2", "3", "out"), strict=True):
        ax.text(
            node, 0, name, ha="center", va="center", fontsize=11, zorder=4,
            bbox={"boxstyle": "circle,pad=0.3", "facecolor": "white", "edgecolor": "#222222"},
        )  # fmt: skip
    ax.set(xlim=(0.7, 4.3), ylim=(-1.4, 0.95))
    ax.axis("off")
    return ax


def tau_curves(
    results: pd.DataFrame, hue: str = "encoding", ax: Axes | None = None, **kwargs: Any
) -> Axes:
    """Kendall tau against train size, a line for each level of `hue`; bars are 95 % intervals.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`, already restricted to one line a level.
    hue : str
        Column that separates the lines, in order of appearance.
    ax : Axes, optional
    """
    ax = _axes(ax)
    levels = list(dict.fromkeys(results[hue]))
    for i, level in enumerate(levels):
        chosen = results[results[hue] == level].groupby("train_size")["kendall_tau"]
        mean, half = chosen.mean(), 1.96 * chosen.std() / np.sqrt(chosen.size())
        ax.errorbar(
            mean.index,
            mean,
            yerr=half.fillna(0),
            label=ENCODING_LABELS.get(level, level),
            color=PALETTE[i % len(PALETTE)],
            marker=MARKERS[i % len(MARKERS)],
            linestyle=("-", "--", "-.", ":")[i % 4],
            capsize=3,
            **kwargs,
        )
    sizes = sorted(set(results["train_size"]))
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.set(xlabel="training networks", ylabel="Kendall τ on the rest")
    ax.legend(frameon=False)
    return ax


def relation(
    feature: pd.Series, target: Sequence[float], label: str, ax: Axes | None = None
) -> Axes:
    """How a target spreads over the values of one integer feature: boxes from quartile to
    quartile, whiskers from the 5th to the 95th percentile, and the number of networks."""
    ax = _axes(ax)
    groups = pd.Series(np.asarray(target)).groupby(np.asarray(feature))
    values = [value for value, _ in groups]
    ax.boxplot(
        [group.to_numpy() for _, group in groups],
        positions=range(len(values)),
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": SKY, "edgecolor": BLUE},
        medianprops={"color": BLACK},
    )
    ticks = [f"{v:g}\n{len(g):,}" for v, g in groups]
    ax.set_xticks(range(len(values)), ticks)
    ax.set(xlabel=f"{feature.name}\n(below: networks)", ylabel=label)
    return ax


def correlation_map(features: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Absolute Pearson correlation of every pair of features, with the families marked."""
    ax = _axes(ax)
    image = ax.imshow(features.corr().abs(), cmap="cividis", vmin=0, vmax=1, interpolation="none")
    families = [name.split("[")[0] for name in features]
    starts = [i for i, name in enumerate(families) if i == 0 or families[i - 1] != name]
    ends = [*starts[1:], len(families)]
    for start in starts[1:]:
        ax.axhline(start - 0.5, color="white", linewidth=0.6)
        ax.axvline(start - 0.5, color="white", linewidth=0.6)
    middle = [(a + b) / 2 for a, b in zip(starts, ends, strict=True)]
    ax.set_yticks(middle, [families[start] for start in starts])
    ax.set_xticks([])
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label="|Pearson correlation|", shrink=0.8)
    return ax
