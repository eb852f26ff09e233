"""What flow is made of: parts of it left out, and others added, on the two tables it was chosen on.

Writes ``data/results/flow_ablation.parquet``: one row per fit with the predictor `blend`, data
seeds from 1000 on, NAS-Bench-201 CIFAR-10 and TransNAS-Bench-101-micro class_scene only. Half an
hour of one core; every fit is kept in ``_build/results-cache`` as it ends, so the command can be
stopped and started.

    GRAF_DATA_DIR=... OMP_NUM_THREADS=1 python data/recipes/flow_ablation.py [--n-jobs 2]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import FIT, TRAIN_SIZES, evaluate
from graf_utils.features import GRAF, Flow, feature_family, path_counts
from graf_utils.features.flow import default_sets
from graf_utils.graphs import ABSENT, GraphBatch
from graf_utils.results import merge_results
from graf_utils.spaces import CellSpace
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "results" / "flow_ablation.parquet"
TABLES = ("nb201-cifar10", "tnb101-micro-class_scene")
SEEDS = range(1000, 1006)
PREDICTOR = "blend"
SKIP = "skip_connect"
SMALL, LARGE = "nor_conv_1x1", "nor_conv_3x3"
MOMENTS, EXTREMES, HISTOGRAM = ["sum", "mean", "std"], ["min", "max"], ["histogram"]


def flow(table: Table, **options: Any) -> pd.DataFrame:
    """Flow with other sets or statistics."""
    return Flow(table.space, **options).set_output(transform="pandas").fit_transform(table)


def sets_of(table: Table, *, single: bool = True, groups: bool = True, skip: bool = True) -> Any:
    """Some of the sets of operations that flow asks about."""
    sets = {}
    for name, operations in default_sets(table.space).items():
        is_wanted = groups if name in table.space.groups else single
        if is_wanted and (skip or SKIP not in operations):
            sets[name] = operations
    return sets


@feature_family([f"{small}+{large}" for small in range(4) for large in range(4)])
def joint_histogram(batch: GraphBatch) -> Any:
    """On how many live paths lie so many 1x1 and so many 3x3 convolutions."""
    counts = np.zeros((4, 4, len(batch)))
    for length in range(1, batch.n_nodes):
        for inner in combinations(range(1, batch.n_nodes - 1), length - 1):
            nodes = (0, *inner, batch.n_nodes - 1)
            slots = [_slot(batch, edge) for edge in zip(nodes, nodes[1:], strict=False)]
            labels = batch.edge_ops[:, slots]
            alive = batch.live[:, slots].all(axis=1)
            small, large = (
                (labels == batch.operations.index(op)).sum(axis=1) for op in (SMALL, LARGE)
            )
            np.add.at(counts, (small, large, np.arange(len(batch))), alive)
    return counts.reshape(16, -1).T


def _slot(batch: GraphBatch, edge: tuple[int, int]) -> int:
    return batch.edges.tolist().index(list(edge))


def surviving(batch: GraphBatch) -> Any:
    """Live paths, each with half the weight for every operation on it that is no skip."""
    active = [[op not in (SKIP, *batch.dead) for op in batch.operations]]
    counts = path_counts(batch, np.array(active))[:, 0]
    return 0.5 ** np.arange(len(counts)) @ counts


def families(table: Table, *chosen: Any) -> pd.DataFrame:
    """Families of one's own for the cells of a table."""
    graf = GRAF(table.space, families=chosen)
    return graf.set_output(transform="pandas").fit_transform(table)


