"""Databases beside the catalogs, for tables that are no part of a collection: jobs, impressions.

They hold a few plain tables and have no migrations: the version stands in the file itself, or in a table of a
server's database, where they lie among those of the catalogs.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, MetaData

from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.migrate import REMEDY_FOR_NEWER
from indexing.errors import StorageError
from indexing.storage.paths import Address

__all__ = ["open_side_database"]


def open_side_database(address: Address, tables: MetaData, version: int, name: str) -> Engine:
    """The database at `address` with `tables`, called `name`, which are made where there are none.

    Raises:
        StorageError: it was written by a newer release, is a link, or cannot be opened.
    """
    if isinstance(address, Path) and address.is_symlink():  # of a copied home, leading elsewhere
        raise StorageError(f"{address} is a symbolic link, which is not followed; remove it")
    engine = open_database(address, create=True, scope=name)
    try:
        with reading(engine) as connection:
            found = dialect_of(connection).read_version(connection, name)
        if found < version:
            with writing(engine) as connection:  # another process may be making them at this moment
                dialect_of(connection).lock_schema(connection)
                tables.create_all(connection)
                dialect_of(connection).set_version(connection, name, version)
    except BaseException:
        engine.dispose()
        raise
    if found > version:
        engine.dispose()
        raise StorageError(
            f"{address} has version {found}, newer than this release knows ({version}): {REMEDY_FOR_NEWER}"
        )
    return engine
