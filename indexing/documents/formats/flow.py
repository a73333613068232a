"""Puts the blocks of a document together: paragraphs, lines of lists and tables, and where pages begin."""

from __future__ import annotations

import re

from indexing.documents.marks import MOST_MARKS, Mark

__all__ = ["Flow", "tidy"]

_BLANKS = re.compile(r"[^\S\n]+")
_AROUND_BREAKS = re.compile(r" ?\n ?")
# What shapes a line but is not read: zero width space, soft hyphen, byte order mark, NUL and the like.
_UNREAD = re.compile(r"[\u200b\u00ad\ufeff\x00-\x08\x0e-\x1f]")


def tidy(text: str) -> str:
    """`text` with runs of blanks as one and none around its line breaks."""
    return _AROUND_BREAKS.sub("\n", _BLANKS.sub(" ", _UNREAD.sub("", text))).strip()


class Flow:
    """Text and marks of one document, block by block."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._marks: list[Mark] = []
        self._close = False

    def add(self, text: str, *, close: bool = False) -> None:
        """A paragraph, or with `close` a line of a list or a table: only a break parts it from one before it
        that was `close` too. Blank text is left out."""
        text = tidy(text)
        if not text:
            return
        if self._parts:
            self._write("\n" if close and self._close else "\n\n")
        self._write(text)
        self._close = close

    def head(self, text: str, level: int) -> None:
        """A heading, a paragraph of its own and a mark."""
        text = " ".join(tidy(text).split())
        if text:
            self.mark("heading", text, level)
            self.add(text)

    def mark(self, kind: str, value: int | str, level: int = 0) -> None:
        """What comes next begins a page, or stands under a heading that is not in the text."""
        if len(self._marks) < MOST_MARKS:
            start = self._length + (2 if self._parts else 0)
            self._marks.append(Mark(start, kind, value, level))
        if kind == "page" or not level:
            self._close = False

    def text(self) -> str:
        return "".join(self._parts)

    def marks(self) -> tuple[Mark, ...]:
        """Those within the text: a page without text at the end is none."""
        end = max(self._length - 1, 0)
        return tuple(mark._replace(start=min(mark.start, end)) for mark in self._marks)

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
