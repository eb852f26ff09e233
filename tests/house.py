"""Reading the package's source: imports, lengths, strings, documentation. See ``test_house.py``."""

from __future__ import annotations

import ast
import fnmatch
import graphlib
import inspect
import io
import itertools
import re
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "graf_utils"

FLOORS = (
    ("claims",),  # the ground; so is every module whose name begins with an underscore
    ("graphs",),
    ("spaces",),
    ("table", "redundancy", "registry", "networks"),
    ("datasets", "features", "operators", "proxies", "results", "fashion_mnist", "path_encoding"),
    ("encodings", "scoring", "correlations", "metrics", "ceiling", "contract", "transformers"),
    ("predictors",),
    ("evaluation", "paired", "published", "deployment"),
    ("search", "explain", "figures"),
    ("plots", "chapter", "board"),
)
"""No module imports one of a later floor. Modules of one floor may import each other."""

CORE = (
    "graphs",
    "spaces.base",
    "spaces.cell",
    "spaces.nb201",
    "features.base",
    "features.families",
    "features.graf",
    "features.authors",
    "encodings",
    "table",
    "evaluation",
)
"""What a person reads in an evening; a package stands for all its modules."""


# --- reading the package --------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """A module of the package: its name without the package's, and its source."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def code_lines(self) -> set[int]:
        """Numbers of the lines that hold code: no blank lines, comments or docstrings."""
        quiet = {
            tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
            tokenize.ENDMARKER,
        }  # fmt: skip
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            if token.type not in quiet:
                lines.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(self.tree):
            if is_bare_string(node):
                lines.difference_update(range(node.lineno, node.end_lineno + 1))
        return lines

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef]]:
        """Functions and methods with their names, ``Class.method``; without those inside them."""
        yield from walk_functions(self.tree.body, "")


def is_bare_string(node: ast.AST) -> bool:
    """Whether a node is a string that stands alone: a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def walk_functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from walk_functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from walk_functions(node.body, prefix)
            yield from walk_functions(getattr(node, "orelse", []), prefix)


def read_package() -> list[Module]:
    """All modules of the package; the package itself has the name ``""``."""
    modules = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf8"), is_package))
    return modules


# --- imports --------------------------------------------------------------------------------------


def floor_of(name: str) -> int | None:
    """Number of a module's floor; None if it has none."""
    top = name.split(".")[0]
    if not top:
        return len(FLOORS)  # the package's own __init__ is the roof: nothing imports it
    if top.startswith("_"):
        return 0
    return next((number for number, floor in enumerate(FLOORS) if top in floor), None)


