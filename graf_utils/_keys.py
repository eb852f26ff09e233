"""One key for everything that is kept: a digest of all that decides a number.

`digest` reads objects the way a person would describe them: plain values and arrays by their
content, functions and classes by their code and by what that code uses, estimators by their class
and their parameters. Code from an installed package goes by the package's name and version; code of
your own (a notebook, a script, a package installed in editable mode) by what it says, so that an
edit changes the key though the name stays.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import importlib.metadata
import inspect
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["NotKeyable", "describe", "digest"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, PurePath)
_INSTALLED = ("site-packages", "dist-packages")


class NotKeyable(ValueError):
    """An object whose content cannot be described, so that nothing may be kept under its name."""


def digest(*objects: Any) -> str:
    """Return a key of what some objects are; equal keys mean the same numbers.

    Parameters
    ----------
    *objects : object
        Values, arrays, frames, functions, classes, estimators, and containers of these.

    Returns
    -------
    str
        SHA-256 in hexadecimal. It holds for one version of Python.

    Raises
    ------
    NotKeyable
        Something in it cannot be described; the message names it.
    """
    described = [list(sys.version_info[:2]), describe(objects)]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def describe(value: Any) -> Any:
    """Describe a value by what JSON can hold; see `digest`."""
    return _Describer().describe(value)


class _Describer:
    """One description; what was described before is named by its number, so that circles end."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # so that an id is not used again meanwhile

    def describe(self, value: Any) -> Any:
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        if id(value) in self.seen:
            return ["seen", self.seen[id(value)]]
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return self._describe(value)

    def _describe(self, value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return self._array(np.asarray(value))
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            return self._frame(value)
        if isinstance(value, Mapping):
            items = [[self.describe(k), self.describe(v)] for k, v in value.items()]
            return [type(value).__name__, items]
        if isinstance(value, list | tuple | set | frozenset):
            parts = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
            return [type(value).__name__, [self.describe(part) for part in parts]]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__, _version(value.__name__)]
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, types.BuiltinFunctionType | np.ufunc):
            return ["built in", getattr(value, "__module__", None), value.__name__]
        if isinstance(value, types.MethodType):
            return ["method", self.describe(value.__self__), self.describe(value.__func__)]
        if inspect.isfunction(value):
            return self._function(value)
        if isinstance(value, functools.partial):
            return ["partial", self.describe([value.func, value.args, value.keywords])]
        if isinstance(value, functools._lru_cache_wrapper):  # what it has kept decides nothing
            return ["cached", self.describe(value.__wrapped__)]
        return self._instance(value)

    def _array(self, array: np.ndarray) -> Any:
        if array.dtype.hasobject:
            return ["array", list(array.shape), [self.describe(v) for v in array.ravel().tolist()]]
        content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return ["array", str(array.dtype), list(array.shape), content]

    def _frame(self, frame: Any) -> Any:
        if isinstance(frame, pd.Index):
            return [type(frame).__name__, self._array(frame.to_numpy())]
        axes = [self._frame(axis) for axis in frame.axes]
        columns = frame.items() if isinstance(frame, pd.DataFrame) else [(None, frame)]
        return [type(frame).__name__, axes, [self._array(v.to_numpy()) for _, v in columns]]

    def _function(self, function: Any) -> Any:
        name = [function.__module__, function.__qualname__]
        if _is_installed(function.__module__):
            return ["function", *name, _version(function.__module__)]
        code = function.__code__
        defaults = [function.__defaults__, function.__kwdefaults__, vars(function)]
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        used = {
            name: function.__globals__[name]
            for name in sorted(_names(code))
            if name in function.__globals__
        }
        return ["function", *name, *map(self.describe, (code, defaults, cells, used))]

    def _code(self, code: types.CodeType) -> Any:
        constants = code.co_consts
        if constants and isinstance(constants[0], str):  # a docstring decides nothing
            constants = constants[1:]
        names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars)]
        return ["code", code.co_code.hex(), names, [self.describe(part) for part in constants]]

    def _class(self, cls: type) -> Any:
        name = [cls.__module__, cls.__qualname__]
        if _is_installed(cls.__module__):
            return ["class", *name, _version(cls.__module__)]
        skipped = {"__doc__", "__dict__", "__weakref__", "__module__", "__annotations__"}
        skipped |= {"__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"}
        skipped |= {"__slotnames__"}  # which pickle adds to a class when it is first used
        members = []
        for key, member in vars(cls).items():
            if key in skipped:
                continue
            if isinstance(member, staticmethod | classmethod):
                member = member.__func__
            elif isinstance(member, property):
                member = [member.fget, member.fset]
            elif isinstance(member, functools.cached_property):
                member = member.func
            elif inspect.isdatadescriptor(member) or inspect.ismethoddescriptor(member):
                continue  # slots
            members.append([key, self.describe(member)])
        return ["class", *name, [self.describe(base) for base in cls.__bases__], members]

    def _instance(self, value: Any) -> Any:
        described = self.describe(type(value))
        if hasattr(value, "get_params"):  # an estimator is its class and its parameters
            return ["estimator", described, self.describe(value.get_params(deep=False))]
        if isinstance(value, np.random.RandomState):
            return ["instance", described, self.describe(value.get_state())]
        if isinstance(value, np.random.Generator):
            return ["instance", described, self.describe(value.bit_generator.state)]
        if type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach"):  # a tensor
            return ["instance", described, self._array(value.detach().cpu().numpy())]
        state = getattr(value, "__dict__", None)
        if state is None or _is_installed(type(value).__module__):
            state = self._reduced(value)
        return ["instance", described, self.describe(state)]

    def _reduced(self, value: Any) -> Any:
        """What a pickle of the object would hold, unpickled by nobody."""
        try:
            by_type = copyreg.dispatch_table.get(type(value))
            reduced = by_type(value) if by_type else value.__reduce_ex__(2)
        except Exception as error:
            raise NotKeyable(
                f"{value!r:.80} of type {type(value).__name__} cannot be described ({error!s:.80})."
            ) from error
        return reduced if isinstance(reduced, str) else list(reduced[:3])


def _names(code: types.CodeType) -> set[str]:
    """Names that a function looks up, in the functions inside it as well."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


@functools.cache
def _is_installed(module: str | None) -> bool:
    """Whether a module is of Python or of an installed package, and so told by its version."""
    top = (module or "").split(".")[0]
    if top == "__main__":  # one's own, though it may have been started by an installed program
        return False
    if top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    return file is not None and any(folder in Path(file).parts for folder in _INSTALLED)


@functools.cache
def _version(module: str | None) -> str:
    """Version of the package that a module belongs to."""
    top = (module or "").split(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    version = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(version, str):
        return version
    names = importlib.metadata.packages_distributions().get(top, [])
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(names))
