"""Pairs of cells for the guessing game, chosen by a rule, with what a proxy and a forest say.

Both cells of a pair have the same six operations, in other places: whoever counts convolutions,
parameters or FLOPs sees no difference. Their accuracies differ by more than chance makes twins
differ, and the forest has learned neither from them nor from their twins.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from explorer_data import TRAIN_SIZE, Cells, load_cells
from numpy.typing import NDArray
from scipy.stats import binom

from graf_utils.datasets import load_table
from graf_utils.metrics import kendall_tau
from graf_utils.predictors import make_predictor

N_PAIRS, SEED = 20, 201
LEAST_ACCURACY = 88.0  # per cent: no broken networks, which are easily told
CHANCE = 0.95  # share of twins that differ by less than the cells of a pair


def twin_gap(cells: Cells, share: float = CHANCE) -> float:
    """Points by which fewer than so many pairs of twins differ, both valid and good enough."""
    rows = np.flatnonzero(cells.valid & (cells.accuracy >= LEAST_ACCURACY))
    gaps = []
    for number in np.unique(cells.classes[rows]):
        of_class = cells.accuracy[rows[cells.classes[rows] == number]]
        gaps += [abs(one - other) for one, other in combinations(of_class, 2)]
    return float(np.quantile(gaps, share))


def candidates(cells: Cells, gap: float) -> list[NDArray[np.intp]]:
    """List all pairs that fit the rule, by their operations.

    Parameters
    ----------
    cells : Cells
    gap : float
        The accuracies must differ by more than so many points.

    Returns
    -------
    list of ndarray of shape (n_pairs, 2)
        For each collection of six operations that has a pair: rows, in enumeration order.
    """
    good = np.flatnonzero(cells.valid & (cells.accuracy >= LEAST_ACCURACY))
    operations = np.sort(cells.table.codes[good], axis=1)
    _, group = np.unique(operations, axis=0, return_inverse=True)
    found = []
    for number in range(group.max() + 1):
        rows = good[group.ravel() == number]
        one, other = rows[np.array(np.triu_indices(len(rows), 1))]
        apart = np.abs(cells.accuracy[one] - cells.accuracy[other]) > gap
        apart &= cells.classes[one] != cells.classes[other]
        if apart.any():
            found.append(np.column_stack([one, other])[apart])
    return found


def draw_pairs(groups: list[NDArray[np.intp]], accuracy: NDArray[Any]) -> NDArray[np.intp]:
    """Draw pairs of different operations; the better cell is the first in half of them.

    Parameters
    ----------
    groups : list of ndarray
        From `candidates`.
    accuracy : ndarray

    Returns
    -------
    ndarray of shape (N_PAIRS, 2)
        Rows of cells A and B.
    """
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(groups), N_PAIRS, replace=False)
    pairs = np.array([groups[number][rng.integers(len(groups[number]))] for number in chosen])
    best_first = np.take_along_axis(pairs, np.argsort(-accuracy[pairs], axis=1), axis=1)
    swapped = rng.permutation(N_PAIRS) < N_PAIRS // 2
    return np.where(swapped[:, None], best_first[:, ::-1], best_first)


def draw_train(cells: Cells, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Draw the train set of the forest: valid cells, none in a pair and none a twin of one."""
    unknown = np.isin(cells.classes, cells.classes[pairs])
    pool = np.flatnonzero(cells.valid & ~unknown)
    return np.random.default_rng(SEED).choice(pool, TRAIN_SIZE, replace=False)


def fit_forest(cells: Cells, train: NDArray[np.intp]) -> NDArray[np.float64]:
    """Fit the paper's forest on GRAF and flow, and predict all cells."""
    X = cells.features.to_numpy()
    return make_predictor("rf").fit(X[train], cells.accuracy[train]).predict(X)


def best_proxy(cells: Cells, train: NDArray[np.intp]) -> tuple[str, float, NDArray[np.float64]]:
    """Choose the proxy that ranks the forest's train set best.

    Returns
    -------
    name : str
    tau : float
        Its Kendall τ there.
    scores : ndarray
        Of all cells; NaN for those that were not scored, which are not valid.
    """
    table = load_table("nb201-cifar10", source="embedded")
    rows = cells.table.rows(table.codes)
    scores = np.full((len(cells.table), table.proxies.shape[1]), np.nan)
    scores[rows] = table.proxies
    taus = [kendall_tau(column, cells.accuracy[train]) for column in scores[train].T]
    best = int(np.argmax(taus))
    return str(table.proxies.columns[best]), taus[best], scores[:, best]


def share_right(values: NDArray[Any], cells: Cells, pairs: NDArray[np.intp]) -> float:
    """Share of pairs whose better cell has the higher value."""
    said = np.sign(values[pairs[:, 0]] - values[pairs[:, 1]])
    true = np.sign(cells.accuracy[pairs[:, 0]] - cells.accuracy[pairs[:, 1]])
    return float((said == true).mean())


def build() -> tuple[dict[str, Any], dict[str, str]]:
    """Compute everything.

    Returns
    -------
    data : dict
        For the script, in JSON: of each pair the rows of both cells and their accuracies, and
        which of them (0, 1; -1 for neither) proxy and forest take for the better one.
    facts : dict of str to str
        Numbers for the sentences of the page, written out.
    """
    cells = load_cells()
    gap = twin_gap(cells)
    groups = candidates(cells, gap)
    pairs = draw_pairs(groups, cells.accuracy)
    train = draw_train(cells, pairs)
    forest = fit_forest(cells, train)
    name, tau, proxy = best_proxy(cells, train)

    def choices(values: NDArray[Any]) -> list[int]:
        first, second = values[pairs].T
        return np.select([first > second, second > first], [0, 1], -1).tolist()

    everywhere = np.concatenate(groups)
    everywhere = everywhere[~np.isin(everywhere, train).any(axis=1)]
    data = {
        "pairs": pairs.tolist(),
        "accuracy": cells.accuracy[pairs].round(2).tolist(),
        "proxyName": name,
        "proxy": choices(proxy),
        "forest": choices(forest),
    }
    facts = {
        "gap": f"{gap:.2f}",
        "coin_games": f"{1 / binom.sf(14, N_PAIRS, 0.5):.0f}",
        "chance": f"{100 * CHANCE:.0f}",
        "least": f"{LEAST_ACCURACY:.0f}",
        "n_train": f"{len(train):,}",
        "proxy": name,
        "proxy_tau": f"{tau:.2f}",
        "n_everywhere": f"{len(everywhere):,}",
        "proxy_everywhere": f"{100 * share_right(proxy, cells, everywhere):.0f}",
        "forest_everywhere": f"{100 * share_right(forest, cells, everywhere):.0f}",
    }
    return data, facts
