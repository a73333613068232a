"""Checking what the catalog holds against itself: texts against their hashes, spans and codes against both.

SQLite notices a torn page; it does not notice one that was altered and is still well formed. Everything is
read in short transactions, and only rows are compared that one of them read, so writing goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, select

from indexing.catalog.collections import GenerationInfo
from indexing.catalog.database import reading
from indexing.catalog.hashing import content_hash
from indexing.catalog.log import slices
from indexing.catalog.schema import Chunk, Code, DocumentRow
from indexing.quantization import Codec
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


def content_problems(
    engine: Engine, collection_id: int, last_seq: int, generation: GenerationInfo
) -> list[str]:
    """What is wrong with texts and spans; empty if nothing. Documents that change meanwhile are looked at
    only if they have not gone beyond `last_seq`.
    """
    altered: list[str] = []
    misplaced: list[str] = []
    seq = 0
    while True:
        with reading(engine) as connection:
            documents = list(_documents_after(connection, collection_id, seq, last_seq))
            if not documents:
                break
            lengths = {document.key: document.characters for document in documents}
            wrong = _wrong_spans(connection, generation.id, lengths)
        altered += [document.id for document in documents if not document.sound]
        misplaced += [document.id for document in documents if document.key in wrong and document.sound]
        seq = documents[-1].seq
    return _said("with another text, title or metadata than was stored", altered) + _said(
        "with a passage beyond their text", misplaced
    )


def _documents_after(
    connection: Connection, collection_id: int, seq: int, last_seq: int
) -> Iterator[_Checked]:
    columns = (
        DocumentRow.seq,
        DocumentRow.key,
        DocumentRow.id,
        DocumentRow.hash,
        DocumentRow.title,
        DocumentRow.text,
        DocumentRow.meta,
    )
    statement = (
        select(*columns)
        .where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq, DocumentRow.seq <= last_seq)
        .where(~DocumentRow.deleted)
        .order_by(DocumentRow.seq)
        .limit(BATCH_DOCUMENTS)
    )
    for row in connection.execution_options(yield_per=HELD_ROWS).execute(statement):
        sound = content_hash(row.title, row.text, row.metadata) == row.hash
        yield _Checked(row.seq, row.key, row.id, sound, len(row.text))


def _wrong_spans(connection: Connection, generation_id: int, lengths: dict[int, int]) -> set[int]:
    """The documents that have a span which is empty or lies outside their text."""
    # The generation is compared here: in SQL it would tempt SQLite to read all of it for every batch.
    statement = select(Chunk.document_key, Chunk.generation_id, Chunk.start, Chunk.end)
    return {
        key
        for part in slices(lengths)
        for key, generation, start, end in connection.execute(statement.where(Chunk.document_key.in_(part)))
        if generation == generation_id and not 0 <= start < end <= lengths[key]
    }


def altered_codes(engine: Engine, codec: Codec, snapshot: VectorSnapshot) -> list[str]:
    """Codes that differ from those a snapshot was made of, which has checksums. The code of a key never
    changes: it does not matter which rows come and go meanwhile.
    """
    count = 0
    for first in range(0, len(snapshot.keys), BATCH_CODES):
        keys = np.asarray(snapshot.keys[first : first + BATCH_CODES])
        codes = np.ascontiguousarray(snapshot.codes[first : first + BATCH_CODES])
        expected = {key: code.tobytes() for key, code in zip(keys.tolist(), codes, strict=True)}
        statement = select(Code.key, Code.code).where(Code.key.between(int(keys[0]), int(keys[-1])))
        with reading(engine) as connection:
            rows = connection.execution_options(yield_per=BATCH_CODES).execute(statement)
            count += sum(key in expected and code != expected[key] for key, code in rows)
    return [f"catalog: {count} codes differ from the vector view made of them; {REMEDY}"] if count else []


def _said(what: str, ids: list[str]) -> list[str]:
    if not ids:
        return []
    named = ", ".join(map(repr, ids[:NAMED])) + (", …" if len(ids) > NAMED else "")
    return [f"catalog: documents {what} ({len(ids)}: {named}); {REMEDY}"]
