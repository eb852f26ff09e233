"""A cell with two inputs, two edges between the same nodes, and fewer nodes than the largest."""

import numpy as np

from graf_utils import GRAF
from graf_utils.contract import check_space
from graf_utils.spaces import CellSpace

operations = ["conv_3x3", "conv_5x5", "max_pool", "skip_connect"]
edges = [(0, 2), (1, 2), (0, 3), (2, 3), (2, 3), (2, 4), (3, 4)]  # 2-3 twice
space = CellSpace(operations, edges, inputs=(0, 1), sizes=(4, 5), name="two-inputs")
check_space(space)

cells = space.sample(1_000, random_state=0)
graf = GRAF(space, groups={"conv": ["conv_3x3", "conv_5x5"]}, max_set_size=1)
features = graf.set_output(transform="pandas").fit_transform(cells)
print(features.shape, "of", graf.estimate(len(cells)).n_columns)
lengths = (cells != -1).sum(axis=1)
print("cells of 4 and 5 nodes:", np.unique(lengths, return_counts=True)[1].tolist())
print("convolutions in cell 0:", features["op_count[conv]"].iloc[0], space.from_codes(cells)[0])
print([name for name in features if "conv]" in name])
