"""Collections: creating, finding, describing, dropping."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from indexing.catalog.schema import (
    CODE_TABLES,
    Artifact,
    Chunk,
    CollectionRow,
    Denial,
    DocumentRow,
    Erasure,
    FileRow,
    Generation,
    Load,
    LoadPiece,
    LoadShard,
    Promotion,
    Removal,
    Renamed,
    ServingRow,
    SourceRow,
)

__all__ = [
    "CollectionState",
    "collection_names",
    "create_collection",
    "drop_collection",
    "drop_loads",
    "find_collection",
    "now",
    "read_state",
]


@dataclass(frozen=True)
class CollectionState:
    """What a reader compares before each search to see whether anything changed."""

    id: int
    name: str
    uuid: str
    last_seq: int
    epoch: int
    purged_seq: int
    live_serving: int
    trial_serving: int | None


def now() -> str:
    """The present time as the catalog stores it: UTC, ISO 8601, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def collection_names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(CollectionRow.name).order_by(CollectionRow.name)))


def create_collection(connection: Connection, name: str) -> int:
    """The id of the new collection; nothing is served yet."""
    row = {
        "name": name,
        "uuid": uuid.uuid4().hex,
        "last_seq": 0,
        "epoch": 0,
        "purged_seq": 0,
        "created_at": now(),
    }
    connection.execute(insert(CollectionRow), row)
    return connection.execute(select(CollectionRow.id).where(CollectionRow.name == name)).scalar_one()


def find_collection(connection: Connection, name: str) -> CollectionState | None:
    return _state(connection, CollectionRow.name == name)


def read_state(connection: Connection, collection_id: int) -> CollectionState | None:
    return _state(connection, CollectionRow.id == collection_id)


def _state(connection: Connection, condition: Any) -> CollectionState | None:
    columns = [getattr(CollectionRow, name) for name in CollectionState.__dataclass_fields__]
    row = connection.execute(select(*columns).where(condition)).first()
    return None if row is None else CollectionState(*row)


def drop_loads(connection: Connection, collection_id: int, load_id: int | None = None) -> None:
    """Deletes a bulk load with its plan, or all that there are; what they have stored stays."""
    loads = select(Load.id).where(Load.collection_id == collection_id)
    if load_id is not None:
        loads = loads.where(Load.id == load_id)
    shards = select(LoadShard.id).where(LoadShard.load_id.in_(loads))
    connection.execute(delete(LoadPiece).where(LoadPiece.shard_id.in_(shards)))
    connection.execute(delete(LoadShard).where(LoadShard.load_id.in_(loads)))
    connection.execute(delete(Load).where(Load.id.in_(loads)))


def drop_collection(connection: Connection, collection_id: int) -> None:
    """Deletes every row of the collection."""
    generations = select(Generation.id).where(Generation.collection_id == collection_id)
    chunks = select(Chunk.key).where(Chunk.generation_id.in_(generations))
    for codes in CODE_TABLES.values():
        connection.execute(delete(codes).where(codes.c.key.in_(chunks)))
    connection.execute(delete(Chunk).where(Chunk.generation_id.in_(generations)))
    connection.execute(delete(Removal).where(Removal.generation_id.in_(generations)))
    sources = select(SourceRow.id).where(SourceRow.collection_id == collection_id)
    connection.execute(delete(FileRow).where(FileRow.source_id.in_(sources)))
    drop_loads(connection, collection_id)
    for table in (
        Denial,
        Erasure,
        Renamed,
        SourceRow,
        DocumentRow,
        ServingRow,
        Artifact,
        Promotion,
        Generation,
    ):
        connection.execute(delete(table).where(table.collection_id == collection_id))
    connection.execute(delete(CollectionRow).where(CollectionRow.id == collection_id))
