"""What a document may hold, and the reason when it may not."""

from __future__ import annotations

import pytest

from indexing.documents import Document, Skipped
from indexing.documents.model import storable_text
from indexing.errors import BadInput, BadLine, FilterError, IndexingError


def test_a_dict_becomes_a_document():
    metadata = {"year": 1999, "ratio": 0.5, "open": True, "none": None, "tags": ("a", "b")}
    document = Document.from_any({"id": 7, "text": "Bread rises.", "title": "Yeast", "metadata": metadata})
    expected = {"year": 1999, "ratio": 0.5, "open": True, "none": None, "tags": ["a", "b"]}
    assert document == Document("7", "Bread rises.", "Yeast", expected)


def test_a_document_with_only_a_title_is_searched_by_it():
    assert Document.from_any({"id": "a", "text": " ", "title": "Yeast"}) == Document("a", "Yeast", "", {})


def test_a_document_is_checked_too():
    assert Document.from_any(Document("a", "x", "t", {"n": 1})) == Document("a", "x", "t", {"n": 1})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("text", "a document is a dict with 'id' and 'text', got str"),
        ({"text": "x"}, "a document needs an 'id', a string that is not blank (or an integer), got None"),
        (
            {"id": True, "text": "x"},
            "a document needs an 'id', a string that is not blank (or an integer), got True",
        ),
        (
            {"id": "a\x00", "text": "x"},
            "document id 'a\\x00' holds NUL or half a surrogate pair; use valid Unicode text",
        ),
        (
            {"id": "a", "text": ""},
            "document 'a' is empty: it needs a 'text' (or a 'title') that is not blank",
        ),
        ({"id": "a", "text": 5}, "document 'a': 'text' is int, a string is needed"),
        (
            {"id": "a", "text": "x", "url": "u"},
            "document 'a' has unknown fields url; allowed are id, text, title, metadata: "
            "put the others into 'metadata'",
        ),
        ({"id": "a", "text": "x", "metadata": [1]}, "document 'a': 'metadata' is list, a dict is needed"),
        (
            {"id": "a", "text": "x", "metadata": {"n": float("nan")}},
            "document 'a': metadata 'n' is nan; "
            "allowed are str, finite numbers, bool, None, dates, and lists and dicts of these",
        ),
        (
            {"id": "a", "text": "x", "metadata": {"n": -(10**5000)}},
            "document 'a': metadata 'n' is an integer of more than 308 digits; "
            "allowed are str, finite numbers, bool, None, dates, and lists and dicts of these",
        ),
        (
            {"id": 10**5000, "text": "x"},
            "a document needs an 'id', got an integer of more than 308 digits",
        ),
        (
            {"id": "a", "text": "x", "metadata": {"n": [1, {"b": float("inf")}]}},
            "document 'a': metadata 'n' holds NaN, Infinity or numbers of more than 308 digits; "
            "allowed are str, finite numbers, bool, None, dates, and lists and dicts of these",
        ),
        (
            {"id": "a", "text": "x", "metadata": {"": 1}},
            "document 'a': metadata names are strings that are not blank, got ''",
        ),
    ],
)
def test_bad_documents_are_refused_with_the_reason(given, message):
    with pytest.raises(BadInput) as caught:
        Document.from_any(given)
    assert str(caught.value) == message


def test_text_that_no_database_column_takes_keeps_its_length():
    assert storable_text("a\ud83db\x00c😀") == "a\ufffdb\ufffdc😀"


def test_a_skipped_line_names_its_place():
    assert str(Skipped("a.jsonl", 3, "not valid JSON")) == "a.jsonl, line 3: not valid JSON"
    assert str(Skipped("a.txt", None, "no text in it")) == "a.txt: no text in it"


def test_errors_are_one_tree_and_know_their_place():
    error = BadLine("a.jsonl", 3, "no text in it")
    assert isinstance(error, BadInput)
    assert isinstance(error, IndexingError)
    assert (str(error), error.source, error.line) == ("a.jsonl, line 3: no text in it", "a.jsonl", 3)
    assert FilterError("expected a value", 12).position == 12
