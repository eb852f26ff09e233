"""Networks of timm: which weights count, how files are joined, traced features, results."""

from __future__ import annotations

import importlib.util
import json
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from recipes import load_recipe
from scipy.stats import kendalltau

from graf_utils import evaluate, load_table
from graf_utils._timm_files import READERS, is_of_imagenet_1k, read_weights
from graf_utils.datasets import list_tables
from graf_utils.evaluation import FIT
from graf_utils.operators import OperatorFeatures, OperatorGraph
from graf_utils.registry import DataError, Registry, book_registry, data_path
from graf_utils.results import provenance_of

pytestmark = pytest.mark.engine

TABLES = ("timm-top1", "timm-cpu-latency", "timm-gpu-latency")
NUMBERS = ["parameters", "multiply_adds", "activations"]
RESULTS = data_path("results")


@pytest.fixture(scope="module")
def networks():
    return pd.read_parquet(data_path("timm_networks.parquet")).set_index("network")


@pytest.fixture(scope="module")
def log():
    return pd.read_parquet(RESULTS / "timm_tracing.parquet").set_index("architecture")


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("timm_results")


@pytest.fixture(scope="module")
def tracing():
    return load_recipe("timm_networks")


# --- which weights count --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "counts"),
    [
        ("resnet50.a1_in1k", True),
        ("inception_v3.tf_adv_in1k", True),
        ("mambaout_small.in1k", True),
        ("rdnet_large.nv_in1k_ft_in1k_384", True),
        ("convnextv2_base.fcmae_ft_in1k", True),  # pre-trained on the same images
        ("resnet50d.c2ns_in1k", True),  # no noisy student
        ("vit_base_patch16_224.augreg_in21k_ft_in1k", False),
        ("resnet50.fb_swsl_ig1b_ft_in1k", False),
        ("resnet50.fb_ssl_yfcc100m_ft_in1k", False),
        ("tf_efficientnet_b0.ns_jft_in1k", False),
        ("vit_base_patch16_clip_224.openai_ft_in1k", False),
        ("beitv2_base_patch16_224.in1k_ft_in1k", False),  # its targets come from CLIP
        ("levit_128.fb_dist_in1k", False),
        ("edgenext_base.usi_in1k", False),
        ("hgnet_small.ssld_in1k", False),
        ("deit_base_distilled_patch16_224.fb_in1k", False),
        ("pit_b_distilled_224.in1k", False),
        ("vit_base_patch14_dinov2.lvd142m", False),  # no result on ImageNet-1k
    ],
)
def test_weights_of_other_data_or_of_a_teacher_do_not_count(weights, counts):
    assert is_of_imagenet_1k(weights) == counts


def test_a_second_list_of_timm_says_the_same_of_the_data(paper_dir):
    """timm's file of what its older weights were trained on, where it knows the architecture."""
    folder = paper_dir / "huggingface/pytorch-image-models/aa4b5850c154/results"
    listed = pd.read_csv(folder / "model_metadata-in1k.csv").set_index("model")["pretrain"]
    weights = read_weights(folder / "results-imagenet.csv")["weights"]
    known = listed.reindex(weights.str.partition(".")[0]).dropna()
    taught = known.index[known.str.contains("dist|jft|ig1b|yfc")]
    assert len(known) > 300
    assert taught.empty
    others = set(known.index[~known.isin(["in1k", "in1k-adv", "in1k-ap"])])
    assert all(name.startswith(("vit_", "swin_", "tresnet_m")) for name in others), others


# --- the files ------------------------------------------------------------------------------------


