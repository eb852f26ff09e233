"""Tables of results, to which rows are added or replaced, never lost, with how they were made.

A recipe that runs for an hour is stopped, extended, and run again where a table is missing. So it
never writes its results anew: `merge_results` puts them into the table that is there. Each row says
in its column ``run`` which of the runs in the file's metadata computed it. `kept` keeps the parts
of a long computation under a key of all that decides them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from graf_utils._files import replacing, sweep
from graf_utils._keys import digest
from graf_utils.registry import DataError

__all__ = [
    "conditions",
    "forbid_loss",
    "kept",
    "merge_file",
    "merge_results",
    "processor",
    "provenance_of",
    "write_table",
]

RUN = "run"  # the column with the number of the run that a row comes from
_OF_A_RUN = ("machine", "processor", "versions", "python")  # said of each run, not of a file
_LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "xgboost-cpu", "xgboost", "torch", "shap")


def merge_results(
    path: str | os.PathLike[str], rows: pd.DataFrame, keys: Iterable[str], **provenance: Any
) -> pd.DataFrame:
    """Put results into the table of a file, whole or not at all; one process at a time.

    Rows with equal values in `keys` belong together, as the curve of one search does. Of the table,
    only rows whose keys are among the new ones are replaced, and only where something differs; if
    nothing does, the file is not touched.

    Parameters
    ----------
    path : path
        A parquet file; it is made if it is not there.
    rows : DataFrame
        The new results, with the columns of the file.
    keys : iterable of str
        Columns that say which result a row belongs to.
    **provenance
        What is known of these rows, such as ``recipe`` and ``files`` (path to SHA-256). The
        machine, its processor and the versions of the libraries are added.

    Returns
    -------
    DataFrame
        All rows that the file has now. Rows that stay keep their order, replaced ones stand where
        the old ones began, new ones at the end.

    Raises
    ------
    ValueError
        There is no new row, or a key is no column.
    DataError
        The file is damaged or has other columns; it stays as it is.
    OSError
        The folder cannot be written.
    """
    path, keys = Path(path), list(keys)
    _check_rows(rows, keys)
    old, runs = _read_results(path)
    run = json.loads(json.dumps(provenance | _made_on()))
    return _put(path, old, runs, rows.assign(**{RUN: 0}), [run], keys)


def merge_file(
    path: str | os.PathLike[str], other: str | os.PathLike[str], keys: Iterable[str]
) -> pd.DataFrame:
    """Put the results of another file into the table of a file, with how they were made.

    As `merge_results`, but each row keeps the run that computed it: its machine, processor and
    versions, which need not be this one's.

    Parameters
    ----------
    path : path
        A parquet file; it is made if it is not there.
    other : path
        A file of `merge_results`, such as one that another machine computed.
    keys : iterable of str
        Columns that say which result a row belongs to.

    Returns
    -------
    DataFrame
        All rows that the file has now.

    Raises
    ------
    ValueError
        The other file has no row, or a key is no column.
    DataError
        The other file is not there, one of the two is damaged, or they have other columns; both
        stay as they are.
    OSError
        The folder cannot be written.
    """
    path, keys = Path(path), list(keys)
    new, new_runs = _read_results(Path(other))
    if new is None:
        raise DataError(f"{other} is not there, so nothing was written. Check the path.")
    _check_rows(new.drop(columns=RUN), keys)
    old, runs = _read_results(path)
    return _put(path, old, runs, new, new_runs, keys)


def _put(
    path: Path, old: pd.DataFrame | None, runs: list[dict[str, Any]],
    new: pd.DataFrame, new_runs: list[dict[str, Any]], keys: list[str],
) -> pd.DataFrame:  # fmt: skip
    """Put rows with their runs into the table of a file, if they say anything new."""
    if old is None:
        old = new.head(0)
    if set(new) != set(old):
        raise DataError(
            f"{path} has the columns {sorted(set(old) - {RUN})}, the new rows have "
            f"{sorted(set(new) - {RUN})}; nothing was written. Move the file away to begin a new "
            "one."
        )
    runs = runs + [run for run in new_runs if run not in runs]
    places = np.array([runs.index(run) for run in new_runs])
    new = new.assign(**{RUN: places[new[RUN]]})[list(old)]
    merged = _merge(old, new, keys)
    if merged is None:
        return old
    used, merged[RUN] = np.unique(merged[RUN], return_inverse=True)
    merged[RUN] = merged[RUN].astype("int16")
    _write_parquet(merged, path, _summary([runs[number] for number in used]))
    return merged


def _check_rows(rows: pd.DataFrame, keys: list[str]) -> None:
    """Check new results before anything is read or written."""
    missing = [key for key in keys if key not in rows]
    if missing or not keys:
        wrong = f"{missing} are no columns of the rows" if missing else "there must be one at least"
        raise ValueError(f"keys={keys}: {wrong}; name some of {list(rows)}.")
    if RUN in rows or rows.empty:
        raise ValueError(
            f"rows: {len(rows)} rows with the columns {list(rows)}. There must be at least one, "
            f"and no column {RUN!r}, which merge_results adds; drop or rename it."
        )


def _read_results(path: Path) -> tuple[pd.DataFrame | None, list[dict[str, Any]]]:
    """The table of a file with the column of runs, and the runs; None if there is no file."""
    if not path.exists():
        return None, []
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        frame, facts = table.to_pandas(), provenance_of(path)
        if RUN not in frame:  # written before runs were told apart
            return frame.assign(**{RUN: 0}), [facts]
        runs = facts["runs"]
        if not frame[RUN].isin(range(len(runs))).all():
            raise ValueError(f"the column {RUN!r} names a run that is not in the metadata")
    except Exception as error:  # parquet can be damaged in many ways
        raise DataError(
            f"{path} cannot be read as a table of results ({type(error).__name__}: {error}), so "
            "nothing was written to it. Restore it with git, or move it away to begin a new one."
        ) from error
    return frame, runs


def _merge(old: pd.DataFrame, new: pd.DataFrame, keys: list[str]) -> pd.DataFrame | None:
    """The rows of both tables, the new ones first in claim; None if they say nothing new."""
    both = pd.concat([part for part in (old, new) if len(part)], ignore_index=True)
    is_new = np.arange(len(both)) >= len(old)
    place = np.arange(len(both), dtype=float)
    stays = np.ones(len(both), dtype=bool)
    changed = False
    values = both.drop(columns=RUN)
    for group in both.groupby(keys, sort=False, dropna=False).indices.values():
        before, after = group[~is_new[group]], group[is_new[group]]
        if not len(after):
            continue
        if len(before) and _equal(values, before, after):
            stays[after] = False
            continue
        changed = True
        if len(before):
            stays[before] = False
            place[after] = before[0]
    if not changed:
        return None
    order = np.argsort(place, kind="stable")
    return both.iloc[order[stays[order]]].reset_index(drop=True)


def _equal(values: pd.DataFrame, some: NDArray[np.intp], others: NDArray[np.intp]) -> bool:
    """Whether two groups of rows say the same."""
    left, right = (values.iloc[rows].reset_index(drop=True) for rows in (some, others))
    return left.equals(right)


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Provenance of a file: each run, and in front what the last one said, with all files."""
    files: dict[str, Any] = {}
    for run in runs:
        files |= run.get("files", {})
    facts = {name: fact for name, fact in runs[-1].items() if name not in _OF_A_RUN}
    return facts | {"files": files, "runs": runs}


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str], **provenance: Any) -> None:
    """Write a frame as parquet, whole or not at all, with what is known of its making.

    The file's metadata has ``provenance``: JSON of what is given here, the machine, the model name
    of its processor, and the versions of Python and of the libraries that compute.

    Parameters
    ----------
    frame : DataFrame
        Its index is not written.
    path : path
        The file; its folder is made if it is not there.
    **provenance
        What else there is to say of the making; JSON must be able to hold it.

    Raises
    ------
    DataError
        There is a file that this package did not write.
    OSError
        The folder cannot be written.
    """
    _write_parquet(frame, path, provenance | _made_on())


