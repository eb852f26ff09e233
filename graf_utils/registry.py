"""What files there are, where they lie, and how they get there verified.

``data/registry.toml`` describes the files and tables of the book; a `Registry` of your own works
the same way. Files are looked for in the cache first (`cache_dir`), and the network is used only
for what is missing. Anything wrong with files raises `DataError`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import queue
import re
import shlex
import sys
import threading
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pooch
import requests
from tqdm import tqdm

from graf_utils._checks import nearest
from graf_utils._files import replacing, sweep

_RETRY_WAITS = (1.0, 3.0)  # seconds before the second and the third attempt of a download
_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
_GRACE = 120.0  # seconds that a download may take whatever its size ...
_SLOWEST = 10_000.0  # ... and bytes per second that it must reach beyond them
_CHUNK = 1 << 14  # bytes read at a time
_REQUIRED = {  # keys of the entries of a registry file
    "embedded": "path bytes sha256",
    "file": "path bytes sha256 url",
    "table": "name source space key files rows rows_valid targets licence citation policy",
}
_verified: set[tuple[str, int, int, str]] = set()  # files hashed by this process
_PUBLISHED_CHANGED = (
    "Try again; if it stays so, the published file has changed: get the original elsewhere, or "
    "correct registry.toml."
)


class DataError(RuntimeError):
    """A data file is missing, damaged, unreachable or not as its description says."""


@dataclass(frozen=True)
class Registry:
    """What can be loaded: embedded files, files to download, and named tables.

    Parameters
    ----------
    folder : Path
        Where the embedded files lie.
    embedded : dict of str to dict
        Path of an embedded file to its ``bytes``, ``sha256`` and ``recipe``.
    files : dict of str to dict
        Path of a file to ``bytes``, ``sha256`` and, to download it, ``url``.
    tables : dict of (str, str) to dict
        Name and source to the description of a table.
    citations : dict of str to str
        Short key to the reference.
    """

    folder: Path
    embedded: dict[str, dict[str, Any]]
    files: dict[str, dict[str, Any]]
    tables: dict[tuple[str, str], dict[str, Any]]
    citations: dict[str, str]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Registry:
        """Read a registry file in the format of ``data/registry.toml``.

        Parameters
        ----------
        path : path
            The file; the embedded files that it names lie in the same folder.

        Returns
        -------
        Registry

        Raises
        ------
        DataError
            It is not TOML, or an entry is incomplete, contradicts another, names a file or a
            citation that is not there, or has a path outside the data folder.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path} cannot be read as a registry in TOML: {error}.") from error
        try:
            entries = {kind: _entries(content, kind) for kind in _REQUIRED}
            tables = _complete_tables(entries["table"])
            for kind, listed in entries.items():
                _check_keys(kind, listed)
            embedded, files = (_files_by_path(kind, entries[kind]) for kind in ("embedded", "file"))
            citations = content.get("citations", {})
            registry = cls(Path(path).resolve().parent, embedded, files, tables, citations)
            for table in tables.values():
                _check_table(table, registry)
        except _RegistryError as error:
            raise DataError(f"{path}: {error}") from error
        return registry

    def names(self) -> list[str]:
        """Names of the tables, each once."""
        return list(dict.fromkeys(name for name, _ in self.tables))

    def table_files(self, table: dict[str, Any]) -> list[str]:
        """Paths of all files that a table is read from.

        Parameters
        ----------
        table : dict
            One of the values of `tables`.

        Returns
        -------
        list of str
            Each path once: the table's own files, then those of its pool and its proxies.
        """
        others = filter(None, (table.get("pool"), table.get("proxy_file")))
        return list(dict.fromkeys([*table["files"], *others]))


class _RegistryError(ValueError):
    """What is wrong in a registry file; the caller adds which file."""


