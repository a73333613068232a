"""A collection that others write, verify, publish or delete at the same time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

import indexing.upkeep.verify
from indexing import Collection
from indexing.catalog.collections import read_state
from indexing.errors import CollectionExists, LockedError, UnknownCollection
from indexing.lexical import LexicalSnapshot
from indexing.storage.files import FolderLock
from indexing.upkeep.verify import verify


def test_a_second_writer_is_told_at_once(animals, home, ids):
    with FolderLock(home / "collections/animals/locks", "documents.lock"):
        with pytest.raises(LockedError, match="collection 'animals' is being written by"):
            animals.add([{"id": "1", "text": "x"}])
        with pytest.raises(LockedError):
            animals.delete(["bee"])
        assert ids(animals.search("honey"))[0] == "bee"


def test_another_process_sees_what_was_committed(animals, home, ids):
    animals.search("honey")  # opens the views
    code = (
        "from indexing import Collection;"
        f"Collection.open('animals', home={str(home)!r}).add([{{'id': 'ant', 'text': 'Ants carry leaves'}}])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert ids(animals.search("ants carry leaves", mode="semantic"))[0] == "ant"
    while animals.search("ants carry leaves", mode="keyword").keyword_lag:
        time.sleep(0.05)  # a process that only searches follows the words at its leisure, and says so
    for mode in ("keyword", "hybrid"):
        assert ids(animals.search("ants carry leaves", mode=mode))[0] == "ant"


@pytest.mark.parametrize(
    "use",
    [
        lambda collection: collection.search("honey"),
        lambda collection: collection.add([{"id": "ant", "text": "Ants carry leaves."}]),
        lambda collection: collection.delete(["bee"]),
        lambda collection: collection.info(),
        lambda collection: collection.verify(),
        lambda collection: collection.evaluate({"q": "honey"}, {"q": {"bee": 1}}),
        lambda collection: collection.facets(),
        lambda collection: collection.drop(),
    ],
)
def test_a_deleted_collection_does_not_become_the_next_one(tmp_path, use, documents):
    db = f"sqlite:///{tmp_path}/all.db"
    with Collection.create("old", db=db) as old, Collection.open("old", db=db) as other:
        old.add(documents)
        old.drop()
        with Collection.create("new", db=db, precision="float32") as new:
            new.add(documents)
            with pytest.raises(UnknownCollection, match="'old' was deleted meanwhile"):
                use(other)
            assert new.info().documents == len(documents)
            assert new.verify().clean


def test_a_collection_deleted_by_another_process_leaves_nothing_behind(home, documents):
    with Collection.create("c", home=home) as collection, Collection.open("c", home=home) as other:
        other.drop()
        for use in (lambda: collection.add(documents), lambda: collection.search("honey"), collection.info):
            with pytest.raises(UnknownCollection, match="'c' was deleted meanwhile"):
                use()
    assert list((home / "collections").iterdir()) == []


def test_a_collection_is_not_made_while_one_of_its_name_is_deleted(home):
    with (
        FolderLock(home / "collections" / "c" / "locks", "documents.lock"),
        pytest.raises(LockedError, match=r"collection 'c' is being written by process"),
    ):
        Collection.create("c", home=home)


def test_a_collection_that_is_being_written_exists(animals, home):
    with (
        FolderLock(home / "collections" / "animals" / "locks", "documents.lock"),
        pytest.raises(CollectionExists, match="'animals' exists already"),
    ):
        Collection.create("animals", home=home)


def test_an_empty_collection_is_dropped_only_while_it_is_empty(home, documents, ids):
    with Collection.create("c", home=home) as collection, Collection.open("c", home=home) as other:
        other.add(documents)
        assert not collection.drop(only_if_empty=True)
        assert ids(collection.search("honey", 1)) == ["bee"]
        other.delete(animal["id"] for animal in documents)
        assert collection.drop(only_if_empty=True)
    assert Collection.list(home=home) == []


def test_a_commit_while_the_views_are_published_is_in_them_once(animals, home, ids):
    with Collection.open("animals", home=home) as other:
        live = other._session.live()
        animals.add([{"id": "owl", "text": "Owls hunt at night."}])  # after the other one looked at the log
        other._views.publish(live)
        assert other.verify().clean
        animals.delete(["dog"])
        assert other.refresh()
        assert other.verify().clean
        assert sorted(ids(other.search("animal", mode="semantic"))) == ["bee", "cat", "owl", "whale"]


def test_a_commit_while_the_collection_is_verified_is_no_error(animals, home):
    with Collection.open("animals", home=home) as other:
        other._session.live()
        animals.add([{"id": "owl", "text": "Owls hunt at night."}])  # after the other one looked at the log
        report = verify(other._session, other._views)
        assert report.clean, report
        assert report.documents == 5


def test_the_first_commit_while_the_collection_is_verified_is_no_error(home, documents, ids):
    with (
        Collection.create("animals", home=home) as collection,
        Collection.open("animals", home=home) as other,
    ):
        other._session.live()
        collection.add(documents)  # calibrates the codes
        report = verify(other._session, other._views)
        assert report.clean, report
        assert (report.documents, report.chunks) == (4, 4)
        assert ids(other.search("honey", 1)) == ["bee"]


def test_a_collection_deleted_while_it_is_verified_is_said(animals, home):
    animals._session.live()
    with Collection.open("animals", home=home) as other:
        other.drop()
    with pytest.raises(UnknownCollection, match="was deleted meanwhile"):
        verify(animals._session, animals._views)


def test_readers_may_be_forgotten_while_they_are_made(animals, monkeypatch, ids):
    """As a thread that adds documents does beside one that searches."""
    words = animals._views.words
    newest = words.newest

    def forgotten():
        animals._views.forget()
        return newest()

    monkeypatch.setattr(words, "newest", forgotten)
    assert ids(animals.search("honey", 1)) == ["bee"]


def test_info_is_of_one_moment(animals, home, monkeypatch):
    """A collection that is deleted while it is described is described as it was."""

    def then_deleted(connection, collection_id):
        state = read_state(connection, collection_id)
        monkeypatch.undo()
        with Collection.open("animals", home=home) as other:
            other.drop()
        return state

    monkeypatch.setattr("indexing.session.read_state", then_deleted)
    info = animals.info()
    assert (info.documents, info.chunks, info.last_seq) == (4, 4, 4)
    with pytest.raises(UnknownCollection):
        animals.info()


def test_a_snapshot_replaced_while_it_is_opened_is_no_damage(animals, home, monkeypatch, caplog, documents):
    """Between looking for the newest one and opening it, another process publishes the next."""
    animals.refresh()
    with Collection.open("animals", home=home) as other:
        other_open = LexicalSnapshot.open

        def slow_open(folder):
            monkeypatch.undo()
            animals.add([{"id": "owl", "text": "Owls hunt at night."}])
            animals.refresh()
            return other_open(folder)

        monkeypatch.setattr(LexicalSnapshot, "open", slow_open)
        seq, snapshot = other._views.words.newest()
        assert (seq, len(snapshot)) == (len(documents) + 1, len(documents) + 1)
    assert "set aside" not in caplog.text


def test_searching_goes_on_while_another_thread_adds(animals):
    first, go_on = threading.Event(), threading.Event()

    def slowly():
        yield {"id": "owl", "text": "Owls hunt at night."}
        first.set()
        go_on.wait(30)

    adding = threading.Thread(target=animals.add, args=(slowly(),))
    adding.start()
    assert first.wait(30)
    assert_searched_meanwhile(animals, adding, go_on)


@pytest.mark.parametrize("step", ["content_problems", "altered_codes"])
def test_searching_goes_on_while_another_thread_verifies(animals, monkeypatch, step):
    animals.refresh()
    reading, go_on = threading.Event(), threading.Event()
    check = getattr(indexing.upkeep.verify, step)

    def slowly(*arguments):
        reading.set()
        go_on.wait(30)
        return check(*arguments)

    monkeypatch.setattr(indexing.upkeep.verify, step, slowly)
    verifying = threading.Thread(target=animals.verify)
    verifying.start()
    assert reading.wait(30)
    assert_searched_meanwhile(animals, verifying, go_on)


def assert_searched_meanwhile(animals, other, go_on):
    """A search ends before `other`, a thread that waits for `go_on`, does."""
    searching = threading.Thread(target=animals.search, args=("honey",), kwargs={"filter": "legs = 6"})
    searching.start()
    searching.join(30)
    went_on = not searching.is_alive()
    go_on.set()
    other.join(30)
    searching.join(30)
    assert went_on
