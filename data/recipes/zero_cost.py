"""Compute zero-cost proxies of the valid architectures of a search space, and write a table.

The embedded table (about 80 minutes of CPU time; every finished cell is kept in ``_build``, so it
can be stopped and started again)::

    python data/recipes/zero_cost.py data/nb201_zero_cost.parquet --n-jobs 2 --width 8 --cells 3 \\
        --image-size 16 --checkpoint _build/nb201_zero_cost.jsonl

The 200 cells at full size (25 minutes)::

    python data/recipes/zero_cost.py data/results/proxies_full_200.parquet --sample 200
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from graf_utils.results import forbid_loss, write_table
from graf_utils.scoring import image_batch, score
from graf_utils.spaces import get_space


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Zero-cost proxies of all valid architectures of a search space, as parquet. "
        "A run that was stopped goes on where it was.",
    )
    parser.add_argument("output", type=Path, help="the parquet file to write")
    parser.add_argument("--checkpoint", type=Path, help="by default the output with .jsonl")
    parser.add_argument("--space", default="nb201")
    parser.add_argument("--sample", type=int, metavar="N", help="only N architectures, at random")
    parser.add_argument("--proxies", nargs="+", metavar="NAME", help="by default all")
    parser.add_argument("--width", type=int, help="by default the benchmark's")
    parser.add_argument("--cells", type=int, help="by default the benchmark's")
    parser.add_argument("--image-size", type=int, default=32, help="32 or 16")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--random-state", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: score the valid architectures of a space and write a table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the shell by default.

    Raises
    ------
    DataError
        The output is there and has architectures that would be lost; nothing is computed then.
    """
    options = arguments_of(arguments)
    space = get_space(options.space)
    if options.sample is None:
        pool = space.enumerate()
        pool = pool[space.is_valid(pool)]
    else:
        pool = space.sample(options.sample, random_state=options.random_state)
    names = pd.DataFrame({"architecture": [str(code) for code in space.from_codes(pool)]})
    forbid_loss(options.output, names, ["architecture"])
    sizes = {name: getattr(options, name) for name in ("width", "cells")}
    frame = score(
        pool,
        options.proxies,
        image_batch(options.image_size, options.batch_size),
        space=space,
        n_jobs=options.n_jobs,
        checkpoint=options.checkpoint or options.output.with_suffix(".jsonl"),
        device=options.device,
        random_state=options.random_state,
        **{name: size for name, size in sizes.items() if size is not None},
    )
    frame["architecture"] = frame["architecture"].map(str)
    times = [name for name in frame if name.startswith("seconds")]
    frame = frame.astype(dict.fromkeys(times, np.float32))
    settings = {k: str(v) for k, v in vars(options).items() if k not in ("output", "checkpoint")}
    write_table(frame, options.output, recipe="data/recipes/zero_cost.py", settings=settings)
    failed = int((frame["error"] != "").sum())
    print(f"{options.output}: {len(frame):,} architectures, {failed} with a proxy that failed")


if __name__ == "__main__":
    main()
