"""What a message says to do works: each case is a bad call, its message, and the remedy, tried.

The remedy is read out of the message, and not written here a second time: the groups of the regular
expression are what the message says to write, and go to the call that must succeed.
`python tests/test_remedies.py` prints the whole table: case, message, remedy, outcome.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge

from graf_utils import (
    GRAF,
    NB201,
    Table,
    claims,
    encode,
    evaluate,
    fit_predictor,
    get_space,
    load_predictor,
    load_table,
    make_predictor,
    plots,
    summarise,
)
from graf_utils.contract import check_space
from graf_utils.correlations import rank_correlations
from graf_utils.explain import importances
from graf_utils.paired import common_seeds, paired_differences
from graf_utils.published import published
from graf_utils.redundancy import redundant_groups
from graf_utils.results import merge_results
from graf_utils.search import Candidates, hypervolume, k_centre, search
from graf_utils.spaces import NB101, CellSpace

mpl.use("Agg")

# --- what the cases are about ---------------------------------------------------------------------

SPACE = NB201()
CELLS = SPACE.sample(60, random_state=0)
CELL = tuple(int(entry) for entry in CELLS[0])
COPIES = np.concatenate([CELLS, CELLS[:5]])
NOISE = np.random.default_rng(0).normal(size=60)
Y = np.isin(CELLS, [2, 3]).sum(axis=1) + NOISE
TABLE = Table("small", "test", SPACE, CELLS, {"a": Y, "b": -Y}, proxies={"p": Y + 1, "q": NOISE})
TWICE = Table("twice", "test", SPACE, COPIES, {"a": np.r_[Y, Y[:5]]})
COUNTS = encode(TABLE, "op-count")
POOL = Candidates.of(TABLE, "op-count")
MANY = CellSpace([f"o{i}" for i in range(30)], [(0, 1), (1, 2)], name="many")
LARGE = Table("large", "test", MANY, MANY.sample(5, random_state=0), {"y": range(5)})
CHAIN = CellSpace([*"abcdefgh"], [(i, i + 1) for i in range(8)], name="chain")
LONG = Table("long", "test", CHAIN, CHAIN.sample(5, random_state=0), {"y": range(5)})
FILES = Path(tempfile.mkdtemp())
FAR = CellSpace([*"abcd"], [(i, j) for j in range(1, 7) for i in range(j)], name="far")
SHUFFLED = pd.DataFrame({"a": Y}).sample(frac=1, random_state=0)
BACKWARDS = COUNTS[::-1]
FROM_ONE = pd.DataFrame({"p": Y}, index=range(1, 61))
HALF, REST = np.arange(30), np.arange(30, 60)
LOOSE = (
    [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
    ["input", "conv3x3-bn-relu", "conv1x1-bn-relu", "output"],
)
"""A node that leads nowhere."""


LEFT = object()
"""An argument that is left out."""


def run(table: Any = TABLE, **changes: Any) -> Any:
    """`evaluate`, with one fit of a few milliseconds."""
    options = {"targets": "a", "encodings": "op-count", "predictors": {"ridge": Ridge()}}
    options |= {"train_sizes": 10, "data_seeds": 0, "progress": False} | changes
    return evaluate(table, **{name: value for name, value in options.items() if value is not LEFT})


RESULTS = run(targets=["a", "b"], encodings=["op-count", "one-hot"], data_seeds=range(3))


def seek(candidates: Any = POOL, objective: Any = Y, method: Any = "random", **changes: Any) -> Any:
    options = {"budget": 30, "random_state": 0} | changes
    return search(candidates, objective, method, **options)


def table_of(targets: Any, **more: Any) -> Table:
    return Table("mine", "test", SPACE, CELLS, targets, **more)


def score(*arguments: Any, **changes: Any) -> Any:
    from graf_utils import scoring

    return scoring.score(*arguments, **({"width": 4, "cells": 1, "progress": False} | changes))


def code(**names: Any) -> Callable[[str], Any]:
    """A remedy that is an expression, under the names that the reader has."""
    return lambda text: eval(text, {"np": np, "pd": pd} | names)


def options(text: str) -> dict[str, Any]:
    """Arguments as the message writes them."""
    return eval(f"dict({text})")


def then(text: str, frame: Any) -> Any:
    """What the message says to write behind a frame."""
    return eval(f"frame{text}", {"frame": frame})


def a_file(text: str = '{"mine": 1}') -> Path:
    """A file of the reader's own."""
    (FILES / "own.json").write_text(text, encoding="utf8")
    return FILES / "own.json"


