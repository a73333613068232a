"""Documented short path of :mod:`stlib.sentence_transformer.readers`."""

from typing import TYPE_CHECKING, Any

from stlib.older_paths import add_older_path
from stlib.sentence_transformer import readers

if TYPE_CHECKING:
    from stlib.sentence_transformer.readers import *  # noqa: F403 - the names of __all__, for type checkers

__all__ = readers.__all__

add_older_path("stlib.readers.InputExample", "stlib.sentence_transformer.readers.input_example")
add_older_path("stlib.readers.LabelSentenceReader", "stlib.sentence_transformer.readers.label_sentence")
add_older_path("stlib.readers.NLIDataReader", "stlib.sentence_transformer.readers.nli_data")
add_older_path("stlib.readers.PairedFilesReader", "stlib.sentence_transformer.readers.paired_files")
add_older_path("stlib.readers.STSDataReader", "stlib.sentence_transformer.readers.sts_data")
add_older_path("stlib.readers.TripletReader", "stlib.sentence_transformer.readers.triplet")


def __getattr__(name: str) -> Any:
    return getattr(readers, name)
