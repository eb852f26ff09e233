"""The 404 page, the PNG fallback of the favicon, and scripts that come once and where they serve.

A server shows ``404.html`` for an address at any depth, so its relative links need a base: the path
of ``html_baseurl`` where the site lives there, else the root of the server.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from urllib.parse import urlparse

SCRIPTS = {"notebooks/99_scoreboard": "scoreboard.js"}
"""Page → its script in ``book/_static``, which no other page loads."""

BODY = """
<section id="page-not-found">
<h1>Page not found</h1>
<p>There is no page at this address. It may have moved when a chapter was renamed.</p>
<ul>
<li><a href="{home}">Start of the book</a></li>
<li><a href="search.html">Search the book</a></li>
<li><a href="https://github.com/graf-book/graf-book/issues">Tell us about a broken link</a></li>
</ul>
</section>
"""

BASE = """<head>
<script>
(function () {{
  if (location.protocol === "file:") return;
  var site = {prefix};
  var base = document.createElement("base");
  base.href = location.pathname.indexOf(site) === 0 ? site : "/";
  document.head.appendChild(base);
}})();
</script>"""


def collect(app):
    home = escape(app.builder.get_relative_uri("404", app.config.root_doc))
    yield "404", {"title": "Page not found", "body": BODY.format(home=home)}, "page.html"


def add_favicon(app, pagename, templatename, context, doctree):
    icon = escape(context["pathto"]("_static/favicon.png", resource=True))
    tag = f'<link rel="alternate icon" type="image/png" href="{icon}">'
    context["metatags"] = context.get("metatags", "") + tag


def add_base(app, exception):
    page = Path(app.outdir) / "404.html"
    if exception is None and page.is_file():
        prefix = urlparse(app.config.html_baseurl).path or "/"
        script = json.dumps(prefix).replace("<", "\\u003c")  # no text can end the script
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("<head>", BASE.format(prefix=script), 1), encoding="utf-8")


def add_script(app, pagename, templatename, context, doctree):
    if pagename in SCRIPTS:
        app.add_js_file(SCRIPTS[pagename], loading_method="defer")


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    """Sphinx-thebe and sphinx-togglebutton register inline scripts twice: a JavaScript error."""
    once = {
        (script.filename or "", script.attributes.get("body")): script
        for script in context["script_files"]
    }
    context["script_files"] = list(once.values())


def mend_citation_list(app, pagename, templatename, context, doctree):
    """Docutils calls the bibliography a list without list items; screen readers stumble on it."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', "<div>"
        )


def setup(app):
    app.connect("html-collect-pages", collect)
    app.connect("html-page-context", add_favicon)
    app.connect("html-page-context", add_script)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    app.connect("html-page-context", mend_citation_list)
    app.connect("build-finished", add_base)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
