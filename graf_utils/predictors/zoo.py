"""Rivals: regressors of well-kept libraries, by name, to be compared with ours.

Every one has the defaults of its library, a fixed seed and one thread, with these exceptions.
Linear models, kernels, neighbours and neural networks see standardised columns; of these ``gp``,
``svr``, ``mlp`` and ``bananas``, whose settings have a unit, see a standardised target too. The
kernel of the Gaussian process has a length, a height and a noise that are fitted, from a length of
10 standard deviations on: scikit-learn's default is fixed, noise-free, and takes all networks for
unrelated. Three libraries are optional; they are imported when such a predictor is made.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, VotingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

from graf_utils._checks import choice
from graf_utils._optional import import_optional
from graf_utils.predictors.blend import BlendRegressor
from graf_utils.predictors.boosting import graf_xgb, xgb, xgb_plus
from graf_utils.predictors.forest import random_forest

__all__ = ["FAMILIES", "ZOO", "brp_nas"]

_SEED = 42  # the paper's


def _scaled(model: Any) -> Any:
    """A regressor that sees standardised columns."""
    return make_pipeline(StandardScaler(), model)


def _scaled_both(model: Any) -> Any:
    """A regressor that sees standardised columns and a standardised target."""
    return TransformedTargetRegressor(_scaled(model), transformer=StandardScaler())


def _optional(module: str, name: str) -> Any:
    """A library of the zoo's extra."""
    return import_optional(module, f"{name} of the zoo", "zoo")


def _gp() -> Any:
    kernel = ConstantKernel() * RBF(10.0) + WhiteKernel()
    return _scaled(GaussianProcessRegressor(kernel, normalize_y=True, random_state=_SEED))


def _mlp(seed: int = _SEED) -> Any:
    return MLPRegressor(random_state=seed)


def _bananas() -> Any:
    """The mean of three small networks that differ in their first weights."""
    networks = [(f"mlp {i}", _mlp(_SEED + i)) for i in range(3)]
    return _scaled_both(VotingRegressor(networks))


def _lightgbm() -> Any:
    lightgbm = _optional("lightgbm", "'lightgbm'")
    model = lightgbm.LGBMRegressor(random_state=_SEED, n_jobs=1, verbose=-1)
    # as an array: LightGBM takes no frame with brackets in the names of its columns
    return make_pipeline(FunctionTransformer(np.asarray), model)


def _catboost() -> Any:
    catboost = _optional("catboost", "'catboost'")
    return catboost.CatBoostRegressor(
        random_seed=_SEED, thread_count=1, verbose=False, allow_writing_files=False
    )


def _ngboost() -> Any:
    ngboost = _optional("ngboost", "'ngboost'")
    trees = import_module("ngboost.learners").default_tree_learner
    trees = clone(trees).set_params(random_state=_SEED)  # else fits do not repeat
    return ngboost.NGBRegressor(Base=trees, random_state=_SEED, verbose=False)


def brp_nas(space: str = "nb201", **options: Any) -> Any:
    """Make BRP-NAS' graph network on the codes of architectures, unfitted.

    Parameters
    ----------
    space : str
        How the codes are read; see `graf_utils.predictors.brpnas.BRPNASRegressor`.
    **options
        Its further arguments.

    Returns
    -------
    BRPNASRegressor
        It learns from codes (``table.codes``), beside which features may stand.

    Raises
    ------
    ModuleNotFoundError
        PyTorch is not installed.
    """
    import_optional("torch", "'brp-nas' of the zoo", "torch")
    from graf_utils.predictors.brpnas import BRPNASRegressor

    return BRPNASRegressor(space, **({"random_state": _SEED} | options))


class _Factories(dict[str, Callable[[], Any]]):
    """Factories by name; another name is told which there are."""

    def __missing__(self, name: object) -> Any:
        choice("name", name, self)


ZOO: dict[str, Callable[[], Any]] = _Factories({
    "ridge": lambda: _scaled(Ridge()),
    "bayesian-ridge": lambda: _scaled(BayesianRidge()),
    "gp": _gp,
    "svr": lambda: _scaled_both(SVR()),
    "knn": lambda: _scaled(KNeighborsRegressor()),
    "mlp": lambda: _scaled_both(_mlp()),
    "bananas": _bananas,
    "brp-nas": brp_nas,
    "rf": random_forest,
    "extra-trees": lambda: ExtraTreesRegressor(random_state=_SEED),
    "hist-boosting": lambda: HistGradientBoostingRegressor(random_state=_SEED),
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "ngboost": _ngboost,
    "xgb": xgb,
    "xgb+": xgb_plus,
    "graf-xgb": graf_xgb,
    "blend": BlendRegressor,
})  # fmt: skip
"""Factories of unfitted regressors by name.

`bananas` is the ensemble of BANANAS with scikit-learn's networks, and meant for the path encoding;
`brp-nas` takes codes of architectures (see `brp_nas`); `rf`, `xgb`, `xgb+`, `graf-xgb` and `blend`
are those of `graf_utils.predictors.PREDICTORS`.
"""

FAMILIES: dict[str, str] = {
    **dict.fromkeys(("ridge", "bayesian-ridge"), "linear"),
    **dict.fromkeys(("gp", "svr", "knn"), "kernels, neighbours"),
    **dict.fromkeys(("mlp", "bananas", "brp-nas"), "neural networks"),
    **dict.fromkeys(("rf", "extra-trees"), "forests"),
    **dict.fromkeys(
        ("hist-boosting", "lightgbm", "catboost", "ngboost", "xgb", "xgb+"), "boosting"
    ),
    **dict.fromkeys(("graf-xgb", "blend"), "ours"),
}
"""Family of each predictor of the zoo."""
