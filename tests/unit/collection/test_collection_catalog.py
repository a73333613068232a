"""Collections that are made, listed, opened, described and dropped, and catalogs that are damaged."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput, CollectionExists, ModelMismatch, StorageError, UnknownCollection
from indexing.listing import list_collections


def test_open_lists_the_known_collections(animals, home):
    with pytest.raises(UnknownCollection, match="no collection 'x'; there are: animals"):
        Collection.open("x", home=home)
    with pytest.raises(UnknownCollection, match="there are: none yet"):
        Collection.open("x", home=home / "elsewhere")
    with pytest.raises(CollectionExists, match="'animals' exists already"):
        Collection.create("animals", home=home)


def test_a_collection_whose_making_was_killed_can_be_made_again(animals, home, documents, ids):
    for name, content in (("empty", b""), ("no-row", None)):
        folder = home / "collections" / name
        folder.mkdir()
        if content is None:
            with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        else:
            (folder / "catalog.sqlite").write_bytes(content)
        assert Collection.list(home=home) == ["animals"]
        with pytest.raises(UnknownCollection, match="there are: animals"):
            Collection.open(name, home=home)
        with Collection.create(name, home=home) as collection:
            collection.add(documents[:1])
            assert ids(collection.search("air")) == ["whale"]
        Collection.open(name, home=home).drop()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "naïve", None])
def test_names_that_cannot_be_folders_are_refused(home, name):
    with pytest.raises(BadInput, match="collection name"):
        Collection.create(name, home=home)


def test_another_model_is_refused_and_named(animals, home):
    class Other:
        name = "other-model"
        dimension = 3
        fingerprint = "0" * 64

        def encode_query(self, texts, **options):
            return np.ones((len(texts), 3), np.float32)

        encode_document = encode_query

        def token_spans(self, texts):
            return [np.empty((0, 2), np.int32) for _ in texts]

    with pytest.raises(
        ModelMismatch, match=r"made with stlib-static-en .* but this is other-model \(3 dimensions"
    ):
        Collection.open("animals", home=home, model=Other())


def test_reopened_collection_answers_the_same(animals, home):
    before = [(r.id, r.score) for r in animals.search("guard the house").results]
    with Collection.open("animals", home=home) as again:
        assert [(r.id, r.score) for r in again.search("guard the house").results] == before


def test_database_url_holds_several_collections(tmp_path):
    db = f"sqlite:///{tmp_path / 'all.db'}"
    for name in ("one", "two"):
        with Collection.create(name, db=db) as collection:
            collection.add([{"id": "1", "text": f"text of {name}"}])
    assert Collection.list(db=db) == ["one", "two"]
    with Collection.open("one", db=db) as one:
        assert one.search("text").results[0].text == "text of one"
        one.drop()
    assert Collection.list(db=db) == ["two"]
    with Collection.open("two", db=db) as two:
        assert two.search("text", mode="keyword").results[0].text == "text of two"
        assert two.verify().clean
    with pytest.raises(StorageError, match=r"give a SQLite file .* or a PostgreSQL database"):
        Collection.create("x", db="mysql://localhost/x")


def test_drop_leaves_nothing(animals, home):
    animals.drop()
    assert Collection.list(home=home) == []
    assert list((home / "collections").iterdir()) == []


def test_a_file_that_is_no_database_is_reported(home):
    (home / "collections/x").mkdir(parents=True)
    (home / "collections/x/catalog.sqlite").write_bytes(b"no database at all, " * 100)
    with pytest.raises(StorageError, match="is damaged or not a database"):
        Collection.open("x", home=home)


@pytest.mark.parametrize("end", [100, 5000])
def test_a_damaged_catalog_does_not_hide_the_others(animals, home, end):
    """Torn in its header, or behind it."""
    Collection.create("torn", home=home).close()
    catalog = home / "collections/torn/catalog.sqlite"
    catalog.write_bytes(b"\xff" * end + catalog.read_bytes()[end:])
    assert Collection.list(home=home) == ["animals"]
    assert [(name, "is damaged" in why) for name, why in list_collections(home).damaged.items()] == [
        ("torn", True)
    ]
    with pytest.raises(UnknownCollection, match=r"no collection 'x'; there are: animals; damaged: torn"):
        Collection.open("x", home=home)
    assert Collection.list(home=home) == ["animals"]
    with pytest.raises(StorageError, match="is damaged"):
        Collection.open("torn", home=home)


def test_a_collection_that_is_forgotten_closes_its_database(home, documents):
    collection = Collection.create("c", home=home)
    collection.add(documents)
    collection.search("honey")
    pool = collection._session.database.pool
    assert pool.checkedin() > 0
    del collection
    gc.collect()
    assert pool.checkedin() == 0


def test_a_folder_may_have_any_name(tmp_path, documents, ids):
    home = tmp_path / "what? 100% #1 [notes]"
    with Collection.create("animals", home=home) as collection:
        collection.add(documents)
        assert ids(collection.search("honey"))[0] == "bee"
    assert [path.name for path in tmp_path.iterdir()] == [home.name]


def test_the_size_of_a_catalog_is_that_of_its_own_files(tmp_path, documents):
    with Collection.create("animals", db=f"sqlite:///{tmp_path}/notes.db") as collection:
        collection.add(documents)
        before = collection.info().catalog_bytes
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "notes.db-backup").write_bytes(bytes(1_000_000))
        assert collection.info().catalog_bytes == before


def test_a_model_that_cannot_be_had_is_one_line(home, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadInput, match="model 'no-such-model' cannot be loaded") as caught:
        Collection.create("c", "no-such-model", home=home)
    assert "\n" not in str(caught.value)
    assert Collection.list(home=home) == []
