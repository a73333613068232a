"""What all model families share: modules, the pipeline that runs them, and their files. Names are resolved on
first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stlib.needs import need_torch

if TYPE_CHECKING:
    from stlib.base.data_collator import BaseDataCollator
    from stlib.base.model import BaseModel
    from stlib.base.peft_mixin import PeftAdapterMixin
    from stlib.base.sampler import (
        DefaultBatchSampler,
        GroupByLabelBatchSampler,
        MultiDatasetDefaultBatchSampler,
        NoDuplicatesBatchSampler,
        ProportionalBatchSampler,
        RoundRobinBatchSampler,
    )
    from stlib.base.trainer import BaseTrainer
    from stlib.base.training_args import BaseTrainingArguments, BatchSamplers, MultiDatasetBatchSamplers

need_torch("this model")

__all__ = [
    "BaseDataCollator",
    "BaseModel",
    "BaseTrainer",
    "BaseTrainingArguments",
    "BatchSamplers",
    "DefaultBatchSampler",
    "GroupByLabelBatchSampler",
    "MultiDatasetBatchSamplers",
    "MultiDatasetDefaultBatchSampler",
    "NoDuplicatesBatchSampler",
    "PeftAdapterMixin",
    "ProportionalBatchSampler",
    "RoundRobinBatchSampler",
]

# Public name -> module that defines it.
_EXPORTS = {
    "BaseDataCollator": "stlib.base.data_collator",
    "BaseModel": "stlib.base.model",
    "BaseTrainer": "stlib.base.trainer",
    "BaseTrainingArguments": "stlib.base.training_args",
    "BatchSamplers": "stlib.base.training_args",
    "DefaultBatchSampler": "stlib.base.sampler",
    "GroupByLabelBatchSampler": "stlib.base.sampler",
    "MultiDatasetBatchSamplers": "stlib.base.training_args",
    "MultiDatasetDefaultBatchSampler": "stlib.base.sampler",
    "NoDuplicatesBatchSampler": "stlib.base.sampler",
    "PeftAdapterMixin": "stlib.base.peft_mixin",
    "ProportionalBatchSampler": "stlib.base.sampler",
    "RoundRobinBatchSampler": "stlib.base.sampler",
}

_SUBMODULES = frozenset(
    {
        "data_collator",
        "evaluation",
        "losses",
        "modality",
        "modality_types",
        "model",
        "model_card",
        "modules",
        "peft_mixin",
        "sampler",
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
