"""From an architecture to its network, with all that decides it in one object."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from graf_utils._checks import nearest, whole_number
from graf_utils.networks.darts_cells import DARTS_OPERATIONS, darts_network
from graf_utils.networks.edge_cells import OPERATIONS, nb201_network, tnb101_micro_network
from graf_utils.networks.node_cells import NODE_OPERATIONS, nb101_network
from graf_utils.spaces import DARTS, NB101, NB201, CellSpace, SearchSpace, TNB101Micro, get_space

__all__ = ["NETWORKS", "Builder", "FunctionBuilder", "Skeleton", "build_network"]


class Skeleton(NamedTuple):
    """How the networks of a search space are made, and of which operations.

    Parameters
    ----------
    make : callable
        ``make(space, code, operations=..., classes=..., in_channels=...)``, with ``width=`` and
        ``cells=`` if they are asked for, returns a `torch.nn.Sequential` whose last module is the
        classifier. `code` is one architecture as the space's `from_codes` returns it.
    operations : mapping of str to callable
        What the names of operations stand for. `make` reads them from its argument and never from
        a registry, so that a worker process builds what the calling process would.
    """

    make: Callable[..., nn.Sequential]
    operations: Mapping[str, Callable[..., nn.Module | None]]


NETWORKS: dict[type[SearchSpace], Skeleton | Callable[..., nn.Sequential]] = {
    NB201: Skeleton(nb201_network, OPERATIONS),
    NB101: Skeleton(nb101_network, NODE_OPERATIONS),
    DARTS: Skeleton(darts_network, DARTS_OPERATIONS),
    TNB101Micro: Skeleton(tnb101_micro_network, OPERATIONS),
    CellSpace: Skeleton(nb201_network, OPERATIONS),
}
"""Skeletons by the class of their search space.

