"""What a chapter needs on Binder: seconds and peak memory of every notebook, on one CPU with 2 GB.

``python benchmarks/binder.py [NAME ...]`` makes a fresh environment with nothing but
``.binder/requirements.txt``, clones the repository as it is committed, and runs each notebook there
from top to bottom, through ``.binder/start``, in a control group of one CPU and 2 GB that kills
what needs more. Rows go into ``data/results/binder.parquet``, one notebook at a time: a notebook
whose code has not changed since its row was written is left out, unless it is named (``02``, or
``02_graf``). All of them take about twenty minutes, and the environment a few more.

Where PyTorch's index of CPU builds does not answer, PyTorch comes from the usual index, for the
Python that runs this instead of Binder's.

Control groups need root on Linux (version 1 or 2). Elsewhere the notebook gets one core by
``taskset``, memory is watched and not limited, and the column ``limit`` says so. Memory is what the
notebook's own processes hold (kernel and what it starts); Binder's Jupyter server, which shares the
2 GB, takes about 100 MB beside.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import pandas as pd
from control_group import Group, memory_of
from install import install, is_reachable
from measured import RAN, RESULTS, code_of

from graf_utils.results import merge_results

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "binder"
MEMORY_MB = 2048
CELL_SECONDS = 300
TOO_LARGE = "out of memory"
RUN = f"""
import json, platform, sys
import nbclient, nbformat
book = nbformat.read(sys.argv[1], as_version=4)
client = nbclient.NotebookClient(book, timeout=int(sys.argv[2]), kernel_name="python3")
outcome = "{RAN}"
try:
    client.execute(cwd=".")
except nbclient.exceptions.DeadKernelError:
    outcome = "{TOO_LARGE}"
except nbclient.exceptions.CellExecutionError as error:
    outcome = (error.ename + ": " + error.evalue)[:200]
except Exception as error:
    outcome = repr(error)[:200]
print(json.dumps(dict(outcome=outcome, python=platform.python_version())))
"""
"""What runs in the environment: the whole notebook, and how it ended as JSON."""


def find_python(runtime: str) -> str:
    """The Python of ``.binder/runtime.txt`` if this machine has it, else the one that runs this."""
    version = runtime.removeprefix("python-")
    pyenv = Path.home().glob(f".pyenv/versions/{version}*/bin/python")
    for candidate in (f"python{version}", *sorted(map(str, pyenv))):
        try:
            done = subprocess.run([candidate, "-c", "import venv"], capture_output=True)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return sys.executable


def local_requirements(text: str, index_answers: bool) -> str:
    """Binder's requirements as this machine can have them: without PyTorch's index if it is far."""
    if index_answers:
        return text
    lines = [line for line in text.splitlines() if not line.startswith("--extra-index-url")]
    return "\n".join(lines).replace("+cpu", "") + "\n"


def make_environment(folder: Path) -> Path:
    """Make the environment anew if the requirements changed; return its Python."""
    binder = ROOT / ".binder"
    text = (binder / "requirements.txt").read_text(encoding="utf8")
    index = re.search(r"^--extra-index-url (\S+)", text, re.MULTILINE)[1]
    answers = is_reachable(index)
    text = local_requirements(text, answers)
    python, stamp = folder / "environment" / "bin" / "python", folder / "requirements.txt"
    if python.exists() and stamp.is_file() and stamp.read_text(encoding="utf8") == text:
        return python
    found = sys.executable
    if answers:
        found = find_python((binder / "runtime.txt").read_text(encoding="utf8").strip())
    else:
        print(f"{index} does not answer: PyTorch from the usual index, for this Python", flush=True)
    shutil.rmtree(folder / "environment", ignore_errors=True)
    subprocess.run([found, "-m", "venv", folder / "environment"], check=True)
    pins = folder / "pins.txt"
    pins.write_text(text, encoding="utf8")
    if not install(python, "-r", pins):
        sys.exit("Binder's environment could not be made; the lines above say why.")
    pins.replace(stamp)
    return python


def clone(folder: Path, python: Path) -> Path:
    """Clone what is committed, and install the package from there as ``.binder/postBuild`` does."""
    target = folder / "clone"
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), target], check=True)
    if not install(python, "--no-deps", "-e", target):
        sys.exit("The package could not be installed; the lines above say why.")
    return target


def watch(process: subprocess.Popen, group: Group | None) -> float:
    """Wait for a process; return the most MB that it and what it started held."""
    peak = 0.0
    over = threading.Event()
    waiter = threading.Thread(target=lambda: (process.wait(), over.set()), daemon=True)
    waiter.start()
    while not over.wait(0.1):
        peak = max(peak, group.memory() if group else memory_of(process.pid))
    return peak / 1e6


def measure(notebook: Path, python: Path, start: Path | None, limit_mb: int = MEMORY_MB) -> dict:
    """Run a notebook with one CPU and so much memory.

    Parameters
    ----------
    notebook : Path
        It is run in its own folder.
    python : Path
        Of the environment.
    start : Path or None
        A script through which it is started, as Binder does.
    limit_mb : int
        Memory in MB (2^20 bytes), where it can be limited.

    Returns
    -------
    dict
        A row of the results.
    """
    leave_out = ("GRAF_", "PYTHONPATH")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(leave_out)}
    command = [python, "-c", RUN, notebook.name, CELL_SECONDS]
    command = [*(["bash", start] if start else []), *command]
    group = Group.make(limit_mb * 2**20)
    if group is None:
        command = ["taskset", "-c", "0", *command]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        [*map(str, command)],
        cwd=notebook.parent,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf8",
        preexec_fn=group.enter if group else None,
    )
    peak = watch(process, group)
    seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = process.stdout.read().splitlines()
    ended = {"outcome": TOO_LARGE, "python": ""}  # the whole run was killed
    if lines and lines[-1].startswith("{"):
        ended = json.loads(lines[-1])
    if group:
        group.remove()
    return {
        "notebook": notebook.stem,
        "code": code_of(notebook),
        **ended,
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": peak,
        "limit": f"{group}, {limit_mb} MB" if group else "one core, memory not limited",
    }


def is_measured(notebook: Path) -> bool:
    """Whether the results have a row of the notebook as it is now."""
    if not RESULTS.is_file():
        return False
    rows = pd.read_parquet(RESULTS, columns=["notebook", "code"])
    return ((rows["notebook"] == notebook.stem) & (rows["code"] == code_of(notebook))).any()


def main(names: list[str]) -> None:
    """Measure the notebooks that are named, else those that changed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    python = make_environment(FOLDER)
    book = clone(FOLDER, python)
    for notebook in sorted((book / "notebooks").glob("*.ipynb")):
        if not any(notebook.stem.startswith(name) for name in names) and (
            names or is_measured(notebook)
        ):
            continue
        row = measure(notebook, python, book / ".binder" / "start")
        merge_results(
            RESULTS, pd.DataFrame([row]), ["notebook"], recipe="benchmarks/binder.py",
            pins=(FOLDER / "requirements.txt").read_text(encoding="utf8"),
        )  # fmt: skip
        print(
            f"{row['notebook']:<24}{row['seconds']:6.0f} s {row['cpu_seconds']:6.0f} CPU s "
            f"{row['peak_mb']:6.0f} MB  {row['outcome']}  ({row['limit']})",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 02")
    main(parser.parse_args().names)
