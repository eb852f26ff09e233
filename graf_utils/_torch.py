"""Imported before all that needs PyTorch, so that where there is none the error says what to do."""

from graf_utils._optional import import_optional

import_optional(
    "torch", "what computes with networks (networks, proxies, scoring, tracing, brpnas)", "torch"
)
