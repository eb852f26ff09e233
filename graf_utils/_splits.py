"""Splits of the reader's own: fixed pools, folds, families. Each is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils import _checks

__all__ = ["Draw", "Sides", "check_elsewhere", "draw", "elsewhere", "given"]

Sides = tuple[NDArray[np.integer], NDArray[np.integer]]
"""Rows to train on and rows to test on."""

Draw = tuple[int, int, Sides | None]
"""Train size, data seed, and the rows, or None for those of the paper's protocol."""


def given(splits: Any, n_rows: int, groups: NDArray[np.integer] | None) -> list[Draw]:
    """Read splits that are written out.

    Parameters
    ----------
    splits : iterable of (train rows, test rows), or mapping of data seed to such a pair
        What ``split`` of scikit-learn's splitters yields will do.
    n_rows : int
        Rows of the table.
    groups : ndarray of shape (n_rows,), optional
        Rows with one number must lie on one side.

    Returns
    -------
    list of (int, int, pair)
        The train size is the number of train rows. The data seed is the key in a mapping, else the
        position, from 0.

    Raises
    ------
    ValueError
        It is neither of these, it is empty, a key is no whole number, or as `draw`.
    """
    if isinstance(splits, str) or not isinstance(splits, Iterable):
        raise ValueError(
            f"splits={_checks.short(splits)} must be a function (n_rows, train_size, data_seed) -> "
            "(train_rows, test_rows), a list of such pairs, or a mapping of data seed to pair. "
            "With a splitter of scikit-learn write splits=list(splitter.split(X, y, groups))."
        )
    pairs = splits if isinstance(splits, Mapping) else dict(enumerate(splits))
    seeds = _checks.whole_numbers("data seeds of splits", list(pairs), 0, 2**32 - 1, "seeds")
    draws: list[Draw] = []
    for seed, pair in zip(seeds, pairs.values(), strict=True):
        sides = _read(f"splits[{seed}]", pair, n_rows, groups)
        draws.append((len(sides[0]), seed, sides))
    return draws


def draw(
    split: Callable[[int, int, int], Any],
    n_rows: int,
    size: int,
    seed: int,
    groups: NDArray[np.integer] | None,
) -> Draw:
    """Draw a split with a function of the reader's.

    Parameters
    ----------
    split : callable
        ``(n_rows, train_size, data_seed) -> (train_rows, test_rows)``.
    n_rows, size, seed : int
        What it is called with.
    groups : ndarray of shape (n_rows,), optional
        Rows with one number must lie on one side.

    Returns
    -------
    (int, int, pair)
        Train size and data seed as asked for, and the rows.

    Raises
    ------
    ValueError
        It returned no pair, or a side that is empty, holds something else than row numbers of the
        table, or a row twice; or one row or group stands on both sides.
    """
    what = f"splits({n_rows}, {size}, {seed})"
    return size, seed, _read(what, split(n_rows, size, seed), n_rows, groups)


def check_elsewhere(space: Any, test_space: Any, splits: Any, twins: Any) -> None:
    """Refuse to test in another table of another space, or beside what says something else.

    Parameters
    ----------
    space, test_space : SearchSpace
        Of the two tables.
    splits, twins : object
        Arguments of `evaluate` that must be left out.

    Raises
    ------
    ValueError
        One of them is there, or the spaces differ.
    """
    if splits is not None or twins is not None:
        raise ValueError(
            "test_table says what is tested on: all of it. Leave out splits and twins, or leave "
            "out test_table."
        )
    if test_space != space:
        raise ValueError(
            f"test_table is of the space {test_space.name!r}, and table of {space.name!r}; a "
            "predictor reads one. Pass two tables of one space."
        )


def elsewhere(
    draws: list[Draw],
    split: Callable[..., Sides],
    codes: NDArray[np.integer],
    test_codes: NDArray[np.integer],
    groups: NDArray[np.integer] | None,
) -> list[Draw]:
    """Train as the draws say, and test on the rows of another table.

    Parameters
    ----------
    draws : list of (train size, data seed, None)
    split : callable
        ``(n_rows, groups, train_size, data_seed) -> (train_rows, test_rows)``: the protocol.
    codes, test_codes : ndarray of shape (n_rows, code_length)
        Architectures of the table, and of the other one.
    groups : ndarray of shape (n_rows,), optional
        Rows of the table that are drawn together.

    Returns
    -------
    list of (int, int, pair)
        With the rows to train on, and those of the other table, numbered behind those of the
        first, that hold none of the same architectures.

    Raises
    ------
    ValueError
        A train set leaves fewer than two rows of the other table.
    """
    n = len(codes)
    names = np.unique(np.concatenate([codes, test_codes]), axis=0, return_inverse=True)[1].ravel()
    rows = np.arange(n, len(names), dtype=np.min_scalar_type(len(names)))
    told: list[Draw] = []
    for size, seed, _ in draws:
        train = split(n, groups, size, seed)[0]
        test = rows[~np.isin(names[n:], names[train])]
        if len(test) < 2:
            raise ValueError(
                f"test_table has {len(test)} networks beside the {size} of the train set, and two "
                "are needed. Lower train_sizes, or pass a table with other networks."
            )
        told.append((size, seed, (train.astype(rows.dtype), test)))
    return told


def _read(what: str, pair: Any, n_rows: int, groups: NDArray[np.integer] | None) -> Sides:
    """The two sides of a split, which share neither a row nor a group."""
    try:
        train, test = pair
    except (TypeError, ValueError):
        raise ValueError(
            f"{what} is {_checks.short(pair)}; it must be a pair (train rows, test rows). For one "
            "split write splits=[(train, test)]."
        ) from None
    train = _side(f"{what}: train", train, n_rows)
    test = _side(f"{what}: test", test, n_rows)
    both = np.intersect1d(train, test)
    if len(both):
        raise ValueError(
            f"{what} has {len(both)} rows on both sides, such as row {both[0]}; a predictor knows "
            "what it was trained on. Write test = np.setdiff1d(test, train)."
        )
    if groups is not None and np.isin(groups[test], groups[train]).any():
        row = int(test[np.isin(groups[test], groups[train])][0])
        other = int(train[groups[train] == groups[row]][0])
        raise ValueError(
            f"{what}: train row {other} and test row {row} are one architecture, or twins, "
            "which duplicates='grouped' keeps on one side. Move one of the two, or leave it out."
        )
    return train, test


def _side(what: str, rows: Any, n_rows: int) -> NDArray[np.integer]:
    """Row numbers of the table, each once, in the order given, in few bytes."""
    array = _checks.to_array(what, rows)
    if array.dtype == bool:
        raise ValueError(
            f"{what} rows are True and False; they must be row numbers. Write np.flatnonzero(mask)."
        )
    if array.ndim != 1 or not len(array):
        raise ValueError(
            f"{what} rows are {_checks.short(rows)} of shape {array.shape}; they must be one row "
            "number at least, in a list or an array of one dimension. Leave out a split without."
        )
    array = _checks.whole_array(f"{what} rows", array)
    wrong = array[(array < 0) | (array >= n_rows)]
    if len(wrong):
        raise ValueError(
            f"{what} rows hold {wrong[0]}; row numbers of this table are whole numbers from 0 to "
            f"{n_rows - 1:,}. Number the rows by their place in the table."
        )
    if len(np.unique(array)) < len(array):
        raise ValueError(f"{what} rows repeat a row; name each once, such as by np.unique(rows).")
    return array.astype(np.min_scalar_type(n_rows))
