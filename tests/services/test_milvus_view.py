"""Collections whose vectors lie in Milvus (here Milvus Lite): from the first document to the last row."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexing import Collection
from indexing.catalog.database import reading, writing
from indexing.catalog.generations import DROPPING, set_state
from indexing.errors import BadInput, MilvusUnavailable, StorageError, UnknownCollection
from indexing.milvus.client import Milvus, connect
from indexing.upkeep.copy import copy_collection
from indexing.vectors.milvus import MilvusIndex
from indexing.views.milvus_leftovers import milvus_lock
from indexing.views.milvus_reader import AWAY

DIMENSION = 24
ROWS = 300
VECTORS = np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return str(tmp_path_factory.mktemp("milvus") / "views.db")


@pytest.fixture(autouse=True)
def milvus(address, monkeypatch):
    """A Milvus where nothing was left."""
    monkeypatch.setattr(MilvusIndex, "scan_rows", 50)
    monkeypatch.setenv("STLIB_MILVUS", address)
    yield connect()
    monkeypatch.setenv("STLIB_MILVUS", address)
    for name in connect().names("stlib_"):
        connect().drop(name)


@pytest.fixture
def collection(tmp_path):
    with Collection.create(
        "c", home=tmp_path, dimension=DIMENSION, engine="milvus", precision="float32"
    ) as made:
        add(made, range(ROWS))
        assert made.refresh()
        yield made


def add(collection, numbers):
    documents = [{"id": f"d{n}", "text": f"text {n}", "metadata": {"n": n % 7}} for n in numbers]
    collection.add(documents, vectors=VECTORS[list(numbers)])


def found(collection, query, k=5, filter=None):
    results = collection.search(vector=VECTORS[query], k=k, mode="semantic", filter=filter).results
    return [result.id for result in results]


def nearest(query, k=5, among=range(ROWS)):
    among = np.asarray(among)
    return [f"d{n}" for n in among[np.argsort(-(VECTORS[among] @ VECTORS[query]), kind="stable")[:k]]]


def clean(collection):
    report = collection.verify()
    return (report.errors, report.repaired) == ([], [])


def view_of(collection):
    return collection._views.vectors(collection._session.live())


def the_rows(milvus):
    """The name of the one collection that there is."""
    [name] = milvus.names("stlib_")
    return name


def test_rows_follow_the_log(collection, milvus):
    assert found(collection, 3) == nearest(3)
    assert found(collection, 3, filter="n = 2") == nearest(3, among=range(2, ROWS, 7))
    collection.delete([f"d{n}" for n in range(100)])
    assert found(collection, 3) == nearest(3, among=range(100, ROWS))
    assert len(milvus.all_keys(the_rows(milvus))) == ROWS
    assert collection.refresh()
    assert len(milvus.all_keys(the_rows(milvus))) == ROWS - 100
    collection.compact()
    add(collection, range(100))
    assert found(collection, 3) == nearest(3)
    assert clean(collection)
    assert collection.info().engine == "milvus"


def test_faiss_and_milvus_change_places(tmp_path, milvus):
    """Nothing is embedded, and both give the same scores."""
    with Collection.create("c", home=tmp_path, dimension=DIMENSION, precision="float32") as notes:
        add(notes, range(ROWS))
        before = notes.search(vector=VECTORS[9], k=8, mode="semantic")
        assert notes.reindex(engine="milvus").serving.generation_id == 1
        after = notes.search(vector=VECTORS[9], k=8, mode="semantic")
        assert len(milvus.all_keys(the_rows(milvus))) == ROWS
        assert [(r.id, r.score) for r in after.results] == [(r.id, r.score) for r in before.results]
        notes.reindex(engine="faiss")
        notes.delete([f"d{n}" for n in range(200)])
        notes.compact()
        assert milvus.names("stlib_") == []  # what is not served does not hold back what is forgotten
        notes.rollback()
        assert found(notes, 9) == nearest(9, among=range(200, ROWS))


def test_rows_go_with_the_generation_and_with_the_collection(collection, milvus):
    old = the_rows(milvus)
    collection.reindex(precision="int8")
    collection.drop_generation(1)
    assert the_rows(milvus) != old
    collection.drop()
    assert milvus.names("stlib_") == []


def test_what_is_dropped_while_milvus_is_away_is_dropped_later(
    collection, milvus, tmp_path, monkeypatch, address, caplog
):
    names = milvus.names("stlib_")
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    collection.drop()
    assert f"left in Milvus: {names[0][:-3]}*; it is dropped there later" in caplog.text
    assert NOWHERE in caplog.text
    monkeypatch.setenv("STLIB_MILVUS", address)
    assert milvus.names("stlib_") == names
    with Collection.create("d", home=tmp_path, dimension=DIMENSION, engine="milvus") as other:
        add(other, range(20))
        assert other.refresh()
        assert not set(names) & set(milvus.names("stlib_"))
        assert found(other, 3, k=1) == ["d3"]
    assert not (tmp_path / "collections/.milvus").exists()


def test_a_generation_that_is_dropped_while_milvus_is_away(
    collection, milvus, tmp_path, monkeypatch, address
):
    collection.reindex(precision="int8")
    old, new = sorted(milvus.names("stlib_"))
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    assert collection.drop_generation(1) == ROWS
    assert [path.name for path in (tmp_path / "collections/.milvus").iterdir()] == [old[:-1]]
    monkeypatch.setenv("STLIB_MILVUS", address)
    assert milvus.names("stlib_") == [old, new]
    assert clean(collection)
    assert milvus.names("stlib_") == [new]
    assert not (tmp_path / "collections/.milvus").exists()


def test_what_is_served_again_is_not_dropped(collection, milvus, tmp_path, monkeypatch, address):
    """Noted while Milvus was away and another engine served; nobody else in this folder takes it either."""
    name, note = the_rows(milvus), tmp_path / "collections/.milvus"
    collection.reindex(engine="faiss")
    collection.delete(["d250"])
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    collection.compact()
    assert [path.name for path in note.iterdir()] == [name[:-1]]
    monkeypatch.setenv("STLIB_MILVUS", address)
    with Collection.create("d", home=tmp_path, dimension=DIMENSION, engine="milvus") as other:
        add(other, range(20))
        assert other.refresh()
        other.drop()
    assert milvus.names("stlib_") == [name]
    with milvus_lock(collection._session, 1):
        assert collection.verify().clean
    assert milvus.names("stlib_") == [name]  # another process writes them
    collection.rollback()
    assert collection.info().engine == "milvus"
    assert clean(collection)
    assert milvus.names("stlib_") == [name]
    assert not note.exists()
    assert found(collection, 3) == nearest(3)


def test_what_is_not_served_is_dropped_by_its_own(collection, milvus, tmp_path, monkeypatch, address):
    collection.reindex(engine="faiss")
    collection.delete(["d250"])
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    collection.compact()
    monkeypatch.setenv("STLIB_MILVUS", address)
    assert clean(collection)
    assert milvus.names("stlib_") == []
    assert not (tmp_path / "collections/.milvus").exists()


def test_what_somebody_else_broke_is_made_anew(collection, milvus):
    view, name = view_of(collection), the_rows(milvus)
    keys = milvus.all_keys(name)
    layout = view._milvus()[1]
    milvus.upsert(name, layout, keys[5:6], view._codec.encode(VECTORS[7:8]).codes)
    what = "Milvus view of generation 1"
    assert collection.verify().repaired == [f"{what}: its vectors differ from the catalog's codes"]
    assert collection.refresh()
    milvus.delete(the_rows(milvus), keys[:9])
    assert collection.verify().repaired == [f"{what}: its chunks differ from the catalog's"]
    assert collection.refresh()
    milvus.drop(the_rows(milvus))
    assert found(collection, 3) == nearest(3)
    assert collection.refresh()
    assert clean(collection)
    assert len(milvus.all_keys(the_rows(milvus))) == ROWS


def test_verify_beside_one_who_writes(collection, milvus, tmp_path, monkeypatch):
    """What is committed while rows are compared is no difference, and rows do not change meanwhile."""
    name, read = the_rows(milvus), Milvus.all_keys
    with Collection.open("c", home=tmp_path) as other:

        def write_first(self, *given):
            other.delete(["d3"])
            add(other, [5])
            assert not other.refresh()
            return read(self, *given)

        monkeypatch.setattr(Milvus, "all_keys", write_first)
        assert clean(collection)
        monkeypatch.setattr(Milvus, "all_keys", read)
        assert other.refresh()
        assert the_rows(milvus) == name
        assert found(collection, 3) == nearest(3, among=[n for n in range(ROWS) if n != 3])
        monkeypatch.setattr("indexing.views.milvus.CHECK_PATIENCE", 0.1)
        with milvus_lock(other._session, 1):
            [error] = collection.verify().errors
        assert error.startswith("Milvus view of generation 1 was not looked at: the Milvus view")
        assert clean(collection)


def test_another_moment_of_the_same_rows_is_looked_at(collection, milvus):
    """A number is used again, at the same change, after the rows were dropped: Milvus' clock has gone on."""
    view = view_of(collection)
    with reading(collection._session.database) as connection:
        state = view._state()
        first = view._at(connection, state, state.change, 0)
        assert view._at(connection, state, state.change, 0) is first
        again = view._at(connection, state._replace(written=7), state.change, 0)
    assert again.segment.codes.where.written == 7
    np.testing.assert_array_equal(again.segment.keys, first.segment.keys)


