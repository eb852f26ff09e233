"""GRAF of all NAS-Bench-201 cells, both variants: the vectorised transformer against networkx.

The same comparison as benchmarks/spaces.py, which has the other spaces. ``--oracle-cells 15625``
times networkx on every cell.
"""

from __future__ import annotations

import argparse

from spaces import measure


def main() -> None:
    """Time both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oracle-cells", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    for variant in ("paper", "allowed"):
        measure("nb201", variant, args.oracle_cells, args.repeats)


if __name__ == "__main__":
    main()
