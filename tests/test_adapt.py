"""What people with a problem of their own write, run from the installed wheel alone.

Each script of ``tests/adapt`` is one task, as a reader of the pages would write it. They run in an
empty folder, in an environment that has the wheel and not the repository.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "tests" / "adapt"
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
        env=kept | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of(script):
    """Lines of a script that say something, without its docstring."""
    lines = script.read_text(encoding="utf8").split('"""', 2)[2].splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def protocol(text):
    """Three folds, each with its own metric; every network is predicted once."""
    rows = re.findall(r"^[012] +([012]) +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.M)
    assert [fold for fold, *_ in rows] == ["0", "1", "2"]
    assert all(0.2 < float(tau) < 0.8 and 0 < float(near) < 0.5 for _, tau, _, near in rows)
    sizes = [int(size) for size in re.findall(r"^[012] +(\d+)$", text, re.M)]
    assert len(sizes) == 3
    assert sum(sizes) == 1_000


def traced(text):
    """How far numbers spread at the start is predicted from the graphs of 40 networks."""
    means = [float(tau) for tau in re.findall(r" 40 +(0\.\d+) +0\.\d+ +3 ", text)]
    assert len(means) == 2
    assert np.min(means) > 0.2


def nested(text):
    """How far numbers spread at the start is predicted from the graphs of 64 expressions."""
    assert text.startswith("(200, ")
    means = [float(tau) for tau in re.findall(r" 64 +(0\.\d+) +0\.\d+ +3 ", text)]
    assert len(means) == 2
    assert np.min(means) > 0.5


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


def own_cell(text):
    """Columns as announced, and the convolutions of a cell as its tuple says."""
    rows, columns, announced = map(int, re.search(r"\((\d+), (\d+)\) of (\d+)", text).groups())
    assert (rows, columns) == (1_000, announced)
    small, large = map(int, re.search(r"5 nodes: \[(\d+), (\d+)\]", text).groups())
    assert small + large == 1_000
    assert small > 0
    count, cell = re.search(r"cell 0: ([\d.]+) \(([\d, ]+)\)", text).groups()
    assert float(count) == sum(int(op) < 2 for op in cell.split(","))
    assert "min_path_len.1[conv]" in text


def deployed(text):
    """The loaded predictor gives a number inside its interval."""
    predicted, low, high = map(float, re.search(r"0 +([\d.]+) +([\d.]+) +([\d.]+)", text).groups())
    assert 10 <= low < predicted < high <= 100


def own_network(text):
    """Four layers of 20 x 20 weights and biases, and no score that is missing without a word."""
    rows = [line for line in text.splitlines() if re.match(r"\d +\(", line)]
    assert len(rows) == 6
    weights = (3 * (20 * 20 + 20) + 20 + 1) / 1e6
    for row in rows:
        assert float(row.split(")")[1].split()[0]) == weights
        assert ("NaN" in row) == ("nwot: ValueError" in row)


def journal(text):
    """A LaTeX table with four rows (the test of `plots.theme` measures the figure)."""
    assert text.count(r"\\") >= 5
    assert r"\begin{tabular}" in text


def end_to_end(text):
    """Each step of the page printed its result."""
    assert len(re.findall(r"(one-hot|graf|graf\+flow) +(rf|blend) +-?\d\.\d+", text)) == 6
    assert "[expansion]" in text
    gains = [float(gain) for gain in re.findall(r"^\d+ +\d-\d.* (-?\d\.\d+)$", text, re.M)]
    assert gains == sorted(gains, reverse=True)
    best = [float(value) for value in re.findall(r"^\d+ +(?:20|40|60) +([\d.]+)$", text, re.M)]
    assert best == sorted(best)
    assert len(best) == 3


def huge_space(text):
    """Killed three times, and the rows are those of a run that was not."""
    assert text.count("killed: True") == 3
    assert "same rows: True" in text


TASKS = {
    "any_model.py": traced,
    "deploy.py": deployed,
    "end_to_end.py": end_to_end,
    "interval.py": interval,
    "journal.py": journal,
    "nested_grammar.py": nested,
    "own_cell.py": own_cell,
    "own_features.py": features,
    "own_network.py": own_network,
    "own_protocol.py": protocol,
    "search_huge_space.py": huge_space,
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


def test_the_page_is_the_script():
    """Cell by cell; where the script prints, the page shows."""
    page = json.loads((ROOT / "notebooks" / "14_your_own_space.ipynb").read_text(encoding="utf8"))
    cells = [
        "".join(cell["source"])
        for cell in page["cells"]
        if "end-to-end" in cell["metadata"].get("tags", [])
    ]
    printed = [
        re.sub(r"^print\((.*)\)$", r"\1", line) for line in lines_of(SCRIPTS / "end_to_end.py")
    ]
    assert [line for cell in cells for line in cell.splitlines() if line.strip()] == printed
