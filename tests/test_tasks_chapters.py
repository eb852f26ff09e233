"""The chapters on hardware, robustness and other tasks: what they say, computed another way.

The cells are run here one after the other; those that fit are run in slow tests, with few seeds.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from statistics import mean

import numpy as np
import pandas as pd
import pytest
from chapters import is_drawing, listen, run_cells
from scipy.stats import kendalltau

from graf_utils import load_table
from graf_utils import published as published_module
from graf_utils.registry import data_path

NOTEBOOKS = data_path().parent / "notebooks"
LARGEST = 1024
CIFAR10 = "nb201-hardware-cifar10"
FOUR = ("one-hot", "flops+params", "graf", "zcp")
DEVICES = {
    "edgegpu": "edge GPU", "raspi4": "Raspberry Pi", "edgetpu": "edge TPU", "pixel3": "Pixel 3",
    "eyeriss": "Eyeriss", "fpga": "FPGA", "arithmetic_intensity": "arithm. intensity",
}  # fmt: skip
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD", "aa_apgd-ce": "APGD", "aa_square": "Square"}
FITTED = ("tasks-fashion-fits", "tasks-fashion-said", "tasks-analog-fits", "tasks-analog-table",
          "tasks-analog-said")  # fmt: skip


def run(patch, name, results=None, *, without=(), **options):
    """Run a chapter, on other fits if they are given: what it says, its claims, its names."""
    said = listen(patch)
    if results is not None:
        patch.setattr(published_module, "paper_results", lambda: results.copy())
    notebook = NOTEBOOKS / f"{name}.ipynb"
    names = run_cells(notebook, lambda c: is_drawing(c) or c["id"] in without, **options)
    return "\n".join(said), {claim.id: claim for claim in names["page"].ledger.claims}, names


def read(part):
    """What a chapter says of committed results."""
    with pytest.MonkeyPatch.context() as patch:
        return run(patch, **part)


HARDWARE = {"name": "07_hardware", "stop": "hw-cpu-fits"}
ROBUSTNESS = {"name": "08_robustness", "stop": "rob-fashion-fits"}
TASKS = {"name": "09_other_tasks", "without": FITTED, "stop": "tasks-adapt-code"}


@pytest.fixture(scope="module")
def hardware():
    return read(HARDWARE)


@pytest.fixture(scope="module")
def robustness():
    return read(ROBUSTNESS)


@pytest.fixture(scope="module")
def tasks():
    return read(TASKS)


def taus(predictor="rf", train_size=LARGEST):
    """τ by table, target, encoding and data seed, from the files; the first that has it counts."""
    found = defaultdict(dict)
    for name in published_module.RESULTS:
        for row in pd.read_parquet(data_path("results", f"{name}.parquet")).to_dict("records"):
            if (row["predictor"], row["train_size"], row["source"]) == (
                predictor, train_size, "paper",
            ):  # fmt: skip
                key = row["table"], row["target"], row["encoding"]
                found[key].setdefault(row["data_seed"], row["kendall_tau"])
    return found


def means(table, **options):
    """Mean τ of each target and encoding of a table."""
    return {
        key[1:]: mean(seeds.values()) for key, seeds in taus(**options).items() if key[0] == table
    }


def cost_of(target):
    device, kind = target.split("_", 1)
    return f"{DEVICES[device]} {DEVICES.get(kind, kind)}"


def parts_of(text):
    """Names and numbers of a claim box."""
    return {name: float(x) for name, _, x in (p.rpartition(": ") for p in text.split("; "))}


# --- claims ---------------------------------------------------------------------------------------


def test_every_claim_of_the_three_chapters_stands_once(hardware, robustness, tasks):
    ids = [id for _, claims, _ in (hardware, robustness, tasks) for id in claims]
    assert sorted(ids) == sorted([
        "hw-graf-onehot", "hw-graf-zcp", "hw-datasets", "robust-graf", "robust-both",
        "tnb-class_scene-one-hot", "tnb-class_scene-zcp", "tnb-class_scene-graf",
        "tnb-class_scene-zcp+graf", "tnb-autoencoder-graf", "tnb-room_layout-graf",
        "tnb-graf-ahead", "tnb-seven",
    ])  # fmt: skip
    for _, claims, _ in (hardware, robustness, tasks):
        for claim in claims.values():
            assert claim.link.startswith("https://")
            assert claim.kind in ("statement", "stored")


@pytest.mark.parametrize("rival", ["one-hot", "zcp"])
def test_rivals_on_hardware_are_judged_on_all_costs(hardware, rival):
    _, claims, _ = hardware
    tau = means(CIFAR10)
    targets = {target for target, _ in tau}
    ahead = {target for target in targets if tau[target, "graf"] > tau[target, rival]}
    claim = claims[f"hw-graf-{rival.replace('-', '')}"]
    assert claim.ours.startswith(f"ahead on {len(ahead)} of {len(targets)}; behind on: ")
    for target in targets:
        assert (cost_of(target) in claim.ours) == (target not in ahead)
        assert (cost_of(target) in claim.missed) == (target not in ahead)
    assert ("13" in claim.claim) == (rival == "zcp")


def test_other_data_sets_are_all_there(hardware):
    _, claims, _ = hardware
    gaps = {}
    for data, words in (("cifar100", "CIFAR-100"), ("imagenet16-120", "ImageNet16-120")):
        tau = means(f"nb201-hardware-{data}")
        for target in {target for target, _ in tau}:
            gap = tau[target, "graf"] - tau[target, "one-hot"]
            gaps[f"{cost_of(target)} on {words}"] = gap
    claim = claims["hw-datasets"]
    assert parts_of(claim.ours) == pytest.approx(gaps, abs=0.0006)
    assert len(gaps) == 20
    behind = [name for name, gap in gaps.items() if gap <= 0]
    assert all(name in claim.missed for name in behind)
    assert claim.verdict == ("holds" if not behind else "holds in part")


@pytest.mark.parametrize("id", ["robust-graf", "robust-both"])
def test_robustness_is_judged_at_all_attacks_and_strengths(robustness, id):
    _, claims, _ = robustness
    best, others = {"robust-graf": ("graf", ("one-hot", "zcp")),
                    "robust-both": ("zcp+graf", ("zcp", "graf"))}[id]  # fmt: skip
    tau = means("nb201-robustness")
    gaps = {}
    for target in {target for target, _ in tau} - {"accuracy"}:
        name, _, eps = target.partition("@Linf_eps-")
        gap = tau[target, best] - max(tau[target, other] for other in others)
        gaps[f"{ATTACKS[name]}, ε {float(eps):g}"] = gap
    assert parts_of(claims[id].ours) == pytest.approx(gaps, abs=0.0006)
    assert len(gaps) == 12
    assert (claims[id].verdict == "holds") == all(gap > 0 for gap in gaps.values())


def test_seven_tasks_are_judged(tasks):
    _, claims, _ = tasks
    tau = means("tnb101-micro")
    gaps = [tau[target, "graf"] - tau[target, "one-hot"] for target in {t for t, _ in tau}]
    shown = sorted(parts_of(claims["tnb-seven"].ours).values())
    assert shown == pytest.approx(sorted(gaps), abs=0.0006)
    assert len(gaps) == 7


# --- hardware -------------------------------------------------------------------------------------


def test_who_is_first_on_which_cost(hardware):
    said, _, _ = hardware
    tau = means(CIFAR10)
    targets = {target for target, _ in tau}
    first = {target: max(FOUR, key=lambda e: tau[target, e]) for target in targets}
    counts = list(first.values())
    assert f"GRAF is first of the four on {counts.count('graf')} of {len(targets)} costs" in said
    for encoding, words in (("one-hot", r"One-hot is"), ("flops+params", r"FLOPs and parameters "
                            r"are"), ("zcp", r"The 13 proxies are")):  # fmt: skip
        names = re.search(rf"{words} first on: (.*?)\.( |$)", said, re.MULTILINE)[1].split(", ")
        assert {n for n in names if n != "none"} == {
            cost_of(target) for target, best in first.items() if best == encoding
        }


def test_a_linear_model_is_compared_with_every_forest(hardware):
    said, _, _ = hardware
    best = {}
    for predictor in ("rf", "ridge"):
        for (target, _), tau in means(CIFAR10, predictor=predictor).items():
            best[predictor, target] = max(tau, best.get((predictor, target), -1.0))
    targets = {target for _, target in best}
    ahead = {cost_of(t) for t in targets if best["ridge", t] > best["rf", t]}
    found = re.search(r"ahead of every forest that we ran on (\d+) of (\d+) costs: (.*)\.\n?", said)
    assert (int(found[1]), int(found[2])) == (len(ahead), len(targets))
    assert set(found[3].split(", ")) == ahead
    assert "edge GPU latency" not in ahead  # GRAF + one-hot is ahead there


def test_joint_encodings_are_compared_on_the_splits_they_share(hardware):
    said, _, names = hardware
    gains, shorts, added = {}, [], []
    every = defaultdict(dict)
    for (table, target, encoding), seeds in taus().items():
        if table == CIFAR10:
            every[target][encoding] = seeds
    for target, of in every.items():
        shared = set.intersection(*map(set, of.values()))
        if len(of) < 6 or not shared:
            continue
        at = {encoding: mean(seeds[s] for s in shared) for encoding, seeds in of.items()}
        gains[cost_of(target)] = at["graf+one-hot"] - max(at["graf"], at["one-hot"])
        shorts.append(max(at.values()) - at["graf+one-hot"])
        added.append(at["zcp+graf"] - at["graf"])
    low, high = min(gains, key=gains.get), max(gains, key=gains.get)
    assert f"between {gains[low]:+.3f} ({low}) and {gains[high]:+.3f} ({high}) from" in said
    assert f"at most {max(shorts):.3f} behind the best of all 6" in said
    assert f"change τ by {min(added):+.3f} to {max(added):+.3f}." in said
    assert len(names["joint"]) == len(gains)


def test_shares_of_importance_are_those_of_the_file(hardware):
    _, _, names = hardware
    sums = defaultdict(lambda: defaultdict(float))
    rows = pd.read_parquet(data_path("results", "importances_nb201.parquet"))
    for row in rows[(rows["table"] == CIFAR10) & (rows["method"] == "shap")].to_dict("records"):
        prefix = row["feature"].partition("[")[0]
        kind = "paths" if "path" in prefix else "ends" if "put" in prefix else "counts"
        sums[cost_of(row["target"])][kind] += row["importance"]
    assert len(sums) == len(names["shares"]) == 10
    for cost, of in sums.items():
        for kind, value in of.items():
            share = 100 * value / sum(of.values())
            assert names["shares"].loc[cost, kind] == pytest.approx(share, abs=0.01)


def test_the_words_turn_when_the_results_do(hardware, monkeypatch):
    """One-hot's fits under the name of GRAF, and the other way round."""
    fits = published_module.paper_results()
    swap = {"graf": "one-hot", "one-hot": "graf"}
    turned = fits.assign(encoding=fits["encoding"].map(lambda name: swap.get(name, name)))
    _, claims, _ = run(monkeypatch, results=turned, **HARDWARE)
    before = int(re.match(r"ahead on (\d+)", hardware[1]["hw-graf-onehot"].ours)[1])
    assert claims["hw-graf-onehot"].ours.startswith(f"ahead on {10 - before} of 10;")
    assert claims["hw-graf-onehot"].verdict == "fails"


