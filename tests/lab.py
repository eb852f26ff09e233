"""Every chapter as a person reads it in JupyterLab after "Run all": no raw role on the page.

``python tests/lab.py FOLDER [NAME ...]`` runs the notebooks (all, or those named, such as
``03_predictors``) outside the book, keeps them with their outputs in the folder, opens each in
JupyterLab in a browser, and says what it finds there. Notebooks that the folder has are not run
again. It takes about ten minutes, so it is no test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from playwright.sync_api import Browser
from site_tools import ROOT, browser

RAW = re.compile(r"\{[A-Za-z][\w:+.-]*\}`|\{glue|Traceback \(most recent call last\)")
WHOLE = {"windowingMode": "none"}  # else JupyterLab draws only the cells in sight
SETTINGS = Path("lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings")


def run(source: Path, target: Path) -> None:
    """Run a notebook as JupyterLab would, and keep it with its outputs."""
    book = nbformat.read(source, as_version=4)
    started = time.perf_counter()
    NotebookClient(book, timeout=300, kernel_name="python3").execute(cwd=str(source.parent))
    nbformat.write(book, target)
    print(f"{source.stem}: ran in {time.perf_counter() - started:.0f} s", flush=True)


@contextmanager
def serve_lab(folder: Path) -> Iterator[str]:
    """JupyterLab on a folder; yields its address."""
    settings = folder / ".jupyter" / SETTINGS
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(WHOLE), encoding="utf8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"],
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(folder / ".jupyter")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/status")
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def look(chromium: Browser, address: str, notebook: Path) -> list[str]:
    """Open a notebook in JupyterLab, take a picture, and return the raw roles on the page."""
    tab = chromium.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    tab.goto(f"{address}/doc/tree/{notebook.name}")
    n_cells = len(nbformat.read(notebook, as_version=4).cells)
    tab.wait_for_function(
        f"document.querySelectorAll('.jp-Notebook .jp-Cell').length >= {n_cells}", timeout=60_000
    )
    tab.wait_for_timeout(2_000)  # outputs and formulas are drawn after the cells
    shown = tab.locator(".jp-RenderedMarkdown, .jp-OutputArea-output").all_text_contents()
    tab.screenshot(path=notebook.with_suffix(".png"))
    tab.context.close()
    return [match.group() for text in shown for match in RAW.finditer(text)]


def main(folder: str, *names: str) -> int:
    """Run and open the notebooks; return how many have something raw."""
    out = Path(folder).resolve()
    out.mkdir(parents=True, exist_ok=True)
    sources = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    sources = [path for path in sources if not names or path.stem in names]
    for name in ("GRAF_BOOK", "GRAF_LEDGER_DIR"):
        os.environ.pop(name, None)
    for source in sources:
        if not (out / source.name).is_file():
            run(source, out / source.name)
    faulty = 0
    with serve_lab(out) as address, browser() as chromium:
        for source in sources:
            found = look(chromium, address, out / source.name)
            faulty += bool(found)
            print(f"{source.stem}: {found or 'nothing raw'}", flush=True)
    shutil.rmtree(out / ".jupyter")
    return faulty


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
