"""Restoring: what a backup holds becomes collections again, each whole or not at all.

Everything is compared with its checksums before anything is written. A stranger's backup stays a stranger's:
nothing of it is run or trusted, a model that came with it is opened only once a person gives it by hand, and
the folders that its sources name are asked about before they are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from app.backups.files import MODELS, Arriving, Write, place_of
from app.backups.manifest import CATALOG, FEEDBACK, TUNING, Held, read_manifest
from app.backups.said import copy_said
from app.feedback.place import feedback_place
from app.feedback.table import close_database
from app.settings import Location
from app.tuning.place import tuning_database
from indexing import faults
from indexing.catalog.database import open_database
from indexing.catalog.denials import Denials
from indexing.errors import BadInput, CollectionExists, IndexingError, UnknownCollection
from indexing.listing import list_collections
from indexing.storage.archive import ArchiveReader
from indexing.storage.files import disk_errors, remove, remove_if_empty, require_space, temporary_beside
from indexing.storage.paths import check_name, collection_place
from indexing.upkeep.came_back import find_back, read_erased
from indexing.upkeep.copy import Copy, copy_into, install, only_collection

__all__ = ["RestoreProgress", "RestoreReport", "restore_backup"]

RestoreProgress = Callable[[str, int, int], None]
"""Called with what is done ("checking", or a collection's name), bytes that are done, and all there are."""


@dataclass
class RestoreReport:
    """`documents` of each collection that was restored; `replaced` are those that gave way. `models` are the
    folders of models that came along, which this machine trusts only if it knew them before. `back` are the
    ids of documents that had been erased here since the backup was made, by collection.
    """

    documents: dict[str, int] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    back: dict[str, list[str]] = field(default_factory=dict)
    bytes: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def restore_backup(
    path: Path,
    location: Location,
    *,
    name: str | None = None,
    as_name: str | None = None,
    replace: bool = False,
    forget: Callable[[str], object] = lambda uuid: None,
    progress: RestoreProgress | None = None,
) -> RestoreReport:
    """Makes the collections of a backup again, or the one called `name`, which may get another name.

    `forget` erases what was asked and said of a collection (its uuid) that was replaced by another one.

    Raises:
        BadInput: it is no backup, a damaged one, or one of a newer release.
        CollectionExists: a collection has one of the names, and `replace` is False.
        DiskFull, StorageError, LockedError: it could not be written.
        In each case nothing was restored; of several collections, none but those before it.
    """
    started = time.monotonic()
    report = RestoreReport()
    with ArchiveReader(path) as archive:
        wanted = _choose(archive, read_manifest(archive), name, as_name)
        if not replace:
            _refuse_existing(location, wanted)
        done = 0

        def told(block: int) -> None:
            nonlocal done
            done += block
            if progress:
                progress("checking", done, archive.size)

        archive.check(told)
        erased = _erased_here(location)
        for target, held in wanted.items():
            copy = _restore(archive, held, target, location, replace, forget, report, progress)
            if copy.original_uuid in erased:
                place = collection_place(target, location.home, location.db)
                if back := find_back(place, erased[copy.original_uuid]):
                    report.back[target] = back
        report.bytes = archive.size
    report.seconds = time.monotonic() - started
    return report


def _choose(
    archive: ArchiveReader, held: dict[str, Held], name: str | None, as_name: str | None
) -> dict[str, Held]:
    """The name that it gets → what is restored."""
    if name is not None and name not in held:
        raise UnknownCollection(f"{archive.path} holds no collection {name!r}; it holds {', '.join(held)}")
    chosen = held if name is None else {name: held[name]}
    if as_name is None:
        return chosen
    if len(chosen) > 1:
        raise BadInput(f"{archive.path} holds {', '.join(held)}: say which of them to restore as {as_name!r}")
    return {check_name(as_name): next(iter(chosen.values()))}


def _refuse_existing(location: Location, names: dict[str, Held]) -> None:
    """Before gigabytes are read: who makes the collection looks again, and holds its lock then."""
    there: list[str] = []
    with suppress(IndexingError):
        listing = list_collections(**location.arguments())
        there = [name for name in names if name in (*listing.names, *listing.damaged)]
    if there:
        raise CollectionExists(
            f"collection {', '.join(map(repr, there))} exists here already: restore it under another name, or"
            " say that it is to be replaced; nothing was restored"
        )


def _erased_here(location: Location) -> dict[str, Denials]:
    """What was erased from collections that are here, by their uuids."""
    with suppress(IndexingError):
        names = list_collections(**location.arguments()).names
        places = [collection_place(name, location.home, location.db) for name in names]
        return dict(filter(None, map(read_erased, places)))
    return {}


def _restore(
    archive: ArchiveReader,
    held: Held,
    name: str,
    location: Location,
    replace: bool,
    forget: Callable[[str], object],
    report: RestoreReport,
    progress: RestoreProgress | None,
) -> Copy:
    place = collection_place(name, location.home, location.db)
    sizes = {member: archive.members[member].size for member in held.databases.values()}
    whole = sum(sizes.values()) + sum(
        archive.members[member].size for paths in held.files.values() for member in paths.values()
    )
    require_space(place.folder, whole)
    work = temporary_beside(place.folder.with_name(f"{name}.said"))
    done = 0

    def told(block: int) -> None:
        nonlocal done
        done += block
        if progress:
            progress(name, done, whole)

    extract = partial(archive.extract, progress=told)
    files = {
        kind: {path: _writer(extract, member) for path, member in paths.items()}
        for kind, paths in held.files.items()
    }
    arriving = Arriving(files, location, name)
    missing = [folder for folder in work.parents if not folder.exists()]
    extracted = Location(db=f"sqlite:///{work.absolute() / CATALOG}")
    try:
        with disk_errors(work):
            work.mkdir(mode=0o700, parents=True)
        for database, target in (
            (FEEDBACK, feedback_place(extracted).database),
            (TUNING, tuning_database(extracted)),
        ):
            if database in held.databases and isinstance(target, Path):
                extract(held.databases[database], target)

        def before(copy: Copy) -> None:
            faults.point("restore.before")
            copy_said(extracted, location, copy)
            faults.point("restore.said")
            arriving.put(copy.folder)

        catalog = partial(extract, held.databases[CATALOG])
        if not place.shared_catalog:
            copy = install(catalog, place, replace=replace, before=before)
        else:
            catalog(work / CATALOG)
            source = open_database(work / CATALOG)
            try:
                copy = copy_into(
                    source,
                    only_collection(source),
                    place,
                    replace=replace,
                    ahead=arriving.stage,
                    before=before,
                )
            finally:
                source.dispose()
        faults.point("restore.after")
        arriving.settle()
    finally:
        arriving.discard()
        close_database(feedback_place(extracted))
        remove(work)
        for folder in missing:
            remove_if_empty(folder)
    if copy.replaced is not None:
        report.replaced.append(name)
        if copy.replaced != copy.uuid:
            forget(copy.replaced)
    report.documents[name] = copy.documents
    folder = place_of(MODELS, location, name)
    report.models += sorted({str(folder / path.split("/")[0]) for path in held.files[MODELS]})
    return copy


def _writer(extract: Callable[[str, Path], None], member: str) -> Write:
    return lambda target: extract(member, target)
