"""What chapters say: the same in Jupyter and in the book, and always what was computed."""

import html
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import colab
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from scipy.stats import spearmanr

from graf_utils import chapter, load_table
from graf_utils.chapter import Chapter, plain_markdown
from graf_utils.claims import read_ledger
from graf_utils.features import GRAF

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CHAPTERS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")) if path.stem[:2] != "99"]
ROLE = re.compile(r"\{[A-Za-z][\w:+.-]*\}`")


@pytest.fixture(autouse=True)
def outside_the_book(monkeypatch):
    for name in ("GRAF_BOOK", "GRAF_LEDGER_DIR", "GRAF_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards


# --- one source text, two readers -----------------------------------------------------------------

KADLECOVA = "[Kadlecová et al. 2024](https://proceedings.mlr.press/v235/kadlecova24a.html)"
DONG = "[Dong and Yang 2020](https://arxiv.org/abs/2001.00326)"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("no role at all, 3 < 4 & 5", "no role at all, 3 < 4 & 5"),
        ("{cite}`kadlecova_2024_graf`", f"({KADLECOVA})"),
        ("{cite:p}`kadlecova_2024_graf`", f"({KADLECOVA})"),
        ("{cite:t}`kadlecova_2024_graf` say", f"{KADLECOVA} say"),
        ("{cite}`kadlecova_2024_graf, dong_2020_nasbench201`", f"({KADLECOVA}; {DONG})"),
        (
            "{cite:t}`nobody_1999_nothing`",
            f"[Nobody 1999]({chapter.SITE}book/references.html)",
        ),
        ("see {numref}`fig-cell`.", "see the figure."),
        ("see {numref}`Figure %s <fig-cell>`.", "see the figure."),
        ("see {numref}`tab-cell`.", "see the table."),
        ("{term}`train size`", "train size"),
        ("{term}`sizes <train size>`", "sizes"),
        ("{doc}`the next <03_predictors>`", "[the next](03_predictors.ipynb)"),
        ("{doc}`../book/data`", "[data](../book/data.md)"),
        ("{py:mod}`graf_utils.encodings`", "`graf_utils.encodings`"),
        ("{ref}`text <label>`", "text"),
        ("{math}`x^2`", "$x^2$"),
        ("`{cite}` and ``{cite}`x` `` are code", "`{cite}` and ``{cite}`x` `` are code"),
        ("`GRAF(families={'a': f})`, `b`", "`GRAF(families={'a': f})`, `b`"),
        ("[next](03_predictors.ipynb)", "[next](03_predictors.ipynb)"),
        ("[next](03_predictors.ipynb#a-b)", "[next](03_predictors.ipynb)"),
        ("[gone](98_gone.ipynb#a)", f"[gone]({chapter.SITE}notebooks/98_gone.html#a)"),
        ("[gone](../book/gone.md)", f"[gone]({chapter.SITE}book/gone.html)"),
        ("[section](#redundancy)", "section"),
        ("[web](https://example.org/#a)", "[web](https://example.org/#a)"),
        ("`[code](#a)`", "`[code](#a)`"),
    ],
)
def test_plain_markdown(text, plain):
    assert plain_markdown(text) == plain
    assert not ROLE.search(re.sub(r"(`+)[^`].*?\1(?!`)", "", plain))


def test_every_entry_of_the_bibliography_can_be_cited():
    keys = re.findall(r"^@\w+\{([^,]+),", (NOTEBOOKS.parent / "book" / "references.bib").read_text(
        encoding="utf-8"), re.MULTILINE)  # fmt: skip
    assert len(keys) > 30
    for key in keys:
        said = plain_markdown(f"{{cite:t}}`{key}`")
        assert re.fullmatch(r"\[[^\\{}\[\]]+ \d{4}\]\(https?://\S+\)", said), said
        assert chapter.SITE not in said, f"{key} has neither url nor doi"


def test_links_lead_to_the_site_where_there_is_no_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        plain_markdown("[n](03_predictors.ipynb)")
        == f"[n]({chapter.SITE}notebooks/03_predictors.html)"
    )


