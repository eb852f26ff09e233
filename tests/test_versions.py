"""What an install brings: the wheel's contents, the requirements, an XGBoost that is left alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from versions import (
    EXTRAS,
    is_release,
    missed_floors,
    package_tests,
    read_floor,
    read_requirements,
)

from graf_utils import make_predictor

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
BOOSTED = ("xgb", "xgb+", "graf-xgb")


# --- requirements ---------------------------------------------------------------------------------


def test_the_package_requires_no_xgboost():
    """Either distribution would overwrite the files of the other."""
    assert not [line for line in PROJECT["dependencies"] if "xgboost" in line]


def test_every_requirement_has_a_floor():
    floors = [read_floor(line) for line in read_requirements((*EXTRAS, "torch"))]
    names = {name for name, _ in floors}
    assert len(floors) == len(names)
    assert {"numpy", "scikit-learn", "xgboost-cpu", "torch", "pytest"} <= names
    with pytest.raises(ValueError, match="'numpy' must have the form name>=version"):
        read_floor("numpy")


def test_another_version_than_the_lowest_is_told():
    assert is_release("2.1.0", "2.1")
    assert not is_release("2.10", "2.1")
    versions = {"numpy": "2.1.0", "pandas": "2.2.3"}
    assert missed_floors(versions, ["numpy>=2.1", "pandas>=2.2.2"]) == ["pandas 2.2.3, not 2.2.2"]


def test_floors_are_tested_with_the_package_and_not_the_book():
    files = package_tests(has_torch=True)
    assert "tests/test_evaluation.py" in files
    assert "tests/test_site.py" not in files
    assert set(files) - set(package_tests(has_torch=False)) >= {"tests/test_networks.py"}


@pytest.mark.parametrize("name", BOOSTED)
def test_without_xgboost_the_error_names_the_remedy(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    monkeypatch.delitem(sys.modules, "graf_utils.predictors._xgboost", raising=False)
    with pytest.raises(ModuleNotFoundError) as error:
        make_predictor(name)
    message = str(error.value)
    assert error.value.name == "xgboost"
    assert repr(name) in message
    extras = re.findall(r"graf-utils\[([\w-]+)\]", message)
    assert len(extras) == 2
    for extra in extras:
        (requirement,) = PROJECT["optional-dependencies"][extra]
        assert f"pip install {requirement.split('>=')[0]} (" in message
    make_predictor("rf")


def test_an_xgboost_that_lacks_something_says_what(monkeypatch, tmp_path):
    (tmp_path / "xgboost.py").write_text("import what_it_needs\n", encoding="utf8")
    for name in ("xgboost", "graf_utils.predictors._xgboost"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        make_predictor("xgb")


# --- an install into an environment of its own ----------------------------------------------------


def write_wheel(folder: Path, name: str, version: str, content: str = "") -> Path:
    """Make a wheel with one module and no requirements."""
    stem = name.replace("-", "_")
    module = "xgboost" if stem.startswith("xgboost") else stem.lower()
    path = folder / f"{stem}-{version}-py3-none-any.whl"
    info = f"{stem}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": content or f"FROM = {name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def run_pip(python: Path | str, *arguments: str) -> subprocess.CompletedProcess:
    """Run this environment's pip on another, without the machine's settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *arguments],
        env={**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        encoding="utf8",
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with a made-up wheel of everything that may be required, and both XGBoosts."""
    folder = tmp_path_factory.mktemp("shelf")
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in {line for group in groups for line in group}:
        if ">=" in requirement:
            name, version = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()
            write_wheel(folder, name, version)
    for name in ("xgboost", "xgboost-cpu"):
        write_wheel(folder, name, "99.0")
    return folder


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_all_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "graf_utils").rglob("*.py")}
    data = {
        f"graf_utils/_data/{path.relative_to(ROOT / 'data').as_posix()}"
        for path in (ROOT / "data").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == modules | data
    assert "graf_utils/predictors/brpnas/network.py" in names
    assert "graf_utils/_data/registry.toml" in names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("distribution", "extra"), [("xgboost", ""), ("xgboost", "[xgboost]"), ("xgboost-cpu", "")]
)
def test_an_xgboost_that_is_there_is_left_alone(wheel, shelf, tmp_path, distribution, extra):
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    theirs = write_wheel(tmp_path, distribution, "3.1.2", "FROM = 'this machine'\n")
    done = run_pip(python, "install", "--no-index", str(theirs))
    assert done.returncode == 0, done.stderr
    (module,) = (tmp_path / "venv").rglob("xgboost/__init__.py")
    before = module.stat()

    def check():
        assert module.stat().st_mtime_ns == before.st_mtime_ns
        assert module.read_text(encoding="utf8") == "FROM = 'this machine'\n"
        listed = run_pip(python, "list", "--format", "freeze").stdout.split()
        assert [line for line in listed if "xgboost" in line] == [f"{distribution}==3.1.2"]
        return listed

    install = ["install", "--no-index", "--find-links", str(shelf)]
    done = run_pip(python, *install, f"{wheel}{extra}")
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("graf") for line in check())
    done = run_pip(python, "uninstall", "--yes", "graf-utils")
    assert done.returncode == 0, done.stderr
    check()
