"""Catalogs that this process may read and not write: a home on a read-only disk, or somebody else's.

SQLite wants to write even for reading: beside a database with a write-ahead log lies an index of that log.
Where nothing is in the log, nobody is writing, and the database is read as it lies (`immutable`), which
looks at no log; a look at the files before each transaction tells when their owner has changed them after
all. Where something is, database and log are copied into a private folder, and what is read is the collection
of that moment. Whoever opens it again meanwhile reads the same copy.
"""

from __future__ import annotations

import os
import shutil
import uuid
import weakref
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, event

from indexing.errors import StorageError
from indexing.storage.files import disk_errors, require_space
from indexing.storage.private import can_write, private_folder

__all__ = ["Unwritable", "is_unwritable", "needs_copy", "open_unwritable", "unwritable_path"]

ATTEMPTS = 5

State = tuple["tuple[int, int, int] | None", "tuple[int, int, int] | None"]


@dataclass(frozen=True, eq=False)
class Unwritable:
    """What is read instead of a database that cannot be written: itself, or a copy, which is removed when
    nobody needs it any more.
    """

    path: Path
    url: URL
    state: State
    is_copy: bool

    def attach(self, engine: Engine) -> None:
        """Keeps the copy for as long as `engine`; refuses to read on from a database that is read as it lies
        once it was changed.
        """

        def compare(_connection: Connection) -> None:
            if not self.is_copy and _state(self.path) != self.state:
                raise StorageError(f"{self.path} was changed by its owner since it was opened: open it again")

        event.listen(engine, "begin", compare)
        _readers[engine] = self.path


_readers: weakref.WeakKeyDictionary[Engine, Path] = weakref.WeakKeyDictionary()
_copies: dict[tuple[int, Path], Unwritable] = {}


def is_unwritable(path: Path) -> bool:
    """Whether this process can read the database file and write neither it nor beside it."""
    return os.access(path, os.R_OK) and not (can_write(path) and can_write(path.parent))


def unwritable_path(engine: Engine) -> Path | None:
    """The database that `engine` only reads; None if it may write."""
    return _readers.get(engine)


def needs_copy(path: Path) -> bool:
    """Whether something is in the log of the database."""
    return _state(path)[1] is not None


def open_unwritable(path: Path) -> Unwritable:
    """What opens such a database for reading.

    Raises:
        StorageError: it changes faster than it can be copied. DiskFull: there is no room for the copy.
    """
    state = _state(path)
    if state[1] is not None:
        return _copied(path, state)
    query = {"mode": "ro", "immutable": "1", "uri": "true"}
    url = URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query=query)
    return Unwritable(path, url, state, is_copy=False)


def _copied(path: Path, state: State) -> Unwritable:
    """The copy that there is of this state, or a new one in its place."""
    place = (os.getpid(), path.absolute())  # a copy belongs to the process that removes it
    copy = _copies.get(place)
    if copy is None or copy.state != state:
        copy = _copies[place] = _copy(path)
    return copy


def _copy(path: Path) -> Unwritable:
    """Database and log of one moment."""
    folder = private_folder(path.with_name(f"{path.name}.copy"))
    target = folder / f"{uuid.uuid4().hex}.sqlite"
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(ATTEMPTS):
                before = _state(path)
                require_space(folder, sum(state[1] for state in before if state is not None))
                shutil.copyfile(path, target)
                if (log := _log(path)).exists():
                    shutil.copyfile(log, _log(target))
                if _state(path) == before:
                    copy = Unwritable(path, URL.create("sqlite", database=str(target)), before, is_copy=True)
                    # At the end of the process its folder is removed.
                    weakref.finalize(copy, _remove, target, os.getpid()).atexit = False
                    return copy
    except BaseException:
        _remove(target, os.getpid())
        raise
    _remove(target, os.getpid())
    raise StorageError(f"{path} cannot be written here and is being written by another: try again later")


def _remove(copy: Path, pid: int) -> None:
    if os.getpid() == pid:  # a child has its parent's
        for end in ("", "-wal", "-shm"):
            Path(f"{copy}{end}").unlink(missing_ok=True)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _state(path: Path) -> State:
    """Number, size and time of database and log. An empty log is none: it comes with whoever looks."""
    log = _file_state(_log(path))
    return _file_state(path), log if log is not None and log[1] else None


def _file_state(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
