"""Named tables of architectures: embedded in the repository, or downloaded and verified.

`load_table` returns a `Table`: architectures, targets and proxies in aligned rows, with their
provenance. What there is stands in ``data/registry.toml``; a `Registry` of your own works the same
way. Files are looked for in the cache first (`cache_dir`) and the network is used only for what is
missing. From a shell: ``python -m graf_utils.datasets list`` and ``... download``.

Wrong arguments raise `ValueError`; anything about files (missing, damaged, unreachable, no room, a
data folder that is no absolute path) raises `DataError`. Both say what was given, what the rule is
and what to do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _configuration_files, _timm_files
from graf_utils._checks import choice, nearest
from graf_utils.registry import (
    DataError,
    Registry,
    book_registry,
    cache_dir,
    check_name,
    defect_of,
    download,
    fetch,
)
from graf_utils.spaces import (
    NB101,
    CellSpace,
    ConfigurationSpace,
    FeatureSpace,
    SearchSpace,
    get_space,
)
from graf_utils.table import Table, locate, row_numbers

__all__ = ["list_tables", "load_table"]

SOURCES = ("embedded", "paper")


def list_tables(*, registry: Registry | None = None) -> pd.DataFrame:
    """List the tables that can be loaded.

    Parameters
    ----------
    registry : Registry, optional
        Another registry than the book's.

    Returns
    -------
    DataFrame
        One row per table and source: ``name, source, space, rows, rows_valid, targets, n_proxies,
        licence, citation``, and ``available``: whether it can be loaded now without a network.
        Where nobody has counted the rows of a file yet, they are 0, and not checked.

    Raises
    ------
    DataError
        ``GRAF_DATA_DIR`` is a relative path.
    """
    registry = registry or book_registry()
    rows = []
    for (name, source), table in registry.tables.items():
        folder = registry.folder if source == "embedded" else cache_dir()
        row = {
            "name": name,
            "source": source,
            "space": _space(table, registry).name,
            "rows": table["rows"],
            "rows_valid": table["rows_valid"],
            "targets": ", ".join(table["targets"]),
            "n_proxies": len(table.get("proxies", {})),
            "licence": table["licence"],
            "citation": "; ".join(registry.citations[key] for key in table["citation"]),
            "available": all((folder / path).is_file() for path in registry.table_files(table)),
        }
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

    Returns
    -------
    Table
        With its provenance: licence, citation, units, and the SHA-256 of its files.

    Raises
    ------
    ValueError
        There is no such table, or not from this source.
    DataError
        A file is missing and cannot be downloaded, or is damaged, or does not fit its description.
    """
    registry = registry or book_registry()
    check_name(name, registry)
    choice("source", source, ("auto", *SOURCES))
    sources = [candidate for candidate in SOURCES if (name, candidate) in registry.tables]
    if source not in ("auto", *sources):
        raise ValueError(
            f"source={source!r}: table {name!r} exists only as {sources}. Use source='auto', or "
            "see list_tables()."
        )
    source = sources[0] if source == "auto" else source
    return _build(registry.tables[name, source], registry, valid_only)


def _space(table: dict[str, Any], registry: Registry) -> SearchSpace:
    """The search space of a table: a name, one written out, or the rows of a file of features."""
    space = table["space"]
    if not isinstance(space, dict):
        return get_space(space)
    if "features" in space:
        path = _local(space["features"], {"source": "embedded"}, registry)
        frame = pd.read_parquet(path).set_index(table["key"])
        return FeatureSpace(frame.select_dtypes("number"))
    return (ConfigurationSpace if "settings" in space else CellSpace)(**space)


