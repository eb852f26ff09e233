"""The explorer and the guessing game: their data, their scripts, and the numbers of their text.

Both pages are Markdown with empty places (``<div id="…">``) that scripts in ``book/_static`` fill.
The scripts read files of data that are computed here, as scripts themselves: a page that is opened
from a folder may not fetch anything. A number in a sentence is written
``<span data-fact="tau"></span>`` and filled in here, so that it can be read without scripts, too.

The data are kept beside the site and computed again (half a minute) when ``graf_utils``, ``data``
or the modules that compute them change.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

from fresh import compute_digest
from sphinx.util import logging

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
SOURCES = ("cell_pages.py", "explorer_data.py", "explorer_meanings.py", "guess_data.py")
PAGES = {"book/explorer": "explorer", "book/guess": "guess"}
"""Page → the module `<name>_data` that computes its data, and its script `<name>.js`."""

PLACE = re.compile(r'<span data-fact="(\w+)">\s*</span>')


def as_script(name: str, data: dict) -> str:
    """Data as a script that sets one global name."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"window.GRAF_{name.upper()} = {text};\n"


def build_data(name: str) -> tuple[dict, dict[str, str]]:
    """Data and facts of one page."""
    module = __import__(f"{name}_data")
    return module.build()


def write_data(folder: Path, digest: str) -> None:
    """Compute the data of all pages, unless the folder has what belongs to the digest."""
    stamp = folder / ".digest"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    facts = {}
    for page, name in PAGES.items():
        logger.info("cell_pages: computing the data of the %s", name)
        data, facts[page] = build_data(name)
        (folder / f"{name}_data.js").write_text(as_script(name, data), encoding="utf-8")
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    stamp.write_text(digest, encoding="utf-8")


def full_digest(root: Path) -> str:
    """Digest of all that the data depend on."""
    digest = hashlib.sha256(compute_digest(root).encode())
    for name in SOURCES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def prepare(app) -> None:
    """Put the data into the folder of the site before pages are written."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir).parent / "cell_pages"
    write_data(folder, full_digest(Path(app.srcdir)))
    app.cell_page_facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.js"):
        shutil.copyfile(path, static / path.name)


def fill_facts(body: str, facts: dict[str, str]) -> str:
    """Write the numbers into a page.

    Raises
    ------
    KeyError
        The page asks for a number that is not computed.
    """
    return PLACE.sub(lambda match: f'<span class="pasted-text">{facts[match[1]]}</span>', body)


def add_to_page(app, pagename, templatename, context, doctree) -> None:
    """Add style, data and scripts to a page of this kind, and fill in its numbers."""
    if pagename not in PAGES:
        return
    name = PAGES[pagename]
    app.add_css_file("cells.css")
    for script in (f"{name}_data.js", "cells.js", f"{name}.js"):
        app.add_js_file(script, loading_method="defer")
    context["body"] = fill_facts(context["body"], app.cell_page_facts[pagename])


def setup(app):
    app.connect("builder-inited", prepare)
    app.connect("html-page-context", add_to_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
