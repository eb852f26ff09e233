"""Published figures with their sources, and ours beside them: by hand, and on made-up tables."""

import csv
import json
import re
from collections import Counter
from fractions import Fraction
from math import comb, sqrt
from pathlib import Path
from statistics import mean, median, stdev

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from graf_utils import figures as figures_module
from graf_utils import published as module
from graf_utils.claims import KINDS as CLAIM_KINDS
from graf_utils.claims import check
from graf_utils.datasets import load_table
from graf_utils.encodings import ENCODINGS
from graf_utils.evaluation import FIT, evaluate
from graf_utils.figures import (
    check_table,
    claim_of,
    of_size,
    orders,
    outside,
    summarise_checks,
)
from graf_utils.predictors.zoo import ZOO
from graf_utils.published import (
    BLOG,
    CODE,
    FEATURES,
    KINDS,
    PAPER,
    half_width,
    our_results,
    paper_results,
    published,
    search_results,
    source_link,
)
from graf_utils.registry import DataError, data_path

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
UNTESTED = "cannot be tested here"


def raw():
    """The file as plain text, read without the package."""
    with data_path("published.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- the file -------------------------------------------------------------------------------------


def test_the_file_holds_the_figures_of_the_authors_and_our_reruns():
    kinds = Counter(row["kind"] for row in raw())
    assert (kinds["stored"], kinds["figure"], kinds["rerun"]) == (360, 318, 270)
    assert published()["kind"].value_counts().to_dict() == kinds
    assert published()["value"].tolist() == [float(row["value"]) for row in raw()]


def test_rows_are_asked_for_by_their_columns():
    wanted = [
        float(row["value"])
        for row in raw()
        if row["table"] == "tnb101-micro"
        and row["kind"] == "stored"
        and row["target"] in ("class_scene", "autoencoder")
        and sorted(row["encoding"].split("+")) == ["graf", "one-hot"]
    ]
    rows = published(
        "tnb101-micro", ["autoencoder", "class_scene"], "stored", encoding="one-hot+graf"
    )
    assert len(wanted) == 6
    assert rows["value"].tolist() == wanted
    assert rows.index.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"table": "nb201-cifar11"}, "table='nb201-cifar11'.*Did you mean 'nb201-cifar10'"),
        ({"kind": "paper"}, "kind='paper' is unknown"),
        ({"encoding": "graf+zpc"}, "encoding='graf.zpc'"),
        ({"predictor": "rfs"}, "predictor='rfs'"),
        ({"table": "nb101", "target": "class_scene"}, "target='class_scene'"),
        ({"table": 7}, "table is int"),
    ],
)
def test_what_is_not_there_is_named(asked, words):
    with pytest.raises(ValueError, match=words):
        published(**asked)


def test_a_frame_that_is_changed_does_not_change_the_next():
    rows = published()
    rows["value"] *= 2
    assert published()["value"].tolist() == [float(row["value"]) for row in raw()]


@pytest.mark.parametrize(
    ("value", "precision", "half"),
    [
        ("0.3880", "exact", 0.00005),
        ("0.388", "exact", 0.0005),
        ("481", "exact", 0.5),
        ("12.5", "exact", 0.05),
        ("0.630", "±.003", 0.003),
        ("8.5", "±0.01", 0.01),
    ],
)
def test_how_far_a_figure_may_be_off(value, precision, half):
    assert half_width(value, precision) == pytest.approx(half)


@pytest.mark.parametrize("pair", [("x", "exact"), ("1", "about"), ("1", "±"), ("1", "")])
def test_a_precision_that_says_nothing_is_refused(pair):
    with pytest.raises(ValueError, match="precision"):
        half_width(*pair)


@pytest.mark.parametrize(
    ("source", "link"),
    [
        ("zc_combine, results/a.py, commit 5c6f906 (2024)", f"{CODE}/blob/5c6f906/results/a.py"),
        ("zc_combine, results/a.ipynb, blob 94faffb, figure", CODE),
        ("zc_combine, results/a.ipynb, branch petra, blob 5ee77be", CODE),
        ("authors' blog post (2024-06), train_nb101.svg", BLOG),
        ("authors of GRAF, as noted", PAPER),
        ("not the authors': our own run of their protocol", ""),
        ("somebody", ""),
    ],
)  # fmt: skip
def test_a_link_says_no_more_than_its_source(source, link):
    assert source_link(source) == link


