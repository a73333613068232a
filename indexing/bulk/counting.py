"""The items of a shard, counted off into pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from indexing.bulk.pieces import Done, FileDone, OtherPieces, Piece
from indexing.documents import Document, Skipped

__all__ = ["PIECE_CHARACTERS", "count_off"]

PIECE_CHARACTERS = 4_000_000
"""A piece of long documents stays a few tens of MiB in memory; as a batch of an `add` does."""
_MOST_SKIPPED = 1000


def count_off(
    shard: int,
    items: Iterable[Document | Skipped | FileDone | str],
    most_documents: int,
    done: Done,
    *,
    most_characters: int = PIECE_CHARACTERS,
) -> Iterator[Piece]:
    """The pieces of what was read, in order; those that are `done` are left out. A text among the items is a
    note about the file that is being read.

    A piece ends before the document, or what was skipped, that is one too many; so the end of a file belongs
    to the piece of its last document.

    Raises:
        OtherPieces: the first pieces are stored, and are not what is read now.
    """
    tally = _Tally(done)
    number = documents = characters = skipped = 0
    held: list[Document | Skipped] = []
    files: list[FileDone] = []
    notes: list[str] = []
    for item in items:
        if isinstance(item, str):
            notes.append(item)
            continue
        if isinstance(item, FileDone):
            files.append(item)
            continue
        if documents >= most_documents or characters >= most_characters or skipped >= _MOST_SKIPPED:
            before = tally.end_piece(number)
            if number not in done:
                piece = Piece.of(shard, number, held, files, notes=notes)
                yield replace(piece, before=before, digest=tally.digest)
            number += 1
            documents = characters = skipped = 0
            held, files, notes = [], [], []
        held.append(item)
        tally.note(item)
        if isinstance(item, Skipped):
            skipped += 1
        else:
            documents += 1
            characters += _length(item)
    before = tally.end_piece(number, last=True)
    if number not in done:
        piece = Piece.of(shard, number, held, files, notes=notes, last=True)
        yield replace(piece, before=before, digest=tally.digest)


class _Tally:
    """A digest of all that was read up to the end of a piece, compared with that of the stored pieces."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self._hash = hashlib.sha256()
        self.digest = ""

    def note(self, item: Document | Skipped) -> None:
        told = ("s", item.source, item.line) if isinstance(item, Skipped) else ("d", item.id)
        self._hash.update(repr(told).encode("utf-8", "surrogatepass"))

    def end_piece(self, number: int, *, last: bool = False) -> str:
        """Ends the piece of this number, and returns the digest before it.

        Raises:
            OtherPieces: it is the last of those that are stored, and another one, or there are fewer now.
        """
        before = self.digest
        self._hash.update(b"end" if last else b"piece")
        self.digest = self._hash.hexdigest()
        known, stored = self._done.digest, self._done.stored
        if known and last and stored > number + 1:
            raise OtherPieces(
                f"{stored} pieces are stored, and {number + 1} are read now: it is read otherwise"
            )
        if known and number == stored - 1 and self.digest != known:
            raise OtherPieces(
                f"the first {stored} pieces are stored, and are others now: it is read otherwise"
            )
        return before


def _length(document: Document) -> int:
    values = document.metadata.values()
    return len(document.text) + sum(len(value) for value in values if type(value) is str)
