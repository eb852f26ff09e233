"""The claims ledger: verdicts, boxes, the file the scoreboard reads."""

import json
import math
import subprocess
import sys

import pytest

from graf_utils.claims import VERDICTS, Ledger, check, glue, read_ledger

HOLDS, PARTLY, FAILS, UNTESTED = VERDICTS


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (0.845, HOLDS),
        (0.847, HOLDS),
        (0.8471, FAILS),
        (0.5, FAILS),
        (math.nan, FAILS),
        (math.inf, FAILS),
    ],
)
def test_a_figure_within_its_tolerance(ours, verdict):
    claim = check("x", "a figure", where="table 1", paper=0.845, ours=ours, tolerance=0.002)
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ({"a": 1.0, "b": 2.0}, HOLDS),
        ({"a": 1.0, "b": 3.0}, PARTLY),
        ({"a": 1.0}, PARTLY),
        ({"a": 9.0, "b": 9.0}, FAILS),
    ],
)
def test_several_figures(ours, verdict):
    claim = check("x", "two", where="table 1", paper={"a": 1, "b": 2}, ours=ours, tolerance=0.1)
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [(True, HOLDS), (False, FAILS), ([True, False], PARTLY), ([False, False], FAILS)],
)
def test_an_order(holds, verdict):
    assert check("x", "an order", where="figure 2", holds=holds).verdict == verdict


def test_what_cannot_be_tested_needs_a_reason():
    claim = check("x", "on a GPU", where="section 5", reason="no GPU here")
    assert claim.verdict == UNTESTED
    with pytest.raises(ValueError, match="Pass ours, holds, or the reason"):
        check("x", "on a GPU", where="section 5")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ours": 1.0, "paper": 1.0}, "within a tolerance"),
        ({"ours": 1.0, "tolerance": 0.1}, "within a tolerance"),
        ({"ours": {"c": 1}, "paper": {"a": 1}, "tolerance": 0.1}, "names \\['c'\\]"),
        ({"holds": []}, "holds is empty"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        check("x", "a claim", where="table 1", **arguments)


def test_the_box_shows_everything_and_escapes_it():
    claim = check(
        "a<b", "τ < 1", where="t & f", paper=1234, ours=1234, tolerance=0, reason="<script>"
    )
    box = claim._repr_html_()
    for text in ("τ &lt; 1", "t &amp; f", "1,234", "± 0", "&lt;script&gt;", "Verdict: holds"):
        assert text in box
    assert "<script>" not in box
    assert 'class="claim-box holds"' in box


def test_the_ledger_is_written_and_read(tmp_path):
    ledger = Ledger("03_chapter", tmp_path)
    ledger.check("one", "first", where="table 1", paper=1.0, ours=1.0, tolerance=0.1)
    ledger.check("two", "second", where="table 1", holds=False)
    ledger.check("one", "first, again", where="table 1", paper=1.0, ours=2.0, tolerance=0.1)
    Ledger("02_chapter", tmp_path).check("three", "third", where="table 2", holds=True)
    frame = read_ledger(tmp_path)
    assert frame["id"].tolist() == ["three", "two", "one"]
    assert frame["verdict"].tolist() == [HOLDS, FAILS, FAILS]
    Ledger("03_chapter", tmp_path)  # the chapter runs again: its old claims are gone
    assert read_ledger(tmp_path)["id"].tolist() == ["three"]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_ledger_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("GRAF_LEDGER_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    Ledger("03_chapter").check("one", "first", where="table 1", holds=True)
    assert not list(tmp_path.iterdir())
    assert read_ledger().empty
    monkeypatch.setenv("GRAF_LEDGER_DIR", str(tmp_path / "ledger"))
    Ledger("03_chapter").check("one", "first", where="table 1", holds=True)
    (file,) = (tmp_path / "ledger").iterdir()
    assert json.loads(file.read_text(encoding="utf8"))[0]["verdict"] == HOLDS


def test_a_broken_claim_shows_as_broken_and_does_not_stop(tmp_path):
    claim = Ledger("03_chapter", tmp_path).check(
        "broken", "τ is .845", where="table 1", paper=0.845, ours=0.1, tolerance=0.002
    )
    assert "claim-box fails" in claim._repr_html_()
    assert read_ledger(tmp_path)["verdict"].tolist() == [FAILS]


def test_glue_is_silent_without_the_book():
    code = (
        "import sys; sys.modules['myst_nb'] = None\nfrom graf_utils.claims import glue; glue(x=1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert glue() is None
