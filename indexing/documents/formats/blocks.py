"""A document made of blocks: paragraphs, code and headings, each with the line of the file it is from."""

from __future__ import annotations

from typing import Any

from indexing.documents.marks import MOST_MARKS, Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile

__all__ = ["Blocks"]


class Blocks:
    """Collects blocks of text; between two of them stands a blank line."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self.marks: list[Mark] = []
        self.heading = ""
        """The words of the first heading."""

    def add(self, text: str, line: int | None = None) -> None:
        """A block. `line` (from 1) is where it begins in the file."""
        text = text.strip("\n").rstrip()
        if not text.strip():
            return
        if self._parts:
            self._length += 2
        if line is not None and len(self.marks) < MOST_MARKS:
            self.marks.append(Mark(self._length, "line", line))
        self._parts.append(text)
        self._length += len(text)

    def add_heading(self, text: str, level: int, line: int | None = None) -> None:
        """A heading, `level` 1 being the highest."""
        words = " ".join(text.split())
        if not words:
            return
        self.heading = self.heading or words
        start = self._length + (2 if self._parts else 0)
        if len(self.marks) < MOST_MARKS:
            self.marks.append(Mark(start, "heading", words, level))
        self.add(words, line)

    def add_marked(self, text: str, marks: tuple[Mark, ...]) -> None:
        """A block that has marks of its own."""
        before = len(self._parts)
        start = self._length + (2 if self._parts else 0)
        self.add(text)
        if len(self._parts) > before:
            room = MOST_MARKS - len(self.marks)
            self.marks.extend(mark._replace(start=mark.start + start) for mark in marks[:room])

    def text(self) -> str:
        return "\n\n".join(self._parts)

    def item(self, file: SourceFile, title: str = "", metadata: dict[str, Any] | None = None) -> Item:
        """The document of `file`; its title falls back to the first heading."""
        text, title = self.text(), title or self.heading
        if not text:
            if not title:
                return Skipped(file.source, None, "no text in it")
            text, title = title, ""
        return Document(file.name, text, title, metadata or {}, marks=tuple(self.marks))
