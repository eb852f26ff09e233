"""Which axes of a value are its channels, followed through operations that move numbers.

A linear layer whose output is cut into queries, keys and values is three linear layers, if the cut
is along its channels. Reshapes and permutations between the two decide that.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Axes", "axes_after", "axes_after_part", "axes_of"]

Axes = tuple[bool, ...] | None
"""For each axis, whether it is made of channels alone; None where it is not known."""


def axes_of(n_axes: int, channel: int) -> Axes:
    """Return the axes of a value whose channels are one axis.

    Parameters
    ----------
    n_axes : int
    channel : int
        The axis; -1 is the last.

    Returns
    -------
    tuple of bool
    """
    return tuple(axis == channel % n_axes for axis in range(n_axes))


def axes_after(
    name: str,
    arguments: dict[str, Any],
    axes: Axes,
    before: tuple[Any, ...],
    after: tuple[Any, ...],
) -> Axes:
    """Return the axes after an operation that moves or copies numbers.

    Parameters
    ----------
    name : str
        The operation.
    arguments : dict
        Its arguments by name.
    axes : Axes
        Those of its input.
    before, after : tuple of int
        Shapes of its input and output.

    Returns
    -------
    Axes
    """
    if axes is None or len(axes) != len(before):
        return None
    if name == "permute":
        return tuple(axes[axis] for axis in arguments["dims"])
    if name in ("transpose", "t"):
        one, two = arguments.get("dim0", 0), arguments.get("dim1", len(axes) - 1)
        swapped = list(axes)
        swapped[one], swapped[two] = axes[two], axes[one]
        return tuple(swapped)
    if name == "unsqueeze":
        axis = arguments["dim"] % len(after)
        return (*axes[:axis], False, *axes[axis:])
    if name == "expand":
        return (*[False] * (len(after) - len(axes)), *axes)
    if before == after:
        return axes
    return _reshaped(axes, before, after)


def axes_after_part(axes: Axes, axis: int, drops: bool) -> Axes:
    """Return the axes of a part of a value.

    Parameters
    ----------
    axes : Axes
    axis : int
        Along which the value is cut.
    drops : bool
        Whether the axis is gone in the part.

    Returns
    -------
    Axes
    """
    if axes is None or not drops:
        return axes
    kept = list(axes)
    del kept[axis]
    return tuple(kept)


def _reshaped(axes: tuple[bool, ...], before: tuple[Any, ...], after: tuple[Any, ...]) -> Axes:
    """The axes after a reshape: those that are merged or cut have the same numbers in both."""
    if not all(isinstance(size, int) for size in (*before, *after)):
        return None
    result: list[bool] = []
    i = j = 0
    while i < len(before) or j < len(after):
        old, new = [i], [j]
        sizes = [before[i] if i < len(before) else 1, after[j] if j < len(after) else 1]
        while sizes[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                if old[-1] + 1 >= len(before):
                    return None
                old.append(old[-1] + 1)
                sizes[0] *= before[old[-1]]
            else:
                if new[-1] + 1 >= len(after):
                    return None
                new.append(new[-1] + 1)
                sizes[1] *= after[new[-1]]
        flags = {axes[axis] for axis in old if axis < len(before) and before[axis] > 1}
        if len(flags) > 1:
            return None
        n_new = sum(axis < len(after) for axis in new)
        result += [bool(flags) and flags.pop()] * n_new
        i, j = old[-1] + 1, new[-1] + 1
    return tuple(result)
