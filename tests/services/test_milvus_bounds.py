"""What searches of collections in Milvus never do, however large these are: read all of the catalog, wait for
Milvus twice, or bring all rows there.
"""

from __future__ import annotations

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import LockedError, MilvusUnavailable
from indexing.milvus.client import Milvus, connect
from indexing.milvus.schema import Layout
from indexing.vectors import milvus as milvus_index
from indexing.vectors.milvus import MilvusIndex
from indexing.views import milvus as milvus_view
from indexing.views.milvus_leftovers import milvus_lock
from indexing.views.milvus_reader import BEHIND
from indexing.views.vector_reader import SHORT
from tests.services.test_milvus_view import (  # noqa: F401 -- its fixtures
    DIMENSION,
    NOWHERE,
    ROWS,
    VECTORS,
    add,
    address,
    clean,
    collection,
    found,
    milvus,
    nearest,
    the_rows,
    view_of,
)


@pytest.fixture
def large(collection, monkeypatch):  # noqa: F811
    """A collection that is too large to be scanned, for a Milvus that gives 60 rows at once."""
    monkeypatch.setattr(milvus_index, "MOST_SCANNED", 100)
    monkeypatch.setattr(Layout, "most", 60)
    scan = MilvusIndex._scan

    def scan_few(self, score, wanted, allowed):
        assert (len(self) if allowed is None else np.count_nonzero(allowed)) <= 100
        return scan(self, score, wanted, allowed)

    monkeypatch.setattr(MilvusIndex, "_scan", scan_few)
    return collection


@pytest.fixture
def asked(monkeypatch):
    """How many rows each search asked Milvus for."""
    ask, asked = Milvus.nearest, []

    def counted(self, name, layout, query, count, condition=None, **more):
        asked.append(count)
        return ask(self, name, layout, query, count, condition, **more)

    monkeypatch.setattr(Milvus, "nearest", counted)
    return asked


def test_no_more_is_found_than_milvus_gives_at_once(large, asked):
    assert found(large, 3, k=20) == nearest(3, 20)
    assert found(large, 3, k=59) == nearest(3, 59)
    del asked[:]
    assert found(large, 3, k=200) == nearest(3, 60)
    assert len(asked) <= 2
    page = large.search(vector=VECTORS[3], k=10, offset=70, mode="semantic")
    assert (page.results, page.notes) == ([], [SHORT])
    reader = large._views.readers(large._session.live()).vectors
    assert [reader.search(VECTORS[3], k).note for k in (59, 60, 61)] == ["", "", SHORT]
    among = [n for n in range(ROWS) if n % 7 == 1]  # few enough to be scanned
    assert found(large, 3, k=200, filter="n = 1") == nearest(3, 200, among=among)


def test_the_newest_are_found_beside_them(large):
    """And those that are gone take no place."""
    large.delete([f"d{n}" for n in range(40)])
    add(large, range(10))
    among = [*range(10), *range(40, ROWS)]
    assert found(large, 3, k=30) == nearest(3, 30, among=among)


@pytest.mark.parametrize("conditions", [8, 2])
def test_more_keys_than_one_condition_takes(large, asked, monkeypatch, conditions):
    """They go along in several, which find all; of too many no more is found than lies near."""
    monkeypatch.setattr(Milvus, "most_numbers", 30)
    monkeypatch.setattr(milvus_index, "_FEW", 10)
    monkeypatch.setattr(milvus_index, "_MOST_CONDITIONS", conditions)
    among = [n for n in range(ROWS) if n % 7 in (1, 2, 3)]  # 129, as 5 times 30
    wanted = nearest(3, 40, among=among)
    hits = found(large, 3, k=40, filter="n = 1 OR n = 2 OR n = 3")
    if conditions == 8:
        assert hits == wanted
        assert asked[-5:] == asked[-1:] * 5
    else:
        assert hits == wanted[: len(hits)]
        assert set(hits) == set(nearest(3, 60)) & set(wanted)
    assert len(asked) <= 10


def test_milvus_is_asked_once_how_far_it_is(collection, milvus, monkeypatch, tmp_path):  # noqa: F811
    read, asked = Milvus.read_marker, []

    def counted(self, name):
        asked.append(name)
        return read(self, name)

    with Collection.open("c", home=tmp_path) as other:
        found(other, 3)
        collection.delete(["d3"])
        monkeypatch.setattr(Milvus, "read_marker", counted)
        assert [one.id for one in other.search("text 7", mode="keyword", k=1).results] == ["d7"]
        assert asked == [the_rows(milvus)]


