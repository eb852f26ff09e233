"""Which kind each of PyTorch's operations is: a table that you can add to.

Names are those of `torch.ops.aten`, without the underscore of operations in place. Add an entry for
an operation of your own: ``OPERATORS["my_op"] = Mapped("activation", "my_op")``.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CONSTANT", "OPERATORS", "PART", "SHAPE", "Mapped"]

SHAPE = "shape"
"""Moves or copies numbers: no operator; what it gives is taken for what it took."""
PART = "split"
"""Takes a part of a value."""
CONSTANT = "constant"
"""Does not depend on the values of its inputs, or only in steps, such as a comparison."""


class Mapped(NamedTuple):
    """What an operation of PyTorch stands for.

    Parameters
    ----------
    kind : str
        A name of `graf_utils.operators.KINDS`, or `SHAPE` or `CONSTANT`.
    label : str
        The label of the node in the graph.
    """

    kind: str
    label: str


_NAMES: dict[str, str] = {
    "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution "
    "_convolution",
    "linear": "linear addmm addmv _grouped_mm grouped_mm_fallback",
    "matmul": "matmul mm bmm baddbmm addbmm mv dot einsum",
    "attention": "scaled_dot_product_attention",
    "recurrent": "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    "normalisation": "batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update "
    "native_batch_norm layer_norm native_layer_norm group_norm native_group_norm instance_norm "
    "rms_norm _fused_rms_norm",
    "activation": "relu relu6 gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid "
    "leaky_relu elu selu celu glu prelu rrelu softplus softsign softshrink hardshrink tanhshrink "
    "log_sigmoid threshold exp expm1 log log1p log2 sqrt rsqrt square pow abs erf sin cos "
    "reciprocal clamp clamp_min clamp_max logit atan special_expit",
    "softmax": "softmax _softmax log_softmax _log_softmax special_softmax",
    "pooling": "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices "
    "max_pool1d_with_indices avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d mean sum amax amin max min var std var_mean std_mean "
    "norm linalg_vector_norm logsumexp cumsum upsample_nearest1d upsample_nearest2d "
    "upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d "
    "upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_nearest_exact2d "
    "grid_sampler grid_sampler_2d lp_pool2d",
    "add": "add sub rsub where maximum minimum addcmul lerp index_add index_put scatter_add",
    "multiply": "mul div addcdiv true_divide floor_divide fmod remainder",
    "concat": "cat concat concatenate stack hstack vstack slice_scatter select_scatter scatter "
    "as_strided_scatter diagonal_scatter",
    PART: "split split_with_sizes chunk unbind tensor_split narrow select slice index index_select "
    "gather masked_select unfold diagonal",
    "embedding": "embedding embedding_bag",
    "other": "topk sort fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fft fft_ifft fft_rfft "
    "fft_irfft",
    SHAPE: "view reshape _unsafe_view view_as reshape_as permute transpose swapaxes swapdims t "
    "numpy_T mT movedim moveaxis squeeze unsqueeze expand expand_as flatten unflatten clone "
    "contiguous alias detach detach_ to _to_copy type_as copy lift_fresh lift_fresh_copy lift "
    "dropout feature_dropout alpha_dropout native_dropout dropout2d dropout3d pad constant_pad_nd "
    "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d roll flip repeat "
    "repeat_interleave tile pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle "
    "im2col col2im masked_fill tril triu neg positive identity view_as_real view_as_complex "
    "real as_strided _reshape_alias broadcast_to atleast_2d atleast_3d unsafe_split nan_to_num "
    "resolve_conj resolve_neg conj bernoulli rot90 double float half bfloat16 _cast_Float "
    "_assert_tensor_metadata _add_batch_dim _remove_batch_dim",
    CONSTANT: "zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones "
    "new_full new_empty argmax argmin argsort one_hot bucketize searchsorted nonzero "
    "nonzero_numpy eq ne lt le gt ge logical_and logical_or logical_not logical_xor bitwise_and "
    "bitwise_or bitwise_not isnan isinf isfinite any all sign round floor ceil trunc item "
    "_local_scalar_dense sym_size sym_numel sym_stride size equal bincount histc heaviside zero "
    "multinomial fill",
}

_LABELS: dict[str, str] = {
    "_native_batch_norm_legit_no_training": "batch_norm",
    "_batch_norm_no_update": "batch_norm",
    "native_batch_norm": "batch_norm",
    "_grouped_mm": "linear",
    "grouped_mm_fallback": "linear",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "_fused_rms_norm": "rms_norm",
    "relu6": "relu",
    "hardtanh": "relu",
    "leaky_relu": "relu",
    "prelu": "relu",
    "hardswish": "silu",
    "hardsigmoid": "sigmoid",
    "_softmax": "softmax",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
}
"""Names that are written otherwise: another name of the same, and the functions near to a known
one (`graf_utils.operators.FUNCTIONS`), which are counted with it."""

OPERATORS: dict[str, Mapped] = {
    name: Mapped(kind, _LABELS.get(name, name))
    for kind, names in _NAMES.items()
    for name in names.split()
}
"""Operations of `torch.ops.aten` by name, without the underscore of those in place."""
