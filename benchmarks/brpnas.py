"""BRP-NAS: seconds of an epoch on packed batches against one graph at a time, full network.

An epoch is 1,024 NAS-Bench-201 cells in batches of 64, forward, backward and a step of AdamW. The
loop does the same work with the same network, a graph at a time, and adds up the gradients; it is
timed on a few batches. Threads are PyTorch's (`OMP_NUM_THREADS`).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

from graf_utils.predictors.brpnas import GraphEncoder, operation_graphs
from graf_utils.predictors.brpnas.network import PackedGraphs
from graf_utils.spaces import NB201


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loop-batches", type=int, default=2)
    args = parser.parse_args()
    space = NB201()
    graphs = operation_graphs(space.graph_batch(space.sample(1024, random_state=0)))
    data = PackedGraphs.of(graphs, np.empty((1024, 0)), "cpu")
    y = torch.randn(1024)
    torch.manual_seed(0)
    model = GraphEncoder(len(graphs.labels), 0, 600, 4, 0.2, "gcn", "unary")
    optimizer = torch.optim.AdamW(model.parameters(), 3.5e-4, weight_decay=5e-4, fused=True)

    def step(rows: torch.Tensor, at_once: int) -> None:
        optimizer.zero_grad()
        for part in rows.split(at_once):
            predicted = model.head(model.embed(*data.batch(part)))[:, 0]
            (functional.l1_loss(predicted, y[part], reduction="sum") / len(rows)).backward()
        optimizer.step()

    batches = torch.arange(1024).split(64)
    step(batches[0], 64)
    packed = []
    for _ in range(args.repeats):
        start = time.perf_counter()
        for rows in batches:
            step(rows, 64)
        packed.append(time.perf_counter() - start)
    start = time.perf_counter()
    for rows in batches[: args.loop_batches]:
        step(rows, 1)
    loop = (time.perf_counter() - start) / args.loop_batches * len(batches)
    fast = float(np.median(packed))
    print(
        f"{torch.get_num_threads()} threads: packed {fast:.2f} s per epoch, best "
        f"{min(packed):.2f}; a graph at a time {loop:.1f} s, ratio {loop / fast:.1f}"
    )


if __name__ == "__main__":
    main()
