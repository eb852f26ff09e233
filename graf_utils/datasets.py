"""Named tables of architectures: embedded in the repository, or downloaded and verified.

`load_table` returns a `Table`: architectures, targets and proxies in aligned rows, with their
provenance. What there is stands in ``data/registry.toml``; a `Registry` of your own works the same
way. Files are looked for in the cache first (`cache_dir`) and the network is used only for what is
missing. From a shell: ``python -m graf_utils.datasets list`` and ``... download``.

Wrong arguments raise `ValueError`; anything about files (missing, damaged, unreachable, no room)
raises `DataError`. Both say what was given, what the rule is and what to do.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import json
import os
import re
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pooch
import requests
from numpy.typing import NDArray

from graf_utils.spaces import NB101, CellSpace, SearchSpace, get_space
from graf_utils.spaces.base import nearest

__all__ = ["DataError", "Registry", "Table", "cache_dir", "data_path", "download", "fetch"]
__all__ += ["list_tables", "load_table"]

SOURCES = ("embedded", "paper")
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


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Architectures with their targets and proxies, row by row, and where they come from.

    Parameters
    ----------
    name, source : str
        Name of the table; ``"embedded"``, ``"paper"``, or a word of your own.
    space : SearchSpace or str
        The search space of the architectures, or its name.
    architectures : sequence
        One architecture a row, in any form that ``space.encode`` takes; kept as tuples.
    targets : DataFrame or mapping of column name to values
        What can be predicted; finite numbers.
    proxies : DataFrame, mapping or None
        Zero-cost proxies, in the order in which encodings use them.
    provenance : dict
        Citation, licence, files with SHA-256, units and directions of the targets, policy, notes.

    Examples
    --------
    >>> table = Table("mine", "own", "nb201", [(0, 0, 0, 0, 0, 1)], {"latency": [3.5]})
    >>> table.target("latency")
    array([3.5])
    """

    name: str
    source: str
    space: SearchSpace
    architectures: list[tuple[int, ...]]
    targets: pd.DataFrame
    proxies: pd.DataFrame | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        put("space", get_space(self.space))
        put("architectures", self.space.decode(self.space.encode(self.architectures)))
        put("targets", self._frame("targets", self.targets))
        if self.targets.shape[1] == 0:
            raise ValueError(f"table {self.name!r}: targets has no column; it needs at least one.")
        finite = np.isfinite(self.targets.to_numpy()).all(axis=0)
        if not finite.all():
            bad = list(self.targets.columns[~finite])
            raise ValueError(
                f"table {self.name!r}: targets {bad} hold NaN or infinite values; every target "
                "must be finite. Drop those rows, or the target."
            )
        if self.proxies is not None:
            put("proxies", self._frame("proxies", self.proxies))

    def _frame(self, what: str, values: Any) -> pd.DataFrame:
        frame, n, wrong = pd.DataFrame(values), len(self.architectures), None
        if len(frame) != n:
            wrong = (
                f"{what} has {len(frame)} rows for {n} architectures; row i must describe "
                "architecture i."
            )
        elif not frame.index.equals(pd.RangeIndex(n)):
            wrong = (
                f"the index of {what} must be 0..{n - 1}, so that row i describes architecture i. "
                "Sort it to that order, then call .reset_index(drop=True)."
            )
        elif not frame.columns.is_unique:
            wrong = f"column names of {what} must be unique."
        for column in () if wrong else frame:
            if not pd.api.types.is_numeric_dtype(frame[column]):
                wrong = (
                    f"{what} column {column!r} has type {frame[column].dtype}; it must hold "
                    "numbers. Convert or drop it."
                )
        if wrong:
            raise ValueError(f"table {self.name!r}: {wrong}")
        return frame.astype(float).set_axis(pd.RangeIndex(n))

    def __len__(self) -> int:
        return len(self.architectures)

    def __repr__(self) -> str:
        proxies = 0 if self.proxies is None else self.proxies.shape[1]
        return (
            f"<Table {self.name} ({self.source}): {len(self):,} {self.space.name} networks, "
            f"{self.targets.shape[1]} targets, {proxies} proxies>"
        )

    def target(self, name: str) -> NDArray[np.float64]:
        """Return the values of one target; an unknown name raises ValueError."""
        if name not in self.targets.columns:
            raise ValueError(
                f"target {name!r} is not in table {self.name!r} ({self.source}). It must be one of "
                f"{list(self.targets.columns)}.{nearest(name, self.targets.columns)}"
            )
        return self.targets[name].to_numpy(copy=True)

    def subset(self, rows: slice | Sequence[int] | NDArray[Any]) -> Table:
        """Return the table of some rows: a slice, row numbers, or a mask of all rows."""
        wanted = rows if isinstance(rows, slice) else np.asarray(rows)
        if isinstance(wanted, np.ndarray) and wanted.dtype == bool and len(wanted) != len(self):
            raise ValueError(
                f"rows is a mask of {len(wanted)} values for {len(self)} rows; give one value a "
                "row, or row numbers."
            )
        try:
            keep = np.arange(len(self))[wanted]
        except IndexError as error:
            raise ValueError(
                f"rows={rows!r} does not fit table {self.name!r}: {error}. Give row numbers in "
                f"0..{len(self) - 1}, a mask, or a slice."
            ) from error
        rows_of = {name: getattr(self, name) for name in ("targets", "proxies")}
        kept = {
            k: v if v is None else v.iloc[keep].reset_index(drop=True) for k, v in rows_of.items()
        }
        return replace(self, architectures=[self.architectures[i] for i in keep], **kept)


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
def _own_registry() -> Registry:
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


