"""What a network does in a pass, operation by operation, whether in a module or in a function.

PyTorch turns modules, functions and operators into the operations of its library ATen before it
computes them; a `watch` sees each of these. So ``torch.relu(x)`` and ``nn.ReLU()(x)`` are the same
here, and so are a linear layer and a product with a raw parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["BATCH_NORMS", "NORMS", "gate_input", "multiply_adds", "pooled_input", "watch"]

BATCH_NORMS = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_functional",
        "_native_batch_norm_legit_no_training",
        "_batch_norm_with_update",
        "_batch_norm_with_update_functional",
        "_batch_norm_no_update",
        "cudnn_batch_norm",
        "miopen_batch_norm",
    }
)
"""Operations that are batch norms; instance norm is made of them as well."""

NORMS = BATCH_NORMS | {"native_layer_norm", "native_group_norm", "_fused_rms_norm"}
"""Operations that take a scale away."""

_GATES = frozenset(
    {
        "relu",
        "leaky_relu",
        "_prelu_kernel",
        "prelu",
        "rrelu_with_noise",
        "gelu",
        "silu",
        "elu",
        "selu",
        "celu",
        "mish",
        "hardswish",
    }
)
"""Activations that let positive inputs pass and hold negative ones back."""

_FROM_ZERO = frozenset({"hardtanh", "clamp", "clamp_min", "threshold", "maximum"})
"""Operations that are such an activation if their lower limit is zero."""

_UNCOUNTED = (
    "_fft",
    "linalg",
    "_linalg",
    "_cdist",
    "cdist",
    "_trilinear",
    "_scaled_dot_product",
    "_transformer_encoder",
    "_native_multi_head",
    "_flash_attention",
    "_efficient_attention",
    "miopen_rnn",
    "_embedding_bag",
    "grid_sampler",
    "sparse",
    "_sparse",
    "_int_mm",
    "_scaled_mm",
    "_weight_int",
    "quantized",
    "_cslt",
    "_grouped_mm",
    "_scaled_grouped_mm",
    "_foreach_mm",
    "conv",
    "_conv_depthwise",
    "_convolution_mode",
    "_slow_conv",
    "slow_conv",
    "thnn_conv",
    "cudnn_conv",
    "mkldnn_conv",
    "miopen_conv",
    "miopen_depthwise",
    "_mps_conv",
    "_nnpack",
    "linear",
    "mkldnn_linear",
    "_mixed_dtypes_linear",
    "fbgemm_linear",
    "_wrapped_",
    "matmul",
    "einsum",
    "tensordot",
    "chain_matmul",
    "inner",
    "bilinear",
    "_dyn_quant",
    "smm",
    "hspmm",
    "sspaddmm",
    "_spsolve",
    "triangular_solve",
    "cholesky_",
    "_cholesky",
    "lu_solve",
    "lstm",
    "_lstm",
    "gru",
    "rnn_tanh",
    "rnn_relu",
    "scaled_dot_product",
    "_triton",
)
"""How operations begin that multiply, and whose multiplications are not known here."""


def watch(
    before: Callable[[str, tuple[Any, ...]], None] | None = None,
    after: Callable[[str, tuple[Any, ...], Any], None] | None = None,
) -> TorchDispatchMode:
    """Return a context in which each operation is shown to a function.

    Parameters
    ----------
    before : callable, optional
        Called with the operation's name and its arguments, before an operation changes them.
    after : callable, optional
        Called with the operation's name, its arguments and its output. A name is ATen's, without
        the underscore of operations in place; that of another library has the library in front.

    Returns
    -------
    context manager
    """

    # A class in a function, since PyTorch writes into the class when it is first used, and a key
    # (`graf_utils._keys`) of what uses it would change.
    class Watch(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # which would import PyTorch's compiler
            return False

        def __torch_dispatch__(
            self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
        ):
            name = _name(operation)
            if before is not None:
                before(name, args)
            output = operation(*args, **(kwargs or {}))
            if after is not None:
                after(name, args, output)
            return output

    return Watch()


def _name(operation: Any) -> str:
    name = operation.overloadpacket.__name__
    name = name if name.endswith("__") else name.removesuffix("_")
    ours = operation.namespace in ("aten", "prim", "prims", "profiler")
    return name if ours else f"{operation.namespace}::{name}"


def gate_input(name: str, args: tuple[Any, ...]) -> Tensor | None:
    """Return what enters an activation that is switched on where its input is positive.

    Parameters
    ----------
    name : str
        Name of the operation, as a `watch` says it.
    args : tuple
        Its arguments.

    Returns
    -------
    Tensor or None
        The input of ReLU and its kin (leaky and parametric ReLU, ReLU6, GELU, SiLU, ELU, SELU,
        CELU, Mish, Hardswish, a clamp at zero, the maximum of a tensor and zero); None for any
        other operation.
    """
    from_zero = name in _FROM_ZERO and len(args) > 1 and _is_zero(args[1])
    if name == "maximum" and not from_zero and _is_zero(args[0]):
        return args[1]
    return args[0] if name in _GATES or from_zero else None


def pooled_input(name: str, args: tuple[Any, ...]) -> Tensor | None:
    """Return what enters an average over whole images.

    Parameters
    ----------
    name : str
        Name of the operation, as a `watch` says it.
    args : tuple
        Its arguments.

    Returns
    -------
    Tensor of shape (n, channels, height, width) or None
        None if the operation is no adaptive average pooling and no mean over the last two axes.
    """
    if not args or not isinstance(args[0], Tensor) or args[0].ndim != 4:
        return None
    if name == "_adaptive_avg_pool2d":
        return args[0]
    if name == "mean" and len(args) > 1 and args[1] is not None:
        return args[0] if sorted(axis % 4 for axis in args[1]) == [2, 3] else None
    return None


def multiply_adds(name: str, args: tuple[Any, ...], output: Any) -> int:
    """Count the multiply-adds of an operation, in the convention of `NB201.cost`.

    Products of matrices and convolutions count each multiplication with the addition that goes
    with it. A normalisation counts two per element (one without weights of its own), ReLU and its
    kin one, a pooling its window. All else, such as sums or products of single elements and the
    functions inside a softmax or an LSTM's gates, counts nothing.

    Parameters
    ----------
    name : str
        Name of the operation, as a `watch` says it.
    args : tuple
        Its arguments.
    output : Tensor or tuple
        What it returned.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        It multiplies, or is of another library, and is not known here.
    """
    if name in _COUNTS:
        return _COUNTS[name](args, output)
    if "::" in name or name.startswith(_UNCOUNTED):
        raise ValueError(f"the multiplications of the operation {name!r} are not known")
    return 0 if gate_input(name, args) is None else args[0].numel()


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.any()
    return isinstance(value, int | float) and value == 0


def _convolution(args: tuple[Any, ...], output: Any) -> int:
    images, weight, transposed = args[0], args[1], args[6]
    places = images if transposed else output
    return places.numel() * weight[0].numel()


def _product(args: tuple[Any, ...], output: Any) -> int:
    return output.numel() * args[0].shape[-1]


def _product_added(args: tuple[Any, ...], output: Any) -> int:
    return output.numel() * args[1].shape[-1]


def _products_summed(args: tuple[Any, ...], output: Any) -> int:
    return args[1].numel() * args[2].shape[-1]


def _rnn_layer(args: tuple[Any, ...], output: Any) -> int:
    """A recurrent layer of oneDNN: the weights of the input and of the state, once per step."""
    steps = math.prod(args[0].shape[:-1])
    return steps * (args[1].numel() + args[2].numel())


def _rnn(args: tuple[Any, ...], output: Any) -> int:
    """All layers of a recurrent network in cuDNN."""
    steps = math.prod(args[0].shape[:-1])
    return steps * sum(weight.numel() for weight in args[1] if weight.ndim == 2)


def _normalisation(weight: int) -> Callable[[tuple[Any, ...], Any], int]:
    """The count of a normalisation whose weight is the argument at a place."""

    def count(args: tuple[Any, ...], output: Any) -> int:
        has_weight = len(args) > weight and isinstance(args[weight], Tensor)
        return args[0].numel() * (2 if has_weight else 1)

    return count


def _window(axes: int) -> Callable[[tuple[Any, ...], Any], int]:
    """The count of a pooling with a kernel over so many axes."""

    def count(args: tuple[Any, ...], output: Any) -> int:
        pooled = output[0] if isinstance(output, tuple) else output
        kernel = list(args[1])
        return pooled.numel() * math.prod(kernel * axes if len(kernel) == 1 else kernel)

    return count


def _every_element(args: tuple[Any, ...], output: Any) -> int:
    return args[0].numel()


def _mean(args: tuple[Any, ...], output: Any) -> int:
    """A mean pools unless it is over the second of four axes: the heads of attention, channels."""
    axes = args[1] if len(args) > 1 and args[1] is not None else []
    over_heads = args[0].ndim == 4 and [axis % 4 for axis in axes] == [1]
    return 0 if over_heads else args[0].numel()


_COUNTS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), _product),
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "_addmm_activation"), _product_added),
    "addbmm": _products_summed,
    "mkldnn_rnn_layer": _rnn_layer,
    "_cudnn_rnn": _rnn,
    **dict.fromkeys(sorted(BATCH_NORMS), _normalisation(1)),
    "native_group_norm": _normalisation(1),
    **dict.fromkeys(("native_layer_norm", "_fused_rms_norm"), _normalisation(2)),
    **dict.fromkeys(("avg_pool2d", "max_pool2d_with_indices"), _window(2)),
    **dict.fromkeys(("avg_pool3d", "max_pool3d_with_indices"), _window(3)),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d"), _every_element),
    **dict.fromkeys(("adaptive_max_pool2d", "adaptive_max_pool3d"), _every_element),
    "mean": _mean,
}
"""Counts by the name of the operation."""
