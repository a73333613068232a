"""What is kept of a search, of a click and of a word."""

from __future__ import annotations

import logging
import time

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import log_search, others_said, record, record_click, replay, said_about
from app.facade.search import SearchRequest, search
from app.feedback.hashes import keyed_hash
from app.feedback.log import feedback_log
from app.feedback.model import Impression, Shown
from app.feedback.place import feedback_place
from app.feedback.questions import question_hash
from app.feedback.table import read_events, read_impressions, read_sayings
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput

from .conftest import HONEY


def test_a_search_is_an_impression(ask, animals, ann, place):
    before = time.time()
    found = ask(ann, mode="keyword", k=5, filter="legs > 1", picks={"legs": ("6",)})
    [kept] = read_impressions(place)
    assert before <= kept.at <= time.time()
    assert kept == Impression(
        id=found.id,
        collection=animals.uuid,
        at=kept.at,
        who="ann",
        session="visit-1",
        surface="page",
        query=HONEY,
        query_hash=question_hash("Who makes honey"),
        filter="(legs > 1) and legs in ('6')",
        mode="keyword",
        serving=1,
        trial=None,
        seq=4,
        k=5,
        offset=0,
        reranker=None,
        reranked=None,
        seed="ann",
        took_ms=found.took_ms,
        hashed=False,
        shown=tuple(Shown(one.id, rank, one.score) for rank, one in enumerate(found, start=1)),
    )


def test_what_is_folded_is_kept_as_such_and_replayed(ask, animals, ann, place, location):
    animals.add([{"id": "copy", "text": animals.get(["bee"])["bee"].text}])
    found = ask(ann)
    [kept] = read_impressions(place)
    ids = [one.id for one in found]
    later = max("bee", "copy", key=ids.index)
    assert [one.document for one in kept.shown] == ids
    assert [one.document for one in kept.shown if one.folded] == [later]
    assert replay(ann, location, found.id).same_scores


def test_the_page_that_follows_is_an_impression_of_its_own(ask, animals, ann, place, location):
    first = ask(ann, k=2)
    second = search(animals, SearchRequest(q=HONEY, k=10), caller=ann, location=location, after=[first])
    whole = [one.id for one in animals.search(HONEY)]
    assert [one.id for one in [*first, *second]] == whole
    feedback_log(place).flush()
    kept = read_impressions(place)[-1]
    assert (kept.id, kept.k, kept.offset) == (second.id, 8, 2)
    assert [(one.document, one.rank) for one in kept.shown] == list(zip(whole[2:], (3, 4), strict=True))
    assert replay(ann, location, second.id).same_scores


def test_a_trial_is_kept_with_both_servings_and_the_team_of_each_rank(ask, animals, ann, place):
    animals.reindex(ranking={"boosts": [{"filter": "legs = 4", "weight": 50}]}, promote=False)
    animals.start_trial(2)
    found = ask(ann)
    [kept] = read_impressions(place)
    assert kept.trial == (1, 2)
    assert [one.team for one in kept.shown] == found.teams
    assert {1, 2} <= set(found.teams)


def test_a_search_without_a_caller_or_a_question_is_not_kept(animals, ann, place, location):
    search(animals, SearchRequest(q=HONEY))
    search(animals, SearchRequest(q="  "), caller=ann, location=location)
    assert feedback_log(place).flush() and not place.exists


def test_the_log_can_be_off(ask, ann, place, monkeypatch):
    monkeypatch.setenv("STLIB_LOG", "off")
    ask(ann)
    assert not place.exists


