"""The fields that documents have from their file."""

from __future__ import annotations

from indexing.documents import Document
from indexing.documents.file_fields import add_file_fields
from indexing.documents.source import SourceFile

NOON = 1_714_564_800_000_000_000  # 2024-05-01 12:00 UTC
ENGLISH = "The bees are in the garden, and they have found all of the flowers that were there."


def file(name: str, kind: str) -> SourceFile:
    return SourceFile(f"/docs/{name}", f"/docs/{name}", name, kind, size=42, root="/docs", modified=NOON + 7)


def test_a_file_says_where_and_what_it_is():
    document = add_file_fields(Document("guides/bees.pdf", ENGLISH), file("guides/bees.pdf", "pdf"))
    assert document.metadata == {
        "path": "guides/bees.pdf",
        "folder": "guides",
        "name": "bees.pdf",
        "type": "PDF",
        "size": 42,
        "modified": "2024-05-01T12:00:00Z",
        "lang": "en",
    }


def test_a_part_of_a_file_has_its_fields_and_keeps_its_own():
    given = Document("a.md#intro", "x", "T", {"type": "how-to", "size": None, "lang": "de"}, marks=())
    assert add_file_fields(given, file("a.md", "markdown")) == Document(
        "a.md#intro",
        "x",
        "T",
        {
            "path": "a.md",
            "folder": ".",
            "name": "a.md",
            "type": "how-to",
            "size": None,
            "modified": "2024-05-01T12:00:00Z",
            "lang": "de",
        },
    )


def test_rows_have_few_and_documents_with_ids_of_their_own_none():
    table = file("data/a.csv", "delimited")
    assert add_file_fields(Document("data/a.csv#7", ENGLISH), table).metadata == {
        "path": "data/a.csv",
        "folder": "data",
        "type": "table",
    }
    own = Document("7", ENGLISH)
    assert add_file_fields(own, table) is own


def test_no_language_is_said_of_what_is_none():
    assert "lang" not in add_file_fields(Document("a.txt", "8412 5521 x"), file("a.txt", "text")).metadata
    assert "lang" not in add_file_fields(Document("a.py", ENGLISH), file("a.py", "code")).metadata


def test_a_clock_gone_wrong_is_no_field():
    broken = SourceFile("/docs/a.txt", "a.txt", "a.txt", "text", size=1, root="/docs", modified=2**63 * 10**9)
    assert "modified" not in add_file_fields(Document("a.txt", "x"), broken).metadata
