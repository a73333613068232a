"""Rerankers: a score for each pair of texts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stlib.cross_encoder.model import CrossEncoder
    from stlib.cross_encoder.model_card import CrossEncoderModelCardData

__all__ = ["CrossEncoder", "CrossEncoderModelCardData"]

# Public name -> module that defines it.
_EXPORTS = {
    "CrossEncoder": "stlib.cross_encoder.model",
    "CrossEncoderModelCardData": "stlib.cross_encoder.model_card",
}

_SUBMODULES = frozenset({"model", "model_card", "modules"})


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
