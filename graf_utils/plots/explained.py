"""What GRAF and flow ask of one cell, in one picture: the cell, GRAF's questions, its paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graf_utils.features import GRAF, Flow
from graf_utils.plots.cells import draw_cell, operation_style, short_name
from graf_utils.plots.style import points
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["GRAF_QUESTIONS", "live_paths", "one_look"]

STEP = 0.25
"""From one operation of a path to the next, as a share of the panel."""

GRAF_QUESTIONS = {
    "how many conv 3×3?": "op_count[nor_conv_3x3]",
    "shortest way over skip and pool only?": "min_path_len[skip_connect+avg_pool_3x3]",
    "longest way over convs only?": "max_path_len[nor_conv_3x3+nor_conv_1x1]",
    "how many convs enter the output?": "output_degree[nor_conv_3x3+nor_conv_1x1]",
}
"""Questions in words, each with the feature of NAS-Bench-201 that answers it."""


def live_paths(architecture: Any, space: str | SearchSpace = "nb201") -> list[list[str]]:
    """Return the operations on each live path of a cell with operations on its edges.

    Parameters
    ----------
    architecture : tuple or str
        In any spelling the space can read.
    space : str or SearchSpace

    Returns
    -------
    list of list of str
        From the input on; paths with more operations first.

    Raises
    ------
    ValueError
        Operations sit on nodes, or the space has several cells.

    Examples
    --------
    >>> live_paths("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|")
    [['nor_conv_3x3', 'nor_conv_1x1'], ['skip_connect']]
    """
    space = get_space(space)
    batches = list(space.graph_batch([architecture]).values())
    if len(batches) != 1 or batches[0].node_ops is not None:
        raise ValueError(
            f"space {space.name!r}: paths are listed for one cell with operations on its edges, "
            "such as 'nb201'. Flow counts them for every space."
        )
    graph = batches[0].to_networkx(0)
    dead = [edge for *edge, op in graph.edges(data="op") if op in batches[0].dead]
    graph.remove_edges_from(dead)
    ends = 0, max(graph)
    paths = nx.all_simple_edge_paths(graph, *ends) if graph.has_node(ends[1]) else []
    named = [[graph.edges[edge]["op"] for edge in path] for path in paths]
    return sorted(named, key=lambda path: (-len(path), path))


def one_look(
    architecture: Any,
    questions: dict[str, str] = GRAF_QUESTIONS,
    group: str = "conv",
    space: str | SearchSpace = "nb201",
    figsize: tuple[float, float] = (5.6, 6.2),
) -> Figure:
    """Draw what GRAF and flow ask of a cell, and what it answers.

    Parameters
    ----------
    architecture : tuple or str
        In any spelling the space can read.
    questions : dict
        In words, with the name of the GRAF feature that answers it.
    group : str
        Which operations flow counts along each path: a group of the space.
    space : str or SearchSpace
        The questions are of NAS-Bench-201; bring your own for another.
    figsize : tuple of float
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels from top to bottom: the cell, GRAF, flow.
    """
    space = get_space(space)
    paths = live_paths(architecture, space)
    shares = [3.0, 0.6 * (len(questions) + 1), 0.6 * (len(paths) + 2)]
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=figsize, height_ratios=shares, layout="constrained"
    )
    draw_cell(architecture, space, ax=top)
    _title(top, "A cell: what a network repeats")
    graf = GRAF(space).set_output(transform="pandas").fit_transform([architecture]).iloc[0]
    _answers(middle, graf, questions)
    flow = Flow(space).set_output(transform="pandas").fit_transform([architecture]).iloc[0]
    _paths(bottom, flow, paths, group, space.groups[group])
    return figure


def _answers(ax: Axes, values: pd.Series, questions: dict[str, str]) -> None:
    """Write GRAF's questions with the answers of the cell."""
    _rows(ax, len(questions))
    _title(ax, "GRAF asks of the whole graph")
    for row, (question, feature) in enumerate(questions.items()):
        ax.text(0, row, question, va="center", fontsize=points(11))
        ax.text(1, row, f"{values[feature]:g}", va="center", ha="right")


def _paths(
    ax: Axes, values: pd.Series, paths: Sequence[Sequence[str]], group: str, members: Sequence[str]
) -> None:
    """Draw each live path as a row of chips, with how many operations of a group lie on it."""
    _rows(ax, len(paths) + 1)
    _title(ax, f"flow follows each live path: {group}s on it")
    for row, path in enumerate(paths):
        for place, op in enumerate(path):
            _chip(ax, place, row, op)
            if place:
                ax.text(place * STEP, row, "→", ha="center", va="center")
        ax.text(1, row, f"{sum(op in members for op in path)}", ha="right", va="center")
    mean, deviation = (values[f"flow_{name}[{group}]"] for name in ("mean", "std"))
    summary = f"{len(paths)} live paths · mean {mean:.2f} · deviation {deviation:.2f}"
    ax.text(0, len(paths), summary, va="center", fontsize=points(11))


def _chip(ax: Axes, place: int, row: int, op: str) -> None:
    """Write an operation in a frame of its colour, one after the other."""
    color, style = operation_style(op)
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color, "ls": style}
    ax.text(
        (place + 0.5) * STEP,
        row,
        short_name(op),
        ha="center",
        va="center",
        color=color,
        bbox=box,
        fontsize=points(10),
    )


def _rows(ax: Axes, n: int) -> None:
    """Make room for rows of text from top to bottom."""
    ax.set(xlim=(0, 1), ylim=(n - 0.4, -0.6))
    ax.axis("off")


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=points(12), fontweight="bold")
