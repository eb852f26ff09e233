"""Search spaces: how an architecture is written, checked and turned into a graph."""

from __future__ import annotations

from graf_utils._checks import nearest
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.cell import CellSpace
from graf_utils.spaces.darts import DARTS
from graf_utils.spaces.nb101 import NB101
from graf_utils.spaces.nb201 import NB201
from graf_utils.spaces.tnb101 import TNB101Macro, TNB101Micro

__all__ = [
    "DARTS",
    "NB101",
    "NB201",
    "CellSpace",
    "SearchSpace",
    "TNB101Macro",
    "TNB101Micro",
    "get_space",
    "list_spaces",
]

_SPACES: dict[str, type[SearchSpace]] = {
    space.name: space for space in (DARTS, NB101, NB201, TNB101Macro, TNB101Micro)
}


def list_spaces() -> list[str]:
    """Names that `get_space` accepts."""
    return sorted(_SPACES)


def get_space(space: str | SearchSpace) -> SearchSpace:
    """Return a search space by name; a `SearchSpace` is returned as it is.

    Parameters
    ----------
    space : str or SearchSpace
        One of `list_spaces`, or an instance (a space of your own).

    Raises
    ------
    ValueError
        The name is not known.
    """
    if isinstance(space, SearchSpace):
        return space
    if isinstance(space, str) and space in _SPACES:
        return _SPACES[space]()
    raise ValueError(
        f"space={space!r} is not a search space. It must be a SearchSpace instance or one of "
        f"{list_spaces()}.{nearest(space, _SPACES)}"
    )
