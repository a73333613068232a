"""Forgetting what everything has followed, and giving the space back.

A deleted document leaves a mark in the log, and each of its passages a row that says when it ceased to be, so
that views can follow without comparing sets. Once the views on the disk have passed them, both are of no use.
A view that is older than what was forgotten is not used again; it is made anew from what there is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from indexing import faults
from indexing.catalog.database import map_errors, reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import generations_of
from indexing.catalog.reads import count_chunks
from indexing.catalog.schema import CollectionRow, DocumentRow, Generation, Removal
from indexing.errors import LockedError, StorageError
from indexing.session import Session
from indexing.storage.files import bytes_below
from indexing.views.manager import Views

__all__ = ["CompactReport", "compact", "compact_if_worth"]

logger = logging.getLogger(__name__)

# Below, rows cost less than looking at them; above, a tenth of what there is.
FEW_REMOVALS = 1_000
# The file is written anew when more than a third of it, and more than this, holds nothing.
FEW_BYTES = 1 << 20
# What is left is copied in some three seconds then, during which others cannot write; more waits for
# `compact`.
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class CompactReport:
    """Marks and removals that were forgotten, and bytes of catalog and views before and after."""

    purged_documents: int
    purged_chunks: int
    bytes_before: int
    bytes_after: int


def compact(session: Session, views: Views) -> CompactReport:
    """Publishes the views, forgets what they have passed, and gives the space back to the disk.

    Raises:
        LockedError: another process adds documents, or is writing the views or the catalog.
        DiskFull: a copy of what is left has no room.
    """
    with session.writing_documents():
        before = used_bytes(session)
        with session.lock:
            if not views.publish(session.live()):
                raise LockedError(
                    f"the index of collection {session.name!r} is being written by another process; run it"
                    " again"
                )
        documents, chunks = purge(session, views)
        faults.point("compact.before")
        give_space_back(session)
        faults.point("compact.after")
        return CompactReport(documents, chunks, before, used_bytes(session))


def compact_if_worth(session: Session, views: Views) -> None:
    """After documents were deleted or replaced: does what is worth its time, and leaves the rest. The caller
    holds the `documents` lock.
    """
    try:
        with reading(session.database) as connection:
            live = session.live_in(connection, session.row(connection))
            removals = _count_removals(connection, live.generation.id)
            # Counting takes some twenty milliseconds for a million: not after every document.
            few = removals <= FEW_REMOVALS or removals <= count_chunks(connection, live.generation.id) // 10
        if not few:
            purge(session, views)
        with reading(session.database) as connection:
            free, whole = dialect_of(connection).free_bytes(connection)
        if free > max(FEW_BYTES, whole // 3) and whole - free <= MOST_BYTES:
            give_space_back(session)
    except (LockedError, StorageError) as error:
        logger.debug("not compacted now: %s", error)


def purge(session: Session, views: Views) -> tuple[int, int]:
    """Forgets what the views on the disk have passed; returns marks of documents and removals of chunks.

    The caller holds the `documents` lock: one who adds may have read the mark of a document that it is about
    to bring back.
    """
    live = session.live()
    seq, changes = views.followed(live)
    faults.point("purge.before")
    with writing(session.database) as connection:
        state = session.row(connection)
        passed = (
            DocumentRow.collection_id == session.id,
            DocumentRow.deleted,
            DocumentRow.seq <= (seq := min(seq, state.last_seq)),
        )
        documents = connection.execute(delete(DocumentRow).where(*passed)).rowcount
        chunks = sum(
            _purge_removals(connection, generation.id, changes.get(generation.id, generation.last_change))
            for generation in generations_of(connection, session.id)
        )
        if documents or chunks:
            connection.execute(
                update(CollectionRow)
                .where(CollectionRow.id == session.id)
                .values(purged_seq=max(seq, state.purged_seq), epoch=CollectionRow.epoch + 1)
            )
        faults.point("purge.inside")
    faults.point("purge.after")
    if chunks:
        views.remove_other_engines(live)
    return documents, chunks


def _purge_removals(connection: Connection, generation_id: int, change: int) -> int:
    """Of a generation; one that no view follows yet needs none of them."""
    passed = (Removal.generation_id == generation_id, Removal.change <= change)
    count = connection.execute(delete(Removal).where(*passed)).rowcount
    if count:
        connection.execute(
            update(Generation).where(Generation.id == generation_id).values(purged_change=change)
        )
    return count


def _count_removals(connection: Connection, generation_id: int) -> int:
    return connection.scalar(select(func.count()).where(Removal.generation_id == generation_id)) or 0


def give_space_back(session: Session) -> None:
    """Writes the catalog anew without what is free in it."""
    with reading(session.database) as connection:
        free, whole = dialect_of(connection).free_bytes(connection)
    dialect_of(session.database).require_space(session.place.catalog, 2 * (whole - free))
    with map_errors(session.database):
        dialect_of(session.database).vacuum(session.database)


def used_bytes(session: Session) -> int:
    """Bytes of the catalog and the views on the disk."""
    catalog = dialect_of(session.database).file_bytes(session.database, session.place.catalog)
    return catalog + bytes_below(session.place.views)
