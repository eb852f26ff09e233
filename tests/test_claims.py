"""The claims ledger: verdicts, boxes, the file the scoreboard reads."""

import html
import json
import math
import re
import shutil
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from graf_utils.board import board_html, summary_html
from graf_utils.claims import KINDS, VERDICTS, Ledger, check, glue, read_ledger, source_html

HOLDS, PARTLY, FAILS, UNTESTED = VERDICTS
LINK = "https://example.org/outputs.ipynb"
SOURCE = {"where": "stored results", "kind": "stored", "link": LINK}


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
    claim = check("x", "a figure", **SOURCE, paper=0.845, ours=ours, tolerance=0.002)
    assert claim.verdict == verdict


T, F = True, False
ONE_RULE = [  # parts, decisive, verdict: all hold; most or a decisive one miss; between
    ([T], (), HOLDS),
    ([F], (), FAILS),
    ([T, T, T], (), HOLDS),
    ([T, F], (), PARTLY),
    ([F, F], (), FAILS),
    ([T, T, F], (), PARTLY),
    ([T, F, F], (), FAILS),
    ([T, T, F, F], (), PARTLY),
    ([T, F, F, F], (), FAILS),
    ([T] * 9 + [F], (), PARTLY),
    ([T] * 9 + [F], 10, FAILS),
    ([T] * 9 + [F], [1], PARTLY),
    ([T] * 9 + [F], [1, 10], FAILS),
    ([T] * 10, range(1, 11), HOLDS),
]


@pytest.mark.parametrize(("parts", "decisive", "verdict"), ONE_RULE)
def test_one_rule_for_parts(parts, decisive, verdict):
    claim = check("x", "an order", **SOURCE, holds=parts, decisive=decisive)
    assert claim.verdict == verdict


@pytest.mark.parametrize(("parts", "decisive", "verdict"), ONE_RULE)
def test_the_same_rule_for_figures(parts, decisive, verdict):
    paper = dict.fromkeys(range(1, len(parts) + 1), 0.5)
    ours = {name: 0.5 if met else 0.7 for name, met in zip(paper, parts, strict=True)}
    claim = check(
        "x", "figures", **SOURCE, paper=paper, ours=ours, tolerance=0.1, decisive=decisive
    )
    assert claim.verdict == verdict
    assert claim.missed.count("by 0.200") == parts.count(False)


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ({"a": 1.0, "b": 2.0}, HOLDS),
        ({"a": 1.0, "b": 3.0}, PARTLY),
        ({"a": 1.0}, PARTLY),
        ({"a": math.nan, "b": math.nan}, FAILS),
        ({}, FAILS),
        ({"a": 9.0, "b": 9.0}, FAILS),
        (pd.Series({"b": 2.05, "a": 1.05}), HOLDS),
    ],
)
def test_several_figures(ours, verdict):
    claim = check("x", "two", **SOURCE, paper={"a": 1, "b": 2}, ours=ours, tolerance=0.1)
    assert claim.verdict == verdict


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        (True, HOLDS),
        (False, FAILS),
        (np.bool_(False), FAILS),
        (np.array(True), HOLDS),
        (np.array([True, False]), PARTLY),
        (np.array([[True, False], [False, False]]), FAILS),
        (iter([True, False, False]), FAILS),
        ({"N=32": False}, FAILS),
        ({"N=32": True, "N=128": False}, PARTLY),
        (pd.Series([False, False], index=["a", "b"]), FAILS),
        (pd.DataFrame({"a": [False, False], "b": [False, False]}), FAILS),
        (pd.DataFrame({"a": [True, True], "b": [True, False]}), PARTLY),
        (pd.DataFrame({"a": [True, True]}), HOLDS),
    ],
)
def test_only_what_is_true_holds(holds, verdict):
    assert check("x", "an order", **SOURCE, holds=holds).verdict == verdict


@pytest.mark.parametrize(
    "holds",
    [
        math.nan,
        "no",
        "False",
        "",
        0,
        1,
        1.0,
        np.nan,
        pd.NA,
        [True, None],
        [True, math.nan],
        [True, "no"],
        [[True], [False]],
        [np.array([True, False])],
        {"N=32": "no"},
        {"N=32": math.nan},
        pd.Series([1.0, 0.0]),
        pd.DataFrame({"a": [True, None]}),
        np.array([0.5, 1.0]),
        {True, False},
        lambda: False,
    ],
)
def test_what_is_not_a_boolean_is_refused(holds):
    with pytest.raises(ValueError, match="claim 'x': holds"):
        check("x", "an order", **SOURCE, holds=holds)


