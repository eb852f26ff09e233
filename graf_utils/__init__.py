"""Neural graph features (GRAF) and what the book needs around them.

The names below are what most people need; the modules have the rest. They are loaded when first
used, so that ``import graf_utils`` is quick and brings neither torch nor xgboost.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graf_utils.claims import Ledger
    from graf_utils.datasets import list_tables, load_table
    from graf_utils.deployment import fit_predictor, load_predictor
    from graf_utils.encodings import encode
    from graf_utils.evaluation import evaluate, summarise
    from graf_utils.features import GRAF
    from graf_utils.predictors import make_predictor
    from graf_utils.spaces import NB201, get_space
    from graf_utils.table import Table

__version__ = "0.1.0"

_HOMES = {
    "GRAF": "features",
    "NB201": "spaces",
    "Ledger": "claims",
    "Table": "table",
    "encode": "encodings",
    "evaluate": "evaluation",
    "fit_predictor": "deployment",
    "get_space": "spaces",
    "list_tables": "datasets",
    "load_predictor": "deployment",
    "load_table": "datasets",
    "make_predictor": "predictors",
    "summarise": "evaluation",
}

__all__ = [
    "GRAF",
    "NB201",
    "Ledger",
    "Table",
    "encode",
    "evaluate",
    "fit_predictor",
    "get_space",
    "list_tables",
    "load_predictor",
    "load_table",
    "make_predictor",
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"graf_utils.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'graf_utils' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