def _entries(content: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The entries of one kind, which TOML must have as an array of tables."""
    listed = content.get(kind, [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise _RegistryError(f"{kind!r} must be written as [[{kind}]], once for each entry.")
    return listed


def _complete_tables(listed: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Fill in what a table has "like" another, and the short forms of targets and proxies.

    The entries of the list are completed in place.
    """
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    for number, table in enumerate(listed):
        model = tables.get((table.get("like"), table.get("source")), {})
        listed[number] = table = {**model, **table}
        for part in {"targets", "proxies"} & set(table):
            table[part] = _columns(table[part], f"[[table]] entry {number}: {part}")
        key = (table.get("name"), table.get("source"))
        if key in tables:
            raise _RegistryError(
                f"table {key[0]!r} stands there twice as {key[1]!r}. Rename one, or remove it."
            )
        tables[key] = table
    return tables


def _columns(described: Any, where: str) -> dict[str, dict[str, Any]]:
    """The long form, name to description: from a list of columns, or name to column."""
    if isinstance(described, list):
        described = {column: column for column in described}
    if not isinstance(described, dict):
        raise _RegistryError(f"{where} must be a list of columns or a table of them.")
    columns = {}
    for name, description in described.items():
        if isinstance(description, str):
            description = {"column": description}
        if not isinstance(description, dict):
            raise _RegistryError(f"{where}: {name!r} must be a column's name or a table.")
        columns[name] = {"column": name, **description}
    return columns


def _check_keys(kind: str, listed: list[dict[str, Any]]) -> None:
    """Check that entries have the keys that they must have."""
    for number, entry in enumerate(listed):
        missing = [key for key in _REQUIRED[kind].split() if key not in entry]
        if missing:
            raise _RegistryError(f"[[{kind}]] entry {number} lacks {missing}. Add them.")


def _files_by_path(kind: str, listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entries of files by their path, which must stay in the data folder."""
    files: dict[str, dict[str, Any]] = {}
    for entry in listed:
        name, size, digest = entry["path"], entry["bytes"], entry["sha256"]
        parts = PurePosixPath(str(name))
        if not parts.parts or parts.is_absolute() or ".." in parts.parts or "\\" in str(name):
            raise _RegistryError(
                f"the path {name!r} leaves the data folder; it must be relative, with forward "
                "slashes and without '..'."
            )
        if name in files:
            raise _RegistryError(f"[[{kind}]] has {name!r} twice. Remove one of the entries.")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise _RegistryError(f"{name!r}: bytes = {size!r} must be the size of the file.")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise _RegistryError(
                f"{name!r}: sha256 = {digest!r} must be 64 hexadecimal digits in small letters, "
                "as sha256sum prints them."
            )
        files[name] = entry
    return files


def _check_table(table: dict[str, Any], registry: Registry) -> None:
    """Check that what a table refers to is in the registry."""
    name, source, paths = table["name"], table["source"], table["files"]
    if not isinstance(paths, list) or not paths:
        raise _RegistryError(f"table {name!r}: files = {paths!r} must be a list of paths.")
    kind = "embedded" if source == "embedded" else "file"
    for path in registry.table_files(table):
        if path not in (registry.embedded if kind == "embedded" else registry.files):
            raise _RegistryError(f"table {name!r} reads {path!r}; add a [[{kind}]] entry for it.")
    features = table["space"].get("features") if isinstance(table["space"], dict) else None
    if features is not None and features not in registry.embedded:
        raise _RegistryError(
            f"table {name!r} has its features in {features!r}; add an [[embedded]] entry for it."
        )
    for target, description in table["targets"].items():
        missing = [key for key in ("unit", "higher_is_better") if key not in description]
        if missing:
            raise _RegistryError(f"table {name!r}: target {target!r} lacks {missing}. Add them.")
    for reference in table["citation"]:
        if reference not in registry.citations:
            raise _RegistryError(
                f"table {name!r} cites {reference!r}; add it to [citations]."
                f"{nearest(reference, registry.citations)}"
            )


@functools.lru_cache(maxsize=1)
def book_registry() -> Registry:
    """Return the registry of the book."""
    return Registry.read(data_path("registry.toml"))


def data_path(*parts: str) -> Path:
    """Path of something in the embedded data folder, of the wheel or of the repository.

    Parameters
    ----------
    *parts : str
        Names of folders and of a file, such as ``"results", "proxies.parquet"``.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        It is not there.
    """
    package = Path(__file__).resolve().parent
    folders = (package / "_data", package.parent / "data")
    for folder in folders:
        if folder.joinpath(*parts).exists() and (folder / "registry.toml").exists():
            return folder.joinpath(*parts)
    raise DataError(
        f"{'/'.join(parts) or 'the embedded data'} is neither in {folders[0]} nor in {folders[1]}. "
        "Install graf_utils from its wheel, or work in a clone of the repository "
        "(pip install -e .)."
    )


def cache_dir() -> Path:
    """Folder of the downloaded files: ``$GRAF_DATA_DIR``, else the user's cache folder.

    Returns
    -------
    Path
        Absolute; it need not exist.

    Raises
    ------
    DataError
        ``GRAF_DATA_DIR`` is a relative path. It would name one folder in the shell that set it,
        and others in the notebooks, whose working folder is ``notebooks``.
    """
    chosen = os.environ.get("GRAF_DATA_DIR", "").strip()
    if not chosen:
        return Path(pooch.os_cache("graf-book"))
    try:
        folder = Path(chosen).expanduser()
    except RuntimeError:  # ~name of nobody
        folder = Path(chosen)
    if folder.is_absolute():
        return folder
    here = Path.cwd()
    existing = [base / folder for base in (here, *here.parents) if (base / folder).is_dir()]
    absolute = os.path.normpath(existing[0] if existing else here / folder)
    raise DataError(
        f"GRAF_DATA_DIR={chosen!r} is relative, so that a chapter and the folder above it would "
        "each look in another place; it must be an absolute path. Write "
        f"GRAF_DATA_DIR={shlex.quote(absolute)}"
    )


def defect_of(path: Path, entry: dict[str, Any]) -> str | None:
    """What is wrong with a file, by size and SHA-256.

    Parameters
    ----------
    path : Path
        A file that exists.
    entry : dict
        Its description in the registry, with ``bytes`` and ``sha256``.

    Returns
    -------
    str or None
        The end of a sentence that begins with the file; None when it is as registered.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    status = path.stat()
    if status.st_size != entry["bytes"]:
        return f"has {status.st_size:,} bytes, the registry says {entry['bytes']:,}"
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size, entry["sha256"])
    if key not in _verified:
        digest = pooch.file_hash(str(path))
        if digest != entry["sha256"]:
            return f"has SHA-256 {digest}, the registry says {entry['sha256']}"
        _verified.add(key)
    return None


def fetch(path: str, *, registry: Registry | None = None, repair: bool = False) -> Path:
    """Return a verified local file of the registry, downloading it if it is not there.

    What killed downloads of the file left beside it is removed.

    Parameters
    ----------
    path : str
        The path of a ``[[file]]`` of the registry; the file lies there in `cache_dir`.
    registry : Registry, optional
        Another registry than the book's.
    repair : bool
        Replace a damaged file, once its new copy is verified. Otherwise it stays as it is.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        The registry has no such file.
    DataError
        The file is damaged, or cannot be downloaded, stored or read; the message says what to do.
    """
    registry = registry or book_registry()
    if path not in registry.files:
        raise ValueError(
            f"path={path!r} is not a file of the registry. It must be the path of a [[file]] in "
            f"registry.toml.{nearest(path, registry.files)}"
        )
    entry, target = registry.files[path], cache_dir() / path
    try:
        sweep(target)
        defect = defect_of(target, entry) if target.exists() else "is not there"
        if defect is None:
            return target
        if target.exists() and not repair:
            raise DataError(
                f"{target} {defect}: it is truncated or changed, so it was not used and not "
                "touched. Delete it and try again, or run "
                f"'python -m graf_utils.datasets download --repair {path}'."
            )
        _download(entry, target)
    except OSError as error:
        raise DataError(_explain(error, entry, target)) from error
    return target


def _explain(error: OSError, entry: dict[str, Any], target: Path) -> str:
    """Say in one message what went wrong with a file, why, and what to do."""
    by_hand = (
        f"or put the file at {target} by hand, or set GRAF_DATA_DIR to a folder that has it. "
        "Tables with source='embedded' need no network."
    )
    response = getattr(error, "response", None)
    if response is not None:
        code = response.status_code
        return f"{entry['url']} answered with HTTP status {code}. Try again later, {by_hand}"
    if isinstance(error, requests.exceptions.RequestException):
        return (
            f"{target} is not there and {entry['url']} could not be downloaded completely "
            f"({type(error).__name__}: {error}). Check the network and try again, {by_hand}"
        )
    if error.errno == errno.ENOSPC:
        return (
            f"no space left on the disk of {cache_dir()} while storing {target.name} "
            f"({entry['bytes']:,} bytes); nothing was kept. Free some space, or set GRAF_DATA_DIR "
            "to a folder on another disk."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{target} cannot be read or written: {error}. The data folder {cache_dir()} must be "
            "readable, and writable for downloads. Change its permissions, or set GRAF_DATA_DIR "
            "to a folder of your own."
        )
    return f"{target} could not be read or stored: {error}. Check the folder {cache_dir()}."


def _download(entry: dict[str, Any], target: Path) -> None:
    """Download beside the target, verify, then move into place; undo everything on failure."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        with replacing(target) as part:
            _get(entry, part)
            defect = defect_of(part, entry)
            if defect:
                raise DataError(
                    f"what {entry['url']} sent {defect}; it must be the registered file, so "
                    f"nothing was stored. {_PUBLISHED_CHANGED}"
                )
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # not made, or in use by another process
                folder.rmdir()
        raise


def _get(entry: dict[str, Any], part: Path) -> None:
    """Download a file of the registry within a time that depends on its size.

    The work is done in a thread of its own: a server that sends a byte now and then keeps every
    single read from timing out, so only somebody who looks at the clock can end it.
    """
    seconds = _GRACE + entry["bytes"] / _SLOWEST
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            _try_repeatedly(entry, part, given_up)
        except BaseException as error:  # it is raised again below
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        error = ended.get(timeout=seconds)
    except queue.Empty:
        raise requests.exceptions.Timeout(
            f"{part.stat().st_size:,} of {entry['bytes']:,} bytes came in {seconds:,.0f} seconds, "
            "which is too slow"
        ) from None
    finally:
        given_up.set()
    if error is not None:
        raise error


def _try_repeatedly(entry: dict[str, Any], part: Path, given_up: threading.Event) -> None:
    """Try again when the server stumbles, not when there is no network or a file too many."""
    for wait in (*_RETRY_WAITS, None):
        try:
            return _get_once(entry, part, given_up)
        except requests.exceptions.RequestException as error:
            response = getattr(error, "response", None)
            no_network = type(error) is requests.exceptions.ConnectionError
            refused = response is not None and response.status_code < 500
            if wait is None or no_network or refused or given_up.wait(wait):
                raise


def _get_once(entry: dict[str, Any], part: Path, given_up: threading.Event) -> None:
    """Write what a server sends, up to the size that the registry says."""
    size = entry["bytes"]
    answer = requests.get(entry["url"], stream=True, timeout=_TIMEOUT)
    bar = tqdm(total=size, unit="B", unit_scale=True, disable=not sys.stderr.isatty())
    with answer, bar, part.open("r+b") as stream:  # not "wb": it must not come back once removed
        answer.raise_for_status()
        stream.truncate()
        for chunk in answer.iter_content(_CHUNK):
            if given_up.is_set():
                return
            if stream.tell() + len(chunk) > size:
                raise DataError(
                    f"what {entry['url']} sent has more than {size:,} bytes, the registry says "
                    f"{size:,}; it must be the registered file, so nothing was stored. "
                    f"{_PUBLISHED_CHANGED}"
                )
            stream.write(chunk)
            bar.update(len(chunk))


def download(
    names: Iterable[str] | None = None, *, registry: Registry | None = None, repair: bool = False
) -> dict[str, str]:
    """Fetch the files of tables, or all files of the registry; go on after failures.

    Parameters
    ----------
    names : str or iterable of str, optional
        Tables, or single files by their path. All files by default.
    registry : Registry, optional
        Another registry than the book's.
    repair : bool
        Replace damaged files.

    Returns
    -------
    dict of str to str
        For each file that failed, its path and the message.

    Raises
    ------
    ValueError
        A name is neither a table's nor a file's; nothing is fetched then.
    """
    registry = registry or book_registry()
    paths = list(registry.files) if names is None else []
    for name in [names] if isinstance(names, str) else names or ():
        if name in registry.files:
            paths.append(name)
            continue
        check_name(name, registry)
        for (table_name, _), table in registry.tables.items():
            if table_name == name:
                paths += [path for path in registry.table_files(table) if path in registry.files]
    failed: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        try:
            fetch(path, registry=registry, repair=repair)
        except DataError as error:
            failed[path] = str(error)
    return failed


def check_name(name: object, registry: Registry) -> None:
    """Check that a table has this name.

    Parameters
    ----------
    name : object
        What was given as a name.
    registry : Registry

    Raises
    ------
    ValueError
        No table has it.
    """
    if name not in registry.names():
        raise ValueError(
            f"name={name!r} is not a table. It must be one of {registry.names()}."
            f"{nearest(name, registry.names())}"
        )
