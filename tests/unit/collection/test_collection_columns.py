"""Filters and facets by column say what the database says, whatever becomes of the view."""

from __future__ import annotations

import json

import pytest

from indexing import Collection, facets
from indexing.columns import snapshot
from indexing.facets import FacetCounts
from indexing.search import allowed
from indexing.storage.files import FolderLock
from indexing.views import columns

LONG = "a long text about nothing at all " * 20
DOCUMENTS = [
    {
        "id": f"d{i}",
        "text": f"note number {i}",
        "metadata": {"n": i, "even": i % 2 == 0, "tags": ["x"] * (i % 3), "long": f"{LONG}{i % 4}"},
    }
    for i in range(200)
]
FILTERS = {
    "n < 7": {f"d{i}" for i in range(7)},
    "even = true and n >= 190": {"d190", "d192", "d194", "d196", "d198"},
    "tags = 'x' and n in (3, 4, 5)": {"d4", "d5"},
    f"long = '{LONG}1' and n < 9": {"d1", "d5"},
    f"long > '{LONG}2' and n < 9": {"d3", "d7"},  # only the database has the whole texts
}


@pytest.fixture
def notes(home):
    with Collection.create("c", home=home) as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
        yield collection


@pytest.fixture
def asked(monkeypatch):
    """Filters that the database was asked for."""
    asked = []
    by_sql = allowed.AllowedCache._by_sql

    def count(self, connection, node):
        asked.append(node)
        return by_sql(self, connection, node)

    monkeypatch.setattr(allowed.AllowedCache, "_by_sql", count)
    return asked


def found(collection, filter):
    return {result.id for result in collection.search("note number", 200, filter=filter)}


def test_the_database_is_asked_only_for_what_columns_cannot_tell(notes, asked):
    for filter, expected in FILTERS.items():
        assert found(notes, filter) == expected
    assert len(asked) == 1


def test_a_damaged_view_is_set_aside_and_the_answers_stay(notes, home, asked):
    facets = notes.facets()
    notes.close()
    (path,) = (home / "collections/c/views/columns").rglob("columns-1.bin")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with Collection.open("c", home=home) as collection:
        assert collection.facets() == facets
        for filter, expected in FILTERS.items():
            assert found(collection, filter) == expected
        assert collection.verify().errors == []
        assert collection.verify().clean


def test_a_view_that_is_far_behind_and_locked_is_not_used(notes, home, asked, monkeypatch):
    monkeypatch.setattr(columns, "TAIL_DOCUMENTS", 10)
    with FolderLock(home / "collections/c/locks", "views.lock"):
        notes.add({"id": f"n{i}", "text": "note number", "metadata": {"n": -i}} for i in range(1, 41))
        assert found(notes, "n < 0") == {f"n{i}" for i in range(1, 41)}
        assert len(asked) == 1
        notes.delete(["d0", "n1"])
        read = []
        monkeypatch.setattr(facets, "read_metadata", lambda text: read.append(text) or json.loads(text))
        counted = notes.facets()
        assert counted["n"].documents == 238
        assert counted["even"] == FacetCounts([(True, 99), (False, 100)][::-1], 2, 199)
        assert len(read) == 39
    notes._views._follow_again = 0.0  # as if some time had passed
    assert found(notes, "n < -1") == {f"n{i}" for i in range(2, 41)}
    assert len(asked) == 1  # it has followed


def test_facets_are_the_same_by_column_and_one_by_one(notes, monkeypatch):
    notes.delete(["d7"])
    notes.add([{"id": "d8", "text": "x", "metadata": {"n": 1.0, "even": None, "tags": ["y", "y"]}}])
    by_column = notes.facets()
    monkeypatch.setattr(columns.ColumnView, "reader", lambda self, connection: None)
    assert by_column == notes.facets()
    assert by_column["even"] == FacetCounts([(False, 99), (True, 99)], 2, 199)
    assert by_column["tags"].values == [("x", 196), ("y", 2)]
    assert by_column["long"] == FacetCounts([], 4, 198)


def test_hints_come_from_documents_that_are_there(notes):
    notes.delete(f"d{i}" for i in range(0, 200, 2))
    assert notes.search("note", filter="even = true").notes == []
    assert notes.search("note", filter="evn = true").notes == [
        "no document has the field 'evn'; did you mean 'even'?"
    ]
    notes.delete(f"d{i}" for i in range(1, 200, 2))
    (hint,) = notes.search("note", filter="n = 3").notes
    assert hint == "no document has the field 'n'"


def test_a_view_of_an_older_version_is_made_again(home, monkeypatch, asked):
    monkeypatch.setattr(snapshot, "_FORMAT", 1)
    with Collection.create("c", home=home) as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
    monkeypatch.undo()
    with Collection.open("c", home=home) as collection:
        assert found(collection, "n < 3") == {"d0", "d1", "d2"}
        collection.refresh()
        assert found(collection, "n < 2") == {"d0", "d1"}
        assert collection.verify().clean
    manifests = (home / "collections/c/views/columns").rglob("manifest.json")
    assert [json.loads(path.read_text())["body"]["meta"]["format"] for path in manifests] == [2]