def cache_dir() -> Path:
    """Folder of the downloaded files: ``$GRAF_DATA_DIR``, else the user's cache folder."""
    chosen = os.environ.get("GRAF_DATA_DIR", "").strip()
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("graf-book"))


def _defect(path: Path, entry: dict[str, Any]) -> str | None:
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
    registry = registry or _own_registry()
    if path not in registry.files:
        raise ValueError(
            f"path={path!r} is not a file of the registry. It must be the path of a [[file]] in "
            f"registry.toml.{nearest(path, registry.files)}"
        )
    entry, target = registry.files[path], cache_dir() / path
    try:
        defect = _defect(target, entry) if target.exists() else "is not there"
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
    part = None
    done = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
        os.close(handle)
        part = Path(name)
        _get(entry["url"], part)
        defect = _defect(part, entry)
        if defect:
            raise DataError(
                f"what {entry['url']} sent {defect}; it must be the registered file, so nothing "
                "was stored. Try again; if it stays so, the published file has changed: get the "
                "original elsewhere, or correct registry.toml."
            )
        part.chmod(0o644)
        part.replace(target)
        done = True
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
        for folder in () if done else missing:
            with contextlib.suppress(OSError):  # not made, or in use by another process
                folder.rmdir()


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
    registry = registry or _own_registry()
    paths = list(registry.files) if names is None else []
    for name in [names] if isinstance(names, str) else names or ():
        if name in registry.files:
            paths.append(name)
            continue
        _check_name(name, registry)
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


def _check_name(name: object, registry: Registry) -> None:
    if name not in registry.names():
        raise ValueError(
            f"name={name!r} is not a table. It must be one of {registry.names()}."
            f"{nearest(name, registry.names())}"
        )


def list_tables(*, registry: Registry | None = None) -> pd.DataFrame:
    """Return one row for each table and source: size, targets, licence, citation, availability.

    ``available`` says whether the table can be loaded now without a network.
    """
    registry = registry or _own_registry()
    rows = []
    for (name, source), table in registry.tables.items():
        folder = registry.folder if source == "embedded" else cache_dir()
        row = {"name": name, "source": source, "space": _space(table).name}
        row |= {key: table[key] for key in ("rows", "rows_valid")}
        row |= {"targets": ", ".join(table["targets"]), "n_proxies": len(table.get("proxies", {}))}
        row["licence"] = table["licence"]
        row["citation"] = "; ".join(registry.citations[key] for key in table["citation"])
        row["available"] = all((folder / p).is_file() for p in registry.table_files(table))
        rows.append(row)
    return pd.DataFrame(rows)


