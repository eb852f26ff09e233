"""The interval that the whole book uses: 95 % of a normal distribution."""

from __future__ import annotations

__all__ = ["NORMAL_95"]

NORMAL_95 = 1.96
"""Standard errors on either side of a mean that hold it 95 times of 100."""
