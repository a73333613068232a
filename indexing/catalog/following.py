"""What views follow the log by: the next changes, in order, a bounded number at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Table, func, select

from indexing.catalog.schema import CODES, Chunk, DocumentRow, Generation, Removal

__all__ = [
    "ChunkBatch",
    "MetadataChange",
    "chunk_keys_between",
    "chunks_after",
    "count_chunk_changes",
    "metadata_changes_after",
    "removals_after",
    "size_after",
]

_READ_ROWS = 20_000  # that are held as Python objects at once


@dataclass(frozen=True)
class ChunkBatch:
    """Chunks in the order of their generation's changes, up to the change `last`: `keys` and `document_keys`
    int64 [n], `codes` the n codes. `is_last`: nothing follows.
    """

    keys: np.ndarray
    document_keys: np.ndarray
    codes: list[bytes]
    last: int
    is_last: bool


@dataclass(frozen=True)
class MetadataChange:
    """A document as it is now; `metadata` is JSON."""

    seq: int
    key: int
    deleted: bool
    metadata: str


def chunks_after(
    connection: Connection, generation_id: int, change: int, limit: int, codes: Table = CODES
) -> ChunkBatch:
    """The chunks of whole changes after `change`, about `limit` of them, with their codes in the table
    `codes`.

    Where that is all, `last` is the last change of all that the generation has.
    """
    of_generation = (Chunk.generation_id == generation_id, Chunk.change > change)
    bound = connection.scalar(
        select(Chunk.change).where(*of_generation).order_by(Chunk.change).offset(limit).limit(1)
    )
    statement = (
        select(Chunk.key, Chunk.document_key, codes.c.code)
        .join(codes, codes.c.key == Chunk.key)
        .where(*of_generation, *([] if bound is None else [Chunk.change <= bound]))
        .order_by(Chunk.change, Chunk.key)
    )
    rows = connection.execute(statement).all()
    newest = _last_change(connection, generation_id, change) if bound is None else bound
    return ChunkBatch(
        np.fromiter((row[0] for row in rows), np.int64, len(rows)),
        np.fromiter((row[1] for row in rows), np.int64, len(rows)),
        [row[2] for row in rows],
        newest,
        bound is None,
    )


def chunk_keys_between(
    connection: Connection, generation_id: int, after: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keys and documents, int64 [n] each, of the chunks from changes after `after` up to `last`, in their
    order.
    """
    statement = (
        select(Chunk.key, Chunk.document_key)
        .where(Chunk.generation_id == generation_id, Chunk.change > after, Chunk.change <= last)
        .order_by(Chunk.change, Chunk.key)
    )
    parts = [np.empty((0, 2), np.int64)]
    with connection.execute(statement, execution_options={"yield_per": _READ_ROWS}) as result:
        parts += [np.asarray([tuple(row) for row in part], np.int64) for part in result.partitions()]
    rows = np.concatenate(parts)
    return np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])


def _last_change(connection: Connection, generation_id: int, change: int) -> int:
    """The generation's own number: of removals that are forgotten no row is left to tell."""
    last = connection.scalar(select(Generation.last_change).where(Generation.id == generation_id))
    return max(change, last or 0)


def removals_after(connection: Connection, generation_id: int, change: int, last: int) -> np.ndarray:
    """Keys of chunks that ceased to exist after `change`, up to `last`; int64, ascending."""
    statement = select(Removal.key).where(
        Removal.generation_id == generation_id, Removal.change > change, Removal.change <= last
    )
    return np.sort(np.asarray(connection.scalars(statement).all(), dtype=np.int64))


def count_chunk_changes(connection: Connection, generation_id: int, change: int, most: int) -> int:
    """How many chunks came or went after `change`; counted up to `most` of each."""
    return sum(
        connection.scalar(
            select(func.count()).select_from(
                select(table.change)
                .where(table.generation_id == generation_id, table.change > change)
                .limit(most)
                .subquery()
            )
        )
        or 0
        for table in (Chunk, Removal)
    )


def size_after(connection: Connection, collection_id: int, seq: int, most: int) -> tuple[int, int]:
    """How many documents changed after `seq`, counted up to `most`, and the characters of their texts."""
    newer = (
        select(func.length(DocumentRow.text).label("characters"))
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq)
        .limit(most)
        .subquery()
    )
    row = connection.execute(select(func.count(), func.sum(newer.c.characters))).one()
    return int(row[0]), int(row[1] or 0)


def metadata_changes_after(
    connection: Connection, collection_id: int, seq: int, limit: int
) -> list[MetadataChange]:
    """Up to `limit` changes after `seq`, in order."""
    statement = (
        select(DocumentRow.seq, DocumentRow.key, DocumentRow.deleted, DocumentRow.meta)
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq)
        .order_by(DocumentRow.seq)
        .limit(limit)
    )
    return [MetadataChange(*row) for row in connection.execute(statement)]
