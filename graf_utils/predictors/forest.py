"""The paper's random forest."""

from __future__ import annotations

from sklearn.ensemble import RandomForestRegressor

__all__ = ["random_forest"]


def random_forest() -> RandomForestRegressor:
    """Make a forest with scikit-learn's defaults and the seed of the paper, unfitted."""
    return RandomForestRegressor(random_state=42)
