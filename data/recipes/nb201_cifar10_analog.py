"""Make ``data/nb201_cifar10_analog.parquet`` from the package analog-nasbench 0.1.3.

Run ``python data/recipes/nb201_cifar10_analog.py`` in the repository. The wheel comes from the
Python package index through pip, must have the SHA-256 below, and is kept in ``_build/wheels``. It
holds one pickle; it is read with an unpickler that knows two data classes, turns them into plain
holders and refuses every other name, so no code of the package runs. The same wheel and the same
pyarrow give the same bytes. Afterwards the script prints the ``[[embedded]]`` entry for
``data/registry.toml``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from embedded_entry import print_entry

from graf_utils._files import replacing

REQUIREMENT = "analog-nasbench==0.1.3"
WHEEL = "analog_nasbench-0.1.3-py3-none-any.whl"
WHEEL_SHA256 = "f7d4e56e416d249d25555b867a6d7c72886fa9d85a49bd1870708acbf5ee6fe2"
MEMBER = "analognasbench/data.anb"
ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "nb201_cifar10_analog.parquet"

ACCURACIES = {
    "accuracy": "baseline_accuracy",
    "ptq_accuracy": "ptq_accuracy",
    "qat_accuracy": "qat_accuracy",
    "noisy_accuracy": "noisy_accuracy",
    "analog_accuracy": "analog_accuracy",
}
# The package's "baseline_drift" is the drift of the noisy evaluation (its README: noisy_drift).
DRIFTS = {
    f"{ours}_drift_{time}": f"{theirs}_drift_{seconds}"
    for ours, theirs in (("noisy", "baseline"), ("analog", "analog"))
    for time, seconds in (("60s", 60), ("1h", 3600), ("1d", 86400), ("30d", 2592000))
}


class Record:
    """A plain holder of attributes: what both data classes of the package become."""


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that knows the two data classes of the package and refuses all else."""

    allowed = frozenset(
        {("analognasbench.data", "Architecture"), ("analognasbench.data", "DriftMeasurement")}
    )

    def find_class(self, module: str, name: str) -> type[Record]:
        """Return the plain holder for an allowed name; refuse any other."""
        if (module, name) in self.allowed:
            return Record
        raise pickle.UnpicklingError(
            f"the pickle asks for {module}.{name}; only {sorted(self.allowed)} are read. "
            "Do not load this file: it is not the one this recipe was written for."
        )


def get_wheel(folder: Path) -> Path:
    """Download the wheel into a folder, with pip, if it is not there."""
    if (folder / WHEEL).is_file():
        return folder / WHEEL
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    subprocess.run([*pip, "--only-binary=:all:", "--dest", str(folder), REQUIREMENT], check=True)
    return folder / WHEEL


def read_wheel(path: Path) -> dict[tuple[int, ...], Record]:
    """Verify the wheel and return its records by architecture."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        raise ValueError(f"{path} has SHA-256 {digest}, it must have {WHEEL_SHA256}. Delete it.")
    with zipfile.ZipFile(path) as wheel:
        records = RestrictedUnpickler(io.BytesIO(wheel.read(MEMBER))).load()
    if any(vars(record)["architecture"] != key for key, record in records.items()):
        raise ValueError(f"{path}: a record's architecture differs from its key.")
    return records


def make_table(records: dict[tuple[int, ...], Record]) -> pa.Table:
    """Arrange the records in enumeration order, one float64 column per target."""
    architectures = list(itertools.product(range(5), repeat=6))
    rows = [vars(records[architecture]) for architecture in architectures]
    columns: dict[str, Any] = {"architecture": [str(a) for a in architectures]}
    for ours, theirs in ACCURACIES.items():
        columns[ours] = [row[theirs] for row in rows]
    for ours, theirs in DRIFTS.items():
        columns[ours] = [vars(row[theirs])["value"] for row in rows]
        columns[f"{ours}_sd"] = [vars(row[theirs])["uncertainty"] for row in rows]
    types = [pa.string()] + [pa.float64()] * (len(columns) - 1)
    schema = pa.schema(list(zip(columns, types, strict=True)))
    return pa.table(columns, schema=schema).replace_schema_metadata(
        {
            "graf_book.recipe": "data/recipes/nb201_cifar10_analog.py",
            "graf_book.source": REQUIREMENT,
            "graf_book.source_date": "2025-03-01",  # of the wheel's data file, not of this run
            "graf_book.wheel_sha256": WHEEL_SHA256,
            "graf_book.licence": "Apache-2.0 (data/NOTICE-analog-nasbench.md)",
            "graf_book.citation": "AnalogNAS-Bench, arXiv:2506.18495",
            "graf_book.unit": "per cent; *_sd are standard deviations in percentage points",
        }
    )


def write_table(table: pa.Table, output: Path) -> None:
    """Write the table as parquet, whole or not at all."""
    with replacing(output) as part:
        pq.write_table(table, part, compression="zstd", compression_level=19)


def main(arguments: list[str] | None = None) -> None:
    """Command line: ``--wheel`` uses a wheel that is already here, ``--output`` another place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="use this wheel, do not download")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    wheel = options.wheel or get_wheel(ROOT / "_build" / "wheels")
    write_table(make_table(read_wheel(wheel)), options.output)
    print_entry(options.output)


if __name__ == "__main__":
    main()
