"""Networks of timm: encodings and predictors on accuracies and latencies that others measured.

Writes ``data/results/timm.parquet``: one row per fit, as `graf_utils.evaluation.evaluate` returns
them; ``timm_numbers.parquet``: how single numbers order each table, without any fit; and
``timm_noise.parquet``: the accuracies of networks that were trained by several recipes. Library
versions are in the metadata.

Networks with the same features, such as one architecture under two names, are on one side of each
split. Where a table's name ends in "held-out families", the networks to test on are of families (a
family is a module of timm) of which none was learned from. About 20 minutes on one core. Each fit
is kept in ``_build/results-cache`` as it ends, so that the command can be stopped and started.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau
from transformer_results import PATHS, PREDICTORS

from graf_utils._timm_files import read_weights
from graf_utils.datasets import load_table
from graf_utils.evaluation import DATA_SEEDS, FIT, evaluate
from graf_utils.registry import book_registry, data_path, fetch
from graf_utils.results import merge_results, write_table
from graf_utils.table import Table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "data" / "results"
RECIPE = "data/recipes/timm_results.py"
IMAGENET = "huggingface/pytorch-image-models/aa4b5850c154/results/results-imagenet.csv"
NETWORKS = "timm_networks.parquet"

SEEDS = DATA_SEEDS[:20]
SIZES = (32, 128)
NUMBERS = ("parameters", "multiply_adds", "activations")
SUMMARY = ("op_count", "function_count", "depth", "log_mean", "multiply_add_share")
"""Families of the encoding ``summary``: few, for little to learn from.

Chosen among six such lists with data seeds from 1,000 on, on the first quarter of the networks.
"""


@dataclass(frozen=True)
class Line:
    """A table and what is fitted on it."""

    table: str
    target: str
    encodings: tuple[str, ...]
    holds_out: bool = False

    @property
    def name(self) -> str:
        """What the table is called in the results."""
        return f"{self.table} held-out families" if self.holds_out else self.table


BASE = ("numbers", "numbers+family")
OURS = ("graf+flow", "numbers+graf+flow", "numbers+summary")
WITH_FAMILY = ("family", "numbers+family+summary")
PLAN = (
    Line("timm-top1", "top1", (*BASE, *OURS, *WITH_FAMILY, "graf", "flow")),
    Line("timm-top1", "top1", ("numbers", *OURS, "graf", "flow"), holds_out=True),
    Line("timm-cpu-latency", "log_latency", (*BASE, *OURS, "multiply_adds", "graf", "flow")),
    Line("timm-cpu-latency", "log_latency", ("numbers", *OURS, "multiply_adds"), holds_out=True),
    Line("timm-gpu-latency", "log_latency", (*BASE, *OURS, "multiply_adds")),
)


def load(name: str) -> Table:
    """A table; of latencies, with their logarithm as another target."""
    table = load_table(name)
    if "latency" in table.targets:
        table = table.assign(log_latency=lambda t: np.log(t.target("latency")))
    return table


# --- encodings ------------------------------------------------------------------------------------


def families_of(table: Table) -> pd.Series:
    """The family of each network of a table: the module of timm that it is written in."""
    known = pd.read_parquet(data_path(NETWORKS), columns=["network", "family"])
    return known.set_index("network")["family"].loc[table.architectures].reset_index(drop=True)


def features_of(table: Table) -> pd.DataFrame:
    """The features of operators, without the numbers of whole networks."""
    columns = table.space.rows(table.codes)
    features = columns.drop(columns=["image_size", *NUMBERS])
    return features.loc[:, features.nunique() > 1]


def twins_of(table: Table) -> pd.Series:
    """A label per network, equal for those with the same features."""
    rows = features_of(table).to_numpy()
    return pd.Series(np.unique(rows, axis=0, return_inverse=True)[1].ravel())


def encodings_of(table: Table, names: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Encodings by name; several joined by ``+`` side by side."""
    numbers, features = np.log1p(table.space.rows(table.codes)[list(NUMBERS)]), features_of(table)
    family = np.array([name.split("[")[0] for name in features])
    of_paths, is_short = np.isin(family, PATHS), np.isin(family, SUMMARY)
    parts = {
        "numbers": numbers,
        "family": pd.get_dummies(families_of(table), prefix="family", dtype=float),
        "graf": features.loc[:, ~of_paths],
        "flow": features.loc[:, of_paths],
        "summary": features.loc[:, is_short],
    } | {name: numbers[[name]] for name in NUMBERS}
    return {name: pd.concat([parts[part] for part in name.split("+")], axis=1) for name in names}


