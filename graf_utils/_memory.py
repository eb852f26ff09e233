"""How much memory is free, so that what does not fit is refused before it is allocated."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available", "written"]

_PROC = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """Return the memory that this process may still take.

    The least of what the machine says (``MemAvailable`` of Linux, elsewhere all its memory) and of
    what a container leaves (control groups, version 2).

    Parameters
    ----------
    proc, cgroup : Path
        Where the kernel says it.

    Returns
    -------
    int or None
        Bytes; None if the system does not say.
    """
    limits = [_of_machine(proc), _of_container(cgroup)]
    return min((limit for limit in limits if limit is not None), default=None)


def written(n_bytes: float) -> str:
    """Write a number of bytes for people, such as ``"1.4 GiB"``.

    Parameters
    ----------
    n_bytes : float

    Returns
    -------
    str
    """
    for unit in ("bytes", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:,.0f} {unit}" if unit == "bytes" else f"{n_bytes:,.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:,.1f} GiB"


def _of_machine(proc: Path) -> int | None:
    try:
        lines = proc.read_text(encoding="utf8").splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(free.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _of_container(cgroup: Path) -> int | None:
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="utf8"))  # "max" is no number
        used = int((cgroup / "memory.current").read_text(encoding="utf8"))
        lines = (cgroup / "memory.stat").read_text(encoding="utf8").splitlines()
        counted = dict(line.split() for line in lines)
        return max(limit - used + int(counted.get("inactive_file", 0)), 0)
    except (OSError, ValueError):
        return None
