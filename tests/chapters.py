"""Run the cells of a chapter one after the other, and hear what it says."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pytest

from graf_utils import chapter

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def listen(patch: Any) -> list[str]:
    """Make chapters speak into a list, as in Jupyter and not in the book, and display nothing.

    Parameters
    ----------
    patch : pytest.MonkeyPatch

    Returns
    -------
    list of str
        What will have been said.
    """
    said: list[str] = []

    def show(text, updatable=False):
        said.append(text)
        return said.append

    for variable in ("GRAF_BOOK", "GRAF_LEDGER_DIR", "GRAF_SOURCE"):
        patch.delenv(variable, raising=False)
    patch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards
    patch.setattr(chapter, "_show_markdown", show)
    patch.setattr(chapter, "_display", lambda shown: None)
    return said


def is_drawing(cell: dict[str, Any]) -> bool:
    """Whether a cell makes a figure of the book."""
    return "figure" in cell["metadata"].get("mystnb", {})


def run_cells(
    notebook: Path,
    leave_out: Callable[[dict[str, Any]], bool],
    *,
    stop: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run the code cells of a notebook.

    Parameters
    ----------
    notebook : Path
    leave_out : callable
        Whether to leave out a code cell.
    stop : str, optional
        Id of the first cell that is not run any more.
    parameters : dict, optional
        Set after the chapter's own.

    Returns
    -------
    dict
        The names that the cells gave.
    """
    names: dict[str, Any] = {}
    for cell in json.loads(notebook.read_text(encoding="utf8"))["cells"]:
        if cell["id"] == stop:
            break
        if cell["cell_type"] != "code" or leave_out(cell):
            continue
        exec("".join(cell["source"]), names)
        if "parameters" in cell["metadata"].get("tags", []):
            names |= parameters or {}
    plt.close("all")
    return names


def hear(
    name: str, live: Collection[str] = (), *, stop: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Run a chapter without its drawings and what it computes live, and hear what it says.

    Parameters
    ----------
    name : str
        Of the notebook, such as ``"10_brp_nas"``.
    live : collection of str
        Ids of the cells that are left out besides.
    stop : str, optional
        Id of the first cell that is not run any more.

    Returns
    -------
    said : str
        All sentences, one below the other.
    names : dict
        The names that the cells gave.
    """
    with pytest.MonkeyPatch.context() as patch:
        said = listen(patch)
        notebook = NOTEBOOKS / f"{name}.ipynb"
        names = run_cells(notebook, lambda cell: is_drawing(cell) or cell["id"] in live, stop=stop)
    return "\n".join(said), names
