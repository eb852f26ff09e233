"""What a fit gives against what it costs: one dot per predictor and encoding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from graf_utils import _checks
from graf_utils.plots.results import mean_interval, metric_name, refuse_pooling
from graf_utils.plots.style import FAMILY_STYLES, Look, legend_below, look, new_axes, points
from graf_utils.search import pareto_front

__all__ = ["cost_dots", "cost_front"]

_LEAST = 1e-3  # seconds; a clock of processes does not see less


def cost_front(results: pd.DataFrame, metric: str = "kendall_tau") -> pd.DataFrame:
    """Average what is compared, and tell what nothing cheaper beats.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`: one target and one train size.
    metric : str
        Column to be raised.

    Returns
    -------
    DataFrame
        One row per predictor and encoding, the cheapest first: ``mean`` and ``half`` (of its 95 %
        interval) of the metric, ``cpu_seconds``, the mean of a fit and its predictions, and
        ``front``, whether no other is both as good and cheaper, or as cheap and better.

    Raises
    ------
    ValueError
        A row would average several settings, there is none, or one has no metric or no seconds.
    """
    by = ["predictor", "encoding"]
    refuse_pooling(results, by, metric=metric)
    _checks.numeric_columns("results", results, [metric, "cpu_seconds"])
    groups = results.groupby(by, sort=False)
    mean, half = mean_interval(groups[metric])
    seconds = groups["cpu_seconds"].mean().clip(lower=_LEAST)
    frame = pd.DataFrame({"mean": mean, "half": half, "cpu_seconds": seconds}).reset_index()
    unknown = frame[["mean", "cpu_seconds"]].isna().any(axis=1)
    if unknown.any():
        first = " on ".join(frame.loc[unknown.idxmax(), by])
        raise ValueError(
            f"results has no {metric!r} or no 'cpu_seconds' of {first}. Leave it out, or fit it "
            "again with graf_utils.evaluation.evaluate, which takes the time."
        )
    frame["front"] = pareto_front(np.column_stack([frame["mean"], -frame["cpu_seconds"]]))
    return frame.sort_values("cpu_seconds", kind="stable", ignore_index=True)


def cost_dots(
    results: pd.DataFrame,
    families: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    *,
    metric: str = "kendall_tau",
) -> Axes:
    """Draw Kendall tau or another metric against CPU seconds, one dot per predictor and encoding.

    A line joins those that nothing cheaper beats, numbered from the cheapest on, as the rows of
    `cost_front` with ``front``.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`: one target and one train size.
    families : mapping of str to str, optional
        Family of each predictor, such as `graf_utils.predictors.zoo.FAMILIES`; one marker and
        colour each. By default each predictor is one.
    ax : Axes, optional
    metric : str
        Column to draw.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        As `cost_front`, or a predictor has no family.
    """
    frame = cost_front(results, metric)
    names = frame["predictor"]
    family = names if families is None else names.map(families)
    if family.isna().any():
        raise ValueError(
            f"families has no {names[family.isna()].iloc[0]!r}; name the family of each predictor "
            "of the results."
        )
    ax = new_axes(ax)
    for name, part in sorted(frame.groupby(family), key=lambda item: _place(item[0])):
        style = _family_look(name, set(family))
        ax.plot(part["cpu_seconds"], part["mean"], alpha=0.85, **style.dots)
    front = frame[frame["front"]]
    ax.plot(front["cpu_seconds"], front["mean"], color="black", linewidth=1, zorder=1)
    size = points(9)
    for number, row in enumerate(front.itertuples(), start=1):
        at = (row.cpu_seconds, row.mean)
        ax.annotate(f"{number}", at, (0, 6), textcoords="offset points", ha="center", fontsize=size)
    ax.set_xscale("log")
    ax.margins(y=0.1)
    ax.set(xlabel="CPU seconds of a fit", ylabel=metric_name(metric))
    legend_below(ax)
    return ax


def _place(family: str) -> int:
    """Families with a look of their own come in its order, the last on top; others first."""
    return list(FAMILY_STYLES).index(family) if family in FAMILY_STYLES else -1


def _family_look(family: str, among: set[str]) -> Look:
    return FAMILY_STYLES[family] if family in FAMILY_STYLES else look(family, among)
