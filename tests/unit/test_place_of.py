"""Where a snippet is from."""

from __future__ import annotations

from indexing import Snippet
from indexing.documents.marks import Mark, Place
from indexing.search.candidates import place_of

TEXT = "First slide\nSecond slide\nThird slide"
MARKS = (
    Mark(0, "page", 1),
    Mark(0, "line", 1),
    Mark(12, "page", 2),
    Mark(12, "heading", "Two", 1),
    Mark(25, "page", 3),
)


def test_a_snippet_over_several_pages_is_of_the_one_whose_words_are_marked():
    third = Snippet(TEXT, [(6, 11), (25, 30), (31, 36)], 0)
    assert place_of(MARKS, TEXT, third) == Place(3, 1, ("Two",))
    assert place_of(MARKS, TEXT, Snippet(TEXT[12:], [(0, 6)], 12)) == Place(2, 2, ("Two",))


def test_without_marked_words_its_beginning_counts():
    assert place_of(MARKS, TEXT, Snippet(TEXT, [], 0)) == Place(1, 1, ())
    assert place_of((), TEXT, Snippet(TEXT, [(0, 5)], 0)) == Place()
