"""Documented short path of :mod:`stlib.sentence_transformer.datasets`."""

from typing import TYPE_CHECKING, Any

from stlib.older_paths import add_older_path
from stlib.sentence_transformer import datasets

if TYPE_CHECKING:
    from stlib.sentence_transformer.datasets import *  # noqa: F403 - the names of __all__, for type checkers

__all__ = datasets.__all__

add_older_path(
    "stlib.datasets.DenoisingAutoEncoderDataset", "stlib.sentence_transformer.datasets.denoising_auto_encoder"
)
add_older_path(
    "stlib.datasets.NoDuplicatesDataLoader", "stlib.sentence_transformer.datasets.no_duplicates_dataloader"
)
add_older_path(
    "stlib.datasets.ParallelSentencesDataset", "stlib.sentence_transformer.datasets.parallel_sentences"
)
add_older_path("stlib.datasets.SentenceLabelDataset", "stlib.sentence_transformer.datasets.sentence_label")
add_older_path("stlib.datasets.SentencesDataset", "stlib.sentence_transformer.datasets.sentences")


def __getattr__(name: str) -> Any:
    return getattr(datasets, name)
