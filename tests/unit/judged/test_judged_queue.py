"""What is asked for next, and why."""

from __future__ import annotations

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import record, record_click
from app.facade.labelling import labelling_queue
from app.facade.search import SearchRequest, search
from app.feedback.judged.queue import make_queue
from app.feedback.place import feedback_place
from app.settings import Location
from indexing import Collection

ANN, BEN = Caller("ann", "page", "1"), Caller("ben", "page", "2")
TEXTS = {
    "repair": "how to fix a broken bicycle tyre",
    "wheel": "mending a flat wheel on the road",
    "bank": "opening an account at the bank",
    "river": "walking along the bank of the river",
    "money": "saving money every month",
    "bread": "baking bread at home",
}


@pytest.fixture
def collection(home):
    with Collection.create("notes", home=home) as made:
        made.add([{"id": id_, "text": text} for id_, text in TEXTS.items()])
        yield made


@pytest.fixture
def location(home):
    return Location(home)


def pairs(queue):
    return [(one.text, one.document) for one in queue]


def test_the_gate_and_quarrels_come_first(location, collection):
    record(ANN, location, collection, "bank", "bank", "up")
    record(BEN, location, collection, "bank", "bank", "down")
    eve = Caller("eve", "page", "3")
    queue = make_queue(feedback_place(location), collection, ("eve",), [("loaf", "bread"), ("bank", "gone")])
    assert [(one.text, one.document, one.reasons) for one in queue] == [
        ("loaf", "bread", ("The gate cannot decide without it.",)),
        ("bank", "bank", ("People do not agree on it.",)),
    ]
    assert pairs(labelling_queue(eve, location, collection)) == [("bank", "bank")]
    assert labelling_queue(ANN, location, collection) == []


def test_clicks_and_legs_that_differ_are_asked_for(location, collection):
    found = search(collection, SearchRequest("bank"), caller=ANN, location=location)
    record_click(ANN, location, collection, found.id, "money")
    queue = labelling_queue(BEN, location, collection)
    assert pairs(labelling_queue(BEN, location, collection, most=1)) == pairs(queue)[:1]
    reasons = {one.document: one.reasons for one in queue}
    assert reasons["money"][0] == "One person opened it, and nobody has judged it."
    semantic = collection.rankings({"q": "bank"}, mode="semantic", rerank=None)["q"]
    third = semantic[2]
    assert third not in ("bank", "river")  # which words find
    assert "By meaning it is number 3, by words not among the best 10." in reasons[third]
    record(BEN, location, collection, "Bank", third, "down")
    assert third not in {one.document for one in labelling_queue(BEN, location, collection)}


def test_who_may_not_judge_gets_no_queue(location, collection):
    with pytest.raises(NotAllowed):
        labelling_queue(Caller("x", rights=frozenset({"search"})), location, collection)
