"""What transformers are made of, as layers of an operator graph with their numbers."""

from __future__ import annotations

from typing import Any

from graf_utils.operators import Layer

__all__ = ["activation", "add", "attention", "embedding", "linear", "norm", "plain"]


def linear(
    n_in: float,
    n_out: float,
    tokens: float,
    *,
    bias: bool = True,
    name: str = "",
    source: str = "",
    shared: str = "",
) -> Layer:
    """Return a product of each token with a weight matrix.

    Parameters
    ----------
    n_in, n_out : float
        Features of a token before and after.
    tokens : float
        How many there are.
    bias : bool
        Whether a weight is added to each feature.
    name, source : str
        Its name, and that of the layer it takes; the one before by default.
    shared : str
        Name of the weights, if other layers read them too.

    Returns
    -------
    Layer
    """
    numbers = {
        "parameters": n_in * n_out + bias * n_out,
        "multiply_adds": tokens * n_in * n_out,
        "outputs": tokens * n_out,
        "channels": n_out,
    }
    return Layer("linear", numbers, name, (source,), shared=shared)


def attention(
    heads: float, width: float, tokens: float, sources: tuple[str, ...], *, keys: float = 0
) -> Layer:
    """Return scaled dot-product attention of queries, keys and values.

    Parameters
    ----------
    heads : float
    width : float
        Features of all heads together.
    tokens : float
        Number of queries.
    sources : tuple of str
        Names of the layers that give queries, keys and values.
    keys : float
        Number of keys; as many as queries by default.

    Returns
    -------
    Layer
    """
    numbers = {
        "multiply_adds": 2 * tokens * (keys or tokens) * width,
        "outputs": tokens * width,
        "channels": width,
        "heads": heads,
    }
    return Layer("attention", numbers, "", sources)


def norm(width: float, tokens: float, *, name: str = "", source: str = "") -> Layer:
    """Return a layer normalisation with a weight and a bias per feature.

    Parameters
    ----------
    width, tokens : float
    name, source : str
        Its name, and that of the layer it takes; the one before by default.

    Returns
    -------
    Layer
    """
    numbers = {"parameters": 2 * width, "outputs": tokens * width, "channels": width}
    return Layer("normalisation", numbers, name, (source,), label="layer_norm")


def activation(label: str, width: float, tokens: float) -> Layer:
    """Return a function of one variable.

    Parameters
    ----------
    label : str
        Such as ``"gelu"``.
    width, tokens : float

    Returns
    -------
    Layer
    """
    return Layer("activation", {"outputs": tokens * width, "channels": width}, label=label)


def add(width: float, tokens: float, sources: tuple[str, ...], *, name: str = "") -> Layer:
    """Return a sum of what several layers give.

    Parameters
    ----------
    width, tokens : float
    sources : tuple of str
        Names of the layers; ``""`` is the one before.
    name : str

    Returns
    -------
    Layer
    """
    return Layer("add", {"outputs": tokens * width, "channels": width}, name, sources)


def embedding(n_rows: float, width: float, tokens: float, *, name: str = "") -> Layer:
    """Return a table in which the network's inputs are looked up.

    Parameters
    ----------
    n_rows, width : float
        Shape of the table.
    tokens : float
        How many are looked up.
    name : str

    Returns
    -------
    Layer
    """
    numbers = {"parameters": n_rows * width, "outputs": tokens * width, "channels": width}
    return Layer("embedding", numbers, name, ("input",))


def plain(kind: str, width: float, tokens: float, **options: Any) -> Layer:
    """Return an operator without weights.

    Parameters
    ----------
    kind : str
        One of `graf_utils.operators.KINDS`.
    width, tokens : float
    **options
        Further arguments of `Layer`.

    Returns
    -------
    Layer
    """
    return Layer(kind, {"outputs": tokens * width, "channels": width}, **options)
