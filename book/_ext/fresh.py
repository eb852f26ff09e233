"""Make the execution cache see everything a number depends on.

The stock cache of Jupyter Book compares code cells (text and metadata) only. A change in
``graf_utils`` or in ``data`` leaves the old number on the page. This extension

* computes a digest over the package, the data, the requirements, the source of the tables and the
  Python version; when it differs from the last one, it empties the execution cache and the claims
  ledger and has every notebook read again;
* names the folder of the claims ledger (``GRAF_LEDGER_DIR``) for the kernels;
* reads the scoreboard, and every page that pastes numbers of another page, again whenever any
  notebook is read (Sphinx reads in sorted order: the scoreboard is the last notebook).

Two stamps lie beside the ledger, so that deleting the ledger means running everything again:
``.digest`` (what the cache was filled with) and ``.pages`` (what the last complete build showed).
They differ after a build that stopped half-way: the next one keeps the finished notebooks.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

FOLDERS = {"graf_utils": "*.py", "data": "*"}
FILES = ("requirements.txt",)
VARIABLES = ("GRAF_SOURCE", "GRAF_DATA_DIR")
SCOREBOARD = "99_scoreboard"
GLUE_MARKS = (":doc:", ".ipynb::", "{glued-figure}")


def compute_digest(root: Path) -> str:
    """Digest of all that a notebook's numbers depend on, apart from the notebook itself."""
    digest = hashlib.sha256()
    paths = [root / name for name in FILES]
    for folder, pattern in FOLDERS.items():
        paths += sorted((root / folder).rglob(pattern))
    for path in paths:
        relative = path.relative_to(root)
        if not path.is_file() or "__pycache__" in relative.parts:
            continue
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{relative.as_posix()}\0{content}\n".encode())
    settings = {name: os.environ.get(name, "") for name in VARIABLES}
    settings["python"] = platform.python_version()
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def ledger_dir(app) -> Path:
    return Path(app.outdir).parent / "claims"


def set_ledger(app) -> None:
    """Create the ledger folder and tell the kernels where it is."""
    folder = ledger_dir(app)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["GRAF_LEDGER_DIR"] = str(folder.resolve())


def read_stamp(path: Path) -> str:
    return path.read_text(encoding="utf8").strip() if path.is_file() else ""


def mark_outdated(app, env, added, changed, removed):
    """Pages that Sphinx must read again although their own text did not change."""
    paths = {name: Path(env.doc2path(name)) for name in env.found_docs}
    notebooks = {name: path for name, path in paths.items() if path.suffix == ".ipynb"}
    folder = ledger_dir(app)
    digest = compute_digest(Path(app.srcdir))

    if read_stamp(folder / ".digest") != digest:
        cache = Path(env.mystnb_config.execution_cache_path)
        if cache.is_dir():
            logger.info("fresh: package, data or settings changed: running every notebook again")
            shutil.rmtree(cache)
        for path in folder.glob("*.json"):
            path.unlink()
        (folder / ".digest").write_text(digest, encoding="utf8")

    chapters = {path.stem for path in notebooks.values()}
    for path in folder.glob("*.json"):
        if path.stem not in chapters:  # the claims of a chapter that was renamed or removed
            path.unlink()

    outdated = set()
    if read_stamp(folder / ".pages") != digest:
        outdated.update(notebooks)
    if outdated or any(name in notebooks for name in added | changed | removed):
        outdated.update(name for name in notebooks if name.endswith(SCOREBOARD))
        for name, path in paths.items():
            if path.suffix == ".md":
                text = path.read_text(encoding="utf8")
                if "glue" in text and any(mark in text for mark in GLUE_MARKS):
                    outdated.add(name)
    app.fresh_digest = digest
    return sorted(outdated)


def stamp_pages(app, exception) -> None:
    """Remember what a complete build showed."""
    if exception is None and hasattr(app, "fresh_digest"):
        (ledger_dir(app) / ".pages").write_text(app.fresh_digest, encoding="utf8")


def setup(app):
    app.connect("builder-inited", set_ledger)
    app.connect("env-get-outdated", mark_outdated)
    app.connect("build-finished", stamp_pages)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
