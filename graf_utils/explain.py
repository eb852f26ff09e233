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
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from graf_utils import _checks
from graf_utils._optional import import_optional
from graf_utils._parallel import predict_in_order, unordered
from graf_utils.encodings import encode
from graf_utils.predictors import make_predictor
from graf_utils.redundancy import redundant_groups
from graf_utils.spaces import SearchSpace, get_space
from graf_utils.table import Table, check_table

__all__ = [
    "METHODS",
    "importances",
    "mean_ranks",
    "shap_values",
    "what_if",
]

_REPEATS = 5  # shufflings of a column
_AT_ONCE = 16  # groups of columns whose shufflings are predicted in one call


# --- importances ----------------------------------------------------------------------------------


def shap_values(model: Any, X: Any) -> NDArray[np.float64]:
    """Compute SHAP values of a fitted tree model, or of a pipeline that selects columns for one.

    The values are those of Tree SHAP with the trees' own path counts (Lundberg et al., 2020): with
    the model's mean prediction, the values of a row add up to its prediction.

    Parameters
    ----------
    model : fitted regressor
        Forest, boosting, tree, or a pipeline of these behind feature selection.
    X : array-like of shape (n_rows, n_features)
        The rows to explain, with the columns that the model was fitted on.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        In the unit of the target; 0 for a column that the pipeline drops.

    Raises
    ------
    ValueError
        The model is not fitted or not made of trees, a step before it changes the columns, or X has
        other columns, or in another order, than the model was fitted on.
    ModuleNotFoundError
        SHAP is not installed.
    """
    shap = import_optional("shap", "SHAP values (shap_values, importances)", "explain")
    values = _read_columns("X", model, X)
    columns, last = _selected(model, values.shape[1])
    if isinstance(last, BaseEstimator):
        check_is_fitted(last)
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


def _read_columns(what: str, model: Any, X: Any) -> NDArray[np.float64]:
    """The numbers of X, with the columns that the model was fitted on, in their order."""
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    columns = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else names
    if names and columns != names:
        other = [name for name in columns if name not in names]
        raise ValueError(
            f"{what} has other columns than the model was fitted on, or in another order"
            f"{f'; it was not fitted on {other[:3]}' if other else ''}. Write "
            f"{what}[model.feature_names_in_]."
        )
    values = _checks.numbers_of(X)
    n_columns = getattr(model, "n_features_in_", None)
    fits = values is not None and values.ndim == 2 and n_columns in (None, values.shape[1])
    if values is None or not fits:
        raise ValueError(
            f"{what} is {type(X).__name__} of shape {np.shape(X)}; it must be numbers, one row per "
            f"architecture and the {n_columns or ''} columns that the model was fitted on."
        )
    return values


def _selected(model: Any, n_features: int) -> tuple[NDArray[np.intp], Any]:
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
    """Mean size of the SHAP values, added within a group with their signs."""
    values = shap_values(model, x)
    return [np.abs(values @ member).mean(axis=0) for member in members]


def _impurity(model: Any, x: Any, y: Any, members: list[Any], seed: int) -> list[Any]:
    """Share in the decrease of variance inside the trees."""
    columns, last = _selected(model, x.shape[1])
    if not hasattr(last, "feature_importances_"):
        raise ValueError(f"predictor {last!r:.80} is not made of trees. Use method 'permutation'.")
    return [last.feature_importances_ @ member[columns] for member in members]


