"""Markers by fixture, and GRAF_REQUIRE_PAPER: pytest runs made-up tests under our conftest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FIXTURES = """
import pytest

@pytest.fixture
def paper():
    pass

@pytest.fixture
def site():
    pass

@pytest.fixture
def cluster():
    pass

@pytest.fixture
def through(paper):
    pass
"""


def run_pytest(folder: Path, source: str, *options: str, **variables: str) -> dict[str, int]:
    """Run pytest on some source; how many tests had which outcome."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "test_it.py").write_text(FIXTURES + source, encoding="utf8")
    others = {key: value for key, value in os.environ.items() if not key.startswith("GRAF_")}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_it.py"],
        cwd=folder,
        env={**others, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        encoding="utf8",
        timeout=120,
    )
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last)}


USERS = """
def test_direct(paper):
    pass

def test_through_another(through):
    pass

def test_golden(golden_dir):
    pass

def test_site(site):
    pass

def test_cluster(cluster):
    pass

@pytest.mark.parametrize("paper", [1])
def test_an_argument_of_that_name(paper):
    pass

def test_neither():
    pass
"""


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("paper", 3),
        ("site", 1),
        ("cluster", 1),
        ("not paper and not site and not cluster", 2),
    ],
)
def test_markers_follow_the_fixtures(tmp_path, expression, number):
    (tmp_path / "data").mkdir()
    (tmp_path / "golden").mkdir()
    seen = run_pytest(tmp_path, USERS, "-m", expression, GRAF_DATA_DIR=str(tmp_path / "data"))
    assert seen["passed"] == number
    assert seen["deselected"] == 7 - number


TABLE = "nb101-30k"
MISSING = "tiga1231/nasbench-vis/7aec0e76fbcd/static/data/data-10k.json"
SKIPPED = f"""
def test_needs_a_table(paper):
    pytest.skip("paper data: the files of {TABLE} are not in GRAF_DATA_DIR")
"""


def folder_with_index(tmp_path: Path, told: str) -> str:
    (tmp_path / "data").mkdir()
    text = f"path,in_this_folder\n{MISSING},{told}\n"
    (tmp_path / "data" / "index.csv").write_text(text, encoding="utf8")
    return str(tmp_path / "data")


def test_a_paper_test_may_be_skipped_where_nothing_is_required(tmp_path):
    assert run_pytest(tmp_path, SKIPPED) == {"skipped": 1}


def test_a_skipped_paper_test_fails_where_the_data_is_required(tmp_path):
    data = folder_with_index(tmp_path, told="yes")
    seen = run_pytest(tmp_path, SKIPPED, GRAF_REQUIRE_PAPER="1", GRAF_DATA_DIR=data)
    assert seen == {"failed": 1}


def test_a_gap_that_the_index_tells_of_is_a_reason_to_skip(tmp_path):
    data = folder_with_index(tmp_path, told="no")
    seen = run_pytest(tmp_path, SKIPPED, GRAF_REQUIRE_PAPER="1", GRAF_DATA_DIR=data)
    assert seen == {"skipped": 1}


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("def test(golden_dir):\n    pass", "error"),  # no folder beside the cache
        ("def test(paper_dir):\n    pass", "passed"),
        ("def test(through):\n    pytest.skip('no index.csv')", "failed"),
        ("@pytest.mark.skip(reason='later')\ndef test(paper):\n    pass", "error"),
        ("@pytest.mark.xfail(reason='missed')\ndef test(paper):\n    assert 0", "xfailed"),
        ("def test(site):\n    pytest.skip('no site')", "skipped"),
        ("def test():\n    pytest.skip('not of the paper')", "skipped"),
    ],
)
def test_what_counts_as_a_skipped_paper_test(tmp_path, source, outcome):
    data = folder_with_index(tmp_path, told="yes")
    seen = run_pytest(tmp_path, source, GRAF_REQUIRE_PAPER="1", GRAF_DATA_DIR=data)
    assert seen == {outcome: 1}


@pytest.mark.parametrize("folder", ["gone", None])
@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("def test(paper_dir):\n    pass", "error"),
        ("def test(request):\n    request.getfixturevalue('paper_dir')", "failed"),
    ],
)
def test_without_the_folder_required_data_is_a_failure(tmp_path, source, outcome, folder):
    data = {"GRAF_DATA_DIR": str(tmp_path / folder)} if folder else {}
    assert run_pytest(tmp_path, source, **data) == {"skipped": 1}
    assert run_pytest(tmp_path, source, **data, GRAF_REQUIRE_PAPER="1") == {outcome: 1}