def test_hashes_alone_can_be_kept(ask, animals, ann, place, location, monkeypatch):
    monkeypatch.setenv("STLIB_LOG", "hashes")
    found = ask(ann, filter="legs > 1")
    record_click(ann, location, animals, found.id, "bee")
    feedback_log(place).flush()
    [kept], [click] = read_impressions(place), read_events(place)
    assert (kept.query, kept.seed, kept.hashed) == ("", "", True)
    hidden = keyed_hash("ann"), keyed_hash("visit-1")
    assert (kept.who, kept.session) == (click.who, click.session) == hidden
    assert kept.query_hash == keyed_hash(question_hash(HONEY)) != question_hash(HONEY)
    assert kept.filter == keyed_hash("(legs > 1)")
    # Words that a person says on purpose need their question; who said them stays hidden.
    record(ann, location, animals, HONEY, "bee", "answer", impression=found.id)
    [saying] = read_sayings(place)
    assert (saying.query, saying.who) == (HONEY, keyed_hash("ann"))
    assert said_about(ann, location, animals, HONEY)["bee"] == saying
    everything = b"".join(path.read_bytes() for path in place.database.parent.glob("feedback.sqlite*"))
    assert b"ann" not in everything and b"visit-1" not in everything and b"legs" not in everything


def test_keyed_hashes_are_those_of_this_machine(another_machine, monkeypatch, tmp_path):
    here = keyed_hash("ann")
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "elsewhere"))
    assert keyed_hash("ann") != here and keyed_hash("") == ""


def test_a_wrong_setting_is_said_once_and_keeps_nothing(ask, ann, place, monkeypatch, caplog):
    monkeypatch.setenv("STLIB_LOG", "of")
    with caplog.at_level(logging.WARNING):
        assert ask(ann)[0].id == "bee"
        ask(ann)
    assert [r.getMessage() for r in caplog.records] == [
        "searches are not recorded: STLIB_LOG is 'of': use one of on, hashes, off"
    ]
    assert not place.exists


def test_clicks_belong_to_their_answer(ask, animals, ann, place, location):
    found = ask(ann)
    record_click(ann, location, animals, found.id, "bee")
    record_click(ann, location, "animals", found.id, "dog", "open")
    feedback_log(place).flush()
    assert [(e.impression, e.document, e.kind, e.who, e.session) for e in read_events(place)] == [
        (found.id, "bee", "click", "ann", "visit-1"),
        (found.id, "dog", "open", "ann", "visit-1"),
    ]
    with pytest.raises(BadInput, match="kind of event 'look': use one of click, open"):
        record_click(ann, location, animals, found.id, "dog", "look")


def test_what_was_said_is_there_on_return(ask, animals, ann, ben, location):
    found = ask(ann)
    record(ann, location, animals, HONEY, "bee", "up", impression=found.id)
    saying = record(ann, location, "animals", "Who makes  HONEY", "bee", "answer")
    record(ann, location, animals, HONEY, "dog", "grade", 2)
    record(ben, location, animals, HONEY, "bee", "down")
    assert said_about(ann, location, animals, HONEY)["bee"] == saying
    assert {id_: one.grade for id_, one in said_about(ann, location, animals, HONEY).items()} == {
        "bee": 3,
        "dog": 2,
    }
    assert others_said(ann, location, animals, HONEY) == {"bee": {"down": 1}}
    assert others_said(ben, location, animals, HONEY) == {"bee": {"answer": 1}, "dog": {"grade": 1}}
    assert said_about(ann, location, animals, "another question") == {}
    record(ann, location, animals, HONEY, "bee", "undo")
    assert list(said_about(ann, location, animals, HONEY)) == ["dog"]


def test_none_of_these_is_of_all_that_was_shown(ask, animals, ann, place, location):
    found = ask(ann)
    said = record(ann, location, animals, HONEY, "", "none", impression=found.id)
    assert said.shown == tuple(result.id for result in found)
    assert list(said_about(ann, location, animals, HONEY)) == [""]
    record(ann, location, animals, HONEY, "dog", "answer")
    assert list(said_about(ann, location, animals, HONEY)) == ["dog"]
    record(ann, location, animals, HONEY, "dog", "undo")
    record(ann, location, animals, HONEY, "", "none", shown=["bee"])
    record(ann, location, animals, HONEY, "", "undo")
    assert read_sayings(place)[-1].shown == ("bee",)
    assert said_about(ann, location, animals, HONEY)[""].shown == tuple(result.id for result in found)


def test_none_of_these_needs_an_answer_to_be_said_of(animals, ann, location):
    with pytest.raises(BadInput, match="'none of these' is said of an answer"):
        record(ann, location, animals, HONEY, "", "none", impression="f" * 32)