def load_table(
    name: str, source: str = "auto", valid_only: bool = True, *, registry: Registry | None = None
) -> Table:
    """Load a table by name.

    Parameters
    ----------
    name : str
        One of the names in `list_tables`.
    source : {"auto", "embedded", "paper"}
        ``"embedded"`` is in the repository, ``"paper"`` is downloaded once and verified.
        ``"auto"`` prefers the embedded table.
    valid_only : bool
        Keep only the valid networks, each once. Paper tables are then in the order of the paper's
        pool, which its splits depend on; otherwise all rows are in the order of the file.
    registry : Registry, optional
        Another registry than the book's.
    """
    registry = registry or _own_registry()
    _check_name(name, registry)
    if source not in ("auto", *SOURCES):
        raise ValueError(
            f"source={source!r} must be 'auto', 'embedded' or 'paper'."
            f"{nearest(source, ('auto', *SOURCES))}"
        )
    sources = [known for known in SOURCES if (name, known) in registry.tables]
    if source not in ("auto", *sources):
        raise ValueError(
            f"source={source!r}: table {name!r} exists only as {sources}. Use source='auto', or "
            "see list_tables()."
        )
    source = sources[0] if source == "auto" else source
    return _build(registry.tables[name, source], registry, valid_only)


def _space(table: dict[str, Any]) -> SearchSpace:
    """The search space of a table: a name, or a `CellSpace` written out."""
    space = table["space"]
    return CellSpace(**space) if isinstance(space, dict) else get_space(space)


def _build(table: dict[str, Any], registry: Registry, valid_only: bool) -> Table:
    """Read the files of a table and align their rows."""
    name, files, space = table["name"], table["files"], _space(table)
    proxies, proxy_file = table.get("proxies", {}), table.get("proxy_file")
    local = {path: _local(path, table, registry) for path in registry.table_files(table)}
    numbers = [*table["targets"].values(), *(() if proxy_file else proxies.values())]
    columns = [number["column"] for number in numbers]
    frame = pd.concat([_read(local[path], table, columns) for path in files])
    codes = _codes(frame[table["key"]], table, files[0], once=not table.get("repeats"))
    if len(frame) != table["rows"]:
        raise DataError(
            f"{files} have {len(frame):,} rows, table {name!r} must have "
            f"{table['rows']:,}. Get the registered files, or correct 'rows' in registry.toml."
        )
    rows = np.arange(len(frame))
    other = {"key": "net", "space": table["space"]}  # how the pool and the proxies are written
    if valid_only and "pool" in table:
        pool = _read(local[table["pool"]], other, [])
        rows = _locate(_codes(pool["net"], other, table["pool"]), codes, files[0])
    elif valid_only and table.get("repeats"):  # the first row of each network
        rows = np.sort(np.unique(space.canonical(codes), return_index=True)[1])
    elif valid_only:
        rows = rows[space.is_valid(codes)]
    if valid_only and len(rows) != table["rows_valid"]:
        raise DataError(
            f"{files} have {len(rows):,} valid networks, table {name!r} must "
            f"have {table['rows_valid']:,}. Get the registered files, or correct registry.toml."
        )
    frame, codes = frame.iloc[rows], codes[rows]
    proxy_frame: pd.DataFrame | None = frame
    if proxy_file and table.get("proxies_of_valid") and not valid_only or not proxies:
        proxy_frame = None
    elif proxy_file:
        columns = [number["column"] for number in proxies.values()]
        proxy_frame = _read(local[proxy_file], other, columns)
        known = _codes(proxy_frame["net"], other, proxy_file)
        proxy_frame = proxy_frame.iloc[_locate(codes, known, proxy_file)]
    proxy_table = None if proxy_frame is None else _scaled(proxy_frame, proxies)
    targets, what = _scaled(frame, table["targets"]), _provenance(table, registry)
    return Table(name, table["source"], space, codes, targets, proxy_table, what)


