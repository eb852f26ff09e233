"""The scoreboard shows what the chapters found, a broken claim as broken."""

import ast
import json
import re
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from chapters import listen

mpl.use("Agg")

import matplotlib.pyplot as plt

from graf_utils.board import board_html, counts_html, dots_html, figures_html, untested_html
from graf_utils.claims import VERDICTS, Ledger
from graf_utils.published import published

SOURCE = {"where": "stored results", "kind": "stored", "link": "https://example.org/a.ipynb"}
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "99_scoreboard.ipynb"


CHAPTERS = sorted(
    path.stem for path in NOTEBOOK.parent.glob("*.ipynb") if path.stem != NOTEBOOK.stem
)


def shown(folder, monkeypatch):
    """Run the page's code on a ledger: its tables by the id of their cell, and its names."""
    said = listen(monkeypatch)
    monkeypatch.setenv("GRAF_LEDGER_DIR", str(folder))
    monkeypatch.chdir(NOTEBOOK.parent)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names, pages = {}, {}
    for cell in cells:
        if cell["cell_type"] == "code":
            body = ast.parse("".join(cell["source"])).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), cell["id"], "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
                if hasattr(value, "data"):
                    pages[cell["id"]] = value.data
    plt.close("all")
    return pages, names | {"sentences": "\n".join(said)}


@pytest.fixture
def ledger(tmp_path):
    """Two chapters, one claim deliberately broken: its figure is far off."""
    for chapter in CHAPTERS:
        Ledger(chapter, tmp_path)
    tasks = Ledger("09_other_tasks", tmp_path)
    tasks.check("fine", "τ of GRAF", **SOURCE, paper=0.8, ours=0.801, tolerance=0.006)
    tasks.check("broken", "τ < .2", **SOURCE, paper=0.8, ours=0.1, tolerance=0.006)
    other = Ledger("98_unknown", tmp_path)
    other.check("half", "two", **SOURCE, holds=[True, False], ours="a <b>", paper="<i>")
    other.check("missing", "elsewhere", **SOURCE, reason="no GPU here")
    return tmp_path


def test_a_broken_claim_shows_as_broken(ledger, monkeypatch):
    pages, names = shown(ledger, monkeypatch)
    board = pages["cell-03"]
    row = next(row for row in board.split("<tr>") if "claim-broken" in row)
    assert row.index("fails") < row.index("claim-broken")  # seen first on a telephone
    link = "09_other_tasks.html#claim-broken"
    for text in ("fails", "0.100", "0.800", "± 0.006", "τ &lt; .2", link):
        assert text in row, text
    assert "holds" not in row
    assert names["said"] == ", ".join(f"{verdict}: 1" for verdict in VERDICTS)
    assert names["by_chapter"].loc["09_other_tasks"].to_dict() == dict(
        zip(VERDICTS, (1, 0, 1, 0), strict=True)
    )
    assert names["by_chapter"].to_numpy().sum() == 4


def test_claims_stand_under_their_chapters(ledger, monkeypatch):
    pages, names = shown(ledger, monkeypatch)
    summary, board = pages["score-titles"], pages["cell-03"]
    title = "The same cells on other tasks"
    assert names["titles"] == {"09_other_tasks": title, "98_unknown": "98_unknown"}
    first, second = board.split("<h2")[1:]
    assert f">{title}</h2>" in first
    assert [first.count(f"claim-{name}") for name in ("fine", "broken", "half")] == [1, 1, 0]
    assert "claim-half" in second
    assert "<b>" not in board
    assert "<i>" not in board
    for chapter in names["titles"]:
        assert f'href="#claims-{chapter}"' in summary
        assert f'id="claims-{chapter}"' in board


def test_a_board_without_claims(tmp_path, monkeypatch):
    for chapter in CHAPTERS:
        Ledger(chapter, tmp_path)
    pages, names = shown(tmp_path, monkeypatch)
    assert names["said"] == "none yet"
    assert len(pages) == 6  # four of figures, two of claims


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_without_its_claims_stops_the_build(ledger, monkeypatch, chapter):
    """One deleted file of the ledger: the board does not silently become shorter."""
    (ledger / f"{chapter}.json").unlink()
    with pytest.raises(ValueError, match=chapter):
        shown(ledger, monkeypatch)


def test_a_reader_without_a_ledger_sees_an_empty_board(tmp_path, monkeypatch):
    monkeypatch.delenv("GRAF_LEDGER_DIR", raising=False)
    pages, names = shown("", monkeypatch)
    assert names["said"] == "none yet"
    assert "There are no claims here yet" in names["sentences"]


def test_the_board_begins_with_all_published_figures(tmp_path, monkeypatch):
    """Counts that fit together, from the committed results, whatever has been computed."""
    for chapter in CHAPTERS:
        Ledger(chapter, tmp_path)
    pages, names = shown(tmp_path, monkeypatch)
    counts, failed = pages["score-tables"], pages["score-outside"]
    dots, untested = pages["score-dots"], pages["score-untested"]
    kinds = ("kendall_tau", "error in %")
    rows = published().to_dict("records")
    rows = [row for row in rows if any(kind in row["statistic"] for kind in kinds)]
    rows = [row for row in rows if row["kind"] in ("stored", "figure", "statement")]
    total = names["total"]
    assert total["figures"] == len(rows) >= 678
    assert total["within"] + total["outside"] == total["computed"]
    assert total["computed"] + total["untested"] == total["figures"]
    assert total["within"] > 0
    assert counts.count("<tr") - 1 == len({(row["table"], row["where"]) for row in rows})
    assert failed.count(">fails</strong>") == total["outside"]
    assert dots.count("<tr data-table=") == total["computed"]
    assert dots.count('data-verdict="fails"') == total["outside"]
    assert (
        f"Of {total['figures']:,} published figures {total['computed']:,} are computed"
        in (names["sentences"])
    )
    assert untested.count(">cannot be tested here</strong>") == untested.count("<tr") - 1
    assert not set(names["checked"]["kind"]) & {"rerun", "other"}