def test_parts_of_one_name_are_refused():
    frame = pd.DataFrame([[True, True], [False, True]], index=["a", "a"], columns=["c", "d"])
    with pytest.raises(ValueError, match="share a name"):
        check("x", "an order", **SOURCE, holds=frame)
    with pytest.raises(ValueError, match="share a name"):
        check("x", "an order", **SOURCE, holds=pd.Series([True, False], index=["a", "a"]))


def test_missed_parts_are_named():
    claim = check("x", "rises", **SOURCE, holds={"N=32": True, "N=128": False})
    assert claim.missed == "N=128"
    assert "<dt>Missed</dt><dd>N=128</dd>" in claim._repr_html_()
    claim = check("x", "y", **SOURCE, paper={"a": 1, "b": 2}, ours={"a": 1.5}, tolerance=0.1)
    assert claim.missed == "a by 0.500; b no figure"


def test_named_figures_are_told_apart_though_names_have_commas_and_end_in_numbers():
    figures = {"GRAF, N=32": 0.611, "GRAF, N=128": 0.704}
    claim = check("x", "y", **SOURCE, paper=figures, ours=figures, tolerance=0.1)
    assert claim.paper == claim.ours == "GRAF, N=32: 0.611; GRAF, N=128: 0.704"
    claim = check("x", "y", **SOURCE, holds={"GRAF, N=32": False, "GRAF, N=128": False})
    assert claim.missed == "GRAF, N=32; GRAF, N=128"


def test_the_board_has_one_figure_per_line(tmp_path):
    figures = {"a<": 1.0, "b": 2.0}
    ledger = Ledger("03_chapter", tmp_path)
    ledger.check("x", "y", **SOURCE, paper=figures, ours=figures, tolerance=0.1)
    page = board_html(read_ledger(tmp_path), {})
    assert page.count("a&lt;: 1.000<br>b: 2.000<") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_says_whose_it_is_and_where_it_can_be_read(tmp_path, kind):
    """In its box and on the board: the kind in words, and the link of the source."""
    figures = {"where": "a <place>", "kind": kind, "link": LINK, "paper": 0.8, "ours": 0.9}
    claim = Ledger("03_chapter", tmp_path).check("x", "It is so.", holds=True, **figures)
    frame = read_ledger(tmp_path)
    assert frame["kind"].tolist() == [kind]
    assert frame["link"].tolist() == [LINK]
    for page in (claim._repr_html_(), board_html(frame, {})):
        assert f'<a href="{LINK}">a &lt;place&gt;</a>; {html.escape(KINDS[kind])}' in page
    box = claim._repr_html_()
    assert ("<strong>Our claim.</strong>" in box) == (kind == "ours")
    assert ("<dt>Paper</dt><dd>0.800</dd>" in box) == (kind in ("stored", "figure", "statement"))
    assert ("<dt>Published</dt><dd>0.800</dd>" in box) == (kind in ("other", "ours"))


def test_every_kind_but_ours_needs_the_link_of_its_source():
    for kind in KINDS:
        arguments = {"where": "there", "kind": kind, "holds": True}
        if kind == "ours":
            assert "<a " not in check("x", "It is so.", **arguments)._repr_html_()
        else:
            with pytest.raises(ValueError, match="needs the link of its source"):
                check("x", "It is so.", **arguments)


@pytest.mark.parametrize(
    "link", ["http://a.org", "javascript:alert(1)", "a.org", "https://", 'https://a" b', 7, None]
)
def test_what_is_no_address_is_no_link(link):
    with pytest.raises(ValueError, match="no address"):
        check("x", "It is so.", where="there", kind="other", link=link, holds=True)


def test_a_source_is_linked_only_if_it_is_an_address_and_escaped():
    assert "href" not in source_html("there", "other", "javascript:alert(1)")
    link = 'href="https://a.org/?a=1&amp;b=2"'
    assert link in source_html("there", "other", "https://a.org/?a=1&b=2")


def test_a_claim_says_its_kind():
    with pytest.raises(TypeError, match="kind"):
        check("x", "It is so.", where="there", holds=True)


