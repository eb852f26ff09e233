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


def run_pytest(folder: Path, source: str, **variables: str) -> dict[str, str]:
    """Run pytest on some source; the outcome of each test, by its name."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "test_it.py").write_text(FIXTURES + source, encoding="utf8")
    others = {key: value for key, value in os.environ.items() if not key.startswith("GRAF_")}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    options = ["-v", "-p", "no:cacheprovider", "--color=no"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_it.py"],
        cwd=folder,
        env={**others, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        encoding="utf8",
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    lines = re.findall(r"^test_it\.py::(\w+)\S* ([A-Z]+)", done.stdout, re.MULTILINE)
    return {name: outcome.lower() for name, outcome in lines}


MARKED = """
def markers(request):
    return {mark.name for mark in request.node.iter_markers()} - {"parametrize"}

def test_direct(paper, request):
    assert markers(request) == {"paper"}

def test_through_another(through, request):
    assert markers(request) == {"paper"}

def test_golden(golden_dir, request):
    assert markers(request) == {"paper"}

def test_site(site, request):
    assert markers(request) == {"site"}

def test_two(cluster, paper_dir, request):
    assert markers(request) == {"cluster", "paper"}

@pytest.mark.parametrize("paper", [1])
def test_an_argument_of_that_name(paper, request):
    assert not markers(request)

@pytest.mark.parametrize(("x", "site"), [(1, 2)])
def test_several_arguments(x, site, request):
    assert not markers(request)

def test_neither(request):
    assert not markers(request)
"""


def test_markers_follow_the_fixtures(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "golden").mkdir()
    seen = run_pytest(tmp_path, MARKED, GRAF_DATA_DIR=str(tmp_path / "data"))
    assert len(seen) == 8
    assert set(seen.values()) == {"passed"}


TABLE = "nb101-30k"
MISSING = "tiga1231/nasbench-vis/7aec0e76fbcd/static/data/data-10k.json"
CASES = f"""
def test_needs_a_table(paper):
    pytest.skip("paper data: the files of {TABLE} are not in GRAF_DATA_DIR")

def test_needs_an_unknown_table(paper):
    pytest.skip("paper data: the files of nothing are not in GRAF_DATA_DIR")

def test_no_golden_folder(golden_dir):
    pass

def test_data_is_there(paper_dir):
    pass

def test_skips_itself(through):
    pytest.skip("no index.csv")

@pytest.mark.skip(reason="later")
def test_is_put_off(paper):
    pass

@pytest.mark.xfail(reason="missed")
def test_is_missed(paper):
    assert 0

def test_no_site(site):
    pytest.skip("no site")

def test_not_of_the_paper():
    pytest.skip("another reason")
"""


def folder_with_index(tmp_path: Path, told: str) -> str:
    """A folder of data whose index tells whether one file is there."""
    (tmp_path / "data").mkdir()
    text = f"path,in_this_folder\n{MISSING},{told}\n"
    (tmp_path / "data" / "index.csv").write_text(text, encoding="utf8")
    return str(tmp_path / "data")


EXPECTED = {
    "test_needs_a_table": "failed",
    "test_needs_an_unknown_table": "failed",
    "test_no_golden_folder": "error",
    "test_data_is_there": "passed",
    "test_skips_itself": "failed",
    "test_is_put_off": "error",
    "test_is_missed": "xfail",
    "test_no_site": "skipped",
    "test_not_of_the_paper": "skipped",
}


def test_a_skipped_paper_test_fails_where_the_data_is_required(tmp_path):
    data = folder_with_index(tmp_path, told="yes")
    assert run_pytest(tmp_path, CASES, GRAF_REQUIRE_PAPER="1", GRAF_DATA_DIR=data) == EXPECTED


def test_a_gap_that_the_index_tells_of_is_a_reason_to_skip(tmp_path):
    data = folder_with_index(tmp_path, told="no")
    seen = run_pytest(tmp_path, CASES, GRAF_REQUIRE_PAPER="1", GRAF_DATA_DIR=data)
    assert seen == {**EXPECTED, "test_needs_a_table": "skipped"}


def test_a_paper_test_may_be_skipped_where_nothing_is_required(tmp_path):
    data = folder_with_index(tmp_path, told="yes")
    skipped = dict.fromkeys(EXPECTED, "skipped")
    expected = {**skipped, "test_data_is_there": "passed", "test_is_missed": "xfail"}
    assert run_pytest(tmp_path, CASES, GRAF_DATA_DIR=data) == expected


ASKING = """
def test_by_argument(paper_dir):
    pass

def test_by_name(request):
    request.getfixturevalue("paper_dir")
"""


@pytest.mark.parametrize("folder", ["gone", None])
def test_without_the_folder_required_data_is_a_failure(tmp_path, folder):
    data = {"GRAF_DATA_DIR": str(tmp_path / folder)} if folder else {}
    expected = {"test_by_argument": "error", "test_by_name": "failed"}
    assert run_pytest(tmp_path, ASKING, **data, GRAF_REQUIRE_PAPER="1") == expected
