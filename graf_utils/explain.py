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
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau, rankdata
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from graf_utils._parallel import unordered
from graf_utils.encodings import encode
from graf_utils.evaluation import _matrix, _names, _whole_numbers, make_predictor
from graf_utils.spaces import CellSpace, SearchSpace, get_space
from graf_utils.spaces.base import nearest

__all__ = [
    "METHODS",
    "importances",
    "independent_columns",
    "mean_ranks",
    "redundant_groups",
    "shap_values",
    "single_changes",
    "what_if",
]

_REPEATS = 5  # shufflings of a column


# --- redundancy -----------------------------------------------------------------------------------


def redundant_groups(X: pd.DataFrame, threshold: float = 1.0) -> dict[str, list[str]]:
    """Groups of columns that order the architectures alike.

    Two columns are as similar as the size of Spearman's rho; complete linkage makes groups where
    every pair reaches `threshold`. At 1, the default, a group holds the columns with exactly the
    same order or its reverse: a decision tree splits by order alone and cannot tell them apart.

    Parameters
    ----------
    X : DataFrame
        A row an architecture; at least two rows.
    threshold : float
        Least size of rho within a group, above 0 and at most 1.

    Returns
    -------
    dict of str to list of str
        Members by their representative, which is the member with the shortest name (the first of
        these). Constant columns, which can carry nothing, are one group.

    Examples
    --------
    >>> redundant_groups(pd.DataFrame({"a": [1, 2, 3], "minus a": [-1, -2, -3], "b": [1, 3, 2]}))
    {'a': ['a', 'minus a'], 'b': ['b']}
    """
    if not isinstance(X, pd.DataFrame) or len(X) < 2 or not X.shape[1] or not X.columns.is_unique:
        raise ValueError(
            f"X is {type(X).__name__} of shape {np.shape(X)}; it must be a DataFrame of at least "
            "two rows whose column names differ, such as encode(table, 'graf') gives."
        )
    if not 0 < threshold <= 1:
        raise ValueError(
            f"threshold={threshold!r} is a correlation; it must be above 0 and at most 1 (columns "
            "of exactly the same order)."
        )
    values = X.to_numpy(float)
    varies = (values != values[0]).any(axis=0)
    labels = np.zeros(X.shape[1], dtype=int)  # 0: the constant ones
    labels[varies] = np.arange(1, varies.sum() + 1)
    if varies.sum() > 1:
        # Twice the centred ranks are whole numbers, and so are their products: equality is exact.
        ranks = 2 * rankdata(values[:, varies], axis=0) - len(X) - 1
        products = np.abs(ranks.T @ ranks)
        own = np.diag(products)
        same = (products == own) & (products == own[:, None])
        near = np.minimum(products / np.sqrt(np.outer(own, own)), 1 - 1e-12)
        tree = linkage(squareform(np.where(same, 0.0, 1 - near), checks=False), "complete")
        labels[varies] = fcluster(tree, 1 - threshold + 1e-13, "distance")
    groups = [list(names) for _, names in pd.Series(X.columns).groupby(labels, sort=False)]
    return {min(names, key=lambda name: len(str(name))): names for names in groups}


