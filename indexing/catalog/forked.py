"""No connection crosses a fork.

SQLite's locks belong to a process, and what it knows of them lies in memory that a child inherits. A child
that uses an inherited connection, or even opens one of its own while an inherited one is open, holds no lock
that others can see: the parent's last `close` removes the write-ahead log under it, and what the child
commits afterwards is lost. See "How To Corrupt An SQLite Database File", section 2.6, of SQLite's
documentation.

So every connection of the process is closed before a fork, where nobody is using it. Where a thread is in a
transaction at that moment, the child may not touch that database: it is refused with a message, in every
object that it inherited and in those that it opens itself. The parent goes on in any case.
"""

from __future__ import annotations

import ctypes
import logging
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any
from weakref import WeakSet, ref

from sqlalchemy import Engine

from indexing.catalog.sqlite import identity
from indexing.errors import StorageError
from indexing.storage.forks import watch

__all__ = ["TrackedConnection", "empty_before_forks", "open_connection", "refuse_forked"]

logger = logging.getLogger(__name__)

# Closing may take a while (it brings the log into the database), in which threads give back what they used.
ROUNDS = 5

# Held while a connection is opened, and during a fork: none comes into being between closing and forking.
_opening = threading.RLock()
_open: WeakSet[TrackedConnection] = WeakSet()
# (device, inode) of databases whose connections this process inherited in the middle of a transaction.
_forbidden: set[tuple[int, int]] = set()


class TrackedConnection(sqlite3.Connection):
    """A connection that is known until it is closed."""

    file: tuple[int, int] | None = None

    def close(self) -> None:
        super().close()
        _open.discard(self)


def open_connection(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """Opens what the pool asks for, unless this process may not touch the file. For `do_connect`."""
    with _opening:
        path = Path(arguments[0])
        refuse_forked(path)
        connection = dialect.connect(*arguments, **options)
        connection.file = identity(path)
        _open.add(connection)
        return connection


def refuse_forked(path: Path) -> None:
    """Raises StorageError if this process was forked while its parent was writing or reading `path`."""
    if _forbidden and identity(path) in _forbidden:
        raise StorageError(
            f"{path} was in use by another thread when this process was forked, so this process may not touch"
            " it: fork when no thread is searching or adding, or start processes by 'spawn'"
        )


def empty_before_forks(engine: Engine) -> None:
    """Closes the idle connections of `engine` whenever this process forks."""
    pools.add(engine)


class _Pools:
    """The engines of this process; empties them around forks."""

    def __init__(self) -> None:
        self._engines: list[ref[Engine]] = []
        self._holds = False
        watch(self)

    def add(self, engine: Engine) -> None:
        with _opening:
            self._engines = [known for known in self._engines if known() is not None]
            self._engines.append(ref(engine))

    def before_fork(self) -> None:
        self._holds = _opening.acquire()
        for _ in range(ROUNDS):
            for engine in self._alive():
                _empty(engine)
            if not any(engine.pool.checkedin() for engine in self._alive()):  # type: ignore[attr-defined]
                break

    def after_fork(self, in_child: bool) -> None:
        try:
            if in_child:
                _abandon_inherited()
                # A thread may have held locks of the old pool, or given a connection back to it.
                for engine in self._alive():
                    engine.dispose(close=False)
        finally:
            if self._holds:
                self._holds = False
                _opening.release()

    def _alive(self) -> list[Engine]:
        return [engine for known in self._engines if (engine := known()) is not None]


def _empty(engine: Engine) -> None:
    try:
        engine.pool.dispose()  # not the engine's: what is in use must come back to this pool
    except Exception as error:  # noqa: BLE001 -- the others are closed all the same
        logger.warning("connections to %s stay open over a fork: %s", engine.url.database, error)


def _abandon_inherited() -> None:
    """In the child: what could not be closed is never used and never closed either, as closing writes too."""
    for connection in list(_open):
        if connection.file is not None:
            _forbidden.add(connection.file)
        if sys.implementation.name == "cpython":
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        _open.discard(connection)


pools = _Pools()
