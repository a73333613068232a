"""The database as a whole: whether it is there, its room, dead rows, and what can be found wrong with it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, inspect, select, text

from indexing.catalog.postgres.connections import open_database
from indexing.catalog.postgres.errors import map_errors
from indexing.catalog.postgres.transactions import reading
from indexing.catalog.schema import Base
from indexing.errors import IndexingError
from indexing.storage.paths import ServerDatabase

__all__ = [
    "OUT_OF_REACH",
    "exists",
    "file_bytes",
    "find_damage",
    "find_wrong_types",
    "free_bytes",
    "identity",
    "is_in_log",
    "require_space",
    "scrub",
    "vacuum",
]


def exists(address: ServerDatabase) -> bool:
    """Whether there is a catalog in the database.

    Raises:
        ConnectionLost, StorageError: the database cannot be reached.
    """
    engine = open_database(address)
    with map_errors(engine), engine.connect() as connection:
        return bool(connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")))


def identity(address: ServerDatabase) -> tuple[int, int] | None:
    """Changes when a database was dropped and another one made in its place; None if there is no catalog."""
    engine = open_database(address)
    with map_errors(engine), engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT oid::bigint, to_regclass('alembic_version')::oid::bigint FROM pg_database"
                " WHERE datname = current_database()"
            )
        ).one()
    return None if row[1] is None else (int(row[0]), int(row[1]))


def file_bytes(engine: Engine, address: ServerDatabase) -> int:
    """Bytes that the tables of the database take with their indexes, those of all collections."""
    with reading(engine) as connection:
        return _table_bytes(connection)


def _table_bytes(connection: Connection) -> int:
    statement = (
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    return int(connection.scalar(text(statement)) or 0)


def free_bytes(connection: Connection) -> tuple[int, int]:
    """Bytes that hold nothing, and bytes in all; the server itself uses again what is free."""
    return 0, _table_bytes(connection)


def require_space(address: ServerDatabase, needed: int) -> None:
    """The disk is the server's, and cannot be asked."""


def vacuum(engine: Engine) -> None:
    """Lets the server use the room of dead rows again, and forget what they held in its own time."""
    with map_errors(engine), engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for name in inspect(connection).get_table_names():
            connection.execute(text(f"VACUUM {connection.dialect.identifier_preparer.quote(name)}"))


OUT_OF_REACH = (
    "the server's write-ahead log, its archive, replicas and backups, until they are overwritten",
    "the server's own log and statistics of statements, where it was set up to keep values in them",
    "indexes on other machines that share the database, until the next search there makes them anew",
    "what the disk, its snapshots or an SSD's spare blocks keep of files that were removed",
)
"""Where bytes of deleted rows may be that no statement reaches."""

_OLD_VIEW_SECONDS = 5.0  # a search or a batch looks at the database for well under a second


def scrub(engine: Engine, tables: Sequence[str] | None = None) -> str | None:
    """Writes tables (None: those of the catalogs) and their statistics anew without dead rows; why old bytes
    may still be in the server's files, or None.

    `VACUUM` alone frees the room of dead rows and leaves their bytes there. While a table is written anew
    nobody reads it: if it cannot be had within the usual waiting time, that is the reason that is returned.
    """
    whys = [_wait_for_old_views(engine)]
    names = [table.name for table in Base.metadata.sorted_tables] if tables is None else list(tables)
    try:
        with map_errors(engine), engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            quote = connection.dialect.identifier_preparer.quote
            left = [name for name in names if not _write_anew(connection, quote(name), "FULL, ANALYZE")]
            if left:
                whys.append(
                    f"this user may not write {', '.join(left)} anew: finish as the owner of the tables"
                )
            if not _write_anew(connection, "pg_catalog.pg_statistic", "FULL"):  # common values lie there
                whys.append(
                    "this user may not write the statistics anew: finish as the owner of the database"
                )
    except IndexingError as error:
        whys.append(str(error))
    return "; ".join(filter(None, whys)) or None


def _write_anew(connection: Connection, table: str, how: str) -> bool:
    """Whether the server did: to who may not it is a warning, and not an error."""
    file = select(func.pg_relation_filenode(func.to_regclass(table)))
    before = connection.scalar(file)
    connection.execute(text(f"VACUUM ({how}) {table}"))
    return connection.scalar(file) != before


# A row stays for as long as anybody may see it who began before it was deleted: a transaction, one that was
# prepared and left, a replica that tells what it still reads, a slot that is kept for one.
_OLD_VIEWS = """
SELECT 'transactions of others', count(*) FROM pg_stat_activity
WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
  AND greatest(age(backend_xmin), age(backend_xid)) > {now}
UNION ALL
SELECT 'prepared transactions', count(*) FROM pg_prepared_xacts
WHERE database = current_database() AND age(transaction) > {now}
UNION ALL
SELECT 'replication slots', count(*) FROM pg_replication_slots
WHERE greatest(age(xmin), age(catalog_xmin)) > {now}
""".format(now="age((:now)::text::xid8::xid)")


def _wait_for_old_views(engine: Engine) -> str | None:
    """Who keeps deleted rows after a wait that is long enough for searches and batches; None: nobody."""
    deadline = time.monotonic() + _OLD_VIEW_SECONDS
    with map_errors(engine), engine.connect() as connection:
        with connection.begin():
            now = connection.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
        while True:
            with connection.begin():
                rows = connection.execute(text(_OLD_VIEWS), {"now": now})
                found = [f"{count} {who}" for who, count in rows if count]
            if not found:
                return None
            if time.monotonic() > deadline:
                return f"{' and '.join(found)} began before it and still see the rows"
            time.sleep(0.05)


def is_in_log(engine: Engine) -> bool:
    """The log is the server's, which keeps it for as long as it was told."""
    return False


def find_damage(connection: Connection) -> list[str]:
    """Nothing: the server checks its pages itself, as far as it was set up to."""
    return []


def find_wrong_types(connection: Connection) -> list[str]:
    """Nothing: a column of the server holds values of its type alone."""
    return []