@pytest.mark.parametrize("later", [0, 60])
def test_a_catalog_that_was_restored_from_an_older_copy(tmp_path, milvus, later, caplog):
    """Milvus is ahead of it, and stays another's when it has grown as far without Milvus seeing it."""
    catalog = tmp_path / "collections/c/catalog.sqlite"
    given = {"dimension": DIMENSION, "precision": "float32", "engine": "milvus"}
    with Collection.create("c", home=tmp_path, **given) as made:
        add(made, range(100))
        assert made.refresh()
    shutil.copy(catalog, tmp_path / "older")
    with Collection.open("c", home=tmp_path) as made:
        for first in range(100, 150, 10):
            add(made, range(first, first + 10))
        assert made.refresh()
    shutil.copy(tmp_path / "older", catalog)
    if later:
        os.environ["STLIB_MILVUS"], there = NOWHERE, os.environ["STLIB_MILVUS"]
        with Collection.open("c", home=tmp_path) as made:
            for first in range(200, 200 + later, 10):
                add(made, range(first, first + 10))
        os.environ["STLIB_MILVUS"] = there
    among = [*range(100), *range(200, 200 + later)]
    with Collection.open("c", home=tmp_path) as made:
        assert "an older copy: rebuilding them" in caplog.text
        assert found(made, 3) == nearest(3, among=among)
        assert made.refresh()
        assert found(made, 210) == nearest(210, among=among)
        assert len(milvus.all_keys(the_rows(milvus))) == len(among)
        assert clean(made)


