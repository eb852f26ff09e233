"""Hardware, robustness and other tasks: predictors on the paper's tables (chapters 7 to 9).

Writes ``data/results/paper_tasks.parquet``: one row per fit, as `graf_utils.evaluation.evaluate`
returns them, library versions in the file's metadata. Three quarters of an hour of one core; every
fit is kept in ``_build/results-cache`` as it ends, so the command can be stopped, started and
extended. Fits are added to the table or replaced in it, after each line of the plan. Where files of
a published table are neither in the data folder nor to be downloaded, the rest of the plan is done,
and the command fails at its end; ``--without`` names tables that are not wanted.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/task_results.py [--without TABLE ...]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Collection
from pathlib import Path

from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, FIT, TRAIN_SIZES, evaluate
from graf_utils.registry import DataError
from graf_utils.results import merge_results

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


def run(path: Path, cache: Path, without: Collection[str] = ()) -> dict[str, str]:
    """Run the plan, and put its fits into a table, line by line.

    Parameters
    ----------
    path : Path
        The table of results.
    cache : Path
        Folder of finished fits.
    without : collection of str
        Tables that are left out.

    Returns
    -------
    dict of str to str
        For each published table that is missing, its name and the reason.
    """
    missing: dict[str, str] = {}
    rounds = itertools.product(itertools.pairwise((0, *ROUNDS)), PLAN)
    for (before, n), (predictor, name, source, targets, encodings, sizes, seeds) in rounds:
        if name in missing or name in without or len(seeds) <= before:
            continue
        try:
            table = load_table(name, source=source)
        except DataError as error:
            missing[name] = str(error)
            continue
        fits = evaluate(
            table,
            list(targets or table.targets),
            encodings,
            {predictor: MODELS[predictor]},
            sizes,
            seeds[:n],
            cache=cache,
        )
        facts = {"recipe": "data/recipes/task_results.py", "files": table.provenance["files"]}
        results = merge_results(path, fits, FIT, **facts)
        print(f"{n} splits, {name}: {len(results):,} fits", flush=True)
    return missing


def main() -> None:
    """Run the plan and put its fits into the table; fail if a published table is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    names = list(dict.fromkeys(line[1] for line in PLAN))
    parser.add_argument("--without", nargs="+", choices=names, default=[], metavar="TABLE")
    options = parser.parse_args()
    missing = run(OUTPUT, options.cache, options.without)
    if missing:
        reasons = "\n".join(missing.values())
        raise SystemExit(
            f"{reasons}\n{len(missing)} tables are missing, and {OUTPUT} keeps what it had of "
            f"them. Get them, or leave them out: --without {' '.join(missing)}"
        )
    print(f"{OUTPUT}: complete")


if __name__ == "__main__":
    main()
