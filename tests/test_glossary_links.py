"""Chapters link the first use of each word of the glossary; nobody writes these links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).resolve().parent.parent / "book" / "_ext"

CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "glossary_links"]
root_doc = "intro"
"""

GLOSSARY = """# Glossary

```{glossary}
:sorted:

twin
    A network that computes *the same* as another.

operation subset
    Some of the operations.

operation
    What is computed.

GRAF
    Features of a graph.

search strategy
    How the next network is chosen.
```
"""

CHAPTER = """# A twin

`twin` is a name, [a twin](https://example.com) a link, and in operation-wise there is no word.

Twins come in pairs, and each twin has a twin. An operation subset is not an operation.
A giraf is no GRAF, and graf is a name. Two search strategies.

| a table of | GRAF |
| --- | --- |
| twin | operation |
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    pages = {
        "conf.py": CONF,
        "intro.md": "# Intro\n\nA twin.\n\n```{toctree}\nbook/glossary\nnotebooks/chapter\n```\n",
        "book/glossary.md": GLOSSARY,
        "notebooks/chapter.md": CHAPTER,
    }
    for name, text in pages.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(root), "out"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return root / "out"


def links(page):
    text = page.read_text(encoding="utf8")
    found = re.findall(r'<a class="([^"]*)" href="([^"]*)" title="([^"]*)">(.*?)</a>', text)
    return [link[1:] for link in found if "glossary-link" in link[0]]


def test_the_first_use_of_each_word_is_linked_with_its_meaning(site):
    assert links(site / "notebooks" / "chapter.html") == [
        (
            "../book/glossary.html#term-twin",
            "A network that computes the same as another.",
            "Twins",
        ),
        (
            "../book/glossary.html#term-operation-subset",
            "Some of the operations.",
            "operation subset",
        ),
        ("../book/glossary.html#term-operation", "What is computed.", "operation"),
        ("../book/glossary.html#term-GRAF", "Features of a graph.", "GRAF"),
        (
            "../book/glossary.html#term-search-strategy",
            "How the next network is chosen.",
            "search strategies",
        ),
    ]


def test_the_links_lead_somewhere(site):
    glossary = (site / "book" / "glossary.html").read_text(encoding="utf8")
    for address, *_ in links(site / "notebooks" / "chapter.html"):
        assert f'id="{address.split("#")[1]}"' in glossary


def test_other_pages_are_as_written(site):
    assert links(site / "intro.html") == links(site / "book" / "glossary.html") == []
