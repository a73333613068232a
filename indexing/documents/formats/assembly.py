"""A document put together from the texts of its parts: pages of a PDF, chapters of a book."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from indexing.documents.marks import MOST_MARKS, Mark

__all__ = ["Heading", "assemble"]

_MOST_WORDS = 12  # of a heading that are looked for in the text
_WINDOW = 200_000  # characters; thousands of headings that are not in a long text must not take minutes
_MOST_BEFORE = 12  # characters on its line before it: "4.1 ", "Chapter 3: "


class Heading(NamedTuple):
    """`level` is 1 at the highest."""

    words: str
    level: int


def assemble(
    texts: Sequence[str], headings: Mapping[int, Sequence[Heading]], *, pages: bool
) -> tuple[str, tuple[Mark, ...]]:
    """The parts with a blank line between them, and where each heading and, with `pages`, each part begins.

    `headings` are those of a part, by its place in `texts`, in their order.
    """
    marks: list[Mark] = []
    parts: list[str] = []
    length = 0
    for number, text in enumerate(texts):
        if parts and text:
            parts.append("\n\n")
            length += 2
        if pages:
            marks.append(Mark(length, "page", number + 1))
        place = 0
        for words, level in headings.get(number, ()):
            place = _find_heading(text, words, place)
            marks.append(Mark(length + place, "heading", words, level))
        if text:
            parts.append(text)
            length += len(text)
    end = max(length - 1, 0)
    return "".join(parts), tuple(mark._replace(start=min(mark.start, end)) for mark in marks[:MOST_MARKS])


def _find_heading(text: str, words: str, after: int) -> int:
    """Where the heading stands in its part, at or behind `after`; there if it is not found."""
    pattern = r"\s+".join(re.escape(word) for word in words.split()[:_MOST_WORDS])
    window = text[after : after + _WINDOW]
    # A paragraph of its own is the heading itself; a line among others is a list of contents.
    for ending in (r"[^\S\n]*(?:\n\n|\Z)", ""):
        found = re.compile(pattern + ending, re.IGNORECASE).search(window)
        if found:
            break
    else:
        return after
    start = after + found.start()
    # A number before it ("4.1 ") belongs to it.
    line = text.rfind("\n", 0, start) + 1
    return line if line >= after and start - line <= _MOST_BEFORE else start
