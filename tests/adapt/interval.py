"""A prediction with an interval, and how often such intervals hold."""

from graf_utils import encode, evaluate, load_table, make_predictor

table = load_table("nb201-fashion")
features = encode(table, "graf+flow")
model = make_predictor("blend").fit(features[:128], table.target("accuracy")[:128])
low, middle, high = model.predict_quantiles(features[128:129], [0.1, 0.5, 0.9]).ravel()
print(f"predicted {middle:.1f} %, 80 % interval {low:.1f} to {high:.1f} %")
results = evaluate(table, "accuracy", "graf+flow", "blend", 128, range(3), interval=0.8)
print("coverage", results["coverage"].mean().round(2))
