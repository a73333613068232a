"""Reads bytes as a file of a folder would be read, in this process."""

from __future__ import annotations

from dataclasses import dataclass

from indexing.documents.formats import read_file
from indexing.documents.formats.registry import format_of
from indexing.documents.model import Document, Item
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile


@dataclass
class Reading:
    items: list[Item]
    notes: list[str]

    def document(self) -> Document:
        (document,) = self.items
        assert isinstance(document, Document), document
        return document

    def reason(self) -> str:
        (skipped,) = self.items
        assert not isinstance(skipped, Document), skipped
        return skipped.reason


def read_bytes(name: str, data: bytes, options: ReadOptions | None = None) -> Reading:
    file = SourceFile(f"/docs/{name}", name, name, format_of(name) or "text", size=len(data), data=data)
    file.options = options or ReadOptions()
    return Reading(list(read_file(file)), file.notes)
