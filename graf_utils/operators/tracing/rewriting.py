"""Operators in another dress: attention, norms and activations by hand, packed weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

from graf_utils.operators.tracing.mapping import PART
from graf_utils.operators.tracing.reading import Operator, heads_of

__all__ = ["in_order", "rewrite"]


def in_order(outputs: Iterable[Operator]) -> list[Operator]:
    """List the operators that lead to the outputs, each after its inputs.

    Parameters
    ----------
    outputs : iterable of Operator

    Returns
    -------
    list of Operator
    """
    order: dict[Operator, None] = {}
    waiting = [(operator, False) for operator in reversed(list(outputs))]
    while waiting:
        operator, is_ready = waiting.pop()
        if operator in order:
            continue
        if is_ready:
            order[operator] = None
        else:
            waiting.append((operator, True))
            waiting += [(source, False) for source in reversed(operator.inputs)]
    return list(order)


def rewrite(outputs: list[Operator]) -> list[Operator]:
    """Give models that compute the same in another way the same operators.

    A bias that is added becomes part of its layer; attention that is written as products of
    matrices around a softmax becomes one operator; a linear layer that is cut along its channels
    becomes one layer per part; a normalisation, a SiLU and a GELU that are written out become one
    operator; all parts of a value side by side are that value.

    Parameters
    ----------
    outputs : list of Operator
        What a network returns. Operators are changed in place.

    Returns
    -------
    list of Operator
        The outputs.
    """
    for step in (_join_parts, _join_bias, _join_attention, _unpack, _join_norms, _join_activations):
        outputs = step(outputs)
    return outputs


def _users(outputs: list[Operator]) -> dict[Operator, list[Operator]]:
    """For each operator, those that it feeds."""
    users: dict[Operator, list[Operator]] = {}
    for operator in in_order(outputs):
        users.setdefault(operator, [])
        for source in operator.inputs:
            users.setdefault(source, []).append(operator)
    return users


def _replaced(outputs: list[Operator], new: dict[Operator, Operator]) -> list[Operator]:
    """Put operators in the place of others."""

    def newest(operator: Operator) -> Operator:
        while operator in new:
            operator = new[operator]
        return operator

    for operator in in_order([*outputs, *new.values()]):
        operator.inputs = [newest(source) for source in operator.inputs]
    return [newest(operator) for operator in outputs]


# --- parts ----------------------------------------------------------------------------------------


def _join_parts(outputs: list[Operator]) -> list[Operator]:
    """All parts of one value, put side by side again, are that value."""
    new: dict[Operator, Operator] = {}
    for joined in in_order(outputs):
        parts = set(joined.inputs)
        sources = {_whole(part) for part in parts}
        if joined.kind != "concat" or joined.weights or len(sources) != 1:
            continue
        (source,) = sources
        size = sum(part.numbers["outputs"] for part in parts)
        if all(part.kind == PART for part in parts) and size == source.numbers["outputs"]:
            new[joined] = source
    return _replaced(outputs, new)


def _whole(part: Operator) -> Operator:
    """What a part, or a part of a part, is taken from."""
    while part.kind == PART:
        (part,) = part.inputs
    return part


# --- biases ---------------------------------------------------------------------------------------

_LAYERS = ("linear", "conv", "depthwise-conv", "pointwise-conv")


def _join_bias(outputs: list[Operator]) -> list[Operator]:
    """A weight per channel that is added to the output of a layer is its bias."""
    new: dict[Operator, Operator] = {}
    for layer, users in _users(outputs).items():
        if layer.kind not in _LAYERS or len(users) != 1 or layer in outputs:
            continue
        (total,) = users
        is_bias = sum(total.weights.values()) == layer.numbers["channels"]
        if total.kind == "add" and len(total.inputs) == 1 and is_bias:
            layer.weights |= total.weights
            new[total] = layer
    return _replaced(outputs, new)


# --- attention ------------------------------------------------------------------------------------


def _join_attention(outputs: list[Operator]) -> list[Operator]:
    new: dict[Operator, Operator] = {}
    for product in in_order(outputs):
        weights = [each for each in product.inputs if each.kind == "softmax"]
        if product.kind != "matmul" or len(product.inputs) != 2 or len(weights) != 1:
            continue
        (softmax,) = weights
        scores = _scores(softmax)
        if scores is None:
            continue
        values = product.inputs[1 - product.inputs.index(softmax)]
        attention = _attention(product, softmax, scores, values)
        new[product] = new[softmax] = attention
    return _replaced(outputs, new)


def _scores(softmax: Operator) -> list[Operator] | None:
    """The sums and the product of queries and keys below a softmax; None if there is none."""
    found, operator = [], softmax.inputs[0]
    while operator.kind == "add":
        found.append(operator)
        nearer = [each for each in operator.inputs if each.kind in ("add", "matmul")]
        if not nearer:
            return None
        operator = nearer[0]
    return [*found, operator] if operator.kind == "matmul" else None


def _attention(
    product: Operator, softmax: Operator, scores: list[Operator], values: Operator
) -> Operator:
    """One operator for two products and what is between them."""
    *sums, scored = scores
    parts = [product, softmax, *scores]
    biases = [each for sum_ in sums for each in sum_.inputs if each not in scores]
    numbers = dict(product.numbers)
    numbers["multiply_adds"] = sum(part.numbers["multiply_adds"] for part in parts)
    numbers |= heads_of(softmax.shape, values, product.shape)
    numbers["kernel"] = numbers["stride"] = math.nan
    weights = {key: size for part in parts for key, size in part.weights.items()}
    inputs = [*scored.inputs, values, *biases]
    label = "scaled_dot_product_attention"
    return Operator("attention", label, inputs, product.shape, weights, numbers)


# --- packed weights -------------------------------------------------------------------------------


def _unpack(outputs: list[Operator]) -> list[Operator]:
    """A linear layer whose output is only used in parts of its channels is several layers."""
    new: dict[Operator, Operator] = {}
    for packed, users in _users(outputs).items():
        if packed.kind not in ("linear", "pointwise-conv") or packed in outputs:
            continue
        parts = list(dict.fromkeys(users))
        size = sum(part.numbers["outputs"] for part in parts)
        are_all = size == packed.numbers["outputs"] and len(parts) > 1
        if are_all and all(part.kind == PART and part.along_channels for part in parts):
            for number, part in enumerate(parts):
                new[part] = _layer(packed, part, number)
    return _replaced(outputs, new)


def _layer(packed: Operator, part: Operator, number: int) -> Operator:
    """The layer that computes one part of the output of another."""
    share = part.numbers["outputs"] / packed.numbers["outputs"]
    numbers = dict(packed.numbers)
    for name in ("multiply_adds", "outputs", "channels"):
        numbers[name] = packed.numbers[name] * share
    weights = {f"{key}/{number}": size * share for key, size in packed.weights.items()}
    return Operator(packed.kind, packed.label, packed.inputs, part.shape, weights, numbers)


# --- norms and activations ------------------------------------------------------------------------

_ROOTS = ("sqrt", "rsqrt", "pow", "reciprocal")


def _join_norms(outputs: list[Operator]) -> list[Operator]:
    """x / sqrt(mean(x²) + ε), with or without x - mean(x) in the place of x, and its weights."""
    new: dict[Operator, Operator] = {}
    users = _users(outputs)
    for product in list(users):
        if product.kind != "multiply" or len(product.inputs) != 2:
            continue
        for centred, root in (product.inputs, product.inputs[::-1]):
            label_and_source = _normed(centred, root)
            if label_and_source:
                label, source = label_and_source
                last, weights = _with_weights(product, users)
                numbers = product.numbers | {"multiply_adds": 0.0}
                norm = Operator("normalisation", label, [source], last.shape, weights, numbers)
                new[last] = norm
                break
    return _replaced(outputs, new)


def _normed(centred: Operator, root: Operator) -> tuple[str, Operator] | None:
    """Whether one operator is the root of the mean square of another: which norm, and of what."""
    mean, n_roots = root, 0
    while mean.kind == "activation" and mean.label in _ROOTS and len(mean.inputs) == 1:
        mean, n_roots = mean.inputs[0], n_roots + 1
    if not n_roots or mean.kind != "pooling":
        return None
    source = centred
    is_centred = centred.kind == "add" and _is_mean_of(centred)
    if is_centred:
        source = centred.inputs[0]
    if mean.label == "var" and is_centred and mean.inputs[0] is source:
        return "layer_norm", source
    if mean.label != "mean":
        return None
    (square,) = mean.inputs
    squares = square.inputs
    is_square = square.label in ("pow", "square") or (
        square.kind == "multiply" and len(squares) == 2 and squares[0] is squares[1]
    )
    same = squares[0] is centred or (
        is_centred and squares[0].kind == "add" and squares[0].inputs == centred.inputs
    )
    if not is_square or not same:
        return None
    return ("layer_norm" if is_centred else "rms_norm"), source


def _is_mean_of(centred: Operator) -> bool:
    """Whether an operator is x - mean(x)."""
    if len(centred.inputs) != 2 or centred.label not in ("sub",):
        return False
    source, mean = centred.inputs
    return mean.kind == "pooling" and mean.label == "mean" and mean.inputs == [source]


def _with_weights(
    operator: Operator, users: dict[Operator, list[Operator]]
) -> tuple[Operator, dict[str, float]]:
    """The last of the products with a weight and sums with one that follow, and the weights."""
    weights: dict[str, float] = {}
    for kind in ("multiply", "add"):
        following = users.get(operator, [])
        if len(following) != 1:
            break
        (after,) = following
        if after.kind == kind and len(after.inputs) == 1 and after.weights:
            weights |= after.weights
            operator = after
    return operator, weights


_GATES = {"sigmoid": "silu", "erf": "gelu", "tanh": "gelu"}
"""By the function with which a value is multiplied: the activation that it makes."""


def _join_activations(outputs: list[Operator]) -> list[Operator]:
    """x · sigmoid(x); x · (1 + erf(x)); x · (1 + tanh(x + x³)), all up to constant factors."""
    new: dict[Operator, Operator] = {}
    for product in in_order(outputs):
        if product.kind != "multiply" or len(product.inputs) != 2:
            continue
        for value, gate in (product.inputs, product.inputs[::-1]):
            if gate.label in _GATES and _is_argument(gate, value):
                label, numbers = _GATES[gate.label], gate.numbers
                new[product] = Operator("activation", label, [value], gate.shape, {}, numbers)
                break
    return _replaced(outputs, new)


def _is_argument(gate: Operator, value: Operator) -> bool:
    """Whether a gate is a function of a value: of itself, or of the sum with its third power."""
    if gate.inputs == [value]:
        return gate.label != "tanh"
    (inner,) = gate.inputs
    powers = [each for each in inner.inputs if each is not value]
    is_sum = gate.label == "tanh" and inner.kind == "add" and value in inner.inputs
    return is_sum and len(powers) == 1 and _is_power(powers[0], value)


def _is_power(power: Operator, value: Operator) -> bool:
    """Whether an operator is a power of a value, also as a product."""
    factors, waiting = set(), [power]
    while waiting:
        each = waiting.pop()
        is_product = each.label == "pow" or each.kind == "multiply"
        if each is not value and is_product:
            waiting += each.inputs
        else:
            factors.add(each)
    return factors == {value}
