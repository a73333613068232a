"""The items of a shard, counted off into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from indexing.bulk.pieces import Done, FileDone, Piece
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
    """
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
            if number not in done:
                yield Piece.of(shard, number, held, files, notes=notes)
            number += 1
            documents = characters = skipped = 0
            held, files, notes = [], [], []
        held.append(item)
        if isinstance(item, Skipped):
            skipped += 1
        else:
            documents += 1
            characters += _length(item)
    if number not in done:
        yield Piece.of(shard, number, held, files, notes=notes, last=True)


def _length(document: Document) -> int:
    values = document.metadata.values()
    return len(document.text) + sum(len(value) for value in values if type(value) is str)