@pytest.fixture
def shown(monkeypatch):
    """What a chapter displays, in order, as text."""
    pieces = []

    def show(text, updatable=False):
        place = len(pieces)
        pieces.append(text)
        return lambda later: pieces.__setitem__(place, later)

    monkeypatch.setattr(chapter, "_show_markdown", show)
    monkeypatch.setattr(chapter, "_display", lambda thing: pieces.append(thing._repr_html_()))
    return pieces


def test_roles_go_out_as_they_are_in_the_book_only(shown, monkeypatch):
    text = "See {cite}`kadlecova_2024_graf` and [n](03_predictors.ipynb#a)."
    page = Chapter("98_test")
    page.say(text)
    assert shown[-1] == f"See ({KADLECOVA}) and [n](03_predictors.ipynb)."
    monkeypatch.setenv("GRAF_BOOK", "1")
    page.say(text)
    assert shown[-1] == text


@pytest.mark.parametrize("book", ["", "1"])
def test_html_is_shown_as_text(shown, monkeypatch, book):
    monkeypatch.setenv("GRAF_BOOK", book)
    page = Chapter("98_test")
    page.say("a <script>alert(1)</script> <b>x</b> <!-- c --> 1 < 2, `<code>`")
    assert (
        shown[-1]
        == "a &lt;script>alert(1)&lt;/script> &lt;b>x&lt;/b> &lt;!-- c --> 1 < 2, `<code>`"
    )
    page.exercise("Is <i> so?", "No </details><script>")
    assert "<script" not in shown[-1]
    assert shown[-1].count("</details>") == 1
    page.finish("a <script>")
    assert "<script" not in shown[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Title", "a heading"),
        ("text\n\n### Title", "a heading"),
        ("Title\n-----\n", "a heading"),
        ("Title\n===", "a heading"),
        ("```{admonition} Hint\nx\n```", "a directive"),
        (":::{note}\nx\n:::", "a directive"),
        ("  ~~~{note}\nx\n~~~", "a directive"),
        ("{glue:text}`x`", "write the value itself"),
        ("{glue}`x`", "write the value itself"),
    ],
)
def test_what_reads_differently_is_refused(shown, monkeypatch, text, words):
    page = Chapter("98_test")
    for book in ("", "1"):
        monkeypatch.setenv("GRAF_BOOK", book)
        for call in (page.say, page.finish, lambda text: page.exercise("q", text)):
            with pytest.raises(ValueError, match=f"(?i){words}"):
                call(text)
    page.say("# not `# a heading`".replace("# not ", "Not "), "- a", "- b", "", "| a |", "|---|")


def test_a_claim_shows_itself_and_is_kept(shown, tmp_path):
    page = Chapter("98_test", tmp_path)
    assert page.check("x", "It rises.", where="here", kind="ours", holds=False) is None
    assert "claim-box fails" in shown[-1]
    assert read_ledger(tmp_path)["id"].tolist() == ["x"]
    assert page.ledger.claims[-1].verdict == "fails"


def test_exercises_are_counted_and_keep_their_numbers(shown):
    page = Chapter("98_test")
    for question in ("one?", "two?", "one?"):
        page.exercise(question, "yes")
    assert [text[:14] for text in shown[1:]] == [
        "**Exercise 1.*",
        "**Exercise 2.*",
        "**Exercise 1.*",
    ]


def test_the_answer_takes_its_place_on_top(shown):
    page = Chapter("98_test")
    assert shown == [chapter.WAITING]
    table = load_table("nb201-cifar10")
    assert page.use(table) is table
    page.use(table)
    page.say("middle")
    page.finish("The answer is {cite:t}`kadlecova_2024_graf`.")
    assert re.match(
        re.escape(f"**In short.** The answer is {KADLECOVA}.\n\n*Ran in ") + r"\d+ s\. Data:\*",
        shown[0],
    )
    assert shown[0].count("9,445 networks") == 1
    assert shown[1:] == ["middle"]


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".x"])
def test_a_chapter_stays_in_the_ledger(name, tmp_path):
    with pytest.raises(ValueError, match="must be the name of a notebook"):
        Chapter(name, tmp_path / "claims")
    assert not list(tmp_path.iterdir())


def test_a_source_that_is_none_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv("GRAF_SOURCE", "papper")
    with pytest.raises(ValueError, match="GRAF_SOURCE='papper'.*Did you mean 'paper'"):
        Chapter("98_test")
    monkeypatch.setenv("GRAF_SOURCE", "paper")
    assert Chapter("98_test").source == "paper"
    monkeypatch.setenv("GRAF_SOURCE", "")
    assert Chapter("98_test").source == "embedded"


