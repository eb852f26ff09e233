"""Which features matter, task by task: importances of chapter 7 on the published tables.

Writes ``data/results/importances_nb201.parquet`` and ``importances_tnb101_micro.parquet``: one row
a fit, method, grouping and feature, as `graf_utils.explain.importances` returns them, with the
provenance in the metadata. About half an hour of one core; every target is kept in
``_build/importances-cache`` as it ends, so the command can be stopped and started.

    GRAF_DATA_DIR=... python data/recipes/importance_results.py [--n-jobs 2]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graf_utils.datasets import Table, load_table
from graf_utils.explain import importances

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
N_EXPLAINED = 100
THRESHOLD = 1.0  # columns of exactly the same or reverse order
FIVE, TEN, TWENTY = range(42, 47), range(42, 52), range(42, 62)
TREES = ("shap", "impurity")
HARDWARE = "nb201-hardware-cifar10"
ATTACKS = ("fgsm@Linf_eps-1.0", "pgd@Linf_eps-1.0", "aa_apgd-ce@Linf_eps-1.0")
ATTACKS += ("aa_square@Linf_eps-1.0",)
DRIFT = ("accuracy", "analog_accuracy", "analog_drift_30d", "analog_drift_loss")
DRIFT += ("noisy_drift_30d", "noisy_drift_loss")
DEVICES = ("edgegpu_latency", "raspi4_latency", "eyeriss_energy", "fpga_energy")
PLAN = {
    "nb201": (
        # table, source, targets (None: all), encoding, data seeds, methods
        ("nb201-cifar10", "paper", None, "zcp+graf", TWENTY, (*TREES, "permutation")),
        ("nb201-cifar10", "paper", None, "graf", TEN, TREES),
        ("nb201-cifar10", "embedded", DRIFT, "graf", FIVE, TREES),
        (HARDWARE, "paper", None, "graf", FIVE, TREES),
        ("nb201-robustness", "paper", ATTACKS, "graf", FIVE, TREES),
        ("nb201-accuracy", "paper", ("cifar100", "imagenet16-120"), "graf", FIVE, TREES),
        (HARDWARE, "paper", DEVICES, "zcp+graf", FIVE, TREES),
        ("nb201-robustness", "paper", ATTACKS[1:3], "zcp+graf", FIVE, TREES),
    ),
    "tnb101_micro": (
        ("tnb101-micro", "paper", ("autoencoder",), "zcp+graf", TWENTY, TREES),
        ("tnb101-micro", "paper", None, "zcp+graf", FIVE, TREES),
        ("tnb101-micro", "paper", None, "graf", FIVE, TREES),
    ),
}


def with_losses(table: Table) -> Table:
    """The embedded table with what 30 days of drift cost, in points, as two more targets."""
    targets = table.targets.copy()
    for kind in ("analog", "noisy"):
        targets[f"{kind}_drift_loss"] = targets[f"{kind}_accuracy"] - targets[f"{kind}_drift_30d"]
    return replace(table, targets=targets)


def compute(space: str, cache: Path, n_jobs: int) -> tuple[pd.DataFrame, dict[str, str]]:
    """All importances of a part of the plan, and the files that they come from."""
    frames, files = [], {}
    for name, source, targets, encoding, seeds, methods in PLAN[space]:
        table = load_table(name, source=source)
        table = with_losses(table) if source == "embedded" else table
        files |= table.provenance["files"]
        for target in targets or table.targets:
            key = f"{name}.{source}.{target}.{encoding}.{len(seeds)}.parquet"
            if not (cache / key).exists():
                found = importances(
                    table, target, encoding, methods=methods, threshold=THRESHOLD,
                    data_seeds=seeds, n_explained=N_EXPLAINED, n_jobs=n_jobs,
                )  # fmt: skip
                write(pa.Table.from_pandas(found, preserve_index=False), cache / key)
                print(key, flush=True)
            frames.append(pd.read_parquet(cache / key))
    runs = ["table", "source", "target", "encoding", "data_seed", "method", "grouped", "feature"]
    return pd.concat(frames, ignore_index=True).drop_duplicates(runs), files


def write(content: pa.Table, path: Path) -> None:
    """Write a parquet file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    pq.write_table(content, temporary, compression="zstd")
    os.replace(temporary, path)


def main() -> None:
    """Run the plan and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "importances-cache")
    args = parser.parse_args()
    used = ("numpy", "scipy", "scikit-learn", "pandas", "shap")
    for space in PLAN:
        found, files = compute(space, args.cache, args.n_jobs)
        provenance = {
            "recipe": "data/recipes/importance_results.py",
            "n_explained": N_EXPLAINED,
            "threshold": THRESHOLD,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "versions": {name: version(name) for name in used},
            "files": files,
        }
        found = found.astype({"importance": "float32", "rank": "float32"})
        content = pa.Table.from_pandas(found, preserve_index=False)
        content = content.replace_schema_metadata({"provenance": json.dumps(provenance)})
        path = OUTPUT / f"importances_{space}.parquet"
        write(content, path)
        print(f"{path}: {len(found):,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
