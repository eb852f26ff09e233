"""Networks that a list of settings describes: a stack of layers, each with settings of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graf_utils._checks import generator, short
from graf_utils._configuration_files import write_configuration
from graf_utils.graphs import GraphBatch, signed_dtype
from graf_utils.spaces.base import SearchSpace
from graf_utils.spaces.settings import (
    check_keys,
    checked_choices,
    checked_depths,
    listing,
    position_of,
)

__all__ = ["ConfigurationSpace"]

_LAYERS = "layers"  # key of the list of layers in a configuration
_MOST = 1_000_000  # architectures that are listed


class ConfigurationSpace(SearchSpace):
    """Configurations: settings of the whole network, and of each of its layers.

    Transformers are searched this way: a width for the network, and heads and a feed-forward size
    for each layer. An architecture is a configuration, as a dictionary or as its JSON text::

        {"hidden_size": 256, "layers": [{"heads": 4}, {"heads": 2}]}

    A code holds the position of each choice: the settings of the network in order, then those of
    the first layer, and so on; -1 where a network has no such layer.

    Parameters
    ----------
    name : str
    settings : mapping of str to sequence
        Settings of the whole network, each with its choices: numbers, texts, True and False.
    layers : mapping of str to sequence, optional
        Settings of each layer, likewise.
    depths : sequence of int, optional
        The numbers of layers that a network may have.
    title : str, optional
        For people; the name by default.

    Attributes
    ----------
    settings, layers : dict of str to tuple
    depths : tuple of int
        In rising order; ``(0,)`` where there are no layers.

    Raises
    ------
    ValueError
        A setting has no choices or one twice, a name stands for two things, or depths are missing
        or no whole numbers from 1.

    Examples
    --------
    >>> space = ConfigurationSpace("mine", {"width": (64, 128)}, {"heads": (2, 4)}, depths=(1, 2))
    >>> codes = space.to_codes([{"width": 128, "layers": [{"heads": 4}]}])
    >>> codes.tolist(), space.configurations(codes)
    ([[1, 1, -1]], [{'width': 128, 'layers': [{'heads': 4}]}])
    >>> len(space.enumerate())
    12
    """

    operations = ()

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Sequence[Any]],
        layers: Mapping[str, Sequence[Any]] | None = None,
        depths: Iterable[int] = (),
        title: str = "",
    ) -> None:
        self.name, self.title = str(name), str(title or name)
        self.settings = checked_choices("settings", settings)
        self.layers = checked_choices("layers", layers or {})
        both = [key for key in self.settings if key in self.layers or key == _LAYERS]
        if both:
            raise ValueError(
                f"settings and layers both have {both[0]!r}; a name stands for one thing. Rename "
                "one of the two."
            )
        self.depths = checked_depths(depths, bool(self.layers))
        if not self.settings and not self.layers:
            raise ValueError(f"space {self.name!r} has no settings; name at least one.")
        self.code_length = len(self.settings) + self.depths[-1] * len(self.layers)

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """Type of codes, the smallest that holds the position of every choice."""
        return signed_dtype(int(self._sizes.max()) - 1)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths an architecture's tuple may have, by its number of layers."""
        return tuple(len(self.settings) + depth * len(self.layers) for depth in self.depths)

    @property
    def choices(self) -> list[tuple[Any, ...]]:
        """The choices of each entry of a code."""
        return [*self.settings.values(), *(list(self.layers.values()) * self.depths[-1])]

    @property
    def _sizes(self) -> NDArray[np.integer]:
        return np.array([len(choices) for choices in self.choices])

    def position_names(self) -> list[str]:
        """Return the name of the setting at each position of a code, layers counted from 0."""
        return [
            *self.settings,
            *(f"layer {i} {key}" for i in range(self.depths[-1]) for key in self.layers),
        ]

    def entry(self, code: Sequence[int], position: int) -> Any:
        """Return the choice that one entry of a code stands for; None where there is no layer.

        Parameters
        ----------
        code : sequence of int of length `code_length`
        position : int

        Returns
        -------
        object
        """
        choice = code[position]
        return None if choice == -1 else self.choices[position][choice]

    # --- reading ----------------------------------------------------------------------------------

    def _parse(self, text: str) -> tuple[int, ...]:
        try:
            configuration = json.loads(text)
        except ValueError as error:
            raise ValueError(
                f"{text[:200]!r} is no configuration in JSON ({error}). Write text such as "
                f"{json.dumps(self.configurations([self._example()])[0])[:200]}."
            ) from error
        if not isinstance(configuration, dict):
            raise ValueError(
                f"{text[:200]!r} is a {type(configuration).__name__} in JSON; a configuration is "
                f"an object with the keys {self._keys()}."
            )
        return self._code_of(configuration)

    def _check_tuple(self, item: Any) -> tuple[int, ...]:
        return self._code_of(item) if isinstance(item, Mapping) else super()._check_tuple(item)

    def _keys(self) -> list[str]:
        return [*self.settings, *([_LAYERS] if self.layers else [])]

    def _code_of(self, configuration: Mapping[str, Any]) -> tuple[int, ...]:
        """The code of a configuration, filled up with -1."""
        check_keys("the configuration", configuration, self._keys())
        code = [
            position_of(key, choices, configuration[key]) for key, choices in self.settings.items()
        ]
        listed = configuration.get(_LAYERS, [])
        if isinstance(listed, str | Mapping) or not isinstance(listed, Sequence):
            raise ValueError(f"{_LAYERS} is {short(listed)}; it must be a list, one per layer.")
        if self.layers and len(listed) not in self.depths:
            raise ValueError(
                f"it has {len(listed)} layers; {self.name} has {listing(self.depths)}."
            )
        for number, layer in enumerate(listed):
            where = f"layer {number}"
            if not isinstance(layer, Mapping):
                raise ValueError(f"{where} is {short(layer)}; it must map settings to choices.")
            check_keys(where, layer, list(self.layers))
            for key, choices in self.layers.items():
                code.append(position_of(f"{where}: {key}", choices, layer[key]))
        return tuple(code + [-1] * (self.code_length - len(code)))

    def _example(self) -> tuple[int, ...]:
        return (0,) * self.lengths[0]

    def _wrong(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        there = codes != -1
        wrong = ((codes < -1) | (codes >= self._sizes)).any(axis=1)
        n_entries = there.sum(axis=1)
        gaps = there != (np.arange(self.code_length) < n_entries[:, None])
        return wrong | gaps.any(axis=1) | ~np.isin(n_entries, self.lengths)

    def _explain(self, code: tuple[int, ...]) -> str:
        for position, (name, choices) in enumerate(
            zip(self.position_names(), self.choices, strict=True)
        ):
            if not -1 <= code[position] < len(choices):
                return (
                    f"entry {position}, {name}, is {code[position]}; it must be the position of "
                    f"one of the choices {listing(choices)}, 0..{len(choices) - 1}."
                )
        return (
            f"its layers are not one of {listing(self.depths)} whole ones in a row. Write the "
            f"entries of all layers, and -1 in the rest of {self.code_length} places."
        )

    # --- writing ----------------------------------------------------------------------------------

    def configurations(self, architectures: Any) -> list[dict[str, Any]]:
        """Return architectures as configurations.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        list of dict
            Each setting of the network with its choice and, if the space has layers, ``"layers"``:
            a list of dictionaries.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return [self._configuration(code) for code in self.to_codes(architectures).tolist()]

    def _configuration(self, code: Sequence[int]) -> dict[str, Any]:
        n_settings, width = len(self.settings), len(self.layers)
        configuration = {
            key: choices[i] for (key, choices), i in zip(self.settings.items(), code, strict=False)
        }
        if self.layers:
            present = [i for i in code[n_settings:] if i != -1]
            configuration[_LAYERS] = [
                {
                    key: choices[i]
                    for (key, choices), i in zip(self.layers.items(), present[at:], strict=False)
                }
                for at in range(0, len(present), width)
            ]
        return configuration

    def to_string(self, architecture: Any) -> str:
        """Write one architecture as JSON without spaces, in the order of the settings.

        Parameters
        ----------
        architecture : dict, str or tuple

        Returns
        -------
        str

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (configuration,) = self.configurations([architecture])
        return write_configuration(configuration)

    def canonical(self, architectures: Any) -> list[str]:
        """Write architectures as JSON, equal for equal ones.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        list of str

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return list(map(write_configuration, self.configurations(architectures)))

    def n_layers(self, architectures: Any) -> NDArray[np.intp]:
        """Return the number of layers of each architecture.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that `to_codes` takes.

        Returns
        -------
        ndarray of shape (n_architectures,)

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        codes = self.to_codes(architectures)[:, len(self.settings) :]
        return (codes != -1).sum(axis=1) // max(len(self.layers), 1)

    # --- the whole space --------------------------------------------------------------------------

    def enumerate(self) -> NDArray[np.integer]:
        """Return the codes of all configurations, the shallow ones first.

        Returns
        -------
        ndarray of shape (n_architectures, code_length), `code_dtype`

        Raises
        ------
        ValueError
            There are more than a million.
        """
        sizes = self._sizes
        count = sum(math.prod(sizes[:length].tolist()) for length in self.lengths)
        if count > _MOST:
            raise ValueError(
                f"{self.name} has {count:.2g} architectures, too many to enumerate. Use sample."
            )
        blocks = []
        for length in self.lengths:
            grid = np.indices(sizes[:length]).reshape(length, -1).T
            blocks.append(
                np.pad(grid, [(0, 0), (0, self.code_length - length)], constant_values=-1)
            )
        return np.concatenate(blocks).astype(self.code_dtype)

    def is_valid(self, architectures: Any) -> NDArray[np.bool_]:
        """Tell for each configuration that it is valid: all that `to_codes` takes are.

        Parameters
        ----------
        architectures : sequence of architectures

        Returns
        -------
        ndarray of shape (n_architectures,), bool

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        return np.ones(len(self.to_codes(architectures)), dtype=bool)

    def sample(
        self,
        n: int,
        *,
        valid_only: bool = True,
        replace: bool = True,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.integer]:
        """Draw configurations: first a number of layers, then every choice, each alike.

        See `SearchSpace.sample`. Shallow networks are as frequent as deep ones, though there are
        fewer of them. With ``replace=False`` none is drawn twice.

        Raises
        ------
        ValueError
            As there, or so many different ones were not found.
        """
        n = self._check_n(n, None, "")
        rng = generator(random_state)
        drawn = self._draw(n, rng)
        for _ in range(100 if not replace else 0):
            drawn = drawn[np.sort(np.unique(drawn, axis=0, return_index=True)[1])][:n]
            if len(drawn) == n:
                return drawn
            drawn = np.concatenate([drawn, self._draw(n, rng)])
        if not replace:
            raise ValueError(
                f"n={n}: {self.name} gave no {n} different architectures. Ask for fewer, or pass "
                "replace=True."
            )
        return drawn

    def _draw(self, n: int, rng: np.random.Generator) -> NDArray[np.integer]:
        codes = rng.integers(0, self._sizes, (n, self.code_length))
        lengths = rng.choice(self.lengths, n)
        codes[np.arange(self.code_length) >= lengths[:, None]] = -1
        return codes.astype(self.code_dtype)

    def neighbours(self, architecture: Any, *, valid_only: bool = True) -> NDArray[np.integer]:
        """Return all configurations that differ by one choice, or by the number of layers.

        To the next larger number of layers the last layer is repeated; to the next smaller one the
        last layers go.

        Parameters
        ----------
        architecture : dict, str or tuple
        valid_only : bool
            Makes no difference; all are valid.

        Returns
        -------
        ndarray of shape (n_neighbours, code_length), `code_dtype`
            By position and choice, then the shallower and the deeper network.

        Raises
        ------
        ValueError
            As `to_codes`.
        """
        (code,) = self.to_codes([architecture])
        rows = []
        for position in np.flatnonzero(code != -1):
            for choice in range(self._sizes[position]):
                if choice != code[position]:
                    rows.append(code.copy())
                    rows[-1][position] = choice
        rows += self._other_depths(code)
        return np.array(rows, dtype=self.code_dtype).reshape(-1, self.code_length)

    def _other_depths(self, code: NDArray[np.integer]) -> list[NDArray[np.integer]]:
        """The code with the next smaller and the next larger number of layers."""
        length, width = int((code != -1).sum()), len(self.layers)
        place = self.lengths.index(length)
        rows = []
        for other in self.lengths[max(place - 1, 0) : place + 2]:
            if other == length:
                continue
            row = code.copy()
            row[other:] = -1
            if other > length:
                row[length:other] = np.resize(code[length - width : length], other - length)
            rows.append(row)
        return rows

    def graph_batch(self, architectures: Any) -> dict[str, GraphBatch]:
        """Refuse: a configuration has no cells.

        Parameters
        ----------
        architectures
            Not looked at.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            f"{self.name} is a space of configurations, which have no cells, so that this encoding "
            "is none of theirs. Use graf_utils.transformers: settings_one_hot(table), or features "
            "of operator graphs."
        )

    def __repr__(self) -> str:
        return f"ConfigurationSpace({self.name!r}, {self.code_length} entries)"

    def __hash__(self) -> int:
        return hash((type(self), self.name, *self.settings, *self.layers, self.depths))
