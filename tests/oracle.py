"""GRAF and flow by the book: plain networkx, one architecture and one set of operations at a time.

Written from the definitions only, with no array and nothing of `graf_utils.features`. Tests and
`benchmarks/spaces.py` compare the fast implementation with it.
"""

from __future__ import annotations

import statistics
from itertools import combinations, pairwise

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


def node_oracle(graph, operations, *, variant="paper"):
    """Features of one graph with operations on nodes, the ends labelled input and output."""
    ops = dict(graph.nodes(data="op"))
    (start,) = (v for v in graph if ops[v] == "input")
    (end,) = (v for v in graph if ops[v] == "output")
    inner = [op for op in operations if op not in ("input", "output")]
    features = {f"op_count[{op}]": list(ops.values()).count(op) for op in operations}
    for chosen in [c for k in range(1, len(inner) + 1) for c in combinations(inner, k)]:
        name = "+".join(chosen)
        inside = graph.subgraph([v for v in graph if ops[v] in chosen] + [start, end])
        try:
            features[f"min_path_len[{name}]"] = nx.shortest_path_length(inside, start, end)
        except nx.NetworkXNoPath:
            features[f"min_path_len[{name}]"] = len(graph)
        if variant == "allowed":
            features[f"max_path_len[{name}]"] = max(longest(inside, start, end) - 1, 0)
        else:
            ranked = []
            for path in nx.all_simple_paths(graph, start, end):
                count = sum(ops[v] in chosen for v in path[1:])
                ranked.append((len(path) - 1 - 2 * count, count))
            features[f"max_path_len[{name}]"] = min(ranked)[1]
        features[f"input_degree[{name}]"] = sum(ops[v] in chosen for v in graph.successors(start))
        features[f"output_degree[{name}]"] = sum(ops[v] in chosen for v in graph.predecessors(end))
        for family, side in (("mean_in_degree", 0), ("mean_out_degree", 1)):
            edges = [edge for edge in graph.edges if ops[edge[side]] in chosen]
            features[f"{family}[{name}]"] = len(edges) / len(graph)
    return features


def darts_oracle(cells, operations, *, variant="paper"):
    """Features of a pair of DARTS cells; the edges into c_{k} are labelled out."""
    features = {}
    for cell, graph in cells.items():
        labels = [op for _, _, op in graph.edges(data="op")]
        for op in ("out", *operations):
            features[f"{cell}.op_count[{op}]"] = labels.count(op)
        for chosen in [
            c for k in range(1, len(operations) + 1) for c in combinations(operations, k)
        ]:
            name = "+".join(chosen)
            inside = graph.edge_subgraph(
                [(u, v) for u, v, op in graph.edges(data="op") if op in (*chosen, "out")]
            )
            for source in ("c_{k-2}", "c_{k-1}"):
                if variant == "paper":
                    length = most_inside(graph, chosen, source, "c_{k}") if source in graph else 0
                else:
                    there = source in inside
                    length = max(longest(inside, source, "c_{k}") - 1, 0) if there else 0
                features[f"{cell}.max_path_len.{source}[{name}]"] = length
                features[f"{cell}.input_degree.{source}[{name}]"] = sum(
                    op in chosen for _, _, op in graph.out_edges(source, data="op")
                )
            mean = sum(op in chosen for op in labels) / 7
            features[f"{cell}.mean_in_degree[{name}]"] = mean
            features[f"{cell}.mean_out_degree[{name}]"] = mean
    return features


def macro_oracle(layers):
    """Features of a chain of TransNAS-Bench-101 layers."""
    kinds = ("plain", "channel", "stride", "channel+stride")
    features = {f"op_count[{kind}]": layers.count(i) for i, kind in enumerate(kinds, 1)}
    for family, codes in (("channel_doublings", (2, 4)), ("strides", (3, 4))):
        for i in range(6):
            seen = sum(layer in codes for layer in layers[: i + 1])
            features[f"{family}[{i}]"] = seen if i < len(layers) else 0
    return features


def space_oracle(space, architecture, *, variant="paper"):
    """Features of one architecture of any space."""
    if space.name == "tnb101-macro":
        return macro_oracle(architecture)
    graph = space.to_networkx(architecture)
    if space.name == "darts":
        return darts_oracle(graph, space.operations, variant=variant)
    if space.free:
        return node_oracle(graph, space.labels, variant=variant)
    ends = {"input": min(graph), "output": max(graph)}
    return graf_oracle(graph, space.operations, **ends, variant=variant)


# --- flow: one path after the other ---------------------------------------------------------------


def flow_oracle(batch, row, sets, *, longest):
    """Flow of one graph of a batch as a dict name -> value, from a list of its live paths.

    `sets` maps a name to operations; `longest` is the last column of the histogram.
    """
    graph = batch.to_networkx(row)
    ops = dict(graph.nodes(data="op"))
    counted = []
    for path in live_paths(graph, batch, row):
        if batch.node_ops is None:
            labels = [graph.edges[edge]["op"] for edge in pairwise(path)]
        else:
            labels = [ops[node] for node in path[1:]]
        counted.append([label for label in labels if label not in batch.free])
    return flow_of_paths(counted, sets, longest=longest)


def flow_of_paths(paths, sets, *, longest):
    """Flow of one graph, from the labels on each of its live paths."""
    features = {"live_paths": len(paths)}
    for name, members in sets.items():
        k = [sum(label in members for label in labels) for labels in paths]
        features[f"flow_sum[{name}]"] = sum(k)
        features[f"flow_mean[{name}]"] = statistics.fmean(k) if k else 0
        features[f"flow_std[{name}]"] = statistics.pstdev(k) if k else 0
        features[f"flow_min[{name}]"] = min(k, default=0)
        features[f"flow_max[{name}]"] = max(k, default=0)
        for length in range(longest + 1):
            features[f"flow_n{length}[{name}]"] = k.count(length)
    return features


def live_paths(graph, batch, row):
    """All input-output paths of one graph that go over no dead label, as lists of nodes."""
    ops = dict(graph.nodes(data="op"))
    end = batch.output if batch.ends is None else int(batch.ends[row])
    for start in batch.inputs:
        if start not in graph or end not in graph:
            continue
        for path in nx.all_simple_paths(graph, start, end):
            labels = [ops[node] for node in path if ops[node]]
            labels += [graph.edges[edge].get("op") for edge in pairwise(path)]
            if not set(labels) & set(batch.dead):
                yield path
