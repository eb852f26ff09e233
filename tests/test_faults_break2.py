"""Faults found by a second look: special files, damaged digits, unseen operations, own families."""

import functools
import json
import math
import os
import shlex
import stat
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graf_utils import registry, results
from graf_utils._files import write_text
from graf_utils._parallel import torch_alone
from graf_utils.features import GRAF, feature_family
from graf_utils.features.families import FAMILIES, Family
from graf_utils.graphs import GraphBatch
from graf_utils.networks import NETWORKS
from graf_utils.redundancy import distinct_columns, independent_columns, redundant_groups
from graf_utils.scoring import image_batch, score, score_network
from graf_utils.spaces import NB201, CellSpace, SearchSpace

CELLS = [(4, 0, 3, 1, 4, 3), (2, 2, 0, 4, 2, 0)]
BATCH = image_batch(16, n=8)
OPTIONS = {"batch": BATCH, "width": 2, "cells": 1, "progress": False}


# --- files --------------------------------------------------------------------------------------


@pytest.fixture(params=["pipe", "socket"])
def special(tmp_path, request):
    """A place that is no regular file, as /dev/null is none."""
    place = tmp_path / "special"
    if request.param == "pipe":
        os.mkfifo(place)
    else:
        os.mknod(place, stat.S_IFSOCK | 0o600)
    return place


@pytest.mark.parametrize(
    "write",
    [
        lambda place: score(CELLS, "params", checkpoint=place, **OPTIONS),
        lambda place: results.write_table(pd.DataFrame({"a": [1]}), place),
        lambda place: write_text(place, "mine"),
    ],
)
def test_a_device_or_pipe_is_never_replaced(special, write):
    before = special.lstat()
    with pytest.raises(ValueError, match="a device or a pipe, not a file, and stays as it is"):
        write(special)
    after = special.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert [path.name for path in special.parent.iterdir()] == ["special"]
    write(special.with_name("another.parquet"))  # the remedy


def test_a_table_of_ones_own_is_not_replaced(tmp_path):
    file = tmp_path / "mine.parquet"
    pd.DataFrame({"precious": [1]}).to_parquet(file)
    content = file.read_bytes()
    with pytest.raises(registry.DataError, match="none of ours, so it was not replaced"):
        results.write_table(pd.DataFrame({"a": [1]}), file)
    assert file.read_bytes() == content
    file.unlink()  # the remedy
    for number in (1, 2):  # our own is replaced
        results.write_table(pd.DataFrame({"a": [number]}), file)
        assert pd.read_parquet(file)["a"].tolist() == [number]
    file.write_bytes(file.read_bytes()[:-20])  # also if it is damaged
    results.write_table(pd.DataFrame({"a": [3]}), file)
    assert pd.read_parquet(file)["a"].tolist() == [3]


@pytest.mark.parametrize("change", ["a digit", "the architecture", "the reason", "another file's"])
def test_a_changed_digit_of_a_checkpoint_is_seen(tmp_path, change):
    file = tmp_path / "scores.jsonl"
    expected = score(CELLS, "snip", checkpoint=file, **OPTIONS)[["architecture", "snip"]]
    lines = file.read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[1])
    if change == "a digit":
        record["snip"] *= 1.5
    elif change == "the architecture":
        record["architecture"] = [2, 2, 0, 4, 2, 1]
    elif change == "the reason":
        record["error"] = "snip: none"
    else:
        other = tmp_path / "other.jsonl"
        score(CELLS, "snip", checkpoint=other, random_state=1, **OPTIONS)
        record = json.loads(other.read_text(encoding="utf-8").splitlines()[1])
    lines[1] = json.dumps(record)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="damaged in line 2; .* computed again"):
        again = score(CELLS, "snip", checkpoint=file, **OPTIONS)
    pd.testing.assert_frame_equal(again[["architecture", "snip"]], expected, check_exact=True)


