"""Dates and times in filters: ISO 8601 texts as moments and spans, in microseconds since 1970 in UTC.

A stored date is the moment at which it begins: `2024-05-01` is its midnight. A date in a filter is the whole
of it: `2024-05` is a month, `2024-05-01T10:00` a minute. Where no zone is told it is UTC.
"""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

__all__ = ["Span", "instant_of", "span_of", "year_of"]


class Span(NamedTuple):
    """From `start` until before `end`."""

    start: int
    end: int

    def bound(self, operator: str) -> tuple[str, int]:
        """The comparison with a moment that says `operator` of the whole of it."""
        return {
            "<": ("<", self.start),
            "<=": ("<", self.end),
            ">": (">=", self.end),
            ">=": (">=", self.start),
        }[operator]


_DATE = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[t ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r" ?(?:(z)|([+-])(\d\d):?(\d\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_YEAR = re.compile(r"\d{4}", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_MINUTE, _DAY = 60 * _SECOND, 86_400 * _SECOND
_LONGEST = 40  # characters of a date


def instant_of(text: str) -> int | None:
    """Where a stored text is a date, with or without a day and a time: when it begins."""
    span = _read(text)
    return None if span is None else span.start


def year_of(moment: int) -> int:
    """The year of a moment, in UTC."""
    return date.fromordinal(_EPOCH + moment // _DAY).year


def span_of(text: str) -> Span | None:
    """Where a text in a filter is a date: all of the year (`2024`), month, day, minute, second."""
    if len(text) == 4 and _YEAR.fullmatch(text) and text != "0000":
        year = int(text)
        return Span(_start(year, 1, 1), _start(year + 1, 1, 1))
    return _read(text)


def _read(text: str) -> Span | None:
    if not 7 <= len(text) <= _LONGEST or text[4] != "-" or not (match := _DATE.fullmatch(text)):
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3] or 1)
    try:
        start = _start(year, month, day)
    except ValueError:
        return None
    if match[3] is None:
        return Span(start, _start(year + month // 12, month % 12 + 1, 1))
    if match[4] is None:
        return Span(start, start + _DAY)
    return _read_time(start, match)


def _read_time(start: int, match: re.Match[str]) -> Span | None:
    hour, minute, second = int(match[4]), int(match[5]), int(match[6] or 0)
    offset = int(match[10] or 0) * 60 + int(match[11] or 0)
    if hour > 23 or minute > 59 or second > 59 or offset >= 24 * 60:
        return None
    start += (hour * 60 + minute - (-offset if match[9] == "-" else offset)) * _MINUTE + second * _SECOND
    if match[6] is None:
        return Span(start, start + _MINUTE)
    digits = match[7] or ""
    start += int(digits[:6].ljust(6, "0"))
    return Span(start, start + 10 ** max(0, 6 - len(digits)))


def _start(year: int, month: int, day: int) -> int:
    """Midnight of a day. The year after the last one begins too.

    Raises:
        ValueError: there is no such day.
    """
    if year == 10_000:
        return (date.max.toordinal() + 1 - _EPOCH) * _DAY
    return (date(year, month, day).toordinal() - _EPOCH) * _DAY
