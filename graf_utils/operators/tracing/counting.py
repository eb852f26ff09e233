"""Numbers of an operation, by formula from the shapes of what goes in and comes out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["kernel_of", "multiply_adds_of", "size_of"]

Shape = tuple[Any, ...]


def size_of(shape: Shape | None) -> float:
    """Return the number of entries of a tensor.

    Parameters
    ----------
    shape : tuple of int, or None

    Returns
    -------
    float
        NaN where a size depends on data.
    """
    if shape is None or not all(isinstance(size, int) for size in shape):
        return math.nan
    return float(math.prod(shape))


def kernel_of(arguments: dict[str, Any], weight: Shape | None) -> tuple[float, float]:
    """Return the larger side of a kernel and its largest step.

    Parameters
    ----------
    arguments : dict
        Arguments of the operation by name.
    weight : tuple of int, or None
        Shape of the weight of a convolution.

    Returns
    -------
    kernel, stride : float
        NaN where there is none.
    """
    sides = arguments.get("kernel_size") if weight is None else weight[2:]
    if not sides:
        return math.nan, math.nan
    sides = [sides] if isinstance(sides, int) else sides
    steps = arguments.get("stride") or (sides if weight is None else 1)
    steps = [steps] if isinstance(steps, int) else steps
    return float(max(sides)), float(max(steps))


def _convolution(arguments: dict[str, Any], shapes: list[Shape], out: Shape) -> float:
    image, weight = shapes[0], shapes[1]
    per_channel = size_of(weight) / weight[0]
    return size_of(image if arguments.get("transposed") else out) * per_channel


def _linear(arguments: dict[str, Any], shapes: list[Shape], out: Shape) -> float:
    return size_of(out) * shapes[0][-1]


def _product(arguments: dict[str, Any], shapes: list[Shape], out: Shape) -> float:
    """A product of the last two tensors, of matrices or vectors."""
    return size_of(out) * shapes[-2][-1]


def _einsum(arguments: dict[str, Any], shapes: list[Shape], out: Shape) -> float:
    if len(shapes) < 2:
        return 0.0
    terms = arguments["equation"].replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, Any] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if "..." in term:
            first, last = term.split("...")
            n_more = len(shape) - len(first) - len(last)
            term = first + "".join(f"{i}" for i in range(n_more)) + last
        sizes.update((k, v) for k, v in zip(term, shape, strict=True) if v != 1 or k not in sizes)
    return size_of(tuple(sizes.values()))


def _attention(arguments: dict[str, Any], shapes: list[Shape], out: Shape) -> float:
    query, key, value = shapes[:3]
    return size_of(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _recurrent(arguments: dict[str, Any], shapes: list[Shape], out: Shape) -> float:
    """Each step multiplies by all weight matrices."""
    matrices = [shape for shape in shapes[1:] if len(shape) == 2]
    return size_of(shapes[0][:-1]) * sum(map(size_of, matrices))


_FORMULAS: dict[str, Callable[[dict[str, Any], list[Shape], Shape], float]] = {
    **dict.fromkeys(("conv", "depthwise-conv", "pointwise-conv"), _convolution),
    "recurrent": _recurrent,
    "attention": _attention,
}


def multiply_adds_of(
    kind: str, name: str, arguments: dict[str, Any], shapes: list[Shape], out: Shape
) -> float:
    """Count the multiplications with an addition of an operation.

    Convolutions, products of matrices, attention and recurrent layers are counted, and nothing
    else, as is usual.

    Parameters
    ----------
    kind : str
        Kind of the operator.
    name : str
        Name of the operation.
    arguments : dict
        Its arguments by name.
    shapes : list of tuple of int
        Shapes of its tensors, in the order of the arguments.
    out : tuple of int
        Shape of its output.

    Returns
    -------
    float
        NaN where a size depends on data.
    """
    if name.startswith("conv_transpose"):
        arguments = arguments | {"transposed": True}
    if name == "einsum":
        return _einsum(arguments, shapes, out)
    if name == "linear" or "grouped_mm" in name:
        return _linear(arguments, shapes, out)
    if kind in ("linear", "matmul"):
        return _product(arguments, shapes, out)
    formula = _FORMULAS.get(kind)
    return formula(arguments, shapes, out) if formula else 0.0
