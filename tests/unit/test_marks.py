"""Where a character of a text lies in its file."""

from __future__ import annotations

import pytest

from indexing.documents.marks import (
    MOST_MARKS,
    Mark,
    Place,
    marks_from_json,
    marks_to_json,
    place_at,
    read_marks,
)

TEXT = "Intro\nfirst\n\nInstall\nwith pip\n\nUse\nit"
MARKS = (
    Mark(0, "line", 10),
    Mark(0, "page", 1),
    Mark(0, "heading", "Intro", 1),
    Mark(13, "heading", "Install", 2),
    Mark(21, "page", 2),
    Mark(31, "heading", "Use", 1),
)


@pytest.mark.parametrize(
    ("offset", "place"),
    [
        (0, Place(1, 10, ("Intro",))),
        (6, Place(1, 11, ("Intro",))),
        (13, Place(1, 13, ("Intro", "Install"))),
        (22, Place(2, 14, ("Intro", "Install"))),
        (35, Place(2, 17, ("Use",))),
    ],
)
def test_what_holds_at_a_character(offset, place):
    assert place_at(MARKS, TEXT, offset) == place


def test_nothing_holds_without_marks():
    assert place_at((), TEXT, 5) == Place(None, None, ())


def test_marks_survive_being_stored():
    assert marks_from_json(marks_to_json(reversed(MARKS))) == (*MARKS[2::-1], *MARKS[3:])


def test_the_first_marks_are_kept():
    kept = marks_to_json(Mark(n, "page", n) for n in range(MOST_MARKS + 5))
    assert kept[-1] == [MOST_MARKS - 1, 0, MOST_MARKS - 1]


@pytest.mark.parametrize("stored", ["", None, "{", "[[1]]", "[[0, 9, 1]]", "7", "[" * 100_000])
def test_altered_marks_are_none(stored):
    assert read_marks(stored) == ()
