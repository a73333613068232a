"""Documented short path of :mod:`stlib.sentence_transformer.readers`."""

from stlib.older_paths import add_class_paths
from stlib.sentence_transformer.readers import (
    InputExample,
    LabelSentenceReader,
    NLIDataReader,
    PairedFilesReader,
    STSBenchmarkDataReader,
    STSDataReader,
    TripletReader,
)

__all__ = [
    "InputExample",
    "LabelSentenceReader",
    "NLIDataReader",
    "PairedFilesReader",
    "STSBenchmarkDataReader",
    "STSDataReader",
    "TripletReader",
]

add_class_paths(__name__, {name: globals()[name] for name in __all__})
