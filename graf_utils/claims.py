"""The claims ledger: what the paper says, what we find, and the verdict; and claims of our own.

A chapter keeps one `Ledger` and calls `Ledger.check` for each claim. The result shows itself as a
box on the page; during a build it is also written to the ledger that the scoreboard reads. A claim
that does not hold shows as such. What raises is a question that could only be answered one way:
figures without a tolerance, a verdict that is not a boolean, a tolerance without end.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graf_utils import _checks, _files
from graf_utils._claim_figures import (
    check_widths,
    figures_of,
    is_bool,
    margins_of,
    misses,
    ndim_of,
    shown,
)

__all__ = [
    "KINDS",
    "VERDICTS",
    "Claim",
    "Ledger",
    "check",
    "glue",
    "read_ledger",
    "source_html",
]

VERDICTS = ("holds", "holds in part", "fails", "cannot be tested here")
HOLDS, IN_PART, FAILS, UNTESTED = VERDICTS

KINDS = {
    "stored": "stored outputs of the authors",
    "figure": "read off a figure of the authors",
    "statement": "stated by the authors",
    "other": "another paper's",
    "ours": "claim of this book",
}
"""Whose claim it is and where it can be read, in words."""

OURS = "ours"

CSS = dict(zip(VERDICTS, ("holds", "partly", "fails", "untested"), strict=True))
_COLUMNS = [
    "chapter", "id", "claim", "where", "paper", "ours", "tolerance", "verdict", "missed", "reason",
    "kind", "link",
]  # fmt: skip
_LINK = re.compile(r"(https://[^\s\"'<>]+)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BINARY = 5e-13  # half a unit of the twelfth decimal forgives .845 + .002 != .847 in binary


@dataclass(frozen=True)
class Claim:
    """One claim with its verdict, all as text; see `check`.

    Parameters
    ----------
    id, claim, where : str
        Short unique name, the statement, and where it stands.
    paper, ours, tolerance : str
        The figures compared and how far they may differ, as shown.
    verdict : str
        One of `VERDICTS`.
    missed : str
        The parts that do not hold.
    reason : str
        Why the tolerance is what it is, or why the claim cannot be tested.
    kind : str
        One of `KINDS`.
    link : str
        Address of the source; none for a claim of ours.
    """

    id: str
    claim: str
    where: str
    paper: str
    ours: str
    tolerance: str
    verdict: str
    missed: str
    reason: str
    kind: str = OURS
    link: str = ""

    def _repr_html_(self) -> str:
        whose = "Our claim" if self.kind == OURS else "Claim"
        source = source_html(self.where, self.kind, self.link)
        facts = {
            "Published" if self.kind in (OURS, "other") else "Paper": self.paper,
            "Here": self.ours,
            "Tolerance": self.tolerance,
            "Missed": self.missed,
        }
        listed = "".join(
            f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items() if text
        )
        note = f'<p class="claim-reason">{html.escape(self.reason)}</p>' if self.reason else ""
        return (
            f'<div class="claim-box {CSS[self.verdict]}" id="claim-{html.escape(self.id)}">'
            f'<p class="claim-text"><strong>{whose}.</strong> {html.escape(self.claim)} '
            f'<span class="claim-where">({source})</span></p>'
            f'<dl>{listed}</dl><p class="verdict">Verdict: {self.verdict}</p>{note}</div>'
        )

    def __repr__(self) -> str:
        return f"{self.claim}\n  paper: {self.paper}; here: {self.ours} -> {self.verdict}"


def check(
    id: str,
    claim: str,
    *,
    where: str,
    kind: str,
    link: str = "",
    paper: Any = None,
    ours: Any = None,
    tolerance: float | None = None,
    precision: float | None = None,
    standard_error: float | Mapping[str, float] | None = None,
    holds: Any = None,
    decisive: Any = (),
    reason: str = "",
    digits: int = 3,
) -> Claim:
    """Compare the paper's figures with ours, or parts of a statement with the facts.

    Parameters
    ----------
    id : str
        Short unique name, such as ``"graf-beats-zcp"``.
    claim : str
        The statement, in our words.
    where : str
        Where it stands, such as ``"Kadlecová et al. 2024, abstract"``. Name no table, figure or
        section that you have not seen.
    kind : {"stored", "figure", "statement", "other", "ours"}
        Whose claim it is and how it is known; see `KINDS`. One of this book is no part of the
        question whether the paper reproduces: `paper` then holds the published figures that ours
        are compared with. What we ran ourselves before is no claim at all: see
        `graf_utils.figures.check_table`.
    link : str
        Address of the source, ``https://…``. Every kind but ``"ours"`` needs one.
    paper, ours : number, mapping (or Series) of name to number, or text
        The paper's figure(s) and ours. Mappings are compared name by name.
    tolerance : float, optional
        Largest absolute difference at which a figure counts as met; `reason` says why this much. It
        must be smaller than the largest figure of the paper by size (than 1 where all are 0): at
        that width, 0 and twice the figure would both be met, and the claim could hardly fail.
    precision : float, optional
        Instead of a tolerance: the unit of the last digit in the source, 0.001 for ".845". Half of
        it is what rounding, or reading off a figure, can hide; it has the limit of a tolerance.
    standard_error : float, or mapping (or Series) of name to float, optional
        Instead of a tolerance, with `precision` or alone: the standard error of our mean over
        seeds. The tolerance is half the precision plus 1.96 standard errors.
    holds : bool, or mapping (or Series, or sequence, or frame) of bool, optional
        For claims that are not figures (an order, a sign): which parts hold.
    decisive : name or sequence of names, optional
        Parts without which the claim fails, however many others hold. The parts of a sequence are
        numbered from 1.
    reason : str
        Why the tolerance is what it is, or why the claim cannot be tested.
    digits : int
        Decimals shown.

    Returns
    -------
    Claim
        One rule gives the verdict: ``"holds"`` if every part does; ``"fails"`` if a decisive part
        misses, or more than half of all; else ``"holds in part"``. A figure that is missing or NaN
        misses. Without any of `holds` and `ours` the claim ``"cannot be tested here"``, which
        needs a reason.

    Raises
    ------
    ValueError
        The arguments do not say what to compare, or could not come out otherwise: a verdict that
        is not a boolean, figures of the paper or a tolerance that are not finite, a tolerance as
        wide as the figures are large. Or the source has no link.

    Examples
    --------
    >>> own = {"where": "this page", "kind": "ours"}
    >>> print(check("x", "It rises.", holds={"N=32": True, "N=128": False}, **own))
    It rises.
      paper: ; here:  -> holds in part
    >>> check("x", "It is .845.", paper=0.845, ours=0.8456, precision=0.001, **own).missed
    'by 0.001'
    """
    _check_texts(id=id, claim=claim, where=where, reason=reason)
    _check_source(id, kind, link)
    (digits,) = _checks.whole_numbers("digits", digits, 0, 15, "decimals")
    widths = (tolerance, precision, standard_error)
    if holds is not None:
        parts, margin, missed = _compare_words(id, holds, widths)
    elif ours is not None:
        parts, margin, missed = _compare_figures(id, paper, ours, widths, digits)
    elif reason.strip():
        parts, margin, missed = {}, "", ""
    else:
        raise ValueError(f"claim {id!r}: nothing to compare. Pass ours, holds, or the reason.")
    verdict = _verdict(id, parts, decisive) if parts else UNTESTED
    figures = shown(id, "paper", paper, digits), shown(id, "ours", ours, digits)
    return Claim(id, claim, where, *figures, margin, verdict, missed, reason, kind, link)


def _compare_words(id: str, holds: Any, widths: tuple) -> tuple[dict[Any, bool], str, str]:
    """Which parts of a statement hold; no tolerance; the names of those that miss."""
    if any(width is not None for width in widths):
        raise ValueError(
            f"claim {id!r}: holds says yes or no, so a tolerance would not be used. Leave "
            "tolerance, precision and standard_error out, or compare figures without holds."
        )
    parts = _booleans(id, holds)
    missed = [str(name) for name, met in parts.items() if not met]
    return parts, "", "; ".join(missed) if len(parts) > 1 else ""


def _compare_figures(
    id: str, paper: Any, ours: Any, widths: tuple, digits: int
) -> tuple[dict[Any, bool], str, str]:
    """Which figures are met, within which tolerance, and by how much the others miss."""
    published, computed = figures_of(id, paper, ours)
    check_widths(id, published, *widths[:2])
    margins, text = margins_of(id, list(published), *widths)
    parts = {
        name: abs(computed[name] - figure) <= margins[name] + _BINARY  # NaN misses
        for name, figure in published.items()
    }
    return parts, text, misses(published, computed, parts, digits)


def _check_texts(**texts: Any) -> None:
    for name, text in texts.items():
        if not isinstance(text, str) or not (text.strip() or name == "reason"):
            raise ValueError(f"{name}={text!r} of a claim must be a text that says something.")


def _check_source(id: str, kind: str, link: str) -> None:
    """Refuse a source that cannot be looked up."""
    _checks.choice("kind", kind, KINDS)
    if not isinstance(link, str) or not _LINK.fullmatch(link):
        raise ValueError(
            f"claim {id!r}: link={link!r:.80} is no address. Pass one that begins with https:// "
            "and has no space, quote, < or >: write these as %20, %22, %27, %3C and %3E."
        )
    if not link and kind != OURS:
        raise ValueError(
            f"claim {id!r}: one of kind {kind!r} ({KINDS[kind]}) needs the link of its source. "
            'Pass link="https://…", or kind="ours" for a claim of your own.'
        )


def source_html(where: str, kind: str, link: str) -> str:
    """Write the source of a claim as HTML: its place with the link, and its kind.

    Parameters
    ----------
    where, kind, link : str
        As in `check`. What is no address is not linked.

    Returns
    -------
    str
        All text is escaped.
    """
    text = html.escape(where)
    if link and _LINK.fullmatch(link):
        text = f'<a href="{html.escape(link)}">{text}</a>'
    return f"{text}; {html.escape(KINDS.get(kind, kind))}"


def _verdict(id: str, parts: dict[Any, bool], decisive: Any) -> str:
    """The one rule of verdicts: all hold; most, or a decisive one, miss; or something between."""
    one = isinstance(decisive, str) or not isinstance(decisive, Iterable)
    names = [decisive] if one else list(decisive)
    unknown = [name for name in names if name not in parts]
    if unknown:
        raise ValueError(
            f"claim {id!r}: decisive names {unknown}, which are no parts of it. Its parts are "
            f"{list(parts)}."
        )
    missed = [name for name, met in parts.items() if not met]
    if not missed:
        return HOLDS
    if 2 * len(missed) > len(parts) or any(name in missed for name in names):
        return FAILS
    return IN_PART


def _booleans(id: str, holds: Any) -> dict[Any, bool]:
    """The parts of a statement by name, each True or False and nothing else."""
    if hasattr(holds, "columns") and hasattr(holds, "stack"):  # a frame: a part for each cell
        parts = {
            f"{row}, {column}": holds.iloc[i, j]
            for i, row in enumerate(holds.index)
            for j, column in enumerate(holds.columns)
        }
        expected = holds.size
    elif isinstance(holds, Mapping) or hasattr(holds, "items"):
        items = list(holds.items())
        parts, expected = dict(items), len(items)
    elif isinstance(holds, set | frozenset):
        raise ValueError(
            f"claim {id!r}: holds is a set, which keeps equal values once. Pass a list or a "
            "mapping."
        )
    elif isinstance(holds, Iterable) and not isinstance(holds, str) and ndim_of(holds) != 0:
        values = list(holds.ravel() if hasattr(holds, "ravel") else holds)
        parts, expected = dict(enumerate(values, start=1)), len(values)
    else:
        parts, expected = {"": holds}, 1
    if not parts:
        raise ValueError(f"claim {id!r}: holds is empty; pass a bool for each part.")
    if len(parts) < expected:
        raise ValueError(f"claim {id!r}: parts of holds share a name. Give each its own.")
    for name, value in parts.items():
        if not is_bool(value):
            place = f" of part {name!r}" if name != "" else ""
            raise ValueError(
                f"claim {id!r}: holds={value!r}{place} is not True or False. Compare, such as "
                "holds=ours > theirs; for what is missing, say holds=False, or leave holds out "
                "and give the reason."
            )
    return {name: bool(value) for name, value in parts.items()}


class Ledger:
    """The claims of one chapter.

    Parameters
    ----------
    chapter : str
        Name of the notebook, such as ``"03_predictors"``.
    folder : path, optional
        Where the ledger is written, one JSON file per chapter. By default the environment variable
        ``GRAF_LEDGER_DIR``, which the build of the book sets; without it nothing is written.

    Raises
    ------
    ValueError
        The name of the chapter is no plain file name, or the folder cannot be written.
    """

    def __init__(self, chapter: str, folder: str | os.PathLike[str] | None = None) -> None:
        if not isinstance(chapter, str) or not _NAME.fullmatch(chapter):
            raise ValueError(
                f"chapter={chapter!r} must be the name of a notebook without folder and ending, "
                "such as '03_predictors': letters, digits, '_', '-' and '.'."
            )
        self.chapter = chapter
        folder = folder if folder is not None else os.environ.get("GRAF_LEDGER_DIR")
        self.claims: list[Claim] = []
        try:
            self._file = Path(folder) / f"{chapter}.json" if folder else None
            self._write()
        except (OSError, TypeError) as error:
            raise ValueError(
                f"folder={folder!r} cannot hold the ledger ({error}). Pass a folder that can be "
                "written, or None."
            ) from error

    def check(self, id: str, claim: str, **arguments: Any) -> Claim:
        """Check a claim and keep the result.

        Parameters
        ----------
        id, claim : str
            Short unique name, and the statement in our words. A claim checked again is replaced.
        **arguments
            The others of `graf_utils.claims.check`.

        Returns
        -------
        Claim

        Raises
        ------
        ValueError
            The arguments do not say what to compare.
        """
        result = check(id, claim, **arguments)
        self.claims = [earlier for earlier in self.claims if earlier.id != id] + [result]
        self._write()
        return result

    def _write(self) -> None:
        if self._file is None:
            return
        rows = [{"chapter": self.chapter} | asdict(claim) for claim in self.claims]
        _files.write_text(self._file, json.dumps(rows, indent=1, ensure_ascii=False))


def glue(**values: Any) -> None:
    """Keep values for the prose of the book, where ``{glue:text}`` shows them.

    Numbers go in as Python's own, text and figures as they are. Outside the book's build, where
    MyST-NB need not be installed, this does nothing.

    Parameters
    ----------
    **values : number, str or figure
        By the name under which a page asks for it.
    """
    try:
        from myst_nb import glue as keep
    except ImportError:
        return
    for name, value in values.items():
        keep(name, value.item() if hasattr(value, "item") else value, display=False)


def read_ledger(folder: str | os.PathLike[str] | None = None, chapters: Iterable[str] = ()) -> Any:
    """Read all claims of a ledger folder.

    Parameters
    ----------
    folder : path, optional
        By default ``GRAF_LEDGER_DIR``; without either there are no claims.
    chapters : str or iterable of str
        Chapters that must have a file there, with or without claims.

    Returns
    -------
    DataFrame
        One row per claim, by chapter, all columns text.

    Raises
    ------
    ValueError
        There is no such folder, the file of one of `chapters` is missing, or a file does not hold
        what a `Ledger` writes.
    """
    import pandas as pd

    folder = folder if folder is not None else os.environ.get("GRAF_LEDGER_DIR")
    chapters = [chapters] if isinstance(chapters, str) else chapters
    if folder and not Path(folder).is_dir():
        raise ValueError(
            f"the ledger {str(folder)!r} is no folder that is there. Build the book, which makes "
            "it, or name the folder that GRAF_LEDGER_DIR has named."
        )
    files = sorted(Path(folder).glob("*.json")) if folder else []
    missing = sorted(set(chapters) - {file.stem for file in files})
    if missing:
        raise ValueError(f"the ledger {folder} lacks the claims of {missing}. {_remedy(folder)}")
    rows = [row for file in files for row in _read_file(file)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _read_file(file: Path) -> list[dict[str, str]]:
    """The claims of one file of the ledger, checked."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # not readable, not JSON, not UTF-8
        rows = None
    whole = isinstance(rows, list) and all(
        isinstance(row, dict)
        and set(row) == set(_COLUMNS)
        and all(isinstance(text, str) for text in row.values())
        and row["verdict"] in VERDICTS
        and row["kind"] in KINDS
        and _LINK.fullmatch(row["link"])
        and row["chapter"] == file.stem
        and row["id"]
        for row in rows
    )
    whole = whole and len({row["id"] for row in rows}) == len(rows)
    if not whole:
        raise ValueError(f"{file} is not the ledger of a chapter. {_remedy(file.parent)}")
    return rows


def _remedy(folder: Any) -> str:
    return f"Remove the folder {folder} and build the book again: every chapter then runs anew."
