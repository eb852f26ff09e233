"""The questions that features ask of operator graphs, each a function over a union of graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graf_utils.operators.kinds import FUNCTIONS, INPUT, KINDS, OUTPUT, kind_ids
from graf_utils.operators.paths import (
    cheapest_path,
    fed_through,
    log_paths,
    path_moments,
)
from graf_utils.operators.union import Union

__all__ = ["FAMILIES", "ANY", "Asked", "OperatorFamily"]

ANY = "any"
"""The set of all kinds that are in a group."""

_INNER = tuple(kind for kind in KINDS if kind not in (INPUT, OUTPUT))


class Asked(NamedTuple):
    """What the questions are asked about.

    Parameters
    ----------
    groups : dict of str to tuple of str
        Groups of kinds by name.
    sets : tuple of tuple of str
        Sets of groups.
    numbers : tuple of str
        Names of numbers.
    """

    groups: dict[str, tuple[str, ...]]
    sets: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]

    def labels(self, columns: str | tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels of the columns of a family.

        Parameters
        ----------
        columns : str or tuple of str
            See `OperatorFamily`.

        Returns
        -------
        tuple of str
        """
        if not isinstance(columns, str):
            return columns
        return {
            "kinds": _INNER,
            "groups": tuple(self.groups),
            "kinds and groups": (*_INNER, *self.named_groups(), ANY),
            "sets": tuple("+".join(names) for names in self.sets),
            "numbers": self.numbers,
        }[columns]

    def named_groups(self) -> dict[str, tuple[str, ...]]:
        """Return the groups that are not a kind alone, under its name.

        Returns
        -------
        dict of str to tuple of str
        """
        return {name: kinds for name, kinds in self.groups.items() if name not in KINDS}


class OperatorFamily(NamedTuple):
    """A named group of columns and the function that computes them.

    Parameters
    ----------
    name : str
        What its columns begin with.
    meaning : str
        What a column says, in a line; ``{}`` stands for its label.
    columns : {"kinds", "groups", "kinds and groups", "sets", "numbers"} or tuple of str
        A column for each of these, or with these labels; ``("",)`` is one column.
    compute : callable
        (union, asked) -> array of shape (n_graphs, n_columns), of a `Union` and an `Asked`.
    """

    name: str
    meaning: str
    columns: str | tuple[str, ...]
    compute: Callable[[Union, Asked], NDArray[Any]]


# --- counts ---------------------------------------------------------------------------------------