@pytest.mark.parametrize("name", ["a b", "$HOME", "it's", "x;y"])
def test_the_data_folder_to_write_can_be_pasted(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAF_DATA_DIR", name)
    with pytest.raises(registry.DataError, match="is relative") as raised:
        registry.cache_dir()
    assignment = str(raised.value).partition("Write ")[2]
    shown = subprocess.run(
        ["sh", "-c", f'{assignment}; printf %s "$GRAF_DATA_DIR"'],
        capture_output=True,
        text=True,
        encoding="utf8",
    )
    assert shown.stdout == str(tmp_path / name)
    assert shlex.split(assignment) == [f"GRAF_DATA_DIR={tmp_path / name}"]


# --- networks -----------------------------------------------------------------------------------


class Small(nn.Module):
    """Two convolutions and a head; how they are joined is given."""

    def __init__(self, join):
        super().__init__()
        torch.manual_seed(1)
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.two = nn.ConvTranspose2d(8, 8, 3, padding=1, groups=2)
        self.head = nn.Linear(8, 10)
        self.join = join

    def forward(self, x):
        return self.head(self.join(self, x).mean((2, 3)))


def scores(network, proxies=None):
    result = score_network(network, BATCH, proxies)
    return {name: value for name, value in result.items() if not name.startswith("seconds")}


def with_relu(net, x):
    return F.relu(net.two(F.relu(net.one(x))))


def added(net, x):
    y = net.one(x)
    return net.two(y) + y


def added_in_place(net, x):
    y = net.one(x)
    z = net.two(y)
    z += y
    return z


def scaled_in_place(net, x):
    y = net.one(x)
    y *= 2
    return net.two(y)


def test_a_sum_in_place_behind_a_convolution_changes_no_score():
    assert scores(Small(added_in_place)) == scores(Small(added))
    assert scores(Small(scaled_in_place)) == scores(Small(lambda net, x: net.two(net.one(x) * 2)))


@pytest.mark.parametrize(
    "relu",
    [
        lambda x: torch.maximum(x, torch.zeros(())),
        lambda x: torch.maximum(torch.zeros_like(x), x),
        lambda x: torch.clamp(x, min=torch.zeros(())),
    ],
)
def test_a_relu_by_another_name_counts(relu):
    other = Small(lambda net, x: relu(net.two(F.relu(net.one(x)))))
    assert scores(other, "nwot") == scores(Small(with_relu), "nwot")
    ceiling = Small(lambda net, x: torch.maximum(net.one(x), torch.ones(())))
    assert math.isnan(scores(ceiling, "nwot")["nwot"])


@pytest.mark.filterwarnings("ignore")  # tracing is on its way out in PyTorch
@pytest.mark.parametrize("kind", ["trace", "script"])
def test_flops_of_compiled_networks(kind):
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 4, 3), nn.Flatten(), nn.Linear(1024, 9)
    )
    plain = scores(network, "flops")
    if kind == "trace":
        network = torch.jit.trace(network, torch.zeros(2, 3, 16, 16))
    else:
        network = torch.jit.script(network)
    assert scores(network, "flops") == plain
    assert plain["flops"] == (14 * 14 * (8 * 27 + 8 + 8 * 9 * 4) + 1024 * 9) / 1e6


def test_an_outer_inference_mode_changes_no_score():
    network = Small(with_relu)
    expected = scores(network)
    assert expected["error"] == ""
    with torch.inference_mode():
        assert scores(network) == expected


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: torch.conv_tbc(x, torch.ones(3, 16, 4), torch.zeros(4), 1), "conv_tbc"),
        (lambda x: F.conv1d(x, torch.ones(4, 16, 3)), "conv1d"),
        (lambda x: x @ torch.ones(16, 16), "matmul"),
        (lambda x: F.linear(x, torch.ones(4, 16)), "linear"),
        (lambda x: torch.einsum("abc,cd->abd", x, torch.ones(16, 2)), "einsum"),
    ],
)
def test_products_that_are_not_taken_apart_have_no_flops(function, name):
    """As in inference mode, where PyTorch shows them whole."""

    class Network(nn.Module):
        def forward(self, x):
            with torch.inference_mode():
                return function(x[:, 0].clone())

    result = score_network(Network(), BATCH, "flops")
    if not math.isnan(result["flops"]):  # taken apart, and so counted
        assert result["flops"] > 1000 / 1e6
    else:
        assert name in result["error"]


