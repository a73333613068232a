"""BM25 (Robertson and Zaragoza 2009) as tantivy computes it, for documents that are not in its index."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np

from indexing.lexical.analysis import TITLE_WEIGHT

__all__ = [
    "FIELDS",
    "K1",
    "SCORE_DIGITS",
    "LexicalHits",
    "QueryWord",
    "Statistics",
    "frequency_of",
    "idf",
    "saturate",
    "spread",
]

K1, B = 1.2, 0.75  # tantivy's, fixed
SCORE_DIGITS = 4
"""Scores are rounded, so that the order of equal documents does not hang on how they lie in segments."""

FIELDS = {"body": 1.0, "title": TITLE_WEIGHT}
"""What is indexed, and how much a match there weighs."""


class QueryWord(NamedTuple):
    """A word of a question: its `forms` are terms, of which a document has the one of its own language, and
    `weight` is what its score is multiplied by. What its rarity says is said by all forms together.
    """

    forms: tuple[str, ...]
    weight: float


class LexicalHits(NamedTuple):
    """`doc_keys` int64 [m] and BM25 `scores` float32 [m], best first, ties by ascending key."""

    doc_keys: np.ndarray
    scores: np.ndarray


class Statistics(Protocol):
    """What BM25 asks of a collection."""

    @property
    def stored_count(self) -> int:
        """Documents, those included that are deleted but still counted."""
        ...

    def frequency(self, field: str, term: str) -> int:
        """How many of them have `term` in `field`."""
        ...

    def average_length(self, field: str) -> float:
        """Terms per document; 0 if no document has any."""
        ...


def idf(frequency: int, total: int) -> float:
    """How much it says that a document has a term that `frequency` of `total` documents have."""
    return math.log1p(max(total - frequency + 0.5, 0.5) / (frequency + 0.5))


def saturate(count: int, length: int, average: float) -> float:
    """What a term that stands `count` times among `length` adds, as a part of what it could add at most."""
    relative = _stored_length(length) / average if average else 1.0
    return count / (count + K1 * (1 - B + B * relative))


def _stored_length(length: int) -> int:
    """A length as an index keeps it, in one byte: exact up to 40, then rounded down to four leading bits."""
    if length < 24:
        return length
    above = length - 24
    shift = max(above.bit_length() - 4, 0)
    return 24 + (above >> shift << shift)


def frequency_of(word: QueryWord, field: str, total: int, frequency: Callable[[str, str], int]) -> int:
    """How many of `total` documents have a form of `word`, if none has two."""
    return min(sum(frequency(field, form) for form in word.forms), total)


def spread(words: Iterable[QueryWord], total: int, frequency: Callable[[str, str], int]) -> float:
    """About the standard deviation of the BM25 of `words` over `total` documents, of which
    `frequency(field, term)` have a term; 0 if no word is known.

    From document frequencies alone: a word adds `weight * idf * (k1 + 1)` to a share p of the documents,
    hence a variance of p (1 - p) times its square, words taken as independent. The half documents keep a word
    that all documents share from counting as nothing.
    """
    variance = 0.0
    for word in words:
        for field, boost in FIELDS.items():
            if found := frequency_of(word, field, total, frequency):
                share = (found + 0.5) / (total + 1.0)
                variance += share * (1 - share) * (word.weight * boost * idf(found, total) * (K1 + 1)) ** 2
    return math.sqrt(max(variance, 0.0))
