"""Readers of training files, and the example they return."""

from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.label_sentence import LabelSentenceReader
from stlib.sentence_transformer.readers.nli_data import NLIDataReader
from stlib.sentence_transformer.readers.paired_files import PairedFilesReader
from stlib.sentence_transformer.readers.sts_data import STSBenchmarkDataReader, STSDataReader
from stlib.sentence_transformer.readers.triplet import TripletReader

__all__ = [
    "InputExample",
    "LabelSentenceReader",
    "NLIDataReader",
    "PairedFilesReader",
    "STSBenchmarkDataReader",
    "STSDataReader",
    "TripletReader",
]
