"""Compare zero-cost proxies with accuracies and with each other, on the paper's tables.

Writes ``data/results/proxies.parquet``, one row per correlation. Columns: ``table``; ``scores``
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

from graf_utils.correlations import rank_correlations
from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.results import merge_results
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
    rows = rank_correlations(scores.assign(**extra), table.target("accuracy"), count)
    return rows.assign(table=table.name, scores=which, against="accuracy")


def with_published(ours: pd.DataFrame, published: pd.DataFrame, which: str) -> pd.DataFrame:
    """Correlation of each proxy with the published scores of the same cells."""
    rows = [rank_correlations(ours[[name]], published[name]) for name in published]
    joined = pd.concat(rows, ignore_index=True)
    return joined.assign(table="nb201-cifar10", scores=which, against="published")


def correlations(
    tables: dict[str, Table], imagenet: Table, ours: Table, full: pd.DataFrame
) -> pd.DataFrame:
    """Compute all correlations.

    Parameters
    ----------
    tables : dict of str to Table
        Those of `TABLES`.
    imagenet : Table
        The published accuracies on ImageNet16-120.
    ours : Table
        The embedded table, with our scores at the reduced skeleton.
    full : DataFrame
        Our scores of 200 cells at the full skeleton.

    Returns
    -------
    DataFrame
        The columns that the description of the recipe names, one row per correlation.
    """
    frames = [with_accuracy(table, table.proxies, "published") for table in tables.values()]
    count = pd.DataFrame({"convolutions": convolutions(imagenet)})
    rows = rank_correlations(count, imagenet.target("imagenet16-120"))
    frames.append(rows.assign(table=IMAGENET, scores="published", against="accuracy"))
    published = tables["nb201-cifar10"]
    reduced = ours.subset(ours.rows(published.architectures)).proxies
    frames.append(with_accuracy(published, reduced, "reduced"))
    frames.append(with_published(reduced, published.proxies, "reduced"))

    sample = published.rows(full["architecture"])
    few = published.proxies.iloc[sample].reset_index(drop=True)
    frames.append(with_published(full, few, "full, 200 cells"))
    reduced = reduced.iloc[sample].reset_index(drop=True)
    frames.append(with_published(reduced, few, "reduced, 200 cells"))
    results = pd.concat(frames, ignore_index=True)
    return results.assign(group=results["group"].map(str))


def main() -> None:
    """Compute the correlations and put them into the table."""
    tables = {name: load_table(name, source="paper") for name in TABLES}
    imagenet = load_table("nb201-accuracy", source="paper")
    ours = load_table("nb201-cifar10", source="embedded")
    full = pd.read_parquet(RESULTS / "proxies_full_200.parquet")
    results = correlations(tables, imagenet, ours, full)
    fits = {
        name: np.polyfit(convolutions(table), table.proxies["l2_norm"], 1).tolist()
        for name, table in tables.items()
    }
    files = {name: table.provenance["files"] for name, table in tables.items()}
    merge_results(
        RESULTS / "proxies.parquet",
        results[["table", "scores", "against", "score", "group", "n", "spearman"]],
        ["table", "scores", "against", "score", "group"],
        recipe="data/recipes/proxy_results.py",
        files=files | {IMAGENET: imagenet.provenance["files"]},
        l2_norm_slope_and_intercept=fits,
    )
    print(results[results["against"] == "published"].to_string())


if __name__ == "__main__":
    main()
