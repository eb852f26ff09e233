"""From a PyTorch module to its graph of operators."""

from graf_utils import _torch  # noqa: F401 - says what to do where there is no PyTorch
from graf_utils.operators.tracing.graphs import traced
from graf_utils.operators.tracing.mapping import OPERATORS, Mapped

__all__ = ["OPERATORS", "Mapped", "traced"]
