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

import os
import platform
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graf_utils import _checks, _saved
from graf_utils._parallel import predict_in_order
from graf_utils._predictions import bounds, intervals
from graf_utils.encodings import apply_encoding
from graf_utils.predictors import make_predictor
from graf_utils.spaces import SearchSpace, get_space, list_spaces
from graf_utils.table import Table, check_table

__all__ = ["TablePredictor", "fit_predictor", "load_predictor"]

_KIND = "graf_utils: a predictor of architectures"
_FORMAT = 1
_N_PROBES = 16
_INTERVAL = 0.8  # of the intervals that are compared
_PACKAGES = {"sklearn": "scikit-learn"}  # modules that come in a package of another name

TOLERANCE = 1e-4
"""By how much a refit may differ, in standard deviations of the target: the rounding of another
processor, and no more."""


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
        X, self.columns = _encoded(table, encoding)
        self.proxies = _needed_proxies(table, encoding, self.columns)
        self.model = make_predictor(predictor).fit(X, self._y)
        self.versions = _versions(self.model)

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
            proxies = _chosen_proxies(proxies, self.proxies)
        else:
            proxies = None
        n = len(self.space.to_codes(architectures))
        unknown = {self.target: np.zeros(n)}
        asked = Table("asked", "asked", self.space, architectures, unknown, proxies)
        X, columns = _encoded(asked, self.encoding)
        _check_columns(_checks.name_of(self.encoding), self.columns, columns)
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
        probes = _probes(self._table)
        said = self._say(probes)
        again = TablePredictor(self._table, self.target, self.encoding, self._predictor)
        apart = _apart(said, again._say(probes), self._y)
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
        _saved.write(path, _KIND, self._description(), arrays)

    def _description(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {
            "format": _FORMAT,
            "table": [self._table.name, self._table.source],
            "target": self.target,
            "space": _of_space(self.space),
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


def load_predictor(
    path: str | os.PathLike[str],
    *,
    space: str | SearchSpace | None = None,
    encoding: Callable[[Table], Any] | None = None,
    predictor: Any = None,
    retrain: bool = False,
) -> TablePredictor:
    """Load a predictor that was saved: fit it again on what was saved, and compare.

    Parameters
    ----------
    path : path
        From `TablePredictor.save`.
    space, encoding, predictor : optional
        What was of your own, and so is not in the file: a space that is none of `list_spaces`, a
        function, a regressor.
    retrain : bool
        Accept other versions of the libraries, and other numbers.

    Returns
    -------
    TablePredictor
        It says what the saved one said, but for rounding (`TOLERANCE`).

    Raises
    ------
    ValueError
        The file is damaged or none; it was saved with another major version of a library that
        decides the numbers; the space, the encoding's columns or what the predictor says are not
        those that were saved; or something of your own is missing.
    OSError
        There is no such file.
    """
    said, arrays = _saved.read(path, _KIND)
    name = repr(os.fspath(path))
    try:
        if said["format"] != _FORMAT:
            raise ValueError(
                f"{name} has format {said['format']}, and this version of graf_utils reads "
                f"{_FORMAT}. Install graf_utils {said['versions'].get('graf_utils')}."
            )
        table = _table(name, said, arrays, space)
        encoding = _own(name, "encoding", said, encoding)
        predictor = _own(name, "predictor", said, predictor)
        probes = _table(name, said, {**arrays, **_of_probes(arrays)}, space)
        columns, target = list(said["columns"]), said["target"]
        versions, expected = dict(said["versions"]), np.asarray(arrays["said"], dtype=float)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{name} is damaged: {error!s:.80} is missing or of another kind. Copy it again from "
            "where it was saved, or save it anew."
        ) from error
    _check_columns(_checks.name_of(encoding), columns, _encoded(table, encoding)[1])
    if not retrain:
        _check_majors(name, versions)
    loaded = TablePredictor(table, target, encoding, predictor)
    if not retrain:
        _check_majors(name, versions)  # of what is imported by now
    apart = _apart(expected, loaded._say(probes), loaded._y)
    if not apart <= TOLERANCE and not retrain:
        raise ValueError(_other_numbers(name, apart, versions, loaded.versions))
    return loaded


# --- parts of a file ----------------------------------------------------------------------------


def _of_space(space: SearchSpace) -> dict[str, Any]:
    """What tells a space from another, as far as JSON can say it."""
    built_in = space.name in list_spaces() and space == get_space(space.name)
    return {
        "built in": built_in,
        "name": space.name,
        "operations": list(space.operations),
        "code_length": int(space.code_length),
        "cells": list(space.cells),
    }


def _table(
    name: str, said: dict[str, Any], arrays: dict[str, Any], space: str | SearchSpace | None
) -> Table:
    """The training networks, in the space that they were saved with."""
    saved = said["space"]
    if space is None and not saved["built in"]:
        raise ValueError(
            f"{name} was saved with a search space of your own, {saved['name']!r}. Pass it: "
            "load_predictor(path, space=...)."
        )
    space = get_space(saved["name"] if space is None else space)
    here = _of_space(space)
    other = [key for key in here if here[key] != saved[key]]
    if other:
        raise ValueError(
            f"{name} was saved with another search space: its {other[0]} is "
            f"{_checks.short(saved[other[0]])}, and that of {space.name!r} is "
            f"{_checks.short(here[other[0]])}. Pass the space that it was fitted with, or fit a "
            "predictor for this one with fit_predictor."
        )
    proxies = None
    if said["proxies"]:
        proxies = pd.DataFrame(arrays["proxies"], columns=said["proxies"])
    return Table(*said["table"], space, arrays["codes"], {said["target"]: arrays["y"]}, proxies)


def _of_probes(arrays: dict[str, Any]) -> dict[str, Any]:
    """The networks by which a refit is checked, under the names of the training networks."""
    codes = arrays["probes"]
    return {"codes": codes, "y": np.zeros(len(codes)), "proxies": arrays.get("probes' proxies")}


def _own(name: str, what: str, said: dict[str, Any], given: Any) -> Any:
    """The encoding or the predictor: by its name, or the reader's own of the same name."""
    saved, its_name = said[what], said[f"{what}'s name"]
    if given is None:
        if saved is None:
            article = "an" if what == "encoding" else "a"
            raise ValueError(
                f"{name} was saved with {article} {what} of your own, {its_name}. Pass it: "
                f"load_predictor(path, {what}=...)."
            )
        return saved
    here = _checks.name_of(given)
    if here != its_name:
        raise ValueError(
            f"{name} was saved with the {what} {its_name}, not {here}. Pass that one, or "
            f"{'leave it out' if saved else 'fit another with fit_predictor'}."
        )
    return given


def _encoded(table: Table, encoding: Any) -> tuple[NDArray[np.float64], list[str]]:
    """The matrix of an encoding, and the names of its columns."""
    frame = apply_encoding(table, encoding)
    X = _checks.matrix(f"encoding {_checks.name_of(encoding)!r}", frame, len(table))
    names = frame.columns if isinstance(frame, pd.DataFrame) else range(X.shape[1])
    return X, [str(name) for name in names]


def _needed_proxies(table: Table, encoding: Any, columns: list[str]) -> list[str]:
    """Columns of proxies that an encoding uses: none if it makes the same columns without."""
    if table.proxies is None:
        return []
    few = table.subset(slice(0, 2))
    bare = Table("bare", table.source, table.space, few.codes, few.targets)
    try:
        if _encoded(bare, encoding)[1] == columns:
            return []
    except Exception:  # whatever a function of one's own does without proxies
        pass
    return list(table.proxies.columns)


def _chosen_proxies(proxies: Any, needed: list[str]) -> pd.DataFrame:
    """The columns of proxies that an encoding uses, in the order of training."""
    frame = None if proxies is None else pd.DataFrame(proxies)
    missing = needed if frame is None else [name for name in needed if name not in frame]
    if missing:
        raise ValueError(
            f"proxies lacks the columns {missing}, which the predictor was trained with. Pass a "
            f"frame with the columns {needed}, one row per architecture, such as "
            "graf_utils.scoring.score computes."
        )
    return frame[needed]


def _check_columns(encoding: str, trained: list[str], here: list[str]) -> None:
    """Raise ValueError unless an encoding has the columns that the predictor was trained with."""
    if trained == here:
        return
    apart = [name for name in here if name not in trained][:3]
    gone = [name for name in trained if name not in here][:3]
    raise ValueError(
        f"encoding {encoding!r} makes {len(here)} columns here, and the predictor was trained with "
        f"{len(trained)}: new are {apart}, missing {gone}, or the order is another. Use the "
        "version of the encoding and of graf_utils that it was trained with, or fit it again with "
        "fit_predictor."
    )


def _probes(table: Table) -> Table:
    """Networks by which a refit is checked: some that it was trained on, and a neighbour of each.

    A neighbour has the proxies of its network, which will do to compare.
    """
    rows = np.unique(np.linspace(0, len(table) - 1, _N_PROBES).astype(int))
    some = table.subset(rows)
    codes = some.codes.copy()
    for i, code in enumerate(some.architectures):
        near = table.space.neighbours(code)
        if len(near):
            codes[i] = near[i % len(near)]
    both = np.concatenate([some.codes, codes])
    proxies = None
    if some.proxies is not None:
        proxies = pd.concat([some.proxies, some.proxies], ignore_index=True)
    return Table("probes", table.source, table.space, both, {"none": np.zeros(len(both))}, proxies)


def _apart(one: NDArray[Any], other: NDArray[Any], y: NDArray[Any]) -> float:
    """By how much two sets of numbers differ at most, in standard deviations of the target."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one - other).max() / (y.std() or np.abs(y).max() or 1.0))


# --- versions -----------------------------------------------------------------------------------


def _versions(model: Any) -> dict[str, str]:
    """Versions of Python and of the packages that a fitted model is made of."""
    tops = {"graf_utils", "numpy", "scipy", "sklearn"}
    waiting, seen = [model], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, np.ndarray):
            continue
        seen.add(id(item))
        tops |= {kind.__module__.split(".")[0] for kind in type(item).__mro__}
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
        else:
            waiting += getattr(item, "__dict__", {}).values()
    tops -= sys.stdlib_module_names
    found = {_PACKAGES.get(top, top): _version_of(_PACKAGES.get(top, top)) for top in sorted(tops)}
    packages = {package: version for package, version in found.items() if version is not None}
    return {"python": platform.python_version()} | packages


def _version_of(package: str) -> str | None:
    """Version of a package that is imported; None if it is not, or has none."""
    modules = {package: module for module, package in _PACKAGES.items()}
    version = getattr(sys.modules.get(modules.get(package, package)), "__version__", None)
    return version if isinstance(version, str) else None


def _major(version: str) -> list[str]:
    """The part of a version that promises the same behaviour: ``1`` of 1.9.1, ``0.5`` of 0.5.11."""
    parts = version.split(".")
    return parts[:2] if parts[0] == "0" else parts[:1]


def _check_majors(name: str, versions: dict[str, str]) -> None:
    """Raise ValueError if a package has another major version here."""
    for package, saved in versions.items():
        here = _version_of(package)
        if here is not None and _major(here) != _major(saved):
            raise ValueError(
                f"{name} was saved with {package} {saved}, and here is {here}, whose numbers may "
                f"be others. Install {package} {saved}; or fit again with what is here, "
                "load_predictor(path, retrain=True), judge it anew, and save it."
            )


def _other_numbers(name: str, apart: float, saved: dict[str, str], here: dict[str, str]) -> str:
    """What to say and to do when a refit gives other numbers."""
    changed = [
        f"{package} {version} (here {here.get(package, 'none')})"
        for package, version in saved.items()
        if here.get(package) != version
    ]
    why = f"It was saved with {', '.join(changed)}." if changed else "The versions are the same."
    return (
        f"{name}: fitted again, the predictor says other numbers than when it was saved, by "
        f"{apart:.2g} standard deviations of the target. {why} Install those versions; or accept "
        "what it says here, load_predictor(path, retrain=True), judge it anew, and save it."
    )
