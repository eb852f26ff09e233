"""What every chapter of the book does: begin, say, check, ask, and end, in Jupyter and on the site.

A chapter begins with ``page = Chapter("02_graf")`` and ends with ``page.finish(answer)``. Between
them a sentence with a number in it is *said by the cell that computes the number*, so that it reads
the same in JupyterLab, on Binder, in Colab and on the site, and follows the parameters.

How sentences are written
-------------------------
The site is built by MyST-NB, which knows roles: ``{cite}`kadlecova_2024_graf``` becomes a
citation, ``{numref}`fig-cell``` a numbered link. Jupyter knows none: there a role is raw text.
MyST-NB reads roles in the *output* of a cell too, if ``nb_render_markdown_format`` is "myst" (in
``_config.yml``); citations, links between pages and numbers of figures then resolve. From this
follow the rules.

1. A Markdown cell is shown as it is everywhere. Write no role and no directive in it; a link
   ``[text](03_predictors.ipynb)`` works in Jupyter and on the site.
2. A sentence with a number, or with a role, is said by a code cell: ``page.say(...)``. While the
   book is being built (``GRAF_BOOK`` is set, by ``book/_ext/fresh.py``) roles go out as they are.
   Anywhere else the same text goes out as plain Markdown (`plain_markdown`): a citation as a link
   with authors and year; ``{numref}`fig-cell```, on the site "Fig. 3", as "the figure"; a link to
   a page that is not at hand as a link to the site.
3. Headings belong in Markdown cells (in an output they would be missing from the contents), and
   HTML is shown as text. `Chapter.say` refuses headings, directives and ``{glue}``.
4. A cell whose picture has a caption (``mystnb: figure`` in its metadata) says nothing: MyST-NB
   puts *each* output of such a cell into a figure. The next cell speaks.
5. Other pages may paste a chapter's values: ``page.glue(n_cells=...)`` there, ``{glue:text}`` here.
"""

from __future__ import annotations

import functools
import os
import re
import time
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graf_utils._checks import choice
from graf_utils.claims import Ledger, glue

__all__ = ["SITE", "SOURCES", "Chapter", "in_book", "in_words", "plain_markdown"]

SITE = "https://graf-book.github.io/graf-book/"
SOURCES = ("embedded", "paper")
WAITING = "*The answer appears here when the chapter has run to its end.*"

