"""The kinds of operators that any network is made of, as a table."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "FUNCTIONS",
    "GROUPS",
    "INPUT",
    "KINDS",
    "NUMBERS",
    "OUTPUT",
    "UNSHARED",
    "OperatorKind",
    "kind_ids",
]


class OperatorKind(NamedTuple):
    """A kind of operator.

    Parameters
    ----------
    name : str
        As it stands in graphs and in names of features.
    meaning : str
        What belongs to it, in a line.
    """

    name: str
    meaning: str


INPUT, OUTPUT = "input", "output"

UNSHARED = -1
"""Group of an operator whose weights no other operator reads."""

KINDS: dict[str, OperatorKind] = {
    kind.name: kind
    for kind in (
        OperatorKind(INPUT, "an input of the network"),
        OperatorKind(OUTPUT, "an output of the network"),
        OperatorKind("conv", "convolution with a kernel larger than 1, also transposed"),
        OperatorKind("depthwise-conv", "convolution within each channel"),
        OperatorKind("pointwise-conv", "convolution with a kernel of 1"),
        OperatorKind("linear", "product with a weight matrix"),
        OperatorKind("attention", "scaled dot-product attention: queries, keys, values"),
        OperatorKind("matmul", "product of two computed matrices, outside attention"),
        OperatorKind("recurrent", "an LSTM, GRU or plain recurrent network, all its layers"),
        OperatorKind("normalisation", "batch, layer, group, instance and root-mean-square norm"),
        OperatorKind("activation", "a function of one variable, such as ReLU or GELU"),
        OperatorKind("softmax", "softmax, outside attention"),
        OperatorKind("pooling", "maximum, mean or sum over places, and resizing of images"),
        OperatorKind("add", "sum or difference of values, or of a value and a weight"),
        OperatorKind("multiply", "product or quotient of values, or of a value and a weight"),
        OperatorKind("concat", "values side by side"),
        OperatorKind("split", "a part of a value"),
        OperatorKind("embedding", "rows of a table that are looked up"),
        OperatorKind("other", "anything else"),
    )
}
"""Kinds of operators by name, in the order of the columns."""

GROUPS: dict[str, tuple[str, ...]] = {
    "spatial": ("conv", "depthwise-conv"),
    "channel": ("linear", "pointwise-conv"),
    "global": ("attention", "matmul", "recurrent"),
    "pool": ("pooling",),
}
"""Groups of kinds between which features of paths tell: what mixes places nearby, mixes channels,
mixes all places, and summarises places.

They are few, for the sets of groups double with each. Kinds in no group, such as ``add``, are
*transparent*: a path goes through them and they do not add to its length.
"""

NUMBERS: dict[str, str] = {
    "parameters": "weights that the operator reads; 0 where it has none",
    "multiply_adds": "multiplications with an addition, for one input as given; 0 where none",
    "outputs": "numbers in its output",
    "channels": "channels (features) of its output; NaN where the output has none",
    "heads": "heads of an attention; NaN elsewhere",
    "kernel": "side of a kernel, of the larger side; NaN where there is none",
    "stride": "step of a kernel; NaN where there is none",
}
"""What is known of each operator, by name. A graph may have some of them, and others."""

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "activation": ("relu", "gelu", "silu", "sigmoid", "tanh"),
    "normalisation": ("batch_norm", "layer_norm", "group_norm", "rms_norm"),
}
"""Labels that are counted, by the kind whose operators have them; all others count as 'other'."""


def kind_ids(kinds: tuple[str, ...]) -> list[int]:
    """Return the positions of kinds in the table.

    Parameters
    ----------
    kinds : tuple of str
        Names of `KINDS`.

    Returns
    -------
    list of int

    Examples
    --------
    >>> kind_ids(("input", "conv"))
    [0, 2]
    """
    order = {name: position for position, name in enumerate(KINDS)}
    return [order[kind] for kind in kinds]
