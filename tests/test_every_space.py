"""The chapter on every space says what its tables say: computed again another way, and turned.

The cells are run here one after the other, without those that only draw or fit. What is said is
compared with counts and tests made by hand from the files of results; then the results are
changed, and the words must follow.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from decimal import Decimal
from statistics import mean, stdev

import pandas as pd
import pytest
from chapters import is_drawing, listen, run_cells
from scipy.stats import ttest_rel

from graf_utils import published as published_module
from graf_utils.registry import data_path

NOTEBOOK = data_path().parent / "notebooks" / "05_every_space.ipynb"
SKIPPED = ("every-adapt-code", "every-adapted")  # these fit
SIZES = (32, 128, 1024)
SPACES = ("nb201-cifar10", "nb201-cifar100", "nb201-imagenet16-120", "tnb101-micro-class_scene",
          "tnb101-micro", "tnb101-macro", "nb101", "nb301", "nas-bench-macro")  # fmt: skip
BESIDE = ("nb201-hardware-cifar10", "nb201-hardware-cifar100", "nb201-hardware-imagenet16-120",
          "nb201-robustness")  # fmt: skip
TWICE = {("tnb101-micro", "class_scene"), ("nb201-robustness", "accuracy")}
LABELS = {"one-hot": "one-hot", "zcp": "ZCP", "graf": "GRAF", "zcp+graf": "ZCP + GRAF"}
PAIRS = [("graf", "one-hot"), ("graf", "zcp"), ("zcp+graf", "zcp"), ("zcp+graf", "graf")]


def run(patch, results=None):
    """Run the chapter, on other fits if they are given: what it says, its claims, its names."""
    said = listen(patch)
    if results is not None:
        patch.setattr(published_module, "paper_results", lambda: results.copy())
    names = run_cells(NOTEBOOK, lambda cell: is_drawing(cell) or cell["id"] in SKIPPED)
    return "\n".join(said), {claim.id: claim for claim in names["page"].ledger.claims}, names


@pytest.fixture(scope="module")
def committed():
    return published_module.paper_results()


@pytest.fixture(scope="module")
def told():
    with pytest.MonkeyPatch.context() as patch:
        yield run(patch)


def by_hand():
    """τ by table, target, encoding, train size and data seed, from the files."""
    taus = {}
    for name in published_module.RESULTS:  # the first that has a fit counts
        for row in pd.read_parquet(data_path("results", f"{name}.parquet")).to_dict("records"):
            place = row["table"], row["target"]
            size_only = row["table"] == "nas-bench-macro" and "zcp" in row["encoding"]
            if (
                (row["predictor"], row["source"]) == ("rf", "paper")
                and row["table"] in SPACES + BESIDE
                and row["train_size"] in SIZES
                and place not in TWICE
                and not size_only
            ):
                key = (*place, row["encoding"], row["train_size"], row["data_seed"])
                taus.setdefault(key, row["kendall_tau"])
    return nested(taus)


def nested(taus):
    """By table and target, then encoding and size, then seed; without what lacks a size."""
    tree = defaultdict(lambda: defaultdict(dict))
    for (table, target, encoding, size, seed), tau in taus.items():
        tree[table, target][encoding, size][seed] = tau
    for settings in tree.values():
        for encoding in {encoding for encoding, _ in settings}:
            if any((encoding, size) not in settings for size in SIZES):
                for size in SIZES:
                    settings.pop((encoding, size), None)
    return tree


def means_of(tree):
    """Mean τ of the four encodings on the seeds that all of them have, by target and size."""
    means = {}
    for place, settings in tree.items():
        for size in SIZES:
            there = {e: settings[e, size] for e in LABELS if (e, size) in settings}
            if there:
                shared = set.intersection(*map(set, there.values()))
                means[place, size] = {
                    e: mean(taus[seed] for seed in shared) for e, taus in there.items()
                }
    return means


def judged(tree, encoding, baseline, least=3):
    """Verdicts by paired tests, corrected one by one."""
    ps, gaps = {}, {}
    for place, settings in tree.items():
        for size in SIZES:
            one, other = settings.get((encoding, size), {}), settings.get((baseline, size), {})
            shared = sorted(set(one) & set(other))
            if len(shared) >= least:
                a, b = [one[s] for s in shared], [other[s] for s in shared]
                ps[place, size], gaps[place, size] = ttest_rel(a, b).pvalue, mean(a) - mean(b)
    verdicts, is_sure = {}, True
    for i, key in enumerate(sorted(ps, key=ps.get)):  # Holm: the first that is not sure ends it
        is_sure = is_sure and ps[key] * (len(ps) - i) <= 0.05
        verdicts[key] = ("better" if gaps[key] > 0 else "worse") if is_sure else "undecided"
    return verdicts


# --- what is said about committed results ---------------------------------------------------------


def test_the_answer_counts_what_the_files_hold(told):
    said, _, _ = told
    means = means_of(by_hand())
    spaces = {key: m for key, m in means.items() if key[0][0] in SPACES}
    leads = [m["graf"] - m["one-hot"] for m in spaces.values()]
    scored = [m for m in spaces.values() if {"zcp", "zcp+graf"} <= set(m)]
    assert f"On {len({place for place, _ in spaces})} targets of search spaces" in said
    assert f"in {sum(lead > 0 for lead in leads)} of {len(leads)} pairs" in said
    assert f"by {mean(leads):.3f} of Kendall τ on average" in said
    above = sum(m["graf"] > m["zcp"] for m in scored)
    assert f"ahead of the proxies in {above} of the {len(scored)} pairs" in said
    first = sum(m["zcp+graf"] == max(m.values()) for m in scored)
    assert f"both together are first in {first}." in said
    behind = sum(m["graf"] < m["one-hot"] for m in means.values())
    assert f"one-hot is ahead of GRAF in {behind} of {len(means)} pairs" in said


def test_who_is_first_is_counted_over_all(told):
    _, _, names = told
    counts = defaultdict(int)
    for m in means_of(by_hand()).values():
        among = "all four" if {"zcp", "zcp+graf"} <= set(m) else "one-hot, GRAF"
        counts[among, LABELS[max(m, key=m.get)]] += 1
    shown = names["won"].groupby(level="among").sum().stack()
    assert shown[shown > 0].to_dict() == counts


@pytest.mark.parametrize("pair", PAIRS)
def test_verdicts_are_those_of_tests_made_by_hand(told, pair):
    said, _, names = told
    verdicts = list(judged(by_hand(), *pair).values())
    better, worse = verdicts.count("better"), verdicts.count("worse")
    title = f"{LABELS[pair[0]]} against {LABELS[pair[1]]}"
    assert f"- {title}: better on {better} of {len(verdicts)} pairs" in said
    counts = f"{title}, {len(verdicts)} pairs of a target and a train size: "
    assert f"{counts}better on {better}, worse on {worse}" in said
    rows = [text.split(" / ") for text in names["verdicts"][title] if text]
    total = [sum(map(int, column)) for column in zip(*rows, strict=True)]
    assert total == [better, len(verdicts) - better - worse, worse]


def test_where_one_hot_is_ahead_is_named(told):
    said, _, _ = told
    words = {"edgegpu_latency": "edge GPU latency", "edgetpu_latency": "edge TPU latency"}
    behind = {
        place[1]
        for (place, _), m in means_of(by_hand()).items()
        if place[0] == "nb201-hardware-cifar10" and m["graf"] < m["one-hot"]
    }
    sentence = re.search(r"By the mean, one-hot is ahead of GRAF on .*? A device", said)[0]
    for target, name in words.items():
        assert bool(re.search(rf"{name}(?! on)", sentence)) == (target in behind)


def test_figures_of_the_authors_are_counted_as_published(told):
    """The stored results: the mean of as many seeds, and the tolerance, by hand."""
    _, _, names = told
    tree = by_hand()
    here = {("tnb101-micro", "class_scene"): ("tnb101-micro-class_scene", "accuracy")}
    counts = defaultdict(list)
    with data_path("published.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = row["table"], row["target"]
            if (row["kind"], row["predictor"]) != ("stored", "rf"):
                continue
            parts = frozenset(row["encoding"].split("+"))
            if row["table"] in ("nb201-cifar10", "nb201-cifar100"):  # as the authors had paths
                exchanged = parts - {"path"} | {"path-authors"} if "path" in parts else parts
                known = {frozenset(name.split("+")) for name, _ in tree[place]}
                parts = exchanged if exchanged in known else parts
            taus = next(
                (
                    found
                    for (encoding, size), found in tree[here.get(place, place)].items()
                    if frozenset(encoding.split("+")) == parts and size == int(row["train_size"])
                ),
                {},
            )
            values = [taus[seed] for seed in sorted(taus)][: int(row["n_splits"])]
            if len(values) > 1:
                half = 0.5 * 10 ** Decimal(row["value"]).as_tuple().exponent
                margin = half + 1.96 * stdev(values) / len(values) ** 0.5
                counts[row["table"]].append(abs(mean(values) - float(row["value"])) <= margin)
    summary = names["summary"]
    stored = summary[summary["kind"] == "stored"].set_index("table")
    assert set(stored.index) == set(counts)
    for table, within in counts.items():
        assert stored.loc[table, "computed"] == len(within)
        assert stored.loc[table, "within"] == sum(within)


def test_what_is_not_compared_is_listed_and_nothing_else(told):
    """A figure that fails may have a reason too: what is known of it. It is compared."""
    said, _, names = told
    listed = re.search(r"Not compared:\n\n((?:- .*\n?)+)", said)[1]
    counts = [int(n) for n in re.findall(r"^- `[\w-]+`, (\d+): ", listed, flags=re.MULTILINE)]
    assert sum(counts) == len(names["checked"]) - len(names["tested"])
    assert "splits so far" not in listed


def test_data_seeds_are_those_that_every_train_size_has(told):
    said, _, names = told
    fewest = [
        min(len(set.intersection(*(set(s[e, size]) for e in LABELS if (e, size) in s)))
            for size in SIZES)
        for s in by_hand().values()
        if any((e, SIZES[0]) in s for e in LABELS)
    ]  # fmt: skip
    assert sorted(names["seeds"]) == sorted(fewest)
    few, most = min(fewest), max(fewest)
    assert f"They have {f'{few} to {most}' if few < most else few} data seeds each." in said


def test_a_combination_is_compared_on_targets_and_seeds_that_all_have(told):
    _, _, names = told
    gains = names["gains"].set_index(["table", "encoding", "train_size"])
    tree = {place: s for place, s in by_hand().items() if place[0] in SPACES}
    for encoding in ("graf+one-hot", "graf+path", "zcp+graf"):
        for size in SIZES:
            both = [s for s in tree.values() if (encoding, size) in s and ("graf", size) in s]
            seeds = set.intersection(*(set(s[encoding, size]) & set(s["graf", size]) for s in both))
            by_seed = [
                mean(s[encoding, size][seed] - s["graf", size][seed] for s in both)
                for seed in seeds
            ]
            row = gains.loc[("spaces", encoding, size)]
            assert row["difference"] == pytest.approx(mean(by_seed), abs=1e-12)
            assert (row["targets"], row["n"]) == (len(both), len(seeds))


def test_claims_have_their_sources_and_follow_the_means(told):
    _, claims, _ = told
    means = means_of(by_hand())
    for rival in ("one-hot", "zcp"):
        least = defaultdict(lambda: float("inf"))
        for (place, _), m in means.items():
            if place[0] in SPACES and rival in m:
                least[place] = min(least[place], m["graf"] - m[rival])
        lost = sum(gap <= 0 for gap in least.values())
        claim = claims[f"every-graf-{rival}"]
        assert len(claim.ours.split("; ")) == len(least)
        assert len([name for name in claim.missed.split("; ") if name]) == lost
        assert claim.kind == "statement"
    assert {claim.kind for claim in claims.values()} <= {"statement", "stored", "figure", "ours"}
    assert [c.id for c in claims.values() if c.kind == "ours"] == ["every-both-best"]


def test_no_sentence_holds_a_number_that_is_none(told):
    said, _, _ = told
    assert "nan" not in re.findall(r"[a-z]+", said.lower())
    assert not re.search(r"\{[A-Za-z][\w:+.-]*\}`", said)


# --- the words follow the results -----------------------------------------------------------------


def test_the_words_turn_when_the_results_do(told, committed, monkeypatch):
    """One-hot's fits under the name of GRAF, and the other way round."""
    swap = {"graf": "one-hot", "one-hot": "graf"}
    names = committed["encoding"].map(lambda name: swap.get(name, name))
    said, claims, after = run(monkeypatch, committed.assign(encoding=names))
    before = told[2]["judged"]["graf", "one-hot"]["verdict"].value_counts()
    turned = after["judged"]["graf", "one-hot"]["verdict"].value_counts()
    assert turned["worse"] == before["better"]
    assert turned.get("better", 0) == before.get("worse", 0)
    assert claims["every-graf-one-hot"].verdict == "fails"
    means = means_of(by_hand())
    ahead = sum(m["graf"] > m["one-hot"] for m in means.values())
    assert f"one-hot is ahead of GRAF in {ahead} of {len(means)} pairs" in said


