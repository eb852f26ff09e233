"""The repository as a newcomer finds it: notebooks, pins, sizes, citation, CI."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 20  # lines; the house rule says about 15
LARGEST_FILE = 5_000_000  # bytes
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.+]+)( ; .+)?$")


def tracked_files() -> list[Path]:
    """Files in git, or that would be added to it; all files where there is no git."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout: the list of tracked files is unknown")
    names = listing.stdout.decode().split("\0")
    return [path for path in (ROOT / name for name in names if name) if path.is_file()]


def read_pins(path: Path) -> dict[str, str]:
    """``name: version`` of each requirement; fails on anything that is not an exact pin."""
    pins = {}
    for line in path.read_text(encoding="utf8").splitlines():
        line = line.split("#", 1)[0].strip()
        if not line or line.startswith("--extra-index-url "):
            continue
        match = PIN.match(line)
        assert match, f"{path.name}: {line!r} is not an exact pin (name==version)"
        pins[match[1].lower()] = match[2]
    return pins


def code_cells(path: Path) -> list[dict]:
    book = json.loads(path.read_text(encoding="utf8"))
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
class TestNotebook:
    def test_is_stripped(self, path):
        for cell in code_cells(path):
            assert not cell["outputs"], "outputs are stored: run `make strip`"
            assert cell["execution_count"] is None, "execution counts are stored: run `make strip`"

    def test_runs_on_any_machine(self, path):
        metadata = json.loads(path.read_text(encoding="utf8"))["metadata"]
        assert metadata.get("kernelspec", {}).get("name") == "python3"
        for cell in code_cells(path):
            source = "".join(cell["source"])
            found = re.findall(r"/(?:home|root|Users|work|tmp|mnt)/\S*|[A-Z]:\\\\\S*", source)
            assert not found, f"absolute path in a cell: {found}"

    def test_has_a_parameters_cell(self, path):
        tagged = [c for c in code_cells(path) if "parameters" in c["metadata"].get("tags", [])]
        assert len(tagged) == 1, "one cell, tagged `parameters`"

    def test_cells_are_short(self, path):
        for cell in code_cells(path):
            lines = "".join(cell["source"]).splitlines()
            head = lines[0] if lines else ""
            assert len(lines) <= LONGEST_CELL, (
                f"{len(lines)} lines in the cell that begins {head!r}"
            )

    def test_shown_figures_have_caption_and_alt_text(self, path):
        for cell in code_cells(path):
            options = cell["metadata"].get("mystnb", {})
            if "figure" in options:
                assert options["figure"].get("name"), "a figure without a name cannot be quoted"
                assert options["figure"].get("caption"), "a figure without a caption"
                assert options.get("image", {}).get("alt"), "a figure without alt text"


def test_requirements_are_exact_pins():
    pins = read_pins(ROOT / "requirements.txt")
    assert pins["jupyter-book"] == "1.0.4.post1"
    assert pins["torch"] == "2.13.0"


def test_binder_has_the_same_versions():
    ours = read_pins(ROOT / "requirements.txt")
    theirs = read_pins(ROOT / ".binder" / "requirements.txt")
    assert theirs.pop("torch") == ours["torch"] + "+cpu"
    assert theirs == {name: ours[name] for name in theirs}
    assert not [name for name in theirs if "book" in name or "sphinx" in name]


UNPINNED = {"catboost": "too large for the book's environment; see requirements.txt"}
"""Requirements of an extra that requirements.txt leaves out, each with its reason."""


def test_package_floors_are_below_the_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    pins = read_pins(ROOT / "requirements.txt")
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (line for group in groups for line in group):
        name, floor = re.match(r"([A-Za-z0-9_-]+)>=([0-9.]+)", requirement).groups()
        if name in UNPINNED:
            continue
        pinned = [int(part) for part in re.findall(r"\d+", pins[name.lower()])]
        assert [int(part) for part in floor.split(".")] <= pinned, requirement


