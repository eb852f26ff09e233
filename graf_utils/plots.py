"""The book's figures: one palette, one size, markers and line styles as a second channel.

Every function draws on `ax` (or a new figure) and returns it. Figures are small with large type,
so that they can be read on a telephone; alt text and captions stand with the notebook cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from graf_utils.spaces import SearchSpace, get_space

__all__ = [
    "agreement_map",
    "draw_cell",
    "correlation_map",
    "feature_label",
    "mean_rank_plot",
    "relation",
    "target_dots",
    "tau_curves",
    "theme",
]

# Okabe & Ito (2008), distinguishable with all common colour vision deficiencies.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
PALETTE = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ENCODING_LABELS = {
    "one-hot": "one-hot",
    "op-count": "operation counts",
    "path": "path encoding",
    "flops+params": "FLOPs + params",
    "graf+one-hot": "GRAF + one-hot",
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


def _style(op: str) -> tuple[str, Any]:
    """Colour and line style of an operation, by what its name says."""
    if op == "none":
        return "#767676", ":"
    if "skip" in op or op in ("identity", "plain"):
        return GREEN, "--"
    if "pool" in op:
        return RED, "-."
    return (BLUE, "-") if "3x3" in op or "k3" in op else ("#2E86C1", (0, (5, 1)))


def _short_name(op: str) -> str:
    """Names that fit on an edge: ``nor_conv_3x3`` -> ``conv 3×3``."""
    for long, short in (
        ("nor_conv", "conv"), ("sep_conv", "sep"), ("dil_conv", "dil"), ("-bn-relu", ""),
        ("_connect", ""), ("avg_pool", "pool"),
        ("conv1x1", "conv 1x1"), ("conv3x3", "conv 3x3"), ("pool3x3", "pool 3x3"),
        ("_", " "), ("1x1", "1×1"), ("3x3", "3×3"), ("5x5", "5×5"),
    ):  # fmt: skip
        op = op.replace(long, short)
    return op


def draw_cell(
    architecture: Any,
    space: str | SearchSpace = "nb201",
    ax: Axes | None = None,
    highlight: Sequence[str] | None = None,
    cell: str = "",
) -> Axes:
    """Draw one cell: nodes from left (input) to right (output), operations where they sit.

    Parameters
    ----------
    architecture : tuple or str
        In any spelling the space can read.
    space : str or SearchSpace
    ax : Axes, optional
    highlight : sequence of str, optional
        Operations to show; edges with others are drawn pale.
    cell : str
        Which cell, in a space that has several (``"normal"`` or ``"reduce"``).

    Raises
    ------
    ValueError
        The space has no such cell.
    """
    space = get_space(space)
    batches = space.graph_batch([architecture])
    if cell not in batches:
        raise ValueError(f"cell={cell!r}: space {space.name!r} has the cells {list(batches)}.")
    batch = batches[cell]
    on_nodes = batch.node_ops is not None
    graph = nx.convert_node_labels_to_integers(batch.to_networkx(0), ordering="sorted")
    n = len(graph)
    ax = plt.subplots(figsize=(max(n, 4.2), 2.6))[1] if ax is None else ax
    for u, v, op in graph.edges(data="op"):
        colour, style = ("#444444", "-") if on_nodes or op in batch.free else _style(op)
        if highlight is not None and op not in highlight:
            colour = "#BBBBBB"
        side = -1 if (u % 2 or v - u == n - 1) else 1
        height = 0.0 if v - u == 1 else side * (0.62 + 0.53 * (v - u - 2))
        x = np.linspace(u, v, 60)
        y = height * np.sin(np.pi * (x - u) / (v - u))
        ax.plot(x, y, color=colour, linestyle=style, zorder=1)
        ax.annotate(
            "",
            xy=(x[-8], y[-8]),
            xytext=(x[-9], y[-9]),
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6},
            zorder=2,
        )
        if not on_nodes and op not in batch.free:
            ax.text(
                (u + v) / 2, height, _short_name(op), ha="center", va="center", color=colour,
                fontsize=10 if n < 6 else 8, zorder=3,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
    names = {0: "in", n - 1: "out"}
    if len(batch.inputs) > 1:
        names |= dict(zip(batch.inputs, ("k−2", "k−1"), strict=True))
    for v in range(n):
        op = graph.nodes[v].get("op", "")
        inner = _short_name(op).replace(" ", "\n") if on_nodes and op not in batch.free else ""
        colour = _style(op)[0] if inner else "#222222"
        ax.text(
            v, 0, names.get(v, inner or str(v + 1)), ha="center", va="center", fontsize=10,
            color=colour, zorder=4,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour},
        )  # fmt: skip
    ax.margins(0.08, 0.12)
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


def target_dots(
    results: pd.DataFrame, order: Sequence[str], rows: str = "target", ax: Axes | None = None
) -> Axes:
    """Kendall tau of every encoding, a row a target; bars are 95 % intervals.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`, of one predictor and train size.
    order : sequence of str
        Encodings in the order of colours and markers; those without results are left out, so that
        figures with the same order can be compared.
    rows : str
        Column whose levels become rows, in order of appearance, the first on top.
    ax : Axes, optional
    """
    ax = _axes(ax)
    levels = list(dict.fromkeys(results[rows]))
    shown = [encoding for encoding in order if encoding in set(results["encoding"])]
    for k, encoding in enumerate(shown):
        tau = results[results["encoding"] == encoding].groupby(rows)["kendall_tau"]
        half = (1.96 * tau.std() / np.sqrt(tau.size())).fillna(0).reindex(levels)
        y = np.arange(len(levels)) + 0.14 * (k - (len(shown) - 1) / 2)
        look = {"color": PALETTE[order.index(encoding)], "marker": MARKERS[order.index(encoding)]}
        label = ENCODING_LABELS.get(encoding, encoding)
        mean = tau.mean().reindex(levels)
        ax.errorbar(mean, y, xerr=half, fmt="none", capsize=2, linewidth=1, ecolor=look["color"])
        ax.plot(mean, y, linestyle="none", markersize=6, label=label, **look)
    ax.set_yticks(range(len(levels)), levels)
    ax.invert_yaxis()
    ax.set(xlabel="Kendall τ on the rest")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=2, frameon=False)
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


def feature_label(name: str) -> str:
    """A feature's name, short enough for an axis: ``min path: skip, 3×3``."""
    family, _, inside = name.removesuffix("]").partition("[")
    words = family.replace("_path_len", " path").replace("op_count", "count").replace("_", " ")
    if not inside:
        return family
    ops = [_short_name(op).replace("pool 3×3", "pool") for op in inside.split("+")]
    return f"{words}: {', '.join(op.removeprefix('conv ') for op in ops)}"


def mean_rank_plot(ranks: pd.DataFrame, top: int = 10, ax: Axes | None = None) -> Axes:
    """Mean ranks of the first features, best on top; bars are standard deviations over train sets.

    Parameters
    ----------
    ranks : DataFrame
        From `graf_utils.explain.mean_ranks`, of one setting.
    top : int
        How many features.
    ax : Axes, optional
    """
    ax = _axes(ax)
    first = ranks.nsmallest(top, "mean_rank")
    spread = first["std_rank"].fillna(0)
    ax.errorbar(first["mean_rank"], range(len(first)), xerr=spread, fmt="o", capsize=3)
    ax.set_yticks(range(len(first)), [feature_label(name) for name in first["feature"]])
    ax.invert_yaxis()
    ax.set(xlabel="mean rank (0: most important)")
    return ax


def agreement_map(matrix: pd.DataFrame, label: str, ax: Axes | None = None) -> Axes:
    """A square table of correlations as a map, with the numbers written in."""
    ax = _axes(ax)
    values = matrix.to_numpy()
    ax.imshow(values, cmap="cividis", vmin=0, vmax=1)
    for i, j in np.ndindex(values.shape):
        colour = "white" if values[i, j] < 0.45 else "black"
        text = f"{values[i, j]:.1f}".replace("0.", ".")
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=10)
    ax.set_xticks(range(len(matrix)), matrix.columns, rotation=90)
    ax.set_yticks(range(len(matrix)), matrix.index)
    ax.grid(False)
    ax.set_title(label)
    return ax
