"""A predictor that leaves the notebook: fit and save here, load and ask there."""

from graf_utils import fit_predictor, load_predictor, load_table

fit_predictor(load_table("nb201-fashion"), "accuracy", "graf+flow", "blend").save("accuracy.npz")
predictor = load_predictor("accuracy.npz")
print(predictor.predict([(3, 1, 2, 0, 4, 3)], interval=0.8).to_string())
