"""Results that a run has finished, in a folder, so that a run that was killed can go on."""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from graf_utils._files import write_text
from graf_utils._keys import NotKeyable, digest

__all__ = ["FitKeys", "Store", "checksum"]

_CHECKSUM = "checksum"


class Store:
    """Finished results, one JSON file each, written whole or not at all.

    A store holds no open file, so that it can be sent to workers; those that see the same folder
    write to it.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    numbers : dict of str to (low, high)
        The numbers of a result, each with the range that it must lie in.

    Raises
    ------
    ValueError
        The folder cannot be used.
    """

    def __init__(self, folder: str | Path, numbers: dict[str, tuple[float, float]]) -> None:
        if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
            raise ValueError(
                f"cache={folder!r} must be the path of a folder, such as cache='fits', or None."
            )
        self.numbers = numbers
        try:
            self.folder = Path(folder).resolve()
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # a path with a null byte
            reason = getattr(error, "strerror", error)
            raise ValueError(
                f"cache={str(folder)!r} cannot be used as a folder ({reason}). Choose one "
                "that can be written."
            ) from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def read(self, key: str) -> dict[str, float] | None:
        """Return the result of a key, if it is there and sound.

        A file is sound if it holds the numbers of a result, each in its range, and the checksum
        that `write` put beside them.

        Parameters
        ----------
        key : str
            From `graf_utils._keys.digest`.

        Returns
        -------
        dict of str to number, or None
            None if there is no file, and, with a warning, if it is damaged.
        """
        try:
            return self._sound(key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            warnings.warn(
                f"{self._path(key)} is damaged ({error!s:.80}); what it held is computed again.",
                stacklevel=2,
            )
            return None

    def holds(self, key: str) -> bool:
        """Tell whether the result of a key is there and sound.

        Parameters
        ----------
        key : str

        Returns
        -------
        bool
        """
        try:
            self._sound(key)
        except (OSError, ValueError, RecursionError):
            return False
        return True

    def _sound(self, key: str) -> dict[str, float]:
        """The result of a key; an error if its file is not there, or is not what was written."""
        result = json.loads(self._path(key).read_text(encoding="utf-8"))
        if not isinstance(result, dict):
            raise ValueError("it holds no result")
        written = result.pop(_CHECKSUM, None)
        if not self._is_sound(result):
            raise ValueError("a number is missing or impossible")
        if written != checksum(key, result):
            raise ValueError("the numbers do not fit their checksum")
        return result

    def _is_sound(self, result: dict[str, Any]) -> bool:
        """Whether a result has its numbers, each in its range, and nothing else."""
        if set(result) != set(self.numbers):
            return False
        for name, (low, high) in self.numbers.items():
            number = result[name]
            if isinstance(number, bool) or not isinstance(number, int | float):
                return False
            if not low <= number <= high or number == math.inf:
                return False
        return True

    def write(self, key: str, result: dict[str, float]) -> None:
        """Keep the result of a key.

        Parameters
        ----------
        key : str
            From `graf_utils._keys.digest`.
        result : dict of str to number

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        content = result | {_CHECKSUM: checksum(key, result)}
        write_text(self._path(key), json.dumps(content))


def checksum(key: str, result: dict[str, Any]) -> str:
    """Return a digest of a result and its key, so that no digit is taken for another.

    Parameters
    ----------
    key : str
        What the result is of.
    result : dict
        Of what JSON can hold.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    text = key + json.dumps(result, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


class FitKeys:
    """The keys of fits in the cache: data, predictor with all that it is made of, and split.

    Parameters
    ----------
    protocol : object
        What every fit goes through: functions, modules, versions, groups; anything that
        `graf_utils._keys.digest` reads.
    matrices, ys : dict of str to ndarray
        Encodings and targets by name.
    models : dict of str to regressor
        Predictors by name. One that cannot be described is not cached, with a warning.
    metrics : dict of str to function
        Metrics by name, whatever their order. If one cannot be described nothing is cached, with a
        warning.
    """

    def __init__(
        self,
        protocol: Any,
        matrices: dict[str, NDArray[Any]],
        ys: dict[str, NDArray[Any]],
        models: dict[str, Any],
        metrics: dict[str, Any],
    ) -> None:
        self.protocol = digest(protocol)
        self.encodings = {name: digest(matrix) for name, matrix in matrices.items()}
        self.targets = {name: digest(y) for name, y in ys.items()}
        self.predictors = _described("the predictor", models)
        self.metrics = sorted(_described("the metric", metrics).items())

    def of(
        self, target: str, encoding: str, predictor: str, size: int, seed: int, sides: Any = None
    ) -> str | None:
        """Return the key of a fit; None if it must not be cached.

        Parameters
        ----------
        target, encoding, predictor : str
            Names.
        size, seed : int
            Train size and data seed.
        sides : pair of ndarray, optional
            Rows to train and to test on, where size and seed do not decide them.

        Returns
        -------
        str or None
        """
        model = self.predictors[predictor]
        if model is None or any(metric is None for _, metric in self.metrics):
            return None
        fit = [self.targets[target], self.encodings[encoding], model, size, seed]
        return digest(self.protocol, *fit, self.metrics, *([] if sides is None else [sides]))


def _described(kind: str, objects: dict[str, Any]) -> dict[str, str | None]:
    """A digest of each object; None, with a warning, for one that cannot be described."""
    digests: dict[str, str | None] = {}
    for name, value in objects.items():
        try:
            digests[name] = digest(value)
        except NotKeyable as error:
            digests[name] = None
            warnings.warn(
                f"{kind} {name!r} is not cached, since a part of it cannot be told from "
                f"another: {error}",
                stacklevel=4,
            )
    return digests
