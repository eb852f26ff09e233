"""Results of evaluations: curves, rows of dots, medians with bands, maps with numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from graf_utils import _checks
from graf_utils._statistics import NORMAL_95
from graf_utils.evaluation import SETTING
from graf_utils.plots.style import legend_below, look, new_axes, points, wrapped

_WRITTEN = {"kendall_tau": "Kendall τ"}
"""Metrics as an axis calls them; others by the name of their column."""


def metric_name(metric: str) -> str:
    """Return what an axis calls a metric.

    Parameters
    ----------
    metric : str
        Name of its column.

    Returns
    -------
    str
    """
    return _WRITTEN.get(metric, metric)


def refuse_pooling(
    results: pd.DataFrame,
    by: Sequence[str],
    free: Sequence[str] = (),
    metric: str = "kendall_tau",
) -> None:
    """Refuse results in which one line or one dot would average several settings.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`.
    by : sequence of str
        Columns that separate what is drawn.
    free : sequence of str
        Further columns that may vary, because they are an axis.
    metric : str
        The column that is drawn.

    Raises
    ------
    ValueError
        There are no rows; a column is missing; another column of the setting, or another one of
        text, has several values for one line or dot; or a data seed occurs twice in what is
        averaged.
    """
    missing = [c for c in (*by, *free, metric) if c not in results]
    if missing or results.empty:
        raise ValueError(
            f"results needs the columns {missing}; it has {list(results)}."
            if missing
            else "results has no rows: nothing is left to draw. Check how it was selected."
        )
    text = [c for c in results if not pd.api.types.is_numeric_dtype(results[c])]
    names = [c for c in (*SETTING, *text) if c in results and c not in (*by, *free)]
    others = list(dict.fromkeys(names))
    counts = results.groupby(list(by), sort=False, dropna=False)[others].nunique(dropna=False)
    pooled = [c for c in others if (counts[c] > 1).any()]
    if pooled:
        first = pooled[0]
        value = results[first].head(1).tolist()[0]  # as Python writes it
        raise ValueError(
            f"one line or dot would average over {' and '.join(pooled)}: {first} has the values "
            f"{_checks.short(results[first].unique().tolist())}. Draw one of them, "
            f"results[results[{first!r}] == {value!r}], or a panel for each: "
            f"for name, part in results.groupby({first!r})."
        )
    keys = [*by, *free, "data_seed"]
    if "data_seed" in results and results.duplicated(keys).any():
        row = results[results.duplicated(keys)].iloc[0]
        where = ", ".join(f"{key} {row[key]}" for key in keys)
        raise ValueError(
            f"{where} occurs more than once, so that one line or dot would average over something "
            "else than data seeds. Keep one row for each, such as "
            f"results.drop_duplicates({keys})."
        )


def mean_interval(values: Any) -> tuple[pd.Series, pd.Series]:
    """Mean of each group, and half its 95 % interval of the mean.

    Parameters
    ----------
    values : SeriesGroupBy
        One number per data seed in each group; NaN is left out.

    Returns
    -------
    mean : Series
    half : Series
        1.96 standard errors; 0 for a group of one, whose spread is not known.
    """
    half = NORMAL_95 * values.std() / np.sqrt(values.count())
    return values.mean(), half.fillna(0.0)


def tau_curves(
    results: pd.DataFrame,
    hue: str = "encoding",
    ax: Axes | None = None,
    *,
    metric: str = "kendall_tau",
    **kwargs: Any,
) -> Axes:
    """Draw Kendall tau or another metric against train size, one line per encoding.

    Bars are 95 % intervals.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`: one target and, for each line, one predictor.
    hue : str
        Column that separates the lines, in order of appearance; each looks as `look` says.
    ax : Axes, optional
    metric : str
        Column to draw.
    **kwargs
        Passed to `Axes.errorbar`.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        A line would average several settings, or nothing is left to draw.
    """
    refuse_pooling(results, [hue], ["train_size"], metric)
    ax = new_axes(ax)
    levels = list(dict.fromkeys(results[hue]))
    for level in levels:
        tau = results[results[hue] == level].groupby("train_size")[metric]
        mean, half = mean_interval(tau)
        style = look(level, levels)
        options = style.line | {"marker": style.marker, "capsize": 3} | kwargs
        ax.errorbar(mean.index, mean, yerr=half, **options)
    sizes = sorted(set(results["train_size"]))
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="training networks", ylabel=f"{metric_name(metric)} on the rest")
    legend_below(ax)
    return ax


def draw_ceiling(ax: Axes, tau: float) -> None:
    """Draw how well twins predict each other as a grey line, with room above it.

    Parameters
    ----------
    ax : Axes
        From `tau_curves`.
    tau : float
        From `graf_utils.ceiling.twin_ceiling`.
    """
    ax.axhline(tau, color="grey", linestyle=(0, (2, 2)), label="twins (ceiling)")
    ax.set_ylim(top=max(ax.get_ylim()[1], tau + 0.01))


def target_dots(
    results: pd.DataFrame,
    order: Sequence[str] | None = None,
    rows: str = "target",
    ax: Axes | None = None,
    marks: pd.Series | None = None,
    *,
    metric: str = "kendall_tau",
) -> Axes:
    """Draw Kendall tau or another metric of every encoding, one row per target.

    Bars are 95 % intervals.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`, of one predictor and train size.
    order : sequence of str, optional
        Encodings to draw, from top to bottom within a row; by default all, as they appear. Those
        without results are left out.
    rows : str
        Column whose levels become rows, in order of appearance, the first on top.
    ax : Axes, optional
    marks : Series, optional
        A number per row to compare with, drawn as a black bar: its index names rows, its name
        stands in the legend.
    metric : str
        Column to draw.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        A dot would average several settings, nothing is left to draw, or `marks` names a row that
        is not there.
    """
    if order is not None:
        results = results[results["encoding"].isin(list(order))]
    refuse_pooling(results, [rows, "encoding"], metric=metric)
    ax = new_axes(ax)
    levels = list(dict.fromkeys(results[rows]))
    present = list(dict.fromkeys(results["encoding"]))
    names = present if order is None else [name for name in order if name in present]
    step = min(0.14, 0.8 / len(names))
    for k, encoding in enumerate(names):
        tau = results[results["encoding"] == encoding].groupby(rows)[metric]
        mean, half = (series.reindex(levels) for series in mean_interval(tau))
        y = np.arange(len(levels)) + step * (k - (len(names) - 1) / 2)
        style = look(encoding, names)
        ax.errorbar(mean, y, xerr=half, fmt="none", capsize=2, linewidth=1, ecolor=style.color)
        ax.plot(mean, y, **style.dots)
    if marks is not None:
        _draw_marks(ax, marks, levels)
    ax.set_yticks(range(len(levels)), [wrapped(level, 24) for level in levels])
    ax.set_ylim(len(levels) - 0.5, -0.5)
    ax.set(xlabel=f"{metric_name(metric)} on the rest")
    legend_below(ax)
    return ax


def _draw_marks(ax: Axes, marks: pd.Series, levels: list[Any]) -> None:
    """Draw a black bar in each row that has a number; rows are found by name."""
    unknown = [name for name in marks.index if name not in levels]
    if unknown or not marks.index.is_unique:
        raise ValueError(
            f"marks must name rows of the figure, each once: {unknown or list(marks.index)} is "
            f"not among {levels}, or is repeated. Rename its index to them."
        )
    at = marks.reindex(levels)
    ax.plot(
        at,
        range(len(levels)),
        linestyle="none",
        color="black",
        marker="|",
        markersize=points(18),
        markeredgewidth=2,
        label=wrapped(marks.name or "for comparison"),
    )


def row_dots(
    values: pd.Series, spread: pd.Series | None = None, ax: Axes | None = None, **kwargs: Any
) -> Axes:
    """Draw one dot per row with a bar on either side, the first on top.

    Parameters
    ----------
    values : Series
        One number per row; the index names the rows, in this order.
    spread : Series, optional
        Half the length of each bar, with the same index; no bar where it is NaN.
    ax : Axes, optional
    **kwargs
        Passed to `Axes.errorbar`, such as ``color`` or ``label``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        A row occurs twice, or `spread` has other rows.
    """
    if not values.index.is_unique:
        twice = values.index[values.index.duplicated()][0]
        raise ValueError(
            f"row {twice!r} occurs more than once: values of several settings are mixed. Select "
            "one of them first."
        )
    if spread is not None and set(spread.index) != set(values.index):
        raise ValueError("spread must have the rows of values: take both from the same frame.")
    ax = new_axes(ax)
    half = None if spread is None else spread.reindex(values.index).fillna(0.0)
    ax.errorbar(values, range(len(values)), xerr=half, **{"fmt": "o", "capsize": 3} | kwargs)
    ax.set_yticks(range(len(values)), [wrapped(name, 30) for name in values.index])
    ax.set_ylim(len(values) - 0.5, -0.5)
    return ax


def median_band(values: pd.DataFrame, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Draw the median over columns as a line, shaded from quartile to quartile.

    Parameters
    ----------
    values : DataFrame of shape (n_points, n_seeds)
        The index is the horizontal axis; one column per seed. NaN is left out.
    ax : Axes, optional
    **kwargs
        Passed to `Axes.plot`: ``label``, ``color``, ``linestyle``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        A point or a seed occurs more than once, so that the band would be of several settings.
    """
    for axis, labels in (("column", values.columns), ("row", values.index)):
        if labels.nlevels > 1 or not labels.is_unique:
            first = labels[labels.duplicated()][0] if not labels.is_unique else labels[0]
            raise ValueError(
                f"{axis} {first!r} is one of several settings, or occurs more than once, and the "
                "band would be over all of them. Draw a band for each, with one row per point and "
                "one column per seed, such as values[setting] or values.xs(setting)."
            )
    ax = new_axes(ax)
    (line,) = ax.plot(values.index, values.median(axis=1), **kwargs)
    low, high = values.quantile(0.25, axis=1), values.quantile(0.75, axis=1)
    ax.fill_between(values.index, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    return ax


def number_map(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    digits: int = 1,
    cmap: str = "cividis",
    vmin: float = 0.0,
    vmax: float = 1.0,
) -> Axes:
    """Draw a table as a heat map with the numbers written in, black or white as can be read.

    Parameters
    ----------
    table : DataFrame
        Numbers; NaN is left blank.
    ax : Axes, optional
    digits : int
        Decimals of the numbers; .5 stands for 0.5.
    cmap : str
        A colour map of Matplotlib: ``"cividis"`` for sizes, ``"RdBu"`` for signed numbers.
    vmin, vmax : float
        Numbers at the ends of the colour map.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    values = table.to_numpy(dtype=float)
    ax.imshow(values, cmap=cmap, vmin=vmin, vmax=vmax, aspect="auto")
    colours = mpl.colormaps[cmap](Normalize(vmin, vmax, clip=True)(values))
    bright = _luminance(colours[..., :3])
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            # where black and white have the same contrast (WCAG 2.2)
            colour = "black" if bright[row, column] > 0.179 else "white"
            text = _short_number(value, digits)
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=points(9.5))
    ax.set_xticks(range(table.shape[1]), table.columns)
    ax.set_yticks(range(len(table)), table.index)
    ax.grid(False)
    return ax


def _luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance of colours as WCAG 2.2 defines it, from 0 (black) to 1 (white)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def _short_number(value: float, digits: int) -> str:
    """Write a number without the zero before the point: ``.5``, ``-.5``, ``10.5``."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return re.sub(r"^(-?)0\.", r"\1.", text)
