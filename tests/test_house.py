"""The house: what each module may import, how long things may be, what must be documented.

`python tests/test_house.py` prints the package's imports floor by floor, and a table of its modules
with their lines of code and longest functions.
"""

from __future__ import annotations

import pytest
from house import (
    CORE,
    FLOORS,
    PACKAGE,
    Module,
    core_lengths,
    find_circle,
    find_shared_strings,
    find_too_long,
    find_undocumented,
    find_upward_imports,
    floor_of,
    function_lengths,
    import_graph,
    module_lengths,
    read_package,
    registered_names,
)

LONGEST_CORE = 1_550  # "about 1,500" lines of code: no blank lines, comments, docstrings
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40

LONG_MODULES: dict[str, str] = {}
"""Modules that may be longer, each with its reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""Functions that may be longer, each with its reason: ``{"plots.draw_cell": "…"}``."""

SHARED_STRINGS: dict[tuple[str, str], str] = {
    ("board", "predictor"): "a column of the published figures",
    ("correlations", "spearman"): "a column of its frame",
    ("datasets", "zen"): "a key of the records in NASLib's zipped files",
    ("deployment", "predictor"): "an argument, and a key of the file",
    ("evaluation", "predictor"): "a column of the results",
    ("explain", "predictor"): "a column of the results",
    ("figures", "kendall_tau"): "a column of the results",
    ("figures", "predictor"): "a column of the results",
    ("published", "kendall_tau"): "a column of the results",
    ("published", "predictor"): "a column of the results",
    ("path_encoding", "path"): "what the names of its columns begin with",
    ("plots", "kendall_tau"): "a column of the results, written out on an axis",
    ("plots", "predictor"): "a column of the results",
    ("plots", "plain"): "an operation of the macro space, by which lines are styled",
    ("plots", "op_count"): "read aloud as 'count' on an axis",
    ("registry", "path"): "a key of the registry's entries",
    ("results", "shap"): "the package whose version is written beside results",
    ("spaces", "plain"): "an operation of a benchmark that is called so",
    ("spaces", "nb301"): "another name of a space, and of a table",
    ("transformers", "depth"): "a column: the number of layers",
    ("transformers", "plain"): "a function: an operator without weights",
    **dict.fromkeys(
        [
            ("plots", name)
            for name in (
                "one-hot", "op-count", "path", "flops+params", "graf+one-hot", "zcp", "graf",
                "zcp+graf", "graf-allowed", "flops", "params", "flow", "graf+flow", "zcp+flow",
                "zcp+graf+flow", "own-features", "path-authors",
            )
        ],
        "one colour, marker and dash per encoding, everywhere in the book",
    ),
}  # fmt: skip
"""Names of another floor that a module may hold, each with its reason."""

UNDOCUMENTED: dict[str, str] = {
    "proxies.*: argument run": "every proxy takes a Run and nothing else, as PROXIES says",
}
"""Arguments and errors that no docstring need speak of, by patterns, each with its reason."""


# --- the package obeys ----------------------------------------------------------------------------

MODULES = read_package()


def listing(faults: list[str]) -> str:
    return "\n" + "\n".join(faults)


def test_no_import_goes_upward():
    faults = find_upward_imports(import_graph(MODULES))
    assert not faults, listing(faults)


def test_no_imports_in_a_circle():
    circle = find_circle(import_graph(MODULES))
    assert not circle, " → ".join(circle)


def test_the_core_is_read_in_an_evening():
    lengths = core_lengths(MODULES)
    for part in CORE:
        assert any(name == part or name.startswith(f"{part}.") for name in lengths), part
    assert sum(lengths.values()) <= LONGEST_CORE, lengths


def test_modules_are_short():
    faults = find_too_long(module_lengths(MODULES), LONGEST_MODULE, LONG_MODULES)
    assert not faults, listing(faults)


def test_functions_are_short():
    faults = find_too_long(function_lengths(MODULES), LONGEST_FUNCTION, LONG_FUNCTIONS)
    assert not faults, listing(faults)


def test_no_floor_knows_another_by_a_string():
    faults = find_shared_strings(MODULES, registered_names(), SHARED_STRINGS)
    assert not faults, listing(faults)


def test_public_functions_document_arguments_and_errors():
    faults = find_undocumented(MODULES, UNDOCUMENTED)
    assert not faults, listing(faults)


@pytest.mark.parametrize("exceptions", [LONG_MODULES, LONG_FUNCTIONS, SHARED_STRINGS, UNDOCUMENTED])
def test_every_exception_has_a_reason(exceptions):
    assert all(len(reason.split()) >= 3 for reason in exceptions.values())


