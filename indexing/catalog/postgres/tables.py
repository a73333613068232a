"""Making tables: one process at a time, and what version they have without migrations."""

from __future__ import annotations

from sqlalchemy import Connection, func, inspect, select, text

from indexing.catalog.postgres.locks import lock_number

__all__ = ["lock_schema", "read_version", "set_version"]

_VERSIONS = "stlib_version"


def lock_schema(connection: Connection) -> None:
    """Held to the end of the transaction: of those who would make or change tables, one does."""
    connection.execute(select(func.pg_advisory_xact_lock(lock_number("", "schema"))))


def read_version(connection: Connection, name: str) -> int:
    """The number that tables without migrations carry as their version; 0 where there are none."""
    if not inspect(connection).has_table(_VERSIONS):
        return 0
    found = connection.scalar(text(f"SELECT version FROM {_VERSIONS} WHERE name = :name"), {"name": name})  # noqa: S608
    return int(found or 0)


def set_version(connection: Connection, name: str, version: int) -> None:
    connection.execute(
        text(f"CREATE TABLE IF NOT EXISTS {_VERSIONS} (name text PRIMARY KEY, version bigint NOT NULL)")
    )
    connection.execute(
        text(
            f"INSERT INTO {_VERSIONS} (name, version) VALUES (:name, :version)"  # noqa: S608
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
        ),
        {"name": name, "version": version},
    )