def test_one_that_fails_is_waited_for_once(collection, monkeypatch, tmp_path):  # noqa: F811
    asked = []

    def refuse(self, name):
        asked.append(name)
        raise MilvusUnavailable("too late")

    with Collection.open("c", home=tmp_path) as other:
        found(other, 3)
        collection.delete(["d3"])
        monkeypatch.setattr(Milvus, "read_marker", refuse)
        assert [one.id for one in other.search("text 7", mode="keyword", k=1).results] == ["d7"]
        assert len(asked) == 1
        with pytest.raises(MilvusUnavailable, match="too late"):
            found(other, 3)


@pytest.fixture
def steps(monkeypatch):
    """What is small becomes far: the next 40 rows are brought at once, and 60 read by a search."""
    monkeypatch.setattr(milvus_view, "READ_ROWS", 39)
    monkeypatch.setattr(milvus_view, "FAR_ROWS", 60)
    monkeypatch.setattr("indexing.views.chunk_view.TAIL_ROWS", 30)


@pytest.mark.parametrize("locked", [True, False])
def test_rows_come_to_milvus_step_by_step(milvus, tmp_path, steps, locked):  # noqa: F811
    """A search reads no long tail, and brings no more than a part of it; words are searched meanwhile."""
    given = {"dimension": DIMENSION, "precision": "float32", "engine": "milvus"}
    with Collection.create("c", home=tmp_path, **given) as other:
        for first in range(0, ROWS, 40):
            add(other, range(first, min(first + 40, ROWS)))
        if locked:
            with milvus_lock(other._session, 1):
                with pytest.raises(MilvusUnavailable, match="rows are being brought to Milvus: more than 60"):
                    found(other, 3)
                assert [one.id for one in other.search("text 7", mode="keyword", k=1).results] == ["d7"]
            assert milvus.names("stlib_") == []
            return
        for part in range(1, 6):
            other._views._follow_again = 0.0
            with pytest.raises(MilvusUnavailable, match="rows are being brought to Milvus"):
                found(other, 3)
            assert len(milvus.all_keys(the_rows(milvus))) == 40 * part
        other._views._follow_again = 0.0
        assert found(other, 3) == nearest(3)
        assert other.refresh()
        assert len(milvus.all_keys(the_rows(milvus))) == ROWS
        assert clean(other)


def test_files_stand_in_meanwhile(collection, tmp_path, steps, monkeypatch):  # noqa: F811
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    assert collection.refresh()
    view_of(collection)._milvus()[0].drop(the_rows(connect()))
    with Collection.open("c", home=tmp_path) as other, milvus_lock(collection._session, 1):
        answer = other.search(vector=VECTORS[3], k=5, mode="semantic")
        assert [one.id for one in answer.results] == nearest(3)
        assert answer.notes == [BEHIND]


def test_an_erasure_without_milvus_makes_everything_else_anew(collection, monkeypatch, address):  # noqa: F811
    """Words of what was erased are in no file from then on; only Milvus is pending."""
    views = collection._session.place.views
    before = {path for path in views.rglob("*") if path.is_file()}
    monkeypatch.setenv("STLIB_MILVUS", NOWHERE)
    assert not collection.erase(["d5"]).done
    assert not before & {path for path in views.rglob("*") if path.is_file()}
    monkeypatch.setenv("STLIB_MILVUS", address)
    assert collection.finish_erasures()[0].done


def test_one_whose_lock_was_lost_writes_nothing(collection, milvus, monkeypatch):  # noqa: F811
    """Whoever has it now goes on."""
    lock_path = collection._session.place.locks / "milvus-1.lock"
    upsert, name = Milvus.upsert, the_rows(milvus)
    marker = milvus.read_marker(name)

    def lose_it(self, *given):
        lock_path.unlink()
        return upsert(self, *given)

    collection.delete(["d3"])
    add(collection, [5])
    monkeypatch.setattr(Milvus, "upsert", lose_it)
    with pytest.raises(LockedError, match="was lost"):
        view_of(collection).publish()
    assert milvus.read_marker(name) == marker
    monkeypatch.setattr(Milvus, "upsert", upsert)
    assert collection.refresh()
    assert found(collection, 5, k=1) == ["d5"]
