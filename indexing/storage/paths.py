"""Where things live on disk.

    HOME/collections/NAME/catalog.sqlite      the truth
    HOME/collections/NAME/views/…             derived, rebuildable
    HOME/collections/NAME/locks/…             advisory locks of writers

With the URL of a SQLite file the catalog is that file, and views and locks live in `<file>.stlib/NAME/`
beside it. With that of a PostgreSQL database they live in `HOME/databases/<database>/NAME/`: views belong to
one host.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from indexing.errors import BadInput, StorageError

__all__ = [
    "CATALOG_FILE",
    "Address",
    "Home",
    "Place",
    "ServerDatabase",
    "catalogs_in",
    "check_name",
    "collection_place",
    "collections_folder",
    "database_address",
    "has_password",
    "home_folder",
    "is_there",
    "side_address",
    "side_folder",
]

Home: TypeAlias = "str | os.PathLike[str] | None"

CATALOG_FILE = "catalog.sqlite"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SQLITE_URL = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True)
class ServerDatabase:
    """A PostgreSQL database. Written as text it has no password; `url` has what was given."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return _without_password(self.url)

    @property
    def folder_name(self) -> str:
        """A name of its own for the files of this host that belong to it."""
        _, where = _parted(self.url)
        place, _, query = where.partition("?")
        name = re.sub(r"[^A-Za-z0-9._-]", "-", unquote(place.rpartition("/")[2]))[:32] or "database"
        told = "&".join(one for one in query.split("&") if one.startswith(("host=", "port=", "dbname=")))
        return f"{name}-{hashlib.blake2b(f'{place}?{told}'.encode(), digest_size=6).hexdigest()}"


Address: TypeAlias = "Path | ServerDatabase"
"""Where a database is: a SQLite file, or a database of a PostgreSQL server."""


@dataclass(frozen=True)
class Place:
    """What one collection has: the catalog database, the folder of its views, the folder of its locks."""

    name: str
    catalog: Address
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


def catalogs_in(folder: Path) -> list[Path]:
    """The catalogs of the collections in a folder of them. What is being made there, or deleted, is none."""
    return sorted(path for path in folder.glob(f"*/{CATALOG_FILE}") if path.parent.name[0] != ".")


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
    catalog = database_address(db)
    folder = side_folder(home, db, "stlib") / name
    return Place(name, catalog, folder / "views", folder / "locks", folder, True)


def database_address(db: str) -> Address:
    """The database that a URL names.

    Raises:
        StorageError: it names another kind of database.
    """
    if db.partition(":")[0] in _SERVER_SCHEMES:
        return _server(f"postgresql:{db.partition(':')[2]}")
    match = _SQLITE_URL.fullmatch(db)
    if match is None or match["path"].startswith(":memory:"):
        raise StorageError(
            f"database {_without_password(db)!r}: give a SQLite file as sqlite:///relative.db or"
            " sqlite:////absolute.db, or a PostgreSQL database as postgresql://user@host/name"
        )
    return Path(match["path"]).expanduser()


def _server(url: str) -> ServerDatabase:
    who, _ = _parted(url)
    if not url.startswith("postgresql://") or "@" in who or "?" in who or "/" in who:
        raise StorageError(
            f"database {_without_password(url)!r}: use postgresql://user:password@host/name, and write @ / ?"
            " of a password as %40 %2F %3F, or leave it away and set PGPASSWORD"
        )
    return ServerDatabase(url)


def side_address(home: Home, db: str | None, name: str) -> Address:
    """Where the tables called `name` are that are no part of a collection: HOME/NAME.sqlite,
    FILE.NAME.sqlite, or the database of a server itself. Absolute.
    """
    address = None if db is None else database_address(db)
    if isinstance(address, ServerDatabase):
        return address
    if address is None:
        return home_folder(home).absolute() / f"{name}.sqlite"
    path = address.absolute()
    return path.with_name(f"{path.name}.{name}.sqlite")


def side_folder(home: Home, db: str | None, name: str) -> Path:
    """The folder called `name` for what belongs to all collections: HOME/NAME, FILE.NAME, or
    HOME/databases/DATABASE/NAME. Absolute.
    """
    address = None if db is None else database_address(db)
    if isinstance(address, ServerDatabase):
        return home_folder(home).absolute() / "databases" / address.folder_name / name
    if address is None:
        return home_folder(home).absolute() / name
    path = address.absolute()
    return path.with_name(f"{path.name}.{name}")


def is_there(address: Address) -> bool:
    """Whether there is a database, as far as can be told without asking a server."""
    return isinstance(address, ServerDatabase) or address.is_file()


def has_password(db: str) -> bool:
    """Whether a password stands in the URL of a database."""
    who, where = _parted(db)
    named = ":" in who or re.search(r"[?&]\w*password=.", where) is not None
    return db.partition(":")[0] in _SERVER_SCHEMES and named


_SERVER_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


def _without_password(url: str) -> str:
    who, where = _parted(url)
    hidden = re.sub(r"(?<=[?&])(\w*password)=[^&]*", r"\1=***", where)
    name, colon, _ = who.partition(":")
    shown = f"{name}{':***' if colon else ''}@" if who else ""
    return f"{url.partition('://')[0]}://{shown}{hidden}"


def _parted(url: str) -> tuple[str, str]:
    """Name and password of a URL, and what comes behind them: all before the last `@` may be a password."""
    rest = url.partition("://")[2]
    place, question, query = rest.partition("?")
    if "@" in query:  # the question mark is in a password
        place, question, query = rest, "", ""
    who, _, where = place.rpartition("@")
    return who, f"{where}{question}{query}"
