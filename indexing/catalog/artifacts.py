"""Bytes that servings have learned, kept under their hash: durable with the rows that name them."""

from __future__ import annotations

import hashlib

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from indexing.catalog.collections import now
from indexing.catalog.schema import Artifact
from indexing.catalog.servings import servings_of
from indexing.errors import StorageError

__all__ = ["artifact_problems", "delete_unused_artifacts", "keep_date", "read_artifact", "store_artifact"]


def store_artifact(connection: Connection, collection_id: int, kind: str, data: bytes) -> str:
    """The fingerprint of `data`, which is stored unless it is there."""
    fingerprint = hashlib.sha256(data).hexdigest()
    if connection.scalar(select(Artifact.kind).where(_is(collection_id, fingerprint))) is None:
        row = {"collection_id": collection_id, "fingerprint": fingerprint, "kind": kind, "data": data}
        connection.execute(insert(Artifact).values(**row, created_at=now()))
    return fingerprint


def read_artifact(connection: Connection, collection_id: int, fingerprint: str) -> bytes:
    """
    Raises:
        StorageError: it is gone, or is not what was stored.
    """
    data = connection.scalar(select(Artifact.data).where(_is(collection_id, fingerprint)))
    if data is None or hashlib.sha256(data).hexdigest() != fingerprint:
        what = "is missing from" if data is None else "was altered in"
        raise StorageError(
            f"what a serving has learned ({fingerprint[:12]!r}) {what} the catalog: restore it from a backup,"
            " or promote another serving"
        )
    return bytes(data)


def keep_date(connection: Connection, collection_id: int, fingerprint: str, of: str) -> None:
    """Dates an artifact as the one that it was made from: renames since then still count for it."""
    made = connection.scalar(select(Artifact.created_at).where(_is(collection_id, of)))
    if made is not None:
        connection.execute(update(Artifact).where(_is(collection_id, fingerprint)).values(created_at=made))


def artifact_problems(connection: Connection, collection_id: int) -> list[str]:
    """What is wrong with what the servings of a collection name; empty if nothing."""
    problems = []
    for fingerprint in sorted(_named(connection, collection_id)):
        try:
            read_artifact(connection, collection_id, fingerprint)
        except StorageError as error:
            problems.append(f"catalog: {error}")
    return problems


def delete_unused_artifacts(connection: Connection, collection_id: int) -> None:
    """Deletes what no serving names any more."""
    unused = Artifact.fingerprint.not_in(_named(connection, collection_id))
    connection.execute(delete(Artifact).where(Artifact.collection_id == collection_id, unused))


def _named(connection: Connection, collection_id: int) -> set[str]:
    named = [part for one in servings_of(connection, collection_id) for part in (one.query_model, one.memory)]
    return {str(part.get("artifact")) for part in named if part is not None}


def _is(collection_id: int, fingerprint: str) -> ColumnElement[bool]:
    return and_(Artifact.collection_id == collection_id, Artifact.fingerprint == fingerprint)
