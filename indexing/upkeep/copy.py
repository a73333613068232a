"""A collection in another place: with its generations and their codes, servings, artifacts, sources, history.

Everything is copied or nothing. In a home the copy is made beside its place and moved there when it is whole;
into a database that others are in, it is one transaction. The source is only read, as it is at one moment.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, Engine, select, update

from indexing import faults
from indexing.catalog import sqlite
from indexing.catalog.collections import CollectionState, collection_names, drop_collection, find_collection
from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import generations_of
from indexing.catalog.migrate import ensure_schema, known_revision
from indexing.catalog.reads import count_documents
from indexing.catalog.schema import CollectionRow
from indexing.catalog.transfer import Numbers, TransferProgress, copy_rows, reserve_numbers
from indexing.errors import BadInput, IndexingError, StorageError
from indexing.milvus.marker import prefix_of
from indexing.milvus.settings import is_configured
from indexing.opening import already_exists, creating, open_catalog
from indexing.session import documents_lock
from indexing.storage.files import (
    FolderLock,
    disk_errors,
    exchange,
    fsync_file,
    fsync_folder,
    remove,
    remove_if_empty,
    temporary_beside,
)
from indexing.storage.paths import CATALOG_FILE, Home, Place, catalogs_in, collection_place
from indexing.upkeep.snapshot import find_one, let_go, source_of, write_alone
from indexing.vectors.table_state import drop_tables, has_tables
from indexing.views.milvus_leftovers import drop_leftovers, note_leftovers

__all__ = ["BeforeItIsThere", "Copy", "copy_collection", "copy_into", "install", "only_collection"]


@dataclass(frozen=True)
class Copy:
    """A collection that is about to be, or is, in its new place.

    Attributes:
        uuid, original_uuid: the same, unless the place has another collection of that uuid.
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


