"""Reading the log: what a view has to follow, and the rows that a result shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, select

from indexing.catalog.bulk import stream_rows
from indexing.catalog.log import slices
from indexing.catalog.schema import CODE_TABLES, Chunk, Code, DocumentRow, FileRow, SourceRow
from indexing.errors import StorageError
from indexing.quantization import Codec

__all__ = [
    "FoundDocument",
    "LoggedDocument",
    "beside_of_documents",
    "chunk_keys",
    "chunk_spans",
    "chunks_of_documents",
    "codes_of_chunks",
    "count_chunks",
    "count_documents",
    "decode_rows",
    "document_ids",
    "documents_after",
    "documents_with_chunks",
    "estimate_chunks",
    "iterate_ids",
    "keys_of_ids",
    "read_log",
    "seqs_of_documents",
    "stored_documents",
]

# Rows that are held as Python objects at once; the rest of a large read lives in arrays.
READ_ROWS = 20_000


@dataclass(frozen=True)
class FoundDocument:
    """What a result shows of a document; `metadata` and `marks` are JSON text, read when shown."""

    key: int
    id: str
    title: str
    text: str
    metadata: str
    origin: str | None = None
    marks: str | None = None


@dataclass(frozen=True)
class LoggedDocument:
    """A document as the log has it; of a deleted one title and text are empty."""

    seq: int
    key: int
    id: str
    deleted: bool
    title: str
    text: str


def read_log(
    connection: Connection, collection_id: int, seq: int, limit: int, characters: int
) -> list[LoggedDocument]:
    """Changes of documents after `seq` in order: up to `limit`, and no more once their texts have
    `characters`.
    """
    names = ("seq", "key", "id", "deleted", "title", "text")
    statement = (
        select(*(getattr(DocumentRow, name) for name in names))
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq)
        .order_by(DocumentRow.seq)
        .limit(limit)
    )
    rows: list[LoggedDocument] = []
    total = 0
    for row in stream_rows(connection, statement, 64):
        rows.append(LoggedDocument(*row))
        total += len(rows[-1].text)
        if total >= characters:
            break
    return rows


def documents_with_chunks(connection: Connection, generation_id: int, keys: Iterable[int]) -> set[int]:
    """Those of `keys` that have chunks in this generation."""
    return {
        key
        for part in slices(keys)
        # The generation is compared here: in SQL it would tempt SQLite to read all of it for every batch.
        for key, generation in connection.execute(
            select(Chunk.document_key, Chunk.generation_id).where(Chunk.document_key.in_(part))
        )
        if generation == generation_id
    }


def seqs_of_documents(connection: Connection, keys: Iterable[int]) -> dict[int, int]:
    """key → seq of the documents, deleted ones included."""
    return {
        key: seq
        for part in slices(keys)
        for key, seq in connection.execute(
            select(DocumentRow.key, DocumentRow.seq).where(DocumentRow.key.in_(part))
        )
    }


def chunks_of_documents(
    connection: Connection, generation_id: int, keys: Iterable[int]
) -> dict[int, list[tuple[int, int, bytes]]]:
    """document key → (start, end, code) of its chunks in this generation, in their order."""
    found: dict[int, list[tuple[int, int, bytes]]] = {}
    for part in slices(keys):
        statement = (
            select(Chunk.document_key, Chunk.generation_id, Chunk.start, Chunk.end, Code.code)
            .join(Code, Code.key == Chunk.key)
            .where(Chunk.document_key.in_(part))
            .order_by(Chunk.key)
        )
        for key, generation, start, end, code in connection.execute(statement):
            if generation == generation_id:
                found.setdefault(key, []).append((start, end, code))
    return found


def beside_of_documents(
    connection: Connection, generation_id: int, keys: Iterable[int], role: str
) -> dict[int, list[bytes]]:
    """document key → the codes of a role that its chunks have in this generation, in their order."""
    found: dict[int, list[bytes]] = {}
    table = CODE_TABLES[role]
    for part in slices(keys):
        statement = (
            select(Chunk.document_key, Chunk.generation_id, table.c.code)
            .join(table, table.c.key == Chunk.key)
            .where(Chunk.document_key.in_(part))
            .order_by(Chunk.key)
        )
        for key, generation, code in connection.execute(statement):
            if generation == generation_id:
                found.setdefault(key, []).append(code)
    return found


def codes_of_chunks(connection: Connection, keys: Iterable[int], role: str) -> dict[int, bytes]:
    """chunk key → its code of a role, of those of `keys` that have one."""
    table = CODE_TABLES[role]
    return {
        key: code
        for part in slices(keys)
        for key, code in connection.execute(select(table.c.key, table.c.code).where(table.c.key.in_(part)))
    }


def decode_rows(data: bytes, count: int, codec: Codec) -> np.ndarray:
    """Stored codes as an array [count, d].

    Raises:
        StorageError: there are more or fewer bytes, so the catalog was altered.
    """
    if len(data) != count * codec.code_bytes:
        raise StorageError(
            f"the catalog is damaged: {count} codes of {codec.code_bytes} bytes have {len(data)} bytes "
            "together; run `stlib verify`, or restore it from a backup"
        )
    return np.frombuffer(data, codec.dtype).reshape(count, codec.dimension)


def chunk_keys(connection: Connection, generation_id: int) -> np.ndarray:
    """Every chunk key of the generation, ascending, int64."""
    keys = connection.scalars(
        select(Chunk.key).where(Chunk.generation_id == generation_id).order_by(Chunk.key)
    ).all()
    return np.asarray(keys, dtype=np.int64)


def estimate_chunks(connection: Connection, collection_id: int, characters: int) -> int:
    """About how many chunks the documents make that go on after so many characters: an upper bound, near it
    for long texts.
    """
    each = func.length(DocumentRow.text) // max(1, characters) + 1
    statement = select(func.sum(each)).where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    return int(connection.scalar(statement) or 0)


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


def beginnings_after(
    connection: Connection, collection_id: int, seq: int, last_seq: int, most: int, characters: int
) -> list[str]:
    """Of about `most` documents, spread evenly over the changes after `seq`, title and text up to a bound."""
    step = max(1, (last_seq - seq) // most)
    title, text = (func.substr(part, 1, characters) for part in (DocumentRow.title, DocumentRow.text))
    rows = connection.execute(
        select(title, text)
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq, DocumentRow.seq <= last_seq)
        .where(~DocumentRow.deleted, (DocumentRow.seq - seq) % step == 0)
        .limit(2 * most)
    )
    return [f"{title}\n{text}"[:characters] for title, text in rows]


def stored_documents(connection: Connection, keys: Iterable[int]) -> dict[int, FoundDocument]:
    """The live documents among `keys`; one with an id of its own has the file that it came from as origin."""
    found: dict[int, FoundDocument] = {}
    columns = [getattr(DocumentRow, name) for name in ("key", "id", "title", "text", "meta")]
    origin = func.coalesce(DocumentRow.origin, SourceRow.root + "/" + FileRow.name)
    statement = (
        select(*columns, origin, DocumentRow.marks)
        .outerjoin(FileRow, FileRow.id == DocumentRow.file_id)
        .outerjoin(SourceRow, SourceRow.id == FileRow.source_id)
    )
    for part in slices(keys):
        rows = connection.execute(statement.where(DocumentRow.key.in_(part), ~DocumentRow.deleted))
        found.update((row[0], FoundDocument(*tuple(row))) for row in rows)
    return found


def iterate_ids(connection: Connection, collection_id: int) -> Iterator[tuple[int, str]]:
    """(key, id) of every live document."""
    statement = select(DocumentRow.key, DocumentRow.id).where(
        DocumentRow.collection_id == collection_id, ~DocumentRow.deleted
    )
    for row in stream_rows(connection, statement, READ_ROWS):
        yield row[0], row[1]


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
