"""Builds readable text from a stream of inline text, line breaks and paragraphs."""

from __future__ import annotations

import re

__all__ = ["TextLayout"]

_BLANKS = re.compile(r"[ \t\n\r\f]+")


class TextLayout:
    """Collapses blanks as a browser does; breaks are written only between two pieces of text."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0

    def add(self, text: str) -> None:
        """Inline text: runs of blanks become one space, none at the start of a line."""
        text = _BLANKS.sub(" ", text)
        if self._breaks or not self._parts or self._parts[-1].endswith((" ", "\n")):
            text = text.lstrip(" ")
        if text:
            self._write(text)

    def add_verbatim(self, text: str) -> None:
        """Preformatted text: its blanks and line breaks mean something."""
        if text:
            self._write(text)

    def line(self) -> None:
        self._breaks = max(self._breaks, 1)

    def paragraph(self) -> None:
        self._breaks = 2

    def text(self) -> str:
        return "".join(self._parts).strip()

    def _write(self, text: str) -> None:
        if self._breaks and self._parts:
            self._parts[-1] = self._parts[-1].rstrip(" ")
            self._parts.append("\n" * self._breaks)
        self._breaks = 0
        self._parts.append(text)
