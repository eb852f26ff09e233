"""Results that a run has finished, in a folder, so that a run that was killed can go on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from graf_utils._files import write_text

__all__ = ["Store"]


class Store:
    """Finished results, one JSON file each, written whole or not at all.

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
        self.folder, self.numbers = Path(folder).resolve(), numbers
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"cache={str(folder)!r} cannot be used as a folder ({error.strerror}). Choose one "
                "that can be written."
            ) from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def read(self, key: str) -> dict[str, float] | None:
        """Return the result of a key; None if there is none, or if the file is damaged.

        Parameters
        ----------
        key : str
            From `graf_utils._keys.digest`.

        Returns
        -------
        dict of str to number, or None
        """
        try:
            result = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return result if self._is_sound(result) else None

    def _is_sound(self, result: Any) -> bool:
        if not isinstance(result, dict) or set(result) != set(self.numbers):
            return False
        return all(
            isinstance(value := result[name], int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and low <= value <= high
            for name, (low, high) in self.numbers.items()
        )

    def write(self, key: str, result: dict[str, float]) -> None:
        """Keep the result of a key.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        write_text(self._path(key), json.dumps(result))
