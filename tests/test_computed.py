"""What the book computes from files: BibTeX of CITATION.cff, the table of what chapters need."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "benchmarks")]

from binder import MEMORY_MB, find_python, local_requirements, measure  # noqa: E402
from computed import as_bibtex  # noqa: E402
from control_group import Group, memory_of  # noqa: E402
from measured import RAN, RESULTS, as_markdown, code_of  # noqa: E402

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
HERE = Path(sys.executable)


# --- citation -------------------------------------------------------------------------------------


def parsed(text: str):
    """The one entry of a BibTeX text, read by pybtex."""
    from pybtex.database.input.bibtex import Parser

    ((key, entry),) = Parser().parse_stream(StringIO(text)).entries.items()
    return key, entry


def test_the_paper_as_bibtex():
    paper = CITATION["references"][0]
    key, entry = parsed(as_bibtex(paper))
    assert key == "kadlecova_2024"
    assert entry.type == "inproceedings"
    names = [" ".join(person.last_names) for person in entry.persons["author"]]
    assert names == [author["family-names"] for author in paper["authors"]]
    assert entry.fields["title"] == paper["title"]
    assert entry.fields["booktitle"] == paper["collection-title"]
    assert entry.fields["url"] == paper["url"]
    assert entry.fields["note"] == "arXiv:2404.16551"


def test_the_book_as_bibtex_follows_the_file():
    _, entry = parsed(as_bibtex(CITATION | {"version": "9.8.7", "date-released": "2031-02-03"}))
    assert entry.type == "software"
    assert (entry.fields["version"], entry.fields["year"]) == ("9.8.7", "2031")
    assert entry.persons["author"][0].last_names == ["{graf-book authors}"]
    assert "publisher" not in entry.fields


# --- what a chapter needs -------------------------------------------------------------------------


def notebook(path: Path, *sources: str) -> Path:
    """Write a notebook of a title and cells of code."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# T"}]
    cells += [code | {"id": f"c{n}", "source": source} for n, source in enumerate(sources)]
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    path.write_text(json.dumps(book), encoding="utf8")
    return path


def test_prose_changes_nothing_and_code_does(tmp_path):
    path = notebook(tmp_path / "a.ipynb", "x = 1")
    before = code_of(path)
    path.write_text(path.read_text(encoding="utf8").replace("# T", "# U"), encoding="utf8")
    assert code_of(path) == before
    assert code_of(notebook(path, "x = 2")) != before


def test_the_table_says_what_is_old_missing_or_failed(tmp_path):
    paths = [notebook(tmp_path / f"{name}.ipynb", "1") for name in ("new", "old", "bad", "none")]
    row = {"cpu_seconds": 7.4, "peak_mb": 448.1, "python": "3.12.1", "limit": "cgroup", "code": ""}
    rows = pd.DataFrame(
        [
            row | {"notebook": "new", "outcome": RAN, "code": code_of(paths[0])},
            row | {"notebook": "old", "outcome": RAN},
            row | {"notebook": "bad", "outcome": "a|b", "code": code_of(paths[2])},
            row | {"notebook": "gone", "outcome": RAN},
        ]
    )
    text = as_markdown(paths, rows, {"runs": [{"processor": "P"}, {"processor": "Q"}]})
    lines = text.splitlines()[2:6]
    assert lines[0] == "| {doc}`/notebooks/new` | 7 | 448 |  |"
    assert lines[1].endswith("| before its latest change |")
    assert lines[2].endswith("| a/b |")
    assert lines[3].endswith("| – | – | not measured yet |")
    assert "gone" not in text
    assert text.splitlines()[-1] == "Measured with: cgroup; Python 3.12.1; P; Q."


def test_every_chapter_that_was_measured_ran_within_binders_memory():
    rows = pd.read_parquet(RESULTS)
    assert rows["notebook"].is_unique
    for row in rows.itertuples():
        path = ROOT / "notebooks" / f"{row.notebook}.ipynb"
        if path.is_file() and row.code == code_of(path):  # else the row is of an older notebook
            assert row.outcome == RAN, f"{row.notebook}: {row.outcome}"
    assert (rows["peak_mb"] < MEMORY_MB).all()
    assert (rows["peak_mb"] > 100).all(), "a kernel that imports graf_utils needs more"


def test_requirements_without_pytorchs_index():
    text = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf8")
    assert local_requirements(text, True) == text
    local = local_requirements(text, False)
    assert "--extra-index-url" not in local
    assert "+cpu" not in local
    assert local.count("==") == text.count("==")
    assert find_python("python-9.99") == sys.executable


@pytest.mark.slow
def test_a_notebook_is_measured(tmp_path):
    path = notebook(
        tmp_path / "a.ipynb",
        "import os; held = bytearray(os.urandom(1_000_000) * 300)",
        "import time; begin = time.process_time()\nwhile time.process_time() < begin + 1: pass",
        "assert 'GRAF_BOOK' not in os.environ and os.environ['OMP_NUM_THREADS'] == '1'",
    )
    row = measure(path, HERE, ROOT / ".binder" / "start")
    assert row["outcome"] == RAN, row
    assert 300 < row["peak_mb"] < 700
    assert 1 < row["cpu_seconds"] <= row["seconds"] + 0.5
    failed = measure(notebook(path, "1 / 0"), HERE, None)
    assert failed["outcome"] == "ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_a_notebook_that_asks_for_too_much_is_ended(tmp_path):
    group = Group.make(2**28)
    if group is None:
        pytest.skip("no control group can be made here")
    group.remove()
    assert not any(folder.exists() for folder in group.folders)
    path = notebook(tmp_path / "a.ipynb", "held = bytearray(b'x' * 10**9)")
    row = measure(path, HERE, None, limit_mb=512)
    assert row["outcome"] == "out of memory"
    assert row["peak_mb"] < 540
    assert row["limit"].endswith("1 CPU, 512 MB")


def test_memory_is_seen_where_there_is_no_group():
    import os

    before = memory_of(os.getpid())
    held = bytearray(os.urandom(1000) * 100_000)
    assert memory_of(os.getpid()) - before > 0.9 * len(held)
    assert memory_of(2**22 + 1) == 0
