"""What was measured of each chapter (``binder.py``), and how the book tells it (``book/_ext``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).resolve().parent.parent / "data" / "results" / "binder.parquet"
RAN = "ran"
"""The outcome of a notebook that ran to its end."""


def code_of(notebook: Path) -> str:
    """A digest of the code of a notebook: prose may change without a new measurement."""
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return sha256("\0".join(code).encode()).hexdigest()[:16]


def _line(notebook: Path, row: dict[str, Any] | None) -> str:
    """A row of the table: the chapter's link, CPU seconds, memory, and what is to be said."""
    link = f"{{doc}}`/notebooks/{notebook.stem}`"
    if row is None:
        return f"| {link} | – | – | not measured yet |"
    notes = [] if row["outcome"] == RAN else [row["outcome"].replace("|", "/")]
    if row["code"] != code_of(notebook):
        notes.append("before its latest change")
    return f"| {link} | {row['cpu_seconds']:.0f} | {row['peak_mb']:.0f} | {'; '.join(notes)} |"


def as_markdown(notebooks: Iterable[Path], rows: pd.DataFrame, provenance: dict[str, Any]) -> str:
    """The table of the page on what a chapter needs, with how it was measured.

    Parameters
    ----------
    notebooks : iterable of Path
        All chapters, in their order.
    rows : DataFrame
        Of the file of results.
    provenance : dict
        Of the file of results.

    Returns
    -------
    str
        Markdown with roles.
    """
    measured = {row["notebook"]: row for row in rows.to_dict("records")}
    lines = ["| chapter | CPU seconds | MB at most | note |", "|---|---:|---:|---|"]
    lines += [_line(notebook, measured.get(notebook.stem)) for notebook in notebooks]
    runs = provenance.get("runs") or [provenance]
    processors = sorted({run.get("processor", "not recorded") for run in runs})
    pythons = sorted(set(rows["python"]) - {""})
    how = [*sorted(set(rows["limit"])), *(f"Python {version}" for version in pythons), *processors]
    return "\n".join([*lines, "", f"Measured with: {'; '.join(how)}."])
