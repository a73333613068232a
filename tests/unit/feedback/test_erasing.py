"""What is erased is gone, from the files too; what was not named stays."""

from __future__ import annotations

import sqlite3
import tracemalloc
from dataclasses import replace

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import Wanted, erase, forget_feedback, list_feedback, record, record_click
from app.feedback.erasing import select_feedback
from app.feedback.log import feedback_log
from app.feedback.model import Saying
from app.feedback.questions import question_hash
from app.feedback.table import add_rows, read_events, read_impressions, read_sayings, write_feedback
from app.tuning.forgetting import ERASED
from app.tuning.runs import add_run, read_runs
from indexing.errors import BadInput, LockedError

SECRET = "does zanzibar pay hush money"


def bytes_of(place):
    return b"".join(path.read_bytes() for path in place.database.parent.glob("feedback.sqlite*"))


@pytest.fixture
def kept(ask, animals, ann, ben, place, location):
    """Ann asks for the secret and Ben for honey; both click and say something."""
    for caller, question in ((ann, SECRET), (ben, "honey")):
        found = ask(caller, question)
        record_click(caller, location, animals, found.id, found[0].id)
        record(caller, location, animals, question, "bee", "up", impression=found.id)
        record(caller, location, animals, question, "", "none", impression=found.id)
    feedback_log(place).flush()
    return place


def people(place):
    return tuple({one.who for one in read(place)} for read in (read_impressions, read_events, read_sayings))


@pytest.mark.parametrize("wanted", [Wanted(person="ann"), Wanted(question="Does Zanzibar pay hush-money??")])
def test_nothing_of_a_person_or_question_stays_in_the_files(kept, animals, ben, location, wanted):
    assert b"zanzibar" in bytes_of(kept)
    done = erase(ben, location, animals, wanted)
    assert (done.impressions, done.events, done.sayings, done.shortened, done.pending) == (1, 1, 2, 0, None)
    assert b"zanzibar" not in bytes_of(kept) and b"ann" not in bytes_of(kept)
    assert people(kept) == ({"ben"}, {"ben"}, {"ben"})
    assert any("backups" in place for place in done.out_of_reach)


def test_a_document_is_taken_out_of_the_answers_that_showed_it(kept, animals, ann, location):
    before = {one.id: one for one in read_impressions(kept)}
    shown = sum("bee" in {s.document for s in one.shown} for one in before.values())
    clicks = sum(one.document == "bee" for one in read_events(kept))
    done = erase(ann, location, animals, Wanted(document="bee"))
    assert (done.impressions, done.events, done.sayings, done.shortened) == (0, clicks, 2, 2 + shown)
    assert b'"bee"' not in bytes_of(kept)
    for one in read_impressions(kept):
        left = tuple(s for s in before[one.id].shown if s.document != "bee")
        assert one.shown == left and one.query == before[one.id].query
    assert [one.kind for one in read_sayings(kept)] == ["none", "none"]
    assert all("bee" not in one.shown for one in read_sayings(kept))


def test_of_many_searches_only_those_that_match_are_held(kept, animals, monkeypatch):
    monkeypatch.setattr("app.feedback.table._HELD_AT_ONCE", 50)
    [one, _] = read_impressions(kept, animals.uuid)
    shown = tuple(replace(one.shown[0], document=f"other {n}") for n in range(5))
    with write_feedback(kept) as connection:
        add_rows(connection, [replace(one, id=f"more {n}", shown=shown) for n in range(600)])
    peaks = []
    for wanted in (Wanted(), Wanted(document="bee")):
        tracemalloc.start()
        found = select_feedback(kept, animals.uuid, wanted)[0]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(found) in (602, 2)
    assert peaks[1] < peaks[0] / 2


def test_what_is_given_together_must_all_hold(kept, animals, ann, location):
    done = erase(ann, location, animals, Wanted(person="ann", question="honey"))
    assert (done.impressions, done.events, done.sayings) == (0, 0, 0)
    assert people(kept) == ({"ann", "ben"},) * 3


def test_hashed_searches_are_erased_by_name_and_question(
    ask, animals, ann, ben, place, location, monkeypatch
):
    monkeypatch.setenv("STLIB_LOG", "hashes")
    ask(ann, SECRET)
    ask(ben, "honey")
    assert erase(ann, location, animals, Wanted(person="ann")).impressions == 1
    assert erase(ann, location, animals, Wanted(question="Honey")).impressions == 1
    assert read_impressions(place) == []


def test_another_collection_keeps_its_own(kept, animals, ann, location):
    other = Saying(0, "other", 1.0, "ann", "", "q", question_hash("q"), "d", "up", 1, "", "page")
    with write_feedback(kept) as connection:
        add_rows(connection, [other])
    erase(ann, location, animals, Wanted(person="ann"))
    assert [one.collection for one in read_sayings(kept) if one.who == "ann"] == ["other"]


def test_servings_that_learned_from_it_are_named_and_their_reports_lose_the_words(
    kept, animals, ann, location
):
    questions = [{"id": question_hash(text), "text": text} for text in (SECRET, "honey")]
    gate = {"questions": questions, "to_judge": [[question_hash(SECRET), f"{SECRET}?", "bee"]]}
    secret = [question_hash(SECRET)]
    for serving, learned_from in ((2, secret), (3, [question_hash("honey")])):
        add_run(
            location,
            animals.uuid,
            "memory",
            candidate=serving,
            promoted=False,
            seconds=1.0,
            details={"curve": [0.5, 0.25], "note": "kept"},
            gate=gate,
            questions=learned_from,
        )
    done = erase(ann, location, animals, Wanted(person="ann"))
    assert (done.servings, done.pending) == ((2,), None)
    for run in read_runs(location, animals.uuid):
        assert run.gate == {
            "questions": [{"id": secret[0], "text": ERASED}, questions[1]],
            "to_judge": [[secret[0], ERASED, "bee"]],
        }
        assert run.details == {"curve": [0.5, 0.25], "note": "kept"}
    files = b"".join(path.read_bytes() for path in location.home.glob("tuning.sqlite*"))
    assert b"zanzibar" not in files and b"honey" in files


