"""Locks of writers, held for longer than a transaction: in a folder, or by a database server."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import Engine

from indexing.catalog.postgres import WriterLock
from indexing.storage.files import FolderLock
from indexing.storage.paths import Place, ServerDatabase

__all__ = ["Lock", "writer_lock"]

Lock: TypeAlias = "FolderLock | WriterLock"
"""Taken by `acquire` or `with`, without waiting: LockedError names who holds it."""


def writer_lock(database: Engine | None, place: Place, name: str, what: str) -> Lock:
    """The lock `name` of a collection, for all processes, and all hosts where the database is a server's.
    `what` it protects, as a person calls it. A lock in a folder needs no database.
    """
    if isinstance(place.catalog, ServerDatabase):
        assert database is not None
        return WriterLock(database, f"{place.name}:{name}", what)
    return FolderLock(place.locks, f"{name}.lock", what)
