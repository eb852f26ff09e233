"""Published files of transformers and of their like, as frames with configurations in JSON.

Each function reads one file and returns one row per architecture: the configuration under `key`,
as `graf_utils.spaces.ConfigurationSpace` reads it, and the numbers of the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from graf_utils._plain_data import read_plain_data

__all__ = ["READERS", "gpt_configuration", "write_configuration"]

_HAT = {  # setting → column of the file, and the one by which an average is multiplied
    "encoder_width": ("encoder_embed_dim", ""),
    "encoder_layers": ("encoder_layer_num", ""),
    "encoder_feed_forward": ("encoder_ffn_embed_dim_avg", "encoder_layer_num"),
    "encoder_heads": ("encoder_self_attention_heads_avg", "encoder_layer_num"),
    "decoder_width": ("decoder_embed_dim", ""),
    "decoder_layers": ("decoder_layer_num", ""),
    "decoder_feed_forward": ("decoder_ffn_embed_dim_avg", "decoder_layer_num"),
    "decoder_heads": ("decoder_self_attention_heads_avg", "decoder_layer_num"),
    "cross_heads": ("decoder_ende_attention_heads_avg", "decoder_layer_num"),
    "cross_layers": ("decoder_arbitrary_ende_attn_avg", "decoder_layer_num"),
}
_FLEXIBERT = {"hidden_size": "h", "heads": "a", "similarity": "s", "feed_forward": "f"}


def write_configuration(configuration: Mapping[str, Any]) -> str:
    """Write a configuration as JSON without spaces.

    Parameters
    ----------
    configuration : mapping

    Returns
    -------
    str
    """
    return json.dumps(configuration, separators=(",", ":"))


def gpt_configuration(arch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of HW-GPT-Bench without the layers that the network does not have.

    The lists of its files are as long as the deepest network; entries from ``sample_n_layer`` on
    are inactive.

    Parameters
    ----------
    arch : mapping
        With the keys of the files, ``sample_embed_dim`` and so on.

    Returns
    -------
    dict
        ``width``, ``bias``, and ``layers`` with ``heads`` and ``ratio`` (the feed-forward size in
        widths).
    """
    depth = arch["sample_n_layer"]
    pairs = zip(arch["sample_n_head"][:depth], arch["sample_mlp_ratio"][:depth], strict=True)
    return {
        "width": arch["sample_embed_dim"],
        "bias": arch["sample_bias"],
        "layers": [{"heads": heads, "ratio": ratio} for heads, ratio in pairs],
    }


def _read_gpt(path: Path, key: str) -> pd.DataFrame:
    """Records of HW-GPT-Bench, of which the numbers that are there are kept."""
    records = read_plain_data(path)
    frame = pd.DataFrame(
        [{name: value for name, value in r.items() if name != "arch"} for r in records]
    )
    written = [write_configuration(gpt_configuration(record["arch"])) for record in records]
    frame.insert(0, key, written)
    return frame


def _read_flexibert(path: Path, key: str) -> pd.DataFrame:
    """FlexiBERT's columns; architectures without any score are left out."""
    content = json.loads(path.read_bytes())
    scores = pd.DataFrame(content["accuracies"], dtype=float)
    written = []
    for model in content["model_dicts"]:
        columns = [model[short] for short in _FLEXIBERT.values()]
        layers = [dict(zip(_FLEXIBERT, layer, strict=True)) for layer in zip(*columns, strict=True)]
        if len(layers) != model["l"]:
            raise ValueError(f"{model} does not have {model['l']} layers")
        written.append(write_configuration({"layers": layers}))
    scores.insert(0, key, written)
    return scores[scores.drop(columns=key).notna().any(axis=1)].reset_index(drop=True)


def _read_hat(path: Path, key: str) -> pd.DataFrame:
    """HAT's columns; averages over layers become sums, which are whole numbers."""
    frame = pd.read_csv(path)
    sums = pd.DataFrame(index=frame.index)
    for setting, (column, layers) in _HAT.items():
        exact = frame[column] * frame[layers] if layers else frame[column]
        sums[setting] = exact.round().astype(int)
        if (exact - sums[setting]).abs().max() > 1e-6:
            raise ValueError(f"{column} is no average of whole numbers")
    frame.insert(0, key, [write_configuration(row) for row in sums.to_dict("records")])
    frame["latency_mean"] = frame["latency_mean_encoder"] + frame["latency_mean_decoder"]
    return frame


def _read_genotypes(path: Path, key: str) -> pd.DataFrame:
    """Genotypes and accuracies without a header."""
    return pd.read_csv(path, names=[key, "accuracy"], header=None)


READERS: dict[str, Callable[[Path, str], pd.DataFrame]] = {
    "hw-gpt": _read_gpt,
    "flexibert": _read_flexibert,
    "hat": _read_hat,
    "genotypes": _read_genotypes,
}
"""Readers by the name of the format in the registry."""
