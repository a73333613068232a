"""All modules a sparse encoder is built from, resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stlib.base.modules.dense import Dense
    from stlib.base.modules.input_module import InputModule
    from stlib.base.modules.module import Module
    from stlib.base.modules.router import Asym, Router
    from stlib.base.modules.transformer import Transformer
    from stlib.sparse_encoder.modules.mlm_transformer import MLMTransformer
    from stlib.sparse_encoder.modules.sparse_auto_encoder import SparseAutoEncoder
    from stlib.sparse_encoder.modules.sparse_static_embedding import SparseStaticEmbedding
    from stlib.sparse_encoder.modules.splade_pooling import SpladePooling

_EXPORTS = {
    "Asym": "stlib.base.modules.router",
    "Dense": "stlib.base.modules.dense",
    "InputModule": "stlib.base.modules.input_module",
    "MLMTransformer": "stlib.sparse_encoder.modules.mlm_transformer",
    "Module": "stlib.base.modules.module",
    "Router": "stlib.base.modules.router",
    "SparseAutoEncoder": "stlib.sparse_encoder.modules.sparse_auto_encoder",
    "SparseStaticEmbedding": "stlib.sparse_encoder.modules.sparse_static_embedding",
    "SpladePooling": "stlib.sparse_encoder.modules.splade_pooling",
    "Transformer": "stlib.base.modules.transformer",
}

__all__ = [
    "Asym",
    "Dense",
    "InputModule",
    "MLMTransformer",
    "Module",
    "Router",
    "SparseAutoEncoder",
    "SparseStaticEmbedding",
    "SpladePooling",
    "Transformer",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
