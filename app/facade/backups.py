"""Backing collections up, restoring and copying them.

Paths and locations are those of the process that calls: no face hands on what a person elsewhere wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.backups.copying import CopyReport, copy_all
from app.backups.making import BackupProgress, BackupReport, make_backup
from app.backups.restoring import RestoreProgress, RestoreReport, restore_backup
from app.facade.caller import Caller, require, require_everywhere
from app.facade.feedback import forget_feedback
from app.settings import Location
from indexing.catalog.transfer import TransferProgress
from indexing.errors import UnknownCollection
from indexing.listing import list_collections

__all__ = ["BackupReport", "CopyReport", "RestoreReport", "back_up", "copy", "restore"]


def back_up(
    caller: Caller,
    location: Location,
    path: Path,
    names: Sequence[str] | None = None,
    *,
    uploads: bool = True,
    progress: BackupProgress | None = None,
) -> BackupReport:
    """Writes a backup of collections, or of all (None), to the new file `path`, while others go on writing.
    Without `uploads` the files that visitors brought are left out; their texts are in it in any case.

    Raises:
        NotAllowed: the caller may not manage.
        UnknownCollection: there is no collection of a name, or none at all.
        BadInput: `path` exists.
        DiskFull, StorageError: it could not be written; nothing is left of it.
    """
    damaged: dict[str, str] = {}
    for name in names or ():
        require(caller, "manage", name)
    if names is None:
        require_everywhere(caller, "manage")
        listing = list_collections(**location.arguments())
        names, damaged = listing.names, listing.damaged
    if not names:
        raise UnknownCollection("there is no collection to back up")
    report = make_backup(location, names, path, uploads=uploads, progress=progress)
    report.damaged = damaged
    return report


def restore(
    caller: Caller,
    location: Location,
    path: Path,
    name: str | None = None,
    *,
    as_name: str | None = None,
    replace: bool = False,
    progress: RestoreProgress | None = None,
) -> RestoreReport:
    """Makes the collections of a backup again, or the one called `name`, which may get another name. With
    `replace` a collection that has the name gives way, and unless it is the same one, what was asked and said
    of it goes too.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: it is no backup, a damaged one, or one of a newer release; nothing was restored.
        CollectionExists: there is a collection of that name; nothing was restored.
        LockedError: somebody adds documents to the one that is to give way.
        DiskFull, StorageError: it could not be written; collections before it are restored.
    """
    if name is None:
        require_everywhere(caller, "manage")
    else:
        require(caller, "manage", as_name or name)
    return restore_backup(
        path,
        location,
        name=name,
        as_name=as_name,
        replace=replace,
        forget=lambda uuid: forget_feedback(location, uuid),
        progress=progress,
    )


def copy(
    caller: Caller,
    source: Location,
    name: str,
    target: Location,
    *,
    as_name: str | None = None,
    replace: bool = False,
    uploads: bool = True,
    progress: TransferProgress | None = None,
) -> CopyReport:
    """Copies a collection with all that belongs to it from one home or database to another, whole or not at
    all, and compares what is there with what was read. The source is only read; what is added to it meanwhile
    is not copied.

    Raises:
        NotAllowed: the caller may not manage.
        UnknownCollection: there is none of that name.
        CollectionExists: there is one of that name at the other place.
        LockedError, DiskFull, StorageError: it could not be written; nothing was.
    """
    for one in (name, as_name or name):
        require(caller, "manage", one)
    return copy_all(
        source,
        name,
        target,
        as_name=as_name,
        replace=replace,
        uploads=uploads,
        forget=lambda uuid: forget_feedback(target, uuid),
        progress=progress,
    )
