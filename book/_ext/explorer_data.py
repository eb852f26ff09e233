"""What the explorer shows, computed once: a small script in the browser only looks things up.

Everything is about the 15,625 cells of NAS-Bench-201 in enumeration order, so that the number of a
cell is its row. Features are not stored cell by cell: each depends on a cell only through which
edges are in a set of operations, so that a table of these patterns holds all values (this is how
`graf_utils.features` computes them, too).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from explorer_meanings import meaning
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from graf_utils.datasets import load_table
from graf_utils.features import GRAF, Flow
from graf_utils.metrics import kendall_tau
from graf_utils.predictors import BlendRegressor
from graf_utils.redundancy import distinct_columns
from graf_utils.table import Table

TRAIN_SIZE, SEED = 1024, 42
INTERVAL = (0.1, 0.9)
N_CONTRIBUTIONS, N_NEIGHBOURS = 10, 5
PER_POINT = 100  # accuracies, predictions and milliseconds are stored as hundredths


@dataclass
class Cells:
    """All cells with what the book knows of them.

    Attributes
    ----------
    table : Table
        The embedded CIFAR-10 table with all 15,625 cells.
    valid : ndarray of bool
        The 9,445 cells without dead edges.
    features : DataFrame
        GRAF and flow.
    classes : ndarray of int
        Equal for cells that compute the same.
    train : ndarray of int
        Rows that the predictor is fitted on.
    """

    table: Table
    valid: NDArray[np.bool_]
    features: pd.DataFrame
    classes: NDArray[np.intp]
    train: NDArray[np.intp]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracy in per cent."""
        return self.table.target("accuracy")

    @property
    def unseen(self) -> NDArray[np.intp]:
        """Rows of valid cells that the predictor was not fitted on."""
        return np.setdiff1d(np.flatnonzero(self.valid), self.train)


def load_cells() -> Cells:
    """Load the embedded table and draw the train set as the book's evaluation does."""
    table = load_table("nb201-cifar10", source="embedded", valid_only=False)
    valid = table.space.is_valid(table.codes)
    classes = table.space.classes(table.codes, zeros="dropped")
    train, _ = train_test_split(np.flatnonzero(valid), train_size=TRAIN_SIZE, random_state=SEED)
    parts = [
        each(table.space).set_output(transform="pandas").fit_transform(table)
        for each in (GRAF, Flow)
    ]
    return Cells(table, valid, pd.concat(parts, axis=1), classes, np.sort(train))


# --- the predictor --------------------------------------------------------------------------------


def fit_trees(cells: Cells) -> BlendRegressor:
    """Fit the trees of `blend` alone: what trees add up can be divided among features exactly."""
    trees = BlendRegressor(share=0)
    return trees.fit(cells.features.to_numpy()[cells.train], cells.accuracy[cells.train])


def contributions(
    cells: Cells, model: BlendRegressor, rows: Any = slice(None)
) -> tuple[float, NDArray[np.float64], NDArray[np.intp]]:
    """Divide each prediction among the features by Tree SHAP.

    Parameters
    ----------
    cells : Cells
    model : BlendRegressor
        Fitted by `fit_trees`.
    rows : slice or sequence of int
        Cells to explain, all by default.

    Returns
    -------
    base : float
        What the trees say on average, in per cent.
    shares : ndarray of shape (n_cells, n_columns)
        Percentage points; base and the shares of a cell add up to its prediction.
    columns : ndarray of int
        The features that the shares belong to: the distinct ones.

    Raises
    ------
    RuntimeError
        The shares do not add up to the predictions.
    """
    import xgboost

    X, y = cells.features.to_numpy()[rows], cells.accuracy[cells.train]
    columns = model.scaler_.transform(X[:, model.columns_])
    booster = model.trees_.get_booster()
    said = booster.predict(xgboost.DMatrix(columns), pred_contribs=True).astype(float)
    said *= y.std()  # the trees learn the standardised accuracy
    shares, base = said[:, :-1], float(said[0, -1] + y.mean())
    gap = np.abs(base + shares.sum(axis=1) - model.predict(X)).max()
    if gap > 0.5 / PER_POINT:
        raise RuntimeError(f"contributions miss the predictions by up to {gap:.4f} points.")
    return base, shares, model.columns_


