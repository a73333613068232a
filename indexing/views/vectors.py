"""The vector view: an immutable snapshot of codes, plus the newer rows, which are scanned exactly."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo, read_generation
from indexing.catalog.reads import (
    ChunkRows,
    chunk_keys,
    chunk_rows_after,
    count_changes_after,
    removed_after,
)
from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.files import remove
from indexing.storage.private import own_folder
from indexing.vectors.base import QueryScore, VectorIndex
from indexing.vectors.faiss import FaissIndex
from indexing.vectors.snapshot import ENGINE, ROWS, VectorSnapshot, write
from indexing.views.folder import ViewFolder
from indexing.views.sample import SimilaritySample, choose_rows, distinct

__all__ = ["Hits", "VectorReader", "VectorView"]

_SNAPSHOT = re.compile(r"(?P<generation>\d+)-(?P<engine>\w+)-(?P<change>\d+)\.\d+")

# An exact scan of so many newer rows costs under a millisecond; more are worth a new snapshot.
TAIL_ROWS = 8192


@dataclass(frozen=True)
class Hits:
    """Documents, best first: `documents` int64 [n], `chunks` int64 [n] (the best chunk), `scores` float32
    [n].
    """

    documents: np.ndarray
    chunks: np.ndarray
    scores: np.ndarray


class VectorReader:
    """One consistent pair of snapshot and tail, held by a query from start to end."""

    def __init__(
        self, codec: Codec, snapshot: VectorSnapshot | None, tail: ChunkRows, removed: np.ndarray
    ) -> None:
        self._codec = codec
        self._snapshot = snapshot
        self._size = 0 if snapshot is None else len(snapshot.keys)
        self.tail_rows = len(tail.keys)
        self.chunk_keys = np.concatenate([self._snapshot_array("keys"), tail.keys])
        self.document_keys = np.concatenate([self._snapshot_array("doc_keys"), tail.document_keys])
        self._tail_codes = tail.codes_as(codec)
        alive = np.ones(len(self.chunk_keys), dtype=bool)
        if len(removed):
            alive[np.isin(self.chunk_keys, removed)] = False
        self._alive = alive
        self._all_alive = bool(alive.all())

    def _snapshot_array(self, name: str) -> np.ndarray:
        if self._snapshot is None:
            return np.empty(0, np.int64)
        self._snapshot.ensure_whole()
        return np.asarray(getattr(self._snapshot, name))

    @cached_property
    def _tail_index(self) -> VectorIndex:
        """The newer rows, always scanned exactly, whatever the collection's engine is."""
        return FaissIndex.build(self._codec, self._tail_codes)

    @property
    def live_chunks(self) -> int:
        return int(self._alive.sum())

    @property
    def live_keys(self) -> np.ndarray:
        """Chunk keys that a search can return, in row order."""
        return self.chunk_keys[self._alive]

    @property
    def live_document_keys(self) -> np.ndarray:
        """The document of each live row, in row order."""
        return self.document_keys[self._alive]

    def codes(self) -> np.ndarray:
        """The stored codes of the live rows [n, width], in row order."""
        parts = [] if self._snapshot is None else [np.asarray(self._snapshot.codes[:])]
        parts.append(self._tail_codes)
        return np.concatenate(parts)[self._alive]

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Hits:
        """The `k` most similar documents to `query` (float32 [d], length 1), each by its best chunk.

        `allowed` is a boolean table over document keys; keys beyond its end are not allowed.
        """
        mask = self._mask(allowed)
        available = len(self.chunk_keys) if mask is None else int(mask.sum())
        if not available:
            return Hits(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        wanted = k
        while True:
            rows, scores = self._search_rows(query, min(wanted, available), mask)
            hits = self._by_document(rows, scores)
            if len(hits.documents) >= k or wanted >= available:
                return Hits(hits.documents[:k], hits.chunks[:k], hits.scores[:k])
            wanted = max(wanted * 2, 64)

    def _mask(self, allowed: np.ndarray | None) -> np.ndarray | None:
        if allowed is None:
            return None if self._all_alive else self._alive
        inside = self.document_keys < len(allowed)
        mask = np.zeros(len(self.document_keys), dtype=bool)
        mask[inside] = allowed[self.document_keys[inside]]
        return mask & self._alive

    def _search_rows(
        self, query: np.ndarray, k: int, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        rows, scores = [], []
        if self._snapshot is not None and self._size:
            snapshot_mask = None if mask is None else mask[: self._size]
            found, found_scores = self._snapshot.index.search(query, min(k, self._size), snapshot_mask)
            rows.append(found)
            scores.append(found_scores)
        if self.tail_rows:
            tail_mask = None if mask is None else mask[self._size :]
            found, found_scores = self._tail_index.search(query, min(k, self.tail_rows), tail_mask)
            rows.append(found + self._size)
            scores.append(found_scores)
        if not rows:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        all_rows, all_scores = np.concatenate(rows), np.concatenate(scores)
        order = np.lexsort((all_rows, -all_scores))[:k]
        return all_rows[order], all_scores[order]

    def _by_document(self, rows: np.ndarray, scores: np.ndarray) -> Hits:
        documents = self.document_keys[rows]
        _, first = np.unique(documents, return_index=True)
        first.sort()
        return Hits(documents[first], self.chunk_keys[rows[first]], scores[first])

    @cached_property
    def _rows_by_document(self) -> tuple[np.ndarray, np.ndarray]:
        live = np.flatnonzero(self._alive)
        order = live[np.argsort(self.document_keys[live], kind="stable")]
        return order, self.document_keys[order]

    def score_documents(self, query: np.ndarray, documents: np.ndarray) -> Hits:
        """The best chunk of each of `documents` (in their order); a document without chunks scores 0 with
        chunk -1.
        """
        order, sorted_keys = self._rows_by_document
        first = np.searchsorted(sorted_keys, documents, "left")
        last = np.searchsorted(sorted_keys, documents, "right")
        counts = last - first
        rows = order[_ranges(first, counts)]
        owner = np.repeat(np.arange(len(documents)), counts)
        scores = self._score_rows(query, rows)
        best_first = np.lexsort((rows, -scores, owner))
        owners, at = np.unique(owner[best_first], return_index=True)
        chunks = np.full(len(documents), -1, np.int64)
        best = np.zeros(len(documents), np.float32)
        chunks[owners] = self.chunk_keys[rows[best_first[at]]]
        best[owners] = scores[best_first[at]]
        return Hits(documents, chunks, best)

    def statistics(self, query: np.ndarray) -> tuple[float, float]:
        """Mean and standard deviation of the similarity to `query` over all documents, from a sample."""
        return self._sample.statistics(query)

    @cached_property
    def _sample(self) -> SimilaritySample:
        order, sorted_keys = self._rows_by_document
        positions, weights = choose_rows(sorted_keys)
        codes = self._codes_of(order[positions])
        kept, weights = distinct(codes, weights)
        return SimilaritySample(self._codec.decode(codes[kept]), weights)

    def _score_rows(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return QueryScore(self._codec, query).exact(self._codes_of(rows))

    def _codes_of(self, rows: np.ndarray) -> np.ndarray:
        codes = np.empty((len(rows), self._codec.dimension), self._codec.dtype)
        in_snapshot = rows < self._size
        if self._snapshot is not None and in_snapshot.any():
            codes[in_snapshot] = self._snapshot.codes[rows[in_snapshot]]
        codes[~in_snapshot] = self._tail_codes[rows[~in_snapshot] - self._size]
        return codes


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first[0], first[0]+1, …, then first[1], …: `counts[i]` numbers from each start."""
    if not counts.sum():
        return np.empty(0, np.int64)
    offsets = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return offsets + np.arange(counts.sum())


class VectorView:
    """Finds, builds and follows the snapshots of one generation in one engine.

    Their watermark is the number of a change of the generation.
    """

    def __init__(self, session: Session, generation: GenerationInfo, engine: str) -> None:
        self._session = session
        self._generation = generation
        self._engine = engine
        self._uuid = session.uuid
        self._folder: ViewFolder[VectorSnapshot] = ViewFolder(
            session.place.views / "vectors", f"{generation.id}-{engine}"
        )

    @staticmethod
    def remove_all(session: Session, generation_id: int) -> None:
        """Removes the snapshots of a generation, whatever their engine."""
        for folder in own_folder(session.place.views / "vectors").glob(f"{generation_id}-*"):
            remove(folder)

    @staticmethod
    def followed(session: Session) -> dict[int, int]:
        """generation → the change that every one of its engines' newest snapshots has followed to."""
        newest: dict[tuple[int, str], int] = {}
        for folder in own_folder(session.place.views / "vectors").glob("*-*-*.*"):
            if match := _SNAPSHOT.fullmatch(folder.name):
                key = (int(match["generation"]), match["engine"])
                newest[key] = max(newest.get(key, 0), int(match["change"]))
        least: dict[int, int] = {}
        for (generation_id, _), change in newest.items():
            least[generation_id] = min(least.get(generation_id, change), change)
        return least

    def serves(self, live: Live) -> bool:
        """Whether this is the view of what is live."""
        return (self._generation.id, self._engine) == (live.generation.id, live.serving.engine)

    def reader(self, connection: Connection, codec: Codec) -> VectorReader:
        """The newest snapshot with everything that was committed after it."""
        newest = self._folder.newest(lambda path: self._open(path, codec))
        change, snapshot = (0, None) if newest is None else (newest[0], newest[2])
        tail = chunk_rows_after(connection, self._generation.id, change)
        removed = removed_after(connection, self._generation.id, change)
        return VectorReader(codec, snapshot, tail, removed)

    def is_behind(self, longest_tail: int) -> bool:
        """Whether more than `longest_tail` rows, and a tenth of the snapshot's, are newer than it."""
        change = self.change()
        with reading(self._session.database) as connection:
            newer = count_changes_after(connection, self._generation.id, change)
        return newer > (max(longest_tail, self.rows() // 10) if longest_tail else 0)

    def _open(self, path: Path, codec: Codec) -> VectorSnapshot:
        """A snapshot that belongs to other codes is as bad as a damaged one."""
        snapshot = VectorSnapshot.open(path)
        if snapshot.meta.get("collection") != self._uuid:
            raise CorruptView(f"{path} belongs to another collection")
        if snapshot.meta.get("change", 0) < self._purged_change():
            raise CorruptView(f"{path} has not followed removals that are forgotten")
        if snapshot.meta.get("fingerprint") != self._generation.fingerprint or snapshot.codec != codec:
            raise CorruptView(f"{path} was made with another model or other ranges")
        return snapshot

    def _purged_change(self) -> int:
        with reading(self._session.database) as connection:
            generation = read_generation(connection, self._generation.id)
        return 0 if generation is None else generation.purged_change

    def rows(self) -> int:
        """Rows of the snapshot that is open; 0 if none is."""
        opened = self._folder.opened()
        return 0 if opened is None else len(opened)

    def change(self) -> int:
        """The watermark of the newest snapshot, told by its name alone; 0 if there is none."""
        return self._folder.seq()

    def examine(self, codec: Codec) -> list[str]:
        """Compares every file with its checksum; a damaged snapshot is set aside, and the reason returned."""

        def read_whole(path: Path) -> VectorIndex:
            snapshot = self._open(path, codec)
            snapshot.verify()
            return snapshot.index

        return self._folder.examine(read_whole)

    def discard(self) -> None:
        """Takes every snapshot out of use."""
        self._folder.clear()

    def publish(self, codec: Codec) -> None:
        """Writes a snapshot of everything live. The caller holds the views' lock.

        The one before, from which most rows come, is checked whole: what was altered since it was opened
        would get a checksum that is right.
        """
        base = self.newest(codec)
        if base is not None:
            base.check_rows_again()
        with reading(self._session.database) as connection:
            reader = self.reader(connection, codec)
            # Of this very moment: rows after the watermark are read from the log as well.
            generation = read_generation(connection, self._generation.id)
        if generation is None:
            return  # the collection, or this generation, was deleted
        meta = {
            "change": generation.last_change,
            "generation": generation.id,
            "collection": self._uuid,
            "fingerprint": generation.fingerprint,
        }
        target = self._folder.target(generation.last_change)
        write(target, codec, reader.live_keys, reader.live_document_keys, reader.codes(), self._engine, meta)
        self._folder.keep_only(target)

    def newest(self, codec: Codec) -> VectorSnapshot | None:
        """The newest sound snapshot."""
        newest = self._folder.newest(lambda path: self._open(path, codec))
        return None if newest is None else newest[2]

    def check(self, codec: Codec) -> list[str]:
        """What is wrong with the view, compared with the catalog; empty if nothing. Damage is set aside."""
        problems = self.examine(codec)
        with reading(self._session.database) as connection:
            reader = self.reader(connection, codec)
            expected = chunk_keys(connection, self._generation.id)
        if not np.array_equal(np.sort(reader.live_keys), expected):
            generation = self._generation.id
            problems.append(f"vector view of generation {generation}: its chunks differ from the catalog's")
            self.discard()
        return problems

    def file_bytes(self) -> tuple[int, int]:
        """Sizes of the newest snapshot: what the engine holds in memory, and what is memory-mapped."""
        for _, folder in self._folder.snapshots()[:1]:
            with suppress(FileNotFoundError):  # replaced at this moment
                return (folder / ENGINE).stat().st_size, (folder / ROWS).stat().st_size
        return 0, 0
