"""A collection in another place: with its generations and their codes, servings, artifacts, sources, history.

Everything is copied or nothing. In a home the copy is made beside its place and moved there when it is whole;
into a database that others are in, it is one transaction. The source is only read, as it is at one moment.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, Engine, select, update

from indexing import faults
from indexing.catalog import sqlite
from indexing.catalog.collections import CollectionState, collection_names, drop_collection, find_collection
from indexing.catalog.database import map_errors, open_database, reading, writing
from indexing.catalog.migrate import HEAD, ensure_schema, known_revision
from indexing.catalog.reads import count_documents
from indexing.catalog.schema import CollectionRow
from indexing.catalog.transfer import Numbers, TransferProgress, copy_rows, reserve_numbers
from indexing.errors import BadInput, IndexingError, StorageError, UnknownCollection
from indexing.opening import already_exists, creation_lock, open_catalog
from indexing.storage.files import (
    FolderLock,
    disk_errors,
    exchange,
    fsync_file,
    fsync_folder,
    remove,
    require_space,
    temporary_beside,
)
from indexing.storage.paths import CATALOG_FILE, Home, Place, catalogs_in, collection_place

__all__ = [
    "BeforeItIsThere",
    "Copy",
    "copy_collection",
    "copy_into",
    "describe_one",
    "install",
    "only_collection",
    "snapshot",
    "source_of",
]


@dataclass(frozen=True)
class Copy:
    """A collection that is about to be, or is, in its new place.

    Attributes:
        uuid, original_uuid: the same, unless the place has a collection of that uuid.
        numbers: by how much its numbers are larger than those of the original.
        folder: of its files; nobody looks at it before the copy is there.
        rows: of each table, as they were compared; none where a catalog was taken as it is.
        replaced: uuid of the collection that was there under its name; None if there was none.
    """

    name: str
    uuid: str
    original_uuid: str
    documents: int
    numbers: Numbers
    folder: Path
    rows: Mapping[str, int] = field(default_factory=dict)
    replaced: str | None = None


BeforeItIsThere: TypeAlias = Callable[[Copy], None]
"""Called at the last moment before the copy is there, for what must be there by then."""


@contextmanager
def source_of(name: str, home: Home = None, db: str | None = None) -> Iterator[tuple[Engine, Place]]:
    """The catalog of a collection, which is only read.

    Raises:
        UnknownCollection: there is none.
        StorageError: its schema is another release's: nothing is upgraded here.
    """
    place = collection_place(name, home, db)
    if not sqlite.exists(place.catalog):
        raise UnknownCollection(f"no collection {name!r}: there is no catalog at {place.catalog}")
    with open_catalog(place.catalog) as database:
        revision = known_revision(database)
        if revision != HEAD:
            raise StorageError(
                f"{place.catalog} has schema {revision}, older than this release's ({HEAD}), and a copy only"
                f" reads it: `stlib info {name}` upgrades it"
            )
        with reading(database) as connection:
            _find(connection, name)
        yield database, place
        database.dispose()


def _find(connection: Connection, name: str) -> CollectionState:
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
        state = _find(connection, name)
        return state, count_documents(connection, state.id)


def snapshot(source: Engine, name: str, target: Path, progress: TransferProgress | None = None) -> None:
    """Writes the new file `target`: a catalog that holds this collection alone, as it is at one moment. Pages
    are copied where nothing else lies in the catalog, rows where other collections do.

    Raises:
        UnknownCollection: there is none.
        DiskFull: no room.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with reading(source) as connection:
        _find(connection, name)
        alone = sqlite.is_file(source) and len(collection_names(connection)) == 1
    if not alone:
        _write_alone(source, name, target, progress)
        return
    require_space(target, sqlite.file_bytes(Path(source.url.database or "")))
    with map_errors(source), disk_errors(target):
        sqlite.copy_pages(source, target, progress)


