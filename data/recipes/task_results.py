"""Hardware, robustness and other tasks: predictors on the paper's tables (chapter 5).

Writes ``data/results/paper_tasks.parquet``: one row a fit, as `graf_utils.evaluation.evaluate`
returns them, library versions in the file's metadata. Three quarters of an hour of one core; every
fit is kept in ``_build/results-cache`` as it ends, so the command can be stopped, started and
extended. The table is written after each line of the plan. A table whose files are neither in the
cache folder nor to be downloaded is left out, and named in the metadata.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/task_results.py
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graf_utils.datasets import DataError, load_table
from graf_utils.evaluation import DATA_SEEDS, TRAIN_SIZES, evaluate
from graf_utils.registry import write_table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "paper_tasks.parquet"
TWENTY, FIVE = DATA_SEEDS[:20], DATA_SEEDS[:5]
HARDWARE = "nb201-hardware-cifar10"
DEVICES = ("edgegpu_latency", "raspi4_latency", "eyeriss_energy", "fpga_energy")
ATTACKS = tuple(f"{attack}@Linf_eps-1.0" for attack in ("pgd", "aa_apgd-ce", "fgsm", "aa_square"))
ANALOG = ("accuracy", "ptq_accuracy", "noisy_accuracy", "analog_accuracy", "noisy_drift_30d")
ANALOG += ("analog_drift_30d",)
FOUR = ("one-hot", "zcp", "graf", "zcp+graf")
MICRO = ("autoencoder", "room_layout")
BESIDE = ("graf", "one-hot", "flops+params", "zcp")
PLAN = (
    # predictor, table, source, targets (None: all), encodings, train sizes, data seeds
    ("rf", HARDWARE, "paper", DEVICES, BESIDE[:3], TRAIN_SIZES, TWENTY),
    ("ridge", HARDWARE, "paper", None, ("graf", "one-hot", "op-count", "flops+params"), 1024, FIVE),
    ("rf", "tnb101-micro-class_scene", "paper", None, FOUR, TRAIN_SIZES, DATA_SEEDS),
    ("rf", "tnb101-micro", "paper", MICRO, ("graf", "one-hot"), TRAIN_SIZES, DATA_SEEDS),
    ("rf", "nb201-robustness", "paper", ATTACKS, FOUR, 1024, TWENTY),
    ("rf", "tnb101-micro", "paper", None, ("graf", "one-hot", "zcp"), 1024, FIVE),
    ("rf", HARDWARE, "paper", None, BESIDE[:3], 1024, FIVE),
    ("rf", HARDWARE, "paper", DEVICES, ("zcp", "zcp+graf", "graf+one-hot"), 1024, FIVE),
    ("rf", "nb201-cifar10", "embedded", ANALOG, FOUR, 1024, FIVE),
    ("rf", "nb201-robustness", "paper", ("accuracy",), FOUR, 1024, FIVE),
    ("rf", HARDWARE, "paper", None, BESIDE, 1024, FIVE),
    ("rf", "nb201-hardware-cifar100", "paper", None, BESIDE, 1024, FIVE),
    ("rf", "nb201-hardware-imagenet16-120", "paper", None, BESIDE, 1024, FIVE),
)
ROUNDS = (2, 5, 20, 50)  # splits: a first look at the whole plan, then more
RIDGE = make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1, 10, 100)))
MODELS = {"rf": "rf", "ridge": RIDGE}
KEYS = ["table", "target", "encoding", "predictor", "train_size", "data_seed"]


def run(path: Path, cache: Path) -> int:
    """Run the plan, line by line, and write the table; the number of fits."""
    frames: dict[int, pd.DataFrame] = {}
    files: dict[str, str] = {}
    missing: set[str] = set()
    rounds = itertools.product(itertools.pairwise((0, *ROUNDS)), enumerate(PLAN))
    for (before, n), (number, line) in rounds:
        predictor, name, source, targets, encodings, sizes, seeds = line
        if name in missing or len(seeds) <= before:
            continue
        try:
            table = load_table(name, source=source)
        except DataError as error:
            missing.add(name)
            print(f"left out: {name}. {error}", flush=True)
            continue
        files |= table.provenance["files"]
        asked = (list(targets or table.targets), encodings, {predictor: MODELS[predictor]}, sizes)
        frames[number] = evaluate(table, *asked, seeds[:n], cache=cache)
        found = pd.concat(frames.values(), ignore_index=True).drop_duplicates(KEYS)
        facts = {"files": files, "missing": sorted(missing)}
        write_table(found, path, recipe="data/recipes/task_results.py", **facts)
        print(f"{n} splits, {name}: {len(found):,} fits", flush=True)
    return len(found)


def main() -> None:
    """Run the plan and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    args = parser.parse_args()
    print(f"{OUTPUT}: {run(OUTPUT, args.cache):,} fits")


if __name__ == "__main__":
    main()
