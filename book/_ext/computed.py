"""Text that is computed while the book is built, from files that are the only place of it.

``{cite-this}`` turns CITATION.cff into BibTeX, ``{measured-chapters}`` the results of
``benchmarks/binder.py`` into a table. Neither takes an argument.
"""

from __future__ import annotations

import re
import sys
import textwrap
import unicodedata
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parent.parent.parent
TYPES = {"software": "software", "conference-paper": "inproceedings", "article": "article"}
"""Types of CITATION.cff by what BibTeX calls them."""


def people(authors: list[dict[str, str]]) -> str:
    """Authors as BibTeX separates them; a group's name in braces stays whole."""
    return " and ".join(
        f"{author['family-names']}, {author['given-names']}"
        if "family-names" in author
        else f"{{{author['name']}}}"
        for author in authors
    )


def key_of(work: dict[str, Any], year: str) -> str:
    """A key from the first author's name and the year, in plain letters."""
    first = work["authors"][0]
    name = unicodedata.normalize("NFKD", first.get("family-names") or first["name"])
    letters = re.sub(r"[^a-z]+", "_", name.encode("ascii", "ignore").decode().lower())
    return f"{letters.strip('_')}_{year}"


def wrapped(line: str) -> str:
    """A field of BibTeX on lines that fit a page."""
    return textwrap.fill(line, 78, subsequent_indent=" " * 15, break_on_hyphens=False)


def as_bibtex(work: dict[str, Any]) -> str:
    """One work of CITATION.cff, or the file's own, as an entry of BibTeX."""
    year = str(work.get("year") or work["date-released"])[:4]
    fields = {
        "author": people(work["authors"]),
        "title": work["title"],
        "booktitle": work.get("collection-title"),
        "publisher": work.get("publisher", {}).get("name"),
        "volume": work.get("volume"),
        "version": work.get("version"),
        "year": year,
        "url": work.get("url"),
        "note": ", ".join(one["value"] for one in work.get("identifiers", [])),
    }
    lines = [wrapped(f"  {name:<9} = {{{value}}},") for name, value in fields.items() if value]
    return "\n".join([f"@{TYPES[work['type']]}{{{key_of(work, year)},", *lines, "}"])


class CiteThis(SphinxDirective):
    """BibTeX of this book and of the works that CITATION.cff refers to."""

    def run(self) -> list[nodes.Node]:
        """Make one block that the copy button copies whole."""
        path = ROOT / "CITATION.cff"
        self.env.note_dependency(str(path))
        citation = yaml.safe_load(path.read_text(encoding="utf8"))
        works = [*citation["references"], citation]
        text = "\n\n".join(as_bibtex(work) for work in works)
        block = nodes.literal_block(text, text, language="bibtex")
        self.set_source_info(block)
        return [block]


class MeasuredChapters(SphinxDirective):
    """What each chapter needs on a small machine."""

    def run(self) -> list[nodes.Node]:
        """Make the table of all chapters."""
        sys.path.insert(0, str(ROOT / "benchmarks"))
        import pandas as pd
        from measured import RESULTS, as_markdown

        from graf_utils.results import provenance_of

        self.env.note_dependency(str(RESULTS))
        notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
        for notebook in notebooks:
            self.env.note_dependency(str(notebook))
        text = as_markdown(notebooks, pd.read_parquet(RESULTS), provenance_of(RESULTS))
        return self.parse_text_to_nodes(text)


def setup(app):
    """Add both directives."""
    app.add_directive("cite-this", CiteThis)
    app.add_directive("measured-chapters", MeasuredChapters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
