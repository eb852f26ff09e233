"""The built site, opened in a browser: every page, wide and narrow, light and dark."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from address import wanted
from axe_playwright_python.sync_playwright import Axe
from site_tools import MODES, WIDTHS, need, open_tab, pages, serve, site_dir
from visit import visit

SITE = site_dir()
PAGES = pages()
REPOSITORY = wanted()
HEAVIEST_PAGE = 1_000_000  # bytes of HTML


@pytest.fixture(scope="module")
def site() -> Path:
    need((SITE / "index.html").is_file(), f"no built site in {SITE}: run `make book` first")
    return SITE


@pytest.fixture(scope="module")
def address(site):
    with serve(site) as url:
        yield url


@pytest.fixture(scope="module", params=[(w, m) for w in WIDTHS for m in MODES], ids=str)
def tab(request, chromium, address):
    width, mode = request.param
    opened = open_tab(chromium, address, width, mode)
    opened.width, opened.mode = width, mode
    yield opened
    opened.context.close()


LOOK = """() => ({
  mode: document.documentElement.dataset.theme,
  page: document.documentElement.scrollWidth,
  window: document.documentElement.clientWidth,
  wide: [...document.querySelectorAll('.bd-article *')]
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .slice(0, 5).map(e => e.tagName + '.' + e.className),
  images: [...document.querySelectorAll('.bd-article img')]
    .map(i => ({src: i.src, alt: i.alt, loaded: i.complete && i.naturalWidth > 0})),
  searches: [...document.querySelectorAll('.search-button-field, input[type=search]')]
    .filter(e => e.checkVisibility() && e.offsetWidth > 0).length,
  viewports: document.querySelectorAll('meta[name=viewport]').length,
  headings: ['h1', 'h2', 'h3', 'h4']
    .map(level => document.querySelector(`.bd-article :is(${level})`)).filter(e => e)
    .map(e => parseFloat(getComputedStyle(e).fontSize)),
  text: [...document.querySelectorAll('.bd-article :is(h1, h2, h3, p, li, td, .cell_output)')]
    .map(e => { const c = e.cloneNode(true); c.querySelectorAll('code').forEach(x => x.remove());
                return c.textContent; }).join('\\n'),
})"""


def accessibility_faults(tab) -> list[tuple[str, str]]:
    """What axe-core calls a fault, of any level: contrast, names, structure, landmarks.

    Names and structure are those of one file, whatever the mode: in the dark only the contrast is
    looked at again.
    """
    contrast = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
    options = contrast if tab.mode == "dark" else None
    return [
        (fault["id"], fault["impact"], fault["nodes"][0]["html"][:120])
        for fault in Axe().run(tab, options=options).response["violations"]
    ]


@pytest.mark.parametrize("page", PAGES)
def test_page_in_a_browser(tab, address, page):
    tab.errors.clear()
    tab.elsewhere.clear()
    tab.goto(f"{address}/{page}.html", wait_until="load")
    seen = tab.evaluate(LOOK)
    assert not tab.errors, tab.errors
    assert not tab.elsewhere, f"asks another host: {tab.elsewhere}"
    assert seen["mode"] == tab.mode
    assert seen["viewports"] == 1
    assert seen["page"] <= seen["window"], f"the page scrolls sideways; look at {seen['wide']}"
    sizes = seen["headings"]
    assert sizes == sorted(set(sizes), reverse=True), f"a heading looks like a higher one: {sizes}"
    for image in seen["images"]:
        assert image["alt"].strip(), f"no alt text: {image['src']}"
        assert image["alt"] not in image["src"], f"the alt text is the file name: {image['src']}"
        assert image["loaded"], f"not loaded: {image['src']}"
    if tab.width > 1000:
        assert seen["searches"] == 1, "one visible search box"
        assert not accessibility_faults(tab)
    for bad in ("Traceback (most recent call last)", "{glue", "??", "\ufffd"):
        assert bad not in seen["text"], f"{bad!r} on the page"


def test_unknown_address_shows_a_styled_404(tab, address):
    tab.goto(f"{address}/no/such/page.html", wait_until="load")
    assert "Page not found" in tab.inner_text("article h1")
    failed = tab.evaluate(
        "() => [...document.styleSheets].length === 0 ||"
        " getComputedStyle(document.querySelector('.bd-header-article')).display"
    )
    assert failed == "flex", "the stylesheet of the theme did not arrive"
    home = tab.eval_on_selector("main section a", "link => link.href")
    assert home == f"{address}/{PAGES[0]}.html"


def test_the_citation_is_copied_by_a_click(chromium, address):
    tab = open_tab(chromium, address, 1280, "light")
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto(f"{address}/book/cite.html", wait_until="load")
    shown = tab.inner_text("div.highlight pre")
    tab.hover("div.highlight")
    tab.click("button.copybtn")
    copied = tab.evaluate("() => navigator.clipboard.readText()")
    assert copied.strip() == shown.strip()
    assert "@inproceedings{kadlecova_2024," in copied
    assert "@software{graf_book" in copied
    tab.context.close()


class Page(HTMLParser):
    """Anchors, links and buttons of one file."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.icons = set(), [], []
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(filter(None, (found.get("id"), found.get("name"))))
        if tag == "link" and "icon" in found.get("rel", "").split():
            self.icons.append(found["href"])
        for key in ("href", "src"):
            if found.get(key):
                self.links.append(found[key])


