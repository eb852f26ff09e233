"""Load a recipe of ``data/recipes`` as a module."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from graf_utils.registry import data_path


def load_recipe(name: str) -> ModuleType:
    """The recipe of this name, imported under it."""
    spec = importlib.util.spec_from_file_location(name, data_path("recipes", f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
