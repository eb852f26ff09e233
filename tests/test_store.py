"""The store of finished results: what is read back is what was written, or nothing."""

import json
import pickle
import warnings

import pytest

from graf_utils._store import Store

NUMBERS = {"tau": (-1.0, 1.0), "n": (1, float("inf"))}
RESULT = {"tau": 0.25, "n": 40}
KEY = "ab" * 32


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "fits", NUMBERS)


def file_of(store):
    (file,) = store.folder.rglob("*.json")
    return file


def test_what_was_written_is_read(store):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.read(KEY) is None
        assert not store.holds(KEY)
        store.write(KEY, RESULT)
        assert store.read(KEY) == RESULT
        assert store.holds(KEY)
    assert file_of(store).name == f"{KEY}.json"
    assert not [file for file in store.folder.rglob("*") if file.suffix == ".part"]


DAMAGE = {
    "text": {"tau": "oops"},
    "text that is a number": {"tau": "0.25"},
    "nan": {"tau": float("nan")},
    "infinity": {"tau": float("inf")},
    "infinite count": {"n": float("inf")},
    "above": {"tau": 7},
    "below": {"tau": -1.5},
    "list": {"tau": [0.25]},
    "true": {"tau": True},
    "null": {"tau": None},
    "none at all": {"n": 0},
    "huge": {"n": 10**400},
    "another number": {"tau": 0.26},
    "another name": {"rho": 0.25},
    "another checksum": {"checksum": "0" * 16},
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_number_is_not_believed(store, what):
    store.write(KEY, RESULT)
    file = file_of(store)
    file.write_text(
        json.dumps(json.loads(file.read_text(encoding="utf8")) | DAMAGE[what]), encoding="utf8"
    )
    assert not store.holds(KEY)
    with pytest.warns(UserWarning, match=r"is damaged .*computed again"):
        assert store.read(KEY) is None


CONTENT = {
    "empty": b"",
    "cut": b'{"tau": 0.2',
    "no text": b"\xff\xfe",
    "list": b"[]",
    "number": b"7",
    "null": b"null",
    "nested": b"[" * 100_000,
    "without checksum": json.dumps(RESULT).encode(),
}


@pytest.mark.parametrize("what", CONTENT)
def test_a_damaged_file_is_not_believed(store, what):
    store.write(KEY, RESULT)
    file_of(store).write_bytes(CONTENT[what])
    with pytest.warns(UserWarning, match="is damaged"):
        assert store.read(KEY) is None
    store.write(KEY, RESULT)
    assert store.read(KEY) == RESULT


@pytest.mark.parametrize(
    "result",
    [{"tau": 7.0, "n": 1}, {"tau": 1.001, "n": 1}, {"tau": -1.001, "n": 1}, {"tau": 0.5, "n": 0}],
)
def test_numbers_out_of_range_are_not_believed_even_with_a_checksum(tmp_path, result):
    Store(tmp_path, {"tau": (-9.0, 9.0), "n": (0, 99)}).write(KEY, result)
    with pytest.warns(UserWarning, match="impossible"):
        assert Store(tmp_path, {"tau": (-1.0, 1.0), "n": (1, 99)}).read(KEY) is None


def test_other_numbers_are_not_believed_even_with_a_checksum(tmp_path):
    Store(tmp_path, {}).write(KEY, {"tau": 0.5, "n": 1, "seconds": 3.0})
    with pytest.warns(UserWarning, match="impossible"):
        assert Store(tmp_path, {"tau": (-1.0, 1.0), "n": (1, 99)}).read(KEY) is None


def test_a_file_under_another_key_is_not_believed(store):
    store.write(KEY, RESULT)
    other = "ab" + KEY[2:][::-1]
    file_of(store).rename(store.folder / "ab" / f"{other}.json")
    with pytest.warns(UserWarning, match="checksum"):
        assert store.read(other) is None
    assert not store.holds(KEY)


def test_every_single_flipped_bit_is_seen(store):
    store.write(KEY, RESULT)
    file = file_of(store)
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert store.read(KEY) in (None, RESULT)  # a blank may become another blank


def test_a_store_travels(store):
    store.write(KEY, RESULT)
    assert pickle.loads(pickle.dumps(store)).read(KEY) == RESULT


def test_a_folder_is_named_once_and_for_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("fits", NUMBERS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.write(KEY, RESULT)
    assert (tmp_path / "fits" / "ab" / f"{KEY}.json").is_file()
    with pytest.raises(ValueError, match="cannot be used as a folder"):
        Store(__file__, NUMBERS)
