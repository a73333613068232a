"""Where a place of a file begins in a document's text: pages, lines, headings."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = [
    "MOST_MARKS",
    "NOWHERE",
    "Mark",
    "Place",
    "marks_from_json",
    "marks_to_json",
    "place_at",
    "read_marks",
]

MOST_MARKS = 5_000
"""Of one document; more cost more than they tell. A reader that finds more keeps the first."""
_LONGEST = 200  # characters of a heading
_KINDS = ("page", "line", "heading")


class Mark(NamedTuple):
    """From the character `start` of the text on: `value` is a page or a line of the file, both from 1, or the
    words of a heading, whose `level` is 1 at the highest. A line holds for `start`; each line break of the
    text is one more.
    """

    start: int
    kind: str
    value: int | str
    level: int = 0


class Place(NamedTuple):
    """What holds at a character: page and line of the file, and the headings above it, the highest first."""

    page: int | None = None
    line: int | None = None
    headings: tuple[str, ...] = ()


NOWHERE = Place()


def place_at(marks: Sequence[Mark], text: str, offset: int) -> Place:
    """The place of the character `offset`. `marks` are sorted by their start."""
    page: int | None = None
    line: Mark | None = None
    headings: list[Mark] = []
    for mark in marks[: bisect_right(marks, offset, key=lambda mark: mark.start)]:
        if mark.kind == "page":
            page = int(mark.value)
        elif mark.kind == "line":
            line = mark
        else:
            while headings and headings[-1].level >= mark.level:
                headings.pop()
            headings.append(mark)
    at = None if line is None else int(line.value) + text.count("\n", line.start, offset)
    return Place(page, at, tuple(str(mark.value) for mark in headings))


def marks_to_json(marks: Iterable[Mark]) -> list[list[Any]]:
    """Sorted by start, in as many as are kept, with short headings."""
    kept = sorted(marks, key=lambda mark: mark.start)[:MOST_MARKS]
    return [
        [mark.start, _KINDS.index(mark.kind), mark.value[:_LONGEST], mark.level]
        if isinstance(mark.value, str)
        else [mark.start, _KINDS.index(mark.kind), mark.value]
        for mark in kept
    ]


def marks_from_json(raw: Any) -> tuple[Mark, ...]:
    """Raises `ValueError` for what `marks_to_json` did not write."""
    try:
        return tuple(Mark(entry[0], _KINDS[entry[1]], *entry[2:]) for entry in raw)
    except (TypeError, IndexError, KeyError) as error:
        raise ValueError(f"not marks: {error}") from error


def read_marks(stored: str | None) -> tuple[Mark, ...]:
    """Marks as the catalog stores them; none where they were altered, as they only help to find a place."""
    try:
        return marks_from_json(json.loads(stored)) if stored else ()
    except (ValueError, RecursionError):
        return ()
