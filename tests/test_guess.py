"""The guessing game: pairs by the rule of the page, a forest that has not seen them, a fair τ."""

from __future__ import annotations

import gzip
import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from site_tools import (
    MODES,
    WIDTHS,
    need,
    open_file,
    open_tab,
    serve,
    site_dir,
)
from sklearn.ensemble import RandomForestRegressor

from graf_utils.datasets import load_table
from graf_utils.features import GRAF, Flow
from graf_utils.metrics import kendall_tau
from graf_utils.spaces import NB201

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))

import explorer_data
import guess_data

SPACE = NB201()
CODES = SPACE.enumerate()
N = 20
LARGEST_PAGE = 1_000_000


# --- the rule -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cells():
    return explorer_data.load_cells()


@pytest.fixture(scope="module")
def accuracy():
    return load_table("nb201-cifar10", source="embedded", valid_only=False).target("accuracy")


@pytest.fixture(scope="module")
def functions():
    """What each cell computes, as text: twins have equal texts."""
    return np.array(SPACE.canonical(CODES, zeros="dropped"))


@pytest.fixture(scope="module")
def gap(cells):
    return guess_data.twin_gap(cells)


@pytest.fixture(scope="module")
def pairs(cells, gap):
    return guess_data.draw_pairs(guess_data.candidates(cells, gap), cells.accuracy)


def test_the_gap_is_what_twins_rarely_exceed(gap, accuracy, functions):
    good = np.flatnonzero(SPACE.is_valid(CODES) & (accuracy >= 88))
    by_function = {}
    for row in good.tolist():
        by_function.setdefault(functions[row], []).append(accuracy[row])
    differences = [abs(a - b) for each in by_function.values() for a, b in combinations(each, 2)]
    assert np.mean(np.array(differences) < gap) == pytest.approx(0.95, abs=0.001)


def test_counting_cannot_tell_the_cells_of_a_pair_apart(pairs):
    a, b = CODES[pairs[:, 0]], CODES[pairs[:, 1]]
    np.testing.assert_array_equal(np.sort(a), np.sort(b))
    np.testing.assert_array_equal(SPACE.cost(a), SPACE.cost(b))
    assert len(np.unique(np.sort(a), axis=0)) == N, "each pair has operations of its own"


def test_pairs_are_valid_good_and_differ_by_more_than_chance(pairs, gap, accuracy, functions):
    assert pairs.shape == (N, 2)
    assert SPACE.is_valid(CODES[pairs.ravel()]).all()
    assert (accuracy[pairs] >= 88).all()
    assert (np.abs(accuracy[pairs[:, 0]] - accuracy[pairs[:, 1]]) > gap).all()
    assert (functions[pairs[:, 0]] != functions[pairs[:, 1]]).all()
    assert (accuracy[pairs[:, 0]] > accuracy[pairs[:, 1]]).sum() == N // 2


def test_candidates_are_all_pairs_that_fit(cells, gap, accuracy, functions):
    rows = [
        row
        for row in np.flatnonzero(SPACE.is_valid(CODES)).tolist()
        if sorted(CODES[row]) == [0, 0, 1, 2, 3, 4] and accuracy[row] >= 88
    ]
    expected = {
        (a, b)
        for a, b in combinations(rows, 2)
        if abs(accuracy[a] - accuracy[b]) > gap and functions[a] != functions[b]
    }
    groups = guess_data.candidates(cells, gap)
    (mine,) = [each for each in groups if sorted(CODES[each[0, 0]]) == [0, 0, 1, 2, 3, 4]]
    assert expected
    assert set(map(tuple, mine.tolist())) == expected


def test_the_forest_learns_from_no_cell_of_a_pair_and_no_twin(cells, pairs, functions):
    train = guess_data.draw_train(cells, pairs)
    assert len(np.unique(train)) == 1024
    assert SPACE.is_valid(CODES[train]).all()
    assert not set(functions[train]) & set(functions[pairs.ravel()])


