"""Sparse encoders: a weight for each word of a vocabulary, most of them zero."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stlib.needs import need_torch
from stlib.older_paths import add_older_path

if TYPE_CHECKING:
    from stlib.sparse_encoder.data_collator import SparseEncoderDataCollator
    from stlib.sparse_encoder.model import SparseEncoder
    from stlib.sparse_encoder.model_card import SparseEncoderModelCardData
    from stlib.sparse_encoder.trainer import SparseEncoderTrainer
    from stlib.sparse_encoder.training_args import SparseEncoderTrainingArguments

need_torch("SparseEncoder")

__all__ = [
    "SparseEncoder",
    "SparseEncoderDataCollator",
    "SparseEncoderModelCardData",
    "SparseEncoderTrainer",
    "SparseEncoderTrainingArguments",
]

# Public name -> module that defines it.
_EXPORTS = {
    "SparseEncoder": "stlib.sparse_encoder.model",
    "SparseEncoderDataCollator": "stlib.sparse_encoder.data_collator",
    "SparseEncoderModelCardData": "stlib.sparse_encoder.model_card",
    "SparseEncoderTrainer": "stlib.sparse_encoder.trainer",
    "SparseEncoderTrainingArguments": "stlib.sparse_encoder.training_args",
}

_SUBMODULES = frozenset(
    {
        "callbacks",
        "data_collator",
        "evaluation",
        "losses",
        "model",
        "model_card",
        "modules",
        "search_engines",
        "trainer",
        "training_args",
    }
)

add_older_path(f"{__name__}.SparseEncoder", "stlib.sparse_encoder.model")
add_older_path(f"{__name__}.models", "stlib.sparse_encoder.modules")
for _name, _file in {
    "MLMTransformer": "mlm_transformer",
    "SparseAutoEncoder": "sparse_auto_encoder",
    "SparseStaticEmbedding": "sparse_static_embedding",
    "SpladePooling": "splade_pooling",
}.items():
    add_older_path(f"{__name__}.models.{_name}", f"stlib.sparse_encoder.modules.{_file}")


def __getattr__(name: str) -> Any:
    if name == "models":
        return importlib.import_module(f"{__name__}.modules")
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES, "models"})
