"""The cell for Colab: there it installs the package, elsewhere it does nothing."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest
from address import ROOT, wanted
from colab import ID, add, main, source

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf8"))["cells"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_code_of_a_chapter_is_the_cell_for_colab(path):
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert code[0]["id"] == ID, "python tests/colab.py notebooks/*.ipynb"
    assert "".join(code[0]["source"]) == source()
    assert code[0]["metadata"]["tags"] == ["remove-cell"]


class Shell:
    """Stands for IPython; keeps what it was told to run."""

    def __init__(self):
        self.told = []

    def run_line_magic(self, name, line):
        self.told.append((name, line))


@pytest.fixture
def shell(monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    return Shell()


def test_elsewhere_nothing_happens(shell):
    exec(source(), {"get_ipython": lambda: shell})
    assert not shell.told


def test_in_colab_the_package_is_installed_alone(shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    exec(source(), {"get_ipython": lambda: shell})
    ((name, line),) = shell.told
    assert name == "pip"
    assert line == f"install --quiet git+https://github.com/{wanted()}"
    assert not re.search(r"\[|torch|xgboost|--upgrade", line), "no extra: Colab has its own"


def test_the_cell_is_added_once_and_before_all_code(tmp_path, capsys):
    text = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# T"]}
    code = {"cell_type": "code", "id": "b", "metadata": {}, "source": ["1"], "outputs": []}
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [text, code]}), encoding="utf8")
    main([str(path)])
    assert [cell["id"] for cell in cells(path)] == ["a", ID, "b"]
    before = path.read_bytes()
    main([str(path)])
    assert path.read_bytes() == before
    assert capsys.readouterr().out == "x.ipynb: added\n"
    book = json.loads(before)
    book["cells"][1]["source"] = ["old"]
    assert add(book)
    assert "".join(book["cells"][1]["source"]) == source()