def _write_parquet(
    frame: pd.DataFrame, path: str | os.PathLike[str], provenance: dict[str, Any]
) -> None:
    """Write a frame as parquet, whole or not at all, with no provenance but the one given.

    Each page has a check sum, so that damage is seen when the file is read.
    """
    path = Path(path)
    _check_is_ours(path)
    content = pa.Table.from_pandas(frame, preserve_index=False)
    content = content.replace_schema_metadata({"provenance": json.dumps(provenance)})
    with replacing(path) as part:
        pq.write_table(content, part, compression="zstd", write_page_checksum=True)


def _check_is_ours(path: Path) -> None:
    """Refuse to replace a file that was not written by `_write_parquet`; an empty one may go."""
    if not path.is_file() or not path.stat().st_size:
        return
    what = "no parquet file"
    with path.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"
    if is_parquet:
        try:
            metadata = pq.read_schema(path).metadata or {}
        except (pa.ArrowException, OSError):  # damaged; it begins as ours do
            return
        if b"provenance" in metadata:
            return
        what = "a parquet file without provenance, so none of ours"
    raise DataError(
        f"{path} is there and is {what}, so it was not replaced. Write to another file, or delete "
        "this one."
    )


def _made_on() -> dict[str, Any]:
    """The machine, and its `conditions`."""
    return {"machine": f"{platform.machine()}, {os.cpu_count()} cores"} | conditions()