def test_two_seeds_are_shown_and_not_tested(committed, monkeypatch):
    few = committed[committed["data_seed"] < 44]
    said, claims, names = run(monkeypatch, few)
    n = len(names["seeds"])
    assert f"Not tested, with fewer than 3 data seeds: {n} of {n} targets." in said
    assert "0 pairs of a target and a train size: better on 0, worse on 0." in said
    assert "No combination has 3 data seeds on all of its targets." in said
    assert names["gains"].empty
    assert claims["every-graf-one-hot"].verdict in ("holds", "holds in part", "fails")
    assert "nan" not in re.findall(r"[a-z]+", said.lower())


def test_what_has_no_proxies_is_no_contest_of_four(committed, monkeypatch):
    """In NAS-Bench-Macro FLOPs and parameters stand in the proxies' place; they are no proxies."""
    whole = committed[committed["table"] == "nb301"].assign(table="nas-bench-macro")
    others = committed[committed["table"] != "nas-bench-macro"]
    said, _, names = run(monkeypatch, pd.concat([others, whole], ignore_index=True))
    assert not names["with_proxies"].xs("NAS-Bench-Macro", level="name").any()
    assert names["means"]["graf"].xs("NAS-Bench-Macro", level="name").notna().all()
    assert "`nas-bench-macro`" not in re.search(r"Tables not computed yet: .*", said)[0]


def test_a_target_without_all_train_sizes_is_left_out(committed, monkeypatch):
    is_lost = (committed["table"] == "nb301") & (committed["train_size"] == 32)
    said, _, names = run(monkeypatch, committed[~is_lost])
    assert "NB301" not in names["means"].index.get_level_values("name")
    assert "`nb301`" in re.search(r"Tables not computed yet: .*", said)[0]