@pytest.mark.parametrize(
    ("ours", "options", "verdict", "shown"),
    [  # half of 0.01, and 1.96 * 0.01, and their sum
        (0.855, {"precision": 0.01}, HOLDS, "± 0.005 (precision of the source)"),
        (0.8551, {"precision": 0.01}, FAILS, "± 0.005 (precision of the source)"),
        (0.8696, {"standard_error": 0.01}, HOLDS, "± 0.02 (1.96 standard errors)"),
        (0.8697, {"standard_error": 0.01}, FAILS, "± 0.02 (1.96 standard errors)"),
        (
            0.8746,
            {"precision": 0.01, "standard_error": 0.01},
            HOLDS,
            "± 0.025 (precision of the source + 1.96 standard errors)",
        ),
        (
            0.8747,
            {"precision": 0.01, "standard_error": 0.01},
            FAILS,
            "± 0.025 (precision of the source + 1.96 standard errors)",
        ),
    ],
)
def test_the_tolerance_comes_from_the_source_and_the_seeds(ours, options, verdict, shown):
    claim = check("x", "a figure", **SOURCE, paper=0.85, ours=ours, **options)
    assert (claim.verdict, claim.tolerance) == (verdict, shown)


def test_each_figure_has_its_own_standard_error():
    options = {"paper": {"a": 1, "b": 1}, "ours": {"a": 1.1, "b": 1.1}, **SOURCE}
    claim = check("x", "two", standard_error={"a": 0.1, "b": 0.01}, **options)
    assert claim.missed == "b by 0.100"
    assert claim.tolerance == "± 0.02 to 0.2 (1.96 standard errors)"
    with pytest.raises(ValueError, match="standard_error names"):
        check("x", "two", standard_error={"a": 0.1}, **options)


@pytest.mark.parametrize(
    ("paper", "least"),
    [(0.845, 0.845), (-0.845, 0.845), ({"a": 0.1, "b": -30.0}, 30.0), (0.0, 1.0), (1e-9, 1e-9)],
)
def test_a_tolerance_as_wide_as_the_figures_is_refused(paper, least):
    """At its limit it would be met by nothing at all, and by twice as much."""
    for argument, limit in (("tolerance", least), ("precision", 2 * least)):
        for width in (limit, 1e9):
            with pytest.raises(ValueError, match=f"'x': {argument}=.*too wide.*Pass less than"):
                check("x", "y", **SOURCE, paper=paper, ours=paper, **{argument: width})
        below = {argument: 0.999 * limit}
        assert check("x", "y", **SOURCE, paper=paper, ours=paper, **below).verdict == HOLDS
        if isinstance(paper, float) and paper:
            for far in (0.0, 2 * paper):
                assert check("x", "y", **SOURCE, paper=paper, ours=far, **below).verdict == FAILS