def simplified(batch: GraphBatch) -> GraphBatch:
    """The graph whose nodes are the operations that are neither dead nor skip connections.

    An operation is joined to another if its output reaches the other's input over skip connections
    only. Operations that lie on no live path are left out.
    """
    n, n_nodes = len(batch), batch.n_nodes
    label = {op: i for i, op in enumerate(batch.operations)}
    passes = np.zeros((n, n_nodes, n_nodes), dtype=bool)  # over skip connections only
    passes[:, range(n_nodes), range(n_nodes)] = True
    leads = passes.copy()  # over whatever is alive
    for (source, target), ops, live in zip(
        batch.edges, batch.edge_ops.T, batch.live.T, strict=True
    ):
        passes[:, source, target], leads[:, source, target] = ops == label[SKIP], live
    for middle in range(n_nodes):
        for reach in (passes, leads):
            reach |= reach[:, :, middle, None] & reach[:, None, middle, :]
    order = np.lexsort(batch.edges.T)  # by target, so that operations are in topological order
    starts, ends = batch.edges[order].T
    alive = batch.live[:, order] & (batch.edge_ops[:, order] != label[SKIP])
    alive &= leads[:, 0, starts] & leads[:, ends, -1]
    starts, ends = np.array([*starts, n_nodes - 1]), np.array([0, *ends])  # with output, input
    slots = list(combinations(range(len(order) + 2), 2))
    ops = np.full((n, len(order) + 2), ABSENT)
    ops[:, 1:-1] = np.where(alive, batch.edge_ops[:, order] + 2, ABSENT)
    ops[:, 0], ops[:, -1] = 0, 1
    present = np.stack([passes[:, ends[u], starts[v - 1]] for u, v in slots], axis=1)
    used = ops != ABSENT
    present &= np.stack([used[:, u] & used[:, v] for u, v in slots], axis=1)
    labels = ("input", "output", *batch.operations)
    return GraphBatch.on_nodes(labels, slots, present, ops, ("input", "output"))


def graf_of_simplified(table: Table) -> pd.DataFrame:
    """GRAF of the graph without skip connections and dead edges."""
    batch = simplified(table.space.graph_batch(table.codes)[""])
    n_inner = batch.n_nodes - 2
    space = CellSpace(batch.operations[2:], batch.edges, ops_on="nodes", name="simplified")
    assert space.code_length == n_inner
    features = GRAF(space).set_output(transform="pandas").fit_transform(batch)
    return features.add_prefix("simplified.")


VARIANTS: dict[str, Callable[[Table], pd.DataFrame]] = {
    "flow": flow,
    "flow without groups": lambda table: flow(table, sets=sets_of(table, groups=False)),
    "flow of groups only": lambda table: flow(table, sets=sets_of(table, single=False)),
    "flow without skip": lambda table: flow(table, sets=sets_of(table, skip=False)),
    "flow, moments": lambda table: flow(table, statistics=MOMENTS),
    "flow, extremes": lambda table: flow(table, statistics=EXTREMES),
    "flow, histogram": lambda table: flow(table, statistics=HISTOGRAM),
    "flow without histogram": lambda table: flow(table, statistics=MOMENTS + EXTREMES),
    "flow, mean": lambda table: flow(table, statistics=["mean"]),
    "flow + joint histogram": lambda table: pd.concat(
        [flow(table), families(table, joint_histogram)], axis=1
    ),
    "flow + surviving paths": lambda table: pd.concat(
        [flow(table), families(table, surviving)], axis=1
    ),
    "GRAF of the simplified graph": graf_of_simplified,
    "flow + GRAF of the simplified graph": lambda table: pd.concat(
        [flow(table), graf_of_simplified(table)], axis=1
    ),
}
"""What stands beside GRAF, or alone, by its name."""

ALONE = ("flow", "flow without groups", "flow, moments", "flow, histogram", "flow without skip")
ALONE += ("GRAF of the simplified graph",)


def encodings(table: Table) -> dict[str, Any]:
    """Each variant beside GRAF, and some alone."""
    graf = encode(table, "graf")
    parts = {name: variant(table) for name, variant in VARIANTS.items()}
    beside = {f"GRAF + {name}": pd.concat([graf, part], axis=1) for name, part in parts.items()}
    return {"GRAF": graf} | beside | {name: parts[name] for name in ALONE}


def main() -> None:
    """Fit, and put the rows into the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    for name in TABLES:
        table = load_table(name, source="paper")
        fits = evaluate(
            table, "accuracy", encodings(table), PREDICTOR, TRAIN_SIZES, SEEDS, options.n_jobs,
            cache=options.cache, progress=False,
        )  # fmt: skip
        facts = {"recipe": "data/recipes/flow_ablation.py", "files": table.provenance["files"]}
        results = merge_results(OUTPUT, fits, FIT, **facts)
        print(f"{OUTPUT}: {len(results):,} fits", flush=True)


if __name__ == "__main__":
    main()
