"""Documents that were erased, and are back with a backup that is older than their erasure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, select

from indexing.catalog.collections import CollectionState, find_collection
from indexing.catalog.database import open_database, reading
from indexing.catalog.denials import Denials, read_denials
from indexing.catalog.schema import DocumentRow
from indexing.errors import IndexingError
from indexing.storage.paths import Place

__all__ = ["find_back", "read_erased"]

_BATCH = 2_000


def read_erased(place: Place) -> tuple[str, Denials] | None:
    """The uuid of the collection that is there, and the digests of what was erased from it; None where there
    is none, where it cannot be read, or where nothing was erased.
    """
    with suppress(IndexingError), _found(place) as (connection, state):
        denials = None if state is None else read_denials(connection, state.id)
        return None if state is None or denials is None else (state.uuid, denials)
    return None


def find_back(place: Place, denials: Denials) -> list[str]:
    """Ids of documents of a collection that are denied, by their ids or by their texts.

    Raises:
        StorageError: the catalog cannot be read.
    """
    back: list[str] = []
    with _found(place) as (connection, state):
        last = -1
        while state is not None:
            rows = connection.execute(
                select(DocumentRow.seq, DocumentRow.id, DocumentRow.text)
                .where(DocumentRow.collection_id == state.id, DocumentRow.seq > last, ~DocumentRow.deleted)
                .order_by(DocumentRow.seq)
                .limit(_BATCH)
            ).all()
            if not rows:
                break
            denied = (denials.by_id(id_) or denials.by_text(text) for _, id_, text in rows)
            back += [row.id for row, erasure in zip(rows, denied, strict=True) if erasure is not None]
            last = rows[-1].seq
    return back


@contextmanager
def _found(place: Place) -> Iterator[tuple[Connection, CollectionState | None]]:
    engine = open_database(place.catalog)
    try:
        with reading(engine) as connection:
            yield connection, find_collection(connection, place.name)
    finally:
        engine.dispose()
