"""Trace the networks of timm, and write ``data/timm_networks.parquet``: their features and numbers.

Run ``python data/recipes/timm_networks.py trace``, then ``... table`` in an environment of their
own, which has this package's, and timm and torchvision besides::

    pip install --no-deps torchvision==0.28.0 timm==1.0.31
    pip install huggingface_hub safetensors

(torchvision from the package index is linked to CUDA; with the CPU build of PyTorch it can be
imported once two of its operators are declared, which this script does.)

``trace`` builds each architecture without weights, at the size of images that timm names for it,
and writes its graph of operators down in ``_build/timm-networks``, one file per network as it ends,
so that the command can be stopped and started. Each network is traced in a process of its own;
one that fails or takes longer than ``--limit`` is kept with the reason. About an hour on one core.
``table`` computes the features of all graphs and writes the table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from embedded_entry import print_entry

from graf_utils._files import replacing
from graf_utils.operators import OperatorFeatures, OperatorGraph
from graf_utils.registry import fetch
from graf_utils.results import write_table

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = ROOT / "_build" / "timm-networks"
OUTPUT = ROOT / "data" / "timm_networks.parquet"
LOG = ROOT / "data" / "results" / "timm_tracing.parquet"
RESULTS = "huggingface/pytorch-image-models/aa4b5850c154/results/"
IMAGENET = f"{RESULTS}results-imagenet.csv"
CPU = f"{RESULTS}benchmark-infer-fp32-nchw-pt240-cpu-i7_12700h-dynamo.csv"


def import_timm() -> Any:
    """Import timm, with the operators declared that torchvision expects of its CUDA build."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import_timm.library = library  # declared as long as it lives
    import timm

    return timm


# --- one network ----------------------------------------------------------------------------------


def trace(name: str) -> dict[str, Any]:
    """Build an architecture of timm without weights, and trace it.

    Parameters
    ----------
    name : str
        As `timm.list_models` has it.

    Returns
    -------
    dict
        The graph as plain lists, and what is known of the network: size of images, parameters that
        the module holds, seconds to build and to trace.
    """
    import timm
    import torch

    start = time.perf_counter()
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    size = tuple(model.default_cfg["input_size"])
    built = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        graph = OperatorGraph.from_module(model, torch.empty(1, *size, device="meta"))
    ended = time.perf_counter()
    return {
        "architecture": name,
        "family": timm.models.model_entrypoint(name).__module__.split(".")[-1],
        "image_size": size[-1],
        "held_parameters": sum(weight.numel() for weight in model.parameters()),
        "build_seconds": round(built - start, 3),
        "seconds": round(ended - built, 3),
        "warnings": [str(each.message) for each in said if issubclass(each.category, UserWarning)],
        "graph": written(graph),
        "versions": {"torch": torch.__version__, "timm": timm.__version__},
    }


def written(graph: OperatorGraph) -> dict[str, Any]:
    """A graph as plain lists, None for what is not known."""
    return {
        "kinds": list(graph.kinds),
        "edges": graph.edges.tolist(),
        "numbers": {
            name: [None if np.isnan(x) else x for x in values.tolist()]
            for name, values in graph.numbers.items()
        },
        "labels": list(graph.labels),
        "shared": graph.shared.tolist(),
    }


def read_graph(record: dict[str, Any]) -> OperatorGraph:
    """The graph of a record of `trace`."""
    parts = record["graph"]
    numbers = {k: [np.nan if x is None else x for x in v] for k, v in parts["numbers"].items()}
    edges = np.array(parts["edges"], dtype=int).reshape(-1, 2)
    return OperatorGraph(parts["kinds"], edges, numbers, parts["labels"], parts["shared"])


