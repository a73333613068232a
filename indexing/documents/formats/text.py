"""Plain text: one file is one document, its lines those of the file."""

from __future__ import annotations

from collections.abc import Iterator

from indexing.documents.marks import Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_FIRST_LINE = (Mark(0, "line", 1),)


def read(file: SourceFile) -> Iterator[Item]:
    text = read_text(file)
    if text.strip():
        yield Document(file.name, text, marks=_FIRST_LINE)
    else:
        yield Skipped(file.source, None, "no text in it")