# --- fits -----------------------------------------------------------------------------------------


def hold_out(families: pd.Series, twins: pd.Series) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A function that draws splits with no family, and no twin, on both sides.

    Families in an order by chance are learned from until they have half of the networks. Of these
    networks so many classes of twins are drawn as the train size says.
    """

    def split(n_rows: int, train_size: int, data_seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(data_seed)
        order = rng.permutation(np.unique(families))
        so_far = np.cumsum([(families == family).sum() for family in order])
        learned = families.isin(order[: 1 + np.searchsorted(so_far, n_rows / 2)])
        drawn = rng.choice(twins[learned].unique(), train_size, replace=False)
        is_train = learned & twins.isin(drawn)
        is_test = ~learned & ~twins.isin(twins[learned])
        return np.flatnonzero(is_train), np.flatnonzero(is_test)

    return split


def run(path: Path, cache: Path) -> None:
    """Do the fits of the plan, and put them into a table."""
    for line, predictor in itertools.product(PLAN, PREDICTORS):
        table = load(line.table)
        twins = twins_of(table)
        splits = hold_out(families_of(table), twins) if line.holds_out else None
        table.name = line.name
        fits = evaluate(
            table, line.target, encodings_of(table, line.encodings),
            {predictor: PREDICTORS[predictor]}, SIZES, SEEDS, duplicates="grouped", twins=twins,
            splits=splits, cache=cache, progress=False,
        )  # fmt: skip
        fits = fits.drop(columns=["kendall_tau_unseen", "n_unseen"])  # there are no twins there
        merge_results(path, fits, FIT, recipe=RECIPE, files=files_of(table))
        print(f"{line.name}, {predictor}: {len(fits):,} fits", flush=True)


def files_of(table: Table) -> dict[str, str]:
    """The files that a table was read from, with their SHA-256."""
    return table.provenance["files"] | {NETWORKS: book_registry().embedded[NETWORKS]["sha256"]}


# --- without fits ---------------------------------------------------------------------------------


def write_numbers(path: Path) -> None:
    """How each single number orders each table: Kendall's tau over all its networks."""
    for name, target in {line.table: line.target for line in PLAN}.items():
        table = load(name)
        numbers = table.space.rows(table.codes)[[*NUMBERS, "image_size"]]
        taus = {x: float(kendalltau(numbers[x], table.target(target)).statistic) for x in numbers}
        rows = pd.DataFrame({"number": taus.keys(), "kendall_tau": taus.values()})
        rows.insert(0, "table", name)
        rows = rows.assign(target=target, n=len(table))
        merge_results(path, rows, ["table", "number"], recipe=RECIPE, files=files_of(table))


def write_noise(path: Path) -> None:
    """Each recipe of the networks that were trained by several, at one size of images."""
    weights = read_weights(fetch(IMAGENET))
    weights = weights[weights["network"].isin(load_table("timm-top1").architectures)]
    several = weights[weights.groupby("network")["weights"].transform("size") > 1]
    several = several.sort_values(["network", "weights"]).drop(columns="img_size")
    write_table(
        several, path, recipe=RECIPE, files={IMAGENET: book_registry().files[IMAGENET]["sha256"]}
    )


def main() -> None:
    """Command line: do the plan and write all three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "results-cache")
    parser.add_argument("--output", type=Path, default=RESULTS / "timm.parquet")
    options = parser.parse_args()
    write_numbers(options.output.with_name("timm_numbers.parquet"))
    write_noise(options.output.with_name("timm_noise.parquet"))
    run(options.output, options.cache)


if __name__ == "__main__":
    main()