def test_a_word_needs_no_impression_on_the_disk(animals, ann, place, location):
    """The answer may be in a queue, of another process too, or have been dropped."""
    record(ann, location, animals, HONEY, "bee", "up", impression="f" * 32)
    assert [one.impression for one in read_sayings(place)] == ["f" * 32]


@pytest.mark.parametrize(
    ("document", "kind", "grade", "message"),
    [
        ("yeti", "up", None, r"no document 'yeti' in 'animals': `stlib search` shows ids"),
        ("", "up", None, "'up' is said of a document: give its id"),
        ("bee", "maybe", None, "kind of saying 'maybe'"),
        ("bee", "grade", 4, "grade 4: give a whole number from 0 to 3"),
        ("bee", "import", 1, "comes from files"),
        ("a text that no animal has", "pasted", None, "and none has this text"),
        ("honey", "pasted", None, "and none has this text"),  # one word may stand anywhere
    ],
)
def test_what_makes_no_sense_is_refused(animals, ann, place, location, document, kind, grade, message):
    with pytest.raises(BadInput, match=message):
        record(ann, location, animals, HONEY, document, kind, grade)
    with pytest.raises(BadInput, match="the question is empty"):
        record(ann, location, animals, " ", "bee", "up")
    assert not place.exists


@pytest.mark.parametrize(
    "pasted", ["bee", "bees make\n  HONEY and dance", "Bees make honey and dance to show flowers."]
)
def test_a_pasted_answer_is_found_by_its_text(animals, ann, location, pasted):
    said = record(ann, location, animals, "insects", pasted, "pasted")
    assert (said.document, said.grade) == ("bee", 3)


def test_rights_are_checked(animals, location):
    visitor = Caller("eve", "page", rights=frozenset({"search"}))
    with pytest.raises(NotAllowed, match="right to judge"):
        record(visitor, location, animals, HONEY, "bee", "up")
    with pytest.raises(NotAllowed, match="right to search"):
        search(animals, SearchRequest(q=HONEY), caller=Caller("eve", rights=frozenset()), location=location)


def test_text_that_a_database_refuses_is_kept_all_the_same(animals, place, location):
    odd = Caller("a\ud800n\x00n", "page", "\udfff")
    search(animals, SearchRequest(q="honey \ud800?"), caller=odd, location=location)
    record(odd, location, animals, "honey \ud800?", "bee", "up")
    assert feedback_log(place).flush()
    [kept], [said] = read_impressions(place), read_sayings(place)
    assert kept.query == said.query == "honey \ufffd?" and kept.who == said.who == "a\ufffdn\ufffdn"
    assert kept.query_hash == said.query_hash
    assert list(said_about(odd, location, animals, "honey \ud800?")) == ["bee"]


def test_of_a_long_answer_the_first_hundred_are_kept_and_compared(animals, ask, ann, place, location):
    animals.add({"id": f"n{number}", "text": f"note {number} about honey"} for number in range(300))
    found = animals.search(HONEY, 250)
    log_search(ann, location, animals, found, k=250)
    assert feedback_log(place).flush()
    assert [one.document for one in read_impressions(place)[0].shown] == [one.id for one in found[:100]]
    assert replay(ann, location, found.id).same_scores


def test_nobody_speaks_for_files(animals, place, location):
    with pytest.raises(BadInput, match="the name 'import' stands for files"):
        record(Caller("import", "page"), location, animals, HONEY, "bee", "up")
    assert not place.exists


def test_a_database_url_has_its_feedback_beside_it(tmp_path, ann):
    location = Location(db=f"sqlite:///{tmp_path / 'notes.db'}")
    with Collection.create("notes", **location.arguments()) as notes:
        notes.add([{"id": "bee", "text": "Bees make honey."}])
        record(ann, location, notes, HONEY, "bee", "up")
        search(notes, SearchRequest(q=HONEY), caller=ann, location=location)
    place = feedback_place(location)
    assert feedback_log(place).flush()
    assert place.database == tmp_path / "notes.db.feedback.sqlite" and place.database.is_file()
    assert (len(read_impressions(place)), len(read_sayings(place))) == (1, 1)
