"""Bad input: each case of a test's table BAD must give a `ValueError` that teaches.

`python tests/bad_input.py` prints every case with the message it gets. Whether what a message says
to do works is tried in `test_remedies.py`, which prints its table in the same way.
"""

from __future__ import annotations

import importlib

import pytest

TABLES = (
    "test_spaces",
    "test_spaces_nb101",
    "test_spaces_darts_tnb101",
    "test_features",
    "test_own_space",
    "test_cell_spaces",
    "test_spaces_large",
    "test_explain",
    "test_search",
    "test_search_bayesian",
    "test_search_comparison",
    "test_search_yours",
    "test_features_sizes",
    "test_features_spaces",
    "test_faults_spaces",
)


def must_name(call, words):
    """The call raises a `ValueError` whose message holds all the words."""
    with pytest.raises(ValueError) as error:
        call()
    for word in words:
        assert word in str(error.value)


def main() -> None:
    """Print the tables."""
    for name in TABLES:
        for what, (call, _) in importlib.import_module(name).BAD.items():
            try:
                call()
            except ValueError as error:
                print(f"{name.removeprefix('test_')}: {what}: {error}")


if __name__ == "__main__":
    main()
