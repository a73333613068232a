"""Reading the log: what a view has to follow, and the rows that a result shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, select

from indexing.catalog.log import slices
from indexing.catalog.schema import Chunk, Code, DocumentRow, Removal

__all__ = [
    "ChunkRows",
    "StoredDocument",
    "chunk_keys",
    "chunk_rows_after",
    "chunk_spans",
    "count_chunks",
    "count_documents",
    "document_ids",
    "documents_after",
    "keys_of_ids",
    "metadata_after",
    "removed_after",
    "stored_documents",
]

# Rows that are held as Python objects at once; the rest of a large read lives in arrays.
READ_ROWS = 20_000


@dataclass(frozen=True)
class ChunkRows:
    """Chunks in ascending key order: `keys` and `document_keys` int64 [n], `codes` raw bytes of n codes."""

    keys: np.ndarray
    document_keys: np.ndarray
    codes: bytes


@dataclass(frozen=True)
class StoredDocument:
    """A document as the catalog holds it; `metadata` is JSON text."""

    key: int
    id: str
    title: str
    text: str
    metadata: str


def chunk_rows_after(connection: Connection, generation_id: int, seq: int) -> ChunkRows:
    """The chunks of changes after `seq`, with their codes, in key order."""
    statement = (
        select(Chunk.key, Chunk.document_key, Code.code)
        .join(Code, Code.key == Chunk.key)
        .where(Chunk.generation_id == generation_id, Chunk.seq > seq)
        .order_by(Chunk.seq, Chunk.key)
    )
    keys, document_keys, codes = [], [], []
    rows = connection.execution_options(yield_per=READ_ROWS).execute(statement)
    for part in rows.partitions():
        keys.append(np.fromiter((row[0] for row in part), np.int64, len(part)))
        document_keys.append(np.fromiter((row[1] for row in part), np.int64, len(part)))
        codes.append(b"".join(row[2] for row in part))
    empty = [np.empty(0, np.int64)]
    return ChunkRows(np.concatenate(keys or empty), np.concatenate(document_keys or empty), b"".join(codes))


def chunk_keys(connection: Connection, generation_id: int) -> np.ndarray:
    """Every chunk key of the generation, ascending, int64."""
    keys = connection.scalars(
        select(Chunk.key).where(Chunk.generation_id == generation_id).order_by(Chunk.key)
    ).all()
    return np.asarray(keys, dtype=np.int64)


def removed_after(connection: Connection, generation_id: int, seq: int) -> np.ndarray:
    """Keys of chunks that ceased to exist after `seq`, ascending, int64."""
    statement = select(Removal.key).where(Removal.generation_id == generation_id, Removal.seq > seq)
    return np.sort(np.asarray(connection.scalars(statement).all(), dtype=np.int64))


def count_chunks(connection: Connection, generation_id: int) -> int:
    return connection.scalar(select(func.count()).where(Chunk.generation_id == generation_id)) or 0


def count_documents(connection: Connection, collection_id: int) -> int:
    condition = (DocumentRow.collection_id == collection_id) & ~DocumentRow.deleted
    return connection.scalar(select(func.count()).select_from(DocumentRow).where(condition)) or 0


def documents_after(
    connection: Connection, collection_id: int, seq: int, limit: int
) -> list[tuple[int, int, bool, str, str]]:
    """Up to `limit` changes after `seq` in order: (seq, key, deleted, title, text)."""
    statement = (
        select(DocumentRow.seq, DocumentRow.key, DocumentRow.deleted, DocumentRow.title, DocumentRow.text)
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq)
        .order_by(DocumentRow.seq)
        .limit(limit)
    )
    return [(*row,) for row in connection.execute(statement)]


def stored_documents(connection: Connection, keys: Iterable[int]) -> dict[int, StoredDocument]:
    """The live documents among `keys`."""
    found: dict[int, StoredDocument] = {}
    columns = (DocumentRow.key, DocumentRow.id, DocumentRow.title, DocumentRow.text, DocumentRow.meta)
    for part in slices(keys):
        rows = connection.execute(select(*columns).where(DocumentRow.key.in_(part), ~DocumentRow.deleted))
        found.update((row[0], StoredDocument(*row)) for row in rows)
    return found


def document_ids(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    """key → id of the live documents among `keys`."""
    found: dict[int, str] = {}
    for part in slices(keys):
        statement = select(DocumentRow.key, DocumentRow.id).where(
            DocumentRow.key.in_(part), ~DocumentRow.deleted
        )
        found.update((row[0], row[1]) for row in connection.execute(statement))
    return found


def keys_of_ids(connection: Connection, collection_id: int, ids: Iterable[str]) -> dict[str, int]:
    """id → key of the live documents among `ids`."""
    found: dict[str, int] = {}
    for part in slices(ids):
        statement = select(DocumentRow.id, DocumentRow.key).where(
            DocumentRow.collection_id == collection_id, DocumentRow.id.in_(part), ~DocumentRow.deleted
        )
        found.update((row[0], row[1]) for row in connection.execute(statement))
    return found


def chunk_spans(connection: Connection, keys: Iterable[int]) -> dict[int, tuple[int, int]]:
    """chunk key → (start, end) of those of `keys` that exist."""
    found: dict[int, tuple[int, int]] = {}
    for part in slices(keys):
        rows = connection.execute(select(Chunk.key, Chunk.start, Chunk.end).where(Chunk.key.in_(part)))
        found.update((key, (start, end)) for key, start, end in rows)
    return found


def metadata_after(
    connection: Connection, collection_id: int, seq: int, last_seq: int, limit: int
) -> list[tuple[int, str]]:
    """(seq, metadata JSON) of up to `limit` live documents changed after `seq`, by `last_seq`, in order."""
    statement = (
        select(DocumentRow.seq, DocumentRow.meta)
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq, DocumentRow.seq <= last_seq)
        .where(~DocumentRow.deleted)
        .order_by(DocumentRow.seq)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]
