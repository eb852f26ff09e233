"""Further features of the live paths: which of them help beside GRAF and flow?

Each candidate is a function of a `GraphBatch` of a few lines, a plug-in for `GRAF`. ``graf+flow``
is evaluated alone and with the columns of each candidate in turn, on the same 50 splits, and the
paired differences of Kendall tau decide: a candidate is kept if it helps somewhere and hurts
nowhere, by more than chance (`graf_utils.paired`). Settings are chosen on data seeds from 1000, so
these are the seeds here; what the book reports is computed on others.

Writes ``data/results/candidate_features.parquet``: one row per fit, as
`graf_utils.evaluation.evaluate` returns them, library versions and processor in the file's
metadata, and prints the verdicts. Every fit is kept in ``_build/candidates-cache`` as it ends, so
the command can be stopped, started and extended; fits are added to the table or replaced in it.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/candidate_results.py \\
        [--predictor NAME] [--seeds N] [--jobs N]
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT, TRAIN_SIZES, evaluate
from graf_utils.features import GRAF, feature_family
from graf_utils.graphs import GraphBatch
from graf_utils.paired import paired_differences, verdicts
from graf_utils.predictors import PREDICTORS
from graf_utils.results import merge_results
from graf_utils.table import Table

PREDICTOR = "blend"
ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "candidate_features.parquet"
RECIPE = "data/recipes/candidate_results.py"
TABLES = ("nb201-cifar10", "tnb101-micro-class_scene")
BASELINE = "graf+flow"
SEEDS = tuple(range(1000, 1050))
ROUNDS = (2, 5, 20, 50)  # splits: a first look at everything, then more


# --- what the candidates are made of --------------------------------------------------------------


def sequences(batch: GraphBatch) -> tuple[list[tuple[str, ...]], NDArray[np.float64]]:
    """Number of live paths by their *sequence*: the operations along it, skip connections left out.

    One sweep over the edges, for all graphs and paths together. Sequences of A operations are
    numbered so that sequence w followed by the i-th operation (from 1) is sequence A w + i; a node
    holds the number of live paths to it by sequence. Their number grows as A to the power of the
    longest path: 40 in NAS-Bench-201, 15 in TransNAS-Bench-101-micro.

    Parameters
    ----------
    batch : GraphBatch

    Returns
    -------
    sequences : list of tuple of str
    counts : ndarray of shape (n_sequences, n_graphs)
    """
    idle = {"skip_connect", *batch.dead, *batch.free}
    active = [i for i, name in enumerate(batch.operations) if name not in idle]
    names = [batch.operations[i] for i in active]
    lengths = range(batch.n_nodes)
    listed = [row for k in lengths for row in itertools.product(names, repeat=k)]
    n_shorter = len(listed) - len(active) ** lengths[-1]  # those that an operation may follow
    counts = np.zeros((batch.n_nodes, len(listed), len(batch)))
    counts[list(batch.inputs), 0] = 1
    for slot in np.argsort(batch.edges[:, 1], kind="stable"):
        source, target = batch.edges[slot]
        ops = batch.edge_ops[:, slot]
        arriving = counts[source] * batch.live[:, slot]
        counts[target] += arriving * ~np.isin(ops, active)
        for i, op in enumerate(active, start=1):
            counts[target, i :: len(active)] += arriving[:n_shorter] * (ops == op)
    return listed, counts[batch.output]


def average(values: Any, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of one value per sequence, weighted, for each graph; 0 where no path is live."""
    total = weights.sum(axis=0)
    return np.asarray(values, dtype=float) @ weights / np.where(total > 0, total, 1)


def paths_over(batch: GraphBatch) -> NDArray[np.float64]:
    """Number of live paths over each edge slot, (n_graphs, n_slots): those to it, times from it."""
    live = batch.live
    to, onward = (np.zeros((batch.n_nodes, len(batch))) for _ in range(2))
    to[list(batch.inputs)] = 1
    onward[batch.output] = 1
    for slot in np.argsort(batch.edges[:, 1], kind="stable"):
        source, target = batch.edges[slot]
        to[target] += to[source] * live[:, slot]
    for slot in np.argsort(-batch.edges[:, 0], kind="stable"):
        source, target = batch.edges[slot]
        onward[source] += onward[target] * live[:, slot]
    return live * (to[batch.edges[:, 0]] * onward[batch.edges[:, 1]]).T


