"""What a search space of your own has to keep, checked rule by rule: ``check_space(MySpace())``."""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import joblib
import networkx as nx
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from graf_utils._checks import short, whole_number
from graf_utils.features import GRAF
from graf_utils.features.base import GraphTransformer
from graf_utils.graphs import GraphBatch
from graf_utils.spaces import SearchSpace, get_space

__all__ = ["RULES", "check_space"]

# Two draws of a space of four are equal by chance once in 24; ten are not, in practice.
_REPEATS = 10


class _BrokenError(Exception):
    """A rule that a space breaks: what was seen, and what to do."""


def check_space(
    space: SearchSpace,
    *,
    features: GraphTransformer | None = None,
    n_architectures: int = 20,
    random_state: int = 0,
) -> list[str]:
    """Check that a search space of your own keeps what the package relies on.

    In the spirit of scikit-learn's ``check_estimator``: the rules of `RULES` are tried on drawn
    architectures, and whatever is broken is said at once.

    Parameters
    ----------
    space : SearchSpace
        An instance.
    features : GRAF or Flow, optional
        A transformer of the space that is checked with it, such as one with families of your own;
        by default ``GRAF(space, max_set_size=1)``.
    n_architectures : int
        How many are drawn; fewer where the space has fewer.
    random_state : int
        Seed of the draw.

    Returns
    -------
    list of str
        The rules, all of which hold.

    Raises
    ------
    ValueError
        It is no search space, or breaks rules: each with what was seen and what to do.

    Examples
    --------
    >>> from graf_utils.spaces import CellSpace
    >>> len(check_space(CellSpace(["conv", "pool"], [(0, 1), (1, 2)], sizes=(2, 3))))
    11
    """
    space = get_space(space)
    n = whole_number("n_architectures", n_architectures, 1)
    broken = _faults({name: RULES[name] for name in _FIRST}, space, None)
    if not broken:  # the other rules need an architecture
        codes = _drawn(space, n, random_state)
        others = {name: rule for name, rule in RULES.items() if name not in _FIRST}
        transformer = GRAF(space, max_set_size=1) if features is None else features
        others["features"] = functools.partial(_features, transformer=transformer)
        broken = _faults(others, space, codes)
    if broken:
        raise ValueError(
            f"{type(space).__name__} breaks {len(broken)} of {len(RULES)} rules of a search space:"
            + "".join(f"\n- {line}" for line in broken)
        )
    return list(RULES)


def _faults(rules: dict[str, Callable[..., None]], space: SearchSpace, codes: Any) -> list[str]:
    """What is wrong, a line for each rule."""
    lines = []
    for name, rule in rules.items():
        try:
            rule(space, codes)
        except _BrokenError as broken:
            lines.append(f"{name}: {broken}")
        except Exception as error:  # whatever the user's code raises is a fault of this rule
            lines.append(f"{name}: it raised {type(error).__name__}: {error}")
    return lines


def _require(holds: Any, text: str) -> None:
    if not holds:
        raise _BrokenError(text)


def _drawn(space: SearchSpace, n: int, seed: int) -> NDArray[np.integer]:
    """Some architectures; the example alone if none can be drawn, which a rule says."""
    while n:
        try:
            return space.to_codes(space.sample(n, random_state=seed))
        except Exception:
            n //= 2
    return space.to_codes([space._example()])


# --- the rules ------------------------------------------------------------------------------------


def _attributes(space: SearchSpace, codes: Any) -> None:
    for name in ("name", "title"):
        value = getattr(space, name, None)
        _require(isinstance(value, str), f"{name} is {value!r}. Set {name} to a text.")
    operations = getattr(space, "operations", None)
    names = isinstance(operations, tuple) and all(isinstance(op, str) for op in operations)
    _require(
        names and operations and len(set(operations)) == len(operations),
        f"operations is {short(operations)}. Set it to a tuple of names that differ.",
    )
    for name in ("free", "cells", "inputs"):
        value = getattr(space, name)
        names = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
        _require(names, f"{name} is {short(value)}. Set it to a tuple of names.")
    length = getattr(space, "code_length", None)
    _require(
        isinstance(length, int) and length > 0,
        f"code_length is {length!r}. Set it to how many numbers a code has.",
    )
    _require(
        max(space.lengths) == length,
        f"lengths is {space.lengths}, and code_length {length}. The longest tuple fills the code.",
    )
    _require(
        len(space.position_names()) == length,
        f"position_names gives {len(space.position_names())} names for {length} entries.",
    )


