"""The result files of the timm repository, as frames with one row per network.

A network is an architecture at a size of images, written ``resnet50@224``: accuracies and latencies
are told for both, and one architecture occurs at several sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

__all__ = ["READERS", "is_of_imagenet_1k", "read_weights"]

_OTHER_DATA = "in12k in21k in22k jft ns ig1b wsl swsl yfcc100m ssl laion2b laiona clip openai webli"
_OTHER_DATA += " swag seer m30m m38m 6m"
_TEACHER = "dist distilled ssld usi teacher"
_NOT_ALONE = frozenset([*_OTHER_DATA.split(), *_TEACHER.split()])
"""Parts of a tag that name other data, or a teacher whose outputs are learned from."""


def is_of_imagenet_1k(weights: str) -> bool:
    """Tell whether weights were trained on ImageNet-1k alone, without a teacher.

    Parameters
    ----------
    weights : str
        Architecture and tag as timm writes them, ``resnet50.a1_in1k``. The tag names the recipe
        and the data; a distilled architecture has that in its own name. BEiT v2 is left out, for
        what it learns to predict was made by a network that has seen other data.

    Returns
    -------
    bool

    Examples
    --------
    >>> tags = ["a1_in1k", "fb_ssl_yfcc100m_ft_in1k"]
    >>> [is_of_imagenet_1k(f"resnet50.{tag}") for tag in tags]
    [True, False]
    """
    architecture, _, tag = weights.partition(".")
    named = set(tag.split("_"))
    has_teacher = "distilled" in architecture or architecture.startswith("beitv2")
    return "in1k" in named and not has_teacher and not named & _NOT_ALONE


def read_weights(path: Path) -> pd.DataFrame:
    """Read the accuracy of each weights at each size.

    Parameters
    ----------
    path : Path
        A file ``results-*.csv``.

    Returns
    -------
    DataFrame
        Of weights of ImageNet-1k alone: ``network, weights, img_size, top1, top5`` in %.
    """
    frame = pd.read_csv(path, thousands=",").rename(columns={"model": "weights"})
    frame = frame[frame["weights"].map(is_of_imagenet_1k)]
    frame.insert(0, "network", _networks(frame["weights"], frame["img_size"]))
    repeated = frame.duplicated(["weights", "img_size"])
    if repeated.any():
        raise ValueError(f"{frame.loc[repeated, 'weights'].iloc[0]} occurs twice at one size")
    return frame[["network", "weights", "img_size", "top1", "top5"]].reset_index(drop=True)


def _networks(models: pd.Series, sizes: pd.Series) -> pd.Series:
    return models.str.partition(".")[0] + "@" + sizes.astype(str)


def _read_results(path: Path, key: str) -> pd.DataFrame:
    """The median over the training recipes of a network, and how many there are."""
    weights = read_weights(path)
    networks = weights.groupby("network")
    frame = networks[["top1", "top5"]].median().assign(recipes=networks.size())
    return frame.rename_axis(key).reset_index()


def _read_benchmark(path: Path, key: str) -> pd.DataFrame:
    """Milliseconds per image; the files name images per second."""
    frame = pd.read_csv(path, thousands=",")
    frame.insert(0, key, _networks(frame["model"], frame["infer_img_size"]))
    if frame[key].duplicated().any():
        raise ValueError(f"{frame.loc[frame[key].duplicated(), key].iloc[0]} occurs twice")
    frame = frame.assign(latency=1000 / frame["infer_samples_per_sec"])
    return frame.sort_values(key, ignore_index=True)


READERS: dict[str, Callable[[Path, str], pd.DataFrame]] = {
    "timm-results": _read_results,
    "timm-benchmark": _read_benchmark,
}
"""Readers by the name of the format in the registry."""
