"""Published figures against ours, a whole table at once.

`check_table` puts our fits, or the ends of our searches, beside each published figure and gives a
verdict by the rule of `graf_utils.claims`; `summarise_checks` counts them per table and says
whether the order of the encodings is kept. What is known of the tables stands in
``data/published.toml``.
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graf_utils import _checks
from graf_utils._statistics import NORMAL_95
from graf_utils.claims import VERDICTS, check
from graf_utils.metrics import kendall_tau
from graf_utils.published import parts_of
from graf_utils.registry import data_path

__all__ = [
    "check_table",
    "claim_of",
    "method_of",
    "of_size",
    "orders",
    "outside",
    "summarise_checks",
]

HOLDS, _, FAILS, UNTESTED = VERDICTS

MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of a median of many normal numbers, in those of their mean."""

_OF_FITS = re.compile(r"(mean|median) (kendall_tau)(?: on ([\d,]+) test networks)?")
_OF_SEARCHES = re.compile(r"(mean|median) (error) in % after ([\d,]+) evaluations")
MEASURES = {"kendall_tau": True, "error": False}
"""Columns of results that figures are of, and whether higher is better."""

_COLUMNS = ("table", "target", "encoding", "predictor", "train_size", "statistic", "value")
_SETTING = ("table", "target", "predictor", "train_size")
_ORDER = ("table", "where", "target", "train_size", "statistic")


@dataclass(frozen=True)
class _Asked:
    """What a figure is of: the statistic of a measure, at a train size or number of evaluations."""

    statistic: str
    measure: str
    size: int
    n_test: int | None = None


@dataclass(frozen=True)
class _Ours:
    """Our counterpart of a figure: statistic over n seeds with standard error, or why not."""

    value: float = math.nan
    error: float = math.nan
    n: int = 0
    reason: str = ""


