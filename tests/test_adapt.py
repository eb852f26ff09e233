"""What people with a problem of their own write, run from the installed wheel alone.

Each script of ``tests/adapt`` is one task, as a reader of the pages would write it. They run in an
empty folder, in an environment that has the wheel and not the repository.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent / "adapt"
LONGEST = 40
"""Lines that a task may take, without those that are empty or comments."""


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of an environment with the wheel, and what the wheel needs from this one."""
    folder = tmp_path_factory.mktemp("adapter") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    needs = sysconfig.get_paths()["purelib"]
    (site / "what_the_wheel_needs.pth").write_text(needs + "\n", encoding="utf8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return python


def run(python, folder, *arguments):
    """Run Python in a folder, without what the tests' own environment says."""
    hidden = ("PYTHONPATH", "GRAF_DATA_DIR", "GRAF_SOURCE")
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=folder,
        env=kept | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of(script):
    """Lines of a script that say something."""
    lines = script.read_text(encoding="utf8").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def protocol(text):
    """Three folds, each with its own metric; every network is predicted once."""
    rows = re.findall(r"^[012] +([012]) +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.M)
    assert [fold for fold, *_ in rows] == ["0", "1", "2"]
    assert all(0.2 < float(tau) < 0.8 and 0 < float(near) < 0.5 for _, tau, _, near in rows)
    sizes = [int(size) for size in re.findall(r"^[012] +(\d+)$", text, re.M)]
    assert len(sizes) == 3
    assert sum(sizes) == 1_000


def interval(text):
    """The interval holds the prediction, and about eight targets of ten."""
    middle, low, high = map(float, re.search(r"predicted (.*) %, .* (.*) to (.*) %", text).groups())
    assert 10 <= low < middle < high <= 100
    assert abs(float(re.search(r"coverage ([\d.]+)", text).group(1)) - 0.8) < 0.1


def features(text):
    """A target that two of the columns decide is predicted from 64 networks."""
    means = [float(tau) for tau in re.findall(r" (0\.\d+) +0\.\d+ +3 ", text)]
    assert len(means) == 2
    assert np.min(means) > 0.85


def huge(text):
    """Killed three times, the search ends with the rows that it would have had."""
    assert text.count("killed: True") == 3
    assert "same rows: True" in text
    cells, failed = map(int, re.search(r"(\d+) cells, (\d+) failed", text).groups())
    assert cells == 200
    assert 0 < failed < 100
    assert float(re.search(r"at most (\d+) MB", text)[1]) < 600


TASKS = {
    "own_protocol.py": protocol,
    "interval.py": interval,
    "own_features.py": features,
    "search_huge_space.py": huge,
}


def test_every_script_is_a_task():
    assert set(TASKS) == {script.name for script in SCRIPTS.glob("*.py")}


@pytest.mark.slow
def test_the_package_is_that_of_the_wheel(python, tmp_path):
    where = Path(
        run(python, tmp_path, "-c", "import graf_utils; print(graf_utils.__file__)").strip()
    )
    assert python.parent.parent in where.parents


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_task_takes_few_lines_and_its_result_is_right(python, tmp_path, name):
    assert len(lines_of(SCRIPTS / name)) <= LONGEST
    TASKS[name](run(python, tmp_path, SCRIPTS / name))
