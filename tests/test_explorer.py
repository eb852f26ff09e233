"""The explorer: its data equal the package's, and the page shows them, opened as a file."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from site_tools import MODES, WIDTHS, need, open_file, site_dir
from sklearn.model_selection import train_test_split

from graf_utils.datasets import load_table
from graf_utils.features import GRAF, Flow
from graf_utils.predictors import BlendRegressor
from graf_utils.spaces import NB201

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import cell_pages  # noqa: E402
import explorer_data  # noqa: E402
from explorer_meanings import meaning  # noqa: E402

SPACE = NB201()
CODES = SPACE.enumerate()
ROWS = np.random.default_rng(17).choice(len(CODES), 500, replace=False)
LARGEST_DATA = 1_500_000  # bytes after gzip
LARGEST_PAGE = 1_000_000


# --- the data -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cells():
    return explorer_data.load_cells()


@pytest.fixture(scope="module")
def table():
    return load_table("nb201-cifar10", source="embedded", valid_only=False)


@pytest.fixture(scope="module")
def features():
    """All features by the two transformers, not by the modules of the page."""
    return np.hstack([GRAF("nb201").transform(CODES), Flow("nb201").transform(CODES)])


@pytest.fixture(scope="module")
def predictor(table, features):
    """The predictor fitted here once more, on the train set of the book's evaluation."""
    pool = np.flatnonzero(SPACE.is_valid(CODES))
    train, _ = train_test_split(pool, train_size=1024, random_state=42)
    train = np.sort(train)
    return BlendRegressor(share=0).fit(features[train], table.target("accuracy")[train])


def names():
    return [*GRAF("nb201").get_feature_names_out(), *Flow("nb201").get_feature_names_out()]


def look_up(tables: dict, flow: dict, name: str, code) -> float:
    """A feature from the tables of patterns, as the script of the page does it."""
    family, _, inside = name.removesuffix("]").partition("[")
    members = SPACE.groups.get(inside) or inside.split("+")
    is_in = [SPACE.operations[op] in members for op in code]
    if family in tables:
        return tables[family][sum(2**edge for edge in range(6) if is_in[edge])]
    digits = [0 if SPACE.operations[op] == "none" else 1 + i for op, i in zip(code, is_in)]  # noqa: B905
    return flow[family][sum(digit * 3**edge for edge, digit in enumerate(digits))]


def test_tables_of_patterns_hold_every_feature(features):
    graf, flow = explorer_data.graf_patterns(SPACE), explorer_data.flow_patterns(SPACE)
    looked_up = [[look_up(graf, flow, name, CODES[row]) for name in names()] for row in ROWS]
    np.testing.assert_array_equal(looked_up, features[ROWS])


def test_every_feature_has_a_meaning_of_its_own():
    lines = [meaning(name, SPACE) for name in names()]
    assert all(line.endswith(".") and "{" not in line for line in lines)
    assert len(set(lines)) == len(lines)
    assert meaning("flow_n2[conv]", SPACE) == (
        "How many live paths have two edges with conv 3×3 or conv 1×1."
    )
    with pytest.raises(KeyError):
        meaning("colour[conv]", SPACE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_path_len[skip_connect]", 5),  # no path of skips: 5, as its line says
        ("min_path_len[nor_conv_3x3]", 1),
        ("input_degree[nor_conv_3x3]", 2),
        ("mean_in_degree[nor_conv_3x3]", 0.75),
        ("flow_n2[conv]", 1),
    ],
)
def test_the_meanings_are_true_of_a_cell(features, name, value):
    row = SPACE.enumerate().tolist().index([2, 0, 2, 1, 2, 3])
    assert features[row, names().index(name)] == value


def test_shares_add_up_to_the_prediction(cells, predictor, features):
    base, shares, columns = explorer_data.contributions(cells, predictor, ROWS)
    predicted = predictor.predict(features[ROWS])
    np.testing.assert_allclose(base + shares.sum(axis=1), predicted, atol=0.001)
    assert len(columns) == shares.shape[1]
    # a feature that is 0 throughout the train set is constant there, and can have no share
    assert (cells.features.to_numpy()[cells.train][:, columns].std(axis=0) > 0).all()


