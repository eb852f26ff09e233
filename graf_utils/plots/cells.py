"""One cell as a drawing, and names of operations and features that fit into figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.axes import Axes

from graf_utils.plots.style import BLUE, GREEN, GREY, RED, points
from graf_utils.spaces import SearchSpace, get_space

PALE = "#BBBBBB"
DARK = "#444444"

# What is written for parts of the names of operations; later entries see what earlier ones wrote.
_SHORTER = {
    "nor_conv": "conv",
    "sep_conv": "sep",
    "dil_conv": "dil",
    "-bn-relu": "",
    "_connect": "",
    "avg_pool": "pool",
    "conv1x1": "conv 1x1",
    "conv3x3": "conv 3x3",
    "pool3x3": "pool 3x3",
    "_": " ",
    "1x1": "1×1",
    "3x3": "3×3",
    "5x5": "5×5",
}


def operation_style(op: str) -> tuple[str, Any]:
    """Return the colour and the line style of an operation, by what its name says.

    Parameters
    ----------
    op : str

    Returns
    -------
    color : str
    linestyle : str or tuple
        As Matplotlib takes them.
    """
    if op == "none":
        return GREY, ":"
    if "skip" in op or op in ("identity", "plain"):
        return GREEN, "--"
    if "pool" in op:
        return RED, "-."
    return (BLUE, "-") if "3x3" in op or "k3" in op else ("#2E86C1", (0, (5, 1)))


def short_name(op: str) -> str:
    """Shorten the name of an operation to fit on an edge.

    Parameters
    ----------
    op : str

    Returns
    -------
    str

    Examples
    --------
    >>> short_name("nor_conv_3x3"), short_name("skip_connect")
    ('conv 3×3', 'skip')
    """
    for long, short in _SHORTER.items():
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

    Returns
    -------
    Axes

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
    graph = nx.convert_node_labels_to_integers(batch.to_networkx(0), ordering="sorted")
    n = len(graph)
    ax = plt.subplots(figsize=(points(max(n, 4.2)), points(2.6)))[1] if ax is None else ax
    on_nodes = batch.node_ops is not None
    seen: Counter[tuple[int, int]] = Counter()
    for u, v, op in graph.edges(data="op"):
        label = "" if on_nodes or op in batch.free else op
        pale = highlight is not None and op not in highlight
        _draw_edge(ax, (u, v), n, label, pale, lift=seen[u, v])
        seen[u, v] += 1
    names = {0: "in", n - 1: "out"}
    if len(batch.inputs) > 1:
        inputs = [name.removeprefix("c_{").removesuffix("}") for name in space.inputs]
        written = [f"in {name}" if name.isdigit() else name.replace("-", "−") for name in inputs]
        names |= dict(zip(batch.inputs, written, strict=True))
    for v in range(n):
        op = graph.nodes[v].get("op", "")
        inner = op if on_nodes and op not in batch.free else ""
        _draw_node(ax, v, names.get(v, ""), inner)
    ax.margins(0.08, 0.12)
    ax.axis("off")
    return ax


def _draw_edge(ax: Axes, ends: tuple[int, int], n: int, op: str, pale: bool, lift: int = 0) -> None:
    """Draw an edge as an arc with an arrow, its operation in the middle; a parallel one higher."""
    u, v = ends
    colour, style = operation_style(op) if op else (DARK, "-")
    if pale:
        colour = PALE
    side = -1 if (u % 2 or v - u == n - 1) else 1
    height = 0.0 if v - u == 1 else side * (0.62 + 0.53 * (v - u - 2))
    height += side * 0.4 * lift
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
    if op:
        ax.text(
            (u + v) / 2,
            height,
            short_name(op),
            ha="center",
            va="center",
            color=colour,
            fontsize=points(10 if n < 6 else 8),
            zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )


def _draw_node(ax: Axes, v: int, name: str, op: str) -> None:
    """Draw a node as a box with its name, its operation or its number."""
    colour = operation_style(op)[0] if op else "#222222"
    ax.text(
        v,
        0,
        name or short_name(op).replace(" ", "\n") or str(v + 1),
        ha="center",
        va="center",
        fontsize=points(10),
        color=colour,
        zorder=4,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour},
    )


def feature_label(name: str) -> str:
    """Shorten a feature's name for an axis: ``min path: skip, 3×3``.

    Parameters
    ----------
    name : str
        As GRAF names it, such as ``"min_path_len[skip_connect+nor_conv_3x3]"``.

    Returns
    -------
    str
    """
    family, _, inside = name.removesuffix("]").partition("[")
    words = family.replace("_path_len", " path").replace("op_count", "count").replace("_", " ")
    if not inside:
        return family
    ops = [short_name(op).replace("pool 3×3", "pool") for op in inside.split("+")]
    return f"{words}: {', '.join(op.removeprefix('conv ') for op in ops)}"