def test_a_marker_that_went_back_loses_nothing(collection, milvus):
    """As of one who was killed before writing it: rows are written again."""
    name = the_rows(milvus)
    marker = milvus.read_marker(name)
    collection.delete([f"d{n}" for n in range(50)])
    add(collection, range(20))
    assert collection.refresh()
    milvus.write_marker(name, view_of(collection)._milvus()[1], marker.text)
    among = [*range(20), *range(50, ROWS)]
    assert found(collection, 3) == nearest(3, among=among)
    assert collection.refresh()
    assert len(milvus.all_keys(name)) == len(among)
    assert clean(collection)


def test_one_who_cannot_write_the_rows_answers_all_the_same(collection, tmp_path):
    """Another process holds their lock; what is newer is read from the log, and words are followed."""
    with Collection.open("c", home=tmp_path) as other, milvus_lock(other._session, 1):
        collection.delete(["d3"])
        add(collection, [3])
        collection.delete(["d5"])
        assert found(collection, 3) == nearest(3, among=[n for n in range(ROWS) if n != 5])
        assert not collection.refresh()
        assert collection._views.words.seq() == collection.info().last_seq
    assert collection.refresh()


def test_erasing_leaves_no_row(collection, milvus):
    name = the_rows(milvus)
    collection.delete(["d3"])
    receipt = collection.erase(["d5"])
    assert receipt.done
    assert any("Milvus keeps" in place for place in receipt.out_of_reach)
    assert the_rows(milvus) != name
    assert len(milvus.all_keys(the_rows(milvus))) == ROWS - 2
    assert found(collection, 3) == nearest(3, among=[n for n in range(ROWS) if n not in (3, 5)])
    assert clean(collection)


