"""One key for everything that is kept: a digest of all that decides a number.

`digest` reads objects the way a person would describe them: plain values and arrays by their
content, functions and classes by their code and by what that code uses, estimators by their class,
parameters and state. Code from an installed package goes by the package's name and version; code of
your own (a notebook, a script, a package installed in editable mode) by what it says, so that an
edit changes the key though the name stays. Docstrings count as code.

What a key cannot see: files that code reads, and names that it looks up in text (``globals()[x]``).
"""

from __future__ import annotations

import abc
import contextlib
import copyreg
import dis
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

__all__ = ["NotKeyable", "describe", "digest"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice, type(...))
_CONTAINERS = (dict, types.MappingProxyType, list, tuple, set, frozenset)
_INSTALLED = ("site-packages", "dist-packages")

_OF_C = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
"""What a class has from the interpreter, such as its slots."""

_OF_AN_EXTENSION = "instancemethod"
"""Type, which Python does not export, of the methods of classes made in C++, such as torch's."""

_NO_CODE = {
    "__dict__",
    "__weakref__",
    "__module__",
    "__annotations__",
    "__annotate_func__",
    "__annotations_cache__",
    "__firstlineno__",
    "__static_attributes__",
    "__abstractmethods__",
    "_abc_impl",
    "__slotnames__",
}
"""Members of a class that decide nothing."""


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
    described = json.dumps([list(sys.version_info[:2]), describe(objects)])
    return hashlib.sha256(described.encode()).hexdigest()


def describe(value: Any) -> Any:
    """Describe a value by what JSON can hold; see `digest`.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        Text, or a list of texts and numbers.

    Raises
    ------
    NotKeyable
        Something in it cannot be described.
    """
    try:
        return _Describer().describe(value)
    except NotKeyable:
        raise
    except Exception as error:  # an object of whatever kind may raise whatever it likes
        raise NotKeyable(
            f"{value!r:.80} cannot be described ({type(error).__name__}: {error!s:.80})."
        ) from error


