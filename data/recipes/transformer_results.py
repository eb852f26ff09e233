"""Transformers, and cells with dead edges: encodings and predictors on the tables beyond cells.

Writes ``data/results/transformers.parquet``: one row per fit, as `graf_utils.evaluation.evaluate`
returns them, library versions in the file's metadata; and ``transformer_numbers.parquet``: how
single numbers order each table, without any fit. Rows of one architecture are on one side of each
split. Where a table's name ends in a depth or a width, it is the part of the table that has it.
About an hour of one core, by the seconds of the fits that are done. Each fit is kept in
``_build/results-cache`` as it ends, and the table grows line by line, so the command can be stopped
and started. Tables whose files are missing are left out, and the command fails at its end.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.evaluation import DATA_SEEDS, FIT, evaluate
from graf_utils.operators import OperatorFeatures
from graf_utils.registry import DataError
from graf_utils.results import kept, merge_results
from graf_utils.table import Table
from graf_utils.transformers import (
    as_trained,
    bert_layers,
    depth,
    flexibert_layers,
    gpt_layers,
    hat_layers,
    layer_statistics,
    operator_graphs,
    parameters,
    settings_numbers,
    settings_one_hot,
)

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "data" / "results"
OUTPUT, NUMBERS = RESULTS / "transformers.parquet", RESULTS / "transformer_numbers.parquet"
RECIPE = "data/recipes/transformer_results.py"
ROUNDS = (5, 10, 20, 50)
"""Data seeds after which a first look, and a second, at the whole plan is complete."""

RIDGE = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 3, 9)))
PREDICTORS = {"ridge": RIDGE, "rf": "rf", "blend": "blend"}
SMALL = (32, 128)
PATHS = (
    "log_paths", "path_mean", "path_std", "path_min", "path_max", "path_share", "log_path_min",
    "log_path_max", "log_path_mean",
)  # fmt: skip
"""Families of operator features along paths, as flow has them in cells; others are GRAF's."""


@dataclass(frozen=True)
class Line:
    """A table, or the part of it that has one choice of a setting, and what is fitted on it."""

    table: str
    target: str
    encodings: tuple[str, ...]
    sizes: tuple[int, ...] = SMALL
    within: tuple[str, int] | None = None
    predictors: tuple[str, ...] = ("ridge", "rf", "blend")

    @property
    def name(self) -> str:
        """What the table is called in the results."""
        return f"{self.table} {self.within[0]} {self.within[1]}" if self.within else self.table


SETTINGS = ("one-hot", "numbers")
GRAPH = ("graf", "flow", "graf+flow")
BOTH = ("one-hot", "graf+flow", "one-hot+graf+flow")
TRAINED = ("as-trained", "as-trained+graf+flow")
BERT = (*BOTH, *TRAINED)
SIMPLE = ("numbers", "statistics", "parameters", "graf", "flow")
GPT = ("numbers", "graf+flow", "numbers+graf+flow")
COUNTED = ("one-hot", "parameters")
DEPTHS = (None, ("depth", 2), ("depth", 4))
WIDTHS = (None, ("width", 192), ("width", 384), ("width", 768))
TREES = ("rf", "blend")
HAT = tuple(f"hat-wmt14ende-{device}" for device in ("cpu-xeon", "gpu-titanxp", "cpu-raspberrypi"))
PLAN = (
    *(Line("nas-bench-bert", "glue", BERT, within=part) for part in DEPTHS),
    Line("swap-cnn", "accuracy", ("one-hot", "convolutions", "flow")),
    Line("flexibert-qnli", "accuracy", BOTH),
    *(Line("hw-gpt-s", "perplexity", GPT, within=part) for part in WIDTHS),
    *(Line("nas-bench-bert", "glue", (*SIMPLE, "metrics"), within=part, predictors=("ridge",))
      for part in DEPTHS),
    Line("flexibert-qnli", "accuracy", SIMPLE, predictors=("ridge",)),
    *(Line("hw-gpt-s", "perplexity", COUNTED, within=part, predictors=("ridge",))
      for part in WIDTHS),
    *(Line(name, "latency", (*GPT, *COUNTED), predictors=("ridge",)) for name in HAT),
    *(Line("hw-gpt-s-a100", target, (*GPT, *COUNTED), predictors=("ridge",))
      for target in ("latency", "energy")),
    Line("flexibert-sst2", "accuracy", (*BOTH, *SIMPLE), predictors=("ridge",)),
    Line("hw-gpt-s", "perplexity", GPT, (1024,), predictors=("ridge", "blend")),
    Line("swap-cnn", "accuracy", ("graf", "graf+flow")),
    Line("nas-bench-bert", "glue", ("depth",), predictors=("ridge",)),
    *(Line(name, "latency", ("numbers", "numbers+graf+flow"), predictors=TREES) for name in HAT),
    Line("flexibert-sst2", "accuracy", BOTH, predictors=TREES),
    Line("hw-gpt-s-a100", "latency", ("numbers", "numbers+graf+flow"), predictors=TREES),
)  # fmt: skip
"""In the order of importance: the same in each round of seeds."""

