"""Grades, and which word counts."""

from __future__ import annotations

import pytest

from app.feedback.model import Saying, grade_of, latest_words
from indexing.errors import BadInput


def say(who, document, kind, grade=0, session="", shown=()):
    return Saying(0, "c", 0.0, who, session, "q", "h", document, kind, grade, "", "page", shown)


def grades(sayings):
    return {(person, document): word.grade for (person, _, document), word in latest_words(sayings).items()}


@pytest.mark.parametrize(
    ("kind", "grade"), [("up", 1), ("down", 0), ("answer", 3), ("pasted", 3), ("none", 0), ("undo", 0)]
)
def test_kinds_have_grades(kind, grade):
    assert grade_of(kind) == grade_of(kind, grade) == grade
    with pytest.raises(BadInput, match=f"'{kind}' has grade {grade}, not 2"):
        grade_of(kind, 2)


@pytest.mark.parametrize("grade", [0, 1, 2, 3])
def test_a_grade_is_what_it_says(grade):
    assert grade_of("grade", grade) == grade_of("import", grade) == grade


@pytest.mark.parametrize("grade", [None, -1, 4, True, 1.0, "2"])
def test_a_grade_beyond_is_refused(grade):
    with pytest.raises(BadInput, match="give a whole number from 0 to 3"):
        grade_of("grade", grade)


def test_files_have_their_own_grades_within_reason():
    assert grade_of("import", -2) == -2
    with pytest.raises(BadInput, match="from -1000 to 1000"):
        grade_of("import", 10**6)
    with pytest.raises(BadInput, match="'maybe': use one of up, down"):
        grade_of("maybe")


def test_the_last_word_of_each_person_counts():
    said = [say("ann", "bee", "up", 1), say("ben", "bee", "answer", 3), say("ann", "bee", "down", 0)]
    assert grades(said) == {("ann", "bee"): 0, ("ben", "bee"): 3}


def test_the_nameless_are_told_apart_by_their_visits():
    said = [say("", "bee", "up", 1, session="1"), say("", "bee", "down", 0, session="2")]
    assert grades(said) == {("1", "bee"): 1, ("2", "bee"): 0}


def test_none_of_these_is_said_of_each_until_something_else_is():
    none = say("ann", "", "none", shown=("bee", "dog"))
    assert grades([say("ann", "bee", "up", 1), none]) == {("ann", "bee"): 0, ("ann", "dog"): 0}
    assert grades([none, say("ann", "bee", "answer", 3)]) == {("ann", "dog"): 0, ("ann", "bee"): 3}


def test_what_was_taken_back_is_not_there():
    assert grades([say("ann", "bee", "up", 1), say("ann", "bee", "undo")]) == {}
    none = say("ann", "", "none", shown=("bee", "dog"))
    assert grades([none, say("ann", "", "undo", shown=("bee", "dog"))]) == {}
    assert grades([say("ann", "bee", "undo"), say("ann", "bee", "up", 1)]) == {("ann", "bee"): 1}
