"""Catalogs that this process may read and not write: a home on a read-only disk, or somebody else's.

SQLite wants to write even for reading: beside a database with a write-ahead log lies an index of that log.
Where there is no log, nobody has the database open, and it is read as it lies (`immutable`), which looks at
no log; a look at the file before each transaction tells when its owner has changed it after all. Where there
is one, database and log are copied into a private folder, and what is read is the collection of that moment.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, event

from indexing.errors import StorageError
from indexing.storage.private import can_write, own_folder

__all__ = ["is_unwritable", "unwritable_url", "watch_for_changes"]

ATTEMPTS = 5


def is_unwritable(path: Path) -> bool:
    """Whether this process can read the database file and write neither it nor beside it."""
    return os.access(path, os.R_OK) and not (can_write(path) and can_write(path.parent))


def unwritable_url(path: Path) -> URL:
    """What opens such a database for reading.

    Raises:
        StorageError: it changes faster than it can be copied.
    """
    log = _log(path)
    if not log.exists() or not log.stat().st_size:
        query = {"mode": "ro", "immutable": "1", "uri": "true"}
        return URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query=query)
    return URL.create("sqlite", database=str(_copy(path)))


def watch_for_changes(engine: Engine, path: Path) -> None:
    """Refuses to read on from a database that is read as it lies once it was changed."""
    if "immutable" not in engine.url.query:
        return
    before = _state(path)

    def compare(_connection: Connection) -> None:
        if _state(path) != before:
            raise StorageError(f"{path} was changed by its owner since it was opened: open it again")

    event.listen(engine, "begin", compare)


def _copy(path: Path) -> Path:
    """Database and log of one moment, in a folder that is removed with this process."""
    folder = own_folder(path.with_name(f"{path.name}.copy"))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{uuid.uuid4().hex}.sqlite"
    for _ in range(ATTEMPTS):
        before = _state(path)
        shutil.copyfile(path, target)
        if (log := _log(path)).exists():
            shutil.copyfile(log, _log(target))
        if _state(path) == before:
            return target
    raise StorageError(f"{path} cannot be written here and is being written by another: try again later")


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _state(path: Path) -> list[tuple[int, int, int] | None]:
    """Number, size and time of database and log."""
    return [_file_state(file) for file in (path, _log(path))]


def _file_state(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