def test_every_figure_of_others_has_a_link_and_every_claim_kind_is_known():
    rows = published()
    assert ((rows["source_link"] == "") == (rows["kind"] == "rerun")).all()
    assert rows["source_link"].str.fullmatch(r"(https://\S+)?").all()
    assert set(KINDS) - {"rerun"} == set(CLAIM_KINDS) - {"ours"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": "inf"}, "value is no finite number"),
        ({"value": "nan"}, "value is no finite number"),
        ({"value": ""}, "without value"),
        ({"n_splits": "many"}, "n_splits is no finite number"),
        ({"kind": "paper"}, "unknown kinds"),
        ({"precision": "good"}, "neither 'exact'"),
        ({"source": " "}, "without source"),
        ({}, "stands twice"),
    ],
)
def test_a_damaged_file_is_an_error_with_a_remedy(tmp_path, monkeypatch, change, words):
    first, *_ = raw()
    first = first | {"encoding": "zcp+graf"}  # in either order it is the same
    other = first | {"encoding": "graf+zcp"} | ({"train_size": "64"} | change if change else {})
    path = tmp_path / "published.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerows([first, other])
    monkeypatch.setattr(module, "data_path", lambda name: path)
    module._read.cache_clear()
    try:
        with pytest.raises(DataError, match=words) as error:
            published()
        assert "Take it from the repository" in str(error.value)
    finally:
        module._read.cache_clear()


# --- our results ----------------------------------------------------------------------------------


def test_our_fits_are_read_together_and_a_missing_file_is_left_out():
    fits = paper_results()
    alone = pd.read_parquet(data_path("results", "paper_nb201.parquet"))
    both = paper_results(["no_such_file", "paper_nb201"])
    assert len(both) == len(alone)
    assert both["kendall_tau"].sum() == pytest.approx(alone["kendall_tau"].sum())
    assert set(fits["source"]) == {"paper"}
    keys = ["table", "target", "encoding", "predictor", "train_size", "data_seed"]
    assert not fits.duplicated(keys).any()
    tasks = pd.read_parquet(data_path("results", "paper_tasks.parquet"))
    assert len(fits) >= len(alone) + (tasks["source"] == "paper").sum()
    with pytest.raises(ValueError, match="none of these files"):
        paper_results("no_such_file")


def test_a_search_is_told_by_its_last_evaluation():
    runs = pd.read_parquet(data_path("results", "bo_search.parquet"))
    expected = {}
    for row in runs.to_dict("records"):
        key = (row["table"], row["encoding"], row["predictor"], row["seed"])
        if row["evaluation"] >= expected.get(key, (0, 0))[0]:
            expected[key] = (row["evaluation"], 100 - row["best"])
    ends = search_results()
    assert set(ends["target"]) == {"search"}
    keys = ["table", "encoding", "predictor", "data_seed"]
    ours = ends.set_index(keys)[["train_size", "error"]].apply(tuple, axis=1).to_dict()
    assert ours == expected


def test_all_that_can_stand_beside_a_figure_is_read_once(monkeypatch):
    everything = our_results()
    zoo = pd.read_parquet(data_path("results", "zoo.parquet"))
    parts = len(paper_results()), len(zoo), len(search_results())
    assert len(everything) == sum(parts)
    assert not everything.duplicated(list(FIT)).any()
    assert everything["kendall_tau"].notna().sum() == parts[0] + parts[1]
    assert everything["error"].notna().sum() == parts[2]
    read = pd.read_parquet

    def without(path, **options):
        if Path(path).stem in ("zoo", "bo_search"):
            raise DataError("not there")
        return read(path, **options)

    monkeypatch.setattr(pd, "read_parquet", without)
    assert len(search_results()) == 0
    assert len(our_results()) == parts[0]


# --- a whole table at once ------------------------------------------------------------------------


TAUS = {42: 0.61, 43: 0.65, 44: 0.60, 45: 0.70}


def figures(**changes):
    """One published figure or several (lists), on a made-up table."""
    row = {
        "table": "t", "target": "y", "encoding": "graf+zcp", "predictor": "rf", "train_size": 32,
        "statistic": "mean kendall_tau", "value": 0.64, "std": 0.01, "n_splits": 50,
        "precision": "±.001", "where": "a figure", "kind": "figure", "source": "somebody",
        "half_width": 0.001, "source_link": "https://example.org",
    }  # fmt: skip
    frame = pd.DataFrame(row | changes, index=range(max(map(size_of, changes.values()), default=1)))
    return frame.astype({"train_size": "Int64", "n_splits": "Int64"})


