"""Let the package be imported on a borrowed machine that lacks what only downloads need.

Import this before `graf_utils`. Where pooch, requests or tqdm is not installed, a module of that
name takes its place in this process: it hashes files and names the folder of caches, as pooch
does, and shows no progress. Nothing can be downloaded: tables must lie in ``GRAF_DATA_DIR``.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["STAND_INS", "prepare", "stand_in"]


def file_hash(path: str) -> str:
    """SHA-256 of a file, as ``pooch.file_hash``."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def os_cache(name: str) -> Path:
    """Folder of caches, as ``pooch.os_cache`` names it on Linux."""
    return Path.home() / ".cache" / name


class Silent(contextlib.AbstractContextManager):
    """A progress bar that shows nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None: ...

    def __exit__(self, *error: Any) -> None: ...

    def update(self, n: int = 1) -> None:
        """Take note of nothing."""


class exceptions:
    """Errors of ``requests`` that are caught by name."""

    RequestException = ConnectionError = Timeout = type("RequestException", (OSError,), {})


STAND_INS: dict[str, dict[str, Any]] = {
    "pooch": {"file_hash": file_hash, "os_cache": os_cache},
    "requests": {"exceptions": exceptions},
    "tqdm": {"tqdm": Silent},
}


def stand_in(name: str) -> None:
    """Put the stand-in of a module in its place if there is no such module.

    Parameters
    ----------
    name : str
        One of `STAND_INS`.
    """
    if name in sys.modules or find_spec(name) is not None:
        return
    module = ModuleType(name)
    vars(module).update(STAND_INS[name])
    sys.modules[name] = module


def prepare() -> None:
    """Put all stand-ins in place that are needed."""
    for name in STAND_INS:
        stand_in(name)


prepare()
