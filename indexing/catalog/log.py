"""Writing the document log: every change takes a `seq` inside the transaction that makes it.

The sequence lives in the collection's row, so the row's lock makes commit order equal to `seq` order on every
database; a database sequence would let a reader see change 8 before change 7 exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from indexing.catalog.bulk import insert_rows
from indexing.catalog.schema import (
    CHUNKS,
    CODE_TABLES,
    DOCUMENTS,
    Chunk,
    CollectionRow,
    Counter,
    DocumentRow,
    Generation,
    Removal,
)
from indexing.errors import LockedError

__all__ = [
    "DocumentChange",
    "DocumentChunks",
    "Known",
    "Whereabouts",
    "append_chunks",
    "append_documents",
    "change_metadata",
    "ids_of_origins",
    "known_documents",
    "mark_deleted",
    "set_whereabouts",
    "slices",
    "take_seqs",
]

# SQLite allows 32,766 bound values in a statement since 3.32; older builds 999.
MAX_BOUND = 900

T = TypeVar("T")


@dataclass(frozen=True)
class Known:
    """What the catalog holds for an id."""

    key: int
    hash: bytes
    metadata_hash: bytes
    deleted: bool
    origin: str | None
    file_id: int | None = None
    marks: str | None = None
    seq: int = 0


@dataclass(frozen=True)
class DocumentChange:
    """A new or changed document; `text_changed` if what is embedded of it did."""

    id: str
    hash: bytes
    metadata_hash: bytes
    title: str
    text: str
    metadata: str
    origin: str | None = None
    text_changed: bool = True
    file_id: int | None = None
    marks: str | None = None


@dataclass(frozen=True)
class DocumentChunks:
    """The chunks of one document: `spans[i]` are characters of its text, `codes[i]` their code,
    `beside[role][i]` the code that they have beside it, see `indexing.beside`.
    """

    document_key: int
    spans: Sequence[tuple[int, int]]
    codes: Sequence[bytes]
    beside: Mapping[str, Sequence[bytes]] = field(default_factory=dict)


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
                DocumentRow.id,
                DocumentRow.key,
                DocumentRow.hash,
                DocumentRow.metadata_hash,
                DocumentRow.deleted,
                DocumentRow.origin,
                DocumentRow.file_id,
                DocumentRow.marks,
                DocumentRow.seq,
            ).where(DocumentRow.collection_id == collection_id, DocumentRow.id.in_(part))
        )
        found.update((row[0], Known(*row[1:])) for row in rows)
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


@dataclass(frozen=True)
class Whereabouts:
    """Where a document lies: what no view depends on."""

    origin: str | None
    file_id: int | None
    marks: str | None


def set_whereabouts(connection: Connection, of_key: Mapping[int, Whereabouts]) -> None:
    """Notes where documents lie now that did not change otherwise. No view depends on it, so no `seq`."""
    statement = update(DOCUMENTS).where(DOCUMENTS.c.key == bindparam("the_key"))
    rows = [
        {"the_key": key, "the_origin": at.origin, "the_file": at.file_id, "the_marks": at.marks}
        for key, at in of_key.items()
    ]
    values: dict[str, Any] = {
        "origin": bindparam("the_origin"),
        "file_id": bindparam("the_file"),
        "marks": bindparam("the_marks"),
    }
    connection.execute(statement.values(values), rows)


def append_documents(
    connection: Connection,
    collection_id: int,
    changes: Sequence[DocumentChange],
    known: Mapping[str, Known],
) -> tuple[list[int], int]:
    """Writes `changes`; returns the key of each document and the collection's `last_seq` afterwards.

    The ids in `changes` are distinct; `known` are the rows that there are of them, which nobody changed since
    they were read. Chunks of a text that changed are removed from every generation: what was deleted cannot
    come back.
    """
    last_seq = take_seqs(connection, collection_id, len(changes))
    changed = [known[c.id].key for c in changes if c.text_changed and c.id in known]
    _remove_chunks(connection, changed)
    new_key = iter(_take_keys(connection, "document", sum(c.id not in known for c in changes)))
    inserts: list[tuple[Any, ...]] = []
    updates: list[tuple[Any, ...]] = []
    keys: list[int] = []
    for seq, change in enumerate(changes, last_seq - len(changes) + 1):
        before = known.get(change.id)
        key = before.key if before else next(new_key)
        keys.append(key)
        row = (
            key,
            collection_id,
            change.id,
            seq,
            change.hash,
            change.metadata_hash,
            False,
            change.title,
            change.text,
            change.metadata,
            change.origin,
            change.file_id,
            change.marks,
        )
        (updates if before else inserts).append(row)
    _write_documents(connection, inserts, updates)
    return keys, last_seq


def append_chunks(connection: Connection, generation_id: int, documents: Sequence[DocumentChunks]) -> None:
    """Writes the chunks of documents that have none in this generation, as one change of it."""
    count = sum(len(document.spans) for document in documents)
    if not count:
        return
    change = _take_change(connection, generation_id)
    new_key = iter(_take_keys(connection, "chunk", count))
    chunks: list[tuple[int, ...]] = []
    codes: dict[str, list[tuple[int, bytes]]] = {}
    for document in documents:
        keys = [next(new_key) for _ in document.spans]
        of_document = (generation_id, document.document_key, change)
        chunks += [(key, *of_document, *span) for key, span in zip(keys, document.spans, strict=True)]
        for role, theirs in {"": document.codes, **document.beside}.items():
            codes.setdefault(role, []).extend(zip(keys, theirs, strict=True))
    insert_rows(connection, CHUNKS, _CHUNK_COLUMNS, chunks)
    for role, rows in codes.items():
        insert_rows(connection, CODE_TABLES[role], ("key", "code"), rows)


def change_metadata(
    connection: Connection, collection_id: int, metadata_of_key: Mapping[int, tuple[str, bytes]]
) -> int:
    """Replaces metadata, given as JSON with its hash, by document key; returns `last_seq` afterwards."""
    last_seq = take_seqs(connection, collection_id, len(metadata_of_key))
    rows = [
        {"the_key": key, "the_seq": seq, "the_metadata": metadata, "the_hash": hash_}
        for seq, (key, (metadata, hash_)) in enumerate(
            metadata_of_key.items(), last_seq - len(metadata_of_key) + 1
        )
    ]
    statement = update(DOCUMENTS).where(DOCUMENTS.c.key == bindparam("the_key"))
    values: dict[str, Any] = {
        "seq": bindparam("the_seq"),
        "metadata": bindparam("the_metadata"),
        "metadata_hash": bindparam("the_hash"),
    }
    if rows:
        connection.execute(statement.values(values), rows)
    return last_seq


def mark_deleted(connection: Connection, collection_id: int, ids: Iterable[str]) -> list[str]:
    """Deletes those of `ids` that exist; returns them. What stays is the id, its seq and the mark."""
    known = known_documents(connection, collection_id, dict.fromkeys(ids))
    doomed = {id_: row.key for id_, row in known.items() if not row.deleted}
    if not doomed:
        return []
    last_seq = take_seqs(connection, collection_id, len(doomed))
    seqs = dict(zip(doomed.values(), range(last_seq - len(doomed) + 1, last_seq + 1), strict=True))
    _remove_chunks(connection, list(doomed.values()))
    statement = update(DocumentRow).where(DocumentRow.key == bindparam("the_key"))
    empty = {
        "deleted": True,
        "title": "",
        "text": "",
        "meta": "{}",
        "hash": b"",
        "metadata_hash": b"",
        "origin": None,
        "file_id": None,
        "marks": None,
    }
    connection.execute(
        statement.values(seq=bindparam("the_seq"), **empty),
        [{"the_key": key, "the_seq": seq} for key, seq in seqs.items()],
    )
    return list(doomed)


def take_seqs(connection: Connection, collection_id: int, count: int) -> int:
    """Reserves `count` sequence numbers; returns the last. With 0 it locks the collection's row."""
    statement = (
        update(CollectionRow)
        .where(CollectionRow.id == collection_id)
        .values(last_seq=CollectionRow.last_seq + count)
        .returning(CollectionRow.last_seq)
    )
    return connection.execute(statement).scalar_one()


