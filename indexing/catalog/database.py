"""Opening the catalog's database, with the settings its promises rest on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from indexing.errors import BadInput, DiskFull, LockedError, StorageError

__all__ = ["BUSY_MILLISECONDS", "mapped_errors", "open_database", "reading", "writing"]

# A writer holds the database for one batch, well under a second; ten allow for a slow disk and stay bounded.
BUSY_MILLISECONDS = 10_000

# Parts of the driver's messages about statements beyond a limit: the database is sound.
_LIMITS = (
    "parser stack overflow",
    "Expression tree is too large",
    "too many SQL variables",
    "string or blob",
)

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers go on while a batch is written
    "PRAGMA synchronous = FULL",  # a commit is on the disk when it returns
    "PRAGMA secure_delete = ON",  # deleted text is overwritten
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    "PRAGMA cache_size = -16384",  # 16 MiB
)


def open_database(path: Path, *, create: bool = False) -> Engine:
    """An engine on the SQLite file `path`.

    Raises:
        StorageError: the file is missing (and `create` is false), or is not a database.
    """
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise StorageError(f"no catalog at {path}")
    url = URL.create("sqlite", database=str(path))  # a URL as text would end at a "?" in the path
    engine = create_engine(url, poolclass=QueuePool, pool_size=8, max_overflow=24)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the database. Keep it short: an open reader makes the write-ahead log grow."""
    with mapped_errors(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its first statement; committed on leaving without an
    error.
    """
    with mapped_errors(engine), engine.connect() as connection:
        connection = connection.execution_options(write=True)
        with connection.begin():
            yield connection


@contextmanager
def mapped_errors(engine: Engine) -> Iterator[None]:
    """Turns the driver's errors into ours, at this one boundary."""
    try:
        yield
    except exc.DBAPIError as error:
        raise _mapped(error.orig, engine.url.database) from error
    except sqlite3.Error as error:
        raise _mapped(error, engine.url.database) from error


def _mapped(error: BaseException | None, path: str | None) -> StorageError | LockedError | BadInput:
    text = str(error)
    if "disk is full" in text:
        return DiskFull(
            f"no space left on the disk for {path}; what was committed is kept. Free some and run again"
        )
    if "locked" in text or "busy" in text:
        return LockedError(f"{path} is being written by another process; try again when it has finished")
    if "not a database" in text or "malformed" in text:
        return StorageError(f"{path} is damaged or not a database ({text}); restore it from a backup")
    if "readonly" in text or "unable to open" in text:
        return StorageError(f"{path} cannot be opened or written ({text}); check the folder's permissions")
    if any(limit in text for limit in _LIMITS):
        return BadInput(f"this is more than the database takes at once ({text}): make the filter shorter")
    return StorageError(f"{path}: {text}")