class _Describer:
    """One description: a tree of digests, so that what is used in many places is read once.

    An object that is met inside itself (a method that names its class) is described by how many
    levels up it is. What counts is content: two equal lists are described as one list twice.
    """

    def __init__(self) -> None:
        self.done: dict[int, str] = {}  # digests by id
        self.levels: dict[int, int] = {}  # levels of the objects that are being described, by id
        self.kept: list[Any] = []  # so that an id is not used again meanwhile

    def describe(self, value: Any) -> Any:
        """Describe a plain value as it is, anything else by a digest of its description."""
        if type(value) in _PLAIN or isinstance(value, PurePath):
            return [type(value).__name__, repr(value)]
        key = id(value)
        if key in self.levels:
            return ["circle", len(self.levels) - self.levels[key]]
        if key not in self.done:
            self.kept.append(value)
            self.levels[key] = len(self.levels)
            described = json.dumps(self._describe(value))
            del self.levels[key]
            self.done[key] = hashlib.sha256(described.encode()).hexdigest()
        return self.done[key]

    def _describe(self, value: Any) -> Any:
        """Describe a value by its kind."""
        if type(value) in _CONTAINERS:
            return self._container(value)
        if type(value) in (np.ndarray, np.memmap) or isinstance(value, np.generic):
            return self._array(np.asarray(value))
        if type(value) in (pd.DataFrame, pd.Series) or isinstance(value, pd.Index):
            return self._frame(value)
        if isinstance(value, types.ModuleType):
            return self._module(value, set())
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, types.BuiltinFunctionType | np.ufunc):
            return self._built_in(value)
        if isinstance(value, types.MethodType):
            return ["method", self.describe(value.__self__), self.describe(value.__func__)]
        if inspect.isfunction(value):
            return self._function(value)
        if isinstance(value, functools._lru_cache_wrapper):  # what it has kept decides nothing
            return ["cached", self.describe(value.__wrapped__)]
        return self._instance(value)

    def _container(self, value: Any) -> Any:
        """Describe a container by what it holds; the order counts, but for sets."""
        if isinstance(value, Mapping):
            parts = [[self.describe(k), self.describe(v)] for k, v in value.items()]
        elif isinstance(value, set | frozenset):
            parts = sorted(json.dumps(self.describe(part)) for part in value)
        else:
            parts = [self.describe(part) for part in value]
        return [type(value).__name__, parts]

    def _array(self, array: np.ndarray) -> Any:
        """Describe an array by its type, shape and content."""
        if array.dtype.hasobject:
            return ["array", list(array.shape), [self.describe(v) for v in array.ravel().tolist()]]
        content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return ["array", str(array.dtype), list(array.shape), content]

    def _frame(self, frame: Any) -> Any:
        """Describe a frame, a series or an index by its labels and columns."""
        if isinstance(frame, pd.Index):
            return [type(frame).__name__, self._array(frame.to_numpy())]
        axes = [self._frame(axis) for axis in frame.axes]
        columns = frame.items() if isinstance(frame, pd.DataFrame) else [(None, frame)]
        parts = [[repr(column.dtype), self._array(column.to_numpy())] for _, column in columns]
        return [type(frame).__name__, axes, parts]

    def _module(self, module: types.ModuleType, used: set[str]) -> Any:
        """Describe an installed module by its version, another by what is used of it."""
        if _is_installed(module.__name__):
            return ["module", module.__name__, _version(module.__name__)]
        parts = []
        for name in sorted(used):
            value = getattr(module, name, None)
            if isinstance(value, types.ModuleType):
                parts.append([name, self._module(value, used - {name})])
            elif hasattr(module, name):
                parts.append([name, self.describe(value)])
        return ["module", module.__name__, parts]

    def _built_in(self, function: Any) -> Any:
        """Describe a function of an extension by name, a method of an object with the object."""
        module, name = getattr(function, "__module__", None), function.__name__
        if isinstance(function, np.ufunc):
            module = _module_of_ufunc(function)
        elif not isinstance(function.__self__, types.ModuleType | type(None)):
            return ["built in", self.describe(function.__self__), name]
        return ["built in", str(module), name, _version(module)]

    def _function(self, function: Any) -> Any:
        """Describe a function by its code and all that the code uses."""
        name = [str(function.__module__), function.__qualname__]
        if _is_of_package(function):
            return ["function", *name, _version(function.__module__)]
        code = function.__code__
        if isinstance(getattr(function, "registry", None), types.MappingProxyType):
            # of functools.singledispatch, which also keeps what it has found
            return ["dispatch", *name, self.describe([function.registry, function.__wrapped__])]
        defaults = [function.__defaults__, function.__kwdefaults__, vars(function)]
        used = _names(code)
        return [
            "function",
            *name,
            self.describe(code),
            self.describe(defaults),
            [self._cell(cell) for cell in function.__closure__ or ()],
            [[name, self._global(function, name, used)] for name in sorted(used)],
            [[name, self._import(function, name, used)] for name in sorted(_imports(code))],
        ]

    def _cell(self, cell: types.CellType) -> Any:
        """Describe what a closure holds."""
        try:
            return self.describe(cell.cell_contents)
        except ValueError as error:
            if isinstance(error, NotKeyable):
                raise
            return ["empty"]

    def _global(self, function: Any, name: str, used: set[str]) -> Any:
        """Describe what a name means to a function; None if it is no global."""
        if name not in function.__globals__:
            return None
        value = function.__globals__[name]
        return self._module(value, used) if inspect.ismodule(value) else self.describe(value)

    def _import(self, function: Any, name: str, used: set[str]) -> Any:
        """Describe a module that a function imports when it is called."""
        if _is_installed(name):  # not imported for this: it may be large
            return ["module", name, _metadata_version(name.split(".")[0])]
        package = function.__globals__.get("__package__")
        for place in (name, f".{name}"):
            with contextlib.suppress(ImportError, TypeError, ValueError):
                return self._module(importlib.import_module(place, package), used)
        return None

    def _code(self, code: types.CodeType) -> Any:
        """Describe compiled code by its instructions, names and constants."""
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
        constants = [self.describe(part) for part in code.co_consts]
        instructions = [code.co_code.hex(), code.co_exceptiontable.hex()]
        return ["code", instructions, [list(part) for part in names], counts, constants]

    def _class(self, cls: type) -> Any:
        """Describe a class by its bases and members, and so by the code of its methods."""
        name = [str(cls.__module__), cls.__qualname__]
        if _is_of_package(cls):
            replaced = _replaced(cls)
            part = [self.describe(replaced)] if replaced else []
            return ["class", *name, _version(cls.__module__), *part]
        members = []
        for key, member in vars(cls).items():
            if key not in _NO_CODE and not isinstance(member, _OF_C):
                members.append([key, self._member(member)])
        kind = None if type(cls) in (type, abc.ABCMeta) else self.describe(type(cls))
        return ["class", *name, kind, [self.describe(base) for base in cls.__bases__], members]

    def _member(self, member: Any) -> Any:
        """Describe a member of a class."""
        if isinstance(member, staticmethod | classmethod):
            return [type(member).__name__, self.describe(member.__func__)]
        if isinstance(member, property):
            return ["property", self.describe([member.fget, member.fset, member.fdel])]
        if isinstance(member, functools.cached_property):
            return ["property", self.describe(member.func)]
        return self.describe(member)

    def _instance(self, value: Any) -> Any:
        """Describe an object by its class and its state."""
        described = self.describe(type(value))
        if hasattr(value, "get_params"):  # an estimator; state counts in one that is frozen
            state = [value.get_params(deep=False), getattr(value, "__dict__", None)]
            return ["estimator", described, self.describe(state)]
        if value is check_random_state(None):  # numpy's own, which scipy's distributions hold
            return ["instance", described, "of the process"]
        if isinstance(value, np.random.RandomState):
            return ["instance", described, self.describe(value.get_state())]
        if isinstance(value, np.random.Generator):
            return ["instance", described, self.describe(value.bit_generator.state)]
        if type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach"):  # a tensor
            return ["instance", described, self._array(value.detach().cpu().numpy())]
        state = self._reduced(value)
        if not _is_of_package(type(value)):
            state.append(getattr(value, "__dict__", None))
        state = [_without_cached(type(value), part) for part in state]
        return ["instance", described, self.describe(state)]

    def _reduced(self, value: Any) -> list[Any]:
        """What a pickle of the object would hold, unpickled by nobody."""
        try:
            by_type = copyreg.dispatch_table.get(type(value))
            reduced = by_type(value) if by_type else value.__reduce_ex__(2)
        except Exception as error:
            raise NotKeyable(
                f"{value!r:.80} of type {type(value).__name__} cannot be described ({error!s:.80})."
            ) from error
        if isinstance(reduced, str):  # the name of a global of its module
            return [str(getattr(value, "__module__", None)), reduced]
        # (a function, its arguments, state, items of a list, items of a mapping)
        return [list(part) if isinstance(part, Iterator) else part for part in reduced]


