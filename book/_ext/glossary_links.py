"""Links from the chapters to the glossary: the first use of each of its words on a page.

A Markdown cell holds no role, since Jupyter would show it as raw text (``graf_utils/chapter.py``),
so nobody writes these links. The meaning is the link's title, which a mouse shows.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
CHAPTERS = "notebooks/"
CLASS = "glossary-link"
# What is no running prose, or is a link or a name already.
_LEFT_ALONE = (
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.title,
    nodes.caption,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.table,
    nodes.comment,
)


class Word(NamedTuple):
    """A word of the glossary: where it stands, what it means, how it is found in a sentence."""

    target: str
    meaning: str
    pattern: re.Pattern[str]


def read_words(app: Sphinx) -> list[Word]:
    """The words of the glossary, longer ones first, so that parts of them are not found instead."""
    words = []
    for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        paragraph = next(item.findall(nodes.paragraph))
        meaning = " ".join(paragraph.astext().split())
        for term in item.findall(nodes.term):
            words.append(Word(term["ids"][0], meaning, _pattern(term.astext())))
    return sorted(words, key=lambda word: -len(word.pattern.pattern))


def _pattern(name: str) -> re.Pattern[str]:
    """The word, with small letters or a large first one, one or several; acronyms as they are."""
    if name != name.lower():
        return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    plural = rf"{re.escape(name[:-1])}(?:y|ies)" if name[-1] == "y" else rf"{re.escape(name)}s?"
    return re.compile(rf"(?<![\w-]){plural}(?![\w-])", re.IGNORECASE)


def link_words(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the first use of each word in a chapter."""
    if not docname.startswith(CHAPTERS) or GLOSSARY not in app.env.found_docs:
        return
    if not hasattr(app, "glossary_words"):
        app.glossary_words = read_words(app)
    address = app.builder.get_relative_uri(docname, GLOSSARY)
    for word in app.glossary_words:
        _link_first(doctree, word, f"{address}#{word.target}")


def _link_first(doctree: nodes.document, word: Word, address: str) -> None:
    for text in doctree.findall(nodes.Text):
        match = word.pattern.search(text)
        if match and _is_prose(text):
            text.parent.replace(text, _with_link(str(text), match, word.meaning, address))
            return


def _is_prose(text: nodes.Text) -> bool:
    parent, inside = text.parent, False
    while parent is not None:
        if isinstance(parent, _LEFT_ALONE):
            return False
        inside = inside or isinstance(parent, nodes.paragraph)
        parent = parent.parent
    return inside


def _with_link(text: str, match: re.Match[str], meaning: str, address: str) -> list[nodes.Node]:
    link = nodes.reference(
        "", match.group(), refuri=address, internal=True, reftitle=meaning, classes=[CLASS]
    )
    parts = [nodes.Text(text[: match.start()]), link, nodes.Text(text[match.end() :])]
    return [part for part in parts if part.astext()]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("doctree-resolved", link_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
