"""Transformers from configurations: published counts, graphs, encodings, and the results."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from recipes import load_recipe
from scipy.stats import f as f_distribution

from graf_utils import Table, evaluate, load_table
from graf_utils.evaluation import DATA_SEEDS, FIT
from graf_utils.operators import OperatorFeatures, OperatorGraph
from graf_utils.registry import data_path
from graf_utils.results import provenance_of
from graf_utils.spaces import ConfigurationSpace
from graf_utils.transformers import (
    as_trained,
    bert_layers,
    depth,
    flexibert_layers,
    gpt_layers,
    hat_layers,
    layer_statistics,
    operator_graphs,
    parameters,
    settings_numbers,
    settings_one_hot,
)

LAYER = {"operation": "SA-SDP", "heads": 4, "feed_forward": 512, "n_feed_forward": 1}
HAT = {
    "encoder_width": 512, "encoder_layers": 6, "encoder_feed_forward": 6 * 1024,
    "encoder_heads": 24, "decoder_width": 512, "decoder_layers": 2,
    "decoder_feed_forward": 2 * 2048, "decoder_heads": 8, "cross_heads": 16, "cross_layers": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def bert():
    return load_table("nas-bench-bert", valid_only=False)


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("transformer_results")


def n_weights(layers):
    return parameters([OperatorGraph.from_layers(layers)])["parameters"][0]


# --- numbers that others published ----------------------------------------------------------------


def test_published_counts_are_those_of_networks_of_one_width(bert):
    """All 500 agree if hidden size and feed-forward size are those of the defaults, else few do."""

    def with_defaults(configuration):
        layers = [layer | {"feed_forward": 1024} for layer in configuration["layers"]]
        return bert_layers({"hidden_size": 256, "layers": layers})

    published = bert.proxies["number_of_parameters"].to_numpy()
    ours = parameters(operator_graphs(bert, with_defaults))["parameters"].to_numpy()
    assert (ours == published).all()
    as_written = parameters(operator_graphs(bert, bert_layers))["parameters"].to_numpy()
    width = np.array([c["hidden_size"] for c in bert.space.configurations(bert.codes)])
    assert (as_written != published).mean() > 0.9
    assert (as_written[width == 128] < published[width == 128]).all()


def test_published_counts_and_multiply_adds_of_hw_gpt_agree():
    """Multiply-adds are those of 8,192 tokens, and leave out attention."""
    table = load_table("hw-gpt-s-a100").subset(slice(0, 2500, 10))
    graphs = operator_graphs(table, gpt_layers)
    ours = parameters(graphs)["parameters"]
    np.testing.assert_allclose(ours / 1e6, table.proxies["params"], rtol=1e-12)
    linear = [
        sum(
            number
            for number, kind in zip(graph.numbers["multiply_adds"], graph.kinds, strict=True)
            if kind == "linear"
        )
        for graph in graphs
    ]
    np.testing.assert_allclose(np.array(linear) * 8 / 1e6, table.proxies["macs"], rtol=1e-12)


def test_layers_have_the_weights_of_those_of_torch():
    nn = pytest.importorskip("torch.nn")

    def of_torch(layer):
        return sum(weight.numel() for weight in layer.parameters())

    two, four = ({"hidden_size": 128, "layers": [LAYER] * n} for n in (2, 4))
    encoder = of_torch(nn.TransformerEncoderLayer(128, 4, 512))
    assert n_weights(bert_layers(four)) - n_weights(bert_layers(two)) == 2 * encoder
    hat = n_weights(hat_layers(HAT))
    final = 2 * of_torch(nn.LayerNorm(512))
    encoders = 6 * of_torch(nn.TransformerEncoderLayer(512, 4, 1024))
    assert hat == encoders + 2 * of_torch(nn.TransformerDecoderLayer(512, 4, 2048)) + final
    flexible = {"hidden_size": 256, "heads": 2, "similarity": "sdp", "feed_forward": 1024}
    two, four = ({"layers": [flexible] * n} for n in (2, 4))
    encoder = of_torch(nn.TransformerEncoderLayer(256, 2, 1024))
    assert n_weights(flexibert_layers(four)) - n_weights(flexibert_layers(two)) == 2 * encoder


def within_depths(bert):
    """The rows of two layers, and those of four."""
    layers = bert.space.n_layers(bert.codes)
    return [layers == 2, layers == 4]


def p_value(bert, word, rows, values):
    """Of the hypothesis that settings with this word make no difference, in a linear model."""
    everything = settings_one_hot(bert)

    def residual(columns):
        design = np.column_stack([np.ones(rows.sum()), everything.loc[rows, columns]])
        fitted, _, rank, _ = np.linalg.lstsq(design, values[rows], rcond=None)
        return ((values[rows] - design @ fitted) ** 2).sum(), rank

    full, rank = residual(list(everything))
    less, rank_less = residual([column for column in everything if word not in column])
    ratio = (less - full) / (rank - rank_less) / (full / (rows.sum() - rank))
    return f_distribution.sf(ratio, rank - rank_less, rows.sum() - rank)


def test_scores_show_no_effect_of_the_operation_but_of_the_width(bert):
    """As in a network that the published training code builds: F tests within one depth."""
    glue = bert.target("glue")
    for rows in within_depths(bert):
        assert p_value(bert, "operation", rows, glue) > 0.3
        assert p_value(bert, "hidden_size", rows, glue) < 1e-9
        assert p_value(bert, "n_feed_forward", rows, glue) < 0.01


def test_metrics_show_no_effect_of_the_width_but_of_the_operation(bert):
    """The other way round: 30 tests, none of which is below .05 for the hidden size."""
    seen = 0
    for _, metric in bert.proxies.items():
        values = metric.to_numpy()
        widths, operations = (
            [p_value(bert, word, rows, values) for rows in within_depths(bert)]
            for word in ("hidden_size", "operation")
        )
        assert min(widths) > 0.05
        seen += min(operations) < 0.001
    assert seen == 14


def test_as_trained_leaves_what_the_code_reads(bert):
    configuration = {
        "hidden_size": 128,
        "layers": [
            {"operation": "DSC-9", "heads": 2, "feed_forward": 512, "n_feed_forward": 1},
            {"operation": "LT-DFT", "heads": 2, "feed_forward": 512, "n_feed_forward": 3},
        ],
    }
    trained = as_trained(configuration)
    assert [layer["operation"] for layer in trained["layers"]] == ["SA-SDP"] * 2
    assert [layer["feed_forward"] for layer in trained["layers"]] == [1024, 512]
    assert trained["hidden_size"] == 128
    assert bert.space.to_codes([trained]).shape == (1, 17)
    assert as_trained(trained) == trained


# --- graphs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "n_attention"),
    [
        (bert_layers({"hidden_size": 128, "layers": [LAYER] * 4}), 4),
        (bert_layers({"hidden_size": 256, "layers": [LAYER | {"operation": "DSC-5"}] * 2}), 2),
        (bert_layers({"hidden_size": 256, "layers": [LAYER | {"operation": "LT-DCT"}] * 2}), 0),
        (gpt_layers({"width": 192, "bias": True, "layers": [{"heads": 4, "ratio": 2}] * 3}), 3),
        (hat_layers(HAT), 6 + 2 * 2),
    ],
)
def test_everything_lies_on_a_path(layers, n_attention):
    graph = OperatorGraph.from_layers(layers)
    net = graph.to_networkx()
    assert nx.is_directed_acyclic_graph(net)
    ends = [graph.kinds.index("input"), graph.kinds.index("output")]
    assert set(net) == nx.descendants(net, ends[0]) | {ends[0]}
    assert set(net) == nx.ancestors(net, ends[1]) | {ends[1]}
    assert graph.kinds.count("attention") == n_attention
    heads = graph.numbers.get("heads", np.array([]))
    assert (~np.isnan(heads)).sum() == n_attention


def test_longer_inputs_cost_more_and_attention_grows_with_the_square():
    configuration = {"width": 192, "bias": False, "layers": [{"heads": 4, "ratio": 2}]}
    costs = {}
    for tokens in (64, 128):
        graph = OperatorGraph.from_layers(gpt_layers(configuration, tokens))
        for kind in ("attention", "linear"):
            rows = [i for i, k in enumerate(graph.kinds) if k == kind]
            costs[kind, tokens] = graph.numbers["multiply_adds"][rows].sum()
    assert costs["attention", 128] == 4 * costs["attention", 64] == 2 * 128**2 * 4 * 64
    assert costs["linear", 128] == 2 * costs["linear", 64]


def test_features_see_the_settings(bert):
    """Two layers more, wider ones, other operations: some column differs."""
    base = {"hidden_size": 128, "layers": [LAYER] * 2}
    others = [
        base,
        {"hidden_size": 256, "layers": [LAYER] * 2},
        {"hidden_size": 128, "layers": [LAYER] * 4},
        {"hidden_size": 128, "layers": [LAYER, LAYER | {"operation": "SA-WMA"}]},
        {"hidden_size": 128, "layers": [LAYER, LAYER | {"heads": 2}]},
        {"hidden_size": 128, "layers": [LAYER, LAYER | {"n_feed_forward": 3}]},
    ]
    graphs = [OperatorGraph.from_layers(bert_layers(c)) for c in others]
    features = OperatorFeatures().fit_transform(graphs)
    assert len(np.unique(features, axis=0)) == len(others)


# --- encodings ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    space = ConfigurationSpace(
        "mine", {"width": (64, 128)}, {"heads": (2, 4), "kind": ("sa", "conv")}, depths=(1, 2, 3)
    )
    codes = space.enumerate()
    return Table("mine", "own", space, codes, {"score": np.arange(len(codes), dtype=float)})


def test_one_hot_says_every_choice(small):
    frame = settings_one_hot(small)
    for row, configuration in enumerate(small.space.configurations(small.codes)):
        layers = configuration["layers"]
        said = {f"width={configuration['width']}", f"depth={len(layers)}"}
        said |= {
            f"layer {i} {key}={v}" for i, layer in enumerate(layers) for key, v in layer.items()
        }
        assert set(frame.columns[frame.iloc[row] == 1]) == said
        assert frame.iloc[row].sum() == len(said)


def test_numbers_and_statistics_say_what_a_loop_says(small):
    numbers, statistics = settings_numbers(small), layer_statistics(small)
    for row, configuration in enumerate(small.space.configurations(small.codes)):
        layers = configuration["layers"]
        heads = [layer["heads"] for layer in layers]
        kinds = [layer["kind"] for layer in layers]
        found = numbers.iloc[row]
        assert found[[f"layer {i} heads" for i in range(3)]].tolist() == [
            *heads, *[0] * (3 - len(heads))
        ]  # fmt: skip
        assert found["layer 0 kind=conv"] == (kinds[0] == "conv")
        found = statistics.iloc[row]
        assert found[["width", "depth"]].tolist() == [configuration["width"], len(layers)]
        of_heads = [sum(heads), np.mean(heads), min(heads), max(heads)]
        assert found[[f"heads {s}" for s in ("sum", "mean", "min", "max")]].tolist() == of_heads
        places = [i for i, kind in enumerate(kinds, start=1) if kind == "conv"]
        runs = max(map(len, "".join("x" if k == "conv" else " " for k in kinds).split()), default=0)
        expected = [len(places), min(places, default=0), max(places, default=0), runs]
        words = ("count", "first", "last", "run")
        assert found[[f"kind=conv {word}" for word in words]].tolist() == expected
    assert depth(small)["depth"].tolist() == statistics["depth"].tolist()


def test_encodings_want_configurations(small):
    cells = Table("cells", "own", "nb201", [(0,) * 6], {"x": [1.0]})
    for function in (settings_one_hot, settings_numbers, layer_statistics, depth):
        with pytest.raises(ValueError, match="has no configurations"):
            function(cells)
    with pytest.raises(ValueError, match="has no configurations"):
        operator_graphs(cells, bert_layers)
    flat = ConfigurationSpace("flat", {"width": (1, 2)})
    table = Table("flat", "own", flat, [(0,), (1,)], {"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"has no layers. Use settings_numbers"):
        layer_statistics(table)
    assert settings_numbers(table)["width"].tolist() == [1, 2]


def test_weights_that_are_shared_count_once():
    from graf_utils.operators import Layer

    block = [Layer("linear", {"parameters": 20}, shared="w")] * 3 + [
        Layer("linear", {"parameters": 5})
    ]
    assert n_weights(block) == 25


def test_a_table_of_your_own_configurations_is_evaluated(small):
    encodings = {"one-hot": settings_one_hot, "numbers": settings_numbers}
    fits = evaluate(small, "score", encodings, "rf", 20, [0, 1], progress=False)
    assert (fits["kendall_tau"] > 0.5).all()


def test_torch_is_not_imported():
    code = (
        "import sys, graf_utils.transformers as t; from graf_utils import load_table;"
        "t.settings_one_hot(load_table('nas-bench-bert')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- results --------------------------------------------------------------------------------------

FILE = data_path("results") / "transformers.parquet"


def test_the_committed_fits_are_of_the_plan(recipe):
    results = pd.read_parquet(FILE)
    assert not results.duplicated(list(FIT)).any()
    fits = pd.MultiIndex.from_frame(results[[key for key in FIT if key != "source"]])
    planned = [recipe.fits_of(line, recipe.ROUNDS[-1]) for line in recipe.PLAN]
    assert fits.isin(planned[0].append(planned[1:])).all()
    assert results["data_seed"].isin(DATA_SEEDS).all()
    assert results["kendall_tau"].between(-1, 1).all()
    facts = provenance_of(FILE)
    assert facts["recipe"] == "data/recipes/transformer_results.py"
    assert all(run["processor"] for run in facts["runs"])


def test_the_plan_has_no_fit_twice(recipe):
    fits = [fit for line in recipe.PLAN for fit in recipe.fits_of(line, 1)]
    assert len(fits) == len(set(fits))


def test_a_sample_is_computed_again(recipe, tmp_path):
    """The first fits of each part of NAS-Bench-BERT; other processors give other last digits."""
    stored = pd.read_parquet(FILE).query("predictor != 'rf' and train_size == 32")
    apart = []
    for line in recipe.PLAN[:3]:
        table, rows = recipe.load(line)
        frames = recipe.encodings_of(table, ("one-hot", "as-trained"), tmp_path)
        part = table.subset(rows)
        part.name = line.name
        chosen = {name: frame.iloc[rows].reset_index(drop=True) for name, frame in frames.items()}
        fits = stored[(stored["table"] == line.name) & stored["encoding"].isin(list(chosen))]
        if fits.empty:  # the recipe did not come so far
            continue
        seed = fits["data_seed"].min()
        models = {name: recipe.PREDICTORS[name] for name in fits["predictor"].unique()}
        again = evaluate(
            part, line.target, chosen, models, 32, int(seed), duplicates="grouped", progress=False
        )
        both = again.merge(fits, on=list(FIT), suffixes=("", "_stored"))
        assert len(both) == len(again)
        assert (both["n_features"] == both["n_features_stored"]).all()
        apart += (both["kendall_tau"] - both["kendall_tau_stored"]).tolist()
    assert apart
    assert np.abs(apart).max() < 0.02


def test_no_fit_is_done_twice_and_a_missing_table_is_said(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path / "empty"))
    monkeypatch.setattr("graf_utils.registry._get_once", _no_network)
    lines = [
        recipe.Line("flexibert-qnli", "accuracy", ("one-hot",), (32,), predictors=("ridge",)),
        recipe.Line(
            "nas-bench-bert", "glue", ("as-trained",), (32,), ("depth", 4), predictors=("ridge",)
        ),
    ]
    calls = []
    real = recipe.evaluate
    monkeypatch.setattr(recipe, "evaluate", lambda *a, **k: calls.append(a) or real(*a, **k))
    monkeypatch.setattr(recipe, "PLAN", lines)
    monkeypatch.setattr(recipe, "ROUNDS", (1, 2))
    path = tmp_path / "results.parquet"
    for _ in range(2):
        missing = recipe.run(path, tmp_path, float("inf"))
        assert list(missing) == ["flexibert-qnli"]
        assert len(calls) == 2  # one per round, the first time only
    results = pd.read_parquet(path)
    assert results["data_seed"].tolist() == [42, 43]
    assert set(results["table"]) == {"nas-bench-bert depth 4"}
    assert recipe.status(path)["done"].tolist() == [0, 2]


def test_single_numbers_have_more_tau_where_they_have_ties(recipe, tmp_path):
    line = recipe.PLAN[0]
    found = recipe.numbers_of(line, tmp_path).set_index("number")
    assert found.loc["depth", "kendall_tau"] == pytest.approx(0.682, abs=6e-4)
    assert found.loc["head_confidence", "kendall_tau"] == pytest.approx(0.478, abs=6e-4)
    assert found.loc["depth", "random_ties"] < 0.55
    same = found.loc["synaptic_diversity"]
    assert same["kendall_tau"] == pytest.approx(same["random_ties"], abs=0.01)


def _no_network(*args):
    raise OSError("no network")
