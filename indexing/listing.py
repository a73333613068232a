"""Which collections there are. One that cannot be read does not hide the others."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexing.catalog.collections import collection_names
from indexing.catalog.database import open_database, reading
from indexing.catalog.dialect import dialect_of
from indexing.catalog.migrate import schema_revision
from indexing.catalog.unwritable import is_unwritable, needs_copy
from indexing.errors import IndexingError
from indexing.storage.paths import (
    Address,
    Home,
    catalogs_in,
    collection_place,
    collections_folder,
    database_address,
)

__all__ = ["Listing", "collection_identity", "list_collections"]


@dataclass
class Listing:
    """`names` of the collections in order; `damaged` name → why its catalog cannot be read."""

    names: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)


def list_collections(home: Home = None, db: str | None = None) -> Listing:
    """The collections in `home`, or in the database `db`.

    Raises:
        StorageError: `db` cannot be read. In a home every collection has its own catalog, and those that
            cannot be read are named.
    """
    if db is not None:
        address = database_address(db)
        return Listing(sorted(_names_in(address)) if dialect_of(address).exists(address) else [])
    listing = Listing()
    for path in catalogs_in(collections_folder(home)):
        try:
            # In a home a catalog has the name of its folder: nothing is copied to read it.
            copied = is_unwritable(path) and needs_copy(path)
            listing.names += [path.parent.name] if copied else _names_in(path)
        except IndexingError as error:
            if path.is_file():  # otherwise it was deleted at this moment
                listing.damaged[path.parent.name] = str(error)
    listing.names.sort()
    return listing


def collection_identity(name: str, home: Home = None, db: str | None = None) -> tuple[int, int] | None:
    """Changes when a collection was deleted and another one made under its name; None if there is none."""
    catalog = collection_place(name, home, db).catalog
    return dialect_of(catalog).identity(catalog)


def _names_in(catalog: Address) -> list[str]:
    """The collections of a catalog; none if a run was killed before it had made one."""
    database = open_database(catalog)
    try:
        if schema_revision(database) is None:
            return []
        with reading(database) as connection:
            return collection_names(connection)
    finally:
        database.dispose()