def keep(name: str, folder: Path) -> None:
    """Trace a network and write its record, or why there is none."""
    start = time.perf_counter()
    try:
        record = trace(name)
    except Exception as error:
        record = failed(name, f"{type(error).__name__}: {error}", time.perf_counter() - start)
    record["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    write(record, folder)


def failed(name: str, reason: str, seconds: float) -> dict[str, Any]:
    """The record of a network that has no graph."""
    return {"architecture": name, "reason": reason, "seconds": round(seconds, 3)}


def write(record: dict[str, Any], folder: Path) -> None:
    """Write a record down, whole or not at all."""
    with replacing(folder / f"{record['architecture']}.json") as part:
        part.write_text(json.dumps(record), encoding="utf-8")


# --- all networks ---------------------------------------------------------------------------------


def architectures() -> list[str]:
    """Architectures with a result on ImageNet in an order by chance, then those with a latency.

    A prefix of them is a fair sample.
    """
    with_results = {name.partition(".")[0] for name in pd.read_csv(fetch(IMAGENET))["model"]}
    with_latency = set(pd.read_csv(fetch(CPU))["model"]) - with_results
    shuffled = []
    for names in (with_results, with_latency):
        shuffled += random.Random(0).sample(sorted(names), len(names))
    return shuffled


def trace_all(names: list[str], folder: Path, limit: float) -> None:
    """Trace what has no record yet, each network in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    left = [name for name in names if not (folder / f"{name}.json").exists()]
    print(f"{len(names) - len(left)} of {len(names)} networks are done", flush=True)
    timm = import_timm()
    unknown = set(left) - set(timm.list_models())
    trace("test_vit")  # what PyTorch imports at its first export is there for all that follow
    fork = multiprocessing.get_context("fork")
    for place, name in enumerate(left, 1):
        start = time.perf_counter()
        if name in unknown:
            write(failed(name, f"timm {timm.__version__} does not know it", 0), folder)
            continue
        process = fork.Process(target=keep, args=(name, folder))
        process.start()
        process.join(limit)
        if process.exitcode is None:
            process.kill()
            process.join()
            write(failed(name, f"longer than {limit:g} seconds", limit), folder)
        elif process.exitcode:
            reason = f"the process ended with code {process.exitcode}"
            write(failed(name, reason, time.perf_counter() - start), folder)
        print(f"{place}/{len(left)} {name} {time.perf_counter() - start:.1f} s", flush=True)


# --- the table ------------------------------------------------------------------------------------

COMPUTED = ("conv", "depthwise-conv", "pointwise-conv", "linear", "attention", "matmul")
"""Kinds of operators whose outputs are counted as activations."""


def numbers_of(graph: OperatorGraph) -> dict[str, float]:
    """Parameters, multiply-adds, and activations: what convolutions and products put out.

    Inside an attention there are two products of matrices: (heads, n, d) by (heads, d, m), and that
    by (heads, m, d). Both have heads · n · m · d multiply-adds, so that the first puts out half of
    all, divided by d.
    """
    numbers, kinds = graph.numbers, np.array(graph.kinds)
    size = np.where(kinds == "attention", numbers["channels"] / numbers["heads"], np.inf)
    scores = numbers["multiply_adds"] / (2 * size)
    return {
        "parameters": np.expm1(
            OperatorFeatures(["sharing"]).fit_transform([graph])["sharing[log_distinct]"][0]
        ).round(),
        "multiply_adds": numbers["multiply_adds"].sum(),
        "activations": np.nansum((numbers["outputs"] + scores)[np.isin(kinds, COMPUTED)]),
    }


def make_table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per network that has a graph: what it is, its numbers, its features."""
    records = [record for record in records if "graph" in record]
    graphs = [read_graph(record) for record in records]
    known = pd.DataFrame(
        {
            "network": f"{record['architecture']}@{record['image_size']}",
            "family": record["family"],
            "image_size": record["image_size"],
        }
        | numbers_of(graph)
        for record, graph in zip(records, graphs, strict=True)
    )
    features = OperatorFeatures().fit_transform(graphs).astype("float32")
    return pd.concat([known, features], axis=1)


def make_log(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per architecture: how long it took to trace, or why there is no graph."""
    rows = [
        {
            "architecture": record["architecture"],
            "seconds": record["seconds"],
            "build_seconds": record.get("build_seconds", np.nan),
            "operators": len(record["graph"]["kinds"]) if "graph" in record else 0,
            "held_parameters": record.get("held_parameters", 0),
            "read_parameters": numbers_of(read_graph(record))["parameters"]
            if "graph" in record
            else 0,
            "warnings": "; ".join(record.get("warnings", [])),
            "reason": record.get("reason", ""),
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def write_tables(folder: Path, output: Path, log: Path) -> None:
    """Write both tables from the records of a folder, and say what to enter in the registry."""
    records = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    traced = [record for record in records if "graph" in record]
    seconds = pd.Series([record["seconds"] for record in traced])
    facts = {
        "recipe": "data/recipes/timm_networks.py",
        "licence": "this book's; names of networks from timm, Apache-2.0",
        "versions_of_networks": sorted({str(record["versions"]) for record in traced}),
        "architectures": len(records),
        "traced": len(traced),
        "seconds": {"median": seconds.median(), "max": seconds.max(), "sum": seconds.sum()},
    }
    write_table(make_table(records), output, **facts)
    write_table(make_log(records), log, **facts)
    print(f"{len(traced)} of {len(records)} networks have a graph")
    print_entry(output, "recipes/timm_networks.py")


def main() -> None:
    """Command line: ``trace`` the networks, or make the ``table``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["trace", "table"])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these architectures")
    parser.add_argument("--graphs", type=Path, default=GRAPHS, help="folder of finished graphs")
    parser.add_argument("--limit", type=float, default=300, help="seconds per network")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--log", type=Path, default=LOG)
    options = parser.parse_args()
    if options.step == "trace":
        trace_all(options.only or architectures(), options.graphs, options.limit)
    else:
        write_tables(options.graphs, options.output, options.log)


if __name__ == "__main__":
    main()
