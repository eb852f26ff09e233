"""What the registry has to know of an embedded file, printed by the recipe that made it."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["print_entry"]


def print_entry(path: Path, recipe: str = "") -> None:
    """Print the ``[[embedded]]`` entry of a file for ``data/registry.toml``.

    Parameters
    ----------
    path : Path
        The file as it was written.
    recipe : str, optional
        The recipe's path below ``data``, if the entry names it.
    """
    content = path.read_bytes()
    print(f'[[embedded]]\npath = "{path.name}"\nbytes = {len(content)}')
    print(f'sha256 = "{hashlib.sha256(content).hexdigest()}"')
    if recipe:
        print(f'recipe = "{recipe}"')
