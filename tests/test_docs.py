"""What the documentation shows must run: docstring examples and the README's code."""

import doctest
import importlib
import pkgutil
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

import graf_utils

ROOT = Path(__file__).resolve().parent.parent
MODULES = [
    "graf_utils",
    *(m.name for m in pkgutil.walk_packages(graf_utils.__path__, "graf_utils.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_some_docstrings_have_examples():
    found = [doctest.DocTestFinder().find(importlib.import_module(name)) for name in MODULES]
    assert sum(len(test.examples) for tests in found for test in tests) > 10


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    module = importlib.import_module(name)
    for attribute in getattr(module, "__all__", []):
        value = getattr(module, attribute)
        if callable(value):
            assert (value.__doc__ or "").strip(), f"{name}.{attribute} has no docstring"


def test_the_code_of_the_readme_runs(capsys):
    from graf_utils import NB201

    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf8"), re.DOTALL
    )
    assert len(blocks) == 2
    cells = NB201().sample(200, random_state=0)
    milliseconds = np.isin(cells, [2, 3]).sum(axis=1) + np.arange(200) / 1000
    names = {"my_cells": cells, "my_milliseconds": milliseconds}
    for block in blocks:
        exec(block.replace("range(10)", "range(2)"), names)
    shown = capsys.readouterr().out
    for word in ("one-hot", "blend", "train_size"):
        assert word in shown


def test_no_first_line_of_a_property_reads_as_its_type():
    """Napoleon takes what stands before a colon there for the type, and prints it below."""
    properties = {
        f"{name}.{kind.__qualname__}.{attribute}": value.__doc__ or ""
        for name in MODULES
        for kind in vars(importlib.import_module(name)).values()
        if isinstance(kind, type) and kind.__module__.startswith("graf_utils")
        for attribute, value in vars(kind).items()
        if isinstance(value, property | cached_property) and not attribute.startswith("_")
    }
    assert len(properties) > 10
    assert not [name for name, text in properties.items() if ": " in text.partition("\n")[0]]
