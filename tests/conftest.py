"""Fixtures shared by the tests."""

import os
from pathlib import Path

import pytest


def _shared(*parts):
    root = os.environ.get("GRAF_DATA_DIR")
    if not root or not Path(root).is_dir():
        pytest.skip("GRAF_DATA_DIR is not set to a folder with the paper's tables (see README)")
    path = Path(root, *parts).resolve()
    if not path.exists():
        pytest.skip(f"{path} is not there; this test compares with it")
    return path


@pytest.fixture(scope="session")
def paper_dir():
    """The cache of the paper's tables."""
    return _shared()


@pytest.fixture(scope="session")
def golden_dir():
    """Outputs of the authors' feature code, beside the cache."""
    return _shared("..", "golden")
