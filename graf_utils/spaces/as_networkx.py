"""A cell of a `CellSpace` as a networkx graph, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx

if TYPE_CHECKING:
    from graf_utils.spaces.cell_codes import CellCodes

__all__ = ["from_networkx"]


def from_networkx(space: CellCodes, graph: Any) -> tuple[int, ...]:
    """Read a cell from a graph like the one `CellSpace.to_networkx` gives.

    Parameters
    ----------
    space : CellSpace
    graph : networkx.DiGraph or networkx.MultiDiGraph
        See `CellSpace.from_networkx`.

    Returns
    -------
    tuple of int
        The code, without padding.

    Raises
    ------
    ValueError
        Another wiring, or an operation or a number that is missing or unknown.
    """
    places = _places(space, graph)
    code = []
    for place, attributes in places:
        op = attributes.get("op")
        number = space._operation_id(op, f"{place} has op={op!r}: ")
        code.append(number)
        for name in space.chosen:
            few, given = space.numbers[name].get(op, ()), attributes.get(name)
            if given not in (few or (None,)):
                raise ValueError(
                    f"{place} has {name}={given!r}; {op!r} has {list(few) or 'none'}. Set the "
                    f"attribute {name!r} to one of these."
                )
            code.append(few.index(given) if few else 0)
    return tuple(code)


def _places(space: CellCodes, graph: Any) -> list[tuple[Any, dict[str, Any]]]:
    """The edges or inner nodes of a graph with their attributes, in the order of the code."""
    is_directed = isinstance(graph, nx.DiGraph)
    edges = sorted((source, target) for source, target, *_ in graph.edges) if is_directed else None
    for size in space.sizes:
        last = space.nodes[0] + size - 1
        wiring = [edge for edge in space.edges if edge[1] <= last]
        if edges != sorted(wiring):
            continue
        if space.ops_on == "nodes":
            inner = [node for node in space.nodes[: size - 1] if node not in space.input_nodes]
            return [(node, graph.nodes[node]) for node in inner]
        parallel = {edge: iter(_attributes(graph, edge)) for edge in wiring}
        return [(edge, next(parallel[edge])) for edge in wiring]
    shown = edges if is_directed else type(graph).__name__
    smaller = f", or those of its first {space.sizes[0]} nodes" if len(space.sizes) > 1 else ""
    raise ValueError(
        f"graph has edges {shown}; a {space.title} cell is a networkx.DiGraph with the edges "
        f"{list(space.edges)}{smaller}."
    )


def _attributes(graph: Any, edge: tuple[int, int]) -> list[dict[str, Any]]:
    """The attributes of all edges between two nodes, in the order of their keys."""
    data = graph.get_edge_data(*edge)
    return [data[key] for key in sorted(data)] if graph.is_multigraph() else [data]