def _permutation(model: Any, x: Any, y: Any, members: list[Any], seed: int) -> list[Any]:
    """Mean loss of tau when the columns of a group are shuffled together."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(x)) for _ in range(_REPEATS)]

    def taus(tables: list[NDArray[Any]]) -> NDArray[np.float64]:
        predicted = np.reshape(predict_in_order(model, np.concatenate(tables)), (len(tables), -1))
        return np.nan_to_num([kendalltau(row, y).statistic for row in predicted])  # constant: 0

    def losses(groups: NDArray[np.bool_]) -> NDArray[np.float64]:
        shuffled = [np.where(group, x[order], x) for group in groups for order in orders]
        return taus([x])[0] - taus(shuffled).reshape(-1, _REPEATS).mean(axis=1)

    results = []
    for member in members:
        blocks = np.array_split(member.T.astype(bool), -(-member.shape[1] // _AT_ONCE))
        results.append(np.concatenate([losses(groups) for groups in blocks]))
    return results


METHODS = {"shap": _shap, "impurity": _impurity, "permutation": _permutation}
"""Kinds of importance, described in `importances`."""


def importances(
    table: Table,
    targets: str | Iterable[str],
    encoding: str | pd.DataFrame | Callable[[Table], Any] | Mapping[str, Any] = "zcp+graf",
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
    encoding : str, DataFrame, callable, or mapping of one name to these
        A name for `graf_utils.encodings.encode`; named columns with one row per architecture, whose
        index is its row numbers; or a function of the table that returns them. Without a name, a
        frame is called ``"own"``, and a function by its own name.
    predictor : str, regressor, or mapping of one name to a regressor
        As in `graf_utils.predictors.make_predictor`.
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
        An unknown name, a number out of range, rows that do not fit, an architecture that is
        repeated, or a predictor that a method cannot explain.
    """
    _refuse_copies(table)
    ys = {name: np.asarray(table.target(name)) for name in _checks.names("targets", targets)}
    functions = _functions(methods)
    size = _one_number("train_size", train_size, 1, len(table) - 2, "networks in the table")
    n_explained = _one_number("n_explained", n_explained, 2, 10**9, "networks")
    seeds = _checks.whole_numbers("data_seeds", data_seeds, 0, 2**32 - 1, "seeds")
    encoding_name, frame = _read_encoding(table, encoding)
    x = _checks.matrix(f"encoding {encoding_name!r}", frame, len(table))
    predictor_name, model = _read_predictor(predictor)
    groups = [{name: [name] for name in frame}]
    if threshold is not None:
        groups.append(redundant_groups(frame, threshold))
    setting = {
        "table": table.name,
        "source": table.source,
        "target": "",
        "encoding": encoding_name,
        "predictor": predictor_name,
        "train_size": size,
    }
    calls = [
        (model, x, y, groups, functions, n_explained, setting | {"target": name, "data_seed": seed})
        for name, y in ys.items()
        for seed in seeds
    ]
    parts = dict(unordered(_explain, calls, n_jobs))
    return pd.concat([parts[number] for number in range(len(calls))], ignore_index=True)


def _functions(methods: Any) -> dict[str, Callable[..., Any]]:
    """The methods by name; the functions themselves, for workers do not see what was added here."""
    names = _checks.names("methods", methods)
    for name in names:
        _checks.choice("methods", name, METHODS)
    return {name: METHODS[name] for name in names}


def _one_number(argument: str, value: Any, low: int, high: int, unit: str) -> int:
    """One whole number in a range."""
    numbers = _checks.whole_numbers(argument, value, low, high, unit)
    if len(numbers) > 1:
        raise ValueError(f"{argument}={value!r} must be one number. Call once for each.")
    return numbers[0]


def _refuse_copies(table: Table) -> None:
    """Refuse a table in which networks that were fitted on could be explained as unseen."""
    check_table(table, "importances")
    repeats = int((table.first_rows != np.arange(len(table))).sum())
    if repeats:
        raise ValueError(
            f"table {table.name!r} holds {repeats} architectures again, which would stand in the "
            "train set and among the rest. Keep the first row of each: table.drop_duplicates()."
        )


def _read_encoding(table: Table, encoding: Any) -> tuple[str, pd.DataFrame]:
    """The name of an encoding and its columns, in the order of the table."""
    name = None
    if isinstance(encoding, Mapping):
        name, encoding = _only("encoding", encoding)
    if isinstance(encoding, str):
        return name or encoding, encode(table, encoding)
    if callable(encoding):
        name = name or getattr(encoding, "__name__", "own")
        encoding = encoding(table)
    name = name or "own"
    what = f"encoding {name!r}"
    _checks.matrix(what, encoding, len(table))
    frame = pd.DataFrame(_checks.in_order(what, encoding, len(table)))
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{what} has two columns {twice!r}. Name each column once.")
    return name, frame


