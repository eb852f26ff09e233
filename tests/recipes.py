"""Load a recipe of ``data/recipes`` as a module."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from graf_utils.registry import data_path


def load_recipe(name: str) -> ModuleType:
    """The recipe of this name, imported under it; it finds other recipes, as where it is run."""
    folder = str(data_path("recipes"))
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(name, data_path("recipes", f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
