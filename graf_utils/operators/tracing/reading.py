"""From the operations of a graph of `torch.fx` to operators, with all that moves numbers gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, fx

from graf_utils.operators.kinds import INPUT, NUMBERS
from graf_utils.operators.tracing.axes import Axes, axes_after, axes_after_part, axes_of
from graf_utils.operators.tracing.capture import Captured, name_of_operation
from graf_utils.operators.tracing.counting import kernel_of, multiply_adds_of, size_of
from graf_utils.operators.tracing.mapping import CONSTANT, OPERATORS, PART, SHAPE, Mapped

__all__ = ["Operator", "Reading", "read"]

_LAST_AXIS = ("linear", "layer_norm", "rms_norm", "embedding", "recurrent")
_JOINING = ("add", "multiply", "concat")  # of one value alone, they do nothing that counts
_CONVOLUTIONS = ("conv", "depthwise-conv", "pointwise-conv")


@dataclass(eq=False)
class Operator:
    """An operator while a graph is read and rewritten.

    Parameters
    ----------
    kind, label : str
    inputs : list of Operator
        What feeds it, in the order of the arguments.
    shape : tuple of int
        Of its output.
    weights : dict of str to float
        The weights that it reads, with their numbers of entries.
    numbers : dict of str to float
        As in `NUMBERS`, without ``parameters``.
    along_channels : bool
        Of a part: whether it is cut along the channels.
    """

    kind: str
    label: str = ""
    inputs: list[Operator] = field(default_factory=list)
    shape: tuple[Any, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    along_channels: bool = False


@dataclass(eq=False)
class Value:
    """What a node of the graph stands for: an operator's output, or something made of weights.

    Parameters
    ----------
    operator : Operator or None
        None for what is made of weights and constants.
    shape : tuple of int
    weights : dict of str to float
        Weights that are read where `operator` is None.
    axes : Axes
        Which axes are channels.
    """

    operator: Operator | None
    shape: tuple[Any, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    axes: Axes = None
    axis: int | None = None
    """Along which a list of parts is cut; ``getitem`` makes the part."""
    drops: bool = False
    """Whether the parts of the list lack that axis."""
    several: list[Value] | None = None
    """What a part of the module returns that is a graph of its own."""


class Reading(NamedTuple):
    """What was read of a graph.

    Parameters
    ----------
    outputs : list of Operator
        What the module returns, as far as it depends on the inputs.
    unknown : list of str
        Operations that are not in the table.
    is_computed : bool
        Whether something is returned that an operation gave, or an input.
    """

    outputs: list[Operator]
    unknown: list[str]
    is_computed: bool


def read(captured: Captured) -> Reading:
    """Read the operators of a captured module.

    Parameters
    ----------
    captured : Captured

    Returns
    -------
    Reading
    """
    reader = _Reader(captured.weights)
    for node in captured.graph.nodes:
        reader.take(node)
    is_computed = reader.is_computed or bool(reader.outputs)
    return Reading(reader.outputs, sorted(reader.unknown), is_computed)


class _Reader:
    """Walks over the nodes of a graph in order."""

    def __init__(self, weights: Mapping[str, str | None]) -> None:
        self.weights = weights
        self.values: dict[fx.Node, Value] = {}
        self.outputs: list[Operator] = []
        self.unknown: set[str] = set()
        self.is_computed = False

    def take(self, node: fx.Node) -> None:
        """Read the next node."""
        if node in self.values:  # given to a graph inside
            return
        if node.op == "placeholder":
            self.values[node] = self._given(node)
        elif node.op == "output":
            found = [self.values[each] for each in node.all_input_nodes]
            self.outputs = [value.operator for value in found if value.operator]
            self.is_computed = any(each.op == "call_function" for each in node.all_input_nodes)
        elif node.op == "get_attr":
            self.values[node] = Value(None, _shape(node))
        else:
            self.values[node] = self._called(node)

    def _given(self, node: fx.Node) -> Value:
        """A weight, a tensor that the module holds, or an input."""
        shape = _shape(node)
        if node.name in self.weights:
            name = self.weights[node.name]
            return Value(None, shape, {} if name is None else {name: size_of(shape)})
        if not isinstance(node.meta.get("val"), Tensor):
            return Value(None)
        operator = Operator(INPUT, shape=shape, numbers={"outputs": size_of(shape)})
        axes = None
        if len(shape) > 3 and _is_float(node):
            operator.numbers["channels"] = float(shape[1])
            axes = axes_of(len(shape), 1)
        return Value(operator, shape, axes=axes)

    def _called(self, node: fx.Node) -> Value:
        """The value of an operation."""
        name, inner = name_of_operation(node.target), _graph_inside(node)
        if inner is not None:
            return self._inside(node, inner)
        taken = self._taken(node)
        if name == "copy":  # what it writes over is gone
            taken = taken[1:]
        data = [value for value in taken if value.operator]
        if name == "getitem":
            return self._item(node, taken[0])
        mapped = OPERATORS.get(name)
        if not data:
            return _of_weights(node, name, mapped, taken)
        if _breaks_gradient(node, data) or (mapped and mapped.kind == CONSTANT):
            return Value(None, _shape(node))
        if mapped is None:
            self.unknown.add(name)
            mapped = Mapped("other", name)
        arguments = _arguments(node)
        if mapped.kind == SHAPE:
            return _moved(node, name, arguments, data[0])
        if mapped.kind == PART:
            return self._part(node, name, arguments, data[0])
        if mapped.kind in _JOINING and len(data) == 1 and not _weights(taken):
            is_zero = mapped.kind == "multiply" and arguments.get("other") == 0
            return Value(None, _shape(node)) if is_zero else _moved(node, name, {}, data[0])
        return _operator(node, name, mapped, arguments, taken)

    def _inside(self, node: fx.Node, inner: fx.Graph) -> Value:
        """What a graph inside returns, such as a region without autocast."""
        given = [arg for arg in node.args if isinstance(arg, fx.Node) and arg.op != "get_attr"]
        places = [each for each in inner.nodes if each.op == "placeholder"]
        self.values |= {place: self.values[arg] for place, arg in zip(places, given, strict=True)}
        *body, output = inner.nodes
        for each in body:
            self.take(each)
        returned = output.args[0]
        returned = returned if isinstance(returned, list | tuple) else [returned]
        several = [self.values.get(each, Value(None)) for each in returned]
        return Value(None, several=several)

    def _taken(self, node: fx.Node) -> list[Value]:
        """The values of the tensors that an operation takes, each as often as it takes it."""
        found: list[Value] = []
        fx.node.map_arg(
            (node.args, node.kwargs), lambda each: found.append(self.values.get(each, Value(None)))
        )
        return found

    def _item(self, node: fx.Node, several: Value) -> Value:
        """One of several values: a part, or one of the outputs of an operator."""
        index = node.args[1]
        if several.several is not None:
            return several.several[index]
        if several.operator is None:
            part = _part_of_weights(several, _shape(node), str(index))
            return Value(None, _shape(node), part if several.axis is not None else several.weights)
        if several.axis is not None:
            return _made_part(node, several, several.axis, several.drops)
        if not _is_float(node) and several.operator.kind != INPUT:
            return Value(None, _shape(node))
        return Value(several.operator, _shape(node), axes=several.axes)

    def _part(self, node: fx.Node, name: str, arguments: dict[str, Any], source: Value) -> Value:
        """A part of a value, or a list of parts."""
        axis = arguments.get("dim", 0)
        axis = axis % len(source.shape) if isinstance(axis, int) and source.shape else 0
        drops = name in ("select", "unbind")
        if isinstance(node.meta.get("val"), list | tuple):
            return Value(source.operator, source.shape, axes=source.axes, axis=axis, drops=drops)
        if _shape(node) == source.shape:  # all of it
            return Value(source.operator, source.shape, axes=source.axes)
        return _made_part(node, source, axis, drops)


# --- values ---------------------------------------------------------------------------------------


def _of_weights(node: fx.Node, name: str, mapped: Mapped | None, taken: list[Value]) -> Value:
    """What is made of weights alone: they go to the operator that takes it."""
    weights, shape = _weights(taken), _shape(node)
    if mapped is not None and mapped.kind == PART:
        if isinstance(node.meta.get("val"), list | tuple):
            return Value(None, taken[0].shape, weights, axis=0)
        arguments = _arguments(node)
        where = ",".join(str(value) for value in arguments.values() if isinstance(value, int))
        if name in ("select", "slice", "narrow") and shape != taken[0].shape:
            weights = _part_of_weights(taken[0], shape, where)
    return Value(None, shape, weights)


def _part_of_weights(source: Value, shape: tuple[Any, ...], where: str) -> dict[str, float]:
    """The share of the weights of a value that a part of it reads."""
    share = size_of(shape) / max(size_of(source.shape), 1)
    return {f"{key}[{where}]": size * share for key, size in source.weights.items()}


def _weights(taken: list[Value]) -> dict[str, float]:
    """The weights among the values."""
    return {key: size for value in taken for key, size in value.weights.items()}


def _moved(node: fx.Node, name: str, arguments: dict[str, Any], source: Value) -> Value:
    """The same value in another shape."""
    shape = _shape(node)
    axes = axes_after(name, arguments, source.axes, source.shape, shape)
    return Value(source.operator, shape, axes=axes)


def _made_part(node: fx.Node, source: Value, axis: int, drops: bool) -> Value:
    """An operator that takes a part of a value."""
    shape, operator = _shape(node), source.operator
    along = bool(source.axes and source.axes[axis])
    channels = operator.numbers.get("channels", math.nan)
    if along:
        channels *= size_of(shape) / size_of(source.shape)
    part = Operator(
        PART,
        inputs=[operator],
        shape=shape,
        numbers={"outputs": size_of(shape), "channels": channels},
        along_channels=along,
    )
    return Value(part, shape, axes=axes_after_part(source.axes, axis, drops))


def _operator(
    node: fx.Node, name: str, mapped: Mapped, arguments: dict[str, Any], taken: list[Value]
) -> Value:
    """The operator of an operation, with its numbers."""
    shapes, shape = [value.shape for value in taken], _shape(node)
    data = [value for value in taken if value.operator]
    kind, label = _refined(mapped, arguments, taken)
    weight = shapes[1] if kind in _CONVOLUTIONS else None
    kernel, stride = kernel_of(arguments, weight)
    axes = _axes(kind, label, shape, data, weight)
    numbers = dict.fromkeys(NUMBERS, math.nan) | {
        "multiply_adds": multiply_adds_of(kind, name, arguments, shapes, shape),
        "outputs": size_of(shape),
        "channels": _channels(kind, label, shape, axes, data),
        "kernel": kernel,
        "stride": stride,
    }
    if kind == "attention":
        numbers |= heads_of(shapes[0], data[0].operator, shape)
    inputs = [value.operator for value in data]
    operator = Operator(kind, label, inputs, shape, _weights(taken), numbers)
    return Value(operator, shape, axes=axes)


def _refined(mapped: Mapped, arguments: dict[str, Any], taken: list[Value]) -> Mapped:
    """The kind of a convolution or a product, which depends on the weights."""
    if mapped.kind == "conv":
        weight, groups = taken[1].shape, arguments.get("groups", 1)
        is_transposed = mapped.label.startswith("conv_transpose") or arguments.get("transposed")
        if groups > 1 and (weight[0] // groups if is_transposed else weight[1]) == 1:
            return Mapped("depthwise-conv", mapped.label)
        if all(side == 1 for side in weight[2:]):
            return Mapped("pointwise-conv", mapped.label)
    if mapped.kind in ("linear", "matmul"):
        n_factors = 2 if len(taken) > 1 else 1
        factors = taken[-n_factors:] if mapped.label != "linear" else taken[:2]
        is_linear = sum(value.operator is not None for value in factors) < 2
        return Mapped("linear" if is_linear else "matmul", mapped.label)
    return mapped


def heads_of(query: tuple[Any, ...], source: Operator, out: tuple[Any, ...]) -> dict[str, float]:
    """Return the number of heads of an attention, and the channels of its output.

    Parameters
    ----------
    query : tuple of int
        Shape of the queries, or of the products with the keys: (..., heads, n, channels of a head).
    source : Operator
        Where the queries come from; its channels are those of all heads.
    out : tuple of int
        Shape of the output, (..., heads, n, channels of a head).

    Returns
    -------
    dict
        With ``heads`` and ``channels``.
    """
    heads = 1.0
    channels = source.numbers.get("channels", math.nan)
    if len(query) > 3:
        heads = float(query[-3])
    elif channels > out[-1] and channels % out[-1] == 0:
        heads = channels / out[-1]
    return {"heads": heads, "channels": heads * out[-1]}


def _axes(kind: str, label: str, shape: tuple[Any, ...], data: list[Value], weight: Any) -> Axes:
    """Which axes of an operator's output are channels."""
    if not shape:
        return None
    if weight is not None:  # of a convolution: before the axes over which its kernel goes
        return axes_of(len(shape), 1 - len(weight))
    if label in ("batch_norm", "group_norm", "instance_norm"):
        return axes_of(len(shape), 1)
    if kind in _LAST_AXIS or label in _LAST_AXIS:
        return axes_of(len(shape), -1)
    same = [value.axes for value in data if len(value.shape) == len(shape) and value.axes]
    return same[0] if same else None


