r"""Formulas as MathML, made while the book is built: no script, no other host, readable aloud.

Sphinx would leave formulas to MathJax, a script from another host. Every browser shows MathML
itself, and docutils, on which Sphinx stands, turns TeX into it. Here are a renderer
(``html_math_renderer: mathml`` in ``_config.yml``) and a font: browsers take brackets that grow and
large sums from a font for mathematics, which few systems have. The one of the package ziamath, STIX
Two Math (SIL Open Font License), is cut down to the characters of this book's formulas.

In a chapter write ``$x$`` and ``$$ … $$`` as ever, in Markdown cells and in what a cell says;
JupyterLab and Colab show the same TeX with a MathJax of their own. TeX that cannot be turned into
MathML is a warning, so that the build fails and names the formula. ``\lvert x \rvert`` and
``\lVert x \rVert`` are better than ``|x|`` and ``\|x\|``: they grow, and know left from right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)

FONT = "graf-math.woff"  # named in book/_static/custom.css
ALWAYS = [(0x20, 0x7F), (0x1D434, 0x1D468), (0x1D6E2, 0x1D71C), (0x210E, 0x210F)]
"""Letters, digits and signs, and the italics that browsers put in place of single letters."""
TEXT = re.compile(r"(\\(?:text|textrm|mbox)\{[^{}]*\})")
SIZED_BAR = re.compile(r"(\\(?:left|right|[bB]igg?[lr])\s*)?\\(?:([lr])[vV]ert)(?![A-Za-z])")
PLAIN_BAR = '<mo stretchy="false">|</mo>'
UNKNOWN = {r"\operatorname*": r"\max, \min, \arg\max or \operatorname"}
"""What docutils reads wrongly without an error, and what to write instead."""


def prepare(tex: str) -> str:
    """TeX in the words that docutils knows."""
    parts = TEXT.split(tex)
    for number in range(0, len(parts), 2):
        part = re.sub(r"\\dots(?![A-Za-z])", r"\\ldots ", parts[number])
        part = re.sub(r"'+", lambda m: "^{" + r"\prime " * len(m.group()) + "}", part)
        parts[number] = SIZED_BAR.sub(
            lambda m: m.group() if m[1] else {"l": r"\left", "r": r"\right"}[m[2]] + m.group(), part
        )
    return "".join(parts)


def to_mathml(tex: str, block: bool) -> str:
    """TeX as MathML.

    Raises
    ------
    MathError
        It holds something that docutils does not know.
    """
    for command, instead in UNKNOWN.items():
        if command in tex:
            raise MathError(f'Unknown LaTeX command "{command}". Write {instead}.')
    converted = tex2mathml(prepare(tex), as_block=block)
    return converted.replace(PLAIN_BAR, PLAIN_BAR.replace(">|", ' lspace="0" rspace="0">|'))


def mathml(node: nodes.Node, as_block: bool) -> str:
    """The formula of a node; as code, with a warning, if it cannot be one."""
    tex = node.astext()
    try:
        return to_mathml(tex, as_block)
    except Exception as error:  # the converter raises whatever its parser stumbles over
        logger.warning("local_maths: %r is not understood (%s)", tex, error, location=node)
        return f"<code>{escape(tex)}</code>"


def visit_inline(translator, node) -> None:
    """Write a formula in a line."""
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator, node) -> None:
    """Write a displayed formula, with its number if it has one."""
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append(mathml(node, as_block=True) + "</div>\n")
    raise nodes.SkipNode


def characters(folder: Path) -> Iterator[str]:
    """What the formulas of all pages are written with, page by page."""
    for page in sorted(folder.rglob("*.html")):
        for formula in re.findall(r"<math\b.*?</math>", page.read_text(encoding="utf8"), re.DOTALL):
            yield unescape(re.sub(r"<[^>]*>", "", formula)) + ("√" if "msqrt" in formula else "")


def cut_font(source: Path, text: str, target: Path) -> None:
    """Write the part of a font that a text needs, with all sizes of its signs."""
    from fontTools import subset

    options = subset.Options(
        flavor="woff", hinting=False, layout_features=["*"], recalc_timestamp=False
    )
    wanted = {ord(character) for character in text}
    wanted.update(code for first, end in ALWAYS for code in range(first, end))
    font = subset.load_font(source, options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    subset.save_font(font, target, options)


def add_font(app, exception) -> None:
    """Lay the font beside the style sheet, if there is a formula at all."""
    text = "" if exception else "".join(characters(Path(app.outdir)))
    if not text:
        return
    package = find_spec("ziamath")
    if package is None:
        logger.warning("no font for formulas: pip install ziamath (see requirements.txt)")
        return
    source = Path(package.origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
    cut_font(source, text, Path(app.outdir) / "_static" / FONT)


def setup(app):
    """Add the renderer and the font."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("build-finished", add_font)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