def size_of(value):
    return len(value) if isinstance(value, list) else 1


def fits(taus=None, **changes):
    taus = TAUS if taus is None else taus
    row = {
        "table": "t", "source": "paper", "target": "y", "encoding": "zcp+graf", "predictor": "rf",
        "train_size": 32, "n_test": 100,
    }  # fmt: skip
    return pd.DataFrame(row | changes | {"data_seed": list(taus), "kendall_tau": taus.values()})


def only(frame):
    (row,) = frame.to_dict("records")
    return row


@pytest.mark.parametrize(
    ("statistic", "of", "wider"), [("mean", mean, 1.0), ("median", median, 1.2533)]
)
def test_the_tolerance_is_the_precision_and_our_standard_error(statistic, of, wider):
    taus = list(TAUS.values())
    tolerance = 0.001 + 1.96 * wider * stdev(taus) / sqrt(4)
    for value, verdict in (
        (of(taus) - tolerance + 1e-5, "holds"),
        (of(taus) + tolerance - 1e-5, "holds"),
        (of(taus) - tolerance - 1e-5, "fails"),
        (of(taus) + tolerance + 1e-5, "fails"),
    ):
        row = only(check_table(figures(statistic=f"{statistic} kendall_tau", value=value), fits()))
        assert row["ours"] == pytest.approx(of(taus))
        assert row["difference"] == pytest.approx(of(taus) - value)
        assert row["tolerance"] == pytest.approx(tolerance, abs=1e-5)
        assert (row["n"], row["verdict"]) == (4, verdict)
        assert row["reason"] == ("4 of 50 splits so far" if verdict == "fails" else "")


def test_as_many_seeds_are_taken_as_the_figure_has_splits():
    shuffled = fits().sample(frac=1, random_state=1)
    row = only(check_table(figures(n_splits=3), shuffled))
    assert (row["n"], row["ours"]) == (3, pytest.approx(mean([0.61, 0.65, 0.60])))
    assert only(check_table(figures(n_splits=pd.NA), shuffled))["n"] == 4


def test_a_fit_without_a_tau_is_none():
    whole = only(check_table(figures(), fits()))
    gap = only(check_table(figures(), fits({41: float("nan")} | TAUS | {60: float("nan")})))
    assert gap == whole
    assert only(check_table(figures(n_splits=4), fits({41: float("nan")} | TAUS)))["n"] == 4


@pytest.mark.parametrize(
    ("changes", "ours", "reason"),
    [
        ({"encoding": "graf"}, {}, "not computed yet"),
        ({"train_size": 128}, {}, "not computed yet"),
        ({"predictor": "xgb"}, {}, "not computed yet"),
        ({"statistic": "mean kendall_tau on 200 test networks"}, {}, "not computed yet"),
        ({"statistic": "mean seconds of a fit"}, {}, "neither a rank correlation"),
        ({"train_size": pd.NA}, {}, "neither a rank correlation"),
        ({"n_splits": 1}, {}, "one seed only"),
        ({"table": "nb201-cifar100"}, {"table": "nb201-cifar100"}, "1,386 of the cells"),
        ({"table": "tnb101-micro"}, {"table": "tnb101-micro"}, "proxies of this task"),
        ({"table": "nb101"}, {"table": "nb101"}, "other networks"),
    ],
)
def test_what_cannot_be_tested_says_why(changes, ours, reason):
    row = only(check_table(figures(**changes), fits(**ours)))
    assert row["verdict"] == UNTESTED
    assert reason in row["reason"]
    assert pd.isna(row["tolerance"])


def test_what_is_known_of_a_figure_that_fails_stands_beside_it():
    ours = fits(predictor="brp-nas")
    for n_splits, words in ((pd.NA, ""), (4, ""), (5, "4 of 5 splits so far; ")):
        row = only(check_table(figures(predictor="brp-nas", n_splits=n_splits, value=0.9), ours))
        assert row["verdict"] == "fails"
        assert row["reason"].startswith(words + "our own implementation")
        near = figures(predictor="brp-nas", n_splits=n_splits)
        assert only(check_table(near, ours))["reason"] == ""


def test_a_figure_on_so_many_test_networks_is_compared_with_fits_tested_on_as_many():
    both = pd.concat([fits(), fits({7: 0.4, 8: 0.5}, n_test=1_000)])
    asked = figures(statistic="mean kendall_tau on 1,000 test networks")
    assert only(check_table(asked, both))["ours"] == pytest.approx(0.45)


