"""What flow costs beside GRAF: CPU milliseconds on the same architectures, in turns, one process.

NAS-Bench-201 and TransNAS-Bench-101-micro are whole; of NAS-Bench-101 and DARTS 10,000
architectures are drawn. Codes go in, features come out.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from graf_utils.features import GRAF, Flow
from graf_utils.spaces import DARTS, NB101, NB201, TNB101Macro, TNB101Micro


def architectures() -> dict[str, tuple[object, np.ndarray]]:
    """A search space and codes, by name."""
    cells = NB101().enumerate()
    rows = np.random.default_rng(0).choice(len(cells), 10_000, replace=False)
    return {
        "nb201": (NB201(), NB201().enumerate()),
        "tnb101-micro": (TNB101Micro(), TNB101Micro().enumerate()),
        "tnb101-macro": (TNB101Macro(), TNB101Macro().enumerate()),
        "nb101": (NB101(), cells[rows]),
        "darts": (DARTS(), DARTS().sample(10_000, random_state=0)),
    }


def main() -> None:
    """Print the median of each, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    for name, (space, codes) in architectures().items():
        milliseconds: dict[str, list[float]] = {"GRAF": [], "flow": []}
        widths = {}
        for _ in range(repeats + 1):
            for kind, transformer in (("GRAF", GRAF(space)), ("flow", Flow(space))):
                start = time.process_time()
                widths[kind] = transformer.transform(codes).shape[1]
                milliseconds[kind].append(1e3 * (time.process_time() - start))
        graf, flow = (float(np.median(values[1:])) for values in milliseconds.values())
        print(
            f"{name:13} {len(codes):6,} architectures: GRAF {graf:7.2f} ms ({widths['GRAF']} "
            f"columns), flow {flow:7.2f} ms ({widths['flow']} columns), ratio {flow / graf:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