# --- the guards can fail --------------------------------------------------------------------------


def package(**sources: str) -> list[Module]:
    """A made-up package; ``__`` in a name stands for a dot."""
    return [Module(name.replace("__", "."), source) for name, source in sources.items()]


@pytest.mark.parametrize(
    "source",
    [
        "from graf_utils.encodings import encode",
        "import graf_utils.encodings",
        "from graf_utils import encodings",
        "from . import encodings",
        "def f():\n    from graf_utils.encodings import encode",
        "if TYPE_CHECKING:\n    from graf_utils.encodings import encode",
        "module = import_module('graf_utils.encodings')",
        "from graf_utils import encode",  # through the roof
        "import graf_utils",
    ],
)
def test_an_upward_import_is_seen(source):
    graph = import_graph(package(graphs=source, encodings="", spaces="import graf_utils.graphs"))
    (fault,) = find_upward_imports(graph)
    assert fault.startswith("graphs imports ")


def test_an_import_of_a_lower_floor_is_fine():
    graph = import_graph(package(search="from graf_utils.encodings import encode", encodings=""))
    assert graph["search"] == {"encodings"}
    assert not find_upward_imports(graph)


def test_the_version_is_no_floor():
    graph = import_graph(package(graphs="from graf_utils import __version__"))
    assert graph == {"graphs": set()}


def test_a_module_without_a_floor_is_seen():
    assert find_upward_imports(import_graph(package(misc=""))) == [
        "misc has no floor: add it to FLOORS"
    ]
    assert not find_upward_imports(import_graph(package(_misc="import numpy")))


def test_a_circle_inside_a_package_is_seen():
    one = "from graf_utils.search.loop import search"
    other = "def f():\n    from .candidates import k_centre"
    graph = import_graph(package(search__candidates=one, search__loop=other))
    assert not find_upward_imports(graph)
    assert {"search.candidates", "search.loop"} <= set(find_circle(graph))


LONG = 'def f():\n    """Say so.\n\n    More.\n    """\n\n    # a comment\n' + "    x = 1\n" * 40


def test_lines_of_code_leave_out_docstrings_comments_and_blank_lines():
    (module,) = package(graphs=LONG)
    assert function_lengths([module]) == {"graphs.f": 41}
    assert module_lengths([module]) == {"graphs": 41}
    inside = "def g():\n" + "".join(f"    {line}\n" for line in LONG.splitlines())
    assert function_lengths(package(graphs=inside)) == {"graphs.g": 42}
    method = "class C:\n" + "".join(f"    {line}\n" for line in LONG.splitlines())
    assert function_lengths(package(graphs=method)) == {"graphs.C.f": 41}


def test_what_is_too_long_is_seen_and_a_needless_exception_too():
    lengths = function_lengths(package(graphs=LONG))
    assert find_too_long(lengths, 41, {}) == []
    assert find_too_long(lengths, 40, {}) == ["graphs.f: 41 lines of code, more than 40"]
    assert find_too_long(lengths, 40, {"graphs.f": "it is a table"}) == []
    assert find_too_long(lengths, 41, {"graphs.f": "it is a table"}) == [
        "graphs.f needs no exception"
    ]
    assert find_too_long(lengths, 41, {"graphs.gone": "it was"}) == [
        "graphs.gone needs no exception"
    ]


def test_the_core_is_what_the_design_says():
    modules = package(graphs="x = 1", features__graf="x = 1", spaces__darts="x = 1", plots="x = 1")
    assert core_lengths(modules) == {"graphs": 1, "features.graf": 1}


NAMES = {"zcp": {"encodings"}, "graf": {"encodings"}, "shap": {"explain"}, "xgb+": {"predictors"}}


@pytest.mark.parametrize(
    "source",
    [
        "x = 'zcp'",
        "x = {'zcp': 1}",
        "def f(x):\n    return x == 'zcp'",
        "def _f(x='zcp'):\n    pass",
        "x = 'zcp+graf'",
        "x = f'{1}zcp'",
        "x = 'xgb+'",
    ],
)
def test_a_string_of_another_floor_is_seen(source):
    assert len(find_shared_strings(package(spaces=source), NAMES, {})) == 1


@pytest.mark.parametrize(
    "source",
    [
        "x = 'leave zcp out'",
        "def f(x='zcp'):\n    pass",
        "def f():\n    'zcp'",
        "x = 'zcp+other'",
        "x = zcp",
    ],
)
def test_what_users_write_and_read_is_no_string_across_floors(source):
    assert not find_shared_strings(package(spaces=source), NAMES, {})


