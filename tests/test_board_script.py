"""The filters of the scoreboard's table of figures, in a browser, and the table without them."""

from __future__ import annotations

import pandas as pd
import pytest
from site_tools import ROOT

from graf_utils.board import dots_html

ROW = {
    "target": "accuracy", "predictor": "rf", "train_size": 32, "value": 0.5, "ours": 0.51,
    "difference": 0.01, "statistic": "mean kendall_tau",
}  # fmt: skip
ROWS = [
    ROW | {"table": table, "encoding": encoding, "tolerance": tolerance, "verdict": verdict}
    for table, encoding, tolerance, verdict in (
        ("one", "graf", 0.02, "holds"),
        ("one", "zcp+graf", 0.005, "fails"),
        ("two", "graf", 0.005, "fails"),
    )
]


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def tab(request, chromium, tmp_path):
    script = (ROOT / "book" / "_static" / "scoreboard.js").read_text(encoding="utf8")
    page = tmp_path / "page.html"
    page.write_text(
        f"<!doctype html><meta charset=utf-8><script>{script}</script>"
        f"{dots_html(pd.DataFrame(ROWS))}",
        encoding="utf8",
    )
    context = chromium.new_context(java_script_enabled=request.param)
    opened = context.new_page()
    opened.with_script = request.param
    opened.goto(page.as_uri())
    opened.click("summary")
    yield opened
    context.close()


def shown(tab):
    """How many rows can be seen."""
    return sum(row.is_visible() for row in tab.query_selector_all("tbody tr"))


@pytest.mark.slow
def test_figures_are_filtered_by_table_verdict_and_words(tab):
    assert shown(tab) == 3
    if not tab.with_script:
        assert not tab.query_selector_all("select, input")
        return
    table, verdict = tab.query_selector_all("select")
    words, said = tab.get_by_label("words"), tab.locator("output")
    assert said.inner_text() == "3 of 3 figures"
    verdict.select_option("fails")
    assert (shown(tab), said.inner_text()) == (2, "2 of 3 figures")
    table.select_option("one")
    assert shown(tab) == 1
    table.select_option("")
    verdict.select_option("")
    words.fill("ZCP graf")
    assert shown(tab) == 1
    words.press("Enter")  # does not leave the page
    assert shown(tab) == 1
    words.fill("nobody")
    assert (shown(tab), said.inner_text()) == (0, "0 of 3 figures")
