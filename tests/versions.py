"""Run the package's tests with the lowest or the newest versions of what it requires.

``make floors`` and ``make newest`` call this with a Python and a folder for the environment::

    python3.11 tests/versions.py lowest _build/floors
    python3.13 tests/versions.py newest _build/newest -n 2

The package's wheel is built, installed into a fresh environment with what it requires, and tested
there; what follows the folder goes to pytest. uv chooses the versions. The lowest are, on Python
3.11, exactly those that pyproject.toml declares; on a later Python, the lowest that have a wheel
for it. What they need in turn may be newer. PyTorch is left out, and with it the tests that import
it, unless ``--torch`` is given: it is large (``install.py`` has it without CUDA, where it can).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from install import install_torch

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
EXTRAS = ("xgboost-cpu", "explain", "cluster")
TOOLS = ("pytest", "pytest-xdist", "hypothesis")
FLOORS_OF = (3, 11)
"""The Python for which all the lowest versions have wheels."""
OF_THE_REPOSITORY = {
    "adapt",
    "address",
    "any_model_chapter",
    "board_script",
    "brpnas_chapter",
    "chapter",
    "colab",
    "computed",
    "data_pages",
    "every_space",
    "execution_cache",
    "explorer",
    "flow_chapter",
    "github",
    "glossary_links",
    "guess",
    "house",
    "install",
    "interpretation_chapter",
    "local_maths",
    "markers",
    "no_holes",
    "print",
    "repository",
    "scoreboard",
    "search_chapter",
    "site",
    "table_results",
    "takeaways",
    "tasks_chapters",
    "versions",
    "zoo_chapter",
}
"""Tests of the book and of the repository, which need more than the package does."""
IMPORTS_TORCH = re.compile(
    r"^(import torch|from torch"
    r"|from graf_utils\.(networks|proxies|scoring|predictors\.brpnas)"
    r"|from graf_utils import .*(networks|proxies|scoring))",
    re.M,
)
WITH_TORCH = {"docs", "recipes", "scale_out"}
"""Tests that need PyTorch and do not import it themselves."""


def read_requirements(extras: tuple[str, ...]) -> list[str]:
    """Requirements of the package and of some extras, with the tools that tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    optional = project["optional-dependencies"]
    tools = [line for line in optional["test"] if re.split("[>=]", line)[0] in TOOLS]
    return [*project["dependencies"], *tools, *(line for name in extras for line in optional[name])]


def read_floor(requirement: str) -> tuple[str, str]:
    """``"numpy>=2.1"`` → ``("numpy", "2.1")``."""
    match = re.fullmatch(r"([A-Za-z0-9_-]+)>=([0-9.]+)", requirement)
    if not match:
        raise ValueError(f"{requirement!r} must have the form name>=version, to have a floor.")
    return match[1], match[2]


def is_release(version: str, floor: str) -> bool:
    """Whether two spellings name one release: ``2.1.0`` is ``2.1``."""
    return re.sub(r"(\.0)+$", "", version) == re.sub(r"(\.0)+$", "", floor)


def package_tests(has_torch: bool) -> list[str]:
    """Files of tests that concern the package."""
    files = []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        imports = IMPORTS_TORCH.search(path.read_text(encoding="utf8"))
        if name in OF_THE_REPOSITORY:
            continue
        if has_torch or not (imports or name in WITH_TORCH):
            files.append(str(path.relative_to(ROOT)))
        else:
            print(f"left out without PyTorch: {path.name}")
    return files


def run(*command: object, **options) -> subprocess.CompletedProcess:
    """Run a command that must succeed, away from the repository's own ``graf_utils``."""
    return subprocess.run([*map(str, command)], check=True, **options)


def make_environment(folder: Path, which: str, requirements: list[str], torch: bool) -> Path:
    """Make a fresh environment with the package's wheel in it; return its folder of programs.

    Parameters
    ----------
    folder : Path
        Where the environment will be.
    which : str
        ``"lowest"`` or ``"newest"``.
    requirements : list of str
        What is installed beside the wheel.
    torch : bool
        Whether PyTorch is installed too, see ``install.py``.
    """
    venv.create(folder, with_pip=True, clear=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "install", "uv")
    if torch and not install_torch(programs / "python", TORCH):
        run(*pip, "install", TORCH)
    resolution = {"lowest": "lowest-direct", "newest": "highest"}[which]
    uv = [programs / "uv", "pip", "install", "--quiet", "--python", programs / "python"]
    run(*uv, "--only-binary", ":all:", "--resolution", resolution, *requirements)
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder / "wheel", ROOT)
    (wheel,) = (folder / "wheel").glob("*.whl")
    run(*pip, "install", "--no-deps", wheel)
    run(*pip, "check")
    return programs


def installed(programs: Path, requirements: list[str]) -> dict[str, str]:
    """Name → version of what is required, in an environment."""
    listed = run(
        programs / "python", "-m", "pip", "list", "--format", "freeze",
        capture_output=True, text=True, encoding="utf8",
    ).stdout  # fmt: skip
    versions = dict(line.lower().split("==") for line in listed.split() if "==" in line)
    return {name: versions[name.lower()] for name, _ in map(read_floor, requirements)}


def missed_floors(versions: dict[str, str], requirements: list[str]) -> list[str]:
    """Requirements of which another version than the lowest is installed."""
    floors = dict(map(read_floor, requirements))
    return [
        f"{name} {versions[name]}, not {floor}"
        for name, floor in floors.items()
        if not is_release(versions[name], floor)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Make the environment, run the tests; return pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=("lowest", "newest"))
    parser.add_argument("folder", type=Path, help="folder of the environment, made anew")
    parser.add_argument("--torch", action="store_true", help="with the tests that need PyTorch")
    options, rest = parser.parse_known_args(arguments)
    requirements = read_requirements((*EXTRAS, "torch") if options.torch else EXTRAS)
    programs = make_environment(
        options.folder.absolute(), options.which, requirements, options.torch
    )
    versions = installed(programs, requirements)
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    print(f"Python {sys.version.split()[0]}, {options.which}: {shown}", flush=True)
    missed = missed_floors(versions, requirements) if options.which == "lowest" else []
    if missed:
        print(f"not the lowest that pyproject.toml declares: {'; '.join(missed)}", flush=True)
        if sys.version_info[:2] == FLOORS_OF:
            return 1
    # numbers that depend on the versions are compared in the pinned environment only; pytest's own
    # program, unlike `python -m pytest`, leaves the repository's graf_utils out of the path
    chosen = ["-m", "not pinned and not paper", "-p", "no:cacheprovider", *rest]
    command = [str(programs / "pytest"), *chosen, *package_tests(options.torch)]
    environment = {**os.environ, "GRAF_TESTED_WHEEL": str(options.folder.absolute())}
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
