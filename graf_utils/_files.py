"""Files that are written whole or not at all: the one place that makes temporaries.

A file is first written beside its place, under a name that begins with a dot and ends in ``.part``,
and then moved. What a killed run left of an earlier attempt is removed by the next one.
"""

from __future__ import annotations

import contextlib
import glob
import os
import platform
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replacing", "sweep", "write_text"]

_STALE = 3600.0  # seconds after which another machine's temporary is taken for a leftover


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` if nothing went wrong.

    Parameters
    ----------
    path : path
        The file to write; its folder is made if it is not there.

    Yields
    ------
    Path
        An empty file in the same folder, and so on the same disk. If the block raises, it is
        removed and `path` stays as it was. The new file has the permissions that the umask allows.

    Raises
    ------
    OSError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as part:
    ...     _ = part.write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    part = path.with_name(f".{path.name}.{_writer()}.{uuid.uuid4().hex}.part")
    part.touch(exist_ok=False)  # unlike those of tempfile, with the permissions of any new file
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what killed runs left of earlier attempts to write a file.

    A temporary says which process writes it. It goes if that process, of this machine, is no more;
    another machine's goes when nobody has written to it for an hour.

    Parameters
    ----------
    path : path
        The file that the temporaries were to become.
    """
    path = Path(path)
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            machine, _, process = part.name.split(".")[-3].rpartition("-")
            here = machine == _machine() and process.isdecimal()
            if not _runs(int(process)) if here else time.time() - part.stat().st_mtime > _STALE:
                part.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _machine() -> str:
    return platform.node().replace(".", "-")


def _writer() -> str:
    return f"{_machine()}-{os.getpid()}"


def _runs(process: int) -> bool:
    """Tell whether a process of this machine exists."""
    if os.name != "posix":  # there, asking would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it exists and is another user's
        pass
    return True
