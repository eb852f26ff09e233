"""Encodings of tables whose space is a `ConfigurationSpace`: settings, and graphs made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils.operators import Layer, OperatorGraph
from graf_utils.operators.union import Union
from graf_utils.spaces import ConfigurationSpace
from graf_utils.table import Table, check_table

__all__ = [
    "depth",
    "layer_statistics",
    "operator_graphs",
    "parameters",
    "settings_numbers",
    "settings_one_hot",
]


def operator_graphs(
    table: Table, layers: Callable[[Mapping[str, Any]], Sequence[Layer]]
) -> list[OperatorGraph]:
    """Return the architectures of a table as operator graphs.

    Parameters
    ----------
    table : Table
        Its space is a `ConfigurationSpace`.
    layers : callable
        From a configuration to its layers, such as `graf_utils.transformers.bert_layers`.

    Returns
    -------
    list of OperatorGraph
        One per row.

    Raises
    ------
    ValueError
        The table's space has no configurations.
    """
    space = _space(table, "operator_graphs")
    return [OperatorGraph.from_layers(layers(c)) for c in space.configurations(table.codes)]


def parameters(graphs: Sequence[OperatorGraph]) -> pd.DataFrame:
    """Return the number of weights of each network, those that are shared counted once.

    Parameters
    ----------
    graphs : sequence of OperatorGraph

    Returns
    -------
    DataFrame of shape (n_networks, 1)
        The column ``parameters``.
    """
    return pd.DataFrame({"parameters": Union(graphs).distinct_parameters()})


def depth(table: Table) -> pd.DataFrame:
    """Return the number of layers alone.

    Parameters
    ----------
    table : Table
        Its space is a `ConfigurationSpace`.

    Returns
    -------
    DataFrame of shape (n_architectures, 1)
        The column ``depth``.

    Raises
    ------
    ValueError
        The table's space has no configurations.
    """
    space = _space(table, "depth")
    return pd.DataFrame({"depth": space.n_layers(table.codes).astype(float)})


def settings_one_hot(table: Table) -> pd.DataFrame:
    """Return which choice each setting has, layer by layer.

    Parameters
    ----------
    table : Table
        Its space is a `ConfigurationSpace`.

    Returns
    -------
    DataFrame of shape (n_architectures, n_columns)
        An indicator for each setting and choice, such as ``layer 0 heads=4``, and for each number
        of layers. All indicators of a layer that a network does not have are 0.

    Raises
    ------
    ValueError
        The table's space has no configurations.
    """
    space = _space(table, "settings_one_hot")
    columns: dict[str, NDArray[np.bool_]] = {}
    for position, name in enumerate(space.position_names()):
        columns |= _indicators(name, space.choices[position], table.codes[:, position])
    if len(space.depths) > 1:
        n_layers = space.n_layers(table.codes)
        columns |= {f"depth={depth}": n_layers == depth for depth in space.depths}
    return pd.DataFrame(columns).astype(float)


def settings_numbers(table: Table) -> pd.DataFrame:
    """Return the settings as numbers, layer by layer; texts as indicators.

    Parameters
    ----------
    table : Table
        Its space is a `ConfigurationSpace`.

    Returns
    -------
    DataFrame of shape (n_architectures, n_columns)
        A column for each setting whose choices are numbers, 0 where there is no such layer; an
        indicator for each choice of the others; and the number of layers.

    Raises
    ------
    ValueError
        The table's space has no configurations.
    """
    space = _space(table, "settings_numbers")
    columns: dict[str, NDArray[Any]] = {}
    for position, name in enumerate(space.position_names()):
        choices, codes = space.choices[position], table.codes[:, position]
        if _are_numbers(choices):
            columns[name] = np.array([*choices, 0], dtype=float)[codes]  # -1 picks the last
        else:
            columns |= _indicators(name, choices, codes)
    if len(space.depths) > 1:
        columns["depth"] = space.n_layers(table.codes)
    return pd.DataFrame(columns).astype(float)


def layer_statistics(table: Table) -> pd.DataFrame:
    """Return a plain summary of the stack of layers, whatever their number.

    Parameters
    ----------
    table : Table
        Its space is a `ConfigurationSpace` with layers.

    Returns
    -------
    DataFrame of shape (n_architectures, n_columns)
        The settings of the network and the number of layers; for each setting of the layers the
        sum, mean, minimum and maximum if it is a number; else, for each choice, how many layers
        have it, the first and last that does (counted from 1; 0 if none) and the longest run.

    Raises
    ------
    ValueError
        The table's space has no configurations, or these have no layers.
    """
    space = _space(table, "layer_statistics")
    if not space.layers:
        raise ValueError(
            f"layer_statistics: the space of table {table.name!r} has no layers. Use "
            "settings_numbers(table)."
        )
    n_settings = len(space.settings)
    frame = settings_numbers(table)
    frame = frame[[c for c in frame if c.split("=")[0] in space.settings or c == "depth"]]
    stack = table.codes[:, n_settings:].reshape(len(table), space.depths[-1], len(space.layers))
    columns: dict[str, NDArray[Any]] = {}
    for i, (name, choices) in enumerate(space.layers.items()):
        if _are_numbers(choices):
            values = np.array([*choices, np.nan], dtype=float)[stack[:, :, i]]
            for summary in (np.nansum, np.nanmean, np.nanmin, np.nanmax):
                columns[f"{name} {summary.__name__[3:]}"] = summary(values, axis=1)
            continue
        for k, choice in enumerate(choices):
            columns |= _places(f"{name}={choice}", stack[:, :, i] == k)
    return pd.concat([frame, pd.DataFrame(columns).astype(float)], axis=1)


def _places(name: str, there: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Where a choice stands in stacks of layers, shape (n_networks, n_layers)."""
    n_layers = there.shape[1]
    run, longest = np.zeros(len(there)), np.zeros(len(there))
    for layer in range(n_layers):
        run = (run + 1) * there[:, layer]
        longest = np.maximum(longest, run)
    places = np.arange(1, n_layers + 1) * there
    first = np.where(there.any(axis=1), there.argmax(axis=1) + 1, 0)
    return {
        f"{name} count": there.sum(axis=1),
        f"{name} first": first,
        f"{name} last": places.max(axis=1),
        f"{name} run": longest,
    }


def _indicators(
    name: str, choices: Sequence[Any], codes: NDArray[np.integer]
) -> dict[str, NDArray[np.bool_]]:
    """Where each choice of a setting stands."""
    return {f"{name}={choice}": codes == i for i, choice in enumerate(choices)}


def _are_numbers(choices: tuple[Any, ...]) -> bool:
    return all(isinstance(choice, int | float) for choice in choices)


def _space(table: Table, function: str) -> ConfigurationSpace:
    """The space of a table, which must be one of configurations."""
    check_table(table, function)
    if not isinstance(table.space, ConfigurationSpace):
        raise ValueError(
            f"{function}: table {table.name!r} is of {table.space!r}, which has no configurations. "
            "Use graf_utils.encodings.encode for cells."
        )
    return table.space
