"""The page that defines GRAF says what the package computes."""

import re
from pathlib import Path

import numpy as np
import pytest

from graf_utils.features import GRAF, Flow
from graf_utils.spaces import get_space

PAGE = Path(__file__).resolve().parent.parent / "book" / "definition.md"


def tables():
    """The rows of each table of the page, as lists of cells without backticks."""
    found, rows = [], []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
        elif rows:
            found.append(rows[2:])  # without the head and the rule below it
            rows = []
    return [*found, rows[2:]] if rows else found


SPACES, SIZES, EXAMPLES, FLOW_SETS, FLOW_EXAMPLES = tables()


@pytest.mark.parametrize(("space", "architecture", "feature", "paper", "allowed"), EXAMPLES)
def test_worked_examples(space, architecture, feature, paper, allowed):
    for variant, expected in (("paper", paper), ("allowed", allowed)):
        graf = GRAF(space, variant=variant).set_output(transform="pandas")
        assert graf.transform([architecture])[feature].item() == float(expected)


@pytest.mark.parametrize(("space", "features", "constant", "distinct", "rank"), SIZES)
def test_sizes(space, features, constant, distinct, rank):
    space = get_space(space)
    assert len(GRAF(space).get_feature_names_out()) == int(features.replace(",", ""))
    if not constant:
        return  # not counted over the whole space
    values = GRAF(space).transform(space.enumerate())
    varies = (values != values[0]).any(axis=0)
    assert (~varies).sum() == int(constant)
    assert len(np.unique(values, axis=1).T) == int(distinct)
    with_constant = np.column_stack([np.ones(len(values)), values])
    assert np.linalg.matrix_rank(with_constant) == int(rank)


def test_operations_are_named_with_their_numbers():
    names = ("nb201", "tnb101-micro", "nb101", "darts", "tnb101-macro")
    for (_, _, operations), name in zip(SPACES, names, strict=True):
        space = get_space(name)
        listed = re.findall(r"(\d) ([^\s,(]+)", operations.replace("`", ""))
        numbers = range(space.first_id, space.first_id + len(space.operations))
        assert listed == [(str(i), op) for i, op in zip(numbers, space.operations, strict=True)]


@pytest.mark.parametrize(("space", "groups", "features"), FLOW_SETS)
def test_groups_and_sizes_of_flow(space, groups, features):
    space = get_space(space)
    assert groups.replace("`", "").split(", ") == list(space.groups)
    assert len(Flow(space).get_feature_names_out()) == int(features)


@pytest.mark.parametrize(("space", "architecture", "feature", "value"), FLOW_EXAMPLES)
def test_worked_examples_of_flow(space, architecture, feature, value):
    flow = Flow(space).set_output(transform="pandas").transform([architecture])
    assert flow[feature].item() == float(value)
