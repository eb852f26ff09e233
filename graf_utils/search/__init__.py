"""Search for good architectures on a table or any callable, with and without GRAF to guide it.

One function, `search`, runs every method of `METHODS` and returns an anytime curve: one row per
evaluation, with the incumbent chosen on what the search has seen. Three ways to use features are
options of every method: a restricted space, guided mutations, and a diverse start. `Candidates` are
listed; a space that is too large for that is searched by drawing and changing architectures
(`SpaceCandidates`). A search that trains can be killed and go on, and survives what fails.
"""

from __future__ import annotations

from graf_utils.search.bayesian import Bayesian
from graf_utils.search.candidates import Candidates, k_centre
from graf_utils.search.comparison import Comparison, compare_evaluations, evaluations_needed
from graf_utils.search.history import History
from graf_utils.search.loop import STARTS, SearchError, search
from graf_utils.search.methods import METHODS
from graf_utils.search.pareto import hypervolume, pareto_front
from graf_utils.search.unlisted import SpaceCandidates

__all__ = [
    "METHODS",
    "STARTS",
    "Bayesian",
    "Candidates",
    "Comparison",
    "History",
    "SearchError",
    "SpaceCandidates",
    "compare_evaluations",
    "evaluations_needed",
    "hypervolume",
    "k_centre",
    "pareto_front",
    "search",
]
