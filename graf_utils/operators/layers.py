"""A network written down as a list of layers: a chain with whatever connections past it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from graf_utils._checks import nearest, short
from graf_utils.operators.kinds import INPUT, OUTPUT

__all__ = ["Layer", "arranged"]

_COUNTED = ("parameters", "multiply_adds")  # 0 where nothing is said; other numbers are NaN


class Layer(NamedTuple):
    """A layer of `OperatorGraph.from_layers`.

    Parameters
    ----------
    kind : str
        Name of `graf_utils.operators.KINDS`.
    numbers : mapping of str to float
        Its numbers, such as ``{"parameters": 589_824, "heads": 12}``.
    name : str
        By which `inputs` of later layers refer to it; of two layers of one name, the last is meant.
    inputs : tuple of str
        Names of the layers that it takes; ``""`` is the layer before, ``"input"`` the network's
        input.
    label : str
        A finer name, such as ``"gelu"``.
    shared : str
        Layers that read the same weights have the same name here.
    """

    kind: str
    numbers: Mapping[str, float] = {}
    name: str = ""
    inputs: tuple[str, ...] = ("",)
    label: str = ""
    shared: str = ""


def arranged(layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the arguments of `OperatorGraph` for a list of layers.

    Parameters
    ----------
    layers : sequence of Layer

    Returns
    -------
    dict
        With ``kinds``, ``edges``, ``numbers``, ``labels`` and ``shared``.

    Raises
    ------
    ValueError
        There is no layer, something is none, or `inputs` name no earlier layer.
    """
    layers = list(layers)
    wrong = [layer for layer in layers if not isinstance(layer, Layer)]
    if wrong or not layers:
        raise ValueError(
            f"layers={short(wrong or layers)} must list at least one Layer. Write "
            "[Layer('linear', {'parameters': 20})]."
        )
    edges, places = [], {INPUT: 0}
    for node, layer in enumerate(layers, start=1):
        places[""] = node - 1
        edges += [(_place(source, places, node, layer), node) for source in _inputs(layer, node)]
        if layer.name:
            places[layer.name] = node
    edges.append((len(layers), len(layers) + 1))
    nodes = [Layer(INPUT), *layers, Layer(OUTPUT)]
    groups = {name: i for i, name in enumerate(dict.fromkeys(n.shared for n in nodes if n.shared))}
    return {
        "kinds": tuple(layer.kind for layer in nodes),
        "edges": np.array(edges),
        "numbers": _numbers(nodes),
        "labels": tuple(layer.label for layer in nodes),
        "shared": np.array([groups.get(layer.shared, -1) for layer in nodes]),
    }


def _inputs(layer: Layer, node: int) -> tuple[str, ...]:
    """The names of what a layer takes."""
    if isinstance(layer.inputs, str):
        raise ValueError(
            f"layer {node} ({layer.kind!r}) has inputs={layer.inputs!r}, which is no tuple of "
            f"names. Write inputs=({layer.inputs!r},)."
        )
    return tuple(layer.inputs)


def _place(source: str, places: Mapping[str, int], node: int, layer: Layer) -> int:
    """The node that a name stands for."""
    if source not in places:
        raise ValueError(
            f"layer {node} ({layer.kind!r}) takes {source!r}, which names no earlier layer; there "
            f"are {short(sorted(filter(None, places)))}.{nearest(source, places)} Give the layer "
            f"that is meant name={source!r}."
        )
    return places[source]


def _numbers(nodes: Sequence[Layer]) -> dict[str, Any]:
    """Numbers of all nodes by name."""
    names = dict.fromkeys([*_COUNTED, *(name for node in nodes for name in node.numbers)])
    return {
        name: np.array(
            [node.numbers.get(name, 0.0 if name in _COUNTED else np.nan) for node in nodes]
        )
        for name in names
    }
