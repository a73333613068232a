"""What came out of one file of a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from indexing.documents import Document
from indexing.documents.file_fields import add_file_fields
from indexing.documents.model import NO_READER, NO_TEXT, Item
from indexing.documents.reader import FileEnd
from indexing.documents.source import SourceFile

__all__ = ["Outcome"]


class Outcome:
    """Why a file could not be read to its end (`problem`), or that there was no text in it (`empty`)."""

    def __init__(self, file: SourceFile, file_id: int) -> None:
        self.problem: str | None = None
        self.empty = False
        self._file = file
        self._file_id = file_id

    def watch(self, stream: Iterator[Item | FileEnd]) -> Iterator[Item]:
        """The items of the file, which `stream` goes on with."""
        for item in stream:
            if isinstance(item, FileEnd):
                return
            if isinstance(item, Document):
                yield replace(add_file_fields(item, self._file), file_id=self._file_id)
            elif item.line is None and item.reason == NO_TEXT:
                self.empty = True
            else:
                if item.line is None:
                    self.problem = item.reason
                if item.reason != NO_READER:
                    yield item
