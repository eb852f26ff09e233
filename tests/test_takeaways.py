"""Take-aways of chapters are computed from the tables that they summarise, against all of them.

The cells that read committed results are run here, and what they keep for the prose is compared
with the same figure computed another way.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from statistics import mean

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import chapters
from chapters import is_drawing, listen
from scipy.stats import spearmanr

from graf_utils.chapter import Chapter
from graf_utils.datasets import load_table
from graf_utils.evaluation import evaluate
from graf_utils.registry import data_path

NOTEBOOKS = data_path().parent / "notebooks"


def rows(name, **levels):
    """Rows of a committed results table as dictionaries."""
    table = pd.read_parquet(data_path("results", f"{name}.parquet"))
    records = table.to_dict("records")
    return [row for row in records if all(row[key] == value for key, value in levels.items())]


def means(records, *keys):
    """Mean τ by hand: a dictionary from the values of `keys`."""
    groups = defaultdict(list)
    for row in records:
        groups[tuple(row[key] for key in keys)].append(row["kendall_tau"])
    return {key: mean(values) for key, values in groups.items()}


@pytest.mark.slow
def test_proxies_are_judged_within_groups(monkeypatch):
    """Group by group with scipy, from the codes of the cells."""
    said = listen(monkeypatch)
    names = chapters.run_cells(
        NOTEBOOKS / "01_zero_cost_proxies.ipynb",
        lambda cell: is_drawing(cell) or cell["id"].startswith(("zcp-pairs", "zcp-own")),
        parameters={"DATA_SEEDS": range(1)},
    )
    table = load_table("nb201-cifar10")
    n_conv = (table.codes == 2).sum(axis=1) + (table.codes == 3).sum(axis=1)
    y = np.asarray(table.target("accuracy"))

    def within(scores):
        groups = [np.flatnonzero(n_conv == k) for k in range(7)]
        rhos = [spearmanr(np.asarray(scores)[rows], y[rows]).statistic for rows in groups]
        return sum(len(rows) * rho for rows, rho in zip(groups, rhos, strict=True)) / len(y)

    text = said[-1]  # said last, shown first
    assert f"`nwot` is left with {within(table.proxies['nwot']):.2f} on average." in text
    rhos = {name: spearmanr(column, y).statistic for name, column in table.proxies.items()}
    counted = spearmanr(n_conv, y).statistic
    n_beaten = sum(rho <= counted for rho in rhos.values())
    assert max(rhos, key=rhos.get) == "nwot"
    assert f"{n_beaten} of the thirteen rank no better than counting convolutions does." in text
    assert f"{rhos['nwot']:.2f}, the count with {counted:.2f}." in text
    three_by_three = ((table.codes != 3) & (table.codes != 4)).sum(axis=1)  # 4: pooling
    assert names["leader"] == "mean_in_degree[skip_connect+none+nor_conv_3x3]"
    kept = f"`{names['leader']}` keeps most, {within(three_by_three):.2f};"
    assert kept in "\n".join(said)


def test_the_chain_on_which_one_hot_is_ahead_is_named(monkeypatch):
    said = listen(monkeypatch)
    notebook = NOTEBOOKS / "04_search_spaces.ipynb"
    cells = ("spaces-begin", "spaces-imports", "spaces-chain-read", "spaces-chain-said")
    chapters.run_cells(notebook, lambda cell: cell["id"] not in cells)
    tau = means(rows("paper_chain"), "train_size", "encoding")
    ahead = [n for n in (32, 128, 1024) if tau[n, "one-hot"] > tau[n, "graf"]]
    named = " and ".join(f"{n:,}" for n in ahead)
    assert named == "128 and 1,024"
    assert f"One-hot is ahead with {named} training networks" in said[-1]
    assert f"with 1,024 GRAF {tau[1024, 'graf']:.3f} and" in said[-1]


@pytest.mark.slow
def test_the_chapter_on_spaces_says_what_it_computes(monkeypatch):
    said = listen(monkeypatch)
    parameters = {"SPACES": ["nb101", "tnb101-micro"], "In": ["", "@feature_family(...)\n\n1", ""]}
    notebook = NOTEBOOKS / "04_search_spaces.ipynb"
    names = chapters.run_cells(notebook, is_drawing, parameters=parameters)
    text = "\n".join(said)
    assert "423,624 architectures of NAS-Bench-101 take" in text
    assert "These are 2 lines. They give 6,561 architectures 13 features, and 240" in text
    cells = names["chain"].enumerate().tolist()
    kinds = {tuple(sorted(c[:2])) + tuple(sorted(c[2:5])) + tuple(sorted(c[5:])) for c in cells}
    assert f"{len(kinds)} instead of 240" in text
    assert "423,624 rows × 47 columns × 4 bytes are 80 MB" in text


def test_a_chapter_without_a_space_that_can_be_listed_says_what_to_add(monkeypatch):
    listen(monkeypatch)
    notebook = NOTEBOOKS / "04_search_spaces.ipynb"
    with pytest.raises(ValueError, match=r"SPACES=\['darts'\]: add one that can be listed"):
        chapters.run_cells(notebook, is_drawing, parameters={"SPACES": ["darts"]})


@pytest.mark.paper
def test_the_fits_on_the_chain_come_out_again(paper_dir):
    table = load_table("nas-bench-macro", source="paper")
    again = evaluate(table, "accuracy", ["graf", "one-hot"], "rf", 32, 42, progress=False)
    for row in again.to_dict("records"):
        (kept,) = rows("paper_chain", encoding=row["encoding"], train_size=32, data_seed=42)
        assert row["kendall_tau"] == pytest.approx(kept["kendall_tau"], abs=1e-6)


def run_predictors(patch, *without, **parameters):
    """What the chapter on predictors says, its claims by id, and what it keeps for other pages."""
    said, kept = listen(patch), {}
    patch.setattr(Chapter, "glue", lambda self, **values: kept.update(values))
    names = chapters.run_cells(
        NOTEBOOKS / "03_predictors.ipynb",
        lambda cell: is_drawing(cell) or cell["id"].startswith(without),
        stop="pred-adapt" if without else None,
        parameters=parameters,
    )
    return "\n".join(said), {claim.id: claim for claim in names["page"].ledger.claims}, kept


FITTED = ("pred-once", "pred-evaluate", "pred-gaps", "pred-compare")


def test_sizes_at_which_an_encoding_is_ahead(monkeypatch):
    """The part on the published tables; `listed` is defined by a cell that is left out."""
    some = {"listed": lambda values, digits: ""}
    said, claims, kept = run_predictors(monkeypatch, *FITTED, "pred-adapted", **some)
    tau = means(rows("paper_nb201", predictor="rf"), "train_size", "encoding")
    sizes = (32, 128, 1024)
    ahead = ", ".join(f"{n:,}" for n in sizes if tau[n, "graf"] > tau[n, "zcp"])
    behind = ", ".join(f"{n:,}" for n in sizes if tau[n, "graf"] < tau[n, "zcp"])
    words = f"is ahead of the proxies with {ahead} training networks, behind with {behind}."
    assert words in said
    assert behind in claims["graf-beats-zcp"].reason
    four = ("one-hot", "zcp", "graf", "zcp+graf")
    best = [max(four, key=lambda e: tau[n, e]) for n in sizes]
    missed = [f"N={n}" for n, name in zip(sizes, best, strict=True) if name != "zcp+graf"]
    assert claims["zcp-graf-best"].missed == "; ".join(missed)
    assert kept["n_answer"] == "1,024"
    assert kept["tau_one"] == pytest.approx(tau[1024, "one-hot"])
    assert kept["tau_both"] == pytest.approx(tau[1024, "zcp+graf"])
    fits = [
        row
        for row in rows("paper_nb201", encoding="zcp+graf", train_size=1024)
        if 42 <= row["data_seed"] <= 51
    ]
    taus = means(fits, "predictor")
    words = f"`graf-xgb` reaches {taus['graf-xgb',]:.3f} with 1,024 networks where XGB+ reaches "
    assert f"{words}{taus['xgb+',]:.3f}" in said


@pytest.mark.slow
def test_the_chapter_on_predictors_runs_to_its_end_with_few_fits(monkeypatch):
    few = {"TRAIN_SIZES": [16, 32], "DATA_SEEDS": range(2), "N_JOBS": 1}
    said, claims, _ = run_predictors(monkeypatch, **few)
    fits = rows("paper_nb201", encoding="zcp+graf", train_size=1024)
    taus = means([row for row in fits if 42 <= row["data_seed"] <= 51], "predictor")
    (best,) = max(taus, key=taus.get)
    assert f"Of the {len(taus)} predictors that we ran on ZCP + GRAF, `{best}` has the" in said
    assert set(claims["graf-beats-simple"].ours.split(": ")[0].split("; ")) == {"N=16"}
    assert "**In short.**" in said
    assert not re.search(r"\bnan\b|\{[A-Za-z][\w:+.-]*\}`", said)


PASTED = re.compile(r"\{glue:text\}`\.\./notebooks/(\w+)\.ipynb::(\w+)")


def kept_names(notebook):
    """What a chapter keeps for other pages, as a pattern: names and f-strings of `glue`."""
    cells = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    patterns = [re.escape(name) for name in re.findall(r"(\w+)=", code)]
    for template in re.findall(r'f"(\w*\{\w+\}[\w{}]*)":', code):
        patterns.append(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(template)))
    return re.compile("|".join([*patterns, "run_seconds"]))  # which `finish` keeps


def test_pages_paste_only_what_a_chapter_keeps():
    pages = (NOTEBOOKS.parent / "book").glob("*.md")
    pasted = [match for page in pages for match in PASTED.findall(page.read_text("utf8"))]
    assert len(pasted) > 40
    assert [(book, name) for book, name in pasted if not kept_names(book).fullmatch(name)] == []
