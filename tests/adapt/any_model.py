"""Networks that are no cells: any PyTorch module is traced, described, and predicted."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from graf_utils import Table, evaluate, summarise
from graf_utils.operators import OperatorFeatures, OperatorGraph


class Block(nn.Module):
    def __init__(self, width, activation, residual):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), activation)
        self.residual = residual

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


rng = np.random.default_rng(0)
x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
graphs, spread = [], []
for seed in range(80):
    torch.manual_seed(seed)
    width, depth = int(rng.choice([16, 32, 64])), int(rng.integers(1, 9))
    activation = [nn.ReLU(), nn.GELU(), nn.Tanh()][rng.integers(3)]
    blocks = [Block(width, activation, rng.random() < 0.5) for _ in range(depth)]
    model = nn.Sequential(nn.Linear(8, width), *blocks, nn.Linear(width, 1))
    graphs.append(OperatorGraph.from_module(model, (x,)))
    with torch.no_grad():
        spread.append(float(model[:-1](x).std().log()))

features = OperatorFeatures(drop_redundant=True).fit_transform(graphs)
table = Table.from_features("networks", features, pd.DataFrame({"log_std": spread}))
results = evaluate(table, "log_std", "own-features", ["rf", "blend"], 40, range(3))
print(summarise(results).to_string())
