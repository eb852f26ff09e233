"""Every search method on six tasks, 50 seeds each: the runs of chapter 12.

Writes ``data/results/search.parquet``: of every run the evaluations at which the incumbent changed,
and the last; and ``search_pareto.parquet``: the hypervolume of every run with two objectives after
each batch. An hour of one core; each seed is kept in ``_build/search-cache`` as it ends, so the
command can be stopped and started. Runs are added to the tables or replaced in them, task by task.
The settings of `graf_utils.search` were chosen on seeds 1000 to
1003 of NAS-Bench-201 CIFAR-10; the seeds here are others.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/search_results.py
"""

from __future__ import annotations

import argparse
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graf_utils._keys import digest
from graf_utils.datasets import load_table
from graf_utils.results import kept, merge_results
from graf_utils.search import Candidates, hypervolume, pareto_front, search
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results"
SEEDS = range(50)
KEYS = ["table", "source", "target", "method", "encoding", "option", "seed"]
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "prune": {"restrict": True},
    "guided": {"guided": True},
    "k-centre": {"start": "k-centre"},
}
Runs = tuple[tuple[str, str, str], ...]  # method, encoding, option
RUNS: Runs = (  # random, evolution and local search without one see no features
    ("random", "graf", ""),
    ("random", "graf", "prune"),
    ("evolution", "graf", ""),
    ("evolution", "graf", "guided"),
    ("local", "graf", ""),
    ("local", "graf", "guided"),
    ("predictor", "one-hot", ""),
    ("predictor", "graf", ""),
    ("predictor", "graf", "k-centre"),
    ("predictor", "graf", "prune"),
    ("predictor", "zcp+graf", ""),
)
TASKS = (  # table, source, target, budget
    ("nb201-cifar10", "paper", "accuracy", 300),
    ("nb201-cifar10", "embedded", "accuracy", 200),
    ("nb201-accuracy", "paper", "imagenet16-120", 150),
    ("tnb101-micro", "paper", "class_scene", 150),
    ("tnb101-micro", "paper", "autoencoder", 150),
)
PARETO = ("nb201-hardware-cifar10", "paper", "edgegpu_latency", 150)


@dataclass
class Task:
    """A table with what is raised, what the incumbent is reported on, and the runs to make."""

    table: Table
    target: str
    budget: int
    runs: Runs
    values: Any
    test: Any = None

    @classmethod
    def of(cls, name: str, source: str, target: str, budget: int, runs: Runs) -> Task:
        """Load it; CIFAR-10 of the paper has a test accuracy, hardware gets an accuracy."""
        table, test = load_table(name, source=source), None
        values = table.target(target)
        if (name, source) == ("nb201-cifar10", "paper"):
            test = matched(table, load_table("nb201-test-accuracy", source="paper"), "accuracy")
        if name == PARETO[0]:
            accuracy = load_table("nb201-cifar10", source="paper")
            accuracy = matched(table, accuracy, "accuracy")
            values = pd.DataFrame({"accuracy": accuracy, "speed": -values})
        return cls(table, target, budget, runs, values, test)

    def frames(self, cache: Path) -> list[pd.DataFrame]:
        """Compute every run, seed by seed, or take what an earlier one kept."""
        encodings = sorted({encoding for _, encoding, _ in self.runs})
        pools = {encoding: Candidates.of(self.table, encoding) for encoding in encodings}
        cost = self.relative_cost()
        code = digest(type(self), search, self.runs, OPTIONS, self.budget)
        data = digest(self.table.codes, self.values, self.test, cost, pools)
        names = [self.table.name, self.table.source, self.target]
        frames = []
        for seed in SEEDS:
            compute = functools.partial(self.runs_of_seed, pools, cost, seed)
            rows, computed = kept(cache, [code, data, *names, seed], compute)
            if computed:
                print(f"{', '.join(names)}, seed {seed}", flush=True)
            frames.append(rows)
        return frames

    def relative_cost(self) -> Any:
        """FLOPs of each architecture, in networks of average FLOPs."""
        if hasattr(self.table.space, "cost"):
            cost = self.table.space.cost(self.table.architectures)[:, 1]
        else:
            cost = self.table.proxies["flops"].to_numpy()
        return cost / cost.mean()

    def runs_of_seed(self, pools: Any, cost: Any, seed: int) -> pd.DataFrame:
        """Every run with one seed."""
        rows = [self.run(pools, cost, *run, seed) for run in self.runs]
        return pd.concat(rows, ignore_index=True)

    def run(
        self, pools: Any, cost: Any, method: str, encoding: str, option: str, seed: int
    ) -> pd.DataFrame:
        """One run, cut down to what the chapter needs."""
        start = time.process_time()
        options = OPTIONS[option] | {"test": self.test, "cost": cost, "random_state": seed}
        curve = search(pools[encoding], self.values, method, self.budget, **options)
        seconds = round(time.process_time() - start, 3)
        rows = self.areas(curve) if isinstance(self.values, pd.DataFrame) else self.changes(curve)
        names = (self.table.name, self.table.source, self.target, method, encoding, option, seed)
        rows = rows.assign(**dict(zip(KEYS, names, strict=True)), cpu_seconds=seconds)
        return rows[[*KEYS, *(name for name in rows if name not in KEYS)]]

    def changes(self, curve: pd.DataFrame) -> pd.DataFrame:
        """The evaluations at which the incumbent changed, and the last."""
        new = curve["incumbent"] != curve["incumbent"].shift()
        new.iloc[-1] = True
        rows = curve[new].drop(columns=["candidate", "value"])
        return rows if "test" in rows else rows.assign(test=np.nan)

    def finished(self, cache: Path) -> pd.DataFrame:
        """All runs, with their regret and the way from the median network to the best."""
        rows = pd.concat(self.frames(cache), ignore_index=True)
        if isinstance(self.values, pd.DataFrame):
            return rows
        best = self.values.max()
        rows["test_regret"] = np.nan if self.test is None else self.test.max() - rows["test"]
        return rows.assign(regret=best - rows["best"], spread=best - np.median(self.values))

    def areas(self, curve: pd.DataFrame) -> pd.DataFrame:
        """The hypervolume after each ten evaluations, as a share of that of the true front."""
        values = self.values.to_numpy()
        front = values[pareto_front(values)]
        worst, whole = front.min(axis=0), hypervolume(front, front.min(axis=0))
        rows = curve[(curve["evaluation"] % 10 == 0) & (curve["evaluation"] >= 20)]
        evaluated = curve[list(self.values)].to_numpy()
        shares = [hypervolume(evaluated[:n], worst) / whole for n in rows["evaluation"]]
        return rows[["evaluation", "cost"]].assign(hypervolume=shares)


def matched(table: Table, other: Table, target: str) -> Any:
    """A target of another table, in the order of the architectures of this one."""
    return other.target(target)[other.rows(table.architectures)]


def main() -> None:
    """Run all tasks and put their runs into the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "search-cache")
    options = parser.parse_args()
    for name, tasks in (("search", TASKS), ("search_pareto", (PARETO,))):
        path = OUTPUT / f"{name}.parquet"
        for task in [Task.of(*task, RUNS) for task in tasks]:
            rows, files = task.finished(options.cache), task.table.provenance["files"]
            recipe = "data/recipes/search_results.py"
            results = merge_results(path, rows, KEYS, recipe=recipe, files=files)
        print(f"{path}: {len(results):,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
