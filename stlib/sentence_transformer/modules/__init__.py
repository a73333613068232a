"""All modules a dense model is built from, resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stlib.base.modules import Dense, InputModule, Module, Normalize, Transformer
    from stlib.sentence_transformer.modules.pooling import Pooling
    from stlib.sentence_transformer.modules.static_embedding import StaticEmbedding

_EXPORTS = {
    "Dense": "stlib.base.modules.dense",
    "InputModule": "stlib.base.modules.input_module",
    "Module": "stlib.base.modules.module",
    "Normalize": "stlib.base.modules.normalize",
    "Pooling": "stlib.sentence_transformer.modules.pooling",
    "StaticEmbedding": "stlib.sentence_transformer.modules.static_embedding",
    "Transformer": "stlib.base.modules.transformer",
}

__all__ = ["Dense", "InputModule", "Module", "Normalize", "Pooling", "StaticEmbedding", "Transformer"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value