def _channels(
    kind: str, label: str, shape: tuple[Any, ...], axes: Axes, data: list[Value]
) -> float:
    """Number of channels of an operator's output."""
    if kind in _CONVOLUTIONS or kind in _LAST_AXIS or kind == "concat":
        if axes and sum(axes) == 1:
            return float(shape[axes.index(True)])
    known = [value.operator.numbers.get("channels", math.nan) for value in data]
    return next((channels for channels in known if not math.isnan(channels)), math.nan)


# --- nodes ----------------------------------------------------------------------------------------


def _graph_inside(node: fx.Node) -> fx.Graph | None:
    """The graph that a node carries out, if it is a region of the module with settings of its own.

    Such are ``wrap_with_autocast`` and ``wrap_with_set_grad_enabled``.
    """
    if not name_of_operation(node.target).startswith("wrap_with_"):
        return None
    named = [arg for arg in node.args if isinstance(arg, fx.Node) and arg.op == "get_attr"]
    inside = getattr(node.graph.owning_module, named[0].target, None) if named else None
    return getattr(inside, "graph", None)


def _first(node: fx.Node) -> Any:
    """The tensor of a node, or its first."""
    value = node.meta.get("val")
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return value


def _shape(node: fx.Node) -> tuple[Any, ...]:
    """The shape of a node's tensor, NaN for sizes that depend on data."""
    value = _first(node)
    sizes = value.shape if isinstance(value, Tensor) else ()
    return tuple(size if isinstance(size, int) else math.nan for size in sizes)


def _is_float(node: fx.Node) -> bool:
    value = _first(node)
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _breaks_gradient(node: fx.Node, data: list[Value]) -> bool:
    """Whether what comes out does not change with what goes in, or only in steps."""
    value = _first(node)
    if not isinstance(value, Tensor) or str(value.dtype) == "torch.bool":
        return True
    return not _is_float(node) and any(v.operator.kind not in (INPUT, PART) for v in data)


def _arguments(node: fx.Node) -> dict[str, Any]:
    """Arguments of an operation by name, without tensors."""
    schema = getattr(node.target, "_schema", None)
    names = [argument.name for argument in schema.arguments] if schema else []
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return {name: value for name, value in given.items() if not isinstance(value, fx.Node)}