def kernel(operation: str) -> int:
    """Width of an operation's kernel by its name, such as 3 of ``avg_pool_3x3``; 1 if it has none.

    Dilation, and convolutions that are applied twice, are not looked at.
    """
    width = re.search(r"(\d+)x\1", operation)
    return int(width[1]) if width else 1


# --- the candidates -------------------------------------------------------------------------------


def distinct_paths(batch: GraphBatch) -> NDArray[Any]:
    """Number of different sequences of operations on the live paths.

    Two paths with the same sequence compute functions of the same form; flow counts both.
    """
    _, counts = sequences(batch)
    return (counts > 0).sum(axis=0)


@feature_family(["weight", "depth"])
def gradient_flow(batch: GraphBatch) -> NDArray[Any]:
    """Depth as the gradient sees it: each active operation halves the weight of a path.

    Veit et al. (2016) measure in a residual network that the gradient over a path falls about
    exponentially with its depth, so that short paths train it, although most are longer. A half is
    what a ReLU passes on at initialisation; pooling counts the same here. ``weight`` is the sum of
    the weights of all live paths, ``depth`` the weighted mean of their active operations. Flow's
    histograms hold both, the first as a sum, the second only as a ratio of two sums.
    """
    listed, counts = sequences(batch)
    depth = np.array([len(sequence) for sequence in listed])
    weights = counts * 0.5 ** depth[:, None]
    return np.stack([weights.sum(axis=0), average(depth, weights)], axis=1)


@feature_family(["largest", "mean"])
def receptive_field(batch: GraphBatch) -> NDArray[Any]:
    """How far the live paths look: the sum of (kernel - 1) along a path.

    Where all kernels are 1 or 3, as in both tables here, this is twice flow's maximum and mean over
    the operations of kernel 3: then the verdict is on naming those columns once more.
    """
    listed, counts = sequences(batch)
    widths = np.array([sum(kernel(op) - 1 for op in sequence) for sequence in listed])
    largest = ((counts > 0) * widths[:, None]).max(axis=0)
    return np.stack([largest, average(widths, counts)], axis=1)


@feature_family(["min_cut", "busiest_edge"])
def bottleneck(batch: GraphBatch) -> NDArray[Any]:
    """How narrow the cell is.

    ``min_cut`` is the smallest number of live edges whose removal parts input from output: the
    least over all ways to put the inner nodes on one side. ``busiest_edge`` is the largest share of
    the live paths that go over one edge.
    """
    free = [v for v in range(batch.n_nodes) if v not in (*batch.inputs, batch.output)]
    live, cuts = batch.live, []
    for sides in itertools.product([False, True], repeat=len(free)):
        before = {*batch.inputs, *itertools.compress(free, sides)}
        across = [source in before and target not in before for source, target in batch.edges]
        cuts.append(live[:, across].sum(axis=1))
    over = paths_over(batch)
    total = over[:, batch.edges[:, 1] == batch.output].sum(axis=1)  # each path ends over one edge
    return np.stack([np.min(cuts, axis=0), over.max(axis=1) / np.maximum(total, 1)], axis=1)


@feature_family(["connectivity", "largest"])
def spectrum(batch: GraphBatch) -> NDArray[Any]:
    """Laplacian eigenvalues of the graph of all edges on live paths, without directions.

    ``connectivity``, the smallest that is not zero, is small where few edges hold the graph
    together (Fiedler, 1973); ``largest`` grows with the degree of its best connected node.
    """
    on_path = paths_over(batch) > 0
    laplacian = np.zeros((len(batch), batch.n_nodes, batch.n_nodes))
    for (source, target), there in zip(batch.edges, on_path.T, strict=True):
        for u, v in ((source, target), (target, source)):
            laplacian[:, u, v] -= there
            laplacian[:, u, u] += there
    values = np.linalg.eigvalsh(laplacian)
    connectivity = np.where(values > 1e-9, values, np.inf).min(axis=1)
    return np.stack([np.where(on_path.any(axis=1), connectivity, 0), values[:, -1]], axis=1)