def test_a_name_may_stand_where_it_is_registered():
    assert not find_shared_strings(package(encodings="x = 'zcp+graf'"), NAMES, {})
    assert len(find_shared_strings(package(encodings="x = 'shap'"), NAMES, {})) == 1
    excepted = {("encodings", "shap"): "a reason of its own"}
    assert not find_shared_strings(package(encodings="x = 'shap'"), NAMES, excepted)
    assert find_shared_strings(package(encodings="x = 1"), NAMES, excepted) == [
        "('encodings', 'shap') needs no exception"
    ]


GOOD = '''
def f(a, *rest, low=1, high=2, **options):
    """Do it.

    Parameters
    ----------
    a : int
    *rest : int
    low, high : int
        From here to there.
    **options
        More.

    Raises
    ------
    ValueError
        It cannot be done.
    """
    raise ValueError("no")


@dataclass
class Point:
    """A point.

    Parameters
    ----------
    x : float
    """

    x: float
'''


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("    a : int\n", "", "graphs.f: argument a"),
        ("    *rest : int\n", "", "graphs.f: argument rest"),
        ("low, high", "low", "graphs.f: argument high"),
        ("    **options\n        More.\n", "", "graphs.f: argument options"),
        ("    Raises\n    ------\n", "", "graphs.f: error ValueError"),
        ("    ValueError\n", "    KeyError\n", "graphs.f: error ValueError"),
        ("    x : float\n", "", "graphs.Point: argument x"),
    ],
)
def test_what_is_not_documented_is_seen(old, new, fault):
    assert find_undocumented(package(graphs=GOOD), {}) == []
    assert old in GOOD
    faults = find_undocumented(package(graphs=GOOD.replace(old, new, 1)), {})
    assert faults
    assert faults[0].startswith(fault)


def test_documentation_of_another_function_may_be_referred_to():
    method = 'class B:\n    def f(self, a, low, high):\n        """As ever. See `f`."""\n'
    assert not find_undocumented(package(graphs=GOOD + method), {})
    method = method.replace("high", "top")
    assert find_undocumented(package(graphs=GOOD + method), {}) == ["graphs.B.f: argument top"]
    excepted = {"graphs.*.f: argument *": "a reason of its own"}
    assert not find_undocumented(package(graphs=GOOD + method), excepted)
    assert find_undocumented(package(graphs=GOOD), excepted) == [
        "'graphs.*.f: argument *' needs no exception"
    ]


def test_a_method_without_a_docstring_takes_over_that_of_its_class():
    base = "class A:\n    def f(self, x):\n        '''Do.\n\n{}        '''\n"
    base = base.format("        Parameters\n        ----------\n        x : int\n")
    assert not find_undocumented(package(graphs=base), {})
    heir = "class B({}):\n    def f(self, x):\n        pass\n"
    assert not find_undocumented(package(graphs=base, spaces=heir.format("A")), {})
    for other in (heir.format("C"), heir.format("A").replace("x", "y")):
        assert len(find_undocumented(package(graphs=base, spaces=other), {})) == 1


# --- as a picture ---------------------------------------------------------------------------------


def main() -> None:
    """Print the imports of each module, floor by floor, and the lengths of all."""
    graph = import_graph(MODULES)
    for number, floor in enumerate(FLOORS):
        print(f"floor {number}: {'  '.join(('_*', *floor) if number == 0 else floor)}")
        for name in sorted(graph):
            if floor_of(name) == number and graph[name]:
                print(f"    {name} ← {', '.join(sorted(graph[name]))}")
    faults = find_upward_imports(graph)
    print(f"upward: {faults or 'none'}; in a circle: {find_circle(graph) or 'none'}")
    print(f"\n{'module':<36}{'lines':>6}  longest function")
    for module in MODULES:
        functions = function_lengths([module])
        longest = max(functions, key=functions.get, default="")
        note = (
            f"{functions[longest]:>4}  {longest.removeprefix(module.name).lstrip('.')}"
            if longest
            else ""
        )
        print(f"{module.name or PACKAGE:<36}{len(module.code_lines):>6}  {note}".rstrip())
    total = sum(module_lengths(MODULES).values())
    print(f"core {sum(core_lengths(MODULES).values())} of {LONGEST_CORE}, all modules {total}")


if __name__ == "__main__":
    main()
