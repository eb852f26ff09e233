"""What files there are, where they lie, and how they get there verified.

``data/registry.toml`` describes the files and tables of the book; a `Registry` of your own works
the same way. Files are looked for in the cache first (`cache_dir`), and the network is used only
for what is missing. Anything wrong with files raises `DataError`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import platform
import sys
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pooch
import pyarrow as pa
import pyarrow.parquet as pq
import requests

from graf_utils._checks import nearest
from graf_utils._files import replacing

_RETRY_WAITS = (1.0, 3.0)  # seconds before the second and the third attempt of a download
_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
_NEEDED = {  # keys of the entries of a registry file
    "embedded": "path bytes sha256",
    "file": "path bytes sha256 url",
    "table": "name source space key files rows rows_valid targets licence citation policy",
}
_verified: set[tuple[str, int, int, str]] = set()  # files hashed by this process


class DataError(RuntimeError):
    """A data file is missing, damaged, unreachable or not as its description says."""


@dataclass(frozen=True)
class Registry:
    """What can be loaded: embedded files, files to download, and named tables."""

    folder: Path
    """Where the embedded files lie."""
    embedded: dict[str, dict[str, Any]]
    files: dict[str, dict[str, Any]]
    """Path to ``bytes``, ``sha256`` and, to download it, ``url``."""
    tables: dict[tuple[str, str], dict[str, Any]]
    """(name, source) to the description of a table."""
    citations: dict[str, str]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Registry:
        """Read a registry file in the format of ``data/registry.toml``."""
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a registry in TOML: {error}.") from error
        tables: dict[tuple[str, str], dict[str, Any]] = {}
        for number, table in enumerate(content.get("table", [])):
            known = tables.get((table.get("like"), table.get("source")), {})
            content["table"][number] = table = {**known, **table}
            for part in {"targets", "proxies"} & set(table):
                columns = table[part]  # name -> column, unit, scale ...; short forms
                columns = {c: c for c in columns} if isinstance(columns, list) else columns
                table[part] = {
                    name: {"column": how} if isinstance(how, str) else {"column": name, **how}
                    for name, how in columns.items()
                }
            tables[table.get("name"), table.get("source")] = table
        for kind, needed in _NEEDED.items():
            for number, entry in enumerate(content.get(kind, [])):
                lacking = [key for key in needed.split() if key not in entry]
                if lacking:
                    raise DataError(f"{path}: [[{kind}]] entry {number} lacks {lacking}. Add them.")
        files = {
            kind: {e["path"]: e for e in content.get(kind, [])} for kind in ("embedded", "file")
        }
        for name in (*files["embedded"], *files["file"]):
            parts = PurePosixPath(name)
            if parts.is_absolute() or ".." in parts.parts or "\\" in name:
                raise DataError(
                    f"{path}: the path {name!r} leaves the data folder; it must be "
                    "relative, with forward slashes and without '..'."
                )
        folder = Path(path).resolve().parent
        return cls(folder, files["embedded"], files["file"], tables, content.get("citations", {}))

    def names(self) -> list[str]:
        """Names of the tables, each once."""
        return list(dict.fromkeys(name for name, _ in self.tables))

    def table_files(self, table: dict[str, Any]) -> list[str]:
        """Paths of all files a table is read from."""
        others = filter(None, (table.get("pool"), table.get("proxy_file")))
        return list(dict.fromkeys([*table["files"], *others]))


@functools.lru_cache(maxsize=1)
def own_registry() -> Registry:
    """The registry of the book."""
    return Registry.read(data_path("registry.toml"))


def data_path(*parts: str) -> Path:
    """Path of something in the embedded data folder, of the wheel or of the repository."""
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


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str], **provenance: Any) -> None:
    """Write a frame as parquet, whole or not at all, with what is known of its making.

    The file's metadata has ``provenance``: JSON of what is given here, the machine, and the
    versions of Python and of the libraries that compute.
    """
    path = Path(path)
    versions = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "scikit-learn", "xgboost", "xgboost-cpu", "torch", "shap"):
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    facts = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "versions": versions}
    content = pa.Table.from_pandas(frame, preserve_index=False)
    content = content.replace_schema_metadata({"provenance": json.dumps(provenance | facts)})
    with replacing(path) as part:
        pq.write_table(content, part, compression="zstd")


def cache_dir() -> Path:
    """Folder of the downloaded files: ``$GRAF_DATA_DIR``, else the user's cache folder."""
    chosen = os.environ.get("GRAF_DATA_DIR", "").strip()
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("graf-book"))


def defect_of(path: Path, entry: dict[str, Any]) -> str | None:
    """What is wrong with a file, by size and SHA-256; None when it is as registered."""
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

    It lies at the same path in `cache_dir`. A damaged file raises and stays as it is, unless
    `repair` is true, which replaces it.
    """
    registry = registry or own_registry()
    if path not in registry.files:
        raise ValueError(
            f"path={path!r} is not a file of the registry. It must be the path of a [[file]] in "
            f"registry.toml.{nearest(path, registry.files)}"
        )
    entry, target = registry.files[path], cache_dir() / path
    try:
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
            _get(entry["url"], part)
            defect = defect_of(part, entry)
            if defect:
                raise DataError(
                    f"what {entry['url']} sent {defect}; it must be the registered file, so "
                    "nothing was stored. Try again; if it stays so, the published file has "
                    "changed: get the original elsewhere, or correct registry.toml."
                )
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # not made, or in use by another process
                folder.rmdir()
        raise


def _get(url: str, part: Path) -> None:
    """Download with pooch; try again when the server stumbles, not when there is no network."""
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), chunk_size=1 << 16, timeout=_TIMEOUT
    )
    for wait in (*_RETRY_WAITS, None):
        try:
            return downloader(url, str(part), None)
        except requests.exceptions.RequestException as error:
            response = getattr(error, "response", None)
            no_network = type(error) is requests.exceptions.ConnectionError
            refused = response is not None and response.status_code < 500
            if wait is None or no_network or refused:
                raise
            time.sleep(wait)


def download(
    names: Iterable[str] | None = None, *, registry: Registry | None = None, repair: bool = False
) -> dict[str, str]:
    """Fetch the files of tables (or single files, by path), or all files of the registry.

    It goes on after failures and returns, for each file that failed, its path and the message.
    """
    registry = registry or own_registry()
    paths = list(registry.files) if names is None else []
    for name in [names] if isinstance(names, str) else names or ():
        if name in registry.files:
            paths.append(name)
            continue
        check_name(name, registry)
        for (known, _), table in registry.tables.items():
            if known == name:
                paths += [path for path in registry.table_files(table) if path in registry.files]
    failed: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        try:
            fetch(path, registry=registry, repair=repair)
        except DataError as error:
            failed[path] = str(error)
    return failed


def check_name(name: object, registry: Registry) -> None:
    """Raise ValueError for a name that is no table's."""
    if name not in registry.names():
        raise ValueError(
            f"name={name!r} is not a table. It must be one of {registry.names()}."
            f"{nearest(name, registry.names())}"
        )
