"""The scoreboard shows what the chapters found, a broken claim as broken."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from graf_utils.claims import VERDICTS, Ledger

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "99_scoreboard.ipynb"


CHAPTERS = sorted(
    path.stem for path in NOTEBOOK.parent.glob("*.ipynb") if path.stem != NOTEBOOK.stem
)


def shown(folder, monkeypatch):
    """Run the page's code on a ledger: its two tables, and its names."""
    monkeypatch.setenv("GRAF_LEDGER_DIR", str(folder))
    monkeypatch.chdir(NOTEBOOK.parent)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names, pages = {}, []
    monkeypatch.setattr(
        "matplotlib_inline.backend_inline.set_matplotlib_formats", lambda *formats, **options: None
    )
    for cell in cells:
        if cell["cell_type"] == "code":
            *lines, last = "".join(cell["source"]).splitlines()
            exec("\n".join(lines), names)
            if last.startswith("HTML("):
                pages.append(eval(last, names).data)
            else:
                exec(last, names)
    plt.close("all")
    return pages, names


@pytest.fixture
def ledger(tmp_path):
    """Two chapters, one claim deliberately broken: its figure is far off."""
    for chapter in CHAPTERS:
        Ledger(chapter, tmp_path)
    tasks = Ledger("05_tasks", tmp_path)
    tasks.check("fine", "τ of GRAF", where="table 1", paper=0.8, ours=0.801, tolerance=0.006)
    tasks.check("broken", "τ < .2", where="fig. 1", paper=0.8, ours=0.1, tolerance=0.006)
    other = Ledger("98_unknown", tmp_path)
    other.check("half", "two", where="table 2", holds=[True, False], ours="a <b>", paper="<i>")
    other.check("missing", "elsewhere", where="table 3", reason="no GPU here")
    return tmp_path


def test_a_broken_claim_shows_as_broken(ledger, monkeypatch):
    (summary, board), names = shown(ledger, monkeypatch)
    row = next(row for row in board.split("<tr>") if "claim-broken" in row)
    for text in ("fails", "0.100", "0.800", "± 0.006", "τ &lt; .2", "05_tasks.html#claim-broken"):
        assert text in row, text
    assert "holds" not in row
    assert names["said"] == ", ".join(f"{verdict}: 1" for verdict in VERDICTS)
    assert names["by_chapter"].loc["05_tasks"].to_dict() == dict(
        zip(VERDICTS, (1, 0, 1, 0), strict=True)
    )
    assert names["by_chapter"].to_numpy().sum() == 4


def test_claims_stand_under_their_chapters(ledger, monkeypatch):
    (summary, board), names = shown(ledger, monkeypatch)
    title = "Hardware, robustness and other tasks"
    assert names["titles"] == {"05_tasks": title, "98_unknown": "98_unknown"}
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
    assert len(pages) == 2


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
