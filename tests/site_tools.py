"""What the site tests and the screenshot script share: a local server, a browser, the pages."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import socketserver
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDTHS = (1280, 360)
MODES = ("light", "dark")


def need(condition: bool, reason: str) -> None:
    """Skip with a reason; fail where the site is required (CI)."""
    if not condition:
        if os.environ.get("GRAF_REQUIRE_SITE"):
            pytest.fail(reason)
        pytest.skip(reason)


def site_dir() -> Path:
    """Folder of the built site: ``GRAF_SITE_DIR``, else ``_build/html``."""
    return Path(os.environ.get("GRAF_SITE_DIR") or ROOT / "_build" / "html")


def pages() -> list[str]:
    """Every page of the table of contents, the home page first."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    found = [toc["root"]]

    def walk(entries):
        for entry in entries:
            found.append(entry["file"])
            walk(entry.get("sections", []))

    for part in toc["parts"]:
        walk(part["chapters"])
    return [name.removesuffix(".ipynb").removesuffix(".md") for name in found]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves 404.html for an unknown address, as GitHub Pages does."""

    def log_message(self, *args) -> None:
        pass

    def send_error(self, code, message=None, explain=None) -> None:
        page = Path(self.directory) / "404.html"
        if code != 404 or not page.is_file():
            super().send_error(code, message, explain)
            return
        content = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


@contextmanager
def serve(folder: Path):
    """Serve a folder on a free local port; yields the address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def browser():
    """A headless Chromium without the sandbox (tests run as root in CI)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield chromium
        finally:
            chromium.close()


def new_tab(chromium, width: int, mode: str, **options):
    """A tab of a width in light or dark; JS exceptions are kept on ``tab.errors``."""
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=mode, **options
    )
    context.add_init_script(
        f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}');"
    )
    tab = context.new_page()
    tab.errors = []
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    return tab


def open_tab(chromium, address: str, width: int, mode: str):
    """A tab that cannot reach anything but our server.

    Addresses of other hosts that the page asked for are kept on ``tab.elsewhere``.
    """
    tab = new_tab(chromium, width, mode)
    tab.elsewhere = []

    def answer(route):
        if route.request.url.startswith((address, "data:")):
            route.continue_()
        else:
            tab.elsewhere.append(route.request.url)
            route.abort()

    tab.context.route("**/*", answer)
    return tab


def open_file(chromium, site: Path, page: str, width: int = 1280, mode: str = "light", **options):
    """A page opened as a file, without a server; its requests are kept on ``tab.requests``."""
    tab = new_tab(chromium, width, mode, **options)
    tab.context.set_default_timeout(10_000)
    tab.requests = []
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.goto(f"{(site / 'book').as_uri()}/{page}", wait_until="load")
    return tab