@pytest.fixture(scope="module")
def parsed(site) -> dict[str, Page]:
    files = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path.relative_to(site).as_posix(): Page(path) for path in files}


def test_internal_links_resolve(site, parsed):
    broken = []
    for name, page in parsed.items():
        for link in page.links:
            if urlparse(link).scheme or link.startswith("//") or link == "#":
                continue
            target, anchor = urldefrag(link)
            path = urlparse(urljoin(f"/{name}", target) if target else f"/{name}").path
            path = unquote(path).lstrip("/") or "index.html"
            if not (site / path).is_file():
                broken.append(f"{name}: {link}")
            elif anchor and path in parsed and unquote(anchor) not in parsed[path].anchors:
                broken.append(f"{name}: {link} (no such anchor)")
    assert not broken, "\n".join(broken)


def test_no_page_is_heavy(site):
    """A page is read on a telephone, too: ``python benchmarks/site_weight.py`` has all weights."""
    weights = {name: (site / f"{name}.html").stat().st_size for name in PAGES}
    assert {name: size for name, size in weights.items() if size > HEAVIEST_PAGE} == {}


def test_only_the_scoreboard_loads_its_script(parsed):
    loads = {name for name, page in parsed.items() if any("scoreboard.js" in x for x in page.links)}
    assert loads == {"notebooks/99_scoreboard.html"}


def test_every_page_has_an_icon(site, parsed):
    for page in PAGES:
        icons = parsed[f"{page}.html"].icons
        assert icons, page
        for icon in icons:
            assert (site / page).parent.joinpath(icon.split("?")[0]).resolve().is_file(), icon
    assert (site / "_static" / "favicon.svg").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_buttons(parsed, page):
    links = parsed[f"{page}.html"].links
    suffix = ".ipynb" if page.startswith("notebooks/") else ".md"
    assert f"https://github.com/{REPOSITORY}" in links
    assert f"https://github.com/{REPOSITORY}/edit/main/{page}{suffix}" in links
    assert any(link.endswith(f"_sources/{page}{suffix}") for link in links), "no download"
    if suffix == ".ipynb":
        binder = f"https://mybinder.org/v2/gh/{REPOSITORY}/main"
        colab = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main"
        assert f"{binder}?urlpath=lab/tree/{page}.ipynb" in links
        assert f"{colab}/{page}.ipynb" in links


def test_home_page_is_reached_from_the_root(site):
    text = (site / "index.html").read_text(encoding="utf8")
    assert re.search(rf"url={PAGES[0]}\.html|{PAGES[0]}\.html", text)


def test_a_visit_from_the_home_page_to_the_telephone(chromium, address):
    assert visit(chromium, address) == []
