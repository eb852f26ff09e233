"""Spaces of configurations, and the tables whose architectures are such: loaders, sheets, traps."""

from __future__ import annotations

import collections
import itertools
import json
import pickle

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import load_recipe
from scipy.stats import kendalltau

from graf_utils import load_table
from graf_utils._configuration_files import READERS, gpt_configuration
from graf_utils._plain_data import read_plain_data
from graf_utils.datasets import list_tables
from graf_utils.registry import DataError, book_registry, data_path
from graf_utils.spaces import ConfigurationSpace, get_space

NUMBERS = {"width": (64, 128), "tied": (False, True)}
LAYERS = {"heads": (2, 4, 8), "kind": ("sa", "conv")}


@pytest.fixture(scope="module")
def space():
    return ConfigurationSpace("mine", NUMBERS, LAYERS, depths=(1, 3))


@pytest.fixture(scope="module")
def bert():
    return load_table("nas-bench-bert", valid_only=False)


# --- the space ------------------------------------------------------------------------------------


@given(st.data())
def test_a_configuration_is_read_as_it_is_written(data):
    space = ConfigurationSpace("mine", NUMBERS, LAYERS, depths=(1, 3))
    configuration = {key: data.draw(st.sampled_from(choices)) for key, choices in NUMBERS.items()}
    configuration["layers"] = [
        {key: data.draw(st.sampled_from(choices)) for key, choices in LAYERS.items()}
        for _ in range(data.draw(st.sampled_from([1, 3])))
    ]
    codes = space.to_codes([configuration])
    assert space.configurations(codes) == [configuration]
    assert (space.to_codes([json.dumps(configuration)]) == codes).all()
    assert (space.to_codes(space.from_codes(codes)) == codes).all()
    assert json.loads(space.to_string(codes[0])) == configuration
    assert space.n_layers(codes).tolist() == [len(configuration["layers"])]
    names = space.position_names()
    heads = [space.entry(codes[0], names.index(f"layer {i} heads")) for i in range(3)]
    written = [layer["heads"] for layer in configuration["layers"]]
    assert heads == written + [None] * (3 - len(written))


def test_all_configurations_are_listed_once(space):
    codes = space.enumerate()
    assert len(codes) == 2 * 2 * (6 + 6**3)
    assert len(np.unique(codes, axis=0)) == len(codes)
    assert len(set(space.canonical(codes))) == len(codes)
    assert space.is_valid(codes).all()


def test_neighbours_are_those_with_one_choice_changed_or_one_depth_further(space):
    everything = {tuple(code) for code in space.enumerate().tolist()}
    for code in space.sample(20, random_state=1):
        deep = code[-1] != -1
        near = {tuple(row) for row in space.neighbours(code).tolist()}
        same_depth = {c for c in everything if (c[-1] != -1) == deep}
        changed = {c for c in same_depth if sum(a != b for a, b in zip(c, code, strict=True)) == 1}
        (other,) = near - changed
        assert changed <= near <= everything
        first = tuple(code[:4].tolist())
        assert other == (first + (-1,) * 4 if deep else first + tuple(code[2:4].tolist()) * 2)


