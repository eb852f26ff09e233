"""Scores of networks that are no cells: built by a function, a loss of one's own, in workers."""

import torch
from torch import nn

from graf_utils.scoring import score
from graf_utils.spaces import CellSpace

space = CellSpace(["tanh", "gelu", "relu"], [(0, 1), (1, 2), (2, 3)], name="perceptrons")
ACTIVATIONS = [nn.Tanh, nn.GELU, nn.ReLU]


def build(cell):
    layers = [nn.Sequential(nn.Linear(20, 20), ACTIVATIONS[op]()) for op in cell]
    return nn.Sequential(*layers, nn.Linear(20, 1))


def loss(outputs, targets):
    return nn.functional.huber_loss(outputs[:, 0], targets)


if __name__ == "__main__":
    vectors = torch.randn(32, 20, generator=torch.Generator().manual_seed(0))
    scores = score(
        space.enumerate()[:6], ["params", "flops", "snip", "grad_norm", "nwot"], space=space,
        build=build, loss=loss, batch=(vectors, vectors.mean(axis=1)), n_jobs=2,
    )  # fmt: skip
    print(scores.to_string())