def test_a_network_without_values_is_refused():
    with torch.device("meta"):
        network = Small(with_relu)
    with pytest.raises(ValueError, match=r"without torch.device\('meta'\)"):
        score_network(network, BATCH, "params")
    assert score_network(Small(with_relu), BATCH, "params")["params"] > 0  # the remedy


def test_scores_wait_for_whatever_else_computes_alone():
    """Training a graph predictor in another thread must not mix its random numbers with ours."""
    import threading

    ended = []
    thread = threading.Thread(
        target=lambda: ended.append(score_network(Small(with_relu), BATCH, "params"))
    )
    with torch_alone():
        thread.start()
        thread.join(0.5)
        assert not ended
    thread.join(60)
    assert len(ended) == 1


class Unhashable:
    """A proxy that is an object, and changes whatever it can reach."""

    def __init__(self, change):
        self.change = change

    def __eq__(self, other):
        return self is other

    def __call__(self, run):
        self.change(run)
        return 1.0


def zero_weights(run):
    for parameter in run.network.parameters():
        parameter.data.zero_()


def other_weights(run):
    for parameter in run.network.parameters():
        parameter.data = torch.ones_like(parameter)
        parameter.requires_grad_(False)


def step(run):
    with torch.no_grad():
        for parameter in run.network.parameters():
            parameter.add_(1)


@pytest.mark.parametrize(
    "change",
    [
        zero_weights,
        other_weights,
        step,
        lambda run: run.network.eval(),
        lambda run: torch.set_grad_enabled(False),
        lambda run: torch.set_num_threads(2),
        lambda run: run.network.add_module("more", nn.Identity()),
    ],
)
def test_a_proxy_of_ones_own_does_not_disturb_the_others(change):
    names = ["params", "l2_norm", "snip", "nwot", "jacov"]
    expected = score(CELLS, names, **OPTIONS)
    mixed = {"mine": Unhashable(change), **{name: name for name in names}}
    result = score(CELLS, mixed, **OPTIONS)
    assert result["error"].tolist() == ["", ""]
    pd.testing.assert_frame_equal(result[names], expected[names], check_exact=True)


def test_a_skeleton_that_makes_no_network_is_named(monkeypatch):
    class Mine(CellSpace):
        """With a skeleton of its own."""

    space = Mine(["a", "b"], edges=[(0, 1), (1, 2)])
    monkeypatch.setitem(NETWORKS, Mine, lambda space, code, **options: 3)
    with pytest.raises(ValueError, match="NETWORKS returned int; it must return a torch.nn.Seq"):
        score([(0, 1)], "params", space=space, **OPTIONS)


# --- spaces and graphs --------------------------------------------------------------------------


class Chain(SearchSpace):
    """A space of one's own: a chain of three operations, written 010."""

    name, title = "chain", "Chain"
    operations = ("x", "y")
    code_length = 3

    def graph_batch(self, architectures):
        codes = self.to_codes(architectures)
        return {"": GraphBatch(self.operations, 4, [(0, 1), (1, 2), (2, 3)], codes)}

    def enumerate(self):
        return np.indices((2, 2, 2)).reshape(3, -1).T.astype(np.int8)

    def is_valid(self, architectures):
        return np.ones(len(self.to_codes(architectures)), dtype=bool)

    def _parse(self, text):
        return tuple(map(int, text))

    def _example(self):
        return (0, 1, 0)


def test_what_a_space_of_ones_own_parses_is_checked():
    assert Chain().to_codes(["010", (1, 1, 1)]).tolist() == [[0, 1, 0], [1, 1, 1]]
    for texts in (["0101"], ["010", "01"]):
        with pytest.raises(ValueError, match="entries; chain needs 3"):
            Chain().to_codes(texts)

    class Forgets(Chain):
        def _parse(self, text):
            int(text)

    with pytest.raises(ValueError, match=r"Forgets._parse\('010'\) returned None"):
        Forgets().to_codes(["010"])