def _scaled(frame: pd.DataFrame, numbers: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The described columns of a file, under their names and in their units."""
    values = frame[[number["column"] for number in numbers.values()]].to_numpy(dtype=float)
    scales = [number.get("scale", 1) for number in numbers.values()]
    return pd.DataFrame(values * np.array(scales), columns=list(numbers))


def _local(path: str, table: dict[str, Any], registry: Registry) -> Path:
    """Local path of a file of a table, verified."""
    if table["source"] != "embedded":
        return fetch(path, registry=registry)
    file = registry.folder / path
    defect = _defect(file, registry.embedded[path]) if file.is_file() else "is not there"
    if defect:
        raise DataError(
            f"{file} {defect}. Restore it with git, or make it again with the recipe "
            f"{registry.embedded[path].get('recipe', 'in data/recipes')} and enter what it prints "
            "in registry.toml."
        )
    return file


def _provenance(table: dict[str, Any], registry: Registry) -> dict[str, Any]:
    known = registry.embedded if table["source"] == "embedded" else registry.files
    targets = table["targets"]
    return {
        "citation": [registry.citations[key] for key in table["citation"]],
        "licence": table["licence"],
        "files": {path: known[path]["sha256"] for path in registry.table_files(table)},
        "units": {name: target["unit"] for name, target in targets.items()},
        "higher_is_better": {name: target["higher_is_better"] for name, target in targets.items()},
        "policy": table["policy"],
        "notes": list(table.get("notes", [])),
    }


def _read(path: Path, table: dict[str, Any], columns: list[str]) -> pd.DataFrame:
    """Read the key column and some numeric columns of a file, checking that they are there."""
    key = table["key"]
    try:
        frame = _READERS[table.get("format", "csv")](path, key)
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__}: {error}.") from error
    missing = [column for column in (key, *columns) if column not in frame.columns]
    if missing:
        raise DataError(
            f"{path} lacks the column {missing[0]!r}{f' and {missing[1:]}' if missing[1:] else ''}."
            " The table's description needs it: get the registered file, or correct registry.toml."
        )
    for column in columns:
        if not pd.api.types.is_numeric_dtype(frame[column]) or frame[column].isna().any():
            raise DataError(
                f"{path}: column {column!r} must hold a number in every row. Get the registered "
                "file, or leave the column out of the table's description."
            )
    return frame[list(dict.fromkeys([key, *columns]))]


def _read_zen_zip(path: Path, key: str) -> pd.DataFrame:
    """Join the JSON lists of NASLib's zip: a column val_accuracy[...] and zen[...] a data set."""
    parts: dict[str, list[dict[str, Any]]] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".json"):
                dataset = member.split("--")[2]
                parts.setdefault(dataset, []).extend(json.loads(archive.read(member)))
    columns: dict[str, list[Any]] = {}
    for dataset, items in sorted(parts.items()):
        items.sort(key=lambda item: int(item["idx"]))
        nets = [item["arch"] for item in items]
        if columns.setdefault(key, nets) != nets:
            raise ValueError("the data sets do not list the same networks in the same order")
        columns[f"val_accuracy[{dataset}]"] = [float(item["val_accuracy"]) for item in items]
        columns[f"zen[{dataset}]"] = [float(item["zen"]["score"]) for item in items]
    return pd.DataFrame(columns)


