"""Networks that no graph describes: a frame of numbers of your own is all there is."""

import numpy as np
import pandas as pd

from graf_utils import Table, evaluate, summarise

rng = np.random.default_rng(0)
names = [f"transformer-{i}" for i in range(300)]
layers, heads, width = (
    rng.integers(2, 13, 300),
    rng.choice([4, 8, 12], 300),
    rng.integers(2, 9, 300),
)
features = pd.DataFrame({"layers": layers, "heads": heads, "width": 64 * width}, index=names)
measured = pd.DataFrame({"seconds": layers * (width + width**2 / 4) + heads / 4}, index=names)

table = Table.from_features("mine", features, measured.sample(frac=1, random_state=0))
results = evaluate(table, "seconds", "own-features", ["rf", "blend"], 64, range(3))
print(summarise(results).to_string())