def _without_cached(cls: type, state: Any) -> Any:
    """The attributes of an object but for those that a cached property made of the others."""
    if type(state) is not dict:
        return state
    attributes = {
        name: value
        for name, value in state.items()
        if not isinstance(getattr(cls, str(name), None), functools.cached_property)
    }
    return attributes or None  # as for an object that never had any


def _names(code: types.CodeType) -> set[str]:
    """Names that a function looks up, in the functions inside it as well."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _imports(code: types.CodeType) -> set[str]:
    """Modules that a function imports when it is called, and the functions inside it."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"}
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return names.union(*map(_imports, inner))


def _module_of_ufunc(function: np.ufunc) -> str:
    """The module of a universal function; one that was made from Python cannot be described."""
    for module in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(module), function.__name__, None) is function:
            return module
    raise NotKeyable(f"{function!r} was made of a function that cannot be looked into.")


def _is_of_package(value: Any) -> bool:
    """Whether a function or class is what an installed package has under its name.

    Code that was made in another way, as by ``exec``, may bear the name of a package's module.
    """
    if not isinstance(value.__module__, str) or not _is_installed(value.__module__):
        return False
    if isinstance(value, type) and any(
        type(member).__name__ == _OF_AN_EXTENSION for member in vars(value).values()
    ):
        return True
    named = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        named = inspect.getattr_static(named, part, None)
    named = getattr(named, "__func__", named)  # of a class method or static method
    return named is value


def _replaced(cls: type) -> dict[str, Any]:
    """Methods of an installed class, and its bases, that code of one's own has put there."""
    replaced = {}
    for base in cls.__mro__:
        for name, member in vars(base).items():
            function = getattr(member, "__func__", member)  # of a class method or static method
            module = getattr(function, "__module__", None)
            if inspect.isfunction(function) and isinstance(module, str):
                installed = _is_installed(module) or module.startswith("namedtuple_")
                if not installed:
                    replaced[f"{base.__qualname__}.{name}"] = function
    return replaced


@functools.cache
def _is_installed(module: str) -> bool:
    """Whether a module is of Python or of an installed package, and so told by its version."""
    top = module.split(".")[0]
    if top in ("", "__main__"):  # also where a package is run, such as a notebook's kernel
        return False
    if top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None:
        with contextlib.suppress(ImportError, ValueError, AttributeError):
            file = importlib.util.find_spec(top).origin
    return file is not None and any(folder in Path(file).parts for folder in _INSTALLED)


def _version(module: Any) -> str:
    """Version of the package that a module belongs to."""
    top = str(module).split(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    version = getattr(sys.modules.get(top), "__version__", None)
    return version if isinstance(version, str) else _metadata_version(top)


@functools.cache
def _metadata_version(top: str) -> str:
    """Version of the distributions that a package came with; none if it is not installed."""
    names = set(importlib.metadata.packages_distributions().get(top, []))
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(names))