def _members(union: Union, kinds: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which nodes are of some kinds, an array of shape (n_nodes,)."""
    return np.isin(union.kind, kind_ids(kinds))


def _columns_of(union: Union, asked: Asked) -> NDArray[np.bool_]:
    """Which nodes are in each column of ``"kinds and groups"``, shape (n_nodes, n_columns)."""
    any_group = tuple(kind for kinds in asked.groups.values() for kind in kinds)
    named = asked.named_groups().values()
    sets = [*((kind,) for kind in _INNER), *named, any_group]
    return np.stack([_members(union, kinds) for kinds in sets], axis=1)


def _kinds(union: Union) -> NDArray[np.bool_]:
    """Which nodes are of each kind between input and output, shape (n_nodes, n_kinds)."""
    return union.kind[:, None] == kind_ids(_INNER)


def _op_count(union: Union, asked: Asked) -> NDArray[np.float64]:
    return union.per_graph(np.add, _columns_of(union, asked).astype(float))


_FUNCTIONS = tuple(
    label for kind, known in FUNCTIONS.items() for label in (*known, f"other_{kind}")
)


def _function_count(union: Union, asked: Asked) -> NDArray[np.float64]:
    parts = []
    for kind, known in FUNCTIONS.items():
        which = union.function(kind)[:, None] == np.arange(len(known) + 1)
        parts.append(union.per_graph(np.add, which.astype(float)))
    return np.concatenate(parts, axis=1)


# --- paths over sets of groups --------------------------------------------------------------------


def _over_sets(union: Union, asked: Asked) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Nodes that count on a path over each set of groups, and nodes that block it."""
    grouped = np.stack([_members(union, kinds) for kinds in asked.groups.values()], axis=1)
    names = list(asked.groups)
    chosen = np.array([[name in names_of for name in names] for names_of in asked.sets])
    inside = (grouped[:, None, :] & chosen).any(axis=2)
    return inside, grouped.any(axis=1)[:, None] & ~inside


def _min_path_len(union: Union, asked: Asked) -> NDArray[np.float64]:
    inside, blocked = _over_sets(union, asked)
    length = cheapest_path(union, inside.astype(float), blocked)
    return np.where(np.isfinite(length), length, 1 + _longest(union, asked))


def _max_path_len(union: Union, asked: Asked) -> NDArray[np.float64]:
    inside, blocked = _over_sets(union, asked)
    return _most(cheapest_path(union, -inside.astype(float), blocked))


def _most(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greatest sum, from the least of negative values; 0 where there is no path."""
    return np.where(np.isfinite(cost), 0 - cost, 0)


def _longest(union: Union, asked: Asked) -> NDArray[np.float64]:
    """The most nodes of any group on a path, shape (n_graphs, 1)."""
    grouped = _columns_of(union, asked)[:, -1:]
    return _most(cheapest_path(union, -grouped.astype(float), np.zeros_like(grouped)))


# --- degrees --------------------------------------------------------------------------------------


def _near(union: Union, asked: Asked, backward: bool) -> NDArray[np.float64]:
    """Nodes of each group that the inputs feed (or that feed the outputs) through clear nodes."""
    grouped = _columns_of(union, asked)[:, -1]
    start = union.outputs if backward else union.inputs
    fed = fed_through(union, start, ~grouped, backward)
    members = [fed & _members(union, kinds) for kinds in asked.groups.values()]
    return union.per_graph(np.add, np.stack(members, axis=1).astype(float))


def _input_degree(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _near(union, asked, backward=False)


def _output_degree(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _near(union, asked, backward=True)


def _degrees(union: Union) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Number of edges into and out of each node."""
    into = np.bincount(union.target, minlength=union.n_nodes)
    out_of = np.bincount(union.source, minlength=union.n_nodes)
    return into.astype(float), out_of.astype(float)


def _degree(union: Union, asked: Asked) -> NDArray[np.float64]:
    into, out_of = _degrees(union)
    n_nodes = union.per_graph(np.add, np.ones(union.n_nodes))
    return np.stack(
        [
            union.per_graph(np.add, out_of * union.inputs),
            union.per_graph(np.add, into * union.outputs),
            union.per_graph(np.add, into) / n_nodes,
            union.per_graph(np.maximum, into),
            union.per_graph(np.maximum, out_of),
        ],
        axis=1,
    )


def _mean_of_kinds(union: Union, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the nodes of each kind; 0 where there is none."""
    kinds = _kinds(union)
    count = union.per_graph(np.add, kinds.astype(float))
    return union.per_graph(np.add, kinds * values[:, None]) / np.maximum(count, 1)


def _in_degree(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _mean_of_kinds(union, _degrees(union)[0])


def _out_degree(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _mean_of_kinds(union, _degrees(union)[1])


# --- statistics of paths --------------------------------------------------------------------------


def _log_paths(union: Union, asked: Asked) -> NDArray[np.float64]:
    log = log_paths(union, np.zeros((union.n_nodes, 1), dtype=bool))
    return np.where(np.isfinite(log), np.logaddexp(log, 0), 0)


def _path_mean(union: Union, asked: Asked) -> NDArray[np.float64]:
    return path_moments(union, _columns_of(union, asked).astype(float)).mean


def _path_std(union: Union, asked: Asked) -> NDArray[np.float64]:
    return path_moments(union, _columns_of(union, asked).astype(float)).std


def _path_min(union: Union, asked: Asked) -> NDArray[np.float64]:
    inside = _columns_of(union, asked)
    least = cheapest_path(union, inside.astype(float), np.zeros_like(inside))
    return np.where(np.isfinite(least), least, 0)


def _path_max(union: Union, asked: Asked) -> NDArray[np.float64]:
    inside = _columns_of(union, asked)
    return _most(cheapest_path(union, -inside.astype(float), np.zeros_like(inside)))


def _path_share(union: Union, asked: Asked) -> NDArray[np.float64]:
    inside = _columns_of(union, asked)
    everywhere = log_paths(union, np.zeros((union.n_nodes, 1), dtype=bool))
    avoiding = log_paths(union, inside)
    there = np.isfinite(everywhere)
    return np.where(there, -np.expm1(avoiding - np.where(there, everywhere, 0)), 0) + 0.0


# --- depth: what a gradient goes through ----------------------------------------------------------

_DEPTH = ("shortest", "longest", "ratio", "levels", "jumps", "mean_jump", "max_jump")


def _depth(union: Union, asked: Asked) -> NDArray[np.float64]:
    grouped = _columns_of(union, asked)[:, -1:].astype(float)
    free = np.zeros(grouped.shape, dtype=bool)
    shortest = cheapest_path(union, grouped, free)
    shortest = np.where(np.isfinite(shortest), shortest, 0)[:, 0]
    longest = _longest(union, asked)[:, 0]
    into_add = (union.kind[union.target] == kind_ids(("add",))[0]) & union.live[union.source]
    length = union.level[union.target] - union.level[union.source] - 1
    jumping = into_add & (length > 0)
    rows = union.graph[union.target]
    jumps = np.bincount(rows, jumping, minlength=union.n_graphs)
    total = np.bincount(rows, jumping * length, minlength=union.n_graphs)
    furthest = np.zeros(union.n_graphs)
    np.maximum.at(furthest, rows, jumping * length)
    levels = union.per_graph(np.maximum, np.where(union.live, union.level, 0)).astype(float)
    ratio = shortest / np.maximum(longest, 1)
    mean_jump = total / np.maximum(jumps, 1)
    return np.stack([shortest, longest, ratio, levels, jumps, mean_jump, furthest], axis=1)


# --- numbers --------------------------------------------------------------------------------------


def _values(union: Union, asked: Asked) -> NDArray[np.float64]:
    """Numbers of the operators, 0 where there is none and at inputs and outputs."""
    values = np.stack([union.number(name) for name in asked.numbers], axis=1)
    values = np.nan_to_num(values)
    values[union.inputs | union.outputs] = 0
    return values


def _log_sum(union: Union, asked: Asked) -> NDArray[np.float64]:
    return np.log1p(union.per_graph(np.add, _values(union, asked)))


def _log_mean(union: Union, asked: Asked) -> NDArray[np.float64]:
    values = _values(union, asked)
    count = union.per_graph(np.add, (values > 0).astype(float))
    return np.log1p(union.per_graph(np.add, values) / np.maximum(count, 1))


def _log_min(union: Union, asked: Asked) -> NDArray[np.float64]:
    values = _values(union, asked)
    least = union.per_graph(np.minimum, np.where(values > 0, values, np.inf))
    return np.log1p(np.where(np.isfinite(least), least, 0))


def _log_max(union: Union, asked: Asked) -> NDArray[np.float64]:
    return np.log1p(union.per_graph(np.maximum, _values(union, asked)))


def _at_level(union: Union, values: NDArray[np.float64], last: bool) -> NDArray[np.float64]:
    """The greatest value on the first (or last) level where there is one."""
    level = np.where(values > 0, union.level[:, None], -1 if last else union.n_nodes)
    extreme = union.per_graph(np.maximum if last else np.minimum, level)
    there = (values > 0) & (level == extreme[union.graph])
    return np.log1p(union.per_graph(np.maximum, np.where(there, values, 0)))


def _log_first(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _at_level(union, _values(union, asked), last=False)


def _log_last(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _at_level(union, _values(union, asked), last=True)


def _log_path_min(union: Union, asked: Asked) -> NDArray[np.float64]:
    values = _values(union, asked)
    least = cheapest_path(union, values, np.zeros(values.shape, dtype=bool))
    return np.log1p(np.where(np.isfinite(least), least, 0))


def _log_path_max(union: Union, asked: Asked) -> NDArray[np.float64]:
    values = _values(union, asked)
    return np.log1p(_most(cheapest_path(union, -values, np.zeros(values.shape, dtype=bool))))


def _log_path_mean(union: Union, asked: Asked) -> NDArray[np.float64]:
    return np.log1p(path_moments(union, _values(union, asked)).mean)


# --- shares ---------------------------------------------------------------------------------------


def _share_of(union: Union, number: str) -> NDArray[np.float64]:
    """Share of each kind in a number of the network."""
    values = np.nan_to_num(union.number(number)) * ~(union.inputs | union.outputs)
    of_kind = union.per_graph(np.add, _kinds(union) * values[:, None])
    total = union.per_graph(np.add, values)[:, None]
    return of_kind / np.where(total > 0, total, 1)


def _parameter_share(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _share_of(union, "parameters")


def _multiply_add_share(union: Union, asked: Asked) -> NDArray[np.float64]:
    return _share_of(union, "multiply_adds")


def _sharing(union: Union, asked: Asked) -> NDArray[np.float64]:
    parameters = np.nan_to_num(union.number("parameters"))
    read, readers = (union.per_graph(np.add, x) for x in (parameters, (parameters > 0) * 1.0))
    shares = union.shared() >= 0
    distinct = union.distinct_parameters()
    return np.stack(
        [
            union.per_graph(np.add, (shares & (parameters > 0)) * 1.0) / np.maximum(readers, 1),
            (read - distinct) / np.maximum(read, 1),
            np.log1p(distinct),
        ],
        axis=1,
    )


FAMILIES: dict[str, OperatorFamily] = {
    family.name: family
    for family in (
        OperatorFamily("op_count", "operators of {}", "kinds and groups", _op_count),
        OperatorFamily("function_count", "operators that are {}", _FUNCTIONS, _function_count),
        OperatorFamily(
            "min_path_len",
            "fewest operators on an input-output path whose operators are in {} or transparent; "
            "one more than on any path if there is none",
            "sets",
            _min_path_len,
        ),
        OperatorFamily(
            "max_path_len",
            "most operators on an input-output path whose operators are in {} or transparent; 0 if "
            "there is none",
            "sets",
            _max_path_len,
        ),
        OperatorFamily(
            "input_degree",
            "operators of {} that the inputs feed through transparent operators at most",
            "groups",
            _input_degree,
        ),
        OperatorFamily(
            "output_degree",
            "operators of {} that feed the outputs through transparent operators at most",
            "groups",
            _output_degree,
        ),
        OperatorFamily(
            "degree",
            "edges per operator: {}",
            ("from_input", "to_output", "mean", "max_in", "max_out"),
            _degree,
        ),
        OperatorFamily("in_degree", "mean edges into an operator of {}", "kinds", _in_degree),
        OperatorFamily("out_degree", "mean edges out of an operator of {}", "kinds", _out_degree),
        OperatorFamily("log_paths", "log(1 + number of input-output paths)", ("",), _log_paths),
        OperatorFamily(
            "path_mean",
            "mean over the input-output paths of the operators of {} on a path",
            "kinds and groups",
            _path_mean,
        ),
        OperatorFamily(
            "path_std",
            "standard deviation over the paths of the operators of {} on a path",
            "kinds and groups",
            _path_std,
        ),
        OperatorFamily(
            "path_min", "fewest operators of {} on a path", "kinds and groups", _path_min
        ),
        OperatorFamily("path_max", "most operators of {} on a path", "kinds and groups", _path_max),
        OperatorFamily(
            "path_share",
            "share of the paths that pass an operator of {}",
            "kinds and groups",
            _path_share,
        ),
        OperatorFamily(
            "depth",
            "gradient flow, in operators of any group: {} (shortest and longest path, their ratio, "
            "levels, connections that jump levels into a sum, and how far)",
            _DEPTH,
            _depth,
        ),
        OperatorFamily("log_sum", "log(1 + sum of {} over operators)", "numbers", _log_sum),
        OperatorFamily("log_mean", "log(1 + mean of {} where positive)", "numbers", _log_mean),
        OperatorFamily("log_min", "log(1 + least positive {})", "numbers", _log_min),
        OperatorFamily("log_max", "log(1 + greatest {})", "numbers", _log_max),
        OperatorFamily(
            "log_first", "log(1 + {} at the least depth that has any)", "numbers", _log_first
        ),
        OperatorFamily(
            "log_last", "log(1 + {} at the greatest depth that has any)", "numbers", _log_last
        ),
        OperatorFamily(
            "log_path_min", "log(1 + least sum of {} along a path)", "numbers", _log_path_min
        ),
        OperatorFamily(
            "log_path_max", "log(1 + greatest sum of {} along a path)", "numbers", _log_path_max
        ),
        OperatorFamily(
            "log_path_mean", "log(1 + mean sum of {} along a path)", "numbers", _log_path_mean
        ),
        OperatorFamily("parameter_share", "share of {} in parameters", "kinds", _parameter_share),
        OperatorFamily(
            "multiply_add_share", "share of {} in multiply-adds", "kinds", _multiply_add_share
        ),
        OperatorFamily(
            "sharing",
            "shared weights: {} (share of operators that share, share of parameters read again, "
            "log(1 + distinct parameters))",
            ("operators", "parameters", "log_distinct"),
            _sharing,
        ),
    )
}
"""Families by name, in the order of the columns."""