def test_what_cannot_be_tested_needs_a_reason():
    claim = check("x", "on a GPU", **SOURCE, reason="no GPU here")
    assert claim.verdict == UNTESTED
    with pytest.raises(ValueError, match="Pass ours, holds, or the reason"):
        check("x", "on a GPU", **SOURCE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ours": 1.0, "paper": 1.0}, "within a tolerance"),
        ({"ours": 1.0, "tolerance": 0.1}, "within a tolerance"),
        ({"ours": {"c": 1}, "paper": {"a": 1}, "tolerance": 0.1}, "names \\['c'\\]"),
        ({"holds": []}, "holds is empty"),
        ({"holds": {}}, "holds is empty"),
        ({"holds": pd.DataFrame()}, "holds is empty"),
        ({"holds": True, "tolerance": 0.1}, "would not be used"),
        ({"holds": True, "standard_error": 0.1}, "would not be used"),
        ({"holds": [True], "decisive": "N=32"}, "no parts of it"),
        ({"holds": [True], "decisive": [0]}, "no parts of it"),
        ({"ours": {}, "paper": {}, "tolerance": 0.1}, "paper has no figure"),
        ({"ours": 1.0, "paper": math.nan, "tolerance": 0.1}, "no finite figure"),
        ({"ours": 1.0, "paper": {"a": 1.0}, "tolerance": 0.1}, "names \\[''\\]"),
        ({"ours": "better", "paper": 1.0, "tolerance": 0.1}, "ours='better' is not a number"),
        ({"ours": 1.0, "paper": "0.845", "tolerance": 0.1}, "paper='0.845' is not a number"),
        ({"ours": True, "paper": 1.0, "tolerance": 0.1}, "ours=True is not a number"),
        ({"ours": 1.0, "paper": 1.0, "tolerance": math.inf}, "must be a finite number"),
        ({"ours": 1.0, "paper": 1.0, "tolerance": math.nan}, "must be a finite number"),
        ({"ours": 1.0, "paper": 1.0, "tolerance": -0.1}, "must be a finite number"),
        ({"ours": 1.0, "paper": 1.0, "tolerance": True}, "must be a finite number"),
        ({"ours": 1.0, "paper": 1.0, "tolerance": "0.1"}, "must be a finite number"),
        ({"ours": 1.0, "paper": 1.0, "standard_error": math.nan}, "One seed has no spread"),
        ({"ours": 1.0, "paper": 1.0, "tolerance": 0.1, "precision": 0.1}, "not both"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        check("x", "a claim", **SOURCE, **arguments)


def test_a_kind_that_is_not_known_is_named():
    with pytest.raises(ValueError, match="kind='our'.*Did you mean 'ours'"):
        check("x", "a claim", where="there", kind="our", holds=True)


def test_the_box_shows_everything_and_escapes_it():
    claim = check(
        "a<b",
        "τ < 1",
        **SOURCE | {"where": "t & f"},
        paper=1234,
        ours=1234,
        tolerance=0,
        reason="<script>",
    )
    box = claim._repr_html_()
    for text in ("τ &lt; 1", "t &amp; f", "1,234", "± 0", "&lt;script&gt;", "Verdict: holds"):
        assert text in box
    assert "<script>" not in box
    assert 'class="claim-box holds"' in box


SCRIPT = "<script>alert('x')</script>"


def test_no_text_of_a_claim_reaches_a_page_unescaped(tmp_path):
    """A script in any text, in the box of the chapter and on the board."""
    ledger = Ledger("03_chapter", tmp_path)
    box = ledger.check(
        SCRIPT, SCRIPT, where=SCRIPT, kind="ours", paper=SCRIPT, ours=SCRIPT, reason=SCRIPT,
        holds={SCRIPT: False, "b": True},
    )._repr_html_()  # fmt: skip
    frame = read_ledger(tmp_path)
    frame["tolerance"] = SCRIPT
    other = frame.assign(chapter=SCRIPT, verdict=SCRIPT, kind=SCRIPT, link=SCRIPT)
    for page in (
        box,
        board_html(frame, {"03_chapter": SCRIPT}),
        board_html(other, {}),
        summary_html(other, {}),
        summary_html(frame, {"03_chapter": SCRIPT}),
    ):
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_the_board_links_to_the_box_of_each_claim(tmp_path):
    """Whatever the id: the fragment of the address, decoded, is the id of the box."""
    for name in ("graf-beats-zcp", "xgb+", 'a "b" <c>&d', "50 %"):
        box = Ledger("03_chapter", tmp_path).check(name, "y", **SOURCE, holds=True)._repr_html_()
        (written,) = re.findall(r' id="([^"]*)"', box)
        (fragment,) = re.findall(
            r'href="03_chapter.html#([^"]*)"', board_html(read_ledger(tmp_path), {})
        )
        assert unquote(fragment) == html.unescape(written) == f"claim-{name}"


@pytest.mark.parametrize(
    "chapter",
    ["../escape", "..", "/tmp/escape", "a/b", "a\\b", "", ".hidden", "a\n", "<b>", 3, None],
)
def test_a_ledger_stays_in_its_folder(tmp_path, chapter):
    folder = tmp_path / "claims"
    with pytest.raises(ValueError, match="must be the name of a notebook"):
        Ledger(chapter, folder)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[{",
        "7",
        '{"a": 1}',
        "[1]",
        "[{}]",
        "[" * 100_000,
        b"\xff",
        ("verdict", "<script>"),
        ("verdict", "hold"),
        ("chapter", "../other"),
        ("paper", 7),
        ("kind", "theirs"),
        ("link", "javascript:alert(1)"),
    ],
)
def test_a_damaged_ledger_is_an_error_with_a_remedy(tmp_path, text):
    folder = tmp_path / "claims"
    Ledger("03_chapter", folder).check("one", "first", **SOURCE, holds=True)
    file = folder / "03_chapter.json"
    if isinstance(text, tuple):
        (row,) = json.loads(file.read_text(encoding="utf-8"))
        text = json.dumps([row | {text[0]: text[1]}])
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match="Remove the folder"):
        read_ledger(folder)
    shutil.rmtree(folder)  # the remedy: remove it, and run the chapter again
    Ledger("03_chapter", folder).check("one", "first", **SOURCE, holds=True)
    assert len(read_ledger(folder)) == 1


def test_missing_claims_are_an_error(tmp_path):
    for chapter in ("01_a", "02_b"):
        Ledger(chapter, tmp_path).check("one", "first", **SOURCE, holds=True)
    assert len(read_ledger(tmp_path, ["01_a", "02_b"])) == 2
    (tmp_path / "02_b.json").unlink()
    with pytest.raises(ValueError, match=r"lacks the claims of \['02_b'\]"):
        read_ledger(tmp_path, ["01_a", "02_b"])
    Ledger("02_b", tmp_path)  # a chapter without claims still has its file
    assert len(read_ledger(tmp_path, ["01_a", "02_b"])) == 1


def test_a_killed_writer_leaves_nothing_for_long(tmp_path, monkeypatch):
    """Whole or not at all, and what a killed run left goes with the next write."""
    Ledger("03_chapter", tmp_path).check("one", "first", **SOURCE, holds=True)
    before = (tmp_path / "03_chapter.json").read_bytes()
    code = (
        "import os, signal\nfrom graf_utils import _files, claims\n"
        "_files.os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"claims.Ledger('03_chapter', {str(tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", code])
    assert (tmp_path / "03_chapter.json").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
    Ledger("03_chapter", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["03_chapter.json"]


def test_the_ledger_is_written_and_read(tmp_path):
    ledger = Ledger("03_chapter", tmp_path)
    ledger.check("one", "first", **SOURCE, paper=1.0, ours=1.0, tolerance=0.1)
    ledger.check("two", "second", **SOURCE, holds=False)
    ledger.check("one", "first, again", **SOURCE, paper=1.0, ours=2.0, tolerance=0.1)
    Ledger("02_chapter", tmp_path).check("three", "third", **SOURCE, holds=True)
    frame = read_ledger(tmp_path)
    assert frame["id"].tolist() == ["three", "two", "one"]
    assert frame["verdict"].tolist() == [HOLDS, FAILS, FAILS]
    Ledger("03_chapter", tmp_path)  # the chapter runs again: its old claims are gone
    assert read_ledger(tmp_path)["id"].tolist() == ["three"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "02_chapter.json",
        "03_chapter.json",
    ]


def test_a_ledger_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("GRAF_LEDGER_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    Ledger("03_chapter").check("one", "first", **SOURCE, holds=True)
    assert not list(tmp_path.iterdir())
    assert read_ledger().empty
    monkeypatch.setenv("GRAF_LEDGER_DIR", str(tmp_path / "ledger"))
    Ledger("03_chapter").check("one", "first", **SOURCE, holds=True)
    (file,) = (tmp_path / "ledger").iterdir()
    assert json.loads(file.read_text(encoding="utf-8"))[0]["verdict"] == HOLDS


def test_a_broken_claim_shows_as_broken_and_does_not_stop(tmp_path):
    claim = Ledger("03_chapter", tmp_path).check(
        "broken", "τ is .845", **SOURCE, paper=0.845, ours=0.1, tolerance=0.002
    )
    assert "claim-box fails" in claim._repr_html_()
    assert read_ledger(tmp_path)["verdict"].tolist() == [FAILS]


def test_glue_is_silent_without_the_book():
    code = (
        "import sys; sys.modules['myst_nb'] = None\nfrom graf_utils.claims import glue; glue(x=1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert glue() is None


def test_a_link_that_is_refused_is_taken_as_the_message_says():
    link = "https://example.org/a b?c='<d>\""
    with pytest.raises(ValueError, match="is no address") as error:
        check("x", "It is so.", where="there", kind="statement", link=link, holds=True)
    for sign, code in zip(" \"'<>", re.findall(r"%\w\w", str(error.value)), strict=True):
        link = link.replace(sign, code)
    claim = check("x", "It is so.", where="there", kind="statement", link=link, holds=True)
    assert f'href="{link}"' in claim._repr_html_()