def check_table(figures: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Compare every published figure with our fits.

    A figure of a mean or median over n splits is compared with that of our first n data seeds (all
    of them, if there are fewer, or if n is not known). It holds within half a unit of its last
    digit, or the error of reading it off, plus 1.96 standard errors of our mean. The standard error
    of a median is taken as 1.2533 times that of the mean, which is exact for many normal numbers
    and a little wide for few. A figure of searches, the error after so many evaluations, is
    compared with our runs in the same way. One of another implementation, or of other networks, is
    never judged: ours is shown, and its order counts in `orders`.

    Parameters
    ----------
    figures : DataFrame
        Rows of `graf_utils.published.published`.
    results : DataFrame
        Fits, as from `graf_utils.published.paper_results` or `graf_utils.evaluation.evaluate`, and
        searches, as from `graf_utils.published.search_results`: one row per fit or run; those with
        neither a τ nor an `error` are left out. Encodings match in any order of their parts; tables
        and predictors also by the names in ``data/published.toml``, which says too what cannot be
        computed.

    Returns
    -------
    DataFrame
        The rows of `figures` in their order and with their columns, and: `ours`, `n` (seeds),
        `difference` (ours minus the published figure), `standard_error` (of ours), `tolerance`,
        `verdict` (one of `graf_utils.claims.VERDICTS`; a single figure never holds in part) and
        `reason`, why it cannot be tested, or what is known of a figure that fails. A verdict on a
        rerun is a regression check, and no claim of anybody.

    Raises
    ------
    ValueError
        `figures` or `results` lacks a column, a fit or run stands twice, or the fits of a figure
        are of several sources.

    Examples
    --------
    >>> from graf_utils.published import paper_results, published
    >>> checked = check_table(published("nb201-cifar10", kind="stored"), paper_results())
    >>> checked.query("encoding == 'graf'")["verdict"].tolist()
    ['holds', 'holds', 'holds']
    """
    _checks.numeric_columns("figures", figures, ["value", "half_width", "train_size", "n_splits"])
    measures = [name for name in MEASURES if name in results] or list(MEASURES)[:1]
    _checks.numeric_columns("results", results, [*measures, "train_size", "data_seed"])
    _checks.has_columns("figures", figures, (*_COLUMNS, "kind"))
    groups = _fits(results)
    rows = [_checked(figure, groups) for figure in figures.to_dict("records")]
    names = ["ours", "n", "difference", "standard_error", "tolerance", "verdict", "reason"]
    found = pd.DataFrame(rows, index=figures.index, columns=names)
    return figures.assign(**{name: found[name].to_numpy() for name in names})


def _fits(results: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """The fits or runs of each measure and setting, in the order of the data seeds."""
    groups = {}
    for measure in (name for name in MEASURES if name in results):
        measured = results[results[measure].notna()]
        for key, fits in _settings_of(measured).items():
            groups[(measure, *key)] = fits
    return groups


def _settings_of(results: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """The rows of each setting, in the order of the data seeds."""
    if "test_target" in results:
        learned = results["target"]
        if (results["test_target"].fillna(learned) != learned).any():
            raise ValueError(
                "results has fits that are judged by another target than they learn, of which no "
                "published figure is. Leave them out: results[results['test_target'].isna() | "
                "(results['test_target'] == results['target'])]."
            )
    if "test_table" in results and results["test_table"].notna().any():
        raise ValueError(
            "results has fits that are judged in another table than they learn, of which no "
            "published figure is. Leave them out: results[results['test_table'].isna()]."
        )
    marked = results.assign(parts=results["encoding"].map(parts_of))
    keys = [*_SETTING, "parts"]
    twice = marked.duplicated([*keys, *(["n_test"] if "n_test" in marked else []), "data_seed"])
    if twice.any():
        first = ", ".join(str(marked.loc[twice.idxmax(), key]) for key in _SETTING)
        raise ValueError(
            f"results has two fits of one data seed ({first}). Keep those of one source and run, "
            "such as results[results['source'] == 'paper']."
        )
    if "source" in marked and (marked.groupby(keys)["source"].nunique() > 1).any():
        raise ValueError(
            f"results has fits of one setting on the sources {sorted(set(marked['source']))}. Keep "
            "one, such as results[results['source'] == 'paper']."
        )
    ordered = marked.sort_values("data_seed", kind="stable")
    return {
        (*key[:2], key[4], *key[2:4]): fits
        for key, fits in ordered.groupby(keys, sort=False, dropna=False)
    }


def _checked(figure: Mapping[str, Any], groups: Mapping[tuple[Any, ...], pd.DataFrame]) -> tuple:
    """What `check_table` adds to the row of one figure."""
    ours = _ours_of(figure, groups)
    difference = ours.value - figure["value"]
    if ours.reason:
        return ours.value, ours.n, difference, ours.error, math.nan, UNTESTED, ours.reason
    tolerance = figure["half_width"] + NORMAL_95 * ours.error
    claim = check(
        "figure", "A published figure.", where=figure["table"], kind="ours",
        paper=figure["value"], ours=ours.value, tolerance=tolerance,
    )  # fmt: skip
    why = _explanation(figure, ours.n) if claim.verdict == FAILS else ""
    return ours.value, ours.n, difference, ours.error, tolerance, claim.verdict, why


def _explanation(figure: Mapping[str, Any], n: int) -> str:
    """What is known of a figure that ours misses; it does not change the verdict."""
    words = []
    if not pd.isna(figure["n_splits"]) and n < figure["n_splits"]:
        draws = "runs" if pd.isna(figure["train_size"]) else "splits"
        words.append(f"{n} of {figure['n_splits']} {draws} so far")
    words += [rule["words"] for rule in _facts()["explained"] if _is_about(rule, figure)]
    return "; ".join(words)


def _is_about(rule: Mapping[str, Any], figure: Mapping[str, Any]) -> bool:
    """Whether a rule of ``published.toml`` is about a figure; what it does not name is any."""
    return (
        all(figure[name] == rule[name] for name in _COLUMNS if name in rule)
        and rule.get("part") in (None, *parts_of(figure["encoding"]))
        and rule.get("unit") in (None, figure["statistic"].split()[-1])
        and figure["target"] not in rule.get("but", ())
    )


def _ours_of(figure: Mapping[str, Any], groups: Mapping[tuple[Any, ...], pd.DataFrame]) -> _Ours:
    """Find the fits or runs of a figure and summarise them as its statistic says."""
    barred = [rule["reason"] for rule in _facts()["barred"] if _is_about(rule, figure)]
    if barred:
        return _Ours(reason=barred[0])
    asked = _asked(figure)
    if asked is None:
        return _Ours(reason="neither a rank correlation with a stated train size, nor a search")
    predictor, encoding, differs = method_of(figure["predictor"], figure["encoding"])
    fit, most = (predictor, asked.size), ()
    for parts in _encodings(figure["table"], encoding):
        places = _places(figure["table"], figure["target"])
        keys = [(asked.measure, *place, parts, *fit) for place in places]
        found = [groups[key] for key in keys if key in groups]
        if asked.n_test:
            found = [fits[fits["n_test"] == asked.n_test] for fits in found]
        most = most if len(most) else max(found, key=len, default=())
    if not len(most):
        return _Ours(reason="not computed yet")
    if most["data_seed"].duplicated().any():
        raise ValueError(
            f"results has fits of {figure['predictor']!r} on {figure['encoding']!r} with one data "
            f"seed and {sorted(set(most['n_test']))} test networks, and the figure does not say on "
            "how many. Keep those of one `n_test`."
        )
    return _summary_of(figure, most[asked.measure], asked.statistic, differs)


def _asked(figure: Mapping[str, Any]) -> _Asked | None:
    """Read the statistic of a figure; None where no fit or search of ours can have it."""
    words, size = figure["statistic"], figure["train_size"]
    if (said := _OF_FITS.fullmatch(words)) and not pd.isna(size):
        return _Asked(said[1], said[2], int(size), _number(said[3]) if said[3] else None)
    if said := _OF_SEARCHES.fullmatch(words):
        return _Asked(said[1], said[2], _number(said[3]))
    return None


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def method_of(predictor: str, encoding: str) -> tuple[str, str, str]:
    """Find a published predictor and encoding among ours, as ``data/published.toml`` maps them.

    Parameters
    ----------
    predictor, encoding : str
        As in ``data/published.csv``.

    Returns
    -------
    predictor, encoding : str
        Ours; the same names where the file has no others.
    differs : str
        How ours is another implementation; ``""`` where it is the same.

    Examples
    --------
    >>> method_of("mlp (NASLib)", "own")[:2]
    ('mlp', 'one-hot')
    >>> method_of("rf", "zcp+graf")
    ('rf', 'zcp+graf', '')
    """
    for method in _facts()["method"]:
        if method["published"] == [predictor, encoding]:
            return *method["here"], method.get("differs", "")
    return predictor, encoding, ""


def _encodings(table: str, encoding: str) -> Iterator[frozenset[str]]:
    """The parts of an encoding as the authors had them, if they had them otherwise; as they are."""
    parts = parts_of(encoding)
    for rule in _facts()["part"]:
        if table in rule["tables"] and rule["published"] in parts:
            yield parts - {rule["published"]} | {rule["here"]}
    yield parts


def _places(table: str, target: str) -> Iterator[tuple[str, str]]:
    """Where our fits of a published table and target may be."""
    for place in _facts()["place"]:
        if place["published"] == [table, target]:
            yield tuple(place["here"])
    yield table, target


@functools.cache
def _facts() -> dict[str, list[dict[str, Any]]]:
    """What is known of the tables: other names, other networks, and what cannot be computed."""
    return tomllib.loads(data_path("published.toml").read_text(encoding="utf-8"))


def _summary_of(
    figure: Mapping[str, Any], values: pd.Series, statistic: str, differs: str
) -> _Ours:
    """Our statistic over as many seeds as the figure has, and why it is not judged, if so."""
    if not pd.isna(figure["n_splits"]):
        values = values.head(int(figure["n_splits"]))
    value, n = float(values.agg(statistic)), len(values)
    reasons = [f"another implementation: {differs}"] if differs else []
    if any(figure["table"] == other["table"] for other in _facts()["other_networks"]):
        reasons.insert(0, "other networks than the authors': only the order is")
    elif n < 2:
        reasons.append("one seed only, which has no spread")
    if reasons:
        return _Ours(value, n=n, reason="; ".join(reasons))
    error = float(values.std(ddof=1)) / math.sqrt(n)
    return _Ours(value, error * (MEDIAN_ERROR if statistic == "median" else 1.0), n)


def claim_of(checked: pd.DataFrame) -> dict[str, Any]:
    """Make one claim of several figures of one source.

    Parameters
    ----------
    checked : DataFrame
        Rows of `check_table` with one kind and one place (`where`).

    Returns
    -------
    dict
        Arguments for `graf_utils.claims.check`: the source, both numbers of each figure that can be
        tested, named by what tells them apart, and their tolerance. If none can be tested, the
        reason alone.

    Raises
    ------
    ValueError
        There are no rows, or they are of several sources or precisions; or they are reruns, which
        are no claims.

    Examples
    --------
    >>> from graf_utils.claims import check
    >>> from graf_utils.published import paper_results, published
    >>> figures = published("nb201-cifar10", kind="stored", encoding="graf")
    >>> checked = check_table(figures, paper_results())
    >>> claim = check("rf-graf", "GRAF, random forest.", **claim_of(checked))
    >>> claim.paper, claim.verdict
    ('N=32: 0.635; N=128: 0.739; N=1,024: 0.828', 'holds')
    """
    columns = {"kind": "kind", "where": "where", "source_link": "link"}
    sources = checked[list(columns)].drop_duplicates().rename(columns=columns).to_dict("records")
    if len(sources) != 1 or sources[0]["kind"] == "rerun":
        raise ValueError(
            f"checked has the sources {sources}; a claim has one, which is no rerun. Select rows "
            "of one kind, place and link."
        )
    (source,) = sources
    tested = checked[checked["verdict"] != UNTESTED].reset_index(drop=True)
    untested = checked[checked["verdict"] == UNTESTED]
    left = [f"{len(rows)} ({why})" for why, rows in untested.groupby("reason", sort=False)]
    if tested.empty:
        return source | {"reason": f"Not tested: {'; '.join(left)}."}
    if tested["half_width"].nunique() > 1 or tested["statistic"].nunique() > 1:
        raise ValueError(
            f"checked has the half widths {sorted(set(tested['half_width']))} and the statistics "
            f"{sorted(set(tested['statistic']))}; a claim has one of each. Select rows of one."
        )
    names = _names_of(tested)
    pieces = dict.fromkeys(piece for why in tested["reason"] if why for piece in why.split("; "))
    known = [f"{piece[0].upper()}{piece[1:]}." for piece in pieces]
    seeds = " to ".join(f"{n}" for n in sorted({tested["n"].min(), tested["n"].max()}))
    reason = f"{tested['statistic'].iloc[0].split()[0].capitalize()} of {seeds} seeds."
    return source | {
        "paper": dict(zip(names, tested["value"], strict=True)),
        "ours": dict(zip(names, tested["ours"], strict=True)),
        "precision": 2 * tested["half_width"].iloc[0],
        "standard_error": dict(zip(names, tested["standard_error"], strict=True)),
        "reason": " ".join([reason, *known, *(f"Not tested: {words}." for words in left)]),
    }


def _names_of(rows: pd.DataFrame) -> list[str]:
    """Names of figures by the columns in which they differ, and the train size."""
    columns = ("table", "target", "encoding", "predictor")
    parts = [rows[c] + ", " for c in columns if rows[c].nunique() > 1]
    sizes = [of_size(row) for row in rows.to_dict("records")]
    return [str(name) for name in sum(parts, start=pd.Series("", rows.index)) + sizes]


def of_size(figure: Mapping[str, Any]) -> str:
    """Say of how many training networks, or after how many evaluations, a figure is.

    Parameters
    ----------
    figure : mapping
        A row of `graf_utils.published.published`.

    Returns
    -------
    str
        Such as ``"N=1,024"`` or ``"500 evaluations"``; what its statistic says where it is neither.
    """
    asked = _asked(figure)
    if asked is None:
        return str(figure["statistic"])
    return f"{asked.size:,} evaluations" if asked.measure == "error" else f"N={asked.size:,}"


# --- what a table shows ---------------------------------------------------------------------------


def summarise_checks(checked: pd.DataFrame) -> pd.DataFrame:
    """Count the verdicts of each table, and compare orders.

    Parameters
    ----------
    checked : DataFrame
        From `check_table`.

    Returns
    -------
    DataFrame
        One row per table and place of its figures (`where`), in the order of `checked`: `figures`,
        `computed` (those compared), `within` (the tolerance), `outside`, `untested`, `largest`
        (absolute difference of those compared; NaN for none), `orders` (rows of `orders`),
        `winners` (how many of them have the published first place), `order_tau` (mean Kendall tau
        of the published order and ours; NaN for none).
    """
    rows = []
    compared = orders(checked)
    for (table, where), part in checked.groupby(["table", "where"], sort=False):
        tested = part[part["verdict"] != UNTESTED]
        of_table = compared[(compared["table"] == table) & (compared["where"] == where)]
        rows.append(
            {
                "table": table,
                "where": where,
                "figures": len(part),
                "computed": len(tested),
                "within": int((tested["verdict"] == HOLDS).sum()),
                "outside": int((tested["verdict"] == FAILS).sum()),
                "untested": len(part) - len(tested),
                "largest": tested["difference"].abs().max(),
                "orders": len(of_table),
                "winners": int(of_table["winner_agrees"].sum()),
                "order_tau": of_table["order_tau"].mean(),
            }
        )
    columns = ["table", "where", "figures", "computed", "within", "outside", "untested", "largest",
               "orders", "winners", "order_tau"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def orders(checked: pd.DataFrame) -> pd.DataFrame:
    """Compare the published order of encodings (and predictors) with ours, per train size.

    Parameters
    ----------
    checked : DataFrame
        From `check_table`. Figures of another pool of networks count here.

    Returns
    -------
    DataFrame
        One row per table, `where`, target, train size and statistic with two figures of ours or
        more: `compared` (figures), `order_tau` (NaN where all published ones are equal), `first`
        and `our_first` (the best: the highest τ or the lowest error, as ``predictor on encoding``
        of the figures), and `winner_agrees`: ours is first among theirs too, or so near it that the
        figures, by `half_width`, may tie.
    """
    rows = []
    both = checked[checked["ours"].notna()].reset_index(drop=True)
    for key, part in both.groupby(list(_ORDER), sort=False, dropna=False):
        if len(part) < 2:
            continue
        name = part["predictor"] + " on " + part["encoding"]
        asked = _asked(part.iloc[0])
        sign = 1 if asked is None or MEASURES[asked.measure] else -1
        theirs, of_ours = sign * part["value"], sign * part["ours"]
        first, ours = name[theirs.idxmax()], name[of_ours.idxmax()]
        high, low = theirs + part["half_width"], theirs - part["half_width"]
        best = high >= low.max()  # a tie, as far as the figures can be read, has several firsts
        row = dict(zip(_ORDER, key, strict=True))
        row |= {"compared": len(part), "order_tau": kendall_tau(part["ours"], part["value"])}
        row |= {"first": first, "our_first": ours, "winner_agrees": ours in set(name[best])}
        rows.append(row)
    columns = [*_ORDER, "compared", "order_tau", "first", "our_first", "winner_agrees"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"winner_agrees": bool, "order_tau": np.float64})


def outside(checked: pd.DataFrame) -> pd.DataFrame:
    """The figures outside their tolerance, worst first.

    Parameters
    ----------
    checked : DataFrame
        From `check_table`.

    Returns
    -------
    DataFrame
        Its rows that fail, by how many tolerances they differ: τ and errors have other units.
    """
    failed = checked[checked["verdict"] == FAILS]
    times = (failed["difference"] / failed["tolerance"]).abs().to_numpy()
    return failed.iloc[np.argsort(-times, kind="stable")]
