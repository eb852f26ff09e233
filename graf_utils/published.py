"""Figures that others published, each with its source; and our results that stand beside them.

``data/published.csv`` is the one place where a figure of the paper stands: chapters, tests and
benchmarks ask `published` for it. `paper_results` reads the committed fits of the paper's protocol
as one frame, `search_results` the ends of the committed searches, `our_results` all that can stand
beside a figure; `graf_utils.figures` compares the two.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

from graf_utils import _checks
from graf_utils.evaluation import FIT
from graf_utils.registry import DataError, data_path

__all__ = [
    "BLOG",
    "CODE",
    "FEATURES",
    "KINDS",
    "PAPER",
    "RESULTS",
    "our_results",
    "paper_results",
    "published",
    "search_results",
    "source_link",
]

PAPER = "https://arxiv.org/abs/2404.16551"
"""The paper on GRAF, with its abstract."""

CODE = "https://github.com/gabikadlecova/zc_combine"
"""The authors' code of the experiments, with their stored outputs."""

FEATURES = "https://github.com/gabikadlecova/GRAF"
"""The authors' package of the features."""

BLOG = "https://gabikadlecova.github.io/blog/2024/graf/"
"""The authors' blog post on the paper."""

KINDS = {
    "stored": "stored outputs of the authors",
    "figure": "read off a figure of the authors",
    "statement": "stated by the authors",
    "other": "another paper's",
    "rerun": "an earlier run of ours",
}
"""Where a published figure comes from. A rerun is a regression check and no claim of anybody."""

RESULTS = (
    "paper_nb201", "paper_tasks", "paper_tables", "brpnas_nearest", "brpnas_nb201", "brpnas_tasks",
    "flow_ta_gates",
)  # fmt: skip
"""Files of ``data/results`` with fits of the paper's protocol; a missing one is left out."""

_ZOO, _SEARCHES = "zoo", "bo_search"
_SEARCHED = "search"  # what the published figures of searches call their target

_TEXTS = ("table", "target", "encoding", "predictor", "statistic", "where", "kind", "source")
_NUMBERS = ("value", "std", "n_splits", "train_size")
_MEASURED = ("kendall_tau", "n_test", "n_features", "cpu_seconds")
_OTHERS = {"VKDNW": "https://arxiv.org/abs/2502.04975"}
_COMMIT = re.compile(r"zc_combine, (?P<name>[\w./-]+), commit (?P<commit>[0-9a-f]{7,40})\b")


def published(
    table: str | Iterable[str] | None = None,
    target: str | Iterable[str] | None = None,
    kind: str | Iterable[str] | None = None,
    *,
    encoding: str | Iterable[str] | None = None,
    predictor: str | Iterable[str] | None = None,
) -> pd.DataFrame:
    """Return published figures, one row each.

    Parameters
    ----------
    table, target, kind, encoding, predictor : str or iterable of str, optional
        Only rows with one of these values; kinds are those of `KINDS`. An encoding is the same in
        any order of its parts: ``"graf+zcp"`` finds ``"zcp+graf"``.

    Returns
    -------
    DataFrame
        The columns of ``data/published.csv``; `half_width` (by how much the figure may be off:
        half a unit of the last digit of a number that was printed, the error of reading off
        otherwise); and `source_link` (see there). `train_size` and `n_splits` are whole numbers or
        missing.

    Raises
    ------
    ValueError
        No row has such a value, or the kind is unknown.
    DataError
        The file is not what it should be: a number that is not finite, an unknown kind, a figure
        that stands twice.

    Examples
    --------
    >>> rows = published("nb201-cifar10", kind="stored", encoding="graf+zcp")
    >>> rows["train_size"].tolist(), rows["value"].tolist()
    ([32, 128, 1024], [0.6968, 0.7783, 0.8448])
    """
    rows = _read()
    if kind is not None:
        for name in _checks.names("kind", kind):
            _checks.choice("kind", name, KINDS)
    asked = {"table": table, "target": target, "kind": kind, "predictor": predictor}
    for column, values in asked.items():
        if values is None:
            continue
        for name in _checks.names(column, values):
            _checks.choice(column, name, sorted(set(rows[column])))
        rows = rows[rows[column].isin(_checks.names(column, values))]
    if encoding is not None:
        parts = rows["encoding"].map(parts_of)
        for name in _checks.names("encoding", encoding):
            if parts_of(name) not in set(parts):
                _checks.choice("encoding", name, sorted(set(rows["encoding"])))
        wanted = {parts_of(name) for name in _checks.names("encoding", encoding)}
        rows = rows[parts.isin(wanted)]
    return rows.reset_index(drop=True)


