"""Collections that are held open for many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.facade.opened import OpenCollections
from app.settings import Location
from indexing import Collection
from indexing.errors import UnknownCollection


@pytest.fixture
def held(home):
    for name in ("a", "b", "c"):
        with Collection.create(name, home=home) as collection:
            collection.add([{"id": f"of {name}", "text": "Bees make honey."}])
    opened = OpenCollections(Location(home), most=2)
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


def test_one_that_was_made_anew_is_opened_anew(held, home):
    old = held.collection("a")
    held.forget("a")
    old.drop()
    with pytest.raises(UnknownCollection, match="b"):
        held.collection("a")
    with Collection.create("a", home=home) as collection:
        collection.add([{"id": "new", "text": "Bees make honey."}])
    assert [one.id for one in held.collection("a").search("honey")] == ["new"]


def test_one_that_another_process_made_anew_is_opened_anew(held, home):
    held.collection("a")
    with Collection.open("a", home=home) as other:
        other.drop()
    Collection.create("a", home=home).close()
    assert held.collection("a").count() == 0


def test_warming_passes_over_what_is_not_there(held):
    held.warm(["none", "a"])
    assert held.collection("a").count() == 1