def test_results_are_joined_by_size_and_the_median_is_taken(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(
        "model,img_size,top1,top5,param_count\n"
        'a.x_in1k,224,70,90,"1,014.45"\na.y_in1k,224,74,92,1\na.z_in1k,224,71,91,1\n'
        "a.x_in1k,288,75,93,1\na.w_in21k_ft_in1k,224,99,99,1\n",
        encoding="utf-8",
    )
    frame = READERS["timm-results"](path, "network").set_index("network")
    assert frame.loc["a@224"].tolist() == [71, 91, 3]
    assert frame.loc["a@288"].tolist() == [75, 93, 1]
    with path.open("a", encoding="utf-8") as file:
        file.write("a.x_in1k,224,70,90,1\n")
    with pytest.raises(ValueError, match="a.x_in1k occurs twice at one size"):
        READERS["timm-results"](path, "network")


def test_benchmarks_are_joined_by_size(tmp_path):
    path = tmp_path / "benchmark.csv"
    text = 'model,infer_img_size,infer_samples_per_sec,param_count\nb,224,50,"1,014.45"\n'
    path.write_text(text + "b,160,200,1\na,224,4.0,1\n", encoding="utf-8")
    frame = READERS["timm-benchmark"](path, "network")
    assert frame["network"].tolist() == ["a@224", "b@160", "b@224"]
    assert frame["latency"].tolist() == [250, 5, 20]
    path.write_text(text + "b,224,51,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="b@224 occurs twice"):
        READERS["timm-benchmark"](path, "network")


@pytest.mark.parametrize("name", TABLES)
def test_embedded_and_published_are_the_same(paper_dir, name):
    embedded, paper = load_table(name, "embedded"), load_table(name, "paper")
    assert embedded.architectures == paper.architectures
    pd.testing.assert_frame_equal(embedded.targets, paper.targets)


@pytest.mark.slow
def test_embedded_tables_are_made_again(paper_dir, tmp_path):
    load_recipe("timm_measured").main(["--output", str(tmp_path)])
    made = sorted(tmp_path.iterdir())
    assert len(made) == 3
    for path in made:
        assert path.read_bytes() == data_path(path.name).read_bytes()


@pytest.mark.parametrize("name", ["timm_top1", "timm_cpu", "timm_gpu", "timm_networks"])
def test_embedded_files_are_small_and_say_where_they_come_from(name):
    path = data_path(f"{name}.parquet")
    assert path.stat().st_size < 2_000_000
    facts = {key.decode(): value.decode() for key, value in pq.read_schema(path).metadata.items()}
    if name == "timm_networks":
        facts = json.loads(facts["provenance"])
        assert facts["processor"]
        assert facts["versions"]["torch"]
        assert "1.0.31" in facts["versions_of_networks"][0]
        return
    for source, digest in json.loads(facts["graf_book.sources"]).items():
        assert book_registry().files[source]["sha256"] == digest
    assert name in data_path("NOTICE-timm.md").read_text(encoding="utf-8")


# --- the tables -----------------------------------------------------------------------------------


def by_network(name, target):
    table = load_table(name)
    return pd.Series(table.target(target), index=table.architectures)


def test_rows_that_were_joined_by_hand():
    """The sixteen recipes of ResNet-50 at 224 that count, the two of EfficientNet-B0, speeds."""
    resnets = [80.846, 80.654, 80.382, 79.904, 79.868, 79.828, 79.766, 79.564, 79.388, 79.034]
    resnets += [79.004, 78.820, 78.444, 78.052, 77.580, 76.156]
    top1 = by_network("timm-top1", "top1")
    assert top1["resnet50@224"] == pytest.approx(np.median(resnets))
    assert top1["efficientnet_b0@224"] == pytest.approx((78.568 + 77.698) / 2)
    assert top1["vit_base_patch16_224@224"] == pytest.approx((79.154 + 80.246) / 2)  # two of five
    cpu = by_network("timm-cpu-latency", "latency")
    assert cpu["resnet50@224"] == pytest.approx(1000 / 30.48)
    assert cpu["vit_base_patch16_224@224"] == pytest.approx(1000 / 8.33)


@pytest.mark.parametrize("name", TABLES)
def test_each_network_stands_once_with_all_its_features(name, networks):
    table = load_table(name)
    assert len(table) == len(set(table.architectures)) > 500
    rows = table.space.rows(table.codes)
    assert list(rows) == list(networks.select_dtypes("number"))
    chosen = networks.loc[table.architectures]
    np.testing.assert_allclose(rows.to_numpy(), chosen[list(rows)].to_numpy())
    sizes = [int(label.partition("@")[2]) for label in table.architectures]
    assert rows["image_size"].tolist() == sizes
    assert (table.targets > 0).all(axis=None)


def test_networks_whose_features_nobody_has_are_left_out():
    everything = pd.read_parquet(data_path("timm_top1.parquet"))
    table = load_table("timm-top1", valid_only=False)
    assert len(table) == len(load_table("timm-top1")) < len(everything)
    assert "resnet50@288" in set(everything["network"]) - set(table.architectures)


def test_the_files_that_nobody_has_seen_are_registered():
    tables = list_tables().set_index("name")
    for name in ("timm-imagenet-real", "timm-imagenet-v2", "timm-gpu-5090-latency"):
        assert tables.loc[name, "rows"] == 0
        assert tables.loc[name, "source"] == "paper"


def test_features_that_are_not_registered_are_refused(tmp_path):
    path = tmp_path / "registry.toml"
    digest = "0" * 64
    path.write_text(
        f"[citations]\nus = 'us'\n[[file]]\npath = 'f.csv'\nbytes = 1\nsha256 = '{digest}'\n"
        "url = 'https://example.org/f.csv'\n[[table]]\nname = 't'\nsource = 'paper'\nkey = 'k'\n"
        "space = { features = 'missing.parquet' }\nfiles = ['f.csv']\nrows = 0\nrows_valid = 0\n"
        "licence = 'x'\ncitation = ['us']\npolicy = ''\ntargets = {}\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError, match=r"features in 'missing.parquet'; add an \[\[embedded\]\]"):
        Registry.read(path)


# --- what was traced ------------------------------------------------------------------------------


def test_nearly_all_architectures_were_traced(log, networks):
    traced = log[log["reason"] == ""]
    assert len(traced) == len(networks)
    assert len(traced) >= 0.95 * len(log)
    assert (log.loc[log["reason"] != "", "operators"] == 0).all()
    assert traced["seconds"].median() < 10
    architectures = {label.partition("@")[0] for label in networks.index}
    assert architectures == set(traced.index)


def test_every_parameter_that_a_module_holds_is_read_by_an_operator(log):
    """As many as all parameters of the module, but for spare parts of a few modules."""
    traced = log[log["reason"] == ""]
    apart = traced["read_parameters"] - traced["held_parameters"]
    assert (apart.abs() > 0.5).mean() < 0.02
    assert (apart.abs() / traced["held_parameters"]).max() < 0.01


def test_multiply_adds_and_activations_are_those_that_timm_counts(networks):
    """timm counts with another tool, and nothing inside an LSTM."""
    counted = pd.read_parquet(data_path("timm_cpu.parquet")).set_index("network")
    both = networks.join(counted, how="inner")
    both = both[(both["infer_gmacs"] > 0.3) & (both["family"] != "sequencer")]
    multiply_adds = both["multiply_adds"] / 1e9 / both["infer_gmacs"]
    assert len(both) > 500
    assert multiply_adds.sub(1).abs().lt(0.05).mean() > 0.97
    activations = both["activations"] / 1e6 / both["infer_macts"]
    assert activations.sub(1).abs().lt(0.05).mean() > 0.9


def test_twins_are_one_network_under_several_names(recipe):
    table = load_table("timm-top1")
    twins = dict(zip(table.architectures, recipe.twins_of(table), strict=True))
    assert twins["deit_base_patch16_224@224"] == twins["vit_base_patch16_224@224"]
    assert twins["resnet50@224"] != twins["resnet101@224"]
    features = recipe.features_of(table)
    distinct = features.drop_duplicates()
    assert len(set(twins.values())) == len(distinct) < len(table)


def test_a_sample_of_the_features_is_computed_again(networks, tracing):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed: only the recipe timm_networks needs it")
    tracing.import_timm()
    names = ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_100", "mvitv2_tiny"]
    records = [tracing.trace(name) for name in names]
    again = tracing.make_table(records).set_index("network")
    stored = networks.loc[again.index]
    assert (again["family"] == stored["family"]).all()
    columns = list(again.columns[1:])
    np.testing.assert_allclose(again[columns], stored[columns], rtol=1e-5, atol=1e-6)


# --- the recipe that traces -----------------------------------------------------------------------


def test_a_graph_is_read_as_it_was_written(tracing):
    graph = OperatorGraph(
        ["input", "attention", "output"],
        [(0, 1), (1, 2)],
        {"parameters": [0, 5, 0], "multiply_adds": [0, 8 * 49 * 49 * 64 * 2, 0],
         "outputs": [9, 49 * 512, 9], "heads": [np.nan, 8, np.nan],
         "channels": [3, 512, np.nan]},
        ["", "scaled_dot_product_attention", ""],
        [-1, 0, -1],
    )  # fmt: skip
    text = json.dumps({"graph": tracing.written(graph)})
    assert tracing.read_graph(json.loads(text)) == graph
    numbers = tracing.numbers_of(graph)
    assert numbers["activations"] == 49 * 512 + 8 * 49 * 49
    assert numbers["parameters"] == 5


def test_what_fails_or_hangs_becomes_a_row_and_what_is_done_stays(tracing, tmp_path, monkeypatch):
    calls = tmp_path / "calls"

    def trace(name):
        with calls.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        if name == "bad":
            raise ValueError("it cannot be traced")
        if name == "slow":
            time.sleep(60)
        layer = OperatorGraph(["input", "conv", "output"], [(0, 1), (1, 2)])
        zeros = dict.fromkeys(["parameters", "multiply_adds", "outputs"], [0] * 3)
        zeros |= dict.fromkeys(["heads", "channels"], [np.nan] * 3)
        graph = OperatorGraph(layer.kinds, layer.edges, zeros)
        return {
            "architecture": name, "family": "f", "image_size": 8, "held_parameters": 0,
            "build_seconds": 0.1, "seconds": 0.2, "warnings": [], "versions": {"timm": "1"},
            "graph": tracing.written(graph),
        }  # fmt: skip

    fake = SimpleNamespace(list_models=lambda: ["good", "bad", "slow"], __version__="1")
    monkeypatch.setattr(tracing, "trace", trace)
    monkeypatch.setattr(tracing, "import_timm", lambda: fake)
    folder = tmp_path / "graphs"
    for _ in range(2):
        tracing.trace_all(["good", "bad", "slow", "nobody"], folder, limit=1)
    done = calls.read_text(encoding="utf-8").split()
    assert [done.count(name) for name in ("good", "bad", "slow")] == [1, 1, 1]
    tracing.write_tables(folder, tmp_path / "networks.parquet", tmp_path / "log.parquet")
    log = pd.read_parquet(tmp_path / "log.parquet").set_index("architecture")
    assert log["reason"].to_dict() == {
        "good": "",
        "bad": "ValueError: it cannot be traced",
        "slow": "longer than 1 seconds",
        "nobody": "timm 1 does not know it",
    }
    made = pd.read_parquet(tmp_path / "networks.parquet")
    assert made["network"].tolist() == ["good@8"]
    assert set(OperatorFeatures().get_feature_names_out()) <= set(made)


# --- results --------------------------------------------------------------------------------------

FILE = RESULTS / "timm.parquet"


def test_the_committed_fits_are_those_of_the_plan(recipe):
    results = pd.read_parquet(FILE)
    assert not results.duplicated(list(FIT)).any()
    sizes, seeds = len(recipe.SIZES), len(recipe.SEEDS)
    for line in recipe.PLAN:
        fits = results[results["table"] == line.name]
        assert set(fits["encoding"]) == set(line.encodings)
        assert len(fits) == len(line.encodings) * len(recipe.PREDICTORS) * sizes * seeds
    assert set(results["table"]) == {line.name for line in recipe.PLAN}
    assert sorted(set(results["data_seed"])) == list(range(42, 62))
    assert results["kendall_tau"].between(-1, 1).all()
    files = provenance_of(FILE)["files"]
    registry = book_registry()
    assert files["timm_networks.parquet"] == registry.embedded["timm_networks.parquet"]["sha256"]


def test_held_out_families_are_on_one_side(recipe):
    table = load_table("timm-top1")
    families, twins = recipe.families_of(table), recipe.twins_of(table)
    split = recipe.hold_out(families, twins)
    sides = [split(len(table), 32, seed) for seed in (42, 43)]
    for train, test in sides:
        assert not set(families[train]) & set(families[test])
        assert not set(twins[train]) & set(twins[test])
        assert twins[train].nunique() == 32
        assert len(test) > 0.2 * len(table)
    assert set(sides[0][1]) != set(sides[1][1])


def test_a_sample_is_computed_again(recipe):
    stored = pd.read_parquet(FILE)
    for line in recipe.PLAN[:2]:
        table = recipe.load(line.table)
        twins = recipe.twins_of(table)
        splits = recipe.hold_out(recipe.families_of(table), twins) if line.holds_out else None
        table.name = line.name
        names = ("numbers", "graf+flow")
        again = evaluate(
            table, line.target, recipe.encodings_of(table, names),
            {name: recipe.PREDICTORS[name] for name in ("ridge", "rf")}, 32, [42],
            duplicates="grouped", twins=twins,
            splits=splits, progress=False,
        )  # fmt: skip
        both = again.merge(stored, on=list(FIT), suffixes=("", "_stored"))
        assert len(both) == len(again) == 4
        assert (both["n_features"] == both["n_features_stored"]).all()
        assert (both["kendall_tau"] - both["kendall_tau_stored"]).abs().max() < 0.02


def test_single_numbers_are_computed_again(recipe, networks):
    stored = pd.read_parquet(RESULTS / "timm_numbers.parquet").set_index(["table", "number"])
    for name, target in (("timm-top1", "top1"), ("timm-cpu-latency", "latency")):
        measured = by_network(name, target)
        for number in NUMBERS:
            tau = kendalltau(networks.loc[measured.index, number], measured).statistic
            assert stored.loc[(name, number), "kendall_tau"] == pytest.approx(tau, abs=1e-9)
            assert stored.loc[(name, number), "n"] == len(measured)


def test_the_noise_is_that_of_recipes_of_one_network():
    noise = pd.read_parquet(RESULTS / "timm_noise.parquet")
    resnets = noise[noise["network"] == "resnet50@224"]
    assert len(resnets) == 16
    assert resnets["top1"].max() == 80.846
    assert (noise.groupby("network").size() > 1).all()
    assert set(noise["network"]) <= set(load_table("timm-top1").architectures)
    medians = noise.groupby("network")["top1"].median()
    pd.testing.assert_series_equal(
        medians, by_network("timm-top1", "top1")[medians.index], check_names=False
    )
