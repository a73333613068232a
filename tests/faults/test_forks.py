"""A fork loses nothing: what parent and child were told is stored is there afterwards."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest

from indexing import Collection
from indexing.catalog import forked
from indexing.errors import LockedError, StorageError

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    # Python warns of forks in processes with threads: that such a fork does no harm is what is tested.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

CHILD_OK = 0


def note(name):
    return {"id": name, "text": f"text of {name}"}


class Child:
    """A forked process that does what it is told, one step after the other."""

    def __init__(self, *steps):
        self._go, go = os.pipe()
        self._steps, self._done = go, os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                for step in steps:
                    os.read(self._go, 1)
                    step()
                    os.write(self._done[1], b".")
                code = CHILD_OK
            finally:
                os._exit(code)

    def step(self):
        os.write(self._steps, b".")
        assert os.read(self._done[0], 1) == b"."

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        for descriptor in (self._go, self._steps, *self._done):
            os.close(descriptor)
        return os.waitstatus_to_exitcode(status)


def ids_in(home, name="c"):
    with Collection.open(name, home=home) as collection:
        report = collection.verify()
        assert report.clean, report
        found = collection.search("text", 1000, mode="semantic").results
        assert len(found) == collection.info().documents
        return {result.id for result in found}


def test_a_child_adds_while_the_parent_closes(home):
    parent = Collection.create("c", home=home)
    parent.add([note("before")])

    def add_more():
        for number in range(1, 20):
            parent.add([note(f"child-{number}")])

    child = Child(lambda: parent.add([note("child-0")]), add_more)
    child.step()
    parent.close()
    child.step()
    assert child.end() == CHILD_OK
    assert ids_in(home) == {"before"} | {f"child-{number}" for number in range(20)}


def test_a_parent_adds_while_the_child_closes(home):
    parent = Collection.create("c", home=home)
    parent.add([note("before")])
    child = Child(lambda: parent.search("text"), parent.close)
    child.step()
    parent.add([note("parent-0")])
    child.step()
    assert child.end() == CHILD_OK
    for number in range(1, 20):
        parent.add([note(f"parent-{number}")])
    parent.close()
    assert ids_in(home) == {"before"} | {f"parent-{number}" for number in range(20)}


def test_a_child_that_opens_its_own(tmp_path):
    """In one database with a collection that the parent has open."""
    db = f"sqlite:///{tmp_path}/all.db"
    parent = Collection.create("c", db=db)
    parent.add([note("before")])
    Collection.create("other", db=db).close()
    own = []

    def open_and_add():
        own.append(Collection.open("other", db=db))
        own[0].add([note("child-0")])

    child = Child(open_and_add, lambda: own[0].add([note(f"child-{n}") for n in range(1, 20)]))
    child.step()
    parent.add([note("after")])
    parent.close()
    child.step()
    assert child.end() == CHILD_OK
    with Collection.open("c", db=db) as c, Collection.open("other", db=db) as other:
        assert (c.info().documents, other.info().documents) == (2, 20)
        assert c.verify().clean
        assert other.verify().clean


def test_connections_that_come_back_while_another_pool_is_emptied(tmp_path, monkeypatch):
    """They are closed as well: the child has none that it did not open itself."""
    collections = [Collection.create("c", home=tmp_path / str(n)) for n in range(3)]
    for collection in collections:
        collection.add([note("before")])
    used, give_back, given = threading.Event(), threading.Event(), threading.Event()

    def read_slowly():
        with collections[0]._session.looking():
            used.set()
            assert give_back.wait(30)
        given.set()

    thread = threading.Thread(target=read_slowly)
    thread.start()
    assert used.wait(30)
    empty = forked._empty

    def empty_slowly(engine):
        empty(engine)
        if engine is collections[2]._session.database:
            give_back.set()
            assert given.wait(30)

    monkeypatch.setattr(forked, "_empty", empty_slowly)
    child = Child(
        lambda: [c.add([note("child-0")]) for c in collections],
        lambda: [c.add([note("child-1")]) for c in collections],
    )
    child.step()
    for collection in collections:
        collection.close()
    child.step()
    thread.join(30)
    assert child.end() == CHILD_OK
    for number in range(3):
        assert ids_in(tmp_path / str(number)) == {"before", "child-0", "child-1"}


def test_a_pool_of_forked_processes_searches_and_adds(home):
    collection = Collection.create("c", home=home)
    collection.add([note("before")])
    with multiprocessing.get_context("fork").Pool(2, initializer=_share, initargs=(collection,)) as pool:
        added = pool.map(_add, [f"worker-{number}" for number in range(8)], chunksize=1)
        assert set(pool.map(_count, range(4))) == {9}
    collection.add([note("after")])
    collection.close()
    assert ids_in(home) == {"before", "after", *added}


_shared: list[Collection] = []


def _share(collection):
    _shared[:] = [collection]


def _add(name):
    while True:
        try:
            _shared[0].add([note(name)])
            return name
        except LockedError:
            time.sleep(0.01)


def _count(_):
    return len(_shared[0].search("text", 100, mode="semantic").results)


def test_a_fork_while_another_thread_adds(home):
    """Between two of its transactions the child is free to search; and it holds no lock of the parent's."""
    collection = Collection.create("c", home=home)
    collection.add([note("before")])
    reached, go_on = threading.Event(), threading.Event()

    def slowly():
        yield note("parent-0")
        reached.set()
        assert go_on.wait(30)
        yield note("parent-1")

    adding = threading.Thread(target=collection.add, args=(slowly(),))
    adding.start()
    assert reached.wait(30)

    def search_and_be_told():
        assert [r.id for r in collection.search("text", mode="semantic").results] == ["before"]
        with pytest.raises(LockedError, match="is being written by"):
            collection.add([note("child")])

    child = Child(search_and_be_told)
    child.step()
    assert child.end() == CHILD_OK
    go_on.set()
    adding.join(30)
    collection.close()
    assert ids_in(home) == {"before", "parent-0", "parent-1"}


