"""From a module to the operations that it carries out, on tensors without numbers.

The module is copied with its structure alone: its weights become *fake* tensors, which have a shape
and no memory. The copy is exported (`torch.export`), or, where that fails, its operations are
recorded as they are dispatched (`torch.fx.experimental.proxy_tensor.make_fx`).
"""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import logging
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export.graph_signature import InputKind
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from graf_utils._checks import short
from graf_utils.operators.tracing.mapping import OPERATORS, PART, SHAPE

__all__ = ["Captured", "capture", "name_of_operation"]


class Captured(NamedTuple):
    """The operations of a module.

    Parameters
    ----------
    graph : torch.fx.Graph
    weights : dict of str to str or None
        For each placeholder that is no input: the name of the parameter, None for other tensors
        that the module holds.
    """

    graph: fx.Graph
    weights: dict[str, str | None]


def capture(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Captured:
    """Record the operations of a module in evaluation mode, without side effects on it.

    Parameters
    ----------
    model : torch.nn.Module
    args : tuple
        Example inputs; of tensors only shape and type are read.
    kwargs : mapping of str to object
        Example inputs by name.

    Returns
    -------
    Captured

    Raises
    ------
    ValueError
        The module cannot be copied or traced; the message names its line and the remedy.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    bare = _TensorsOnly(_without_weights(model, mode))
    args, kwargs = pytree.tree_map_only(Tensor, lambda x: _fake(x, mode), (args, dict(kwargs)))
    with _quiet():
        try:
            return _exported(bare, args, kwargs)
        except Exception as error:  # whatever the module does not allow; the other way may do
            failed = error
        try:
            return _recorded(bare, args, kwargs)
        except Exception:
            raise _explained(model, args, kwargs, failed) from failed


# --- a copy without weights -----------------------------------------------------------------------


def _fake(tensor: Tensor, mode: FakeTensorMode) -> Tensor:
    """A tensor of the same shape and type that has no numbers."""
    with mode:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")


def _without_weights(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A copy of a module in evaluation mode whose tensors are fake."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        held = (module._parameters, module._buffers, vars(module))
        for tensor in itertools.chain.from_iterable(each.values() for each in held):
            if not isinstance(tensor, Tensor) or id(tensor) in memo:
                continue
            if nn.parameter.is_lazy(tensor):
                raise ValueError(
                    f"{type(model).__name__} has lazy parameters, whose shapes are not known yet. "
                    "Call the model once on data of the right shape, then trace it."
                )
            fake = _fake(tensor, mode)
            is_parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = nn.Parameter(fake, requires_grad=False) if is_parameter else fake
    try:
        return copy.deepcopy(model, memo).eval()
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} cannot be copied ({type(error).__name__}: {error}), and it is "
            "traced on a copy. Take what cannot be copied, such as an open file, out of it."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without gradients, the fused fast path of attention, warnings, and what PyTorch prints."""
    fast, level = torch.backends.mha.get_fastpath_enabled(), logging.root.manager.disable
    torch.backends.mha.set_fastpath_enabled(False)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        torch.backends.mha.set_fastpath_enabled(fast)


# --- two ways to record ---------------------------------------------------------------------------


class _TensorsOnly(nn.Module):
    """Another module, of whose outputs only tensors are returned.

    Objects that PyTorch does not look into, such as a cache, are left out, unless one is all that
    the module returns.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        returned = self.model(*args, **kwargs)
        if pytree.tree_is_leaf(returned) and not isinstance(returned, Tensor):
            returned = list(getattr(returned, "__dict__", {}).values())
        return [x for x in pytree.tree_leaves(returned) if isinstance(x, Tensor)]


def _exported(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
    program = torch.export.export(model, args, kwargs, strict=False)
    if _changes_views(program.graph):
        program = program.run_decompositions({})  # to a graph without operations in place
    weights = {
        spec.arg.name: spec.target if spec.kind == InputKind.PARAMETER else None
        for spec in program.graph_signature.input_specs
        if spec.kind != InputKind.USER_INPUT
    }
    return Captured(program.graph, weights)


def _recorded(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())

    def run(held: dict[str, Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
        return torch.func.functional_call(model, held, args, kwargs)

    record = make_fx(run, pre_dispatch=True, _allow_non_fake_inputs=True)
    graph = record(parameters | buffers, args, kwargs).graph
    if _changes_views(graph):
        raise ValueError("an operation in place changes a view")
    places = [node.name for node in graph.nodes if node.op == "placeholder"]
    names = [*parameters, *([None] * len(buffers))]
    return Captured(graph, dict(zip(places, names, strict=False)))


def name_of_operation(target: Any) -> str:
    """Return the name of an operation as in `OPERATORS`.

    Parameters
    ----------
    target : object
        That of a node of a `torch.fx.Graph`.

    Returns
    -------
    str
    """
    packet = getattr(target, "overloadpacket", None)
    name = packet.__name__ if packet is not None else getattr(target, "__name__", str(target))
    return name if name.startswith("__") else name.rstrip("_")


def _changes_views(graph: fx.Graph) -> bool:
    """Whether an operation in place changes what a view shows, or changes a view."""
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        changed = node.args[0]
        if _is_view(changed) or any(map(_is_view, changed.users)):
            return True
    return False


def _is_view(node: fx.Node) -> bool:
    mapped = OPERATORS.get(name_of_operation(node.target))
    return node.op == "call_function" and mapped is not None and mapped.kind in (SHAPE, PART)


# --- what went wrong, and where -------------------------------------------------------------------

_OURS = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def _explained(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> ValueError:
    """An error that names the line of the model and what to do."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*_OURS, "<", "/usr/lib/python"))]
    inside = [f for f in own if f.name != "_make" and "contextlib" not in f.filename]
    where = "In its call"
    if inside:
        frame = inside[-1]
        where = f"{frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line!r}"
    shapes = pytree.tree_map_only(Tensor, lambda x: tuple(x.shape), (args, kwargs))
    reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
    if "DataDependent" in type(error).__name__ or "data-dependent" in str(error):
        remedy = (
            "There the way through the model depends on the numbers in a tensor, which a graph "
            "cannot say. Write torch.where, or trace the module that comes before or after."
        )
    else:
        remedy = (
            f"Check that the model takes the example inputs, of shapes {short(shapes)}; else "
            "rewrite that line with operations of PyTorch, or trace the modules around it."
        )
    return ValueError(
        f"{type(model).__name__} cannot be traced. {where}: {type(error).__name__}: "
        f"{short(reason, 300)}. {remedy}"
    )
