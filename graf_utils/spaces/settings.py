"""Settings of a `ConfigurationSpace`: checked when a space is made, and read in a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graf_utils._checks import nearest, short

__all__ = ["check_keys", "checked_choices", "checked_depths", "listing", "position_of"]


def checked_choices(what: str, given: Any) -> dict[str, tuple[Any, ...]]:
    """Read settings with their choices.

    Parameters
    ----------
    what : str
        Name of the argument, for the message.
    given : mapping of str to sequence

    Returns
    -------
    dict of str to tuple

    Raises
    ------
    ValueError
        It is no mapping, or a setting has no choices, or one twice.
    """
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{what}={short(given)} must map the name of a setting to its choices, such as "
            "{'heads': (2, 4)}."
        )
    checked = {}
    for key, choices in given.items():
        is_list = isinstance(choices, Iterable) and not isinstance(choices, str)
        listed = tuple(choices) if is_list else ()
        if not listed or any(listed.count(choice) > 1 for choice in listed):
            raise ValueError(
                f"{what}[{key!r}]={short(choices)} must list at least one choice, and each once."
            )
        checked[str(key)] = listed
    return checked


def checked_depths(given: Any, with_layers: bool) -> tuple[int, ...]:
    """Read the numbers of layers that a network may have.

    Parameters
    ----------
    given : sequence of int
    with_layers : bool
        Whether layers have settings.

    Returns
    -------
    tuple of int
        In rising order; ``(0,)`` without layers.

    Raises
    ------
    ValueError
        They are there without layers, or missing, or no whole numbers from 1.
    """
    listed = list(given) if isinstance(given, Iterable) else [None]
    if not with_layers and not listed:
        return (0,)
    whole = all(isinstance(depth, int) and not isinstance(depth, bool) for depth in listed)
    if not with_layers or not listed or not whole or min(listed) < 1:
        raise ValueError(
            f"depths={short(given)} must list the numbers of layers, whole numbers from 1, if and "
            "only if layers have settings."
        )
    return tuple(sorted(set(listed)))


def check_keys(what: str, mapping: Mapping[str, Any], keys: list[str]) -> None:
    """Check that a configuration, or a layer, has exactly its settings.

    Parameters
    ----------
    what : str
        What it is, for the message.
    mapping : mapping
    keys : list of str

    Raises
    ------
    ValueError
        A setting is missing, or there is another one.
    """
    missing = [key for key in keys if key not in mapping]
    unknown = [key for key in mapping if key not in keys]
    if missing or unknown:
        hint = nearest(str(unknown[0]), keys) if unknown else ""
        raise ValueError(
            f"{what} lacks {missing} and has {unknown} too many; its settings are {keys}.{hint}"
        )


def position_of(what: str, choices: Sequence[Any], choice: Any) -> int:
    """Return where a choice stands among those of a setting; True is not 1 here.

    Parameters
    ----------
    what : str
        Name of the setting, for the message.
    choices : sequence
    choice : object

    Returns
    -------
    int

    Raises
    ------
    ValueError
        It is none of them.
    """
    for position, candidate in enumerate(choices):
        if candidate == choice and isinstance(candidate, bool) == isinstance(choice, bool):
            return position
    raise ValueError(
        f"{what} is {short(choice)}; it must be one of {listing(choices)}."
        f"{nearest(str(choice), [str(c) for c in choices])}"
    )


def listing(choices: Sequence[Any]) -> str:
    """Write choices for a message, the first dozen.

    Parameters
    ----------
    choices : sequence

    Returns
    -------
    str
    """
    text = ", ".join(map(repr, choices[:12]))
    return f"[{text}, …]" if len(choices) > 12 else f"[{text}]"
