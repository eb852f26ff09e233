"""Features against a target, and against each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from graf_utils.plots.style import BLACK, BLUE, SKY, new_axes

MOST_BOXES = 24


def relation(
    feature: pd.Series, target: Sequence[float], label: str, ax: Axes | None = None
) -> Axes:
    """Draw how a target spreads over the values of one feature.

    Boxes reach from quartile to quartile, whiskers from the 5th to the 95th percentile; below
    each value stands its number of networks.

    Parameters
    ----------
    feature : Series of shape (n,)
        A feature with few values; its name labels the axis.
    target : array-like of shape (n,)
        One number per network, in the order of `feature`; a Series is put in the order of the
        index of `feature`.
    label : str
        What the target is, with its unit.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The two have other lengths or other indices, or the feature has more than 24 values.
    """
    if len(feature) != len(target):
        raise ValueError(
            f"feature has {len(feature)} values and target {len(target)}; pass one of each per "
            "network."
        )
    if isinstance(target, pd.Series) and not target.index.equals(feature.index):
        if not target.index.is_unique or set(target.index) != set(feature.index):
            raise ValueError(
                "feature and target have different indices, so that it is not known which values "
                "belong together. If they have the same order, pass target.to_numpy()."
            )
        target = target.loc[feature.index]
    groups = pd.Series(np.asarray(target)).groupby(np.asarray(feature))
    if len(groups) > MOST_BOXES:
        raise ValueError(
            f"the feature has {len(groups)} different values, and there is room for {MOST_BOXES} "
            "boxes. Put its values into classes: pd.qcut(feature, 10, labels=False, "
            "duplicates='drop')."
        )
    ax = new_axes(ax)
    places = range(len(groups))
    ax.boxplot(
        [group.to_numpy() for _, group in groups],
        positions=places,
        whis=(5, 95),
        showfliers=False,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": SKY, "edgecolor": BLUE},
        medianprops={"color": BLACK},
    )
    ax.set_xticks(places, [f"{value:g}\n{len(group):,}" for value, group in groups])
    ax.set(xlabel=f"{feature.name}\n(below: networks)", ylabel=label)
    return ax


def correlation_map(features: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the absolute Pearson correlation of every pair of features, families marked.

    Parameters
    ----------
    features : DataFrame of shape (n_architectures, n_features)
        Columns named as GRAF names them, so that families stand together.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    image = ax.imshow(features.corr().abs(), cmap="cividis", vmin=0, vmax=1, interpolation="none")
    families = [name.split("[")[0] for name in features]
    starts = [i for i, name in enumerate(families) if i == 0 or families[i - 1] != name]
    ends = [*starts[1:], len(families)]
    for start in starts[1:]:
        ax.axhline(start - 0.5, color="white", linewidth=0.6)
        ax.axvline(start - 0.5, color="white", linewidth=0.6)
    middle = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    ax.set_yticks(middle, [families[start] for start in starts])
    ax.set_xticks([])
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, label="|Pearson correlation|", shrink=0.8)
    return ax
