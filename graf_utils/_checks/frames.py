"""Frames of results: their columns, and that nothing is pooled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from graf_utils._checks.names import short


def not_pooled(results: pd.DataFrame, columns: list[str]) -> None:
    """Check that no setting has two rows for one data seed: they would be no two seeds.

    Parameters
    ----------
    results : DataFrame
        From `graf_utils.evaluation.evaluate`.
    columns : list of str
        Columns that tell what was evaluated, but for the seed.

    Raises
    ------
    ValueError
        A setting has two rows for one data seed.
    """
    if "data_seed" not in results:
        return
    repeated = results.duplicated([*columns, "data_seed"])
    if repeated.any():
        first = results[repeated].iloc[0]
        raise ValueError(
            f"results has two rows of the setting {first[columns].to_dict()} for data seed "
            f"{first['data_seed']}. Name different things apart, in a mapping; keep one row of "
            f"each with results.drop_duplicates({[*columns, 'data_seed']}); or name the "
            "columns to group in `by`."
        )


def has_columns(what: str, frame: Any, columns: Iterable[str]) -> None:
    """Check that a frame has some columns.

    Parameters
    ----------
    what : str
        What the frame is, for the message.
    frame : object
    columns : iterable of str

    Raises
    ------
    ValueError
        It is no frame, or lacks one of the columns.
    """
    columns = list(columns)
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"{what} is {type(frame).__name__}; it must be a DataFrame with the columns {columns}. "
            "Put several together with pd.concat."
        )
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(
            f"{what} has no columns {missing}; it has {list(frame)}. Add them, such as "
            f"{what}.assign({missing[0]}='own')."
        )


def numeric_columns(what: str, frame: Any, columns: list[str]) -> None:
    """Check that a frame has some columns of numbers.

    Parameters
    ----------
    what : str
        What the frame is, for the message.
    frame : object
    columns : list of str

    Raises
    ------
    ValueError
        It is no frame, or one of the columns is not there or holds no numbers.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"{what} is {type(frame).__name__}; it must be a DataFrame with the columns {columns}. "
            "Put several together with pd.concat."
        )
    for column in columns:
        if column not in frame or not pd.api.types.is_numeric_dtype(frame[column]):
            raise ValueError(
                f"{what} has no numbers in a column {column!r}. Add it, as NaN where it is not "
                "known."
            )


def same_columns(what: str, frames: list[Any]) -> None:
    """Check that frames, or arrays, have the same columns.

    Parameters
    ----------
    what : str
        What they are, for the message.
    frames : list of DataFrame or array

    Raises
    ------
    ValueError
        One has other columns than the first, or the same ones in another order.
    """
    columns = [
        list(frame) if isinstance(frame, pd.DataFrame) else list(range(np.shape(frame)[-1]))
        for frame in frames
    ]
    for other in columns[1:]:
        if other != columns[0]:
            apart = [
                name for name in [*columns[0], *other] if (name in other) != (name in columns[0])
            ]
            raise ValueError(
                f"{what} has {len(columns[0])} columns of one table and {len(other)} of the other: "
                f"{short(apart)} stand in one only, or the order is another. Give both tables the "
                "same proxies in the same order, or use an encoding of the architectures alone."
            )
