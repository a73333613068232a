"""Readers of training files, and the example they return."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "InputExample": "stlib.sentence_transformer.readers.input_example",
    "LabelSentenceReader": "stlib.sentence_transformer.readers.label_sentence",
    "NLIDataReader": "stlib.sentence_transformer.readers.nli_data",
    "PairedFilesReader": "stlib.sentence_transformer.readers.paired_files",
    "STSBenchmarkDataReader": "stlib.sentence_transformer.readers.sts_data",
    "STSDataReader": "stlib.sentence_transformer.readers.sts_data",
    "TripletReader": "stlib.sentence_transformer.readers.triplet",
}

__all__ = [
    "InputExample",
    "LabelSentenceReader",
    "NLIDataReader",
    "PairedFilesReader",
    "STSBenchmarkDataReader",
    "STSDataReader",
    "TripletReader",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value
