"""`check_space`: what keeps the contract passes, and each broken rule is named with a remedy."""

import numpy as np
import pytest
from hypothesis import given, settings
from test_cell_spaces import cells

from graf_utils.contract import RULES, check_space
from graf_utils.features import GRAF, Flow
from graf_utils.graphs import GraphBatch
from graf_utils.spaces import NB201, CellSpace, SearchSpace, get_space, list_spaces

EDGES = [(0, 1), (1, 2)]


class Pair(SearchSpace):
    """The least that a space needs; as in the docstring of `SearchSpace`."""

    name, title, operations, code_length = "pair", "Pair", ("conv", "pool"), 2

    def _example(self):
        return (0, 1)

    def _parse(self, text):
        raise ValueError(f"{text!r} is no tuple of 0 and 1 such as (0, 1).")

    def enumerate(self):
        return self.to_codes([(0, 0), (0, 1), (1, 0), (1, 1)])

    def is_valid(self, architectures):
        return np.ones(len(self.to_codes(architectures)), dtype=bool)

    def graph_batch(self, architectures):
        codes = self.to_codes(architectures)
        return {"": GraphBatch(self.operations, 3, EDGES, codes)}


@pytest.mark.parametrize("name", list_spaces())
def test_the_benchmarks_keep_the_contract(name):
    assert check_space(get_space(name)) == check_space(name) == list(RULES)


@settings(max_examples=25, database=None)
@given(cells())
def test_cells_of_every_kind_keep_the_contract(drawn):
    assert check_space(drawn[0]) == list(RULES)


def test_the_least_that_a_space_needs_keeps_the_contract():
    assert check_space(Pair()) == list(RULES)
    assert check_space(Pair(), n_architectures=1, random_state=5) == list(RULES)


class NoTitle(Pair):
    title = None


class NamesTwice(Pair):
    operations = ("conv", "conv")


class WrongLength(Pair):
    lengths = (3,)


class FewNames(Pair):
    def position_names(self):
        return ["only one"]


class NoExample(Pair):
    def _example(self):
        return (0, 7)


class ListExample(Pair):
    def _example(self):
        return [0, 1]


class OtherDraws(Pair):
    def sample(self, n, **options):
        return super().sample(n)  # the seed is lost


class Twice(Pair):
    def sample(self, n, **options):
        return np.zeros((n, 2), dtype=np.int8)


class Tuples(Pair):
    def sample(self, n, **options):
        return [(0, 1)] * n


class Undecided(Pair):
    def is_valid(self, architectures):
        return True


class Crowd(Pair):
    def is_valid(self, architectures):
        return np.full(len(architectures), len(architectures) > 1)


class Forgetful(Pair):
    def _tuple(self, code):
        return (0, *code[1:])


class OtherText(Pair):
    def to_string(self, architecture):
        return "0.1"


class Anything(Pair):
    code_dtype = np.dtype("int64")

    def _wrong(self, codes):
        return np.zeros(len(codes), dtype=bool)


class Near(Pair):
    def neighbours(self, architecture, *, valid_only=True):
        return self.to_codes([architecture])


class NearInvalid(Pair):
    def is_valid(self, architectures):
        return (self.to_codes(architectures)[:, 0] == 0).astype(bool)

    def neighbours(self, architecture, *, valid_only=True):
        return super().neighbours(architecture, valid_only=False)


class Batch(Pair):
    def graph_batch(self, architectures):
        return super().graph_batch(architectures)[""]


class FewGraphs(Pair):
    def graph_batch(self, architectures):
        return {"": super().graph_batch(architectures)[""][:1]}


class OtherLabels(Pair):
    def graph_batch(self, architectures):
        codes = self.to_codes(architectures)
        return {"": GraphBatch(("pool", "conv"), 3, EDGES, codes)}


class Sorted(Pair):
    def graph_batch(self, architectures):
        return super().graph_batch(np.sort(self.to_codes(architectures), axis=0))


class WithoutNumbers(Pair):
    numbers = {"kernel": {}}


class AllEqual(Pair):
    def __eq__(self, other):
        return isinstance(other, AllEqual)

    __hash__ = SearchSpace.__hash__


class NeverEqual(Pair):
    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


class Lambda(Pair):
    def __init__(self):
        self.score = lambda cell: 0


class Raises(Pair):
    def graph_batch(self, architectures):
        raise KeyError("conv")


class Infinite(Pair):
    numbers = {"kernel": {}}

    def graph_batch(self, architectures):
        batch = super().graph_batch(architectures)[""]
        huge = np.full(batch.edge_ops.shape, 1e308)
        parts = batch.operations, 3, EDGES, batch.edge_ops
        return {"": GraphBatch(*parts, numbers={"kernel": huge})}


