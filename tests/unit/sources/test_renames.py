"""Ids that were written down before documents were renamed."""

from __future__ import annotations

import pytest

from indexing.catalog import moving
from indexing.catalog.artifacts import store_artifact
from indexing.catalog.database import reading, writing
from indexing.catalog.moving import Move, move_documents, present_ids


@pytest.fixture
def renamed(collection):
    """Renames documents at once, each to the given id."""

    def rename(names):
        with writing(collection._session.database) as connection:
            keys = {id_: one.key for id_, one in collection.get(names).items()}
            moves = {keys[old]: Move((new,), None) for old, new in names.items()}
            move_documents(connection, collection._session.id, moves)

    return rename


def test_ids_are_followed_from_when_they_were_written_down(collection, renamed, monkeypatch):
    collection.add([{"id": name, "text": name} for name in "abcd"])
    monkeypatch.setattr(moving, "now", lambda: "2020-01-01T00:00:00+00:00")
    renamed({"a": "old"})  # before anything was written down
    with writing(collection._session.database) as connection:
        artifact = store_artifact(connection, collection._session.id, "memory", b"x")
    monkeypatch.undo()
    renamed({"b": "c", "c": "b"})  # they change names
    renamed({"d": "e"})
    renamed({"e": "d", "b": "f"})  # and back again
    with reading(collection._session.database) as connection:
        now = present_ids(connection, collection._session.id, "abcd", artifact)
    assert now == {"a": "a", "b": "c", "c": "f", "d": "d"}
    assert {one.id: one.text for one in collection.documents()} == {"old": "a", "c": "b", "f": "c", "d": "d"}
    assert [step[1:3] for step in collection.renames_after(2)] == [("d", "e"), ("e", "d"), ("b", "f")]
    assert collection.verify().clean