def test_samples_have_each_depth_and_choice_as_often(space):
    codes = space.sample(6_000, random_state=0)
    assert abs((space.n_layers(codes) == 1).mean() - 0.5) < 0.03
    for position in range(4):
        share = np.bincount(codes[:, position]) / len(codes)
        assert np.abs(share - 1 / len(share)).max() < 0.03
    few = space.sample(500, replace=False, random_state=0)
    assert len(np.unique(few, axis=0)) == 500
    with pytest.raises(ValueError, match="no 900 different"):
        space.sample(900, replace=False, random_state=0)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"width": 64, "tied": True}, r"lacks \['layers'\]"),
        ({"width": 65, "tied": True, "layers": []}, r"width is 65; it must be one of \[64, 128\]"),
        ({"width": 64, "tied": 1, "layers": []}, r"tied is 1; it must be one of \[False, True\]"),
        ({"width": 64, "tied": True, "layers": []}, r"has 0 layers; mine has \[1, 3\]"),
        ({"width": 64, "tied": True, "layers": "x"}, "must be a list, one per layer"),
        ({"width": 64, "tied": True, "layers": [{"heads": 2}]}, r"layer 0 lacks \['kind'\]"),
        ({"width": 64, "tied": True, "layers": [7]}, "layer 0 is 7; it must map"),
        ("{", "is no configuration in JSON"),
        ("7", "is a int in JSON"),
        ((0, 0, 0), "it has 3 entries; mine needs 4 or 8"),
        ((0, 0, 3, 0), "entry 2, layer 0 heads, is 3; .* 0..2"),
        ((0, 0, 0, 0, -1, -1, 0, 0), "whole ones in a row"),
    ],
)
def test_what_is_no_configuration_is_refused(space, configuration, message):
    with pytest.raises(ValueError, match=message):
        space.to_codes([configuration])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "no settings"),
        (({"a": ()},), "at least one choice"),
        (({"a": (1, 1)},), "each once"),
        (({"a": "text"},), "at least one choice"),
        (({"a": 4},), "at least one choice"),
        ((["a"],), "must map the name"),
        (({"a": (1,)}, {"b": (1,)}), "depths"),
        (({"a": (1,)}, {"b": (1,)}, (0, 2)), "whole numbers from 1"),
        (({"a": (1,)}, {"b": (1,)}, 2), "whole numbers from 1"),
        (({"a": (1,)}, {"b": (1,)}, (2, "3")), "whole numbers from 1"),
        (({"a": (1,)}, {}, (2,)), "if and only if layers"),
        (({"a": (1,)}, {"a": (1,)}, (2,)), "both have 'a'"),
    ],
)
def test_what_is_no_space_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConfigurationSpace("mine", *arguments)


def test_what_needs_cells_is_refused_with_a_remedy(bert):
    with pytest.raises(ValueError, match="settings_one_hot"):
        bert.space.graph_batch(bert.codes[:1])
    with pytest.raises(ValueError, match=r"too many to enumerate. Use sample"):
        load_table("hw-gpt-s").space.enumerate()


# --- plain data in the pickle format --------------------------------------------------------------

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=30)
@given(PLAIN, st.integers(2, 5))
def test_plain_data_is_read_as_pickle_reads_it(tmp_path_factory, value, protocol):
    path = tmp_path_factory.getbasetemp() / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert read_plain_data(path) == value


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "b1"])
def test_scalars_of_numpy_are_numbers(tmp_path, dtype):
    path = tmp_path / "scalar.pkl"
    value = np.array([3]).astype(dtype)[0]
    path.write_bytes(pickle.dumps({"x": [value, value]}, 4))
    assert read_plain_data(path) == {"x": [value.item()] * 2}


class Ran:
    """Says so when it is unpickled."""

    happened = False

    def __reduce__(self):
        return Ran.happen, ()

    @staticmethod
    def happen():
        Ran.happened = True


@pytest.mark.parametrize(
    "value", [Ran(), np.zeros(3), {1, 2}, collections.OrderedDict(a=1), print, Ran, b"x" * 3]
)
def test_anything_else_is_refused_and_nothing_runs(tmp_path, value):
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(value, 2))
    with pytest.raises(ValueError, match=r"is not plain data at byte \d+: .*do not unpickle"):
        read_plain_data(path)
    assert not Ran.happened


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "cut.pkl"
    whole = pickle.dumps([{"a": [1, 2, 3]}] * 3, 4)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="plain data|ends with"):
            read_plain_data(path)


# --- embedded tables ------------------------------------------------------------------------------


def test_nas_bench_bert_repeats_nine_architectures(bert):
    """They are grouped, and differ by half a point in the median: the noise floor."""
    assert len(bert) == 500
    assert len(load_table("nas-bench-bert")) == 491
    again = np.flatnonzero(bert.first_rows != np.arange(500))
    assert len(again) == 9
    glue = bert.target("glue")
    assert np.median(np.abs(glue[again] - glue[bert.first_rows[again]])) == pytest.approx(
        0.5, abs=0.1
    )
    tasks = bert.targets[["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts"]]
    np.testing.assert_allclose(tasks.mean(axis=1), glue, atol=1e-9)


