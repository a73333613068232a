"""Searching the rows of a snapshot's segments, and the newer ones, which are scanned exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from indexing.quantization import Codec
from indexing.vectors.base import QueryScore, VectorIndex
from indexing.vectors.codes import CodeArray
from indexing.vectors.faiss import FaissIndex
from indexing.vectors.segment import Rows
from indexing.vectors.together import search_together
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
from indexing.views.sample import SimilaritySample, distinct
from stlib.util.forks import cached_property

__all__ = ["SHORT", "Hits", "VectorReader"]

SHORT = "the vector engine gives no more rows at once than these are of: a narrower filter finds others"


class _Stretch(Stretch, Protocol):
    """Rows that are searched together: a segment, or what is newer than all of them."""

    @property
    def codes(self) -> CodeArray: ...

    @property
    def index(self) -> VectorIndex: ...


class _Snapshot(Protocol):
    """What lies in a folder, or at a server."""

    @property
    def segments(self) -> Sequence[_Stretch]: ...

    def gone_rows(self, segment: Any, removed: np.ndarray, /) -> np.ndarray: ...


class _Tail(Tail):
    def __init__(self, rows: Rows, codec: Codec) -> None:
        super().__init__(rows.keys, rows.doc_keys)
        self.codes = rows.codes
        self._codec = codec

    @cached_property
    def index(self) -> VectorIndex:
        return FaissIndex.build(self._codec, self.codes)


class VectorReader(PassageReader[_Stretch]):
    """Finds passages by their vectors. `follow` makes the reader of a later state.

    Attributes:
        away: it stands in for one that cannot be had at the moment, and is not to be kept.
        note: of every search of it, see `Hits`.
    """

    away = False
    note = ""

    def __init__(
        self, codec: Codec, parts: Sequence[Part[_Stretch]], stored: DocumentList, tail: Rows, change: int
    ) -> None:
        """`tail`: the rows of the last of `parts`; the others as for `PassageReader`."""
        super().__init__(parts, stored, change)
        self._codec = codec
        self._tail = tail

    @classmethod
    def of(cls, codec: Codec, snapshot: _Snapshot | None, change: int) -> VectorReader:
        """Of a snapshot at `change`, or of nothing."""
        none = np.empty(0, np.int64)
        parts: list[Part[_Stretch]] = []
        first = 0
        for segment in [] if snapshot is None else snapshot.segments:
            segment.ensure_whole()
            assert snapshot is not None
            parts.append(Part(segment, snapshot.gone_rows(segment, none), first))
            first += len(segment)
        tail = Rows.joined([], codec)
        stored = DocumentList(distinct_documents(part.stretch.doc_keys) for part in parts)
        return cls(codec, [*parts, Part(_Tail(tail, codec), none, first)], stored, tail, change)

    def follow(self, new: Rows, removed: np.ndarray, change: int) -> VectorReader:
        """With the rows of later changes up to `change`, and without those of the keys `removed`."""
        tail = Rows.joined([self._tail, new], self._codec) if len(new.keys) else self._tail
        parts = self._followed(_Tail(tail, self._codec) if len(new.keys) else None, removed)
        return type(self)(self._codec, parts, self._stored_documents, tail, change)

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Hits:
        """The `k` most similar documents to `query` (float32 [d], length 1), each by its best chunk.

        `allowed` is a boolean table over document keys; keys beyond its end are not allowed.
        """
        self.ensure_whole()
        masks, counts = self._masks(allowed)
        reaches = [part.stretch.index.reach(n) for part, n in zip(self._parts, counts, strict=True) if n]
        available, wanted = sum(reaches), k
        if not available:
            return replace(Hits.none(), note=self.note)
        while True:
            hits = self._search_rows(query, min(wanted, available), masks, counts)
            if len(hits.documents) >= k or wanted >= available:
                short = len(hits.documents) < k and available < sum(counts)
                note = self.note or (SHORT if short else "")
                return Hits(hits.documents[:k], hits.chunks[:k], hits.scores[:k], note)
            wanted = max(wanted * 2, 64)

    def _search_rows(
        self, query: np.ndarray, k: int, masks: Sequence[np.ndarray | None], counts: Sequence[int]
    ) -> Hits:
        """The documents of the best `k` rows, each once."""
        used = [at for at, count in enumerate(counts) if count]
        parts = [self._parts[at] for at in used]
        asked = [(part.stretch.index, masks[at]) for part, at in zip(parts, used, strict=True)]
        # Rows that are gone and not masked are fetched besides.
        extra = sum(len(self._parts[at].gone) for at in used if masks[at] is None)
        said = []
        for part, hits in zip(parts, search_together(asked, query, k, extra), strict=True):
            found, scores, stretch = hits.rows, hits.scores, part.stretch
            if len(part.gone):
                alive = ~np.isin(found, part.gone)
                found, scores = found[alive], scores[alive]
            said.append((found + part.first, stretch.doc_keys[found], stretch.keys[found], scores))
        return best_documents(said, k)

    def score_documents(self, query: np.ndarray, documents: np.ndarray) -> Hits:
        """The best chunk of each of `documents` (in their order); a document without chunks scores 0 with
        chunk -1.
        """
        self.ensure_whole()
        score = QueryScore(self._codec, query)
        chunks, best = np.full(len(documents), -1, np.int64), np.full(len(documents), -np.inf, np.float32)
        for part in self._parts:
            owners, rows = rows_of_documents(part, documents)
            scores = score.exact(part.stretch.codes[rows])
            order = np.lexsort((rows, -scores, owners))
            owners, at = np.unique(owners[order], return_index=True)
            rows, scores = rows[order[at]], scores[order[at]]
            better = scores > best[owners]
            chunks[owners[better]] = part.stretch.keys[rows[better]]
            best[owners[better]] = scores[better]
        return Hits(documents, chunks, np.where(chunks < 0, np.float32(0), best))

    def passages_of(self, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of the passages of `documents` (keys int64 [n], ascending) as their codes have them:
        for each the position of its document, int64 [m] ascending, and float32 [m, d].
        """
        self.ensure_whole()
        owners, rows = self.rows_of(documents)
        return owners, self._codec.decode(self._codes_of(rows))

    def statistics(self, query: np.ndarray) -> tuple[float, float]:
        """Mean and standard deviation of the similarity to `query` over all documents, from a sample."""
        return self._sample.statistics(query)

    def statistics_of(self, queries: np.ndarray) -> np.ndarray:
        """The same for many, float32 [n, d]: float64 [n, 2]."""
        return self._sample.statistics_of(queries)

    @cached_property
    def _sample(self) -> SimilaritySample:
        self.ensure_whole()
        rows, weights = self._sampled_rows()
        codes = self._codes_of(rows)
        kept, weights = distinct(codes, weights)
        return SimilaritySample(self._codec.decode(codes[kept]), weights)

    def _codes_of(self, rows: np.ndarray) -> np.ndarray:
        codes = np.empty((len(rows), self._codec.dimension), self._codec.dtype)
        for part in self._parts:
            here = (rows >= part.first) & (rows < part.first + len(part.stretch))
            if here.any():
                codes[here] = part.stretch.codes[rows[here] - part.first]
        return codes
