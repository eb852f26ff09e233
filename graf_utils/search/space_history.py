"""The history of a search in a space that is not listed: candidates are codes, made when needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils.search.candidates import k_centre
from graf_utils.search.history import History
from graf_utils.search.surrogates import Predicted

__all__ = ["SpaceHistory"]

_OPTIONS = 1000  # architectures that a surrogate chooses from
_PARENTS = 20  # best evaluated, of which half of these are changes
_BLOCK = 256  # architectures drawn at a time
_FRUITLESS = 100  # blocks without a new architecture after which the space is taken for used up
_RESTRICTED = 50  # architectures looked at for each one drawn from a restricted space


class SpaceHistory(History):
    """What a method can see of a search in `SpaceCandidates`.

    A candidate is a code, a row of integers. Only evaluated architectures are kept.

    Parameters
    ----------
    candidates : graf_utils.search.unlisted.SpaceCandidates
        The space.
    batch_size, restrict, guided, random_state, surrogate, at_once
        As for `History`.
    """

    def _begin(self) -> None:
        self.space = self.candidates.space
        self._seen: set[bytes] = set()
        self._evaluated_codes: set[bytes] = set()
        self._block: NDArray[np.integer] = self._no_codes()
        self._features: list[NDArray[np.float32]] = []

    def _no_codes(self) -> NDArray[np.integer]:
        return np.empty((0, self.space.code_length), dtype=self.space.code_dtype)

    def _note(self, items: Sequence[Any]) -> None:
        keys = [code.tobytes() for code in items]
        self._seen.update(keys)
        self._evaluated_codes.update(keys)

    def claim(self, items: Sequence[Any]) -> None:
        """See `History.claim`."""
        self._seen.update(code.tobytes() for code in items)

    def checked(self, items: Any) -> list[Any]:
        """Read what a method proposes; see `History.checked`."""
        codes = list(self.space.to_codes(items)) if len(items) else []
        keys = [code.tobytes() for code in codes]
        if not keys or len(set(keys)) < len(keys) or self._evaluated_codes.intersection(keys):
            raise ValueError(
                f"the method proposed {len(keys)} architectures; it must yield one at least, each "
                "once, and none that was evaluated. history.draw(n) has some."
            )
        return codes

    def architectures(self, items: Sequence[Any]) -> list[Any]:
        """See `History.architectures`."""
        return self.space.from_codes(np.array(items))

    def _features_evaluated(self) -> NDArray[np.float32]:
        new = self.order[len(self._features) :]
        if new:
            self._features += list(self.features(np.array(new)))
        return np.array(self._features)

    def features(self, items: Any) -> NDArray[np.float32]:
        """See `History.features`."""
        return self.candidates.features(items)

    def predict(self, items: Any) -> Predicted:
        """See `History.predict`."""
        return self._ask(self.features(items))

    def spread(self, n: int) -> NDArray[np.integer]:
        """Choose candidates far from each other, among a thousand drawn at random.

        See `History.spread`.
        """
        codes = self._new(max(_OPTIONS, n))
        return codes[k_centre(self.features(codes), min(n, len(codes)), self.rng)]

    def draw(self, n: int) -> NDArray[np.integer]:
        """Draw candidates at random.

        See `History.draw`. From a restricted space those are drawn that lie in it among fifty
        times as many, half of them changes of the best; if that leaves too few, the least
        important features are given up.

        Raises
        ------
        ValueError
            No new architecture was found in many draws: the space is as good as used up.
        """
        if not self.restrict or self.knows_too_little:
            return self._new(n)
        codes = self._mixed(_RESTRICTED * n)
        return codes[self._inside(self.features(codes), n)][:n]

    def _inside(self, features: NDArray[np.float32], n: int) -> NDArray[np.bool_]:
        """Which of some candidates lie in the restricted space, which must leave n of them."""
        return self.inside(features, np.ones(len(features), dtype=bool), min(n, len(features)))

    def _new(self, n: int) -> NDArray[np.integer]:
        """Draw architectures that were neither evaluated nor claimed, each once."""
        found: dict[bytes, NDArray[np.integer]] = {}
        fruitless = 0
        while len(found) < n and fruitless <= _FRUITLESS:
            if not len(self._block):
                seed = int(self.rng.randint(2**31 - 1))
                self._block, fruitless = self.candidates.sample(_BLOCK, seed), fruitless + 1
            for code in self._block:
                self._block = self._block[1:]
                if code.tobytes() not in self._seen and code.tobytes() not in found:
                    found[code.tobytes()], fruitless = code, 0
                if len(found) == n:
                    break
        if not found:
            raise ValueError(
                f"{len(self.order)} architectures of {self.space.name} are evaluated, and no new "
                f"one was found in {_FRUITLESS * _BLOCK:,} draws: the space is as good as used "
                "up. Lower budget, or list it: Candidates(space, space.enumerate(), features)."
            )
        return np.array(list(found.values()))

    def _unseen(self, codes: NDArray[np.integer]) -> NDArray[np.integer]:
        """Those codes that were neither evaluated nor claimed."""
        return codes[[code.tobytes() not in self._seen for code in codes]]

    def options(self, n: int | None = None) -> NDArray[np.integer]:
        """Return candidates for a surrogate to choose from: half are changes of the best.

        See `History.options`.
        """
        codes = self._mixed(_OPTIONS if n is None else n)
        if self.restrict and not self.knows_too_little:
            codes = codes[self._inside(self.features(codes), self.batch_size)]
        return codes

    def _mixed(self, n: int) -> NDArray[np.integer]:
        """New architectures in a random order, half of them changes of the best evaluated."""
        order = np.argsort(-self.scores(), kind="stable")[:_PARENTS]
        parents = order[self.succeeded[order]]
        share = -(-n // 2 // max(1, len(parents)))
        near = [self._neighbours(self.order[parent])[:share] for parent in parents]
        drawn = self._new(n)
        changed = np.concatenate([self._no_codes(), *near])[: n // 2]
        codes = np.concatenate([changed, drawn])
        first = np.unique(codes, axis=0, return_index=True)[1]
        return self.rng.permutation(codes[np.sort(first)[:n]])

    def near(self, item: Any) -> NDArray[np.integer]:
        """Find the neighbours that may come next; see `History.near`."""
        near = self._neighbours(item)
        if self.restrict and len(near) and not self.knows_too_little:
            near = near[self._inside(self.features(near), 1)]
        return self._in_order(near)

    def _neighbours(self, code: NDArray[np.integer]) -> NDArray[np.integer]:
        """New changes of one entry of a code, in a random order."""
        (architecture,) = self.space.from_codes(code[None])
        near = self.space.neighbours(architecture, valid_only=self.candidates.valid_only)
        near = near.astype(self.space.code_dtype, copy=False)
        return self.rng.permutation(self._unseen(near)) if len(near) else near
