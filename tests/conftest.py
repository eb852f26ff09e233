"""Fixtures shared by the tests, markers by fixture, and skips that count as failures."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

# seconds are measured in benchmarks/: on a busy machine an example may take any time
hypothesis.settings.register_profile("graf-book", deadline=None)
hypothesis.settings.load_profile("graf-book")

MARKERS = {
    "paper": {"paper", "paper_dir", "golden_dir"},
    "site": {"site"},
    "cluster": {"cluster"},
}
"""Marker → fixtures; a test that uses one of them, directly or through another, is marked."""

ENGINES = (
    "adapt",
    "brpnas",
    "candidates",
    "deployment",
    "explain",
    "measurements",
    "networks",
    "proxies",
    "recipes",
    "scoring_yours",
    "search",
    "versions",
    "zoo",
)
"""Test files of what is read when its chapter is; so are those whose name begins with faults."""

FIRST = ("execution_cache", "address", "adapt", "versions", "measurements", "zoo", "scale_out")
"""Test files with few tests that take long: begun first, so that no process waits for them."""

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = os.environ.get("GRAF_DATA_DIR", "")  # some tests set another one for themselves


def _shared(*parts):
    stop = pytest.fail if os.environ.get("GRAF_REQUIRE_PAPER") else pytest.skip
    if not DATA_DIR or not Path(DATA_DIR).is_dir():
        stop("GRAF_DATA_DIR is not set to a folder with the paper's tables (see README)")
    path = Path(DATA_DIR, *parts).resolve()
    if not path.exists():
        stop(f"{path} is not there; this test compares with it")
    return path


@pytest.fixture(scope="session")
def paper_dir():
    """The cache of the paper's tables."""
    return _shared()


@pytest.fixture(scope="session")
def golden_dir():
    """Outputs of the authors' feature code, beside the cache."""
    return _shared("..", "golden")


@pytest.fixture
def book_style():
    """The look of the book's figures; what was drawn is closed, and another look is undone."""
    import matplotlib.pyplot as plt

    from graf_utils import plots

    plots.theme()
    yield
    plt.close("all")
    plots.theme()


@pytest.fixture(scope="module")
def chromium():
    """A running browser; see ``tests/site_tools.py``."""
    from site_tools import CHROMIUM, browser, need

    need(Path(CHROMIUM).is_file(), f"no browser at {CHROMIUM}: install Debian's chromium")
    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The package's wheel, built as pip builds it (the build needs hatchling, from the network)."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    if "No matching distribution found for hatchling" in done.stdout + done.stderr:
        pytest.skip("pip cannot download hatchling here, which builds the wheel")
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def pytest_sessionstart():
    """With GRAF_TESTED_WHEEL (tests/versions.py), the package must be that environment's."""
    environment = os.environ.get("GRAF_TESTED_WHEEL")
    if environment:
        import graf_utils

        if Path(environment) not in Path(graf_utils.__file__).parents:
            pytest.exit(f"graf_utils is {graf_utils.__file__}, not in {environment}", returncode=3)


def _fixtures_of(item):
    """Fixtures that a test uses; an argument that `parametrize` fills in is none."""
    fixtures = set(item.fixturenames)
    for mark in item.iter_markers("parametrize"):
        arguments = mark.args[0] if mark.args else mark.kwargs["argnames"]
        if not mark.kwargs.get("indirect"):
            names = arguments.split(",") if isinstance(arguments, str) else arguments
            fixtures -= {name.strip() for name in names}
    return fixtures


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marker
def pytest_collection_modifyitems(items):
    """Mark each test by the fixtures that it uses, and let the files of `FIRST` begin."""
    for item in items:
        fixtures = _fixtures_of(item)
        for marker, names in MARKERS.items():
            if fixtures & names:
                item.add_marker(marker)
        file = item.path.stem.removeprefix("test_")
        if file in ENGINES or file.startswith("faults_"):
            item.add_marker("engine")
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in FIRST)


def _is_a_known_gap(reason):
    """Whether a test was skipped for a table of which index.csv says that it is not there."""
    table = re.search(r"the files of ([\w.-]+) are not in GRAF_DATA_DIR", reason)
    index = Path(DATA_DIR, "index.csv")
    if not table or not index.is_file():
        return False
    from graf_utils.registry import book_registry

    with index.open(encoding="utf8", newline="") as lines:
        here = {row["path"]: row["in_this_folder"] == "yes" for row in csv.DictReader(lines)}
    registry = book_registry()
    description = registry.tables.get((table[1], "paper"))
    files = registry.table_files(description) if description else []
    return any(not here.get(file, True) for file in files)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With GRAF_REQUIRE_PAPER (as in CI), a paper test that is skipped is a failure.

    Files that the folder's index.csv says it does not have are a reason to skip all the same.
    """
    report = yield
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    if os.environ.get("GRAF_REQUIRE_PAPER") and item.get_closest_marker("paper"):
        reason = str(call.excinfo.value)
        if not _is_a_known_gap(reason):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, but GRAF_REQUIRE_PAPER is set: {reason}"
    return report
