"""One line for each feature of GRAF and flow, made from its name."""

from __future__ import annotations

from typing import Any

from graf_utils.plots.cells import short_name

FAMILIES = {
    "op_count": "How many of the six edges carry {}.",
    "min_path_len": "Edges of the shortest path from in to out that uses only {}; 5 if there is "
    "none.",
    "max_path_len": "Of all paths from in to out, the one on which {} most outnumbers the rest: "
    "how many edges of {} it has (the fewest, if several tie).",
    "input_degree": "Edges with {} that leave the input.",
    "output_degree": "Edges with {} that enter the output.",
    "mean_in_degree": "Edges with {} that enter a node, on average over the four nodes.",
    "mean_out_degree": "Edges with {} that leave a node, on average over the four nodes.",
    "live_paths": "How many paths from in to out have no edge with none.",
    "flow_sum": "Edges with {} on all live paths, added up path by path.",
    "flow_mean": "Edges with {} on a live path, on average.",
    "flow_std": "Standard deviation of the number of edges with {} on a live path.",
    "flow_min": "Edges with {} on the live path that has the fewest.",
    "flow_max": "Edges with {} on the live path that has the most.",
    "flow_n0": "How many live paths have no edge with {}.",
    "flow_n1": "How many live paths have one edge with {}.",
    "flow_n2": "How many live paths have two edges with {}.",
    "flow_n3": "How many live paths have three edges with {}.",
}
"""What each family asks, about a set of operations."""


def _set_in_words(inside: str, space: Any) -> str:
    """Write a set of operations, or a group of the space, as ``skip or conv 3×3``."""
    operations = space.groups.get(inside) or inside.split("+")
    if set(operations) == set(space.operations):
        return "any operation"
    words = [short_name(op) for op in operations]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def meaning(name: str, space: Any) -> str:
    """Say what a feature of a NAS-Bench-201 cell is.

    Parameters
    ----------
    name : str
        As GRAF and flow name it.
    space : SearchSpace
        NAS-Bench-201, for its groups of operations.

    Returns
    -------
    str

    Raises
    ------
    KeyError
        No such feature.
    """
    family, _, inside = name.removesuffix("]").partition("[")
    text = FAMILIES[family]
    return text.replace("{}", _set_in_words(inside, space)) if inside else text