def test_a_wrong_scale_of_shares_is_seen(cells, predictor, monkeypatch):
    monkeypatch.setattr(predictor, "predict", lambda X: np.full(len(X), 50.0))
    with pytest.raises(RuntimeError, match="miss the predictions"):
        explorer_data.contributions(cells, predictor, ROWS[:5])


def test_nearest_are_those_of_a_plain_search(cells, features):
    valid = SPACE.is_valid(CODES)
    spread = features[valid].std(axis=0)
    _, first = np.unique(features[valid], axis=1, return_index=True)
    kept = [j for j in first if spread[j] > 0]
    scaled = features[:, kept] / spread[kept]
    classes = SPACE.classes(CODES, zeros="dropped")
    found = explorer_data.nearest(cells, 5, ROWS[:20])
    for row, mine in zip(ROWS[:20], found, strict=True):
        distances = np.linalg.norm(scaled - scaled[row], axis=1)
        distances[~valid | (classes == classes[row])] = np.inf
        np.testing.assert_allclose(distances[mine], np.sort(distances)[:5], rtol=1e-6)


def test_ranks_count_the_better_ones():
    values, valid = np.array([3.0, 9.0, 5.0, 5.0]), np.array([True, False, True, True])
    assert explorer_data.ranks(values, valid).tolist() == [3, 0, 1, 1]


def test_numbers_that_do_not_fit_are_refused():
    assert explorer_data.packed([-1, 300]) == base64.b64encode(b"\xff\xff\x2c\x01").decode()
    with pytest.raises(OverflowError, match="40000"):
        explorer_data.packed([1, 40_000])


def test_numbers_of_sentences_are_filled_in():
    body = 'τ is <span data-fact="tau"></span>.'
    assert "0.9" in cell_pages.fill_facts(body, {"tau": "0.9"})
    with pytest.raises(KeyError):
        cell_pages.fill_facts(body, {})


def test_data_are_kept_until_what_they_depend_on_changes(tmp_path, monkeypatch):
    computed = []

    def compute(name):
        computed.append(name)
        return {"x": 1}, {"tau": "0.9"}

    monkeypatch.setattr(cell_pages, "build_data", compute)
    for digest in ("old", "old", "new"):
        cell_pages.write_data(tmp_path / "data", digest)
    assert computed == list(cell_pages.PAGES.values()) * 2
    text = (tmp_path / "data" / "explorer_data.js").read_text(encoding="utf8")
    assert text == 'window.GRAF_EXPLORER = {"x":1};\n'


# --- the built page -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site():
    found = site_dir()
    need(
        (found / "book" / "explorer.html").is_file(),
        f"no explorer in {found}: run `make book` first",
    )
    return found


@pytest.fixture(scope="module")
def data(site):
    text = (site / "_static" / "explorer_data.js").read_text(encoding="utf8")
    return json.loads(text.partition("=")[2].rstrip(";\n"))


def unpack(text: str, dtype: str = "<i2") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_stored_predictions_equal_the_package(data, predictor, features):
    expected = predictor.predict_quantiles(features[ROWS], [0.1, 0.5, 0.9]).T
    for name, values in zip(("low", "predicted", "high"), expected, strict=True):
        np.testing.assert_allclose(unpack(data[name])[ROWS] / 100, values, atol=0.0051)
    assert data["names"] == names()


def test_stored_measurements_equal_the_tables(data, table):
    accuracy = table.target("accuracy")
    np.testing.assert_allclose(unpack(data["accuracy"]) / 100, accuracy, atol=0.0051)
    valid = SPACE.is_valid(CODES)
    better = (accuracy[valid][:, None] > accuracy[ROWS]).sum(axis=0) + 1
    np.testing.assert_array_equal(unpack(data["rank"])[ROWS], np.where(valid[ROWS], better, 0))
    latency = load_table("nb201-cpu-latency", source="embedded")
    stored = unpack(data["latency"])
    assert (stored[~valid] == -1).all()
    np.testing.assert_allclose(
        stored[table.rows(latency.codes)] / 100, latency.target("latency_ms"), atol=0.0051
    )
    fashion = load_table("nb201-fashion", source="embedded")
    robust = unpack(data["robust"]).reshape(len(fashion), -1)
    np.testing.assert_allclose(robust / 100, fashion.targets, atol=0.0051)
    assert unpack(data["robustRows"]).tolist() == table.rows(fashion.codes).tolist()


