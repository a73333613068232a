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

ABOUT_FILES = frozenset(
    {
        "test_deleted_text_is_not_left_in_the_catalog",
        "test_search_imports_neither_torch_nor_alembic",
        "test_a_damaged_view_is_set_aside_and_the_answers_stay",
        "test_a_view_that_is_far_behind_and_locked_is_not_used",
        "test_a_view_of_an_older_version_is_made_again",
        "test_a_second_writer_is_told_at_once",
        "test_another_process_sees_what_was_committed",
        "test_a_collection_deleted_by_another_process_leaves_nothing_behind",
        "test_a_collection_is_not_made_while_one_of_its_name_is_deleted",
        "test_of_what_others_write_a_part_is_read_and_the_lag_is_said[process]",
        "test_one_document_more_publishes_nothing",
        "test_a_dropped_generation_gives_its_space_back",
        "test_an_altered_artifact_is_named_and_the_others_answer[UPDATE artifact SET data = zeroblob(300)]",
        "test_a_reindex_without_room_begins_nothing",
        "test_nothing_is_left_of_what_is_dropped",
        "test_a_full_disk_ends_the_load_at_once_and_it_goes_on_later",
    }
)
"""Tests that look into the files of a home, speak SQLite, or start processes that know only the home; those
of `test_postgres_catalog.py` take their place.
"""


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
