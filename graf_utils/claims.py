"""The claims ledger: what the paper says, what we find, and the verdict.

A chapter makes one `Ledger` and calls `Ledger.check` for each claim. The result shows itself as a
box on the page; during a build it is also written to the ledger that the scoreboard reads. A claim
that does not hold shows as such: it never raises.
"""

from __future__ import annotations

import html
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["VERDICTS", "Claim", "Ledger", "check", "glue", "read_ledger"]

VERDICTS = ("holds", "holds in part", "fails", "cannot be tested here")

_CSS = dict(zip(VERDICTS, ("holds", "partly", "fails", "untested"), strict=True))
_COLUMNS = ["chapter", "id", "claim", "where", "paper", "ours", "tolerance", "verdict", "reason"]


@dataclass(frozen=True)
class Claim:
    """One claim with its verdict; see `check`."""

    id: str
    claim: str
    where: str
    paper: str
    ours: str
    tolerance: str
    verdict: str
    reason: str

    def _repr_html_(self) -> str:
        facts = [("Paper", self.paper), ("Here", self.ours), ("Tolerance", self.tolerance)]
        listed = "".join(
            f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in facts if text
        )
        note = f'<p class="claim-reason">{html.escape(self.reason)}</p>' if self.reason else ""
        return (
            f'<div class="claim-box {_CSS[self.verdict]}" id="claim-{html.escape(self.id)}">'
            f'<p class="claim-text"><strong>Claim.</strong> {html.escape(self.claim)} '
            f'<span class="claim-where">({html.escape(self.where)})</span></p>'
            f'<dl>{listed}</dl><p class="verdict">Verdict: {self.verdict}</p>{note}</div>'
        )

    def __repr__(self) -> str:
        return f"{self.claim}\n  paper: {self.paper}; here: {self.ours} -> {self.verdict}"


def check(
    id: str,
    claim: str,
    *,
    where: str,
    paper: Any = None,
    ours: Any = None,
    tolerance: float | None = None,
    holds: bool | Iterable[bool] | None = None,
    reason: str = "",
    digits: int = 3,
) -> Claim:
    """Compare the paper's figure with ours and give the verdict.

    Parameters
    ----------
    id : str
        Short unique name, such as ``"graf-beats-zcp"``.
    claim : str
        The statement, in our words.
    where : str
        Where it stands, such as ``"Kadlecová et al. 2024, table 2"``.
    paper, ours : number, mapping of name to number, or text
        The paper's figure(s) and ours. Mappings are compared name by name.
    tolerance : float, optional
        Largest absolute difference at which a figure counts as met; `reason` says why this much.
    holds : bool or sequence of bool, optional
        For claims that are not one number (an order, a sign): which parts hold.
    reason : str
        Why the tolerance is what it is, or why the claim cannot be tested.
    digits : int
        Decimals shown.

    Returns
    -------
    Claim
        Verdict ``"holds"`` if all parts hold, ``"fails"`` if none does, else ``"holds in part"``.
        A figure that is missing or NaN does not hold. Without any of `holds` and `ours` the claim
        ``"cannot be tested here"``, which needs a reason.

    Raises
    ------
    ValueError
        The arguments do not say what to compare.
    """
    if holds is not None:
        parts = [bool(holds)] if not isinstance(holds, Iterable) else [bool(h) for h in holds]
        if not parts:
            raise ValueError(f"claim {id!r}: holds is empty; pass a bool for each part.")
    elif ours is None:
        if not reason:
            raise ValueError(f"claim {id!r}: nothing to compare. Pass ours, holds, or the reason.")
        parts = []
    else:
        if tolerance is None or paper is None:
            raise ValueError(
                f"claim {id!r}: figures are compared within a tolerance. Pass paper and tolerance, "
                "or holds."
            )
        theirs = paper if isinstance(paper, Mapping) else {"": paper}
        found = ours if isinstance(ours, Mapping) else {"": ours}
        if not set(found) <= set(theirs):
            raise ValueError(
                f"claim {id!r}: ours names {sorted(set(found) - set(theirs))}, which paper does "
                "not. Use the same names."
            )
        parts = [
            # half a unit of the twelfth decimal forgives .845 + .002 != .847 in binary
            math.isfinite(x := float(found.get(name, math.nan)))
            and abs(x - float(figure)) <= tolerance + 5e-13
            for name, figure in theirs.items()
        ]
    if not parts:
        verdict = VERDICTS[3]
    else:
        verdict = VERDICTS[0] if all(parts) else VERDICTS[1] if any(parts) else VERDICTS[2]
    shown = "" if tolerance is None else f"± {tolerance:g}"
    return Claim(
        id, claim, where, _show(paper, digits), _show(ours, digits), shown, verdict, reason
    )


class Ledger:
    """The claims of one chapter.

    Parameters
    ----------
    chapter : str
        Name of the notebook, such as ``"03_predictors"``.
    folder : path, optional
        Where the ledger is written, a JSON file a chapter. By default the environment variable
        ``GRAF_LEDGER_DIR``, which the build of the book sets; without it nothing is written.
    """

    def __init__(self, chapter: str, folder: str | os.PathLike[str] | None = None) -> None:
        self.chapter = chapter
        folder = folder if folder is not None else os.environ.get("GRAF_LEDGER_DIR")
        self._file = Path(folder) / f"{chapter}.json" if folder else None
        self.claims: list[Claim] = []
        self._write()

    def check(self, id: str, claim: str, **arguments: Any) -> Claim:
        """`check`, and keep the result."""
        result = check(id, claim, **arguments)
        self.claims = [known for known in self.claims if known.id != id] + [result]
        self._write()
        return result

    def _write(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"chapter": self.chapter} | asdict(claim) for claim in self.claims]
        handle, temporary = tempfile.mkstemp(dir=self._file.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1, ensure_ascii=False)
        os.replace(temporary, self._file)


def glue(**values: Any) -> None:
    """Keep values for the prose of the book, where ``{glue:text}`` shows them.

    Numbers go in as Python's own, text and figures as they are. Outside the book's build, where
    MyST-NB need not be installed, this does nothing.
    """
    try:
        from myst_nb import glue as keep
    except ImportError:
        return
    for name, value in values.items():
        keep(name, value.item() if hasattr(value, "item") else value, display=False)


def read_ledger(folder: str | os.PathLike[str] | None = None) -> Any:
    """All claims of a ledger folder as a DataFrame, by chapter; empty if there is none yet."""
    import pandas as pd

    folder = folder if folder is not None else os.environ.get("GRAF_LEDGER_DIR")
    files = sorted(Path(folder).glob("*.json")) if folder else []
    rows = [row for file in files for row in json.loads(file.read_text(encoding="utf-8"))]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _show(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_show(v, digits)}" for name, v in value.items())
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{float(value):,.{digits}f}"
