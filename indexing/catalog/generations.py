"""Rows of generations: making, describing, following the documents, dropping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from indexing.catalog.collections import now
from indexing.catalog.numbers import take_number
from indexing.catalog.schema import CODE_TABLES, Chunk, Generation, Removal, ServingRow

__all__ = [
    "BUILDING",
    "DROPPING",
    "FOLLOWING",
    "GenerationInfo",
    "create_generation",
    "delete_chunks",
    "delete_generation",
    "delete_servings",
    "generations_of",
    "mark_following",
    "pass_on",
    "read_generation",
    "set_codec",
    "set_followed",
    "set_source",
    "set_state",
]

BUILDING = "building"
FOLLOWING = "following"
DROPPING = "dropping"


@dataclass(frozen=True)
class GenerationInfo:
    """One row of `generation`, see there."""

    id: int
    model: str
    fingerprint: str
    dimension: int
    precision: str
    chunking: dict[str, Any]
    codec: str | None
    beside: dict[str, Any] | None
    clipped: int
    state: str
    followed_seq: int
    last_change: int
    purged_change: int
    created_at: str


def create_generation(
    connection: Connection,
    collection_id: int,
    *,
    model: str,
    fingerprint: str,
    dimension: int,
    precision: str,
    chunking: dict[str, Any],
    codec: str | None = None,
    beside: dict[str, Any] | None = None,
    state: str = BUILDING,
) -> int:
    """The id of the new generation, which has followed nothing yet."""
    values: dict[str, Any] = {
        "id": take_number(connection, Generation),
        "collection_id": collection_id,
        "model": model,
        "fingerprint": fingerprint,
        "dimension": dimension,
        "precision": precision,
        "chunking": chunking,
        "codec": codec,
        "beside": beside or None,
        "clipped": 0,
        "state": state,
        "followed_seq": 0,
        "last_change": 0,
        "purged_change": 0,
        "created_at": now(),
    }
    connection.execute(insert(Generation).values(values))
    return int(values["id"])


def read_generation(connection: Connection, generation_id: int) -> GenerationInfo | None:
    row = connection.execute(_select().where(Generation.id == generation_id)).first()
    return None if row is None else GenerationInfo(*row)


def generations_of(connection: Connection, collection_id: int) -> list[GenerationInfo]:
    """Every generation of the collection, the oldest first."""
    statement = _select().where(Generation.collection_id == collection_id).order_by(Generation.id)
    return [GenerationInfo(*row) for row in connection.execute(statement)]


def _select() -> Any:
    return select(*(getattr(Generation, name) for name in GenerationInfo.__dataclass_fields__))


def set_codec(connection: Connection, generation_id: int, codec: str) -> str:
    """Stores the calibrated codec and returns the one that counts: it is written once, codes depend on it."""
    generation = Generation.id == generation_id
    connection.execute(update(Generation).where(generation, Generation.codec.is_(None)).values(codec=codec))
    return str(connection.execute(select(Generation.codec).where(generation)).scalar_one())


def set_followed(connection: Connection, generation_id: int, before: int, seq: int, clipped: int = 0) -> None:
    """Every document that was changed up to `seq` has its chunks, if those up to `before` had; `clipped`
    values more were cut.
    """
    connection.execute(
        update(Generation)
        .where(Generation.id == generation_id, Generation.followed_seq == before)
        .values(followed_seq=seq, clipped=Generation.clipped + clipped)
    )


def mark_following(connection: Connection, generation_id: int) -> None:
    """It was served once: from here on every writer lets it follow, so that going back is one update."""
    set_state(connection, generation_id, FOLLOWING)


def set_state(connection: Connection, generation_id: int, state: str) -> None:
    connection.execute(update(Generation).where(Generation.id == generation_id).values(state=state))


def pass_on(connection: Connection, collection_id: int, before: int, after: int) -> None:
    """Lets every generation that had followed the log up to `before` pass changes that need no passages."""
    connection.execute(
        update(Generation)
        .where(Generation.collection_id == collection_id, Generation.followed_seq == before)
        .values(followed_seq=after)
    )


def set_source(connection: Connection, collection_id: int, fingerprint: str, model: str) -> int:
    """Records where the model of this fingerprint lies now; returns in how many generations."""
    statement = (
        update(Generation)
        .where(Generation.collection_id == collection_id, Generation.fingerprint == fingerprint)
        .values(model=model)
    )
    return connection.execute(statement).rowcount


def delete_chunks(connection: Connection, generation_id: int, limit: int) -> int:
    """Deletes up to `limit` chunks of a generation with their codes; returns how many."""
    keys = connection.scalars(
        select(Chunk.key).where(Chunk.generation_id == generation_id).limit(limit)
    ).all()
    if keys:
        between = (min(keys), max(keys))
        of_these = select(Chunk.key).where(Chunk.generation_id == generation_id, Chunk.key.between(*between))
        for table in CODE_TABLES.values():
            connection.execute(delete(table).where(table.c.key.in_(of_these)))
        connection.execute(
            delete(Chunk).where(Chunk.generation_id == generation_id, Chunk.key.between(*between))
        )
    return len(keys)


def delete_servings(connection: Connection, generation_id: int) -> None:
    """Deletes what serves a generation."""
    connection.execute(delete(ServingRow).where(ServingRow.generation_id == generation_id))


def delete_generation(connection: Connection, generation_id: int) -> None:
    """Deletes the row of a generation that has no chunks and no servings left, with its removals."""
    connection.execute(delete(Removal).where(Removal.generation_id == generation_id))
    connection.execute(delete(Generation).where(Generation.id == generation_id))
