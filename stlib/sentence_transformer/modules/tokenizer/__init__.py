"""Tokenizers that split texts into words of a vocabulary."""

from stlib.sentence_transformer.modules.tokenizer.phrase import PhraseTokenizer
from stlib.sentence_transformer.modules.tokenizer.whitespace import WhitespaceTokenizer
from stlib.sentence_transformer.modules.tokenizer.word import (
    ENGLISH_STOP_WORDS,
    TransformersTokenizerWrapper,
    WordTokenizer,
)

__all__ = [
    "ENGLISH_STOP_WORDS",
    "PhraseTokenizer",
    "TransformersTokenizerWrapper",
    "WhitespaceTokenizer",
    "WordTokenizer",
]
