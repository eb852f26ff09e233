"""One visit, as somebody makes it who came by a link, with a picture of each step.

Land on the home page, search, open a chapter, open an answer, change to the dark, change a cell in
the explorer, guess twenty pairs, look for the citation, and read on with a telephone::

    python tests/visit.py _build/visit

Each step checks what the visitor would see. No request may leave the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from site_tools import browser, serve, site_dir

WIDE = {"width": 1280, "height": 900}
TELEPHONE = {"width": 360, "height": 740}
PAIRS = 20


def land(tab: Page, address: str) -> None:
    """The home page: the answer with its figure, a picture of the features, and the ways in."""
    tab.goto(f"{address}/index.html")
    tab.wait_for_url("**/book/intro.html")
    expect(tab.locator("figure img").first).to_be_visible()
    for name in ("Read", "Play", "Rerun", "Adapt"):
        expect(tab.locator(".sd-card-title", has_text=name)).to_be_visible()


def search(tab: Page, address: str) -> None:
    """Search for a feature: the chapter that explains it is among the first five results."""
    tab.goto(f"{address}/search.html?q=max+path+length")
    links = tab.locator("#search-results li a")
    links.first.wait_for()
    first = links.evaluate_all("all => all.slice(0, 5).map(link => link.href)")
    assert any("02_graf" in link or "definition" in link for link in first), first


def chapter(tab: Page, address: str) -> None:
    """From the list of chapters to chapter 2: its answer stands below the title."""
    tab.goto(f"{address}/book/intro.html")
    tab.locator("#the-chapters a", has_text="GRAF").first.click()
    tab.wait_for_url("**/02_graf.html")
    expect(tab.get_by_text("In short.").first).to_be_visible()


def answer(tab: Page, address: str) -> None:
    """The answer of an exercise opens by a click."""
    exercise = tab.locator("article details", has=tab.locator("summary", has_text="Answer")).first
    assert exercise.get_attribute("open") is None
    exercise.locator("summary").click()
    expect(exercise.locator("p").first).to_be_visible()


def dark(tab: Page, address: str) -> None:
    """The button for the dark changes the page, and the next page remembers."""
    for _ in range(3):
        if tab.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        tab.locator("button.theme-switch-button:visible").first.click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.reload()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"


def explorer(tab: Page, address: str) -> None:
    """A changed edge changes the address, which brings the same cell back; then the best change."""
    tab.goto(f"{address}/book/explorer.html")
    tab.get_by_label("Operation on the edge from in to out").select_option(label="conv 3×3")
    shown = tab.locator("#explorer .numbers").inner_text()
    tab.goto(tab.url)
    tab.reload()
    assert tab.locator("#explorer .numbers").inner_text() == shown
    tab.get_by_role("button", name="Apply the best change").click()
    assert tab.locator("#explorer .numbers").inner_text() != shown


def guess(tab: Page, address: str) -> None:
    """Twenty guesses, and a result beside those of a proxy and a forest."""
    tab.goto(f"{address}/book/guess.html")
    for pair in range(PAIRS):
        tab.locator(".choice").nth(pair % 2).click()
        tab.locator(".plain").click()
    assert tab.locator(".result tbody tr").count() == 3


def cite(tab: Page, address: str) -> None:
    """The citation stands on a page of its own, as BibTeX."""
    tab.goto(f"{address}/book/cite.html")
    expect(tab.get_by_text("@software{").first).to_be_visible()


def telephone(tab: Page, address: str) -> None:
    """On a telephone no page of the visit scrolls sideways."""
    tab.set_viewport_size(TELEPHONE)
    for page in ("book/intro", "notebooks/02_graf", "book/explorer", "book/guess", "book/cite"):
        tab.goto(f"{address}/{page}.html")
        wide = tab.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not wide, page


STEPS: tuple[Callable[[Page, str], None], ...] = (
    land, search, chapter, answer, dark, explorer, guess, cite, telephone,
)  # fmt: skip


def visit(chromium: Browser, address: str, pictures: Path | None = None) -> list[str]:
    """Make the visit.

    Parameters
    ----------
    chromium : Browser
    address : str
        Of the served site.
    pictures : path, optional
        Folder for a picture after each step.

    Returns
    -------
    list of str
        Addresses outside the site that a page asked for: none.
    """
    asked: list[str] = []
    tab = chromium.new_context(viewport=WIDE, color_scheme="light").new_page()
    tab.on("request", lambda request: asked.append(request.url))
    for number, step in enumerate(STEPS):
        step(tab, address)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=pictures / f"{number}_{step.__name__}.png")
    tab.context.close()
    return [url for url in asked if not url.startswith((address, "data:", "blob:"))]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with serve(site_dir()) as site, browser() as opened:
        print("requests to other hosts:", visit(opened, site, Path(sys.argv[1])) or "none")
