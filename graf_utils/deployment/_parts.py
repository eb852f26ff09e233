"""What a file holds beside arrays: the space, the table, and names, or what has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from graf_utils import _checks
from graf_utils.spaces import SearchSpace, get_space, list_spaces
from graf_utils.table import Table

KIND = "graf_utils: a predictor of architectures"
FORMAT = 1


def of_space(space: SearchSpace) -> dict[str, Any]:
    """What tells a space from another, as far as JSON can say it."""
    built_in = space.name in list_spaces() and space == get_space(space.name)
    return {
        "built in": built_in,
        "name": space.name,
        "operations": list(space.operations),
        "code_length": int(space.code_length),
        "cells": list(space.cells),
    }


def table_of(
    name: str, said: dict[str, Any], arrays: dict[str, Any], space: str | SearchSpace | None
) -> Table:
    """The training networks, in the space that they were saved with."""
    saved = said["space"]
    if space is None and not saved["built in"]:
        raise ValueError(
            f"{name} was saved with a search space of your own, {saved['name']!r}. Pass it: "
            "load_predictor(path, space=...)."
        )
    space = get_space(saved["name"] if space is None else space)
    here = of_space(space)
    other = [key for key in here if here[key] != saved[key]]
    if other:
        raise ValueError(
            f"{name} was saved with another search space: its {other[0]} is "
            f"{_checks.short(saved[other[0]])}, and that of {space.name!r} is "
            f"{_checks.short(here[other[0]])}. Pass the space that it was fitted with, or fit a "
            "predictor for this one with fit_predictor."
        )
    proxies = None
    if said["proxies"]:
        proxies = pd.DataFrame(arrays["proxies"], columns=said["proxies"])
    return Table(*said["table"], space, arrays["codes"], {said["target"]: arrays["y"]}, proxies)


def probe_arrays(arrays: dict[str, Any]) -> dict[str, Any]:
    """The networks by which a refit is checked, under the names of the training networks."""
    codes = arrays["probes"]
    return {"codes": codes, "y": np.zeros(len(codes)), "proxies": arrays.get("probes' proxies")}


def own_or_saved(name: str, what: str, said: dict[str, Any], given: Any) -> Any:
    """The encoding or the predictor: by its name, or the reader's own of the same name."""
    saved, its_name = said[what], said[f"{what}'s name"]
    if given is None:
        if saved is None:
            article = "an" if what == "encoding" else "a"
            raise ValueError(
                f"{name} was saved with {article} {what} of your own, {its_name}. Pass it: "
                f"load_predictor(path, {what}=...)."
            )
        return saved
    here = _checks.name_of(given)
    if here != its_name:
        raise ValueError(
            f"{name} was saved with the {what} {its_name}, not {here}. Pass that one, or "
            f"{'leave it out' if saved else 'fit another with fit_predictor'}."
        )
    return given
