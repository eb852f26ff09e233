"""Make the tables of what was measured on timm's networks: accuracies and latencies.

Run ``python data/recipes/timm_measured.py`` in the repository. The three files of the timm
repository come from the data folder (``GRAF_DATA_DIR``), or are downloaded, and are verified by
their SHA-256. It writes ``data/timm_top1.parquet``, ``data/timm_cpu.parquet`` and
``data/timm_gpu.parquet``, one row per network, which is an architecture at a size of images; the
same files and the same pyarrow give the same bytes. Afterwards it prints the ``[[embedded]]``
entries for ``data/registry.toml``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from embedded_entry import print_entry

from graf_utils._files import replacing
from graf_utils._timm_files import READERS
from graf_utils.registry import book_registry, fetch

FOLDER = "huggingface/pytorch-image-models/aa4b5850c154/results/"
OUTPUT = Path(__file__).resolve().parents[1]
KEY = "network"
FILES = {
    "timm_top1.parquet": ("timm-results", "results-imagenet.csv"),
    "timm_cpu.parquet": (
        "timm-benchmark",
        "benchmark-infer-fp32-nchw-pt240-cpu-i7_12700h-dynamo.csv",
    ),
    "timm_gpu.parquet": ("timm-benchmark", "benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv"),
}
COLUMNS = {
    "timm-results": ["top1", "top5", "recipes"],
    "timm-benchmark": ["latency", "infer_batch_size", "infer_gmacs", "infer_macts"],
}
UNITS = "top1, top5: %; latency: milliseconds per image; gmacs, macts: billions, millions"


def make_table(form: str, file: str) -> pa.Table:
    """The rows of a file, of which some columns are kept."""
    frame = READERS[form](fetch(FOLDER + file), KEY)
    table = pa.Table.from_pandas(frame[[KEY, *COLUMNS[form]]], preserve_index=False)
    digest = book_registry().files[FOLDER + file]["sha256"]
    return table.replace_schema_metadata(
        {
            "graf_book.recipe": "data/recipes/timm_measured.py",
            "graf_book.sources": json.dumps({FOLDER + file: digest}),
            "graf_book.licence": "Apache-2.0 (data/NOTICE-timm.md)",
            "graf_book.citation": "Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861",
            "graf_book.unit": UNITS,
        }
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: ``--output`` writes to another folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    for name, (form, file) in FILES.items():
        with replacing(options.output / name) as part:
            pq.write_table(make_table(form, file), part, compression="zstd", compression_level=19)
        print_entry(options.output / name, "recipes/timm_measured.py")
        print()


if __name__ == "__main__":
    main()
