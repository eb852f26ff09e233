"""Paired differences, Holm's correction and the verdict, on made-up numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from graf_utils.evaluation import SETTING
from graf_utils.paired import common_seeds, holm, paired_differences, verdicts

# --- paired differences ---------------------------------------------------------------------------


def made_up(shifts, seeds=50, noise=0.005):
    """Results in which each encoding differs from the baseline by a shift for each train size.

    The mean difference is the shift exactly, and the standard deviation the noise.
    """
    random = np.random.default_rng(0)
    frames = []
    for i, size in enumerate((32, 128, 1024)):
        luck = random.normal(0.6, 0.05, seeds)  # of the split, the same for all encodings
        setting = {"table": "t", "source": "paper", "target": "y", "predictor": "p"}
        setting |= {"train_size": size, "data_seed": range(seeds)}
        frames.append(pd.DataFrame(setting | {"encoding": "graf+flow", "kendall_tau": luck}))
        for name, shift in shifts.items():
            drawn = stats.zscore(random.normal(size=seeds), ddof=1) * noise
            setting |= {"encoding": name, "kendall_tau": luck + shift[i] + drawn}
            frames.append(pd.DataFrame(setting))
    return pd.concat(frames, ignore_index=True)


SHIFTS = {
    "helps": (0.01, 0, 0),
    "both": (0.01, 0, -0.01),
    "hurts": (0, -0.01, 0),
    "noise": (0, 0, 0),
}


def test_common_seeds_are_those_that_all_have_in_each_setting():
    results = made_up(SHIFTS, seeds=6)
    is_gone = (results["encoding"] == "both") & (results["data_seed"] < results["train_size"] % 7)
    results = results[~is_gone].sample(frac=1, random_state=0)  # 32: 4 gone, 128: 2, 1,024: 2
    kept = common_seeds(results, ["both", "helps"], at_least=3)
    assert kept.equals(results[results.index.isin(kept.index)])  # in their order
    found = kept.groupby(["train_size", "encoding"])["data_seed"].agg(set).to_dict()
    assert found == {(n, e): {2, 3, 4, 5} for n in (128, 1024) for e in ("both", "helps")}
    assert set(common_seeds(results)["encoding"]) == {*SHIFTS, "graf+flow"}
    assert common_seeds(results, ["both", "helps"], at_least=5).empty
    assert common_seeds(results, ["both", "nowhere"]).empty
    of_sizes = results[results["encoding"] == "both"].assign(target=results["train_size"])
    of_sizes = of_sizes.assign(target=of_sizes["target"].astype(str), train_size=1)
    assert set(common_seeds(of_sizes, along="target")["data_seed"]) == {4, 5}


@pytest.mark.parametrize("wrong", [{"along": "n_test"}, {"at_least": 0}, {"values": []}])
def test_seeds_of_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("values", "encoding")):
        common_seeds(made_up(SHIFTS, seeds=3), **wrong)
    with pytest.raises(ValueError, match="data_seed"):
        common_seeds(made_up(SHIFTS, seeds=3).drop(columns="data_seed"))


def test_differences_are_those_of_a_paired_test():
    results = made_up(SHIFTS).sample(frac=1, random_state=0)  # rows in any order
    differences = paired_differences(results, "graf+flow").set_index(["encoding", "train_size"])
    assert len(differences) == 12
    wide = results.pivot(index=["train_size", "data_seed"], columns="encoding")["kendall_tau"]
    for (encoding, size), row in differences.iterrows():
        test = stats.ttest_rel(wide.loc[size, encoding], wide.loc[size, "graf+flow"])
        interval = test.confidence_interval(0.95)
        mean = wide.loc[size, encoding].mean() - wide.loc[size, "graf+flow"].mean()
        expected = [50, mean, interval.low, interval.high, test.pvalue]
        found = row[["n", "difference", "low", "high", "p"]].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert (differences["p_holm"] >= differences["p"]).all()
    assert differences["p_holm"].min() == pytest.approx(12 * differences["p"].min())


def test_kept_is_what_helps_somewhere_and_hurts_nowhere():
    board = verdicts(paired_differences(made_up(SHIFTS), "graf+flow")).set_index("encoding")
    assert board["verdict"].to_dict() == {
        "helps": "kept", "both": "failed", "hurts": "failed", "noise": "failed"
    }  # fmt: skip
    assert board[["settings", "helps", "hurts"]].to_numpy().tolist() == [
        [3, 1, 0], [3, 1, 1], [3, 0, 1], [3, 0, 0]
    ]  # fmt: skip
    assert board.loc["both", ["least", "most"]].tolist() == pytest.approx([-0.01, 0.01])


def test_the_correction_is_for_all_that_was_tried():
    """What passes alone, here with p = 0.005, need not pass among 39."""
    shifts = {"weak": (0.0021, 0, 0)} | {f"noise {i}": (0, 0, 0) for i in range(12)}
    results = made_up(shifts)
    weak = results["encoding"].isin(["graf+flow", "weak"]) & (results["train_size"] == 32)
    alone = paired_differences(results[weak], "graf+flow")
    assert alone["p"].tolist() == pytest.approx([2 * stats.t.sf(0.0021 / 0.005 * 50**0.5, 49)])
    assert verdicts(alone)["verdict"].tolist() == ["kept"]
    board = verdicts(paired_differences(results, "graf+flow")).set_index("encoding")
    assert set(board["verdict"]) == {"failed"}


def test_a_harm_on_another_table_counts():
    results = made_up({"helps": (0.01, 0, 0)})
    other = made_up({"helps": (-0.01, 0, 0)}).assign(table="other")
    (row,) = verdicts(paired_differences(pd.concat([results, other]), "graf+flow")).to_dict(
        "records"
    )
    assert (row["settings"], row["helps"], row["hurts"], row["verdict"]) == (6, 1, 1, "failed")


def test_equal_fits_are_no_difference():
    results = made_up({"same": (0, 0, 0)}, noise=0)
    differences = paired_differences(results, "graf+flow")
    assert differences["p"].tolist() == [1, 1, 1]
    assert (differences[["difference", "low", "high"]] == 0).all(axis=None)
    assert verdicts(differences)["verdict"].tolist() == ["failed"]


def test_predictors_and_other_metrics_can_be_compared():
    results = made_up({"x": (0.01, 0.01, 0.01)})
    one = results[results["encoding"] == "x"].rename(columns={"kendall_tau": "spearman"})
    two = one.assign(predictor="q", spearman=one["spearman"] + one["data_seed"] / 1000)
    options = {"along": "predictor", "metric": "spearman"}
    differences = paired_differences(pd.concat([one, two]), "p", **options)
    assert list(differences["predictor"]) == ["q"] * 3
    np.testing.assert_allclose(differences["difference"], 0.0245)
    assert verdicts(differences, along="predictor")["verdict"].tolist() == ["kept"]


def test_pairs_with_a_nan_are_left_out():
    results = made_up({"x": (0.01, 0.01, 0.01)}, seeds=5)
    results.loc[(results["data_seed"] == 2) & (results["encoding"] == "x"), "kendall_tau"] = np.nan
    differences = paired_differences(results, "graf+flow")
    assert differences["n"].tolist() == [4, 4, 4]
    whole = paired_differences(results[results["data_seed"] != 2], "graf+flow")
    pd.testing.assert_frame_equal(differences, whole)


def edited(change):
    return change(made_up({"x": (0, 0, 0)}, seeds=4))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda r: r, {"baseline": "graf"}, "baseline='graf' is unknown"),
        (lambda r: r, {"along": "data_seed"}, "along='data_seed' is unknown"),
        (lambda r: r, {"metric": "tau"}, "no numbers in a column 'tau'"),
        (lambda r: r.drop(columns="source"), {}, "no columns .'source'."),
        (lambda r: r[r["encoding"] != "x"], {}, "nothing but the baseline 'graf\\+flow'"),
        (lambda r: pd.concat([r, r]), {}, "two rows of the setting"),
        (lambda r: r[r["data_seed"] == 0], {}, "1 pairs of the setting .* needs two"),
        (
            lambda r: r[(r["encoding"] == "x") | (r["data_seed"] > 1)],
            {},
            "no row of the baseline .*'data_seed': 0.*'x' has, and 6 such gaps",
        ),
        (lambda r: r.to_numpy(), {}, "must be a DataFrame"),
    ],
)
def test_what_cannot_be_paired_is_named(change, options, message):
    with pytest.raises(ValueError, match=message):
        paired_differences(edited(change), **({"baseline": "graf+flow"} | options))


def test_a_baseline_with_more_seeds_is_no_gap():
    results = edited(lambda r: r[(r["encoding"] != "x") | (r["data_seed"] > 1)])
    assert paired_differences(results, "graf+flow")["n"].tolist() == [2, 2, 2]


@pytest.mark.parametrize("level", [0, 1, -0.1, True, "0.05", float("nan")])
def test_a_level_is_a_share(level):
    differences = paired_differences(made_up({"x": (0, 0, 0)}, seeds=3), "graf+flow")
    with pytest.raises(ValueError, match="level=.* between 0 and 1"):
        verdicts(differences, level=level)


def test_verdicts_need_what_differences_give():
    differences = paired_differences(made_up({"x": (0, 0, 0)}, seeds=3), "graf+flow")
    with pytest.raises(ValueError, match="no numbers in a column 'p_holm'"):
        verdicts(differences.drop(columns="p_holm"))
    with pytest.raises(ValueError, match="along='model' is unknown"):
        verdicts(differences, along="model")
    assert set(SETTING) <= set(differences)


# --- Holm's correction ----------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p):
    """A hypothesis falls when Bonferroni rejects every set of hypotheses that holds it."""
    members = range(len(p))
    sets = [s for k in range(1, len(p) + 1) for s in combinations(members, k)]
    expected = [max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in members]
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


@pytest.mark.parametrize("p", [[0.1, float("nan")], [1.1], [-0.1], 0.5, [[0.1]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        holm(p)
