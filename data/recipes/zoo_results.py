"""The predictor zoo: many predictors, two tables, the protocol of NASLib's comparison (chapter 6).

Writes ``data/results/zoo.parquet``, one row per fit. Each trial draws 200 test networks and,
disjoint, 1,000 training networks; the train sets of the eleven sizes are the first n of these, and
Kendall tau is taken on the 200. The trials are seeds 0 to 99, as in that comparison; how many of
them a predictor gets says `PLAN`. The settings of ``blend`` and ``graf-xgb`` were chosen on one of
the two tables, NAS-Bench-201 on CIFAR-10, on other splits than these (`train_test_split`, data
seeds 1000 to 1009 and 0 to 29); NAS-Bench-101 was not looked at.

Two and a half hours of one core. Rows that stand in the output are not computed again, new ones are
put there twice a minute, all predictors get their first five trials before any gets more, and with
``--minutes`` nothing new is begun after that time: a fit that runs is ended (the longest take two
to three minutes). A predictor whose library is not installed is left out, and so is a fit that
fails; both are said, and such a fit is tried again by the next run. What another
machine computed is put into the table by ``--merge``.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/zoo_results.py [--n-jobs 16]
        [--trials 100] [--minutes M] [--output PATH] [--only PREDICTOR ...]
    python data/recipes/zoo_results.py --merge PATH
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from collections import ChainMap
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import bare_machine  # first: it may stand in for what the package imports
import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT
from graf_utils.metrics import kendall_tau
from graf_utils.predictors import zoo
from graf_utils.results import merge_file, merge_results

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "zoo.parquet"
TRAIN_SIZES = (5, 8, 14, 24, 42, 71, 121, 205, 347, 589, 1000)
N_TEST = 200
GRAPH = "none"  # nothing beside the graph: the codes of the architectures
OF_SPACE = ("one-hot", "path", "graf", "flow", "graf+flow")
WITH_PROXIES = ("zcp", "zcp+graf", "zcp+graf+flow")
ALL = (*OF_SPACE, *WITH_PROXIES)
MAIN = ("one-hot", "graf", "graf+flow", "zcp+graf", "zcp+graf+flow")
BEST = ("graf", "graf+flow", "zcp+graf", "zcp+graf+flow")
TABLES = {
    "nb201-cifar10": ("accuracy", (GRAPH, *ALL)),
    "nb101": ("accuracy_108", (GRAPH, *OF_SPACE)),  # of its networks one proxy is published
}
PLAN = (
    # predictor, encodings, trials
    ("ridge", ALL, 100),
    ("bayesian-ridge", ALL, 100),
    ("svr", ALL, 100),
    ("knn", ALL, 100),
    ("lightgbm", ALL, 100),
    ("gp", MAIN, 20),
    ("mlp", MAIN, 20),
    ("bananas", ("path",), 20),
    ("rf", ALL, 20),
    ("extra-trees", MAIN, 20),
    ("hist-boosting", MAIN, 20),
    ("xgb", ALL, 100),
    ("graf-xgb", MAIN, 20),
    ("blend", MAIN, 100),
    ("catboost", ("one-hot", "graf+flow", "zcp+graf+flow"), 5),
    ("ngboost", ("one-hot", "graf+flow", "zcp+graf+flow"), 5),
    ("xgb+", ("graf", "zcp+graf"), 5),
    ("brp-nas", (GRAPH,), 3),
)
ROUNDS = (5, 20, 100)  # trials: a first look at the whole plan, then more
SLOW = ("blend", "catboost", "ngboost", "xgb+", "brp-nas")  # each fit is a job of its own
SECONDS = 30.0  # between two times that results are put into the table
LIBRARIES = ("lightgbm", "catboost", "ngboost")


class Pool(NamedTuple):
    """What is drawn from: a table, one of its targets, and all its encodings."""

    name: str
    source: str
    target: str
    space: str
    y: NDArray[np.float64]
    inputs: dict[str, NDArray[np.float64]]


class Job(NamedTuple):
    """Fits of one predictor on one encoding in one trial."""

    pool: Pool
    encoding: str
    predictor: str
    seed: int
    sizes: tuple[int, ...]


def make_pool(table: Any, target: str, encodings: Iterable[str]) -> Pool:
    """Encode a table once for all fits."""
    inputs = {
        name: table.codes.astype(float) if name == GRAPH else encode(table, name).to_numpy(float)
        for name in encodings
    }
    return Pool(table.name, table.source, target, table.space.name, table.target(target), inputs)


def split(n: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the 1,000 training networks, in the order they are used, and of the 200 to test on.

    Parameters
    ----------
    n : int
        Networks in the table, each once.
    seed : int
        Of the trial.

    Returns
    -------
    train : ndarray of shape (1000,)
    test : ndarray of shape (200,)
    """
    order = np.random.default_rng(seed).permutation(n)
    return order[N_TEST : N_TEST + TRAIN_SIZES[-1]], order[:N_TEST]


