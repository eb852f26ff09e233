"""The file of a search: every evaluation that has ended, so that the same search can go on.

A search is computed again from its beginning, with the evaluations taken from the file. So nothing
but evaluations is kept, and a search that was killed goes on with the same bits.
"""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import sklearn

from graf_utils import __version__
from graf_utils._checkpoint import RowFile, is_number
from graf_utils._keys import NotKeyable, digest

__all__ = ["SearchFile", "open_file"]


class SearchFile(RowFile):
    """Rows of ``values``, an objective by its name, or None with a reason in ``error``."""

    kind = "graf_utils: evaluations of a search"
    holds = "evaluations"

    def is_sound(self, row: dict[str, Any]) -> bool:
        """Tell whether there is a finite number for each objective, or else a reason.

        Parameters
        ----------
        row : dict

        Returns
        -------
        bool
        """
        if set(row) != {"values", "error"} or not isinstance(row["error"], str):
            return False
        values = row["values"]
        if values is None:
            return bool(row["error"])
        if not isinstance(values, dict) or not values or row["error"]:
            return False
        return all(is_number(value) for value in values.values())


def open_file(path: str | os.PathLike[str], random_state: Any, parts: dict[str, Any]) -> SearchFile:
    """Open the file of a search, or begin one.

    Parameters
    ----------
    path : path
    random_state : int or RandomState
        The seed of the search.
    parts : dict of str to object
        All else that decides what is proposed and what comes out, by its name for messages.

    Returns
    -------
    SearchFile

    Raises
    ------
    ValueError
        There is no seed, a part cannot be told from another, or the file is none of this search.
        It stays as it is.
    """
    if random_state is None:
        raise ValueError(
            f"checkpoint={str(path)!r} needs a seed, so that the search goes on as it began. Pass "
            "random_state=0, or another whole number."
        )
    settings = {
        "versions": {
            "python": platform.python_version(),
            "graf_utils": __version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        }
    }
    if isinstance(random_state, np.integer):
        random_state = int(random_state)
    for name, part in {**parts, "random_state": random_state}.items():
        try:
            plain = part is None or type(part) in (bool, int, str)
            settings[name] = part if plain else digest(part)
        except NotKeyable as error:
            raise ValueError(
                f"checkpoint={str(path)!r} cannot be used, since {name} cannot be told from "
                f"another: {error} Use what can be described in its place (a plain function with "
                "plain arguments), or leave checkpoint out."
            ) from None
    return SearchFile(path, settings)