def test_erasing_is_pending_while_milvus_is_away(collection, milvus, monkeypatch, address):
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    receipt = collection.erase(["d5"])
    assert not receipt.done
    assert NOWHERE in " ".join(receipt.pending)
    monkeypatch.setenv("STLIB_MILVUS", address)
    assert collection.finish_erasures()[0].done
    assert len(milvus.all_keys(the_rows(milvus))) == ROWS - 1


def test_milvus_away(collection, tmp_path, monkeypatch, caplog, address):
    """Words are searched and documents added without it; who needs it is told where it should be."""
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    with Collection.open("c", home=tmp_path) as other:
        with pytest.raises(MilvusUnavailable, match=NOWHERE):
            found(other, 3)
        assert [one.id for one in other.search("text 7", mode="keyword", k=1).results] == ["d7"]
        monkeypatch.setattr("indexing.writing.add.PUBLISH_CHANGES", 1)
        add(other, [3])
        assert "what was added is not in Milvus yet" in caplog.text
        for bring_up in (other.refresh, other.compact):
            with pytest.raises(MilvusUnavailable, match=NOWHERE):
                bring_up()
        assert NOWHERE in " ".join(other.verify().errors)
        with pytest.raises(MilvusUnavailable, match=NOWHERE):
            Collection.create("d", home=tmp_path, dimension=DIMENSION, engine="milvus")
        monkeypatch.delenv("STLIB_MILVUS")
        with pytest.raises(MilvusUnavailable, match="STLIB_MILVUS"):
            found(other, 3)
        with pytest.raises(BadInput, match="STLIB_MILVUS"):
            Collection.create("d", home=tmp_path, dimension=DIMENSION, engine="milvus")
        monkeypatch.setenv("STLIB_MILVUS", address)
        assert found(other, 3) == nearest(3)


def test_two_hosts_share_one_milvus(tmp_path, postgres_url, milvus):
    """One catalog in PostgreSQL, a home on each host: what one brings to Milvus the other finds there."""
    given = {"db": postgres_url, "precision": "float32"}
    with (
        Collection.create("c", home=tmp_path / "a", dimension=DIMENSION, engine="milvus", **given) as first,
        Collection.open("c", home=tmp_path / "b", db=postgres_url) as second,
    ):
        add(first, range(ROWS))
        assert first.refresh()
        name = the_rows(milvus)
        assert found(second, 3) == nearest(3)
        second.delete([f"d{n}" for n in range(50)])
        assert second.refresh()
        assert the_rows(milvus) == name
        assert found(first, 3) == nearest(3, among=range(50, ROWS))
        with milvus_lock(second._session, 1):
            add(first, range(20))
            assert not first.refresh()
        assert second.refresh()
        among = [*range(20), *range(50, ROWS)]
        assert found(first, 3) == found(second, 3) == nearest(3, among=among)
        assert len(milvus.all_keys(the_rows(milvus))) == len(among)
        second._views.vectors(second._session.live()).renew()
        assert the_rows(milvus) != name
        assert found(first, 3) == nearest(3, among=among)
        assert clean(first)
        first.drop()
        assert milvus.names("stlib_") == []


def test_files_of_this_machine_stand_in(tmp_path, monkeypatch, address):
    """Where they are kept, they answer as Milvus does, whenever it goes away, and stay after compaction."""
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    given = {"dimension": DIMENSION, "precision": "float32", "engine": "milvus"}
    with Collection.create("c", home=tmp_path, **given) as made:
        add(made, range(ROWS))
        assert made.refresh()
        made.delete(["d9"])
        made.compact()
        made.erase(["d8"])
        among = [n for n in range(ROWS) if n not in (8, 9)]
        assert found(made, 3) == nearest(3, among=among)
        ask, asked = MilvusIndex.search, []

        def refuse(self, *given):
            asked.append(self)
            raise MilvusUnavailable("Milvus is away")

        monkeypatch.setattr(MilvusIndex, "search", refuse)
        monkeypatch.setattr(MilvusIndex, "_find", refuse)
        assert found(made, 3) == nearest(3, among=among)
        assert asked
        monkeypatch.undo()
        assert MilvusIndex.search is ask
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    with Collection.open("c", home=tmp_path) as made:
        assert found(made, 3) == nearest(3, among=among)
        made.delete(["d3"])
        assert found(made, 3) == nearest(3, among=[n for n in among if n != 3])
        assert made._views.readers(made._session.live()).vectors.note == AWAY