def test_shares_of_pairs_right():
    class Few:
        accuracy = np.array([1.0, 2.0, 3.0])

    pairs = np.array([[0, 1], [1, 2], [2, 0]])
    assert guess_data.share_right(np.array([5.0, 6.0, 6.0]), Few, pairs) == pytest.approx(2 / 3)


# --- the built page -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site():
    found = site_dir()
    need((found / "book" / "guess.html").is_file(), f"no game in {found}: run `make book` first")
    return found


@pytest.fixture(scope="module")
def data(site):
    text = (site / "_static" / "guess_data.js").read_text(encoding="utf8")
    return json.loads(text.partition("=")[2].rstrip(";\n"))


def chosen(values: np.ndarray, pairs: np.ndarray) -> list[int]:
    """The cell of each pair with the higher value; -1 where they are equal."""
    first, second = values[pairs].T
    return [-1 if a == b else int(b > a) for a, b in zip(first, second, strict=True)]


def test_the_page_has_these_pairs_and_their_truth(data, pairs, accuracy):
    assert data["pairs"] == pairs.tolist()
    np.testing.assert_allclose(data["accuracy"], accuracy[pairs], atol=0.0051)
    shown = np.array(data["accuracy"])
    assert ((shown[:, 0] > shown[:, 1]) == (accuracy[pairs[:, 0]] > accuracy[pairs[:, 1]])).all()


def test_the_forest_says_what_a_forest_says(data, cells, pairs, accuracy):
    train = guess_data.draw_train(cells, pairs)
    X = np.hstack([GRAF("nb201").transform(CODES), Flow("nb201").transform(CODES)])
    forest = RandomForestRegressor(random_state=42).fit(X[train], accuracy[train])
    assert data["forest"] == chosen(forest.predict(X), pairs)


def test_the_proxy_is_the_best_on_the_train_set(data, cells, pairs):
    table = load_table("nb201-cifar10", source="embedded")
    train = table.rows(CODES[guess_data.draw_train(cells, pairs)])
    known = table.target("accuracy")[train]
    taus = {
        name: kendall_tau(table.proxies[name].to_numpy()[train], known) for name in table.proxies
    }
    assert data["proxyName"] == max(taus, key=taus.get)
    rows = np.array([table.rows(CODES[pair]) for pair in pairs])
    assert data["proxy"] == chosen(table.proxies[data["proxyName"]].to_numpy(), rows)