def imports_of(module: Module, names: set[str]) -> set[str]:
    """Modules of the package that a module imports, at its top or in a function or by a string."""
    imported: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    imported.add(alias.name.removeprefix(PACKAGE).lstrip("."))
        elif isinstance(node, ast.ImportFrom):
            imported |= imported_from(module, node, names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # import_module("…")
            if node.value.startswith(f"{PACKAGE}.") and node.value[len(PACKAGE) + 1 :] in names:
                imported.add(node.value[len(PACKAGE) + 1 :])
    return imported


def imported_from(module: Module, node: ast.ImportFrom, names: set[str]) -> set[str]:
    """What ``from x import a, b`` imports: a and b where they are modules, else x."""
    if node.level:
        parts = module.name.split(".")
        parts = parts[: len(parts) - node.level + module.is_package]
        source = ".".join([*filter(None, parts), *filter(None, [node.module])])
    elif (node.module or "").split(".")[0] == PACKAGE:
        source = node.module.removeprefix(PACKAGE).lstrip(".")
    else:
        return set()
    imported = set()
    for alias in node.names:
        if not source and alias.name == "__version__":
            continue  # a number, not a floor
        inner = f"{source}.{alias.name}".lstrip(".")
        imported.add(inner if inner in names else source)
    return imported


def import_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Module → modules it imports, without the package's own ``__init__``, which names them all."""
    names = {module.name for module in modules}
    return {module.name: imports_of(module, names) for module in modules if module.name}


def find_upward_imports(graph: dict[str, set[str]]) -> list[str]:
    faults = []
    for name, imported in graph.items():
        floor = floor_of(name)
        if floor is None:
            faults.append(f"{name} has no floor: add it to FLOORS")
            continue
        for other in sorted(imported):
            above = floor_of(other)
            if above is not None and above > floor:
                faults.append(f"{name} imports {other or PACKAGE}, which is above it")
    return faults


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle of imports; empty if there is none."""
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        return error.args[1]
    return []


# --- lengths --------------------------------------------------------------------------------------


def function_lengths(modules: list[Module]) -> dict[str, int]:
    """Lines of code of each function, with those of the functions inside it."""
    lengths = {}
    for module in modules:
        for name, node in module.functions():
            lines = range(node.lineno, node.end_lineno + 1)
            lengths[f"{module.name}.{name}"] = len(module.code_lines.intersection(lines))
    return lengths


def module_lengths(modules: list[Module]) -> dict[str, int]:
    return {module.name: len(module.code_lines) for module in modules}


def core_lengths(modules: list[Module]) -> dict[str, int]:
    lengths = module_lengths(modules)
    return {
        name: lengths[name]
        for name in lengths
        if any(name == part or name.startswith(f"{part}.") for part in CORE)
    }


def find_too_long(lengths: dict[str, int], limit: int, excepted: dict[str, str]) -> list[str]:
    """What is longer than the limit and not excepted, and exceptions that nothing needs."""
    faults = [
        f"{name}: {length} lines of code, more than {limit}"
        for name, length in lengths.items()
        if length > limit and name not in excepted
    ]
    needless = [name for name in excepted if lengths.get(name, 0) <= limit]
    return faults + [f"{name} needs no exception" for name in needless]


# --- strings across floors ------------------------------------------------------------------------


def registered_names() -> dict[str, set[str]]:
    """Name → modules that register something under it."""
    from graf_utils import (
        encodings,
        explain,
        features,
        metrics,
        operators,
        predictors,
        proxies,
        search,
        spaces,
    )

    registry = tomllib.loads((ROOT / "data" / "registry.toml").read_text(encoding="utf8"))
    tables = [table["name"] for table in registry["table"]]
    registries = {
        "spaces": spaces.list_spaces(),
        "features": features.FAMILIES,
        "operators": operators.FAMILIES,
        "proxies": proxies.BUILT_IN,
        "registry": tables,
        "datasets": tables,
        "encodings": encodings.ENCODINGS,
        "predictors": predictors.PREDICTORS,
        "metrics": metrics.METRICS,
        "search": [*search.METHODS, *search.STARTS],
        "explain": explain.METHODS,
    }
    homes: dict[str, set[str]] = {}
    for home, names in registries.items():
        for name in names:
            homes.setdefault(name, set()).add(home)
    return homes


def defaults_of_public_functions(module: Module) -> set[int]:
    """Ids of the nodes in default values of public functions: names that a user may write."""
    nodes: set[int] = set()
    for name, function in module.functions():
        arguments = function.args
        if any(is_private(part) and part != "__init__" for part in name.split(".")):
            continue
        for default in [*arguments.defaults, *filter(None, arguments.kw_defaults)]:
            nodes.update(id(node) for node in ast.walk(default))
    return nodes


def find_shared_strings(
    modules: list[Module], homes: dict[str, set[str]], excepted: dict[tuple[str, str], str]
) -> list[str]:
    """String literals that equal a name of another floor, and exceptions that nothing needs.

    An exception is of a top module or package, and of a name.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for module in modules:
        allowed = defaults_of_public_functions(module)
        allowed |= {id(node.value) for node in ast.walk(module.tree) if is_bare_string(node)}
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            text = node.value
            parts = [text] if text in homes else text.split("+")  # "zcp+graf" is two encodings
            owners = [homes.get(part, set()) for part in parts]
            own = module.name.split(".")[0]
            if id(node) in allowed or not all(owners) or all(own in owner for owner in owners):
                continue
            of = ", ".join(sorted(set().union(*owners)))
            fault = f"{module.name}, line {node.lineno}: {text!r} is a name of {of}"
            found.setdefault((own, text), []).append(fault)
    faults = [fault for key, faults in found.items() if key not in excepted for fault in faults]
    return faults + [f"{key} needs no exception" for key in excepted if key not in found]


# --- documentation --------------------------------------------------------------------------------


def is_private(name: str) -> bool:
    return name.startswith("_")


def sections_of(doc: str | None) -> dict[str, str]:
    """Sections of a docstring in numpydoc's style: title → text."""
    lines = inspect.cleandoc(doc or "").splitlines()
    titles = [i for i, line in enumerate(lines[1:]) if line and set(line) == {"-"}]
    sections = {}
    for start, end in itertools.pairwise([*titles, len(lines)]):
        sections[lines[start]] = "\n".join(lines[start + 2 : end])
    return sections


def documented_names(doc: str | None) -> set[str]:
    """Names that the sections Parameters and Attributes of a docstring describe."""
    sections = sections_of(doc)
    text = "\n".join(sections.get(title, "") for title in ("Parameters", "Attributes"))
    names: set[str] = set()
    for line in text.splitlines():
        if line and not line[0].isspace():
            names.update(name.strip(" *`") for name in line.split(" :")[0].split(","))
    return names


def arguments_of(function: ast.FunctionDef) -> list[str]:
    """Names of a function's arguments that a caller writes."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    listed += filter(None, (arguments.vararg, arguments.kwarg))
    return [item.arg for item in listed if item.arg not in ("self", "cls")]


def fields_of(node: ast.ClassDef) -> list[str]:
    """Names of the fields of a dataclass that its maker writes and no string below explains."""
    if not any("dataclass" in ast.unparse(item) for item in node.decorator_list):
        return []
    fields = []
    for item, following in itertools.pairwise([*node.body, ast.Pass()]):
        if not isinstance(item, ast.AnnAssign) or is_private(item.target.id):
            continue
        text = ast.unparse(item)
        if "init=False" in text or "ClassVar" in text or is_bare_string(following):
            continue
        fields.append(item.target.id)
    return fields


def raised_by(function: ast.FunctionDef) -> set[str]:
    """Classes of the errors that a function's own body raises, not those of functions inside it."""
    raised: set[str] = set()
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            raised.add(ast.unparse(error).split(".")[-1])
        waiting.extend(ast.iter_child_nodes(node))
    return {name for name in raised if name[:1].isupper()}


@dataclass
class Part:
    """A public function, method or class, and what its docstring must speak of."""

    name: str
    arguments: list[str]
    raised: set[str]
    doc: str | None
    bases: tuple[str, ...] = ()
    """Names of the classes from which a method without a docstring takes it over."""


def public_parts(modules: list[Module]) -> Iterator[Part]:
    for module in modules:
        if any(is_private(part) for part in module.name.split(".")):
            continue
        classes = {n.name: n for n in module.tree.body if isinstance(n, ast.ClassDef)}
        functions = dict(module.functions())
        for name, function in functions.items():
            if not any(is_private(part) for part in name.split(".")):
                owner = classes.get(name.split(".")[0])
                bases = tuple(ast.unparse(base) for base in owner.bases) if owner else ()
                yield Part(
                    f"{module.name}.{name}",
                    arguments_of(function),
                    raised_by(function),
                    ast.get_docstring(function),
                    bases,
                )
        for name, node in classes.items():
            if not is_private(name):
                maker = functions.get(f"{name}.__init__")
                arguments = arguments_of(maker) if maker else fields_of(node)
                raised = raised_by(maker) if maker else set()
                yield Part(f"{module.name}.{name}", arguments, raised, ast.get_docstring(node))


def docs_behind(part: Part, parts: list[Part]) -> list[str]:
    """The docstring of a part, those it refers to ("See `SearchSpace.sample`"), the inherited."""
    references = re.findall(r"\b[Ss]ee `([\w.]+)`", part.doc or "")
    if part.doc is None:
        references = [f"{base}.{part.name.split('.')[-1]}" for base in part.bases]
    others = [
        other.doc or ""
        for other in parts
        if other is not part and any(other.name.endswith(f".{name}") for name in references)
    ]
    return [part.doc or "", *others]


def find_undocumented(modules: list[Module], excepted: dict[str, str]) -> list[str]:
    """Arguments and errors of public functions that no docstring speaks of."""
    parts = list(public_parts(modules))
    faults: list[str] = []
    needless = set(excepted)
    for part in parts:
        docs = docs_behind(part, parts)
        documented = set().union(*map(documented_names, docs))
        errors = "\n".join(sections_of(doc).get("Raises", "") for doc in docs)
        missing = [f"argument {item}" for item in part.arguments if item not in documented]
        missing += [
            f"error {error}"
            for error in sorted(part.raised)
            if not re.search(rf"\b{error}\b", errors)
        ]
        for fault in (f"{part.name}: {item}" for item in missing):
            patterns = [pattern for pattern in excepted if fnmatch.fnmatchcase(fault, pattern)]
            needless.difference_update(patterns)
            if not patterns:
                faults.append(fault)
    return faults + [f"{pattern!r} needs no exception" for pattern in sorted(needless)]
