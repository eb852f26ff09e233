"""GRAF by the book: plain networkx, one architecture and one set of operations at a time.

Written from the definitions only, with no array and nothing of `graf_utils.features`. Tests and
`benchmarks/features.py` compare the fast implementation with it.
"""

from __future__ import annotations

from itertools import combinations

import networkx as nx


def graf_oracle(graph, operations, *, input, output, variant="paper"):
    """Features of one graph with operations on edges, as a dict name -> value."""
    features = {
        f"op_count[{op}]": sum(o == op for _, _, o in graph.edges(data="op")) for op in operations
    }
    sets = [c for k in range(1, len(operations) + 1) for c in combinations(operations, k)]
    for chosen in sets:
        name = "+".join(chosen)
        inside = nx.DiGraph((u, v) for u, v, op in graph.edges(data="op") if op in chosen)
        inside.add_nodes_from(graph)
        features[f"min_path_len[{name}]"] = shortest(inside, input, output)
        if variant == "allowed":
            features[f"max_path_len[{name}]"] = longest(inside, input, output)
        else:
            features[f"max_path_len[{name}]"] = most_inside(graph, chosen, input, output)
        features[f"input_degree[{name}]"] = inside.out_degree(input)
        features[f"output_degree[{name}]"] = inside.in_degree(output)
        mean = sum(degree for _, degree in inside.in_degree) / len(graph)
        features[f"mean_in_degree[{name}]"] = features[f"mean_out_degree[{name}]"] = mean
    return features


def shortest(inside, input, output):
    """Edges of the shortest path that stays inside; nodes + 1 if there is none."""
    try:
        return nx.shortest_path_length(inside, input, output)
    except nx.NetworkXNoPath:
        return len(inside) + 1


def longest(inside, input, output):
    """Edges of the longest path that stays inside; 0 if there is none."""
    return max((len(p) - 1 for p in nx.all_simple_paths(inside, input, output)), default=0)


def most_inside(graph, chosen, input, output):
    """Edges inside on the path of least (outside - inside); the fewest inside among ties."""
    ranked = []
    for path in nx.all_simple_edge_paths(graph, input, output):
        count = sum(graph.edges[edge]["op"] in chosen for edge in path)
        ranked.append((len(path) - 2 * count, count))
    return min(ranked)[1] if ranked else 0