def test_without_fits_on_other_data_sets_the_claim_is_untested(monkeypatch):
    fits = published_module.paper_results()
    part = fits[~fits["table"].isin(["nb201-hardware-cifar100", "nb201-hardware-imagenet16-120"])]
    _, claims, _ = run(monkeypatch, results=part, **HARDWARE | {"stop": "hw-data-said"})
    assert claims["hw-datasets"].verdict == "cannot be tested here"


# --- robustness and noise -------------------------------------------------------------------------


def test_the_hardest_attack_is_named(robustness):
    said, _, _ = robustness
    tau = means("nb201-robustness")
    of = {t: tau[t, "graf"] for t, e in tau if e == "graf" and t != "accuracy"}
    name, _, eps = min(of, key=of.get).partition("@Linf_eps-")
    sentence = re.search(r"Hardest is (\w+) with ε = ([\d.]+): .* GRAF ([\d.]+), both", said)
    assert sentence.groups() == (ATTACKS[name], eps, f"{min(of.values()):.3f}")


@pytest.fixture(scope="module")
def noise():
    """The whole chapter, with small train sets and one seed."""
    few = {"TRAIN_SIZE": 32, "DATA_SEEDS": range(1), "LUCK_SEEDS": range(1), "SHARES": (1.0, 0.5)}
    with pytest.MonkeyPatch.context() as patch:
        return run(patch, "08_robustness", parameters=few)


