"""The vector view: snapshots of one generation's codes in one engine, and what was committed after them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch
from indexing.catalog.generations import GenerationInfo, generations_of
from indexing.catalog.reads import decode_rows
from indexing.errors import CorruptView
from indexing.names import DEFAULT_ENGINE
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.files import remove
from indexing.vectors.segment import EXACT_ENGINE, Rows
from indexing.vectors.snapshot import SEGMENT_BYTES, VectorSnapshot, write
from indexing.vectors.table_state import (
    changing_tables,
    drop_tables,
    followed_changes,
    has_tables,
    usable_engine,
)
from indexing.views.chunk_view import TAIL_ROWS, ChunkView
from indexing.views.folder import entries_of
from indexing.views.milvus import MILVUS_ENGINE, MilvusView
from indexing.views.milvus_leftovers import drop_in_milvus, followed_in_milvus, keeps_local
from indexing.views.vector_reader import Hits, VectorReader
from indexing.views.vector_table import TABLE_ENGINE, VectorTableView

__all__ = ["TAIL_ROWS", "AnyVectorView", "Hits", "VectorReader", "VectorView", "make_vector_view"]

_SNAPSHOT = re.compile(r"(?P<generation>\d+)-(?P<engine>\w+)-(?P<change>\d+)\.\d+")


AnyVectorView: TypeAlias = "VectorView | VectorTableView | MilvusView"


def make_vector_view(
    session: Session, generation: GenerationInfo, engine: str, codec: Codec
) -> AnyVectorView:
    """The view of one generation in one engine: in a folder, in a table at the server, or in Milvus."""
    engine = usable_engine(engine, session.database)
    if engine == TABLE_ENGINE:
        return VectorTableView(session, generation, codec)
    if engine == MILVUS_ENGINE:
        return MilvusView(session, generation, codec, VectorView(session, generation, DEFAULT_ENGINE, codec))
    return VectorView(session, generation, engine, codec)


class VectorView(ChunkView[VectorSnapshot, VectorReader, Rows]):
    """Finds, builds and follows the snapshots of one generation in one engine."""

    def __init__(self, session: Session, generation: GenerationInfo, engine: str, codec: Codec) -> None:
        self.what = f"vector view of generation {generation.id}"
        self._engine = engine
        self._codec = codec
        self.segment_rows = SEGMENT_BYTES // codec.code_bytes
        folder = session.place.views / "vectors"
        super().__init__(session, generation, folder, f"{generation.id}-{engine}")

    @staticmethod
    def remove_all(session: Session, generation_id: int, but: str | None = None) -> None:
        """Removes the snapshots of a generation, whatever their engine, `but` those of one."""
        kept = _prefixes([] if but is None else [(generation_id, but)])
        for folder in entries_of(session, "vectors"):
            if folder.name.startswith(f"{generation_id}-") and not folder.name.startswith(kept):
                remove(folder)
        if but != TABLE_ENGINE and has_tables(session.database):
            _drop_table(session, generation_id)
        if but != MILVUS_ENGINE:
            drop_in_milvus(session, generation_id)

    @staticmethod
    def remove_others(session: Session, served: Collection[tuple[int, str]]) -> None:
        """Removes all files and tables but those of `served`, (generation, engine)."""
        kept = _prefixes(served)
        for folder in entries_of(session, "vectors"):
            if not folder.name.startswith(kept):
                remove(folder)
        with reading(session.database) as connection:
            ids = [one.id for one in generations_of(connection, session.id)]
        for id_ in ids if has_tables(session.database) else []:
            if (id_, TABLE_ENGINE) not in served:
                _drop_table(session, id_)

    @staticmethod
    def followed(session: Session, engine: str) -> dict[tuple[int, str], int]:
        """(generation, engine) → the change that its newest snapshot, or its table, has followed to. `engine`
        is what is served; only if that is Milvus it has to be there.
        """
        newest: dict[tuple[int, str], int] = {}
        for folder in entries_of(session, "vectors"):
            if match := _SNAPSHOT.fullmatch(folder.name):
                key = (int(match["generation"]), match["engine"])
                newest[key] = max(newest.get(key, 0), int(match["change"]))
        if has_tables(session.database):
            with reading(session.database) as connection:
                ids = [generation.id for generation in generations_of(connection, session.id)]
                tables = followed_changes(connection, ids)
            newest |= {(id_, TABLE_ENGINE): change for id_, change in tables.items()}
        return newest | followed_in_milvus(session, needed=engine == MILVUS_ENGINE)

    def serves(self, live: Live) -> bool:
        """Whether this is the view of what is live."""
        return (self._generation.id, self._engine) == (live.generation.id, live.serving.engine)

    def _decode(self, batch: ChunkBatch) -> Rows:
        codes = decode_rows(b"".join(batch.codes), len(batch.keys), self._codec)
        return Rows(batch.keys, batch.document_keys, codes)

    def _join(self, parts: list[Rows]) -> Rows:
        return Rows.joined(parts, self._codec)

    def _without(self, rows: Rows, gone: np.ndarray) -> Rows:
        return Rows(rows.keys[~gone], rows.doc_keys[~gone], rows.codes[~gone])

    def _open_snapshot(self, path: Path) -> VectorSnapshot:
        snapshot = VectorSnapshot.open(path, self._folder.opened())
        if (
            snapshot.meta.get("fingerprint") != self._generation.fingerprint
            or snapshot.codec != self._codec
            or snapshot.engine != self._engine
        ):
            raise CorruptView(f"{path} was made with another model, other ranges or for another engine")
        return snapshot

    def _reader_of(self, snapshot: VectorSnapshot | None, change: int) -> VectorReader:
        return VectorReader.of(self._codec, snapshot, change)

    def _follow(self, reader: VectorReader, rows: Rows, removed: np.ndarray, change: int) -> VectorReader:
        return reader.follow(rows, removed, change)

    def _write(
        self,
        target: Path,
        rows: Rows,
        meta: dict[str, Any],
        base: VectorSnapshot | None,
        removed: np.ndarray,
    ) -> None:
        meta = {**meta, "fingerprint": self._generation.fingerprint}
        write(target, self._codec, rows, self._engine, meta, base=base, removed=removed)

    def _read_whole(self, snapshot: VectorSnapshot) -> None:
        snapshot.verify()
        for segment in snapshot.segments:
            if segment.engine != EXACT_ENGINE or self._codec.is_binary:
                segment.load_index()

    def file_bytes(self) -> tuple[int, int]:
        """Sizes of the newest snapshot: what engines hold in memory, and what is memory-mapped."""
        sizes = {"engine": 0, "rows": 0}
        for _, folder in self._folder.snapshots()[:1]:
            with suppress(FileNotFoundError):  # replaced at this moment
                for path in folder.glob("*-*.bin"):
                    sizes[path.name.partition("-")[0]] += path.stat().st_size
        return sizes["engine"], sizes["rows"]


def _prefixes(served: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """What names of snapshots begin with that are of `served`, (generation, engine), or stand in for it."""
    kept = [f"{generation}-{engine}-" for generation, engine in served]
    if keeps_local():
        kept += [
            f"{generation}-{DEFAULT_ENGINE}-" for generation, engine in served if engine == MILVUS_ENGINE
        ]
    return tuple(kept)


def _drop_table(session: Session, generation_id: int) -> None:
    with changing_tables(session.database, generation_id) as connection:
        drop_tables(connection, [generation_id])
