"""Opening the catalog's database, with the settings its promises rest on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from indexing.catalog import postgres, sqlite
from indexing.catalog.forked import TrackedConnection, empty_before_forks, open_connection, refuse_forked
from indexing.catalog.unwritable import is_unwritable, open_unwritable
from indexing.errors import BadInput, DiskFull, LockedError, StorageError
from indexing.storage.paths import Address, ServerDatabase

__all__ = ["database_name", "map_errors", "open_database", "reading", "writing"]

# Parts of the driver's messages about statements beyond a limit: the database is sound.
_LIMITS = (
    "parser stack overflow",
    "Expression tree is too large",
    "too many SQL variables",
    "string or blob",
)


def open_database(address: Address, *, create: bool = False, scope: str = "") -> Engine:
    """An engine on a SQLite file or on a database of a server.

    Of a server's, writers of one `scope` follow each other: a collection, or the tables of one kind.

    Raises:
        StorageError: the file is missing (and `create` is false), or is not a database. One that cannot be
            written is opened for reading. Of a server: the driver is missing, or the URL is none.
    """
    if isinstance(address, ServerDatabase):
        return postgres.open_database(address, scope=scope)
    return _open_file(address, create)


def _open_file(path: Path, create: bool) -> Engine:
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise StorageError(f"no catalog at {path}")
    refuse_forked(path)
    unwritable = open_unwritable(path) if not create and is_unwritable(path) else None
    # A URL as text would end at a "?" in the path.
    url = URL.create("sqlite", database=str(path)) if unwritable is None else unwritable.url
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=24,
        connect_args={"factory": TrackedConnection},
    )
    event.listen(engine, "do_connect", open_connection)
    event.listen(engine, "connect", sqlite.configure if unwritable is None else sqlite.configure_reading)
    event.listen(engine, "begin", sqlite.begin)
    if unwritable is not None:
        unwritable.attach(engine)
    empty_before_forks(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the database. Keep it short: an open reader makes SQLite's write-ahead log
    grow, and keeps a server from using again what was deleted.
    """
    with map_errors(engine), _reads_of(engine) as connection:
        yield connection


@contextmanager
def _reads_of(engine: Engine) -> Iterator[Connection]:
    if _is_server(engine):
        with postgres.reading(engine) as connection:
            yield connection
    else:
        with engine.connect() as connection, connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its first statement; committed on leaving without an
    error.
    """
    with map_errors(engine), _writes_of(engine) as connection:
        yield connection


@contextmanager
def _writes_of(engine: Engine) -> Iterator[Connection]:
    if _is_server(engine):
        with postgres.writing(engine) as connection:
            yield connection
    else:
        with engine.connect() as connection:
            connection = connection.execution_options(write=True)
            with connection.begin():
                yield connection


def _is_server(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def database_name(engine: Engine) -> str:
    """As messages name it: the file, or the address without a password."""
    if _is_server(engine):
        return engine.url.set(drivername="postgresql").render_as_string(hide_password=True)
    return str(engine.url.database)


@contextmanager
def map_errors(engine: Engine) -> Iterator[None]:
    """Turns the driver's errors into ours, at this one boundary."""
    with postgres.map_errors(engine) if _is_server(engine) else _mapping_file(engine):
        yield


@contextmanager
def _mapping_file(engine: Engine) -> Iterator[None]:
    try:
        yield
    except exc.NoResultFound as error:
        raise StorageError(
            f"{engine.url.database} is damaged: a row that belongs there is missing; restore it from a backup"
        ) from error
    except exc.DBAPIError as error:
        raise _map_error(error.orig, engine.url.database) from error
    except sqlite3.Error as error:
        raise _map_error(error, engine.url.database) from error


def _map_error(error: BaseException | None, path: str | None) -> StorageError | LockedError | BadInput:
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