@pytest.mark.slow
def test_the_formulas_are_those_of_normal_numbers(noise):
    """Simulated: a mean of each network and the luck of two trainings."""
    _, _, names = noise
    random = np.random.default_rng(0)
    for share in (0.2, 0.8):
        truth = math.sqrt(share) * random.normal(size=20_000)
        one, two = (truth + math.sqrt(1 - share) * random.normal(size=20_000) for _ in "ab")
        assert names["tau_of"](share) == pytest.approx(kendalltau(one, two).statistic, abs=0.01)
        perfect = names["tau_of"](math.sqrt(share))
        assert perfect == pytest.approx(kendalltau(truth, one).statistic, abs=0.01)


@pytest.mark.slow
def test_second_trainings_are_those_of_the_table(noise):
    said, _, names = noise
    table = load_table("nb201-fashion-seeds")
    for target, name in names["HIT"].items():
        tau = kendalltau(table.target(f"{target}_seed0"), table.target(f"{target}_seed1"))
        assert names["second"][name] == pytest.approx(tau.statistic)
    worst = min(names["HIT"].values(), key=lambda name: names["second"][name])
    assert f"At the other end is *{worst}*" in said
    runs = pd.read_parquet(data_path("results", "cpu_latency_repeats.parquet"))
    a, b = (runs[runs["run"] == run].set_index("architecture")["latency_ms"] for run in "ab")
    assert names["limits"]["second"] == pytest.approx(kendalltau(a, b.loc[a.index]).statistic)


