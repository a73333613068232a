"""Rows of the catalog against each other: what belongs together is there, and nothing else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from indexing.catalog.collections import CollectionState
from indexing.catalog.generations import DROPPING, GenerationInfo
from indexing.catalog.loads import DONE, SHARD_STATES
from indexing.catalog.schema import (
    Chunk,
    Code,
    Counter,
    DocumentRow,
    Load,
    LoadPiece,
    LoadShard,
    Removal,
)
from indexing.errors import BadInput
from indexing.served import check_generation
from indexing.upkeep.beside import missing_codes, model_problems

__all__ = ["document_problems", "generation_problems", "key_problems", "load_problems"]


def document_problems(connection: Connection, state: CollectionState) -> list[str]:
    """What is wrong with the log; empty if nothing."""
    of = DocumentRow.collection_id == state.id
    twice = select(DocumentRow.seq).where(of).group_by(DocumentRow.seq).having(func.count() > 1).subquery()
    return _count(
        connection,
        [
            (
                "documents with a sequence number beyond the collection's",
                _documents().where(of, DocumentRow.seq > state.last_seq),
            ),
            ("sequence numbers of several documents", select(func.count()).select_from(twice)),
        ],
    )


def generation_problems(
    connection: Connection, state: CollectionState, generation: GenerationInfo
) -> list[str]:
    """What is wrong with the passages of a generation; empty if nothing."""
    if generation.state == DROPPING:
        return []
    try:
        codec = check_generation(generation)
    except BadInput as error:
        return [f"catalog: {error}"]
    if problems := model_problems(generation):
        return problems
    width = 0 if codec is None else codec.code_bytes
    live = (DocumentRow.collection_id == state.id, ~DocumentRow.deleted)
    chunk_of = Chunk.generation_id == generation.id
    has_chunk = select(Chunk.key).where(Chunk.document_key == DocumentRow.key, chunk_of).exists()
    document = select(DocumentRow.key).where(DocumentRow.key == Chunk.document_key, *live).exists()
    code = select(Code.key).where(Code.key == Chunk.key, func.length(Code.code) == width).exists()
    beyond = f"of a change beyond the last of generation {generation.id}"
    return missing_codes(connection, generation) + _count(
        connection,
        [
            (
                "documents without a chunk",
                _documents().where(*live, DocumentRow.seq <= generation.followed_seq, ~has_chunk),
            ),
            ("chunks without a document", _chunks().where(chunk_of, ~document)),
            (f"chunks without a code of {width} bytes", _chunks().where(chunk_of, ~code)),
            (f"chunks {beyond}", _chunks().where(chunk_of, Chunk.change > generation.last_change)),
            (
                f"removals {beyond}",
                select(func.count())
                .select_from(Removal)
                .where(Removal.generation_id == generation.id, Removal.change > generation.last_change),
            ),
        ],
    )


def load_problems(connection: Connection, collection_id: int) -> list[str]:
    """What is wrong with the plans of bulk loads, so that one might leave something out; empty if nothing."""
    mine = (Load.collection_id == collection_id, LoadShard.load_id == Load.id)
    parts = select(func.count()).select_from(LoadShard).join(Load, Load.id == LoadShard.load_id).where(*mine)
    twice = parts.join(LoadPiece, LoadPiece.shard_id == LoadShard.id)
    not_whole = or_(LoadShard.pieces.is_(None), LoadShard.stored != LoadShard.pieces)
    return _count(
        connection,
        [
            (
                "parts of bulk loads that are done without all of their pieces",
                parts.where(LoadShard.state == DONE, not_whole),
            ),
            ("parts of bulk loads in no known state", parts.where(LoadShard.state.not_in(SHARD_STATES))),
            ("pieces of bulk loads counted twice", twice.where(LoadPiece.number < LoadShard.stored)),
        ],
    )


def key_problems(connection: Connection) -> list[str]:
    """Keys are handed out once: the counters must not be behind them."""
    problems = []
    for kind, table in (("document", DocumentRow), ("chunk", Chunk)):
        last = connection.scalar(select(Counter.last).where(Counter.kind == kind))
        largest = connection.scalar(select(func.max(table.key))) or 0
        if last is None or last < largest:
            problems.append(f"catalog: the counter of {kind} keys is {last}, and {largest} is in use")
    return problems


def _documents() -> Select[Any]:
    return select(func.count()).select_from(DocumentRow)


def _chunks() -> Select[Any]:
    return select(func.count()).select_from(Chunk)


def _count(connection: Connection, checks: list[tuple[str, Select[Any]]]) -> list[str]:
    return [
        f"catalog: {count} {what}" for what, statement in checks if (count := connection.scalar(statement))
    ]
