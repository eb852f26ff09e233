"""Whoever opens a notebook in Jupyter, Binder or Colab reads sentences, not placeholders.

Jupyter knows no roles and no directives. So no Markdown cell holds one; and what the cells said
while the book was built, rewritten as Jupyter is told it, holds none either.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from site_tools import need, site_dir

from graf_utils.chapter import plain_markdown

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CACHE = site_dir().parent / ".jupyter_cache"

CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
HOLES = {
    "a role": re.compile(r"\{[A-Za-z][\w:+.-]*\}`"),
    "a directive": re.compile(r"^\s*(?:`{3,}|~{3,}|:{3,})\s*\{", re.MULTILINE),
    "{glue}": re.compile(r"\{glue"),
    "a substitution": re.compile(r"\{\{.*?\}\}"),
}


def holes(text: str) -> list[str]:
    """What of a text Jupyter would show raw; code is shown as it is meant."""
    found = []
    for what, pattern in HOLES.items():
        for match in pattern.finditer(text):
            spans = (span.span() for span in CODE.finditer(text))
            inside = any(start < match.start() < end for start, end in spans)
            if what == "a directive" or not inside:
                found.append(f"{what}: {text[match.start() :][:60]!r}")
    return found


def source(cell: dict) -> str:
    return "".join(cell["source"])


def said(cell: dict) -> list[str]:
    """The Markdown among the outputs of a cell."""
    outputs = (output.get("data", {}).get("text/markdown") for output in cell.get("outputs", []))
    return ["".join(text) for text in outputs if text is not None]


def last_build() -> list[dict]:
    """The executed notebooks of the book's cache that are still what stands in `notebooks/`."""
    newest = {}
    for path in sorted(CACHE.glob("executed/*/base.ipynb"), key=lambda path: path.stat().st_mtime):
        book = json.loads(path.read_text(encoding="utf8"))
        code = tuple(source(cell) for cell in book["cells"] if cell["cell_type"] == "code")
        newest[code] = book
    return list(newest.values())


def is_forced(path: Path) -> bool:
    """Whether the book runs the notebook in every build, and so does not keep the run."""
    metadata = json.loads(path.read_text(encoding="utf8"))["metadata"]
    return metadata.get("mystnb", {}).get("execution_mode") == "force"


def run_now(path: Path, ledger: Path, monkeypatch) -> list[dict]:
    """Run a notebook as the book does, on a copy of its claims; return the cells of code."""
    shutil.copytree(CACHE.parent / "claims", ledger)
    monkeypatch.setenv("GRAF_BOOK", "1")
    monkeypatch.setenv("GRAF_LEDGER_DIR", str(ledger))
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=120, kernel_name="python3").execute(cwd=str(path.parent))
    return [cell for cell in book.cells if cell.cell_type == "code"]


def kept_run(path: Path) -> list[dict]:
    """The cells of code of a notebook, with what they said in the last build of the book."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    code = [source(cell) for cell in cells if cell["cell_type"] == "code"]
    for book in last_build():
        run = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
        if [source(cell) for cell in run] == code:
            return run
    return []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_markdown_cell_has_a_hole(path):
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    texts = [source(cell) for cell in cells if cell["cell_type"] == "markdown"]
    assert texts
    assert not [hole for text in texts for hole in holes(text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_the_cells_said_has_no_hole_outside_the_book(path, tmp_path, monkeypatch):
    need(CACHE.is_dir(), f"{CACHE} is not there: run `make book` first")
    if is_forced(path):
        run = run_now(path, tmp_path / "claims", monkeypatch)
    else:
        run = kept_run(path)
    need(bool(run), f"{CACHE} has no run of this notebook as it is: run `make book` first")
    sentences = [text for cell in run for text in said(cell)]
    assert len(sentences) > 1, "a chapter says its answer, and more"
    assert not [hole for text in sentences for hole in holes(plain_markdown(text))]
    assert not [text for text in sentences if "The answer appears here" in text]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("{glue:text}`tau:.3f` and {cite}`kadlecova_2024_graf`", 3),
        ("see {numref}`fig-cell`", 1),
        ("```{admonition} Try it\ntext\n```", 1),
        (":::{note}\ntext\n:::", 1),
        ("the value is {{ tau }}", 1),
        ("`{cite}` is a role, and so is ``{term}`flow` ``", 0),
        (r"$\sum_{i} w_{i}$ and $\mathrm{max}$, `normal.max_path_len.c_{k-2}[conv]`", 0),
        ("```python\nx = {1: 2}\n```", 0),
    ],
)
def test_a_hole_is_seen(text, number):
    assert len(holes(text)) == number


def test_a_cell_that_speaks_is_heard():
    output = {"data": {"text/markdown": ["see {term}`flow`"]}}
    (text,) = said({"outputs": [output, {"name": "stdout", "text": "no"}]})
    assert len(holes(text)) == 1
    assert not holes(plain_markdown(text))
