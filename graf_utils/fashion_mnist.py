"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017), read from the files that Debian installs.

The recipes that need the whole data set read it here; the package itself comes with 128 images
(`graf_utils.scoring.image_batch`).
"""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import choice
from graf_utils.registry import DataError

__all__ = ["FOLDER", "SOURCE", "digests", "read"]

FOLDER = Path("/usr/share/datasets/fashion-mnist")
SOURCE = "Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017), Debian dataset-fashion-mnist"
PARTS = ("train", "t10k")
_KINDS = {"images-idx3": 3, "labels-idx1": 1}  # and the number of axes of the array in the file


def read(folder: str | os.PathLike[str], part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read one part of the data set.

    Parameters
    ----------
    folder : path
        Where the four ``.gz`` files lie.
    part : {"train", "t10k"}
        60,000 or 10,000 images.

    Returns
    -------
    images : ndarray of shape (n, 28, 28), uint8
        Pixels from 0 to 255.
    labels : ndarray of shape (n,), uint8
        From 0 to 9.

    Raises
    ------
    ValueError
        Another part.
    DataError
        A file is not there, or damaged.
    """
    choice("part", part, PARTS)
    images, labels = (_array(file, axes) for file, axes in _files(folder, part))
    if images.shape != (len(labels), 28, 28):
        raise DataError(
            f"{folder}: {part} has images of shape {images.shape} and {len(labels)} labels. "
            "Install Debian's package dataset-fashion-mnist again."
        )
    return images, labels


def digests(folder: str | os.PathLike[str], part: str) -> dict[str, str]:
    """SHA-256 of the files of one part.

    Parameters
    ----------
    folder : path
        Where the four ``.gz`` files lie.
    part : {"train", "t10k"}

    Returns
    -------
    dict of str to str
        Name of a file to its SHA-256.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    files = [file for file, _ in _files(folder, part)]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _files(folder: str | os.PathLike[str], part: str) -> list[tuple[Path, int]]:
    """The files of images and of labels, with the axes of their arrays."""
    return [(Path(folder) / f"{part}-{kind}-ubyte.gz", axes) for kind, axes in _KINDS.items()]


def _array(file: Path, axes: int) -> NDArray[np.uint8]:
    """The array of bytes in a file: after two zeros, its type, its axes and their lengths."""
    if not file.is_file():
        raise DataError(
            f"{file} is not there; it must be a file of Fashion-MNIST. Install Debian's package "
            "dataset-fashion-mnist, or name its --folder."
        )
    try:
        content = gzip.decompress(file.read_bytes())
        if content[:4] != bytes([0, 0, 8, axes]):
            raise ValueError(f"it begins with {content[:4]!r}")
        shape = np.frombuffer(content, ">u4", axes, offset=4).tolist()
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(
            f"{file} cannot be read as a file of Fashion-MNIST ({type(error).__name__}: {error}). "
            "Install Debian's package dataset-fashion-mnist again."
        ) from error