def _example(space: SearchSpace, codes: Any) -> None:
    example = space._example()
    _require(isinstance(example, tuple), f"_example gave {short(example)}. Return a tuple.")
    back = space.from_codes([example])
    _require(
        back == [example],
        f"_example gave {example}, which is read as {short(back)}. Return an architecture as "
        "from_codes writes it.",
    )


def _sample(space: SearchSpace, codes: Any) -> None:
    first = space.sample(len(codes), random_state=1)
    shape = len(codes), space.code_length
    _require(
        isinstance(first, np.ndarray) and first.shape == shape and first.dtype == space.code_dtype,
        f"sample({len(codes)}) gave {type(first).__name__} of shape {np.shape(first)} and type "
        f"{getattr(first, 'dtype', None)}. Return codes: shape {shape}, {space.code_dtype}.",
    )
    again = [space.sample(len(codes), random_state=1) for _ in range(_REPEATS)]
    _require(
        all(np.array_equal(first, each) for each in again),
        "sample gave other codes with the same random_state. Draw with "
        "numpy.random.default_rng(random_state) only.",
    )
    _require(
        len(np.unique(first, axis=0)) == len(first),
        "sample gave an architecture twice. Draw without replacement unless replace=True.",
    )
    _require(
        space.is_valid(first).all(),
        "sample gave architectures that is_valid denies. Leave them out unless valid_only=False.",
    )


def _validity(space: SearchSpace, codes: Any) -> None:
    valid = space.is_valid(codes)
    _require(
        isinstance(valid, np.ndarray) and valid.dtype == bool and valid.shape == (len(codes),),
        f"is_valid gave {short(valid)} for {len(codes)} architectures. Return an array of as many "
        "booleans.",
    )
    for row in (0, len(codes) - 1):
        _require(
            space.is_valid(codes[[row]]) == valid[[row]],
            f"is_valid says another thing of architecture {row} alone than among others. Judge "
            "each by itself.",
        )


def _round_trip(space: SearchSpace, codes: Any) -> None:
    tuples = space.from_codes(codes)
    for form, what in ((tuples, "tuples"), (list(map(str, tuples)), "tuples as text")):
        _require(
            np.array_equal(space.to_codes(form), codes),
            f"to_codes(from_codes(codes)) of {what} gave other codes. A tuple must say all that "
            "its code says.",
        )
    if hasattr(space, "to_string"):
        for cell in tuples:
            text = space.to_string(cell)
            try:
                read: Any = space.parse(text)
            except ValueError as error:
                read = f"refused ({error})"
            _require(
                read == cell,
                f"to_string wrote {cell} as {text!r}, which parse read as {read}. Let _parse read "
                "what to_string writes.",
            )


def _refusals(space: SearchSpace, codes: Any) -> None:
    (cell,) = space.from_codes(codes[:1])
    wrong = {
        "an entry of 2147483647": [(2**31 - 1, *cell[1:])],
        "a tuple with an entry too many": [(*codes[0].tolist(), 0)],
        "text of no architecture": ["no architecture"],
    }
    for what, architectures in wrong.items():
        try:
            space.to_codes(architectures)
        except ValueError:
            continue
        raise _BrokenError(
            f"{what} was taken for an architecture. Say in _wrong (or, for text, _parse) what is "
            "none; raise a ValueError."
        )


def _neighbours(space: SearchSpace, codes: Any) -> None:
    for code in codes[:5]:
        (cell,) = space.from_codes([code])
        near = space.neighbours(cell)
        shape_fits = np.ndim(near) == 2 and near.shape[1] == space.code_length
        _require(
            shape_fits and near.dtype == space.code_dtype,
            f"neighbours({cell}) gave an array of shape {np.shape(near)}. Return codes.",
        )
        if not len(near):
            continue
        _require(
            not (near == code).all(axis=1).any() and len(np.unique(near, axis=0)) == len(near),
            f"neighbours({cell}) holds the architecture itself, or one twice. Leave them out.",
        )
        _require(
            space.is_valid(near).all(),
            f"neighbours({cell}) holds networks that is_valid denies. Leave them out unless "
            "valid_only=False.",
        )