BROKEN = {
    NoTitle: ("attributes", ["title is None", "Set title"]),
    NamesTwice: ("attributes", ["operations is", "differ"]),
    WrongLength: ("attributes", ["lengths is (3,)", "code_length 2"]),
    FewNames: ("attributes", ["1 names for 2 entries"]),
    NoExample: ("example", ["ValueError", "id 7"]),
    ListExample: ("example", ["[0, 1]", "Return a tuple"]),
    OtherDraws: ("sample", ["same random_state", "default_rng"]),
    Twice: ("sample", ["twice", "without replacement"]),
    Tuples: ("sample", ["gave list", "int8"]),
    Undecided: ("is_valid", ["gave True", "array"]),
    Crowd: ("is_valid", ["alone", "by itself"]),
    Forgetful: ("round trip", ["other codes", "tuple must say"]),
    OtherText: ("round trip", ["'0.1'", "_parse"]),
    Anything: ("refusals", ["2147483647", "_wrong"]),
    Near: ("neighbours", ["itself", "Leave them out"]),
    NearInvalid: ("neighbours", ["is_valid denies"]),
    Batch: ("graphs", ["gave GraphBatch", "dictionary"]),
    FewGraphs: ("graphs", ["1 graphs", "Row i"]),
    OtherLabels: ("graphs", ["('pool', 'conv')", "Make them equal"]),
    Sorted: ("graphs", ["another order", "alone"]),
    WithoutNumbers: ("graphs", ["numbers", "('kernel',)"]),
    AllEqual: ("equality", ["other operations", "__eq__"]),
    NeverEqual: ("equality", ["a copy is not equal", "__hash__"]),
    Lambda: ("pickling", ["PicklingError", "top of a module"]),
    Raises: ("graphs", ["KeyError", "conv"]),
    Infinite: ("features", ["not finite"]),
}


@pytest.mark.parametrize("space", BROKEN, ids=lambda space: space.__name__)
def test_a_broken_rule_is_named_with_a_remedy(space):
    rule, words = BROKEN[space]
    with pytest.raises(ValueError, match=f"{space.__name__} breaks") as error:
        check_space(space())
    (line,) = [part for part in str(error.value).split("\n- ") if part.startswith(f"{rule}: ")]
    for word in words:
        assert word in line


def test_every_rule_can_fail():
    assert {rule for rule, _ in BROKEN.values()} == set(RULES)


def test_several_faults_are_said_at_once():
    class Both(Near, AllEqual):
        pass

    with pytest.raises(ValueError, match="breaks [3-9] of") as error:
        check_space(Both())
    for rule in ("neighbours", "equality", "pickling"):
        assert f"\n- {rule}: " in str(error.value)


def first_target(batch):
    return np.full(len(batch), batch.edges[0, 1])


def test_a_family_that_depends_on_the_numbers_of_nodes():
    """Nodes 1 and 2 can change places: what is said of node 1 alone is not of the graph."""
    space = CellSpace(["a", "b"], [(0, 1), (0, 2), (1, 3), (2, 3)])
    graf = GRAF(space, families=["op_count", first_target])
    with pytest.raises(ValueError, match=r"features: \['first_target'\] change when the nodes"):
        check_space(space, features=graf)
    assert check_space(space, features=Flow(space)) == list(RULES)
    assert check_space(space, features=GRAF(space, drop_redundant=True)) == list(RULES)


class OtherForm(Pair):
    def graph_batch(self, architectures):
        flipped = isinstance(architectures, list)
        codes = self.to_codes(architectures)
        return super().graph_batch(1 - codes if flipped else codes)


def test_tuples_and_codes_have_the_same_features():
    with pytest.raises(ValueError, match="features: the features of tuples.*to_codes"):
        check_space(OtherForm())


def test_no_space_at_all():
    with pytest.raises(ValueError, match=r"Write an instance, such as NB201\(\)"):
        check_space(NB201)
    with pytest.raises(ValueError, match="n_architectures=0"):
        check_space(NB201(), n_architectures=0)


def test_a_class_inside_a_function_is_told_what_to_do():
    class Local(CellSpace):
        operations = ("a", "b")

        def __init__(self):
            super().__init__(self.operations, EDGES)

    with pytest.raises(ValueError, match="pickling: .*top of a module"):
        check_space(Local())


def test_subclasses_with_other_operations_are_unequal():
    class First(CellSpace):
        pass

    assert First(["a", "b"], EDGES) != First(["a", "c"], EDGES)
    assert First(["a", "b"], EDGES) == First(["a", "b"], EDGES)
    numbers = {"kernel": {"a": [3, 5]}}
    assert First(["a", "b"], EDGES, numbers=numbers) != First(["a", "b"], EDGES)
    assert First(["a", "b"], EDGES, sizes=(2, 3)) != First(["a", "b"], EDGES)