def independent_columns(X: Any, tolerance: float = 1e-9) -> NDArray[np.intp]:
    """Indices of a largest set of columns that are linearly independent, earlier ones first.

    A column is left out if it is a linear combination of those before it and a constant, that is,
    if nothing longer than `tolerance` of its length is left of it (Gram-Schmidt, done twice).

    Examples
    --------
    >>> independent_columns([[1, 2, 0], [2, 4, 0], [3, 6, 1]])
    array([0, 2])
    """
    values = np.asarray(X, dtype=float)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"X has shape {values.shape}; it must be a matrix of finite numbers, a row an "
            "architecture. Drop or fill what is missing."
        )
    values = np.unique(values, axis=0)  # a repeated row changes no rank
    varies = np.flatnonzero((values != values[0]).any(axis=0))
    values = values - values.mean(axis=0)
    basis = np.empty((len(values), min(len(values), len(varies))), order="F")
    keep: list[int] = []
    for j in varies.tolist():
        column = values[:, j] / np.linalg.norm(values[:, j])
        known = basis[:, : len(keep)]
        for _ in range(2):
            column = column - known @ (known.T @ column)
        left = np.linalg.norm(column)
        if left > tolerance:
            basis[:, len(keep)] = column / left
            keep.append(j)
    return np.array(keep, dtype=np.intp)


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
    table: Any,
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
    ys = {name: np.asarray(table.target(name)) for name in _names("targets", targets)}
    chosen = _names("methods", methods)
    if unknown := [name for name in chosen if name not in METHODS]:
        raise ValueError(
            f"methods={methods!r}: {unknown[0]!r} is unknown; it must be one of {list(METHODS)}."
            f"{nearest(unknown[0], METHODS)}"
        )
    _whole_numbers("train_size", train_size, 1, len(table) - 2, "networks in the table")
    _whole_numbers("n_explained", n_explained, 2, 10**9, "networks")
    seeds = _whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    frame = encode(table, encoding) if isinstance(encoding, str) else pd.DataFrame(encoding)
    label = encoding if isinstance(encoding, str) else "own"
    x, model = _matrix(table, label, frame), make_predictor(predictor)
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


def single_changes(architecture: Any, space: str | SearchSpace = "nb201") -> NDArray[np.int8]:
    """All valid architectures that differ from one in a single entry of the code.

    In a space of cells with fixed wiring this is another operation on one edge (node). In
    NAS-Bench-101 it is an edge more or less or another operation, in DARTS another source or
    operation, in TransNAS-Bench-101-macro another layer; the number of nodes or layers stays.

    Parameters
    ----------
    architecture : tuple or str
        One architecture, in any spelling the space can read.
    space : str or SearchSpace

    Returns
    -------
    ndarray of shape (n_changes, code_length), int8
        Codes, by position and then by id. Of the 24 in NAS-Bench-201 at most 22 are valid: `none`
        on an edge may leave another edge dead.

    Examples
    --------
    >>> len(single_changes((2, 2, 2, 2, 2, 2)))  # none is not valid on 1-2 and 3-4
    22
    >>> single_changes((2, 1, 1, 2, 1, 2))[:3].tolist()
    [[0, 1, 1, 2, 1, 2], [3, 1, 1, 2, 1, 2], [4, 1, 1, 2, 1, 2]]
    """
    space = get_space(space)
    (code,) = space.encode([architecture])
    ids = np.arange(space.first_id, space.first_id + len(space.operations), dtype=np.int8)
    position, new = np.nonzero((code[:, None] != ids) & (code[:, None] != -1))
    codes = np.repeat(code[None], len(position), axis=0)
    codes[np.arange(len(codes)), position] = ids[new]
    for holds in (lambda rows: ~space._wrong(rows), space.is_valid):
        codes = codes[holds(codes)] if len(codes) else codes
    return codes


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
        A row a change of `single_changes`, the largest gain first: ``position, before, after,
        architecture, predicted, gain``, the last two in the unit of the target.
    carriers : DataFrame
        Rows as in `changes`; a column for each feature (group); a row adds up to the gain.

    Raises
    ------
    ValueError
        No single change is valid, or the features do not fit.
    """
    space = get_space(space)
    (code,) = space.encode([architecture])
    codes = single_changes(architecture, space)
    if not len(codes):
        raise ValueError(
            f"architecture={architecture!r} has no valid single change in {space.name}. Choose "
            "another."
        )
    frame = features(space.decode([code, *codes]))
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
    changes["architecture"] = space.decode(codes)
    changes["predicted"], changes["gain"] = predicted[1:], predicted[1:] - predicted[0]
    order = np.argsort(-changes["gain"].to_numpy(), kind="stable")
    carriers = pd.DataFrame(carried, columns=list(groups))
    return tuple(f.iloc[order].reset_index(drop=True) for f in (changes, carriers))
