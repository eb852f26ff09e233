"""Make ``data/nas_bench_bert.parquet`` from the files of NAS-Bench-BERT.

Run ``python data/recipes/nas_bench_bert.py`` in the repository. The two files come from the data
folder (``GRAF_DATA_DIR``), or are downloaded, and are verified by their SHA-256: the 500 trained
architectures with their GLUE scores, and the training-free metrics that were published with them.
The same files and the same pyarrow give the same bytes. Afterwards the script prints the
``[[embedded]]`` entry for ``data/registry.toml``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from embedded_entry import print_entry

from graf_utils._configuration_files import write_configuration
from graf_utils._files import replacing
from graf_utils.registry import book_registry, fetch

FOLDER = "aaronserianni/training-free-nas/2d76e01b9586/data/"
SCORES, METRICS = f"{FOLDER}BERT_benchmark.json", f"{FOLDER}BERT_results_activation.csv"
OUTPUT = Path(__file__).resolve().parents[1] / "nas_bench_bert.parquet"
TASKS = ("glue", "cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts")
LAYER = {
    "heads": "num_operation_heads",
    "feed_forward": "feed_forward_dimension",
    "n_feed_forward": "num_feed_forward",
}


def configuration(record: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a record, with one operation instead of its type and parameter."""
    model = record["hparams"]["model_hparam_overrides"]
    layers = [
        {"operation": f"{layer['operation_type']}-{layer['operation_parameter']}"}
        | {name: layer[key] for name, key in LAYER.items()}
        for layer in model["nas_config"]["encoder_layers"]
    ]
    return {"hidden_size": model["hidden_size"], "layers": layers}


def make_table(scores: Path, metrics: Path) -> pa.Table:
    """One row per record: the configuration, its scores in %, its published metrics."""
    records = json.loads(scores.read_bytes())
    published = pd.read_csv(metrics)
    if [record["id"] for record in records] != published["ID"].tolist():
        raise ValueError(f"{metrics} does not list the architectures of {scores} in their order.")
    columns: dict[str, Any] = {
        "architecture": [write_configuration(configuration(record)) for record in records]
    }
    for task in TASKS:
        columns[task] = [float(record["scores"][task]) for record in records]
    columns["training_time"] = [float(record["time_to_train"]) for record in records]
    for name in published.columns.drop(["ID", "GLUE Score"]):
        columns[name.lower().replace(" ", "_")] = published[name].astype(float).tolist()
    files = book_registry().files
    return pa.table(columns).replace_schema_metadata(
        {
            "graf_book.recipe": "data/recipes/nas_bench_bert.py",
            "graf_book.sources": json.dumps({p: files[p]["sha256"] for p in (SCORES, METRICS)}),
            "graf_book.licence": "CC BY 4.0 (data/NOTICE-nas-bench-bert.md)",
            "graf_book.citation": "Serianni and Kalita, ACL 2023, arXiv:2306.00288",
            "graf_book.unit": "scores in per cent, training_time in seconds on 8 TPU cores",
        }
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: ``--output`` writes to another place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    with replacing(options.output) as part:
        table = make_table(fetch(SCORES), fetch(METRICS))
        pq.write_table(table, part, compression="zstd", compression_level=19)
    print_entry(options.output)


if __name__ == "__main__":
    main()
