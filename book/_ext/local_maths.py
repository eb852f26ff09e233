"""Mathematics without a script or a request to another host: TeX becomes MathML in the build.

Browsers of today draw MathML themselves, and screen readers read it. docutils, on which Sphinx
stands, has the converter. It knows most of TeX; what it does not know stops the build with a
warning that names the formula.
"""

from __future__ import annotations

import html
import re

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


def mathml(node: nodes.Element, as_block: bool) -> str:
    """The formula of a node as MathML; what cannot be converted as its TeX, with a warning."""
    text = re.sub(r"\\dots\b", r"\\ldots", node.astext())  # which the converter calls so
    try:
        return latex2mathml.tex2mathml(text, as_block=as_block)
    except Exception as error:  # the converter raises whatever its parser stumbles over
        logger.warning("local_maths: %r is not understood (%s)", text, error, location=node)
        return f"<code>{html.escape(text)}</code>"


def visit_math(translator, node: nodes.math) -> None:
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_displaymath(translator, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append(mathml(node, as_block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