def test_a_fork_in_the_middle_of_a_transaction_refuses_the_child(home, monkeypatch):
    collection = Collection.create("c", home=home)
    collection.add([note("before")])
    inside, go_on = threading.Event(), threading.Event()
    append = _append_of_pipeline()

    def slowly(*arguments, **options):
        inside.set()
        assert go_on.wait(30)
        return append[1](*arguments, **options)

    monkeypatch.setattr(append[0], slowly)
    adding = threading.Thread(target=collection.add, args=([note("parent")],))
    adding.start()
    assert inside.wait(30)

    def be_refused():
        for use in (
            lambda: collection.search("text"),
            lambda: collection.add([note("child")]),
            lambda: Collection.open("c", home=home),
        ):
            with pytest.raises(StorageError, match=r"was forked.*start processes by 'spawn'"):
                use()

    child = Child(be_refused)
    child.step()
    assert child.end() == CHILD_OK
    go_on.set()
    adding.join(30)
    for number in range(20):
        collection.add([note(f"after-{number}")])
    collection.close()
    assert ids_in(home) == {"before", "parent"} | {f"after-{number}" for number in range(20)}


def _append_of_pipeline():
    """Name and function of what writes a batch inside its transaction."""
    from indexing.writing import batch

    return "indexing.writing.batch.append_documents", batch.append_documents


def test_a_lock_ends_with_the_parent_although_a_child_lives(home):
    """A child's copy of the open file would keep it."""
    collection = Collection.create("c", home=home)
    holder, child_pid = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:  # takes the lock, forks a child that sleeps, and is killed

        def forever():
            grandchild = os.fork()
            if grandchild == 0:
                time.sleep(60)
                os._exit(0)
            os.write(child_pid[1], grandchild.to_bytes(8, "little"))
            os.write(holder[1], b".")
            time.sleep(60)
            yield note("never")

        collection.add(forever())
        os._exit(0)
    assert os.read(holder[0], 1) == b"."
    grandchild = int.from_bytes(os.read(child_pid[0], 8), "little")
    try:
        with pytest.raises(LockedError):
            collection.add([note("x")])
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        collection.add([note("x")])
    finally:
        os.kill(grandchild, 9)
    assert ids_in(home) == {"x"}


def test_a_fork_while_another_thread_looks_a_filter_up(home):
    """The child filters and counts, although the thread that held the locks is not there."""
    with Collection.create("c", home=home) as collection:
        collection.add([note("a")])
        collection.search("text", filter="a = null")
        held, go_on = threading.Event(), threading.Event()

        def hold():
            with collection._views.columns._lock, collection._filters._lock:
                held.set()
                go_on.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(30)

        def use():
            assert collection.search("text", filter="b = null").results
            assert collection.facets() == {}

        child = Child(use)
        child.step()
        assert child.end() == CHILD_OK
        go_on.set()
        thread.join(30)
