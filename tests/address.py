"""The repository's address stands in one line; everything that repeats it is rewritten from there.

The line is ``Source`` in ``[project.urls]`` of pyproject.toml. After changing it, for a fork or a
move, ``make address`` rewrites the text that repeats it: the README, pages and notebooks,
CITATION.cff, ``_config.yml`` (from which Jupyter Book makes the buttons and the canonical links of
every page), and ``SITE`` in ``graf_utils.chapter``. What the text says until then is read from
``repository-code`` in CITATION.cff. ``tests/test_address.py`` fails where a file names another.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE = "the line Source in [project.urls] of pyproject.toml"
TEXT = {".md", ".toml", ".yml", ".cff", ".py", ".ipynb", ".js", ".html"}
HIDDEN = {".github", ".binder", ".ci"}
"""Hidden folders that are the project's; the others are tools' own."""


def check_address(address: str, place: str) -> str:
    """Owner and name, ``"owner/name"``, of ``https://github.com/owner/name``."""
    match = re.fullmatch(r"https://github\.com/([A-Za-z0-9-]+/[A-Za-z0-9_.-]+?)(\.git)?/?", address)
    if not match:
        raise SystemExit(
            f"{place} says {address!r}; it must be https://github.com/OWNER/NAME, since the "
            "buttons for Binder and Colab and the address of GitHub Pages follow from these two."
        )
    return match[1]


def wanted(root: Path = ROOT) -> str:
    """``"owner/name"`` of the one line."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return check_address(project["urls"]["Source"], LINE)


def written(root: Path = ROOT) -> str:
    """``"owner/name"`` that the text says now."""
    text = (root / "CITATION.cff").read_text(encoding="utf8")
    address = re.search(r"^repository-code: \"?([^\"\n]+)", text, re.MULTILINE)
    return check_address(address[1] if address else "", "repository-code in CITATION.cff")


def site_of(repository: str) -> str:
    """Where GitHub Pages puts the site of ``"owner/name"``."""
    owner, name = repository.split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def text_files(root: Path) -> Iterator[Path]:
    """Files that may name the address: no build output, no tool's folder."""
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name for name in folders if name != "_build" and (name[0] != "." or name in HIDDEN)
        ]
        yield from (Path(folder) / name for name in sorted(names) if Path(name).suffix in TEXT)


def rewrite(text: str, old: str, new: str) -> str:
    """Put one repository in place of another, in addresses only: the name is a title, too."""
    place = re.compile(rf"(github\.com/|/gh/|/github/){re.escape(old)}(?![A-Za-z0-9_-])")
    text = place.sub(lambda match: match[1] + new, text)
    site = re.compile(rf"{re.escape(site_of(old).rstrip('/'))}(/|(?![A-Za-z0-9_.-]))")
    return site.sub(lambda match: site_of(new) if match[1] else site_of(new).rstrip("/"), text)


def main(root: Path = ROOT) -> None:
    """Rewrite every file that names the old address."""
    old, new = written(root), wanted(root)
    if old == new:
        print(f"Every file names {new} already.")
        return
    for path in text_files(root):
        text = path.read_bytes().decode("utf8")
        changed = rewrite(text, old, new)
        if changed != text:
            path.write_bytes(changed.encode("utf8"))
            print(f"rewritten: {path.relative_to(root)}")
    print(f"{old} is now {new}; the site is at {site_of(new)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