FEW = {("blend", 1024): 5}
"""Data seeds of what takes long."""


# --- encodings ------------------------------------------------------------------------------------


def layers_of(table: Table) -> Callable[..., Any]:
    """The function that turns configurations of a table into layers."""
    by_space = {
        "nas-bench-bert": bert_layers,
        "flexibert": flexibert_layers,
        "hw-gpt-s": gpt_layers,
        "hat": hat_layers,
    }
    return by_space[table.space.name]


def operator_features(table: Table, cache: Path) -> pd.DataFrame:
    """All features of the operator graphs of a table, computed once."""
    layers, features = layers_of(table), OperatorFeatures(drop_redundant=True)
    parts = [layers, OperatorFeatures, operator_graphs, table.codes]
    frame, _ = kept(
        cache / "features", parts, lambda: features.fit_transform(operator_graphs(table, layers))
    )
    return frame


def weights(table: Table, cache: Path) -> pd.DataFrame:
    """The number of parameters of the operator graphs of a table, computed once."""
    layers = layers_of(table)
    parts = [layers, parameters, operator_graphs, table.codes]
    frame, _ = kept(cache / "features", parts, lambda: parameters(operator_graphs(table, layers)))
    return frame


def of_paths(frame: pd.DataFrame, inside: bool) -> pd.DataFrame:
    """The columns of families of paths, or the others."""
    return frame[[name for name in frame if (name.split("[")[0] in PATHS) == inside]]


def trained_settings(table: Table) -> pd.DataFrame:
    """The settings that the published training code reads."""
    configurations = [as_trained(c) for c in table.space.configurations(table.codes)]
    frame = settings_numbers(Table(table.name, "own", table.space, configurations, table.targets))
    return frame.loc[:, frame.nunique() > 1]


def of_configurations(table: Table, cache: Path) -> dict[str, Callable[[], pd.DataFrame]]:
    """The encodings of a table of configurations, by what they are made of."""
    features = functools.cache(lambda: operator_features(table, cache))
    return {
        "one-hot": lambda: settings_one_hot(table),
        "numbers": lambda: settings_numbers(table),
        "statistics": lambda: layer_statistics(table),
        "parameters": lambda: weights(table, cache),
        "depth": lambda: depth(table),
        "metrics": lambda: table.proxies,
        "as-trained": lambda: trained_settings(table),
        "graf": lambda: of_paths(features(), False),
        "flow": lambda: of_paths(features(), True),
    }