def test_ci_runs_the_commands_of_the_readme():
    run = (ROOT / ".ci" / "run").read_text(encoding="utf8")
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    for command in ("make book", "make test"):
        assert command in run
        assert command in readme


def test_import_does_not_load_torch():
    code = "import sys, graf_utils; print(sorted({'torch', 'xgboost'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8"
    )
    assert done.stdout.strip() == "[]"


def test_citation_file():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "version", "license"} <= set(citation)
    paper = citation["references"][0]
    assert paper["title"].endswith("Neural Graph Features")
    assert [author["family-names"] for author in paper["authors"]] == [
        "Kadlecová", "Lukasik", "Pilát", "Vidnerová", "Safari", "Neruda", "Hutter",
    ]  # fmt: skip


def test_no_large_files_and_no_pickles():
    for path in tracked_files():
        assert path.stat().st_size <= LARGEST_FILE, f"{path}: {path.stat().st_size} bytes"
        assert path.suffix not in {".pkl", ".pickle"}, path


def calls_without_an_encoding(source: str) -> list[str]:
    """Calls that read or write text in whatever encoding the machine prefers."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        function = ast.unparse(call.func)
        name = function.split(".")[-1]
        options = {keyword.arg for keyword in call.keywords}
        modes = [ast.unparse(argument) for argument in call.args]
        modes += [ast.unparse(k.value) for k in call.keywords if k.arg == "mode"]
        is_binary = any(re.fullmatch(r"'[rwxa+]*b[rwxa+]*'", mode) for mode in modes)
        if options & {"encoding", None} or function in {"Image.open", "os.open"}:
            continue
        if (
            (name == "read_text" and not call.args)
            or (name == "write_text" and len(call.args) < 2)
            or (name == "open" and not is_binary)
            or (name in {"run", "Popen", "check_output"} and options & {"text"})
        ):
            found.append(f"line {call.lineno}: {ast.unparse(call)[:80]}")
    return found


def test_text_is_read_and_written_with_an_encoding():
    faults = []
    for path in tracked_files():
        if path.suffix == ".py":
            sources = [path.read_text(encoding="utf8")]
        elif path.suffix == ".ipynb":
            cells = ["".join(cell["source"]) for cell in code_cells(path)]
            sources = [re.sub(r"^[%!].*", "", cell, flags=re.MULTILINE) for cell in cells]
        else:
            continue
        for source in sources:
            faults += [f"{path.name}, {fault}" for fault in calls_without_an_encoding(source)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("path.read_text()", 1),
        ("path.read_text(encoding='utf8')", 0),
        ("path.write_text('x')", 1),
        ("path.write_text('x', 'utf8')", 0),
        ("open('x')", 1),
        ("open('x', 'rb')", 0),
        ("open(file, mode='wb')", 0),
        ("path.open('w')", 1),
        ("path.open('w', encoding='utf8')", 0),
        ("subprocess.run(x, text=True)", 1),
        ("subprocess.run(x, text=True, encoding='utf8')", 0),
        ("subprocess.run(x)", 0),
        ("open(x, **options)", 0),
    ],
)
def test_an_encoding_left_out_is_seen(call, number):
    assert len(calls_without_an_encoding(call)) == number


def test_every_chapter_is_in_the_table_of_contents():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf8")
    missing = [path.stem for path in NOTEBOOKS if f"notebooks/{path.stem}" not in toc]
    assert not missing


def test_every_reference_is_complete():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf8")
    entries = re.split(r"^@", text, flags=re.MULTILINE)[1:]
    keys = [entry.split("{", 1)[1].split(",", 1)[0] for entry in entries]
    assert len(keys) == len(set(keys))
    for key, entry in zip(keys, entries, strict=True):
        for field in ("author", "title", "year"):
            assert re.search(rf"^\s*{field}\s*=", entry, re.MULTILINE), f"{key} lacks {field}"
        assert re.search(r"^\s*(url|doi)\s*=", entry, re.MULTILINE), f"{key} has no link"
