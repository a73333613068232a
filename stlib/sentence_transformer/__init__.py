"""Dense bi-encoders: one vector per text."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stlib.needs import need_torch

if TYPE_CHECKING:
    from stlib.sentence_transformer.data_collator import SentenceTransformerDataCollator
    from stlib.sentence_transformer.model import SentenceTransformer
    from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData
    from stlib.sentence_transformer.trainer import SentenceTransformerTrainer
    from stlib.sentence_transformer.training_args import SentenceTransformerTrainingArguments

need_torch("SentenceTransformer")

__all__ = [
    "SentenceTransformer",
    "SentenceTransformerDataCollator",
    "SentenceTransformerModelCardData",
    "SentenceTransformerTrainer",
    "SentenceTransformerTrainingArguments",
]

# Public name -> module that defines it.
_EXPORTS = {
    "SentenceTransformerDataCollator": "stlib.sentence_transformer.data_collator",
    "SentenceTransformerTrainer": "stlib.sentence_transformer.trainer",
    "SentenceTransformerTrainingArguments": "stlib.sentence_transformer.training_args",
    "SentenceTransformer": "stlib.sentence_transformer.model",
    "SentenceTransformerModelCardData": "stlib.sentence_transformer.model_card",
}

_SUBMODULES = frozenset(
    {
        "data_collator",
        "datasets",
        "evaluation",
        "losses",
        "model",
        "model_card",
        "modules",
        "readers",
        "trainer",
        "training_args",
    }
)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
