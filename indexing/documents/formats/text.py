"""Plain text, and reStructuredText read as what it looks like: one file is one document."""

from __future__ import annotations

from collections.abc import Iterator

from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]


def read(file: SourceFile) -> Iterator[Item]:
    text = read_text(file)
    if text.strip():
        yield Document(file.name, text)
    else:
        yield Skipped(file.source, None, "no text in it")
