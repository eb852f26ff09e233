"""Files of data: a description in JSON and some arrays, in one NumPy archive without pickles."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._files import replacing

__all__ = ["read", "write"]

_DESCRIPTION = "description"
"""Name of the array that holds the JSON."""


def write(
    path: str | os.PathLike[str], kind: str, description: dict[str, Any], arrays: dict[str, Any]
) -> None:
    """Write a file, whole or not at all; equal content makes equal bytes.

    Parameters
    ----------
    path : path
        The file; if there is one, it must be of the same kind.
    kind : str
        What such files are, for example ``"graf_utils: a predictor"``.
    description : dict
        Of JSON's types.
    arrays : dict of str to ndarray
        Of numbers.

    Raises
    ------
    ValueError
        There is another file at this place; it stays as it is.
    OSError
        The folder cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder. Name a file in it.")
    if path.is_file() and path.stat().st_size:
        try:
            read(path, kind)
        except ValueError:
            raise ValueError(
                f"{str(path)!r} is another file than {kind}, or a damaged one, and is left as it "
                "is. Name another file, or delete it."
            ) from None
    text = json.dumps({"kind": kind, **description}, sort_keys=True, allow_nan=False)
    parts = {name: np.asarray(values) for name, values in arrays.items()}
    with replacing(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **{_DESCRIPTION: np.array(text)}, **parts)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a file; nothing in it is ever executed.

    Parameters
    ----------
    path : path
    kind : str
        What it must be.

    Returns
    -------
    description : dict
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        It is another file, or damaged.
    OSError
        It is not there, or cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        arrays = _arrays(content)
        description = json.loads(arrays.pop(_DESCRIPTION).item())
        if description.pop("kind") != kind:
            raise ValueError("another kind")
    except (
        AttributeError, EOFError, KeyError, MemoryError, NotImplementedError, OSError,
        OverflowError, RecursionError, RuntimeError, SyntaxError, TypeError, ValueError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{str(path)!r} is no file of {kind}, or is damaged ({type(error).__name__}: "
            f"{error!s:.80}). Copy it again from where it was saved, or save it anew."
        ) from error
    return description, arrays


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an archive, each compared with its checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(
                io.BytesIO(archive.read(name)), allow_pickle=False
            )
            for name in archive.namelist()
        }
