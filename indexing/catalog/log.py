"""Writing the document log: every change takes a `seq` inside the transaction that makes it.

The sequence lives in the collection's row, so the row's lock makes commit order equal to `seq` order on every
database; a database sequence would let a reader see change 8 before change 7 exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from indexing.catalog.schema import (
    CHUNKS,
    CODES,
    DOCUMENTS,
    Chunk,
    Code,
    CollectionRow,
    Counter,
    DocumentRow,
    Generation,
    Removal,
)

__all__ = [
    "Change",
    "Known",
    "append_changes",
    "ids_of_origins",
    "known_documents",
    "mark_deleted",
    "set_origins",
    "slices",
]

# SQLite allows 32,766 bound values in a statement since 3.32; older builds 999.
MAX_BOUND = 900

T = TypeVar("T")


@dataclass(frozen=True)
class Known:
    """What the catalog holds for an id."""

    key: int
    hash: bytes
    deleted: bool
    origin: str | None


@dataclass(frozen=True)
class Change:
    """A new or changed document with its chunks.

    `spans[i]` are characters of `text`, `codes[i]` their code.
    """

    id: str
    hash: bytes
    title: str
    text: str
    metadata: str
    spans: Sequence[tuple[int, int]]
    codes: Sequence[bytes]
    origin: str | None = None


def slices(values: Iterable[T], size: int = MAX_BOUND) -> Iterable[list[T]]:
    """`values` in lists of at most `size`."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part


def known_documents(connection: Connection, collection_id: int, ids: Iterable[str]) -> dict[str, Known]:
    """Those of `ids` that the catalog has ever seen, deleted ones included."""
    found: dict[str, Known] = {}
    for part in slices(ids):
        rows = connection.execute(
            select(
                DocumentRow.id, DocumentRow.key, DocumentRow.hash, DocumentRow.deleted, DocumentRow.origin
            ).where(DocumentRow.collection_id == collection_id, DocumentRow.id.in_(part))
        )
        found.update((row.id, Known(row.key, row.hash, row.deleted, row.origin)) for row in rows)
    return found


def ids_of_origins(connection: Connection, collection_id: int, origins: Iterable[str]) -> dict[str, str]:
    """origin → id of the documents that came from these files."""
    found: dict[str, str] = {}
    for part in slices(origins):
        rows = connection.execute(
            select(DocumentRow.origin, DocumentRow.id).where(
                DocumentRow.collection_id == collection_id, DocumentRow.origin.in_(part)
            )
        )
        found.update((str(origin), id_) for origin, id_ in rows)
    return found


def set_origins(connection: Connection, origin_of_key: dict[int, str]) -> None:
    """Notes where documents lie now that did not change otherwise. No view depends on it, so no `seq`."""
    statement = update(DOCUMENTS).where(DOCUMENTS.c.key == bindparam("the_key"))
    rows = [{"the_key": key, "the_origin": origin} for key, origin in origin_of_key.items()]
    connection.execute(statement.values(origin=bindparam("the_origin")), rows)


def append_changes(
    connection: Connection,
    collection_id: int,
    generation_id: int,
    changes: Sequence[Change],
    clipped: int = 0,
) -> int:
    """Writes `changes` and returns the collection's `last_seq` afterwards.

    The ids in `changes` are distinct. `clipped` counts code values that fell outside the calibrated ranges.
    """
    known = known_documents(connection, collection_id, [change.id for change in changes])
    last_seq = _take_seqs(connection, collection_id, len(changes))
    first_seq = last_seq - len(changes) + 1
    _remove_chunks(
        connection,
        {known[c.id].key: seq for seq, c in enumerate(changes, first_seq) if c.id in known},
    )
    new_key = iter(_take_keys(connection, "document", len(changes) - len(known)))
    inserts: list[dict] = []
    updates: list[dict] = []
    keys: list[int] = []
    for seq, change in enumerate(changes, first_seq):
        before = known.get(change.id)
        key = before.key if before else next(new_key)
        keys.append(key)
        row = {
            "key": key,
            "collection_id": collection_id,
            "id": change.id,
            "seq": seq,
            "hash": change.hash,
            "deleted": False,
            "title": change.title,
            "text": change.text,
            "metadata": change.metadata,
            "origin": change.origin,
        }
        (updates if before else inserts).append(row)
    _write_documents(connection, inserts, updates)
    _write_chunks(connection, generation_id, keys, changes, first_seq)
    if clipped:
        connection.execute(
            update(Generation)
            .where(Generation.id == generation_id)
            .values(clipped=Generation.clipped + clipped)
        )
    return last_seq


