"""The tests of collections, run on PostgreSQL: a home that a test names stands for a database of a server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import indexing.collection
from indexing import creation, listing
from indexing.catalog.postgres import close_pools
from indexing.storage import paths


@contextmanager
def collections_on(databases: Any) -> Iterator[None]:
    """Until the end of the block, collections of a home that have no `db` are in a database of their own."""
    urls: dict[str, str] = {}
    originals = creation.collection_place, creation.list_collections, listing.list_collections

    def url_of(home: Any) -> str:
        name = os.fspath(paths.home_folder(home))
        if name not in urls:
            urls[name] = databases.create()
        return urls[name]

    def place(name: str, home: Any = None, db: str | None = None) -> paths.Place:
        paths.check_name(name)
        return originals[0](name, home, url_of(home) if db is None else db)

    def listed(home: Any = None, db: str | None = None) -> listing.Listing:
        return originals[2](home, url_of(home) if db is None else db)

    creation.collection_place = listing.collection_place = place  # type: ignore[assignment]
    creation.list_collections = listing.list_collections = indexing.collection.list_collections = listed
    try:
        yield
    finally:
        creation.collection_place = listing.collection_place = originals[0]
        creation.list_collections = originals[1]
        listing.list_collections = indexing.collection.list_collections = originals[2]
        close_pools()
        for url in urls.values():
            databases.drop(url)
