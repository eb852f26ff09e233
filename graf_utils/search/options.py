"""The options of a search, checked before anything is evaluated."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils import _checks
from graf_utils.predictors import make_predictor
from graf_utils.search.bayesian import Bayesian
from graf_utils.search.candidates import Candidates
from graf_utils.search.history import History
from graf_utils.search.methods import METHODS
from graf_utils.search.objectives import column_of
from graf_utils.search.unlisted import SpaceCandidates

__all__ = ["STARTS", "Options", "per_candidate"]

STARTS = ("random", "k-centre")
"""How the first networks are drawn."""

_ONE_BY_ONE = ("evolution", "local")
"""Methods that look at neighbours, and propose as many at once as they are told to."""


@dataclass
class Options:
    """The options of `search`.

    Parameters
    ----------
    candidates, method, surrogate, budget, n_initial, batch_size, at_once, start, restrict, guided
        As in `search`.
    max_failures : int
        As in `search`.

    Attributes
    ----------
    propose : callable
        The method, from a history to proposals.
    asked : str, regressor or None
        The surrogate that the history asks.

    Raises
    ------
    ValueError
        One of them, or two together, cannot be.
    """

    candidates: Any
    method: Any
    surrogate: Any
    budget: int
    n_initial: int
    batch_size: int
    at_once: int
    start: str
    restrict: bool
    guided: bool
    max_failures: int

    def __post_init__(self) -> None:
        _check_candidates(self.candidates)
        if not callable(self.method):
            _checks.choice("method", self.method, METHODS)
        _checks.choice("start", self.start, STARTS)
        for name in ("restrict", "guided"):
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise ValueError(f"{name}={value!r} must be True or False.")
            setattr(self, name, bool(value))
        if self.guided and self.method not in _ONE_BY_ONE:
            raise ValueError(
                f"guided=True orders neighbours, which method={self.method!r} does not visit. Use "
                "'evolution' or 'local', or restrict=True."
            )
        self.propose: Callable[[History], Iterator[Sequence[Any]]] = (
            METHODS[self.method] if isinstance(self.method, str) else self.method
        )
        self.asked = self.surrogate
        if self.surrogate is not None:
            self._choose_surrogate()
        self._check_numbers()
        if isinstance(self.candidates, SpaceCandidates) and self._reads():
            self.candidates.features(self.candidates.sample(1, 0))  # says so if there are none

    @property
    def listed(self) -> bool:
        """Whether the candidates are listed."""
        return isinstance(self.candidates, Candidates)

    def parts(self) -> dict[str, Any]:
        """Return what decides what is proposed, by name; how long the search is does not.

        Returns
        -------
        dict of str to object
        """
        among: Any = self.candidates
        if self.listed:
            among = (among.space, among.codes, among.features)
        names = ("n_initial", "batch_size", "at_once", "start", "restrict", "guided")
        options = {name: getattr(self, name) for name in names}
        return {"candidates": among, "method": self.propose, "surrogate": self.asked, **options}

    def _choose_surrogate(self) -> None:
        """Give the surrogate to whom it is for."""
        said = f"surrogate={_checks.short(self.surrogate)}"
        if isinstance(self.method, Bayesian):
            raise ValueError(
                f"{said} beside method={self.method!r:.80}, which has one of its own. Write "
                "method=Bayesian(surrogate), or method='bayesian'."
            )
        if isinstance(self.propose, Bayesian):
            self.propose = dataclasses.replace(self.propose, surrogate=self.surrogate)
            self.asked = None
            return
        if isinstance(self.method, str) and self.method != "predictor" and not self.guided:
            raise ValueError(
                f"{said} is not asked by method={self.method!r}. Use 'predictor' or 'bayesian', or "
                "guided=True with 'evolution' or 'local'."
            )
        make_predictor(self.surrogate)

    def _check_numbers(self) -> None:
        """Read the numbers."""
        self.max_failures = _checks.whole_number("max_failures", self.max_failures, 1)
        self.at_once = _checks.whole_number("at_once", self.at_once, 1)
        batches = isinstance(self.method, str | Bayesian) and self.method not in _ONE_BY_ONE
        if self.at_once > 1 and batches:
            raise ValueError(
                f"at_once={self.at_once} is for {' and '.join(map(repr, _ONE_BY_ONE))}; method="
                f"{self.method!r} proposes batch_size networks at once. Pass "
                f"batch_size={self.at_once} in its place."
            )
        names = ("budget", "n_initial", "batch_size")
        n = len(self.candidates) if self.listed else None
        try:
            sizes = [operator.index(getattr(self, name)) for name in names]
            fits = 2 <= sizes[1] <= sizes[0] <= (n or sizes[0]) and sizes[2] >= 1
        except TypeError:
            fits = False
        if not fits:
            written = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
            raise ValueError(
                f"{written}{f' with {n} candidates' if n else ''}: they must be whole numbers, and "
                f"2 <= n_initial <= budget{' <= candidates' if n else ''} and batch_size >= 1 must "
                "hold."
            )
        self.budget, self.n_initial, self.batch_size = sizes

    def _reads(self) -> bool:
        """Whether features are read."""
        guidance = self.restrict or self.guided or self.start == "k-centre"
        return guidance or self.method == "predictor" or isinstance(self.propose, Bayesian)


def _check_candidates(candidates: Any) -> None:
    if not isinstance(candidates, Candidates | SpaceCandidates):
        raise ValueError(
            f"candidates is {type(candidates).__name__}; it must be Candidates. Write "
            "Candidates.of(table, 'graf'), or Candidates.of(space, 'graf') for a space that is not "
            "listed."
        )


def per_candidate(
    candidates: Any, test: Any, cost: Any
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Read test value and cost of each candidate, as far as there are some.

    Parameters
    ----------
    candidates, test, cost
        As in `search`.

    Returns
    -------
    test, cost : ndarray of shape (n_candidates,), or None

    Raises
    ------
    ValueError
        They are no numbers for each candidate, or the candidates are not listed.
    """
    read = []
    for name, value in (("test", test), ("cost", cost)):
        if value is not None and not isinstance(candidates, Candidates):
            raise ValueError(
                f"{name} has one value per candidate, and those of {candidates.space.name} are not "
                f"listed. Leave {name} out, and compute it of run['architecture']."
            )
        read.append(None if value is None else column_of(name, value, len(candidates)))
    return read[0], read[1]