@pytest.mark.slow
def test_a_chapter_runs_as_a_script():
    """Without IPython's shell sentences are printed; warnings take a line without a path."""
    code = (
        "from graf_utils.chapter import Chapter\nimport warnings\npage = Chapter('98_test')\n"
        "page.say('one {term}`word`')\n"
        "page.check('x', 'It is so.', where='t', kind='ours', holds=True)\n"
        "warnings.warn('careful')\npage.finish('done')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf8"
    )
    assert done.stdout.startswith(
        "one word\nIt is so.\n  paper: ; here:  -> holds\n**In short.** done"
    )
    assert done.stderr == "UserWarning: careful\n"


# --- all chapters, as their file says -------------------------------------------------------------


def cells_of(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells


@pytest.mark.parametrize("name", [*CHAPTERS, "99_scoreboard"])
def test_a_markdown_cell_holds_nothing_that_jupyter_cannot_show(name):
    for cell in cells_of(name):
        if cell.cell_type == "markdown":
            assert not ROLE.search(cell.source), cell.source
            assert "{glue" not in cell.source
            assert not re.search(r"^\s*(```|:::|~~~)\{", cell.source, re.MULTILINE), cell.source
        else:
            assert "{glue" not in cell.source


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_anatomy_of_a_chapter(name):
    cells = cells_of(name)
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = [cell for cell in cells if cell.cell_type == "code" and cell.id != colab.ID]
    assert cells[0].source.startswith("# ")
    for words in ("**What you will be able to do**", "**What to know before:**", "minutes to read",
                  "## Adapt it", "## Exercises", "## Takeaways", "**Not shown here.**",
                  "## References"):  # fmt: skip
        assert words in text, words
    assert "Chapter(" in code[0].source
    assert len(code[0].source.splitlines()) <= 3, "one line and its import"
    assert ".finish(" in code[-1].source
    assert sum("page.exercise(" in cell.source for cell in code) >= 3
    (adapt,) = [cell for cell in code if "adapt" in cell.metadata.get("tags", [])]
    assert len([line for line in adapt.source.splitlines() if line.strip()]) <= 15
    for cell in code:
        tags = cell.metadata.get("tags", [])
        if "remove-input" in tags:  # speech only: folded in JupyterLab, too
            assert cell.metadata["jupyter"]["source_hidden"]
        if "figure" in cell.metadata.get("mystnb", {}):  # MyST-NB would make a figure of each
            assert not re.search(r"page\.(say|check|exercise|finish)\(|Chapter\(", cell.source)
        if "hide-input" in tags:
            assert cell.metadata["mystnb"]["code_prompt_show"].startswith("Show: ")


# --- chapter 2 with other parameters --------------------------------------------------------------

PARAMETERS = {  # the chapter's own are run by the build of the book
    "drift": {
        "TARGET": "noisy_drift_1h_sd",
        "CELL": (2, 0, 2, 2, 1, 3),
        "ORACLE_CELLS": 10,
    },
    "analog": {
        "TARGET": "analog_accuracy",
        "CELL": "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "ORACLE_CELLS": 10,
        "RANDOM_STATE": 7,
    },
}


@pytest.fixture(scope="module", params=PARAMETERS)
def run(request, tmp_path_factory):
    """Chapter 2 run as papermill runs it: notebook, parameters, folder of the ledger."""
    folder = tmp_path_factory.mktemp("claims")
    book = nbformat.read(NOTEBOOKS / "02_graf.ipynb", as_version=4)
    parameters = PARAMETERS[request.param]
    (place,) = [
        i for i, cell in enumerate(book.cells) if "parameters" in cell.metadata.get("tags", [])
    ]
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    book.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GRAF_")}
    outside["GRAF_LEDGER_DIR"] = str(folder)
    client = NotebookClient(book, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}})
    client.execute(env=outside)
    return book, {"TARGET": "accuracy", **parameters}, folder


def outputs(book, mime):
    return [
        output["data"][mime]
        for cell in book.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if mime in output.get("data", {})
    ]


