"""Collections that are held open for many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.facade.opened import OpenCollections
from app.settings import Location
from indexing import Collection
from indexing.errors import UnknownCollection


@pytest.fixture(params=["home", "file", "server"])
def where(request, home, tmp_path):
    """Each collection in a catalog of its own, all in one file, all in one database of a server."""
    if request.param == "home":
        return Location(home)
    if request.param == "file":
        return Location(db=f"sqlite:///{tmp_path / 'all.db'}")
    return Location(db=request.getfixturevalue("postgres_url"))


@pytest.fixture
def held(where, monkeypatch):
    for name in ("a", "b", "c"):
        with Collection.create(name, **where.arguments()) as collection:
            collection.add([{"id": f"of {name}", "text": "Bees make honey."}])
    monkeypatch.setattr("app.facade.opened.LOOK_SECONDS", 0.0)
    opened = OpenCollections(where, most=2)
    yield opened
    opened.close()


def test_threads_share_one_collection(held):
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: id(held.collection("a")), range(40)))
    assert found == {id(held.collection("a"))}


def test_the_one_that_nobody_asked_for_is_let_go(held):
    first = held.collection("a")
    held.collection("b")
    assert held.collection("a") is first
    held.collection("c")  # b was asked for the longest ago
    assert held.collection("a") is first
    assert [one.id for one in first.search("honey")] == ["of a"]


def test_counting_lets_go_of_none(held):
    open_ones = [held.collection(name) for name in ("a", "b")]
    assert [held.count(name) for name in ("c", "a", "b", "c")] == [1, 1, 1, 1]
    assert [held.collection(name) for name in ("a", "b")] == open_ones
    with pytest.raises(UnknownCollection):
        held.count("none")


def test_one_that_was_made_anew_is_opened_anew(held, where):
    old = held.collection("a")
    held.forget("a")
    old.drop()
    with pytest.raises(UnknownCollection, match="b"):
        held.collection("a")
    with Collection.create("a", **where.arguments()) as collection:
        collection.add([{"id": "new", "text": "Bees make honey."}])
    assert [one.id for one in held.collection("a").search("honey")] == ["new"]


def test_one_that_another_process_made_anew_is_opened_anew(held, where):
    held.collection("a")
    with Collection.open("a", **where.arguments()) as other:
        other.drop()
    Collection.create("a", **where.arguments()).close()
    assert held.collection("a").count() == 0


def test_warming_passes_over_what_is_not_there(held):
    held.warm(["none", "a"])
    assert held.collection("a").count() == 1
