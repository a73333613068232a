"""Searching weighted terms in a snapshot's segments, and in the newer ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from indexing.inverted.postings import Postings, Terms, best_rows, score_rows
from indexing.inverted.segment import SparseRowsOf, merge_rows
from indexing.inverted.snapshot import InvertedSnapshot
from indexing.views.document_list import DocumentList, distinct_documents
from indexing.views.passage_reader import (
    Hits,
    Part,
    PassageReader,
    Stretch,
    Tail,
    best_documents,
    rows_of_documents,
)
from indexing.views.sample import PRIOR_DOCUMENTS, PRIOR_SPREAD
from stlib.util.forks import cached_property

__all__ = ["SparseReader"]

_NONE = np.empty(0, np.int64)


class _Stretch(Stretch, Protocol):
    """Rows that are searched together: a segment, or what is newer than all of them."""

    @property
    def postings(self) -> Postings: ...


class _Tail(Tail):
    def __init__(self, rows: SparseRowsOf) -> None:
        super().__init__(rows.keys, rows.doc_keys)
        self.postings = rows.postings


class SparseReader(PassageReader[_Stretch]):
    """Finds passages by their terms. `follow` makes the reader of a later state."""

    def __init__(
        self, parts: Sequence[Part[_Stretch]], stored: DocumentList, tail: SparseRowsOf, change: int
    ) -> None:
        """`tail`: the rows of the last of `parts`; the others as for `PassageReader`."""
        super().__init__(parts, stored, change)
        self._tail = tail

    @classmethod
    def of(cls, snapshot: InvertedSnapshot | None, change: int) -> SparseReader:
        """Of a snapshot at `change`, or of nothing."""
        parts: list[Part[_Stretch]] = []
        first = 0
        for segment in [] if snapshot is None else snapshot.segments:
            segment.ensure_whole()
            assert snapshot is not None
            parts.append(Part(segment, snapshot.gone_rows(segment, _NONE), first))
            first += len(segment)
        stored = DocumentList(distinct_documents(part.stretch.doc_keys) for part in parts)
        tail = SparseRowsOf.none()
        return cls([*parts, Part(_Tail(tail), _NONE, first)], stored, tail, change)

    def follow(self, new: SparseRowsOf, removed: np.ndarray, change: int) -> SparseReader:
        """With the rows of later changes up to `change`, and without those of the keys `removed`."""
        tail = merge_rows([(self._tail, _NONE), (new, _NONE)]) if len(new.keys) else self._tail
        parts = self._followed(_Tail(tail) if len(new.keys) else None, removed)
        return SparseReader(parts, self._stored_documents, tail, change)

    def search(self, question: Terms, k: int, allowed: np.ndarray | None = None) -> Hits:
        """The best `k` documents that have a term of the question, each by its best passage.

        `allowed` is a boolean table over document keys; keys beyond its end are not allowed.
        """
        self.ensure_whole()
        masks, counts = self._masks(allowed)
        wanted = k
        while True:
            hits, more = self._search_rows(question, wanted, masks, counts)
            if len(hits.documents) >= k or not more:
                return Hits(hits.documents[:k], hits.chunks[:k], hits.scores[:k])
            wanted = max(wanted * 2, 64)

    def _search_rows(
        self, question: Terms, k: int, masks: Sequence[np.ndarray | None], counts: Sequence[int]
    ) -> tuple[Hits, bool]:
        """The documents of the best `k` rows, each once; whether there may be more rows."""
        said = [(_NONE, _NONE, _NONE, np.empty(0, np.float32))]
        floor, found = 0.0, 0
        for part, mask, count in zip(self._parts, masks, counts, strict=True):
            if not count:
                continue
            # Rows that are gone and not masked are fetched besides.
            extra = len(part.gone) if mask is None else 0
            rows, scores = best_rows(part.stretch.postings, question, k + extra, mask, floor)
            if extra:
                alive = ~np.isin(rows, part.gone)
                rows, scores = rows[alive], scores[alive]
            said.append((rows + part.first, part.stretch.doc_keys[rows], part.stretch.keys[rows], scores))
            found += len(rows)
            if found >= k:
                floor = float(np.partition(np.concatenate([one[3] for one in said]), -k)[-k])
        return best_documents(said, k), found >= k

    def score_documents(self, question: Terms, documents: np.ndarray) -> Hits:
        """The best passage of each of `documents` (in their order); one without a term of the question
        scores 0 with chunk -1.
        """
        self.ensure_whole()
        chunks, best = np.full(len(documents), -1, np.int64), np.zeros(len(documents), np.float32)
        for part in self._parts:
            owners, rows = rows_of_documents(part, documents)
            scores = _score(part, question, rows)
            order = np.lexsort((rows, -scores, owners))
            owners, at = np.unique(owners[order], return_index=True)
            rows, scores = rows[order[at]], scores[order[at]]
            better = scores > best[owners]
            chunks[owners[better]] = part.stretch.keys[rows[better]]
            best[owners[better]] = scores[better]
        return Hits(documents, chunks, best)

    def statistics(self, question: Terms) -> tuple[float, float]:
        """Mean and standard deviation of the scores of all documents, from a sample.

        A few imagined documents steady it, as those of `SimilaritySample` do: their scores spread by a tenth
        of what one along the question's own terms would get.
        """
        rows, weights, norm = self._sample
        scores = np.zeros(len(rows), np.float64)
        for part in self._parts:
            here = (rows >= part.first) & (rows < part.first + len(part.stretch))
            if here.any():
                scores[here] = _score(part, question, rows[here] - part.first)
        prior = PRIOR_SPREAD * norm * float(np.linalg.norm(question.weights))
        count = float(weights.sum())
        total = count + PRIOR_DOCUMENTS
        mean = float(weights @ scores) / count if count else 0.0
        scatter = float(weights @ (scores - mean) ** 2)
        return count * mean / total, float(np.sqrt((scatter + PRIOR_DOCUMENTS * prior**2) / total))

    @cached_property
    def _sample(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Rows that stand for the collection, what each counts for, and the usual length of their vectors."""
        self.ensure_whole()
        rows, weights = self._sampled_rows()
        squares = np.zeros(len(rows), np.float64)
        for part in self._parts:
            here = (rows >= part.first) & (rows < part.first + len(part.stretch))
            squares[here] = part.stretch.postings.norms[rows[here] - part.first].astype(np.float64) ** 2
        return rows, weights, float(np.sqrt(squares.mean())) if len(rows) else 1.0


def _score(part: Part[_Stretch], question: Terms, rows: np.ndarray) -> np.ndarray:
    """Of these rows, in any order."""
    order = np.argsort(rows, kind="stable")
    scores = np.empty(len(rows), np.float32)
    scores[order] = score_rows(part.stretch.postings, question, rows[order])
    return scores