def untouched() -> None:
    """The reader's own file is as it was."""
    assert (FILES / "own.json").read_text(encoding="utf8") == '{"mine": 1}'


def same(table: Table) -> None:
    """Each architecture has its own target again."""
    np.testing.assert_array_equal(table.target("a"), Y)


def themed(name: str) -> None:
    with mpl.rc_context():
        plots.theme(name)


def explained(method: str) -> Any:
    return importances(
        TABLE, "a", "op-count", LinearRegression(), methods=method, train_size=20, data_seeds=0
    )


def claim(**changes: Any) -> claims.Claim:
    options = {"where": "Table 1", "kind": "ours"} | changes
    return claims.check("speed", "It is quick.", **options)


def worth(cells: Any) -> list[float]:
    return [float(sum(cells[0]))]


WITH_PROXIES = fit_predictor(TABLE, "a", "zcp", Ridge())


def saved(predictor: Any) -> Any:
    fit_predictor(TABLE, "a", "op-count", predictor).save(FILES / "predictor.npz")
    return load_predictor(FILES / "predictor.npz", predictor=predictor)


# --- the cases ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A bad call, what its message says to do (groups of `says`), and the same tried.

    `fault` is the number of its kind in the list of faults that this project was given.
    """

    area: str
    what: str
    fault: int
    bad: Callable[[], Any]
    says: str
    remedy: Callable[..., Any]


MEANT = r"Did you mean '(.+?)'"

CASES = [
    # spaces
    Case("spaces", "a misspelt name", 9, lambda: get_space("nb2o1"), MEANT, get_space),
    Case("spaces", "the name of a surrogate", 9, lambda: get_space("nb301"), MEANT, get_space),
    Case(
        "spaces",
        "a class",
        7,
        lambda: get_space(NB201),
        r"Write an instance, such as (NB201\(\))",
        lambda text: get_space(code(NB201=NB201)(text)),
    ),
    Case(
        "spaces",
        "one tuple",
        7,
        lambda: SPACE.to_codes(CELL),
        r"Write (\[.*\])\.",
        lambda text: SPACE.to_codes(code()(text)),
    ),
    Case(
        "spaces",
        "one row of an array",
        7,
        lambda: SPACE.to_codes(CELLS[0]),
        r"Write (\[.*\])\.",
        lambda text: SPACE.to_codes(code()(text)),
    ),
    Case(
        "spaces",
        "one list of ids",
        7,
        lambda: SPACE.to_codes([*CELL]),
        r"Write (\[.*\])\.",
        lambda text: SPACE.to_codes(code()(text)),
    ),
    Case(
        "spaces",
        "one string",
        7,
        lambda: SPACE.to_codes(SPACE.to_string(CELL)),
        r"Write (\[.*\])\.",
        lambda text: SPACE.to_codes(code()(text)),
    ),
    Case(
        "spaces",
        "no architecture",
        9,
        lambda: SPACE.to_codes([]),
        r"list of tuples such as (\[.*\])\.",
        lambda text: SPACE.to_codes(code()(text)),
    ),
    Case(
        "spaces",
        "ids as text",
        9,
        lambda: SPACE.to_codes(CELLS.astype(str)),
        r"\((\.astype\(int\)) for an array",
        lambda text: SPACE.to_codes(then(text, CELLS.astype(str))),
    ),
    Case(
        "spaces",
        "ids as booleans",
        9,
        lambda: SPACE.to_codes(CELLS > 1),
        r"\((\.astype\(int\)) for an array",
        lambda text: SPACE.to_codes(then(text, CELLS > 1)),
    ),
    Case(
        "spaces",
        "a cell too short",
        9,
        lambda: SPACE.to_codes([(1, 2)]),
        r"such as (\(.*\))\.",
        lambda text: SPACE.to_codes([code()(text)]),
    ),
    Case(
        "spaces",
        "an unknown operation in text",
        9,
        lambda: SPACE.to_codes([SPACE.to_string((4,) * 6).replace("avg", "max")]),
        MEANT,
        lambda name: SPACE.operations.index(name),
    ),
    Case(
        "spaces",
        "the same operation twice",
        17,
        lambda: CellSpace(["a", "a"], [(0, 1)]),
        r"(Rename them)",
        lambda _: CellSpace(["a", "b"], [(0, 1)]),
    ),
    Case(
        "spaces",
        "operations as text",
        7,
        lambda: CellSpace("conv", [(0, 1)]),
        r"Write (\['conv'\])",
        lambda text: CellSpace(code()(text), [(0, 1)]),
    ),
    Case(
        "spaces",
        "an edge backwards",
        9,
        lambda: CellSpace(["a"], [(1, 0)]),
        r"(Number the nodes in topological order)",
        lambda _: CellSpace(["a"], [(0, 1)]),
    ),
    Case(
        "spaces",
        "a node that no edge enters",
        9,
        lambda: CellSpace(["a"], [(0, 2), (1, 2)]),
        r"Write inputs=(\(0, 1\))",
        lambda text: CellSpace(["a"], [(0, 2), (1, 2)], inputs=code()(text)),
    ),
    Case(
        "spaces",
        "a list of all of a large space",
        13,
        lambda: FAR.enumerate(),
        r"Use (sample)",
        lambda name: getattr(FAR, name)(3, random_state=0),
    ),
    Case(
        "spaces",
        "more than there are",
        9,
        lambda: SPACE.sample(10_000, random_state=0),
        r"pass (replace=True)",
        lambda text: SPACE.sample(10_000, random_state=0, **options(text)),
    ),
    Case(
        "spaces",
        "a seed of text",
        9,
        lambda: SPACE.sample(3, random_state="x"),
        r"such as (random_state=0)",
        lambda text: SPACE.sample(3, **options(text)),
    ),
    Case(
        "spaces",
        "a node that leads nowhere",
        9,
        lambda: NB101().from_matrix(*LOOSE),
        r"from_matrix\(matrix, ops, (prune=True)\)",
        lambda text: NB101().from_matrix(*LOOSE, **options(text)),
    ),
    Case(
        "spaces",
        "a class to check",
        17,
        lambda: check_space(NB201),
        r"Write an instance, such as (NB201\(\))",
        lambda text: check_space(code(NB201=NB201)(text)),
    ),
    # features and encodings
    Case(
        "features",
        "a misspelt operation",
        9,
        lambda: GRAF(SPACE, operations=["nor_conv_3x"]).fit(CELLS),
        MEANT,
        lambda name: GRAF(SPACE, operations=[name]).fit(CELLS),
    ),
    Case(
        "features",
        "a misspelt family",
        9,
        lambda: GRAF(SPACE, families=["op_cuont"]).fit(CELLS),
        MEANT,
        lambda name: GRAF(SPACE, families=[name]).fit(CELLS),
    ),
    Case(
        "features",
        "a family as text",
        7,
        lambda: GRAF(SPACE, families="op_count").fit(CELLS),
        r"Write (families=\['op_count'\])",
        lambda text: GRAF(SPACE, **options(text)).fit(CELLS),
    ),
    Case(
        "features",
        "a group of no operation",
        9,
        lambda: GRAF(SPACE, groups={"conv": ["nor_conv_3x4"]}).fit(CELLS),
        MEANT,
        lambda name: GRAF(SPACE, groups={"conv": [name]}).fit(CELLS),
    ),
    Case(
        "features",
        "all sets of thirty operations",
        13,
        lambda: GRAF(MANY).fit_transform(LARGE.codes),
        r"Pass (max_set_size=\d+) ",
        lambda text: GRAF(MANY, **options(text)).fit_transform(LARGE.codes),
    ),
    Case(
        "features",
        "the same, fewer families",
        13,
        lambda: encode(LARGE, "graf"),
        r"such as (families=\['op_count'\])",
        lambda text: GRAF(MANY, **options(text)).fit_transform(LARGE.codes),
    ),
    Case(
        "features",
        "paths of a long chain",
        13,
        lambda: encode(LONG, "path"),
        r"Use '(.*)', '(.*)' or '(.*)' for this space",
        lambda *names: [encode(LONG, name) for name in names],
    ),
    Case(
        "features",
        "a type of text",
        9,
        lambda: GRAF(SPACE, dtype="floatt").fit_transform(CELLS),
        r"such as dtype=(np\.float32)",
        lambda text: GRAF(SPACE, dtype=code()(text)).fit_transform(CELLS),
    ),
    Case(
        "features",
        "a misspelt encoding",
        9,
        lambda: encode(TABLE, "grafs"),
        MEANT,
        lambda name: encode(TABLE, name),
    ),
    Case(
        "features",
        "a misspelt part",
        9,
        lambda: encode(TABLE, "graf+one-hit"),
        MEANT,
        lambda name: encode(TABLE, f"graf+{name}"),
    ),
    Case(
        "features",
        "proxies that a table lacks",
        9,
        lambda: encode(table_of({"a": Y}), "graf+zcp"),
        r"leave '(zcp)' out",
        lambda name: encode(table_of({"a": Y}), "graf+zcp".replace(f"+{name}", "")),
    ),
    Case(
        "features",
        "groups of an array",
        7,
        lambda: redundant_groups(np.eye(3)),
        r"such as (encode\(table, 'graf'\)) gives",
        lambda text: redundant_groups(code(encode=encode, table=TABLE)(text)),
    ),
    # tables
    Case(
        "tables",
        "targets in another order",
        20,
        lambda: table_of(SHUFFLED),
        r"write (\.sort_index\(\)) there",
        lambda text: same(table_of(then(text, SHUFFLED))),
    ),
    Case(
        "tables",
        "row numbers from 1",
        20,
        lambda: table_of({"a": Y}, proxies=FROM_ONE),
        r"write (\.reset_index\(drop=True\)) behind proxies",
        lambda text: table_of({"a": Y}, proxies=then(text, FROM_ONE)),
    ),
    Case(
        "tables",
        "no target",
        9,
        lambda: table_of({}),
        r"Pass a (mapping of name to values)",
        lambda _: table_of({"a": Y}),
    ),
    Case(
        "tables",
        "a bare array",
        7,
        lambda: table_of(Y),
        r"Pass a (mapping of name to values)",
        lambda _: table_of({"a": Y}),
    ),
    Case(
        "tables",
        "numbers as text",
        9,
        lambda: table_of({"a": Y.astype(str)}),
        r"(Convert) or drop it",
        lambda _: table_of({"a": Y.astype(str).astype(float)}),
    ),
    Case(
        "tables",
        "missing values",
        15,
        lambda: table_of({"a": np.where(Y > 2, np.nan, Y)}),
        r"(Drop those rows)",
        lambda _: Table("mine", "test", SPACE, CELLS[Y <= 2], {"a": Y[Y <= 2]}),
    ),
    Case("tables", "a misspelt target", 9, lambda: TABLE.target("aa"), MEANT, TABLE.target),
    Case(
        "tables",
        "a row beyond the last",
        9,
        lambda: TABLE.subset([60]),
        r"row numbers in 0\.\.(\d+)",
        lambda last: TABLE.subset([int(last)]),
    ),
    Case(
        "tables",
        "a mask too short",
        9,
        lambda: TABLE.subset([True] * 10),
        r"(one value per row)",
        lambda _: TABLE.subset([True] * 60),
    ),
    Case(
        "tables",
        "architectures of elsewhere",
        20,
        lambda: TABLE.rows([(1,) * 6]),
        r"Ask for those that are in (table\.architectures)",
        lambda text: TABLE.rows(code(table=TABLE)(text)),
    ),
    # evaluate
    Case(
        "evaluate",
        "copies",
        5,
        lambda: run(TWICE),
        r"with (table\.drop_duplicates\(\))",
        lambda text: run(code(table=TWICE)(text)),
    ),
    Case(
        "evaluate",
        "copies, kept together",
        5,
        lambda: run(TWICE),
        r"with (duplicates='grouped')",
        lambda text: run(TWICE, **options(text)),
    ),
    Case(
        "evaluate",
        "a frame in another order",
        4,
        lambda: run(encodings=BACKWARDS),
        r"write (\.sort_index\(\)) there",
        lambda text: run(encodings=then(text, BACKWARDS)),
    ),
    Case(
        "evaluate",
        "twins in another order",
        4,
        lambda: run(twins=pd.Series(range(60))[::-1]),
        r"write (\.sort_index\(\)) there",
        lambda text: run(twins=then(text, pd.Series(range(60))[::-1])),
    ),
    Case(
        "evaluate",
        "a class for a predictor",
        7,
        lambda: run(predictors=Ridge),
        r"such as (RandomForestRegressor\(\))",
        lambda text: run(predictors=code(RandomForestRegressor=RandomForestRegressor)(text)),
    ),
    Case(
        "evaluate", "a misspelt predictor", 9, lambda: make_predictor("xbg"), MEANT, make_predictor
    ),
    Case(
        "evaluate",
        "two of one name",
        7,
        lambda: run(predictors=[Ridge(), Ridge(2)]),
        r"such as predictors=\{'(.*)': \.\.\., '(.*)': \.\.\.\}",
        lambda *names: run(predictors=dict(zip(names, (Ridge(), Ridge(2)), strict=True))),
    ),
    Case(
        "evaluate",
        "a frame of targets",
        7,
        lambda: run(targets=TABLE.targets[["a"]]),
        r"such as (targets=\['name'\])",
        lambda text: run(**options(text.replace("name", TABLE.targets.columns[0]))),
    ),
    Case(
        "evaluate",
        "the name of a table",
        7,
        lambda: run("nb201-cifar10"),
        r"Pass what (load_table) returns",
        lambda _: run(load_table("nb201-cifar10"), targets="accuracy"),
    ),
    Case(
        "evaluate",
        "a transformer",
        7,
        lambda: run(encodings={"mine": GRAF(SPACE)}),
        r"such as (lambda table: transformer\.fit_transform\(table\))\.",
        lambda text: run(encodings={"mine": code(transformer=GRAF(SPACE))(text)}),
    ),
    Case(
        "evaluate",
        "too many to train",
        9,
        lambda: run(train_sizes=59),
        r"from 1 to (\d+)",
        lambda most: run(train_sizes=int(most)),
    ),
    Case(
        "evaluate",
        "a share to train",
        9,
        lambda: run(train_sizes=0.5),
        r"whole numbers from (\d+)",
        lambda least: run(train_sizes=int(least)),
    ),
    Case(
        "evaluate",
        "a misspelt metric",
        9,
        lambda: run(metrics="kendal"),
        MEANT,
        lambda name: run(metrics=name),
    ),
    Case(
        "evaluate",
        "an interval in per cent",
        9,
        lambda: run(interval=80, predictors=BayesianRidge()),
        r"such as (interval=0\.8) ",
        lambda text: run(predictors=BayesianRidge(), **options(text)),
    ),
    Case(
        "evaluate",
        "an interval of none",
        9,
        lambda: run(interval=0.8),
        r"or scikit-learn's (BayesianRidge\(\))",
        lambda text: run(interval=0.8, predictors=code(BayesianRidge=BayesianRidge)(text)),
    ),
    Case(
        "evaluate",
        "a row on both sides",
        5,
        lambda: run(splits=[(HALF, np.arange(60))], train_sizes=LEFT, data_seeds=LEFT),
        r"Write test = (np\.setdiff1d\(test, train\))",
        lambda text: run(
            splits=[(HALF, code(train=HALF, test=np.arange(60))(text))],
            train_sizes=LEFT,
            data_seeds=LEFT,
        ),
    ),
    Case(
        "evaluate",
        "splits and seeds",
        9,
        lambda: run(splits=[(HALF, REST)]),
        r"(Leave both out)",
        lambda _: run(splits=[(HALF, REST)], train_sizes=LEFT, data_seeds=LEFT),
    ),
    Case(
        "evaluate",
        "a file for a cache",
        33,
        lambda: run(cache=a_file()),
        r"(Choose one that can be written)",
        lambda _: run(cache=FILES / "fits"),
    ),
    # what is made of results
    Case(
        "results",
        "the same fit twice",
        5,
        lambda: summarise(pd.concat([RESULTS, RESULTS])),
        r"with (results\.drop_duplicates\(\[.*\]\));",
        lambda text: summarise(code(results=pd.concat([RESULTS, RESULTS]))(text)),
    ),
    Case(
        "results",
        "a metric that is not there",
        9,
        lambda: summarise(RESULTS, metric="spearman"),
        r"must be one of (\[.*?\])",
        lambda text: [summarise(RESULTS, metric=name) for name in code()(text)],
    ),
    Case(
        "results",
        "a misspelt column",
        9,
        lambda: summarise(RESULTS, by="encodings"),
        MEANT,
        lambda name: summarise(RESULTS, by=name),
    ),
    Case(
        "results",
        "a list of frames",
        7,
        lambda: summarise([RESULTS]),
        r"Put several together with (pd\.concat)",
        lambda text: summarise(code()(text)([RESULTS])),
    ),
    Case(
        "results",
        "a shortened baseline",
        9,
        lambda: paired_differences(RESULTS, "one"),
        MEANT,
        lambda name: paired_differences(RESULTS, name),
    ),
    Case(
        "results",
        "only the baseline",
        9,
        lambda: paired_differences(RESULTS[RESULTS["encoding"] == "one-hot"], "one-hot"),
        r"put both together with (pd\.concat)",
        lambda text: paired_differences(
            code()(text)([part for _, part in RESULTS.groupby("encoding")]), "one-hot"
        ),
    ),
    Case(
        "results",
        "results without a source",
        17,
        lambda: common_seeds(RESULTS.drop(columns="source")),
        r"such as (results\.assign\(source='own'\))",
        lambda text: common_seeds(code(results=RESULTS.drop(columns="source"))(text)),
    ),
    Case(
        "results",
        "a key that is no column",
        34,
        lambda: merge_results(FILES / "r.parquet", RESULTS, ["tabel"]),
        r"name some of (\[.*\])",
        lambda text: merge_results(FILES / "r.parquet", RESULTS, code()(text)[:7]),
    ),
    Case(
        "results",
        "a bare series of scores",
        7,
        lambda: rank_correlations(TABLE.target("a"), Y),
        r"Write (pd\.DataFrame\(\{'name': scores\}\))",
        lambda text: rank_correlations(code(scores=TABLE.target("a"))(text), Y),
    ),
    Case("results", "a misspelt published table", 9, lambda: published("nb2o1"), MEANT, published),
    # search
    Case(
        "search",
        "a table for candidates",
        7,
        lambda: seek(TABLE),
        r"Write (Candidates\.of\(table, 'graf'\)),",
        lambda text: seek(code(Candidates=Candidates, table=TABLE)(text)),
    ),
    Case(
        "search",
        "the name of a target",
        7,
        lambda: seek(objective="a"),
        r"such as (table\.target\('accuracy'\))",
        lambda text: seek(objective=code(table=TABLE)(text.replace("accuracy", "a"))),
    ),
    Case(
        "search",
        "an objective in another order",
        4,
        lambda: seek(objective=SHUFFLED["a"]),
        r"write (\.sort_index\(\)) there",
        lambda text: seek(objective=then(text, SHUFFLED["a"])),
    ),
    Case(
        "search",
        "more than there are",
        9,
        lambda: seek(budget=70),
        r"with (\d+) candidates: .* budget <= candidates",
        lambda n: seek(budget=int(n)),
    ),
    Case(
        "search",
        "a misspelt method",
        9,
        lambda: seek(method="evolutoin"),
        MEANT,
        lambda name: seek(method=name),
    ),
    Case(
        "search",
        "a surrogate that nobody asks",
        9,
        lambda: seek(surrogate=Ridge()),
        r"Use '(\w+)' or '(\w+)', or (guided=True) with '(\w+)' or '(\w+)'",
        lambda one, _, guided, *walks: [
            seek(method=one, surrogate=Ridge()),
            *(seek(method=walk, surrogate=Ridge(), **options(guided)) for walk in walks),
        ],
    ),
    Case(
        "search",
        "several at once",
        9,
        lambda: seek(method="predictor", at_once=4),
        r"Pass (batch_size=4) in its place",
        lambda text: seek(method="predictor", **options(text)),
    ),
    Case(
        "search",
        "guided by nothing",
        9,
        lambda: seek(method="random", guided=True),
        r"'(evolution)' or 'local'",
        lambda name: seek(method=name, guided=True),
    ),
    Case(
        "search",
        "a checkpoint without a seed",
        15,
        lambda: seek(objective=worth, random_state=None, checkpoint=FILES / "s.jsonl"),
        r"Pass (random_state=0)",
        lambda text: seek(objective=worth, checkpoint=FILES / "s.jsonl", **options(text)),
    ),
    Case(
        "search",
        "a file of one's own",
        33,
        lambda: seek(objective=worth, checkpoint=a_file()),
        r"(Name another file)",
        lambda _: (seek(objective=worth, checkpoint=FILES / "t.jsonl"), untouched()),
    ),
    Case(
        "search",
        "failed ones in a table",
        15,
        lambda: seek(objective=np.where(Y > 4, np.nan, Y)),
        r"a failed one (the lowest that can be)",
        lambda _: seek(objective=np.where(Y > 4, np.finfo(np.float32).min, Y)),
    ),
    Case(
        "search",
        "copies among candidates",
        5,
        lambda: Candidates.of(TWICE, "op-count"),
        r"write (table\.drop_duplicates\(\))",
        lambda text: Candidates.of(code(table=TWICE)(text), "op-count"),
    ),
    Case(
        "search",
        "more centres than points",
        9,
        lambda: k_centre(CELLS, 100),
        r"1\.\.(\d+)",
        lambda n: k_centre(CELLS, int(n)),
    ),
    Case(
        "search",
        "three objectives",
        9,
        lambda: hypervolume([[1, 2, 3]], (0, 0)),
        r"(two objectives)",
        lambda _: hypervolume([[1, 2]], (0, 0)),
    ),
    # scoring and deployment
    Case(
        "scoring",
        "a misspelt proxy",
        9,
        lambda: score(CELLS[:2], "parms"),
        MEANT,
        lambda name: score(CELLS[:2], name),
    ),
    Case(
        "scoring",
        "one cell",
        7,
        lambda: score(CELL, "params"),
        r"Write (\[.*\])\.",
        lambda text: score(code()(text), "params"),
    ),
    Case(
        "scoring",
        "a device that is none",
        9,
        lambda: score(CELLS[:2], "params", device="gpu"),
        r"Write (device='cpu')",
        lambda text: score(CELLS[:2], "params", **options(text)),
    ),
    Case(
        "scoring",
        "a file of one's own",
        33,
        lambda: score(CELLS[:2], "params", checkpoint=a_file()),
        r"(Name another file)",
        lambda _: (score(CELLS[:2], "params", checkpoint=FILES / "p.jsonl"), untouched()),
    ),
    Case(
        "scoring",
        "no width",
        9,
        lambda: score(CELLS[:2], "params", width=0),
        r"whole number of at least (\d+)",
        lambda least: score(CELLS[:2], "params", width=int(least)),
    ),
    Case(
        "deployment",
        "a frame for an encoding",
        7,
        lambda: fit_predictor(TABLE, "a", COUNTS, Ridge()),
        r"a name such as '(graf\+flow)'",
        lambda name: fit_predictor(TABLE, "a", name, Ridge()),
    ),
    Case(
        "deployment",
        "a misspelt target",
        9,
        lambda: fit_predictor(TABLE, "aa", "op-count", Ridge()),
        MEANT,
        lambda name: fit_predictor(TABLE, name, "op-count", Ridge()),
    ),
    Case(
        "deployment",
        "proxies left out",
        9,
        lambda: WITH_PROXIES.predict(CELLS[:2]),
        r"a frame with the columns (\[.*?\])",
        lambda text: WITH_PROXIES.predict(CELLS[:2], proxies=TABLE.proxies[code()(text)][:2]),
    ),
    Case(
        "deployment",
        "a forest without a seed",
        31,
        lambda: saved(RandomForestRegressor(5)),
        r"Set its (random_state) to a number",
        lambda name: saved(RandomForestRegressor(5, **{name: 0})),
    ),
    Case(
        "deployment",
        "a file of one's own",
        27,
        lambda: load_predictor(a_file()),
        r"(save it anew)",
        lambda _: (saved("rf"), untouched()),
    ),
    Case(
        "deployment",
        "a predictor of one's own",
        9,
        lambda: (saved(Ridge()), load_predictor(FILES / "predictor.npz")),
        r"Pass it: load_predictor\(path, (predictor)=\.\.\.\)",
        lambda name: load_predictor(FILES / "predictor.npz", **{name: Ridge()}),
    ),
    # plots, data sets, explanations, claims
    Case(
        "plots",
        "curves of two targets",
        19,
        lambda: plots.tau_curves(RESULTS),
        r"Draw one of them, (results\[.*?\]), or",
        lambda text: plots.tau_curves(code(results=RESULTS)(text)),
    ),
    Case(
        "plots",
        "the same, a panel for each",
        19,
        lambda: plots.tau_curves(RESULTS),
        r"for name, part in (results\.groupby\('target'\))",
        lambda text: [plots.tau_curves(part) for _, part in code(results=RESULTS)(text)],
    ),
    Case(
        "plots",
        "a misspelt theme",
        9,
        lambda: plots.theme("papr"),
        MEANT,
        lambda name: themed(name),
    ),
    Case(
        "plots",
        "a series as a table",
        7,
        lambda: plots.latex_table(RESULTS["kendall_tau"]),
        r"with (\.to_frame\(\))",
        lambda text: plots.latex_table(then(text, RESULTS["kendall_tau"])),
    ),
    Case("datasets", "a misspelt name", 9, lambda: load_table("nb201-cifar1O"), MEANT, load_table),
    Case("datasets", "the name of a space", 9, lambda: load_table("nb201"), MEANT, load_table),
    Case(
        "datasets",
        "an unknown source",
        9,
        lambda: load_table("nb201-cifar10", source="web"),
        r"must be one of \['auto', '(embedded)'",
        lambda name: load_table("nb201-cifar10", source=name),
    ),
    Case(
        "explain",
        "impurity of a linear model",
        7,
        lambda: explained("impurity"),
        r"'(permutation)'",
        lambda name: explained(name),
    ),
    Case(
        "explain",
        "a misspelt method",
        9,
        lambda: explained("permutaton"),
        MEANT,
        lambda name: explained(name),
    ),
    Case(
        "claims",
        "a figure without a tolerance",
        24,
        lambda: claim(paper=0.8, ours=0.8),
        r"Pass (tolerance),",
        lambda name: claim(paper=0.8, ours=0.8, **{name: 0.01}),
    ),
    Case(
        "claims",
        "a claim of NaN",
        24,
        lambda: claim(holds=float("nan")),
        r"such as holds=(ours > theirs)",
        lambda text: claim(holds=code(ours=1, theirs=2)(text)),
    ),
    Case(
        "claims",
        "a claim of others without a link",
        25,
        lambda: claim(kind="statement", holds=True),
        r'or (kind="ours")',
        lambda text: claim(holds=True, **options(text)),
    ),
    Case(
        "claims",
        "a ledger elsewhere",
        37,
        lambda: claims.Ledger("../escape"),
        r"such as '(.*?)'",
        claims.Ledger,
    ),
]


# --- the test -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_figures_are_left():
    yield
    mpl.pyplot.close("all")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.area}: {case.what}")
def test_the_remedy_works(case):
    if case.area == "scoring":
        pytest.importorskip("torch")
    with pytest.raises(ValueError) as error:
        case.bad()
    said = re.search(case.says, str(error.value))
    assert said, f"{error.value}\nsays nothing like {case.says}"
    case.remedy(*said.groups())


def test_the_table_is_large_and_of_many_kinds():
    assert len(CASES) >= 60
    assert len({case.fault for case in CASES}) >= 12
    assert len({(case.area, case.what) for case in CASES}) == len(CASES)


# --- as a table -----------------------------------------------------------------------------------


def outcome(case: Case) -> tuple[str, str, str]:
    """The message of a case, what it says to do, and how that ends."""
    try:
        case.bad()
    except ValueError as error:
        said = re.search(case.says, str(error))
        if said is None:
            return str(error), "", "no remedy"
        try:
            case.remedy(*said.groups())
        except Exception as failure:
            return str(error), said[0], f"fails: {failure!r:.100}"
        return str(error), said[0], "works"
    return "", "", "no error"


def main() -> None:
    """Print the table: case, message, remedy, outcome."""
    outcomes = []
    for case in CASES:
        message, remedy, end = outcome(case)
        outcomes.append(end)
        print(f"{case.area}: {case.what} (fault {case.fault})")
        print(f"    message: {message:.400}\n    remedy:  {remedy:.200}\n    outcome: {end}")
    print(f"{len(CASES)} cases, {outcomes.count('works')} remedies work")


if __name__ == "__main__":
    main()