_ROLE = re.compile(r"\{([A-Za-z][\w:+.-]*)\}(`+)(.+?)\2", re.DOTALL)
_CODE = re.compile(r"(`+)(?:.+?)\1", re.DOTALL)
_TITLED = re.compile(r"(.+?)\s*<([^<>]+)>", re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_HEADING = re.compile(r"^ {0,3}(#{1,6}\s|\S.*\n {0,3}(=+|-{2,})\s*$)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*\{", re.MULTILINE)


def in_book() -> bool:
    """Tell whether the chapter is run by the build of the book."""
    return bool(os.environ.get("GRAF_BOOK"))


def in_words(table: Any) -> str:
    """Say which table it is, for the opening of a chapter.

    Parameters
    ----------
    table : Table
        From `graf_utils.load_table`.

    Returns
    -------
    str
        Its name and what it is called in words, if the registry says so, else its source.

    Examples
    --------
    >>> from graf_utils import load_table
    >>> in_words(load_table("nb201-cpu-latency"))
    'nb201-cpu-latency, embedded source'
    >>> in_words(load_table("nb201-cifar10"))[:49]
    'nb201-cifar10, accuracies of AnalogNAS-Bench, τ 0'
    """
    return f"{table.name}, {_called(table)}"


def _called(table: Any) -> str:
    """What the registry calls a table in words, else its source."""
    return table.provenance.get("called") or f"{table.source} source"


class Chapter:
    """One chapter while it runs: its style, its sentences, its claims and its time.

    Making one sets what all chapters share: the book's style of figures (as SVG without a date, so
    that two builds are equal) and warnings of one line. It shows the place where `finish` puts the
    chapter's answer.

    Parameters
    ----------
    name : str
        Name of the notebook, such as ``"02_graf"``.
    ledger_dir : path, optional
        Folder of the claims ledger; see `graf_utils.claims.Ledger`.

    Attributes
    ----------
    source : str
        Where tables come from unless a parameter says otherwise: ``GRAF_SOURCE``, else
        ``"embedded"``.
    ledger : Ledger
        The claims checked so far.

    Raises
    ------
    ValueError
        The name is no file name, or ``GRAF_SOURCE`` is neither "embedded" nor "paper".
    """

    def __init__(self, name: str, ledger_dir: str | os.PathLike[str] | None = None) -> None:
        self._start = time.perf_counter()
        self.source = os.environ.get("GRAF_SOURCE") or SOURCES[0]
        choice("GRAF_SOURCE", self.source, SOURCES)
        self.ledger = Ledger(name, ledger_dir)
        self._data: list[str] = []
        self._exercises: list[str] = []
        set_style()
        self._place = _show_markdown(WAITING, updatable=True)

    def use(self, table: Any) -> Any:
        """Note a table as the chapter's data, for the line below the answer.

        Parameters
        ----------
        table : Table
            From `graf_utils.load_table`.

        Returns
        -------
        Table
            The same.

        Raises
        ------
        ValueError
            It is no table.
        """
        if not all(hasattr(table, name) for name in ("name", "source", "codes")):
            raise ValueError(
                f"table is {type(table).__name__}; it must be a Table. Write "
                "page.use(load_table(name))."
            )
        description = f"`{table.name}` ({_called(table)}; {len(table):,} networks)"
        if description not in self._data:
            self._data.append(description)
        return table

    def say(self, *lines: str) -> None:
        """Show sentences, which may hold numbers and roles, as Markdown.

        Parameters
        ----------
        *lines : str
            Lines of Markdown; "" begins a new paragraph. Numbers come in by f-strings.

        Raises
        ------
        ValueError
            A heading, a directive or ``{glue}`` is in the text: see the rules of the module.
        """
        text = _joined("lines", lines)
        _refuse(text)
        _show_markdown(_rendered(text))

    def check(self, id: str, claim: str, **arguments: Any) -> None:
        """Check a claim, keep it and show its box; see `graf_utils.claims.check`.

        Nothing is returned, so that the box is shown once wherever the call stands in its cell.
        The result is the last of ``page.ledger.claims``.

        Parameters
        ----------
        id, claim : str
            Short unique name, and the statement in our words.
        **arguments
            The others of `graf_utils.claims.check`.

        Raises
        ------
        ValueError
            The arguments do not say what to compare.
        """
        _display(self.ledger.check(id, claim, **arguments))

    def glue(self, **values: Any) -> None:
        """Keep values that other pages of the book paste; see `graf_utils.claims.glue`.

        Parameters
        ----------
        **values : number, str or figure
            By the name under which a page asks for it.
        """
        glue(**values)

    def exercise(self, question: str, answer: str) -> None:
        """Ask the reader something, with the answer to be opened by a click.

        Parameters
        ----------
        question, answer : str
            Markdown, as in `say`; numbers in them follow the parameters.
        """
        _refuse(_joined("question, answer", (question, "", answer)))
        if question not in self._exercises:  # a cell that is run again keeps its numbers
            self._exercises.append(question)
        number = self._exercises.index(question) + 1
        _show_markdown(
            f"**Exercise {number}.** {_rendered(question)}\n\n"
            f"<details><summary>Answer</summary>\n\n{_rendered(answer)}\n\n</details>"
        )

    def finish(self, *answer: str, brief: str | None = None) -> None:
        """End the chapter: put the answer below the title, with the time and the data.

        Parameters
        ----------
        *answer : str
            Lines of Markdown, as in `say`: the answer to the chapter's question with its number.
        brief : str, optional
            The answer in a few words of plain text, for the list of chapters on the home page.
        """
        text = _joined("answer", answer)
        _refuse(text)
        seconds = time.perf_counter() - self._start
        glue(run_seconds=seconds)
        if brief is not None:
            glue(brief=brief)
        data = f" Data:* {'; '.join(self._data)}." if self._data else "*"
        facts = f"*Ran in {seconds:.0f} s.{data}"
        self._place(f"**In short.** {_rendered(text)}\n\n{facts}")


def set_style() -> None:
    """Set the style of figures and warnings that all chapters share."""
    from graf_utils import plots

    plots.theme()
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # not in a notebook
        pass
    else:
        if _shell() is not None:
            set_matplotlib_formats("svg", metadata={"Date": None})
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # for authors of libraries
    warnings.formatwarning = _one_line


def _one_line(message: Any, category: type[Warning], *place: Any, **more: Any) -> str:
    """Leave out the path of the file, which is another on each machine."""
    return f"{category.__name__}: {message}\n"


def plain_markdown(text: str) -> str:
    """Rewrite roles as Markdown that any Jupyter shows, with the same meaning.

    Parameters
    ----------
    text : str
        Markdown with MyST roles.

    Returns
    -------
    str
        Citations as links with authors and year, other roles as their text or as code, links to
        pages that are not at hand as links to the site. Code and mathematics stay as they are.

    Examples
    --------
    >>> plain_markdown("see {numref}`fig-cell` and {term}`train size`")
    'see the figure and train size'
    >>> plain_markdown("{py:mod}`graf_utils.encodings`, `{cite}`")
    '`graf_utils.encodings`, `{cite}`'
    """
    text = _outside_code(text, lambda part: part, _plain_role)
    return _outside_code(text, lambda part: _LINK.sub(_plain_link, part))


def _rendered(text: str) -> str:
    """The text for whoever reads it: MyST for the book, plain Markdown elsewhere; no HTML."""
    text = _outside_code(text, lambda part: _TAG.sub("&lt;", part), lambda role: role.group())
    return text if in_book() else plain_markdown(text)


def _outside_code(
    text: str,
    change: Callable[[str], str],
    change_role: Callable[[re.Match[str]], str] | None = None,
) -> str:
    """Change the text between code spans, and perhaps roles, but never code."""
    parts, end = [], 0
    while end < len(text):
        role, code = _ROLE.search(text, end), _CODE.search(text, end)
        first = role if role and (code is None or role.start() < code.start()) else code
        if first is None:
            break
        parts.append(change(text[end : first.start()]))
        is_role = first is role and change_role is not None
        parts.append(change_role(first) if is_role else first.group())
        end = first.end()
    return "".join(parts) + change(text[end:])


def _joined(what: str, lines: tuple[Any, ...]) -> str:
    """The lines of a text; an error if one is something else, such as a number or a list."""
    for line in lines:
        if not isinstance(line, str):
            raise ValueError(
                f"{what}: {line!r:.80} is {type(line).__name__}; pass text. Numbers come in by "
                "f-strings, and several lines as several arguments: page.say(*lines)."
            )
    return "\n".join(lines)


def _refuse(text: str) -> None:
    """Refuse what is not shown alike in Jupyter and on the site."""
    outside = _outside_code(text, lambda part: part, lambda role: role.group())
    for pattern, what, instead in (
        (_DIRECTIVE, "a directive", "Write plain Markdown, or page.exercise(...)."),
        (_HEADING, "a heading", "Put it into a Markdown cell."),
        (re.compile(r"\{glue"), "{glue}", "Write the value itself into the f-string."),
    ):
        match = pattern.search(outside)
        if match:
            raise ValueError(
                f"say: {match.group().strip()!r} is {what}, which Jupyter and the site show "
                f"differently. {instead}"
            )


def _plain_role(role: re.Match[str]) -> str:
    name, content = role[1], " ".join(role[3].split())
    titled = _TITLED.fullmatch(content)
    if name.split(":")[0] == "cite":
        citations = "; ".join(_citation(key.strip()) for key in content.split(","))
        return citations if name in ("cite:t", "cite:ct") else f"({citations})"
    if name == "math":
        return f"${content}$"
    if name == "doc":
        title, target = titled.groups() if titled else (Path(content).name, content)
        suffix = ".ipynb" if Path(target).name[:1].isdigit() else ".md"
        return f"[{title}]({target.removesuffix(suffix)}{suffix})"
    if name == "numref":  # Jupyter does not number figures
        return "the table" if content.split("<")[-1].startswith("tab") else "the figure"
    if titled:
        return titled[1]
    if name == "ref":
        return content.replace("-", " ")
    return content if name in ("term", "abbr") else f"`{content.lstrip('~!.')}`"


def _citation(key: str) -> str:
    authors, year, url = _bibliography().get(key, (key.split("_")[0].title(), "", ""))
    if not year:
        year = next((part for part in key.split("_") if part.isdigit()), "")
    return f"[{authors} {year}]({url or SITE + 'book/references.html'})".replace(" ]", "]")


@functools.cache
def _bibliography() -> dict[str, tuple[str, str, str]]:
    """Authors, year and address of each entry of the book's bibliography, if it is at hand."""
    file = _root() / "book" / "references.bib"
    if not file.is_file():
        return {}
    entries = {}
    for entry in re.split(r"^@", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        key = entry.partition("{")[2].partition(",")[0].strip()
        fields = [
            re.search(rf"^\s*{name}\s*=\s*\{{(.*?)\}},?\s*$", entry, re.MULTILINE | re.DOTALL)
            for name in ("author", "year", "url", "doi")
        ]
        author, year, url, doi = (field[1] if field else "" for field in fields)
        address = url or (f"https://doi.org/{doi}" if doi else "")
        entries[key] = (_surnames(author), year, address)
    return entries


def _surnames(authors: str) -> str:
    names = [name.partition(",")[0].strip() for name in re.split(r"\s+and\s+", authors)]
    names = [_unaccent(name) for name in names]
    if len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names)


def _unaccent(name: str) -> str:
    """Turn accents as TeX writes them into letters."""
    marks = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303",
             "v": "\u030c", "c": "\u0327", "H": "\u030b"}  # fmt: skip
    accent = re.compile(r"\{?\\(['`\"^~]|[vcH](?=[\s{]))\s*\{?(\w)\}?\}?")
    name = accent.sub(lambda m: unicodedata.normalize("NFC", m[2] + marks[m[1]]), name)
    return name.replace("{", "").replace("}", "")


def _plain_link(link: re.Match[str]) -> str:
    image, text, target = link.groups()
    if image or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target):
        return link.group()
    if target.startswith("#"):  # an anchor of the site
        return text
    path, _, anchor = target.partition("#")
    if Path(path).is_file():
        return f"[{text}]({path})"
    page = os.path.normpath(os.path.join("notebooks", path))
    page = re.sub(r"\.(ipynb|md)$", ".html", page.removeprefix("../"))
    return f"[{text}]({SITE}{page}{'#' + anchor if anchor else ''})"


def _root() -> Path:
    return Path(__file__).resolve().parent.parent


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _display(thing: Any) -> None:
    if _shell() is None:
        print(thing)
        return
    from IPython.display import display

    display(thing)


def _show_markdown(text: str, updatable: bool = False) -> Callable[[str], None]:
    """Show Markdown; the function that is returned replaces it, wherever it stands."""
    if _shell() is None:
        if not updatable:
            print(text)
        return print
    from IPython.display import Markdown, display

    if not updatable:
        display(Markdown(text))
        return print
    handle = display(Markdown(text), display_id=True)
    return lambda later: handle.update(Markdown(later))