def test_paths_are_compared_as_the_authors_had_them_if_there_are_such():
    asked = figures(table="nb201-cifar10", encoding="one-hot+path")
    right = fits({42: 0.7, 43: 0.8}, table="nb201-cifar10", encoding="path+one-hot")
    theirs = fits({42: 0.1, 43: 0.2}, table="nb201-cifar10", encoding="one-hot+path-authors")
    assert only(check_table(asked, right))["ours"] == pytest.approx(0.75)
    assert only(check_table(asked, pd.concat([right, theirs])))["ours"] == pytest.approx(0.15)
    micro = figures(table="tnb101-micro", encoding="one-hot+path")
    both = pd.concat([right, theirs]).assign(table="tnb101-micro")
    assert only(check_table(micro, both))["ours"] == pytest.approx(0.75)


def test_a_table_is_found_under_our_name_for_it():
    ours = fits(table="tnb101-micro-class_scene", target="accuracy")
    asked = figures(table="tnb101-micro", target="class_scene")
    assert only(check_table(asked, ours))["ours"] == pytest.approx(0.64)
    elsewhere = fits(table="tnb101-micro", target="class_scene", taus={42: 0.1, 43: 0.2})
    assert only(check_table(asked, pd.concat([elsewhere, ours])))["ours"] == pytest.approx(0.64)
    assert only(check_table(asked, elsewhere))["ours"] == pytest.approx(0.15)
    few = fits(table="tnb101-micro-class_scene", target="accuracy", taus={42: 0.9})
    assert only(check_table(asked, pd.concat([elsewhere, few])))["n"] == 2  # the most seeds


def test_what_is_no_table_of_fits_is_refused():
    with pytest.raises(ValueError, match="two fits of one data seed"):
        check_table(figures(), pd.concat([fits(), fits(encoding="graf+zcp")]))
    with pytest.raises(ValueError, match="sources .'embedded', 'paper'."):
        check_table(figures(), pd.concat([fits(), fits({7: 0.1}, source="embedded")]))
    elsewhere = fits({7: 0.1}).assign(test_target="latency")
    both = pd.concat([fits(), elsewhere, fits({8: 0.64}).assign(test_target="y")])
    with pytest.raises(ValueError, match="judged by another target") as error:
        check_table(figures(), both)
    remedy = re.search(r"Leave them out: (.*)\.$", str(error.value))[1]
    checked = check_table(figures(n_splits=pd.NA), eval(remedy, {"results": both}))
    assert only(checked)["n"] == len(fits()) + 1
    with pytest.raises(ValueError, match=r"100, 1000. test networks.*Keep those of one `n_test`"):
        check_table(figures(), pd.concat([fits(), fits(n_test=1_000)]))
    with pytest.raises(ValueError, match="results has no numbers in a column 'kendall_tau'"):
        check_table(figures(), fits().drop(columns="kendall_tau"))
    with pytest.raises(ValueError, match="figures has no numbers in a column 'half_width'"):
        check_table(figures().drop(columns="half_width"), fits())
    with pytest.raises(ValueError, match="statistic"):
        check_table(figures().drop(columns="statistic"), fits())


THREE = ["one-hot", "graf", "zcp"]


def three(values, ours):
    """Three encodings at one size, published and ours (None: not computed)."""
    results = [
        fits({42: tau, 43: tau + 0.0002}, encoding=name)
        for name, tau in zip(THREE, ours, strict=True)
        if tau is not None
    ]
    return check_table(figures(encoding=THREE, value=values), pd.concat(results))


@pytest.mark.parametrize(
    ("values", "ours", "winners"),
    [
        ([0.3, 0.5, 0.6], [0.31, 0.5, 0.6], 1),
        ([0.3, 0.5, 0.6], [0.3, 0.6, 0.5], 0),
        ([0.3, 0.6, 0.6], [0.3, 0.5, 0.6], 1),
        ([0.3, 0.6, 0.5985], [0.3, 0.5, 0.6], 1),  # as near as they can be read
        ([0.3, 0.6, 0.5975], [0.3, 0.5, 0.6], 0),
        ([0.3, 0.5, 0.6], [None, 0.5, 0.6], 1),
    ],
)
def test_a_summary_counts_and_compares_orders(values, ours, winners):
    checked = three(values, ours)
    pairs = [(v, o + 0.0001) for v, o in zip(values, ours, strict=True) if o is not None]
    gaps = [abs(o - v) for v, o in pairs]
    row = only(summarise_checks(checked))
    assert (row["table"], row["where"], row["figures"]) == ("t", "a figure", 3)
    assert (row["computed"], row["untested"]) == (len(pairs), 3 - len(pairs))
    assert row["within"] == sum(gap < 0.0012 for gap in gaps)
    assert row["outside"] == len(pairs) - row["within"]
    assert row["largest"] == pytest.approx(max(gaps))
    assert (row["orders"], row["winners"]) == (1, winners)
    expected = kendalltau(*zip(*pairs, strict=True)).statistic
    assert row["order_tau"] == pytest.approx(expected)
    assert only(orders(checked))["compared"] == len(pairs)


