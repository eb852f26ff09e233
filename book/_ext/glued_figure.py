"""``{glued-figure}``: paste a figure that another page glued, with caption, name, alt text, width.

MyST-NB pastes across pages by ``{glue}`` with ``:doc:``, but without caption, number or alt text.

    ```{glued-figure} main_result
    :doc: ../notebooks/03_predictors.ipynb
    :alt: Four lines: Kendall tau against train size, one line per encoding.
    :name: fig-main-result
    :width: 100%
    Caption of the figure.
    ```
"""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.ext.glue.crossref import read_glue_cache
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


class GluedImage(nodes.General, nodes.Element):
    """Stands for the image until the other page has been read."""


class GluedFigure(SphinxDirective):
    """See the module."""

    required_arguments = 1
    has_content = True
    option_spec = {
        "doc": directives.unchanged_required,
        "alt": directives.unchanged_required,
        "name": directives.unchanged,
        "width": directives.length_or_percentage_or_unitless,
    }

    def run(self) -> list[nodes.Node]:
        missing = [key for key in ("doc", "alt") if not self.options.get(key)]
        if missing or not self.content:
            raise self.error(f"glued-figure needs :doc:, :alt: and a caption (missing: {missing})")
        _, path = self.env.relfn2path(self.options["doc"], self.env.docname)
        page = self.env.path2doc(path)
        if page not in self.env.found_docs:  # also what lies outside the book
            raise self.error(f"glued-figure: :doc: {self.options['doc']!r} is no page of the book")
        image = GluedImage(key=self.arguments[0], refdoc=page)
        image["alt"] = self.options["alt"]
        image["width"] = self.options.get("width", "100%")
        self.set_source_info(image)
        figure = nodes.figure("", image)
        self.set_source_info(figure)
        self.add_name(figure)
        text = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, text)
        figure += nodes.caption("", "", *text[0].children)
        if len(text) > 1:
            figure += nodes.legend("", *text[1:])
        return [figure]


class ResolveGluedImages(SphinxPostTransform):
    """Write the picture and put a real image node in its place."""

    default_priority = 5

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(GluedImage)):
            read_glue_cache.cache_clear()
            glued = read_glue_cache(self.env.mystnb_config.output_folder, node["refdoc"])
            data = glued.get(node["key"], {}).get("data", {})
            if "image/svg+xml" in data:
                content, suffix = data["image/svg+xml"].encode(), "svg"
            elif "image/png" in data:
                content, suffix = b64decode(data["image/png"]), "png"
            else:
                place = f"{node['key']!r} in {node['refdoc']!r}"
                logger.warning("glued-figure: no SVG or PNG named %s", place, location=node)
                node.parent.remove(node)
                continue
            name = f"{sha256(content).hexdigest()}.{suffix}"
            target = Path(self.app.doctreedir) / "glued" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            uri = str(target)
            image = nodes.image(uri=uri, alt=node["alt"], width=node["width"])
            image["candidates"] = {"*": uri}
            self.env.images.add_file(self.env.docname, uri)
            node.replace_self(image)


def setup(app):
    app.add_node(GluedImage)
    app.add_directive("glued-figure", GluedFigure)
    app.add_post_transform(ResolveGluedImages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
