"""GRAF against one-hot on a chain: the fits that chapter 4 shows for NAS-Bench-Macro.

Writes ``data/results/paper_chain.parquet``: a random forest on the published accuracies, ten data
seeds. Half a minute; without the published table nothing is written.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/chain_results.py
"""

from __future__ import annotations

from pathlib import Path

from graf_utils.datasets import load_table
from graf_utils.evaluation import evaluate
from graf_utils.results import write_table

OUTPUT = Path(__file__).resolve().parents[2] / "data" / "results" / "paper_chain.parquet"
TRAIN_SIZES = (32, 128, 1024)
DATA_SEEDS = range(42, 52)


def main() -> None:
    """Fit, and write the table whole or not at all."""
    table = load_table("nas-bench-macro", source="paper")
    results = evaluate(
        table, "accuracy", ["one-hot", "graf"], "rf", TRAIN_SIZES, DATA_SEEDS, progress=False
    )
    keys = ["target", "encoding", "predictor", "train_size", "data_seed"]
    results = results.assign(table=table.name, source=table.source).sort_values(keys)
    columns = ["table", "source", *keys, "kendall_tau", "n_test", "n_features"]
    write_table(results[columns].reset_index(drop=True), OUTPUT)
    print(OUTPUT)


if __name__ == "__main__":
    main()