def test_graphs_of_a_space_of_ones_own_are_one_per_architecture():
    class Fewer(Chain):
        def graph_batch(self, architectures):
            return super().graph_batch(self.to_codes(architectures)[:1])

    class Listed(Chain):
        def graph_batch(self, architectures):
            return list(super().graph_batch(architectures).values())

    for form in (list, np.array, pd.DataFrame):
        with pytest.raises(ValueError, match="each cell: {'': 1}, for 2 arch"):
            GRAF(Fewer()).transform(form([(0, 1, 0), (1, 1, 1)]))
    with pytest.raises(ValueError, match="gave list; it must give a dictionary"):
        GRAF(Listed()).transform([(0, 1, 0)])
    assert len(GRAF(Chain()).transform(iter([(0, 1, 0), (1, 1, 1)]))) == 2


@pytest.mark.parametrize("operations", [("x", "x"), "xy", (), ("x", 1)])
def test_labels_of_graphs_are_names_each_once(operations):
    with pytest.raises(ValueError, match="operations="):
        GraphBatch(operations, 2, [(0, 1)], [[0]])


def test_two_batches_are_equal_if_their_graphs_are():
    def make(ops=((0, 1),), **options):
        return GraphBatch(["a", "b"], 3, [(0, 1), (1, 2)], ops, **options)

    assert make() == make(np.array([[0, 1]]))
    assert make() != make([[1, 1]])
    assert make() != make([[0, 1], [0, 1]])
    assert make() != make(node_ops=[[0, 0, 1]])
    assert make(node_ops=[[0, 0, 1]]) != make()
    assert make() != make(node_names=("a", "b", "c"))
    assert make() != "text"
    with pytest.raises(TypeError, match="unhashable"):
        hash(make())


def test_odd_arguments_of_graphs_have_a_remedy():
    with pytest.raises(ValueError, match=r"inputs=0 is no list of nodes. Write \(0,\)"):
        GraphBatch(("a",), 2, [(0, 1)], [[0]], inputs=0)
    assert GraphBatch(("a",), 2, [(0, 1)], [[0]], inputs=(0,)).inputs == (0,)
    with pytest.raises(ValueError, match="edges of type list is no array"):
        GraphBatch(("a",), 3, [(0, 1), (1,)], [[0, 0]])


def test_the_remedy_where_hardly_a_cell_is_valid():
    space = CellSpace(["a", "none"], edges=[(i, i + 1) for i in range(60)])
    with pytest.raises(ValueError, match=r"valid: 0 were found.* Pass valid_only=False\.$"):
        space.sample(3, random_state=0)
    assert len(space.sample(3, valid_only=False, random_state=0)) == 3


# --- families -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda batch: np.full(len(batch), 1 + 2j),
        lambda batch: ["1"] * len(batch),
        lambda batch: ["a"] * len(batch),
        lambda batch: [[1], [1, 2]],
        lambda batch: torch.ones(len(batch), requires_grad=True),
        lambda batch: np.full(len(batch), np.datetime64("2020-01-01")),
    ],
)
def test_a_family_that_gives_no_numbers_is_refused(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="family 'mine' gave .* real numbers, one row per"):
            GRAF(families={"mine": function}).transform(CELLS)


def test_a_tensor_and_large_integers_are_numbers():
    large = 2**53 + 1
    families = {"a": lambda batch: torch.ones(len(batch)), "b": lambda batch: [large] * len(batch)}
    features = GRAF(families=families, dtype=np.int64).transform(CELLS)
    assert features.tolist() == [[1, large]] * 2


def test_a_name_in_a_mapping_is_the_name_of_the_columns():
    graf = GRAF(families={"ops": "op_count", "paths": FAMILIES["min_path_len"]})
    names = graf.get_feature_names_out()
    assert {name.partition("[")[0] for name in names} == {"ops", "paths"}
    plain = GRAF(families=["op_count", "min_path_len"]).transform(CELLS)
    np.testing.assert_array_equal(graf.transform(CELLS), plain)
    with pytest.raises(ValueError, match="cannot name a family"):
        GRAF(families={"min_path_len": "op_count"}).transform(CELLS)


