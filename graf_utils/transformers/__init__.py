"""Transformers from their configurations: operator graphs and encodings, without PyTorch."""

from __future__ import annotations

from graf_utils.transformers.bert import as_trained, bert_layers, flexibert_layers
from graf_utils.transformers.encodings import (
    depth,
    layer_statistics,
    operator_graphs,
    parameters,
    settings_numbers,
    settings_one_hot,
)
from graf_utils.transformers.gpt import gpt_layers
from graf_utils.transformers.hat import hat_layers

__all__ = [
    "as_trained",
    "bert_layers",
    "depth",
    "flexibert_layers",
    "gpt_layers",
    "hat_layers",
    "layer_statistics",
    "operator_graphs",
    "settings_numbers",
    "settings_one_hot",
    "parameters",
]
