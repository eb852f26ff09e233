"""A predictor of a table: fitted, asked and saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks, _saved
from graf_utils._parallel import predict_in_order
from graf_utils._predictions import bounds, intervals
from graf_utils.deployment._columns import (
    check_columns,
    chosen_proxies,
    encoded,
    needed_proxies,
)
from graf_utils.deployment._parts import FORMAT, KIND, of_space
from graf_utils.deployment._refit import TOLERANCE, apart_by, probes_of
from graf_utils.deployment._versions import versions_of
from graf_utils.predictors import make_predictor
from graf_utils.table import Table, check_table

__all__ = ["TablePredictor", "fit_predictor"]

_INTERVAL = 0.8  # of the intervals that are compared


class TablePredictor:
    """A predictor that has learned one target of a table, and is asked for architectures.

    Made by `fit_predictor` or `load_predictor`.

    Parameters
    ----------
    table : Table
        The training networks.
    target, encoding, predictor
        See `fit_predictor`.

    Attributes
    ----------
    target : str
        What is predicted.
    space : SearchSpace
        The architectures that it can be asked for.
    encoding : str or callable
        How they are encoded.
    columns : list of str
        The encoding's columns.
    proxies : list of str
        Columns of proxies that must be given to `predict`; none for most encodings.
    model : regressor
        The fitted predictor.
    versions : dict of str to str
        Of Python and of the libraries that decide the numbers.
    """

    def __init__(self, table: Table, target: str, encoding: Any, predictor: Any) -> None:
        self.target, self.space, self.encoding = target, table.space, encoding
        self._predictor = predictor
        self._table, self._y = table, table.target(target)
        X, self.columns = encoded(table, encoding)
        self.proxies = needed_proxies(table, encoding, self.columns)
        self.model = make_predictor(predictor).fit(X, self._y)
        self.versions = versions_of(self.model)

    def __repr__(self) -> str:
        return (
            f"<TablePredictor of {self.target!r}: {_checks.name_of(self._predictor)} on "
            f"{_checks.name_of(self.encoding)}, {len(self._y):,} {self.space.name} networks>"
        )

    def predict(
        self, architectures: Any, *, interval: float | None = None, proxies: Any = None
    ) -> pd.DataFrame:
        """Predict the target of architectures.

        Parameters
        ----------
        architectures : sequence of architectures
            In any form that the space reads.
        interval : float, optional
            Share of the networks that an interval should hold, such as 0.8.
        proxies : DataFrame or mapping, optional
            One row per architecture, for an encoding that uses them, with the columns `proxies` of
            this object; others are not looked at.

        Returns
        -------
        DataFrame
            One row per architecture, with their labels if they have some: ``predicted`` and, with
            `interval`, its ends ``low`` and ``high``, in the target's units.

        Raises
        ------
        ValueError
            An architecture of another space, a column of the proxies that is missing, an interval
            of a predictor that has none, or an encoding that makes other columns than in training.
        """
        (span,) = intervals({_checks.name_of(self._predictor): self.model}, interval).values()
        X = self._features(architectures, proxies)
        returned = predict_in_order(self.model, X)
        said = {"predicted": _checks.predictions("what the predictor returned", returned, len(X))}
        if span is not None:
            said["low"], said["high"] = bounds(self.model, X, span)
        has_labels = isinstance(architectures, pd.Series | pd.DataFrame)
        return pd.DataFrame(said, index=architectures.index if has_labels else None)

    def _features(self, architectures: Any, proxies: Any) -> NDArray[np.float64]:
        """The architectures' encoding, which must have the columns of training."""
        if self.proxies:
            proxies = chosen_proxies(proxies, self.proxies)
        else:
            proxies = None
        n = len(self.space.to_codes(architectures))
        unknown = {self.target: np.zeros(n)}
        asked = Table("asked", "asked", self.space, architectures, unknown, proxies)
        X, columns = encoded(asked, self.encoding)
        check_columns(_checks.name_of(self.encoding), self.columns, columns)
        return X

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that `load_predictor` needs, whole or not at all.

        The training networks and their target are in the file. Takes one fit: a predictor that
        says other numbers when it is fitted again is refused.

        Parameters
        ----------
        path : path
            A file, usually ``*.npz``; one that is there is replaced if it is a saved predictor.

        Raises
        ------
        ValueError
            The predictor cannot be fitted again with the same numbers, or there is another file.
        OSError
            The folder cannot be written.
        """
        probes = probes_of(self._table)
        said = self._say(probes)
        again = TablePredictor(self._table, self.target, self.encoding, self._predictor)
        apart = apart_by(said, again._say(probes), self._y)
        if apart > TOLERANCE:
            raise ValueError(
                f"predictor {_checks.name_of(self._predictor)} gives other numbers when it is "
                f"fitted again (by {apart:.2g} standard deviations of {self.target!r}), so that "
                "loading could not be checked. Set its random_state to a number."
            )
        table = self._table
        arrays = {"codes": table.codes, "y": self._y, "said": said, "probes": probes.codes}
        if self.proxies:
            arrays["proxies"] = table.proxies[self.proxies].to_numpy()
            arrays["probes' proxies"] = probes.proxies[self.proxies].to_numpy()
        _saved.write(path, KIND, self._description(), arrays)

    def _description(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {
            "format": FORMAT,
            "table": [self._table.name, self._table.source],
            "target": self.target,
            "space": of_space(self.space),
            "encoding": self.encoding if isinstance(self.encoding, str) else None,
            "encoding's name": _checks.name_of(self.encoding),
            "predictor": self._predictor if isinstance(self._predictor, str) else None,
            "predictor's name": _checks.name_of(self._predictor),
            "columns": self.columns,
            "proxies": self.proxies,
            "versions": self.versions,
        }

    def _say(self, probes: Table) -> NDArray[np.float64]:
        """What is said of the networks by which a refit is checked, with intervals if it can."""
        try:
            spans = intervals({"": self.model}, _INTERVAL)
        except ValueError:  # it has none
            spans = {"": None}
        return self.predict(probes.codes, interval=spans[""], proxies=probes.proxies).to_numpy()


def fit_predictor(
    table: Table,
    target: str,
    encoding: str | Callable[[Table], Any] = "graf+flow",
    predictor: Any = "blend",
) -> TablePredictor:
    """Fit a predictor on all networks of a table.

    Parameters
    ----------
    table : Table
    target : str
        A column of ``table.targets``.
    encoding : str or callable
        A name for `graf_utils.encodings.encode`, or a function of a table that returns a frame or
        an array, one row per architecture.
    predictor : str or regressor
        A name of `graf_utils.predictors.PREDICTORS`, or a scikit-learn regressor.

    Returns
    -------
    TablePredictor

    Raises
    ------
    ValueError
        An unknown name, or an encoding that the table cannot serve.

    Examples
    --------
    >>> from graf_utils import NB201
    >>> space = NB201()
    >>> cells = space.sample(60, random_state=0)
    >>> table = Table("mine", "own", space, cells, {"convs": (cells > 1).sum(axis=1)})
    >>> said = fit_predictor(table, "convs", "op-count", "rf").predict([(2, 3, 2, 3, 2, 3)])
    >>> said["predicted"].round().tolist()
    [6.0]
    """
    check_table(table, "fit_predictor")
    if not isinstance(encoding, str) and not callable(encoding):
        raise ValueError(
            f"encoding={_checks.short(encoding)} must be a name such as 'graf+flow', or a function "
            "of a table that returns one row per architecture: it is asked again for each "
            "architecture to predict."
        )
    return TablePredictor(table, target, encoding, predictor)
