"""A changed module or table must change the page: the stock cache would keep the old number."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat as nbf
import pytest

EXTENSIONS = Path(__file__).resolve().parent.parent / "book" / "_ext"

CONF = """
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_nb"] + {ours!r}
root_doc = "intro"
exclude_patterns = ["_build", "data", "graf_utils"]
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
"""

CHAPTER = """
import os
from pathlib import Path
from myst_nb import glue
from graf_utils import VALUE
table = float((Path.cwd().parent / "data" / "table.txt").read_text())
glue("sum", VALUE + table, display=False)
runs = Path.cwd().parent / "runs.txt"
runs.write_text((runs.read_text() if runs.exists() else "") + "x")
if "GRAF_LEDGER_DIR" in os.environ and VALUE < 5:
    (Path(os.environ["GRAF_LEDGER_DIR"]) / "02_chapter.json").write_text(f"[{VALUE + table}]")
"""

SCOREBOARD = """
import os
from pathlib import Path
for path in sorted(Path(os.environ.get("GRAF_LEDGER_DIR", ".")).glob("*.json")):
    print("ledger", path.read_text())
"""


def write_notebook(path: Path, cells: list, **metadata) -> None:
    book = nbf.v4.new_notebook(cells=cells)
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, **metadata}
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"
    path.parent.mkdir(exist_ok=True)
    nbf.write(book, path)


def write_chapter(root: Path, prose: str = "") -> None:
    text = nbf.v4.new_markdown_cell(f"# Chapter\n\nThe sum is {{glue:text}}`sum:.2f`. {prose}")
    write_notebook(root / "notebooks" / "02_chapter.ipynb", [text, nbf.v4.new_code_cell(CHAPTER)])


class Book:
    """A book of three pages in a temporary folder."""

    def __init__(self, root: Path, extensions: list[str]):
        self.root = root
        (root / "conf.py").write_text(
            CONF.format(ext=str(EXTENSIONS), ours=extensions), encoding="utf-8"
        )
        (root / "requirements.txt").write_text("", encoding="utf-8")
        (root / "intro.md").write_text(
            "# Intro\n\nPasted: {glue:text}`notebooks/02_chapter.ipynb::sum:.1f`.\n\n"
            "```{toctree}\nnotebooks/02_chapter\nnotebooks/99_scoreboard\n```\n",
            encoding="utf8",
        )
        self.write("graf_utils/__init__.py", "VALUE = 1.25\n")
        self.write("data/table.txt", "10")
        write_chapter(root)
        write_notebook(
            root / "notebooks" / "99_scoreboard.ipynb",
            [nbf.v4.new_markdown_cell("# Scoreboard"), nbf.v4.new_code_cell(SCOREBOARD)],
            mystnb={"execution_mode": "force"},
        )

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def build(self, **variables: str) -> None:
        known = {key: value for key, value in os.environ.items() if not key.startswith("GRAF_")}
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
        done = subprocess.run(
            [*command, "-b", "html", "-d", "_build/.doctrees", ".", "_build/html"],
            cwd=self.root,
            env={
                **known,
                "PYTHONPATH": str(self.root),
                "PYTHONDONTWRITEBYTECODE": "1",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=180,
            encoding="utf8",
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def page(self, name: str) -> str:
        text = (self.root / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")
        return re.sub(r"<[^>]+>", "", text)

    @property
    def runs(self) -> int:
        return len((self.root / "runs.txt").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_changes_reach_every_page(tmp_path):
    book = Book(tmp_path, ["fresh"])
    book.build()
    assert "The sum is 11.25." in book.page("notebooks/02_chapter")
    assert "Pasted: 11.2." in book.page("intro")
    assert "ledger [11.25]" in book.page("notebooks/99_scoreboard")
    assert book.runs == 1

    book.build()
    assert book.runs == 1, "nothing changed, yet the chapter ran again"

    book.write("graf_utils/__init__.py", "raise RuntimeError('broken module')\n")
    with pytest.raises(AssertionError, match="broken module"):
        book.build()

    book.write("graf_utils/__init__.py", "VALUE = 2.75\n")
    book.build()
    assert book.runs == 2
    assert "The sum is 12.75." in book.page("notebooks/02_chapter")
    assert "Pasted: 12.8." in book.page("intro")
    assert "ledger [12.75]" in book.page("notebooks/99_scoreboard")

    book.write("data/table.txt", "20")
    book.build()
    assert book.runs == 3
    assert "The sum is 22.75." in book.page("notebooks/02_chapter")
    assert "Pasted: 22.8." in book.page("intro")
    assert "ledger [22.75]" in book.page("notebooks/99_scoreboard")


@pytest.mark.slow
def test_claims_are_there_or_computed_again(tmp_path):
    """A file of the ledger that was lost or damaged, a chapter that is no more."""
    book = Book(tmp_path, ["fresh"])
    book.build()
    file = tmp_path / "_build" / "claims" / "02_chapter.json"
    for number, damage in enumerate((file.unlink, lambda: file.write_bytes(b"[11.2")), start=2):
        damage()
        book.build()
        assert book.runs == number
        assert file.read_text(encoding="utf-8") == "[11.25]"
        assert "ledger [11.25]" in book.page("notebooks/99_scoreboard")

    runs = book.runs
    file.with_name("01_removed.json").write_text("[99]", encoding="utf-8")
    write_chapter(tmp_path, prose="Read again.")
    book.build()
    assert book.runs == runs
    assert not file.with_name("01_removed.json").exists()
    assert "99" not in book.page("notebooks/99_scoreboard").split("ledger")[-1]

    book.write("graf_utils/__init__.py", "VALUE = 7.0\n")  # now the chapter checks no claim
    book.build()
    assert not file.exists()
    assert "ledger [" not in book.page("notebooks/99_scoreboard")


DRAWING = """
import os
import matplotlib.pyplot as plt
from myst_nb import glue
from matplotlib_inline.backend_inline import set_matplotlib_formats
set_matplotlib_formats("svg")
plt.rcParams["svg.hashsalt"] = "book"
figure, ax = plt.subplots()
ax.plot([1, 2])
glue("drawing", figure, display=False)
glue("script", "<script>alert(1)</script>", display=False)
print("in the book:", os.environ["GRAF_BOOK"])
"""


@pytest.mark.slow
def test_two_builds_are_equal_and_nothing_escapes(tmp_path):
    """Pictures carry no date; glued text is text; a figure comes from a page of the book only."""
    book = Book(tmp_path, ["fresh", "glued_figure"])
    draws = nbf.v4.new_code_cell(DRAWING)
    says = nbf.v4.new_markdown_cell("# Drawing\n\nGlued: {glue:text}`script:s`.")
    write_notebook(tmp_path / "notebooks" / "02_chapter.ipynb", [says, draws])
    pasted = (
        "# Intro\n\n```{toctree}\nnotebooks/02_chapter\nnotebooks/99_scoreboard\n```\n\n"
        "```{glued-figure} drawing\n:doc: PAGE\n:alt: A line.\nCaption.\n```\n"
    )
    intro = tmp_path / "intro.md"
    intro.write_text(pasted.replace("PAGE", "notebooks/02_chapter.ipynb"), encoding="utf-8")
    builds = []
    for _ in range(2):
        book.build()
        html = tmp_path / "_build" / "html"
        builds.append({p.relative_to(html): p.read_bytes() for p in html.rglob("*") if p.is_file()})
        shutil.rmtree(tmp_path / "_build")
    assert builds[0] == builds[1]
    assert [path for path in builds[0] if path.suffix == ".svg" and "_images" in path.parts]
    page = builds[0][Path("notebooks/02_chapter.html")].decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "in the book: 1" in page

    intro.write_text(pasted.replace("PAGE", "../../outside.ipynb"), encoding="utf-8")
    with pytest.raises(AssertionError, match="is no page of the book"):
        book.build()


@pytest.mark.slow
def test_without_the_extension_the_old_number_stays(tmp_path):
    book = Book(tmp_path, [])
    book.build()
    assert "The sum is 11.25." in book.page("notebooks/02_chapter")
    book.write("graf_utils/__init__.py", "VALUE = 2.75\n")
    write_chapter(tmp_path, prose="The page is read again.")
    book.build()
    assert "The page is read again." in book.page("notebooks/02_chapter")
    assert "The sum is 11.25." in book.page("notebooks/02_chapter")
    assert book.runs == 1


def load_fresh():
    spec = importlib.util.spec_from_file_location("fresh", EXTENSIONS / "fresh.py")
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    return fresh


def test_a_ledger_that_lost_something_is_not_whole(tmp_path):
    fresh = load_fresh()
    assert fresh.is_whole(tmp_path)  # nothing was built yet
    (tmp_path / ".chapters").write_text("01_a.json\n02_b.json", encoding="utf-8")
    for content in (None, b"", b"[1", b"7", b'{"a": 1}', b"\xff", b"[" * 100_000):
        (tmp_path / "01_a.json").write_text("[]", encoding="utf-8")
        (tmp_path / "02_b.json").write_text("[1]", encoding="utf-8")
        assert fresh.is_whole(tmp_path)
        if content is None:
            (tmp_path / "02_b.json").unlink()
        else:
            (tmp_path / "02_b.json").write_bytes(content)
        assert not fresh.is_whole(tmp_path), content
    (tmp_path / ".chapters").write_bytes(b"\xff")
    assert fresh.read_stamp(tmp_path / ".chapters") == ""


def test_digest_sees_what_a_number_depends_on(tmp_path, monkeypatch):
    fresh = load_fresh()
    for name in fresh.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("graf_utils/a.py", "graf_utils/spaces/b.py", "data/t.parquet", "requirements.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one", encoding="utf-8")
    seen = {fresh.compute_digest(tmp_path)}
    for name in ("graf_utils/spaces/b.py", "data/t.parquet", "requirements.txt"):
        (tmp_path / name).write_text("two", encoding="utf-8")
        seen.add(fresh.compute_digest(tmp_path))
    (tmp_path / "graf_utils" / "a.py").rename(tmp_path / "graf_utils" / "c.py")
    seen.add(fresh.compute_digest(tmp_path))
    monkeypatch.setenv("GRAF_SOURCE", "paper")
    seen.add(fresh.compute_digest(tmp_path))
    assert len(seen) == 6
    (tmp_path / "graf_utils" / "__pycache__").mkdir()
    (tmp_path / "graf_utils" / "__pycache__" / "a.py").write_text("x", encoding="utf-8")
    assert fresh.compute_digest(tmp_path) in seen