For a space of your own add a `Skeleton`, or just its function; a function that takes
``operations=`` is given those of `OPERATIONS`.
"""


class Builder:
    """Builds the networks of a search space.

    All that decides a network is looked up here, once: the skeleton, the operations and the sizes.
    A builder can be sent to another process, which then builds the same networks whatever its own
    registries say.

    Parameters
    ----------
    space : str or SearchSpace
        A space of `NETWORKS`, or a `CellSpace` of your own with operations on edges.
    operations : mapping of str to callable, optional
        Operations that take the place of those in the registry of the space (`OPERATIONS`,
        `DARTS_OPERATIONS` or `NODE_OPERATIONS`, which say how such a function is called).
    width, cells : int, optional
        Channels C and cells per stage; by default the benchmark's.
    classes, in_channels : int
        Outputs of the classifier and channels of the images.

    Raises
    ------
    ValueError
        The space has no skeleton, an operation is missing or unknown, or a size is not a whole
        number of at least 1.

    Examples
    --------
    >>> build = Builder("nb201", width=4, cells=1)
    >>> build((2, 3, 0, 4, 2, 1), random_state=0)[-1].out_features
    10
    """

    def __init__(
        self,
        space: str | SearchSpace = "nb201",
        *,
        operations: Mapping[str, Callable[..., nn.Module | None]] | None = None,
        width: int | None = None,
        cells: int | None = None,
        classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        self.space = get_space(space)
        sizes = {"classes": classes, "in_channels": in_channels, "width": width, "cells": cells}
        self.sizes = {
            name: whole_number(name, value, 1) for name, value in sizes.items() if value is not None
        }
        skeleton = _skeleton(self.space)
        replaced = _checked(self.space, operations)
        if isinstance(skeleton, Skeleton):
            self.make = skeleton.make
            self.operations = _of_space(self.space, {**skeleton.operations, **replaced})
        else:
            self.make = skeleton
            self.operations = {**OPERATIONS, **replaced} if _takes_operations(skeleton) else None
        if replaced and self.operations is None:
            raise ValueError(
                f"operations={sorted(replaced)}: the function for {self.space.name!r} in "
                "graf_utils.networks.NETWORKS takes no operations. Give it an argument "
                "'operations', or leave operations= out."
            )

    def __call__(self, architecture: Any, random_state: int | None = None) -> nn.Sequential:
        """Build the network of one architecture.

        Parameters
        ----------
        architecture : tuple or str
            As the space takes it.
        random_state : int, optional
            Seed of the weights. If it is given, PyTorch's global generator is left as it was.

        Returns
        -------
        torch.nn.Sequential
            The last module is the classifier.

        Raises
        ------
        ValueError
            The architecture is none of the space, the width does not suffice for it,
            `random_state` is not a whole number, or a skeleton of your own makes no network.
        """
        (code,) = self.space.from_codes([architecture])
        options = dict(self.sizes)
        if self.operations is not None:
            options["operations"] = self.operations
        with _weights_of(random_state):
            return self._made(code, options)

    def _made(self, code: tuple[Any, ...], options: dict[str, Any]) -> nn.Sequential:
        """The network that the skeleton makes, which must be one."""
        network = self.make(self.space, code, **options)
        if not isinstance(network, nn.Module):
            raise ValueError(
                f"the function for {self.space.name!r} in graf_utils.networks.NETWORKS returned "
                f"{type(network).__name__}; it must return a torch.nn.Sequential."
            )
        return network


class FunctionBuilder:
    """Builds the networks of a search space by a function of your own.

    Parameters
    ----------
    function : callable
        From an architecture, the tuple that the space's `from_codes` returns, to a
        `torch.nn.Module`.
    space : str or SearchSpace
        How architectures are read.

    Raises
    ------
    ValueError
        It is no function of one argument, or makes no network.

    Examples
    --------
    >>> build = FunctionBuilder(lambda code: nn.Linear(4, sum(code)))
    >>> build((2, 3, 0, 4, 2, 1), random_state=0).out_features
    12
    """

    operations = None

    def __init__(self, function: Callable[[Any], nn.Module], space: str | SearchSpace = "nb201"):
        self.space, self.make, self.sizes = get_space(space), function, {}
        try:
            inspect.signature(function).bind(None)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"build={function!r:.80} must be a function of one argument, an architecture, that "
                "returns a torch.nn.Module. Fix others with functools.partial(function, width=8)."
            ) from error

    def __call__(self, architecture: Any, random_state: int | None = None) -> nn.Module:
        """Build the network of one architecture.

        Parameters
        ----------
        architecture : tuple or str
            As the space takes it.
        random_state : int, optional
            Seed of the weights, as in `Builder`.

        Returns
        -------
        torch.nn.Module

        Raises
        ------
        ValueError
            The architecture is none of the space, or the function returned no module. Errors of
            the function are raised as they are.
        """
        (code,) = self.space.from_codes([architecture])
        with _weights_of(random_state):
            return self.checked(code, self.make(code))

    def checked(self, code: tuple[Any, ...], network: Any) -> nn.Module:
        """Return a network that the function made, if it is one.

        Parameters
        ----------
        code : tuple
            The architecture.
        network : object
            What the function returned.

        Returns
        -------
        torch.nn.Module

        Raises
        ------
        ValueError
            It is no module.
        """
        if not isinstance(network, nn.Module):
            raise ValueError(
                f"build({code}) returned {type(network).__name__}; it must return a "
                "torch.nn.Module, which is scored with the weights that it has."
            )
        return network


@contextlib.contextmanager
def _weights_of(random_state: int | None) -> Iterator[None]:
    """Seed the weights, and leave PyTorch's global generator as it was."""
    if random_state is None:
        yield
        return
    seed = whole_number("random_state", random_state, -(2**63), 2**63 - 1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed GPUs too
        yield


def build_network(
    architecture: Any,
    space: str | SearchSpace = "nb201",
    width: int | None = None,
    cells: int | None = None,
    classes: int = 10,
    in_channels: int = 3,
    random_state: int | None = None,
    operations: Mapping[str, Callable[..., nn.Module | None]] | None = None,
) -> nn.Sequential:
    """Build the network of one architecture, with the skeleton's initial weights.

    Parameters
    ----------
    architecture : tuple or str
        As the space takes it.
    space : str or SearchSpace
        A space of `NETWORKS`, or a `CellSpace` of your own with operations on edges that are in
        `OPERATIONS` or in `operations`; that one gets the skeleton of NAS-Bench-201.
    width, cells : int, optional
        Channels C and cells per stage, by default the benchmark's: see the table at the top of
        `graf_utils.networks`. In `darts` these are the channels of a node and the normal cells; a
        network has 3 * cells + 2 cells in all.
    classes, in_channels : int
        Outputs of the classifier and channels of the images. Images may have any size that can be
        halved twice.
    random_state : int, optional
        Seed of the weights. If it is given, PyTorch's global generator is left as it was.
    operations : mapping of str to callable, optional
        Operations that take the place of those in the registry of the space.

    Returns
    -------
    torch.nn.Sequential
        The last module is the classifier. Build under ``torch.device("meta")`` to count
        parameters without spending memory.

    Raises
    ------
    ValueError
        The space has no skeleton here, an operation is missing or unknown, a number is not a
        positive whole number, or `width` is smaller than the number of nodes that share it
        (`nb101`).
    """
    build = Builder(
        space,
        operations=operations,
        width=width,
        cells=cells,
        classes=classes,
        in_channels=in_channels,
    )
    return build(architecture, random_state)


def _skeleton(space: SearchSpace) -> Skeleton | Callable[..., nn.Sequential]:
    """The skeleton of a space: that of the nearest of its classes."""
    kind = next((kind for kind in type(space).__mro__ if kind in NETWORKS), None)
    if kind is None or (kind is CellSpace and not _is_plain(space)):
        names = [kind.name if hasattr(kind, "name") else kind.__name__ for kind in NETWORKS]
        raise ValueError(
            f"space {space.name!r} cannot be built: there is a skeleton for {names}, the last with "
            "operations on edges, one input, one size, and neither parallel edges nor numbers to "
            "choose. Add yours: "
            f"graf_utils.networks.NETWORKS[{type(space).__name__}] = function, a function of "
            "(space, code, operations, classes, in_channels, width, cells) that returns a "
            "torch.nn.Sequential."
        )
    return NETWORKS[kind]


def _is_plain(space: Any) -> bool:
    """Whether a `CellSpace` has a tuple of one operation for each edge and one input."""
    one_each = space.ops_on == "edges" and len(set(space.edges)) == len(space.edges)
    return one_each and len(space.input_nodes) == len(space.sizes) == 1 and not space.chosen


def _takes_operations(make: Callable[..., nn.Sequential]) -> bool:
    """Tell whether a skeleton's function can be given the operations."""
    parameters = inspect.signature(make).parameters.values()
    return any(p.name == "operations" or p.kind is p.VAR_KEYWORD for p in parameters)


def _checked(space: SearchSpace, operations: Any) -> dict[str, Callable[..., nn.Module | None]]:
    """The operations that the user passes, each of them one of the space's."""
    if operations is None:
        return {}
    if not isinstance(operations, Mapping):
        raise ValueError(
            f"operations={operations!r:.80} must be a mapping of a name to a function, such as "
            f"{{{space.operations[-1]!r}: function}}."
        )
    for name, operation in operations.items():
        if name not in space.operations:
            raise ValueError(
                f"operations: {name!r} is no operation of {space.name!r}; it has "
                f"{list(space.operations)}.{nearest(name, space.operations)}"
            )
        if not callable(operation):
            raise ValueError(
                f"operations: {name!r} is {operation!r:.80}; it must be a function that returns a "
                "torch.nn.Module."
            )
    return dict(operations)


def _of_space(
    space: SearchSpace, operations: dict[str, Callable[..., nn.Module | None]]
) -> dict[str, Callable[..., nn.Module | None]]:
    """Those operations that a space has; a cell space of one's own must find all of them."""
    missing = [name for name in space.operations if name not in operations]
    if missing and isinstance(space, CellSpace):
        raise ValueError(
            f"space {space.name!r} cannot be built: operations {missing} are not in "
            "graf_utils.networks.OPERATIONS. Add them there, or pass "
            f"operations={{{missing[0]!r}: function}}, a function of (c_in, c_out, stride) that "
            "returns a torch.nn.Module."
        )
    return {name: operations[name] for name in space.operations if name in operations}
