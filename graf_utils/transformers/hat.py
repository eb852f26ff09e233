"""Encoders with decoders: the translation networks of HAT, as far as its tables tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graf_utils.operators import Layer
from graf_utils.transformers.blocks import activation, add, attention, linear, norm, plain

__all__ = ["hat_layers"]

_INNER = 512  # features of all heads together


def hat_layers(configuration: Mapping[str, Any], tokens: int = 30) -> list[Layer]:
    """Return the layers of an architecture of HAT (Wang et al., ACL 2020).

    The tables say what the layers of a stack have together; each layer gets its average, which need
    not be a whole number. Embeddings and the final projection, whose vocabulary differs between
    data sets, are without weights here.

    Parameters
    ----------
    configuration : mapping
        ``encoder_width``, ``encoder_layers``, and sums over the layers ``encoder_feed_forward`` and
        ``encoder_heads``; likewise for the decoder, with ``cross_heads`` and ``cross_layers``, the
        number of encoder layers that the decoder's layers attend to.
    tokens : int
        Length of a sentence.

    Returns
    -------
    list of Layer
        For `graf_utils.operators.OperatorGraph.from_layers`.
    """
    encoder, decoder = configuration["encoder_width"], configuration["decoder_width"]
    layers = [plain("embedding", encoder, tokens, inputs=("input",), name="layer")]
    n_layers = configuration["encoder_layers"]
    for _ in range(n_layers):
        layers += _attend(encoder, encoder, configuration["encoder_heads"] / n_layers, tokens)
        layers += _feed(encoder, configuration["encoder_feed_forward"] / n_layers, tokens)
    layers.append(norm(encoder, tokens, name="encoded", source="layer"))
    layers.append(plain("embedding", decoder, tokens, inputs=("input",), name="layer"))
    n_layers = configuration["decoder_layers"]
    keys = tokens * configuration["cross_layers"] / n_layers
    for _ in range(n_layers):
        layers += _attend(decoder, decoder, configuration["decoder_heads"] / n_layers, tokens)
        heads = configuration["cross_heads"] / n_layers
        layers += _attend(decoder, encoder, heads, tokens, "encoded", keys)
        layers += _feed(decoder, configuration["decoder_feed_forward"] / n_layers, tokens)
    return [*layers, norm(decoder, tokens), plain("linear", decoder, tokens)]


def _attend(
    width: int, other: int, heads: float, tokens: float, source: str = "layer", keys: float = 0
) -> list[Layer]:
    """Attention to the layer before, or to what is encoded, with the residual connection."""
    keys = keys or tokens
    return [
        linear(width, _INNER, tokens, name="queries", source="layer"),
        linear(other, _INNER, keys, name="keys", source=source),
        linear(other, _INNER, keys, name="values", source=source),
        attention(heads, _INNER, tokens, ("queries", "keys", "values"), keys=keys),
        linear(_INNER, width, tokens),
        add(width, tokens, ("", "layer")),
        norm(width, tokens, name="layer"),
    ]


def _feed(width: int, inner: float, tokens: float) -> list[Layer]:
    """A feed-forward part with the residual connection."""
    return [
        linear(width, inner, tokens, source="layer"),
        activation("relu", inner, tokens),
        linear(inner, width, tokens),
        add(width, tokens, ("", "layer")),
        norm(width, tokens, name="layer"),
    ]