def plan_jobs(
    pools: Sequence[Pool], plan: Sequence[Any], trials: int, done: set[tuple[Any, ...]]
) -> Iterator[Job]:
    """Jobs of the plan in rounds of trials, without the fits that are done."""
    rounds = itertools.pairwise((0, *ROUNDS))
    seeds = itertools.chain.from_iterable(itertools.starmap(range, rounds))
    for seed, line, pool in itertools.product(seeds, plan, pools):
        predictor, encodings, most = line
        if seed >= min(most, trials):
            continue
        for encoding in (name for name in encodings if name in pool.inputs):
            setting = (pool.name, pool.source, pool.target, encoding, predictor)
            sizes = tuple(size for size in TRAIN_SIZES if (*setting, size, seed) not in done)
            parts = [(size,) for size in sizes] if predictor in SLOW else [sizes] if sizes else []
            yield from (Job(pool, encoding, predictor, seed, part) for part in parts)


def done_in(path: Path) -> set[tuple[Any, ...]]:
    """Fits that stand in a table of results."""
    if not path.exists():
        return set()
    return set(pd.read_parquet(path, columns=list(FIT)).itertuples(index=False, name=None))


def data_of(job: Job) -> tuple[Any, ...]:
    """The little of a table that a job needs: x and y to train on, x and y to test on."""
    x, y = job.pool.inputs[job.encoding], job.pool.y
    train, test = split(len(y), job.seed)
    train = train[: max(job.sizes)]
    return x[train], y[train], x[test], y[test]


def make(predictor: str, space: str) -> Any:
    """A fresh regressor of the zoo; one that reads graphs is told of which space."""
    return zoo.brp_nas(space) if predictor == "brp-nas" else zoo.ZOO[predictor]()


def fit(setting: tuple[Any, ...], space: str, sizes: Iterable[int], data: Any) -> pd.DataFrame:
    """Fit and judge a predictor for each train size; one row each, none for a fit that fails.

    Parameters
    ----------
    setting : tuple
        Table, source, target, encoding, predictor and seed.
    space : str
        Name of the search space.
    sizes : iterable of int
    data : tuple of ndarray
        From `data_of`.

    Returns
    -------
    DataFrame
    """
    bare_machine.prepare()  # in the process that fits
    x, y, x_test, y_test = data
    *where, predictor, seed = setting
    rows = []
    for size in sizes:
        model = make(predictor, space)  # libraries are imported before the clock runs
        start = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # with few networks nothing converges
                predicted = model.fit(x[:size], y[:size]).predict(x_test)
            seconds = time.process_time() - start
            tau = kendall_tau(predicted, y_test)
        except Exception as error:  # else each run would end here, and no later fit be done
            print(f"failed: {(*setting, size)}: {error!r}", file=sys.stderr, flush=True)
            continue
        row = dict(zip(FIT, (*where, predictor, size, seed), strict=True))
        row |= {"kendall_tau": tau, "n_test": len(y_test)}
        rows.append(row | {"n_features": x.shape[1], "cpu_seconds": round(seconds, 4)})
    return pd.DataFrame(rows)