def test_other_networks_are_compared_by_order_only():
    taus = {"a": 0.7, "b": 0.8, "c": 0.9}
    results = [fits({42: tau, 43: tau}, encoding=e, table="nb101") for e, tau in taus.items()]
    asked = figures(encoding=list("abc"), value=[0.1, 0.2, 0.3], table="nb101")
    row = only(summarise_checks(check_table(asked, pd.concat(results))))
    assert (row["computed"], row["untested"], row["orders"], row["winners"]) == (0, 3, 1, 1)
    assert row["order_tau"] == 1


def test_another_implementation_is_shown_and_ordered_but_never_judged():
    names = ["rf (NASLib)", "lgb (NASLib)", "mlp (NASLib)"]
    ours = {"rf": 0.5, "lightgbm": 0.6, "mlp": 0.4}
    results = [
        fits({42: tau, 43: tau}, predictor=p, encoding="one-hot", n_test=200)
        for p, tau in ours.items()
    ]
    results.append(fits({42: 0.9, 43: 0.9}, predictor="rf", encoding="path", n_test=200))
    statistic = "mean kendall_tau on 200 test networks"
    asked = figures(predictor=names, encoding="own", statistic=statistic, value=[0.5, 0.6, 0.7])
    checked = check_table(asked, pd.concat(results))
    assert set(checked["verdict"]) == {UNTESTED}  # though the first two are met to the digit
    assert checked["ours"].tolist() == pytest.approx([0.5, 0.6, 0.4])
    assert checked["reason"].str.startswith("another implementation: ").all()
    row = only(orders(checked))
    assert (row["compared"], row["first"]) == (3, "mlp (NASLib) on own")
    assert row["our_first"] == "lgb (NASLib) on own"
    assert row["order_tau"] == pytest.approx(-1 / 3)
    other = check_table(asked, pd.concat(results).assign(n_test=100))
    assert set(other["reason"]) == {"not computed yet"}
    own = figures(predictor="rf (NASLib)", encoding="graf")  # a rule is about the pair
    assert only(check_table(own, pd.concat(results)))["reason"] == "not computed yet"


SEARCH = {"target": "search", "train_size": pd.NA, "encoding": "none"}


def searches(errors, **changes):
    row = {"table": "t", "source": "paper", "target": "search", "encoding": "none"}
    row |= {"predictor": "random", "train_size": 500}
    columns = {"data_seed": list(errors), "error": list(errors.values())}
    return pd.DataFrame(row | changes | columns)


def test_an_error_after_so_many_evaluations_is_compared_with_our_runs():
    errors = {0: 8.8, 1: 8.6, 2: 9.1}
    of_ours, wide = mean(errors.values()), 0.001 + 1.96 * stdev(errors.values()) / sqrt(3)
    for gap, verdict in ((0.99 * wide, "holds"), (1.01 * wide, "fails")):
        asked = figures(
            **SEARCH,
            predictor="random search",
            statistic="mean error in % after 500 evaluations",
            value=of_ours + gap,
        )
        row = only(check_table(asked, pd.concat([fits(), searches(errors)])))
        assert (row["verdict"], row["n"]) == (verdict, 3)
        assert row["difference"] == pytest.approx(-gap)
        assert of_size(row) == "500 evaluations"
    assert claim_of(check_table(asked, searches(errors)))["paper"].keys() == {"500 evaluations"}
    fewer = asked.assign(statistic="mean error in % after 400 evaluations")
    assert only(check_table(fewer, searches(errors)))["reason"] == "not computed yet"
    timed = asked.assign(statistic="mean error in % after 300,000 s")
    assert "has no seconds" in only(check_table(timed, searches(errors)))["reason"]
    assert of_size(only(timed)) == "mean error in % after 300,000 s"
    with pytest.raises(ValueError, match="two fits of one data seed"):
        check_table(asked, pd.concat([searches(errors), searches(errors)]))


