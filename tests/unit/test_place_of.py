"""Where a snippet is from."""

from __future__ import annotations

from app.facade.showing import file_of, whence
from indexing import Collection, Snippet
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


def test_rows_with_ids_of_their_own_are_from_their_file_too(home, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.csv").write_text("id,text\nx,Bees make honey\ny,Dough rises\n")
    with Collection.create("docs", home=home) as collection:
        collection.add([{"id": "own", "text": "Nobody knows where from."}])
        collection.sync([tmp_path / "docs"])
        found = {one.id: one for one in collection.search("dough and honey")}
        assert {id_: (one.origin, one.place.line) for id_, one in found.items()} == {
            "x": (str(tmp_path / "docs" / "a.csv"), 2),
            "y": (str(tmp_path / "docs" / "a.csv"), 3),
            "own": ("", None),
        }
        assert whence(found["y"]).crumbs == ("docs", "a.csv", "line 3")
        assert file_of(found["own"]) == ""