def _write_alone(
    source: Engine, name: str, target: Path, progress: TransferProgress | None
) -> Mapping[str, int]:
    """Row by row; returns how many of each table."""
    made = open_database(target, create=True)
    try:
        ensure_schema(made)
        with reading(source) as connection, writing(made) as writer:
            numbers = reserve_numbers(connection, _find(connection, name).id, writer)
            rows = copy_rows(connection, name, writer, numbers, progress=progress).rows
    finally:
        made.dispose()  # the last connection brings its log into the file
    with disk_errors(target):
        fsync_file(target)
    return rows


def copy_collection(
    name: str,
    *,
    home: Home = None,
    db: str | None = None,
    to_home: Home = None,
    to_db: str | None = None,
    new_name: str | None = None,
    replace: bool = False,
    before: BeforeItIsThere | None = None,
    progress: TransferProgress | None = None,
) -> Copy:
    """Copies a collection to another home or database, row by row, and compares what is there with what was
    read. Views are not copied: they are made anew there.

    Raises:
        UnknownCollection: there is none.
        CollectionExists: there is one of that name, and `replace` is False.
        LockedError: somebody adds documents to the one that is to be replaced.
        DiskFull, StorageError: it could not be written; nothing was.
    """
    target = collection_place(new_name or name, to_home, to_db)
    with source_of(name, home, db) as (source, place):
        if place == target:
            raise BadInput(f"collection {name!r} would be copied to where it is: give another place or name")
        if target.shared_catalog:
            return copy_into(source, name, target, replace=replace, before=before, progress=progress)

        rows: dict[str, int] = {}

        def prepare(file: Path) -> None:
            rows.update(_write_alone(source, name, file, progress))

        copy = install(prepare, target, replace=replace, before=before)
        return changed(copy, rows=rows)


def install(
    prepare: Callable[[Path], None],
    place: Place,
    *,
    replace: bool = False,
    before: BeforeItIsThere | None = None,
) -> Copy:
    """Makes a collection of a home from a catalog that `prepare` writes to the file it gets. It holds one
    collection alone, of this release or an older one.

    Raises: see `copy_collection`.
    """
    _refuse(place, replace)
    # Held from the start: what somebody added to the one that gives way would be lost without a word.
    with creation_lock(place):
        replaced = _refuse(place, replace)
        _remove_leftovers(place)
        temporary = temporary_beside(place.folder)
        try:
            with disk_errors(temporary):
                temporary.mkdir(parents=True)
            prepare(temporary / CATALOG_FILE)
            copy = _adopt(temporary, place, replaced)
            if before:
                before(copy)
            faults.point("copy.before")
            with disk_errors(place.folder):
                fsync_folder(temporary)
                exchange(temporary, place.folder)
                fsync_folder(place.folder.parent)
            faults.point("copy.after")
            return copy
        finally:
            remove(temporary)  # or what was there before


def _remove_leftovers(place: Place) -> None:
    """Removes what was left by those who made this collection and were killed."""
    mine = re.compile(rf"\.tmp-{re.escape(place.name)}-\d+-[0-9a-f]+")
    with disk_errors(place.folder):
        for path in list(place.folder.parent.iterdir()):
            if mine.fullmatch(path.name):
                remove(path)


def only_collection(database: Engine) -> str:
    """The name of the one collection of a catalog that came from elsewhere, which is brought to the schema of
    this release.

    Raises:
        StorageError: it holds none or several, or what no catalog holds, or is of a newer release.
    """
    with reading(database) as connection:
        if foreign := sqlite.find_foreign(connection):  # before any statement that it could act on
            raise StorageError(
                f"the catalog holds {foreign[0]}, which no collection has: nothing of it is used"
            )
    ensure_schema(database)
    with reading(database) as connection:
        names = collection_names(connection)
    if len(names) != 1:
        raise StorageError(f"{len(names)} collections are in a catalog that should hold one")
    return names[0]


def _refuse(place: Place, replace: bool) -> CollectionState | None:
    """What is there under the name of the copy, if it may be replaced.

    Raises:
        CollectionExists: it may not.
    """
    if not sqlite.exists(place.catalog):
        return None
    with open_catalog(place.catalog) as database:
        there = None
        if known_revision(database) is not None:
            with reading(database) as connection:
                if place.name in collection_names(connection):
                    if not replace:
                        raise already_exists(place)
                    there = find_collection(connection, place.name)
        database.dispose()
    return there


