"""Thousands of tests make a new catalog: the migrations make the first one of a process, and those after it
are made from what was there then, in a tenth of the time.

Catalogs of older schemas, those of servers and those of started processes go through the migrations as ever.
"""

from __future__ import annotations

from sqlalchemy import Connection

from indexing.catalog import migrate

__all__ = ["by_migrations", "upgrade"]

by_migrations = migrate._upgrade
_made: list[str] = []


def upgrade(connection: Connection) -> None:
    """In place of `indexing.catalog.migrate._upgrade`."""
    if connection.dialect.name != "sqlite" or _has_tables(connection):
        by_migrations(connection)
    elif _made:
        for statement in _made:
            connection.exec_driver_sql(statement)
    else:
        by_migrations(connection)
        _made.extend(_statements_for(connection))


def _has_tables(connection: Connection) -> bool:
    return bool(connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar())


def _statements_for(connection: Connection) -> list[str]:
    """What makes the tables of a database with their rows and indexes."""
    driver = connection.connection.driver_connection
    return [line for line in driver.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]
