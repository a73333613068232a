"""Collections made by a page: names and models are checked; what there is to know of them."""

from __future__ import annotations

import pytest

from app.facade.caller import Caller
from app.facade.collections import collection_facts, create_collection, models_to_choose, start_verifying
from app.indexing_job import IndexChoices
from app.jobs.worker import run_job
from indexing import Collection
from indexing.errors import BadInput, CollectionExists, UnknownCollection


def test_a_collection_is_made_as_it_was_wanted(caller, location):
    create_collection(caller, location, "codes", IndexChoices(precision="binary", engine="usearch"))
    with Collection.open("codes", **location.arguments()) as collection:
        facts = collection_facts(caller, location, collection)
    assert (facts.info.precision, facts.info.engine, facts.info.documents) == ("binary", "usearch", 0)
    assert (facts.live.id, facts.uploads, facts.jobs) == (1, (0, 0), [])
    with pytest.raises(CollectionExists, match="codes"):
        create_collection(caller, location, "codes")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a b", "é", "-x", "x" * 65, "a\x00b", "\u202ex"]
)
def test_names_that_cannot_be_are_refused(caller, location, name):
    with pytest.raises(BadInput, match=r"collection name .* use 1 to 64 letters, digits"):
        create_collection(caller, location, name)
    assert Collection.list(**location.arguments()) == ["notes"]


@pytest.mark.parametrize(
    "choices", [IndexChoices(precision="int4"), IndexChoices(engine="grep"), IndexChoices(model="/nowhere")]
)
def test_a_choice_that_cannot_be_makes_nothing(caller, location, choices):
    with pytest.raises(BadInput):
        create_collection(caller, location, "other", choices)
    assert Collection.list(**location.arguments()) == ["notes"]


def test_others_name_no_models_of_this_machine(caller, location, monkeypatch, tmp_path):
    monkeypatch.setenv("STLIB_HOST", "0.0.0.0")
    wanted = IndexChoices(model=str(tmp_path))
    with pytest.raises(BadInput, match="was never used on this machine: whoever runs the page gives it once"):
        create_collection(caller, location, "other", wanted)
    create_collection(caller, location, "other", IndexChoices(model="stlib-static-en"))
    assert models_to_choose()[0] == "stlib-static-en"
    with pytest.raises(BadInput, match=r"model|folder"):  # by a program it is tried, and is no model
        create_collection(Caller(), location, "third", wanted)


def test_checking_is_a_job(caller, location):
    with Collection.open("notes", **location.arguments()) as collection:
        collection.add([{"id": "a", "text": "apples"}])
    job = start_verifying(caller, location, "notes")
    assert (job.kind, job.who) == ("verify", "ann")
    done = run_job(location, job.id)
    assert done.result == {
        "collection": "notes",
        "clean": True,
        "documents": 1,
        "chunks": 1,
        "errors": [],
        "repaired": [],
    }
    assert (done.done, done.total, done.unit) == (1, 1, "documents")
    with pytest.raises(UnknownCollection, match="there is no collection 'nope'; there are: notes"):
        start_verifying(caller, location, "nope")
