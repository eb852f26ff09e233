"""A frame as a table for LaTeX, without further packages of Python or of LaTeX."""

from __future__ import annotations

import itertools
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from graf_utils import _checks

__all__ = ["latex_table"]

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "τ": r"$\tau$",
    "ρ": r"$\rho$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
    "\n": " ",
}
"""What LaTeX reads otherwise than it is written; other letters stay (in UTF-8)."""


def latex_table(
    frame: pd.DataFrame, *, digits: int = 3, caption: str | None = None, label: str | None = None
) -> str:
    r"""Write a frame as a ``tabular`` of LaTeX, in a ``table`` if it has a caption.

    Unlike `pandas.DataFrame.to_latex` it needs no jinja2, and the text no ``\usepackage``.

    Parameters
    ----------
    frame : DataFrame
        Its index, of any number of levels, stands on the left, its columns on top; where a label
        is that of the row (or column) before, it is not repeated. An index 0, 1, … is left out.
    digits : int
        Decimals of numbers that are no integers. NaN is a dash.
    caption, label : str, optional
        Of the table. The caption is written as it is, so that it may hold commands.

    Returns
    -------
    str
        Ends with a newline.

    Raises
    ------
    ValueError
        `frame` is none or empty, or `digits` is no whole number from 0.

    Examples
    --------
    >>> frame = pd.DataFrame({"val_acc": [0.5, 0.25]}, index=["graf", "one-hot"])
    >>> print(latex_table(frame, digits=2))
    \begin{tabular}{lr}
    \hline
     & val\_acc \\
    \hline
    graf & 0.50 \\
    one-hot & 0.25 \\
    \hline
    \end{tabular}
    <BLANKLINE>
    """
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise ValueError(
            f"frame is {type(frame).__name__}; latex_table takes a DataFrame with at least one row "
            "and one column. Of a Series make one with .to_frame()."
        )
    digits = _checks.whole_number("digits", digits, 0, 20)
    with_index = not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None)
    labels = _once(frame.index) if with_index else [[]] * len(frame)
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    places = "l" * len(labels[0]) + "".join("r" if is_number else "l" for is_number in numeric)
    lines = [rf"\begin{{tabular}}{{{places}}}", r"\hline", *_head(frame, len(labels[0])), r"\hline"]
    for left, row in zip(labels, frame.itertuples(index=False, name=None), strict=True):
        lines.append(_line([*left, *(_cell(value, digits) for value in row)]))
    lines += [r"\hline", r"\end{tabular}"]
    if caption is not None or label is not None:
        named = [rf"\caption{{{caption}}}"] if caption is not None else []
        named += [rf"\label{{{label}}}"] if label is not None else []
        lines = [r"\begin{table}", r"\centering", *named, *lines, r"\end{table}"]
    return "\n".join(lines) + "\n"


def _head(frame: pd.DataFrame, n_left: int) -> list[str]:
    """The rows of column names, one per level; equal names side by side share their place."""
    lines = []
    names = [_text(name) if name is not None else "" for name in frame.index.names][:n_left]
    for level in range(frame.columns.nlevels):
        is_last = level == frame.columns.nlevels - 1
        cells = names if is_last else [""] * n_left
        keys = [tuple(_levels(column)[: level + 1]) for column in frame.columns]
        for key, group in itertools.groupby(keys):
            n, text = len(list(group)), _text(key[-1])
            merged = n > 1 and not is_last
            cells = [*cells, *([rf"\multicolumn{{{n}}}{{c}}{{{text}}}"] if merged else [text] * n)]
        lines.append(_line(cells))
    return lines


def _once(index: pd.Index) -> list[list[str]]:
    """The labels of each row; a level is left blank where it and those before it repeat."""
    rows, before = [], []
    for label in index:
        levels = _levels(label)
        same = [before[: i + 1] == levels[: i + 1] for i in range(len(levels) - 1)] + [False]
        rows.append(["" if s else _text(part) for s, part in zip(same, levels, strict=True)])
        before = levels
    return rows


def _levels(label: Any) -> list[Any]:
    return list(label) if isinstance(label, tuple) else [label]


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(value: Any, digits: int) -> str:
    """One value: a number rounded, text escaped, nothing as a dash."""
    if value is None or value is pd.NA or (isinstance(value, Real) and value != value):
        return "--"
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_ | int | np.integer):
        text = f"{value:.{digits}f}".replace("inf", r"\infty")
        return f"${text}$" if text[0] in "-\\" else text
    if isinstance(value, int | np.integer) and value < 0 and not isinstance(value, bool):
        return f"${value}$"
    return _text(value)


def _text(value: Any) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in str(value))