def results_of(jobs: Iterable[Job], n_jobs: int) -> Iterator[pd.DataFrame]:
    """Rows of each job as it ends; only what a job needs is sent to its process."""
    calls = (
        joblib.delayed(fit)(
            (*job.pool[:3], job.encoding, job.predictor, job.seed),
            job.pool.space,
            job.sizes,
            data_of(job),
        )
        for job in jobs
    )
    with joblib.parallel_config("loky", inner_max_num_threads=1 if n_jobs > 1 else None):
        yield from joblib.Parallel(
            n_jobs,
            return_as="generator_unordered",
            pre_dispatch="1.5*n_jobs",
            batch_size=1,
            max_nbytes=None,  # what is sent is small, and thousands of mapped files are not
        )(calls)


def run(
    path: Path,
    pools: Sequence[Pool],
    plan: Sequence[Any],
    trials: int,
    *,
    n_jobs: int = 1,
    minutes: float = np.inf,
    **facts: Any,
) -> int:
    """Run the part of the plan that is not in the table, and put it there.

    Parameters
    ----------
    path : Path
        The table of results.
    pools : sequence of Pool
    plan : sequence of tuple
        As `PLAN`.
    trials : int
        At most so many for each line of the plan.
    n_jobs : int
        Processes.
    minutes : float
        After this time no new job begins.
    **facts
        Provenance of the new rows.

    Returns
    -------
    int
        Number of new rows.
    """
    deadline = time.monotonic() + 60 * minutes
    jobs = plan_jobs(pools, plan, trials, done_in(path))
    jobs = itertools.takewhile(lambda job: time.monotonic() < deadline, jobs)
    waiting: list[pd.DataFrame] = []
    n, last = 0, time.monotonic()
    try:
        for rows in results_of(jobs, n_jobs):
            if len(rows):
                waiting.append(rows)
            n += len(rows)
            if time.monotonic() - last > SECONDS:
                put(path, waiting, **facts)
                last = time.monotonic()
    finally:  # also when it is stopped by Ctrl-C
        put(path, waiting, **facts)
    return n


def put(path: Path, waiting: list[pd.DataFrame], **facts: Any) -> None:
    """Put the rows that wait into the table, and forget them."""
    if waiting:
        rows = pd.concat(waiting, ignore_index=True)
        print(f"{path.name}: {len(merge_results(path, rows, FIT, **facts)):,} fits", flush=True)
        waiting.clear()


def missing_libraries(plan: Sequence[Any]) -> dict[str, str]:
    """Predictors that cannot be made here, each with the reason."""
    missing = {}
    for predictor, *_ in plan:
        try:
            make(predictor, "nb201")
        except ModuleNotFoundError as error:
            missing[predictor] = str(error)
    return missing


def installed() -> dict[str, str]:
    """Versions of the zoo's libraries, besides those that every table of results names."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def main() -> None:
    """Run the plan, or merge what another machine computed."""
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--trials", type=int, default=ROUNDS[-1])
    parser.add_argument("--minutes", type=float, default=np.inf)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    names = [line[0] for line in PLAN]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PREDICTOR")
    parser.add_argument("--merge", type=Path, metavar="PATH")
    options = parser.parse_args()
    if options.merge:
        print(f"{options.output}: {len(merge_file(options.output, options.merge, FIT)):,} fits")
        return
    plan = [line for line in PLAN if line[0] in options.only]
    missing = missing_libraries(plan)
    plan = [line for line in plan if line[0] not in missing]
    tables = {name: load_table(name, source="paper") for name in TABLES}
    pools = [make_pool(tables[name], *TABLES[name]) for name in TABLES]
    files = dict(ChainMap(*(table.provenance["files"] for table in tables.values())))
    facts = {"recipe": "data/recipes/zoo_results.py", "files": files, "libraries": installed()}
    minutes = options.minutes - (time.monotonic() - start) / 60  # reading takes some of them
    settings = {"n_jobs": options.n_jobs, "minutes": minutes}
    n = run(options.output, pools, plan, options.trials, **settings, **facts)
    reasons = "".join(f"\nleft out: {name}: {reason}" for name, reason in missing.items())
    rest = plan_jobs(pools, plan, options.trials, done_in(options.output))
    left = sum(len(job.sizes) for job in rest)
    print(f"{options.output}: {n:,} new fits, {left:,} of the plan left{reasons}")


if __name__ == "__main__":
    main()
