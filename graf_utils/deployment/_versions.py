"""Versions of what decides the numbers, and what to say when they are others."""

from __future__ import annotations

import platform
import sys
from typing import Any

import numpy as np

_PACKAGES = {"sklearn": "scikit-learn"}  # modules that come in a package of another name


def versions_of(model: Any) -> dict[str, str]:
    """Versions of Python and of the packages that a fitted model is made of."""
    tops = {"graf_utils", "numpy", "scipy", "sklearn"}
    waiting, seen = [model], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, np.ndarray):
            continue
        seen.add(id(item))
        tops |= {kind.__module__.split(".")[0] for kind in type(item).__mro__}
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
        else:
            waiting += getattr(item, "__dict__", {}).values()
    tops -= sys.stdlib_module_names
    found = {_PACKAGES.get(top, top): _version_of(_PACKAGES.get(top, top)) for top in sorted(tops)}
    packages = {package: version for package, version in found.items() if version is not None}
    return {"python": platform.python_version()} | packages


def _version_of(package: str) -> str | None:
    """Version of a package that is imported; None if it is not, or has none."""
    modules = {package: module for module, package in _PACKAGES.items()}
    version = getattr(sys.modules.get(modules.get(package, package)), "__version__", None)
    return version if isinstance(version, str) else None


def _major(version: str) -> list[str]:
    """The part of a version that promises the same behaviour: ``1`` of 1.9.1, ``0.5`` of 0.5.11."""
    parts = version.split(".")
    return parts[:2] if parts[0] == "0" else parts[:1]


def check_majors(name: str, versions: dict[str, str]) -> None:
    """Raise ValueError if a package has another major version here."""
    for package, saved in versions.items():
        here = _version_of(package)
        if here is not None and _major(here) != _major(saved):
            raise ValueError(
                f"{name} was saved with {package} {saved}, and here is {here}, whose numbers may "
                f"be others. Install {package} {saved}; or fit again with what is here, "
                "load_predictor(path, retrain=True), judge it anew, and save it."
            )


def other_numbers(name: str, apart: float, saved: dict[str, str], here: dict[str, str]) -> str:
    """What to say and to do when a refit gives other numbers."""
    changed = [
        f"{package} {version} (here {here.get(package, 'none')})"
        for package, version in saved.items()
        if here.get(package) != version
    ]
    why = f"It was saved with {', '.join(changed)}." if changed else "The versions are the same."
    return (
        f"{name}: fitted again, the predictor says other numbers than when it was saved, by "
        f"{apart:.2g} standard deviations of the target. {why} Install those versions; or accept "
        "what it says here, load_predictor(path, retrain=True), judge it anew, and save it."
    )
