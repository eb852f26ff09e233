"""Features of graphs: GRAF and flow as transformers, families of questions, and your own."""

from __future__ import annotations

from graf_utils.features.authors import (
    authors_edges,
    authors_encoding,
    authors_one_hot,
    authors_order,
    graf_families,
)
from graf_utils.features.columns import subsets
from graf_utils.features.families import FAMILIES, NUMBER_FAMILIES, OP_COUNT, Family
from graf_utils.features.flow import STATISTICS, Flow, path_counts
from graf_utils.features.graf import GRAF
from graf_utils.features.own import as_families, feature_family
from graf_utils.redundancy import DistinctColumns, distinct_columns

__all__ = [
    "FAMILIES",
    "GRAF",
    "NUMBER_FAMILIES",
    "OP_COUNT",
    "STATISTICS",
    "DistinctColumns",
    "Family",
    "Flow",
    "as_families",
    "authors_edges",
    "authors_encoding",
    "authors_one_hot",
    "authors_order",
    "distinct_columns",
    "feature_family",
    "graf_families",
    "path_counts",
    "subsets",
]
