"""Documents that are newer than a snapshot, searched by their words at once.

Publishing a snapshot takes a lock and a few flushes to the disk; a search must not wait for either. The tail
is scored by the formula and with the statistics of its snapshot, so that a score stays what it is when the
document moves into the next snapshot, up to what its own words change in those statistics. Where there is no
snapshot yet, the statistics are the tail's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from indexing.lexical.analysis import analyze, is_symbol, stemming_language
from indexing.lexical.bm25 import FIELDS, K1, SCORE_DIGITS, QueryWord, Statistics, frequency_of, idf, saturate
from stlib.util.forks import cached_property

__all__ = ["LexicalTail", "OwnStatistics", "TailChange"]


class TailChange(NamedTuple):
    """One change of the log; a deleted document has neither title nor text."""

    seq: int
    key: int
    deleted: bool
    title: str
    text: str


@dataclass(frozen=True)
class _Words:
    """How often a document has each term of a field, and how many terms there are."""

    counts: Mapping[str, int]
    length: int

    @classmethod
    def of(cls, terms: list[str]) -> _Words:
        return cls(Counter(terms), len(terms))


def _fields(title: str, text: str, language: str) -> dict[str, _Words]:
    """As the index does: a title is part of the body, too, and that of a symbol of that alone."""
    titled = analyze(title, language)
    body = _Words.of(titled + analyze(text, language))
    return {"title": _Words.of([] if is_symbol(title) else titled), "body": body}


@dataclass(frozen=True)
class LexicalTail:
    """What happened after the change `start` up to the change `seq`; `follow` makes a new one.

    `documents`: key → words by field, of those that were added or changed and are still there; `deleted`:
    keys of those that are not; `languages`: those that any of them was in.
    """

    start: int
    seq: int
    documents: Mapping[int, Mapping[str, _Words]] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()
    languages: frozenset[str] = frozenset()

    def follow(self, changes: Iterable[TailChange]) -> LexicalTail:
        """With more changes, in the order of the log."""
        documents, deleted, last = dict(self.documents), set(self.deleted), self.seq
        languages = set(self.languages)
        for seq, key, gone, title, text in changes:
            last = seq
            documents.pop(key, None)
            if gone:
                deleted.add(key)
            else:
                deleted.discard(key)
                language = stemming_language(title, text)
                languages.add(language)
                documents[key] = _fields(title, text, language)
        return LexicalTail(self.start, last, documents, frozenset(deleted), frozenset(languages))

    def at(self, seq: int) -> LexicalTail:
        """The same, known to be true up to a later change."""
        return replace(self, seq=seq)

    @cached_property
    def changed(self) -> np.ndarray:
        """Keys of both, int64, ascending: what a snapshot at `start` says of them is no longer true."""
        return np.asarray(sorted(self.deleted | self.documents.keys()), dtype=np.int64)

    def search(self, words: Sequence[QueryWord], statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
        """Every document that has one of `words`: keys int64 [n] and rounded scores float64 [n]."""
        weigh = _weights(words, statistics)
        scores = ((key, _score(words, weigh)) for key, words in self.documents.items())
        found = [(key, score) for key, score in scores if score]
        keys = np.asarray([key for key, _ in found], dtype=np.int64)
        return keys, np.round(np.asarray([score for _, score in found]), SCORE_DIGITS)


@dataclass(frozen=True)
class OwnStatistics:
    """Of the documents of a tail."""

    tail: LexicalTail

    @property
    def stored_count(self) -> int:
        return len(self.tail.documents)

    def frequency(self, field: str, term: str) -> int:
        return sum(term in words[field].counts for words in self.tail.documents.values())

    def average_length(self, field: str) -> float:
        lengths = [words[field].length for words in self.tail.documents.values()]
        return sum(lengths) / len(lengths) if lengths else 0.0


class _FieldWeights(NamedTuple):
    """Of one field: its average length, and what each term adds to a score before saturation."""

    average: float
    terms: Mapping[str, float]


def _weights(words: Sequence[QueryWord], statistics: Statistics) -> dict[str, _FieldWeights]:
    total = statistics.stored_count
    return {
        field: _FieldWeights(
            statistics.average_length(field),
            {
                form: word.weight * boost * (K1 + 1) * idf(found, total)
                for word in words
                for found in [frequency_of(word, field, total, statistics.frequency)]
                for form in word.forms
            },
        )
        for field, boost in FIELDS.items()
    }


def _score(words: Mapping[str, _Words], weigh: Mapping[str, _FieldWeights]) -> float:
    score = 0.0
    for name, (average, terms) in weigh.items():
        counts, length = words[name].counts, words[name].length
        shared = counts.keys() & terms.keys()
        score += sum(terms[term] * saturate(counts[term], length, average) for term in shared)
    return score
