"""Databases beside the catalogs, for tables that are no part of a collection: jobs, impressions.

They hold a few plain tables and have no migrations: the version stands in the file itself.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, MetaData

from indexing.catalog import sqlite
from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.migrate import REMEDY_FOR_NEWER
from indexing.errors import StorageError

__all__ = ["open_side_database"]


def open_side_database(path: Path, tables: MetaData, version: int) -> Engine:
    """The database `path` with `tables`, which are made where there are none.

    Raises:
        StorageError: it was written by a newer release, is a link, or cannot be opened.
    """
    if path.is_symlink():  # it may have come with a copied home, and lead to somebody's database
        raise StorageError(f"{path} is a symbolic link, which is not followed; remove it")
    engine = open_database(path, create=True)
    try:
        with reading(engine) as connection:
            found = sqlite.read_version(connection)
        if found < version:
            with writing(engine) as connection:  # another process may be making them at this moment
                tables.create_all(connection)
                sqlite.set_version(connection, version)
    except BaseException:
        engine.dispose()
        raise
    if found > version:
        engine.dispose()
        raise StorageError(
            f"{path} has version {found}, newer than this release knows ({version}): {REMEDY_FOR_NEWER}"
        )
    return engine