def test_a_copy_has_rows_of_its_own(collection, milvus, tmp_path):
    """And one that takes the place of another leaves none of that."""
    copy_collection("c", home=tmp_path, to_home=tmp_path, new_name="d")
    with Collection.open("d", home=tmp_path) as other:
        assert found(other, 3) == nearest(3)
        assert other.refresh()
        assert len(milvus.names("stlib_")) == 2
        other.delete(["d3"])
        assert other.refresh()
    add(collection, [0])
    assert collection.refresh()
    assert found(collection, 3) == nearest(3)
    copy_collection("c", home=tmp_path, to_home=tmp_path, new_name="d", replace=True)
    assert len(milvus.names("stlib_")) == 1
    with Collection.open("d", home=tmp_path) as other:
        assert found(other, 3) == nearest(3)
        assert other.refresh()
        assert clean(other)
        other.drop()
    assert len(milvus.names("stlib_")) == 1


def test_threads_and_forks(collection):
    """Several threads ask at once; a child that is forked asks anew, and its end is not the parent's."""
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: found(collection, n), range(8))) == [nearest(n) for n in range(8)]
    fork = multiprocessing.get_context("fork")
    answer = fork.SimpleQueue()
    child = fork.Process(target=lambda: answer.put([found(collection, n) for n in (3, 200)]))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert answer.get() == [nearest(3), nearest(200)]
    assert found(collection, 5) == nearest(5)


@pytest.mark.long
def test_milvus_lite_is_of_one_process(collection, tmp_path, address):
    """Another is told so, and what to do."""
    code = (
        "import sys; from indexing import Collection\n"
        f"with Collection.open('c', home={str(tmp_path)!r}) as c:\n"
        f"    c.search(vector=[1.0] * {DIMENSION}, mode='semantic')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    said = ran.stderr.splitlines()[-1]
    assert f"MilvusUnavailable: Milvus Lite at {address} is open in another process" in said
    assert "milvus-lite server" in said


@pytest.mark.parametrize("what", ["collection", "generation"])
def test_what_is_deleted_while_its_rows_are_made_leaves_none(collection, milvus, tmp_path, monkeypatch, what):
    """By another process, before the collection in Milvus is there."""
    create = Milvus.create
    collection.reindex(precision="int8")

    def drop_first(self, *given):
        monkeypatch.setattr(Milvus, "create", create)
        with Collection.open("c", home=tmp_path) as other:
            if what == "collection":
                other.drop()
            else:
                with writing(other._session.database) as connection:
                    set_state(connection, 1, DROPPING)
        create(self, *given)

    older = next(one for one in collection.servings() if one.generation == 1)
    view = collection._views.vectors(collection._session.live(older.id))
    monkeypatch.setattr(Milvus, "create", drop_first)
    with pytest.raises((UnknownCollection, StorageError)):
        view.renew()
    left = [name for name in milvus.names("stlib_") if name.split("_")[2] == "1"]
    assert len(left) == (0 if what == "collection" else 1)  # and its own, which goes with it


def test_copies_in_two_homes_do_not_mix(collection, tmp_path, caplog):
    """They have the same names in Milvus: each sees that the rows are not its own, and says what to do."""
    copy_collection("c", home=tmp_path, to_home=tmp_path / "elsewhere")
    with Collection.open("c", home=tmp_path / "elsewhere") as other:
        assert found(other, 3) == nearest(3)  # the very rows, so far
        other.delete(["d3"])
        collection.delete(["d5"])
        for one, gone in ((other, 3), (collection, 5), (other, 3)):
            add(one, [gone + 10])
            assert one.refresh()
            assert found(one, 3) == nearest(3, among=[n for n in range(ROWS) if n != gone])
            assert clean(one)
    assert "STLIB_MILVUS_DATABASE" in caplog.text
