"""Datasets of the older ``fit``."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "DenoisingAutoEncoderDataset": "stlib.sentence_transformer.datasets.denoising_auto_encoder",
    "NoDuplicatesDataLoader": "stlib.sentence_transformer.datasets.no_duplicates_dataloader",
    "ParallelSentencesDataset": "stlib.sentence_transformer.datasets.parallel_sentences",
    "SentenceLabelDataset": "stlib.sentence_transformer.datasets.sentence_label",
    "SentencesDataset": "stlib.sentence_transformer.datasets.sentences",
}

__all__ = [
    "DenoisingAutoEncoderDataset",
    "NoDuplicatesDataLoader",
    "ParallelSentencesDataset",
    "SentenceLabelDataset",
    "SentencesDataset",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value
