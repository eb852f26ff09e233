"""Which features matter, task by task: importances of chapter 7 on the published tables.

Writes ``data/results/importances_nb201.parquet`` and ``importances_tnb101_micro.parquet``: one row
a fit, method, grouping and feature, as `graf_utils.explain.importances` returns them, with the
provenance in the metadata. Less than ten minutes of one core; every fit is kept in
``_build/importances-cache`` as it ends, so the command can be stopped and started.

    GRAF_DATA_DIR=... python data/recipes/importance_results.py
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.explain import importances
from graf_utils.redundancy import redundant_groups
from graf_utils.registry import write_table
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
N_EXPLAINED = 50
THRESHOLD = 1.0  # columns of exactly the same or reverse order
FEW, MORE = range(42, 47), range(42, 62)
TREES = ("shap", "impurity")
HARDWARE = "nb201-hardware-cifar10"
ATTACKS = ("fgsm@Linf_eps-1.0", "pgd@Linf_eps-1.0", "aa_apgd-ce@Linf_eps-1.0")
ATTACKS += ("aa_square@Linf_eps-1.0",)
DRIFT = ("accuracy", "analog_accuracy", "analog_drift_loss", "noisy_drift_loss")
GROUPS = "graf, one column a group"
PLAN = {
    "nb201": (
        # table, source, targets (None: all), encoding, data seeds, methods
        ("nb201-cifar10", "paper", None, "zcp+graf", MORE, (*TREES, "permutation")),
        ("nb201-cifar10", "paper", None, GROUPS, FEW, TREES),
        ("nb201-cifar10", "embedded", DRIFT, GROUPS, FEW, TREES),
        (HARDWARE, "paper", None, GROUPS, FEW, TREES),
        ("nb201-robustness", "paper", ATTACKS, GROUPS, FEW, TREES),
        ("nb201-accuracy", "paper", ("imagenet16-120",), GROUPS, FEW, TREES),
    ),
    "tnb101_micro": (
        ("tnb101-micro", "paper", ("autoencoder",), "zcp+graf", MORE, TREES),
        ("tnb101-micro", "paper", ("class_scene",), "zcp+graf", MORE, TREES),
        ("tnb101-micro", "paper", None, GROUPS, FEW, TREES),
    ),
}


def with_losses(table: Table) -> Table:
    """The embedded table with what 30 days of drift cost, in points, as two more targets."""
    losses = {
        f"{kind}_drift_loss": table.target(f"{kind}_accuracy") - table.target(f"{kind}_drift_30d")
        for kind in ("analog", "noisy")
    }
    return table.assign(**losses)


def columns_of(table: Table, encoding: str) -> pd.DataFrame:
    """The encoding; of GRAF also with one column for each group of columns of the same order."""
    if encoding != GROUPS:
        return encode(table, encoding)
    graf = encode(table, "graf")
    first = redundant_groups(graf, THRESHOLD)
    return graf[[name for name in first if graf[name].nunique() > 1]]


def compute(space: str, cache: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """All importances of a part of the plan, and the files that they come from."""
    frames, files = [], {}
    for name, source, targets, encoding, seeds, methods in PLAN[space]:
        table = load_table(name, source=source)
        table = with_losses(table) if source == "embedded" else table
        files |= table.provenance["files"]
        columns = columns_of(table, encoding)
        for target, seed in itertools.product(targets or table.targets, seeds):
            part = cache / f"{name}.{source}.{target}.{encoding}.{seed}.parquet"
            if not part.exists():
                found = importances(
                    table, target, columns, methods=methods, data_seeds=seed,
                    threshold=None if encoding == GROUPS else THRESHOLD, n_explained=N_EXPLAINED,
                ).assign(encoding=encoding)  # fmt: skip
                part.parent.mkdir(parents=True, exist_ok=True)
                write_table(found, part)
                print(part.stem, flush=True)
            frames.append(pd.read_parquet(part))
    return pd.concat(frames, ignore_index=True), files


def main() -> None:
    """Run the plan and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "importances-cache")
    args = parser.parse_args()
    for space in PLAN:
        found, files = compute(space, args.cache)
        found = found.astype({"importance": "float32", "rank": "float32"})
        path = OUTPUT / f"importances_{space}.parquet"
        facts = {"n_explained": N_EXPLAINED, "threshold": THRESHOLD, "files": files}
        write_table(found, path, recipe="data/recipes/importance_results.py", **facts)
        print(f"{path}: {len(found):,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