def _adopt(folder: Path, place: Place, replaced: CollectionState | None) -> Copy:
    """Gives the one collection of a catalog the name of its new place, and a uuid that is free there."""
    catalog = folder / CATALOG_FILE
    with open_catalog(catalog) as database:
        name = only_collection(database)
        with writing(database) as connection:
            found = _find(connection, name)
            uuid = _free_uuid(found.uuid, place, _uuids_beside(place))
            epoch = max(found.epoch, -1 if replaced is None else replaced.epoch) + 1
            _rename(connection, found.id, place.name, uuid, epoch)
            documents = count_documents(connection, found.id)
        database.dispose()
    with disk_errors(catalog):
        fsync_file(catalog)
    old = None if replaced is None else replaced.uuid
    return Copy(place.name, uuid, found.uuid, documents, Numbers(), folder, replaced=old)


def copy_into(
    source: Engine,
    name: str,
    place: Place,
    *,
    replace: bool = False,
    before: BeforeItIsThere | None = None,
    progress: TransferProgress | None = None,
) -> Copy:
    """Copies a collection into a database that others may be in, in one transaction.

    Raises: see `copy_collection`.
    """
    _refuse(place, replace)
    # Nobody publishes views of what was there until they are gone and the copy is in its place.
    views_lock = FolderLock(place.locks, "views.lock", f"the index of collection {place.name!r}")
    with creation_lock(place), views_lock, open_catalog(place.catalog, create=True) as target:
        ensure_schema(target)
        with reading(source) as connection:
            found = _find(connection, name)
            with writing(target) as writer:
                numbers = reserve_numbers(connection, found.id, writer)
            faults.point("copy.reserved")
            with writing(target) as writer:
                replaced = _make_room(writer, place, replace)
                uuid = _free_uuid(found.uuid, place, _uuids_in(writer))
                made = copy_rows(
                    connection, name, writer, numbers, new_name=place.name, new_uuid=uuid, progress=progress
                )
                epoch = max(found.epoch, -1 if replaced is None else replaced.epoch) + 1
                _rename(writer, made.collection_id, place.name, uuid, epoch)
                documents = count_documents(writer, made.collection_id)
                old = None if replaced is None else replaced.uuid
                copy = Copy(
                    place.name, uuid, found.uuid, documents, made.numbers, place.folder, made.rows, old
                )
                remove(place.views)
                if before:
                    before(copy)
                faults.point("copy.before")
        faults.point("copy.after")
        target.dispose()
        return copy


def _make_room(writer: Connection, place: Place, replace: bool) -> CollectionState | None:
    """Deletes what is there under the name of the copy."""
    there = find_collection(writer, place.name)
    if there is None:
        return None
    if not replace:
        raise already_exists(place)
    drop_collection(writer, there.id)
    return there


def _rename(connection: Connection, id_: int, name: str, uuid: str, epoch: int) -> None:
    """With another epoch: who has seen what was there before looks at everything anew."""
    connection.execute(
        update(CollectionRow).where(CollectionRow.id == id_).values(name=name, uuid=uuid, epoch=epoch)
    )


def _free_uuid(uuid: str, place: Place, taken: set[str]) -> str:
    """`uuid`, or where another collection has it one that is always the same for this name: what was copied
    beside a copy that was interrupted is found again.
    """
    while uuid in taken:
        uuid = hashlib.blake2b(f"{uuid}\0{place.name}".encode(), digest_size=16).hexdigest()
    return uuid


def _uuids_in(connection: Connection) -> set[str]:
    return set(connection.scalars(select(CollectionRow.uuid)))


def _uuids_beside(place: Place) -> set[str]:
    """Those of the other collections of a home. One that cannot be read has none that anybody sees."""
    found: set[str] = set()
    for catalog in catalogs_in(place.folder.parent):
        if catalog == place.catalog:
            continue
        with suppress(IndexingError), open_catalog(catalog) as database:
            if known_revision(database) is not None:
                with reading(database) as connection:
                    found |= _uuids_in(connection)
            database.dispose()
    return found
