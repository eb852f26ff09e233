"""Files are written whole or not at all, and what killed writers left is swept."""

import os
import socket
import stat
import subprocess
import sys
import time
import uuid

import killing
import pandas as pd
import pytest

from graf_utils import _files
from graf_utils._files import replacing, sweep, write_text
from graf_utils.registry import DataError
from graf_utils.results import write_table


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def part_of(path, process, machine=None, age=0.0):
    """A temporary as a killed process would have left it; the name is written out here."""
    machine = socket.gethostname().replace(".", "-") if machine is None else machine
    part = path.with_name(f".{path.name}.{machine}-{process}.{uuid.uuid4().hex}.part")
    part.write_text("half", encoding="utf-8")
    os.utime(part, (time.time() - age, time.time() - age))
    return part


def break_off(path, error, content=None, process=None):
    """Write a file, and raise before it is whole; with `process`, as that one, and killed."""
    with replacing(path) as part:
        if content is not None:
            part.write_text(content, encoding="utf-8")
        if process is not None:
            name = part.name.replace(f"-{os.getpid()}.", f"-{process}.")
            os.rename(part, part.with_name(name))
        raise error


@pytest.fixture(scope="module")
def dead():
    """Number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_block_that_raises_leaves_the_file_and_nothing_else(tmp_path):
    file = tmp_path / "new" / "a.txt"
    write_text(file, "first")
    for error in (KeyboardInterrupt, OSError, SystemExit):
        with pytest.raises(error):
            break_off(file, error, "half")
    assert file.read_text(encoding="utf-8") == "first"
    assert listing(file.parent) == ["a.txt"]


def test_nobody_sees_a_file_half_written(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "first")
    with replacing(file) as part:
        part.write_text("seco", encoding="utf-8")
        assert file.read_text(encoding="utf-8") == "first"
        part.write_text("second", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == "second"
    with file.open(encoding="utf-8") as reader:  # who reads meanwhile sees the old file whole
        write_text(file, "third")
        assert reader.read() == "second"
    assert file.read_text(encoding="utf-8") == "third"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_modes_of_files_and_folders_are_those_of_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "deep" / "a.txt", "text")
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "deep" / "a.parquet")
    finally:
        os.umask(before)
    for name in ("a.txt", "a.parquet"):
        assert stat.S_IMODE((tmp_path / "deep" / name).stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o777 & ~umask


def test_what_dead_writers_left_goes_and_what_others_own_stays(tmp_path, dead):
    file = tmp_path / "a.txt"
    alive, init = part_of(file, os.getpid()), part_of(file, 1)
    elsewhere = part_of(file, dead, machine="another")
    neighbour = part_of(tmp_path / "b.txt", dead)
    host = socket.gethostname().replace(".", "-")
    names = [".a.txt.part", "a.txt.part", ".a.txt.notes-1.part", f".a.txt.{host}-{dead}.mine.part"]
    mine = [tmp_path / name for name in names]
    for path in mine:
        path.write_text("mine", encoding="utf-8")
    for age in (0, 10):
        part_of(file, dead, age=age)
    old = [part_of(file, os.getpid(), age=4000), part_of(file, 7, "another", age=4000)]
    write_text(file, "whole")
    assert not any(path.exists() for path in old)
    kept = [file, alive, init, elsewhere, neighbour, *mine]
    assert listing(tmp_path) == sorted(path.name for path in kept)


def test_a_folder_is_swept_for_all_its_files(tmp_path, dead):
    for name in ("a.txt", "b.parquet", "c"):
        part_of(tmp_path / name, dead)
    alive = part_of(tmp_path / "a.txt", os.getpid())
    (tmp_path / "deeper").mkdir()
    deeper = part_of(tmp_path / "deeper" / "a.txt", dead)
    sweep(tmp_path)
    assert listing(tmp_path) == sorted([alive.name, "deeper"])
    assert deeper.exists()
    sweep(tmp_path / "nowhere" / "a.txt")
    sweep(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name",
    ["a b.txt", "[x]*.txt", "é.txt", ".hidden", "a.part", "n" * 250, "ü" * 120, "a\nb", "a-1.b-2"],
)
def test_any_name_can_be_written_and_is_swept(tmp_path, dead, name):
    file = tmp_path / name
    write_text(file, "first")
    with pytest.raises(KeyboardInterrupt):
        break_off(file, KeyboardInterrupt, process=dead)
    assert len(listing(tmp_path)) == 2
    write_text(file, "second")
    assert listing(tmp_path) == [name]
    assert file.read_text(encoding="utf-8") == "second"


def test_a_link_stays_and_its_file_is_written(tmp_path):
    target, link = tmp_path / "elsewhere" / "a.txt", tmp_path / "a.txt"
    write_text(target, "first")
    link.symlink_to(target)
    write_text(link, "second")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "second"
    assert listing(target.parent) == ["a.txt"]


def test_text_is_written_as_it_is(tmp_path):
    write_text(tmp_path / "a.txt", "é\r\n\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n\n".encode()


def test_a_folder_in_the_place_of_the_file_stays(tmp_path):
    (tmp_path / "a.txt" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_text(tmp_path / "a.txt", "text")
    assert listing(tmp_path) == ["a.txt"]
    assert listing(tmp_path / "a.txt") == ["inside"]


def test_a_file_that_is_no_table_is_not_replaced_by_one(tmp_path):
    file = tmp_path / "notes.txt"
    for content in ("my notes", "x"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match="no parquet file, so it was not replaced. Write to an"):
            write_table(pd.DataFrame({"a": [1]}), file)
        assert file.read_text(encoding="utf-8") == content
    file.unlink()
    write_table(pd.DataFrame({"a": [1]}), file)  # the remedy
    write_table(pd.DataFrame({"a": [2]}), file)
    assert pd.read_parquet(file)["a"].tolist() == [2]


# --- killed ---------------------------------------------------------------------------------------


def test_a_table_whose_writer_is_killed(tmp_path):
    """The file is always a whole one, and nothing is left beside it after the next write."""
    file = tmp_path / "t.parquet"
    setup = f"""
import numpy as np, pandas as pd
from graf_utils.results import write_table
frame = pd.DataFrame(np.random.default_rng(0).normal(size=(100_000, 5)), columns=list("abcde"))
write_table(frame, {str(file)!r})
"""
    work = f"""
    until = time.time() + (1.0 if os.getppid() == START else 0.0)
    while True:
        write_table(frame, {str(file)!r})
        if time.time() > until:
            break
"""
    result = killing.run(tmp_path, setup + "START = os.getpid()", work.strip(), 0.05, 0.4)
    assert result["killed"] == 10
    assert result["left"] > 0
    assert result["after"] == []
    assert listing(tmp_path) == ["t.parquet"]
    assert pd.read_parquet(file).shape == (100_000, 5)


def test_the_machine_in_a_name_has_no_dot(monkeypatch, tmp_path, dead):
    monkeypatch.setattr(_files.platform, "node", lambda: "host.of.some.net")
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / "a.txt", KeyboardInterrupt, process=dead)
    assert len(listing(tmp_path)) == 1
    write_text(tmp_path / "a.txt", "x")
    assert listing(tmp_path) == ["a.txt"]
