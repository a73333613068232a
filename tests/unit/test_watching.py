"""Those who watch searches are told every step, and how it ended."""

from __future__ import annotations

import pytest

from indexing import Collection
from indexing.errors import BadInput
from indexing.search.watching import watch_searches


class Watch:
    def __init__(self, collection, request):
        self.collection, self.query = collection, request.query
        self.steps: list[str] = []
        self.times: dict[str, float] = {}
        self.results = "not ended"

    def step(self, name, began, ended):
        self.steps.append(name)
        self.times[name] = self.times.get(name, 0.0) + (ended - began) * 1000

    def end(self, results):
        self.results = results


@pytest.fixture
def watched():
    """The watches of the searches that were made."""
    watches = []

    def watcher(collection, request):
        watches.append(Watch(collection, request))
        return watches[-1]

    stop = watch_searches(watcher)
    yield watches
    stop()


@pytest.fixture
def notes(home):
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": "a", "text": "Audits are in May."}, {"id": "b", "text": "Tea at four."}])
        yield collection


def test_a_watch_is_told_every_step_as_the_answer_has_it(notes, watched):
    found = notes.search("When is the audit?", rerank="stlib-rerank-en")
    (watch,) = watched
    assert (watch.collection, watch.query) == ("notes", "When is the audit?")
    assert watch.results is found
    assert watch.times == found.steps
    wanted = ["open", "encode", "semantic", "keyword", "rescore", "fuse", "fetch", "rerank", "snippets"]
    assert [step for step in dict.fromkeys(watch.steps) if step in wanted] == wanted


def test_a_search_that_fails_ends_without_results(notes, watched):
    with pytest.raises(BadInput, match="vector of 3 numbers"):
        notes.search("audit", vector=[1.0, 0.0, 0.0])
    assert [watch.results for watch in watched] == [None]


def test_who_stopped_watching_is_told_nothing(notes):
    watches = []
    stop = watch_searches(lambda *asked: watches.append(asked) or Watch(*asked))
    stop()
    notes.search("audit")
    assert watches == []
