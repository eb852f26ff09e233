"""Which networks to train next: the iterative data selection of BRP-NAS."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from graf_utils import _checks
from graf_utils._parallel import predict_in_order

__all__ = ["select_iteratively"]


def select_iteratively(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    n_labels: int,
    n_rounds: int = 5,
    random_state: Any = None,
) -> list[NDArray[np.intp]]:
    """Choose which networks to label by the iterative data selection of BRP-NAS.

    The first round is random. Each later one fits `model` on what is labelled, ranks the others,
    and labels the best for half of its share; the other half is drawn at random from the top part
    of the ranking, which is halved every round (Dudziak et al., 2020, section 4.3).

    Parameters
    ----------
    model : regressor
        Any scikit-learn regressor; it is cloned.
    X : array or DataFrame of shape (n, n_columns)
        The whole pool. The index of a frame is its row numbers.
    y : array or Series of shape (n,)
        Its targets, higher is better; read only for the networks that are chosen.
    n_labels : int
        Networks to label in all.
    n_rounds : int
        Number of equal rounds.
    random_state : int, RandomState or None
        Fixes all that is drawn.

    Returns
    -------
    list of ndarray
        Row numbers that each round labels.

    Raises
    ------
    ValueError
        A number is out of range, X and y differ in length, or an index is not the row numbers.
    """
    if isinstance(model, type) or not hasattr(model, "get_params"):
        raise ValueError(f"model={model!r:.80} is no regressor; pass an instance, such as Ridge().")
    X = list(X) if isinstance(X, Iterator) else X
    X = np.asarray(_checks.in_order("X", X, len(X)))
    y = np.asarray(_checks.in_order("y", y, len(y)))
    try:
        n_labels, n_rounds = operator.index(n_labels), operator.index(n_rounds)
        fits = 1 <= n_rounds <= n_labels <= len(X) and len(X) == len(y)
    except TypeError:
        fits = False
    if not fits:
        raise ValueError(
            f"n_rounds={n_rounds!r}, n_labels={n_labels!r} with {len(X)} networks and {len(y)} "
            "targets: they must be whole numbers, 1 <= n_rounds <= n_labels <= networks, with a "
            "target for each."
        )
    rng = check_random_state(random_state)
    sizes = [len(part) for part in np.array_split(np.arange(n_labels), n_rounds)]
    rounds = [rng.choice(len(X), sizes[0], replace=False)]
    for number, size in enumerate(sizes[1:], 1):
        labelled = np.concatenate(rounds)
        rest = np.setdiff1d(np.arange(len(X)), labelled)
        fitted = clone(model).fit(X[labelled], y[labelled])
        predicted = np.asarray(predict_in_order(fitted, X[rest]), dtype=float)
        ranked = rest[np.argsort(-predicted, kind="stable")]
        n_drawn = size // 2
        best, others = ranked[: size - n_drawn], ranked[size - n_drawn :]
        top = others[: max(len(ranked) // 2**number, n_drawn)]
        rounds.append(np.concatenate([best, rng.choice(top, n_drawn, replace=False)]))
    return rounds
