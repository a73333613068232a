"""Late interaction: a vector for each token, and scores that compare token by token."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stlib.needs import need_torch

if TYPE_CHECKING:
    from stlib.multi_vector_encoder.data_collator import MultiVectorEncoderDataCollator
    from stlib.multi_vector_encoder.model import MultiVectorEncoder
    from stlib.multi_vector_encoder.model_card import MultiVectorEncoderModelCardData
    from stlib.multi_vector_encoder.trainer import MultiVectorEncoderTrainer
    from stlib.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments
    from stlib.util.late_interaction import maxsim, maxsim_pairwise

need_torch("MultiVectorEncoder")

__all__ = [
    "MultiVectorEncoder",
    "MultiVectorEncoderDataCollator",
    "MultiVectorEncoderModelCardData",
    "MultiVectorEncoderTrainer",
    "MultiVectorEncoderTrainingArguments",
    "maxsim",
    "maxsim_pairwise",
]

# Public name -> module that defines it.
_EXPORTS = {
    "MultiVectorEncoder": "stlib.multi_vector_encoder.model",
    "MultiVectorEncoderDataCollator": "stlib.multi_vector_encoder.data_collator",
    "MultiVectorEncoderModelCardData": "stlib.multi_vector_encoder.model_card",
    "MultiVectorEncoderTrainer": "stlib.multi_vector_encoder.trainer",
    "MultiVectorEncoderTrainingArguments": "stlib.multi_vector_encoder.training_args",
    "maxsim": "stlib.util.late_interaction",
    "maxsim_pairwise": "stlib.util.late_interaction",
}

_SUBMODULES = frozenset(
    {
        "data_collator",
        "evaluation",
        "losses",
        "model",
        "model_card",
        "modules",
        "scoring",
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
