"""Hardware, robustness and other tasks: committed results against the published figures."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from graf_utils import evaluate, load_table
from graf_utils.evaluation import DATA_SEEDS
from graf_utils.registry import data_path

SIZES = (32, 128, 1024)
HARDWARE = {  # GRAF, then one-hot, at each train size; an earlier run of ours
    "edgegpu_latency": ((0.611, 0.704, 0.811), (0.451, 0.672, 0.834)),
    "raspi4_latency": ((0.799, 0.857, 0.877), (0.566, 0.728, 0.837)),
    "eyeriss_energy": ((0.869, 0.969, 0.994), (0.471, 0.675, 0.842)),
    "fpga_energy": ((0.813, 0.952, 0.997), (0.546, 0.725, 0.844)),
}
DRAWN = {
    (device, encoding): (20, 10, 5)
    for device in ("raspi4_latency", "eyeriss_energy", "fpga_energy")
    for encoding in ("graf", "one-hot")
}
DRAWN |= {("edgegpu_latency", "graf"): (20, 20, 5), ("edgegpu_latency", "one-hot"): (20, 20, 10)}
"""Splits of that earlier run at each train size, as recorded with the figures; with as many, all 24
figures are met to their last digit."""
ATTACKS = {  # one-hot, ZCP, GRAF, ZCP + GRAF at 1,024
    "pgd": (0.506, 0.588, 0.668, 0.701),
    "aa_apgd-ce": (0.543, 0.569, 0.682, 0.701),
    "fgsm": (0.698, 0.767, 0.783, 0.811),
    "aa_square": (0.514, 0.574, 0.616, 0.645),
}
DRAWN_OF_ATTACKS = 5  # recorded with the figures, all 16 of which are met to their last digit
SCENES = {  # at each train size; 50 splits
    "one-hot": (0.289, 0.509, 0.721),
    "zcp": (0.518, 0.602, 0.714),
    "graf": (0.579, 0.674, 0.747),
    "zcp+graf": (0.585, 0.686, 0.766),
}
MICRO = {"autoencoder": (0.557, 0.594, 0.627), "room_layout": (0.671, 0.737, 0.784)}  # GRAF
KEYS = ["table", "target", "encoding", "predictor", "train_size", "data_seed"]
RERUN = 0.0006  # figures of a re-run on the same data, three decimals
AUTHORS = 0.003  # the authors' stored results, of other versions of the libraries
MISSED: dict[tuple[str, str, str, int], str] = {}
"""Figures that the committed results do not meet, each with its reason."""


def committed():
    return pd.read_parquet(data_path("results", "paper_tasks.parquet"))


def published():
    """Setting (table, target, encoding, train size), figure, splits behind it, splits of ours.

    The last item is the tolerance.
    """
    for target, figures in HARDWARE.items():
        for encoding, row in zip(("graf", "one-hot"), figures, strict=True):
            for size, tau, drawn in zip(SIZES, row, DRAWN[target, encoding], strict=True):
                setting = ("nb201-hardware-cifar10", target, encoding, size)
                yield setting, tau, drawn, 20, RERUN
    for attack, row in ATTACKS.items():
        for encoding, tau in zip(SCENES, row, strict=True):
            setting = ("nb201-robustness", f"{attack}@Linf_eps-1.0", encoding, 1024)
            yield setting, tau, DRAWN_OF_ATTACKS, 20, RERUN
    for encoding, row in SCENES.items():
        for size, tau in zip(SIZES, row, strict=True):
            setting = ("tnb101-micro-class_scene", "accuracy", encoding, size)
            yield setting, tau, 50, 50, AUTHORS
    for target, row in MICRO.items():
        for size, tau in zip(SIZES, row, strict=True):
            yield ("tnb101-micro", target, "graf", size), tau, 50, 50, AUTHORS


def cases():
    for setting, *rest in published():
        marks = []
        if setting in MISSED:
            marks = [pytest.mark.xfail(reason=MISSED[setting], raises=AssertionError)]  # strict
        yield pytest.param(setting, *rest, marks=marks, id="-".join(map(str, setting)))


@pytest.fixture(scope="module")
def taus():
    """Taus of the forest, by setting, in the order of the data seeds."""
    forest = committed().query("predictor == 'rf'").sort_values("data_seed")
    return forest.groupby(["table", "target", "encoding", "train_size"])["kendall_tau"]


@pytest.mark.parametrize(("setting", "figure", "drawn", "n_splits", "tolerance"), list(cases()))
def test_committed_results_meet_the_figures(taus, setting, figure, drawn, n_splits, tolerance):
    results = taus.get_group(setting)
    if len(results) != n_splits:  # not an assertion: no expected failure either
        raise LookupError(f"{len(results)} of {n_splits} splits: `make paper` has not ended")
    assert results.head(drawn).mean() == pytest.approx(figure, abs=tolerance)


def test_every_missed_figure_is_one():
    assert set(MISSED) <= {setting for setting, *_ in published()}


def test_each_fit_stands_once_with_the_splits_of_the_paper():
    results = committed()
    assert not results.duplicated(KEYS).any()
    assert results["data_seed"].isin(DATA_SEEDS).all()
    assert set(results["predictor"]) == {"rf", "ridge"}
    pool = results["table"].str.startswith("tnb101").map({True: 2_128, False: 9_445})
    assert (results["n_test"] + results["train_size"] == pool).all()
    metadata = pq.read_schema(data_path("results", "paper_tasks.parquet")).metadata
    facts = json.loads(metadata[b"provenance"])
    assert facts["recipe"] == "data/recipes/task_results.py"
    assert not set(facts.get("missing", [])) & set(results["table"])
    assert all(len(digest) == 64 for digest in facts["files"].values())


@pytest.mark.slow
def test_a_sample_is_computed_again(paper_dir):
    stored = committed().set_index(KEYS)["kendall_tau"]
    for name, targets, encodings, sizes, seeds in (
        ("nb201-hardware-cifar10", ["edgegpu_latency", "fpga_energy"], "graf", [32, 128], [42, 46]),
        ("nb201-hardware-cifar10", "raspi4_latency", ["one-hot", "flops+params"], 1024, [43]),
        ("nb201-robustness", "pgd@Linf_eps-1.0", ["one-hot", "zcp"], 1024, [42]),
        ("tnb101-micro-class_scene", "accuracy", ["zcp", "zcp+graf"], 32, [42, 45]),
        ("tnb101-micro", ["autoencoder", "room_layout"], "graf", [32, 128], [44]),
    ):
        table = load_table(name, source="paper")
        found = evaluate(table, targets, encodings, "rf", sizes, seeds, progress=False)
        found = found.set_index(KEYS)["kendall_tau"]
        np.testing.assert_allclose(found, stored[found.index], rtol=0, atol=0.002)


def test_what_the_chapter_says_of_the_devices(paper_dir):
    """Modelled costs follow from the counts, the edge GPU's latency does not."""
    table = load_table("nb201-hardware-cifar10", source="paper")
    counts = [tuple(sorted(cell)) for cell in table.architectures]
    groups = table.targets.groupby(pd.Series(counts))
    spread = (table.targets - groups.transform("mean")).var() / table.targets.var()
    modelled = spread[spread.index.str.contains("eyeriss|fpga")]
    assert len(modelled) == 5
    assert modelled.max() < 1e-6
    assert spread["edgegpu_latency"] == pytest.approx(0.24, abs=0.01)
    assert spread["raspi4_latency"] == pytest.approx(0.02, abs=0.005)
