"""Collections and generations: creating, finding, describing, dropping."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from indexing.catalog.schema import Chunk, Code, CollectionRow, DocumentRow, Generation, Removal

__all__ = [
    "CollectionState",
    "GenerationInfo",
    "collection_names",
    "create_collection",
    "create_generation",
    "drop_collection",
    "find_collection",
    "read_generation",
    "read_state",
    "set_codec",
]


@dataclass(frozen=True)
class CollectionState:
    """What a reader compares before each search to see whether anything changed."""

    id: int
    name: str
    uuid: str
    last_seq: int
    epoch: int
    live_generation: int


@dataclass(frozen=True)
class GenerationInfo:
    """One row of `generation`."""

    id: int
    model: str
    fingerprint: str
    dimension: int
    precision: str
    engine: str
    chunking: dict[str, Any]
    codec: str | None
    clipped: int


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def collection_names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(CollectionRow.name).order_by(CollectionRow.name)))


def create_collection(connection: Connection, name: str) -> int:
    """The id of the new collection; it has no generation yet."""
    row = {"name": name, "uuid": uuid.uuid4().hex, "last_seq": 0, "epoch": 0, "created_at": _now()}
    connection.execute(insert(CollectionRow), row)
    return connection.execute(select(CollectionRow.id).where(CollectionRow.name == name)).scalar_one()


def create_generation(
    connection: Connection,
    collection_id: int,
    *,
    model: str,
    fingerprint: str,
    dimension: int,
    precision: str,
    engine: str,
    chunking: dict[str, Any],
) -> int:
    """The id of the new generation, which becomes the live one."""
    values = {
        "collection_id": collection_id,
        "model": model,
        "fingerprint": fingerprint,
        "dimension": dimension,
        "precision": precision,
        "engine": engine,
        "chunking": chunking,
        "clipped": 0,
        "created_at": _now(),
    }
    result = connection.execute(insert(Generation).values(values))
    generation = int(result.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
    connection.execute(
        update(CollectionRow).where(CollectionRow.id == collection_id).values(live_generation=generation)
    )
    return generation


def find_collection(connection: Connection, name: str) -> CollectionState | None:
    return _state(connection, CollectionRow.name == name)


def read_state(connection: Connection, collection_id: int) -> CollectionState | None:
    return _state(connection, CollectionRow.id == collection_id)


def _state(connection: Connection, condition: Any) -> CollectionState | None:
    columns = (
        CollectionRow.id,
        CollectionRow.name,
        CollectionRow.uuid,
        CollectionRow.last_seq,
        CollectionRow.epoch,
        CollectionRow.live_generation,
    )
    row = connection.execute(select(*columns).where(condition)).first()
    return None if row is None else CollectionState(*row)  # type: ignore[arg-type]  # live once created


def read_generation(connection: Connection, generation_id: int) -> GenerationInfo:
    columns = [getattr(Generation, name) for name in GenerationInfo.__dataclass_fields__]
    return GenerationInfo(*connection.execute(select(*columns).where(Generation.id == generation_id)).one())


def set_codec(connection: Connection, generation_id: int, codec: str) -> None:
    """Stores the calibrated codec. It is written once: codes already stored depend on it."""
    connection.execute(
        update(Generation)
        .where(Generation.id == generation_id, Generation.codec.is_(None))
        .values(codec=codec)
    )


def drop_collection(connection: Connection, collection_id: int) -> None:
    """Deletes every row of the collection."""
    generations = select(Generation.id).where(Generation.collection_id == collection_id)
    chunks = select(Chunk.key).where(Chunk.generation_id.in_(generations))
    connection.execute(delete(Code).where(Code.key.in_(chunks)))
    connection.execute(delete(Chunk).where(Chunk.generation_id.in_(generations)))
    connection.execute(delete(Removal).where(Removal.generation_id.in_(generations)))
    connection.execute(delete(DocumentRow).where(DocumentRow.collection_id == collection_id))
    connection.execute(delete(Generation).where(Generation.collection_id == collection_id))
    connection.execute(delete(CollectionRow).where(CollectionRow.id == collection_id))
