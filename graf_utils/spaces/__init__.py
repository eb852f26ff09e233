"""Search spaces: how an architecture is written, checked and turned into a graph."""

from __future__ import annotations

import re

from graf_utils._checks import nearest, short
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.cell import CellSpace
from graf_utils.spaces.configurations import ConfigurationSpace
from graf_utils.spaces.darts import DARTS
from graf_utils.spaces.darts_lenient import LenientDARTS
from graf_utils.spaces.listed import FeatureSpace
from graf_utils.spaces.nb101 import NB101
from graf_utils.spaces.nb201 import NB201
from graf_utils.spaces.tnb101 import TNB101Macro, TNB101Micro

__all__ = [
    "DARTS",
    "NB101",
    "NB201",
    "CellSpace",
    "ConfigurationSpace",
    "FeatureSpace",
    "LenientDARTS",
    "SearchSpace",
    "TNB101Macro",
    "TNB101Micro",
    "get_space",
    "list_spaces",
]

_SPACES: dict[str, type[SearchSpace]] = {
    space.name: space for space in (DARTS, LenientDARTS, NB101, NB201, TNB101Macro, TNB101Micro)
}


_USUAL_NAMES = {
    "nb301": "darts",
    "nasbench301": "darts",
    "nasbench101": "nb101",
    "nasbench201": "nb201",
    "natsbenchtss": "nb201",
    "tnb101": "tnb101-micro",
    "transnasbench101": "tnb101-micro",
    "transnasbench101micro": "tnb101-micro",
    "transnasbench101macro": "tnb101-macro",
    **{re.sub(r"[^a-z0-9]", "", name): name for name in _SPACES},
}
"""Usual names of the benchmarks, in small letters and digits only, for a suggestion."""


def list_spaces() -> list[str]:
    """Names that `get_space` accepts."""
    return sorted(_SPACES)


def get_space(space: str | SearchSpace) -> SearchSpace:
    """Return a search space by name; a `SearchSpace` is returned as it is.

    Parameters
    ----------
    space : str or SearchSpace
        One of `list_spaces`, or an instance (a space of your own).

    Returns
    -------
    SearchSpace

    Raises
    ------
    ValueError
        The name is not known, or it is a class and not an instance.
    """
    if isinstance(space, SearchSpace):
        return space
    if isinstance(space, str) and space in _SPACES:
        return _SPACES[space]()
    raise ValueError(
        f"space={short(space)} is not a search space. It must be a SearchSpace instance or one of "
        f"{list_spaces()}.{_suggestion(space)}"
    )


def _suggestion(space: object) -> str:
    """What to write instead of something that is no space."""
    if isinstance(space, type) and issubclass(space, SearchSpace):
        return f" Write an instance, such as {space.__name__}()."
    plain = re.sub(r"[^a-z0-9]", "", str(space).lower())
    usual = _USUAL_NAMES.get(plain)
    if usual is None:
        return nearest(space, _SPACES)
    why = " (NAS-Bench-301 is a surrogate of the DARTS space)" if "301" in plain else ""
    return f" Did you mean {usual!r}?{why}"
