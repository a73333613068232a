"""Checking a collection: the catalog against itself, the views against the catalog."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text

from indexing.catalog.collections import CollectionState, GenerationInfo, read_generation, read_state
from indexing.catalog.database import reading
from indexing.catalog.schema import Chunk, Code, DocumentRow
from indexing.errors import UnknownCollection
from indexing.quantization import Codec
from indexing.upkeep.contents import altered_codes, content_problems
from indexing.vectors.snapshot import VectorSnapshot
from indexing.views.manager import Views

__all__ = ["VerifyReport", "verify"]


@dataclass
class VerifyReport:
    """`errors`: the catalog itself is wrong. `repaired`: views that were damaged and have been rebuilt."""

    documents: int = 0
    chunks: int = 0
    errors: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True when nothing was wrong at all."""
        return not self.errors and not self.repaired

    def to_dict(self) -> dict[str, object]:
        return {
            "clean": self.clean,
            "documents": self.documents,
            "chunks": self.chunks,
            "errors": self.errors,
            "repaired": self.repaired,
        }


def verify(
    engine: Engine, state: CollectionState, views: Views, lock: AbstractContextManager[Any]
) -> VerifyReport:
    """Reads everything once. Damaged views are set aside and rebuilt; the catalog is only reported on.

    `lock` is held while the views are looked at, which other threads must not open or publish then.
    """
    report = VerifyReport()
    with reading(engine) as connection:
        report.errors += _database_problems(connection)
    with reading(engine) as connection:
        # Of this very moment: the first batch, or another, may have been committed since the caller looked.
        now = read_state(connection, state.id)
        if now is None or now.uuid != state.uuid:
            raise UnknownCollection(f"collection {state.name!r} was deleted meanwhile")
        state = now
        generation = read_generation(connection, state.live_generation)
        codec = Codec.from_json(generation.codec) if generation.codec else None
        report.errors += _row_problems(connection, state, generation, codec, report)
    if not report.errors:
        report.errors += content_problems(engine, state.id, state.last_seq, generation)
    if not report.errors:
        with lock:
            snapshot = _check_views(views, state, codec, report)
        if codec is not None and snapshot is not None:
            report.errors += altered_codes(engine, codec, snapshot)
    return report


def _check_views(
    views: Views, state: CollectionState, codec: Codec | None, report: VerifyReport
) -> VectorSnapshot | None:
    """Repairs what is damaged, as a search would; returns the newest vector snapshot."""
    report.repaired += views.words.check()
    if codec is not None:
        report.repaired += views.vectors.check(codec)
    if report.repaired:
        views.forget()
        views.readers(state, codec)
    return None if codec is None else views.vectors.newest(codec)


def _database_problems(connection: Connection) -> list[str]:
    rows = connection.execute(text("PRAGMA integrity_check(10)")).scalars().all()
    return [] if rows == ["ok"] else [f"catalog: {row}" for row in rows]


def _row_problems(
    connection: Connection,
    state: CollectionState,
    generation: GenerationInfo,
    codec: Codec | None,
    report: VerifyReport,
) -> list[str]:
    live = (DocumentRow.collection_id == state.id, ~DocumentRow.deleted)
    chunk_of = (Chunk.generation_id == generation.id,)
    report.documents = connection.scalar(select(func.count()).select_from(DocumentRow).where(*live)) or 0
    report.chunks = connection.scalar(select(func.count()).select_from(Chunk).where(*chunk_of)) or 0
    width = 0 if codec is None else codec.code_bytes
    has_chunk = select(Chunk.key).where(Chunk.document_key == DocumentRow.key, *chunk_of).exists()
    document = select(DocumentRow.key).where(DocumentRow.key == Chunk.document_key, *live).exists()
    code = select(Code.key).where(Code.key == Chunk.key, func.length(Code.code) == width).exists()
    checks = [
        ("documents without a chunk", select(func.count()).select_from(DocumentRow).where(*live, ~has_chunk)),
        ("chunks without a document", select(func.count()).select_from(Chunk).where(*chunk_of, ~document)),
        (
            f"chunks without a code of {width} bytes",
            select(func.count()).select_from(Chunk).where(*chunk_of, ~code),
        ),
        (
            "documents with a sequence number beyond the collection's",
            select(func.count())
            .select_from(DocumentRow)
            .where(DocumentRow.collection_id == state.id, DocumentRow.seq > state.last_seq),
        ),
    ]
    return [
        f"catalog: {count} {what}" for what, statement in checks if (count := connection.scalar(statement))
    ]
