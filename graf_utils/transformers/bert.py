"""Encoders: those of NAS-Bench-BERT and FlexiBERT, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graf_utils.operators import Layer
from graf_utils.transformers.blocks import (
    activation,
    add,
    attention,
    embedding,
    linear,
    norm,
    plain,
)

__all__ = ["as_trained", "bert_layers", "flexibert_layers"]

_VOCABULARY, _PLACES, _SEGMENTS = 30_522, 512, 2  # rows of ELECTRA's three tables
_EMBEDDING = 128  # features of their rows


def bert_layers(configuration: Mapping[str, Any], tokens: int = 128) -> list[Layer]:
    """Return the layers of an architecture of NAS-Bench-BERT (Serianni and Kalita, ACL 2023).

    An encoder as of ELECTRA in which each layer has self-attention (SA), a linear transform (LT,
    which has no residual connection around it) or a span-based dynamic convolution beside half the
    heads (DSC), then a stack of feed-forward layers.

    Parameters
    ----------
    configuration : mapping
        ``hidden_size``, and ``layers``: each with ``operation`` (such as ``"SA-SDP"`` or
        ``"DSC-5"``), ``heads``, ``feed_forward`` and ``n_feed_forward``.
    tokens : int
        Length of the input.

    Returns
    -------
    list of Layer
        For `graf_utils.operators.OperatorGraph.from_layers`.

    Notes
    -----
    The parameter counts that are published with the benchmark are those of the same layers with
    hidden size 256 and feed-forward size 1,024 throughout.
    """
    width = configuration["hidden_size"]
    layers = _embeddings(width, tokens)
    for layer in configuration["layers"]:
        kind, _, parameter = layer["operation"].partition("-")
        if kind == "SA":
            layers += _self_attention(width, layer["heads"], tokens, weighted=parameter == "WMA")
        elif kind == "DSC":
            layers += _dynamic_convolution(width, layer["heads"], tokens, int(parameter))
        else:
            layers.append(linear(width, width, tokens, source="layer"))
            label = parameter.lower()
            layers.append(plain("other", width, tokens, label=label, name="attended"))
        layers += _feed_forward(width, layer["feed_forward"], tokens, layer["n_feed_forward"])
    return layers


def as_trained(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the architecture of NAS-Bench-BERT that the published training code builds.

    It tells operations apart by ``is`` between texts, which is false for texts read from a file, so
    that all layers have self-attention; and it reads the feed-forward size from the second
    feed-forward layer on, the first has 1,024 (``tensorflow-model/model/modeling.py`` of the
    benchmark's repository, commit 9b59a62). Whether the networks were trained by this code, only
    the authors know; the scores fit it, for they show no effect of the operation.

    Parameters
    ----------
    configuration : mapping
        As for `bert_layers`.

    Returns
    -------
    dict
        With ``"SA-SDP"`` as every operation, and feed-forward size 1,024 where there is one
        feed-forward layer.
    """
    layers = [
        {**layer, "operation": "SA-SDP"}
        | ({"feed_forward": 1024} if layer["n_feed_forward"] == 1 else {})
        for layer in configuration["layers"]
    ]
    return {**configuration, "layers": layers}


def flexibert_layers(configuration: Mapping[str, Any], tokens: int = 128) -> list[Layer]:
    """Return the layers of an architecture of FlexiBERT (Tuli et al., 2023).

    Encoders whose layers differ in hidden size, heads, similarity and feed-forward size; between
    layers of different hidden size stands a linear one.

    Parameters
    ----------
    configuration : mapping
        ``layers``, each with ``hidden_size``, ``heads``, ``similarity`` (``"sdp"`` or ``"wma"``)
        and ``feed_forward``.
    tokens : int
        Length of the input.

    Returns
    -------
    list of Layer
        For `graf_utils.operators.OperatorGraph.from_layers`.
    """
    width = configuration["layers"][0]["hidden_size"]
    layers = _embeddings(width, tokens, narrow=width)
    for layer in configuration["layers"]:
        if layer["hidden_size"] != width:
            layers.append(linear(width, layer["hidden_size"], tokens, name="layer", source="layer"))
            width = layer["hidden_size"]
        layers += _self_attention(
            width, layer["heads"], tokens, weighted=layer["similarity"] == "wma"
        )
        layers += _feed_forward(width, layer["feed_forward"], tokens, 1)
    return layers


