"""Families of your own: functions of a `GraphBatch`, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from graf_utils._checks import named, nearest, real_array, short
from graf_utils.features.families import FAMILIES, Family
from graf_utils.graphs import GraphBatch

__all__ = ["as_families", "feature_family"]


def feature_family(
    columns: str | Sequence[str] = ("",), *, name: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: say which columns a function of a `GraphBatch` gives.

    A function that gives one column needs no decorator: ``GRAF(families=["op_count", function])``.

    Parameters
    ----------
    columns : sequence of str, "operations" or "subsets"
        Labels of the columns, ``name[label]``. With ``"operations"`` or ``"subsets"`` there is a
        column for each, and the function is called with a second argument ``inside``, a boolean
        array of shape (n_columns, n_labels) that tells which of ``batch.operations`` belong to a
        column.
    name : str, optional
        Name of the family; by default the function's.

    Returns
    -------
    callable
        The decorator. It leaves the function as it is; the function takes a `GraphBatch` and
        returns an array of shape (n_graphs, n_columns), or (n_graphs,) for one column.

    Raises
    ------
    ValueError
        The columns are not labels, or the function is one that cannot be told its columns, such as
        a method.

    Examples
    --------
    >>> from graf_utils.features import GRAF
    >>> @feature_family(["sources", "targets"])
    ... def n_ends(batch):
    ...     none = batch.operations.index("none")
    ...     used = batch.edge_ops != none
    ...     return [[len(set(batch.edges[row, end])) for end in (0, 1)] for row in used]
    >>> GRAF(families=[n_ends]).transform([(4, 0, 3, 1, 4, 3)])
    array([[3., 3.]])
    """
    if isinstance(columns, str):
        labels: str | tuple[str, ...] = columns
        if columns not in ("subsets", "operations", "numbers"):
            raise ValueError(
                f"columns={columns!r} must be 'subsets', 'operations', 'numbers' or a list of "
                f"labels. Write columns=[{columns!r}]."
            )
    else:
        ordered = isinstance(columns, Iterable) and not isinstance(columns, Set | Mapping)
        labels = tuple(columns) if ordered else ()
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"columns={columns!r} must list at least one label, each once.")

    def describe(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            function.feature_columns = labels  # type: ignore[attr-defined]
            function.feature_name = name or _name_of(function)  # type: ignore[attr-defined]
        except AttributeError:
            raise ValueError(
                f"{short(function)} of type {type(function).__name__} cannot keep the names of its "
                "columns. Decorate a function that calls it: lambda batch: it(batch)."
            ) from None
        return function

    return describe


def as_families(families: Any) -> list[Family]:
    """Read the families that somebody asks for.

    Parameters
    ----------
    families : sequence of str, callable or Family, or mapping of name to these
        Names of `FAMILIES`, and functions of a `GraphBatch` (see `feature_family`).

    Returns
    -------
    list of Family
        Those of `FAMILIES` first, in their order; then the others as given.

    Raises
    ------
    ValueError
        There is none, a name is unknown, taken or used twice, or something is no family.
    """
    if isinstance(families, str) or callable(families) or not isinstance(families, Iterable):
        name = repr(families) if isinstance(families, str) else _name_of(families)
        raise ValueError(
            f"families={short(families)} is not a list of families. Write families=[{name}]."
        )
    if isinstance(families, Mapping):
        pairs = named("families", families)
    else:
        pairs = [(_name_of(item), item) for item in families]
        if isinstance(families, Set):  # whose order is another one in each process
            pairs.sort(key=lambda pair: str(pair[0]))
    unknown = [key for key, item in pairs if isinstance(item, str) and item not in FAMILIES]
    if unknown or not pairs:
        raise ValueError(
            f"families={short(families)}: it must name at least one of {list(FAMILIES)}, or hold "
            f"functions of a GraphBatch.{nearest(unknown[0], FAMILIES) if unknown else ''}"
        )
    chosen = [_family(key, item) for key, item in pairs]
    names = [family.name for family in chosen]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"families={short(families)} repeats {repeated}; give each once.")
    order = list(FAMILIES)
    return sorted(chosen, key=lambda f: order.index(f.name) if f.name in order else len(order))


def _name_of(item: Any) -> Any:
    """The name under which a family goes if none is given."""
    if isinstance(item, Family):
        return item.name
    return getattr(item, "feature_name", getattr(item, "__name__", item))


def _family(name: str, item: Any) -> Family:
    """A family made of somebody's function."""
    if isinstance(item, str):
        item = FAMILIES[item]
    if isinstance(item, Family) and name == item.name:
        return item
    if not callable(item) and not isinstance(item, Family):
        raise ValueError(
            f"family {short(item)} of type {type(item).__name__} is neither a name nor a function "
            f"of a GraphBatch. Names are {list(FAMILIES)}."
        )
    if not isinstance(name, str) or not name or set(name) & set("[].<>") or name in FAMILIES:
        raise ValueError(
            f"name={name!r} cannot name a family: it must be text without '[', ']', '.', '<' and "
            f"'>', and none of {list(FAMILIES)}. Give it another: families={{'my_name': function}}."
        )
    if isinstance(item, Family):  # under another name in a mapping
        return replace(item, name=name)
    labels = getattr(item, "feature_columns", ("",))

    def compute(batch: GraphBatch, start: int, inside: Any, variant: str) -> NDArray[Any]:
        values = real_array(
            f"family {name!r}", item(batch) if inside is None else item(batch, inside)
        )
        width = len(labels) if inside is None else len(inside)
        if values.shape == (len(batch),) and width == 1:
            values = values[:, None]
        if values.shape != (len(batch), width):
            raise ValueError(
                f"family {name!r} gave an array of shape {values.shape} for {len(batch)} graphs "
                f"and {width} columns; it must be ({len(batch)}, {width}). Return one row per "
                "graph."
            )
        return values.T

    return Family(name, compute, labels, by_pattern=False)
