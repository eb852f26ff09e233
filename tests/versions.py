"""Run the package's tests with the lowest or the newest versions of what it requires.

``make floors`` and ``make newest`` call this with a Python and a folder for the environment::

    python3.11 tests/versions.py lowest _build/floors
    python3.13 tests/versions.py newest _build/newest

The lowest versions are those that pyproject.toml declares, exactly; what they need in turn may be
newer. PyTorch is left out, and with it the tests that import it, unless ``--torch`` is given: for
Linux the index has it with CUDA only, several GB.
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

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("xgboost-cpu", "explain", "cluster")
TOOLS = ("pytest", "hypothesis")
OF_THE_REPOSITORY = {
    "chapter",
    "execution_cache",
    "house",
    "markers",
    "repository",
    "scoreboard",
    "site",
    "takeaways",
    "versions",
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
    """Requirements of the package and of some extras, with the two tools that tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    optional = project["optional-dependencies"]
    tools = [line for line in optional["test"] if re.split("[>=]", line)[0] in TOOLS]
    return [*project["dependencies"], *tools, *(line for name in extras for line in optional[name])]


def lowest(requirement: str) -> str:
    """``numpy>=2.1`` → ``numpy==2.1``."""
    match = re.fullmatch(r"([A-Za-z0-9_-]+)>=([0-9.]+)", requirement)
    if not match:
        raise ValueError(f"{requirement!r} must have the form name>=version, to have a floor.")
    return f"{match[1]}=={match[2]}"


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


def make_environment(folder: Path, requirements: list[str]) -> Path:
    """Make a fresh environment with the package in it; return its Python."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, *requirements], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
    subprocess.run([str(python), "-m", "pip", "check"], check=True)
    return python


def main(arguments: list[str] | None = None) -> int:
    """Make the environment, run the tests; return pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=("lowest", "newest"))
    parser.add_argument("folder", type=Path, help="folder of the environment, made anew")
    parser.add_argument("--torch", action="store_true", help="with the tests that need PyTorch")
    options, rest = parser.parse_known_args(arguments)
    requirements = read_requirements((*EXTRAS, "torch") if options.torch else EXTRAS)
    if options.which == "lowest":
        requirements = [lowest(requirement) for requirement in requirements]
    print(f"Python {sys.version.split()[0]}: {', '.join(requirements)}", flush=True)
    python = make_environment(options.folder.absolute(), requirements)
    # numbers that depend on the versions are compared in the pinned environment only
    chosen = ["-m", "not pinned and not paper", "-p", "no:cacheprovider", *rest]
    command = [str(python), "-m", "pytest", *chosen, *package_tests(options.torch)]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
