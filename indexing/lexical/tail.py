"""Documents that are newer than a snapshot, searched by their words at once.

Publishing a snapshot takes a lock and a few flushes to the disk; a search must not wait for either. The tail
is scored by the formula and with the statistics of its snapshot, so that a score stays what it is when the
document moves into the next snapshot, up to what its own words change in those statistics. Where there is no
snapshot yet, the statistics are the tail's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from indexing.lexical.analysis import analyze, query_terms
from indexing.lexical.bm25 import FIELDS, K1, SCORE_DIGITS, Statistics, idf, saturate
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
    def of(cls, text: str) -> _Words:
        terms = analyze(text) if text else []
        return cls(Counter(terms), len(terms))


@dataclass(frozen=True)
class LexicalTail:
    """What happened after the change `start` up to the change `seq`; `follow` makes a new one.

    `documents`: key → words by field, of those that were added or changed and are still there; `deleted`:
    keys of those that are not.
    """

    start: int
    seq: int
    documents: Mapping[int, Mapping[str, _Words]] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()

    def follow(self, changes: Iterable[TailChange]) -> LexicalTail:
        """With more changes, in the order of the log."""
        documents, deleted, last = dict(self.documents), set(self.deleted), self.seq
        for seq, key, gone, title, text in changes:
            last = seq
            documents.pop(key, None)
            if gone:
                deleted.add(key)
            else:
                deleted.discard(key)
                body = f"{title}\n{text}" if title else text
                documents[key] = {"body": _Words.of(body), "title": _Words.of(title)}
        return LexicalTail(self.start, last, documents, frozenset(deleted))

    def at(self, seq: int) -> LexicalTail:
        """The same, known to be true up to a later change."""
        return replace(self, seq=seq)

    @cached_property
    def changed(self) -> np.ndarray:
        """Keys of both, int64, ascending: what a snapshot at `start` says of them is no longer true."""
        return np.asarray(sorted(self.deleted | self.documents.keys()), dtype=np.int64)

    def search(self, text: str, statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
        """Every document that has a term of `text`: keys int64 [n] and rounded scores float64 [n]."""
        weigh = _weights(query_terms(text), statistics)
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


def _weights(terms: Mapping[str, float], statistics: Statistics) -> dict[str, _FieldWeights]:
    total = statistics.stored_count
    return {
        field: _FieldWeights(
            statistics.average_length(field),
            {
                term: weight * boost * (K1 + 1) * idf(statistics.frequency(field, term), total)
                for term, weight in terms.items()
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