def test_published_metrics_measure_depth(bert):
    """τ and ρ as they are quoted elsewhere; within one depth no metric is beyond .15."""
    glue, depth = bert.target("glue"), bert.space.n_layers(bert.codes)
    assert np.bincount(depth)[[2, 4]].tolist() == [239, 261]
    published = {
        "head_confidence": (0.478, 0.716),
        "number_of_parameters": (0.454, 0.652),
        "activation_distance": (0.222, 0.331),
        "synaptic_saliency": (0.188, 0.281),
        "jacobian_score": (-0.042, -0.067),
    }
    ranks = bert.proxies.rank()
    for name, (tau, rho) in published.items():
        assert kendalltau(bert.proxies[name], glue).statistic == pytest.approx(tau, abs=6e-4)
        assert ranks[name].corr(pd.Series(glue).rank()) == pytest.approx(rho, abs=6e-4)
    assert kendalltau(depth, glue).statistic == pytest.approx(0.682, abs=6e-4)
    for layers, name in itertools.product((2, 4), bert.proxies):
        rows = depth == layers
        assert abs(kendalltau(bert.proxies[name][rows], glue[rows]).statistic) <= 0.1505, name


def test_hw_gpt_has_ten_thousand_architectures_without_inactive_layers():
    table = load_table("hw-gpt-s")
    assert len(table) == len(np.unique(table.codes, axis=0)) == 10_000
    widths = table.codes[:, 0]
    assert np.bincount(widths).tolist() == [3324, 3303, 3373]
    assert "supernet" in table.provenance["policy"]
    assert not table.provenance["higher_is_better"]["perplexity"]
    first = table.space.configurations(table.codes[:1])[0]
    assert (first["width"], first["bias"], len(first["layers"])) == (384, False, 10)
    measured = load_table("hw-gpt-s-a100")
    assert (table.rows(measured.codes) >= 0).all()  # all of them have a perplexity
    latency, energy = measured.target("latency"), measured.target("energy")
    assert kendalltau(latency, energy).statistic == pytest.approx(0.036, abs=6e-4)  # by chance
    assert kendalltau(latency, measured.proxies["params"]).statistic > 0.9


def test_entries_of_layers_that_are_not_there_are_cut():
    arch = {
        "sample_embed_dim": 192,
        "sample_n_layer": 2,
        "sample_n_head": [4, 8, 12],
        "sample_mlp_ratio": [2, 3, 4],
        "sample_bias": True,
    }
    layers = [{"heads": 4, "ratio": 2}, {"heads": 8, "ratio": 3}]
    assert gpt_configuration(arch) == {"width": 192, "bias": True, "layers": layers}


@pytest.mark.parametrize("name", ["nas_bench_bert", "hw_gpt_s", "hw_gpt_s_a100"])
def test_embedded_tables_are_small_and_say_where_they_come_from(name):
    path = data_path(f"{name}.parquet")
    assert path.stat().st_size < 2**20
    facts = {key.decode(): value.decode() for key, value in pq.read_schema(path).metadata.items()}
    files = book_registry().files
    for source, digest in json.loads(facts["graf_book.sources"]).items():
        assert files[source]["sha256"] == digest
    notice = facts["graf_book.licence"].split("data/")[1].rstrip(")")
    assert name in data_path(notice).read_text(encoding="utf-8")


# --- from the published files ---------------------------------------------------------------------


@pytest.mark.slow
def test_embedded_tables_are_made_again(paper_dir, tmp_path):
    load_recipe("nas_bench_bert").main(["--output", str(tmp_path / "nas_bench_bert.parquet")])
    load_recipe("hw_gpt").main(["--folder", str(tmp_path)])
    for path in tmp_path.iterdir():
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(data_path(path.name)))


@pytest.mark.parametrize(("task", "rows"), [("sst2", 509), ("qnli", 503)])
def test_flexibert_has_sorted_layers(paper_dir, task, rows):
    table = load_table(f"flexibert-{task}", source="paper")
    assert len(table) == len(np.unique(table.codes, axis=0)) == rows
    for configuration in table.space.configurations(table.codes):
        for key in ("hidden_size", "heads", "feed_forward"):
            values = [layer[key] for layer in configuration["layers"]]
            assert values == sorted(values)