def _take_change(connection: Connection, generation_id: int) -> int:
    """The number of the next change of a generation."""
    statement = (
        update(Generation)
        .where(Generation.id == generation_id)
        .values(last_change=Generation.last_change + 1)
        .returning(Generation.last_change)
    )
    return connection.execute(statement).scalar_one()


def _take_keys(connection: Connection, kind: str, count: int) -> range:
    """Reserves `count` keys that were never used before."""
    statement = (
        update(Counter).where(Counter.kind == kind).values(last=Counter.last + count).returning(Counter.last)
    )
    last = connection.execute(statement).scalar_one()
    return range(last - count + 1, last + 1)


def _remove_chunks(connection: Connection, document_keys: Sequence[int]) -> None:
    """Removes the chunks of these documents in every generation and notes each removal."""
    change_of: dict[int, int] = {}
    for part in slices(document_keys):
        rows = connection.execute(
            select(Chunk.key, Chunk.generation_id).where(Chunk.document_key.in_(part))
        ).all()
        if not rows:
            continue
        for generation in {row.generation_id for row in rows} - set(change_of):
            change_of[generation] = _take_change(connection, generation)
        removals = [
            {"key": key, "generation_id": generation, "change": change_of[generation]}
            for key, generation in rows
        ]
        connection.execute(insert(Removal), removals)
        keys = [{"the_key": key} for key, _ in rows]
        for table in CODE_TABLES.values():
            connection.execute(delete(table).where(table.c.key == bindparam("the_key")), keys)
        connection.execute(delete(Chunk).where(Chunk.key == bindparam("the_key")), keys)


_CHUNK_COLUMNS = ("key", "generation_id", "document_key", "change", "start", "end")
_DOCUMENT_COLUMNS = (
    "key",
    "collection_id",
    "id",
    "seq",
    "hash",
    "metadata_hash",
    "deleted",
    "title",
    "text",
    "metadata",
    "origin",
    "file_id",
    "marks",
)


def _write_documents(
    connection: Connection, inserts: list[tuple[Any, ...]], updated: list[tuple[Any, ...]]
) -> None:
    table = DOCUMENTS
    insert_rows(connection, table, _DOCUMENT_COLUMNS, inserts)
    updates = [dict(zip(_DOCUMENT_COLUMNS, row, strict=True)) for row in updated]
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
        if connection.execute(statement, rows).rowcount != len(rows):
            raise LockedError("documents were changed by another process in between: run it again")
