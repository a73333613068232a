"""What another thread or process does in the middle of a change: pinned by a hook, so it happens always."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import indexing.serving.promote
import indexing.serving.reindex
import indexing.writing.pipeline
from indexing import Collection
from indexing.errors import BadInput, IndexingError, LockedError

from .conftest import note


def every(collection):
    """The ids that a semantic search finds, of all documents."""
    return {r.id for r in collection.search("note", 1000, mode="semantic")}


def test_a_purge_waits_for_one_who_adds(notes, home, monkeypatch):
    """It read the mark of a deleted document, and is about to bring the document back."""
    notes.delete(["n0001"])
    notes.refresh()
    refused = []
    make = indexing.writing.pipeline.Pipeline._make

    def purge_first(self, live, pending):
        with Collection.open("notes", home=home) as other:
            try:
                other.compact()
            except LockedError as error:
                refused.append(str(error))
        return make(self, live, pending)

    with monkeypatch.context() as patch:
        patch.setattr(indexing.writing.pipeline.Pipeline, "_make", purge_first)
        assert notes.add([note(1)]).added == 1
    assert len(refused) == 1
    assert "n0001" in notes
    assert notes.verify().clean
    assert notes.compact().purged_documents >= 0


def test_adds_and_compactions_of_threads_lose_nothing(home, letters, monkeypatch):
    monkeypatch.setattr("indexing.upkeep.compact.FEW_REMOVALS", 3)
    monkeypatch.setattr("indexing.writing.add.PUBLISH_CHANGES", 1)
    with (
        Collection.create("c", letters, home=home) as collection,
        Collection.open("c", home=home, model=letters) as other,
    ):
        stopped = threading.Event()

        def compact():
            while not stopped.wait(0.002):  # without a rest neither would let the other in for long
                try:
                    other.compact()
                except LockedError:
                    continue

        compacting = threading.Thread(target=compact)
        compacting.start()
        try:
            for number in range(30):
                while True:
                    try:
                        collection.add([{"id": "x", "text": "abc" * number + "a"}])
                        assert "x" in collection
                        collection.delete(["x"])
                        break
                    except LockedError:
                        time.sleep(0.001)
        finally:
            stopped.set()
            compacting.join()
        assert collection.verify().clean


def test_going_back_to_what_never_had_a_document(home):
    with Collection.create("c", home=home) as collection:
        collection.reindex(precision="uint8")
        collection.add(note(number) for number in range(20))
        collection.rollback()
        assert len(every(collection)) == 20
        assert collection.verify().clean


def test_a_generation_left_behind_meanwhile_is_not_served(notes, home, monkeypatch):
    """While another engine of the live generation is prepared, another serving becomes live."""
    other_serving = notes.reindex(precision="binary", promote=False).serving.id
    prepare = type(notes._views).prepare

    def promote_another_first(self, *arguments):
        monkeypatch.undo()
        with Collection.open("notes", home=home) as other:
            other.promote(other_serving)
            other.add([{"id": "late", "text": "a late note"}])
        return prepare(self, *arguments)

    monkeypatch.setattr(type(notes._views), "prepare", promote_another_first)
    notes.reindex(engine="usearch")
    assert "late" in every(notes)
    notes.add([{"id": "later", "text": "a later note"}])
    assert {"late", "later"} <= every(notes)
    assert notes.verify().clean


def test_a_generation_that_is_dropped_meanwhile_does_not_become_live(notes, home, monkeypatch):
    first = notes.generations()[0].id
    second = notes.reindex(precision="binary", promote=False).serving.id
    serve = indexing.serving.reindex._serve

    def begin_to_drop(*arguments):
        from indexing.generations.drop import _take_out_of_use

        monkeypatch.undo()
        with Collection.open("notes", home=home) as other:
            other.promote(second)
            _take_out_of_use(other._session, first)
        return serve(*arguments)

    monkeypatch.setattr(indexing.serving.reindex, "_serve", begin_to_drop)
    with pytest.raises(IndexingError, match="dropped"):
        notes.reindex(engine="usearch")
    assert len(every(notes)) == 300
    assert notes.drop_generation(first) == 300
    assert notes.verify().clean


def test_a_dropped_generation_is_not_dropped_while_it_is_served_anew(notes, home, monkeypatch):
    first = notes.generations()[0].id
    second = notes.reindex(precision="binary", promote=False).serving.id
    serve = indexing.serving.reindex._serve

    def drop_first(*arguments):
        monkeypatch.undo()
        with Collection.open("notes", home=home) as other:
            other.promote(second)
            with pytest.raises(LockedError):
                other.drop_generation(first)
        return serve(*arguments)

    monkeypatch.setattr(indexing.serving.reindex, "_serve", drop_first)
    notes.reindex(engine="usearch")
    assert len(every(notes)) == 300


def test_promoting_ends_while_another_adds_without_end(notes, home):
    candidate = notes.reindex(precision="binary", promote=False).serving.id
    promoted = threading.Event()

    def documents():
        number = 1000
        while not promoted.is_set() and number < 400_000:
            number += 1
            yield note(number)

    with Collection.open("notes", home=home) as other:
        adding = threading.Thread(target=other.add, args=(documents(),))
        adding.start()
        try:
            notes.promote(candidate)
            still_adding = adding.is_alive()
        finally:
            promoted.set()
            adding.join(60)
        assert still_adding
        assert notes.verify().clean
        assert notes.info().precision == "binary"


def test_searches_go_on_while_a_view_is_prepared(notes, monkeypatch):
    from indexing.views.vectors import VectorView

    inside, go_on = threading.Event(), threading.Event()
    publish = VectorView.publish

    def slowly(self):
        inside.set()
        assert go_on.wait(30)
        return publish(self)

    notes.refresh()
    notes.search("whale")
    monkeypatch.setattr(VectorView, "publish", slowly)
    changing = threading.Thread(target=notes.reindex, kwargs={"engine": "usearch"})
    changing.start()
    try:
        assert inside.wait(30)
        searching = threading.Thread(target=notes.search, args=("whale",))
        searching.start()
        searching.join(20)
        assert not searching.is_alive()
    finally:
        go_on.set()
        changing.join(60)


def test_removals_are_forgotten_after_a_change_of_engine(notes):
    notes.refresh()
    notes.reindex(engine="usearch")
    notes.delete([f"n{number:04}" for number in range(250)])
    assert notes.compact().purged_chunks == 250
    assert len(every(notes)) == 50
    notes.rollback()
    assert len(every(notes)) == 50
    assert notes.verify().clean


def test_a_dropped_generation_gives_its_space_back(home):
    with Collection.create("c", dimension=512, precision="float32", home=home) as collection:
        rng = np.random.default_rng(1)
        documents = [{"id": str(i), "text": f"document {i}"} for i in range(1500)]
        collection.add(documents, vectors=rng.normal(size=(1500, 512)))
        first = collection.info()
        collection.reindex(precision="int8")
        collection.drop_generation(first.generation)
        assert collection.info().catalog_bytes < first.catalog_bytes / 2


def test_a_second_candidate_is_made_anew(notes):
    first = notes.reindex(promote=False)
    notes.add([{"id": "odd", "text": "!?"}])
    second = notes.reindex(promote=False)
    assert first.generation.id != second.generation.id
    assert [g.id for g in notes.generations()] == [1, first.generation.id, second.generation.id]


def test_a_serving_of_another_collection_is_refused(notes, home):
    with pytest.raises(BadInput, match="no serving"):
        notes.promote(99)
