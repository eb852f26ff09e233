"""Decoders: the GPT-2-like networks of HW-GPT-Bench, layer by layer."""

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

__all__ = ["gpt_layers"]

_VOCABULARY = 50_254
_HEAD = 64  # features of a head, whatever the width of the network


def gpt_layers(configuration: Mapping[str, Any], tokens: int = 1024) -> list[Layer]:
    """Return the layers of an architecture of HW-GPT-Bench (Sukthanker et al., NeurIPS 2024).

    In each layer attention and a gated feed-forward part both take the layer's normalised input,
    and are added to it. Places are rotated into queries and keys, without weights.

    Parameters
    ----------
    configuration : mapping
        ``width``, ``bias`` (whether linear layers have one), and ``layers``: each with ``heads``
        and ``ratio``, the feed-forward size in widths.
    tokens : int
        Length of the input.

    Returns
    -------
    list of Layer
        For `graf_utils.operators.OperatorGraph.from_layers`.

    Notes
    -----
    So built, all parameter counts that are published with the latencies agree, and all their
    multiply-adds if attention, which they leave out, is left out. The perplexities are of a
    supernet, for which no counts are published.
    """
    width, bias = configuration["width"], configuration["bias"]
    layers = [embedding(_VOCABULARY, width, tokens, name="layer")]
    for layer in configuration["layers"]:
        inner, wide = _HEAD * layer["heads"], width * layer["ratio"]
        layers += [
            norm(width, tokens, name="normed", source="layer"),
            *_projected(width, inner, tokens, bias),
            attention(layer["heads"], inner, tokens, ("queries", "keys", "values")),
            linear(inner, width, tokens, bias=bias, name="attended"),
            norm(width, tokens, name="normed", source="layer"),
            linear(width, wide, tokens, bias=bias, name="gate", source="normed"),
            activation("silu", wide, tokens)._replace(name="gate"),
            linear(width, wide, tokens, bias=bias, source="normed"),
            plain("multiply", wide, tokens, inputs=("", "gate")),
            linear(wide, width, tokens, bias=bias, name="fed"),
            add(width, tokens, ("fed", "attended", "layer"), name="layer"),
        ]
    return [*layers, norm(width, tokens), linear(width, _VOCABULARY, tokens, bias=False)]


def _projected(width: int, inner: int, tokens: int, bias: bool) -> list[Layer]:
    """Queries, keys and values of the normalised input."""
    return [
        linear(width, inner, tokens, bias=bias, name=name, source="normed")
        for name in ("queries", "keys", "values")
    ]