def copy_collection(
    name: str,
    *,
    home: Home = None,
    db: str | None = None,
    to_home: Home = None,
    to_db: str | None = None,
    new_name: str | None = None,
    replace: bool = False,
    ahead: Callable[[], None] | None = None,
    before: BeforeItIsThere | None = None,
    progress: TransferProgress | None = None,
) -> Copy:
    """Copies a collection to another home or database, row by row, and compares what is there with what was
    read. Views are not copied: they are made anew there. For `ahead` see `copy_into`; in a home
    it is not called.

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
            return copy_into(
                source, name, target, replace=replace, ahead=ahead, before=before, progress=progress
            )
        rows: dict[str, int] = {}

        def prepare(file: Path) -> None:
            rows.update(write_alone(source, name, file, progress))

        return changed(install(prepare, target, replace=replace, before=before), rows=rows)


# --- into a home -------------------------------------------------------------------------------------------


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
    if place.folder.is_symlink():
        raise StorageError(f"{place.folder} is a symbolic link, which is not followed; remove it")
    _refuse(place, replace)
    missing = [folder for folder in (place.folder, *place.folder.parents) if not folder.exists()]
    try:
        # Held from the start: what somebody added to the one that gives way would be lost without a word.
        with documents_lock(None, place):
            try:
                return _install(prepare, place, replace, before)
            except BaseException:
                if place.folder in missing:
                    remove(place.folder)
                raise
    except BaseException:
        for folder in missing:
            remove_if_empty(folder)
        raise


def _install(
    prepare: Callable[[Path], None], place: Place, replace: bool, before: BeforeItIsThere | None
) -> Copy:
    replaced = _refuse(place, replace)
    _remove_leftovers(place)
    temporary = temporary_beside(place.folder)
    try:
        with disk_errors(temporary):
            temporary.mkdir()
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
        _leave_milvus(place, copy)
        return changed(copy, folder=place.folder)
    finally:
        remove(temporary)  # or what was there before


def _leave_milvus(place: Place, copy: Copy) -> None:
    """What gave way to the copy has nothing to be found any more: what the copy needs there is made anew."""
    if copy.replaced is not None and is_configured():
        note_leftovers(place, [prefix_of(copy.replaced)])
        drop_leftovers(place)


def _remove_leftovers(place: Place) -> None:
    """Removes what was left by those who made this collection and were killed."""
    mine = re.compile(rf"\.tmp-{re.escape(place.name)}-\d+-[0-9a-f]+")
    with disk_errors(place.folder):
        for path in list(place.folder.parent.iterdir()):
            if mine.fullmatch(path.name):
                remove(path)


def _refuse(place: Place, replace: bool) -> CollectionState | None:
    """What is there under the name of the copy, if it may be replaced.

    Raises:
        CollectionExists: it may not.
    """
    if not dialect_of(place.catalog).exists(place.catalog):
        return None
    with open_catalog(place) as database:
        there = None
        if known_revision(database) is not None:
            with reading(database) as connection:
                is_there = place.name in collection_names(connection)
            if is_there and not replace:
                raise already_exists(place)
            if is_there:
                ensure_schema(database)
                with reading(database) as connection:
                    there = find_collection(connection, place.name)
        let_go(database)
    return there


def only_collection(database: Engine) -> str:
    """The name of the one collection of a SQLite catalog that came from elsewhere, which is brought to the
    schema of this release.

    Raises:
        StorageError: it holds none or several, or what no catalog holds, or is of a newer release.
    """
    with reading(database) as connection:
        if foreign := sqlite.find_foreign(connection):  # before any statement that it could act on
            raise StorageError(f"the catalog holds {foreign[0]}, which no collection has: it is not used")
    ensure_schema(database)
    with reading(database) as connection:
        names = collection_names(connection)
    if len(names) != 1:
        raise StorageError(f"{len(names)} collections are in a catalog that should hold one")
    return names[0]


def _adopt(folder: Path, place: Place, replaced: CollectionState | None) -> Copy:
    """Gives the one collection of a catalog the name of its new place, and a uuid that is free there."""
    catalog = folder / CATALOG_FILE
    database = open_database(catalog)
    try:
        name = only_collection(database)
        with writing(database) as connection:
            found = find_one(connection, name)
            uuid = _free_uuid(found.uuid, place, _uuids_beside(place))
            _settle(connection, found.id, place.name, uuid, found, replaced)
            documents = count_documents(connection, found.id)
    finally:
        database.dispose()
    with disk_errors(catalog):
        fsync_file(catalog)
    old = None if replaced is None else replaced.uuid
    return Copy(place.name, uuid, found.uuid, documents, Numbers(), folder, replaced=old)


# --- into a database that others may be in -----------------------------------------------------------------


def copy_into(
    source: Engine,
    name: str,
    place: Place,
    *,
    replace: bool = False,
    ahead: Callable[[], None] | None = None,
    before: BeforeItIsThere | None = None,
    progress: TransferProgress | None = None,
) -> Copy:
    """Copies a collection into a database that others may be in, in one transaction. `ahead` is called before
    it begins, for what takes long: a server ends a transaction that waits.

    Raises: see `copy_collection`.
    """
    _refuse(place, replace)
    if ahead:
        ahead()
    # Nobody publishes views of what was there until they are gone and the copy is in its place.
    views_lock = FolderLock(place.locks, "views.lock", f"the index of collection {place.name!r}")
    with creating(place) as target, views_lock, reading(source) as connection:
        ensure_schema(target)
        found = find_one(connection, name)
        with ExitStack() as stack:
            if dialect_of(target).NUMBERS_WHILE_OTHERS_WRITE:
                with writing(target) as writer:  # who needs a number meanwhile does not wait for the rows
                    numbers = reserve_numbers(connection, found.id, writer)
                faults.point("copy.reserved")
            writer = stack.enter_context(writing(target))
            if not dialect_of(target).NUMBERS_WHILE_OTHERS_WRITE:
                numbers = reserve_numbers(connection, found.id, writer)
            copy = _copy_into(connection, found, writer, place, numbers, replace, progress)
            if before:
                before(copy)
            faults.point("copy.before")
        faults.point("copy.after")
    _leave_milvus(place, copy)
    let_go(target)
    return copy


def _copy_into(
    source: Connection,
    found: CollectionState,
    writer: Connection,
    place: Place,
    numbers: Numbers,
    replace: bool,
    progress: TransferProgress | None,
) -> Copy:
    replaced = find_collection(writer, place.name)
    if replaced is not None:
        if not replace:
            raise already_exists(place)
        ids = [one.id for one in generations_of(writer, replaced.id)]
        drop_collection(writer, replaced.id)
        if has_tables(writer.engine):  # after that, as another host may be making one until then
            drop_tables(writer, ids)
    uuid = _free_uuid(found.uuid, place, _uuids_in(writer))
    made = copy_rows(
        source, found.name, writer, numbers, new_name=place.name, new_uuid=uuid, progress=progress
    )
    _settle(writer, made.collection_id, place.name, uuid, found, replaced)
    documents = count_documents(writer, made.collection_id)
    remove(place.views)
    old = None if replaced is None else replaced.uuid
    return Copy(place.name, uuid, found.uuid, documents, made.numbers, place.folder, made.rows, old)


def _settle(
    connection: Connection,
    id_: int,
    name: str,
    uuid: str,
    found: CollectionState,
    replaced: CollectionState | None,
) -> None:
    """Name and uuid of the copy; and another epoch: who has seen what was there before looks at all anew."""
    epoch = max(found.epoch, -1 if replaced is None else replaced.epoch) + 1
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
        with suppress(IndexingError):
            database = open_database(catalog)
            try:
                if known_revision(database) is not None:
                    with reading(database) as connection:
                        found |= _uuids_in(connection)
            finally:
                database.dispose()
    return found