def conditions() -> dict[str, Any]:
    """What the last digits of a number depend on, besides the code: processor and versions.

    Returns
    -------
    dict
        ``processor``, the model name; ``versions``, of Python and of the libraries that compute.
    """
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {"processor": processor(), "versions": versions}


@functools.cache
def processor() -> str:
    """Model name of the processor, from Linux's ``/proc/cpuinfo``, else as Python tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def provenance_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what is known of the making of a table.

    Parameters
    ----------
    path : path
        A file of `write_table` or `merge_results`.

    Returns
    -------
    dict
        Empty where the file has none.

    Raises
    ------
    ValueError, OSError
        It is no parquet file, or cannot be read.
    """
    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata.get(b"provenance", b"{}"))


def forbid_loss(path: str | os.PathLike[str], rows: pd.DataFrame, keys: Iterable[str]) -> None:
    """Refuse to replace a table by one that lacks some of its rows.

    Parameters
    ----------
    path : path
        The file to be replaced; it need not exist.
    rows : DataFrame
        What it is to be replaced by.
    keys : iterable of str
        Columns that say which row is which.

    Raises
    ------
    DataError
        The file has rows that would be lost, or cannot be read.
    """
    path, keys = Path(path), list(keys)
    old, _ = _read_results(path)
    if old is None:
        return
    lost = set(old[keys].itertuples(index=False)) - set(rows[keys].itertuples(index=False))
    if lost:
        raise DataError(
            f"{path} has {len(old):,} rows, and {len(lost):,} of them are not among the "
            f"{len(rows):,} new ones, so it was not replaced. Compute all of them, or write to "
            "another file."
        )


def kept(
    folder: str | os.PathLike[str], parts: Iterable[Any], compute: Callable[[], pd.DataFrame]
) -> tuple[pd.DataFrame, bool]:
    """Return a part of a long computation, computed now or kept by an earlier run.

    What killed runs left in the folder is removed.

    Parameters
    ----------
    folder : path
        Where parts are kept; it is made if it is not there.
    parts : iterable of object
        All that decides the rows, for `graf_utils._keys.digest`: functions, data, options. The
        processor and the versions of the libraries are added.
    compute : callable
        Gives the rows.

    Returns
    -------
    rows : DataFrame
    computed : bool
        Whether they were computed now; false if they were kept.

    Raises
    ------
    NotKeyable
        One of the parts cannot be described, so that nothing may be kept.
    OSError
        The folder cannot be written.
    DataError
        What was written cannot be read back.
    """
    key = digest(list(parts), conditions())
    path = Path(folder) / f"{key}.parquet"
    sweep(folder)
    rows = _read_kept(path, key)
    computed = rows is None
    if computed:
        path.unlink(missing_ok=True)  # damaged
        write_table(compute(), path, key=key)
        rows = _read_kept(path, key)
    if rows is None:
        raise DataError(f"{path} cannot be read back; the disk may be damaged.")
    return rows, computed


def _read_kept(path: Path, key: str) -> pd.DataFrame | None:
    """The rows of a file, if it is there and whole."""
    try:
        if provenance_of(path)["key"] != key:
            return None
        return pq.read_table(path, page_checksum_verification=True).to_pandas()
    except Exception:  # it is computed again, whatever is wrong with it
        return None