@pytest.mark.slow
def test_noise_leaves_the_share_that_it_says(noise):
    _, _, names = noise
    for r in (1.0, 0.5):
        with_noise, true = (names["noisy"].target(c) for c in (f"r = {r:g}", "true"))
        assert np.corrcoef(with_noise, true)[0, 1] ** 2 == pytest.approx(r, abs=0.02)
        assert np.var(with_noise) == pytest.approx(1, abs=0.02)


# --- other tasks ----------------------------------------------------------------------------------


def test_tasks_and_twins_are_compared(tasks):
    said, _, _ = tasks
    tau = means("tnb101-micro")
    file = pd.read_parquet(data_path("results", "flow_ceiling.parquet"))
    twins = file[file["table"] == "tnb101-micro"].set_index("target")["kendall_tau"]
    over = [tau[t, "graf"] - twins[t] for t in {t for t, _ in tau}]
    assert f"GRAF differs from it by {min(over):+.3f} to {max(over):+.3f} and" in said
    assert f"above it on {sum(gap > 0 for gap in over)} of 7 tasks" in said
    reached = [tau[t, "graf"] for t in {t for t, _ in tau}]
    assert f"With {LARGEST:,} training networks GRAF reaches from {min(reached):.3f} (" in said
    assert f" to {max(reached):.3f} (" in said


@pytest.mark.slow
@pytest.mark.parametrize(("name", "few"), [
    ("07_hardware", {"DATA_SEEDS": range(1), "N_TIMED": 8, "TRAIN_SIZE": 32}),
    ("09_other_tasks", {"DATA_SEEDS": range(1), "TRAIN_SIZE": 32, "TRAIN_SIZES": (32,)}),
])  # fmt: skip
def test_a_chapter_runs_to_its_end_with_other_parameters(name, few, monkeypatch):
    said, _, _ = run(monkeypatch, name, parameters=few)
    assert "**In short.**" in said
    no_number(said)


def no_number(said):
    assert "nan" not in re.findall(r"[a-z]+", said.lower())
    assert not re.search(r"\{[A-Za-z][\w:+.-]*\}`", said)


def test_no_sentence_holds_a_number_that_is_none(hardware, robustness, tasks):
    for said, _, _ in (hardware, robustness, tasks):
        no_number(said)


@pytest.mark.slow
def test_nor_does_one_with_a_single_seed(noise):
    said, _, _ = noise
    no_number(said)
    assert "**In short.**" in said