def parts_of(encoding: str) -> frozenset[str]:
    """The parts of an encoding, which may be joined in any order.

    Parameters
    ----------
    encoding : str
        Names joined by ``+``.

    Returns
    -------
    frozenset of str
    """
    return frozenset(encoding.split("+"))


def source_link(source: str) -> str:
    """Address of a source, as far as its text says it for certain.

    Parameters
    ----------
    source : str
        As in the column `source` of ``data/published.csv``.

    Returns
    -------
    str
        The file at its commit where the text names both; else the repository, the blog post or the
        paper; ``""`` for what is ours.

    Examples
    --------
    >>> source_link("zc_combine, results/tagates_results.ipynb, blob 8c17520, figure")
    'https://github.com/gabikadlecova/zc_combine'
    """
    file = _COMMIT.search(source)
    if file:
        return f"{CODE}/blob/{file['commit']}/{file['name']}"
    if source.startswith("not the authors'"):
        return ""
    places = {"zc_combine": CODE, "authors' blog post": BLOG, "authors of GRAF": PAPER} | _OTHERS
    return next((link for start, link in places.items() if source.startswith(start)), "")


def paper_results(names: str | Iterable[str] = RESULTS) -> pd.DataFrame:
    """Return our committed fits of the paper's protocol on the published tables.

    Parameters
    ----------
    names : str or iterable of str
        Files of ``data/results`` without their ending. Those that are not there are left out.

    Returns
    -------
    DataFrame
        One row per fit: the columns `graf_utils.evaluation.FIT`, `kendall_tau`, `n_test`,
        `n_features` and `cpu_seconds` (NaN where a file has none). Of a fit that several files
        hold, the row of the first is kept. Fits on embedded tables are left out.

    Raises
    ------
    ValueError
        None of the files is there, or one lacks a column.
    """
    frames = []
    for name in _checks.names("names", names):
        frame = _stored(name)
        if frame is not None:
            _checks.numeric_columns(f"{name}.parquet", frame, ["kendall_tau", "train_size"])
            frames.append(frame.reindex(columns=[*FIT, *_MEASURED]))
    if not frames:
        raise ValueError(
            f"names={_checks.short(names)}: none of these files is in data/results. Known are "
            f"{list(RESULTS)}; make paper computes them."
        )
    fits = pd.concat(frames, ignore_index=True)
    fits = fits[fits["source"] == "paper"].drop_duplicates(list(FIT))
    return fits.sort_values(list(FIT), kind="stable", ignore_index=True)


def search_results() -> pd.DataFrame:
    """Return how our committed searches by Bayesian optimisation ended, one row per run.

    Returns
    -------
    DataFrame
        The columns `graf_utils.evaluation.FIT`, where `target` is ``"search"``, `train_size` the
        number of evaluations and `data_seed` the seed of the run; `error` (validation error in
        percent of the best network found) and `cpu_seconds`. No rows without the file.

    Raises
    ------
    ValueError
        The file lacks a column.
    """
    columns = [*FIT, "error", "cpu_seconds"]
    runs = _stored(_SEARCHES)
    if runs is None:
        return pd.DataFrame(columns=columns)
    _checks.numeric_columns(f"{_SEARCHES}.parquet", runs, ["evaluation", "best", "seed"])
    names = {"evaluation": "train_size", "seed": "data_seed"}
    keys = ["table", "source", "encoding", "predictor", "seed"]
    ends = runs.loc[runs.groupby(keys)["evaluation"].idxmax()].rename(columns=names)
    ends = ends.assign(target=_SEARCHED, error=100 - ends["best"])
    return ends[columns].reset_index(drop=True)


