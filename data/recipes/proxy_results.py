"""Compare zero-cost proxies with accuracies and with each other, on the paper's tables.

Writes ``data/results/proxies.parquet``, a row a correlation. Columns: ``table``; ``scores``
(published, or ours at the reduced or the full skeleton); ``against`` (accuracy, or the published
score of the same proxy); ``score`` (a proxy, the number of convolutions, or the mean rank of
several proxies); ``group`` (all, or a number of convolutions); ``n``; ``spearman``. The fit of
l2_norm by the number of convolutions stands in the file's metadata. Half a minute.

    GRAF_DATA_DIR=... python data/recipes/proxy_results.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import rank_correlations
from graf_utils.registry import write_table
from graf_utils.table import Table

RESULTS = Path(__file__).resolve().parents[1] / "results"
TABLES = ("nb201-cifar10", "tnb101-micro-class_scene")
IMAGENET = "nb201-imagenet16-120"
BEST = ["jacov", "nwot", "synflow"]


def convolutions(table: Table) -> np.ndarray:
    """Number of convolutions of each cell."""
    counts = encode(table, "op-count")
    return counts[[name for name in counts if "conv" in name]].sum(axis=1).to_numpy(dtype=int)


def with_accuracy(table: Table, scores: pd.DataFrame, which: str) -> pd.DataFrame:
    """Correlations with accuracy, overall and within numbers of convolutions."""
    count = convolutions(table)
    ranks = scores.rank()
    extra = {
        "convolutions": count,
        "mean rank of 13": ranks.mean(axis=1),
        "mean rank of 3": ranks[BEST].mean(axis=1),
    }
    found = rank_correlations(scores.assign(**extra), table.target("accuracy"), count)
    return found.assign(table=table.name, scores=which, against="accuracy")


def with_published(ours: pd.DataFrame, published: pd.DataFrame, which: str) -> pd.DataFrame:
    """Correlation of each proxy with the published scores of the same cells."""
    rows = [rank_correlations(ours[[name]], published[name]) for name in published]
    found = pd.concat(rows, ignore_index=True)
    return found.assign(table="nb201-cifar10", scores=which, against="published")


def main() -> None:
    """Compute and write."""
    frames, fits = [], {}
    tables = {name: load_table(name, source="paper") for name in TABLES}
    for table in tables.values():
        frames.append(with_accuracy(table, table.proxies, "published"))
        fits[table.name] = np.polyfit(convolutions(table), table.proxies["l2_norm"], 1).tolist()
    imagenet = load_table("nb201-accuracy", source="paper")
    count = pd.DataFrame({"convolutions": convolutions(imagenet)})
    found = rank_correlations(count, imagenet.target("imagenet16-120"))
    frames.append(found.assign(table=IMAGENET, scores="published", against="accuracy"))
    published, own = tables["nb201-cifar10"], load_table("nb201-cifar10", source="embedded")
    reduced = own.subset(own.rows(published.architectures)).proxies
    frames.append(with_accuracy(published, reduced, "reduced"))
    frames.append(with_published(reduced, published.proxies, "reduced"))

    full = pd.read_parquet(RESULTS / "proxies_full_200.parquet")
    rows = published.rows(full["architecture"])
    few = published.proxies.iloc[rows].reset_index(drop=True)
    frames.append(with_published(full, few, "full, 200 cells"))
    frames.append(
        with_published(reduced.iloc[rows].reset_index(drop=True), few, "reduced, 200 cells")
    )

    results = pd.concat(frames, ignore_index=True)
    results["group"] = results["group"].map(str)
    columns = ["table", "scores", "against", "score", "group", "n", "spearman"]
    tables[IMAGENET] = imagenet
    files = {name: table.provenance["files"] for name, table in tables.items()}
    write_table(
        results[columns],
        RESULTS / "proxies.parquet",
        recipe="data/recipes/proxy_results.py",
        files=files,
        l2_norm_slope_and_intercept=fits,
    )
    print(results[results["against"] == "published"].to_string())


if __name__ == "__main__":
    main()
