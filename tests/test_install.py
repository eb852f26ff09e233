"""What `make` installs, and how it says so: with stand-ins for uv, pip and PyTorch's index."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from install import CPU_INDEX, is_reachable, shorten, watch
from site_tools import serve
from test_repository import read_pins
from versions import TORCH

ROOT = Path(__file__).resolve().parent.parent
PINNED = f"torch=={read_pins(ROOT / 'requirements.txt')['torch']}"
NOWHERE = "http://127.0.0.1:9"  # the port that throws all away; nothing listens
UV = """#!/bin/sh
echo "uv $*" >> "{log}"
echo "uv at work"
exit {status}
"""
PIP = """
import sys
with open({log!r}, "a", encoding="utf8") as file:
    file.write("pip " + " ".join(sys.argv[1:]) + "\\n")
print("pip at work")
sys.exit({status} if {fails!r} in sys.argv else 0)
"""


@pytest.fixture
def machine(tmp_path):
    """Run the installation on a made-up machine; returns what it printed and the calls it made."""

    def run(index=NOWHERE, uv=None, pip_fails="", **variables):
        log = tmp_path / "calls.txt"
        log.write_text("", encoding="utf8")
        programs = tmp_path / "programs"
        package = tmp_path / "packages" / "pip"
        programs.mkdir(exist_ok=True)
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        text = PIP.format(log=str(log), status=1, fails=pip_fails)
        (package / "__main__.py").write_text(text, encoding="utf8")
        if uv is not None:
            (programs / "uv").write_text(UV.format(log=log, status=uv), encoding="utf8")
            (programs / "uv").chmod(0o755)
        done = subprocess.run(
            [sys.executable, ROOT / "tests" / "install.py"],
            env={
                **os.environ,
                "PATH": f"{programs}:/usr/bin:/bin",
                "PYTHONPATH": str(package.parent),
                "TORCH_INDEX": index,
                **variables,
            },
            capture_output=True,
            text=True,
            encoding="utf8",
        )
        return done, log.read_text(encoding="utf8").splitlines()

    return run


@pytest.fixture
def index(tmp_path):
    """An index that has a page on torch."""
    (tmp_path / "index" / "torch").mkdir(parents=True)
    (tmp_path / "index" / "torch" / "index.html").touch()
    with serve(tmp_path / "index") as address:
        yield address


def test_without_a_cpu_index_all_comes_from_the_usual_one(machine):
    done, calls = machine()
    assert done.returncode == 0, done.stderr
    assert len(calls) == 2
    assert all(call.startswith("pip --disable-pip-version-check install") for call in calls)
    assert calls[0].endswith(f"-r {ROOT / 'requirements.txt'}")
    assert calls[1].endswith(f"--no-deps -e {ROOT}")
    assert "--index-url" not in " ".join(calls)
    assert f"{NOWHERE} cannot be reached" in done.stdout
    assert "CUDA (several GB)" in done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing has CUDA")
def test_pytorch_comes_from_the_cpu_index_where_it_is_reachable(machine, index):
    done, calls = machine(index)
    assert done.returncode == 0, done.stderr
    assert len(calls) == 3
    assert calls[0].endswith(f"--no-deps --index-url {index} {PINNED}")
    assert "--index-url" not in " ".join(calls[1:])
    assert f"PyTorch without CUDA, from {index}" in done.stdout


def test_an_empty_index_leaves_pytorch_to_the_usual_one(machine):
    done, calls = machine("")
    assert len(calls) == 2
    assert "cannot be reached" not in done.stdout


def test_a_cpu_index_that_fails_is_not_the_end(machine, index):
    done, calls = machine(index, pip_fails="--index-url")
    assert done.returncode == 0
    assert len(calls) == 3


def test_uv_is_used_if_it_is_there(machine):
    done, calls = machine(uv=0)
    assert [call.split()[0] for call in calls] == ["uv", "uv"]
    assert f"uv pip install --python {sys.executable} -r" in calls[0]
    assert "The pins of requirements.txt, by uv" in done.stdout


def test_where_uv_fails_pip_tries(machine):
    done, calls = machine(uv=2)
    assert done.returncode == 0
    assert [call.split()[0] for call in calls] == ["uv", "pip", "uv", "pip"]
    assert "uv could not" in done.stdout


def test_a_failure_shows_what_pip_said(machine):
    done, _ = machine(pip_fails="-r")
    assert done.returncode != 0
    assert "pip at work" in done.stdout
    assert "The installation failed" in done.stderr


def test_progress_is_said(monkeypatch, capsys):
    monkeypatch.setattr("install.EVERY", 0.2)
    code = "import time; print('Downloading much\\nWARNING: x', flush=True); time.sleep(1.5)"
    assert watch([sys.executable, "-c", code])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3
    assert re.fullmatch(r"  0:0\d  Downloading much", lines[-1])
    assert shorten("Installing collected packages: a, b, c\n") == "Installing 3 packages"
    assert shorten("  Collecting numpy==2 (from -r x.txt (line 9))\n") == "Collecting numpy==2"


def test_the_makefile_installs_by_this_file():
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    rule = makefile[makefile.index("$(STAMP): requirements.txt") :]
    assert "$(BIN)/python tests/install.py" in rule
    assert "install -r" not in rule
    assert TORCH == PINNED


def test_nothing_that_is_pinned_brings_cuda():
    """On Linux xgboost requires nvidia-nccl; xgboost-cpu is the same without."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf8")
    assert re.search(r'^xgboost==\S+ ; sys_platform == "darwin"$', text, re.MULTILINE)
    assert re.search(r'^xgboost-cpu==\S+ ; sys_platform != "darwin"$', text, re.MULTILINE)
    assert not [name for name in read_pins(ROOT / "requirements.txt") if "nvidia" in name]
    assert CPU_INDEX.endswith("/cpu")
    assert not is_reachable(NOWHERE)
    assert not is_reachable("no address")