def test_words_that_another_person_said_too_stay_in_reports(kept, animals, ann, ben, location):
    record(ben, location, animals, SECRET, "dog", "up")
    gate = {"text": SECRET}
    add_run(location, animals.uuid, "memory", candidate=2, promoted=False, seconds=1.0, gate=gate)
    erase(ann, location, animals, Wanted(person="ann"))
    assert read_runs(location, animals.uuid)[0].gate == gate


def test_words_leave_reports_even_if_old_bytes_are_pending(kept, animals, ann, location, monkeypatch):
    gate = {"text": SECRET}
    add_run(location, animals.uuid, "memory", candidate=2, promoted=False, seconds=1.0, gate=gate)

    def refuse(engine):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("indexing.catalog.sqlite.vacuum", refuse)
    done = erase(ann, location, animals, Wanted(person="ann"))
    assert done.pending.count("pending: the old bytes may still be in") == 2
    assert read_runs(location, animals.uuid)[0].gate == {"text": ERASED}
    monkeypatch.undo()
    assert erase(ann, location, animals, Wanted(person="ann")).pending is None
    files = b"".join(path.read_bytes() for path in location.home.glob("*.sqlite*"))
    assert b"zanzibar" not in files


def test_where_the_reports_cannot_be_written_nothing_is_erased(kept, animals, ann, location, monkeypatch):
    gate = {"text": SECRET}
    add_run(location, animals.uuid, "memory", candidate=2, promoted=False, seconds=1.0, gate=gate)

    def fail(location):
        raise LockedError("another process writes")

    monkeypatch.setattr("app.tuning.forgetting.open_records", fail)
    with pytest.raises(LockedError):
        erase(ann, location, animals, Wanted(person="ann"))
    assert people(kept) == ({"ann", "ben"},) * 3
    monkeypatch.undo()
    erase(ann, location, animals, Wanted(person="ann"))
    assert people(kept) == ({"ben"},) * 3
    assert read_runs(location, animals.uuid)[0].gate == {"text": ERASED}


def test_who_may_erase_what(kept, animals, location):
    judge = Caller("ann", "page", rights=frozenset({"search", "judge"}))
    for person in ("ann", "ben"):  # who judges is who says so: that is no right to erase
        with pytest.raises(NotAllowed, match="right to manage"):
            erase(judge, location, animals, Wanted(person=person))
    with pytest.raises(BadInput, match="nothing is named"):
        erase(Caller("ann"), location, animals, Wanted())


def test_all_that_is_kept_of_a_person_can_be_read(kept, animals, ann, location):
    lines = list(list_feedback(ann, location, animals, wanted=Wanted(person="ann")))
    assert [line["what"] for line in lines] == ["impression", "event", "saying", "saying"]
    assert {line["who"] for line in lines} == {"ann"} and lines[0]["query"] == SECRET


def test_where_nothing_is_kept_nothing_is_made(animals, ann, place, location):
    assert erase(ann, location, animals, Wanted(person="ann")).sayings == 0
    assert not place.exists


def test_what_cannot_be_written_anew_yet_is_pending(kept, animals, ann, location, monkeypatch):
    monkeypatch.setattr("indexing.catalog.sqlite.vacuum", lambda engine: None)
    done = erase(ann, location, animals, Wanted(person="ann"))
    assert done.sayings == 2 and done.pending.startswith("pending: the old bytes may still be in the file")
    monkeypatch.undo()
    assert erase(ann, location, animals, Wanted(person="ann")).pending is None
    assert b"zanzibar" not in bytes_of(kept)


def test_a_deleted_collection_leaves_nothing(kept, animals, location, stlib):
    add_run(location, animals.uuid, "memory", candidate=2, promoted=False, seconds=1.0)
    code, out, err = stlib("delete", "animals", "--yes")
    assert (code, out, err) == (0, "deleted collection 'animals' with 4 documents\n", "")
    assert people(kept) == (set(), set(), set()) and b"zanzibar" not in bytes_of(kept)
    assert read_runs(location, animals.uuid) == []


def test_a_deleted_collection_leaves_no_records_where_feedback_stays(kept, animals, location, monkeypatch):
    gate = {"text": SECRET}
    add_run(location, animals.uuid, "memory", candidate=2, promoted=False, seconds=1.0, gate=gate)
    monkeypatch.setattr("indexing.catalog.sqlite.vacuum", lambda engine: None)
    assert forget_feedback(location, animals.uuid).count("pending: the old bytes may still be in") == 2
    assert read_runs(location, animals.uuid) == []

    def fail(place):
        raise LockedError("another process writes")

    add_run(location, animals.uuid, "memory", candidate=2, promoted=False, seconds=1.0, gate=gate)
    monkeypatch.setattr("app.feedback.erasing.write_feedback", fail)
    assert "asked and said of it is still there" in forget_feedback(location, animals.uuid)
    assert read_runs(location, animals.uuid) == []