def _build(table: dict[str, Any], registry: Registry, valid_only: bool) -> Table:
    """Read the files of a table and align their rows."""
    space = _space(table, registry)
    name, files, table = table["name"], table["files"], table | {"space": space}
    local = {path: _local(path, table, registry) for path in registry.table_files(table)}
    columns = [target["column"] for target in table["targets"].values()]
    if not table.get("proxy_file"):
        columns += [proxy["column"] for proxy in table.get("proxies", {}).values()]
    frame = pd.concat([_read(local[path], table, columns) for path in files])
    if len(frame) != (table["rows"] or len(frame)):
        raise DataError(
            f"{files} have {len(frame):,} rows, table {name!r} must have "
            f"{table['rows']:,}. Get the registered files, or correct 'rows' in registry.toml."
        )
    if isinstance(space, FeatureSpace):  # of others nobody has the features
        frame = frame[frame[table["key"]].isin(space.features.index)]
    codes = _codes(frame[table["key"]], table, files[0], once=not table.get("repeats"))
    if valid_only:
        rows = _valid_rows(table, codes, local)
        frame, codes = frame.iloc[rows], codes[rows]
    proxies = _proxies(table, frame, codes, local, valid_only)
    targets, provenance = _scaled(frame, table["targets"]), _provenance(table, registry)
    return Table(name, table["source"], space, codes, targets, proxies, provenance)


def _valid_rows(
    table: dict[str, Any], codes: NDArray[np.integer], local: dict[str, Path]
) -> NDArray[np.intp]:
    """Rows of the valid networks, each once, in the order of the pool if there is one."""
    files, space = table["files"], table["space"]
    if "pool" in table:
        pool = _read(local[table["pool"]], _by_net(table), [])
        rows = _locate(_codes(pool["net"], _by_net(table), table["pool"]), codes, files[0])
    elif table.get("repeats"):  # the first row of each network
        rows = np.sort(np.unique(space.canonical(codes), return_index=True)[1])
    else:
        rows = np.flatnonzero(space.is_valid(codes))
    if len(rows) != (table["rows_valid"] or len(rows)):
        raise DataError(
            f"{files} have {len(rows):,} valid networks, table {table['name']!r} must "
            f"have {table['rows_valid']:,}. Get the registered files, or correct registry.toml."
        )
    return rows


def _proxies(
    table: dict[str, Any],
    frame: pd.DataFrame,
    codes: NDArray[np.integer],
    local: dict[str, Path],
    valid_only: bool,
) -> pd.DataFrame | None:
    """The proxies of the networks, from the table's own rows or from a file of proxies."""
    proxies, file = table.get("proxies", {}), table.get("proxy_file")
    if not proxies or (file and table.get("proxies_of_valid") and not valid_only):
        return None
    if not file:
        return _scaled(frame, proxies)
    columns = [proxy["column"] for proxy in proxies.values()]
    description = _by_net(table) | {"format": Path(file).suffix[1:]}
    description["key"] = table.get("proxy_key", "net")
    scores = _read(local[file], description, columns, failed=True)
    rows = _locate(codes, _codes(scores[description["key"]], description, file), file)
    scores = scores.iloc[rows]
    return _scaled(scores.fillna(scores[columns].min()), proxies)


def _by_net(table: dict[str, Any]) -> dict[str, Any]:
    """How the files of the pool and of the proxies write their networks."""
    return {"key": "net", "space": table["space"]}


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
    defect = defect_of(file, registry.embedded[path]) if file.is_file() else "is not there"
    if defect:
        raise DataError(
            f"{file} {defect}. Restore it with git, or make it again with the recipe "
            f"{registry.embedded[path].get('recipe', 'in data/recipes')} and enter what it prints "
            "in registry.toml."
        )
    return file


