"""Backing up: one file that holds collections as they are at one moment, while others go on writing.

Per collection a catalog, what was asked and said of it, what it learned, and its files. Views are not in it:
they are made of the catalog in less time than a file of their size takes to copy twice, and one that came
with a backup would have to be made anew anyway, as nothing that another machine wrote is parsed. Jobs are
not either: one that came back would be an order that somebody gave another day.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from app.backups.files import MODELS, UPLOADS, files_of
from app.backups.manifest import CATALOG, FEEDBACK, FORMAT, TUNING, VERSION
from app.backups.said import copy_said
from app.feedback.place import feedback_place
from app.feedback.table import close_database
from app.settings import Location
from app.tuning.place import tuning_database
from indexing import faults
from indexing.catalog.database import open_database
from indexing.catalog.migrate import HEAD
from indexing.catalog.transfer import Numbers
from indexing.errors import BadInput
from indexing.storage.archive import ArchiveWriter
from indexing.storage.files import disk_errors, fsync_folder, remove, temporary_beside
from indexing.upkeep.copy import Copy
from indexing.upkeep.snapshot import describe_one, snapshot, source_of
from stlib import __version__

__all__ = ["BackupProgress", "BackupReport", "make_backup"]

BackupProgress = Callable[[str, int, int], None]
"""Called with what is done (a collection's name), bytes that are done and all that are known of."""


@dataclass
class BackupReport:
    """`documents` of each collection; `damaged` name → why it could not be read where all were wanted;
    `left_out` says what a backup never holds.
    """

    path: Path
    documents: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    seconds: float = 0.0
    left_out: tuple[str, ...] = ("views, which are made anew", "jobs", "reports and judged sets of files")

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path), "left_out": list(self.left_out)}


def make_backup(
    location: Location,
    names: Sequence[str],
    path: Path,
    *,
    uploads: bool = True,
    progress: BackupProgress | None = None,
) -> BackupReport:
    """Writes a backup of collections to `path`, a new file that appears when it is whole, and on the disk.

    Raises:
        UnknownCollection: there is no collection of a name.
        BadInput: `path` exists.
        DiskFull, StorageError: it could not be written; nothing is left of it.
    """
    started = time.monotonic()
    path = path.absolute()
    if os.path.lexists(path):
        raise BadInput(f"{path} exists: a backup is a new file, give another name")
    if not path.parent.is_dir():
        raise BadInput(f"{path} would be a file in a folder that does not exist: make {path.parent} first")
    report = BackupReport(path)
    temporary, work = temporary_beside(path), temporary_beside(path.with_suffix(".parts"))
    try:
        with disk_errors(path):
            work.mkdir(mode=0o700)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                archive = ArchiveWriter(file, int(time.time()))
                about = {
                    name: _add_collection(archive, location, name, work / name, uploads, progress)
                    for name in dict.fromkeys(names)
                }
                archive.finish(_describe(about))
                file.flush()
                os.fsync(file.fileno())
            faults.point("backup.before")
            _publish(temporary, path)
        report.documents = {name: said["documents"] for name, said in about.items()}
        report.bytes = path.stat().st_size
        report.seconds = time.monotonic() - started
        return report
    finally:
        temporary.unlink(missing_ok=True)
        remove(work)


def _describe(collections: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "schema": HEAD,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "stlib": __version__,
        "collections": collections,
    }


def _publish(temporary: Path, path: Path) -> None:
    """Gives the file its name, unless somebody took that meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise BadInput(f"{path} was made by somebody else meanwhile: give another name") from error
    except OSError:  # a disk without hard links
        temporary.rename(path)
    fsync_folder(path.parent)


def _add_collection(
    archive: ArchiveWriter,
    location: Location,
    name: str,
    work: Path,
    uploads: bool,
    progress: BackupProgress | None,
) -> dict[str, Any]:
    """Adds what belongs to a collection; returns what the manifest says of it."""
    # A catalog that holds this collection alone, with its side databases beside it: a place like any other.
    copied = Location(db=f"sqlite:///{work / CATALOG}")

    def told(done: int, total: int) -> None:
        if progress:
            progress(name, done, total)

    with source_of(name, location.home, location.db) as (source, place):
        uuid = describe_one(source, name)[0].uuid
        with disk_errors(work):
            work.mkdir()
        # Before the catalog: what was said names nothing then that the catalog does not have.
        copy_said(location, copied, Copy(name, uuid, uuid, 0, Numbers(), work))
        faults.point("backup.said")
        snapshot(source, place, work / CATALOG, told)
    close_database(feedback_place(copied))
    faults.point("backup.copied")
    catalog = open_database(work / CATALOG)
    try:
        state, documents = describe_one(catalog, name)
    finally:
        catalog.dispose()
    for member, file in (
        (CATALOG, work / CATALOG),
        (FEEDBACK, feedback_place(copied).database),
        (TUNING, tuning_database(copied)),
    ):
        if isinstance(file, Path) and file.exists():
            archive.add(f"{name}/{member}", file)
            file.unlink()  # the room is needed for the next
    faults.point("backup.inside")
    kinds = (MODELS, UPLOADS) if uploads else (MODELS,)
    files = {kind: _add_files(archive, kind, location, name) for kind in kinds}
    return {"uuid": state.uuid, "seq": state.last_seq, "documents": documents, **files}


def _add_files(archive: ArchiveWriter, kind: str, location: Location, name: str) -> dict[str, str]:
    """Path → name in the archive, where names are numbers: those of files may be of any letters."""
    members = {}
    for number, (path, file) in enumerate(files_of(kind, location, name).items(), 1):
        members[path] = f"{name}/{kind}/{number:06d}"
        archive.add(members[path], file)
    return members
