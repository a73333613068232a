"""All that is peculiar to PostgreSQL, as `dialect.Dialect` asks for it, each job in a file of its own.

One database holds the catalogs of many collections and the tables of the app. A transaction that writes
takes an advisory lock of its scope first (a collection, or the tables of one kind), so that writers follow
each other as they do on SQLite, and commit order equals the order of numbers. Who holds a lock for longer
than a transaction (`WriterLock`) writes on the connection that holds it: with the connection, lock and
transaction are lost at once.
"""

from indexing.catalog.postgres.connections import POOL_VARIABLE, close_pools, open_database
from indexing.catalog.postgres.errors import map_error, map_errors, translated
from indexing.catalog.postgres.locks import WriterLock
from indexing.catalog.postgres.rows import (
    NUMBERS_WHILE_OTHERS_WRITE,
    insert_new,
    insert_or_replace,
    insert_rows,
    reserve_numbers,
)
from indexing.catalog.postgres.tables import lock_schema, read_version, set_version
from indexing.catalog.postgres.transactions import reading, writing
from indexing.catalog.postgres.upkeep import (
    OUT_OF_REACH,
    exists,
    file_bytes,
    find_damage,
    find_wrong_types,
    free_bytes,
    identity,
    is_in_log,
    require_space,
    scrub,
    vacuum,
)

__all__ = [
    "COMPARES_FILTERS",
    "NUMBERS_WHILE_OTHERS_WRITE",
    "OUT_OF_REACH",
    "POOL_VARIABLE",
    "WriterLock",
    "close_pools",
    "exists",
    "file_bytes",
    "find_damage",
    "find_wrong_types",
    "free_bytes",
    "identity",
    "insert_new",
    "insert_or_replace",
    "insert_rows",
    "is_in_log",
    "lock_schema",
    "map_error",
    "map_errors",
    "open_database",
    "read_version",
    "reading",
    "require_space",
    "reserve_numbers",
    "scrub",
    "set_version",
    "translated",
    "vacuum",
    "writing",
]

COMPARES_FILTERS = False
"""Whether the database compares as filters do; it has no function for normal forms and dates of ours."""