def of_cells(table: Table) -> dict[str, Callable[[], pd.DataFrame]]:
    """The encodings of cells; of two equal ones, the normal cell."""

    def normal(encoding: str) -> pd.DataFrame:
        frame = encode(table, encoding)
        frame = frame[[name for name in frame if name.startswith("normal.")]]
        return frame.loc[:, frame.nunique() > 1]

    def convolutions() -> pd.DataFrame:
        counts = normal("op-count")
        return counts[[c for c in counts if "conv" in c]].sum(axis=1).to_frame("convolutions")

    return {
        "one-hot": lambda: normal("one-hot"),
        "convolutions": convolutions,
        "graf": lambda: normal("graf"),
        "flow": lambda: normal("flow"),
    }


def encodings_of(table: Table, names: tuple[str, ...], cache: Path) -> dict[str, pd.DataFrame]:
    """Encodings by name; several joined by ``+`` side by side."""
    makers = of_cells(table) if table.space.cells != ("",) else of_configurations(table, cache)
    made = {part: makers[part]() for part in dict.fromkeys("+".join(names).split("+"))}
    return {name: pd.concat([made[part] for part in name.split("+")], axis=1) for name in names}


def load(line: Line) -> tuple[Table, Any]:
    """The table of a line with all its rows, and those that the line is about."""
    table = load_table(line.table, valid_only=line.table != "nas-bench-bert")
    if line.within is None:
        return table, slice(None)
    setting, choice = line.within
    return table, np.flatnonzero(settings_numbers(table)[setting] == choice)


# --- fits -----------------------------------------------------------------------------------------


def fits_of(line: Line, n_seeds: int) -> pd.MultiIndex:
    """All fits of a line on its first data seeds, told apart by `FIT`, without the source."""
    keys = [
        (line.name, line.target, encoding, predictor, size, seed)
        for predictor, encoding, size in itertools.product(
            line.predictors, line.encodings, line.sizes
        )
        for seed in DATA_SEEDS[: min(n_seeds, FEW.get((predictor, size), n_seeds))]
    ]
    return pd.MultiIndex.from_tuples(keys, names=[key for key in FIT if key != "source"])


def read_done(path: Path = OUTPUT) -> pd.MultiIndex:
    """Fits that stand in the table of results."""
    names = [key for key in FIT if key != "source"]
    if not path.exists():
        return pd.MultiIndex.from_arrays([[]] * len(names), names=names)
    return pd.MultiIndex.from_frame(pd.read_parquet(path, columns=names))


def rounds() -> Iterator[tuple[Line, str, int]]:
    """Each line and predictor with a few seeds, then with more."""
    for n_seeds, line in itertools.product(ROUNDS, PLAN):
        for predictor in line.predictors:
            yield line, predictor, n_seeds


def run(path: Path, cache: Path, until: float) -> dict[str, str]:
    """Do the fits that are missing, and put them into a table.

    Parameters
    ----------
    path : Path
        The table of results.
    cache : Path
        Folder of finished fits and of features.
    until : float
        No line is begun after this time, in seconds of `time.monotonic`.

    Returns
    -------
    dict of str to str
        For each table that is missing, its name and the reason.
    """
    missing: dict[str, str] = {}
    for line, predictor, n_seeds in rounds():
        if line.table in missing or time.monotonic() > until:
            continue
        left = fits_of(line, n_seeds).difference(read_done(path)).to_frame(index=False)
        left = left[left["predictor"] == predictor]
        if left.empty:
            continue
        try:
            table, rows = load(line)
        except DataError as error:
            missing[line.table] = str(error)
            continue
        names = tuple(name for name in line.encodings if (left["encoding"] == name).any())
        frames = encodings_of(table, names, cache)
        part = table.subset(rows)
        part.name = line.name
        chosen = {name: frame.iloc[rows].reset_index(drop=True) for name, frame in frames.items()}
        for size, seeds in left.groupby("train_size")["data_seed"]:
            fits = evaluate(
                part, line.target, chosen, {predictor: PREDICTORS[predictor]}, size,
                sorted(set(seeds)), duplicates="grouped", cache=cache, progress=False,
            )  # fmt: skip
            merge_results(path, fits, FIT, recipe=RECIPE, files=table.provenance["files"])
        print(f"{n_seeds} seeds, {line.name}, {predictor}: {len(left):,} fits", flush=True)
    return missing


