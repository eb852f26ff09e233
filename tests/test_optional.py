"""Extras: on a page, and in the error of whoever misses them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from house import read_package

from graf_utils import NB201, Table, explain
from graf_utils.predictors.zoo import ZOO

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]


def extra_of(module):
    """The extras that bring a module."""
    return {
        extra
        for extra, requirements in OPTIONAL.items()
        if any(re.split("[<>=]", line)[0] == module for line in requirements)
    }


WITHOUT_TORCH = """
import importlib, sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)

sys.meta_path.insert(0, Without())
try:
    importlib.import_module("graf_utils.{entry}")
except ModuleNotFoundError as error:
    print(error.name, error)
"""


@pytest.mark.parametrize(
    "entry", ["networks", "proxies", "scoring", "operators.tracing", "predictors.brpnas"]
)
def test_without_pytorch_every_door_says_what_to_do(entry):
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH.format(entry=entry)],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf8",
    )
    assert run.stdout.startswith("torch ")
    assert "pip install torch, or install the extra graf-utils[torch]" in run.stdout


def test_without_shap_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    message = r"pip install shap, or install the extra graf-utils\[explain\]"
    with pytest.raises(ModuleNotFoundError, match=message):
        explain.shap_values(None, None)
    cells = NB201().sample(40, random_state=0)
    table = Table("mine", "own", "nb201", cells, {"y": np.arange(40.0)})
    with pytest.raises(ModuleNotFoundError, match=message):
        explain.importances(table, "y", "op-count", train_size=20, data_seeds=[0], methods="shap")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("lightgbm", "lightgbm"),
        ("catboost", "catboost"),
        ("ngboost", "ngboost"),
        ("brp-nas", "torch"),
    ],
)
def test_without_a_library_of_the_zoo_the_error_says_what_to_do(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError) as error:
        ZOO[name]()
    (extra,) = re.findall(r"graf-utils\[([\w-]+)\]", str(error.value))
    assert f"pip install {module}," in str(error.value)
    assert extra in extra_of(module)


def imports_of_the_package():
    """Modules that the package imports anywhere, and where."""
    import ast

    for module in read_package():
        for node in ast.walk(module.tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                yield name.split(".")[0], module.name


DOORS = {
    "torch": (
        "_torch", "networks", "operators.tracing", "proxies", "scoring", "predictors.brpnas",
        "_watch", "_copies",
    ),
    "xgboost": ("predictors._xgboost",),
    "distributed": ("_parallel",),  # where joblib's backend is Dask, and so there
    "IPython": ("chapter",),  # where there is a notebook, and so there
    "myst_nb": ("claims",),  # left out where it is not there
    "matplotlib_inline": ("chapter",),  # in a notebook, whose kernel brings it
}  # fmt: skip
"""Modules that are no requirement: where they may be imported, each behind an error that helps."""


def test_nothing_else_is_imported_that_is_no_requirement():
    requirements = {re.split("[<>=]", line)[0] for line in PROJECT["dependencies"]}
    names = {"scikit-learn": "sklearn"}
    declared = {names.get(name, name) for name in requirements}
    for imported, home in imports_of_the_package():
        if imported in sys.stdlib_module_names or imported in declared | {"graf_utils"}:
            continue
        inside = any(home == door or home.startswith(f"{door}.") for door in DOORS[imported])
        late = imported == "torch" and home in (
            "_parallel",
            "_devices",
        )  # in functions, behind doors
        assert inside or late, (imported, home)


def test_every_extra_stands_on_the_page_with_what_it_brings():
    page = (ROOT / "book" / "install.md").read_text(encoding="utf8")
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (.*) \|$", page, re.MULTILINE)
    assert sorted(extra for extra, _ in rows) == sorted(OPTIONAL)
    assert [extra for extra, _ in rows[-2:]] == ["book", "test"]
    for extra, brings in rows[:-2]:
        assert brings == ", ".join(line.replace(">=", " ≥ ") for line in OPTIONAL[extra])
    assert "book/install" in (ROOT / "_toc.yml").read_text(encoding="utf8")


def test_what_a_library_itself_lacks_is_its_own_error(monkeypatch, tmp_path):
    (tmp_path / "a_library.py").write_text("import what_it_needs\n", encoding="utf8")
    monkeypatch.syspath_prepend(tmp_path)
    optional = importlib.import_module("graf_utils._optional")
    with pytest.raises(ModuleNotFoundError, match="^No module named 'what_it_needs'"):
        optional.import_optional("a_library", "this", "torch")
