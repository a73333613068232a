"""A collection as it is at one moment, read from its catalog, which is not written to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

from indexing.catalog import sqlite
from indexing.catalog.collections import CollectionState, collection_names, find_collection
from indexing.catalog.database import map_errors, open_database, reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.migrate import HEAD, ensure_schema, known_revision
from indexing.catalog.reads import count_documents
from indexing.catalog.transfer import TransferProgress, copy_rows, reserve_numbers
from indexing.errors import StorageError, UnknownCollection
from indexing.opening import open_catalog
from indexing.storage.files import disk_errors, fsync_file, require_space
from indexing.storage.paths import Home, Place, collection_place

__all__ = ["describe_one", "find_one", "let_go", "snapshot", "source_of", "write_alone"]


@contextmanager
def source_of(name: str, home: Home = None, db: str | None = None) -> Iterator[tuple[Engine, Place]]:
    """The catalog of a collection, which is only read.

    Raises:
        UnknownCollection: there is none.
        StorageError: its schema is another release's: nothing is upgraded here.
    """
    place = collection_place(name, home, db)
    if not dialect_of(place.catalog).exists(place.catalog):
        raise UnknownCollection(f"no collection {name!r}: there is no catalog at {place.catalog}")
    with open_catalog(place) as database:
        revision = known_revision(database)
        if revision != HEAD:
            raise StorageError(
                f"{place.catalog} has schema {revision}, older than this release's ({HEAD}), and a copy only"
                f" reads it: `stlib info {name}` upgrades it"
            )
        describe_one(database, name)
        yield database, place
        let_go(database)


def let_go(database: Engine) -> None:
    """Closes what was opened for a while. The connections to a server are those of the whole process."""
    if database.dialect.name == "sqlite":
        database.dispose()


def find_one(connection: Connection, name: str) -> CollectionState:
    """The row of a collection. Raises UnknownCollection, which names those there are."""
    found = find_collection(connection, name)
    if found is None:
        there = ", ".join(collection_names(connection)) or "none"
        raise UnknownCollection(f"no collection {name!r} there; there are: {there}")
    return found


def describe_one(database: Engine, name: str) -> tuple[CollectionState, int]:
    """A collection's row, and how many documents it has.

    Raises:
        UnknownCollection: there is none.
    """
    with reading(database) as connection:
        state = find_one(connection, name)
        return state, count_documents(connection, state.id)


def snapshot(source: Engine, place: Place, target: Path, progress: TransferProgress | None = None) -> None:
    """Writes the new file `target`: a catalog that holds the collection of `place` alone, as it is at one
    moment. Pages are copied where nothing else lies in the catalog, rows from one that others are in. It may
    not be on the disk yet.

    Raises:
        UnknownCollection: there is none.
        DiskFull: no room.
    """
    with reading(source) as connection:
        find_one(connection, place.name)
        alone = collection_names(connection) == [place.name]
    if not alone or not isinstance(place.catalog, Path):
        write_alone(source, place.name, target, progress)
        return
    require_space(target, sqlite.file_bytes(source, place.catalog))
    with map_errors(source), disk_errors(target):
        sqlite.copy_pages(source, target, progress)


def write_alone(
    source: Engine, name: str, target: Path, progress: TransferProgress | None = None
) -> Mapping[str, int]:
    """The same, row by row, each compared with what was read; returns how many there are of each table."""
    made = open_database(target, create=True)
    try:
        ensure_schema(made)
        with reading(source) as connection, writing(made) as writer:
            numbers = reserve_numbers(connection, find_one(connection, name).id, writer)
            rows = copy_rows(connection, name, writer, numbers, progress=progress).rows
    finally:
        made.dispose()  # the last connection brings its log into the file
    with disk_errors(target):
        fsync_file(target)
    return rows
