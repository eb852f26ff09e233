"""Take the 128 images of ``data/fashion_mnist_batch.parquet`` from Fashion-MNIST.

The data set comes from Debian (``apt-get install dataset-fashion-mnist``). The images are a random
sample of its 60,000 training images, the same at every run; a row holds the image's place in that
set, its label and its 784 pixels (0 to 255, row by row).

    python data/recipes/fashion_mnist_batch.py [--folder /usr/share/datasets/fashion-mnist]
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from graf_utils import fashion_mnist
from graf_utils.results import write_table

OUTPUT = Path(__file__).resolve().parents[1] / "fashion_mnist_batch.parquet"
SEED, SIZE = 0, 128


def main() -> None:
    """Read the data set, draw the images and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=fashion_mnist.FOLDER)
    options = parser.parse_args()
    images, labels = fashion_mnist.read(options.folder, "train")
    rows = np.random.default_rng(SEED).choice(len(labels), SIZE, replace=False)
    pixels = images.reshape(len(images), -1)
    columns = {"row": rows, "label": labels[rows], "pixels": list(pixels[rows])}
    write_table(
        pd.DataFrame(columns),
        OUTPUT,
        source=fashion_mnist.SOURCE,
        licence="MIT, Copyright 2017 Zalando SE (NOTICE-fashion-mnist.md)",
        recipe="data/recipes/fashion_mnist_batch.py",
        sha256=fashion_mnist.digests(options.folder, "train"),
        seed=SEED,
    )
    digest = hashlib.sha256(OUTPUT.read_bytes()).hexdigest()
    print(f"{OUTPUT}: {SIZE} images, {OUTPUT.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
