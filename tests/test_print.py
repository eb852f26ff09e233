"""The book on paper: what the browser's print makes of a page, light whatever the mode."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_tools import open_tab, serve

STYLE = Path(__file__).resolve().parent.parent / "book" / "_static" / "custom.css"
PAGE = """<!doctype html><html data-theme="{mode}"><head>
<style>body {{ margin: 0; color: var(--pst-color-text-base, #eeeeee); }}
pre {{ overflow-x: auto; }} td {{ padding: 4px; }}</style>
<link rel="stylesheet" href="custom.css"></head>
<body class="bd-content"><article class="bd-article">
<div class="cell_input"><pre><code>{long}</code></pre></div>
<details class="hide"><summary>Show: imports</summary><p id="folded">import this</p></details>
<div class="cell_output"><details><summary>Answer</summary><p id="answer">42</p></details></div>
<p id="text">Text <math><mi>x</mi></math></p>
<div class="cell_output"><img id="picture" alt="a" width="200" height="100"
 src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"></div>
<figure id="figure">a figure</figure>
<table id="table"><tbody>{rows}</tbody></table>
</article></body></html>
"""
HIGH = """<!doctype html><style>body { margin: 0 }</style><link rel="stylesheet" href="custom.css">
<article class="bd-article"><div style="height: 700px"></div>
<figure style="margin: 0"><div style="height: 500px"></div></figure>
<div style="height: 700px"></div></article>
"""
"""Of a page on paper, which is about 1,010 high, the figure would take the end and a beginning."""
LOOK = """() => {
  const style = (id, what) => getComputedStyle(document.getElementById(id))[what];
  const shown = id => document.getElementById(id).checkVisibility({contentVisibilityAuto: true})
    && document.getElementById(id).getBoundingClientRect().height > 0;
  const pre = document.querySelector('pre');
  return {
    figure: style('figure', 'breakInside'), table: style('table', 'breakInside'),
    filter: style('picture', 'filter'), text: style('text', 'color'),
    answer: shown('answer'), folded: shown('folded'),
    overhang: pre.scrollWidth - pre.clientWidth,
  };
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """One page per mode, with the book's style."""
    folder = tmp_path_factory.mktemp("print")
    (folder / "custom.css").write_text(STYLE.read_text(encoding="utf8"), encoding="utf8")
    rows = "<tr><td>row</td></tr>" * 12
    for mode in ("light", "dark"):
        text = PAGE.format(mode=mode, long="a_long_name = " * 40, rows=rows)
        (folder / f"{mode}.html").write_text(text, encoding="utf8")
    (folder / "high.html").write_text(HIGH, encoding="utf8")
    with serve(folder) as url:
        yield url


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_page_on_paper(chromium, address, mode):
    tab = open_tab(chromium, address, 700, mode)
    tab.goto(f"{address}/{mode}.html")
    screen = tab.evaluate(LOOK)
    tab.emulate_media(media="print")
    paper = tab.evaluate(LOOK)
    assert screen["overhang"] > 100
    assert paper["overhang"] <= 0, "code is cut off at the margin"
    assert not screen["answer"]
    assert paper["answer"], "answers are open"
    assert not paper["folded"], "folded code leaves nothing behind"
    assert paper["figure"] == paper["table"] == "avoid"
    assert paper["filter"] == "none"
    if mode == "dark":
        assert screen["filter"] != "none"
        assert paper["text"] == "rgb(28, 40, 51)", "dark on white"
    assert tab.pdf(format="A4").startswith(b"%PDF")
    tab.context.close()


def number_of_pages(tab) -> int:
    """Pages of the PDF that the browser prints."""
    return tab.pdf(format="A4", prefer_css_page_size=True).count(b"/Type /Page\n")


def test_a_figure_is_not_cut_by_the_end_of_a_page(chromium, address):
    """The figure would begin on the first page; it stands whole on the second, and one more."""
    tab = open_tab(chromium, address, 700, "light")
    tab.goto(f"{address}/high.html")
    assert number_of_pages(tab) == 3
    tab.add_style_tag(content="figure { break-inside: auto !important; }")
    assert number_of_pages(tab) == 2
    tab.context.close()
