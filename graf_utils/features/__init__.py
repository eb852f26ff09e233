"""Features of graphs: GRAF as a transformer, its families, and families of your own."""

from __future__ import annotations

from graf_utils.features.authors import authors_encoding, authors_order, graf_families
from graf_utils.features.families import FAMILIES, OP_COUNT, Family
from graf_utils.features.graf import GRAF, subsets
from graf_utils.features.own import as_families, feature_family
from graf_utils.redundancy import DistinctColumns, distinct_columns

__all__ = [
    "FAMILIES",
    "GRAF",
    "OP_COUNT",
    "DistinctColumns",
    "Family",
    "as_families",
    "authors_encoding",
    "authors_order",
    "distinct_columns",
    "feature_family",
    "graf_families",
    "subsets",
]