def largest(shares: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Positions of the n largest shares of each row, the largest first."""
    return np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :n]


def ranks(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Place of each valid cell among them, the highest value first, ties alike; 0 for others."""
    highest_first = np.sort(-values[valid])
    places = np.searchsorted(highest_first, -values, side="left") + 1
    return np.where(valid, places, 0)


def judge(cells: Cells, model: BlendRegressor) -> dict[str, float]:
    """Say how well the predictor does on the valid cells that it has not seen, and `blend` does."""
    X, y = cells.features.to_numpy(), cells.accuracy
    blend = BlendRegressor().fit(X[cells.train], y[cells.train])
    seen = y[cells.unseen]
    low, middle, high = model.predict_quantiles(X[cells.unseen], [INTERVAL[0], 0.5, INTERVAL[1]]).T
    return {
        "tau": kendall_tau(middle, seen),
        "tau_blend": kendall_tau(blend.predict(X[cells.unseen]), seen),
        "median_error": float(np.median(np.abs(middle - seen))),
        "coverage": float(((low <= seen) & (seen <= high)).mean()),
        "dead_error": float(np.median(np.abs(model.predict(X[~cells.valid]) - y[~cells.valid]))),
    }


# --- relatives ------------------------------------------------------------------------------------


def nearest(cells: Cells, n: int, rows: Any = slice(None)) -> NDArray[np.intp]:
    """Find the valid cells most like each cell, its twins left out.

    Like is a small Euclidean distance between features: the distinct ones, standardised on the
    valid cells. Of equally distant cells the first in enumeration order comes first.

    Parameters
    ----------
    cells : Cells
    n : int
    rows : slice or sequence of int
        Cells whose neighbours are asked for, all by default.

    Returns
    -------
    ndarray of shape (n_rows, n)
        Rows.
    """
    X = cells.features.to_numpy()
    X = X[:, distinct_columns(X[cells.valid])]
    X = StandardScaler().fit(X[cells.valid]).transform(X)
    among, asked = np.flatnonzero(cells.valid), np.arange(len(X))[rows]
    lengths, order = (X**2).sum(axis=1), np.arange(len(among)) * 1e-11  # breaks ties
    found = []
    for part in np.array_split(asked, -(-len(asked) // 500)):
        squares = lengths[part, None] + lengths[among] - 2 * X[part] @ X[among].T
        squares = np.round(squares, 6) + order
        squares[cells.classes[part, None] == cells.classes[among]] = np.inf
        few = np.argpartition(squares, n, axis=1)[:, :n]
        sorting = np.take_along_axis(squares, few, axis=1).argsort(axis=1)
        found.append(among[np.take_along_axis(few, sorting, axis=1)])
    return np.concatenate(found)


# --- features as tables of patterns ---------------------------------------------------------------

_INSIDE = "nor_conv_3x3"  # stands for all operations of a set, skip_connect for all others


def _columns(transformer: Any, codes: list[tuple[int, ...]]) -> dict[str, list[float]]:
    """What one set of a single operation gives on some cells, by the name of the family."""
    values = transformer.transform(codes)
    names = transformer.get_feature_names_out()
    asked = [name for name in names if name.endswith(f"[{_INSIDE}]") or "[" not in name]
    places = [list(names).index(name) for name in asked]
    return {
        name.partition("[")[0]: [int(v) if v == int(v) else v for v in values[:, j].tolist()]
        for name, j in zip(asked, places, strict=True)
    }


def graf_patterns(space: Any) -> dict[str, list[float]]:
    """Tabulate GRAF: for each family, its value for 2^6 patterns; bit e: edge e is in the set."""
    ids = [space.operations.index("skip_connect"), space.operations.index(_INSIDE)]
    codes = [tuple(ids[digit] for digit in digits[::-1]) for digits in product((0, 1), repeat=6)]
    return _columns(GRAF(space), codes)


def flow_patterns(space: Any) -> dict[str, list[float]]:
    """Tabulate flow: 3^6 patterns; digit e to base 3: edge e is none, outside or in the set."""
    ids = [space.operations.index(op) for op in ("none", "skip_connect", _INSIDE)]
    codes = [tuple(ids[digit] for digit in digits[::-1]) for digits in product(range(3), repeat=6)]
    return _columns(Flow(space), codes)


# --- our own tables -------------------------------------------------------------------------------


def latencies(cells: Cells) -> NDArray[np.float64]:
    """Milliseconds on one thread of a CPU; NaN for cells that were not measured."""
    own = load_table("nb201-cpu-latency", source="embedded")
    values = np.full(len(cells.table), np.nan)
    values[cells.table.rows(own.codes)] = own.target("latency_ms")
    return values


def robustness(cells: Cells) -> tuple[NDArray[np.intp], pd.DataFrame]:
    """Accuracy on Fashion-MNIST under attacks and corruptions: rows that were trained, values."""
    own = load_table("nb201-fashion", source="embedded")
    return cells.table.rows(own.codes), own.targets


# --- all together ---------------------------------------------------------------------------------


def packed(values: Any, dtype: str = "<i2") -> str:
    """Whole numbers as base64 of 16 (8) bits each.

    Raises
    ------
    OverflowError
        A number does not fit.
    """
    values = np.asarray(values)
    stored = values.astype(dtype)
    if (stored != values).any():
        raise OverflowError(f"{values[stored != values][0]} does not fit into {dtype}.")
    return base64.b64encode(stored.tobytes()).decode("ascii")


def hundredths(values: Any) -> NDArray[np.float64]:
    """Round to the precision of the page; -1 where there is no number."""
    return np.nan_to_num(np.rint(np.asarray(values, dtype=float) * PER_POINT), nan=-1)


def _predicted(cells: Cells, model: BlendRegressor) -> dict[str, Any]:
    """Predictions, intervals, places and contributions of all cells."""
    X = cells.features.to_numpy()
    low, middle, high = model.predict_quantiles(X, [INTERVAL[0], 0.5, INTERVAL[1]]).T
    base, shares, columns = contributions(cells, model)
    top = largest(shares, N_CONTRIBUTIONS)
    return {
        "predicted": packed(hundredths(middle)),
        "low": packed(hundredths(low)),
        "high": packed(hundredths(high)),
        "predictedRank": packed(ranks(middle, cells.valid)),
        "base": int(hundredths(base)),
        "shareFeatures": packed(columns[top], "u1"),
        "shares": packed(hundredths(np.take_along_axis(shares, top, axis=1))),
        "sharing": len(columns),
    }


def build() -> tuple[dict[str, Any], dict[str, str]]:
    """Compute everything.

    Returns
    -------
    data : dict
        For the script, in JSON.
    facts : dict of str to str
        Numbers for the sentences of the page, written out.
    """
    cells = load_cells()
    model = fit_trees(cells)
    rows, robust = robustness(cells)
    space, names = cells.table.space, list(cells.features)
    data = {
        "names": names,
        "meanings": [meaning(name, space) for name in names],
        "operations": list(space.operations),
        "groups": {name: list(members) for name, members in space.groups.items()},
        "graf": graf_patterns(space),
        "flow": flow_patterns(space),
        "accuracy": packed(hundredths(cells.accuracy)),
        "rank": packed(ranks(cells.accuracy, cells.valid)),
        "train": packed(cells.train),
        "classes": packed(cells.classes),
        "neighbours": packed(nearest(cells, N_NEIGHBOURS)),
        "latency": packed(hundredths(latencies(cells))),
        "robustRows": packed(rows),
        "robustNames": list(robust),
        "robust": packed(hundredths(robust.to_numpy())),
    } | _predicted(cells, model)
    measured = judge(cells, model)
    facts = {
        "n_train": f"{len(cells.train):,}",
        "n_unseen": f"{len(cells.unseen):,}",
        "n_robust": f"{len(rows):,}",
        "n_sharing": str(data["sharing"]),
        "tau": f"{measured['tau']:.3f}",
        "tau_blend": f"{measured['tau_blend']:.3f}",
        "median_error": f"{measured['median_error']:.2f}",
        "coverage": f"{100 * measured['coverage']:.0f} %",
        "dead_error": f"{measured['dead_error']:.2f}",
    }
    return data, facts
