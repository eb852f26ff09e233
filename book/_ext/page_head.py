"""The head of a page says once how wide the page is: Sphinx, docutils and the theme all say it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

VIEWPORT = re.compile(r'\s*<meta name="viewport"[^>]*>')


def keep_first(text: str) -> str:
    """Return a page without all but the first of its viewport tags."""
    for tag in reversed([*VIEWPORT.finditer(text)][1:]):
        text = text[: tag.start()] + text[tag.end() :]
    return text


def write_heads(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the pages whose head says it more than once."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if len(VIEWPORT.findall(text)) > 1:
            page.write_text(keep_first(text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("build-finished", write_heads)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
