"""From sayings in the database to graded questions."""

from __future__ import annotations

import pytest

from app.facade.caller import Caller
from app.facade.feedback import Wanted, erase, record
from app.feedback.judged import Agreement, find_leaks, read_judged
from app.feedback.questions import question_hash
from indexing.errors import BadInput

ANN, BEN, EVE = (Caller(name, session=name) for name in ("ann", "ben", "eve"))


def test_words_of_people_become_grades(location, collection):
    record(ANN, location, collection, "Who audits us?", "d0", "answer")
    record(BEN, location, collection, "who audits us", "d0", "up")
    record(EVE, location, collection, "who audits us", "d0", "up")
    record(ANN, location, collection, "who audits us", "d1", "up")
    record(BEN, location, collection, "who audits us", "d1", "down")
    record(ANN, location, collection, "who audits us", "d2", "up")
    record(ANN, location, collection, "who audits us", "d2", "down")
    record(BEN, location, collection, "who audits us", "", "none", shown=["d3", "d1"])
    judged = read_judged(location, collection)
    (question,) = judged.questions
    assert question.id == question_hash("who audits us")
    assert question.text == "Who audits us?"
    assert question.grades == {"d0": 1, "d1": 0, "d2": 0, "d3": 0}
    assert question.conflicts == {"d1"}
    assert question.people == 3
    assert question.returning
    assert judged.agreement == Agreement(2, 0.5, pytest.approx(1 - (2 / 1) / (2 * 4 * 1 / 4)), 1)


def test_what_was_taken_back_or_deleted_is_left_out(location, collection):
    record(ANN, location, collection, "first", "d0", "up")
    record(ANN, location, collection, "first", "d0", "undo")
    record(ANN, location, collection, "second", "d2", "up")
    collection.delete(["d2"])
    record(ANN, location, collection, "second", "d1", "answer")
    judged = read_judged(location, collection)
    assert judged.qrels() == {question_hash("second"): {"d1": 3}}
    assert judged.notes == ("Judged documents that are not in the collection any more were left out: 1.",)


def test_questions_without_an_answer_are_on_no_side(location, collection):
    record(ANN, location, collection, "nothing fits", "d0", "down")
    judged = read_judged(location, collection)
    assert [one.answered for one in judged.questions] == [False]
    assert [judged.side(name) for name in ("train", "heldout", "out")] == [[], [], []]
    assert judged.queries() == judged.qrels() == {}


def test_sides_stay_when_more_is_said(location, collection):
    for number in range(40):
        record(ANN, location, collection, f"{'abcdefghij'[number % 10] * 9} {number**5:x}", "d0", "up")
    before = read_judged(location, collection)
    sides = {one.id: one.side for one in before.questions}
    assert {"train", "heldout"} == set(sides.values())
    for number in range(40):
        record(BEN, location, collection, f"{'klmnopqrst'[number % 10] * 9} {number**5:x}", "d1", "up")
    after = read_judged(location, collection)
    assert {one.id: one.side for one in after.questions if one.id in sides} == sides
    assert find_leaks(after) == []
    assert before.fingerprint != after.fingerprint == read_judged(location, collection).fingerprint


def test_a_question_like_another_goes_where_that_went(location, collection):
    first = "how long do we keep invoices of suppliers in the archive"
    record(ANN, location, collection, first, "d0", "up")
    (before,) = read_judged(location, collection).questions
    likes = [f"how long do we keep invoices of supplier{end} in the archive" for end in ("", "z", "x", "q")]
    for like in likes:
        record(ANN, location, collection, like, "d1", "up")
    judged = read_judged(location, collection)
    assert len(judged.questions) == 5
    assert {one.side for one in judged.questions} == {before.side}
    assert not before.returning
    assert all(one.returning for one in judged.questions)


def test_an_erased_question_leaves_no_place_behind(location, collection):
    record(ANN, location, collection, "who audits us", "d0", "up")
    read_judged(location, collection)
    erase(ANN, location, collection, Wanted(question="who audits us"))
    assert question_hash("who audits us").encode() not in (location.home / "feedback.sqlite").read_bytes()
    assert read_judged(location, collection).questions == ()


def test_clicks_are_on_or_off(location, collection):
    with pytest.raises(BadInput, match="use one of auto, off"):
        read_judged(location, collection, clicks="yes")
