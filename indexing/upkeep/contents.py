"""Checking what the catalog holds against itself: texts against their hashes, spans and codes against both.

SQLite notices a torn page; it does not notice one that was altered and is still well formed. Everything is
read in short transactions, and only rows are compared that one of them read, so writing goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, select

from indexing.catalog.bulk import stream_rows
from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.hashing import hash_metadata, hash_text
from indexing.catalog.log import slices
from indexing.catalog.schema import Chunk, Code, DocumentRow
from indexing.quantization import Codec
from indexing.session import Session
from indexing.vectors.segment import VectorSegment
from indexing.vectors.snapshot import VectorSnapshot

__all__ = ["altered_codes", "content_problems"]

BATCH_DOCUMENTS = 500  # a read transaction over them takes a few milliseconds
BATCH_CODES = 5_000
HELD_ROWS = 16  # a document may have megabytes
NAMED = 3
REMEDY = "delete and index them again, or restore the catalog from a backup"


@dataclass(frozen=True)
class _Checked:
    seq: int
    key: int
    id: str
    sound: bool
    characters: int


def content_problems(session: Session, last_seq: int, generations: Sequence[GenerationInfo]) -> list[str]:
    """What is wrong with texts and spans; empty if nothing. Documents that change meanwhile are looked at
    only if they have not gone beyond `last_seq`.
    """
    altered: list[str] = []
    misplaced: list[str] = []
    seq = 0
    known = {generation.id for generation in generations}
    while True:
        with reading(session.database) as connection:
            documents = list(_documents_after(connection, session.id, seq, last_seq))
            if not documents:
                break
            lengths = {document.key: document.characters for document in documents}
            wrong = _wrong_spans(connection, known, lengths)
        altered += [document.id for document in documents if not document.sound]
        misplaced += [document.id for document in documents if document.key in wrong and document.sound]
        seq = documents[-1].seq
    return _describe("with another id, text, title or metadata than was stored", altered) + _describe(
        "with a passage beyond their text", misplaced
    )


def _documents_after(
    connection: Connection, collection_id: int, seq: int, last_seq: int
) -> Iterator[_Checked]:
    names = ("seq", "key", "id", "hash", "metadata_hash", "title", "text", "meta")
    statement = (
        select(*(getattr(DocumentRow, name) for name in names))
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq, DocumentRow.seq <= last_seq)
        .where(~DocumentRow.deleted)
        .order_by(DocumentRow.seq)
        .limit(BATCH_DOCUMENTS)
    )
    rows = stream_rows(connection, statement, HELD_ROWS)
    for number, key, id_, of_text, of_metadata, title, text, metadata in rows:
        sound = (hash_text(id_, title, text), hash_metadata(id_, metadata)) == (of_text, of_metadata)
        yield _Checked(number, key, id_, sound, len(text))


def _wrong_spans(connection: Connection, generations: set[int], lengths: dict[int, int]) -> set[int]:
    """The documents that have a span which is empty or lies outside their text."""
    # Generations are compared here: in SQL they would tempt SQLite to read all of one for every batch.
    statement = select(Chunk.document_key, Chunk.generation_id, Chunk.start, Chunk.end)
    return {
        key
        for part in slices(lengths)
        for key, generation, start, end in connection.execute(statement.where(Chunk.document_key.in_(part)))
        if generation in generations and not 0 <= start < end <= lengths[key]
    }


def altered_codes(engine: Engine, codec: Codec, snapshot: VectorSnapshot) -> list[str]:
    """Codes that differ from those a snapshot was made of, which has checksums. The code of a key never
    changes: it does not matter which rows come and go meanwhile.
    """
    count = sum(
        _count_altered(engine, segment, first)
        for segment in snapshot.segments
        for first in range(0, len(segment), BATCH_CODES)
    )
    return [f"catalog: {count} codes differ from the vector view made of them; {REMEDY}"] if count else []


def _count_altered(engine: Engine, segment: VectorSegment, first: int) -> int:
    """Of the codes of BATCH_CODES rows from `first` on."""
    keys = np.asarray(segment.keys[first : first + BATCH_CODES])
    codes = np.ascontiguousarray(segment.codes[first : first + BATCH_CODES])
    expected = {key: code.tobytes() for key, code in zip(keys.tolist(), codes, strict=True)}
    statement = select(Code.key, Code.code).where(Code.key.between(int(keys.min()), int(keys.max())))
    with reading(engine) as connection:
        rows = stream_rows(connection, statement, BATCH_CODES)
        return sum(key in expected and code != expected[key] for key, code in rows)


def _describe(what: str, ids: list[str]) -> list[str]:
    if not ids:
        return []
    named = ", ".join(map(repr, ids[:NAMED])) + (", …" if len(ids) > NAMED else "")
    return [f"catalog: documents {what} ({len(ids)}: {named}); {REMEDY}"]
