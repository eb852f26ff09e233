"""Files that are written whole or not at all: the one place that makes temporaries.

A file is first written beside its place, under a name that begins with a dot and ends in ``.part``,
and then moved. What a killed run left of an earlier attempt is removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_is_file", "replacing", "sweep", "write_text"]

_STALE = 3600.0  # seconds without a write after which any temporary is taken for a leftover
_LONGEST = 100  # bytes of a file's name that stand in the name of its temporary
_PART = re.compile(
    r"\.(?P<file>.+)\.(?P<machine>[^.]*)-(?P<process>\d+)\.[0-9a-f]{32}\.part", re.DOTALL
)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` if nothing went wrong.

    Parameters
    ----------
    path : path
        The file to write; its folder is made if it is not there. Where it is a symbolic link, the
        file that the link points to is written, and the link stays.

    Yields
    ------
    Path
        An empty file in the same folder, and so on the same disk. If the block raises, it is
        removed and `path` stays as it was. The new file has the permissions that the umask allows.

    Raises
    ------
    ValueError
        There is something that is no file to be replaced: a device such as ``/dev/null``, a pipe.
    OSError
        The folder cannot be written, or `path` is a folder itself.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as part:
    ...     _ = part.write_text("whole", encoding="utf-8")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = Path(os.path.realpath(path))
    check_is_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    part = path.with_name(f".{_beginning(path)}.{_writer()}.{uuid.uuid4().hex}.part")
    part.touch(exist_ok=False)  # unlike those of tempfile, with the permissions of any new file
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_is_file(path: Path) -> None:
    """Refuse a place where something is that must not be replaced by a file.

    Parameters
    ----------
    path : Path
        Where a file is to be written.

    Raises
    ------
    ValueError
        There is a device or a pipe. (A folder is never replaced: the system refuses it.)
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(
            f"{path} is a device or a pipe, not a file, and stays as it is. Name another file."
        )


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what killed runs left of earlier attempts to write a file, or files of a folder.

    A temporary says which process writes it. It goes if that process, of this machine, is no more,
    and in any case when nobody has written to it for an hour. Files that others made stay, whatever
    their names end in, and so do temporaries that may not be removed.

    Parameters
    ----------
    path : path
        The file that the temporaries were to become; or a folder, for all files that lie in it.
    """
    path = Path(os.path.realpath(path))
    folder = path if path.is_dir() else path.parent
    with contextlib.suppress(OSError):  # no such folder, or one that may not be read
        for part in list(folder.iterdir()):
            name = _PART.fullmatch(part.name)
            if name and (folder == path or name["file"] == _beginning(path)):
                with contextlib.suppress(OSError):  # gone meanwhile, or another user's
                    if _is_left(part, name["machine"], int(name["process"])):
                        part.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Parameters
    ----------
    path : path
        The file to write; its folder is made if it is not there.
    text : str
        All that it is to hold; the ends of lines are written as they are.

    Raises
    ------
    ValueError
        As `replacing`.
    OSError
        The folder cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def _beginning(path: Path) -> str:
    """The name of a file, cut so that a temporary's name is never too long for a disk."""
    return os.fsencode(path.name)[:_LONGEST].decode(errors="ignore")


def _machine() -> str:
    return platform.node().replace(".", "-")


def _writer() -> str:
    return f"{_machine()}-{os.getpid()}"


def _is_left(part: Path, machine: str, process: int) -> bool:
    """Tell whether nobody writes to a temporary any more."""
    if time.time() - part.stat().st_mtime > _STALE:
        return True
    return machine == _machine() and not _runs(process)


def _runs(process: int) -> bool:
    """Tell whether a process of this machine exists."""
    if os.name != "posix":  # there, asking would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it exists and is another user's
        pass
    return True
