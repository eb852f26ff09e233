"""Networks that are expressions of a nested grammar: read into graphs, described, predicted."""

import numpy as np
import torch
from torch import nn

from graf_utils import Table, evaluate, summarise
from graf_utils.operators import Layer, OperatorFeatures, OperatorGraph

# The grammar: M -> (linear) | (layer_norm) | (gelu) | (sequence M M) | (branch M M) | (residual M)
W = 32  # numbers that flow
LEAVES = {"linear": lambda: nn.Linear(W, W), "layer_norm": lambda: nn.LayerNorm(W), "gelu": nn.GELU}
KINDS = {"linear": "linear", "layer_norm": "normalisation", "gelu": "activation"}
WEIGHTS = {"linear": W * (W + 1), "layer_norm": 2 * W}
PARTS = {"sequence": 2, "branch": 2, "residual": 1}


def draw(rng, depth):
    rule = str(rng.choice(list(LEAVES) if not depth else [*LEAVES, *PARTS]))
    return (rule, *(draw(rng, depth - 1) for _ in range(PARTS.get(rule, 0))))


# What an adapter replaces: add the layers of an expression, return the name of the last.
def read(expression, layers, source="input"):
    rule, *parts = expression
    if rule == "sequence":
        return read(parts[1], layers, read(parts[0], layers, source))
    ends = [read(part, layers, source) for part in parts]
    inputs = tuple(ends) if rule == "branch" else (*ends, source)
    name, numbers = f"layer {len(layers)}", {"parameters": WEIGHTS.get(rule, 0)}
    layers.append(Layer(KINDS.get(rule, "add"), numbers, name, inputs, label=rule))
    return name


def graph(expression):
    read(expression, layers := [])
    return OperatorGraph.from_layers(layers)


def run(expression, x):
    rule, *parts = expression
    if rule in LEAVES:
        return LEAVES[rule]()(x)
    if rule == "sequence":
        return run(parts[1], run(parts[0], x))
    return sum(run(part, x) for part in parts) + (x if rule == "residual" else 0)


rng = np.random.default_rng(0)
torch.manual_seed(0)
networks = list(dict.fromkeys(draw(rng, 7) for _ in range(1_000)))[:200]
spread = [run(n, torch.randn(64, W)).std().log().item() for n in networks]
features = OperatorFeatures(drop_redundant=True).fit_transform(map(graph, networks))
table = Table.from_features("expressions", features, {"log_std": spread})
results = evaluate(table, "log_std", "own-features", ["rf", "blend"], 64, range(3))
print(features.shape, summarise(results).to_string())
