"""A snapshot and what happened since, searched as one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from indexing.errors import BadInput
from indexing.lexical.asked import Asked
from indexing.lexical.bm25 import LexicalHits, QueryWord, Statistics, spread
from indexing.lexical.question import query_words
from indexing.lexical.tail import LexicalTail, OwnStatistics
from indexing.lexical.tantivy_index import LexicalSnapshot

__all__ = ["LexicalReader"]


@dataclass(frozen=True)
class LexicalReader:
    """One consistent pair, held by a query from start to end. Searching is safe from several threads."""

    snapshot: LexicalSnapshot | None
    tail: LexicalTail

    def search(self, text: str, k: int, allowed: Collection[int] | np.ndarray | None = None) -> LexicalHits:
        """The `k` best documents that have a word of `text`, by BM25; fewer when fewer have one.

        The text is a bag of words without operators: any text is fine, one without words finds nothing.
        `allowed`: keys int64 ascending, or a boolean table over keys; only these are returned.
        """
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least one result")
        keys, scores, words = np.empty(0, np.int64), np.empty(0), self._words(text)
        if self.tail.documents:
            keys, scores = self.tail.search(words, self._statistics)
            keep = Asked.of(allowed, None).contains(keys)
            keys, scores = keys[keep], scores[keep]
        if self.snapshot is not None:
            older = self.snapshot.search_words(words, k, allowed, self.tail.changed)
            keys, scores = np.append(keys, older.doc_keys), np.append(scores, older.scores)
        scores = scores.astype(np.float32)
        order = np.lexsort((keys, -scores))[:k]
        return LexicalHits(keys[order], scores[order])

    def spread(self, text: str) -> float:
        """About the standard deviation of the BM25 of `text` over all documents, see `bm25.spread`."""
        has_older = self.snapshot is not None and self.snapshot.document_count
        total = self.snapshot.document_count if self.snapshot and has_older else len(self.tail.documents)
        return spread(self._words(text), total, self._statistics.frequency)

    def _words(self, text: str) -> list[QueryWord]:
        languages = () if self.snapshot is None else self.snapshot.languages
        return query_words(text, (*languages, *sorted(self.tail.languages.difference(languages))))

    @property
    def _statistics(self) -> Statistics:
        """Those of the snapshot; of the tail alone while there is nothing else."""
        own = OwnStatistics(self.tail)
        if self.snapshot is not None and self.snapshot.stored_count:
            return _Statistics(self.snapshot, own)
        return own


@dataclass(frozen=True)
class _Statistics:
    """Of a snapshot; of a term that it does not have, those of the tail."""

    snapshot: LexicalSnapshot
    own: OwnStatistics

    @property
    def stored_count(self) -> int:
        return self.snapshot.stored_count

    def frequency(self, field: str, term: str) -> int:
        return self.snapshot.frequency(field, term) or self.own.frequency(field, term)

    def average_length(self, field: str) -> float:
        return self.snapshot.average_length(field) or self.own.average_length(field)
