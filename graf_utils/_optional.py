"""Libraries that not everybody needs: imported when they are, or the error says how to get them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["import_optional"]


def import_optional(module: str, what: str, extra: str) -> ModuleType:
    """Import a library of an extra.

    Parameters
    ----------
    module : str
        Its name, which is also that of its distribution.
    what : str
        What needs it, for the message.
    extra : str
        The extra of this package that brings it.

    Returns
    -------
    module

    Raises
    ------
    ModuleNotFoundError
        It is not installed, or something that it needs is not; the message says which.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # it is there, and something that it needs is not
            raise
        raise ModuleNotFoundError(
            f"{what} needs {module}, which is not installed. Write: pip install {module}, or "
            f"install the extra graf-utils[{extra}]; the page 'What to install' of the book has "
            "all of them.",
            name=module,
        ) from error