@pytest.mark.slow
def test_what_jupyter_shows_has_no_raw_role(run):
    book, _, _ = run
    said = outputs(book, "text/markdown")
    assert len(said) > 10
    for text in said:
        assert not ROLE.search(text), text
        assert "{glue" not in text
        assert chapter.WAITING not in text
        assert "nan" not in re.findall(r"[a-z]+", text)
    streams = [o for cell in book.cells if cell.cell_type == "code" for o in cell.outputs]
    assert not [o for o in streams if o.output_type == "stream" and o.name == "stderr"]
    pictures = outputs(book, "image/svg+xml")
    assert len(pictures) == 4
    assert not [picture for picture in pictures if "<dc:date>" in picture]


@pytest.mark.slow
def test_sentences_follow_the_target(run):
    """The strongest feature and its correlation, found again by scipy, stand in the sentences."""
    book, parameters, _ = run
    target, table = parameters["TARGET"], load_table("nb201-cifar10", source="embedded")
    columns = GRAF().set_output(transform="pandas").fit_transform(table)
    columns = columns.loc[:, columns.nunique() > 1]
    rho = {name: spearmanr(columns[name], table.target(target)).statistic for name in columns}
    largest = max(abs(value) for value in rho.values())
    said = "\n".join(outputs(book, "text/markdown"))
    (name, value) = re.search(
        r"The strongest is `([^`]+)`.*?correlation of (-?[\d.]+)", said
    ).groups()
    assert np.isclose(abs(rho[name]), largest)
    assert float(value) == pytest.approx(rho[name], abs=0.0051)
    assert f"correlation of {value} with `{target}`" in outputs(book, "text/markdown")[0]
    words = name.partition("[")[2].removesuffix("]").split("+")
    meaning = re.search(r"The strongest is `[^`]+`, that is, (.+?):", said)[1]
    assert re.findall(r"`([^`]+)`", meaning) == words
    assert ("per node" in meaning) == name.startswith("mean")
    tables = "".join(outputs(book, "text/html"))
    assert f"Spearman with {target}" in tables
    everything = (
        said + tables + "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    )
    assert "CIFAR-10 accuracy" not in everything
    assert "number of convolutions" not in everything
    if target != "accuracy":
        assert "with `accuracy`" not in said
        assert "Spearman with accuracy" not in tables


@pytest.mark.slow
def test_exercises_and_takeaways_are_computed(run):
    book, parameters, _ = run
    said = outputs(book, "text/markdown")
    hidden = [text for text in said if "<details>" in text]
    assert len(hidden) >= 3
    assert "`max_path_len[nor_conv_3x3]` is 1." in hidden[0]
    strongest = re.search(r"The strongest is `([^`]+)`", "\n".join(said))[1]
    (line,) = [text for text in hidden[2].splitlines() if f"`{parameters['TARGET']}`" in text]
    assert line.startswith("- `")
    table = load_table("nb201-cifar10", source="embedded")
    columns = GRAF().set_output(transform="pandas").fit_transform(table)
    both = [columns[strongest], columns[line.split("`")[1]]]
    rho = [abs(spearmanr(one, table.target(parameters["TARGET"])).statistic) for one in both]
    assert rho[0] == pytest.approx(rho[1])
    assert "They agree in 100%." in hidden[3]


@pytest.mark.slow
def test_the_run_says_how_long_it_took_and_its_claims_are_kept(run):
    book, _, folder = run
    assert re.search(r"Ran in \d+ s", outputs(book, "text/markdown")[0])
    frame = read_ledger(folder, ["02_graf"])
    assert frame["id"].tolist() == ["nb201-unique", "nb201-valid", "graf-is-cheap"]
    assert frame["verdict"].tolist()[:2] == ["holds", "holds"]
    boxes = [text for text in outputs(book, "text/html") if "claim-box" in text]
    assert len(boxes) == 3, "each claim shows itself once"


def test_the_adapted_family_works_on_every_space():
    """The cell of the page, run here: it knows no space by name."""
    from graf_utils import get_space
    from graf_utils.graphs import GraphBatch

    (cell,) = [c for c in cells_of("02_graf") if "adapt" in c.metadata.get("tags", [])]
    names = {"np": np}
    exec(cell.source.split("\n\n\n")[0], names)
    for space in ("nb201", "nb101", "darts", "tnb101-micro", "tnb101-macro"):
        cells = get_space(space).sample(5, random_state=0)
        counts = GRAF(space, families=[names["live_paths"]]).transform(cells)
        batches = get_space(space).graph_batch(cells)
        for column, batch in enumerate(batches.values()):
            assert isinstance(batch, GraphBatch)
            assert counts[:, column].tolist() == [walks(batch, row) for row in range(5)]


def walks(batch, row):
    """Paths without `none` from the inputs to the output, walked one by one."""

    def from_node(node):
        if node == batch.output:
            return 1
        return sum(
            from_node(goal)
            for (source, goal), op in zip(batch.edges.tolist(), batch.edge_ops[row], strict=True)
            if source == node and op >= 0 and batch.operations[op] != "none"
        )

    return sum(from_node(node) for node in batch.inputs)


# --- the same text in the book --------------------------------------------------------------------

CONF = """
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
root_doc = "intro"
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_render_markdown_format = "myst"
myst_heading_anchors = 3
numfig = True
bibtex_bibfiles = ["refs.bib"]
bibtex_reference_style = "author_year"
"""


@pytest.mark.slow
def test_roles_of_a_said_sentence_resolve_in_the_book(tmp_path):
    (tmp_path / "conf.py").write_text(CONF, encoding="utf-8")
    bib = (NOTEBOOKS.parent / "book" / "references.bib").read_text(encoding="utf-8")
    (tmp_path / "refs.bib").write_text(bib, encoding="utf-8")
    (tmp_path / "intro.md").write_text(
        "# Intro\n\n```{toctree}\n01_says\n02_next\n```\n\n```{bibliography}\n```\n",
        encoding="utf-8",
    )
    (tmp_path / "02_next.md").write_text("# Next\n\n## Second part\n", encoding="utf-8")
    begins = nbformat.v4.new_code_cell(
        "from graf_utils.chapter import Chapter\npage = Chapter('01_says')"
    )
    draws = nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    draws.metadata["mystnb"] = {
        "figure": {"name": "fig-a", "caption": "A."},
        "image": {"alt": "A."},
    }
    says = nbformat.v4.new_code_cell(
        "page.say('Cited {cite:t}`kadlecova_2024_graf`, drawn {numref}`fig-a`,',\n"
        "         '[on](02_next.md#second-part), <script>alert(1)</script>.')\n"
        "page.check('x', 'It is so.', where='t', kind='ours', holds=True)\n"
        "page.exercise('Why?', 'So: {cite:t}`kadlecova_2024_graf`.')\n"
        "page.finish('The answer.')"
    )
    head = nbformat.v4.new_markdown_cell("# Says")
    book = nbformat.v4.new_notebook(cells=[head, begins, draws, says])
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(book, tmp_path / "01_says.ipynb")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "-b", "html", ".", "out"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "GRAF_BOOK": "1"},
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "out" / "01_says.html").read_text(encoding="utf-8")
    page = page[page.index("<h1>Says") :]
    said = page[page.index("Cited") : page.index("</p>", page.index("Cited"))]
    assert re.search(r'<a class="reference internal" href="intro.html#id\d+"', said)
    assert re.search(r'href="#fig-a"><span class="std std-numref">Fig. 1</span>', said)
    assert 'href="02_next.html#second-part"' in said
    assert "<script" not in said
    assert "&lt;script&gt;" in said
    assert page.count('class="claim-box holds"') == 1
    assert "<details><summary>Answer</summary>" in page
    assert page.index("The answer.") < page.index("Cited")
    assert chapter.WAITING.strip("*") not in html.unescape(page)
    assert not ROLE.search(re.sub(r'<div class="highlight">.*?</div>', "", page, flags=re.DOTALL))


def test_the_book_is_built_with_roles_in_what_cells_say():
    """Three places must agree: the configuration, the extension, and this module."""
    root = NOTEBOOKS.parent
    assert "nb_render_markdown_format: myst" in (root / "_config.yml").read_text(encoding="utf-8")
    fresh = (root / "book" / "_ext" / "fresh.py").read_text(encoding="utf-8")
    assert 'os.environ["GRAF_BOOK"] = "1"' in fresh
    notebook = json.loads((NOTEBOOKS / "02_graf.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