def our_results() -> pd.DataFrame:
    """Return all of our committed results that can stand beside a published figure.

    Returns
    -------
    DataFrame
        The fits of `paper_results`; those of the predictor zoo, whose protocol is another (200 test
        networks, its own train sizes); and `search_results`. A fit has no `error`, a search no
        `kendall_tau`.

    Raises
    ------
    ValueError
        A file lacks a column.
    """
    frames = [paper_results(), search_results()]
    if _stored(_ZOO) is not None:
        frames.append(paper_results(_ZOO))
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def _stored(name: str) -> pd.DataFrame | None:
    """A file of our results, if it is there."""
    try:
        return pd.read_parquet(data_path("results", f"{name}.parquet"))
    except DataError:
        return None


def half_width(value: str, precision: str) -> float:
    """By how much a figure may be off.

    Parameters
    ----------
    value : str
        The figure as it was printed; its digits count.
    precision : str
        ``"exact"`` for a number that was printed or stored, ``"±.003"`` for one that was read off.

    Returns
    -------
    float
        Half a unit of the last digit, or the error of reading off.

    Raises
    ------
    ValueError
        The texts are neither.

    Examples
    --------
    >>> half_width("0.8450", "exact"), half_width("0.630", "±.003")
    (5e-05, 0.003)
    """
    try:
        if precision == "exact":
            return float(Decimal(5).scaleb(int(Decimal(value).as_tuple().exponent) - 1))
        if precision.startswith("±"):
            return float(Decimal(precision[1:]))
    except (InvalidOperation, TypeError, ValueError):
        pass
    raise ValueError(
        f"precision {precision!r} of {value!r} is neither 'exact', for a number with its digits, "
        "nor an error such as '±.003'."
    )


@functools.cache
def _read() -> pd.DataFrame:
    """The whole file, checked."""
    path = data_path("published.csv")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    try:
        return _parsed(rows)
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}. Take it from the repository again.") from None


def _parsed(rows: pd.DataFrame) -> pd.DataFrame:
    """Texts turned into numbers and checked; the derived columns."""
    for column in _TEXTS:
        if (rows[column].str.strip() == "").any():
            raise ValueError(f"a row without {column}")
    unknown = sorted(set(rows["kind"]) - set(KINDS))
    if unknown:
        raise ValueError(f"unknown kinds {unknown}")
    keys = ["table", "target", "encoding", "predictor", "train_size", "statistic"]
    twice = rows.assign(encoding=rows["encoding"].map(parts_of)).duplicated(keys)
    if twice.any():
        first = rows.loc[twice.idxmax(), keys]
        raise ValueError(f"a figure stands twice: {', '.join(first)}")
    parsed = rows.copy()
    for column in _NUMBERS:
        numbers = pd.to_numeric(rows[column].replace("", np.nan), errors="coerce")
        if (numbers.isna() & (rows[column] != "")).any() or np.isinf(numbers).any():
            raise ValueError(f"a {column} is no finite number")
        parsed[column] = numbers
    if parsed["value"].isna().any():
        raise ValueError("a row without value")
    parsed["half_width"] = [
        half_width(*pair) for pair in zip(rows["value"], rows["precision"], strict=True)
    ]
    parsed["source_link"] = rows["source"].map(source_link)
    whole: Any = {"train_size": "Int64", "n_splits": "Int64"}
    return parsed.astype(whole)
