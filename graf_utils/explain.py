"""Why a predictor says what it says: importances, redundant columns, what would change it.

Importances are taken as in Kadlecová et al. (2024): fit on random train sets, rank the features of
each fit (0 is the most important), and average the ranks over the train sets. Columns that say the
same share what is theirs; `redundant_groups` finds them, and every importance can be had for the
groups as well. SHAP values come from the package ``shap``, which is imported when needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from graf_utils import _checks
from graf_utils._parallel import unordered
from graf_utils.encodings import encode
from graf_utils.predictors import make_predictor
from graf_utils.redundancy import redundant_groups
from graf_utils.spaces import CellSpace, SearchSpace, get_space
from graf_utils.table import Table

__all__ = [
    "METHODS",
    "importances",
    "mean_ranks",
    "shap_values",
    "what_if",
]

_REPEATS = 5  # shufflings of a column


# --- importances ----------------------------------------------------------------------------------


def shap_values(model: Any, X: Any) -> NDArray[np.float64]:
    """SHAP values of a fitted tree model, or of a pipeline that selects columns for one.

    The values are those of Tree SHAP with the trees' own path counts (Lundberg et al., 2020): with
    the model's mean prediction, the values of a row add up to its prediction.

    Parameters
    ----------
    model : fitted regressor
        Forest, boosting, tree, or a pipeline of these behind feature selection.
    X : array-like of shape (n_rows, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        In the unit of the target; 0 for a column that the pipeline drops.

    Raises
    ------
    ValueError
        The model is not made of trees.
    """
    import shap

    values = np.asarray(X, dtype=float)
    columns, last = _seen(model, values.shape[1])
    try:
        explainer = shap.TreeExplainer(last, feature_perturbation="tree_path_dependent")
    except Exception as error:  # shap's own class of error for models that it does not know
        raise ValueError(
            f"predictor {last!r:.80} is not a model of trees that shap can explain ({error!s:.80})."
            " Use method 'permutation', or a forest."
        ) from error
    explained = np.zeros(values.shape)
    explained[:, columns] = explainer.shap_values(values[:, columns], check_additivity=False)
    return explained


def _seen(model: Any, n_features: int) -> tuple[NDArray[np.intp], Any]:
    """The columns that reach the model behind a pipeline's selection, and that model."""
    columns = np.arange(n_features)
    if isinstance(model, Pipeline):
        for _, step in model.steps[:-1]:
            if not hasattr(step, "get_support"):
                raise ValueError(
                    f"step {step!r:.60} of the pipeline changes the columns, so that its model does"
                    " not know them. Use method 'permutation', or a pipeline that only selects."
                )
            columns = columns[step.get_support()]
        model = model[-1]
    return columns, model


def _shap(model: Any, x: Any, y: Any, members: list[Any], seed: int) -> list[Any]:
    values = shap_values(model, x)
    return [np.abs(values @ member).mean(axis=0) for member in members]


def _impurity(model: Any, x: Any, y: Any, members: list[Any], seed: int) -> list[Any]:
    columns, last = _seen(model, x.shape[1])
    if not hasattr(last, "feature_importances_"):
        raise ValueError(f"predictor {last!r:.80} is not made of trees. Use method 'permutation'.")
    return [last.feature_importances_ @ member[columns] for member in members]


def _permutation(model: Any, x: Any, y: Any, members: list[Any], seed: int) -> list[Any]:
    """Mean loss of tau when the columns of a group are shuffled together."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(x)) for _ in range(_REPEATS)]

    def taus(rows: list[NDArray[Any]]) -> NDArray[np.float64]:
        predicted = np.reshape(model.predict(np.concatenate(rows)), (len(rows), -1))
        return np.nan_to_num([kendalltau(some, y).statistic for some in predicted])  # constant: 0

    def losses(groups: NDArray[np.bool_]) -> NDArray[np.float64]:
        rows = [np.where(group, x[order], x) for group in groups for order in orders]
        return taus([x])[0] - taus(rows).reshape(-1, _REPEATS).mean(axis=1)

    blocks = [np.array_split(m.T.astype(bool), -(-m.shape[1] // 16)) for m in members]
    return [np.concatenate([losses(groups) for groups in some]) for some in blocks]


METHODS = {"shap": _shap, "impurity": _impurity, "permutation": _permutation}
"""Kinds of importance, described in `importances`."""


def importances(
    table: Table,
    targets: str | Iterable[str],
    encoding: str | pd.DataFrame = "zcp+graf",
    predictor: str | Any = "rf",
    *,
    methods: str | Iterable[str] = "shap",
    threshold: float | None = None,
    train_size: int = 1024,
    data_seeds: int | Iterable[int] = range(42, 47),
    n_explained: int = 100,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Importance of every feature in predictors fitted on repeated random train sets.

    The train sets are those of `graf_utils.evaluation.evaluate`. SHAP values and permutations are
    taken on `n_explained` networks drawn from the rest with the same seed: Tree SHAP of a forest
    costs as much for 100 networks as its fit, and the train sets differ more than the samples.

    Parameters
    ----------
    table : Table
    targets : str or sequence of str
        Columns of ``table.targets``.
    encoding : str or DataFrame
        A name for `graf_utils.encodings.encode`, or named columns with a row an architecture.
    predictor : str or regressor
        As in `graf_utils.evaluation.make_predictor`.
    methods : str or sequence of str
        Of `METHODS`. ``"shap"`` is the mean size of the SHAP values, in the target's unit;
        ``"impurity"`` the share in the decrease of variance inside the trees, on training
        networks; ``"permutation"`` the loss of Kendall tau, for any regressor.
    threshold : float, optional
        Also give importances of the groups of `redundant_groups` at this threshold, found on all
        architectures of the table: SHAP values are added within a group with sign, impurity is
        added, and permutation shuffles the columns of a group together.
    train_size : int
        Training networks.
    data_seeds : int or sequence of int
        Seeds of the train sets.
    n_explained : int
        Networks explained; all of the rest if it is larger.
    n_jobs : int, optional
        Parallel fits, as in `graf_utils.evaluation.evaluate`. The numbers do not depend on it.

    Returns
    -------
    DataFrame
        Columns ``table, source, target, encoding, predictor, train_size, data_seed, method,
        grouped, feature, importance, rank``. Rank 0 is the most important, ties share their mean
        rank; a group goes by its representative.

    Raises
    ------
    ValueError
        An unknown name, a number out of range, or a predictor that a method cannot explain.
    """
    ys = {name: np.asarray(table.target(name)) for name in _checks.names("targets", targets)}
    chosen = _checks.names("methods", methods)
    if unknown := [name for name in chosen if name not in METHODS]:
        raise ValueError(
            f"methods={methods!r}: {unknown[0]!r} is unknown; it must be one of {list(METHODS)}."
            f"{_checks.nearest(unknown[0], METHODS)}"
        )
    _checks.whole_numbers("train_size", train_size, 1, len(table) - 2, "networks in the table")
    _checks.whole_numbers("n_explained", n_explained, 2, 10**9, "networks")
    seeds = _checks.whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    frame = encode(table, encoding) if isinstance(encoding, str) else pd.DataFrame(encoding)
    label = encoding if isinstance(encoding, str) else "own"
    x, model = _checks.matrix(f"encoding {label!r}", frame, len(table)), make_predictor(predictor)
    groups = [{name: [name] for name in frame}]
    groups += [] if threshold is None else [redundant_groups(frame, threshold)]
    settings = {"table": table.name, "source": table.source, "target": "", "encoding": label}
    settings["predictor"] = predictor if isinstance(predictor, str) else type(model).__name__
    settings["train_size"] = train_size
    calls = [
        (model, x, y, groups, chosen, n_explained, settings | {"target": name, "data_seed": seed})
        for name, y in ys.items()
        for seed in seeds
    ]
    found = dict(unordered(_explain, calls, n_jobs))
    return pd.concat([found[number] for number in range(len(calls))], ignore_index=True)


def _member(names: list[str], groups: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """Which column (row) is in which group (column)."""
    return np.array([[name in some for some in groups.values()] for name in names], dtype=float)


def _explain(
    model: Any, x: Any, y: Any, groups: list[Any], methods: list[str], n: int, what: dict[str, Any]
) -> pd.DataFrame:
    """Fit on one train set and take the importances, of the columns and of their groups."""
    seed, parts = what["data_seed"], []
    train, test = train_test_split(
        np.arange(len(y)), train_size=what["train_size"], random_state=seed
    )
    fitted = clone(model).fit(x[train], y[train])
    rows = np.random.default_rng(seed).permutation(test)[:n]
    members = [_member(list(groups[0]), some) for some in groups]
    for method in methods:
        found = METHODS[method](fitted, x[rows], y[rows], members, seed)
        for grouped, (names, values) in enumerate(zip(groups, found, strict=True)):
            part = what | {"method": method, "grouped": bool(grouped), "feature": list(names)}
            part |= {"importance": values, "rank": rankdata(-values) - 1}
            parts.append(pd.DataFrame(part))
    return pd.concat(parts)


def mean_ranks(found: pd.DataFrame, by: Iterable[str] = ()) -> pd.DataFrame:
    """Mean rank of each feature over the train sets, best first.

    Parameters
    ----------
    found : DataFrame
        From `importances`, or several of these put together.
    by : sequence of str
        Columns that name a setting; by default all that do.

    Returns
    -------
    DataFrame
        For each setting and feature ``mean_rank, std_rank, n`` (train sets) and ``importance``
        (mean).
    """
    by = list(by) or [c for c in found if c not in ("data_seed", "feature", "importance", "rank")]
    groups = found.groupby([*by, "feature"], sort=False)
    means = groups["rank"].agg(mean_rank="mean", std_rank="std", n="size")
    means = means.assign(importance=groups["importance"].mean()).reset_index()
    return means.sort_values([*by, "mean_rank"], ignore_index=True)


# --- what would change a prediction ---------------------------------------------------------------


def what_if(
    model: Any,
    architecture: Any,
    features: Callable[[list[tuple[Any, ...]]], pd.DataFrame],
    space: str | SearchSpace = "nb201",
    groups: Mapping[str, Sequence[str]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predicted gain of each single change of an architecture, and the features that carry it.

    SHAP values add up to the prediction, so that their difference between the changed and the
    original architecture adds up to the gain: it says which features the predictor gives the
    credit. It says nothing about what training the changed network would give.

    Parameters
    ----------
    model : fitted model of trees
        As in `shap_values`.
    architecture : tuple or str
    features : callable
        From a list of architectures to the columns the model was fitted on, a row each.
    space : str or SearchSpace
    groups : mapping, optional
        Groups of columns from `redundant_groups`, whose shares are added.

    Returns
    -------
    changes : DataFrame
        One row per neighbour of the architecture, the largest gain first: ``position, before,
        after, architecture, predicted, gain``, the last two in the unit of the target.
    carriers : DataFrame
        Rows as in `changes`; a column for each feature (group); a row adds up to the gain.

    Raises
    ------
    ValueError
        No single change is valid, or the features do not fit.
    """
    space = get_space(space)
    (code,) = space.to_codes([architecture])
    codes = space.neighbours(architecture)
    if not len(codes):
        raise ValueError(
            f"architecture={architecture!r} has no valid single change in {space.name}. Choose "
            "another."
        )
    frame = features(space.from_codes([code, *codes]))
    if not isinstance(frame, pd.DataFrame) or len(frame) != len(codes) + 1:
        raise ValueError(
            f"features gave {type(frame).__name__} of shape {np.shape(frame)} for "
            f"{len(codes) + 1} architectures; it must give a DataFrame with a row for each."
        )
    x = frame.to_numpy(dtype=float)
    predicted, explained = np.asarray(model.predict(x), dtype=float), shap_values(model, x)
    groups = {name: [name] for name in frame} if groups is None else groups
    carried = (explained[1:] - explained[0]) @ _member(list(frame), groups)
    position = (codes != code).argmax(axis=1)
    entries = np.column_stack([code[position], codes[np.arange(len(codes)), position]])
    names = dict(enumerate(space.operations)) if isinstance(space, CellSpace) else {}
    changes = pd.DataFrame(entries, columns=["before", "after"]).replace(names)
    changes.insert(0, "position", np.array(space.position_names())[position])
    changes["architecture"] = space.from_codes(codes)
    changes["predicted"], changes["gain"] = predicted[1:], predicted[1:] - predicted[0]
    order = np.argsort(-changes["gain"].to_numpy(), kind="stable")
    carriers = pd.DataFrame(carried, columns=list(groups))
    return tuple(f.iloc[order].reset_index(drop=True) for f in (changes, carriers))
