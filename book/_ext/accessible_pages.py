"""What accessibility checks find in pages that docutils, pandas and the theme write, mended.

Each rule is one that axe-core names; ``tests/test_site.py`` runs all of them on every page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

VIEWPORT = re.compile(r'\s*<meta name="viewport"[^>]*>')
RULES = (
    # region: the logo stands in the sidebar, which is no landmark
    (
        re.compile(r'<div id="pst-primary-sidebar" '),
        r'<div id="pst-primary-sidebar" role="complementary" aria-label="Book" ',
    ),
    # empty-table-header: the corner of a table heads nothing
    (re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;)*</th>"), r"<td\1></td>"),
    # aria-deprecated-role
    (re.compile(r' role="doc-biblioentry"'), ""),
)


def mend(text: str) -> str:
    """Return the text of a page without the faults; it says once how wide the page is."""
    for tag in reversed([*VIEWPORT.finditer(text)][1:]):
        text = text[: tag.start()] + text[tag.end() :]
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite each page of the site that has a fault."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        mended = mend(text)
        if mended != text:
            page.write_text(mended, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
