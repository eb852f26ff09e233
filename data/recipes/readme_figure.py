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
PAPER = ["one-hot", "graf", "zcp+graf"]
OURS = ["graf+flow", "zcp+graf+flow"]
TABLE = "nb201-cifar10"


def main() -> None:
    """Read the results and write the figure."""
    plots.theme()
    results = pd.read_parquet(data_path("results", "paper_nb201.parquet"))
    forest = results[results["predictor"] == "rf"].set_index("encoding").loc[PAPER]
    results = pd.read_parquet(data_path("results", "flow.parquet"))
    results = results[(results["table"] == TABLE) & (results["predictor"] == "blend")]
    blend = results.set_index("encoding").loc[OURS]
    ceilings = pd.read_parquet(data_path("results", "flow_ceiling.parquet"))
    is_paper = (ceilings["table"] == TABLE) & (ceilings["source"] == "paper")
    (ceiling,) = ceilings.loc[is_paper, "kendall_tau"]
    figure, ax = plt.subplots(figsize=(5.6, 4.2))
    plots.tau_curves(pd.concat([forest, blend]).reset_index(), ax=ax)
    plots.draw_ceiling(ax, ceiling)
    ax.set_title("NAS-Bench-201, CIFAR-10 accuracy")
    plots.legend_below(ax)
    with replacing(OUTPUT) as part:
        figure.savefig(part, format="svg", facecolor="white", metadata={"Date": None})
    print(OUTPUT)


if __name__ == "__main__":
    main()
