"""Cells of a `CellSpace` by the book: a networkx multigraph, path by path.

Made from the wiring and the tuple of a cell alone, with no array and nothing of `graf_utils`.
"""

from __future__ import annotations

from itertools import combinations

import networkx as nx
from oracle import flow_of_paths


def cell_graph(wiring, inputs, size, places, ops_on="edges"):
    """The cell of the first `size` nodes; `places` are its operations with their numbers.

    `wiring` is a list of pairs of nodes from 0, `places` of pairs (operation, {name: number}).
    """
    graph = nx.MultiDiGraph(end=size - 1, starts=list(inputs), on_nodes=ops_on == "nodes")
    edges = [edge for edge in wiring if edge[1] < size]
    if ops_on == "edges":
        graph.add_nodes_from(range(size))
        for (u, v), (op, numbers) in zip(edges, places, strict=True):
            graph.add_edge(u, v, op=op, numbers=numbers)
        return graph
    inner = iter(places)
    for v in range(size):
        op, numbers = ("input" if v in inputs else "output", {})
        if v not in inputs and v < size - 1:
            op, numbers = next(inner)
        graph.add_node(v, op=op, numbers=numbers)
    graph.add_edges_from(edges)
    return graph


def paths(graph, start):
    """All paths from an input to the end: of each, the (operation, numbers) that lie on it."""
    for path in nx.all_simple_edge_paths(graph, start, graph.graph["end"]):
        if graph.graph["on_nodes"]:
            carriers = [graph.nodes[v] for _, v, _ in path[:-1]]
        else:
            carriers = [graph.edges[edge] for edge in path]
        yield [(each["op"], each["numbers"]) for each in carriers]


def everywhere(graph):
    """The (operation, numbers) of all places."""
    source = graph.nodes if graph.graph["on_nodes"] else graph.edges
    return [(data["op"], data["numbers"]) for *_, data in source.data()]


def graf(graph, operations, variant="paper"):
    """GRAF of one cell, as a dict name -> value."""
    ops = [op for op, _ in everywhere(graph)]
    labels = ["input", "output", *operations] if graph.graph["on_nodes"] else operations
    features = {f"op_count[{op}]": ops.count(op) for op in labels}
    for chosen in (c for k in range(1, len(operations) + 1) for c in combinations(operations, k)):
        features |= of_set(graph, chosen, "+".join(chosen), variant)
    return features


def of_set(graph, chosen, name, variant):
    """The families of one set of operations."""
    end, starts, on_nodes = (graph.graph[key] for key in ("end", "starts", "on_nodes"))
    closing = int(on_nodes)  # the edge into the output, which carries nothing
    features = {}
    for start in starts:
        of_input = f".{start}" if len(starts) > 1 else ""
        found = [[op in chosen for op, _ in path] for path in paths(graph, start)]
        inside = [len(path) for path in found if all(path)]
        nothing = len(graph) + (not on_nodes)
        features[f"min_path_len{of_input}[{name}]"] = min(
            (length + closing for length in inside), default=nothing
        )
        if variant == "allowed":
            longest = max(inside, default=0)
        else:
            ranked = [(len(path) - 2 * sum(path), sum(path)) for path in found]
            longest = min(ranked)[1] if ranked else 0
        features[f"max_path_len{of_input}[{name}]"] = longest
        out = [edge_op(graph, edge, 1) for edge in graph.out_edges(start, keys=True)]
        features[f"input_degree{of_input}[{name}]"] = sum(op in chosen for op in out)
    into = [edge_op(graph, edge, 0) for edge in graph.in_edges(end, keys=True)]
    features[f"output_degree[{name}]"] = sum(op in chosen for op in into)
    for family, side in (("mean_in_degree", 0), ("mean_out_degree", 1)):
        ops = [edge_op(graph, edge, side) for edge in graph.edges(keys=True)]
        features[f"{family}[{name}]"] = sum(op in chosen for op in ops) / len(graph)
    return features


def edge_op(graph, edge, side):
    """The operation of an edge; where operations sit on nodes, of its source or target."""
    return graph.nodes[edge[side]]["op"] if graph.graph["on_nodes"] else graph.edges[edge]["op"]


def numbers(graph, names):
    """Sums and extremes of the numbers, and their least and greatest sums on live paths."""
    features = {}
    for name in names:
        there = [each[name] for _, each in everywhere(graph) if name in each]
        features[f"number_sum[{name}]"] = sum(there)
        features[f"number_min[{name}]"] = min(there, default=0)
        features[f"number_max[{name}]"] = max(there, default=0)
        for start in graph.graph["starts"]:
            of_input = f".{start}" if len(graph.graph["starts"]) > 1 else ""
            sums = [
                sum(each.get(name, 0) for _, each in path)
                for path in paths(graph, start)
                if all(op != "none" for op, _ in path)
            ]
            features[f"path_sum_min{of_input}[{name}]"] = min(sums, default=0)
            features[f"path_sum_max{of_input}[{name}]"] = max(sums, default=0)
    return features


def flow(graph, sets):
    """Flow of one cell without the histogram, as a dict name -> value."""
    live = [
        [op for op, _ in path]
        for start in graph.graph["starts"]
        for path in paths(graph, start)
        if all(op != "none" for op, _ in path)
    ]
    return flow_of_paths(live, sets, longest=8)
