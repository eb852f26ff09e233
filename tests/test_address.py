"""One line holds the repository's address; all that names it follows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import address as address_file
import pytest
from address import ROOT, main, rewrite, site_of, text_files, wanted, written

from graf_utils.chapter import SITE

OWN_PLACES = re.compile(
    r"(?:git clone |git\+|/gh/|googleapis\.com/github/|/github/)(?:https://github\.com/)?"
    r"([A-Za-z0-9-]+/[A-Za-z0-9_.-]*[A-Za-z0-9_-])"
)
"""Addresses that can only mean this repository: to clone, to install, to open elsewhere."""
PAGES = re.compile(r"https://[A-Za-z0-9-]+\.github\.io/[A-Za-z0-9_.-]*/?")
NAME_THE_SITE = ("README.md", "CITATION.cff", "pyproject.toml", "_config.yml")
MOVED = "some-body/another.book"


def files(root: Path) -> dict[str, str]:
    """Text of each file that may name the address, but those that are about the naming."""
    about = {"tests/address.py", "tests/test_address.py"}
    found = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf8")
        for path in text_files(root)
    }
    return {name: text for name, text in found.items() if name not in about}


def test_every_file_names_the_address_of_the_one_line():
    repository = wanted()
    assert written() == repository, "run `make address`"
    assert site_of(repository) == SITE
    texts = files(ROOT)
    named = {
        name: set(OWN_PLACES.findall(text))
        for name, text in texts.items()
        if OWN_PLACES.search(text)
    }
    assert {name: found for name, found in named.items() if found != {repository}} == {}
    assert {"README.md", "book/install.md", "book/how_to_read.md"} <= set(named)
    for name in NAME_THE_SITE:
        assert f"https://github.com/{repository}" in texts[name], name
        assert set(PAGES.findall(texts[name])) == {SITE}, name


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("https://github.com/a/b.", f"https://github.com/{MOVED}."),
        ("git+https://github.com/a/b@main", f"git+https://github.com/{MOVED}@main"),
        ("mybinder.org/v2/gh/a/b/main?x", f"mybinder.org/v2/gh/{MOVED}/main?x"),
        ("google.com/github/a/b/blob/main", f"google.com/github/{MOVED}/blob/main"),
        ("https://a.github.io/b/x.html", "https://some-body.github.io/another.book/x.html"),
        ("https://a.github.io/b", "https://some-body.github.io/another.book"),
        ("https://github.com/a/b-c", None),
        ("https://github.com/a/bc", None),
        ("https://a.github.io/bc/", None),
        ("a/b", None),
    ],
)
def test_only_addresses_are_rewritten(text, changed):
    assert rewrite(text, "a/b", MOVED) == (changed or text)
    assert rewrite(rewrite(text, "a/b", MOVED), MOVED, "a/b") == text


def test_the_site_of_a_user():
    assert site_of("Some/Book") == "https://some.github.io/Book/"
    assert site_of("some/some.github.io") == "https://some.github.io/"


def move(root: Path, to: str) -> None:
    """Change the one line."""
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf8")
    changed = re.sub(r'^Source = ".*"$', f'Source = "{to}"', text, flags=re.MULTILINE)
    path.write_text(changed, encoding="utf8")


@pytest.fixture
def copied(tmp_path) -> Path:
    """The tree without tables, tests and most chapters."""
    leave_out = shutil.ignore_patterns("_build", "tests", "data", "__pycache__", ".git", ".venv")
    shutil.copytree(ROOT, tmp_path / "tree", ignore=leave_out)
    for path in (tmp_path / "tree" / "notebooks").glob("*.ipynb"):
        if path.stem != "02_graf":
            path.unlink()
    return tmp_path / "tree"


@pytest.mark.parametrize(
    "wrong", ["https://gitlab.com/a/b", "https://github.com/a", "git@github.com:a/b", ""]
)
def test_an_address_that_cannot_be_is_refused(copied, wrong):
    move(copied, wrong)
    with pytest.raises(SystemExit) as error:
        main(copied)
    message = str(error.value)
    assert repr(wrong) in message
    assert address_file.LINE in message
    assert "https://github.com/OWNER/NAME" in message


@pytest.mark.slow
def test_buttons_badges_and_links_follow_the_one_line(copied, capsys):
    """In a copy: the line is changed, the command is run, and two pages are built."""
    old = wanted(copied)
    move(copied, f"https://github.com/{MOVED}")
    main(copied)
    assert "README.md" in capsys.readouterr().out
    for name, text in files(copied).items():
        assert f"github.com/{old}" not in text, name
        assert site_of(old).split("//")[1] not in text, name
    main(copied)
    assert capsys.readouterr().out == f"Every file names {MOVED} already.\n"

    build(copied)
    html = copied / "_build" / "html"
    for path in html.rglob("*.html"):
        text = path.read_text(encoding="utf8")
        assert f"/{old}" not in text, path
        assert site_of(old) not in text, path
    page = (html / "notebooks" / "02_graf.html").read_text(encoding="utf8")
    for link in (
        f'"canonical" href="{site_of(MOVED)}notebooks/02_graf.html"',
        f'property="og:url" content="{site_of(MOVED)}notebooks/02_graf.html"',
        f"https://mybinder.org/v2/gh/{MOVED}/main?urlpath=lab/tree/notebooks/02_graf.ipynb",
        f"https://colab.research.google.com/github/{MOVED}/blob/main/notebooks/02_graf.ipynb",
        f"https://github.com/{MOVED}/edit/main/notebooks/02_graf.ipynb",
        f"https://github.com/{MOVED}/issues/new",
    ):
        assert link in page, link
    not_found = (html / "404.html").read_text(encoding="utf8")
    assert f"https://github.com/{MOVED}/issues" in not_found


def build(root: Path) -> None:
    """Build two pages with the book's own configuration, without running a cell."""
    toc = "format: jb-book\nroot: book/glossary\nchapters:\n  - file: notebooks/02_graf\n"
    (root / "_toc.yml").write_text(toc, encoding="utf8")
    config = root / "_config.yml"
    text = config.read_text(encoding="utf8")
    config.write_text(text.replace("notebooks: cache", 'notebooks: "off"'), encoding="utf8")
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", root],
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    assert done.returncode == 0, done.stderr[-3000:]