def _embeddings(width: int, tokens: int, narrow: int = _EMBEDDING) -> list[Layer]:
    """Tokens, segments and places, and a projection where the layers are wider."""
    layers = [
        embedding(_VOCABULARY, narrow, tokens, name="words"),
        embedding(_SEGMENTS, narrow, tokens, name="segments"),
        embedding(_PLACES, narrow, tokens, name="places"),
        add(narrow, tokens, ("words", "segments", "places")),
        norm(narrow, tokens, name="layer"),
    ]
    if width != narrow:
        layers.append(linear(narrow, width, tokens, name="layer"))
    return layers


def _self_attention(width: int, heads: int, tokens: int, *, weighted: bool) -> list[Layer]:
    """Self-attention of the layer before, a projection, and the residual connection."""
    layers = [linear(width, width, tokens, name="queries", source="layer")]
    if weighted:
        layers.append(linear(width, width, tokens, bias=False, name="queries"))
    return [
        *layers,
        linear(width, width, tokens, name="keys", source="layer"),
        linear(width, width, tokens, name="values", source="layer"),
        attention(heads, width, tokens, ("queries", "keys", "values")),
        *_projection(width, tokens),
    ]


def _projection(width: int, tokens: int) -> list[Layer]:
    return [
        linear(width, width, tokens),
        add(width, tokens, ("", "layer")),
        norm(width, tokens, name="attended"),
    ]


def _dynamic_convolution(width: int, heads: int, tokens: int, kernel: int) -> list[Layer]:
    """Half the heads attend, the other half of the features is convolved (ConvBERT)."""
    half = max(heads // 2, 1)
    inner = half * (width // heads)
    depthwise = {
        "parameters": width * kernel,
        "multiply_adds": tokens * width * kernel,
        "outputs": tokens * width,
        "channels": width,
        "kernel": kernel,
        "stride": 1,
    }
    pointwise = {
        "parameters": width * inner + inner,
        "multiply_adds": tokens * width * inner,
        "outputs": tokens * inner,
        "channels": inner,
        "kernel": 1,
        "stride": 1,
    }
    convolved = {
        "multiply_adds": tokens * inner * kernel,
        "outputs": tokens * inner,
        "channels": inner,
    }
    return [
        linear(width, inner, tokens, name="queries", source="layer"),
        linear(width, inner, tokens, name="keys", source="layer"),
        linear(width, inner, tokens, name="values", source="layer"),
        Layer("depthwise-conv", depthwise, inputs=("layer",)),
        Layer("pointwise-conv", pointwise),
        plain("multiply", inner, tokens, inputs=("", "queries")),
        linear(inner, half * kernel, tokens),
        plain("softmax", half * kernel, tokens, name="kernels"),
        linear(width, inner, tokens, source="layer"),
        Layer("matmul", convolved, "convolved", ("", "kernels")),
        attention(half, inner, tokens, ("queries", "keys", "values")),
        plain("concat", width, tokens, inputs=("", "convolved")),
        *_projection(width, tokens),
    ]


def _feed_forward(width: int, inner: int, tokens: int, n_inner: int) -> list[Layer]:
    """A stack of feed-forward layers and the residual connection."""
    layers = [linear(width, inner, tokens, source="attended"), activation("gelu", inner, tokens)]
    for _ in range(n_inner - 1):
        layers += [linear(inner, inner, tokens), activation("gelu", inner, tokens)]
    return [
        *layers,
        linear(inner, width, tokens),
        add(width, tokens, ("", "attended")),
        norm(width, tokens, name="layer"),
    ]
