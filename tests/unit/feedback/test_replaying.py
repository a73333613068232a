"""The same question again: the same answer, or what changed since."""

from __future__ import annotations

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import replay
from app.feedback.table import read_impressions
from indexing import Collection
from indexing.errors import BadInput

from .conftest import HONEY


@pytest.fixture
def again(ann, location):
    return lambda found: replay(ann, location, found.id)


def test_nothing_changed(ask, ann, again):
    found = ask(ann)
    replayed = again(found)
    assert (replayed.same, replayed.same_scores, replayed.reasons, replayed.differences) == (
        True,
        True,
        (),
        (),
    )
    assert [(s.document, s.rank, s.score) for s in replayed.shown] == [
        (one.id, rank, pytest.approx(one.score)) for rank, one in enumerate(found, start=1)
    ]
    assert replayed.collection == "animals"


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
def test_the_serving_that_answered_is_asked_and_not_the_live_one(ask, animals, ann, again, mode):
    found = ask(ann, mode=mode, filter="legs >= 4", k=20)
    animals.reindex(precision="binary", ranking={"weights": {"keyword": 5.0}})
    replayed = again(found)
    assert (replayed.same, replayed.same_scores, replayed.differences) == (True, True, ())
    assert replayed.reasons == ("serving 1 answered then, and serving 2 is live now",)


def test_a_trial_is_drawn_as_it_was(ask, animals, ann, again):
    animals.reindex(ranking={"boosts": [{"filter": "legs = 4", "weight": 50}]}, promote=False)
    animals.start_trial(2)
    answers = [ask(Caller(name, "page")) for name in "abcdefgh"]
    assert len({tuple(found.teams) for found in answers}) > 1
    assert all(again(found).same_scores and again(found).reasons == () for found in answers)
    animals.end_trial()
    assert again(answers[0]).same
    assert again(answers[0]).reasons == ("the trial of serving 2 has ended",)


def test_documents_that_came_went_or_changed(ask, animals, ann, again):
    found = ask(ann, mode="semantic")
    ranks = {one.id: rank for rank, one in enumerate(found, start=1)}
    animals.add([{"id": "wasp", "text": "Wasps make no honey."}, {"id": "dog", "text": "A dog."}])
    animals.delete(["cat"])
    replayed = again(found)
    assert not replayed.same
    why = {one.document: (one.rank_then, one.rank_now, one.why) for one in replayed.differences}
    assert why["cat"] == (ranks["cat"], None, "deleted") and why["dog"] == (ranks["dog"], None, "changed")
    assert "wasp" not in why  # it came after, and is left out as it is from a later page
    assert replayed.reasons == (
        "1 of the documents was deleted",
        "1 of the documents was changed",
        "the collection took 3 changes",
    )


def test_a_dropped_serving_is_said_and_the_live_one_asked(ask, animals, ann, again):
    found = ask(ann)
    animals.reindex(precision="binary")
    animals.drop_generation(1)
    replayed = again(found)
    assert replayed.reasons[0] == "serving 1 is gone: its vectors were dropped"
    assert [one.document for one in replayed.shown] == [one.id for one in animals.search(HONEY)]


def test_a_reranked_answer_is_reranked_again(animals, ann, again, location):
    from app.facade.search import SearchRequest, search

    request = SearchRequest(q=HONEY, rerank=True)
    found = search(animals, request, (), "stlib-rerank-en", caller=ann, location=location)
    assert found.reranked == 4
    assert again(found).same_scores
    missing = search(animals, request, (), "/no/such/model", caller=ann, location=location)
    assert missing.reranked == 0 and again(missing).same_scores


def test_the_beginning_of_an_id_is_enough(ask, ann, place, location):
    ask(ann)
    ask(ann)
    first, second = (one.id for one in read_impressions(place))
    assert replay(ann, location, first[:12]).impression.id == first
    with pytest.raises(BadInput, match="no impression begins with 'xyz'"):
        replay(ann, location, "xyz")
    with pytest.raises(BadInput, match="no impression begins with ''"):
        replay(ann, location, "")
    with pytest.raises(BadInput, match="no impression begins with '%'"):
        replay(ann, location, "%")
    while second[0] != first[0]:
        ask(ann)
        second = read_impressions(place)[-1].id
    with pytest.raises(BadInput, match="several impressions begin"):
        replay(ann, location, first[0])


def test_what_cannot_be_asked_again(ask, animals, ann, location, monkeypatch):
    found = ask(ann)
    visitor = Caller("eve", "page", rights=frozenset({"search", "judge"}))
    with pytest.raises(NotAllowed, match="right to improve"):
        replay(visitor, location, found.id)
    monkeypatch.setenv("STLIB_LOG", "hashes")
    hidden = ask(ann)
    with pytest.raises(BadInput, match="only hashes were kept"):
        replay(ann, location, hidden.id)
    animals.drop()
    Collection.create("animals", **location.arguments()).close()
    with pytest.raises(BadInput, match=r"the collection that answered \w+ was deleted"):
        replay(ann, location, found.id)
