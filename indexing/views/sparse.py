"""The view of weighted terms: snapshots of one generation's, and what was committed after them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from indexing.beside.models import read_beside
from indexing.beside.sparse_codes import decode_sparse
from indexing.catalog.following import ChunkBatch
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.schema import SPARSE_CODES
from indexing.errors import CorruptView
from indexing.inverted.segment import SparseRowsOf, merge_rows
from indexing.inverted.snapshot import SEGMENT_ROWS, InvertedSnapshot, write
from indexing.session import Live, Session
from indexing.storage.files import remove
from indexing.views.chunk_view import ChunkView
from indexing.views.folder import entries_of
from indexing.views.sparse_reader import SparseReader

__all__ = ["SparseView"]

FOLDER = "sparse"

_SNAPSHOT = re.compile(r"(?P<generation>\d+)-terms-(?P<change>\d+)\.\d+")
_NONE = np.empty(0, np.int64)


class SparseView(ChunkView[InvertedSnapshot, SparseReader, SparseRowsOf]):
    """Finds, builds and follows the snapshots of one generation's weighted terms."""

    codes = SPARSE_CODES
    segment_rows = SEGMENT_ROWS

    def __init__(self, session: Session, generation: GenerationInfo) -> None:
        self.what = f"view of weighted terms of generation {generation.id}"
        self.model = read_beside(generation.beside)["sparse"]
        super().__init__(session, generation, session.place.views / FOLDER, f"{generation.id}-terms")

    @staticmethod
    def remove_all(session: Session, generation_id: int) -> None:
        """Removes the snapshots of a generation."""
        for folder in entries_of(session, FOLDER):
            if folder.name.startswith(f"{generation_id}-terms-"):
                remove(folder)

    @staticmethod
    def remove_others(session: Session, generations: Collection[int]) -> None:
        """Removes everything but the snapshots of these generations."""
        kept = tuple(f"{generation}-terms-" for generation in generations)
        for folder in entries_of(session, FOLDER):
            if not kept or not folder.name.startswith(kept):
                remove(folder)

    @staticmethod
    def followed(session: Session) -> dict[int, int]:
        """generation → the change that its newest snapshot has followed to."""
        newest: dict[int, int] = {}
        for folder in entries_of(session, FOLDER):
            if match := _SNAPSHOT.fullmatch(folder.name):
                generation = int(match["generation"])
                newest[generation] = max(newest.get(generation, 0), int(match["change"]))
        return newest

    def serves(self, live: Live) -> bool:
        """Whether this is the view of what is live."""
        return self._generation.id == live.generation.id

    def _decode(self, batch: ChunkBatch) -> SparseRowsOf:
        codes = decode_sparse(batch.codes, self.model.dimension)
        return SparseRowsOf.of(batch.keys, batch.document_keys, codes)

    def _join(self, parts: list[SparseRowsOf]) -> SparseRowsOf:
        return merge_rows([(part, _NONE) for part in parts])

    def _without(self, rows: SparseRowsOf, gone: np.ndarray) -> SparseRowsOf:
        return merge_rows([(rows, np.flatnonzero(gone))])

    def _open_snapshot(self, path: Path) -> InvertedSnapshot:
        snapshot = InvertedSnapshot.open(path, self._folder.opened())
        if snapshot.meta.get("fingerprint") != self.model.fingerprint:
            raise CorruptView(f"{path} was made with another model")
        return snapshot

    def _reader_of(self, snapshot: InvertedSnapshot | None, change: int) -> SparseReader:
        return SparseReader.of(snapshot, change)

    def _follow(
        self, reader: SparseReader, rows: SparseRowsOf, removed: np.ndarray, change: int
    ) -> SparseReader:
        return reader.follow(rows, removed, change)

    def _write(
        self,
        target: Path,
        rows: SparseRowsOf,
        meta: dict[str, Any],
        base: InvertedSnapshot | None,
        removed: np.ndarray,
    ) -> None:
        write(target, rows, {**meta, "fingerprint": self.model.fingerprint}, base=base, removed=removed)