def test_figures_outside_stand_worst_first_with_their_source_and_escaped():
    row = {
        "table": "<t>", "target": "<b>", "predictor": "<p>", "encoding": "<e>", "train_size": 1024,
        "where": "<w>", "kind": "figure", "source_link": "https://example.org/a", "value": 0.5,
        "ours": 0.4, "difference": -0.1, "tolerance": 0.01, "n": 50, "verdict": "fails",
        "reason": "<r>", "statistic": "mean kendall_tau",
    }  # fmt: skip
    failed = pd.DataFrame([row | {"ours": 0.01 * i} for i in range(25)])
    page = figures_html(failed, shown=20)
    first, rest = page.split("<details>")
    assert (first.count(">fails<"), rest.count(">fails<")) == (20, 5)
    assert "5 more" in rest
    assert first.index("here: 0.000") < first.index("here: 0.190")
    assert '<a href="https://example.org/a">&lt;w&gt;</a>; read off a figure' in page
    assert "&lt;t&gt;, &lt;b&gt;: &lt;p&gt; on &lt;e&gt;, N=1,024" in page
    assert "−0.100, tolerance 0.010; 50 seeds" in page
    assert "<br>&lt;r&gt;</small>" in page
    search = {"train_size": pd.NA, "statistic": "mean error in % after 500 evaluations"}
    assert "&lt;e&gt;, 500 evaluations<br>" in figures_html(pd.DataFrame([row | search]))
    left = untested_html(failed.assign(verdict="cannot be tested here"))
    assert untested_html(failed) == "<p>None.</p>"
    assert "25</td>" in left
    assert "&lt;r&gt;" in left
    summary = {
        "table": "<t>", "where": "<w>", "figures": 9, "computed": 7, "within": 5, "outside": 2,
        "untested": 2, "largest": 0.1, "orders": 3, "winners": 1, "order_tau": 0.5,
    }  # fmt: skip
    fine = summary | {"table": "fine", "outside": 0}
    counts = counts_html(pd.DataFrame([fine, summary]))
    assert '<strong class="verdict-word fails">2 outside</strong>' in counts
    assert counts.index("&lt;t&gt;") < counts.index("fine")  # what fails comes first
    for cell in ("5 of 7", "2 outside", "<td>2</td>", "0.100", "same winner 1 of 3"):
        assert cell in counts
    for text in (page, left, counts):
        assert not re.search(r"<[tbpewr]>", text)
    assert figures_html(failed[:0]) == "<p>None.</p>"


def test_a_page_for_a_telephone_has_few_columns(ledger, monkeypatch):
    pages, _ = shown(ledger, monkeypatch)
    for page in pages.values():
        assert max(head.count("<th>") for head in re.findall("<thead>.*?</thead>", page)) <= 5


def test_a_dot_stands_where_the_figure_does():
    """In the middle is the published figure; a strip ends at four tolerances; text is escaped."""
    row = {
        "table": "<t>", "target": "<b>", "predictor": "<p>", "encoding": "a+<e>", "train_size": 32,
        "value": 0.5, "ours": 0.52, "difference": 0.02, "tolerance": 0.01, "verdict": "fails",
        "statistic": "mean kendall_tau",
    }  # fmt: skip
    rows = [
        row,
        row | {"difference": -0.005, "verdict": "holds"},
        row | {"difference": 9.0},
        row | {"difference": -1.0, "tolerance": 0.0},
        row | {"tolerance": float("nan"), "verdict": "cannot be tested here"},
    ]
    page = dots_html(pd.DataFrame(rows))
    assert re.findall(r"left:([\d.]+)%", page) == ["0.0", "100.0", "75.0", "43.8"]
    assert "All 4 compared figures" in page
    assert "0.500, here 0.520 ± 0.010" in page
    assert page.count('data-table="&lt;t&gt;"') == 4
    assert page.count('data-verdict="holds"') == 1
    assert "a+<wbr>&lt;e&gt;, N=32" in page
    assert not re.search("<[tbpe]>", page)
    assert dots_html(pd.DataFrame(rows[-1:])) == "<p>None.</p>"


@pytest.mark.parametrize(("n", "folded"), [(8, False), (9, True)])
def test_many_figures_of_a_claim_open_by_a_click(n, folded):
    """A column of twenty lines would hide the next claim; nothing is left out."""
    figures = [f"rf, N={i}: <{i}>" for i in range(n)]
    row = dict.fromkeys(("where", "kind", "link", "reason", "paper", "tolerance"), "")
    row |= {"id": "zoo", "chapter": "06_zoo", "claim": "It is cheap.", "verdict": "fails"}
    row |= {"ours": "; ".join(figures), "missed": "; ".join(figures)}
    page = board_html(pd.DataFrame([row]), {})
    assert (f"<summary>{n} figures</summary>" in page) == folded
    assert (f"Missed: {n} of the figures." in page) == folded
    assert all(f"N={i}: &lt;{i}&gt;" in page for i in range(n))
