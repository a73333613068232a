"""Searching the rows of a snapshot's segments, and the newer ones, which are scanned exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from indexing.quantization import Codec
from indexing.storage.segments import Sorted, find_rows, sort_with_order
from indexing.vectors.base import QueryScore, VectorIndex, search_together
from indexing.vectors.codes import CodeArray
from indexing.vectors.faiss import FaissIndex
from indexing.vectors.segment import Rows
from indexing.vectors.snapshot import VectorSnapshot
from indexing.views.sample import SimilaritySample, choose_documents, choose_passages, distinct
from stlib.util.forks import cached_property

__all__ = ["Hits", "VectorReader"]

# So many rows that are gone are fetched and thrown away rather than kept out by a mask, which doubles the
# time of a scan.
_FEW_GONE = 256


@dataclass(frozen=True)
class Hits:
    """Documents, best first: `documents` int64 [n], `chunks` int64 [n] (the best chunk), `scores` float32
    [n].
    """

    documents: np.ndarray
    chunks: np.ndarray
    scores: np.ndarray

    @classmethod
    def none(cls) -> Hits:
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class _Stretch(Protocol):
    """Rows that are searched together: a segment, or what is newer than all of them."""

    @property
    def keys(self) -> np.ndarray: ...

    @property
    def doc_keys(self) -> np.ndarray: ...

    @property
    def codes(self) -> CodeArray: ...

    @property
    def index(self) -> VectorIndex: ...

    @property
    def by_document(self) -> Sorted: ...

    def __len__(self) -> int: ...

    def ensure_whole(self) -> None: ...

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray: ...


class _Tail:
    """Rows in memory."""

    def __init__(self, rows: Rows, codec: Codec) -> None:
        self.keys, self.doc_keys, self.codes = rows
        self._codec = codec

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def index(self) -> VectorIndex:
        return FaissIndex.build(self._codec, self.codes)

    @cached_property
    def by_document(self) -> Sorted:
        return sort_with_order(self.doc_keys)

    def ensure_whole(self) -> None:
        """Memory does not shrink."""

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        return find_rows(sort_with_order(self.keys), keys)


class _Part(NamedTuple):
    """A stretch, the rows of it that are gone (ascending), and the number of its first row."""

    stretch: _Stretch
    gone: np.ndarray
    first: int

    @property
    def live(self) -> int:
        return len(self.stretch) - len(self.gone)

    def live_rows(self) -> np.ndarray:
        return np.delete(np.arange(len(self.stretch)), self.gone)

    def mask(self, allowed: np.ndarray | None) -> np.ndarray | None:
        """Rows that may be returned; None: all but a few that are gone."""
        if allowed is None and len(self.gone) <= _FEW_GONE:
            return None
        if allowed is None:
            mask = np.ones(len(self.stretch), dtype=bool)
        else:
            documents = self.stretch.doc_keys
            mask = allowed[np.minimum(documents, len(allowed) - 1)] if len(allowed) else documents < 0
            mask &= documents < len(allowed)
        mask[self.gone] = False
        return mask


class VectorReader:
    """One consistent state of the rows, held by a query from start to end. `follow` makes the next.

    Ties are ordered by row: in the order of the log.
    """

    def __init__(
        self, codec: Codec, parts: Sequence[_Part], stored: np.ndarray, tail: Rows, change: int
    ) -> None:
        """`change`: what happened up to there is known. `stored`: the documents of all rows of the snapshot,
        ascending. `tail`: the rows of the last of `parts`.
        """
        self.change = change
        self._codec = codec
        self._parts = parts
        self._stored_documents = stored
        self._tail = tail

    @classmethod
    def of(cls, codec: Codec, snapshot: VectorSnapshot | None, change: int) -> VectorReader:
        """Of a snapshot at `change`, or of nothing."""
        none = np.empty(0, np.int64)
        parts: list[_Part] = []
        first = 0
        for segment in [] if snapshot is None else snapshot.segments:
            segment.ensure_whole()
            assert snapshot is not None
            parts.append(_Part(segment, snapshot.gone_rows(segment, none), first))
            first += len(segment)
        tail = Rows.joined([], codec)
        stored = _distinct([part.stretch.doc_keys for part in parts])
        return cls(codec, [*parts, _Part(_Tail(tail, codec), none, first)], stored, tail, change)

    def follow(self, new: Rows, removed: np.ndarray, change: int) -> VectorReader:
        """With the rows of later changes up to `change`, and without those of the keys `removed`."""
        if not len(new.keys) and not len(removed):
            return VectorReader(self._codec, self._parts, self._stored_documents, self._tail, change)
        parts, tail = list(self._parts), self._tail
        if len(new.keys):
            tail = Rows.joined([tail, new], self._codec)
            parts[-1] = parts[-1]._replace(stretch=_Tail(tail, self._codec))
        if len(removed):
            for at, part in enumerate(parts):
                part.stretch.ensure_whole()
                if len(more := part.stretch.rows_of_keys(removed)):
                    parts[at] = part._replace(gone=np.union1d(part.gone, more))
        return VectorReader(self._codec, parts, self._stored_documents, tail, change)

    @property
    def live_keys(self) -> np.ndarray:
        """Chunk keys that a search can return, in row order."""
        self.ensure_whole()
        return np.concatenate([part.stretch.keys[part.live_rows()] for part in self._parts])

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Hits:
        """The `k` most similar documents to `query` (float32 [d], length 1), each by its best chunk.

        `allowed` is a boolean table over document keys; keys beyond its end are not allowed.
        """
        self.ensure_whole()
        masks = [part.mask(allowed) for part in self._parts]
        counts = [
            part.live if mask is None else int(np.count_nonzero(mask))
            for part, mask in zip(self._parts, masks, strict=True)
        ]
        available, wanted = sum(counts), k
        if not available:
            return Hits.none()
        while True:
            hits = self._search_rows(query, min(wanted, available), masks, counts)
            if len(hits.documents) >= k or wanted >= available:
                return Hits(hits.documents[:k], hits.chunks[:k], hits.scores[:k])
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
        rows, scores, documents, chunks = [], [], [], []
        for part, hits in zip(parts, search_together(asked, query, k + extra), strict=True):
            alive = ~np.isin(hits.rows, part.gone)
            found = hits.rows[alive]
            rows.append(found + part.first)
            scores.append(hits.scores[alive])
            documents.append(part.stretch.doc_keys[found])
            chunks.append(part.stretch.keys[found])
        all_scores, all_documents = np.concatenate(scores), np.concatenate(documents)
        order = np.lexsort((np.concatenate(rows), -all_scores))[:k]
        _, first = np.unique(all_documents[order], return_index=True)
        order = order[np.sort(first)]
        return Hits(all_documents[order], np.concatenate(chunks)[order], all_scores[order])

    def score_documents(self, query: np.ndarray, documents: np.ndarray) -> Hits:
        """The best chunk of each of `documents` (in their order); a document without chunks scores 0 with
        chunk -1.
        """
        self.ensure_whole()
        score = QueryScore(self._codec, query)
        chunks, best = np.full(len(documents), -1, np.int64), np.full(len(documents), -np.inf, np.float32)
        for part in self._parts:
            owners, rows = _rows_of_documents(part, documents)
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
        owners, rows = [], []
        for part in self._parts:
            theirs, found = _rows_of_documents(part, documents)
            owners.append(theirs)
            rows.append(found + part.first)
        all_owners, all_rows = np.concatenate(owners), np.concatenate(rows)
        order = np.lexsort((all_rows, all_owners))
        return all_owners[order], self._codec.decode(self._codes_of(all_rows[order]))

    def statistics(self, query: np.ndarray) -> tuple[float, float]:
        """Mean and standard deviation of the similarity to `query` over all documents, from a sample."""
        return self._sample.statistics(query)

    def statistics_of(self, queries: np.ndarray) -> np.ndarray:
        """The same for many, float32 [n, d]: float64 [n, 2]."""
        return self._sample.statistics_of(queries)

    @cached_property
    def _sample(self) -> SimilaritySample:
        self.ensure_whole()
        documents = self._sampled_documents()
        owners, rows = [], []
        for part in self._parts:
            theirs, found = _rows_of_documents(part, documents)
            owners.append(theirs)
            rows.append(found + part.first)
        all_owners, all_rows = np.concatenate(owners), np.concatenate(rows)
        all_rows = all_rows[np.lexsort((all_rows, all_owners))]
        counts = np.bincount(all_owners, minlength=len(documents))
        chosen, inside, weights = choose_passages(counts)
        codes = self._codes_of(all_rows[(np.cumsum(counts) - counts)[chosen] + inside])
        kept, weights = distinct(codes, weights)
        return SimilaritySample(self._codec.decode(codes[kept]), weights)

    def _sampled_documents(self) -> np.ndarray:
        """Some documents that have a live row, evenly spread, as `choose_documents` has them.

        What the snapshot has stays the same for as long as it is open; only what changed since is looked at.
        """
        stored, changed = self._stored_documents, self._changed_documents()
        at = np.searchsorted(stored, changed)
        is_stored = np.zeros(len(changed), dtype=bool)
        inside = at < len(stored)
        is_stored[inside] = stored[at[inside]] == changed[inside]
        is_live = np.zeros(len(changed), dtype=bool)
        for part in self._parts:
            owners, _ = _rows_of_documents(part, changed)
            is_live[owners] = True
        dead = np.searchsorted(stored, changed[is_stored & ~is_live])
        new = changed[is_live & ~is_stored]
        new_at = np.searchsorted(stored, new)
        new_at += np.arange(len(new)) - np.searchsorted(dead, new_at)  # their places in the whole list
        places = choose_documents(len(stored) - len(dead) + len(new))
        older = places - np.searchsorted(new_at, places)
        older += np.searchsorted(dead - np.arange(len(dead)), older, "right")
        is_new = np.isin(places, new_at)
        documents = stored[np.minimum(older, len(stored) - 1)] if len(stored) else places
        documents[is_new] = new[np.searchsorted(new_at, places[is_new])]
        return documents

    def _changed_documents(self) -> np.ndarray:
        """Documents that are newer than the snapshot, or have a row in it that is gone; ascending."""
        gone = [part.stretch.doc_keys[part.gone] for part in self._parts]
        return np.unique(np.concatenate([self._tail.doc_keys, *gone]))

    def _codes_of(self, rows: np.ndarray) -> np.ndarray:
        codes = np.empty((len(rows), self._codec.dimension), self._codec.dtype)
        for part in self._parts:
            here = (rows >= part.first) & (rows < part.first + len(part.stretch))
            if here.any():
                codes[here] = part.stretch.codes[rows[here] - part.first]
        return codes

    def ensure_whole(self) -> None:
        """
        Raises:
            CorruptView: a segment does not match its checksums.
        """
        for part in self._parts:
            part.stretch.ensure_whole()


def _distinct(documents: Sequence[np.ndarray]) -> np.ndarray:
    """Distinct values, ascending; quick where they ascend already."""
    together = np.concatenate([np.empty(0, np.int64), *documents])
    _, ascending = sort_with_order(together)
    return ascending[np.flatnonzero(np.diff(ascending, prepend=ascending[:1] - 1))]


def _rows_of_documents(part: _Part, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The live rows of these documents, and for each the position of its document among them."""
    order, ascending = part.stretch.by_document
    first = np.searchsorted(ascending, documents, "left")
    counts = np.searchsorted(ascending, documents, "right") - first
    places = _ranges(first, counts)
    rows = places if order is None else order[places]
    owners = np.repeat(np.arange(len(documents)), counts)
    alive = ~np.isin(rows, part.gone)
    return owners[alive], rows[alive]


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first[0], first[0]+1, …, then first[1], …: `counts[i]` numbers from each start."""
    if not counts.sum():
        return np.empty(0, np.int64)
    offsets = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return offsets + np.arange(counts.sum())