def test_of_errors_the_lowest_is_first():
    runs = [searches({0: 9.0, 1: 9.1}), searches({0: 8.6, 1: 8.7}, predictor="rf")]
    asked = figures(
        **SEARCH,
        predictor=["random search", "rf"],
        statistic="mean error in % after 500 evaluations",
        value=[8.9, 8.5],
    )
    row = only(orders(check_table(asked, pd.concat(runs))))
    assert (row["first"], row["our_first"], row["order_tau"]) == ("rf on none", "rf on none", 1)
    turned = only(orders(check_table(asked.assign(value=[8.5, 8.9]), pd.concat(runs))))
    assert (turned["first"], turned["winner_agrees"]) == ("random search on none", False)


def test_nothing_computed_is_a_summary_too():
    row = only(summarise_checks(check_table(figures(), fits(table="other"))))
    assert (row["computed"], row["untested"], row["orders"]) == (0, 1, 0)
    assert pd.isna(row["largest"])


def test_labels_of_rows_that_come_twice_change_nothing():
    """As in two selections put together by pd.concat."""
    checked = three([0.3, 0.5, 0.6], [0.35, 0.3, 0.6])
    results = pd.concat(
        fits({42: t, 43: t}, encoding=e) for e, t in (("one-hot", 0.1), ("zcp", 0.2))
    )
    asked = figures(encoding=THREE, value=[0.3, 0.5, 0.6]).set_axis([0, 0, 0])
    again = check_table(asked, results)
    assert again["ours"].tolist()[::2] == pytest.approx([0.1, 0.2])
    assert again["verdict"].tolist() == ["fails", UNTESTED, "fails"]
    same = checked.set_axis([7, 7, 7])
    pd.testing.assert_frame_equal(summarise_checks(same), summarise_checks(checked))
    assert outside(same)["encoding"].tolist() == outside(checked)["encoding"].tolist()
    assert claim_of(same) == claim_of(checked)
    pd.testing.assert_frame_equal(check_table(again, results), again)


def test_those_outside_stand_worst_first():
    checked = three([0.3, 0.5, 0.6], [0.35, 0.3, 0.6])
    assert outside(checked)["encoding"].tolist() == ["graf", "one-hot"]
    assert (outside(checked)["verdict"] == "fails").all()
    of_errors = checked.assign(difference=[100.0, 0.02, 0.0], tolerance=[50.0, 0.001, 1.0])
    assert outside(of_errors)["encoding"].tolist() == ["graf", "one-hot"]  # 20 and 2 tolerances


def test_figures_of_one_source_make_one_claim():
    checked = three([0.3, 0.5, 0.6], [0.35, 0.5, None])
    claim = check("x", "Three.", **claim_of(checked))
    assert claim.verdict == "holds in part"
    assert claim.paper == "one-hot, N=32: 0.300; graf, N=32: 0.500"
    assert (claim.kind, claim.link, claim.where) == ("figure", "https://example.org", "a figure")
    assert claim.missed == "one-hot, N=32 by 0.050"
    assert "Not tested: 1 (not computed yet)." in claim.reason
    assert claim.reason.count("2 of 50 splits so far.") == 1
    alone = claim_of(checked[checked["encoding"] == "zcp"])
    assert check("x", "One.", **alone).verdict == UNTESTED


def test_no_figure_of_a_claim_gets_lost():
    asked = figures(table=["t", "u"], target=["y", "z"], train_size=[32, 32])
    checked = check_table(asked, pd.concat([fits(), fits(table="u", target="z")]))
    claim = check("x", "Two.", **claim_of(checked))
    assert claim.paper == "t, y, N=32: 0.640; u, z, N=32: 0.640"
    one_target = checked.assign(target="y")
    assert check("x", "Two.", **claim_of(one_target)).paper.count("0.640") == 2
    for column, values in (
        ("half_width", [0.001, 0.01]),
        ("statistic", ["mean kendall_tau", "median kendall_tau"]),
    ):
        with pytest.raises(ValueError, match="a claim has one of each"):
            claim_of(checked.assign(**{column: values}))


def test_every_published_figure_has_a_name_of_its_own_in_a_claim():
    checked = check_table(published(kind="stored"), paper_results())
    n = 0
    for _, rows in checked.groupby("source_link"):
        n += len(claim_of(rows)["paper"])
    assert n == (checked["verdict"] != UNTESTED).sum() > 0


