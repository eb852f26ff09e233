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
FIGURES = (  # those that are compared with published or earlier figures
    # table, source, targets (None: all), encodings, train sizes, data seeds
    (HARDWARE, "paper", DEVICES, ("graf", "one-hot", "flops+params"), TRAIN_SIZES, TWENTY),
    ("nb201-robustness", "paper", ATTACKS, FOUR, 1024, TWENTY),
    ("tnb101-micro-class_scene", "paper", None, FOUR, TRAIN_SIZES, DATA_SEEDS),
    ("tnb101-micro", "paper", MICRO, ("graf", "one-hot"), TRAIN_SIZES, DATA_SEEDS),
)
OTHERS = (
    (HARDWARE, "paper", None, ("graf", "one-hot", "flops+params"), 1024, FIVE),
    ("tnb101-micro", "paper", None, ("graf", "one-hot", "zcp"), 1024, FIVE),
    ("nb201-cifar10", "embedded", ANALOG, FOUR, 1024, FIVE),
    (HARDWARE, "paper", DEVICES, ("zcp", "zcp+graf", "graf+one-hot"), 1024, FIVE),
    ("nb201-robustness", "paper", ("accuracy",), FOUR, 1024, FIVE),
    (HARDWARE, "paper", None, BESIDE, 1024, FIVE),
    ("nb201-hardware-cifar100", "paper", None, BESIDE, 1024, FIVE),
    ("nb201-hardware-imagenet16-120", "paper", None, BESIDE, 1024, FIVE),
)
LINEAR = (  # with a linear model in the place of the forest: is the target a sum over edges?
    (HARDWARE, "paper", None, ("graf", "one-hot", "op-count", "flops+params"), 1024, FIVE),
)
FIRST = tuple((*line[:-1], FIVE) for line in FIGURES)  # a first look, before all seeds
PLAN = (("rf", FIRST), ("ridge", LINEAR), ("rf", FIGURES + OTHERS))
RIDGE = make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1, 10, 100)))
MODELS = {"rf": "rf", "ridge": RIDGE}
KEYS = ["table", "target", "encoding", "predictor", "train_size", "data_seed"]


def run(path: Path, cache: Path) -> int:
    """Run the plan, line by line, and write the table; the number of fits."""
    frames: list[pd.DataFrame] = []
    files: dict[str, str] = {}
    missing: list[str] = []
    lines = [(predictor, *line) for predictor, part in PLAN for line in part]
    for predictor, name, source, targets, encodings, sizes, seeds in lines:
        model = {predictor: MODELS[predictor]}
        try:
            table = load_table(name, source=source)
        except DataError as error:
            missing.append(name)
            print(f"left out: {name}. {error}", flush=True)
            continue
        files |= table.provenance["files"]
        chosen = list(targets or table.targets)
        frames.append(evaluate(table, chosen, encodings, model, sizes, seeds, cache=cache))
        found = pd.concat(frames, ignore_index=True).drop_duplicates(KEYS)
        facts = {"files": files, "missing": missing}
        write_table(found, path, recipe="data/recipes/task_results.py", **facts)
        print(f"{name}: {len(found):,} fits", flush=True)
    return len(found)


def main() -> None:
    """Run the plan and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    args = parser.parse_args()
    print(f"{OUTPUT}: {run(OUTPUT, args.cache):,} fits")


if __name__ == "__main__":
    main()
