"""Reading arguments: names, whole numbers, matrices, and errors that say what to write instead.

Every check raises a `ValueError` that names the argument and its value, says the rule, and says
what to write. The functions know nothing of the rest of the package.
"""

from __future__ import annotations

from graf_utils._checks.arrays import numbers_of, real_array, to_array, whole_array
from graf_utils._checks.frames import has_columns, not_pooled, numeric_columns, same_columns
from graf_utils._checks.names import choice, labels, listed, name_of, named, names, nearest, short
from graf_utils._checks.rows import aligned, in_order, matrix, predictions, row_choice, row_labels
from graf_utils._checks.whole import generator, whole_number, whole_numbers

__all__ = [
    "aligned",
    "choice",
    "generator",
    "has_columns",
    "in_order",
    "labels",
    "listed",
    "matrix",
    "name_of",
    "named",
    "names",
    "nearest",
    "not_pooled",
    "numbers_of",
    "numeric_columns",
    "predictions",
    "real_array",
    "row_choice",
    "row_labels",
    "same_columns",
    "short",
    "to_array",
    "whole_array",
    "whole_number",
    "whole_numbers",
]
