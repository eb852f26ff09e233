"""Which columns GRAF has: of which cells, families, inputs and sets of operations, and how many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations
from math import comb
from typing import Any, NamedTuple

from graf_utils import _memory
from graf_utils._checks import nearest, short, whole_number
from graf_utils.features.families import Family
from graf_utils.spaces import SearchSpace

__all__ = ["Column", "Sets", "check_groups", "count_columns", "layout", "read_sets", "subsets"]

MAX_COLUMNS = 2**20
"""Sets double with each operation: 17 operations in the seven families."""
_FEW_COLUMNS = 20_000  # what a remedy may lead to


class Column(NamedTuple):
    """One feature: where it is computed, by which family, of which labels (None: own columns)."""

    name: str
    cell: str
    family: Family
    input: int
    group: tuple[int, ...] | None


class Sets(NamedTuple):
    """The operations and the sets of them that are asked for.

    Attributes
    ----------
    operations : list of str
        In the order of the space.
    inner : tuple of int
        Ids of those that are in sets: the operations without free labels.
    max_size : int
        The most operations of a set that has no name.
    groups : dict of str to tuple of int
        Sets by name: ids of operations.
    """

    operations: list[str]
    inner: tuple[int, ...]
    max_size: int
    groups: dict[str, tuple[int, ...]]


def subsets(ids: Sequence[int], max_size: int | None = None) -> list[tuple[int, ...]]:
    """Return all non-empty subsets, by size and then by id (GRAF's column order).

    Parameters
    ----------
    ids : sequence of int
    max_size : int, optional
        Only subsets of at most so many.

    Returns
    -------
    list of tuple of int
        2^n - 1 of them without `max_size`.

    Examples
    --------
    >>> subsets([0, 1])
    [(0,), (1,), (0, 1)]
    >>> subsets([0, 1, 2], max_size=1)
    [(0,), (1,), (2,)]
    """
    sizes = range(1, (len(ids) if max_size is None else min(max_size, len(ids))) + 1)
    return list(chain.from_iterable(combinations(ids, k) for k in sizes))


def read_sets(
    space: SearchSpace,
    operations: Sequence[str] | None,
    max_set_size: int | None,
    groups: Mapping[str, Sequence[str]] | None,
) -> Sets:
    """Read which sets of operations are asked for.

    Parameters
    ----------
    space : SearchSpace
    operations, max_set_size, groups
        See `graf_utils.features.GRAF`.

    Returns
    -------
    Sets

    Raises
    ------
    ValueError
        An operation is unknown, a size is no whole number, or a group is none.
    """
    chosen = _operations(space, operations)
    inner = tuple(space.labels.index(op) for op in chosen if op not in space.free)
    if max_set_size is None:
        max_size = len(inner) if groups is None else 1
    else:
        max_size = whole_number("max_set_size", max_set_size, 0 if groups else 1)
    named: dict[str, tuple[int, ...]] = {}
    if groups is not None:
        check_groups("groups", groups, space)
        for name, members in groups.items():
            if name in space.labels or "+" in name:
                raise ValueError(
                    f"groups has the name {name!r}, which is that of an operation or of a set of "
                    "operations. Give the group another name."
                )
            named[name] = tuple(sorted({space.labels.index(op) for op in members}))
    return Sets(chosen, inner, max_size, named)


def check_groups(argument: str, groups: Any, space: SearchSpace) -> None:
    """Check that something maps good names to lists of the operations of a space.

    Parameters
    ----------
    argument : str
        What the sets are called, for messages.
    groups : object
        To check.
    space : SearchSpace

    Raises
    ------
    ValueError
        It does not.
    """
    if not isinstance(groups, Mapping) or not groups:
        raise ValueError(
            f"{argument}={short(groups)} must map at least one name to operations. Write "
            f"{argument}={{'name': ['operation', ...]}}."
        )
    for name, members in groups.items():
        _check_group(argument, name, members, space)


def _check_group(argument: str, name: Any, members: Any, space: SearchSpace) -> None:
    """Check that a set has a good name and is a list of the operations of a space."""
    if not isinstance(name, str) or not name or set(name) & set("[]<>"):
        raise ValueError(
            f"{argument} has the name {name!r}; it must be text without '[', ']', '<' and '>'. "
            "Give the set another name."
        )
    if isinstance(members, str) or not isinstance(members, Sequence) or not members:
        raise ValueError(
            f"{argument}[{name!r}]={members!r} is not a list of operations. Write "
            f"{argument}={{{name!r}: [{space.operations[0]!r}]}}."
        )
    known = [op for op in space.operations if op not in space.free]
    unknown = [op for op in members if op not in known]
    if unknown:
        raise ValueError(
            f"{argument}[{name!r}]={list(members)}: {unknown[0]!r} is no operation of "
            f"{space.name!r}; these are {known}.{nearest(unknown[0], known)}"
        )


def _operations(space: SearchSpace, operations: Sequence[str] | None) -> list[str]:
    """The operations asked for, in the order of the space."""
    if operations is None:
        return list(space.labels)
    if isinstance(operations, str) or not isinstance(operations, Iterable):
        raise ValueError(
            f"operations={operations!r} is not a list of names. Write operations=[{operations!r}]."
        )
    listed = list(operations)
    unknown = [name for name in listed if name not in space.labels]
    if unknown or not listed:
        raise ValueError(
            f"operations={listed!r}: it must name at least one of {list(space.labels)}."
            + (nearest(unknown[0], space.labels) if unknown else "")
        )
    return [name for name in space.labels if name in listed]


def count_columns(space: SearchSpace, families: list[Family], sets: Sets) -> int:
    """Count the columns of `layout` without making them.

    Parameters
    ----------
    space : SearchSpace
    families : list of Family
    sets : Sets

    Returns
    -------
    int
        At most by the number of `groups` too many, where one is a set of `max_size` as well.
    """
    n_inner = len(sets.inner)
    if sets.max_size >= n_inner:
        n_sets = 2**n_inner - 1
    else:
        n_sets = sum(comb(n_inner, k) for k in range(1, sets.max_size + 1))
    places = {
        "subsets": n_sets + len(sets.groups),
        "operations": len(sets.operations) + len(sets.groups),
        "numbers": len(space.numbers),
    }
    return len(space.cells) * sum(
        (places[family.columns] if isinstance(family.columns, str) else len(family.columns))
        * (len(space.inputs) if family.each_input else 1)
        for family in families
    )


def layout(space: SearchSpace, families: list[Family], sets: Sets) -> list[Column]:
    """Return the columns of some families over some operations.

    Parameters
    ----------
    space : SearchSpace
    families : list of Family
    sets : Sets

    Returns
    -------
    list of Column
        Cell by cell, family by family, input by input; sets by size and then by id, groups last.

    Raises
    ------
    ValueError
        There are too many columns, or a family asks for numbers that the space has not.
    """
    _check_width(space, families, sets)
    labels, groups = space.labels, list(sets.groups.items())
    places: dict[Any, list[tuple[str, tuple[int, ...] | None]]] = {
        "operations": [(op, (labels.index(op),)) for op in sets.operations] + groups,
        "numbers": [(name, None) for name in space.numbers],
    }
    if any(family.columns == "subsets" for family in families):
        named = {group for group in sets.groups.values() if len(group) > 1}
        plain = [group for group in subsets(sets.inner, sets.max_size) if group not in named]
        places["subsets"] = [("+".join(labels[op] for op in g), g) for g in plain] + groups
    columns = []
    for cell in space.cells:
        for family in families:
            entries = places.get(family.columns) or [(label, None) for label in family.columns]
            for i, source in enumerate(space.inputs if family.each_input else ("",)):
                stem = ".".join(filter(None, (cell, family.name, source)))
                columns += [
                    Column(f"{stem}[{label}]" if label else stem, cell, family, i, group)
                    for label, group in entries
                ]
    return columns


def _check_width(space: SearchSpace, families: list[Family], sets: Sets) -> None:
    """Raise if there are no numbers to ask for or too many columns, before the first is made."""
    without = [family.name for family in families if family.columns == "numbers"]
    if without and not space.numbers:
        raise ValueError(
            f"families {without} ask for numbers, and the operations of {space.name!r} have none. "
            "Leave them out, or give a CellSpace numbers={'kernel': {...}}."
        )
    n_columns = count_columns(space, families, sets)
    if n_columns <= MAX_COLUMNS:
        return
    sizes = {k: count_columns(space, families, sets._replace(max_size=k)) for k in (3, 2, 1)}
    size = next((k for k, n in sizes.items() if n <= _FEW_COLUMNS), 1)
    several = [family.name for family in families if family.columns == "subsets"]
    n_inner = len(sets.inner)
    asked = f"2**{n_inner} - 1 sets" if sets.max_size >= n_inner else f"sets of {sets.max_size}"
    raise ValueError(
        f"GRAF over {n_inner} operations of {space.name!r} asks {several} of {asked} of "
        f"operations: {n_columns:,} columns, {_memory.written(8 * n_columns)} for each "
        f"architecture; at most {MAX_COLUMNS:,} columns are computed. Pass max_set_size={size} "
        f"({sizes[size]:,} columns), groups={{'name': [...]}}, fewer operations=[...], or only "
        "families that ask of each operation, such as families=['op_count']."
    )
