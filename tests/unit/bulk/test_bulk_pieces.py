"""Pieces go between processes as plain rows and are the same at the other end."""

from __future__ import annotations

from indexing.bulk.pieces import Done, EmbeddedPiece, FileDone, Piece
from indexing.catalog.sources import FileState
from indexing.documents import Document, Skipped
from indexing.documents.marks import Mark
from indexing.embed import Embedded

STATE = FileState(10, 20, 2**62, 2**60, b"\x00\xff", 30, "text", None, 2)


def test_a_piece_comes_out_of_its_row_as_it_was():
    documents = (
        Document("a/b.txt", "two\nlines\u2028é\ud800", "title", {"n": 2**70, "x": [1.5, None, {"y": True}]}),
        Document("c", "text", "", {}, "/docs/c", (Mark(0, "page", 1), Mark(3, "heading", "Über", 2)), 7),
    )
    skipped = (Skipped("names\udcff", None, "broken"), Skipped("x", 4, "no JSON"))
    piece = Piece(3, 5, documents, skipped, (FileDone(7, "c", STATE),), last=True, before="ab", digest="cd")
    again = Piece.from_row(piece.to_row())
    assert again == piece
    assert [(d.origin, d.marks, d.file_id) for d in again.documents] == [
        (d.origin, d.marks, d.file_id) for d in documents
    ]
    row = piece.to_row()
    assert {name: type(value) for name, value in row.items()} == {
        "shard": int,
        "number": int,
        "last": bool,
        "before": str,
        "digest": str,
        "documents": int,
        "data": bytes,
    }
    assert row["documents"] == 2


def test_what_cannot_be_used_is_skipped_with_the_reason():
    items = [{"id": 4, "text": "t"}, {"id": "x", "text": " "}, Skipped("f", 1, "r"), {"id": "y"}]
    piece = Piece.of(2, 1, items)
    assert [d.id for d in piece.documents] == ["4"]
    assert [(s.source, s.reason[:24]) for s in piece.skipped] == [
        ("shard 2, piece 1", "document 'x' is empty: i"),
        ("f", "r"),
        ("shard 2, piece 1", "document 'y' is empty: i"),
    ]


def test_codes_come_out_of_their_row_as_they_were():
    made = Embedded(
        [[(0, 3), (2, 9)], [], [(1, 4)]],
        [[b"ab", b"cd"], [], [b"\x00\xff"]],
        12,
        {"sparse": [[b"", b"xyz"], [], [b"q"]], "tokens": [[b"1", b"22"], [], [b"333"]]},
    )
    embedded = EmbeddedPiece(4, (0, 2, 5), made)
    assert EmbeddedPiece.from_row(embedded.to_row()) == embedded
    assert EmbeddedPiece.from_row(EmbeddedPiece(1).to_row()) == EmbeddedPiece(1)


def test_pieces_below_the_watermark_and_named_ones_are_done():
    done = Done(3, frozenset({5}))
    assert [number in done for number in range(7)] == [True, True, True, False, False, True, False]