def test_sizes_and_numbers(site):
    page = site / "book" / "guess.html"
    assert page.stat().st_size <= LARGEST_PAGE
    assert "data-fact" not in page.read_text(encoding="utf8")
    scripts = [site / "_static" / name for name in ("guess_data.js", "cells.js", "guess.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < 20_000


# --- in a browser, from the folder ----------------------------------------------------------------


@pytest.fixture
def tab(chromium, site):
    opened = open_file(chromium, site, "guess.html")
    yield opened
    assert not opened.errors
    opened.context.close()


@pytest.fixture
def served(chromium, site):
    """The page from a server: of a file, Chromium may lose what was kept just before a reload."""
    with serve(site) as address:
        opened = open_tab(chromium, address, 1280, "light")
        opened.goto(f"{address}/book/guess.html", wait_until="load")
        yield opened
        assert not opened.errors
        opened.context.close()


def row_of(right: int, wrong: int, unsure: int) -> list[str]:
    tau = f"{(right - wrong) / N:.2f}".replace("-", "−")
    return [str(right), str(wrong), str(unsure), tau]


def expected_row(choices: list[int], data: dict) -> list[str]:
    """Right, wrong, open and τ, counted from the accuracies here."""
    products = [
        0 if choice < 0 else np.sign(a - b) * (1 if choice == 0 else -1)
        for choice, (a, b) in zip(choices, data["accuracy"], strict=True)
    ]
    return row_of(products.count(1), products.count(-1), products.count(0))


def read_result(tab) -> list[list[str]]:
    rows = tab.locator(".result tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in rows]


GUESSES = np.random.default_rng(5).integers(2, size=N).tolist()


def test_twenty_guesses_by_mouse(tab, data):
    for pair, guess in enumerate(GUESSES):
        assert f"Pair {pair + 1} of {N}" in tab.locator(".pair").inner_text()
        tab.locator(".choice").nth(guess).click()
        shown = [float(text.split(" %")[0]) for text in tab.locator(".verdict").all_inner_texts()]
        assert shown == pytest.approx(data["accuracy"][pair])
        right = shown[guess] == max(shown)
        answer = tab.get_by_role("status").inner_text()
        assert answer.startswith("Right." if right else "Wrong.")
        assert f"forest says {'AB'[data['forest'][pair]]}" in answer
        tab.locator(".plain").click()
    players = (GUESSES, data["proxy"], data["forest"])
    assert read_result(tab) == [expected_row(choices, data) for choices in players]
    assert tab.locator(".all-pairs tbody tr").count() == N
    tab.get_by_role("button", name="Start again").click()
    assert f"Pair 1 of {N}" in tab.locator(".pair").inner_text()
    assert not [url for url in tab.requests if not url.startswith(("file:", "data:"))]


def test_twenty_guesses_by_keyboard_with_a_break(served, data):
    served.locator(".choice").first.focus()
    for guess in GUESSES[:7]:
        served.keyboard.press("ab"[guess])
        served.keyboard.press("Enter")  # the focus is on "Next pair"
    assert f"Pair 8 of {N}" in served.locator(".pair").inner_text()
    served.reload(wait_until="load")
    assert f"Pair 8 of {N}" in served.locator(".pair").inner_text(), "the guesses are kept"
    served.locator(".choice").nth(GUESSES[7]).press("Enter")
    served.locator(".choice").nth(1 - GUESSES[7]).click(force=True)  # a second guess does not count
    served.locator(".plain").press("Enter")
    for guess in GUESSES[8:]:
        served.keyboard.press("ab"[guess])
        served.keyboard.press("Enter")
    assert read_result(served)[0] == expected_row(GUESSES, data)
    assert served.evaluate("document.activeElement.className") == "pair"


def test_a_damaged_memory_is_no_harm(served):
    served.locator(".choice").first.click()
    served.evaluate("for (const key of Object.keys(localStorage)) "
                 "if (key.startsWith('graf-guess')) localStorage[key] = '01x'")  # fmt: skip
    served.reload(wait_until="load")
    assert served.evaluate("Object.values(localStorage).includes('01x')")
    assert f"Pair 1 of {N}" in served.locator(".pair").inner_text()


def test_a_cell_opens_in_the_explorer(tab, data):
    for guess in GUESSES:
        tab.locator(".choice").nth(guess).click()
        tab.locator(".plain").click()
    tab.locator("details > summary").click()
    tab.locator(".all-pairs a").first.click()
    tab.wait_for_function("window.grafExplorer !== undefined")
    code = "".join(map(str, CODES[data["pairs"][0][0]]))
    assert tab.url.endswith(f"explorer.html#cell={code}")
    values = tab.locator(".stage select").evaluate_all("all => all.map(one => one.value)")
    assert values == list(code)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_faults_and_no_sideways_scroll(chromium, site, width, mode):
    tab = open_file(chromium, site, "guess.html", width, mode)
    is_light = mode == "light"
    for pair in range(1 if is_light else N):  # an answer in the light, the result in the dark
        tab.locator(".choice").nth(pair % 2).click()
        if not is_light:
            tab.locator(".plain").click()
    if not is_light:
        tab.locator("details > summary").click()
    sizes = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    page, window = tab.evaluate(sizes)
    assert page <= window
    if (width, mode) in ((WIDTHS[0], "dark"), (WIDTHS[1], "light")):
        faults = Axe().run(tab, context="main").response["violations"]
        assert not [(fault["id"], fault["nodes"][0]["html"][:120]) for fault in faults]
    assert not tab.errors
    tab.context.close()


def test_without_scripts_the_page_says_what_is_missing(chromium, site):
    tab = open_file(chromium, site, "guess.html", java_script_enabled=False)
    assert "needs JavaScript" in tab.locator("article noscript").inner_text()
    tab.context.close()
