"""XGBoost with the column names of this package; imported when such a predictor is made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

__all__ = ["XGBRegressor"]

_WIDE = str.maketrans("[]<", "［］＜")
"""XGBoost allows none of these three in a name; their full-width forms read the same."""

_NARROW = {ord(wide): narrow for narrow, wide in zip("[]<", "［］＜", strict=True)}


def _wide_names(X: Any) -> Any:
    """A frame with names that XGBoost takes; anything else, and a frame without need, as it is."""
    if isinstance(X, pd.Series) and isinstance(X.name, str):
        return X.rename(X.name.translate(_WIDE))
    if not isinstance(X, pd.DataFrame):
        return X
    if X.columns.nlevels > 1:
        raise ValueError(
            "X has column names of several levels, which XGBoost would join. Write one text per "
            "column: X.set_axis([str(name) for name in X.columns], axis=1)."
        )
    names = [name.translate(_WIDE) if isinstance(name, str) else name for name in X.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"X has two columns that XGBoost would call {twice!r}. Give each its own name, for "
            "example with X.set_axis([f'x{i}' for i in range(X.shape[1])], axis=1)."
        )
    if names == list(X.columns):
        return X
    return X.set_axis(names, axis=1)


def _wide_constraints(value: Any) -> Any:
    """Constraints on columns by name, a mapping or lists of them, in the names of the booster."""
    if isinstance(value, str):
        return value.translate(_WIDE)
    if isinstance(value, dict):
        return {_wide_constraints(name): sign for name, sign in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_wide_constraints(part) for part in value)
    return value


def _with_wide_names(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of XGBoost's regressor that takes frames with any column names."""

    @functools.wraps(method)
    def call(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        if options.get("eval_set") is not None:
            options["eval_set"] = [(_wide_names(x), y) for x, y in options["eval_set"]]
        return method(self, _wide_names(X), *arguments, **options)

    return call


class XGBRegressor(xgboost.XGBRegressor):
    """XGBoost's regressor, which also takes frames whose column names hold ``[``, ``]`` or ``<``.

    Everything else is XGBoost's. Inside, in the trees and in what the booster prints, brackets are
    written in their full-width forms; `feature_names_in_` has the names as they were given.
    """

    fit = _with_wide_names(xgboost.XGBRegressor.fit)
    predict = _with_wide_names(xgboost.XGBRegressor.predict)
    apply = _with_wide_names(xgboost.XGBRegressor.apply)

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns in `fit`; there are none if it was given an array."""
        return np.array([name.translate(_NARROW) for name in super().feature_names_in_])

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters of the booster, with constraints in its names."""
        params = super().get_xgb_params()
        for name in ("monotone_constraints", "interaction_constraints"):
            if isinstance(params.get(name), dict | list | tuple):  # text is XGBoost's own notation
                params[name] = _wide_constraints(params[name])
        return params
