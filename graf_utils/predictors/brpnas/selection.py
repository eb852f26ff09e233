"""Which networks to train next: the iterative data selection of BRP-NAS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

__all__ = ["select_iteratively"]


def select_iteratively(
    model: Any, X: ArrayLike, y: ArrayLike, n_labels: int, n_rounds: int = 5,
    random_state: Any = None,
) -> list[NDArray[np.intp]]:  # fmt: skip
    """Choose which networks to label by the iterative data selection of BRP-NAS.

    The first round is random. Each later one fits `model` on what is labelled, ranks the others,
    and labels the best for half of its share; the other half is drawn at random from the top part
    of the ranking, which is halved every round.

    Parameters
    ----------
    model : regressor
        Any scikit-learn regressor; it is cloned.
    X : array of shape (n, n_columns)
        The whole pool.
    y : array of shape (n,)
        Its targets, higher is better; read only for the networks that are chosen.
    n_labels, n_rounds : int, int
        Networks to label in all, and the number of equal rounds.
    random_state : int, RandomState or None

    Returns
    -------
    list of ndarray
        Row numbers that each round labels.
    """
    X, y, rng = np.asarray(X), np.asarray(y), check_random_state(random_state)
    if not 1 <= n_rounds <= n_labels <= len(X) or len(X) != len(y):
        raise ValueError(
            f"n_rounds={n_rounds}, n_labels={n_labels} with {len(X)} networks and {len(y)} targets:"
            " it must be 1 <= n_rounds <= n_labels <= networks, with a target for each."
        )
    sizes = [len(part) for part in np.array_split(np.arange(n_labels), n_rounds)]
    rounds = [rng.choice(len(X), sizes[0], replace=False)]
    for number, size in enumerate(sizes[1:], 1):
        known = np.concatenate(rounds)
        rest = np.setdiff1d(np.arange(len(X)), known)
        scores = clone(model).fit(X[known], y[known]).predict(X[rest])
        ranked = rest[np.argsort(-scores, kind="stable")]
        best, others = ranked[: size - size // 2], ranked[size - size // 2 :]
        pool = others[: max(len(ranked) // 2**number, size // 2)]
        rounds.append(np.concatenate([best, rng.choice(pool, size // 2, replace=False)]))
    return rounds
