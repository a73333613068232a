"""Deleting documents and changing their metadata: changes that embed nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from indexing import faults
from indexing.catalog.database import writing
from indexing.catalog.generations import pass_on
from indexing.catalog.hashing import hash_metadata
from indexing.catalog.log import change_metadata, known_documents, mark_deleted
from indexing.documents import Document
from indexing.documents.model import check_ids
from indexing.errors import BadInput
from indexing.session import Session
from indexing.writing.batch import metadata_json

__all__ = ["delete_documents", "update_metadata"]

BATCH = 5_000


def delete_documents(session: Session, ids: Iterable[str]) -> list[str]:
    """Deletes documents, some thousand per transaction; returns the ids that existed. The caller holds the
    `documents` lock.

    Raises:
        BadInput: an id that is no string; nothing was deleted.
    """
    wanted = iter(dict.fromkeys(check_ids(ids, numbers=True)))
    gone: list[str] = []
    while batch := list(islice(wanted, BATCH)):
        with writing(session.database) as connection:
            before = session.row(connection).last_seq
            gone += mark_deleted(connection, session.id, batch)
            _pass_on(session, connection, before)
            faults.point("delete.inside")
        faults.point("delete.after")
    return gone


def update_metadata(session: Session, metadata: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Replaces the metadata of documents by id, without embedding anything. Returns the ids that exist, those
    whose metadata was the same already among them.

    Raises:
        BadInput: an id or metadata that a document cannot have; nothing was changed.
    """
    if not isinstance(metadata, Mapping):
        raise BadInput(f"metadata is a {type(metadata).__name__}: give a dict, {{id: {{field: value}}}}")
    check_ids(metadata)
    rows = {id_: metadata_json(_check_metadata(id_, values)) for id_, values in metadata.items()}
    found: list[str] = []
    wanted = iter(rows)
    while batch := list(islice(wanted, BATCH)):
        with writing(session.database) as connection:
            before = session.row(connection).last_seq
            known = known_documents(connection, session.id, batch)
            live = {id_: row for id_, row in known.items() if not row.deleted}
            changes = {
                row.key: (rows[id_], hash_metadata(id_, rows[id_]))
                for id_, row in live.items()
                if row.metadata_hash != hash_metadata(id_, rows[id_])
            }
            change_metadata(connection, session.id, changes)
            _pass_on(session, connection, before)
        found += live
    return found


def _pass_on(session: Session, connection: Connection, before: int) -> None:
    pass_on(connection, session.id, before, session.row(connection).last_seq)


def _check_metadata(id_: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(metadata, Mapping):
        raise BadInput(f"metadata of {id_!r} is a {type(metadata).__name__}: give a dict of fields")
    return Document.from_any({"id": id_, "text": "-", "metadata": metadata}).metadata
