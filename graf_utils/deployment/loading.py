"""A saved predictor, fitted again and compared with what it said."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from graf_utils import _checks, _saved
from graf_utils.deployment._columns import check_columns, encoded
from graf_utils.deployment._parts import FORMAT, KIND, own_or_saved, probe_arrays, table_of
from graf_utils.deployment._refit import TOLERANCE, apart_by
from graf_utils.deployment._versions import check_majors, other_numbers
from graf_utils.deployment.fitted import TablePredictor
from graf_utils.spaces import SearchSpace
from graf_utils.table import Table

__all__ = ["load_predictor"]


def load_predictor(
    path: str | os.PathLike[str],
    *,
    space: str | SearchSpace | None = None,
    encoding: Callable[[Table], Any] | None = None,
    predictor: Any = None,
    retrain: bool = False,
) -> TablePredictor:
    """Load a predictor that was saved: fit it again on what was saved, and compare.

    Parameters
    ----------
    path : path
        From `TablePredictor.save`.
    space, encoding, predictor : optional
        What was of your own, and so is not in the file: a space that is none of `list_spaces`, a
        function, a regressor.
    retrain : bool
        Accept other versions of the libraries, and other numbers.

    Returns
    -------
    TablePredictor
        It says what the saved one said, but for rounding (`TOLERANCE`).

    Raises
    ------
    ValueError
        The file is damaged or none; it was saved with another major version of a library that
        decides the numbers; the space, the encoding's columns or what the predictor says are not
        those that were saved; or something of your own is missing.
    OSError
        There is no such file.
    """
    said, arrays = _saved.read(path, KIND)
    name = repr(os.fspath(path))
    try:
        if said["format"] != FORMAT:
            raise ValueError(
                f"{name} has format {said['format']}, and this version of graf_utils reads "
                f"{FORMAT}. Install graf_utils {said['versions'].get('graf_utils')}."
            )
        table = table_of(name, said, arrays, space)
        encoding = own_or_saved(name, "encoding", said, encoding)
        predictor = own_or_saved(name, "predictor", said, predictor)
        probes = table_of(name, said, {**arrays, **probe_arrays(arrays)}, space)
        columns, target = list(said["columns"]), said["target"]
        versions, expected = dict(said["versions"]), np.asarray(arrays["said"], dtype=float)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{name} is damaged: {error!s:.80} is missing or of another kind. Copy it again from "
            "where it was saved, or save it anew."
        ) from error
    check_columns(_checks.name_of(encoding), columns, encoded(table, encoding)[1])
    if not retrain:
        check_majors(name, versions)
    loaded = TablePredictor(table, target, encoding, predictor)
    if not retrain:
        check_majors(name, versions)  # of what is imported by now
    apart = apart_by(expected, loaded._say(probes), loaded._y)
    if not apart <= TOLERANCE and not retrain:
        raise ValueError(other_numbers(name, apart, versions, loaded.versions))
    return loaded
