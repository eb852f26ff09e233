"""A control group of Linux, version 1 or 2: one CPU and so much memory for what is put into it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

TREE = Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds over which the CPU is shared out."""


@dataclass(frozen=True)
class Group:
    """A group that was made.

    Parameters
    ----------
    version : int
        1 or 2.
    folders : tuple of Path
        Its folder, or one for each of memory and cpu in version 1.
    """

    version: int
    folders: tuple[Path, ...]

    def __str__(self) -> str:
        return f"cgroup v{self.version}, 1 CPU"

    @classmethod
    def make(cls, memory: int) -> Group | None:
        """Make a group, or return None where none can be made.

        Parameters
        ----------
        memory : int
            Bytes above which its processes are killed.
        """
        name = f"graf-book-{os.getpid()}"
        if (TREE / "cgroup.controllers").is_file():
            group = cls(2, (TREE / name,))
            limits = {"memory.max": memory, "cpu.max": f"{PERIOD} {PERIOD}"}
        else:
            group = cls(1, (TREE / "memory" / name, TREE / "cpu" / name))
            limits = {"memory.limit_in_bytes": memory, "cpu.cfs_quota_us": PERIOD}
        try:
            for folder in group.folders:
                folder.mkdir()
            for file, value in limits.items():
                (folder,) = [folder for folder in group.folders if (folder / file).exists()]
                (folder / file).write_text(str(value), encoding="utf8")
            swap = group.folders[0] / "memory.swap.max"  # version 2, where there is swap
            if swap.exists():
                swap.write_text("0", encoding="utf8")
        except (OSError, ValueError):
            group.remove()
            return None
        return group

    def enter(self) -> None:
        """Put the calling process into the group."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="utf8")

    def memory(self) -> int:
        """Bytes that its processes hold, without files that the system keeps for them."""
        key = {1: "total_rss", 2: "anon"}[self.version]
        text = (self.folders[0] / "memory.stat").read_text(encoding="utf8")
        return int(re.search(rf"^{key} (\d+)$", text, re.MULTILINE)[1])

    def remove(self) -> None:
        """Take the group away; its processes must have ended."""
        for folder in self.folders:
            for _ in range(50):
                if not folder.is_dir():
                    break
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.1)


def memory_of(process: int) -> int:
    """Bytes that a process and what it started hold for themselves."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(process)
        for one in (top, *top.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().uss
    return total