def _read_records(path: Path, key: str) -> pd.DataFrame:
    """Read JSON of one record an architecture, below the names of the benchmark and data set."""
    content = json.loads(path.read_bytes())
    while isinstance(content, dict) and len(content) == 1:
        (content,) = content.values()
    frame = pd.json_normalize(list(dict.values(content)))
    frame.columns = frame.columns.str.removesuffix(".score")  # beside it NASLib has .time
    frame.insert(0, key, list(content))
    return frame


def _read_nasbench_vis(path: Path, key: str) -> pd.DataFrame:
    """Read JSON of columns: NAS-Bench-101 cells by their hash, in one file also written out."""
    frame, space = pd.DataFrame(json.loads(path.read_bytes())), NB101()
    if "adjacency" in frame:
        cells = []
        for matrix, ops in zip(frame["adjacency"], frame["operations"], strict=True):
            used = [node for node, op in enumerate(ops) if op != -3]  # -3 is padding
            matrix = np.array(matrix, dtype=int)[np.ix_(used, used)]
            cells.append(space.from_matrix(matrix, [_VIS_OPERATIONS[ops[node]] for node in used]))
        if space.module_hash(cells) != frame["key"].tolist():
            raise ValueError("a cell has another hash than the one given for it")
    else:
        cells = space.decode(space.from_hash(frame["key"]))
    return frame.assign(**{key: cells})


_VIS_OPERATIONS = {-1: 0, -2: 1, 0: 4, 1: 3, 2: 2}  # to the ids of NB101
_READERS = {
    "csv": lambda path, key: pd.read_csv(path, dtype={key: str}),
    "parquet": lambda path, key: pd.read_parquet(path),
    "zen-zip": _read_zen_zip,
    "records": _read_records,
    "nasbench-vis": _read_nasbench_vis,
}


def _codes(
    written: pd.Series, table: dict[str, Any], path: str, once: bool = True
) -> NDArray[np.int8]:
    """Turn a column of architectures into codes; with `once`, each must differ."""
    space, spelling = _space(table), table.get("spelling")
    try:
        if spelling == "digits":
            written = written.map(list).map(lambda digits: tuple(map(int, digits)))
        codes = space.prune(written) if spelling == "unpruned" else space.encode(written)
    except ValueError as error:
        rule = r"row \1: \2 is not an architecture: "
        reason = re.sub(r"^architecture (\d+) = (.*?): ", rule, str(error))
        raise DataError(f"{path}: column {written.name!r}: {reason}") from error
    if once and len(np.unique(codes, axis=0)) != len(codes):
        raise DataError(f"{path}: column {written.name!r} lists an architecture more than once.")
    return codes


def _locate(wanted: NDArray[np.int8], present: NDArray[np.int8], path: str) -> NDArray[np.intp]:
    """Row of each wanted architecture in a file."""
    found = pd.Index(map(bytes, present)).get_indexer([bytes(code) for code in wanted])
    if (found < 0).any():
        first = tuple(wanted[found < 0][0].tolist())
        raise DataError(
            f"{path} lacks {int((found < 0).sum())} of {len(wanted)} networks, the first is "
            f"{first}. Get the registered file."
        )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the module; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m graf_utils.datasets", description="The tables of the book and their files."
    )
    parser.add_argument("--registry", type=Path, help="another registry.toml")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the tables")
    getter = commands.add_parser("download", help="download and verify files")
    getter.add_argument("names", nargs="*", help="tables or files; all when none is given")
    getter.add_argument("--repair", action="store_true", help="replace damaged files")
    options = parser.parse_args(arguments)
    try:
        registry = Registry.read(options.registry) if options.registry else _own_registry()
        if options.command == "list":
            columns = ["name", "source", "rows", "n_proxies", "available"]
            print(list_tables(registry=registry)[columns].to_string(index=False))
            return 0
        failed = download(options.names or None, registry=registry, repair=options.repair)
    except (ValueError, DataError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    for message in failed.values():
        print(f"FAILED {message}", file=sys.stderr)
    print(
        f"data folder {cache_dir()}: " + (f"{len(failed)} files failed" if failed else "complete")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
