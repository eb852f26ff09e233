"""Regressors by name, one file each; any other scikit-learn regressor serves as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import clone

from graf_utils._checks import nearest
from graf_utils.predictors.blend import BlendRegressor
from graf_utils.predictors.boosting import graf_xgb, xgb, xgb_plus
from graf_utils.predictors.forest import random_forest

__all__ = ["PREDICTORS", "BlendRegressor", "make_predictor"]

PREDICTORS: dict[str, Callable[[], Any]] = {
    "rf": random_forest,
    "xgb": xgb,
    "xgb+": xgb_plus,
    "graf-xgb": graf_xgb,
    "blend": BlendRegressor,
}
"""Predictors by name. `rf`, `xgb` and `xgb+` are the paper's; `graf-xgb` and `blend` are ours.

`blend` orders networks best and gives intervals; `graf-xgb` is a part of it, for a third of its
time.
"""


def make_predictor(predictor: str | Any) -> Any:
    """Make a fresh, unfitted regressor.

    Parameters
    ----------
    predictor : str or regressor
        A name of `PREDICTORS`, or a scikit-learn regressor of your own, which is cloned.

    Returns
    -------
    regressor

    Raises
    ------
    ValueError
        The name is unknown, or the object has no ``fit`` and ``predict``.
    """
    if isinstance(predictor, str):
        if predictor not in PREDICTORS:
            raise ValueError(
                f"predictor={predictor!r} is unknown; it must be a scikit-learn regressor or one "
                f"of {list(PREDICTORS)}.{nearest(predictor, PREDICTORS)}"
            )
        return PREDICTORS[predictor]()
    if isinstance(predictor, type) or not all(
        hasattr(predictor, name) for name in ("fit", "predict", "get_params")
    ):
        raise ValueError(
            f"predictor={predictor!r} is not a regressor; it must be an instance with fit, "
            f"predict and get_params, such as RandomForestRegressor(), or one of "
            f"{list(PREDICTORS)}."
        )
    return clone(predictor)
