"""The operators of a network as a drawing, from the input at the top to the output below."""

from __future__ import annotations

from collections import Counter

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from graf_utils._checks import short
from graf_utils.operators import FUNCTIONS, OperatorGraph
from graf_utils.plots.cells import DARK
from graf_utils.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    YELLOW,
    points,
)

__all__ = ["KIND_COLOURS", "draw_operators"]

KIND_COLOURS: dict[str, str] = {
    "input": BLACK,
    "output": BLACK,
    "conv": BLUE,
    "depthwise-conv": BLUE,
    "pointwise-conv": BLUE,
    "linear": SKY,
    "embedding": SKY,
    "attention": PURPLE,
    "matmul": PURPLE,
    "recurrent": PURPLE,
    "normalisation": GREY,
    "activation": GREEN,
    "softmax": GREEN,
    "pooling": ORANGE,
    "add": RED,
    "multiply": RED,
    "concat": YELLOW,
    "split": YELLOW,
    "other": BLACK,
}
"""The colour of each kind of operator; kinds that do alike share one, and are told by name."""

_MOST = 80  # operators that a figure has room for
_HALF_WIDTH, _HALF_HEIGHT = 0.44, 0.28  # of a box, where columns and levels are 1 apart
_ASIDE = 0.22  # how far beyond the boxes a line runs that passes them
_COLUMN, _LEVEL = 1.3, 0.38  # inches


def draw_operators(graph: OperatorGraph, ax: Axes | None = None) -> Axes:
    """Draw the operators of a network as boxes, each below all that feeds it.

    Parameters
    ----------
    graph : OperatorGraph
        Of at most eighty operators.
    ax : Axes, optional
        By default those of a new figure that is as high as the network is deep.

    Returns
    -------
    Axes
        A box has its kind's colour of `KIND_COLOURS`, and its function as text where
        `graf_utils.operators.FUNCTIONS` has it, else its kind.

    Raises
    ------
    ValueError
        It is no operator graph, or has too many operators to be read.
    """
    if not isinstance(graph, OperatorGraph):
        raise ValueError(
            f"graph={short(graph)} must be an OperatorGraph. Write "
            "OperatorGraph.from_module(model, example_inputs)."
        )
    if graph.n_nodes > _MOST:
        raise ValueError(
            f"graph has {graph.n_nodes} operators, and a figure has room for {_MOST}. Draw a part: "
            "trace one block of the model, with an input of the block's shape."
        )
    levels = list(nx.topological_generations(graph.to_networkx()))
    columns = max(len(nodes) for nodes in levels)
    places = _places(levels)
    bulges = _bulges(graph, levels)
    right = max([columns / 2, *(bulge for bulge in bulges if bulge)]) + 0.05
    if ax is None:
        size = (_COLUMN * (columns / 2 + right), _LEVEL * len(levels))
        ax = plt.subplots(figsize=(points(size[0]), points(size[1])))[1]
    ax.set(xlim=(-columns / 2, right), ylim=(0.5 - len(levels), 0.5))
    seen: Counter[tuple[int, int]] = Counter()
    for (source, target), bulge in zip(graph.edges.tolist(), bulges, strict=True):
        path = _line(places[source], places[target], bulge, seen[source, target])
        look = {"arrowstyle": "-|>", "mutation_scale": points(11), "color": DARK, "lw": 1.2}
        ax.add_patch(FancyArrowPatch(path=path, **look))
        seen[source, target] += 1
    for node, (kind, label) in enumerate(zip(graph.kinds, graph.labels, strict=True)):
        _draw_box(ax, places[node], kind, label)
    ax.axis("off")
    return ax


def _places(levels: list[list[int]]) -> dict[int, tuple[float, float]]:
    """Where the middle of each box is: levels below each other, each in the middle."""
    return {
        node: (column - (len(nodes) - 1) / 2, -float(level))
        for level, nodes in enumerate(levels)
        for column, node in enumerate(sorted(nodes))
    }


def _bulges(graph: OperatorGraph, levels: list[list[int]]) -> list[float]:
    """How far to the right each edge goes to pass the boxes between; 0 if there are none."""
    level_of = {node: level for level, nodes in enumerate(levels) for node in nodes}
    bulges = []
    for source, target in graph.edges.tolist():
        first, last = level_of[source], level_of[target]
        widest = max(len(nodes) for nodes in levels[first : last + 1])
        longer = 0.03 * (last - first - 2)  # outside those that it encloses
        bulges.append(widest / 2 + _ASIDE + longer if last - first > 1 else 0.0)
    return bulges


def _line(
    start: tuple[float, float], end: tuple[float, float], bulge: float, parallel: int
) -> Path:
    """A straight line between boxes, or a curve from side to side round those between."""
    if not bulge:
        moved = 0.15 * parallel
        return Path(
            [(start[0] + moved, start[1] - _HALF_HEIGHT), (end[0] + moved, end[1] + _HALF_HEIGHT)]
        )
    (x0, y0), (x1, y1) = (start[0] + _HALF_WIDTH, start[1]), (end[0] + _HALF_WIDTH, end[1])
    aside = (4 * bulge - (x0 + x1) / 2) / 3 + 0.1 * parallel  # a cubic goes 3/4 of the way
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    return Path([(x0, y0), (aside, y0), (aside, y1), (x1, y1)], codes)


def _draw_box(ax: Axes, place: tuple[float, float], kind: str, label: str) -> None:
    """A pale box with a dark name."""
    colour = np.array(to_rgb(KIND_COLOURS[kind]))
    corner = (place[0] - _HALF_WIDTH, place[1] - _HALF_HEIGHT)
    box = FancyBboxPatch(
        corner,
        2 * _HALF_WIDTH,
        2 * _HALF_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=1 - (1 - colour) * 0.25,
        edgecolor=colour,
        lw=1.2,
        zorder=2,
    )
    ax.add_patch(box)
    written = label if label in FUNCTIONS.get(kind, ()) else kind
    name = written.replace("_", " ")
    ax.text(*place, name, ha="center", va="center", fontsize=points(9), color=BLACK, zorder=3)
