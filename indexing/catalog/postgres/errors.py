"""Errors of PostgreSQL's driver, as ours that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, exc

from indexing.catalog.postgres.connections import POOL_VARIABLE, address_of, pool_size
from indexing.errors import BadInput, ConnectionLost, DiskFull, IndexingError, LockedError, StorageError

__all__ = ["connection_lost", "map_error", "map_errors", "translated"]


@contextmanager
def map_errors(engine: Engine) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
    except exc.NoResultFound as error:
        raise StorageError(
            f"{address_of(engine)} is damaged: a row that belongs there is missing; restore it from a backup"
        ) from error
    except exc.TimeoutError as error:
        raise LockedError(
            f"all {pool_size()} connections to {address_of(engine)} are in use: try again, or let this"
            f" process have more with {POOL_VARIABLE}"
        ) from error
    except exc.DBAPIError as error:
        raise map_error(error.orig, address_of(engine), lost=error.connection_invalidated) from error


_LOCKS = ("55P03", "40P01", "40001")  # a lock timed out, a deadlock, two that cannot be put in order
_DAMAGE = ("XX001", "XX002", "42P01", "42703")  # data or index corrupted, a table or column that is gone
# A state's beginning, and words of the message: before there is a connection the driver knows no state.
_REMEDIES = {
    ("53300", "too many clients"): "it has no connection left: let its max_connections be more",
    ("28", "authentication failed"): "it refuses this user: check name and password",
    ("3D000", " does not exist"): "make the database first, with createdb",
    ("42501", "permission denied"): "this user may not do that: grant it the rights on the schema",
    ("25006", "read-only"): "it can only be read: give the address of the primary server",
}
_GONE = ("57P01", "57P02", "57P03")  # shut down, crashed, starting up


def map_error(error: BaseException | None, where: object, *, lost: bool = False) -> IndexingError:
    """Our error for one of the driver's, by its SQLSTATE (appendix A of PostgreSQL's documentation)."""
    import psycopg

    state = getattr(error, "sqlstate", None) or ""
    said = " ".join(str(error).split()) or type(error).__name__
    if lost or state in _GONE or state.startswith("08"):
        return connection_lost(where, said)
    if state in _LOCKS:
        return LockedError(f"{where} is being written by another process; try again when it has finished")
    if state == "53100":
        return DiskFull(
            f"no space left on the disk of {where}; what was committed is kept. Free some and run again"
        )
    if state.startswith("54"):
        return BadInput(f"this is more than the database takes at once ({said}): make the filter shorter")
    if state in _DAMAGE:
        return StorageError(f"{where} is damaged or no catalog ({said}); restore it from a backup")
    for (beginning, words), remedy in _REMEDIES.items():
        if state.startswith(beginning) if state else words in said:
            return StorageError(f"{where} cannot be used ({said}): {remedy}")
    if not state and not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return BadInput(f"{where} does not take this ({said})")
    if not state:
        return ConnectionLost(f"{where} cannot be reached ({said}): start it, or check the address")
    return StorageError(f"{where}: {said}")


def connection_lost(where: object, said: str = "") -> ConnectionLost:
    """An error that says what became of what was written over the connection."""
    why = f" ({said})" if said else ""
    return ConnectionLost(
        f"the connection to {where} was lost{why}; what was acknowledged is stored, and what was being"
        " written is stored whole or not at all: run it again"
    )


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """What goes past SQLAlchemy: its errors are those of the driver."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        lost = bool(connection.connection.driver_connection.closed)  # type: ignore[union-attr]
        if lost:
            connection.invalidate()
        raise map_error(error, address_of(connection.engine), lost=lost) from error
