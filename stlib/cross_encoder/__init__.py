"""Rerankers: a score for each pair of texts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stlib.needs import need_torch
from stlib.older_paths import add_older_path

if TYPE_CHECKING:
    from stlib.cross_encoder.data_collator import CrossEncoderDataCollator
    from stlib.cross_encoder.model import CrossEncoder
    from stlib.cross_encoder.model_card import CrossEncoderModelCardData
    from stlib.cross_encoder.trainer import CrossEncoderTrainer
    from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments

need_torch("CrossEncoder")

__all__ = [
    "CrossEncoder",
    "CrossEncoderDataCollator",
    "CrossEncoderModelCardData",
    "CrossEncoderTrainer",
    "CrossEncoderTrainingArguments",
]

# Public name -> module that defines it.
_EXPORTS = {
    "CrossEncoder": "stlib.cross_encoder.model",
    "CrossEncoderDataCollator": "stlib.cross_encoder.data_collator",
    "CrossEncoderModelCardData": "stlib.cross_encoder.model_card",
    "CrossEncoderTrainer": "stlib.cross_encoder.trainer",
    "CrossEncoderTrainingArguments": "stlib.cross_encoder.training_args",
}

_SUBMODULES = frozenset(
    {
        "data_collator",
        "evaluation",
        "losses",
        "model",
        "model_card",
        "modules",
        "trainer",
        "training_args",
    }
)

add_older_path(f"{__name__}.CrossEncoder", "stlib.cross_encoder.model")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
