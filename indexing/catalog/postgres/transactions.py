"""Transactions that read one view of a database, and those that write one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, select

from indexing.catalog.postgres.connections import address_of, scope_of
from indexing.catalog.postgres.errors import connection_lost
from indexing.catalog.postgres.locks import held, lock_number

__all__ = ["reading", "writing"]


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the database."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        connection = connection.execution_options(**options)
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the lock of its scope from its first statement; on the connection of the lock
    that this thread holds for longer, if it holds one.
    """
    connections = held.of(scope_of(engine))
    if connections:
        with _writing_on(connections[-1], engine) as connection:
            yield connection
    else:
        with engine.connect() as connection, _writing_on(connection, engine):
            yield connection


@contextmanager
def _writing_on(connection: Connection, engine: Engine) -> Iterator[Connection]:
    if connection.invalidated or connection.closed:
        raise connection_lost(address_of(engine))
    with connection.begin():
        connection.execute(select(func.pg_advisory_xact_lock(lock_number(*scope_of(engine)))))
        yield connection