# --- single numbers -------------------------------------------------------------------------------


def numbers_of(line: Line, cache: Path) -> pd.DataFrame:
    """How each single number orders the rows of a line.

    Returns
    -------
    DataFrame
        ``table, target, number, n`` and ``kendall_tau`` (tau-b, towards the better target), and
        ``random_ties``: the mean over ten orders in which equal numbers stand at random. A number
        of few values has a high tau-b, for ties are left out of what it is divided by.
    """
    table, rows = load(line)
    names = ["convolutions"] if table.space.cells != ("",) else ["parameters", "numbers"]
    names += ["statistics"] if getattr(table.space, "layers", None) else []
    names += ["metrics"] if table.proxies is not None else []
    frame = pd.concat(encodings_of(table, tuple(names), cache).values(), axis=1)
    frame = frame.loc[:, ~frame.columns.duplicated()].iloc[rows]
    sign = 1 if table.provenance["higher_is_better"][line.target] else -1
    y = sign * table.target(line.target)[rows]
    found = []
    for name in frame.loc[:, frame.nunique() > 1]:
        x = frame[name].to_numpy()
        broken = [tau(broken_ties(x, seed), y) for seed in range(10)]
        found.append((line.name, line.target, name, len(y), tau(x, y), float(np.mean(broken))))
    columns = ["table", "target", "number", "n", "kendall_tau", "random_ties"]
    return pd.DataFrame(found, columns=columns)


def tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(x, y).statistic)


def broken_ties(x: np.ndarray, seed: int) -> np.ndarray:
    """The places of numbers in rising order, equal ones at random."""
    order = np.lexsort((np.random.default_rng(seed).random(len(x)), x))
    places = np.empty(len(x))
    places[order] = np.arange(len(x))
    return places


def write_numbers(path: Path, cache: Path) -> None:
    """Compute how single numbers order each table that is not there yet."""
    keys = ["table", "target"]
    there = pd.read_parquet(path)[keys].drop_duplicates() if path.exists() else pd.DataFrame()
    seen = set(there.itertuples(index=False, name=None))
    for line in PLAN:
        if (line.name, line.target) in seen:
            continue
        seen.add((line.name, line.target))
        try:
            files = load(line)[0].provenance["files"]
        except DataError:  # `run` has said so
            continue
        found = numbers_of(line, cache)
        merge_results(path, found, ["table", "target", "number"], recipe=RECIPE, files=files)


def status(path: Path) -> pd.DataFrame:
    """What is done of each line.

    Returns
    -------
    DataFrame
        One row per line of the plan: fits planned and done.
    """
    done = read_done(path)
    rows = []
    for line in PLAN:
        fits = fits_of(line, ROUNDS[-1])
        rows.append(
            {
                "table": line.name,
                "target": line.target,
                "encodings": len(line.encodings),
                "planned": len(fits),
                "done": int(fits.isin(done).sum()),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Do the plan and put its fits into the table; fail if a table is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no line later")
    parser.add_argument("--status", action="store_true", help="say what is left, and stop")
    options = parser.parse_args()
    missing: dict[str, str] = {}
    if not options.status:
        until = time.monotonic() + 60 * options.minutes
        missing = run(options.output, options.cache, until)
        write_numbers(options.output.with_name(NUMBERS.name), options.cache)
    left = status(options.output)
    print(left.to_string(index=False))
    print(f"{left['done'].sum():,} of {left['planned'].sum():,} fits")
    if missing:
        reasons = "\n".join(missing.values())
        raise SystemExit(f"{reasons}\n{len(missing)} tables are missing: {', '.join(missing)}")


if __name__ == "__main__":
    main()
