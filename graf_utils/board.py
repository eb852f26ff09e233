"""The scoreboard: all claims, and all published figures, at a glance and as HTML.

A verdict stands with its claim in the first column, so that a telephone shows both.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from graf_utils.claims import CSS, VERDICTS, source_html
from graf_utils.figures import of_size

__all__ = [
    "board_html",
    "counts_html",
    "dots_html",
    "figures_html",
    "summary_html",
    "untested_html",
]

FAILS = VERDICTS[2]
_MOST_LINES = 8  # figures of one claim that are shown without a click
DOT_SCALE = 4  # tolerances from the middle of a strip to its end


# --- claims ---------------------------------------------------------------------------------------


def summary_html(ledger: Any, titles: Mapping[str, str]) -> str:
    """Write the numbers of verdicts per chapter as an HTML table.

    Parameters
    ----------
    ledger : DataFrame
        From `graf_utils.claims.read_ledger`.
    titles : mapping of str to str
        Title of each chapter, as plain text; a chapter without one goes by its name.

    Returns
    -------
    str
        A table with links to the parts of `board_html`; all text is escaped.
    """
    lines = [_head(("", *VERDICTS))]
    for chapter, part in ledger.groupby("chapter", sort=False):
        title = html.escape(titles.get(chapter, chapter))
        head = f'<a href="#claims-{quote(chapter)}">{title}</a>'
        lines.append(_count_row(head, part["verdict"]))
    lines.append(_count_row("all", ledger["verdict"]))
    return f'<table class="dataframe scoreboard-counts">{"".join(lines)}</tbody></table>'


def _head(names: tuple[str, ...]) -> str:
    cells = "".join(f"<th>{name}</th>" for name in names)
    return f"<thead><tr>{cells}</tr></thead><tbody>"


def _count_row(head: str, verdicts: Any) -> str:
    cells = "".join(f"<td>{(verdicts == verdict).sum()}</td>" for verdict in VERDICTS)
    return f"<tr><th>{head}</th>{cells}</tr>"


def board_html(ledger: Any, titles: Mapping[str, str]) -> str:
    """Write all claims as HTML, one heading and one table per chapter.

    Parameters
    ----------
    ledger : DataFrame
        From `graf_utils.claims.read_ledger`.
    titles : mapping of str to str
        As in `summary_html`.

    Returns
    -------
    str
        Every claim stands with its verdict and its source, and links to its box in the chapter; all
        text is escaped.
    """
    parts = []
    for chapter, part in ledger.groupby("chapter", sort=False):
        title = html.escape(titles.get(chapter, chapter))
        rows = "".join(_board_row(row) for row in part.to_dict("records"))
        parts.append(
            f'<h2 id="claims-{html.escape(chapter)}">{title}</h2>'
            f'<table class="dataframe scoreboard">{_head(("claim", "published, and here"))}'
            f"{rows}</tbody></table>"
        )
    return "".join(parts) or "<p>No claims yet.</p>"


def _board_row(row: Mapping[str, str]) -> str:
    text = {name: html.escape(value) for name, value in row.items()}
    address = f"{quote(row['chapter'])}.html#claim-{quote(row['id'], safe='')}"
    missed = row["missed"].split("; ")
    named = text["missed"] if len(missed) <= _MOST_LINES else f"{len(missed)} of the figures"
    why = (f"Missed: {named}. " if row["missed"] else "") + text["reason"]
    source = source_html(row["where"], row["kind"], row["link"])
    shown = [_figure_lines(row["paper"])] if row["paper"] else []
    shown += [f"here: {_figure_lines(row['ours'])}"] if row["ours"] else []
    shown += [f"<small>{text['tolerance']}</small>"] if row["tolerance"] else []
    claim = f'{_badge(row["verdict"])} <a href="{address}">{text["claim"]}</a>'
    claim += f"<br><small>{source}</small>" + (f"<br><small>{why}</small>" if why else "")
    return f"<tr><td>{claim}</td><td>{'<br>'.join(shown)}</td></tr>"


def _badge(verdict: str, words: str = "") -> str:
    """A verdict in its colour, by its name or in other words."""
    css = CSS.get(verdict, CSS[VERDICTS[-1]])
    return f'<strong class="verdict-word {css}">{html.escape(words or verdict)}</strong>'


def _breakable(name: str) -> str:
    """A name, escaped, that a narrow column may break after the parts of an encoding."""
    return html.escape(name).replace("+", "+<wbr>")


def _figure_lines(text: str) -> str:
    """Figures that semicolons part, escaped, each on a line of its own; many open by a click."""
    figures = [html.escape(figure) for figure in text.split("; ")]
    lines = "<br>".join(figures)
    if len(figures) <= _MOST_LINES:
        return lines
    return f"<details><summary>{len(figures)} figures</summary>{lines}</details>"


# --- published figures ----------------------------------------------------------------------------


def counts_html(summary: Any) -> str:
    """Write how many figures of each table lie within their tolerance.

    Parameters
    ----------
    summary : DataFrame
        From `graf_utils.figures.summarise_checks`.

    Returns
    -------
    str
        A table; tables with figures outside stand first, then those with none computed; all text is
        escaped.
    """
    lines = [_head(("figures of", "within", "untested", "largest gap"))]
    ranked = summary.sort_values(["outside", "untested"], ascending=False, kind="stable")
    for row in ranked.to_dict("records"):
        within = [f"{row['within']} of {row['computed']}" if row["computed"] else "none computed"]
        within += [_badge(FAILS, f"{row['outside']} outside")] if row["outside"] else []
        if row["orders"]:
            within.append(f"<small>same winner {row['winners']} of {row['orders']}</small>")
        largest = f"{row['largest']:.3f}" if row["computed"] else "–"
        lines.append(
            f"<tr><th>{_breakable(row['table'])}<br><small>{html.escape(row['where'])}</small></th>"
            f"<td>{'<br>'.join(within)}</td><td>{row['untested']}</td><td>{largest}</td></tr>"
        )
    return f'<table class="dataframe scoreboard-counts">{"".join(lines)}</tbody></table>'


def figures_html(failed: Any, shown: int = 20) -> str:
    """Write the figures outside their tolerance, in the order given; the rest to be opened.

    Parameters
    ----------
    failed : DataFrame
        From `graf_utils.figures.outside`.
    shown : int
        How many stand on the page at once.

    Returns
    -------
    str
        A table with the figure, its source and both numbers; all text is escaped.
    """
    if not len(failed):
        return "<p>None.</p>"
    rows = [_figure_row(row) for row in failed.to_dict("records")]
    page = _figure_table(rows[:shown])
    if rows[shown:]:
        more = _figure_table(rows[shown:])
        page += f"<details><summary>{len(rows) - shown} more</summary>{more}</details>"
    return page


def _figure_table(rows: list[str]) -> str:
    head = _head(("figure", "published, and here"))
    return f'<table class="dataframe scoreboard">{head}{"".join(rows)}</tbody></table>'


def _figure_row(row: Mapping[str, Any]) -> str:
    name = f"{row['table']}, {row['target']}: {row['predictor']} on {row['encoding']}, "
    name += of_size(row)
    source = source_html(row["where"], row["kind"], row["source_link"])
    numbers = (
        f"{row['value']:.3f}<br>here: {row['ours']:.3f}<br>"
        f"<small>{row['difference']:+z.3f}, tolerance {row['tolerance']:.3f}; "
        f"{row['n']} seeds</small>"
    )
    numbers = numbers.replace("-", "−")
    why = f"<br>{html.escape(row['reason'])}" if row["reason"] else ""
    return (
        f"<tr><td>{_badge(row['verdict'])} {_breakable(name)}<br><small>{source}{why}</small></td>"
        f"<td>{numbers}</td></tr>"
    )


def dots_html(checked: Any) -> str:
    """Write every compared figure with a dot: how far ours is from the published one.

    The page's script (``book/_static/scoreboard.js``) adds the filters; without it the table can
    still be opened and read.

    Parameters
    ----------
    checked : DataFrame
        From `graf_utils.figures.check_table`.

    Returns
    -------
    str
        A table to be opened, by table and with the largest differences first; all text is escaped.
    """
    judged = checked[checked["tolerance"].notna()]
    if not len(judged):
        return "<p>None.</p>"
    apart = judged["difference"] / judged["tolerance"].where(judged["tolerance"] > 0, 1e-12)
    judged = judged.assign(apart=apart, far=-apart.abs())
    rows = "".join(map(_dot_row, judged.sort_values(["table", "far"]).to_dict("records")))
    head = _head(("figure", "published and here"))
    return (
        f'<details class="dot-board"><summary>All {len(judged)} compared figures</summary>'
        f'<table class="dataframe scoreboard">{head}{rows}</tbody></table></details>'
    )


def _dot_row(row: Mapping[str, Any]) -> str:
    """One figure: the middle of the strip is the published one, the band its tolerance."""
    name = f"{row['target']}: {row['predictor']} on {row['encoding']}, {of_size(row)}"
    place = 50 + 50 * min(max(row["apart"] / DOT_SCALE, -1), 1)
    numbers = f"{row['value']:.3f}, here {row['ours']:.3f} ± {row['tolerance']:.3f}"
    css, table = CSS[row["verdict"]], row["table"]
    return (
        f'<tr data-table="{html.escape(table)}" data-verdict="{html.escape(row["verdict"])}">'
        f"<td>{_breakable(name)}<br><small>{html.escape(table)}</small></td>"
        f'<td><span class="dot-strip verdict-word {css}" aria-hidden="true">'
        f'<i style="left:{place:.1f}%"></i></span>'
        f"{numbers} {_badge(row['verdict'])}</td></tr>"
    )


def untested_html(checked: Any) -> str:
    """Write which figures are not tested, by table and reason.

    Parameters
    ----------
    checked : DataFrame
        From `graf_utils.figures.check_table`.

    Returns
    -------
    str
        A table: for each reason the encodings and how many figures; all text is escaped.
    """
    left = checked[checked["verdict"] == VERDICTS[-1]]
    if not len(left):
        return "<p>None.</p>"
    lines = [_head(("figures", "what, and why not"))]
    for (table, where, reason), part in left.groupby(["table", "where", "reason"], sort=False):
        of = "encoding" if part["encoding"].nunique() > 1 else "predictor"
        names = "; ".join(dict.fromkeys(part[of]))
        words = "; ".join(dict.fromkeys(part["target"]))
        lines.append(
            f"<tr><td>{len(part)}</td><td>{_badge(VERDICTS[-1])} {html.escape(table)} "
            f"({html.escape(words)}): {html.escape(reason)}<br><small>{html.escape(where)}: "
            f"{_breakable(names)}</small></td></tr>"
        )
    return f'<table class="dataframe scoreboard scoreboard-left">{"".join(lines)}</tbody></table>'