@feature_family("operations")
def order(batch: GraphBatch, inside: NDArray[np.bool_]) -> NDArray[Any]:
    """Share of the live paths on which an operation stands ahead of an active one of another kind.

    Flow counts operations on a path and does not see in which order they come.
    """
    listed, counts = sequences(batch)
    names = [batch.operations[row.argmax()] for row in inside]
    ahead = [
        [name in row and set(row[row.index(name) :]) != {name} for row in listed] for name in names
    ]
    return average(ahead, counts).T


_PAIRS = [(wide, narrow) for wide in range(4) for narrow in range(4 - wide)]


@feature_family([f"{wide}+{narrow}" for wide, narrow in _PAIRS])
def kernel_pairs(batch: GraphBatch) -> NDArray[Any]:
    """Number of live paths with i 3x3 and j 1x1 convolutions, column ``i+j``.

    Flow has the two histograms, not the joint one. Columns for up to three convolutions on a path:
    all there are in a cell of four nodes.
    """
    listed, counts = sequences(batch)
    pairs = [(row.count("nor_conv_3x3"), row.count("nor_conv_1x1")) for row in listed]
    return (np.array([[pair == column for pair in pairs] for column in _PAIRS]) @ counts).T


CANDIDATES: dict[str, Callable[..., Any]] = {
    "distinct-paths": distinct_paths,
    "gradient-flow": gradient_flow,
    "receptive-field": receptive_field,
    "bottleneck": bottleneck,
    "spectrum": spectrum,
    "order": order,
    "kernel-pairs": kernel_pairs,
}


# --- evaluated ------------------------------------------------------------------------------------


def with_candidate(table: Table, name: str) -> pd.DataFrame:
    """Columns of the baseline and of one candidate; of those, none that is constant or a copy."""
    graf = GRAF(table.space, families=[CANDIDATES[name]], drop_redundant=True)
    columns = graf.set_output(transform="pandas").fit_transform(table)
    return pd.concat([encode(table, BASELINE), columns], axis=1)


def run(
    path: Path,
    cache: Path,
    predictor: Any,
    seeds: Iterable[int],
    tables: Iterable[str],
    sizes: Iterable[int],
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Evaluate baseline and candidates, and put the fits into a table, a few seeds at a time.

    Parameters
    ----------
    path : Path
        The table of results.
    cache : Path
        Folder of finished fits.
    predictor : str or mapping of one name to a regressor
    seeds, tables, sizes : iterable
        Data seeds, tables of the paper, numbers of training networks.
    n_jobs : int, optional
        Parallel fits.

    Returns
    -------
    DataFrame
        The fits of all seeds.
    """
    seeds, fits = list(seeds), {}
    for n in sorted({min(n, len(seeds)) for n in (*ROUNDS, len(seeds))}):
        for name in tables:
            table = load_table(name, source="paper")
            encodings = {BASELINE: encode(table, BASELINE)}
            for candidate in CANDIDATES:
                encodings[f"{BASELINE}+{candidate}"] = with_candidate(table, candidate)
            fits[name] = evaluate(
                table,
                list(table.targets),
                encodings,
                predictor,
                sizes,
                seeds[:n],
                n_jobs,
                cache=cache,
            )
            facts = {"recipe": RECIPE, "files": table.provenance["files"]}
            results = merge_results(path, fits[name], FIT, **facts)
            print(f"{n} splits, {name}: {len(results):,} fits", flush=True)
    return pd.concat(fits.values(), ignore_index=True)


def main() -> None:
    """Evaluate, and print each difference and each verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictor", default=PREDICTOR, choices=list(PREDICTORS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many splits, 2 or more")
    parser.add_argument("--jobs", type=int, default=1, help="parallel fits")
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "candidates-cache")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    what = options.predictor, SEEDS[: options.seeds], TABLES, TRAIN_SIZES
    fits = run(options.output, options.cache, *what, n_jobs=options.jobs)
    differences = paired_differences(fits, BASELINE)
    print(differences.to_string(index=False, float_format="{:.4f}".format))
    print(verdicts(differences).to_string(index=False))
    print(f"CPU seconds per fit: {fits.groupby('train_size')['cpu_seconds'].mean().to_dict()}")


if __name__ == "__main__":
    main()
