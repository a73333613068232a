"""Where things live on disk.

    HOME/collections/NAME/catalog.sqlite      the truth
    HOME/collections/NAME/views/…             derived, rebuildable
    HOME/collections/NAME/locks/…             advisory locks of writers

With a database URL the catalog is that file, and views and locks live in `<file>.stlib/NAME/` beside it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from indexing.errors import BadInput, StorageError

__all__ = [
    "CATALOG_FILE",
    "Home",
    "Place",
    "check_name",
    "collection_place",
    "collections_folder",
    "database_path",
    "home_folder",
]

Home: TypeAlias = "str | os.PathLike[str] | None"

CATALOG_FILE = "catalog.sqlite"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SQLITE_URL = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """The files of one collection: the catalog database, the folder of its views, the folder of its locks."""

    name: str
    catalog: Path
    views: Path
    locks: Path
    folder: Path
    shared_catalog: bool  # True when the database may hold other collections too


def home_folder(home: Home = None) -> Path:
    """`home`, else the environment's STLIB_HOME, else the platform's folder for application data."""
    if home is not None:
        return Path(home).expanduser()
    if configured := os.environ.get("STLIB_HOME"):
        return Path(configured).expanduser()
    from platformdirs import user_data_path

    return user_data_path("stlib", appauthor=False)


def collections_folder(home: Home = None) -> Path:
    """Where collections lie.

    Raises:
        StorageError: the home is a file.
    """
    folder = home_folder(home)
    if folder.is_file():
        raise StorageError(f"{folder} is a file: give a folder as home (--home or STLIB_HOME)")
    return folder / "collections"


def check_name(name: str) -> str:
    """`name` itself. A collection's name becomes a folder, hence the restriction.

    Raises:
        BadInput: it holds other characters, or is empty or longer than 64.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(
            f"collection name {name!r}: use 1 to 64 letters, digits, '.', '_' or '-',"
            " starting with a letter or digit"
        )
    return name


def collection_place(name: str, home: Home = None, db: str | None = None) -> Place:
    """The files of collection `name`, which need not exist yet."""
    check_name(name)
    if db is None:
        folder = collections_folder(home) / name
        return Place(name, folder / CATALOG_FILE, folder / "views", folder / "locks", folder, False)
    catalog = database_path(db)
    folder = catalog.with_name(catalog.name + ".stlib") / name
    return Place(name, catalog, folder / "views", folder / "locks", folder, True)


def database_path(db: str) -> Path:
    """The file a SQLite URL names.

    Raises:
        StorageError: the URL names another kind of database.
    """
    match = _SQLITE_URL.fullmatch(db)
    if match is None or match["path"].startswith(":memory:"):
        raise StorageError(
            f"database {db!r}: give a SQLite file as sqlite:///relative.db or sqlite:////absolute.db"
        )
    return Path(match["path"]).expanduser()
