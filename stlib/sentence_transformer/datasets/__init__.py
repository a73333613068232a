"""Datasets of the older ``fit``."""

from stlib.sentence_transformer.datasets.denoising_auto_encoder import DenoisingAutoEncoderDataset
from stlib.sentence_transformer.datasets.no_duplicates_dataloader import NoDuplicatesDataLoader
from stlib.sentence_transformer.datasets.parallel_sentences import ParallelSentencesDataset
from stlib.sentence_transformer.datasets.sentence_label import SentenceLabelDataset
from stlib.sentence_transformer.datasets.sentences import SentencesDataset

__all__ = [
    "DenoisingAutoEncoderDataset",
    "NoDuplicatesDataLoader",
    "ParallelSentencesDataset",
    "SentenceLabelDataset",
    "SentencesDataset",
]
