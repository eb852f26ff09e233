"""Formulas: TeX becomes MathML in the build; no script and no other host is needed to read them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docutils import nodes
from docutils.utils.math import MathError
from site_tools import open_tab, serve

ROOT = Path(__file__).resolve().parent.parent
EXTENSIONS = ROOT / "book" / "_ext"
sys.path.insert(0, str(EXTENSIONS))

import local_maths  # noqa: E402
from local_maths import FONT, prepare, to_mathml  # noqa: E402


@pytest.mark.parametrize(
    ("tex", "prepared"),
    [
        (r"x_1, \dots, x_N", r"x_1, \ldots , x_N"),
        (r"\dotsc", r"\dotsc"),
        (r"\lvert x \rvert", r"\left\lvert x \right\rvert"),
        (r"\bigl\lvert x \bigr\rvert", r"\bigl\lvert x \bigr\rvert"),
        (r"\left\lVert x \right\rVert_2", r"\left\lVert x \right\rVert_2"),
        (r"x_v' + f''", r"x_v^{\prime } + f^{\prime \prime }"),
        (r"\text{it's \lvert}", r"\text{it's \lvert}"),
    ],
)
def test_tex_is_said_in_words_that_docutils_knows(tex, prepared):
    assert prepare(tex) == prepared


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        (r"\tau = \frac{a}{b}", "<mfrac>"),
        (r"|S|", '<mo stretchy="false" lspace="0" rspace="0">|</mo>'),
        (r"\left| x \right|", "<mo>|</mo>"),
        (r"\begin{cases} 1 & x > 0 \\ 0 & \text{else} \end{cases}", "<mtable"),
    ],
)
def test_formulas_become_mathml(tex, part):
    block = to_mathml(tex, block=True)
    assert part in block
    assert 'display="block"' in block
    assert "display=" not in to_mathml(tex, block=False).split(">")[0]


@pytest.mark.parametrize("tex", [r"\substack{a}", r"\nosuchthing", r"{x", r"\operatorname*{a} x"])
def test_what_cannot_be_shown_is_an_error(tex):
    with pytest.raises(MathError):
        to_mathml(tex + r" \frac{1}", block=False)


PAGE = r"""# Page

Inline $\lVert w \rVert_2$ and

$$
\tau = \frac{n_c - n_d}{\sqrt{n}} \left( \sum_{i < j} \frac{x_i}{x_j} \right)
$$ (eq-tau)

which is {eq}`eq-tau`.
"""
SAID = r"from IPython.display import Markdown" "\n" r"Markdown(r'said: $\sum_i \lvert w_i \rvert$')"
CONFIG = {
    "title": "t",
    "execute": {"execute_notebooks": "force"},
    "parse": {"myst_enable_extensions": ["dollarmath", "amsmath"]},
    "sphinx": {
        "local_extensions": {"local_maths": f"{EXTENSIONS}/"},
        "config": {
            "html_math_renderer": "mathml",
            "nb_render_markdown_format": "myst",
            "html_static_path": [str(EXTENSIONS.parent / "_static")],
            "html_css_files": ["custom.css"],
        },
    },
}


def build(root: Path, page: str) -> subprocess.CompletedProcess:
    """Build a book of one page and one notebook whose cell says a formula."""
    cell = {"cell_type": "code", "id": "a", "source": SAID, "metadata": {}, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel}
    title = {"cell_type": "markdown", "id": "b", "metadata": {}, "source": "# Said"}
    notebook["cells"] = [title, cell | {"execution_count": None}]
    root.mkdir(exist_ok=True)
    (root / "said.ipynb").write_text(json.dumps(notebook), encoding="utf8")
    (root / "page.md").write_text(page, encoding="utf8")
    toc = "format: jb-book\nroot: page\nchapters:\n  - file: said\n"
    (root / "_toc.yml").write_text(toc, encoding="utf8")
    (root / "_config.yml").write_text(json.dumps(CONFIG), encoding="utf8")  # JSON is YAML
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "-n", "-W"]
    return subprocess.run(
        [*command, "--keep-going"], capture_output=True, text=True, encoding="utf8"
    )


LOOK = """() => document.fonts.ready.then(() => {
  const high = e => e.getBoundingClientRect().height;
  const bracket = [...document.querySelectorAll('math mo')].find(e => e.textContent === '(');
  return {
    fonts: [...document.fonts].filter(f => f.status === 'loaded').map(f => f.family),
    scripts: [...document.scripts].map(s => s.src).filter(s => s.includes('mathjax')),
    grown: bracket ? high(bracket) / high(document.querySelector('math mn, math mi')) : 0,
    number: document.querySelector('.eqno')?.textContent ?? '',
  };
})"""


@pytest.mark.slow
def test_formulas_in_a_browser_without_a_network(tmp_path, chromium):
    done = build(tmp_path / "book", PAGE)
    assert done.returncode == 0, done.stderr[-3000:]
    html = tmp_path / "book" / "_build" / "html"
    assert (html / "_static" / FONT).stat().st_size < 150_000
    with serve(html) as address:
        tab = open_tab(chromium, address, 1280, "light")
        tab.goto(f"{address}/page.html", wait_until="load")
        seen = tab.evaluate(LOOK)
        assert "graf-math" in seen["fonts"]
        assert not seen["scripts"]
        assert seen["grown"] > 1.8, "the bracket does not grow with what it holds"
        assert seen["number"].startswith("(1)")
        tab.goto(f"{address}/said.html", wait_until="load")
        assert tab.locator(".cell_output math").count() == 1
        assert not tab.elsewhere
        tab.context.close()


@pytest.mark.slow
def test_a_formula_that_cannot_be_shown_stops_the_build(tmp_path):
    done = build(tmp_path / "book", PAGE.replace(r"\tau", r"\nosuchthing"))
    assert done.returncode != 0
    message = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    assert "page.md" in message
    assert 'Unknown LaTeX command "\\nosuchthing"' in message


# --- the formulas of this book ------------------------------------------------------------------

FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$`]+?)\$(?![\w$])", re.DOTALL)
CODE = re.compile(r"(`+)(?:.+?)\1", re.DOTALL)


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
def test_every_formula_is_understood(name, tex):
    found = local_maths.mathml(nodes.math_block(tex, tex), as_block=True)
    assert "<math" in found, f"{name}: {tex}"
    assert "\\" not in found


def test_what_is_not_understood_stays_readable_and_is_reported(monkeypatch):
    warned = []
    monkeypatch.setattr(local_maths.logger, "warning", lambda *words, **place: warned.append(words))
    assert local_maths.mathml(nodes.math(text=r"\nonsense{<x>}"), False) == (
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
