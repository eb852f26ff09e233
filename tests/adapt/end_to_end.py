"""Your own space, end to end: MobileNet-like blocks, latency measured here, and a search."""

import timeit

import torch
from torch import nn

from graf_utils import GRAF, Table, evaluate, make_predictor, summarise
from graf_utils.explain import importances, what_if
from graf_utils.search import Candidates, search
from graf_utils.spaces import CellSpace

torch.set_num_threads(1)
KERNELS, EXPANSIONS = [3, 5, 7], [1, 3, 6]
numbers = {"kernel": {"mbconv": KERNELS}, "expansion": {"mbconv": EXPANSIONS}}
space = CellSpace(["mbconv", "skip_connect"], [(i, i + 1) for i in range(6)], numbers=numbers)
cells = space.from_codes(space.sample(150, random_state=0))


def build(cell, width=16):
    layers = []
    for op, kernel, expansion in zip(cell[::3], cell[1::3], cell[2::3], strict=True):
        k, inner = KERNELS[kernel], width * EXPANSIONS[expansion]
        depthwise = nn.Conv2d(inner, inner, k, padding=k // 2, groups=inner)
        block = [nn.Conv2d(width, inner, 1), nn.ReLU6(), depthwise, nn.Conv2d(inner, width, 1)]
        layers += block if op == 0 else []
    return nn.Sequential(*layers)


@torch.inference_mode()
def milliseconds(cells):
    networks, image = [build(cell) for cell in cells], torch.zeros(1, 16, 32, 32)
    rounds = [[min(timeit.repeat(lambda each=each: each(image), number=1, repeat=3))
               for each in networks] for _ in range(8)]  # fmt: skip
    return 1e3 * torch.tensor(rounds).amin(dim=0).numpy()


table = Table("mobile", "own", space, cells, {"latency_ms": milliseconds(cells)})
encodings = ["one-hot", "graf", "graf+flow"]
results = evaluate(table, "latency_ms", encodings, ["rf", "blend"], 64, range(3), progress=False)
print(summarise(results)[["encoding", "predictor", "mean", "ci95"]])

ranked = importances(table, "latency_ms", "graf", train_size=128, data_seeds=0)
print(ranked.nsmallest(5, "rank")[["feature", "importance"]])

graf = GRAF(space).set_output(transform="pandas").fit(cells)
model = make_predictor("rf").fit(graf.transform(cells), table.target("latency_ms"))
changes, _ = what_if(model, cells[0], graf.transform, space)
print(changes[["position", "before", "after", "gain"]].tail(5))


def weights_per_ms(cells):
    return [sum(w.numel() for w in build(c).parameters()) for c in cells] / milliseconds(cells)


run = search(Candidates.of(space, "graf"), weights_per_ms, budget=60, random_state=0)
print(run[["evaluation", "best"]].iloc[19::20])
