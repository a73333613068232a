"""Builds readable text from a stream of inline text, line breaks and paragraphs, and marks places in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from indexing.documents.marks import MOST_MARKS, Mark

__all__ = ["TextLayout", "without_invisible"]

# Thai, Lao, Burmese and Khmer part words by a zero-width space; elsewhere it only allows a line to break.
_WORD_SPACE = re.compile("(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b")


class TextLayout:
    """Collapses blanks as a browser does; breaks are written only between two pieces of text. What is
    invisible, as soft hyphens are, is left out.
    """

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._parts: list[str] = []
        self._size = 0
        self._newlines = 0  # of the text so far
        self._line = -1  # what the last mark says of the first line of the text; -1 before one
        self._inline: list[str] = []
        self._breaks = 0
        self._headings: list[tuple[int, int, int]] = []  # open ones: level, parts and size before

    def add(self, text: str) -> None:
        """Inline text: runs of blanks become one space, none at the start or the end of a line."""
        self._inline.append(text)

    def add_verbatim(self, text: str) -> None:
        """Preformatted text: its blanks and line breaks mean something."""
        self._flush()
        self._write(text)

    def line(self) -> None:
        if self._inline:
            self._flush()
        if not self._breaks:
            self._breaks = 1

    def paragraph(self) -> None:
        if self._inline:
            self._flush()
        self._breaks = 2

    def mark_line(self, line: int) -> None:
        """What begins here is at this line of the file, counted from 1. Only called where no inline text is
        open; a mark that says what the one before it says is left out.
        """
        start = self._here()
        newlines = self._newlines + (self._breaks if self._parts else 0)
        if len(self.marks) < MOST_MARKS and line != self._line + newlines:
            self.marks.append(Mark(start, "line", line))
            self._line = line - newlines

    def add_page(self, text: str, marks: Iterable[Mark]) -> None:
        """A text that is laid out already, with marks of its own."""
        start = self._here()
        self.add_verbatim(text)
        for mark in marks:
            if len(self.marks) < MOST_MARKS:
                self.marks.append(mark._replace(start=mark.start + start))

    def open_heading(self, level: int) -> None:
        """What follows until `close_heading` are the words of a heading."""
        self._here()
        self._headings.append((level, len(self._parts), self._size))

    def close_heading(self) -> str:
        """Its words, in one line."""
        self._flush()
        if not self._headings:
            return ""
        level, parts, start = self._headings.pop()
        written = "".join(self._parts[parts:])
        words = " ".join(written.split())
        if words and len(self.marks) < MOST_MARKS:
            start += len(written) - len(written.lstrip())
            self.marks.append(Mark(start, "heading", words, level))
        return words

    def text(self) -> str:
        self._flush()
        text = "".join(self._parts).rstrip()
        # What began after the last word, such as a list without an item, is not there.
        self.marks[:] = [mark for mark in self.marks if mark.start < len(text)]
        return text

    def _here(self) -> int:
        """Where the next text begins."""
        self._flush()
        if self._breaks and self._parts:
            self._trim()
            return self._size + self._breaks
        return self._size

    def _flush(self) -> None:
        if not self._inline:
            return
        inline = "".join(self._inline) if len(self._inline) > 1 else self._inline[0]
        self._inline.clear()
        text = " ".join(inline.split())
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        if not text.isascii():
            text = without_invisible(text)
        if not self._parts:
            text = text.lstrip()
        if not text:
            return
        if self._breaks and self._parts:
            self._trim()
            self._parts.append("\n" * self._breaks)
            self._size += self._breaks
            self._newlines += self._breaks
        self._breaks = 0
        self._parts.append(text)
        self._size += len(text)
        if "\n" in text:
            self._newlines += text.count("\n")

    def _trim(self) -> None:
        """No blanks before a break (after code, or a marker of a list without an item)."""
        last = self._parts[-1]
        if last[-1:].isspace():
            self._parts[-1] = last.rstrip()
            self._size -= len(last) - len(self._parts[-1])
            self._newlines -= last.count("\n", len(self._parts[-1]))


def without_invisible(text: str) -> str:
    """`text` without what only says where a line may be broken: soft hyphens, zero-width spaces, joiners of
    words and marks of byte order.
    """
    for invisible in ("\xad", "\u2060", "\ufeff"):
        if invisible in text:
            text = text.replace(invisible, "")
    return _WORD_SPACE.sub("", text) if "\u200b" in text else text