def _graphs(space: SearchSpace, codes: Any) -> None:
    batches = space.graph_batch(codes)
    _require(
        isinstance(batches, dict) and tuple(batches) == space.cells,
        f"graph_batch gave {short(batches)}. Return a dictionary with a GraphBatch for each of the "
        f"cells {space.cells}.",
    )
    for cell, batch in batches.items():
        _require(
            isinstance(batch, GraphBatch) and len(batch) == len(codes),
            f"graph_batch gave {len(batch)} graphs of cell {cell!r} for {len(codes)} "
            "architectures. Row i must be of architecture i.",
        )
        for name, mine, theirs in (
            ("operations", batch.operations, space.labels),
            ("numbers", tuple(batch.numbers), tuple(space.numbers)),
            ("number of inputs", len(batch.inputs), len(space.inputs)),
        ):
            _require(
                mine == theirs,
                f"the {name} of cell {cell!r} is {mine} in the graphs and {theirs} in the space. "
                f"Make them equal (labels are the free ones of the space, then its operations).",
            )
        backward = np.arange(len(codes))[::-1]
        _require(
            space.graph_batch(codes[backward])[cell] == batch[backward],
            f"graph_batch gave other graphs of cell {cell!r} for the same architectures in "
            "another order. Make each graph of its own architecture alone.",
        )


def _equality(space: SearchSpace, codes: Any) -> None:
    twin = copy.deepcopy(space)
    _require(
        space == twin and hash(space) == hash(twin),
        "a copy is not equal to the space, or has another hash. Compare attributes in __eq__, or "
        "leave __eq__ and __hash__ to SearchSpace.",
    )
    other = copy.deepcopy(space)
    try:
        other.operations = tuple(f"{op}x" for op in space.operations)
    except AttributeError:  # a property: it has no other operations
        return
    _require(
        space != other,
        "a space with other operations is equal to it. Compare all attributes in __eq__, or leave "
        "__eq__ and __hash__ to SearchSpace.",
    )


def _pickling(space: SearchSpace, codes: Any) -> None:
    stored = io.BytesIO()
    try:
        joblib.dump(space, stored)
    except Exception as error:
        raise _BrokenError(
            f"joblib.dump raised {type(error).__name__}: {error}. Define the class and the "
            "functions it holds at the top of a module, not inside a function."
        ) from error
    stored.seek(0)
    loaded = joblib.load(stored)  # written two lines above
    _require(
        loaded == space and np.array_equal(loaded.to_codes(codes), codes),
        "after joblib.dump and joblib.load it is another space. Keep what it knows in attributes.",
    )


def _features(space: SearchSpace, codes: Any, transformer: GraphTransformer | None = None) -> None:
    graf = GRAF(space, max_set_size=1) if transformer is None else clone(transformer)
    batches = space.graph_batch(codes)
    with np.errstate(all="ignore"):  # what overflows is found below
        features = graf.fit_transform(batches)
        renumbered = {cell: _renumbered(batch) for cell, batch in batches.items()}
        again = graf.transform(renumbered)
        by_tuple = graf.transform(space.from_codes(codes))
    names = graf.get_feature_names_out()
    wrong = ~np.isfinite(features).all(axis=0)
    _require(not wrong.any(), f"{short(names[wrong].tolist())} are not finite.")
    _require(
        np.array_equal(by_tuple, features),
        "the features of tuples are others than those of their codes. Make graph_batch begin with "
        "codes = self.to_codes(architectures).",
    )
    wrong = (again != features).any(axis=0)
    _require(
        not wrong.any(),
        f"{short(names[wrong].tolist())} change when the nodes of the same graphs are numbered in "
        "another order. Use node numbers only through edges, inputs, output and ends.",
    )


def _renumbered(batch: GraphBatch) -> GraphBatch:
    """The same graphs with the nodes numbered in another topological order."""
    graph = nx.DiGraph(batch.edges.tolist())
    graph.add_nodes_from(range(batch.n_nodes))
    order = list(nx.lexicographical_topological_sort(graph, key=lambda node: -node))
    new = np.argsort(order)  # the new number of each node
    places = slice(None) if batch.node_ops is None else order
    return replace(
        batch,
        edges=new[batch.edges],
        inputs=tuple(new[list(batch.inputs)].tolist()),
        output=int(new[batch.output]),
        node_ops=None if batch.node_ops is None else batch.node_ops[:, order],
        node_names=tuple(np.array(batch.node_names)[order].tolist()),
        ends=None if batch.ends is None else new[batch.ends],
        numbers={name: each[:, places] for name, each in batch.numbers.items()},
    )


_FIRST = ("attributes", "example")

RULES: dict[str, Callable[..., None]] = {
    "attributes": _attributes,
    "example": _example,
    "sample": _sample,
    "is_valid": _validity,
    "round trip": _round_trip,
    "refusals": _refusals,
    "neighbours": _neighbours,
    "graphs": _graphs,
    "equality": _equality,
    "pickling": _pickling,
    "features": _features,
}
"""What `check_space` checks, in this order; after a fault in the first two it stops."""