def test_a_rerun_is_no_claim():
    checked = check_table(figures(kind="rerun", source_link=""), fits())
    assert only(checked)["verdict"] == "holds"  # a regression check
    with pytest.raises(ValueError, match="no rerun"):
        claim_of(checked)
    two = check_table(figures(kind=["stored", "figure"], train_size=[32, 64]), fits())
    with pytest.raises(ValueError, match="one kind"):
        claim_of(two)


def test_our_fits_meet_the_stored_results_and_our_own_earlier_run():
    """The claims that this book rests on: all of the four encodings on NAS-Bench-201."""
    four = ["one-hot", "graf", "zcp", "zcp+graf"]
    stored = check_table(published("nb201-cifar10", kind="stored", encoding=four), paper_results())
    assert (stored["verdict"] == "holds").all()
    assert (stored["n"] == 50).all()
    again = check_table(published(kind="rerun"), paper_results())
    same_splits = again["n"] >= again["n_splits"]
    assert same_splits.sum() > 60
    assert again.loc[same_splits, "difference"].abs().max() < 0.001
    assert (again.loc[~same_splits, "verdict"] == "fails").mean() < 0.1  # 5 % are due by chance


def test_the_comparison_of_naslib_is_shown_in_order_and_never_judged():
    """All 209 figures are of NAS-Bench-101, of which our networks are others."""
    asked = published("nb101", kind="figure")
    asked = asked[asked["statistic"].str.endswith("200 test networks")]
    checked = check_table(asked, our_results())
    assert (len(checked), set(checked["verdict"])) == (209, {UNTESTED})
    shown = checked[checked["ours"].notna()]
    assert shown["reason"].str.startswith("other networks").all()
    assert set(shown["encoding"]) == {"own"}  # of these networks there are no thirteen proxies
    zoo = pd.read_parquet(data_path("results", "zoo.parquet"))
    forest = zoo[(zoo["table"] == "nb101") & (zoo["predictor"] == "rf")]
    forest = forest[forest["encoding"] == "one-hot"].groupby("train_size")["kendall_tau"].mean()
    ours = shown[shown["predictor"] == "rf (NASLib)"].set_index("train_size")["ours"]
    assert ours.to_dict() == pytest.approx(forest.to_dict())
    assert len(orders(checked)) == 11


def test_every_rule_is_about_a_figure_and_names_what_there_is():
    facts, records = figures_module._facts(), published().to_dict("records")
    known = {"table", "target", "predictor", "encoding", "train_size", "part", "unit", "but"}
    for name, words in (("barred", "reason"), ("explained", "words")):
        for rule in facts[name]:
            assert set(rule) <= known | {words}, rule
            assert len(rule[words].split()) >= 4, rule
            assert any(figures_module._is_about(rule, figure) for figure in records), rule
    pairs = {(figure["predictor"], figure["encoding"]) for figure in records}
    for method in facts["method"]:
        predictor, encoding = method["here"]
        assert tuple(method["published"]) in pairs
        assert predictor in {*ZOO, "random"}
        assert encoding in {*ENCODINGS, "none"}
        assert method.get("differs") != ""
    rivals = {pair for pair in pairs if pair[0].endswith("(NASLib)")}
    told = {tuple(method["published"]) for method in facts["method"]}
    barred = {rule.get("predictor") for rule in facts["barred"]}
    assert {predictor for predictor, _ in rivals - told} <= barred


def best_of(y, n):
    """Mean and standard deviation of the best of n different networks, counted out."""
    ranked = sorted(y, reverse=True)
    left = np.arange(len(y) - 1, n - 2, -1)  # networks below the k-th best
    ways = [comb(int(m), n - 1) for m in left]
    chances = np.array([Fraction(way, comb(len(y), n)) for way in ways], dtype=float)
    best = np.array(ranked[: len(left)])
    mean_best = (chances * best).sum()
    return mean_best, sqrt((chances * best**2).sum() - mean_best**2)


def test_how_far_the_published_random_search_is_from_500_networks(paper_dir):
    """What published.toml says of it; random search needs no run of ours."""
    for table, published_error, near in (
        ("nb201-cifar10", 8.855, True),
        ("nb201-imagenet16-120", 53.773, False),
    ):
        assert (
            published_error
            in published(table, "search", predictor="random search")["value"].tolist()
        )
        y = load_table(table, source="paper").target("accuracy")
        expected, spread = best_of(y, 500)
        error = spread / sqrt(50)
        assert (abs(100 - expected - published_error) < 1.96 * error + 0.01) == near
        runs = search_results().query("table == @table and predictor == 'random'")["error"]
        assert abs(runs.mean() - 100 + expected) < 3 * spread / sqrt(len(runs))
        if not near:
            assert (round(100 - expected, 2), round(error, 2)) == (53.33, 0.05)
            assert 100 - best_of(y, 180)[0] < published_error < 100 - best_of(y, 160)[0]


