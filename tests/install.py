"""Install what the book needs into the environment of the Python that runs this file.

``make`` calls it with ``.venv/bin/python``. In order:

1. PyTorch without CUDA, on Linux, where the usual index serves it with CUDA, several GB: from
   PyTorch's own index of CPU builds, if that can be reached. ``TORCH_INDEX`` names another index;
   empty, it leaves PyTorch to the next step.
2. The pins of requirements.txt, by uv if it is on the PATH, else by pip.
3. This package, editable.

Every ten seconds a line says what is being done.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EVERY = 10
"""Seconds between two lines of progress."""
TELLING = re.compile(r"\s*(Collecting|Downloading|Processing|Installing|Building|Prepar|Resolved)")
"""Lines of pip and uv that say what is being done."""


def say(text: str) -> None:
    """Print at once, also where the output is a file."""
    print(text, flush=True)


def shorten(line: str) -> str:
    """A line of pip's without its long ends."""
    names = line.partition("Installing collected packages:")[2]
    if names:
        return f"Installing {len(names.split(','))} packages"
    return line.strip().partition(" (from ")[0][:90]


def watch(command: list[object]) -> bool:
    """Run a command, saying now and then what it does; show its last lines if it fails."""
    start = time.monotonic()
    process = subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf8",
        errors="replace",
    )
    lines: deque[str] = deque(maxlen=30)
    telling: deque[str] = deque(["waiting for an answer"], maxlen=1)

    def read() -> None:
        for line in process.stdout:
            lines.append(line)
            if TELLING.match(line):
                telling.append(shorten(line))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(EVERY)
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        if reader.is_alive():
            say(f"  {minutes}:{seconds:02d}  {telling[0]}")
    if process.wait() != 0:
        say("".join(lines))
    return process.returncode == 0


def install(python: Path | str, *arguments: object) -> bool:
    """Install by uv if it is there, else, or if it fails, by pip; tell whether it went well."""
    uv = shutil.which("uv")
    if uv:
        if watch([uv, "pip", "install", "--python", python, *arguments]):
            return True
        say("uv could not (see above); now with pip, which has settings of its own.")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    return watch([*pip, *arguments])


def is_reachable(index: str) -> bool:
    """Whether an index answers within ten seconds."""
    try:
        request = urllib.request.Request(f"{index.rstrip('/')}/torch/", method="HEAD")
        with urllib.request.urlopen(request, timeout=10):
            return True
    except (OSError, ValueError):
        return False


def install_torch(python: Path | str, requirement: str) -> bool:
    """Install PyTorch without CUDA, if that has to be seen to here and can be.

    Parameters
    ----------
    python : path
        Of the environment.
    requirement : str
        Such as ``"torch==2.13.0"``.

    Returns
    -------
    bool
        Whether it is installed now; else it is left to the usual index.
    """
    index = os.environ.get("TORCH_INDEX", CPU_INDEX)
    if not index or not sys.platform.startswith("linux"):
        return False
    if not is_reachable(index):
        say(
            f"{index} cannot be reached: PyTorch comes from the usual index, which serves it with "
            "CUDA (several GB) unless it is a mirror of CPU builds."
        )
        return False
    say(f"PyTorch without CUDA, from {index}")
    return install(python, "--no-deps", "--index-url", index, requirement)


def main() -> None:
    """Install everything into the environment of this Python."""
    start = time.monotonic()
    pins = ROOT / "requirements.txt"
    torch = re.search(r"^torch==\S+", pins.read_text(encoding="utf8"), re.MULTILINE)[0]
    install_torch(sys.executable, torch)
    say(f"The pins of {pins.name}, by {'uv' if shutil.which('uv') else 'pip'}")
    for arguments in (["-r", pins], ["--no-deps", "-e", ROOT]):
        if not install(sys.executable, *arguments):
            sys.exit("The installation failed; the lines above say why.")
    say(f"Installed in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