def test_sizes(site):
    scripts = [site / "_static" / name for name in ("explorer_data.js", "cells.js", "explorer.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) <= LARGEST_DATA
    assert (site / "book" / "explorer.html").stat().st_size <= LARGEST_PAGE


def test_no_number_of_the_text_is_missing(site):
    text = (site / "book" / "explorer.html").read_text(encoding="utf8")
    assert "data-fact" not in text
    assert "explorer_data.js" in text
    other = (site / "book" / "glossary.html").read_text(encoding="utf8")
    assert "explorer_data.js" not in other, "the data burden a page that does not show them"


# --- in a browser, from the folder ----------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(chromium, site):
    opened = open_file(chromium, site, "explorer.html")
    yield opened
    opened.context.close()


def evaluate(tab, script: str, *arguments):
    """What a function of JavaScript returns, passed on as one text (many values are slow)."""
    return json.loads(tab.evaluate(f"argument => JSON.stringify(({script})(argument))", *arguments))


def show(tab, row: int) -> None:
    tab.evaluate(f"grafExplorer.choose(grafCells.cellOf({row}))")


def test_features_in_the_browser_equal_the_package(tab, features):
    script = "rows => rows.map(row => grafExplorer.features(grafCells.cellOf(row)))"
    np.testing.assert_array_equal(evaluate(tab, script, ROWS.tolist()), features[ROWS])


def test_predictions_in_the_browser_equal_the_package(tab, predictor, features):
    numbers = tab.evaluate("rows => rows.map(grafExplorer.numbers)", ROWS.tolist())
    expected = predictor.predict_quantiles(features[ROWS], [0.1, 0.5, 0.9])
    seen = [[each[name] / 100 for name in ("low", "predicted", "high")] for each in numbers]
    np.testing.assert_allclose(seen, expected, atol=0.0051)


def test_paths_and_dead_edges_are_those_of_the_package(tab, features):
    script = """() => Array.from({length: grafCells.N_CELLS}, (_, row) => {
        const cell = grafCells.cellOf(row);
        return [...grafCells.prune(cell), grafCells.livePaths(cell).length, grafCells.rowOf(cell)];
    })"""
    seen = np.array(evaluate(tab, script))
    np.testing.assert_array_equal(seen[:, :6], SPACE.prune(CODES))
    np.testing.assert_array_equal(seen[:, 6], features[:, names().index("live_paths")])
    np.testing.assert_array_equal(seen[:, 7], np.arange(len(CODES)))


def amounts(tab) -> list[float]:
    texts = tab.locator("#explorer-contributions .amount").all_inner_texts()
    return [float(text.replace("−", "-")) for text in texts]


@pytest.mark.parametrize("row", ROWS[:4].tolist())
def test_what_the_page_shows(tab, table, predictor, features, row):
    show(tab, row)
    shown = tab.locator("#explorer .numbers").inner_text()
    low, middle, high = predictor.predict_quantiles(features[[row]], [0.1, 0.5, 0.9])[0]
    for value in (low, middle, high, table.target("accuracy")[row]):
        assert f"{value:.2f}" in shown
    assert ("not among the valid cells" in shown) == (not SPACE.is_valid(CODES[[row]])[0])
    parts = amounts(tab)
    assert sum(parts[:-1]) == pytest.approx(parts[-1], abs=1e-6)
    assert parts[-1] == pytest.approx(middle, abs=0.0051)
    listed = tab.locator("#explorer-features th code").all_text_contents()
    values = map(float, tab.locator("#explorer-features td").all_text_contents())
    expected = dict(zip(names(), features[row], strict=True))
    assert dict(zip(listed, values, strict=True)) == pytest.approx(expected, abs=0.0051)
    twins = (
        SPACE.classes(CODES, zeros="dropped") == SPACE.classes(CODES, zeros="dropped")[row]
    ).sum()
    assert f"{twins - 1:,} twin" in tab.locator("#explorer-twins p").inner_text()
    assert tab.locator("#explorer-neighbours a").count() == 5
    assert not tab.errors


def test_the_address_holds_the_cell(tab):
    show(tab, 0)
    assert tab.url.endswith("#cell=000000")
    tab.get_by_label("Operation on the edge from in to out").select_option(label="conv 3×3")
    assert tab.url.endswith("#cell=002000")
    tab.go_back()
    assert tab.get_by_label("Operation on the edge from in to out").input_value() == "0"
    tab.evaluate("location.hash = '#cell=777777'")  # names no cell: the page stays as it is
    assert tab.get_by_label("Operation on the edge from in to out").input_value() == "0"
    tab.evaluate("location.hash = '#cell=432104'")
    tab.wait_for_function("grafExplorer && document.querySelector('.stage select').value === '4'")
    values = tab.locator(".stage select").evaluate_all("all => all.map(one => one.value)")
    assert values == list("432104")


def test_the_best_change_is_applied(tab, predictor, features):
    row = next(row for row in ROWS.tolist() if SPACE.is_valid(CODES[[row]])[0])
    show(tab, row)
    rows = [int("".join(map(str, code)), 5) for code in SPACE.neighbours(CODES[row]).tolist()]
    best = predictor.predict(features[rows]).max()
    tab.get_by_role("button", name="Apply the best change").click()
    applied = int(re.search(r"#cell=(\d{6})", tab.url)[1], 5)
    assert applied in rows
    assert predictor.predict(features[[applied]])[0] == pytest.approx(best, abs=0.0051)


def test_dead_edges_can_be_removed(tab):
    row = int("201111", 5)  # skip into node 3 leads nowhere
    show(tab, row)
    assert "Dead edges" in tab.locator(".note").inner_text()
    tab.get_by_role("button", name="Remove dead edges").click()
    assert tab.url.endswith("#cell=111111")
    assert not tab.locator(".note").is_visible()


def test_a_path_is_marked(tab):
    show(tab, int("202123", 5))
    paths = tab.locator(".paths button")
    assert paths.all_inner_texts() == [
        "in → out: conv 3×3 (1 convolution)",
        "in → 2 → out: conv 3×3, conv 3×3 (2 convolutions)",
        "in → 3 → out: skip, conv 1×1 (1 convolution)",
    ]
    paths.nth(1).click()
    marked = tab.locator(".stage .marked").evaluate_all("all => all.map(one => one.dataset.edge)")
    assert marked == ["0", "4"]
    assert paths.nth(1).get_attribute("aria-pressed") == "true"


def test_keyboard_and_screen_reader(tab):
    show(tab, 0)
    first = tab.get_by_label("Operation on the edge from in to 2")
    first.focus()
    tab.keyboard.press("ArrowDown")
    assert tab.url.endswith("#cell=100000")
    tab.keyboard.press("Tab")
    tab.keyboard.press("End")
    assert tab.url.endswith("#cell=140000")
    tab.get_by_role("button", name="Random cell").focus()
    tab.keyboard.press("Enter")
    assert not tab.url.endswith("#cell=140000")
    assert re.fullmatch(
        r"Predicted [\d.]+ %, measured [\d.]+ %, rank [\d,]+ of the 9,445 valid cells\.",
        tab.get_by_role("status").inner_text(),
    )
    tab.locator("#explorer-neighbours a").first.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.activeElement.classList.contains('stage')")


def test_a_feature_is_found_by_name(tab):
    tab.get_by_label("Find a feature").fill("flow_n2[conv]")
    visible = tab.locator("#explorer-features tr:visible th code").all_inner_texts()
    assert visible == ["flow_n2[conv]"]
    tab.get_by_label("Find a feature").fill("")


def test_nothing_is_asked_of_another_host(tab):
    assert tab.requests
    assert not [url for url in tab.requests if not url.startswith(("file:", "data:"))]
    assert not tab.errors


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_faults_and_no_sideways_scroll(chromium, site, width, mode):
    tab = open_file(chromium, site, "explorer.html#cell=201111", width, mode)
    tab.get_by_label("Find a feature").fill("n2[conv")  # opens a table
    sizes = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    page, window = tab.evaluate(sizes)
    assert page <= window
    assert tab.evaluate("document.documentElement.dataset.theme") == mode
    if (width, mode) in ((WIDTHS[0], "light"), (WIDTHS[1], "dark")):
        faults = Axe().run(tab, context="main").response["violations"]
        assert not [(fault["id"], fault["nodes"][0]["html"][:120]) for fault in faults]
    tab.context.close()


def test_without_scripts_the_page_says_what_is_missing(chromium, site):
    tab = open_file(chromium, site, "explorer.html", java_script_enabled=False)
    assert "needs JavaScript" in tab.locator("article noscript").inner_text()
    tab.context.close()