def mark_deleted(connection: Connection, collection_id: int, ids: Iterable[str]) -> list[str]:
    """Deletes those of `ids` that exist; returns them. What stays is the id, its seq and the mark."""
    known = known_documents(connection, collection_id, dict.fromkeys(ids))
    doomed = {id_: row.key for id_, row in known.items() if not row.deleted}
    if not doomed:
        return []
    last_seq = _take_seqs(connection, collection_id, len(doomed))
    seqs = dict(zip(doomed.values(), range(last_seq - len(doomed) + 1, last_seq + 1), strict=True))
    _remove_chunks(connection, seqs)
    statement = update(DocumentRow).where(DocumentRow.key == bindparam("the_key"))
    empty = {"deleted": True, "title": "", "text": "", "meta": "{}", "hash": b"", "origin": None}
    connection.execute(
        statement.values(seq=bindparam("the_seq"), **empty),
        [{"the_key": key, "the_seq": seq} for key, seq in seqs.items()],
    )
    return list(doomed)


def _take_seqs(connection: Connection, collection_id: int, count: int) -> int:
    """Reserves `count` sequence numbers; returns the last."""
    statement = (
        update(CollectionRow)
        .where(CollectionRow.id == collection_id)
        .values(last_seq=CollectionRow.last_seq + count)
        .returning(CollectionRow.last_seq)
    )
    return connection.execute(statement).scalar_one()


def _take_keys(connection: Connection, kind: str, count: int) -> range:
    """Reserves `count` keys that were never used before."""
    statement = (
        update(Counter).where(Counter.kind == kind).values(last=Counter.last + count).returning(Counter.last)
    )
    last = connection.execute(statement).scalar_one()
    return range(last - count + 1, last + 1)


def _remove_chunks(connection: Connection, seq_of_document: dict[int, int]) -> None:
    """Removes the chunks of these documents in every generation and notes each removal."""
    for part in slices(seq_of_document):
        rows = connection.execute(
            select(Chunk.key, Chunk.generation_id, Chunk.document_key).where(Chunk.document_key.in_(part))
        ).all()
        if not rows:
            continue
        removals = [
            {"key": row.key, "generation_id": row.generation_id, "seq": seq_of_document[row.document_key]}
            for row in rows
        ]
        connection.execute(insert(Removal), removals)
        keys = [{"the_key": row.key} for row in rows]
        connection.execute(delete(Code).where(Code.key == bindparam("the_key")), keys)
        connection.execute(delete(Chunk).where(Chunk.key == bindparam("the_key")), keys)


def _write_documents(connection: Connection, inserts: list[dict], updates: list[dict]) -> None:
    table = DOCUMENTS
    if inserts:
        connection.execute(insert(table), inserts)
    if updates:
        statement = (
            update(table)
            .where(table.c.key == bindparam("b_key"))
            .values(
                {
                    name: bindparam(f"b_{name}")
                    for name in updates[0]
                    if name not in ("key", "collection_id", "id")
                }
            )
        )
        rows = [
            {f"b_{name}": value for name, value in row.items() if name not in ("collection_id", "id")}
            for row in updates
        ]
        connection.execute(statement, rows)


def _write_chunks(
    connection: Connection,
    generation_id: int,
    document_keys: list[int],
    changes: Sequence[Change],
    first_seq: int,
) -> None:
    chunk_keys = iter(_take_keys(connection, "chunk", sum(len(change.spans) for change in changes)))
    chunks, codes = [], []
    for seq, (document_key, change) in enumerate(zip(document_keys, changes, strict=True), first_seq):
        for (start, end), code in zip(change.spans, change.codes, strict=True):
            key = next(chunk_keys)
            chunks.append(
                {
                    "key": key,
                    "generation_id": generation_id,
                    "document_key": document_key,
                    "seq": seq,
                    "start": start,
                    "end": end,
                }
            )
            codes.append({"key": key, "code": code})
    if chunks:
        connection.execute(insert(CHUNKS), chunks)
        connection.execute(insert(CODES), codes)
