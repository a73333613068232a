"""Advisory locks of a database: by number, on a connection, given back by the server when that ends."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress

from sqlalchemy import Connection, Engine, exc, func, select, text

from indexing.catalog.postgres.connections import scope_of
from indexing.catalog.postgres.errors import map_errors
from indexing.errors import LockedError
from indexing.storage import forks
from indexing.storage.files import describe_holder

__all__ = ["WriterLock", "held", "lock_number"]


def lock_number(*names: str) -> int:
    """The number of an advisory lock, of 64 bits with a sign; locks belong to one database."""
    digest = hashlib.blake2b("\0".join(("stlib", *names[1:])).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


_IS_HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND pid = pg_backend_pid() AND classid::bigint = :high AND objid::bigint = :low"
)


class _Held(threading.local):
    """The connections on which this thread holds locks, by scope, the newest last."""

    def __init__(self) -> None:
        self.stacks: dict[tuple[str, str], list[Connection]] = {}

    def of(self, scope: tuple[str, str]) -> list[Connection]:
        return self.stacks.setdefault(scope, [])

    def before_fork(self) -> None:
        """Nothing: the parent keeps its locks."""

    def after_fork(self, in_child: bool) -> None:
        if in_child:
            self.stacks = {}


held = _Held()
forks.watch(held)


class WriterLock:
    """At most one holder among all processes and hosts, taken without waiting, and released by the server
    when the connection of its holder ends. What the thread that took it writes meanwhile goes over that
    connection.
    """

    def __init__(self, engine: Engine, name: str, what: str) -> None:
        """`what` the lock protects, as a person calls it."""
        self._engine = engine
        self._name = name
        self._what = what
        self._connection: Connection | None = None
        self._pid = 0

    def acquire(self) -> WriterLock:
        """Takes the lock now.

        Raises:
            LockedError: another one holds it. ConnectionLost, StorageError: the server cannot be reached.
        """
        if self._connection is not None:
            raise LockedError(f"{self._what} is held by this very object already")
        scope = scope_of(self._engine)
        number = lock_number(*scope, self._name)
        with map_errors(self._engine):
            connection = self._engine.connect()
            try:
                with connection.begin():
                    taken = connection.scalar(select(func.pg_try_advisory_lock(number)))
                    holder = None if taken else _holder(connection, number)
            except BaseException:
                _end(connection)  # it may hold the lock, and the next one to use it would not know
                raise
        if not taken:
            connection.close()
            holder = describe_holder(holder or "another process")
            raise LockedError(f"{self._what} is being written by {holder}")
        self._connection, self._pid = connection, os.getpid()
        held.of(scope).append(connection)
        return self

    def require_held(self) -> None:
        """
        Raises:
            LockedError: it is not held, or the server gave it back when the connection ended.
        """
        number, is_held = lock_number(*scope_of(self._engine), self._name), False
        connection = self._connection if self._pid == os.getpid() else None
        if connection is not None and not connection.invalidated:
            with suppress(exc.DBAPIError), connection.begin():
                is_held = bool(connection.scalar(text(_IS_HELD), _halves(number)))
        if not is_held:
            raise LockedError(f"the lock of {self._what} was lost")

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None or self._pid != os.getpid():
            return
        scope = scope_of(self._engine)
        with suppress(ValueError):
            held.of(scope).remove(connection)
        try:
            if not connection.invalidated:
                with connection.begin():
                    connection.execute(select(func.pg_advisory_unlock(lock_number(*scope, self._name))))
        except exc.DBAPIError:
            _end(connection)  # with it the server lets go of the lock
        except BaseException:
            _end(connection)
            raise
        connection.close()

    def __enter__(self) -> WriterLock:
        return self if self._connection is not None else self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()


def _end(connection: Connection) -> None:
    """Closes the connection itself: what it holds is given back by the server."""
    with suppress(exc.SQLAlchemyError):
        connection.invalidate()
    connection.close()


def _halves(number: int) -> dict[str, int]:
    """As pg_locks has it."""
    return {"high": (number >> 32) & 0xFFFFFFFF, "low": number & 0xFFFFFFFF}


def _holder(connection: Connection, number: int) -> str | None:
    """Who holds an advisory lock, as their connection is called."""
    found = connection.scalar(
        text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND l.classid::bigint = :high AND l.objid::bigint = :low LIMIT 1"
        ),
        _halves(number),
    )
    words = str(found or "").removeprefix("stlib ").partition("@")
    return f"process {words[0]} on {words[2]}" if words[2] else (str(found) if found else None)
