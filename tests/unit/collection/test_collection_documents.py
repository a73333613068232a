"""Documents that are added to a collection, changed and deleted, and those that are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from indexing import Collection
from indexing.errors import BadInput
from indexing.generations.calibrate import fixed_texts
from indexing.models.encoders import load_encoder


def test_unchanged_documents_are_not_embedded_again(home, documents, ids):
    calls = []

    class Counting:
        def __init__(self):
            self._inner = load_encoder(None)

        def __getattr__(self, name):
            return getattr(self._inner, name)

        name = property(lambda self: self._inner.name)
        dimension = property(lambda self: self._inner.dimension)
        fingerprint = property(lambda self: self._inner.fingerprint)

        def encode_document(self, texts, **options):
            calls.extend(texts)
            return self._inner.encode_document(texts, **options)

        def encode_query(self, texts, **options):
            return self._inner.encode_query(texts, **options)

        def token_spans(self, texts):
            return self._inner.token_spans(texts)

    collection = Collection.create("c", Counting(), home=home)
    first = collection.add(documents)
    assert calls[: len(fixed_texts())] == list(fixed_texts())  # calibrate the codes
    del calls[: len(fixed_texts())]
    assert (first.added, first.updated, first.unchanged, len(calls)) == (4, 0, 0, 4)
    changed = [*documents[:3], {**documents[3], "text": "Cats hunt mice."}]
    second = collection.add(changed)
    assert (second.added, second.updated, second.unchanged) == (0, 1, 3)
    assert calls[4:] == ["Cat\nCats hunt mice."]
    assert ids(collection.search("who hunts mice"))[0] == "cat"
    assert ids(collection.search("purr", mode="keyword")) == []


def test_changed_metadata_alone_is_an_update(animals, documents, ids):
    report = animals.add([{**documents[0], "metadata": {"legs": 1}}])
    assert report.updated == 1
    assert ids(animals.search("air", filter="legs = 1")) == ["whale"]


def test_last_of_duplicate_ids_wins_and_is_said(home):
    collection = Collection.create("c", home=home)
    report = collection.add(
        [{"id": "1", "text": "old words"}, {"id": "2", "text": "x"}, {"id": "1", "text": "new words"}]
    )
    assert (report.received, report.added, report.duplicates) == (3, 2, 1)
    assert [(r.id, r.text) for r in collection.search("words", mode="keyword").results] == [
        ("1", "new words")
    ]


def test_deleted_documents_are_gone_from_every_mode_and_can_return(animals, documents, ids):
    assert animals.delete(["bee", "nobody", "bee"]) == ["bee"]
    for mode in ("hybrid", "semantic", "keyword"):
        assert "bee" not in ids(animals.search("honey flowers", 10, mode=mode))
    assert animals.delete(["bee"]) == []
    assert animals.add(documents).added == 1
    assert ids(animals.search("honey flowers"))[0] == "bee"
    assert animals.verify().clean


def test_deleted_text_is_not_left_in_the_catalog(animals, home):
    animals.delete(["whale"])
    animals.close()
    with closing(sqlite3.connect(home / "collections/animals/catalog.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"blowhole" not in (home / "collections/animals/catalog.sqlite").read_bytes()


def test_odd_ids_are_no_documents(animals):
    assert animals.delete(["\udcff", "\x00", 7]) == []
    animals.add([{"id": 7, "text": "seven"}])
    assert animals.delete([7]) == ["7"]


def test_a_bad_document_stops_there_and_keeps_what_came_before(home, ids):
    collection = Collection.create("c", home=home)
    with pytest.raises(BadInput, match=r"document 1: .*'text'"):
        collection.add(
            [{"id": "1", "text": "kept"}, {"id": "2", "text": 3}, {"id": "3", "text": "never seen"}]
        )
    assert ids(collection.search("kept")) == ["1"]
    report = collection.add([{"id": "2"}, {"id": "3", "text": "stored"}], on_error="skip")
    assert (report.added, report.skipped, str(report.skips[0])[:11]) == (1, 1, "document 0:")


def test_add_wants_an_iterable_of_documents(animals):
    with pytest.raises(BadInput, match="pass a list"):
        animals.add({"id": "1", "text": "x"})


def test_a_generator_that_fails_keeps_what_was_committed(home):
    def documents():
        for i in range(1500):
            yield {"id": str(i), "text": f"number {i}"}
        raise RuntimeError("the source broke")

    collection = Collection.create("c", home=home)
    with pytest.raises(RuntimeError, match="the source broke"):
        collection.add(documents())
    assert collection.info().documents == 1024
    assert collection.verify().clean


def test_documents_begin_behind_an_id_and_come_with_their_passages(home, documents):
    with Collection.create("c", home=home) as collection:
        collection.add(documents)
        ids = sorted(one["id"] for one in documents)
        assert [one.id for one in collection.documents()] == ids
        assert [one.id for one in collection.documents(after=ids[1], batch=1)] == ids[2:]
        assert [one.id for one in collection.documents(after=ids[1] + "\x01")] == ids[2:]
        with pytest.raises(BadInput, match="after = 3: give the id"):
            collection.documents(after=3)
        found = collection.get([ids[0], "none"], passages=True)
        [expected] = [one for one in collection.documents(passages=True) if one.id == ids[0]]
        [passage] = found[ids[0]].passages
        assert list(found) == [ids[0]]
        assert (passage.start, passage.end) == (expected.passages[0].start, expected.passages[0].end)
        assert (passage.vector == expected.passages[0].vector).all()
        assert collection.get(ids)[ids[0]].passages is None
