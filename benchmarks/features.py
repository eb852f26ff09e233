"""GRAF of all NAS-Bench-201 cells: the vectorised transformer against plain networkx.

The networkx side is the tests' oracle (tests/oracle.py), timed on `--oracle-cells` random cells
and scaled up; `--oracle-cells 15625` times all. Both sides are checked to agree on these cells.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from oracle import graf_oracle

from graf_utils import GRAF, NB201


def main() -> None:
    """Time both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oracle-cells", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    space = NB201()
    cells = space.decode(space.enumerate())
    chosen = np.random.default_rng(0).choice(len(cells), args.oracle_cells, replace=False)
    for variant in ("paper", "allowed"):
        graf = GRAF(variant=variant)
        seconds = []
        for _ in range(args.repeats):
            start = time.perf_counter()
            features = graf.transform(cells)
            seconds.append(time.perf_counter() - start)
        fast = float(np.median(seconds))
        start = time.perf_counter()
        rows = [
            graf_oracle(
                space.to_networkx(cells[i]), space.operations, input=1, output=4, variant=variant
            )
            for i in chosen
        ]
        slow = (time.perf_counter() - start) * len(cells) / len(chosen)
        names = graf.get_feature_names_out()
        wrong = sum(
            dict(zip(names, features[i].tolist(), strict=True)) != row
            for i, row in zip(chosen, rows, strict=True)
        )
        print(
            f"{variant:8} transform of {len(cells):,} cells: median {fast:.4f} s "
            f"(best {min(seconds):.4f}); networkx {slow:.1f} s (from {len(chosen):,} cells); "
            f"ratio {slow / fast:,.0f}; cells that differ: {wrong}"
        )


if __name__ == "__main__":
    main()
