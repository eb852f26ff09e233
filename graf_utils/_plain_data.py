"""Plain data in files of Python's pickle format, read without ever running what they hold.

Some benchmarks publish lists and dictionaries this way. Unpickling a file may call any function
that it names. Here the file is disassembled with `pickletools` instead, and only the opcodes that
build lists, dictionaries, tuples, texts, numbers and NumPy scalars are known; nothing is imported
or called, and any other opcode is an error.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_plain_data"]

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = (
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE",
    "SHORT_BINBYTES", "BINBYTES", "SHORT_BINSTRING",
)  # fmt: skip
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = ("PROTO", "FRAME", "STOP")
_NAMES = {
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy", "dtype"): "dtype",
}
_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class _Name(str):
    """A function that the file names; it is never looked up."""

    __slots__ = ()


def read_plain_data(path: str | Path) -> Any:
    """Read what a file of plain data holds.

    Parameters
    ----------
    path : path
        A file in the pickle format.

    Returns
    -------
    object
        Lists, dictionaries, tuples, texts, numbers, None, True and False.

    Raises
    ------
    ValueError
        The file is damaged, or holds anything else; what, and where, is said.
    OSError
        It cannot be read.
    """
    machine = _Machine()
    try:
        for opcode, argument, machine.at in pickletools.genops(Path(path).read_bytes()):
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not plain data at byte {machine.at}: {error}. Only lists, dictionaries, "
            "texts and numbers are read; do not unpickle the file."
        ) from error
    if len(machine.stack) != 1:
        raise ValueError(f"{path} ends with {len(machine.stack)} values instead of one.")
    return machine.stack[0]


class _Machine:
    """The stack and the memo of the format."""

    def __init__(self) -> None:
        self.at: int | None = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Do one opcode."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[int(argument)])
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[int(argument)] = self.stack[-1]
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name not in _IGNORED:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        """An opcode that takes values from the stack."""
        if name in ("APPEND", "APPENDS"):
            values = self._since_mark() if name == "APPENDS" else [self.stack.pop()]
            list.extend(self.stack[-1], values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self._since_mark() if name == "SETITEMS" else self._last(2)
            dict.update(self.stack[-1], zip(values[::2], values[1::2], strict=True))
        elif name in _TUPLES or name == "TUPLE":
            values = self._since_mark() if name == "TUPLE" else self._last(_TUPLES[name])
            self.stack.append(tuple(values))
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            parts = tuple(argument.split(" ")) if name == "GLOBAL" else tuple(self._last(2))
            if parts not in _NAMES:
                raise ValueError(f"it asks for {'.'.join(map(str, parts))}")
            self.stack.append(_Name(_NAMES[parts]))
        elif name == "REDUCE":
            function, arguments = self._last(2)
            self.stack.append(_numpy(function, arguments))
        elif name == "BUILD":  # the byte order of a dtype
            state = self.stack.pop()
            if not isinstance(self.stack[-1], np.dtype) or state[1] not in ("<", "|"):
                raise ValueError(f"it sets the state of {type(self.stack[-1]).__name__}")
        else:
            raise ValueError(f"opcode {name} builds something else")

    def _last(self, n: int) -> list[Any]:
        """The last values of the stack, which are taken away."""
        values = self.stack[-n:]
        if len(values) < n or _MARK in values:
            raise ValueError("values are missing")
        del self.stack[-n:]
        return values

    def _since_mark(self) -> list[Any]:
        """The values above the last mark, which are taken away with it."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values


def _numpy(function: Any, arguments: tuple[Any, ...]) -> Any:
    """A NumPy type, or a scalar of one as a Python number."""
    if not isinstance(function, _Name):
        raise ValueError("it calls something")
    if function == "dtype":
        if arguments[0] not in _TYPES:
            raise ValueError(f"it holds NumPy values of type {arguments[0]!r}")
        return np.dtype(arguments[0])
    dtype, content = arguments
    if isinstance(content, str):  # written by an old protocol
        content = content.encode("latin1")
    if not isinstance(dtype, np.dtype) or len(content) != dtype.itemsize:
        raise ValueError("it holds a damaged NumPy scalar")
    return np.frombuffer(content, dtype)[0].item()
