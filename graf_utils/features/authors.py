"""What the authors' own code does: which families it has in which space, and the columns' order.

The paper's numbers depend on both. Each is one function with a rule per search space
(`functools.singledispatch`), so that a space of your own can have a rule as well:
``graf_families.register(MySpace)``. `authors_encoding` and `authors_one_hot` are the matrices that
their code hands to a predictor, and `authors_edges` the cells of which it takes the paths.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils.spaces import DARTS, NB201, SearchSpace, TNB101Macro, TNB101Micro

__all__ = [
    "authors_edges",
    "authors_encoding",
    "authors_one_hot",
    "authors_order",
    "graf_families",
]

_DEGREES = ("input_degree", "output_degree", "mean_in_degree", "mean_out_degree")
_CELL = ("op_count", "min_path_len", "max_path_len", *_DEGREES)


@functools.singledispatch
def graf_families(space: SearchSpace) -> tuple[str, ...]:
    """Return the names of GRAF's families in a search space.

    Parameters
    ----------
    space : SearchSpace

    Returns
    -------
    tuple of str
        The seven families of cells, but for DARTS and TransNAS-Bench-101-macro.
    """
    return _CELL


@graf_families.register
def _(space: DARTS) -> tuple[str, ...]:
    return ("op_count", "max_path_len", "input_degree", "mean_in_degree", "mean_out_degree")


@graf_families.register
def _(space: TNB101Macro) -> tuple[str, ...]:
    return ("op_count", "channel_doublings", "strides")


@functools.singledispatch
def authors_order(space: SearchSpace, columns: list[str]) -> list[str]:
    """Order GRAF's columns as the authors' code has them.

    A forest with a fixed seed depends on the order of its columns: with the order of `GRAF` the
    mean tau at 32 networks on NAS-Bench-201 would be .002 lower than the published one. Their code
    takes shortest paths by the operations that are *left out*, and the four degrees of a set
    together.

    Parameters
    ----------
    space : SearchSpace
    columns : list of str
        Names from `GRAF.get_feature_names_out`.

    Returns
    -------
    list of str
        The same names; reordered in NAS-Bench-201 and TransNAS-Bench-101-micro.
    """
    return columns


@authors_order.register(NB201)
@authors_order.register(TNB101Micro)
def _(space: SearchSpace, columns: list[str]) -> list[str]:
    operations = space.operations

    def key(name: str) -> tuple[int, int, tuple[int, ...], int]:
        family, inside = name[:-1].split("[")
        chosen = {operations.index(op) for op in inside.split("+")}
        if family == "min_path_len":
            chosen = set(range(len(operations))) - chosen
        group = ("op_count", "min_path_len", "max_path_len", family).index(family)
        member = _DEGREES.index(family) if family in _DEGREES else 0
        return group, len(chosen), tuple(sorted(chosen)), member

    return sorted(columns, key=key)


@functools.singledispatch
def authors_encoding(space: SearchSpace, features: pd.DataFrame) -> pd.DataFrame:
    """Return GRAF's features as the authors' code hands them to a predictor.

    The columns are in their order, and in TransNAS-Bench-101-micro there is one more: the code
    behind the paper counts the operations 0 to 4 of NAS-Bench-201 there as well, and the count of
    the fifth, which micro does not have, is always 0. A constant column says nothing, but a forest
    that draws its columns with a fixed seed draws others: the published room_layout at 32 networks
    is reached with it. (Their version of August 2024 has it no more.)

    Parameters
    ----------
    space : SearchSpace
    features : DataFrame of shape (n_architectures, n_features)
        From `GRAF` with ``variant="paper"``.

    Returns
    -------
    DataFrame
        The same columns in the authors' order; in TransNAS-Bench-101-micro, ``op_count[4]`` behind
        the other counts.
    """
    return features[authors_order(space, list(features))]


@authors_encoding.register
def _(space: TNB101Micro, features: pd.DataFrame) -> pd.DataFrame:
    ordered = features[authors_order(space, list(features))]
    n_counts = sum(str(name).startswith("op_count[") for name in ordered)
    if n_counts:
        dtype = ordered.dtypes.iloc[0]
        constant = pd.Series(0, index=ordered.index, dtype=dtype, name="op_count[4]")
        parts = [ordered.iloc[:, :n_counts], constant, ordered.iloc[:, n_counts:]]
        ordered = pd.concat(parts, axis=1)
    return ordered


@functools.singledispatch
def authors_one_hot(space: SearchSpace, indicators: pd.DataFrame) -> pd.DataFrame:
    """Return one-hot columns as the authors' code hands them to a predictor.

    In TransNAS-Bench-101-macro their code pads the shorter chains with 0 to six layers and takes 0
    for a fifth kind of layer. With it a forest sees at once how long a chain is: without it, tau
    with 1,000 training networks is .02 lower than the published one.

    Parameters
    ----------
    space : SearchSpace
    indicators : DataFrame of shape (n_architectures, n_columns)
        An indicator for each position and operation, position by position.

    Returns
    -------
    DataFrame
        The same columns; in TransNAS-Bench-101-macro, ``layer 4=absent`` and its like before those
        of each layer: 30 columns, of which four are constant.
    """
    return indicators


@authors_one_hot.register
def _(space: TNB101Macro, indicators: pd.DataFrame) -> pd.DataFrame:
    n, blocks = len(space.operations), []
    for i, place in enumerate(space.position_names()):
        block = indicators.iloc[:, i * n : (i + 1) * n]
        blocks += [(1 - block.sum(axis=1)).rename(f"{place}=absent"), block]
    return pd.concat(blocks, axis=1)


@functools.singledispatch
def authors_edges(space: SearchSpace, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return codes of the cells whose path encoding is the published one.

    A tuple of NAS-Bench-201 lists the edges by the node that they leave (1-4 is the third, 2-3 the
    fourth), its strings by the node that they enter (the other way round). The published figures of
    path encodings are met if the paths are read off tuples as if they were in the order of the
    strings: 1-4 and 2-3 change places. That is our finding, from three train sizes and two data
    sets; with the edges in their places tau at 1,024 networks would be .009 higher.

    Parameters
    ----------
    space : SearchSpace
    codes : ndarray of shape (n_architectures, code_length)

    Returns
    -------
    ndarray of shape (n_architectures, code_length)
        The same codes, or in NAS-Bench-201 those with the two edges exchanged.
    """
    return codes


@authors_edges.register
def _(space: NB201, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    return codes[:, [0, 1, 3, 2, 4, 5]]
