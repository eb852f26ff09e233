"""Draw the README's figure, ``book/_static/answer.svg``, from the committed results."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

from graf_utils import plots
from graf_utils._files import replacing
from graf_utils.registry import data_path

OUTPUT = Path(__file__).resolve().parents[2] / "book" / "_static" / "answer.svg"
ENCODINGS = ["one-hot", "zcp", "graf", "zcp+graf"]


def main() -> None:
    """Read the results and write the figure."""
    plots.theme()
    results = pd.read_parquet(data_path("results", "paper_nb201.parquet"))
    forest = results[results["predictor"] == "rf"].set_index("encoding").loc[ENCODINGS]
    figure, ax = plt.subplots(figsize=(5.6, 3.6))
    plots.tau_curves(forest.reset_index(), ax=ax)
    ax.set_title("NAS-Bench-201, CIFAR-10 accuracy, random forest")
    with replacing(OUTPUT) as part:
        figure.savefig(part, format="svg", facecolor="white", metadata={"Date": None})
    print(OUTPUT)


if __name__ == "__main__":
    main()
