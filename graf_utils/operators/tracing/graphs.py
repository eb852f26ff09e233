"""From a module to its graph of operators: capture, read, rewrite, number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
from torch import Tensor, nn

from graf_utils._checks import short
from graf_utils.operators.kinds import INPUT, NUMBERS, OUTPUT, UNSHARED
from graf_utils.operators.tracing.capture import capture
from graf_utils.operators.tracing.reading import Operator, read
from graf_utils.operators.tracing.rewriting import in_order, rewrite

__all__ = ["traced"]


def traced(model: nn.Module, example_inputs: Any) -> dict[str, Any]:
    """Return the arguments of `OperatorGraph` for a module.

    Parameters
    ----------
    model : torch.nn.Module
    example_inputs : Tensor, tuple of Tensor, or mapping of str to Tensor
        See `OperatorGraph.from_module`.

    Returns
    -------
    dict
        With ``kinds``, ``edges``, ``numbers``, ``labels`` and ``shared``.

    Raises
    ------
    ValueError
        The model is none, or cannot be traced; the message names its line and the remedy.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model={short(model)} is {type(model).__name__}; it must be a torch.nn.Module. Wrap a "
            "function into the forward method of one."
        )
    reading = read(capture(model, *_read_inputs(example_inputs)))
    if not reading.is_computed:
        raise ValueError(
            f"{type(model).__name__} cannot be traced: it returns no tensor that PyTorch computed "
            "from its inputs. Return one, and compute with tensors from the inputs to it: what "
            "becomes an array of NumPy or a number on the way is lost."
        )
    if reading.unknown:
        warnings.warn(
            f"{type(model).__name__}: no kind is known for {reading.unknown}, which become "
            "'other'. Name them: graf_utils.operators.tracing.OPERATORS["
            f"{reading.unknown[0]!r}] = Mapped('activation', {reading.unknown[0]!r}).",
            UserWarning,
            stacklevel=3,
        )
    return _numbered(rewrite(reading.outputs))


def _read_inputs(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of the module, by place and by name."""
    if isinstance(example_inputs, Mapping):
        args, kwargs = (), dict(example_inputs)
    elif isinstance(example_inputs, Sequence):
        args, kwargs = tuple(example_inputs), {}
    else:
        args, kwargs = (example_inputs,), {}
    if not any(isinstance(x, Tensor) for x in (*args, *kwargs.values())):
        raise ValueError(
            f"example_inputs={short(example_inputs)} holds no tensor; it must be a tensor, a tuple "
            "of tensors or a mapping of names to tensors. Write torch.empty(1, 3, 224, 224, "
            "device='meta')."
        )
    return args, kwargs


def _numbered(outputs: list[Operator]) -> dict[str, Any]:
    """What makes the graph of what leads to the outputs."""
    ends = [Operator(OUTPUT, inputs=[each], numbers=_passed(each)) for each in outputs]
    inner = in_order(outputs)
    inputs = [each for each in inner if not each.inputs] or [Operator(INPUT)]
    nodes = [*inputs, *(each for each in inner if each.inputs), *(ends or [Operator(OUTPUT)])]
    place = {operator: number for number, operator in enumerate(nodes)}
    edges = [(place[source], place[node]) for node in nodes for source in node.inputs]
    return {
        "kinds": tuple(node.kind for node in nodes),
        "edges": np.array(edges, dtype=int).reshape(-1, 2),
        "numbers": {name: np.array([_number(name, node) for node in nodes]) for name in NUMBERS},
        "labels": tuple(node.label for node in nodes),
        "shared": _shared(nodes),
    }


def _number(name: str, node: Operator) -> float:
    """A number of an operator."""
    if name == "parameters":
        return float(sum(node.weights.values()))
    return node.numbers.get(name, 0.0 if name == "multiply_adds" else math.nan)


def _passed(operator: Operator) -> dict[str, float]:
    """What an output has of what it puts out."""
    return {name: operator.numbers.get(name, math.nan) for name in ("outputs", "channels")}


def _shared(nodes: list[Operator]) -> np.ndarray:
    """Groups of nodes that read a weight in common."""
    readers: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        for key in node.weights:
            readers.setdefault(key, []).append(number)
    common = nx.Graph()
    for several in readers.values():
        if len(several) > 1:
            nx.add_path(common, several)
    groups = np.full(len(nodes), UNSHARED)
    for group, members in enumerate(sorted(nx.connected_components(common), key=min)):
        groups[list(members)] = group
    return groups
