"""How well scores order networks, overall and within groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks

__all__ = ["rank_correlations"]


def rank_correlations(scores: pd.DataFrame, target: Any, groups: Any = None) -> pd.DataFrame:
    """Spearman's correlation of each score with a target, overall and within groups.

    A score that only tells the groups apart has a high correlation overall and none within them.

    Parameters
    ----------
    scores : DataFrame of shape (n, n_scores)
        For example the proxies of a table.
    target : array-like of shape (n,)
        A Series is matched with the scores by its labels.
    groups : array-like of shape (n,), optional
        For example the number of convolutions. A Series is matched by its labels.

    Returns
    -------
    DataFrame
        Columns ``score, group, n, spearman``; the group of the overall correlation is ``"all"``.
        NaN where the score or the target is constant or holds a NaN, or fewer than three rows are
        in the group.

    Raises
    ------
    ValueError
        The scores are no frame, or the lengths or the labels do not fit.
    """
    if not isinstance(scores, pd.DataFrame):
        raise ValueError(
            f"scores is {type(scores).__name__}; it must be a DataFrame with one column per score. "
            "Write pd.DataFrame({'name': scores})."
        )
    values = _checks.numbers_of(_one_per_row("target", target, scores))
    if values is None:
        raise ValueError("target holds text or dates; it must be one number per row.")
    parts: dict[Any, NDArray[np.bool_]] = {"all": np.ones(len(scores), dtype=bool)}
    if groups is not None:
        labels = _one_per_row("groups", groups, scores)
        parts |= {group: labels == group for group in np.unique(labels).tolist()}
    rows = []
    for group, mask in parts.items():
        ranks, target_rank = scores[mask].rank(), pd.Series(values[mask]).rank().to_numpy()
        for score, column in ranks.items():
            defined = mask.sum() > 2 and column.nunique() > 1 and np.ptp(target_rank) > 0
            rho = np.corrcoef(column, target_rank)[0, 1] if defined else np.nan
            rows.append({"score": score, "group": group, "n": int(mask.sum()), "spearman": rho})
    return pd.DataFrame(rows)


def _one_per_row(what: str, values: Any, scores: pd.DataFrame) -> NDArray[Any]:
    """Read one value per row of the scores, matched by label where there are labels."""
    values = np.asarray(_checks.aligned(what, values, scores.index, "scores"))
    if values.shape == (len(scores), 1):
        values = values[:, 0]
    if values.shape != (len(scores),):
        raise ValueError(
            f"{what} has shape {values.shape} for {len(scores)} rows of scores; give one value "
            "per row."
        )
    return values