def _read_predictor(predictor: Any) -> tuple[str, Any]:
    """The name of a predictor and a fresh regressor."""
    name = None
    if isinstance(predictor, Mapping):
        name, predictor = _only("predictor", predictor)
    model = make_predictor(predictor)
    if name is None:
        name = predictor if isinstance(predictor, str) else type(model).__name__
    return name, model


def _only(argument: str, value: Mapping[str, Any]) -> tuple[str, Any]:
    """The one entry of a mapping."""
    if len(value) != 1:
        raise ValueError(
            f"{argument} is a mapping of {len(value)} names {list(value)[:5]}; it must hold one. "
            "Call once for each, and put the frames together with pd.concat."
        )
    return next(iter(value.items()))


def _member(names: list[str], groups: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
    """Which column (row) is in which group (column)."""
    return np.array([[name in group for group in groups.values()] for name in names], dtype=float)


def _explain(
    model: Any,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    groups: list[dict[str, list[str]]],
    functions: dict[str, Callable[..., Any]],
    n_explained: int,
    setting: dict[str, Any],
) -> pd.DataFrame:
    """Fit on one train set and take the importances, of the columns and of their groups."""
    seed = setting["data_seed"]
    train, test = train_test_split(
        np.arange(len(y)), train_size=setting["train_size"], random_state=seed
    )
    fitted = clone(model).fit(x[train], y[train])
    rows = np.random.default_rng(seed).permutation(test)[:n_explained]
    members = [_member(list(groups[0]), grouping) for grouping in groups]
    parts = []
    for method, function in functions.items():
        results = function(fitted, x[rows], y[rows], members, seed)
        for grouped, (names, values) in enumerate(zip(groups, results, strict=True)):
            columns = {
                "method": method,
                "grouped": bool(grouped),
                "feature": list(names),
                "importance": values,
                "rank": rankdata(-values) - 1,
            }
            parts.append(pd.DataFrame(setting | columns))
    return pd.concat(parts)


def mean_ranks(results: pd.DataFrame, by: Iterable[str] = ()) -> pd.DataFrame:
    """Return the mean rank of each feature over the train sets, best first.

    Parameters
    ----------
    results : DataFrame
        From `importances`, or several of these put together.
    by : sequence of str
        Columns that name a setting; by default all that do.

    Returns
    -------
    DataFrame
        For each setting and feature ``mean_rank, std_rank, n`` (train sets) and ``importance``
        (mean), sorted by setting and mean rank.

    Raises
    ------
    ValueError
        There is no such column. By default also: a feature has two ranks for one setting and data
        seed, so that different things go by one name.
    """
    if not isinstance(results, pd.DataFrame):
        raise ValueError(f"results is {type(results).__name__}; it must be a frame of importances.")
    by = [by] if isinstance(by, str) else list(by)
    for column in by:
        _checks.choice("by", column, list(results.columns))
    if not by:
        by = [c for c in results if c not in ("data_seed", "feature", "importance", "rank")]
        repeated = results.duplicated([*by, "feature", "data_seed"])
        if repeated.any():
            first = results[repeated].iloc[0]
            raise ValueError(
                f"results has two ranks of {first['feature']!r} for data seed {first['data_seed']} "
                "in one setting, such as two encodings of one name. Name them apart, as in "
                "importances(encoding={'mine': ...}), or name the settings in `by`."
            )
    groups = results.groupby([*by, "feature"], sort=False, dropna=False)
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
    """Predict the gain of each single change of an architecture, and the features that carry it.

    SHAP values add up to the prediction, so that their difference between the changed and the
    original architecture adds up to the gain: it says which features the predictor gives the
    credit. It says nothing about what training the changed network would give.

    Parameters
    ----------
    model : fitted model of trees
        As in `shap_values`.
    architecture : tuple or str
        One architecture, in any form that the space reads.
    features : callable
        From a list of architectures to a frame of the columns the model was fitted on, one row for
        each, in order.
    space : str or SearchSpace
        The space of the architecture.
    groups : mapping, optional
        Groups of columns from `redundant_groups`, whose shares are added; every column in one.

    Returns
    -------
    changes : DataFrame
        One row per neighbour of the architecture (`SearchSpace.neighbours`), the largest gain
        first: ``position, before, after, architecture, predicted, gain``, the last two in the unit
        of the target.
    carriers : DataFrame
        Rows as in `changes`; one column per feature (group); a row adds up to the gain.

    Raises
    ------
    ValueError
        No single change is valid, the features do not fit, or the groups do not hold each column
        once.
    """
    space = get_space(space)
    (code,) = space.to_codes([architecture])
    codes = space.neighbours(architecture)
    if not len(codes):
        raise ValueError(
            f"architecture={architecture!r} has no valid single change in {space.name}. Choose "
            "another."
        )
    frame = _features_of(space.from_codes([code, *codes]), features)
    groups = {name: [name] for name in frame} if groups is None else groups
    _check_groups(groups, list(frame))
    x = _read_columns("features(architectures)", model, frame)
    asked = frame if hasattr(model, "feature_names_in_") else x  # as scikit-learn compares them
    predicted = np.asarray(predict_in_order(model, asked), dtype=float)
    explained = shap_values(model, x)
    carriers = (explained[1:] - explained[0]) @ _member(list(frame), groups)
    changes = _changes(space, code, codes)
    changes["predicted"] = predicted[1:]
    changes["gain"] = predicted[1:] - predicted[0]
    order = np.argsort(-changes["gain"].to_numpy(), kind="stable")
    return (
        changes.iloc[order].reset_index(drop=True),
        pd.DataFrame(carriers[order], columns=list(groups)),
    )


def _features_of(
    architectures: list[tuple[Any, ...]], features: Callable[[list[Any]], pd.DataFrame]
) -> pd.DataFrame:
    """The features of some architectures, one row for each, in order."""
    if not callable(features):
        raise ValueError(
            f"features={_checks.short(features)} is no function. Pass one that takes a list of "
            "architectures, such as GRAF(space).set_output(transform='pandas').fit_transform."
        )
    frame = features(architectures)
    if not isinstance(frame, pd.DataFrame) or len(frame) != len(architectures):
        raise ValueError(
            f"features gave {type(frame).__name__} of shape {np.shape(frame)} for "
            f"{len(architectures)} architectures; it must give a DataFrame with a row for each."
        )
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        raise ValueError(
            f"features gave rows with the index {list(frame.index[:3])}, ...; row i must describe "
            "architecture i. Put them in that order, and return frame.reset_index(drop=True)."
        )
    return frame


def _check_groups(groups: Mapping[str, Sequence[str]], columns: list[str]) -> None:
    """Refuse groups in which the shares of the columns would not add up."""
    if not isinstance(groups, Mapping):
        raise ValueError(
            f"groups is {type(groups).__name__}; it must be a mapping of a name to the columns of "
            "the group, such as redundant_groups(X) gives."
        )
    members = [name for group in groups.values() for name in group]
    if sorted(map(str, members)) != sorted(map(str, columns)):
        missing = [name for name in columns if name not in members]
        wrong = [name for name in members if name not in columns or members.count(name) > 1]
        raise ValueError(
            f"groups must hold each of the {len(columns)} columns of the features once; they lack "
            f"{missing[:3]} and hold {wrong[:3]} wrongly. Pass redundant_groups(X) of the columns "
            "that the model was fitted on."
        )


def _changes(space: SearchSpace, code: NDArray[Any], codes: NDArray[Any]) -> pd.DataFrame:
    """Where each of some neighbours differs from an architecture, and how."""
    position = (codes != code).argmax(axis=1)
    changes = pd.DataFrame(
        {
            "before": [space.entry(code, place) for place in position.tolist()],
            "after": [
                space.entry(changed, place)
                for changed, place in zip(codes, position.tolist(), strict=True)
            ],
        }
    )
    changes.insert(0, "position", np.array(space.position_names())[position])
    changes["architecture"] = space.from_codes(codes)
    return changes