def _provenance(table: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """What a table says of where it comes from."""
    files = registry.embedded if table["source"] == "embedded" else registry.files
    targets = table["targets"]
    return {
        "citation": [registry.citations[key] for key in table["citation"]],
        "licence": table["licence"],
        "files": {path: files[path]["sha256"] for path in registry.table_files(table)},
        "units": {name: target["unit"] for name, target in targets.items()},
        "higher_is_better": {name: target["higher_is_better"] for name, target in targets.items()},
        "policy": table["policy"],
        "called": table.get("called", ""),
        "notes": list(table.get("notes", [])),
    }


def _read(
    path: Path, table: dict[str, Any], columns: list[str], failed: bool = False
) -> pd.DataFrame:
    """Read the key column and some numeric columns of a file, checking that they are there.

    With `failed`, a cell may be empty: a proxy that gave no score.
    """
    key, form = table["key"], table.get("format", "csv")
    if form not in _READERS:
        raise DataError(
            f"format={form!r} in the description of {path.name} must be one of {list(_READERS)}."
            f"{nearest(form, _READERS)}"
        )
    try:
        frame = _READERS[form](path, key)
    except Exception as error:  # a file can be damaged in as many ways as there are formats
        raise DataError(f"{path} cannot be read: {type(error).__name__}: {error}.") from error
    missing = [column for column in (key, *columns) if column not in frame.columns]
    if missing:
        raise DataError(
            f"{path} lacks the column {missing[0]!r}{f' and {missing[1:]}' if missing[1:] else ''}."
            " The table's description needs it: get the registered file, or correct registry.toml."
        )
    for column in columns:
        values = frame[column].dropna() if failed else frame[column]
        if not (pd.api.types.is_numeric_dtype(values) and np.isfinite(values).all()):
            raise DataError(
                f"{path}: column {column!r} must hold a number in every row. Get the registered "
                "file, or leave the column out of the table's description."
            )
    return frame[list(dict.fromkeys([key, *columns]))]


def _read_zen_zip(path: Path, key: str) -> pd.DataFrame:
    """Join the JSON lists of NASLib's zip: columns val_accuracy[...] and zen[...] per data set."""
    parts: dict[str, list[dict[str, Any]]] = {}
    with ZipFile(path) as archive:
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
    """Read JSON of one record per architecture, below the names of the benchmark and data set."""
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
        cells = space.from_codes(space.from_hash(frame["key"]))
    return frame.assign(**{key: cells})


_VIS_OPERATIONS = {-1: 0, -2: 1, 0: 4, 1: 3, 2: 2}  # to the ids of NB101
_READERS = {
    "csv": lambda path, key: pd.read_csv(path, dtype={key: str}),
    "parquet": lambda path, key: pd.read_parquet(path),
    "zen-zip": _read_zen_zip,
    "records": _read_records,
    "nasbench-vis": _read_nasbench_vis,
    **_configuration_files.READERS,
    **_timm_files.READERS,
}


def _codes(
    written: pd.Series, table: dict[str, Any], path: str, once: bool = True
) -> NDArray[np.integer]:
    """Turn a column of architectures into codes; with `once`, each must differ."""
    space, spelling = get_space(table["space"]), table.get("spelling")
    try:
        if spelling == "digits":
            written = written.map(list).map(lambda digits: tuple(map(int, digits)))
        codes = space.prune(written) if spelling == "unpruned" else space.to_codes(written)
    except ValueError as error:
        rule = r"row \1: \2 is not an architecture: "
        reason = re.sub(r"^architecture (\d+) = (.*?): ", rule, str(error))
        raise DataError(f"{path}: column {written.name!r}: {reason}") from error
    if once and len(np.unique(codes, axis=0)) != len(codes):
        raise DataError(f"{path}: column {written.name!r} lists an architecture more than once.")
    return codes


def _locate(codes: NDArray[np.integer], listed: NDArray[np.integer], path: str) -> NDArray[np.intp]:
    """Rows of architectures in a file that lists others as well."""
    rows = locate(codes, row_numbers(listed))
    if (rows < 0).any():
        first = tuple(codes[rows < 0][0].tolist())
        raise DataError(
            f"{path} lacks {int((rows < 0).sum())} of {len(codes)} networks, the first is "
            f"{first}. Get the registered file."
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the module.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the shell by default.

    Returns
    -------
    int
        Exit status: 0, or 1 if a file failed.

    Raises
    ------
    SystemExit
        Wrong arguments, or a registry that cannot be read; with status 2.
    """
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
        registry = Registry.read(options.registry) if options.registry else book_registry()
        if options.command == "list":
            columns = ["name", "source", "rows", "n_proxies", "available"]
            print(list_tables(registry=registry)[columns].to_string(index=False))
            return 0
        folder = cache_dir()
        failed = download(options.names or None, registry=registry, repair=options.repair)
    except (ValueError, DataError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    for message in failed.values():
        print(f"FAILED {message}", file=sys.stderr)
    state = f"{len(failed)} files failed" if failed else "complete"
    print(f"data folder {folder}: {state}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
