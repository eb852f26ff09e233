"""Make ``data/hw_gpt_s.parquet`` and ``data/hw_gpt_s_a100.parquet`` from HW-GPT-Bench.

Run ``python data/recipes/hw_gpt.py`` in the repository. The two files come from the data folder
(``GRAF_DATA_DIR``), or are downloaded, and are verified by their SHA-256: perplexity and accuracy
of 10,000 GPT-2-like networks of the small space, and size, latency and energy of 2,500 of them.
They are in the pickle format and hold plain data, which is read without unpickling
(`graf_utils._plain_data`), once and here. The same files and the same pyarrow give the same bytes.
Afterwards the script prints the ``[[embedded]]`` entries for ``data/registry.toml``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from embedded_entry import print_entry

from graf_utils._configuration_files import READERS
from graf_utils._files import replacing
from graf_utils.registry import book_registry, fetch

FOLDER = Path(__file__).resolve().parents[1]
ROOT = "automl/HW-GPT-Bench/"
HARDWARE = "data_collection/raw_results_hw/latency_a100/efficiency_observations_0_2500.pkl"
TABLES = {
    "hw_gpt_s.parquet": (
        f"{ROOT}795cba812482/arch_ppl_bench_s/ppl.pkl",
        {"perplexity": pa.float32(), "accuracy": pa.float32()},
    ),
    "hw_gpt_s_a100.parquet": (
        f"{ROOT}cfddd10217c0/{HARDWARE}",
        {
            "gpu_lat": pa.float64(),
            "gpu_lat_std": pa.float64(),
            "mean_energy_gpu": pa.float64(),
            "std_energy_gpu": pa.float64(),
            "params": pa.int64(),
            "macs": pa.int64(),
            "flops": pa.int64(),
        },
    ),
}
"""File, its source, and the columns that are kept with types that hold their digits."""


def make_table(source: Path, path: str, types: dict[str, pa.DataType]) -> pa.Table:
    """One row per network: the configuration without inactive layers, and the numbers."""
    frame = READERS["hw-gpt"](source, "architecture")
    columns = {"architecture": pa.array(frame["architecture"])}
    for name, kind in types.items():
        columns[name] = pa.array(frame[name].to_numpy(), type=kind)
        if not (columns[name].to_numpy() == frame[name].to_numpy()).all():
            raise ValueError(f"{source}: {kind} does not hold the digits of {name!r}.")
    return pa.table(columns).replace_schema_metadata(
        {
            "graf_book.recipe": "data/recipes/hw_gpt.py",
            "graf_book.sources": json.dumps({path: book_registry().files[path]["sha256"]}),
            "graf_book.licence": "Apache-2.0 (data/NOTICE-hw-gpt-bench.md)",
            "graf_book.citation": "Sukthanker et al., NeurIPS 2024, arXiv:2405.10299",
        }
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: ``--folder`` writes to another place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    for name, (path, types) in TABLES.items():
        table = make_table(fetch(path), path, types)
        with replacing(options.folder / name) as part:
            pq.write_table(table, part, compression="zstd", compression_level=19)
        print_entry(options.folder / name)


if __name__ == "__main__":
    main()