def test_the_published_one_hot_of_chains_has_a_column_for_a_missing_layer(paper_dir):
    """PAPER-FIGURES: six layers, padded by 0. Without the padding the same fits are .024 lower."""
    table = load_table("tnb101-macro", source="paper")
    asked = published("tnb101-macro", "class_scene", encoding="one-hot")
    settings = (table, "class_scene"), ("rf", 1000, range(42, 47))
    fits = evaluate(*settings[0], "one-hot", *settings[1], progress=False)
    row = only(check_table(asked, fits))
    assert (set(fits["n_features"]), row["n"], row["verdict"]) == ({30}, 5, "holds")
    absent = [name for name in ENCODINGS["one-hot"](table) if name.endswith("=absent")]
    assert len(absent) == 6
    bare = ENCODINGS["one-hot"](table).drop(columns=absent)
    fits = evaluate(*settings[0], {"one-hot": bare}, *settings[1], progress=False)
    row = only(check_table(asked, fits))
    assert (set(fits["n_features"]), row["verdict"]) == ({24}, "fails")
    assert row["difference"] < -0.015


def test_published_path_encodings_have_two_edges_exchanged(paper_dir):
    """Four splits are enough to tell; all twenty are in the results."""
    table = load_table("nb201-cifar10", source="paper")
    asked = published("nb201-cifar10", "accuracy", "stored", encoding="one-hot+path")
    asked = asked[asked["train_size"] == 1024].assign(n_splits=4)
    names = {"one-hot+path": "one-hot+path-authors"}
    fits = evaluate(table, "accuracy", names, "rf", 1024, range(42, 46), progress=False)
    assert only(check_table(asked, fits))["verdict"] == "holds"
    right = paper_results().query("table == 'nb201-cifar10' and encoding == 'one-hot+path'")
    row = only(check_table(asked.assign(n_splits=20), right))
    assert (row["verdict"], row["n"]) == ("fails", 20)
    assert row["difference"] > 0.005


# --- what the book says of sources ----------------------------------------------------------------


def cells_of(path, kind):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_chapter_opens_with_the_authors(path):
    first, *_ = cells_of(path, "markdown")
    for link in (PAPER, CODE, FEATURES, BLOG):
        assert f"({link})" in first


def test_the_home_page_opens_with_the_authors():
    page = (ROOT / "book" / "intro.md").read_text(encoding="utf-8").split("\n## ")[0]
    for link in (PAPER, CODE, FEATURES, BLOG):
        assert f"({link})" in page


PLACE = re.compile(
    r"(Kadlecov\S+|the paper)[^\n]{0,40}"
    r"(\btable \d|\bfigure \d|\bsection \d|\bsection on|\bintroduction\b|\bappendix\b)",
    re.IGNORECASE,
)


def test_no_place_in_the_paper_is_cited_that_nobody_checked():
    """The body and appendix could not be read: only its abstract and the sources are cited."""
    files = [*NOTEBOOKS, *(ROOT / "book").glob("*.md"), *(ROOT / "graf_utils").rglob("*.py")]
    found = [
        (path.name, m.group()) for path in files for m in PLACE.finditer(path.read_text("utf8"))
    ]
    assert not found


MINUTES = re.compile(r"\*\*Takes\*\* (?:about )?(\d+) minutes")


def test_the_home_page_lists_each_chapter_with_its_answer_and_its_minutes():
    page = (ROOT / "book" / "intro.md").read_text(encoding="utf-8").split("## The chapters")[1]
    entries = page.split("\n\n")[2].split("\n1. ")
    chapters = [path for path in NOTEBOOKS if not path.stem.startswith("99")]
    assert len(entries) == len(chapters)
    for path, entry in zip(chapters, entries, strict=True):
        assert f"(../notebooks/{path.name})" in entry
        assert f"{{glue:text}}`../notebooks/{path.name}::brief:s`" in entry
        (minutes,) = MINUTES.findall("\n".join(cells_of(path, "markdown")))
        assert f"({minutes} min to read" in entry
