"""A predictor that leaves the notebook: fitted on a table, saved, loaded, asked for a cell.

>>> import tempfile
>>> from graf_utils import load_table
>>> path = tempfile.mkdtemp() + "/accuracy.npz"
>>> table = load_table("nb201-cifar10").subset(range(100))
>>> fit_predictor(table, "accuracy", "graf+flow", "blend").save(path)
>>> load_predictor(path).predict([(2, 3, 0, 4, 2, 1)], interval=0.8).columns.tolist()
['predicted', 'low', 'high']

What is saved are data: the training networks, their target, the names of encoding and predictor,
the versions of the libraries, and what the predictor says of a few other networks. Loading encodes
and fits again, which takes as long as the first fit (the blend, on a hundred networks, a second or
two), and compares. Fitted objects themselves could only be written with `pickle`, which runs
whatever a file says, or by a table of the insides of each library, which holds for one version. A
refit works for every predictor that has a seed, and an upgrade that changes its numbers is noticed.
"""

from __future__ import annotations

from graf_utils.deployment._refit import TOLERANCE
from graf_utils.deployment.fitted import TablePredictor, fit_predictor
from graf_utils.deployment.loading import load_predictor

__all__ = ["TOLERANCE", "TablePredictor", "fit_predictor", "load_predictor"]
