"""A figure exactly as wide as a journal's column, and a table for LaTeX."""

from graf_utils import evaluate, load_table, plots, summarise

table = load_table("nb201-fashion")
results = evaluate(
    table, "accuracy", ["one-hot", "graf"], "rf", [32, 128], range(3), progress=False
)
plots.theme("paper", width="84 mm")
plots.tau_curves(results).figure.savefig("tau.pdf")
print(plots.latex_table(summarise(results)[["encoding", "train_size", "mean", "ci95"]]))
