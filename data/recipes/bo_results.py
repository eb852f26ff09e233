"""Bayesian optimisation by the paper's protocol on NAS-Bench-201, the last figure of chapter 12.

Writes ``data/results/bo_search.parquet``: of every run the evaluations at which the incumbent
changed, and the last. 20 random networks, then batches of 20 up to 500 evaluations, each from 200
random candidates by independent Thompson sampling (`graf_utils.search.Bayesian`); for one seed all
runs begin with the same networks. The paper's surrogates are ensembles of three; `blend` says
itself how sure it is. Nothing was chosen on these runs.

The rounds are 5, 10, 20 and 50 seeds on both data sets, so that a run that is stopped is balanced.
Two minutes of one core per seed, most of it for the forests; every run is kept as it ends, so the
command can be stopped and started, and asked for some of the seeds and predictors.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/bo_results.py [--seeds 20]
"""

from __future__ import annotations

import argparse
import functools
import time
from pathlib import Path
from typing import Any

import pandas as pd

from graf_utils._keys import digest
from graf_utils.datasets import load_table
from graf_utils.results import kept, merge_results
from graf_utils.search import Bayesian, Candidates, search
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "bo_search.parquet"
RECIPE = "data/recipes/bo_results.py"
KEYS = ["table", "source", "target", "encoding", "predictor", "seed"]
TABLES = ("nb201-cifar10", "nb201-imagenet16-120")
TARGET = "accuracy"
ROUNDS = (5, 10, 20, 50)
SETTINGS = {"budget": 500, "n_initial": 20, "batch_size": 20}
METHODS: dict[tuple[str, str], Any] = {  # encoding, predictor
    ("none", "random"): "random",
    ("zcp+graf", "xgb"): Bayesian("xgb", n_members=3, n_candidates=200),
    ("graf+flow", "blend"): Bayesian("blend", n_candidates=200),
    ("zcp+graf+flow", "blend"): Bayesian("blend", n_candidates=200),
    ("zcp+graf", "rf"): Bayesian("rf", n_members=3, n_candidates=200),
}


def pools_of(table: Table) -> dict[str, Candidates]:
    """The candidates with each encoding; random search sees no features."""
    names = {encoding for encoding, _ in METHODS}
    return {name: Candidates.of(table, "graf" if name == "none" else name) for name in names}


def run(pool: Candidates, y: Any, method: Any, seed: int) -> pd.DataFrame:
    """One run: the evaluations at which the incumbent changed, and the last."""
    start = time.process_time()
    curve = search(pool, y, method, random_state=seed, **SETTINGS)
    seconds = round(time.process_time() - start, 3)
    changed = curve["incumbent"] != curve["incumbent"].shift()
    changed.iloc[-1] = True
    rows = curve.loc[changed, ["evaluation", "best", "incumbent"]]
    return rows.assign(regret=y.max() - rows["best"], cpu_seconds=seconds)


def runs_of(
    table: Table, pools: dict[str, Candidates], predictors: Any, seeds: range, cache: Path
) -> pd.DataFrame:
    """Every run of a table with some predictors and seeds, computed now or kept."""
    y, frames = table.target(TARGET), []
    chosen = {key: method for key, method in METHODS.items() if key[1] in predictors}
    for (encoding, predictor), method in chosen.items():
        pool = pools[encoding]
        parts = [digest(run, search, method, SETTINGS, pool.codes, pool.matrix, y)]
        for seed in seeds:
            compute = functools.partial(run, pool, y, method, seed)
            rows, computed = kept(cache, [*parts, seed], compute)
            names = (table.name, table.source, TARGET, encoding, predictor, seed)
            frames.append(rows.assign(**dict(zip(KEYS, names, strict=True))))
            if computed:
                print(*names, f"{100 - rows['best'].max():.3f} %", flush=True)
    rows = pd.concat(frames, ignore_index=True)
    return rows[[*KEYS, *(name for name in rows if name not in KEYS)]]


def main() -> None:
    """Run the rounds, and put the runs of each into the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "search-cache")
    parser.add_argument("--seeds", type=int, default=ROUNDS[-1], choices=ROUNDS)
    names = sorted({predictor for _, predictor in METHODS})
    parser.add_argument("--predictors", nargs="+", default=names, choices=names)
    options = parser.parse_args()
    tables = [load_table(name, source="paper") for name in TABLES]
    pools = [pools_of(table) for table in tables]
    for n_seeds in ROUNDS[: ROUNDS.index(options.seeds) + 1]:
        for table, by_encoding in zip(tables, pools, strict=True):
            seeds = range(n_seeds)
            rows = runs_of(table, by_encoding, options.predictors, seeds, options.cache)
            files = table.provenance["files"]
            results = merge_results(OUTPUT, rows, KEYS, recipe=RECIPE, files=files)
        print(f"{n_seeds} seeds; {OUTPUT}: {len(results):,} rows", flush=True)


if __name__ == "__main__":
    main()