def test_hat_has_averages_that_are_sums_of_whole_numbers(paper_dir):
    table = load_table("hat-wmt14ende-cpu-xeon", source="paper")
    assert len(table) == 2000
    path = next(iter(table.provenance["files"]))
    file = pd.read_csv(paper_dir / path)
    first = table.space.configurations(table.codes[:1])[0]
    assert first["decoder_layers"] == 3
    assert first["encoder_feed_forward"] / 6 == pytest.approx(file["encoder_ffn_embed_dim_avg"][0])
    assert first["cross_layers"] / 3 == pytest.approx(file["decoder_arbitrary_ende_attn_avg"][0])
    both = file["latency_mean_encoder"] + file["latency_mean_decoder"]
    np.testing.assert_allclose(table.target("latency"), both)
    assert len(load_table("hat-wmt19ende-gpu-titanxp")) == 1999  # one of 2,000 repeats another


def test_cells_of_swap_break_the_rules_of_darts(paper_dir):
    table = load_table("swap-cnn", source="paper")
    codes = table.codes.reshape(1000, 2, 4, 2, 2)
    assert (codes[:, 0] == codes[:, 1]).all()  # the reduction cell is the normal cell
    none = table.space.operations.index("none")
    assert (codes[..., 1] == none).any(axis=(1, 2, 3)).sum() == 644
    assert (codes[..., 0, 0] == codes[..., 1, 0]).any(axis=(1, 2)).sum() == 811
    assert len(np.unique(table.target("accuracy"))) == 704
    assert table.provenance["licence"].startswith("AFL-3.0")
    with pytest.raises(ValueError, match="unknown|repeated"):
        get_space("darts").to_codes([table.space.to_string(table.codes[0])])


def test_genotypes_that_keep_the_rules_are_the_graphs_of_darts():
    lenient, darts = get_space("darts-lenient"), get_space("darts")
    codes = darts.sample(30, random_state=0)
    for cell in ("normal", "reduce"):
        one, other = (space.graph_batch(codes)[cell] for space in (lenient, darts))
        for row in range(30):
            edges = [
                sorted((u, v, d["op"]) for u, v, d in batch.to_networkx(row).edges(data=True))
                for batch in (one, other)
            ]
            assert edges[0] == edges[1]
    assert lenient.canonical(codes) == darts.canonical(codes)


def test_none_is_dead_and_repeated_sources_are_two_edges():
    space = get_space("darts-lenient")
    none = space.operations.index("none")
    cell = ((0, none), (1, 3), (0, 3), (0, 4), (2, 3), (2, 3), (4, none), (4, none))
    batch = space.graph_batch([(cell, cell)])["normal"]
    graph = batch.to_networkx(0)
    assert graph.number_of_edges(0, 3) == graph.number_of_edges(2, 4) == 2
    assert batch.live[0].sum() == (batch.edge_ops[0] != -1).sum() - 3


# --- files that nobody of us has ------------------------------------------------------------------


def test_tables_whose_files_are_not_there_are_registered_with_the_same_reader(
    tmp_path, monkeypatch
):
    """A made-up file in the form of the small space is read as the medium one."""
    tables = list_tables().set_index("name")
    listed = ["hw-gpt-m", "hat-wmt14enfr-cpu-xeon", "hat-wmt14enfr-gpu-titanxp"]
    assert set(listed) <= set(tables.index)
    assert (tables.loc[listed, "rows"] == 0).all()  # nobody has counted them
    depth = 22
    arch = {
        "sample_embed_dim": 512,
        "sample_n_layer": depth,
        "sample_n_head": [8, 16] * 12,
        "sample_mlp_ratio": [3] * 24,
        "sample_bias": False,
    }
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps([{"accuracy": 0.4, "perplexity": 21.5, "arch": arch}], 4))
    frame = READERS["hw-gpt"](path, "architecture")
    description = book_registry().tables["hw-gpt-m", "paper"]
    space = ConfigurationSpace(**description["space"])
    assert space.n_layers(frame["architecture"]).tolist() == [depth]
    assert frame["perplexity"].tolist() == [21.5]
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("graf_utils.registry._get_once", _no_network)
    with pytest.raises(DataError, match="could not be read or stored"):
        load_table("hw-gpt-m")


def _no_network(*args):
    raise OSError("no network")
