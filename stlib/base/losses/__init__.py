"""What losses of all model families share."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "CachedLossMixin": "stlib.base.losses.gradcache",
    "RandContext": "stlib.base.losses.gradcache",
    "column_merging_disabled": "stlib.base.losses.merged_forward",
    "has_static_embedding_input": "stlib.base.losses.gradcache",
    "uses_gradient_cache": "stlib.base.losses.gradcache",
}

__all__ = [
    "CachedLossMixin",
    "RandContext",
    "column_merging_disabled",
    "has_static_embedding_input",
    "uses_gradient_cache",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value
