"""How a search goes on from what it has seen: one generator of proposals per method."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graf_utils.search.bayesian import Bayesian
from graf_utils.search.history import History

__all__ = ["METHODS"]

_TOURNAMENT = 5  # members drawn for a tournament


def _random(history: History) -> Iterator[Sequence[Any]]:
    """Propose batches at random."""
    while True:
        yield history.draw(history.batch_size)


def _evolution(history: History) -> Iterator[list[Any]]:
    """Propose changes of the best of a few drawn from the population, which ages."""
    population = deque(range(len(history.order)))  # positions in the order of evaluation
    while True:
        chosen: list[Any] = []
        for _ in range(history.at_once):
            history.turn()
            scores = history.scores()
            size = min(_TOURNAMENT, len(population))
            drawn = history.rng.choice(population, size, replace=False)
            near = history.near(history.order[drawn[scores[drawn].argmax()]])
            new = near[:1] if len(near) else history.draw(1)
            history.claim(new)
            chosen += list(new)
        yield chosen
        for position in range(len(history.order) - len(chosen), len(history.order)):
            population.append(position)
            population.popleft()


def _local(history: History) -> Iterator[Sequence[Any]]:
    """Propose neighbours until one is better, and go on from that one."""
    at = int(history.scores().argmax())
    while True:
        near = history.near(history.order[at])
        for start in range(0, len(near), history.at_once):
            proposed = near[start : start + history.at_once]
            yield proposed
            scores = history.scores()
            better = np.flatnonzero(scores[-len(proposed) :] > scores[at])
            if len(better):
                at = len(scores) - len(proposed) + int(better[0])
                break
        else:
            history.turn()
            yield history.draw(1)
            at = len(history.order) - 1


def _predictor(history: History) -> Iterator[Sequence[Any]]:
    """Propose the best candidate by one opinion of the surrogate, each by another, in batches."""
    while True:
        if history.knows_too_little:
            yield history.draw(history.batch_size)
            continue
        items = history.options()  # in a random order, so that ties are broken by chance
        left, chosen = np.arange(len(items)), []
        for opinion, mean in history.opinions(items, min(history.batch_size, len(items))):
            best = left[opinion[left] == opinion[left].max()]
            chosen.append(int(best[mean[best].argmax()]))
            left = left[left != chosen[-1]]
        yield items[chosen]


METHODS: dict[str, Callable[..., Iterator[Sequence[Any]]]] = {
    "random": _random,
    "evolution": _evolution,
    "local": _local,
    "predictor": _predictor,
    "bayesian": Bayesian(),
}
"""Methods by name, described in `search`."""
