"""Features of operator graphs as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from graf_utils._checks import choice, listed, names, nearest, short, whole_number
from graf_utils.features.columns import subsets
from graf_utils.operators.families import ANY, FAMILIES, Asked, OperatorFamily
from graf_utils.operators.graph import OperatorGraph
from graf_utils.operators.kinds import GROUPS, KINDS, NUMBERS
from graf_utils.operators.union import Union
from graf_utils.redundancy import DropsRedundant

__all__ = ["OperatorFeatures"]

_MAX_GROUPS = 8  # 255 sets
_CHUNK = 2**15  # nodes at a time: the intermediate arrays stay small


class OperatorFeatures(DropsRedundant, TransformerMixin, BaseEstimator):
    """GRAF-like and flow-like features of operator graphs, one row per network.

    All networks are computed together: their graphs are put side by side and swept level by level.

    Parameters
    ----------
    families : sequence of str or OperatorFamily, optional
        Which questions to ask: names of `FAMILIES`, and families of your own. By default all of
        `FAMILIES`.
    groups : mapping of str to sequence of str, optional
        Groups of kinds, between which paths tell; by default `GROUPS`. Each kind is in one group at
        most, and is *transparent* if it is in none: a path goes through it, and it does not count.
        `min_path_len` and `max_path_len` have a column for each set of groups, so that columns
        double with each group; at most eight.
    max_set_size : int, optional
        Only sets of at most so many groups; by default all.
    numbers : sequence of str, optional
        Which numbers to weigh by; by default `NUMBERS`.
    drop_redundant : bool, default False
        Drop columns that are constant, or equal to an earlier column, in the networks of `fit`.

    Attributes
    ----------
    columns_ : ndarray of int
        Positions of the columns kept by `fit`, among all columns.

    Notes
    -----
    Paths lead from an input to an output. An operator that takes a value twice is entered by two
    edges, and so has two paths. No value is missing: what a network does not have is 0.

    Examples
    --------
    >>> block = ["input", "conv", "activation", "conv", "add", "output"]
    >>> graph = OperatorGraph(block, [(0, 1), (1, 2), (2, 3), (0, 4), (3, 4), (4, 5)])
    >>> OperatorFeatures(["depth"]).fit_transform([graph]).T
                        0
    depth[shortest]   0.0
    depth[longest]    2.0
    depth[ratio]      0.0
    depth[levels]     5.0
    depth[jumps]      1.0
    depth[mean_jump]  3.0
    depth[max_jump]   3.0
    >>> OperatorFeatures().describe().meaning[0]
    'operators of conv'
    """

    def __init__(
        self,
        families: Sequence[str | OperatorFamily] | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        max_set_size: int | None = None,
        numbers: Sequence[str] | None = None,
        drop_redundant: bool = False,
    ) -> None:
        self.families = families
        self.groups = groups
        self.max_set_size = max_set_size
        self.numbers = numbers
        self.drop_redundant = drop_redundant

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns to keep; without `drop_redundant` it only checks the input.

        Parameters
        ----------
        X : sequence of OperatorGraph
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            X is no list of operator graphs, an argument is wrong, or all columns are constant and
            `drop_redundant` leaves none.
        """
        self._learn(self._compute(X))
        return self

    def fit_transform(self, X: Any, y: Any = None) -> pd.DataFrame:
        """Fit and transform, with the features computed once.

        Parameters
        ----------
        X : sequence of OperatorGraph
        y : ignored

        Returns
        -------
        DataFrame of shape (n_networks, n_features)

        Raises
        ------
        ValueError
            As in `fit`.
        """
        values = self._compute(X)
        self._learn(values)
        return self._framed(values)

    def transform(self, X: Any) -> pd.DataFrame:
        """Compute the features.

        Parameters
        ----------
        X : sequence of OperatorGraph

        Returns
        -------
        DataFrame of shape (n_networks, n_features)

        Raises
        ------
        ValueError
            As in `fit`.
        """
        return self._framed(self._compute(X))

    def _framed(self, values: NDArray[np.float64]) -> pd.DataFrame:
        """The columns that are kept, with their names."""
        columns, kept = self.get_feature_names_out(), self._kept()
        return pd.DataFrame(values if kept is None else values[:, kept], columns=columns)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return names such as ``max_path_len[spatial+pool]``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (n_features,), str

        Raises
        ------
        ValueError
            An argument of the transformer is wrong.
        """
        return self.describe()["feature"].to_numpy(dtype=object)

    def describe(self) -> pd.DataFrame:
        """Say what each column means.

        Returns
        -------
        DataFrame
            One row per column, with ``feature``, ``family`` and ``meaning``.

        Raises
        ------
        ValueError
            An argument of the transformer is wrong.
        """
        families, asked = self._families(), self._asked()
        rows = [
            (f"{family.name}[{label}]" if label else family.name, family, label)
            for family in families
            for label in asked.labels(family.columns)
        ]
        frame = pd.DataFrame(
            [(name, family.name, family.meaning.format(label)) for name, family, label in rows],
            columns=["feature", "family", "meaning"],
        )
        kept = self._kept()
        return frame if kept is None else frame.iloc[kept].reset_index(drop=True)

    def _families(self) -> list[OperatorFamily]:
        """The families asked for."""
        families = list(FAMILIES) if self.families is None else listed(self.families)
        chosen = []
        for family in families:
            if not isinstance(family, OperatorFamily):
                choice("families", family, FAMILIES)
                family = FAMILIES[family]
            chosen.append(family)
        names("families", [family.name for family in chosen])  # each once, and one at least
        return chosen

    def _asked(self) -> Asked:
        """The groups, their sets and the numbers."""
        groups = _checked_groups(GROUPS if self.groups is None else self.groups)
        most = len(groups)
        if self.max_set_size is not None:
            most = whole_number("max_set_size", self.max_set_size, 1)
        sets = subsets(range(len(groups)), most)
        numbers = list(NUMBERS) if self.numbers is None else names("numbers", self.numbers)
        labels = list(groups)
        return Asked(groups, tuple(tuple(labels[i] for i in s) for s in sets), tuple(numbers))

    def _compute(self, X: Any) -> NDArray[np.float64]:
        """All columns of all networks."""
        families, asked = self._families(), self._asked()
        parts = []
        for graphs in _chunks(_checked(X)):
            union = Union(graphs)
            columns = [_computed(family, union, asked) for family in families]
            parts.append(np.concatenate(columns, axis=1))
        return np.concatenate(parts)


def _computed(family: OperatorFamily, union: Union, asked: Asked) -> NDArray[np.float64]:
    """The columns of a family, which must be as many as it has labels."""
    values = np.asarray(family.compute(union, asked), dtype=float)
    shape = (union.n_graphs, len(asked.labels(family.columns)))
    if values.shape != shape:
        raise ValueError(
            f"family {family.name!r} gave an array of shape {values.shape}; it must be {shape}: "
            "one row per graph, one column per label."
        )
    return values


def _checked(X: Any) -> list[OperatorGraph]:
    """X as a list of graphs."""
    graphs = [X] if isinstance(X, OperatorGraph) else list(X)
    wrong = [graph for graph in graphs if not isinstance(graph, OperatorGraph)]
    if wrong or not graphs:
        found = f"it holds {short(wrong[0])}" if wrong else "it is empty"
        raise ValueError(
            f"X must be a list of at least one OperatorGraph; {found}. Write "
            "[OperatorGraph.from_layers(...)], or trace a model."
        )
    return graphs


def _checked_groups(groups: Any) -> dict[str, tuple[str, ...]]:
    """Groups of kinds by name, no kind in two."""
    if not isinstance(groups, Mapping) or not 1 <= len(groups) <= _MAX_GROUPS:
        raise ValueError(
            f"groups={short(groups)} must map 1 to {_MAX_GROUPS} names to kinds, for sets of "
            "groups double with each. Write groups={'conv': ['conv', 'depthwise-conv']}."
        )
    seen: dict[str, str] = {}
    for name, kinds in groups.items():
        if not isinstance(name, str) or not name or set(name) & set("[]<>+") or name == ANY:
            raise ValueError(
                f"groups has the name {name!r}; it must be text without '[', ']', '<', '>' and "
                f"'+', and not {ANY!r}. Rename it."
            )
        if name in KINDS and tuple(kinds) != (name,):
            raise ValueError(
                f"groups has the name {name!r}, which is that of a kind. Rename it, or let it hold "
                "that kind alone."
            )
        for kind in names(f"groups[{name!r}]", kinds):
            if kind not in KINDS or kind in seen:
                why = f"is in the group {seen[kind]!r} too" if kind in seen else "is no kind"
                raise ValueError(
                    f"groups[{name!r}]: {kind!r} {why}; kinds are {list(KINDS)}, each in one group "
                    f"at most.{'' if kind in seen else nearest(kind, KINDS)}"
                )
            seen[kind] = name
    return {name: tuple(names("groups", kinds)) for name, kinds in groups.items()}


def _chunks(graphs: list[OperatorGraph]) -> Iterator[list[OperatorGraph]]:
    """Some graphs at a time, of about `_CHUNK` nodes together."""
    ends = np.cumsum([graph.n_nodes for graph in graphs])
    chunk = ends // _CHUNK
    for number in np.unique(chunk):
        rows = np.flatnonzero(chunk == number)
        yield graphs[rows[0] : rows[-1] + 1]
