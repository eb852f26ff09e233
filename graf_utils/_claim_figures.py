"""Figures that a claim compares: read, their tolerances, how far they miss, and as text."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from graf_utils._statistics import NORMAL_95


def figures_of(id: str, paper: Any, ours: Any) -> tuple[dict[Any, float], dict[Any, float]]:
    """The paper's figures and ours under the same names; NaN where we have none."""
    if paper is None:
        raise ValueError(
            f"claim {id!r}: figures are compared within a tolerance. Pass paper and tolerance, "
            "or holds."
        )
    published, computed = _numbers(id, "paper", paper), _numbers(id, "ours", ours)
    if not published:
        raise ValueError(f"claim {id!r}: paper has no figure. Pass at least one.")
    if not set(computed) <= set(published):
        extra = sorted(map(str, set(computed) - set(published)))
        raise ValueError(
            f"claim {id!r}: ours names {extra}, which paper does not. Use the same names."
        )
    unknown = [name for name, figure in published.items() if not math.isfinite(figure)]
    if unknown:
        raise ValueError(
            f"claim {id!r}: paper has no finite figure for {unknown}. Leave out what the source "
            "does not say."
        )
    return published, {name: computed.get(name, math.nan) for name in published}


def _numbers(id: str, argument: str, values: Any) -> dict[Any, float]:
    """One number, or a mapping of numbers, by name."""
    named = isinstance(values, Mapping) or (hasattr(values, "items") and ndim_of(values) == 1)
    figures: dict[Any, float] = {}
    for name, value in list(values.items()) if named else [("", values)]:
        if name in figures:
            raise ValueError(f"claim {id!r}: {argument} has two figures {name!r}. Name them apart.")
        try:
            if isinstance(value, str) or is_bool(value):
                raise TypeError
            figures[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                f"claim {id!r}: {argument}={value!r:.80} is not a number. Pass a number or a "
                "mapping of name to number; for a statement in words, pass holds."
            ) from None
    return figures


def margins_of(
    id: str, names: list[Any], tolerance: Any, precision: Any, standard_error: Any
) -> tuple[dict[Any, float], str]:
    """How far each figure may be off, and how the box says so."""
    derived = precision is not None or standard_error is not None
    if derived == (tolerance is not None):
        raise ValueError(
            f"claim {id!r}: figures are compared within a tolerance. Pass tolerance, or precision "
            "and standard_error, from which it is made; not both."
        )
    if not derived:
        margin = _width(id, "tolerance", tolerance)
        return dict.fromkeys(names, margin), f"± {margin:g}"
    rounding = 0.0 if precision is None else _width(id, "precision", precision) / 2
    is_named = isinstance(standard_error, Mapping) or hasattr(standard_error, "items")
    by_name = dict(standard_error.items()) if is_named else None
    if by_name is not None and set(by_name) != set(names):
        raise ValueError(
            f"claim {id!r}: standard_error names {list(by_name)}, paper {names}. Use the same."
        )
    margins = {}
    for name in names:
        error = standard_error if by_name is None else by_name[name]
        spread = 0.0 if error is None else NORMAL_95 * _width(id, "standard_error", error)
        margins[name] = rounding + spread
    low, high = min(margins.values()), max(margins.values())
    text = f"± {low:.2g}" + (f" to {high:.2g}" if high > low else "")
    sources = ["precision of the source"] * (precision is not None)
    sources += ["1.96 standard errors"] * (standard_error is not None)
    return margins, f"{text} ({' + '.join(sources)})"


def check_widths(id: str, published: dict[Any, float], tolerance: Any, precision: Any) -> None:
    """Refuse what is chosen so wide that 0, and twice a figure, would be met for every one."""
    largest = max(map(abs, published.values())) or 1.0
    for argument, value, part in (("tolerance", tolerance, 1), ("precision", precision, 2)):
        if value is not None and _width(id, argument, value) / part >= largest:
            raise ValueError(
                f"claim {id!r}: {argument}={value!r} is too wide for figures of at most "
                f"{largest:g}: each would be met by 0 and by twice itself, so the claim could "
                f"hardly fail. Pass less than {part * largest:g}, or compare in words with holds."
            )


def _width(id: str, argument: str, value: Any) -> float:
    number = isinstance(value, numbers.Real) and not is_bool(value)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"claim {id!r}: {argument}={value!r} must be a finite number, 0 or larger. (One seed "
            "has no spread: give more seeds, or a tolerance with its reason.)"
        )
    return float(value)


def misses(published: dict, computed: dict, parts: dict[Any, bool], digits: int) -> str:
    """Which figures miss, and by how much."""
    texts = []
    for name in (name for name, met in parts.items() if not met):
        gap = abs(computed[name] - published[name])
        by = f"by {gap:.{digits}f}" if math.isfinite(gap) else "no figure"
        texts.append(f"{name} {by}".strip())
    return "; ".join(texts)


def is_bool(value: Any) -> bool:
    """Python's booleans and numpy's, also an array of no dimension."""
    return isinstance(value, bool) or (
        str(getattr(value, "dtype", "")) == "bool" and ndim_of(value) == 0
    )


def ndim_of(values: Any) -> int | None:
    return getattr(values, "ndim", None)


def shown(id: str, argument: str, value: Any, digits: int) -> str:
    """Write figures for the box; an error that names what is no figure and no text."""
    try:
        return _show(value, digits)
    except (TypeError, ValueError):
        raise ValueError(
            f"claim {id!r}: {argument}={value!r:.80} cannot be shown. Pass a number, a text, or a "
            "mapping of name to these."
        ) from None


def _show(value: Any, digits: int) -> str:
    """Figures as text, by name if they have names (semicolons, for a name may have commas)."""
    if value is None:
        return ""
    if isinstance(value, Mapping) or (hasattr(value, "items") and ndim_of(value) == 1):
        return "; ".join(f"{name}: {_show(v, digits)}" for name, v in value.items())
    if isinstance(value, str) or is_bool(value):
        return str(value)
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    return f"{float(value):,.{digits}f}"
