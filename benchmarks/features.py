"""GRAF of whole spaces, from each form of input: this package against an older checkout of it.

The same measurements run in processes that take turns: this checkout, and the one given as
argument (a folder that holds `graf_utils`), if any. NAS-Bench-201 is whole (15,625 cells), of
NAS-Bench-101 10,000 cells are drawn. A checkout without `graf_utils.table` is timed on
``table.architectures``, which is what a table handed to GRAF there. Every run prints a digest of
its features; digests that differ between checkouts are an error. Times are of the processor, so
that other work on the machine counts as little as can be. For the comparison with
networkx see spaces.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
FORMS = ("nb201 tuples", "nb201 codes", "nb201 Table", "nb101 codes")


def inputs() -> dict[str, tuple[str, object]]:
    """The space and the architectures of each form of input."""
    from graf_utils.spaces import NB101, NB201

    codes = NB201().enumerate()
    tuples = list(map(tuple, codes.tolist()))
    cells = NB101().enumerate()
    rows = np.random.default_rng(0).choice(len(cells), 10_000, replace=False)
    try:
        from graf_utils.table import Table
    except ImportError:  # before there were tables of codes: the list of tuples
        table: object = tuples
    else:
        table = Table("all", "benchmark", "nb201", tuples, {"row": np.arange(len(tuples))})
    return dict(
        zip(
            FORMS,
            (("nb201", tuples), ("nb201", codes), ("nb201", table), ("nb101", cells[rows])),
            strict=True,
        )
    )


def measure(repeats: int) -> None:
    """Time each form in this process and print the milliseconds as JSON."""
    from graf_utils.features import GRAF

    results = {}
    for form, (space, architectures) in inputs().items():
        features = GRAF(space).transform(architectures)
        digest = hashlib.sha256(np.ascontiguousarray(features).tobytes()).hexdigest()
        seconds = []
        for _ in range(repeats):
            start = time.process_time()
            GRAF(space).transform(architectures)
            seconds.append(time.process_time() - start)
        results[form] = {"ms": [1e3 * s for s in seconds], "digest": digest}
    print(json.dumps(results))


def run(checkout: Path, repeats: int) -> dict[str, dict[str, object]]:
    """Measure one checkout in a process of its own, on one core."""
    one_core = {f"{kind}_NUM_THREADS": "1" for kind in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, __file__, "--measure", "--repeats", str(repeats)]
    result = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env={**os.environ, **one_core, "PYTHONPATH": str(checkout)},
        encoding="utf8",
    )
    return json.loads(result.stdout)


def main() -> None:
    """Print the median of each form, and the ratio to the older checkout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", nargs="?", type=Path, help="an older checkout to compare with")
    parser.add_argument("--repeats", type=int, default=9, help="of each form in each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes per checkout, in turns")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.repeats)
        return
    checkouts = {"now": HERE}
    if args.before:
        if not (args.before / "graf_utils").is_dir():
            parser.error(f"{args.before} holds no folder graf_utils; name a checkout")
        checkouts = {"before": args.before.resolve(), **checkouts}
    runs = [
        {name: run(path, args.repeats) for name, path in checkouts.items()}
        for _ in range(args.rounds)
    ]
    for form in FORMS:
        medians = {
            name: float(np.median([ms for each in runs for ms in each[name][form]["ms"]]))
            for name in checkouts
        }
        digests = {each[name][form]["digest"] for each in runs for name in checkouts}
        if len(digests) > 1:
            sys.exit(f"{form}: the features differ between the checkouts or between runs")
        line = ", ".join(f"{name} {ms:.2f} ms" for name, ms in medians.items())
        if args.before:
            line += f", {medians['before'] / medians['now']:.2f} times as fast"
        print(f"{form:13} {line}", flush=True)


if __name__ == "__main__":
    main()
