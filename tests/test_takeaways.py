"""Take-aways of chapters are computed from the tables that they summarise, against all of them.

The cells that read committed results are run here, and what they keep for the prose is compared
with the same figure computed another way.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from statistics import mean, median

import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from graf_utils import plots
from graf_utils.datasets import load_table
from graf_utils.evaluation import evaluate
from graf_utils.registry import data_path

NOTEBOOKS = data_path().parent / "notebooks"


def run_cells(chapter, first_words):
    """Run the cells that begin with these words, in order; return what they glue and check."""
    cells = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    kept, claims = {}, {}

    class Ledger:
        def __init__(self, name):
            pass

        def check(self, id, claim, **arguments):
            claims[id] = arguments | {"claim": claim}

    stand_ins = {
        "glue": lambda **values: kept.update(values),
        "Ledger": Ledger,
        "ledger": Ledger(chapter),
        "display": lambda shown: None,
    }
    names = {}
    for words in first_words:
        (source,) = [source for source in sources if source.startswith(words)]
        exec(source, names)
        names |= stand_ins  # the first cell imports the real ones
    plt.close("all")
    return kept, claims


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


@pytest.fixture(scope="module")
def tasks():
    words = ["import time", "start =", "costs = {", "ten = chips", "linear = kept", "joint = at"]
    return run_cells("09_other_tasks", [*words, "at_large =", "first = at_large"])


CHIPS = {"table": "nb201-hardware-cifar10", "train_size": 1024}


def test_zero_cost_proxies_are_judged_by_all_thirteen(tasks):
    kept, claims = tasks
    assert "hw-graf-size" not in claims
    tau = means(rows("paper_tasks", predictor="rf", **CHIPS), "target", "encoding")
    targets = sorted({target for target, _ in tau})
    ahead = [tau[target, "graf"] > tau[target, "zcp"] for target in targets]
    assert claims["hw-graf-zcp"]["ours"].startswith(f"ahead on {sum(ahead)} of {len(targets)};")
    assert sorted(claims["hw-graf-zcp"]["holds"]) == sorted(ahead)
    assert "13" in claims["hw-graf-zcp"]["claim"]


def test_who_is_first_on_which_cost(tasks):
    kept, _ = tasks
    tau = means(rows("paper_tasks", predictor="rf", **CHIPS), "target", "encoding")
    four = ("one-hot", "flops+params", "graf", "zcp")
    targets = {target for target, _ in tau}
    first = [max(four, key=lambda encoding: tau[target, encoding]) for target in targets]
    assert kept["onehot_first"].count(";") + 1 == first.count("one-hot")
    assert kept["size_first"].count(";") + 1 == first.count("flops+params")
    assert (kept["graf_first"], kept["zcp_first"]) == (first.count("graf"), first.count("zcp"))


def test_a_linear_model_is_compared_with_every_forest(tasks):
    kept, _ = tasks
    best = {}
    for predictor in ("rf", "ridge"):
        tau = means(rows("paper_tasks", predictor=predictor, **CHIPS), "target", "encoding")
        for (target, _), value in tau.items():
            best[predictor, target] = max(value, best.get((predictor, target), -1.0))
    targets = {target for _, target in best}
    ahead = [t for t in targets if best["ridge", t] > best["rf", t]]
    assert kept["n_linear"] == len(ahead) == kept["linear_names"].count(";") + 1
    assert "edge GPU, latency" not in kept["linear_names"]  # GRAF + one-hot is ahead there


def test_joint_encodings_are_compared_on_the_splits_they_share(tasks):
    kept, _ = tasks
    taus = defaultdict(dict)
    for row in rows("paper_tasks", predictor="rf", **CHIPS):
        taus[row["target"], row["data_seed"]][row["encoding"]] = row["kendall_tau"]
    shared = [(key, tau) for key, tau in taus.items() if len(tau) == 6]
    assert kept["joint_seeds"] == len({seed for (_, seed), _ in shared})
    gains, shorts = [], []
    for target in {target for (target, _), _ in shared}:
        of = [tau for (name, _), tau in shared if name == target]
        at = {encoding: mean(tau[encoding] for tau in of) for encoding in of[0]}
        gains.append(at["graf+one-hot"] - max(at["graf"], at["one-hot"]))
        shorts.append(max(at.values()) - at["graf+one-hot"])
    assert kept["joint_low"] == pytest.approx(min(gains))
    assert kept["joint_high"] == pytest.approx(max(gains))
    assert kept["joint_short"] == pytest.approx(max(shorts))


def test_the_best_forest_is_the_best_of_all_tables():
    words = ["import time", "full = pd", "ran = main", "trees = pd", "tasks = pd", "alone, best"]
    kept, _ = run_cells("10_brp_nas", words)
    graph_fits = rows("brpnas_tasks", target="edgegpu_latency", predictor="brp-nas")
    seeds = {row["data_seed"] for row in graph_fits}
    forests = defaultdict(dict)
    for name in ("brpnas_tasks", "paper_tasks"):
        for row in rows(name, target="edgegpu_latency", predictor="rf", train_size=1024):
            if row["data_seed"] in seeds:
                forests[row["encoding"]][row["data_seed"]] = row["kendall_tau"]
    taus = {encoding: median(tau.values()) for encoding, tau in forests.items()}
    best = max(taus, key=taus.get)
    assert kept["gpu_rf"] == pytest.approx(taus[best])
    assert kept["gpu_rf_on"] == plots.look(best).label == "GRAF + one-hot"
    assert round(kept["gpu_rf"], 3) == 0.864


def test_the_chain_on_which_one_hot_is_ahead_is_named():
    kept, _ = run_cells("04_search_spaces", ["import time", "fits = pd"])
    tau = means(rows("paper_chain"), "train_size", "encoding")
    ahead = [n for n in (32, 128, 1024) if tau[n, "one-hot"] > tau[n, "graf"]]
    assert kept["onehot_ahead"] == " and ".join(f"{n:,}" for n in ahead) == "128 and 1,024"
    assert kept["chain_graf"] == pytest.approx(tau[1024, "graf"])


@pytest.mark.paper
def test_the_fits_on_the_chain_come_out_again(paper_dir):
    table = load_table("nas-bench-macro", source="paper")
    again = evaluate(table, "accuracy", ["graf", "one-hot"], "rf", 32, 42, progress=False)
    for row in again.to_dict("records"):
        (kept,) = rows("paper_chain", encoding=row["encoding"], train_size=32, data_seed=42)
        assert row["kendall_tau"] == pytest.approx(kept["kendall_tau"], abs=1e-6)


def test_sizes_at_which_an_encoding_is_ahead():
    words = ["import time", "ours = pd", "best_of =", "lead =", "ten = ours"]
    kept, claims = run_cells("03_predictors", words)
    tau = means(rows("paper_nb201", predictor="rf"), "train_size", "encoding")
    ahead = [f"{n:,}" for n in (32, 128, 1024) if tau[n, "graf"] > tau[n, "zcp"]]
    assert kept["graf_ahead"] == ", ".join(ahead)
    assert kept["graf_behind"] in claims["graf-beats-zcp"]["reason"]
    four = ("one-hot", "zcp", "graf", "zcp+graf")
    best = [max(four, key=lambda e: tau[n, e]) for n in (32, 128, 1024)]
    assert kept["n_best"] == f"{best.count('zcp+graf')} of 3"
    fits = [
        row
        for row in rows("paper_nb201", encoding="zcp+graf", train_size=1024)
        if 42 <= row["data_seed"] <= 51
    ]
    taus = means(fits, "predictor")
    assert kept["tau_best"] == pytest.approx(max(taus.values()))
    assert (kept["best_fit"],) == max(taus, key=taus.get)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("0*.ipynb")), ids=lambda path: path.stem)
def test_prose_names_only_what_a_cell_keeps(path):
    """Every {glue:text} of the prose is kept by a cell; f-strings of `glue` count by pattern."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    prose = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    patterns = [re.escape(name) for name in re.findall(r"(\w+)=", code)]
    for template in re.findall(r'f"(\w*\{\w+\}[\w{}]*)":', code):
        patterns.append(re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(template)))
    kept = re.compile("|".join(patterns))
    missing = [n for n in re.findall(r"\{glue:text\}`(\w+)", prose) if not kept.fullmatch(n)]
    assert not missing
