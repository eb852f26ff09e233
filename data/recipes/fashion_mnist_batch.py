"""Take the 128 images of ``data/fashion_mnist_batch.parquet`` from Fashion-MNIST.

The data set comes from Debian (``apt-get install dataset-fashion-mnist``). The images are a random
sample of its 60,000 training images, the same at every run; a row holds the image's place in that
set, its label and its 784 pixels (0 to 255, row by row).

    python data/recipes/fashion_mnist_batch.py [--folder /usr/share/datasets/fashion-mnist]
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from graf_utils.registry import write_table

FOLDER = "/usr/share/datasets/fashion-mnist"
OUTPUT = Path(__file__).resolve().parents[1] / "fashion_mnist_batch.parquet"
FILES = {  # name: bytes of the header
    "train-images-idx3-ubyte.gz": 16,
    "train-labels-idx1-ubyte.gz": 8,
}
SEED, SIZE = 0, 128


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = Path(parser.parse_args().folder)
    content, digests = [], {}
    for name, header in FILES.items():
        packed = (folder / name).read_bytes()
        digests[name] = hashlib.sha256(packed).hexdigest()
        content.append(np.frombuffer(gzip.decompress(packed), np.uint8, offset=header))
    images, labels = content[0].reshape(-1, 784), content[1]
    rows = np.random.default_rng(SEED).choice(len(labels), SIZE, replace=False)
    columns = {"row": rows, "label": labels[rows], "pixels": list(images[rows])}
    write_table(
        pd.DataFrame(columns),
        OUTPUT,
        source="Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017), Debian dataset-fashion-mnist",
        licence="MIT, Copyright 2017 Zalando SE (NOTICE-fashion-mnist.md)",
        recipe="data/recipes/fashion_mnist_batch.py",
        sha256=digests,
        seed=SEED,
    )
    digest = hashlib.sha256(OUTPUT.read_bytes()).hexdigest()
    print(f"{OUTPUT}: {SIZE} images, {OUTPUT.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
