"""Boosted trees: the paper's two, and ours. They import xgboost when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.pipeline import Pipeline, make_pipeline

from graf_utils.redundancy import DistinctColumns

if TYPE_CHECKING:
    from graf_utils.predictors._xgboost import XGBRegressor

__all__ = ["graf_xgb", "xgb", "xgb_plus"]


def xgb(**options: Any) -> XGBRegressor:
    """Make XGBoost with its defaults and the seed of the paper, on one thread.

    Parameters
    ----------
    **options
        Further arguments of ``xgboost.XGBRegressor``.

    Returns
    -------
    XGBRegressor
        Unfitted. Unlike XGBoost's own class it takes every encoding as a frame, whatever stands in
        the names of the columns.

    Raises
    ------
    ModuleNotFoundError
        XGBoost is not installed.
    """
    try:
        from graf_utils.predictors._xgboost import XGBRegressor
    except ModuleNotFoundError as error:
        if error.name != "xgboost":  # it is there, and something that it needs is not
            raise
        raise ModuleNotFoundError(
            "boosted trees ('xgb', 'xgb+', 'graf-xgb') need xgboost, which is not installed. "
            "Write: pip install xgboost-cpu (Linux, Windows), or: pip install xgboost (with CUDA; "
            "macOS). The extras graf-utils[xgboost-cpu] and graf-utils[xgboost] do the same.",
            name="xgboost",
        ) from error
    return XGBRegressor(**({"random_state": 42, "n_jobs": 1} | options))


def xgb_plus() -> XGBRegressor:
    """Make the paper's XGB+: 10,000 slow trees on histograms, unfitted."""
    return xgb(tree_method="hist", subsample=0.9, n_estimators=10_000, learning_rate=0.01)


def graf_xgb() -> Pipeline:
    """Make boosting on the distinct columns, unfitted: our recommendation where time counts.

    1,000 slow trees see 80 % of the rows and, at each split, a fifth of the columns. GRAF's columns
    come in families that say nearly the same thing, and this is how trees share the work among
    them. The settings were chosen by mean tau on data seeds 0 to 29, which are none of the paper's;
    see ``benchmarks/predictors.py --choose graf-xgb``.
    """
    boosting = xgb(n_estimators=1000, learning_rate=0.015, subsample=0.8, colsample_bynode=0.2)
    return make_pipeline(DistinctColumns(), boosting)
