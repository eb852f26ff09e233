"""Formulas are MathML in the page itself: no script, no request, and no formula left as TeX."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docutils import nodes

ROOT = Path(__file__).resolve().parent.parent
EXTENSIONS = ROOT / "book" / "_ext"
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$`]+?)\$(?![\w$])", re.DOTALL)
CODE = re.compile(r"(`+)(?:.+?)\1", re.DOTALL)


@pytest.fixture(scope="module")
def maths():
    spec = importlib.util.spec_from_file_location("local_maths", EXTENSIONS / "local_maths.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def formulas() -> list[tuple[str, str]]:
    """Every formula of the Markdown cells and of the pages, with its place."""
    found = []
    texts = [(path.name, path.read_text(encoding="utf8")) for path in ROOT.glob("book/*.md")]
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        texts += [(path.name, "".join(c["source"])) for c in cells if c["cell_type"] == "markdown"]
    for name, text in texts:
        for block, inline in FORMULA.findall(CODE.sub("", text)):
            found.append((name, block or inline))
    return found


def test_there_are_formulas():
    names = {name for name, _ in formulas()}
    assert {"10_brp_nas.ipynb", "11_interpretation.ipynb", "12_search.ipynb"} <= names


@pytest.mark.parametrize(("name", "tex"), formulas())
def test_every_formula_is_understood(maths, name, tex):
    found = maths.mathml(nodes.math_block(tex, tex), as_block=True)
    assert "<math" in found, f"{name}: {tex}"
    assert "\\" not in found


def test_what_is_not_understood_stays_readable_and_is_reported(maths, monkeypatch):
    warned = []
    monkeypatch.setattr(maths.logger, "warning", lambda *words, **place: warned.append(words))
    assert maths.mathml(nodes.math(text=r"\nonsense{<x>}"), False) == (
        r"<code>\nonsense{&lt;x&gt;}</code>"
    )
    assert r"\nonsense{<x>}" in warned[0]


@pytest.mark.slow
def test_a_page_with_formulas_has_no_script_for_them(tmp_path):
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_parser', 'sphinx.ext.mathjax', 'local_maths']\n"
        "myst_enable_extensions = ['dollarmath']\nroot_doc = 'one'\n"
        "html_math_renderer = 'mathml'\n",
        encoding="utf8",
    )
    (tmp_path / "one.md").write_text(
        "# One\n\nInline $x_1 < y^2$, and\n\n$$r_t = \\max_a y(a)$$ (regret)\n\n"
        "see {eq}`regret`.\n",
        encoding="utf8",
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", ".", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf8")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "one.html").read_text(encoding="utf8")
    assert page.count("<math") == 2
    assert page.count("(1)") == 2  # at the formula and where it is quoted
    assert not re.search(r'<script[^>]*(mathjax|src="https?:)', page, re.IGNORECASE)
