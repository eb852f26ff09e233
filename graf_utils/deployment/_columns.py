"""What a predictor is given: the encoding's columns, and the proxies that they need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.encodings import apply_encoding
from graf_utils.table import Table


def encoded(table: Table, encoding: Any) -> tuple[NDArray[np.float64], list[str]]:
    """The matrix of an encoding, and the names of its columns."""
    frame = apply_encoding(table, encoding)
    X = _checks.matrix(f"encoding {_checks.name_of(encoding)!r}", frame, len(table))
    names = frame.columns if isinstance(frame, pd.DataFrame) else range(X.shape[1])
    return X, [str(name) for name in names]


def needed_proxies(table: Table, encoding: Any, columns: list[str]) -> list[str]:
    """Columns of proxies that an encoding uses: none if it makes the same columns without."""
    if table.proxies is None:
        return []
    few = table.subset(slice(0, 2))
    bare = Table("bare", table.source, table.space, few.codes, few.targets)
    try:
        if encoded(bare, encoding)[1] == columns:
            return []
    except Exception:  # whatever a function of one's own does without proxies
        pass
    return list(table.proxies.columns)


def chosen_proxies(proxies: Any, needed: list[str]) -> pd.DataFrame:
    """The columns of proxies that an encoding uses, in the order of training."""
    frame = None if proxies is None else pd.DataFrame(proxies)
    missing = needed if frame is None else [name for name in needed if name not in frame]
    if missing:
        raise ValueError(
            f"proxies lacks the columns {missing}, which the predictor was trained with. Pass a "
            f"frame with the columns {needed}, one row per architecture, such as "
            "graf_utils.scoring.score computes."
        )
    return frame[needed]


def check_columns(encoding: str, trained: list[str], here: list[str]) -> None:
    """Raise ValueError unless an encoding has the columns that the predictor was trained with."""
    if trained == here:
        return
    apart = [name for name in here if name not in trained][:3]
    gone = [name for name in trained if name not in here][:3]
    raise ValueError(
        f"encoding {encoding!r} makes {len(here)} columns here, and the predictor was trained with "
        f"{len(trained)}: new are {apart}, missing {gone}, or the order is another. Use the "
        "version of the encoding and of graf_utils that it was trained with, or fit it again with "
        "fit_predictor."
    )
