"""Documented short path of :mod:`stlib.sentence_transformer.datasets`."""

from stlib.older_paths import add_class_paths
from stlib.sentence_transformer.datasets import (
    DenoisingAutoEncoderDataset,
    NoDuplicatesDataLoader,
    ParallelSentencesDataset,
    SentenceLabelDataset,
    SentencesDataset,
)

__all__ = [
    "DenoisingAutoEncoderDataset",
    "NoDuplicatesDataLoader",
    "ParallelSentencesDataset",
    "SentenceLabelDataset",
    "SentencesDataset",
]

add_class_paths(__name__, {name: globals()[name] for name in __all__})