def test_a_family_object_of_ones_own():
    family = Family(
        "two", lambda batch, start, inside, variant: np.ones((2, len(batch))), ("a", "b")
    )
    features = GRAF(families=["op_count", family]).transform(CELLS * 2)
    assert features[:, 5:].tolist() == [[1, 1]] * 4
    turned = Family("two", lambda batch, *rest: np.ones((len(batch), 2)), ("a", "b"))
    with pytest.raises(ValueError, match=r"shape \(4, 2\); a Family must compute .* \(2, 4\)"):
        GRAF(families=[turned]).transform(CELLS * 2)


def test_columns_of_any_callable_or_a_remedy():
    class Mine:
        def rows(self, batch, k=2):
            return np.full((len(batch), 2), k)

    partial = feature_family(["a", "b"], name="mine")(functools.partial(Mine().rows, k=3))
    assert GRAF(families=[partial]).transform(CELLS).tolist() == [[3, 3]] * 2
    with pytest.raises(ValueError, match=r"Decorate a function that calls it: lambda batch: it"):
        feature_family(["a", "b"])(Mine().rows)
    it = Mine().rows
    remedy = feature_family(["a", "b"], name="mine")(lambda batch: it(batch))
    assert GRAF(families=[remedy]).transform(CELLS).tolist() == [[2, 2]] * 2


@pytest.mark.parametrize("columns", [{"a", "b"}, frozenset("ab"), {"a": 1, "b": 2}])
def test_labels_without_an_order_are_refused(columns):
    with pytest.raises(ValueError, match="must list at least one label"):
        feature_family(columns)


def test_families_of_a_set_have_one_order():
    functions = {}
    for name in "cabd":
        exec(f"def {name}(batch): return [1] * len(batch)", functions)
    names = GRAF(families={functions[name] for name in "cabd"}).get_feature_names_out()
    assert names.tolist() == ["a", "b", "c", "d"]


def test_constant_and_copied_whatever_the_bits():
    nan = np.nan
    X = np.array([[0.0, nan, 1.0, -0.0, nan, nan], [-0.0, nan, 0.0, 0.0, 1.0, 1.0]])
    X[0, 5] = -nan
    X = np.column_stack([X, [1.0, -0.0]])
    assert distinct_columns(X).tolist() == [2, 4]


def test_digits_in_quotes_have_a_remedy():
    codes = np.array([list("403143")])
    with pytest.raises(ValueError, match=r"Write 4 without quotes \(.astype\(int\) for an array"):
        NB201().to_codes(codes)
    assert NB201().from_codes(codes.astype(int)) == [CELLS[0]]


@pytest.mark.parametrize("column", [["1", "2"], [1j, 2], [1, np.nan], [1, np.inf], [None, 1]])
def test_redundancy_of_what_is_no_number_is_refused(column):
    X = pd.DataFrame({"a": [1.0, 2.0], "b": column})
    for find in (redundant_groups, independent_columns):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match="X "):
                find(X)


def test_the_first_label_without_a_class_is_refused_with_the_number_that_works():
    images, labels = BATCH
    options = {**OPTIONS, "batch": (images, np.arange(len(labels)))}
    with pytest.raises(ValueError, match=rf"Pass classes={len(labels)}\.$"):
        score(CELLS[:1], "params", classes=len(labels) - 1, **options)
    assert score(CELLS[:1], "params", classes=len(labels), **options)["params"][0] > 0


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.InstanceNorm2d])
@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_counts_twice_only_with_weights_of_its_own(kind, affine):
    network = nn.Sequential(nn.Conv2d(3, 8, 1), kind(8, affine=affine))
    expected = 16 * 16 * 8 * (3 + (2 if affine else 1))
    assert score_network(network, BATCH, "flops")["flops"] == expected / 1e6
